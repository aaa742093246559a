//! What a submission will become: its messages, their parts and the platform requests they cost.

use crate::channel::Channel;
use crate::payload::Payload;
use crate::sms::{self, Parts};
use serde::{Deserialize, Serialize};

/// The messages one submission becomes, in the order they are sent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Plan {
    /// Messages in order; on the guide dialect always one, which carries everything.
    pub messages: Vec<PlannedMessage>,
    /// Requests to the platform until they are sent: one read of the conversation and one POST each.
    pub requests: u32,
}

/// One POST of the plan.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlannedMessage {
    /// Recipients of this POST.
    pub recipients: usize,
    /// Attachments that travel with it.
    pub attachments: usize,
    /// Bytes of the request body.
    pub bytes: usize,
    /// How an SMS text is cut by the carrier; `None` on other channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Parts>,
}

/// The plan for the guide dialect, whose one POST takes all recipients and attachments.
pub fn plan(payload: &Payload, channel: &Channel) -> Plan {
    let parts = match (channel, payload.text()) {
        (Channel::Sms, Some(text)) => Some(sms::parts(text)),
        _ => None,
    };
    let message = PlannedMessage {
        recipients: payload.to.len(),
        attachments: payload.attachments.len(),
        bytes: payload.to_bytes().len(),
        parts,
    };
    Plan { messages: vec![message], requests: 2 }
}
