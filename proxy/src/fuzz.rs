//! Everything that reads what others wrote, behind one function for each kind: bytes in, no panic, and what
//! comes out keeps its promises. `cargo xtask fuzz` feeds them what finds new ways through the code, and
//! `tests/parsers.rs` some of it in every run. Nothing else calls them.

use crate::config;
use crate::platform::{Budget, SendOutcome, guide, http};
use crate::worker::ship;
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use shared::api::{DecideRequest, ResendRequest, SubmissionRequest, ValidateRequest};
use shared::channel::Channel;
use shared::delivery::Reason;
use shared::id::{ConversationId, Key};
use shared::payload::Payload;
use shared::rules::{Dialect, Ruleset};
use shared::validate::{Context, validate};
use shared::wait::STATED_WAIT_MAX;
use std::time::Duration;

/// Something that is fed, by name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 5] = [
    ("api_json", api_json),
    ("platform_json", platform_json),
    ("headers", headers),
    ("settings", settings),
    ("sink_reply", sink_reply),
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
