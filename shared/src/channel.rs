//! Channels and the rules each one has: the rule pack of the guide dialect.
//!
//! An unknown channel is a value of its own here, never a default: it has no rules and therefore nothing
//! may be sent on it.

use crate::payload::{APPLICATION_JSON, TEXT_HTML, TEXT_PLAIN};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// How a conversation reaches the customer.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Channel {
    /// Short messages to a phone number.
    Sms,
    /// E-mail.
    Email,
    /// The messenger on a web site.
    Webmessaging,
    /// WhatsApp.
    Whatsapp,
    /// An open messaging integration.
    Open,
    /// A name the rules do not know; refused with this name in the finding.
    Unknown(String),
}

/// The form an address on a channel has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressForm {
    /// `+` and 7 to 15 digits (ITU-T E.164).
    Phone,
    /// `local@domain` as the HTML standard's e-mail field accepts it.
    Email,
    /// Any visible text of at most 320 characters.
    Opaque,
}

/// What one channel takes. Sources: the guide contract, "Reading a conversation" and "Message payload".
#[derive(Clone, PartialEq, Debug)]
pub struct ChannelRules {
    /// Content types the channel carries.
    pub content_types: &'static [&'static str],
    /// The form of sender and recipients.
    pub address_form: AddressForm,
    /// Largest attachment in decoded bytes.
    pub attachment_bytes_max: usize,
}

/// 1 MiB of decoded bytes: the guide's limit for an SMS attachment.
pub const SMS_ATTACHMENT_BYTES_MAX: usize = 1024 * 1024;
/// 5 MiB of decoded bytes: what fits into a request of 8 MiB as base64 with room for the rest.
pub const ATTACHMENT_BYTES_MAX: usize = 5 * 1024 * 1024;

const ALL_TYPES: &[&str] = &[TEXT_PLAIN, TEXT_HTML, APPLICATION_JSON];
const NO_HTML: &[&str] = &[TEXT_PLAIN, APPLICATION_JSON];

impl Channel {
    /// Every channel that has rules.
    pub const KNOWN: [Channel; 5] =
        [Channel::Sms, Channel::Email, Channel::Webmessaging, Channel::Whatsapp, Channel::Open];

    /// Reads the platform's name for a channel, case aside.
    pub fn parse(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "sms" => Channel::Sms,
            "email" => Channel::Email,
            "webmessaging" => Channel::Webmessaging,
            "whatsapp" => Channel::Whatsapp,
            "open" => Channel::Open,
            other => Channel::Unknown(other.chars().take(40).collect()),
        }
    }

    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Channel::Sms => "sms",
            Channel::Email => "email",
            Channel::Webmessaging => "webmessaging",
            Channel::Whatsapp => "whatsapp",
            Channel::Open => "open",
            Channel::Unknown(name) => name,
        }
    }

    /// The name a person reads.
    pub fn label(&self) -> &str {
        match self {
            Channel::Sms => "SMS",
            Channel::Email => "E-mail",
            Channel::Webmessaging => "Web messaging",
            Channel::Whatsapp => "WhatsApp",
            Channel::Open => "Open messaging",
            Channel::Unknown(name) => name,
        }
    }

    /// The channel's rules, or `None` where nothing may be sent because none are known.
    pub fn rules(&self) -> Option<ChannelRules> {
        let rules = match self {
            Channel::Sms => ChannelRules {
                content_types: NO_HTML,
                address_form: AddressForm::Phone,
                attachment_bytes_max: SMS_ATTACHMENT_BYTES_MAX,
            },
            Channel::Whatsapp => ChannelRules {
                content_types: ALL_TYPES,
                address_form: AddressForm::Phone,
                attachment_bytes_max: ATTACHMENT_BYTES_MAX,
            },
            Channel::Email => ChannelRules {
                content_types: ALL_TYPES,
                address_form: AddressForm::Email,
                attachment_bytes_max: ATTACHMENT_BYTES_MAX,
            },
            Channel::Webmessaging | Channel::Open => ChannelRules {
                content_types: ALL_TYPES,
                address_form: AddressForm::Opaque,
                attachment_bytes_max: ATTACHMENT_BYTES_MAX,
            },
            Channel::Unknown(_) => return None,
        };
        Some(rules)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Channel {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Channel {}

impl Serialize for Channel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Channel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Channel::parse(&name))
    }
}

/// A file type a message may carry: MIME type, extensions, and the bytes a file of it starts with.
pub struct FileType {
    /// MIME type as the payload names it.
    pub mime: &'static str,
    /// Extensions that agree with it, lower case, the usual one first.
    pub extensions: &'static [&'static str],
    /// Possible beginnings of such a file; empty where the type has no fixed beginning.
    pub signatures: &'static [&'static [u8]],
}

/// The one allow-list of attachment types.
pub const FILE_TYPES: &[FileType] = &[
    FileType { mime: "application/pdf", extensions: &["pdf"], signatures: &[b"%PDF-"] },
    FileType { mime: "image/png", extensions: &["png"], signatures: &[b"\x89PNG\r\n\x1a\n"] },
    FileType { mime: "image/jpeg", extensions: &["jpg", "jpeg"], signatures: &[b"\xff\xd8\xff"] },
    FileType { mime: "image/gif", extensions: &["gif"], signatures: &[b"GIF87a", b"GIF89a"] },
    FileType { mime: "image/webp", extensions: &["webp"], signatures: &[b"RIFF"] },
    FileType { mime: "text/plain", extensions: &["txt"], signatures: &[] },
    FileType { mime: "text/csv", extensions: &["csv"], signatures: &[] },
    FileType {
        mime: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        extensions: &["docx"],
        signatures: &[b"PK\x03\x04"],
    },
    FileType {
        mime: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        extensions: &["xlsx"],
        signatures: &[b"PK\x03\x04"],
    },
];

/// The allow-list entry for a MIME type written in lower case.
pub fn file_type(mime: &str) -> Option<&'static FileType> {
    FILE_TYPES.iter().find(|known| known.mime == mime)
}
