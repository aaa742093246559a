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
    /// Addresses that may be used as the sender: agents, each address once.
    pub fn senders(&self) -> Vec<&str> {
        let mut senders: Vec<&str> = Vec::new();
        for participant in self.participants.iter().filter(|one| one.role == ROLE_AGENT) {
            if !senders.contains(&participant.address.as_str()) {
                senders.push(&participant.address);
            }
        }
        senders
    }

    /// Addresses of the customers, each once: what a new message is most likely for.
    pub fn customers(&self) -> Vec<&str> {
        let mut customers: Vec<&str> = Vec::new();
        for participant in self.participants.iter().filter(|one| one.role == ROLE_CUSTOMER) {
            if !customers.contains(&participant.address.as_str()) {
                customers.push(&participant.address);
            }
        }
        customers
    }
}
