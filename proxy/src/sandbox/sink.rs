//! The audit receiver: `POST /sandbox/v1/audit` takes batches, `GET` shows them.
//!
//! With the secret it is a strict receiver: body signature, attempt signature, chain and sequence are
//! checked in that order, and a batch is stored once, in its place, or not at all. A batch that carries no
//! stream headers is one of the base contract and is judged by its body signature alone. Without the secret
//! everything is stored once as it came, and `verified` is null: nothing was checked.
//!
//! Attempt times are compared with the real clock, not the simulated one: the sender signs its own.

use super::refusal::Refusal;
use super::store::{Batch, Placed, Position};
use super::{Sandbox, gate, spoil};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::audit::{Link, chain_text};
use shared::time::Timestamp;

const BODY_BYTES_MAX: usize = 1024 * 1024;
const ATTEMPT_AGE_SECONDS_MAX: u64 = 300;

/// The sink's routes.
pub fn routes() -> Router<Sandbox> {
    Router::new()
        .route("/sandbox/v1/audit", get(list_batches).post(receive_batch))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

async fn list_batches(State(sandbox): State<Sandbox>) -> Result<Json<Value>, Refusal> {
    Ok(Json(json!({ "batches": sandbox.0.store.batches()? })))
}

async fn receive_batch(
    State(sandbox): State<Sandbox>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let body = body.map_err(|rejection| Refusal::body(&rejection))?;
    let decision = sandbox.0.faults.decide_post(&sandbox.0.store)?;
    let mut response = gate::strike(&sandbox, &decision, |_| take(&sandbox, &headers, &body)).await;
    spoil::date(sandbox.0.faults.skew_ms(), &mut response);
    Ok(response)
}

/// Stores a batch if it is right and in its place, and answers accordingly.
fn take(sandbox: &Sandbox, headers: &HeaderMap, body: &Bytes) -> Result<Response, Refusal> {
    let now = sandbox.stamp(crate::clock::now());
    let verified = match &sandbox.0.audit_secret {
        Some(secret) => {
            let check = |secret: &SecretString| {
                verify(secret.expose_secret().as_bytes(), headers, body, now)
            };
            let previous = sandbox.0.audit_previous_secret.as_ref();
            let position = check(secret)
                .or_else(|fault| previous.map_or(Err(fault), check))
                .map_err(|fault| Refusal::unauthorised("audit.signature", fault.0))?;
            let count = header(headers, "x-audit-count");
            check_entries(count.filter(|_| position.is_some()), body)?;
            Some(position)
        }
        None => None,
    };
    let position = match &verified {
        Some(position) => position.clone(),
        None => read_position(headers),
    };
    let text = String::from_utf8(body.to_vec())
        .map_err(|_| Refusal::bad_request("audit.body", "The body is not UTF-8"))?;
    let batch = Batch {
        headers: describe_headers(headers),
        body: text,
        verified: verified.is_some().then_some(true),
    };
    let placed = sandbox.0.store.put_batch(position.as_ref(), verified.is_some(), &batch)?;
    let conflict = |message: &str, last: Option<i64>| {
        let answer = json!({
            "message": message,
            "code": "audit.sequence",
            "status": StatusCode::CONFLICT.as_u16(),
            "last_sequence": last,
        });
        (StatusCode::CONFLICT, Json(answer)).into_response()
    };
    Ok(match placed {
        Placed::Stored => Json(json!({ "stored": true })).into_response(),
        Placed::Repeated => Json(json!({ "stored": false })).into_response(),
        Placed::Forked(last) => {
            tracing::warn!("an audit batch was posted again with another chain value");
            conflict("Another batch holds this place in the stream", Some(last))
        }
        Placed::OutOfOrder(last) => {
            conflict("The batch does not follow the last one held of its stream", Some(last))
        }
    })
}

/// What is wrong with a batch's signatures.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault(&'static str);

/// Checks the body signature, the attempt signature if there is one, and the chain value if there is one;
/// returns where the batch says it stands, or `None` if it says nothing of the kind.
pub fn verify(
    key: &[u8],
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Option<Position>, Fault> {
    let signature = header(headers, "x-audit-signature").and_then(unhex);
    if !signature.is_some_and(|signature| is_signed(key, body, &signature)) {
        return Err(Fault("X-Audit-Signature is missing or not right"));
    }
    verify_attempt(key, headers, body, now)?;
    let names = ["stream", "sequence", "key-id", "sealed-at", "count", "previous", "chain"];
    if !names.iter().any(|name| headers.contains_key(format!("x-audit-{name}"))) {
        return Ok(None);
    }
    let incomplete = || Fault("The X-Audit headers are incomplete or malformed");
    let position = read_position(headers).ok_or_else(incomplete)?;
    let required = |name| header(headers, name).ok_or_else(incomplete);
    let link = Link {
        stream: &position.stream,
        sequence: u64::try_from(position.sequence).map_err(|_| incomplete())?,
        key_id: required("x-audit-key-id")?,
        sealed_at: Timestamp::parse(required("x-audit-sealed-at")?).map_err(|_| incomplete())?,
        count: required("x-audit-count")?.parse().map_err(|_| incomplete())?,
        body_sha256: &hex::encode(Sha256::digest(body)),
        previous: &position.previous,
    };
    let chain = unhex(&position.chain).ok_or_else(incomplete)?;
    if !is_signed(key, chain_text(&link).as_bytes(), &chain) {
        return Err(Fault("X-Audit-Chain is not right"));
    }
    Ok(Some(position))
}

/// Standard Webhooks: `v1,BASE64` over `id.timestamp.body`, any one of a list, and not older than 5 minutes.
fn verify_attempt(
    key: &[u8],
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Fault> {
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    if !names.iter().any(|name| headers.contains_key(*name)) {
        return Ok(());
    }
    let [Some(id), Some(timestamp), Some(signatures)] = names.map(|name| header(headers, name))
    else {
        return Err(Fault("The webhook headers are incomplete"));
    };
    let Ok(seconds) = timestamp.parse::<i64>() else {
        return Err(Fault("webhook-timestamp is not a number of seconds"));
    };
    if seconds.abs_diff(now.unix_ms() / 1000) > ATTEMPT_AGE_SECONDS_MAX {
        return Err(Fault("webhook-timestamp is more than 5 minutes off"));
    }
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(body);
    let is_right = signatures
        .split(' ')
        .filter_map(|one| one.strip_prefix("v1,"))
        .filter_map(|encoded| STANDARD.decode(encoded).ok())
        .any(|signature| is_signed(key, &signed, &signature));
    if is_right { Ok(()) } else { Err(Fault("webhook-signature is not right")) }
}

/// True if `signature` is the HMAC-SHA256 of `message`; compared in constant time.
fn is_signed(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    // A key of any length is taken, so the error never happens and would mean "not signed".
    Hmac::<Sha256>::new_from_slice(key)
        .is_ok_and(|mac| mac.chain_update(message).verify_slice(signature).is_ok())
}

/// The bytes of a lower-case hex text; upper case is not what the contract says.
fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    hex::decode(text).ok()
}

fn read_position(headers: &HeaderMap) -> Option<Position> {
    let stream = header(headers, "x-audit-stream")?;
    let is_name = (1..=64).contains(&stream.len())
        && stream.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let sequence = header(headers, "x-audit-sequence")?;
    let is_number = sequence.bytes().all(|byte| byte.is_ascii_digit());
    let number = sequence.parse().ok().filter(|number| is_number && *number >= 1)?;
    is_name.then(|| Position {
        stream: stream.to_owned(),
        sequence: number,
        chain: header(headers, "x-audit-chain").unwrap_or_default().to_owned(),
        previous: header(headers, "x-audit-previous").unwrap_or_default().to_owned(),
    })
}

/// The body is a list of as many entries as it says.
fn check_entries(count: Option<&str>, body: &[u8]) -> Result<(), Refusal> {
    let Ok(entries) = serde_json::from_slice::<Vec<Value>>(body) else {
        return Err(Refusal::bad_request("audit.body", "The body is not a JSON array"));
    };
    match count {
        Some(count) if count != entries.len().to_string() => {
            let message = format!("X-Audit-Count is {count}, the body has {}", entries.len());
            Err(Refusal::bad_request("audit.count", message))
        }
        _ => Ok(()),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Headers as JSON: lower-case names, values of a repeated one joined by a comma.
fn describe_headers(headers: &HeaderMap) -> Value {
    let mut all = serde_json::Map::new();
    for name in headers.keys() {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        all.insert(name.as_str().to_owned(), values.join(", ").into());
    }
    all.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    const KEY: &[u8] = b"audit-secret-0123456789abcdef-0123456789";
    const BODY: &[u8] = br#"[{"timestamp":"2026-11-22T10:00:00.250Z","message_id":"m-1","sender":"agent@genesys.cloud","receiver":"customer@example.com","status":"delivered","elapsed_seconds":1.5,"sla_violation":false}]"#;
    const VECTOR: [(&str, &str); 11] = [
        ("x-audit-signature", "c800f5dba7a5125163d3267ed299ce8804c36586a0d2c7d8721b99c5a77539ec"),
        ("x-audit-stream", "str_7f3a9c"),
        ("x-audit-sequence", "1"),
        ("x-audit-key-id", "k1"),
        ("x-audit-sealed-at", "2026-11-22T10:00:05.250Z"),
        ("x-audit-count", "1"),
        ("x-audit-previous", shared::audit::FIRST_PREVIOUS),
        ("x-audit-chain", "5ca2683ffc951a0757ea254b74573eb347ca239f972b298a5ef0442d7d9134b2"),
        ("webhook-id", "str_7f3a9c-1"),
        ("webhook-timestamp", "1795341605"),
        ("webhook-signature", "v1,BYo1CFm5Hn/13vkRWGYLRXK24kgL7d/u6JynJXO7PcA="),
    ];

    fn vector() -> HeaderMap {
        VECTOR
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn now() -> Timestamp {
        Timestamp::from_unix_ms(1_795_341_605_000)
    }

    #[test]
    fn the_published_vector_verifies() {
        let position = verify(KEY, &vector(), BODY, now()).unwrap().unwrap();
        assert_eq!((position.stream.as_str(), position.sequence), ("str_7f3a9c", 1));
        assert!(check_entries(Some("1"), BODY).is_ok());
        assert!(check_entries(Some("2"), BODY).is_err());
    }

    #[test]
    fn every_header_of_the_vector_is_covered() {
        for (name, value) in VECTOR {
            // Another value of the same form, so that nothing but the signatures can notice.
            let changed = match value.chars().last().unwrap() {
                '0' => format!("{}1", &value[..value.len() - 1]),
                'Z' => value.replace("05.250", "05.251"),
                '=' => value.replace("BY", "CY"),
                digit if digit.is_ascii_digit() => format!("{}0", &value[..value.len() - 1]),
                _ => format!("{}0", &value[..value.len() - 1]),
            };
            assert_ne!(changed, value);
            let mut headers = vector();
            headers.insert(name, changed.parse().unwrap());
            assert!(verify(KEY, &headers, BODY, now()).is_err(), "{name} changed");
            headers.remove(name);
            assert!(verify(KEY, &headers, BODY, now()).is_err(), "{name} removed");
        }
        assert!(verify(b"another", &vector(), BODY, now()).is_err());
        assert!(verify(KEY, &vector(), &BODY[1..], now()).is_err());
    }

    #[test]
    fn an_attempt_may_be_five_minutes_off_and_rotation_sends_two_signatures() {
        for (offset_s, is_right) in [(300, true), (-300, true), (301, false), (-301, false)] {
            let now = Timestamp::from_unix_ms(now().unix_ms() + offset_s * 1000);
            assert_eq!(verify(KEY, &vector(), BODY, now).is_ok(), is_right, "{offset_s}");
        }
        let mut headers = vector();
        let both = format!("v1,AAAA {}", VECTOR[10].1);
        headers.insert("webhook-signature", both.parse().unwrap());
        assert!(verify(KEY, &headers, BODY, now()).is_ok());
    }

    #[test]
    fn the_base_contract_needs_the_body_signature_alone() {
        let mut headers = HeaderMap::new();
        headers.insert("x-audit-signature", VECTOR[0].1.parse().unwrap());
        assert_eq!(verify(KEY, &headers, BODY, now()), Ok(None));
        let upper = VECTOR[0].1.to_ascii_uppercase();
        headers.insert("x-audit-signature", upper.parse().unwrap());
        assert!(verify(KEY, &headers, BODY, now()).is_err());
    }
}
