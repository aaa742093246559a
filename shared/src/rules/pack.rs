//! One channel's limits. Every limit carries where it comes from, because a finding has to say so.

use super::Dialect;
use crate::channel::Channel;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The files of the packs, in the order of [`Channel::KNOWN`].
pub(super) const SHIPPED: [&str; 8] = [
    include_str!("../../rules/sms.json"),
    include_str!("../../rules/email.json"),
    include_str!("../../rules/webmessaging.json"),
    include_str!("../../rules/whatsapp.json"),
    include_str!("../../rules/facebook.json"),
    include_str!("../../rules/instagram.json"),
    include_str!("../../rules/apple.json"),
    include_str!("../../rules/open.json"),
];

/// A value that is a rule, and where the rule comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Limit<T> {
    /// The value.
    pub value: T,
    /// A document and a place in it, or who set it.
    pub source: String,
}

/// What one channel takes on one dialect.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pack {
    /// The channel.
    pub channel: Channel,
    /// The dialect it is sent in.
    pub dialect: Dialect,
    /// Rises with every change of the shipped file.
    pub version: u32,
    /// What the channel is, in a sentence.
    pub about: String,
    /// Names everything else here: 16 hexadecimal digits.
    #[serde(default)]
    pub hash: String,
    /// Content types it carries.
    pub content_types: Limit<Vec<String>>,
    /// Roles whose holders may send.
    pub sender_roles: Limit<Vec<String>>,
    /// What a recipient's address looks like.
    pub recipient_form: Limit<AddressForm>,
    /// Most recipients of one payload.
    pub recipients_max: Limit<usize>,
    /// The longest text; `None` where only the limit of every payload holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextLimit>,
    /// How many parts a text may be cut into; only where a carrier cuts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<PartsLimit>,
    /// Most attachments of one payload.
    pub attachments_max: Limit<usize>,
    /// Most decoded bytes of all attachments together; where [`Pack::parts`] are counted, with the text.
    pub attachments_bytes_max: Limit<usize>,
    /// Media it carries. The first entry that fits a type holds; what fits none is not carried.
    pub media: Vec<Media>,
    /// Whether an attachment may be given by its address.
    pub urls: Limit<bool>,
    /// Characters a file name must not have, beside those no file name may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename_forbidden: Option<Limit<String>>,
    /// What the dialect makes of one payload.
    pub sending: Sending,
}

/// The form an address on a channel has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AddressForm {
    /// `+`, a country's code and a number of a length that country has (ITU-T E.164).
    Phone,
    /// `local@domain` as the HTML standard's e-mail field accepts it.
    Email,
    /// Any visible text of at most 320 characters.
    Opaque,
}

/// The longest text of a channel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TextLimit {
    /// How many of them.
    pub max: usize,
    /// What is counted.
    pub unit: TextUnit,
    /// Where it comes from.
    pub source: String,
}

/// What a text's length is counted in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TextUnit {
    /// Unicode characters as the platform's programs count them: UTF-16 units, so an emoji is two or more.
    Characters,
    /// Bytes of UTF-8.
    Bytes,
}

impl TextUnit {
    /// How long `text` is.
    pub fn count(self, text: &str) -> usize {
        match self {
            TextUnit::Characters => text.chars().map(char::len_utf16).sum(),
            TextUnit::Bytes => text.len(),
        }
    }

    /// The word for several of them.
    pub fn word(self) -> &'static str {
        match self {
            TextUnit::Characters => "characters",
            TextUnit::Bytes => "bytes",
        }
    }
}

/// How many parts a text may have.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PartsLimit {
    /// More than these are unusual: a warning.
    pub usual_max: usize,
    /// More than these are not carried.
    pub max: usize,
    /// Where it comes from.
    pub source: String,
}

/// Files of some types, and how large one of them may be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Media {
    /// MIME types, `image/*` or `*/*`; never more than [`super::FILE_TYPES`].
    pub types: Vec<String>,
    /// Most decoded bytes of one file.
    pub bytes_max: usize,
    /// Where it comes from.
    pub source: String,
}

/// What a dialect makes of one payload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sending {
    /// True where a text and each file are messages of their own.
    pub apart: bool,
    /// Whether recipients share a request.
    pub recipients: Recipients,
    /// Where it comes from.
    pub source: String,
}

/// How several recipients are reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Recipients {
    /// One request names them all.
    Together,
    /// One request for each.
    OneEach,
}

/// A shipped file: what holds on every dialect, and what each dialect adds to it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shipped {
    channel: Channel,
    version: u32,
    about: String,
    every: serde_json::Map<String, Value>,
    dialects: serde_json::Map<String, Value>,
}

impl Pack {
    /// Reads a shipped file for `dialect`; `None` where the dialect cannot carry the channel.
    pub(super) fn read(text: &str, dialect: Dialect) -> Result<Option<Pack>, serde_json::Error> {
        let shipped: Shipped = serde_json::from_str(text)?;
        let mut fields = shipped.every;
        match shipped.dialects.get(dialect.as_str()) {
            Some(Value::Object(more)) => fields.extend(more.clone()),
            Some(other) => return Err(serde::de::Error::custom(format!("{other} is no dialect"))),
            None => return Ok(None),
        }
        fields.insert("channel".into(), shipped.channel.as_str().into());
        fields.insert("dialect".into(), dialect.as_str().into());
        fields.insert("version".into(), shipped.version.into());
        fields.insert("about".into(), shipped.about.into());
        serde_json::from_value(Value::Object(fields)).map(Some)
    }

    /// The entry for files of `mime`, or `None` where the channel does not carry them.
    pub fn media(&self, mime: &str) -> Option<&Media> {
        self.media.iter().find(|media| media.types.iter().any(|pattern| fits(pattern, mime)))
    }

    /// True where the channel carries content of this type.
    pub fn carries(&self, content_type: &str) -> bool {
        self.content_types.value.iter().any(|one| one == content_type)
    }
}

/// True where `mime` is `pattern`, or of its kind (`image/*`), or `pattern` is `*/*`.
pub(super) fn fits(pattern: &str, mime: &str) -> bool {
    match pattern.strip_suffix("/*") {
        Some("*") => true,
        Some(kind) => mime.split_once('/').is_some_and(|(of, _)| of == kind),
        None => pattern == mime,
    }
}
