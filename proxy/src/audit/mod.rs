//! Audit batches as they are made: sealed, signed with HMAC-SHA256, and with the headers they travel with
//! ([`sealed_headers`]). [`Keyring`] is the other side: it checks what was signed.
//!
//! Two keys at most are in use. One signs bodies and chain values; the one before it, while a receiver may
//! still know only that, signs each attempt beside it. A batch keeps the key it was sealed under for ever,
//! so a change of keys is one sequence, visible in the key id and covered by the chain.

use crate::store::{ShippableBatch, Signer};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use shared::api::ExportedBatch;
use shared::audit::verify::Keys;
use shared::audit::{self, Link, chain_text};
use shared::time::Timestamp;
use std::collections::BTreeMap;

/// HMAC takes a key of any length, so this is `Some`; the type still says it could fail.
fn mac_of(secret: &SecretString) -> Option<Hmac<Sha256>> {
    Hmac::new_from_slice(secret.expose_secret().as_bytes()).ok()
}

fn hex_mac(mac: &Hmac<Sha256>, bytes: &[u8]) -> String {
    let mut mac = mac.clone();
    mac.update(bytes);
    hex::encode(mac.finalize().into_bytes())
}

/// True for a text that may name a key: 1 to 64 of A-Z a-z 0-9 _ -
pub fn is_key_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Signs with one secret, whose bytes are the key as they are, and each attempt with the one before it too.
pub struct HmacSigner {
    key_id: String,
    mac: Hmac<Sha256>,
    previous: Option<Hmac<Sha256>>,
}

impl HmacSigner {
    /// A signer whose key is called `key_id`.
    pub fn new(key_id: String, secret: &SecretString) -> Option<Self> {
        Some(Self { key_id, mac: mac_of(secret)?, previous: None })
    }

    /// The same signer, with the key that signed before it: attempts carry both signatures.
    #[must_use]
    pub fn with_previous(mut self, secret: Option<&SecretString>) -> Self {
        self.previous = secret.and_then(mac_of);
        self
    }

    /// The value of `webhook-signature` (Standard Webhooks, symmetric) for one attempt; two of them, the
    /// newer key's first, while keys are being changed.
    pub fn webhook_signature(&self, id: &str, unix_seconds: i64, body: &[u8]) -> String {
        let sign = |mac: &Hmac<Sha256>| {
            let mut mac = mac.clone();
            mac.update(format!("{id}.{unix_seconds}.").as_bytes());
            mac.update(body);
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        };
        let signatures: Vec<String> =
            std::iter::once(&self.mac).chain(&self.previous).map(sign).collect();
        signatures.join(" ")
    }
}

impl Signer for HmacSigner {
    fn key_id(&self) -> &str {
        &self.key_id
    }

    fn sign(&self, bytes: &[u8]) -> String {
        hex_mac(&self.mac, bytes)
    }
}

/// The secrets an auditor was given, by key id.
#[derive(Default)]
pub struct Keyring {
    named: BTreeMap<String, Hmac<Sha256>>,
    any: Option<Hmac<Sha256>>,
}

impl Keyring {
    /// Adds the secret of the key called `key_id`; without a name, of every key that has no other.
    pub fn add(&mut self, key_id: Option<String>, secret: &SecretString) {
        let mac = mac_of(secret);
        match (key_id, mac) {
            (Some(key_id), Some(mac)) => {
                self.named.insert(key_id, mac);
            }
            (None, mac) => self.any = mac,
            (Some(_), None) => {}
        }
    }
}

impl Keys for Keyring {
    fn sha256(&self, bytes: &[u8]) -> String {
        hex::encode(Sha256::digest(bytes))
    }

    fn sign(&self, key_id: &str, bytes: &[u8]) -> Option<String> {
        self.named.get(key_id).or(self.any.as_ref()).map(|mac| hex_mac(mac, bytes))
    }
}

/// Where a batch stands.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The stream.
    pub stream: &'a str,
    /// Its place in it, from 1.
    pub sequence: u64,
    /// The chain value before it.
    pub previous: &'a str,
}

/// What sealing makes of entries: everything that is fixed from then on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// The exact body.
    pub body: Vec<u8>,
    /// `X-Audit-Signature`.
    pub signature: String,
    /// `X-Audit-Chain`.
    pub chain: String,
}

/// Seals entries, already encoded, at their place.
pub fn seal<'a>(
    signer: &dyn Signer,
    place: Place,
    entries: impl ExactSizeIterator<Item = &'a [u8]>,
    now: Timestamp,
) -> Sealed {
    let count = entries.len();
    let body = audit::batch_body(entries);
    let text = chain_text(&Link {
        stream: place.stream,
        sequence: place.sequence,
        key_id: signer.key_id(),
        sealed_at: now,
        count,
        body_sha256: &hex::encode(Sha256::digest(&body)),
        previous: place.previous,
    });
    Sealed { signature: signer.sign(&body), chain: signer.sign(text.as_bytes()), body }
}

/// A batch as it is exported.
pub fn exported(shippable: &ShippableBatch) -> ExportedBatch {
    ExportedBatch {
        headers: sealed_headers(shippable),
        // Entries are JSON, so this loses nothing.
        body: String::from_utf8_lossy(&shippable.body).into_owned(),
        acknowledged_at: shippable.batch.acknowledged_at,
    }
}

/// `webhook-id`: the same on every attempt.
pub fn webhook_id(shippable: &ShippableBatch) -> String {
    format!("{}-{}", shippable.batch.stream, shippable.batch.sequence)
}

/// The headers fixed when the batch was sealed.
pub fn sealed_headers(shippable: &ShippableBatch) -> BTreeMap<String, String> {
    let batch = &shippable.batch;
    BTreeMap::from([
        ("x-audit-signature".into(), batch.signature.clone()),
        ("x-audit-stream".into(), batch.stream.clone()),
        ("x-audit-sequence".into(), batch.sequence.to_string()),
        ("x-audit-key-id".into(), batch.key_id.clone()),
        ("x-audit-sealed-at".into(), batch.sealed_at.to_string()),
        ("x-audit-count".into(), batch.count.to_string()),
        ("x-audit-previous".into(), shippable.previous.clone()),
        ("x-audit-chain".into(), batch.chain.clone()),
        ("webhook-id".into(), webhook_id(shippable)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::audit::FIRST_PREVIOUS;

    /// The published vector: secret, body and the three values they give.
    #[test]
    fn signs_the_published_vector() {
        let secret = SecretString::from("audit-secret-0123456789abcdef-0123456789");
        let signer = HmacSigner::new("k1".into(), &secret).unwrap();
        let body = br#"[{"timestamp":"2026-11-22T10:00:00.250Z","message_id":"m-1","sender":"agent@genesys.cloud","receiver":"customer@example.com","status":"delivered","elapsed_seconds":1.5,"sla_violation":false}]"#;
        let place = Place { stream: "str_7f3a9c", sequence: 1, previous: FIRST_PREVIOUS };
        let entries = [&body[1..body.len() - 1]];
        let now = Timestamp::parse("2026-11-22T10:00:05.250Z").unwrap();
        let sealed = seal(&signer, place, entries.into_iter(), now);
        assert_eq!(sealed.body, body);
        assert_eq!(
            sealed.signature,
            "c800f5dba7a5125163d3267ed299ce8804c36586a0d2c7d8721b99c5a77539ec"
        );
        assert_eq!(
            sealed.chain,
            "5ca2683ffc951a0757ea254b74573eb347ca239f972b298a5ef0442d7d9134b2"
        );
        let webhook = "v1,BYo1CFm5Hn/13vkRWGYLRXK24kgL7d/u6JynJXO7PcA=";
        assert_eq!(signer.webhook_signature("str_7f3a9c-1", 1_795_341_605, body), webhook);
        let newer = SecretString::from("another-secret-0123456789abcdef-01234567");
        let both = HmacSigner::new("k2".into(), &newer).unwrap().with_previous(Some(&secret));
        let list = both.webhook_signature("str_7f3a9c-1", 1_795_341_605, body);
        assert_eq!(list.split(' ').count(), 2);
        assert!(list.ends_with(webhook), "{list}");
    }
}
