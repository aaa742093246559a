//! Everything that reads what others wrote, behind one function for each kind: bytes in, no panic, and what
//! comes out keeps its promises. `cargo xtask fuzz` feeds them what finds new ways through the code, and
//! `tests/parsers.rs` some of it in every run. Nothing else calls them.

use crate::config;
use crate::platform::{Budget, SendOutcome, guide, http};
use crate::worker::ship;
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use shared::api::{
    DecideRequest, ResendRequest, SubmissionRequest, ValidateAnswer, ValidateRequest,
};
use shared::channel::Channel;
use shared::delivery::Reason;
use shared::id::{ConversationId, Key};
use shared::payload::{Attachment, Payload};
use shared::rules::{Dialect, FILE_TYPES, Ruleset, catalogue, example};
use shared::table::{Columns, Step, Table};
use shared::template;
use shared::validate::{Context, validate};
use shared::wait::STATED_WAIT_MAX;
use std::time::Duration;

/// Something that is fed, by name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 9] = [
    ("api_json", api_json),
    ("platform_json", platform_json),
    ("headers", headers),
    ("settings", settings),
    ("sink_reply", sink_reply),
    ("validate", judged),
    ("template", filled),
    ("table", table),
    ("base64", base64),
];

/// A request's body: read strictly, judged by the rules of every channel, written and read again unchanged.
pub fn api_json(bytes: &[u8]) {
    let _ = shared::json::decode::<ValidateRequest>(bytes);
    let _ = shared::json::decode::<DecideRequest>(bytes);
    let _ = shared::json::decode::<ResendRequest>(bytes);
    let Ok(request) = shared::json::decode::<SubmissionRequest>(bytes) else { return };
    for dialect in Dialect::ALL {
        let rules = Ruleset::embedded(dialect);
        let unknown = Channel::Unknown("pigeon".into());
        for channel in Channel::KNOWN.iter().chain([&unknown]) {
            for finding in validate(&request.payload, rules, Context::Channel(channel)) {
                assert!(![finding.what, finding.why, finding.how].iter().any(String::is_empty));
            }
        }
        validate(&request.payload, rules, Context::Unread);
    }
    request.payload.preview(80);
    // What is stored is what is sent, whenever it is read.
    let stored = request.payload.to_bytes();
    assert_eq!(Payload::decode(&stored).ok().as_ref(), Some(&request.payload));
}

/// Everything a payload can be judged against: each dialect, each channel, alone and with its conversation.
fn judge_all(payload: &Payload) {
    let unknown = Channel::Unknown("pigeon".into());
    for dialect in Dialect::ALL {
        let rules = Ruleset::embedded(dialect);
        let judge = |context: Context<'_>| {
            let answer = ValidateAnswer::new(payload, rules, context);
            assert_eq!(answer, ValidateAnswer::new(payload, rules, context), "not the same twice");
            assert!(answer.findings.is_sorted_by_key(|finding| finding.severity));
            for finding in &answer.findings {
                assert!(catalogue::find(&finding.code).is_some(), "{} is no rule", finding.code);
                let words = [&finding.what, &finding.why, &finding.how];
                assert!(!words.iter().any(|one| one.is_empty()));
            }
        };
        for channel in Channel::KNOWN.iter().chain([&unknown]) {
            judge(Context::Channel(channel));
            judge(Context::Conversation(&example::conversation(channel)));
        }
        judge(Context::Unread);
    }
}

/// A payload, judged by everything; and every finding has a place in its text.
pub fn judged(bytes: &[u8]) {
    let Ok(payload) = Payload::decode(bytes) else { return };
    judge_all(&payload);
    let Ok(text) = str::from_utf8(bytes) else { return };
    for finding in validate(&payload, Ruleset::embedded(Dialect::Guide), Context::Unread) {
        let place = shared::json::locate(text, &finding.pointer);
        assert!(place.is_some_and(|place| text.get(place.bytes).is_some()));
    }
}

/// A template in JSON, and after a line break the value of each of its names: filled, nothing that can be filled
/// is left, and what was filled can be judged.
pub fn filled(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (head, value) = bytes.split_at(at);
    let template = Payload::decode(head).unwrap_or_else(|_| Payload {
        content: String::from_utf8_lossy(head).into_owned().into(),
        ..example::payload(&Channel::Sms)
    });
    let value = String::from_utf8_lossy(value);
    let wanted = template::wanted(&template);
    let values: template::Values =
        wanted.iter().map(|one| (one.name.clone(), value.clone().into_owned())).collect();
    let with_all = template::fill(&template, &values);
    assert!(with_all.findings.iter().all(|one| one.code == "template.syntax"));
    let with_none = template::fill(&template, &template::Values::new());
    let is_missing = |name: &str| {
        let words = format!("There is no value for {{{{{name}}}}}");
        with_none.findings.iter().any(|one| one.what == words)
    };
    assert!(wanted.iter().all(|one| one.is_required == is_missing(&one.name)));
    validate(&with_all.payload, Ruleset::embedded(Dialect::Guide), Context::Unread);
}

/// A table of payloads: the same rows and faults however its bytes arrive, every place inside its row, and what
/// was read can be written and read again.
pub fn table(bytes: &[u8]) {
    let (whole, faults) = rows(bytes, usize::MAX);
    assert_eq!((&whole, &faults), (&rows(bytes, 1).0, &rows(bytes, 1).1));
    // With a line end behind it, text of NULs looks like UTF-16, which is refused.
    if !faults.is_empty() || bytes.contains(&0) {
        return;
    }
    let mut text = String::new();
    for (_, row) in &whole {
        shared::table::write_row(&mut text, row.iter().map(String::as_str));
    }
    let again: Vec<Vec<String>> = rows(text.as_bytes(), 7).0.into_iter().map(|row| row.1).collect();
    assert_eq!(again, whole.into_iter().map(|row| row.1).collect::<Vec<_>>());
}

/// Something of a row, with the row's number.
type Numbered<T> = (u64, T);

/// Numbers and values of a table's rows, and numbers and codes of its faults, read in pieces.
fn rows(bytes: &[u8], piece: usize) -> (Vec<Numbered<Vec<String>>>, Vec<Numbered<String>>) {
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    let mut table = Table::default();
    let mut columns = None;
    let (mut start, mut end) = (0, piece.min(bytes.len()));
    loop {
        let read = table.next(&bytes[start..end], end == bytes.len());
        match read.step {
            Step::More => end = end.saturating_add(piece).min(bytes.len()),
            Step::End => return (rows, faults),
            Step::Fault(fault) => {
                assert!(fault.text.get(fault.bytes).is_some());
                faults.push((fault.row, fault.finding.code));
            }
            Step::Row(row) => {
                match &columns {
                    None => columns = Columns::read(&row, None).0,
                    Some(columns) => {
                        let message = columns.message(&row);
                        for pointer in ["", "/to/0", "/content/a", "/attachments/0/url"] {
                            assert!(row.text.get(columns.place(&row, pointer)).is_some());
                        }
                        validate(
                            &message.payload,
                            Ruleset::embedded(Dialect::Guide),
                            Context::Unread,
                        );
                    }
                }
                let values = row.fields.into_iter().map(|field| field.value.into_owned());
                rows.push((row.number, values.collect()));
            }
        }
        start += read.used;
        end = end.max(start);
    }
}

/// A file's content in base64, under every type: what the strict reader of a library takes, and only that, is
/// taken for base64.
pub fn base64(bytes: &[u8]) {
    use base64::Engine;
    let Ok(text) = str::from_utf8(bytes) else { return };
    let is_base64 = base64::engine::general_purpose::STANDARD.decode(text).is_ok();
    for kind in FILE_TYPES {
        let file = Attachment {
            content_type: kind.mime.into(),
            filename: format!("a.{}", kind.extensions[0]),
            content: Some(text.into()),
            url: None,
        };
        let payload = Payload { attachments: vec![file], ..example::payload(&Channel::Email) };
        let rules = Ruleset::embedded(Dialect::Guide);
        let found = validate(&payload, rules, Context::Channel(&Channel::Email));
        let is_found = found.iter().any(|one| one.code == "attachment.base64");
        assert_eq!(is_found, !is_base64, "{text:?}: {found:?}");
    }
}

/// A platform's answer. The first byte chooses the status, the rest is the body.
pub fn platform_json(bytes: &[u8]) {
    const STATUSES: [u16; 12] = [200, 201, 202, 204, 301, 400, 401, 403, 409, 429, 500, 503];
    let (first, body) = bytes.split_first().unwrap_or((&0, &[]));
    let status = STATUSES[usize::from(*first) % STATUSES.len()];
    let answer = http::Answer {
        status: StatusCode::from_u16(status).unwrap_or_default(),
        body: Bytes::copy_from_slice(body),
        ..http::Answer::default()
    };
    match guide::outcome(&answer) {
        SendOutcome::Accepted { platform_id, .. } => {
            assert!((200..=202).contains(&status) && !platform_id.as_str().is_empty());
        }
        SendOutcome::Refused(reason) | SendOutcome::Ambiguous(reason) => plain(&reason),
        // A pause of the whole connection says so, and there is none here.
        SendOutcome::Held(_) => {}
        SendOutcome::NotSent { reason, .. } => {
            assert!(!(200..300).contains(&status), "a yes is never taken for not sent");
            plain(&reason);
        }
    }
    let Ok(id) = ConversationId::parse("a1b2c3d4-e5f6-7890-abcd-ef1234567890") else { return };
    if let Ok(snapshot) = guide::snapshot(&id, body, None) {
        snapshot.conversation.senders();
        for receipt in snapshot.receipts.values() {
            receipt.failure.iter().for_each(plain);
        }
    }
}

/// Somebody else's words are one short line before they are stored or shown.
fn plain(reason: &Reason) {
    assert!(reason.text.chars().count() < 400 && reason.code.chars().count() <= 200);
    assert!(!reason.text.chars().chain(reason.code.chars()).any(char::is_control));
}

/// Headers, one value a line: `Retry-After` twice, `Date`, the three of the limit, and a key.
pub fn headers(bytes: &[u8]) {
    const NAMES: [&str; 6] = [
        "retry-after",
        "retry-after",
        "date",
        "inin-ratelimit-allowed",
        "inin-ratelimit-count",
        "inin-ratelimit-reset",
    ];
    let mut values = bytes.split(|byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for (name, value) in NAMES.into_iter().zip(&mut values) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    let wait = http::stated_wait(&headers);
    assert!(wait.is_none_or(|wait| wait <= STATED_WAIT_MAX));
    let _ = http::clock_off(&headers);
    let (allowed, count, reset_s) = http::stated_limit(&headers);
    let budget = Budget::new(300);
    budget.learn(allowed, count, reset_s);
    let usage = budget.usage();
    assert!(usage.allowed_per_minute >= 1);
    assert!(usage.paused_for.is_none_or(|left| left <= STATED_WAIT_MAX + Duration::from_secs(1)));
    if let Some(Ok(key)) =
        values.next().and_then(|key| str::from_utf8(key).ok()).map(Key::from_header)
    {
        // A key goes into a header of every attempt.
        assert!(HeaderValue::from_str(key.as_str()).is_ok());
        assert_eq!(Key::parse(key.as_str()).ok(), Some(key));
    }
}

/// A settings file, and after a NUL the value of one variable. Files that name other files are left out:
/// whatever they name would be read.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if text.contains("_file") {
        return;
    }
    let (file, value) = text.split_once('\0').unwrap_or((text, "5"));
    let name = "WAYBILL_SLA__THRESHOLD_SECONDS".to_owned();
    match config::load_text(file.to_owned(), &[(name, value.to_owned())]) {
        Ok(config) => {
            assert!(config.listen.ip().is_loopback());
            assert!((1..=shared::sla::THRESHOLD_MS_MAX).contains(&config.threshold_ms));
        }
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
}

/// What a sink says with a 409, and an export that somebody checks.
pub fn sink_reply(bytes: &[u8]) {
    let _ = ship::last_sequence(bytes);
    let bounds = shared::audit::verify::Bounds { after: None, until: None };
    let mut verifier = shared::audit::verify::Verifier::new(None, bounds);
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(batch) = serde_json::from_slice(line) {
            for fault in verifier.check(&batch) {
                assert!(!fault.problem.is_empty());
            }
        }
    }
    verifier.finish();
}
