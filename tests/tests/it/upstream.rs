//! What a platform and a sink can do wrong, row by row of the list of bad inputs, through the real program:
//! nothing is lost, nothing is sent twice, and nothing is believed that was not said.

use crate::faults::{PATIENCE, Stage, kinds, stage};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tests::sandbox::AUDIT_SECRET;
use tests::sink::Sink;
use tests::submission::{base64, guide, key, text};
use tests::wait::found;
use tests::{Place, SandboxProcess, Waybill, audit, eventually, eventually_within};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// Sends one message into conversation `number` while `rules` are in force.
async fn send_under(stage: &Stage, number: usize, rules: &Value) -> String {
    stage.sandbox.put_faults(rules).await;
    let all = stage.sandbox.conversations();
    let to = &all[number % all.len()];
    let body = text("main", &to.id, &to.from, &to.to, &format!("Message {number}"));
    stage.waybill.api.send(&key("upstream", number), &body).await
}

async fn arrives(stage: &Stage, id: &str) -> Value {
    stage.waybill.api.message_in(id, &["delivered", "read"], PATIENCE).await
}

/// The most memory the process has had, in bytes; 0 where the system does not say.
fn most_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

#[tokio::test]
async fn row_54_a_yes_nobody_can_read_is_unknown_and_goes_again_under_its_key() {
    let stage = stage().await;
    let mut ids = vec![send_under(&stage, 0, &json!({})).await];
    arrives(&stage, &ids[0]).await;
    let before = most_memory(stage.waybill.process());
    let cases = [
        ("malformed", "empty_object"),
        ("malformed", "empty_list"),
        ("malformed", "html"),
        ("malformed", "empty"),
        ("malformed", "wrong_charset"),
        ("malformed", "half"),
        ("oversized", "declared"),
        ("oversized", "streamed"),
        ("oversized", "gzip"),
    ];
    for (number, (fault, kind)) in cases.into_iter().enumerate() {
        let rules = json!({ fault: { "next": 1, "only": "send", "kind": kind } });
        let id = send_under(&stage, number + 1, &rules).await;
        let message = arrives(&stage, &id).await;
        assert!(kinds(&message).iter().any(|one| one == "outcome_unknown"), "{kind}: {message}");
        assert_eq!(message["attempts"], 2, "{kind}: {message}");
        ids.push(id);
    }
    stage.all_arrive_once(&ids).await;
    let grown = most_memory(stage.waybill.process()).saturating_sub(before);
    assert!(grown < 24 * 1024 * 1024, "100 MiB were answered, and memory grew by {grown}");
}

#[tokio::test]
async fn row_54_a_look_and_a_token_nobody_can_read_are_asked_for_again_and_refuse_nothing() {
    let stage = stage().await;
    // The conversation is read before the first send, so this decides whether the message may go at all.
    let rules = json!({
        "malformed": { "next": 1, "only": "read", "kind": "empty_object" },
        "oversized": { "next": 1, "only": "token", "kind": "streamed" },
    });
    let mut ids = vec![send_under(&stage, 0, &rules).await];
    let message = eventually("the read failed", async || {
        let message = stage.waybill.api.message(&ids[0]).await;
        found(message["state"] == "retry_wait", message)
    })
    .await;
    assert_eq!(message["attempts"], 0, "{message}");
    arrives(&stage, &ids[0]).await;
    for (number, kind) in ["empty_list", "html", "wrong_charset"].into_iter().enumerate() {
        let spoilt = json!({ "malformed": { "next": 1, "only": "read", "kind": kind } });
        ids.push(send_under(&stage, number + 1, &spoilt).await);
        eventually("that read was struck", async || {
            let left = stage.sandbox.faults().await;
            found(left == json!({}), left)
        })
        .await;
    }
    stage.all_arrive_once(&ids).await;
}

#[tokio::test]
async fn row_55_an_id_that_cannot_be_right_is_unknown_and_never_bound() {
    let stage = stage().await;
    let mut ids = vec![send_under(&stage, 0, &json!({})).await];
    let first = arrives(&stage, &ids[0]).await;
    for (number, kind) in ["id_number", "id_long", "id_bound"].into_iter().enumerate() {
        let rules = json!({ "malformed": { "next": 1, "only": "send", "kind": kind } });
        let id = send_under(&stage, number + 1, &rules).await;
        let message = arrives(&stage, &id).await;
        assert!(kinds(&message).iter().any(|one| one == "outcome_unknown"), "{kind}: {message}");
        assert_ne!(message["platform_id"], first["platform_id"], "{kind}");
        ids.push(id);
    }
    stage.all_arrive_once(&ids).await;
    let log = stage.place.log();
    let alert =
        log.lines().find(|line| line.contains("ERROR") && line.contains("one id to two messages"));
    assert!(alert.is_some(), "an id of another message is an error in the log: {log}");
}

#[tokio::test]
async fn row_56_whatever_retry_after_says_the_message_waits_its_time_and_arrives() {
    let stage = stage().await;
    let mut ids = Vec::new();
    let quick = ["0", "2", "-1", "1.5", "soon", "", "Sunday, 06-Nov-94 08:49:37 GMT"];
    for (number, value) in quick.into_iter().enumerate() {
        let rules = json!({ "rate_429": { "next": 1, "only": "send", "retry_after": value } });
        let asked = Instant::now();
        let id = send_under(&stage, number, &rules).await;
        let message = arrives(&stage, &id).await;
        assert_eq!(message["attempts"], 2, "{value:?}: {message}");
        assert!(asked.elapsed() < Duration::from_secs(20), "{value:?}: {:?}", asked.elapsed());
        if value == "2" {
            assert!(asked.elapsed() >= Duration::from_secs(2), "{:?}", asked.elapsed());
        }
        ids.push(id);
    }
    stage.all_arrive_once(&ids).await;
    // More digits than a number has: an hour, and not for ever.
    let rules = json!({ "rate_429": { "next": 1, "only": "send", "retry_after": "100000000000000000000" } });
    let id = send_under(&stage, quick.len(), &rules).await;
    let message = eventually("it waits", async || {
        let message = stage.waybill.api.message(&id).await;
        found(message["state"] == "retry_wait", message)
    })
    .await;
    let now = stage.waybill.api.read("/api/v1/options").await["now"].clone();
    let ms = |value: &Value| {
        shared::time::Timestamp::parse(value.as_str().unwrap_or_default()).map(|at| at.unix_ms())
    };
    let (due, now) = (ms(&message["due_at"]).unwrap(), ms(&now).unwrap());
    assert!((3_590_000..4_000_000).contains(&(due - now)), "due in {} ms", due - now);
}

#[tokio::test]
async fn row_58_server_errors_are_unknown_and_a_long_outage_loses_nothing() {
    let stage = stage().await;
    let mut ids = Vec::new();
    for (number, status) in [500, 502, 503, 504].into_iter().enumerate() {
        for processed in [false, true] {
            let rule =
                json!({ "next": 1, "only": "send", "status": status, "processed": processed });
            let id = send_under(&stage, ids.len(), &json!({ "rate_5xx": rule })).await;
            let message = arrives(&stage, &id).await;
            let kinds = kinds(&message);
            assert!(kinds.iter().any(|one| one == "outcome_unknown"), "{status}: {message}");
            assert_eq!(message["attempts"], 2, "{number} {status}: {message}");
            ids.push(id);
        }
    }
    // Down for longer than several tries: accepted all the while, and sent when it is back.
    let down = json!({ "rate_5xx": { "percent": 100, "status": 500, "processed": true } });
    for _ in 0..6 {
        ids.push(send_under(&stage, ids.len(), &down).await);
    }
    eventually("the last one was tried more than once", async || {
        let message = stage.waybill.api.message(&ids[ids.len() - 1]).await;
        let waits =
            ["unknown", "retry_wait", "accepted"].iter().any(|one| message["state"] == *one);
        found(waits, message)
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    stage.sandbox.put_faults(&json!({})).await;
    stage.all_arrive_once(&ids).await;
}

#[tokio::test]
async fn row_59_an_answer_that_breaks_off_or_drips_is_unknown_within_ten_seconds() {
    let stage = stage().await;
    let rules = json!({ "cut": { "next": 1, "only": "send" } });
    let mut ids = vec![send_under(&stage, 0, &rules).await];
    let message = arrives(&stage, &ids[0]).await;
    assert!(kinds(&message).iter().any(|one| one == "outcome_unknown"), "{message}");
    // Some sixty bytes, one every second: the whole answer would take a minute.
    let asked = Instant::now();
    ids.push(
        send_under(&stage, 1, &json!({ "drip": { "next": 1, "only": "send", "ms": 1000 } })).await,
    );
    let slow = &ids[1];
    eventually_within(Duration::from_secs(14), "it is given up", async || {
        let message = stage.waybill.api.message(slow).await;
        found(kinds(&message).iter().any(|one| one == "outcome_unknown"), message)
    })
    .await;
    assert!(asked.elapsed() >= Duration::from_secs(9), "{:?}", asked.elapsed());
    stage.all_arrive_once(&ids).await;
}

#[tokio::test]
async fn row_60_no_redirect_is_followed_by_any_call_to_anybody() {
    let elsewhere = Sink::start(&[]).await;
    let stage = stage().await;
    let mut number = 0;
    for status in [301, 302, 307, 308] {
        let rule =
            json!({ "next": 1, "only": "send", "status": status, "location": elsewhere.url() });
        let id = send_under(&stage, number, &json!({ "redirect": rule })).await;
        let message = stage.waybill.api.message_in(&id, &["rejected"], PATIENCE).await;
        let reason = message["reason"]["text"].as_str().unwrap_or_default().to_owned();
        assert!(reason.contains(&status.to_string()), "{reason}");
        number += 1;
    }
    // A token and a look that are sent elsewhere are asked for again where they belong.
    let rule = json!({ "next": 2, "only": "read", "status": 307, "location": elsewhere.url() });
    let id = send_under(&stage, number, &json!({ "redirect": rule })).await;
    arrives(&stage, &id).await;
    let rule = json!({ "next": 1, "only": "token", "status": 308, "location": elsewhere.url() });
    let rules = json!({ "redirect": rule, "token_revoked": { "next": 1, "only": "send" } });
    let id = send_under(&stage, number + 1, &rules).await;
    arrives(&stage, &id).await;
    assert_eq!(elsewhere.posts().len(), 0, "somebody followed");
    assert_eq!(stage.sandbox.sends().await.len(), 2);
}

#[tokio::test]
async fn row_62_receipts_that_are_late_doubled_or_disordered_never_lead_back() {
    let stage = stage().await;
    let rules = json!({
        "receipt_disorder": { "percent": 60 },
        "receipt_duplicate": { "percent": 60 },
        "receipt_late": { "percent": 50, "ms": 10_000 },
        "visible_late": { "percent": 50, "ms": 20_000 },
    });
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(send_under(&stage, number, &json!({})).await);
        stage.sandbox.put_faults(&rules).await;
    }
    for message in stage.all_arrive_once(&ids).await {
        let kinds = kinds(&message);
        let place = |kind: &str| kinds.iter().position(|one| one == kind);
        let delivered = place("delivered").or(place("read"));
        assert!(place("sent") < delivered, "sent after delivered: {kinds:?}");
        for ending in ["delivered", "read"] {
            assert!(kinds.iter().filter(|kind| *kind == ending).count() <= 1, "{kinds:?}");
        }
        assert_eq!(message["audit"].as_array().map(Vec::len), Some(1), "{message}");
    }
}

#[tokio::test]
async fn row_64_refused_credentials_pause_and_tell_and_nothing_is_lost() {
    let mut place = Place::new();
    let sandbox = SandboxProcess::start(&place).await;
    sandbox.put_speed(10.0).await;
    let right = sandbox.settings(&place);
    let secret = place.write("client-secret", b"not-the-secret");
    place.configure(&right);
    let waybill = place.serve().await;
    let all = sandbox.conversations();
    let mut ids = Vec::new();
    for (number, to) in all.iter().take(5).enumerate() {
        let body = text("main", &to.id, &to.from, &to.to, "With wrong credentials");
        ids.push(waybill.api.send(&key("invalid", number), &body).await);
    }
    eventually("the connection says why nothing goes out", async || {
        let budget = waybill.api.read("/api/v1/budget").await["items"][0].clone();
        found(budget["problem"].to_string().contains("invalid_client"), budget)
    })
    .await;
    for id in &ids {
        let message = waybill.api.message(id).await;
        assert_eq!((&message["state"], &message["attempts"]), (&json!("accepted"), &json!(0)));
    }
    let refusals = place.log().lines().filter(|line| line.contains("token refresh failed")).count();
    assert_eq!(refusals, 1, "the login host was asked again: {}", place.log());
    assert!(!place.log().contains("not-the-secret"));
    waybill.terminate().await;
    // With the right ones everything goes out.
    let word = sandbox.announcement["client_secret"].as_str().unwrap_or_default();
    std::fs::write(secret, word).unwrap();
    let waybill = place.serve().await;
    let stage = Stage { waybill, sandbox, place };
    stage.all_arrive_once(&ids).await;
}

#[tokio::test]
async fn row_65_tokens_that_are_late_refused_or_odd_delay_sends_and_lose_nothing() {
    let stage = stage().await;
    let rules = json!({
        "rate_429": { "next": 1, "only": "token", "retry_after": "1" },
        "rate_5xx": { "next": 1, "only": "token", "status": 503 },
        "malformed": { "next": 1, "only": "token", "kind": "html" },
        "oversized": { "next": 1, "only": "token", "kind": "declared" },
    });
    stage.sandbox.put_faults(&rules).await;
    let ids = stage.send(3).await;
    stage.all_arrive_once(&ids).await;
}

#[tokio::test]
async fn row_67_a_token_endpoint_that_hangs_costs_one_call_and_no_message() {
    let stage = stage().await;
    stage.sandbox.put_faults(&json!({ "hang": { "next": 1, "only": "token" } })).await;
    let mut ids = Vec::new();
    let all = stage.sandbox.conversations();
    for number in 0..25 {
        let to = &all[number % all.len()];
        let body = text("main", &to.id, &to.from, &to.to, &format!("Message {number}"));
        ids.push(stage.waybill.api.send(&key("hang", number), &body).await);
    }
    stage.all_arrive_once(&ids).await;
    let failures =
        stage.place.log().lines().filter(|line| line.contains("token refresh failed")).count();
    assert_eq!(failures, 1, "one call was in flight for all of them");
}

/// A place whose platform is quick and whose audit goes to the same sandbox.
async fn audited() -> (Place, SandboxProcess) {
    let mut place = Place::new();
    let sandbox = SandboxProcess::start(&place).await;
    sandbox.put_speed(10.0).await;
    place.configure(&sandbox.settings(&place));
    (place, sandbox)
}

async fn entries_at(sandbox: &SandboxProcess, count: usize) -> Vec<Value> {
    eventually_within(PATIENCE, &format!("the sink holds {count} entries"), async || {
        let batches: Vec<_> = sandbox.batches().await.iter().map(audit::Batch::read).collect();
        let entries = audit::verify(AUDIT_SECRET, &batches);
        found(entries.len() >= count, entries)
    })
    .await
}

#[tokio::test]
async fn rows_68_and_69_a_sink_that_cuts_or_loses_its_answer_stores_each_entry_once() {
    let (place, sandbox) = audited().await;
    let waybill = place.serve().await;
    for (number, rule) in ["sink_cut", "sink_lost_reply"].into_iter().enumerate() {
        sandbox.put_faults(&json!({ rule: { "next": 1 } })).await;
        let to = &sandbox.conversations()[number];
        let body = text("main", &to.id, &to.from, &to.to, "Audited once");
        waybill.api.send(&key("sink", number), &body).await;
        assert_eq!(entries_at(&sandbox, number + 1).await.len(), number + 1, "{rule}");
        // Stored there, but here that is only known once an answer was read to its end.
        eventually_within(PATIENCE, "all batches are acknowledged", async || {
            let page = waybill.api.read("/api/v1/audit/batches").await;
            let items = page["items"].as_array().unwrap().clone();
            let done = items.iter().all(|one| one["shipping"] == "acknowledged");
            let repeated = items.iter().any(|one| one["attempts"].as_u64() >= Some(2));
            found(items.len() == number + 1 && done && repeated, items)
        })
        .await;
    }
    assert_eq!(entries_at(&sandbox, 2).await.len(), 2);
}

#[tokio::test]
async fn row_68_a_sink_that_answers_after_25_seconds_is_asked_again_full_run() {
    let (place, sandbox) = audited().await;
    sandbox.put_faults(&json!({ "sink_latency": { "next": 1, "ms": 25_000 } })).await;
    let waybill = place.serve().await;
    let to = &sandbox.conversations()[0];
    let body = text("main", &to.id, &to.from, &to.to, "Audited late");
    waybill.api.send(&key("late-sink", 1), &body).await;
    assert_eq!(entries_at(&sandbox, 1).await.len(), 1);
    eventually_within(PATIENCE, "it is acknowledged", async || {
        let page = waybill.api.read("/api/v1/audit/batches").await;
        found(page["items"][0]["shipping"] == "acknowledged", page)
    })
    .await;
    assert_eq!(sandbox.batches().await.len(), 1, "one copy");
}

#[tokio::test]
async fn row_72_a_clock_ten_minutes_off_is_named_by_the_batch_it_stalls() {
    let (place, sandbox) = audited().await;
    sandbox.put_faults(&json!({ "clock_skew": { "ms": 600_000 } })).await;
    let waybill = place.serve().await;
    let to = &sandbox.conversations()[0];
    let body = text("main", &to.id, &to.from, &to.to, "By another clock");
    let id = waybill.api.send(&key("skew", 1), &body).await;
    // Sending does not care: no interval is taken across two clocks.
    let message = waybill.api.message_in(&id, &["delivered", "read"], PATIENCE).await;
    assert_eq!(message["verdict"], "met", "{message}");
    let batch = eventually_within(PATIENCE, "the batch is stalled", async || {
        let page = waybill.api.read("/api/v1/audit/batches").await;
        let first = page["items"][0].clone();
        found(first["shipping"] == "stalled", first)
    })
    .await;
    let problem = batch["problem"].as_str().unwrap_or_default().to_owned();
    assert!(
        problem.contains("401; this machine's clock is ") && problem.contains("behind the sink's"),
        "{problem}"
    );
    let warnings =
        place.log().lines().filter(|line| line.contains("behind the platform's")).count();
    assert_eq!(warnings, 1, "said once: {}", place.log());
    // Nothing is lost: with the right time it is taken.
    sandbox.put_faults(&json!({})).await;
    let resume = waybill.api.request(reqwest::Method::POST, "/api/v1/audit/resume");
    tests::Answer::of(resume.json(&json!({ "connection": "main" }))).await.expect(200);
    assert_eq!(entries_at(&sandbox, 1).await.len(), 1);
}

#[tokio::test]
async fn row_46_hostile_content_is_sent_as_given() {
    let place = Place::new();
    let waybill = place.serve().await;
    for (number, content) in [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg><style><img src=x onerror=alert(1)></style></svg>",
        "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = guide(content);
        body["payload"]["type"] = json!("text/html");
        let id = waybill.api.send(&key("hostile", number), &body).await;
        let message = waybill.api.message_in(&id, &["delivered", "read"], PATIENCE).await;
        assert_eq!(message["payload"]["content"], content);
    }
}

#[tokio::test]
async fn row_40_files_that_lie_about_themselves_are_refused_or_passed_on_unopened() {
    let place = Place::new();
    let waybill = place.serve().await;
    let with = |content_type: &str, filename: &str, bytes: &[u8]| {
        let mut body = guide("With a file");
        body["payload"]["attachments"] = json!([{
            "type": content_type, "filename": filename, "content": base64(bytes),
        }]);
        body
    };
    let svg = with("image/svg+xml", "a.svg", b"<svg><script>alert(1)</script></svg>");
    let refused = waybill.api.submit(&key("opaque", 1), &svg).await.expect(422);
    assert!(refused.finding_codes().contains(&"attachment.type".to_owned()), "{}", refused.text());
    // A picture whose header claims 60,000 by 60,000 pixels, and a document that unpacks to 4 GiB: bytes.
    let mut picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    picture.extend_from_slice(&60_000_u32.to_be_bytes());
    picture.extend_from_slice(&60_000_u32.to_be_bytes());
    picture.extend_from_slice(b"\x08\x06\0\0\0");
    let mut document = b"PK\x03\x04\x14\0\0\0\x08\0".to_vec();
    document.extend_from_slice(&[
        0, 0, 0, 0, 1, 2, 3, 4, 0x10, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 5, 0, 0, 0,
    ]);
    document.extend_from_slice(b"a.xml\x03\0");
    let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    let before = most_memory(waybill.process());
    for (number, body) in
        [with("image/png", "a.png", &picture), with(docx, "a.docx", &document)].iter().enumerate()
    {
        let id = waybill.api.send(&key("bomb", number), body).await;
        let message = waybill.api.message_in(&id, &["delivered", "read"], PATIENCE).await;
        assert_eq!(message["payload"]["attachments"], body["payload"]["attachments"]);
    }
    let grown = most_memory(waybill.process()).saturating_sub(before);
    assert!(grown < 32 * 1024 * 1024, "memory grew by {grown}");
}

#[tokio::test]
async fn row_42_an_attachments_address_is_never_contacted_whatever_it_resolves_to() {
    // Whoever wants to reach https anywhere would have to come through here.
    let gate = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asked = Arc::new(Mutex::new(Vec::<String>::new()));
    let mut place = Place::new();
    place.set("HTTPS_PROXY", &format!("http://{}", gate.local_addr().unwrap()));
    let seen = Arc::clone(&asked);
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = gate.accept().await {
            let mut line = String::new();
            // What it wants is in its first line; it gets no answer.
            let _ = BufReader::new(stream).read_line(&mut line).await;
            seen.lock().unwrap().push(line);
        }
    });
    place.configure("[audit]\nsink_url = \"https://audit.example.com/batches\"\n");
    let waybill = place.serve().await;
    let mut body = guide("With an address");
    body["payload"]["attachments"] = json!([{
        "type": "application/pdf", "filename": "a.pdf", "url": "https://metadata.example.com/latest.pdf",
    }]);
    let id = waybill.api.send(&key("address", 1), &body).await;
    waybill.api.message_in(&id, &["delivered", "read"], PATIENCE).await;
    // The sink is asked for there, which shows that anything else would be too.
    let asked = eventually("the sink is asked for", async || {
        let asked = asked.lock().unwrap().clone();
        found(asked.iter().any(|line| line.contains("audit.example.com")), asked)
    })
    .await;
    assert!(asked.iter().all(|line| !line.contains("metadata")), "{asked:?}");
    task.abort();
}

#[tokio::test]
async fn row_43_files_too_large_together_are_refused() {
    let place = Place::new();
    let waybill = place.serve().await;
    let mut bytes = b"%PDF-1.7\n".to_vec();
    bytes.resize(1_100_000, b' ');
    let file = |number: usize| json!({"type": "application/pdf", "filename": format!("{number}.pdf"), "content": base64(&bytes)});
    let mut body = guide("Many files");
    body["payload"]["attachments"] = (0..5).map(file).collect();
    let refused = waybill.api.submit(&key("together", 1), &body).await.expect(422);
    let codes = refused.finding_codes();
    assert!(codes.iter().any(|code| code.starts_with("attachments.")), "{codes:?}");
}

#[tokio::test]
async fn row_79_without_descriptors_nothing_ends_and_everything_goes_on_when_they_are_back() {
    let mut place = Place::new();
    let sandbox = SandboxProcess::start(&place).await;
    sandbox.put_speed(10.0).await;
    place.configure(&sandbox.settings(&place));
    let command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
    let inner = command.as_std();
    let mut limited = tokio::process::Command::new("sh");
    limited.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]).arg(inner.get_program());
    limited.args(inner.get_args()).env_clear().kill_on_drop(true);
    limited.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let waybill = Waybill::start(&mut limited, &place.log_path()).await;
    drop(command);
    let to = &sandbox.conversations()[0];
    let slow = json!({ "latency": { "next": 1, "only": "send", "ms": 3000 } });
    sandbox.put_faults(&slow).await;
    let body = text("main", &to.id, &to.from, &to.to, "Before it gets narrow");
    let first = waybill.api.send(&key("narrow", 1), &body).await;
    let mut held = Vec::new();
    for _ in 0..100 {
        // The kernel takes the connection even where the program cannot.
        held.push(TcpStream::connect(waybill.address()).await.unwrap());
    }
    eventually("it has no descriptor left", async || {
        let log = place.log();
        found(log.contains("a connection could not be accepted"), log.len())
    })
    .await;
    drop(held);
    // What was in flight has arrived, and others are served again.
    waybill.api.message_in(&first, &["delivered", "read"], PATIENCE).await;
    let to = &sandbox.conversations()[1];
    let body = text("main", &to.id, &to.from, &to.to, "Afterwards");
    let second = waybill.api.send(&key("narrow", 2), &body).await;
    waybill.api.message_in(&second, &["delivered", "read"], PATIENCE).await;
    let sends = sandbox.sends().await;
    let originals = sends.iter().filter(|send| send["duplicate"] == false).count();
    assert_eq!(originals, 2, "{sends:?}");
}
