//! The API's contract: accepting and repeating, refusing, cancelling, listing, the live stream, and what is
//! served beside it.

use crate::stream::Live;
use reqwest::Method;
use serde_json::{Value, json};
use shared::api::path;
use shared::simulator::{
    CLOSED_CONVERSATION, FAILING_CONVERSATION, GUIDE_CONVERSATION, NO_AGENT_CONVERSATION,
    NO_RECEIPTS_CONVERSATION, SMS_CONVERSATION,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tests::submission::{FAILING_RECIPIENT, SMS_SENDER, guide, key, sms, text};
use tests::{Answer, Place, eventually, wait::found};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_message_is_delivered_judged_and_audited() {
    let place = Place::new();
    let waybill = place.serve().await;
    let answer = waybill.api.submit(&key("one", 1), &guide("Hello")).await.expect(202);
    assert_eq!(answer.header("content-type"), "application/json");
    let answer = answer.json();
    assert_eq!(answer["key"], key("one", 1));
    assert_eq!(answer["messages"].as_array().map(Vec::len), Some(1));
    assert_eq!(answer["messages"][0]["state"], "accepted");
    let id = answer["messages"][0]["id"].as_str().unwrap();

    let message = waybill.api.message_in(id, &["delivered", "read"], PATIENCE).await;
    assert_eq!(message["verdict"], "met");
    assert_eq!(message["channel"], "email");
    let elapsed = message["elapsed_seconds"].as_f64().unwrap();
    assert!((0.0..=10.0).contains(&elapsed), "{elapsed}");
    let kinds: Vec<&str> = message["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["kind"].as_str())
        .collect();
    assert_eq!(kinds.first(), Some(&"accepted"), "{kinds:?}");

    let submission = answer["id"].as_str().unwrap();
    let submission = waybill.api.read(&path::fill(path::SUBMISSION, "id", submission)).await;
    assert_eq!(submission["messages"][0]["id"], id);

    let message = eventually("its audit entry is acknowledged", async || {
        let message = waybill.api.message(id).await;
        let shipping = message["audit"][0]["batch"]["shipping"].clone();
        found(shipping == "acknowledged", message)
    })
    .await;
    assert_eq!(message["audit"].as_array().map(Vec::len), Some(1));
    assert_eq!(message["audit"][0]["entry"]["message_id"], message["platform_id"]);
    assert_eq!(message["audit"][0]["entry"]["sla_violation"], false);
}

#[tokio::test]
async fn rows_22_and_23_a_repeat_gets_the_stored_answer_and_another_request_is_refused() {
    let place = Place::new();
    let waybill = place.serve().await;
    let api = &waybill.api;
    let first = api.submit(&key("repeat", 1), &guide("Hello")).await.expect(202);
    let id = first.json()["messages"][0]["id"].as_str().unwrap().to_owned();
    api.message_in(&id, &["delivered", "read"], PATIENCE).await;
    // After the end, and after a restart, and in the quoted form of the header, and in another field order.
    let again = api.submit(&key("repeat", 1), &guide("Hello")).await.expect(202);
    assert_eq!(again.json(), first.json());
    let quoted = format!("\"{}\"", key("repeat", 1));
    assert_eq!(api.submit(&quoted, &guide("Hello")).await.expect(202).json(), first.json());
    let reordered = format!(
        r#"{{ "payload": {{"content":"Hello","type":"text/plain","to":["customer@example.com"],"from":"agent@genesys.cloud"}},
            "conversation_id":"{GUIDE_CONVERSATION}", "connection":"sandbox" }}"#
    );
    let request = api
        .request(Method::POST, path::SUBMISSIONS)
        .header("idempotency-key", key("repeat", 1))
        .header("content-type", "application/json")
        .body(reordered);
    assert_eq!(Answer::of(request).await.expect(202).json(), first.json());
    let other = api.submit(&key("repeat", 1), &guide("Hello!")).await.expect(422);
    assert_eq!(other.code(), "key_reused");
    waybill.terminate().await;
    let waybill = place.serve().await;
    let again = waybill.api.submit(&key("repeat", 1), &guide("Hello")).await.expect(202);
    assert_eq!(again.json(), first.json());
    assert_eq!(waybill.api.messages().await.len(), 1);
}

#[tokio::test]
async fn row_24_one_key_twenty_times_at_the_same_instant_is_one_message() {
    let place = Place::new();
    let waybill = place.serve().await;
    let posts: Vec<_> = (0..20)
        .map(|_| {
            let api = waybill.api.clone();
            tokio::spawn(async move { api.submit(&key("parallel", 1), &sms("Once")).await })
        })
        .collect();
    let mut answers = BTreeSet::new();
    for post in posts {
        answers.insert(post.await.unwrap().expect(202).text());
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(waybill.api.messages().await.len(), 1);
    let id = answers.first().map(|text| serde_json::from_str::<Value>(text).unwrap()).unwrap();
    let id = id["messages"][0]["id"].as_str().unwrap();
    waybill.api.message_in(id, &["delivered", "read"], PATIENCE).await;
    let sends = waybill.api.read("/api/v1/sandbox/sends").await;
    assert_eq!(sends["sends"].as_array().map(Vec::len), Some(1), "{sends}");
}

#[tokio::test]
async fn equal_content_under_two_keys_is_two_messages() {
    let place = Place::new();
    let waybill = place.serve().await;
    let one = waybill.api.send(&key("equal", 1), &sms("Same")).await;
    let two = waybill.api.send(&key("equal", 2), &sms("Same")).await;
    let one = waybill.api.message_in(&one, &["delivered", "read"], PATIENCE).await;
    let two = waybill.api.message_in(&two, &["delivered", "read"], PATIENCE).await;
    assert_ne!(one["platform_id"], two["platform_id"]);
}

/// What a case of the table posts.
enum Post {
    Bytes(Vec<u8>),
    Json(Value),
}

/// A bad input by its row of the table of bad inputs: name, what is posted, status, and the code of the
/// problem or (with 422) of a finding.
struct Case(&'static str, Post, u16, &'static str);

fn raw(name: &'static str, body: impl Into<Vec<u8>>, status: u16, code: &'static str) -> Case {
    Case(name, Post::Bytes(body.into()), status, code)
}

/// The guide's message with one field of the payload replaced; 422 with this finding.
fn with(name: &'static str, field: &str, value: Value, code: &'static str) -> Case {
    let mut body = guide("Hello");
    body["payload"][field] = value;
    Case(name, Post::Json(body), 422, code)
}

fn sms_with(name: &'static str, field: &str, value: Value, code: &'static str) -> Case {
    let mut body = sms("Hello");
    body["payload"][field] = value;
    Case(name, Post::Json(body), 422, code)
}

fn attached(name: &'static str, attachment: Value, code: &'static str) -> Case {
    with(name, "attachments", json!([attachment]), code)
}

fn conversation(name: &'static str, id: Value) -> Case {
    let mut body = guide("Hello");
    body["conversation_id"] = id;
    Case(name, Post::Json(body), 400, "json")
}

fn png(content: &str) -> Value {
    json!({"type": "image/png", "filename": "a.png", "content": content})
}

fn url(url: &str) -> Value {
    json!({"type": "application/pdf", "filename": "a.pdf", "url": url})
}

fn named(name: &str) -> Value {
    json!({"type": "application/pdf", "filename": name, "url": "https://cdn.example.com/a"})
}

fn bad_inputs() -> Vec<Case> {
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let valid = guide("Hello").to_string();
    let duplicate = valid.replacen('{', r#"{"connection":"sandbox","#, 1);
    let nested_duplicate = valid.replace(r#""content":"#, r#""content":"x","content":"#);
    let many: Vec<String> = (0..1001).map(|number| format!("c{number}@example.com")).collect();
    let mut role = guide("Hello");
    role["conversation_id"] = json!(NO_AGENT_CONVERSATION);
    role["payload"]["from"] = json!("observer@example.com");
    let mut ended = guide("Hello");
    ended["conversation_id"] = json!(CLOSED_CONVERSATION);
    ended["payload"]["from"] = json!("service@example.com");
    let mut nowhere = guide("Hello");
    nowhere["connection"] = json!("nowhere");
    let mut customer_json = sms("Hello");
    customer_json["payload"]["type"] = json!("text/plain");
    customer_json["payload"]["content"] = json!({"a": 1});
    let many_files: Vec<Value> = (0..51).map(|_| url("https://cdn.example.com/a.pdf")).collect();
    vec![
        raw("15 empty body", "", 400, "json"),
        raw("15 null", "null", 400, "json"),
        raw("15 array", "[]", 400, "json"),
        raw("15 number", "7", 400, "json"),
        raw("15 string", "\"x\"", 400, "json"),
        raw("15 broken off", &valid.as_bytes()[..valid.len() - 3], 400, "json"),
        raw("15 something follows", format!("{valid} {{}}"), 400, "json"),
        raw(
            "16 invalid UTF-8",
            valid
                .replace("Hello", "H\u{1}")
                .into_bytes()
                .into_iter()
                .map(|byte| if byte == 1 { 0xff } else { byte })
                .collect::<Vec<u8>>(),
            400,
            "json",
        ),
        raw("16 lone surrogate", valid.replace("Hello", "\\ud800"), 400, "json"),
        raw("16 byte order mark", format!("\u{feff}{valid}"), 400, "json"),
        raw("17 depth 10,000", deep.clone(), 400, "json"),
        raw("17 depth 10,000 in the content", valid.replace("\"Hello\"", &deep), 400, "json"),
        raw(
            "17 an array of a million",
            valid.replace("[\"customer@example.com\"]", &format!("[{}1]", "1,".repeat(999_999))),
            400,
            "json",
        ),
        raw("19 duplicate key", duplicate, 400, "json"),
        raw("19 duplicate key, nested", nested_duplicate, 400, "json"),
        raw("19 unknown field", valid.replacen('{', r#"{"surprise":1,"#, 1), 400, "json"),
        raw(
            "19 unknown field, nested",
            valid.replace(r#""content":"#, r#""surprise":1,"content":"#),
            400,
            "json",
        ),
        with("25 nobody", "to", json!([]), "to.required"),
        with("25 1,001 recipients", "to", json!(many), "to.too_many"),
        with("25 the same twice", "to", json!(["a@example.com", "a@example.com"]), "to.duplicate"),
        with("26 empty address", "to", json!([""]), "to.empty"),
        with("26 blank address", "to", json!([" "]), "to.empty"),
        with(
            "26 2,000 characters",
            "to",
            json!([format!("{}@example.com", "a".repeat(2000))]),
            "to.too_long",
        ),
        with("26 line break", "to", json!(["a@example.com\r\nBcc: b@example.com"]), "to.invisible"),
        with("26 direction override", "to", json!(["a\u{202e}@example.com"]), "to.invisible"),
        with("26 zero width", "to", json!(["a\u{200b}@example.com"]), "to.invisible"),
        with("26 empty sender", "from", json!(""), "from.required"),
        sms_with("27 no plus", "to", json!(["447700900010"]), "to.phone"),
        sms_with("27 spaces", "to", json!(["+44 7700 900010"]), "to.phone"),
        sms_with("27 too long", "to", json!(["+4477009000101234"]), "to.phone"),
        sms_with("27 leading zero", "to", json!(["+07700900010"]), "to.phone"),
        with("29 not a participant", "from", json!("stranger@example.com"), "from.not_participant"),
        Case("29 not an agent", Post::Json(role), 422, "from.role"),
        conversation("30 path", json!("../x")),
        conversation("30 36 spaces", json!(" ".repeat(36))),
        conversation("30 not a UUID", json!("a1b2c3d4-e5f6-7890-abcd-ef123456789")),
        conversation("30 empty", json!("")),
        conversation("30 a number", json!(7)),
        with("31 unknown type", "type", json!("text/markdown"), "type.unknown"),
        with("31 upper case", "type", json!("TEXT/PLAIN"), "type.unknown"),
        with("31 parameters", "type", json!("text/plain; charset=utf-8"), "type.unknown"),
        with("31 empty type", "type", json!(""), "type.unknown"),
        sms_with("32 HTML on SMS", "type", json!("text/html"), "type.channel"),
        Case("32 JSON typed as text", Post::Json(customer_json), 422, "content.not_text"),
        with("33 empty content", "content", json!(""), "content.empty"),
        with("33 white space", "content", json!(" \n\t "), "content.empty"),
        with("33 1 MiB", "content", json!("a".repeat(1 << 20)), "content.too_long"),
        with("33 NUL", "content", json!("a\0b"), "content.nul"),
        attached(
            "35 both content and URL",
            json!({"type": "image/png", "filename": "a.png", "content": "AAAA", "url": "https://cdn.example.com/a.png"}),
            "attachment.source",
        ),
        attached(
            "35 neither",
            json!({"type": "image/png", "filename": "a.png"}),
            "attachment.source",
        ),
        attached("36 spaces", png("iVBO Rw0K"), "attachment.base64"),
        attached("36 URL alphabet", png("_-__"), "attachment.base64"),
        attached("36 no padding", png("iVBORw0KGg"), "attachment.base64"),
        attached("36 trailing bits", png("iVBORx=="), "attachment.base64"),
        attached("38 png that is HTML", png("PGh0bWw+PC9odG1sPg=="), "attachment.bytes"),
        attached(
            "38 double extension",
            json!({"type": "application/pdf", "filename": "a.pdf.exe", "url": "https://cdn.example.com/a"}),
            "attachment.extension",
        ),
        attached(
            "38 png typed pdf",
            json!({"type": "application/pdf", "filename": "x.png", "url": "https://cdn.example.com/a"}),
            "attachment.extension",
        ),
        attached("39 up and away", named("../../p.pdf"), "attachment.filename"),
        attached("39 a drive", named("C:\\x.pdf"), "attachment.filename"),
        attached("39 NUL", named("a\0.pdf"), "attachment.filename"),
        attached("39 a device", named("CON.pdf"), "attachment.filename"),
        attached("39 300 bytes", named(&format!("{}.pdf", "a".repeat(296))), "attachment.filename"),
        attached("39 only dots", named("..."), "attachment.filename"),
        attached("39 direction override", named("a\u{202e}fdp.pdf"), "attachment.filename"),
        attached("39 empty", named(""), "attachment.filename"),
        attached("41 file:", url("file:///etc/passwd"), "attachment.url"),
        attached("41 javascript:", url("javascript:alert(1)"), "attachment.url"),
        attached("41 data:", url("data:text/html,x"), "attachment.url"),
        attached("41 no scheme", url("//cdn.example.com/a.pdf"), "attachment.url"),
        attached("41 user info", url("https://a:b@cdn.example.com/a.pdf"), "attachment.url"),
        attached("41 short loopback", url("http://127.1/a.pdf"), "attachment.url"),
        attached("41 mapped loopback", url("http://[::ffff:7f00:1]/a.pdf"), "attachment.url"),
        attached("41 loopback as a number", url("http://2130706433/a.pdf"), "attachment.url"),
        attached("41 plain http", url("http://cdn.example.com/a.pdf"), "attachment.url"),
        with("43 51 attachments", "attachments", json!(many_files), "attachments.too_many"),
        Case("a conversation that ended", Post::Json(ended), 422, "conversation.ended"),
        Case("an unknown connection", Post::Json(nowhere), 422, "connection"),
    ]
}

/// Bad inputs, rows 15 to 17, 19, 25 to 27, 29 to 33, 35, 36, 38, 39, 41 and 43.
#[tokio::test]
async fn bad_inputs_get_what_the_table_says() {
    let place = Place::new();
    let waybill = place.serve().await;
    let mut wrong = Vec::new();
    for (number, Case(name, post, status, code)) in bad_inputs().into_iter().enumerate() {
        let body = match post {
            Post::Bytes(bytes) => bytes,
            Post::Json(value) => value.to_string().into_bytes(),
        };
        let request = waybill
            .api
            .request(Method::POST, path::SUBMISSIONS)
            .header("idempotency-key", key("bad", number))
            .header("content-type", "application/json")
            .body(body);
        let answer = Answer::of(request).await;
        let codes = if status == 422 && answer.code() == "payload_findings" {
            answer.finding_codes()
        } else {
            vec![answer.code()]
        };
        let is_problem = answer.header("content-type") == "application/problem+json";
        if answer.status != status || !codes.iter().any(|one| one == code) || !is_problem {
            let text: String = answer.text().chars().take(300).collect();
            wrong.push(format!(
                "row {name}: wanted {status} {code}, got {} {codes:?} {text}",
                answer.status
            ));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
    assert!(waybill.api.messages().await.is_empty(), "something refused was stored");
}

#[tokio::test]
async fn rows_34_and_37_what_is_odd_but_right_is_accepted() {
    let place = Place::new();
    let waybill = place.serve().await;
    let emoji = sms(&"👩‍👩‍👧‍👦e\u{301}".repeat(12));
    waybill.api.send(&key("odd", 1), &emoji).await;
    // Its base64 is longer than the SMS limit of 1 MiB, its bytes are not.
    let mut bytes = b"%PDF-1.7\n".to_vec();
    bytes.resize(1024 * 1024, b' ');
    let mut file = sms("With a file");
    file["payload"]["attachments"] = json!([{
        "type": "application/pdf", "filename": "a.pdf", "content": base64(&bytes),
    }]);
    waybill.api.send(&key("odd", 2), &file).await;
    // One byte more is refused.
    bytes.push(b' ');
    file["payload"]["attachments"][0]["content"] = json!(base64(&bytes));
    let refused = waybill.api.submit(&key("odd", 3), &file).await.expect(422);
    assert_eq!(refused.finding_codes(), ["attachment.size"]);
    // Row 46: hostile HTML is content like any other; making it inert is the preview's affair.
    let mut html = guide("<script>alert(1)</script><img src=x onerror=alert(1)>");
    html["payload"]["type"] = json!("text/html");
    let id = waybill.api.send(&key("odd", 4), &html).await;
    let message = waybill.api.message(&id).await;
    assert_eq!(message["payload"]["content"], html["payload"]["content"]);
}

fn base64(bytes: &[u8]) -> String {
    tests::submission::base64(bytes)
}

#[tokio::test]
async fn row_21_a_submission_needs_exactly_one_usable_key() {
    let place = Place::new();
    let waybill = place.serve().await;
    let post = |keys: Vec<Vec<u8>>| {
        let mut request =
            waybill.api.request(Method::POST, path::SUBMISSIONS).json(&guide("Hello"));
        for key in keys {
            let value = reqwest::header::HeaderValue::from_bytes(&key).unwrap();
            request = request.header("idempotency-key", value);
        }
        Answer::of(request)
    };
    let cases: [(&str, Vec<Vec<u8>>); 7] = [
        ("absent", vec![]),
        ("empty", vec![b"".to_vec()]),
        ("256 characters", vec![vec![b'a'; 256]]),
        ("a tab", vec![b"abcdefgh\tijklmnop".to_vec()]),
        ("not ASCII", vec![vec![0xff; 16]]),
        ("an open quote", vec![b"\"abcdefghijklmnop".to_vec()]),
        ("two", vec![b"key-one-0123456789".to_vec(), b"key-two-0123456789".to_vec()]),
    ];
    for (name, keys) in cases {
        let answer = post(keys).await;
        assert_eq!((answer.status, answer.code()), (400, "idempotency_key".into()), "{name}");
    }
    let uuid = b"0191d3c4-7b1e-7a54-9a3f-0123456789ab".to_vec();
    post(vec![uuid]).await.expect(202);
}

#[tokio::test]
async fn a_message_scheduled_for_later_can_be_cancelled_and_others_cannot() {
    let place = Place::new();
    let waybill = place.serve().await;
    let mut later = sms("Later");
    later["not_before"] = json!("2027-06-01T00:00:00Z");
    let id = waybill.api.send(&key("cancel", 1), &later).await;
    let cancel = |id: String| {
        let path = path::fill(path::MESSAGE_CANCEL, "id", &id);
        Answer::of(waybill.api.request(Method::POST, &path).json(&json!({})))
    };
    let message = cancel(id.clone()).await.expect(200).json();
    assert_eq!(message["state"], "cancelled");
    let counts = waybill.api.read(path::MESSAGE_COUNTS).await;
    assert_eq!((&counts["total"], &counts["cancelled"]), (&json!(1), &json!(1)));
    let again = cancel(id.clone()).await.expect(409);
    assert_eq!(again.code(), "state");
    // A cancelled message does not hold its conversation.
    let next = waybill.api.send(&key("cancel", 2), &sms("Now")).await;
    waybill.api.message_in(&next, &["delivered", "read"], PATIENCE).await;
    assert_eq!(cancel(next).await.expect(409).code(), "state");
    assert_eq!(cancel("0191d3c4-7b1e-7a54-9a3f-0123456789ab".into()).await.status, 404);
    assert_eq!(cancel("nothing".into()).await.status, 400);
    let message = waybill.api.message(&id).await;
    assert_eq!(message["state"], "cancelled");
    let statuses: Vec<_> =
        message["audit"].as_array().unwrap().iter().map(|one| &one["ending"]).collect();
    assert_eq!(statuses, ["cancelled"]);
}

#[tokio::test]
async fn a_message_that_cannot_be_sent_in_time_expires_and_times_that_make_no_sense_are_refused() {
    let place = Place::new();
    let waybill = place.serve().await;
    let api = &waybill.api;
    // The platform asks for silence for longer than the message may wait.
    api.put_faults(&json!({"rate_429": {"percent": 100, "retry_after": "60"}})).await;
    let now = api.read(path::OPTIONS).await["now"].as_str().unwrap().to_owned();
    let now = shared::time::Timestamp::parse(&now).unwrap();
    let mut body = sms("Soon or never");
    body["expires_at"] = json!(now.plus(Duration::from_secs(3)).to_string());
    let id = api.send(&key("expire", 1), &body).await;
    let message = api.message_in(&id, &["expired"], PATIENCE).await;
    assert_eq!(message["verdict"], "breached");
    for (field, value) in
        [("expires_at", "2020-01-01T00:00:00Z"), ("not_before", "2050-01-01T00:00:00Z")]
    {
        let mut body = sms("Never");
        body[field] = json!(value);
        assert_eq!(api.submit(&key("expire", 2), &body).await.expect(422).code(), "schedule");
        body[field] = json!("tomorrow");
        assert_eq!(api.submit(&key("expire", 2), &body).await.expect(400).code(), "json");
    }
    let mut body = sms("Never");
    body["not_before"] = json!("2027-01-02T00:00:00Z");
    body["expires_at"] = json!("2027-01-01T00:00:00Z");
    assert_eq!(api.submit(&key("expire", 3), &body).await.expect(422).code(), "schedule");
}

#[tokio::test]
async fn lists_page_by_cursor_over_120_messages_while_new_ones_arrive() {
    let place = Place::new();
    let waybill = place.serve().await;
    let api = &waybill.api;
    let mut ids = BTreeSet::new();
    for number in 0..120 {
        let mut body = guide(&format!("Message {number}"));
        body["not_before"] = json!("2027-06-01T00:00:00Z");
        ids.insert(api.send(&key("page", number), &body).await);
    }
    let mut seen = Vec::new();
    let mut cursor = None::<String>;
    let mut pages = 0;
    loop {
        let next = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = api.read(&format!("{}?limit=50{next}", path::MESSAGES)).await;
        for message in page["items"].as_array().unwrap() {
            seen.push(message["id"].as_str().unwrap().to_owned());
        }
        pages += 1;
        // A message that arrives while somebody pages shifts nothing.
        let mut body = guide("Newer");
        body["not_before"] = json!("2027-06-01T00:00:00Z");
        api.send(&key("newer", pages), &body).await;
        match page["next_cursor"].as_str() {
            Some(text) => cursor = Some(text.to_owned()),
            None => break,
        }
    }
    assert_eq!(pages, 3);
    let mut newest_first = seen.clone();
    newest_first.sort_by(|one, other| other.cmp(one));
    assert_eq!(seen, newest_first);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), ids);
    // Narrowed lists.
    let found = api.read(&format!("{}?q=message%20119", path::MESSAGES)).await;
    assert_eq!(found["items"].as_array().map(Vec::len), Some(1), "{found}");
    let none = api.read(&format!("{}?state=delivered,failed", path::MESSAGES)).await;
    assert_eq!(none, json!({"items": [], "next_cursor": null}));
    let pending = api.read(&format!("{}?verdict=pending&limit=200", path::MESSAGES)).await;
    assert_eq!(pending["items"].as_array().map(Vec::len), Some(123));
}

#[tokio::test]
async fn row_53_forged_cursors_and_impossible_limits_are_refused() {
    let place = Place::new();
    let waybill = place.serve().await;
    waybill.api.send(&key("cursor", 1), &sms("Hello")).await;
    let queries = [
        "cursor=forged",
        "cursor=",
        "cursor=%00",
        "cursor=-1",
        "cursor=99999999999999999999999",
        "cursor='%20OR%201=1--",
        "limit=0",
        "limit=-1",
        "limit=201",
        "limit=1000000000",
        "limit=ten",
        "state=lost",
        "verdict=maybe",
    ];
    let mut wrong = Vec::new();
    for list in [path::MESSAGES, path::AUDIT_BATCHES] {
        for query in queries {
            let is_for_messages = query.starts_with("state") || query.starts_with("verdict");
            if is_for_messages && list != path::MESSAGES {
                continue;
            }
            let answer = waybill.api.get(&format!("{list}?{query}")).await;
            let is_problem = answer.header("content-type") == "application/problem+json";
            if answer.status != 400 || !is_problem {
                wrong.push(format!("{list}?{query}: {} {}", answer.status, answer.text()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn conversations_say_what_is_known_and_rules_judge_without_sending() {
    let place = Place::new();
    let waybill = place.serve().await;
    let api = &waybill.api;
    let of = |id: &str| path::fill(&path::fill(path::CONVERSATION, "name", "sandbox"), "id", id);
    let guide_one = api.read(&of(GUIDE_CONVERSATION)).await;
    assert_eq!(guide_one["channel"], "email");
    let closed = api.read(&of(CLOSED_CONVERSATION)).await;
    assert!(closed["ended_at"].is_string(), "{closed}");
    assert_eq!(api.get(&of("00000000-0000-4000-8000-00000000ffff")).await.status, 404);
    assert_eq!(api.get(&of("nonsense")).await.status, 400);
    let validate = |body: Value| Answer::of(api.request(Method::POST, path::VALIDATE).json(&body));
    let mut html = sms("<p>Hello</p>");
    html["payload"]["type"] = json!("text/html");
    let against_conversation = json!({
        "connection": "sandbox", "conversation_id": SMS_CONVERSATION, "payload": html["payload"],
    });
    let judged = validate(against_conversation).await.expect(200).json();
    assert_eq!(judged["findings"][0]["code"], "type.channel");
    let judged =
        validate(json!({"channel": "sms", "payload": html["payload"]})).await.expect(200).json();
    assert_eq!(judged["findings"][0]["code"], "type.channel");
    let judged = validate(json!({"channel": "sms", "payload": sms("Hello")["payload"]})).await;
    let judged = judged.expect(200).json();
    assert_eq!((&judged["findings"], &judged["parts"]["count"]), (&json!([]), &json!(1)));
    assert!(api.messages().await.is_empty());
}

#[tokio::test]
async fn endings_other_than_delivery_are_shown_with_their_reason() {
    let place = Place::new();
    let waybill = place.serve().await;
    let api = &waybill.api;
    let failing = text("sandbox", FAILING_CONVERSATION, SMS_SENDER, FAILING_RECIPIENT, "Hello");
    let failing = api.send(&key("end", 1), &failing).await;
    let silent =
        text("sandbox", NO_RECEIPTS_CONVERSATION, "service@example.com", "terminal-0001", "Hello");
    let silent = api.send(&key("end", 2), &silent).await;
    // Nobody has read this conversation, so only the platform can say that it does not exist.
    let unknown = "00000000-0000-4000-8000-00000000fffe";
    let unknown = text("sandbox", unknown, "a@example.com", "b@example.com", "Hello");
    let unknown = api.send(&key("end", 3), &unknown).await;

    let failed = api.message_in(&failing, &["failed"], PATIENCE).await;
    assert_eq!(failed["verdict"], "breached");
    assert!(failed["reason"]["code"].is_string(), "{}", failed["reason"]);
    let rejected = api.message_in(&unknown, &["rejected"], PATIENCE).await;
    assert_eq!(rejected["reason"]["code"], "conversation_not_found");
    let silent = eventually("no receipt is not success", async || {
        let message = api.message(&silent).await;
        found(message["state"] == "submitted" && message["looked_at"].is_string(), message)
    })
    .await;
    assert_eq!(silent["verdict"], "unknown");
    let counts = api.read(path::MESSAGE_COUNTS).await;
    assert_eq!((&counts["failed"], &counts["in_flight"]), (&json!(2), &json!(1)));
    let report = api.read(path::SLA).await;
    assert_eq!(report["verdicts"], json!({"met": 0, "breached": 2, "pending": 0, "unknown": 1}));
}

#[tokio::test]
async fn the_live_stream_says_hello_then_every_change_and_resumes_without_loss() {
    let place = Place::new();
    let waybill = place.serve().await;
    let mut live = Live::open(&waybill.api, None).await;
    let hello = live.next().await;
    assert_eq!(hello.name, "hello");
    let first = waybill.api.send(&key("live", 1), &sms("One")).await;
    let mut states = Vec::new();
    let mut last = 0;
    while states.last().is_none_or(|state| state != "delivered" && state != "read") {
        let event = live.next().await;
        assert_eq!(event.name, "message");
        let seq = event.data["seq"].as_u64().unwrap();
        assert!(seq > last, "{seq} after {last}");
        assert_eq!(event.id, seq.to_string());
        assert_eq!(event.data["message"]["id"], first);
        last = seq;
        states.push(event.data["message"]["state"].as_str().unwrap().to_owned());
    }
    drop(live);
    // What happens while nobody listens arrives when the reader comes back.
    let second = waybill.api.send(&key("live", 2), &sms("Two")).await;
    waybill.api.message_in(&second, &["delivered", "read"], PATIENCE).await;
    let mut live = Live::open(&waybill.api, Some(&last.to_string())).await;
    let hello = live.next().await;
    assert_eq!((hello.name.as_str(), &hello.data["seq"]), ("hello", &json!(last)));
    let mut state = String::new();
    while state != "delivered" && state != "read" {
        let event = live.next().await;
        assert!(event.data["seq"].as_u64().unwrap() > last);
        if event.data["message"]["id"] == second {
            event.data["message"]["state"].as_str().unwrap().clone_into(&mut state);
        }
    }
    let forged = waybill.api.request(Method::GET, path::EVENTS).header("last-event-id", "x");
    assert_eq!(Answer::of(forged).await.expect(400).code(), "last_event_id");
}

#[tokio::test]
async fn operators_can_ask_without_a_token_and_learn_only_counts() {
    let place = Place::new();
    let waybill = place.serve().await;
    let id = waybill.api.send(&key("metrics", 1), &sms("Hello")).await;
    waybill.api.message_in(&id, &["delivered", "read"], PATIENCE).await;
    let get = |path: &'static str| Answer::of(waybill.api.bare(Method::GET, path));
    assert_eq!(get("/healthz").await.expect(200).text().trim(), "ok");
    assert_eq!(get("/readyz").await.expect(200).text().trim(), "ok");
    let metrics = get("/metrics").await.expect(200);
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    let metrics = metrics.text();
    let sum: u64 = metrics
        .lines()
        .filter(|line| line.starts_with("waybill_messages{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum();
    assert_eq!(sum, 1, "{metrics}");
    assert!(
        metrics.contains("waybill_budget_used_last_minute{connection=\"sandbox\"}"),
        "{metrics}"
    );
    assert!(!metrics.contains(&id) && !metrics.contains("+4477"), "{metrics}");
}

#[tokio::test]
async fn openapi_lists_every_path_and_the_reference_loads_nothing_from_elsewhere() {
    let place = Place::new();
    let waybill = place.serve().await;
    let api = waybill.api.read(path::OPENAPI).await;
    assert!(api["openapi"].as_str().is_some_and(|version| version.starts_with("3.")));
    let described: BTreeMap<String, Value> = serde_json::from_value(api["paths"].clone()).unwrap();
    let paths = [
        path::SUBMISSIONS,
        path::SUBMISSION,
        path::MESSAGES,
        path::MESSAGE_COUNTS,
        path::MESSAGE,
        path::MESSAGE_CANCEL,
        path::VALIDATE,
        path::CONNECTIONS,
        path::CONVERSATIONS,
        path::CONVERSATION,
        path::SLA,
        path::AUDIT_BATCHES,
        path::AUDIT_EXPORT,
        path::EVENTS,
        path::OPTIONS,
        path::BUDGET,
        path::OPENAPI,
    ];
    let missing: Vec<&str> =
        paths.into_iter().filter(|path| !described.contains_key(*path)).collect();
    assert!(missing.is_empty(), "not described: {missing:?}");
    assert!(described.keys().any(|path| path.starts_with("/api/v1/sandbox/")));

    let reference = Answer::of(waybill.api.bare(Method::GET, "/reference")).await.expect(200);
    assert!(reference.header("content-type").starts_with("text/html"));
    let page = reference.text();
    for attribute in ["src=\"", "href=\"", "src='", "href='", "url("] {
        for (_, rest) in
            page.match_indices(attribute).map(|(at, _)| page.split_at(at + attribute.len()))
        {
            let target: String = rest.chars().take(60).collect();
            assert!(
                target.starts_with('/') && !target.starts_with("//") || target.starts_with('#'),
                "the reference loads {target}"
            );
        }
    }
    let policy = reference.header("content-security-policy");
    assert!(policy.contains("default-src 'none'"), "{policy}");
}
