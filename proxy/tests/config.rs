//! Settings: what is refused, with which words, and that no secret is among them. Each case names its row
//! of the list of bad inputs.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test would")]

use proxy::config::{Config, Flags, Target, load};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

struct File {
    folder: TempDir,
    path: PathBuf,
}

fn file(text: &str) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waybill.toml");
    fs::write(&path, text).unwrap();
    set_mode(&path, 0o600);
    File { folder, path }
}

#[cfg(unix)]
fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn environment(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let home = [("HOME", "home-of-a-test")];
    home.iter().chain(settings).map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn load_file(file: &File, settings: &[(&str, &str)]) -> Result<Config, String> {
    let flags = Flags { config: Some(file.path.clone()), ..Flags::default() };
    load(&flags, &environment(settings)).map_err(|problems| problems.to_string())
}

fn problems(text: &str) -> String {
    load_file(&file(text), &[]).unwrap_err()
}

const MAIN: &str =
    "[connections.main]\ndialect = \"guide\"\nregion = \"eu-central-1\"\nclient_id = \"id\"\n";

#[test]
fn the_embedded_defaults_are_good_and_serve_the_sandbox() {
    let config = load(&Flags::default(), &environment(&[])).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8787");
    assert_eq!(config.data, PathBuf::from("home-of-a-test/.local/share/waybill"));
    assert_eq!(config.threshold_ms, 10_000);
    assert!(matches!(config.connections[0].target, Target::Sandbox));
}

#[test]
fn a_named_connection_replaces_the_default_one_and_the_environment_fills_it_in() {
    let config = load_file(
        &file(MAIN),
        &[
            ("WAYBILL_CONNECTIONS__MAIN__CLIENT_SECRET", "s3cret"),
            ("WAYBILL_SLA__THRESHOLD_SECONDS", "2.5"),
        ],
    )
    .unwrap();
    assert_eq!(config.connections.len(), 1);
    let Target::Remote { api_url, login_url, .. } = &config.connections[0].target else { panic!() };
    assert_eq!(
        (api_url.as_str(), login_url.as_str()),
        ("https://api.mypurecloud.de", "https://login.mypurecloud.de")
    );
    assert_eq!(config.threshold_ms, 2_500);
}

#[test]
fn row_01_an_absent_file_and_a_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("missing.toml"), folder.path().to_owned()] {
        let flags = Flags { config: Some(path), ..Flags::default() };
        let text = load(&flags, &environment(&[])).unwrap_err().to_string();
        assert!(text.contains("cannot be read"), "{text}");
    }
}

#[test]
fn row_02_unknown_duplicate_and_mistyped_keys_are_all_named_with_their_line() {
    let text = problems(
        "[sla]\nthreshold = 5\n[audit]\nkey_id = 7\n[server]\nlisten = \"127.0.0.1:0\"\nports = 1\n",
    );
    for part in ["line 2: unknown field `threshold`", "line 4:", "line 7: unknown field `ports`"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let text = problems("[sla]\nthreshold_seconds = 5\nthreshold_seconds = 6\n");
    assert!(text.contains("line 3") && text.contains("duplicate key"), "{text}");
}

#[test]
fn row_03_a_secret_that_cannot_be_one_is_refused_without_being_shown() {
    for secret in ["\"\"", "\"two\\nlines-canary\"", "\"YOUR_CLIENT_SECRET\"", "12345678"] {
        let text = problems(&format!("{MAIN}client_secret = {secret}\n"));
        assert!(text.contains("client_secret"), "{text}");
        assert!(!text.contains("canary") && !text.contains("12345678"), "{text}");
    }
    assert!(problems(MAIN).contains("connections.main.client_secret: is missing"));
}

#[test]
fn row_04_regions_that_do_not_exist_are_refused() {
    for region in ["us-east-9", "../x", "a@b", "eu/1", "api.us-east-1"] {
        let text =
            problems(&format!("[connections.main]\ndialect = \"guide\"\nregion = \"{region}\"\n"));
        assert!(text.contains("is not a region; use sandbox or one of us-east-1"), "{text}");
    }
}

#[test]
fn row_05_a_short_audit_secret_is_refused() {
    let text = problems(&format!("[audit]\nsecret = \"{}\"\n", "x".repeat(29)));
    assert!(text.contains("audit.secret: has 29 bytes; it must have 32 or more"), "{text}");
}

#[test]
fn row_06_sinks_that_are_not_safe_are_refused() {
    for (url, part) in [
        ("http://sink.example.com/", "must be https"),
        ("https://user:pass@sink.example.com/", "user name or password"),
        ("https://sink.example.com/#x", "fragment"),
        ("sink", "is not a URL"),
    ] {
        let text = problems(&format!("[audit]\nsink_url = \"{url}\"\n"));
        assert!(text.contains(part), "{text}");
    }
    assert!(load_file(&file("[audit]\nsink_url = \"http://127.0.0.1:9/\"\n"), &[]).is_ok());
}

#[test]
fn row_07_thresholds_that_are_not_a_time_are_refused() {
    for threshold in ["0", "-1", "nan", "inf", "2592001", "\"soon\""] {
        let text = problems(&format!("[sla]\nthreshold_seconds = {threshold}\n"));
        assert!(text.contains("sla.threshold_seconds"), "{text}");
    }
}

#[test]
fn row_09_only_loopback_is_listened_on() {
    for listen in ["0.0.0.0:8787", "[::]:8787", "192.168.1.1:80", "8787", "example.com:80"] {
        let text = problems(&format!("[server]\nlisten = \"{listen}\"\n"));
        assert!(text.contains("server.listen"), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn row_11_a_file_with_secrets_that_others_can_read_is_refused() {
    let open = file(&format!("{MAIN}client_secret = \"s3cret\"\n"));
    set_mode(&open.path, 0o644);
    assert!(load_file(&open, &[]).unwrap_err().contains("chmod 600"));
    let secret = open.folder.path().join("secret");
    fs::write(&secret, "s3cret\n").unwrap();
    set_mode(&secret, 0o644);
    let by_file = file(&format!("{MAIN}client_secret_file = {:?}\n", secret.display().to_string()));
    assert!(load_file(&by_file, &[]).unwrap_err().contains("chmod 600"));
    set_mode(&secret, 0o600);
    assert!(load_file(&by_file, &[]).is_ok());
}

#[test]
fn a_scenario_is_one_of_the_shipped_or_a_file() {
    let config = load(&Flags::default(), &environment(&[])).unwrap();
    assert_eq!(config.sandbox_scenario.unwrap().name, "guide");
    let named = load_file(&file(""), &[("WAYBILL_SANDBOX__SCENARIO", "incident")]).unwrap();
    assert_eq!(named.sandbox_scenario.unwrap().name, "incident");
    let text = problems("[sandbox]\nscenario = \"rush\"\n");
    assert!(text.contains("sandbox.scenario"), "{text}");
    assert!(text.contains("guide, busy-hour, incident, hostile, lost-receipts"), "{text}");
    let own = file("");
    let path = own.folder.path().join("own.json");
    fs::write(&path, r#"{"name": "own"}"#).unwrap();
    let setting = [("WAYBILL_SANDBOX__SCENARIO", path.to_str().unwrap())];
    let text = load_file(&own, &setting).unwrap_err();
    assert!(text.contains("missing field `about`"), "{text}");
}

#[test]
fn every_problem_is_reported_at_once() {
    let text = problems(
        "[sla]\nthreshold_seconds = 0\n[server]\nlisten = \"0.0.0.0:1\"\n[audit]\nkey_id = \"\"\n[log]\nformat = \"xml\"\n",
    );
    assert_eq!(text.lines().count(), 4, "{text}");
    let text = load(
        &Flags::default(),
        &environment(&[("WAYBILL_SLA__THRESHOLD", "5"), ("WAYBILL_NO__SUCH", "1")]),
    )
    .unwrap_err()
    .to_string();
    assert!(text.contains("WAYBILL_SLA__THRESHOLD") && text.contains("WAYBILL_NO__SUCH"), "{text}");
}
