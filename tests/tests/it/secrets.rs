//! Canaries: secrets planted where the proxy must know them, and then looked for everywhere they must not be.

use reqwest::Method;
use serde_json::json;
use shared::api::path;
use std::fs;
use std::time::Duration;
use tests::submission::{base64, guide, key, text};
use tests::{Answer, Place, SandboxProcess, eventually_within, wait::found};

const AUDIT_CANARY: &str = "canary-audit-9b41f7c2d6e05a83-0123456789abcdef";
const TOKEN_CANARY: &str = "c0ffee00c0ffee11c0ffee22c0ffee33c0ffee44c0ffee55c0ffee66c0ffee77";

/// What is looked for: each secret as it is, and as it looks inside a Basic header or hex.
fn forms(secret: &str) -> [Vec<u8>; 3] {
    let encoded = base64(secret.as_bytes());
    // Base64 of a text that contains the secret has the same middle, whatever stands before it, in one of
    // three alignments; the plain alignment is what a webhook secret would show.
    let middle = encoded.as_bytes()[..encoded.len() - 8].to_vec();
    [secret.as_bytes().to_vec(), middle, hex::encode(secret).into_bytes()]
}

#[track_caller]
fn is_clean(what: &str, bytes: &[u8], secrets: &[(&str, &str)]) {
    for (name, secret) in secrets {
        for form in forms(secret) {
            let holds = bytes.windows(form.len()).any(|window| window == form);
            assert!(!holds, "{what} holds the {name}");
        }
    }
}

#[tokio::test]
async fn planted_secrets_appear_in_no_log_answer_metric_database_or_file_of_the_page() {
    let mut place = Place::new();
    let sandbox = SandboxProcess::start(&place).await;
    sandbox.put_speed(10.0).await;
    let settings = sandbox.settings(&place);
    // The sandbox checks with its own secret and refuses these batches, which is one more chance to leak.
    let canary = place.write("audit-canary", AUDIT_CANARY.as_bytes());
    let audit = place.path("audit-secret");
    let settings = settings.replace(&audit.display().to_string(), &canary.display().to_string());
    place.configure(&format!("{settings}[log]\nfilter = \"trace\"\n"));
    fs::write(place.data().join("launch-token"), TOKEN_CANARY).unwrap();
    set_private(&place);
    let client_secret = sandbox.announcement["client_secret"].as_str().unwrap().to_owned();
    let basic = {
        let id = sandbox.announcement["client_id"].as_str().unwrap();
        base64(format!("{id}:{client_secret}").as_bytes())
    };
    let secrets = [
        ("client secret", client_secret.as_str()),
        ("audit secret", AUDIT_CANARY),
        ("launch token", TOKEN_CANARY),
        ("Basic header", basic.as_str()),
    ];

    let waybill = place.serve().await;
    assert_eq!(waybill.api.token, TOKEN_CANARY);
    let api = &waybill.api;
    // A whole life, a refusal, a token that is revoked, a wrong token, a failing sink.
    let conversations = sandbox.conversations();
    let mut ids = Vec::new();
    for (number, to) in conversations.iter().take(3).enumerate() {
        sandbox.put_faults(&json!({"token_revoked": {"next": 1}})).await;
        let body = text("main", &to.id, &to.from, &to.to, "A body that is not logged: swordfish");
        let id = api.send(&key("secret", number), &body).await;
        api.message_in(&id, &["delivered", "read"], Duration::from_secs(30)).await;
        ids.push(id);
    }
    eventually_within(Duration::from_secs(30), "the sink has refused a batch", async || {
        let page = api.read(path::AUDIT_BATCHES).await;
        found(page["items"][0]["shipping"] == "stalled", page)
    })
    .await;

    let mut answers = Vec::new();
    let paths = [
        path::MESSAGES,
        path::MESSAGE_COUNTS,
        path::CONNECTIONS,
        path::SLA,
        path::AUDIT_BATCHES,
        path::AUDIT_EXPORT,
        path::OPTIONS,
        path::BUDGET,
        path::OPENAPI,
        "/metrics",
        "/healthz",
        "/readyz",
        "/reference",
        "/",
        "/api/v1/nothing",
        "/launch-token",
        "/api/v1/connections/main/conversations",
        "/api/v1/sandbox/sends",
    ];
    for path in paths {
        answers.push((path.to_owned(), api.get(path).await));
    }
    for id in &ids {
        let path = path::fill(path::MESSAGE, "id", id);
        let answer = api.get(&path).await.expect(200);
        answers.push((path, answer));
    }
    let wrong = api.bare(Method::GET, path::OPTIONS).bearer_auth("wrong").header("cookie", "a=b");
    answers.push(("a wrong token".into(), Answer::of(wrong).await.expect(401)));
    let refused = api.submit(&key("secret", 99), &guide("To a connection that is not there")).await;
    answers.push(("a refusal".into(), refused));
    // Everything the page loads, wasm included, uncompressed.
    let page = Answer::of(api.bare(Method::GET, "/")).await.text();
    let assets = page.split(['"', '\'']).filter(|word| {
        word.starts_with('/')
            && word.contains('.')
            && !word.contains(' ')
            && !word.starts_with("//")
    });
    let mut has_wasm = false;
    for asset in assets {
        has_wasm |= asset.ends_with(".wasm");
        answers.push((asset.to_owned(), Answer::of(api.bare(Method::GET, asset)).await));
    }
    assert!(has_wasm, "the console is in the binary: run cargo xtask test");
    for (what, answer) in &answers {
        is_clean(what, &answer.body, &secrets);
        is_clean(what, format!("{:?}", answer.headers).as_bytes(), &secrets);
    }

    // The database while it is written, then after a stop, and the log of all of it.
    let check_files = || {
        let mut checked = 0;
        for entry in fs::read_dir(place.data()).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("waybill.sqlite") {
                is_clean(&name, &fs::read(entry.path()).unwrap(), &secrets);
                checked += 1;
            }
        }
        assert!(checked > 0, "there is no database");
    };
    check_files();
    let (status, more) = waybill.terminate().await;
    assert_eq!(status.code(), Some(0));
    assert!(more.is_empty());
    check_files();
    let log = place.log();
    assert!(log.contains("TRACE"), "the filter did not take effect");
    is_clean("the log", log.as_bytes(), &secrets);
    // Bodies and addresses are not logged either.
    assert!(!log.contains("swordfish"), "a body is in the log");
    for to in conversations.iter().take(3) {
        assert!(!log.contains(&to.to), "the address {} is in the log", to.to);
    }
}

fn set_private(place: &Place) {
    use std::os::unix::fs::PermissionsExt;
    let path = place.data().join("launch-token");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
