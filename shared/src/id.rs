//! Identifiers as types of their own, so that a conversation cannot be passed where a message is meant.
//!
//! Every constructor checks; there is no way to hold an identifier that could not stand in a URL path.

use crate::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;

/// Why a text cannot be the identifier it was given as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {rule}")]
pub struct IdError {
    /// Which identifier was meant.
    pub what: &'static str,
    /// What it must look like.
    pub rule: &'static str,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub struct $name(String);

        impl $name {
            /// Takes `text` if it has the form of this identifier.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                let accepts: fn(&str) -> bool = $accepts;
                if accepts(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError { what: $what, rule: $rule })
                }
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(de::Error::custom)
            }
        }
    };
}

identifier!(
    /// One thing a person or program posted; made by the proxy, ordered by time.
    SubmissionId, "submission id", "a lower-case UUID", is_uuid
);
identifier!(
    /// One POST the platform is meant to receive; made by the proxy, ordered by time.
    MessageId, "message id", "a lower-case UUID", is_uuid
);
identifier!(
    /// A conversation on the platform.
    ConversationId, "conversation id",
    "a UUID such as a1b2c3d4-e5f6-7890-abcd-ef1234567890", is_uuid
);
identifier!(
    /// The identity of a submission, made where it was composed and reused by every repeat.
    Key, "Idempotency-Key", "1 to 255 visible ASCII characters without quotes",
    |text| (1..=255).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
);
identifier!(
    /// What the platform calls a message it took. Any text it may choose, within reason.
    PlatformId, "platform id", "1 to 256 visible ASCII characters",
    |text| (1..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
);
identifier!(
    /// The name of one platform organisation in the configuration.
    ConnectionName, "connection", "1 to 64 of a-z, 0-9, '-' and '_'",
    |text| (1..=64).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
);

impl ConversationId {
    /// The guide's own example, for documents and examples.
    pub fn example() -> Self {
        Self("a1b2c3d4-e5f6-7890-abcd-ef1234567890".to_owned())
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// A version 7 UUID (RFC 9562): 48 bits of time, so identifiers sort as they were made, and 74 random bits.
fn uuid_v7(now: Timestamp, random: [u8; 10]) -> String {
    let mut bytes = [0u8; 16];
    bytes[..6].copy_from_slice(&now.unix_ms().to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&random);
    bytes[6] = (bytes[6] & 0x0f) | 0x70;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

impl SubmissionId {
    /// A new identifier from the time and ten random bytes.
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        Self(uuid_v7(now, random))
    }
}

impl MessageId {
    /// A new identifier from the time and ten random bytes.
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        Self(uuid_v7(now, random))
    }
}

impl Key {
    /// A new key from the time and ten random bytes, as the page makes one for each submission.
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        Self(uuid_v7(now, random))
    }

    /// Reads an `Idempotency-Key` header: bare, or quoted as the IETF draft writes it.
    pub fn from_header(value: &str) -> Result<Self, IdError> {
        let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
        Self::parse(bare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn made_identifiers_parse_and_sort_by_time() {
        let early = MessageId::new(Timestamp::from_unix_ms(1_000), [0xff; 10]);
        let late = MessageId::new(Timestamp::from_unix_ms(1_001), [0; 10]);
        assert!(early < late);
        assert_eq!(MessageId::parse(early.as_str()), Ok(early));
    }

    #[test]
    fn a_conversation_id_cannot_leave_its_path_segment() {
        for text in [
            "../x",
            "",
            "                                    ",
            "a1b2c3d4-e5f6-7890-abcd-ef123456789/",
        ] {
            assert!(ConversationId::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn keys_are_read_bare_and_quoted() {
        assert_eq!(Key::from_header("\"k-1\""), Key::from_header("k-1"));
        for text in ["", "\"\"", "a b", "k\u{7f}", "\"k", &"k".repeat(256)] {
            assert!(Key::from_header(text).is_err(), "{text:?}");
        }
    }
}
