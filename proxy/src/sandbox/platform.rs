//! The two calls of the guide dialect: read a conversation, send a message to it.
//!
//! A payload is checked the way the platform would, by rules of its own and not by `shared`'s validation:
//! what the proxy lets through by mistake must be refused here, not waved through by the same mistake.

use super::faults::{Call, Decision};
use super::refusal::Refusal;
use super::store::{Message, Post, Taken, Treatment};
use super::{Sandbox, gate, token};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::channel::Channel;
use shared::conversation::ROLE_AGENT;
use shared::id::Key;
use shared::payload::{APPLICATION_JSON, Attachment, Payload, TEXT_HTML, TEXT_PLAIN};
use shared::rules::file_type;
use shared::simulator::{History, Receipt, Receipts, SimulatedConversation, platform_id};
use shared::time::Timestamp;
use std::time::Duration;

/// The header a message's key comes in.
const CLIENT_ID_HEADER: &str = "x-genesys-client-id";
/// Messages listed with a conversation: the latest so many.
const MESSAGES_MAX: u32 = 1000;
/// How long before the sandbox was made its closed conversations had ended.
const ENDED_BEFORE_MS: i64 = 60 * 60 * 1000;

/// The routes a client of the platform calls.
pub fn routes() -> Router<Sandbox> {
    Router::new()
        .route("/oauth/token", post(token::create_token))
        .route("/api/v2/conversations/{id}", get(read_conversation))
        .route("/api/v2/conversations/{id}/messages", post(send_message))
        .layer(DefaultBodyLimit::max(shared::json::BODY_BYTES_MAX))
}

async fn read_conversation(
    State(sandbox): State<Sandbox>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let work = |_: &Decision| {
        gate::admit(&sandbox, &headers)?;
        let conversation = find(&sandbox, &id)?;
        let now = sandbox.now();
        let messages = sandbox.0.store.messages(&id, MESSAGES_MAX)?;
        let messages = messages
            .iter()
            .filter(|message| now >= shifted(message.created_at, message.treatment.hidden_ms))
            .flat_map(|message| {
                let times = if message.treatment.is_twice { 2 } else { 1 };
                (0..times).map(move |_| message)
            })
            .map(|message| report(&sandbox, conversation, message, now))
            .collect();
        Ok(Json(describe(&sandbox, conversation, messages)).into_response())
    };
    gate::pass(&sandbox, Call::Read, work).await
}

async fn send_message(
    State(sandbox): State<Sandbox>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let work = |decision: &Decision| {
        gate::admit(&sandbox, &headers)?;
        let body = body.map_err(|rejection| Refusal::body(&rejection))?;
        let message_id = take(&sandbox, &id, &headers, &body, decision)?;
        let answer = json!({ "id": message_id, "status": Receipt::Queued.as_str() });
        Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
    };
    gate::pass(&sandbox, Call::Send, work).await
}

fn find<'a>(sandbox: &'a Sandbox, id: &str) -> Result<&'a SimulatedConversation, Refusal> {
    sandbox.conversation(id).ok_or_else(|| {
        Refusal::not_found(
            "conversation.error.conversation.not.found",
            "The conversation was not found",
        )
    })
}

/// A conversation as the guide reads it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Description<'a> {
    id: &'a str,
    channel_type: &'a str,
    participants: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<Timestamp>,
    messages: Vec<Report>,
}

/// A message as the guide reads it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    id: String,
    status: Receipt,
    created_timestamp: Timestamp,
    status_timestamps: StatusTimestamps,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_info: Option<Value>,
}

#[derive(Default, Serialize)]
struct StatusTimestamps {
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<Timestamp>,
}

fn describe<'a>(
    sandbox: &Sandbox,
    conversation: &'a SimulatedConversation,
    messages: Vec<Report>,
) -> Description<'a> {
    let participants = conversation
        .participants
        .iter()
        .map(|one| json!({ "id": one.id, "role": one.role, "from": { "id": one.address } }))
        .collect();
    let ended_at = shifted(sandbox.0.made_at, Some(-ENDED_BEFORE_MS));
    Description {
        id: conversation.id.as_str(),
        channel_type: conversation.channel.as_str(),
        participants,
        end_time: conversation.ended.then(|| sandbox.stamp(ended_at)),
        messages,
    }
}

/// What the platform says of a message at the moment `now`.
fn report(
    sandbox: &Sandbox,
    conversation: &SimulatedConversation,
    message: &Message,
    now: Timestamp,
) -> Report {
    let mut status = Receipt::Queued;
    let mut times = StatusTimestamps::default();
    // What was decided holds, whatever scenario there is now. A message from before that was stored has what the
    // guide's gives it, which was the only one then.
    let History { receipts: mut history, failure } = match &message.history {
        Some(history) => history.clone(),
        None => Receipts::GUIDE.history(sandbox.0.seed, conversation, message.ordinal),
    };
    let Treatment { late_ms, is_lost, is_disordered, .. } = message.treatment;
    if is_lost {
        history.retain(|(_, receipt)| matches!(receipt, Receipt::Queued | Receipt::Sent));
    }
    if is_disordered && let [_, (_, sent), (_, ending), ..] = history.as_mut_slice() {
        std::mem::swap(sent, ending);
    }
    for (offset_ms, receipt) in history {
        let at = message.created_at.plus(Duration::from_millis(offset_ms.into()));
        if receipt != Receipt::Queued && shifted(at, late_ms) > now {
            break;
        }
        status = receipt;
        let stamp = Some(sandbox.stamp(at));
        match receipt {
            Receipt::Queued => {}
            Receipt::Sent => times.sent = stamp,
            Receipt::Delivered => times.delivered = stamp,
            Receipt::Read => times.read = stamp,
            Receipt::Failed => times.failed = stamp,
        }
    }
    let error_info = failure
        .filter(|_| status == Receipt::Failed)
        .map(|one| json!({ "code": one.code, "message": one.reason }));
    Report {
        id: message.id.clone(),
        status,
        created_timestamp: sandbox.stamp(message.created_at),
        status_timestamps: times,
        error_info,
    }
}

/// A moment and so many milliseconds after it, or before.
fn shifted(at: Timestamp, ms: Option<i64>) -> Timestamp {
    Timestamp::from_unix_ms(at.unix_ms().saturating_add(ms.unwrap_or(0)))
}

/// Takes a message and returns the platform's id of it. A key that was used before is answered with its
/// first message before anything else is looked at, as the guide promises, unless a fault forgets it.
fn take(
    sandbox: &Sandbox,
    id: &str,
    headers: &HeaderMap,
    body: &[u8],
    decision: &Decision,
) -> Result<String, Refusal> {
    let conversation = find(sandbox, id)?;
    let key = headers.get(CLIENT_ID_HEADER).and_then(|value| value.to_str().ok());
    let key = key.and_then(|text| Key::parse(text).ok()).ok_or_else(|| {
        Refusal::bad_field(
            "bad.request",
            "X-Genesys-Client-Id",
            "The header X-Genesys-Client-Id must hold the message's key",
        )
    })?;
    let body_sha256 = hex::encode(Sha256::digest(body));
    let (key, body_sha256) = (key.as_str(), body_sha256.as_str());
    let (at, is_forgotten) = (sandbox.now(), decision.forgets);
    let post = Post { key, conversation_id: id, body_sha256, at, is_forgotten };
    if let Some(message_id) = sandbox.0.store.repeat(&post)? {
        return Ok(message_id);
    }
    check_content_type(headers)?;
    let payload = Payload::decode(body)
        .map_err(|error| Refusal::bad_field("bad.request", &error.pointer, error.to_string()))?;
    check(conversation, &payload)?;
    let decide = |ordinal| Taken {
        id: platform_id(sandbox.0.seed, conversation, ordinal),
        history: decide_history(sandbox, conversation, ordinal),
    };
    Ok(sandbox.0.store.accept(&post, &decision.treatment, decide)?)
}

/// What becomes of message number `ordinal` of `conversation`, faults aside.
fn decide_history(
    sandbox: &Sandbox,
    conversation: &SimulatedConversation,
    ordinal: u64,
) -> History {
    match sandbox.0.delivered_after {
        Some(after) => {
            let after = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
            let receipts = vec![(0, Receipt::Queued), (after, Receipt::Delivered)];
            History { receipts, failure: None }
        }
        None => sandbox.0.receipts.history(sandbox.0.seed, conversation, ordinal),
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mime = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    if mime.trim().eq_ignore_ascii_case(APPLICATION_JSON) {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported.media.type",
        "The request body must be application/json",
    ))
}

fn check(conversation: &SimulatedConversation, payload: &Payload) -> Result<(), Refusal> {
    if conversation.ended {
        return Err(Refusal::bad_request("conversation.ended", "The conversation has ended"));
    }
    let missing = |field: &str| {
        Err(Refusal::bad_field("invalid.value", field, format!("{field} is missing or empty")))
    };
    if payload.from.is_empty() {
        return missing("from");
    }
    if payload.to.is_empty() || payload.to.iter().any(String::is_empty) {
        return missing("to");
    }
    let may_send = conversation
        .participants
        .iter()
        .any(|one| one.address == payload.from && one.role == ROLE_AGENT);
    if !may_send {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "not.authorized",
            "The sender is not an agent of this conversation",
        ));
    }
    match payload.content_type.as_str() {
        TEXT_HTML if conversation.channel == Channel::Sms => {
            return Err(Refusal::bad_field(
                "message.content.type.not.supported",
                "type",
                "SMS takes no text/html",
            ));
        }
        TEXT_PLAIN | TEXT_HTML => match payload.content.as_str() {
            None | Some("") => return missing("content"),
            Some(_) => {}
        },
        APPLICATION_JSON if payload.content.is_null() => return missing("content"),
        APPLICATION_JSON => {}
        _ => {
            return Err(Refusal::bad_field(
                "message.content.type.not.supported",
                "type",
                "type must be text/plain, text/html or application/json",
            ));
        }
    }
    payload.attachments.iter().try_for_each(check_attachment)
}

fn check_attachment(attachment: &Attachment) -> Result<(), Refusal> {
    if attachment.content.is_some() == attachment.url.is_some() {
        return Err(Refusal::bad_field(
            "invalid.value",
            "attachments",
            "An attachment has exactly one of content and url",
        ));
    }
    let extension = attachment.filename.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
    let agrees = file_type(&attachment.content_type).is_some_and(|known| {
        extension.is_some_and(|extension| known.extensions.contains(&extension.as_str()))
    });
    if agrees {
        return Ok(());
    }
    Err(Refusal::bad_field(
        "attachment.type.mismatch",
        "attachments",
        "An attachment's type must match the extension of its filename",
    ))
}
