//! An auditor's own check of audit batches, written from the contract and sharing no code with the signer:
//! body signature, attempt signature, chain value, sequence, links and counts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A batch as a sink got it: headers by lower-case name, and the body.
#[derive(Clone, Debug)]
pub struct Batch {
    headers: Value,
    body: String,
}

impl Batch {
    /// A batch from a JSON object with `headers` and `body`.
    pub fn read(value: &Value) -> Self {
        let body = value["body"].as_str().expect("a batch has a body").to_owned();
        Self { headers: value["headers"].clone(), body }
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .as_object()
            .and_then(|all| all.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)))
            .and_then(|(_, value)| value.as_str())
            .unwrap_or_else(|| panic!("the batch has no {name}: {}", self.headers))
    }

    /// Its entries.
    pub fn entries(&self) -> Vec<Value> {
        serde_json::from_str(&self.body).expect("a body is a JSON array")
    }

    /// The headers that are fixed when a batch is sealed, and the body: what must never change.
    pub fn sealed(&self) -> (Vec<String>, String) {
        let names = [
            "signature",
            "stream",
            "sequence",
            "key-id",
            "sealed-at",
            "count",
            "previous",
            "chain",
        ];
        let values = names.iter().map(|name| self.header(&format!("x-audit-{name}")).to_owned());
        (values.collect(), self.body.clone())
    }
}

/// Checks one stream's batches in the order given, from its beginning, and returns its entries.
#[track_caller]
pub fn verify(secret: &str, batches: &[Batch]) -> Vec<Value> {
    let (entries, streams) = verify_streams(secret, batches);
    assert!(streams <= 1, "{streams} streams");
    entries
}

/// The same of batches among which new streams may begin, each with the last batch the sink took as its previous one.
/// Returns the entries and how many streams there are.
#[track_caller]
pub fn verify_streams(secret: &str, batches: &[Batch]) -> (Vec<Value>, usize) {
    let mut previous = "0".repeat(64);
    let mut entries = Vec::new();
    let (mut stream, mut streams, mut sequence) = ("", 0, 0);
    for batch in batches {
        verify_batch(secret, batch);
        sequence += 1;
        if batch.header("x-audit-stream") != stream {
            (stream, sequence) = (batch.header("x-audit-stream"), 1);
            streams += 1;
        }
        assert_eq!(
            batch.header("x-audit-sequence"),
            format!("{sequence}"),
            "a gap or another order"
        );
        assert_eq!(batch.header("x-audit-previous"), previous, "batch {sequence} breaks the chain");
        batch.header("x-audit-chain").clone_into(&mut previous);
        entries.extend(batch.entries());
    }
    (entries, streams)
}

/// Checks what can be checked of one batch alone.
#[track_caller]
pub fn verify_batch(secret: &str, batch: &Batch) {
    let body = batch.body.as_bytes();
    assert_eq!(batch.header("x-audit-signature"), hex_hmac(secret, body), "the body signature");
    let count = batch.header("x-audit-count");
    assert_eq!(count, batch.entries().len().to_string(), "the count");
    let lines = [
        "audit-chain-v1",
        batch.header("x-audit-stream"),
        batch.header("x-audit-sequence"),
        batch.header("x-audit-key-id"),
        batch.header("x-audit-sealed-at"),
        count,
        &hex::encode(Sha256::digest(body)),
        batch.header("x-audit-previous"),
    ];
    let chain = hex_hmac(secret, lines.join("\n").as_bytes());
    assert_eq!(batch.header("x-audit-chain"), chain, "the chain value");
    for entry in batch.entries() {
        verify_entry(&entry);
    }
}

/// Checks the signature of the one attempt that brought a batch (a sealed batch alone has none).
#[track_caller]
pub fn verify_attempt(secret: &str, batch: &Batch) {
    let id = format!("{}-{}", batch.header("x-audit-stream"), batch.header("x-audit-sequence"));
    assert_eq!(batch.header("webhook-id"), id);
    let mut signed = format!("{id}.{}.", batch.header("webhook-timestamp")).into_bytes();
    signed.extend_from_slice(batch.body.as_bytes());
    let expected = format!("v1,{}", STANDARD.encode(hmac(secret, &signed)));
    let mut given = batch.header("webhook-signature").split(' ');
    assert!(given.any(|one| one == expected), "the attempt's signature");
}

/// An entry has the contract's seven fields in its order, and values that make sense.
#[track_caller]
fn verify_entry(entry: &Value) {
    const FIELDS: [&str; 7] = [
        "timestamp",
        "message_id",
        "sender",
        "receiver",
        "status",
        "elapsed_seconds",
        "sla_violation",
    ];
    let object = entry.as_object().expect("an entry is an object");
    assert!(object.keys().eq(FIELDS), "the fields of {entry}");
    assert!(entry["timestamp"].as_str().is_some_and(|text| text.ends_with('Z')), "{entry}");
    assert!(entry["elapsed_seconds"].as_f64().is_some_and(|seconds| seconds >= 0.0), "{entry}");
    assert!(entry["sla_violation"].is_boolean(), "{entry}");
}

fn hex_hmac(secret: &str, message: &[u8]) -> String {
    hex::encode(hmac(secret, message))
}

fn hmac(secret: &str, message: &[u8]) -> Vec<u8> {
    let mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length is taken");
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SECRET: &str = "audit-secret-0123456789abcdef-0123456789";

    /// The published test vector.
    fn vector() -> Batch {
        Batch::read(&json!({
            "headers": {
                "x-audit-signature": "c800f5dba7a5125163d3267ed299ce8804c36586a0d2c7d8721b99c5a77539ec",
                "x-audit-stream": "str_7f3a9c",
                "x-audit-sequence": "1",
                "x-audit-key-id": "k1",
                "x-audit-sealed-at": "2026-11-22T10:00:05.250Z",
                "x-audit-count": "1",
                "x-audit-previous": "0".repeat(64),
                "x-audit-chain": "5ca2683ffc951a0757ea254b74573eb347ca239f972b298a5ef0442d7d9134b2",
                "webhook-id": "str_7f3a9c-1",
                "webhook-timestamp": "1795341605",
                "webhook-signature": "v1,BYo1CFm5Hn/13vkRWGYLRXK24kgL7d/u6JynJXO7PcA=",
            },
            "body": r#"[{"timestamp":"2026-11-22T10:00:00.250Z","message_id":"m-1","sender":"agent@genesys.cloud","receiver":"customer@example.com","status":"delivered","elapsed_seconds":1.5,"sla_violation":false}]"#,
        }))
    }

    #[test]
    fn the_published_vector_verifies() {
        assert_eq!(verify(SECRET, &[vector()]).len(), 1);
        verify_attempt(SECRET, &vector());
    }

    #[test]
    fn a_changed_header_or_body_does_not() {
        let names = ["signature", "sequence", "key-id", "sealed-at", "count", "previous", "chain"];
        for name in names {
            let mut changed = vector();
            changed.headers[format!("x-audit-{name}")] = json!("7");
            let refused = std::panic::catch_unwind(|| verify(SECRET, &[changed]));
            assert!(refused.is_err(), "{name} changed");
        }
        let mut changed = vector();
        changed.body = changed.body.replace("1.5", "1.4");
        assert!(std::panic::catch_unwind(|| verify(SECRET, &[changed])).is_err());
        assert!(std::panic::catch_unwind(|| verify("another", &[vector()])).is_err());
    }
}
