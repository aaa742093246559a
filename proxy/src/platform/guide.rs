//! The dialect `guide`: the tutorial's contract, read tolerantly and written exactly.
//!
//! A repeat with the same key (`X-Genesys-Client-Id`) is answered with the first message, so after an
//! ambiguous outcome the same key and bytes may go again at once.

use super::budget::Permit;
use super::gate::Closed;
use super::http::{Answer, CallError, Caller};
use super::{Listed, Platform, ReadError, SendOutcome, Snapshot};
use async_trait::async_trait;
use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use shared::channel::Channel;
use shared::conversation::{Conversation, Participant};
use shared::delivery::{PlatformStatus, Reason, Receipt};
use shared::id::{ConversationId, Key, PlatformId};
use shared::time::Timestamp;
use std::collections::HashMap;
use std::time::Duration;

const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Total time for a send; a claim's lease must outlast it (see [`crate::worker`]).
pub const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// A platform that speaks the guide contract.
pub struct Guide {
    caller: Caller,
}

impl Guide {
    /// Speaks through `caller`.
    pub(super) fn new(caller: Caller) -> Self {
        Self { caller }
    }
}

/// Channel and participants decide whether a message may be sent, so an answer without them is not taken for
/// a conversation that has none: `{}` is no reason to refuse anything.
#[derive(Deserialize)]
struct ConversationReply {
    #[serde(rename = "channelType")]
    channel_type: String,
    participants: Vec<ParticipantReply>,
    #[serde(default)]
    messages: Vec<MessageReply>,
    #[serde(default, rename = "endTime")]
    end_time: Option<String>,
}

#[derive(Deserialize)]
struct ParticipantReply {
    #[serde(default)]
    id: String,
    #[serde(default)]
    role: String,
    from: Option<FromReply>,
}

#[derive(Deserialize)]
struct FromReply {
    #[serde(default)]
    id: String,
}

#[derive(Deserialize)]
struct MessageReply {
    id: Option<String>,
    status: Option<String>,
    #[serde(rename = "createdTimestamp")]
    created: Option<String>,
    #[serde(default, rename = "statusTimestamps")]
    times: HashMap<String, serde_json::Value>,
    #[serde(rename = "errorInfo")]
    error: Option<ErrorReply>,
}

#[derive(Deserialize, Default)]
struct ErrorReply {
    code: Option<String>,
    message: Option<String>,
}

#[async_trait]
impl Platform for Guide {
    async fn ready(&self) -> Result<(), Closed> {
        self.caller.ready().await
    }

    async fn read_conversation(
        &self,
        permit: Permit,
        id: &ConversationId,
    ) -> Result<Snapshot, ReadError> {
        let path = format!("/api/v2/conversations/{id}");
        let call = self.caller.call(permit, Method::GET, &path, None, None, READ_TIMEOUT);
        let answer = call.await.map_err(|error| match error {
            CallError::Token(error) => {
                ReadError::Closed(Reason::new("no_token", error.to_string()))
            }
            CallError::Closed(closed) => ReadError::Closed(closed.reason),
            CallError::NotSent(text) | CallError::Ambiguous(text) => ReadError::Unavailable(text),
        })?;
        if let Some(refusal) = answer.paused {
            return Err(ReadError::Closed(refusal.reason()));
        }
        match answer.status.as_u16() {
            200 => snapshot(id, &answer.body, answer.date),
            404 => Err(ReadError::NotFound),
            401 | 403 => Err(ReadError::Forbidden(refusal(&answer).text)),
            429 => Err(ReadError::Wait(answer.wait.unwrap_or(Duration::from_secs(1)))),
            status => Err(ReadError::Unavailable(format!("the platform answered {status}"))),
        }
    }

    async fn send(
        &self,
        permit: Permit,
        id: &ConversationId,
        key: &Key,
        body: Bytes,
    ) -> SendOutcome {
        let path = format!("/api/v2/conversations/{id}/messages");
        let key = Some(key.as_str());
        let call = self.caller.call(permit, Method::POST, &path, key, Some(body), SEND_TIMEOUT);
        match call.await {
            Ok(answer) => outcome(&answer),
            Err(CallError::Token(error)) => {
                SendOutcome::Held(Reason::new("no_token", error.to_string()))
            }
            Err(CallError::Closed(closed)) => SendOutcome::Held(closed.reason),
            Err(CallError::NotSent(text)) => {
                let text = format!("It could not be sent: {text}.");
                SendOutcome::NotSent { reason: Reason::new("not_connected", text), wait: None }
            }
            Err(CallError::Ambiguous(text)) => {
                let text = format!("No clear answer came: {text}.");
                SendOutcome::Ambiguous(Reason::new("no_answer", text))
            }
        }
    }
}

/// The send outcome table.
pub(crate) fn outcome(answer: &Answer) -> SendOutcome {
    let status = answer.status.as_u16();
    let unclear = |text: String| SendOutcome::Ambiguous(Reason::new("unclear_answer", text));
    if let Some(refusal) = answer.paused {
        return SendOutcome::Held(refusal.reason());
    }
    match status {
        200..=202 => taken(answer),
        203..=299 => unclear(format!(
            "The platform answered {status}, which says nothing about the message."
        )),
        408 | 409 | 500 | 502 | 504 => unclear(format!("The platform answered {status}.")),
        503 => match answer.wait {
            Some(wait) => SendOutcome::NotSent {
                reason: Reason::new("unavailable", "The platform is busy and asked to wait."),
                wait: Some(wait),
            },
            None => unclear("The platform answered 503.".into()),
        },
        425 | 429 => SendOutcome::NotSent {
            reason: Reason::new("rate_limited", "The platform's request limit was reached."),
            wait: answer.wait,
        },
        _ => SendOutcome::Refused(refusal(answer)),
    }
}

fn taken(answer: &Answer) -> SendOutcome {
    let unclear = |text: &str| SendOutcome::Ambiguous(Reason::new("unclear_answer", text));
    let Ok(reply) = serde_json::from_slice::<MessageReply>(&answer.body) else {
        return unclear("The platform said yes in words that cannot be read.");
    };
    match reply.id.as_deref().map(PlatformId::parse) {
        Some(Ok(platform_id)) => {
            let receipt = receipt(&reply);
            let was_there = was_there(&receipt, answer);
            SendOutcome::Accepted { platform_id, receipt, was_there }
        }
        _ => unclear("The platform said yes but named no message."),
    }
}

/// Whether the platform made the message before this request: its created time lies further before the answer's
/// `Date` than the whole call took. Both are the platform's clock; `Date` has whole seconds only, so what is
/// younger than that is not claimed.
fn was_there(receipt: &Receipt, answer: &Answer) -> bool {
    const COARSE: Duration = Duration::from_secs(1);
    match (receipt.created_at, answer.date) {
        (Some(created), Some(date)) => created.plus(answer.took + COARSE) < date,
        _ => false,
    }
}

/// Why the platform refused, in its own words where they are short and plain.
fn refusal(answer: &Answer) -> Reason {
    let status = answer.status.as_u16();
    let reply: ErrorReply = serde_json::from_slice(&answer.body).unwrap_or_default();
    let words = reply.message.as_deref().map(plain).unwrap_or_default();
    let code = reply.code.as_deref().map(plain).filter(|code| !code.is_empty());
    let text = match (status, words.as_str()) {
        (401, _) => "The platform refuses this connection's token.".to_owned(),
        (403, "") => {
            "The platform does not permit this: check the client's role and permissions.".into()
        }
        (404, "") => "The platform knows no such conversation.".into(),
        (300..=399, _) => format!("The platform answered {status}: this is not its API."),
        (_, "") => format!("The platform answered {status}."),
        (_, words) => format!("The platform answered {status}: {words}"),
    };
    Reason::new(&code.unwrap_or_else(|| format!("http_{status}")), text)
}

/// Somebody else's words, safe to show and to store: one line, without controls, cut.
fn plain(words: &str) -> String {
    words.chars().filter(|one| !one.is_control()).take(200).collect()
}

pub(crate) fn snapshot(
    id: &ConversationId,
    body: &[u8],
    platform_now: Option<Timestamp>,
) -> Result<Snapshot, ReadError> {
    let reply: ConversationReply = serde_json::from_slice(body)
        .map_err(|_| ReadError::Unavailable("the platform's answer cannot be read".into()))?;
    let read_at = crate::clock::now();
    let participants = reply
        .participants
        .into_iter()
        .map(|one| Participant {
            id: one.id,
            role: one.role,
            address: one.from.map(|from| from.id).unwrap_or_default(),
        })
        .collect();
    let receipts: Vec<(PlatformId, Receipt)> = reply
        .messages
        .iter()
        .filter_map(|one| {
            let mut receipt = receipt(one);
            let age_ms = platform_now.zip(receipt.created_at).map(|(now, at)| now.ms_since(at));
            receipt.age = age_ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
            Some((PlatformId::parse(one.id.as_deref()?).ok()?, receipt))
        })
        .collect();
    // This dialect lists neither sender nor content.
    let listed = receipts
        .iter()
        .filter(|(_, receipt)| receipt.word.as_deref() != Some("received"))
        .map(|(id, receipt)| Listed {
            platform_id: id.clone(),
            created_at: receipt.created_at,
            said: None,
        })
        .collect();
    let conversation = Conversation {
        id: id.clone(),
        channel: Channel::parse(&reply.channel_type),
        participants,
        // An end that cannot be read is still an end: fail closed.
        ended_at: reply.end_time.map(|text| Timestamp::parse(&text).unwrap_or(read_at)),
        read_at,
    };
    let receipts = receipts.into_iter().collect();
    Ok(Snapshot { conversation, receipts, listed, platform_now })
}

/// The status mapping. A word that is not in it is history only.
fn receipt(reply: &MessageReply) -> Receipt {
    let time = |name: &str| {
        reply
            .times
            .get(name)
            .and_then(|value| value.as_str())
            .and_then(|text| Timestamp::parse(text).ok())
    };
    let status = match reply.status.as_deref().unwrap_or_default().to_ascii_lowercase().as_str() {
        "queued" => Some(PlatformStatus::Queued),
        "sent" | "published" => Some(PlatformStatus::Sent),
        "delivered" | "delivery-success" => Some(PlatformStatus::Delivered),
        "read" => Some(PlatformStatus::Read),
        _ => None,
    };
    let is_failure = reply.status.as_deref().is_some_and(|word| {
        matches!(word.to_ascii_lowercase().as_str(), "failed" | "delivery-failed")
    });
    let failure = is_failure.then(|| {
        let error = reply.error.as_ref();
        let word =
            |part: Option<&String>| part.map(|text| plain(text)).filter(|text| !text.is_empty());
        Reason::new(
            &word(error.and_then(|one| one.code.as_ref()))
                .unwrap_or_else(|| "delivery_failed".into()),
            word(error.and_then(|one| one.message.as_ref()))
                .unwrap_or_else(|| "The platform reported that it could not be delivered.".into()),
        )
    });
    let (delivered_at, read_at) = (time("delivered"), time("read"));
    // A stamp is a claim of its own: where statuses come out of order, the word may be of a lower one.
    let stamped = read_at
        .map(|_| PlatformStatus::Read)
        .or(delivered_at.map(|_| PlatformStatus::Delivered))
        .filter(|_| !is_failure);
    let word = reply
        .status
        .as_deref()
        .map(|word| plain(word).chars().take(40).collect::<String>().to_ascii_lowercase());
    Receipt {
        status: status.max(stamped),
        word: word.filter(|word| !word.is_empty()),
        created_at: reply.created.as_deref().and_then(|text| Timestamp::parse(text).ok()),
        age: None,
        delivered_at,
        read_at,
        failure,
    }
}
