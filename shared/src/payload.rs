//! What is to be said: the guide contract's message payload.
//!
//! The types hold what was written, right or wrong; judging it is [`crate::validate`]'s job, so that a
//! half-typed form has the same type as a finished one.

use crate::json::{self, DecodeError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Plain text content.
pub const TEXT_PLAIN: &str = "text/plain";
/// HTML content.
pub const TEXT_HTML: &str = "text/html";
/// Any JSON value as content.
pub const APPLICATION_JSON: &str = "application/json";

/// A message as the platform of the guide dialect takes it. Field order here is the order on the wire.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Payload {
    /// The sender: the address of an agent in the conversation.
    pub from: String,
    /// The recipients, at least one.
    pub to: Vec<String>,
    /// Content type: `text/plain`, `text/html` or `application/json`.
    #[serde(rename = "type")]
    pub content_type: String,
    /// A string for the text types, any JSON value for `application/json`.
    #[serde(deserialize_with = "json::strict_value")]
    pub content: Value,
    /// Files that travel with it; left out on the wire when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
}

/// One file, by value or by address: exactly one of `content` and `url`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attachment {
    /// MIME type; must agree with the file name's extension.
    #[serde(rename = "type")]
    pub content_type: String,
    /// File name shown to the recipient.
    pub filename: String,
    /// The bytes in base64 (RFC 4648 §4, with padding).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Where the platform fetches the file; https only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

json::objects_only! {
    Payload: "an object with from, to, type and content",
    Attachment: "an object with type, filename and content or url",
}

impl Payload {
    /// Reads a payload strictly; see [`json::decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        json::decode(bytes)
    }

    /// The bytes that are stored once and sent by every attempt.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Strings, lists and finite numbers only: nothing here can fail to encode.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The content as text, where it is text.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Value::String(text) if self.content_type != APPLICATION_JSON => Some(text),
            _ => None,
        }
    }

    /// The first line of what is said, cut to `chars_max` characters, for a list.
    pub fn preview(&self, chars_max: usize) -> String {
        let whole = match self.text() {
            Some(text) if self.content_type == TEXT_HTML => strip_tags(text),
            Some(text) => text.to_owned(),
            None => self.content.to_string(),
        };
        let line = whole.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        if line.chars().count() <= chars_max {
            line.to_owned()
        } else {
            line.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
        }
    }
}

/// Words of an HTML text for a one-line preview. Never used to make HTML safe: the result is shown as text.
fn strip_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut in_tag = false;
    for character in html.chars() {
        match character {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                text.push(' ');
            }
            _ if !in_tag => text.push(character),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const EXAMPLE: &str = r#"{"from":"agent@genesys.cloud","to":["customer@example.com"],"type":"text/html","content":"<p>Order confirmation received.</p>","attachments":[{"type":"application/pdf","filename":"invoice.pdf","url":"https://cdn.example.com/docs/inv-8821.pdf"}]}"#;

    #[test]
    fn the_guides_example_survives_byte_for_byte() {
        let payload = Payload::decode(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(payload.to_bytes()).unwrap(), EXAMPLE);
        assert_eq!(payload.preview(80), "Order confirmation received.");
    }

    #[test]
    fn json_content_keeps_its_order_and_numbers() {
        let text = r#"{"from":"a","to":["b"],"type":"application/json","content":{"z":0.1,"a":[1,-2,3e-7,18446744073709551615]}}"#;
        let payload = Payload::decode(text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(payload.to_bytes()).unwrap(), text);
    }

    #[test]
    fn previews_are_one_line_and_bounded() {
        let payload = Payload {
            content_type: TEXT_PLAIN.into(),
            content: "\n  Hello  \nsecond".into(),
            ..Payload::default()
        };
        assert_eq!(payload.preview(80), "Hello");
        assert_eq!(payload.preview(4), "Hel…");
    }
}
