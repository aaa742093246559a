//! Accepting submissions: the one way a message comes into being.

use super::{Strict, ok};
use crate::clock;
use crate::error::Failure;
use crate::router::AppState;
use crate::store::{Accepted, NewSubmission, Resend};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use shared::api::{
    IDEMPOTENCY_KEY, Problem, ResendRequest, Submission, SubmissionAccepted, SubmissionRequest,
};
use shared::channel::Channel;
use shared::delivery::{Delivery, NoResend};
use shared::finding;
use shared::id::{Key, MessageId, SubmissionId};
use shared::validate::{Context, validate};
use std::time::Duration;

/// In local mode there is one user: whoever holds the launch token.
const OWNER: &str = "local";
/// How far ahead a message may be scheduled.
const SCHEDULE_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Stores a submission. Same key and request: the stored answer again. Needs no call to the platform.
#[utoipa::path(post, path = "/api/v1/submissions", tag = "submissions",
    params(("Idempotency-Key" = String, Header, description = "made where it was composed, reused by every repeat; bare or quoted")),
    request_body = SubmissionRequest,
    responses(
        (status = 202, body = SubmissionAccepted),
        (status = 400, body = Problem, description = "not the JSON this call takes, or no usable key"),
        (status = 422, body = Problem, description = "the rules refuse it (with findings), or the key was used for another request"),
        (status = 503, body = Problem, description = "nothing was stored; repeat with the same key")))]
pub async fn create_submission(
    State(app): State<AppState>,
    headers: HeaderMap,
    Strict(request): Strict<SubmissionRequest>,
) -> Result<Response, Failure> {
    let key = key_of(&headers)?;
    let fingerprint = fingerprint(&request);
    accept_once(&app, key, fingerprint, request, None).await
}

/// Accepts it, or gives the answer that was given under this key before.
async fn accept_once(
    app: &AppState,
    key: Key,
    fingerprint: [u8; 32],
    request: SubmissionRequest,
    resend: Option<Resend>,
) -> Result<Response, Failure> {
    let refusal = match accept(app, key.clone(), fingerprint, request, resend).await {
        Ok(answer) => return Ok(answer),
        Err(refusal) => refusal,
    };
    // What was accepted stays accepted. Whoever never heard the answer must get it now, although the rules, the
    // time or the settings would refuse the request today: it would be made again under another key.
    match app.engine.store.find_accepted(OWNER.into(), key, fingerprint).await {
        Ok(Some(answer)) => Ok((StatusCode::ACCEPTED, Json(answer)).into_response()),
        _ => Err(refusal),
    }
}

/// Sends an ended message's payload once more, as a new message under the key of this call. Who, why and the
/// two messages' names are in both histories.
#[utoipa::path(post, path = "/api/v1/messages/{id}/resend", tag = "messages",
    params(("id" = String, Path),
        ("Idempotency-Key" = String, Header, description = "the new message's key; a repeat with it sends nothing more")),
    request_body = ResendRequest,
    responses(
        (status = 202, body = SubmissionAccepted),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "it has not ended, or it may have arrived and `even_if_delivered` is not set"),
        (status = 422, body = Problem, description = "the reason is missing or too long, or the rules refuse it now")))]
pub async fn resend_message(
    State(app): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Strict(wanted): Strict<ResendRequest>,
) -> Result<Response, Failure> {
    let key = key_of(&headers)?;
    let id =
        MessageId::parse(&id).map_err(|error| Failure::bad_request("id", error.to_string()))?;
    let why = reason(&wanted.why)?;
    let found = app.engine.store.find_message(id.clone()).await?;
    let original = found.ok_or_else(|| Failure::not_found("message"))?;
    let request = SubmissionRequest {
        connection: original.message.connection,
        conversation_id: original.message.conversation_id,
        payload: original.payload,
        not_before: None,
        expires_at: None,
    };
    // The same wish, and nothing else, under the same key is the same request.
    let canonical = serde_json::to_vec(&(&id, &wanted)).unwrap_or_default();
    let fingerprint = Sha256::digest(canonical).into();
    let even_if_delivered = wanted.even_if_delivered;
    let resend = Resend { original: id, why, even_if_delivered };
    accept_once(&app, key, fingerprint, request, Some(resend)).await
}

/// A person's reason, trimmed: 1 to 500 characters.
pub fn reason(why: &str) -> Result<String, Failure> {
    let why = why.trim().to_owned();
    if why.is_empty() || why.chars().count() > 500 {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Err(Failure::new(status, "why", "Say why, in 1 to 500 characters"));
    }
    Ok(why)
}

async fn accept(
    app: &AppState,
    key: Key,
    fingerprint: [u8; 32],
    request: SubmissionRequest,
    resend: Option<Resend>,
) -> Result<Response, Failure> {
    let engine = &app.engine;
    let connection = engine.connection(&request.connection).ok_or_else(|| {
        Failure::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "connection",
            format!("There is no connection named {}", request.connection),
        )
    })?;
    let now = clock::now();
    check_times(&request, now)?;
    let id = request.conversation_id.clone();
    let known = engine.store.find_conversation(connection.name.clone(), id).await?;
    let context = known.as_ref().map_or(Context::Unread, Context::Conversation);
    let findings = validate(&request.payload, &connection.rules, context);
    if !finding::may_send(&findings) {
        return Err(Failure::findings(findings));
    }
    let channel = known.map_or(Channel::Unknown(String::new()), |known| known.channel);
    let receipts_expected = connection.expects_receipts(&channel);
    let delivery = Delivery::accepted(
        now,
        request.not_before,
        request.expires_at,
        engine.threshold_ms,
        receipts_expected,
    );
    let accepted = engine
        .store
        .accept_submission(NewSubmission {
            owner: OWNER.into(),
            key,
            fingerprint,
            id: SubmissionId::new(now, clock::random()),
            message_id: MessageId::new(now, clock::random()),
            connection: request.connection,
            conversation_id: request.conversation_id,
            channel,
            payload: request.payload,
            delivery,
            resend,
            audit_backlog_max: engine.audit_backlog_max(connection),
        })
        .await?;
    match accepted {
        Accepted::New(answer) => {
            engine.nudges.dispatch.notify_one();
            Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
        }
        Accepted::Repeated(answer) => Ok((StatusCode::ACCEPTED, Json(answer)).into_response()),
        Accepted::NoResend { state, why: NoResend::NotEnded } => Err(Failure::new(
            StatusCode::CONFLICT,
            "state",
            format!("It cannot be sent once more now: it is {}", state.as_str()),
        )
        .detail("Wait until it has ended. One that needs a decision is decided, not sent again.")),
        Accepted::NoResend { state, why: NoResend::MayHaveArrived } => Err(Failure::new(
            StatusCode::CONFLICT,
            "may_have_arrived",
            format!("The recipient may have it already: it is {}", state.as_str()),
        )
        .detail("Nothing was sent. To send a second one all the same, set even_if_delivered.")),
        Accepted::AuditBacklog { waiting } => Err(Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "audit_backlog",
            "The audit sink has not taken what was sent before",
        )
        .detail(format!(
            "Nothing was stored. {waiting} audit entries wait for the sink; when it takes them, send again \
             with the same key."
        ))),
        Accepted::KeyMismatch => Err(Failure::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "key_reused",
            "This key was used before for another message",
        )
        .detail(
            "The earlier message was stored and is being sent. Use a new key for a new message.",
        )),
    }
}

/// A submission with its messages as they are now.
#[utoipa::path(get, path = "/api/v1/submissions/{id}", tag = "submissions",
    params(("id" = String, Path)),
    responses((status = 200, body = Submission), (status = 404, body = Problem)))]
pub async fn find_submission(
    State(app): State<AppState>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let id =
        SubmissionId::parse(&id).map_err(|error| Failure::bad_request("id", error.to_string()))?;
    let found = app.engine.store.find_submission(id).await?;
    found.map(ok).ok_or_else(|| Failure::not_found("submission"))
}

fn key_of(headers: &HeaderMap) -> Result<Key, Failure> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).into_iter();
    let problem = |title: &str| {
        Failure::bad_request("idempotency_key", title)
            .detail("Send one Idempotency-Key header, for example a random UUID, and the same one with every repeat.")
    };
    match (given.next(), given.next()) {
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| problem("The Idempotency-Key is not ASCII"))?;
            Key::from_header(text).map_err(|error| problem(&error.to_string()))
        }
        (None, _) => Err(problem("The Idempotency-Key header is missing")),
        (Some(_), Some(_)) => Err(problem("There are several Idempotency-Key headers")),
    }
}

fn check_times(request: &SubmissionRequest, now: shared::time::Timestamp) -> Result<(), Failure> {
    let refused =
        |title: &str| Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "schedule", title));
    if request.not_before.is_some_and(|at| at > now.plus(SCHEDULE_MAX)) {
        return refused("not_before is more than a year ahead");
    }
    match (request.not_before, request.expires_at) {
        (_, Some(expires_at)) if expires_at <= now => refused("expires_at has passed"),
        (Some(not_before), Some(expires_at)) if expires_at <= not_before => {
            refused("expires_at is not after not_before, so it could never be sent")
        }
        _ => Ok(()),
    }
}

/// What makes two requests the same: their canonical JSON, whatever the white space or order it came in.
fn fingerprint(request: &SubmissionRequest) -> [u8; 32] {
    // Field order is the type's; numbers and strings have one form. Nothing here can fail to encode.
    let canonical = serde_json::to_vec(request).unwrap_or_default();
    Sha256::digest(canonical).into()
}
