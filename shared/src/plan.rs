//! What a submission will become, explained before it is sent: its messages in order, their parts, the platform
//! requests they cost, and why there are several.

use crate::channel::Channel;
use crate::payload::Payload;
use crate::rules::{Recipients, Ruleset, Sending};
use crate::sms::{self, Parts};
use serde::{Deserialize, Serialize};

/// The messages one submission becomes, in the order they are sent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Plan {
    /// Messages in order; on the guide dialect always one, which carries everything.
    pub messages: Vec<PlannedMessage>,
    /// Requests to the platform until all are sent: one read of the conversation and those of each message.
    pub requests: u32,
    /// Why there are several messages, one sentence for each reason; empty where there is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Attachments given by address: nobody here fetches them, so their size and bytes are not checked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unmeasured: usize,
}

/// One POST of the plan.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlannedMessage {
    /// What it carries of the payload.
    pub carries: Carries,
    /// Recipients of this POST.
    pub recipients: usize,
    /// The recipient, where it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Attachments that travel with it.
    pub attachments: usize,
    /// The file it carries, where it carries one and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Bytes of the request body, or of the text or file where the dialect sends them apart.
    pub bytes: usize,
    /// Requests to the platform for it: the POST, and for a file its upload and the look whether it is taken.
    pub requests: u32,
    /// How an SMS text is cut by the carrier; `None` on other channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Parts>,
}

/// What a message carries of a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Carries {
    /// All of it.
    Everything,
    /// The text alone.
    Text,
    /// One file alone.
    File,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Requests for a file sent apart: one that asks where to upload it, one that looks whether it was taken, and
/// the POST of the message (Genesys Cloud, media upload).
const FILE_REQUESTS: u32 = 3;

/// The plan for `payload` on `channel`, in the dialect of `rules`. A channel that has no pack is planned like the
/// guide dialect's one POST; the findings say that nothing will be sent.
pub fn plan(payload: &Payload, channel: &Channel, rules: &Ruleset) -> Plan {
    let sending = rules.pack(channel).ok().map(|pack| &pack.sending);
    let mut messages = Vec::new();
    let mut reasons = Vec::new();
    let shares_request = sending.is_none_or(|one| one.recipients == Recipients::Together);
    if shares_request {
        messages_for(payload, channel, sending, payload.to.len(), None, &mut messages);
    } else {
        for recipient in &payload.to {
            messages_for(payload, channel, sending, 1, Some(recipient), &mut messages);
        }
    }
    if let Some(sending) = sending.filter(|_| messages.len() > 1) {
        let source = &sending.source;
        if !shares_request && payload.to.len() > 1 {
            reasons.push(format!("Each recipient has messages of their own ({source})."));
        }
        if sending.apart && !payload.attachments.is_empty() {
            reasons.push(format!("The text and each file are messages of their own ({source})."));
        }
    }
    let requests = 1 + messages.iter().map(|message| message.requests).sum::<u32>();
    let unmeasured = payload.attachments.iter().filter(|file| file.url.is_some()).count();
    Plan { messages, requests, reasons, unmeasured }
}

/// Adds the messages for one POST's recipients.
fn messages_for(
    payload: &Payload,
    channel: &Channel,
    sending: Option<&Sending>,
    recipients: usize,
    to: Option<&String>,
    messages: &mut Vec<PlannedMessage>,
) {
    let parts = match (channel, payload.text()) {
        (Channel::Sms, Some(text)) => Some(sms::parts(text)),
        _ => None,
    };
    let whole = PlannedMessage {
        carries: Carries::Everything,
        recipients,
        to: to.cloned(),
        attachments: payload.attachments.len(),
        file: None,
        bytes: payload.to_bytes().len(),
        requests: 1,
        parts,
    };
    if sending.is_none_or(|sending| !sending.apart) {
        messages.push(whole);
        return;
    }
    let text = payload.text().map_or_else(|| payload.content.to_string(), str::to_owned);
    if !text.is_empty() || payload.attachments.is_empty() {
        messages.push(PlannedMessage {
            carries: Carries::Text,
            attachments: 0,
            bytes: text.len(),
            ..whole.clone()
        });
    }
    for file in &payload.attachments {
        let base64 = file.content.as_deref().unwrap_or_default();
        let padding = base64.bytes().rev().take_while(|byte| *byte == b'=').count();
        messages.push(PlannedMessage {
            carries: Carries::File,
            attachments: 1,
            file: Some(file.filename.clone()),
            bytes: (base64.len() / 4 * 3).saturating_sub(padding),
            requests: FILE_REQUESTS,
            parts: None,
            ..whole.clone()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Attachment;
    use crate::rules::{Dialect, example};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn sms(files: usize, recipients: usize) -> Payload {
        let file = |index| Attachment {
            content_type: "image/png".into(),
            filename: format!("{index}.png"),
            content: Some("iVBORw0KGgo=".into()),
            url: None,
        };
        Payload {
            to: (0..recipients).map(|one| format!("+44770090014{one}")).collect(),
            attachments: (0..files).map(file).collect(),
            ..example::payload(&Channel::Sms)
        }
    }

    #[test]
    fn the_guide_dialect_sends_everything_in_one_request() {
        let plan = plan(&sms(2, 3), &Channel::Sms, Ruleset::embedded(Dialect::Guide));
        assert_eq!((plan.messages.len(), plan.requests), (1, 2));
        let one = &plan.messages[0];
        assert_eq!((one.recipients, one.attachments, one.carries), (3, 2, Carries::Everything));
        assert!(plan.reasons.is_empty() && one.parts.is_some());
        assert_eq!(one.bytes, sms(2, 3).to_bytes().len());
        // What there is nothing to say of is left out on the wire.
        let written = serde_json::to_value(&plan).unwrap();
        assert!(written.get("reasons").is_none() && written.get("unmeasured").is_none());
    }

    #[test]
    fn the_genesys_dialect_sends_text_and_files_apart_and_to_one_at_a_time() {
        let rules = Ruleset::embedded(Dialect::Genesys);
        let one = plan(&sms(2, 1), &Channel::Sms, rules);
        let carries: Vec<Carries> = one.messages.iter().map(|message| message.carries).collect();
        assert_eq!(carries, [Carries::Text, Carries::File, Carries::File]);
        assert_eq!(one.requests, 1 + 1 + 3 + 3);
        let [text, file, _] = one.messages.as_slice() else { panic!("{one:?}") };
        assert_eq!((text.bytes, text.attachments, text.parts.is_some()), (5, 0, true));
        assert_eq!((file.bytes, file.attachments, file.parts.is_none()), (8, 1, true));
        assert_eq!((text.file.as_deref(), file.file.as_deref()), (None, Some("0.png")));
        assert_eq!(one.reasons.len(), 1);
        assert!(one.reasons[0].starts_with("The text and each file"), "{:?}", one.reasons);
        // A file without a text is one message, and there is nothing to explain.
        let mut alone = sms(1, 1);
        alone.content = "".into();
        let alone = plan(&alone, &Channel::Sms, rules);
        assert_eq!((alone.messages.len(), alone.messages[0].carries), (1, Carries::File));
        assert!(alone.reasons.is_empty());
        let two = plan(&sms(0, 2), &Channel::Sms, rules);
        assert_eq!((two.messages.len(), two.reasons.len()), (2, 1));
        let several = plan(&sms(2, 2), &Channel::Sms, rules);
        assert_eq!((several.messages.len(), several.requests), (6, 15));
        assert_eq!(several.messages[3].to.as_deref(), Some("+447700900141"));
        assert_eq!(several.reasons.len(), 2);
        let plain = plan(&sms(0, 1), &Channel::Sms, rules);
        assert_eq!((plain.messages.len(), plain.requests), (1, 2));
        assert!(plain.reasons.is_empty());
    }

    #[test]
    fn files_by_address_are_said_to_be_unmeasured() {
        let mut payload = sms(1, 1);
        payload.attachments[0].content = None;
        payload.attachments[0].url = Some("https://cdn.example.com/0.png".into());
        let plan = plan(&payload, &Channel::Sms, Ruleset::embedded(Dialect::Guide));
        assert_eq!(plan.unmeasured, 1);
        assert_eq!(serde_json::to_value(&plan).unwrap()["unmeasured"], 1);
    }
}
