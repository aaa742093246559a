//! The bytes auditors get: entries with a fixed order of keys, a batch body, and the text a chain link signs.
//!
//! Nothing here knows a key: the proxy signs these bytes. An entry is encoded once, when it is stored, so no
//! later change of code or field can break a batch that already holds it.

pub mod verify;

use crate::delivery::{Delivery, Ending};
use crate::sla::Verdict;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Most entries in a batch.
pub const ENTRIES_MAX: usize = 50;
/// Largest body of a batch in bytes.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// The `X-Audit-Previous` of the first batch of a stream.
pub const FIRST_PREVIOUS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One line of the audit: what became of one message for one recipient. Field order is the order on the
/// wire (base contract, "Audit").
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// When it happened, never when it was shipped.
    pub timestamp: Timestamp,
    /// The platform's id of the message, ours where the platform never took it.
    pub message_id: String,
    /// Who sent it.
    pub sender: String,
    /// Whom it was for; one entry per recipient.
    pub receiver: String,
    /// How it ended: the word of [`crate::delivery::Ending`].
    pub status: String,
    /// Time to delivery in seconds; without a receipt, from acceptance to the ending.
    pub elapsed_seconds: f64,
    /// Whether the SLA was broken.
    pub sla_violation: bool,
}

/// An entry that would break a batch: its number is not finite or negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("elapsed_seconds must be a finite number of at least 0")]
pub struct EntryError;

impl AuditEntry {
    /// The entry's JSON, checked; these bytes are stored and later placed in a batch unchanged.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EntryError> {
        if !self.elapsed_seconds.is_finite() || self.elapsed_seconds < 0.0 {
            return Err(EntryError);
        }
        serde_json::to_vec(self).map_err(|_| EntryError)
    }
}

/// The entries an ending calls for: one per recipient. `message_id` names the message where the platform
/// gave it no id of its own.
pub fn entries(
    delivery: &Delivery,
    ending: Ending,
    message_id: &str,
    sender: &str,
    recipients: &[String],
    now: Timestamp,
) -> Vec<AuditEntry> {
    let judgement = delivery.judgement();
    let waited_ms = || u64::try_from(now.ms_since(delivery.accepted_at)).unwrap_or(0);
    let elapsed_ms = judgement.elapsed_ms.unwrap_or_else(waited_ms);
    let message_id = delivery.platform_id.as_ref().map_or(message_id, |id| id.as_str());
    recipients
        .iter()
        .map(|receiver| AuditEntry {
            timestamp: now,
            message_id: message_id.to_owned(),
            sender: sender.to_owned(),
            receiver: receiver.clone(),
            status: ending.as_str().to_owned(),
            elapsed_seconds: seconds(elapsed_ms),
            sla_violation: judgement.verdict == Verdict::Breached,
        })
        .collect()
}

/// Milliseconds as seconds, exact to the millisecond.
#[expect(clippy::cast_precision_loss, reason = "2^53 ms are 285,000 years")]
pub fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// A batch body from entries already encoded: a JSON array, nothing between the entries but commas.
pub fn batch_body<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut body = vec![b'['];
    for entry in entries {
        if body.len() > 1 {
            body.push(b',');
        }
        body.extend_from_slice(entry);
    }
    body.push(b']');
    body
}

/// What a chain link signs over, beside the key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link<'a> {
    /// The stream's name.
    pub stream: &'a str,
    /// Position in the stream, from 1.
    pub sequence: u64,
    /// Which key signed.
    pub key_id: &'a str,
    /// When the batch was sealed.
    pub sealed_at: Timestamp,
    /// Entries in the body.
    pub count: usize,
    /// Lower-case hex SHA-256 of the body.
    pub body_sha256: &'a str,
    /// The previous batch's chain value, or [`FIRST_PREVIOUS`].
    pub previous: &'a str,
}

/// The text the chain value is the HMAC of: eight lines joined by LF, no final LF.
pub fn chain_text(link: &Link) -> String {
    format!(
        "audit-chain-v1\n{}\n{}\n{}\n{}\n{}\n{}\n{}",
        link.stream,
        link.sequence,
        link.key_id,
        link.sealed_at,
        link.count,
        link.body_sha256,
        link.previous,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn entry() -> AuditEntry {
        AuditEntry {
            timestamp: Timestamp::parse("2026-11-22T10:00:00.250Z").unwrap(),
            message_id: "m-1".into(),
            sender: "agent@genesys.cloud".into(),
            receiver: "customer@example.com".into(),
            status: "delivered".into(),
            elapsed_seconds: 1.5,
            sla_violation: false,
        }
    }

    /// The body of the published test vector, byte for byte.
    #[test]
    fn a_batch_of_one_is_the_vectors_body() {
        let bytes = entry().to_bytes().unwrap();
        let body = batch_body([bytes.as_slice()]);
        let expected = r#"[{"timestamp":"2026-11-22T10:00:00.250Z","message_id":"m-1","sender":"agent@genesys.cloud","receiver":"customer@example.com","status":"delivered","elapsed_seconds":1.5,"sla_violation":false}]"#;
        assert_eq!(String::from_utf8(body).unwrap(), expected);
        assert_eq!(expected.len(), 191);
    }

    #[test]
    fn chain_text_has_eight_lines_and_no_last_break() {
        let text = chain_text(&Link {
            stream: "str_7f3a9c",
            sequence: 1,
            key_id: "k1",
            sealed_at: Timestamp::parse("2026-11-22T10:00:05.250Z").unwrap(),
            count: 1,
            body_sha256: "ab",
            previous: FIRST_PREVIOUS,
        });
        assert_eq!(
            text,
            format!(
                "audit-chain-v1\nstr_7f3a9c\n1\nk1\n2026-11-22T10:00:05.250Z\n1\nab\n{FIRST_PREVIOUS}"
            )
        );
    }

    #[test]
    fn a_number_that_json_cannot_hold_is_refused() {
        for elapsed_seconds in [f64::NAN, f64::INFINITY, -0.1] {
            assert_eq!(AuditEntry { elapsed_seconds, ..entry() }.to_bytes(), Err(EntryError));
        }
    }

    #[test]
    fn an_empty_batch_and_awkward_names_stay_json() {
        assert_eq!(batch_body([]), b"[]");
        let odd = AuditEntry { receiver: "a\"b\u{2028}\\".into(), ..entry() }.to_bytes().unwrap();
        let body = batch_body([odd.as_slice(), odd.as_slice()]);
        let parsed: Vec<AuditEntry> = serde_json::from_slice(&body).unwrap();
        assert_eq!(parsed[1].receiver, "a\"b\u{2028}\\");
    }
}
