//! The command line: what it prints, with which code it ends, and what it refuses to touch.

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tests::submission::{guide, key, sms, text};
use tests::{
    Answer, Place, SandboxProcess, binary, eventually, eventually_within, is_full, wait::found,
};
use tokio::time::Instant;

#[tokio::test]
async fn all_problems_of_the_settings_are_reported_at_once_and_no_secret_is_shown() {
    const CANARY: &str = "canary-4f6d1c-not-to-be-shown";
    let mut place = Place::new();
    place.configure(&format!(
        "surprise = 1\n\
         [server]\n\
         listen = \"0.0.0.0:8787\"\n\
         [sla]\n\
         threshold_seconds = 0\n\
         [audit]\n\
         secret = \"{CANARY}\"\n\
         sink_url = \"http://audit.example.com/sink\"\n\
         [connections.main]\n\
         dialect = \"guide\"\n\
         region = \"moon-1\"\n\
         client_id = \"\"\n\
         client_secret = \"{CANARY}\\nX\"\n"
    ));
    for words in [["config", "check"], ["serve", "--listen=127.0.0.1:0"]] {
        // `serve` looks at the flag for its address, so that problem is only the check's.
        let ended = place.run(&words).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert_eq!(ended.stdout, "");
        let mut places = vec![
            "surprise",
            "sla.threshold_seconds",
            "audit.secret",
            "audit.sink_url",
            "connections.main.region",
            "connections.main.client_id",
            "connections.main.client_secret",
        ];
        if words[0] == "config" {
            places.push("server.listen");
        }
        for name in places {
            assert!(ended.stderr.contains(name), "{name} is not reported: {}", ended.stderr);
        }
        assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
        assert!(!place.data().join("waybill.sqlite").exists());
    }
}

/// Bad inputs, rows 1 to 7, 9 and 11.
#[tokio::test]
async fn settings_that_cannot_be_used_are_refused() {
    let fine = "[connections.main]\ndialect = \"guide\"\nregion = \"eu-central-1\"\n\
                client_id = \"id\"\nclient_secret = \"a-secret\"\n";
    let cases: Vec<(&str, String, &str)> = vec![
        ("2 duplicate key", format!("{fine}client_id = \"other\"\n"), "line 6"),
        ("2 wrong type", "[server]\nlisten = 7\n".into(), "line 2"),
        ("2 unknown section", format!("{fine}[surprises]\nof = \"life\"\n"), "surprises"),
        ("3 placeholder", fine.replace("a-secret", "YOUR_CLIENT_SECRET"), "client_secret"),
        ("3 empty secret", fine.replace("a-secret", ""), "client_secret"),
        ("4 region with a slash", fine.replace("eu-central-1", "evil.example/"), "region"),
        ("4 region with an at", fine.replace("eu-central-1", "x@evil.example"), "region"),
        ("4 region with dots", fine.replace("eu-central-1", ".."), "region"),
        ("5 29 bytes", format!("{fine}[audit]\nsecret = \"{}\"\n", "a".repeat(29)), "audit.secret"),
        (
            "6 sink with credentials",
            format!("{fine}[audit]\nsink_url = \"https://a:b@audit.example.com/\"\n"),
            "audit.sink_url",
        ),
        (
            "6 sink with a fragment",
            format!("{fine}[audit]\nsink_url = \"https://audit.example.com/#a\"\n"),
            "audit.sink_url",
        ),
        (
            "7 threshold -1",
            format!("{fine}[sla]\nthreshold_seconds = -1\n"),
            "sla.threshold_seconds",
        ),
        (
            "7 threshold NaN",
            format!("{fine}[sla]\nthreshold_seconds = nan\n"),
            "sla.threshold_seconds",
        ),
        ("7 threshold 1e400", format!("{fine}[sla]\nthreshold_seconds = 1e400\n"), "line 7"),
        (
            "9 bound too wide",
            format!("[server]\nlisten = \"192.0.2.1:80\"\n{fine}"),
            "server.listen",
        ),
    ];
    let mut place = Place::new();
    place.configure(fine);
    let good = place.run(&["config", "check"]).await;
    assert_eq!(good.code, Some(0), "{good:?}");
    let mut wrong = Vec::new();
    for (name, settings, reported) in cases {
        place.configure(&settings);
        let ended = place.run(&["config", "check"]).await;
        if ended.code != Some(2) || !ended.stderr.contains(reported) {
            wrong.push(format!("row {name}: {ended:?}"));
        }
    }
    // Row 1: a file that is not there, and a folder.
    for path in ["nothing.toml", "data"] {
        let mut command = binary::command();
        command
            .args(["config", "check", "--config"])
            .arg(place.path(path))
            .env("HOME", place.folder());
        let ended = binary::run(&mut command).await;
        if ended.code != Some(2) {
            wrong.push(format!("row 1 {path}: {ended:?}"));
        }
    }
    // Row 11: others can read the secrets in it.
    place.configure(fine);
    fs::set_permissions(place.path("waybill.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    let ended = place.run(&["config", "check"]).await;
    if ended.code != Some(2) {
        wrong.push(format!("row 11: {ended:?}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn the_environment_overrides_the_file_and_unknown_words_are_bad_usage() {
    let mut place = Place::new();
    place.configure("[sla]\nthreshold_seconds = 20\n");
    place.set("WAYBILL_SLA__THRESHOLD_SECONDS", "7.5");
    let waybill = place.serve().await;
    let options = waybill.api.read("/api/v1/options").await;
    assert_eq!(options["threshold_seconds"], 7.5);
    waybill.kill9().await;
    let ended = place.run(&["serve", "--surprise"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let mut command = binary::command();
    let defaults = binary::run(command.args(["config", "default"])).await;
    assert_eq!(defaults.code, Some(0));
    assert!(defaults.stdout.contains("[connections.sandbox]"), "{defaults:?}");
}

#[tokio::test]
async fn row_12_a_second_serve_prints_the_first_ones_link_and_ends_well() {
    let place = Place::new();
    let waybill = place.serve().await;
    let second = place.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert_eq!(second.code, Some(0), "{second:?}");
    assert_eq!(second.stdout.trim(), waybill.link);
    waybill.api.get("/api/v1/options").await.expect(200);
    // The first one's end frees the folder, however it comes.
    waybill.kill9().await;
    let third = place.serve().await;
    third.api.get("/api/v1/options").await.expect(200);
}

#[tokio::test]
async fn row_10_a_port_that_is_taken_is_bad_configuration() {
    let place = Place::new();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = place.run(&["serve", "--listen", &address]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains(&address), "{ended:?}");
    drop(taken);
    let waybill = place.serve_at(&address).await;
    assert_eq!(waybill.address(), address);
}

#[tokio::test]
async fn files_in_the_data_folder_are_for_their_owner_alone_and_a_wide_folder_is_refused() {
    let place = Place::new();
    let waybill = place.serve().await;
    waybill.api.send(&key("modes", 1), &sms("Hello")).await;
    let wide: Vec<String> = fs::read_dir(place.data())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name(), entry.metadata().unwrap().permissions().mode()))
        .filter(|(_, mode)| mode & 0o077 != 0)
        .map(|(name, mode)| format!("{} {:o}", name.display(), mode & 0o777))
        .collect();
    assert!(wide.is_empty(), "others may read {wide:?}");
    waybill.kill9().await;
    fs::set_permissions(place.data(), fs::Permissions::from_mode(0o755)).unwrap();
    let ended = place.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert!(matches!(ended.code, Some(2 | 3)), "{ended:?}");
}

/// A place whose proxy has run, taken so much that its one database file holds most of it, and stopped in
/// order; and that file.
async fn used_place() -> (Place, std::path::PathBuf) {
    let place = Place::new();
    let waybill = place.serve().await;
    for number in 0..60 {
        let mut body = guide(&format!("Message {number} {}", "x".repeat(100_000)));
        body["not_before"] = "2027-06-01T00:00:00Z".into();
        waybill.api.send(&key("used", number), &body).await;
    }
    let (status, _) = waybill.terminate().await;
    assert_eq!(status.code(), Some(0));
    let database = place.data().join("waybill.sqlite");
    assert!(fs::metadata(&database).unwrap().len() > 2_000_000);
    (place, database)
}

/// Serving must end with 3, say something and leave the file as it is.
async fn refuses_untouched(place: &Place, database: &Path, what: &str) {
    let before = fs::read(database).unwrap();
    let ended = place.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert_eq!(ended.code, Some(3), "{what}: {ended:?}");
    assert_eq!(ended.stdout, "", "{what}");
    assert!(ended.stderr.contains("waybill.sqlite"), "{what}: {ended:?}");
    assert!(fs::read(database).unwrap() == before, "{what}: the file was changed");
}

#[tokio::test]
async fn row_13_a_database_of_a_newer_schema_is_refused_and_untouched() {
    let place = Place::new();
    let database = place.write("data/waybill.sqlite", &empty_database(4096, 999));
    refuses_untouched(&place, &database, "newer").await;
    assert!(!place.data().join("waybill.sqlite-wal").exists());
    // The same file of no schema is a new one and opens.
    place.write("data/waybill.sqlite", &empty_database(4096, 0));
    let waybill = place.serve().await;
    assert!(waybill.api.messages().await.is_empty());
}

/// An SQLite file without tables, as its format's description lays it out.
fn empty_database(page: u16, user_version: u32) -> Vec<u8> {
    let mut bytes = b"SQLite format 3\0".to_vec();
    bytes.extend(page.to_be_bytes());
    // Legacy journal, no reserved space, the payload fractions that are always these.
    bytes.extend([1, 1, 0, 64, 32, 32]);
    // Change counter, pages, free pages (first, count), schema cookie, schema format, cache, vacuum,
    // encoding UTF-8, user version, incremental vacuum, application.
    for word in [1, 1, 0, 0, 0, 4, 0, 0, 1, user_version, 0, 0] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.resize(92, 0);
    bytes.extend(1u32.to_be_bytes());
    bytes.extend(3_045_000u32.to_be_bytes());
    // The schema's page: a leaf without cells, whose content starts at the end.
    bytes.extend([0x0d, 0, 0, 0, 0]);
    bytes.extend(page.to_be_bytes());
    bytes.resize(usize::from(page), 0);
    bytes
}

#[tokio::test]
async fn row_14_a_damaged_database_is_refused_and_untouched() {
    let (place, database) = used_place().await;
    // Without its log the file is what the last checkpoint left: older, but whole, and nothing mends it.
    for name in ["waybill.sqlite-wal", "waybill.sqlite-shm"] {
        let _ = fs::remove_file(place.data().join(name));
    }
    let good = fs::read(&database).unwrap();
    let page = usize::from(u16::from_be_bytes(good[16..18].try_into().unwrap()));
    let mut flipped = good.clone();
    for start in (2 * page..good.len()).step_by(page) {
        flipped[start..start + 64].fill(0xa5);
    }
    let mut header = good.clone();
    header[..16].copy_from_slice(b"not a database!!");
    for (what, bytes) in [
        ("truncated", good[..good.len() / 2].to_vec()),
        ("flipped pages", flipped),
        ("not a database", header),
    ] {
        fs::write(&database, &bytes).unwrap();
        refuses_untouched(&place, &database, what).await;
    }
    fs::write(&database, &good).unwrap();
    let waybill = place.serve().await;
    assert!(!waybill.api.messages().await.is_empty());
}

#[tokio::test]
async fn row_78_sigterm_during_sends_ends_well_and_everything_goes_on_after_a_restart() {
    const MESSAGES: usize = 60;
    let mut place = Place::new();
    let sandbox = SandboxProcess::start(&place).await;
    sandbox.put_speed(10.0).await;
    sandbox
        .put_faults(&serde_json::json!({"latency": {"percent": 100, "ms": 400, "only": "send"}}))
        .await;
    place.configure(&sandbox.settings(&place));
    let waybill = place.serve().await;
    for (number, to) in sandbox.conversations().iter().take(20).cycle().take(MESSAGES).enumerate() {
        let body = text("main", &to.id, &to.from, &to.to, &format!("Message {number}"));
        waybill.api.send(&key("term", number), &body).await;
    }
    eventually("some are on their way", async || {
        let count = sandbox.sends().await.len();
        found((2..MESSAGES).contains(&count), count)
    })
    .await;
    let asked = Instant::now();
    let (status, more) = waybill.terminate().await;
    assert_eq!(status.code(), Some(0), "{}", place.log());
    assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?}", asked.elapsed());
    assert!(more.is_empty(), "stdout has more than the link: {more:?}");
    let first = sandbox.sends().await.len();
    assert!(first < MESSAGES, "everything was sent before the stop");

    let waybill = place.serve().await;
    let messages = eventually_within(Duration::from_secs(60), "all are delivered", async || {
        let messages = waybill.api.messages().await;
        let done = messages.values().filter(|one| is_delivered(one)).count();
        found(done == MESSAGES, done).map(|_| messages)
    })
    .await;
    assert_eq!(messages.len(), MESSAGES);
    let sends = sandbox.sends().await;
    let originals = sends.iter().filter(|send| send["duplicate"] == false).count();
    assert_eq!(originals, MESSAGES);
    // What was in flight at the stop was finished, not repeated.
    assert_eq!(sends.len(), MESSAGES, "a stop in order leaves nothing unknown");
}

fn is_delivered(message: &Value) -> bool {
    message["state"] == "delivered" || message["state"] == "read"
}

#[tokio::test]
async fn an_idle_proxy_and_one_with_open_streams_stop_at_once() {
    let place = Place::new();
    let waybill = place.serve().await;
    let _live = crate::stream::Live::open(&waybill.api, None).await;
    let asked = Instant::now();
    let (status, _) = waybill.terminate().await;
    assert_eq!(status.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?}", asked.elapsed());
}

#[tokio::test]
async fn workflow_prints_one_line_for_each_message() {
    let place = Place::new();
    let count = if is_full() { 20 } else { 3 };
    let ended = place.run(&["workflow", "--seed", "42", "--count", &count.to_string()]).await;
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), count, "{ended:?}");
    for line in lines {
        let [id, elapsed, verdict] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("not three words: {line}");
        };
        assert!(shared::id::MessageId::parse(id).is_ok(), "{line}");
        assert!(elapsed == "-" || elapsed.parse::<f64>().is_ok_and(|one| one > 0.0), "{line}");
        assert!(["met", "breached", "unknown"].contains(&verdict), "{line}");
    }
    assert_eq!(ended.code, Some(0), "every message came to its end, in time or not: {ended:?}");
    // Its messages are in the data folder like any others, audit included.
    let waybill = place.serve().await;
    assert_eq!(waybill.api.messages().await.len(), count);
    let batches = waybill.api.read("/api/v1/audit/batches").await;
    assert!(!batches["items"].as_array().unwrap().is_empty());
    // With a proxy in the folder it uses that one.
    let ended = place.run(&["workflow", "--seed", "43", "--count", "1"]).await;
    assert_eq!(ended.stdout.lines().count(), 1, "{ended:?}");
    assert_eq!(waybill.api.messages().await.len(), count + 1);
}

#[tokio::test]
async fn a_scenario_that_cannot_be_used_ends_the_sandbox_with_what_would_do() {
    let place = Place::new();
    let guide = shared::simulator::Scenario::shipped_text("guide").unwrap_or_default();
    let bad = place.write("bad.json", guide.replace("\"sms\": 1", "\"fax\": 0").as_bytes());
    let bad = bad.display().to_string();
    for (scenario, words) in [
        ("rush", "none of the scenarios guide, busy-hour, incident, hostile, lost-receipts"),
        (&*bad, "channels.fax: 0 will not do; write 1 to 10000; channels.fax: the dialect guide"),
    ] {
        let mut command = binary::command();
        command.args(["sandbox", "--scenario", scenario]);
        let ended = binary::run(&mut command).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn the_sandbox_behaves_the_same_for_the_same_seed_and_remembers_over_a_restart() {
    let place = Place::new();
    let sandbox = SandboxProcess::start(&place).await;
    let address = sandbox.address();
    let first = sandbox.announcement.clone();
    assert!(sandbox.conversations().len() >= 30);
    sandbox.kill9().await;
    let again = SandboxProcess::start_at(&place, &address).await;
    assert_eq!(again.announcement, first);
    let control =
        Answer::of(tests::http::client().get(format!("{}/sandbox/v1/sends", again.base_url)));
    assert_eq!(control.await.expect(200).json()["sends"], serde_json::json!([]));
}
