//! Signing and shipping form of audit batches: HMAC-SHA256 and the headers a batch travels with (§4.2).

use crate::store::{ShippableBatch, Signer};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use std::collections::BTreeMap;

/// Signs with one secret. Its bytes are the key as they are.
pub struct HmacSigner {
    key_id: String,
    mac: Hmac<Sha256>,
}

impl HmacSigner {
    /// A signer whose key is called `key_id`.
    pub fn new(key_id: String, secret: &SecretString) -> Option<Self> {
        // HMAC takes a key of any length, so this is `Some`; the type still says it could fail.
        let mac = Hmac::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
        Some(Self { key_id, mac })
    }

    /// The value of `webhook-signature` (Standard Webhooks, symmetric) for one attempt.
    pub fn webhook_signature(&self, id: &str, unix_seconds: i64, body: &[u8]) -> String {
        let mut mac = self.mac.clone();
        mac.update(format!("{id}.{unix_seconds}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl Signer for HmacSigner {
    fn key_id(&self) -> &str {
        &self.key_id
    }

    fn sign(&self, bytes: &[u8]) -> String {
        let mut mac = self.mac.clone();
        mac.update(bytes);
        hex::encode(mac.finalize().into_bytes())
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
    use sha2::Digest;
    use shared::audit::{FIRST_PREVIOUS, Link, chain_text};
    use shared::time::Timestamp;

    /// The published vector: secret, body and the three values they give.
    #[test]
    fn signs_the_published_vector() {
        let secret = SecretString::from("audit-secret-0123456789abcdef-0123456789");
        let signer = HmacSigner::new("k1".into(), &secret).unwrap();
        let body = br#"[{"timestamp":"2026-11-22T10:00:00.250Z","message_id":"m-1","sender":"agent@genesys.cloud","receiver":"customer@example.com","status":"delivered","elapsed_seconds":1.5,"sla_violation":false}]"#;
        assert_eq!(
            signer.sign(body),
            "c800f5dba7a5125163d3267ed299ce8804c36586a0d2c7d8721b99c5a77539ec"
        );
        let chain = chain_text(&Link {
            stream: "str_7f3a9c",
            sequence: 1,
            key_id: "k1",
            sealed_at: Timestamp::parse("2026-11-22T10:00:05.250Z").unwrap(),
            count: 1,
            body_sha256: &hex::encode(Sha256::digest(body)),
            previous: FIRST_PREVIOUS,
        });
        assert_eq!(
            signer.sign(chain.as_bytes()),
            "5ca2683ffc951a0757ea254b74573eb347ca239f972b298a5ef0442d7d9134b2"
        );
        assert_eq!(
            signer.webhook_signature("str_7f3a9c-1", 1_795_341_605, body),
            "v1,BYo1CFm5Hn/13vkRWGYLRXK24kgL7d/u6JynJXO7PcA="
        );
    }
}
