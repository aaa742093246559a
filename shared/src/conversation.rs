//! What is known of a conversation: its channel, who takes part and who of them may send.

use crate::channel::Channel;
use crate::id::ConversationId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A conversation as last read from the platform.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Conversation {
    /// Its identifier on the platform.
    pub id: ConversationId,
    /// The channel it runs on.
    pub channel: Channel,
    /// Everyone in it, in the platform's order.
    pub participants: Vec<Participant>,
    /// When it ended, if it did; nothing can be sent to it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When the proxy read it.
    pub read_at: Timestamp,
}

/// One party of a conversation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Participant {
    /// The platform's identifier of the participant, never an address.
    pub id: String,
    /// `agent`, `customer` or another word of the platform; may be empty.
    pub role: String,
    /// The address it speaks from (`from.id` in the guide contract).
    pub address: String,
}

/// The role whose holders may send (guide contract, "Reading a conversation").
pub const ROLE_AGENT: &str = "agent";
/// The role of the party messages are for.
pub const ROLE_CUSTOMER: &str = "customer";

impl Conversation {
    /// Addresses that may be used as the sender where agents send (the guide dialect), each once.
    pub fn senders(&self) -> Vec<&str> {
        self.addresses(&[ROLE_AGENT])
    }

    /// Addresses of the customers, each once: what a new message is most likely for.
    pub fn customers(&self) -> Vec<&str> {
        self.addresses(&[ROLE_CUSTOMER])
    }

    /// Addresses of whoever has one of these roles, each once, in the platform's order.
    pub fn addresses<R: AsRef<str>>(&self, roles: &[R]) -> Vec<&str> {
        let mut addresses: Vec<&str> = Vec::new();
        for participant in &self.participants {
            let is_meant = roles.iter().any(|role| role.as_ref() == participant.role);
            if is_meant && !addresses.contains(&participant.address.as_str()) {
                addresses.push(&participant.address);
            }
        }
        addresses
    }
}
