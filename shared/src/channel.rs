//! Channels by name. What each of them takes is in its pack ([`crate::rules`]).
//!
//! An unknown channel is a value of its own here, never a default: no pack has rules for it and therefore
//! nothing may be sent on it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// How a conversation reaches the customer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Channel {
    /// Short messages to a phone number.
    Sms,
    /// E-mail.
    Email,
    /// The messenger on a web site.
    Webmessaging,
    /// WhatsApp.
    Whatsapp,
    /// Facebook Messenger.
    Facebook,
    /// Instagram direct messages.
    Instagram,
    /// Apple Messages for Business.
    Apple,
    /// An open messaging integration.
    Open,
    /// A name the rules do not know; refused with this name in the finding.
    Unknown(String),
}

impl Channel {
    /// Every channel that has rules.
    pub const KNOWN: [Channel; 8] = [
        Channel::Sms,
        Channel::Email,
        Channel::Webmessaging,
        Channel::Whatsapp,
        Channel::Facebook,
        Channel::Instagram,
        Channel::Apple,
        Channel::Open,
    ];

    /// Reads the platform's name for a channel, case aside.
    pub fn parse(name: &str) -> Self {
        let lower = name.to_ascii_lowercase();
        let known = Channel::KNOWN.into_iter().find(|one| one.as_str() == lower);
        known.unwrap_or_else(|| Channel::Unknown(lower.chars().take(40).collect()))
    }

    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Channel::Sms => "sms",
            Channel::Email => "email",
            Channel::Webmessaging => "webmessaging",
            Channel::Whatsapp => "whatsapp",
            Channel::Facebook => "facebook",
            Channel::Instagram => "instagram",
            Channel::Apple => "apple",
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
            Channel::Facebook => "Facebook Messenger",
            Channel::Instagram => "Instagram",
            Channel::Apple => "Apple Messages",
            Channel::Open => "Open messaging",
            Channel::Unknown(name) => name,
        }
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
