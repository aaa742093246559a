//! Reading messages, and what a person may do with one: withdraw it, hurry it, decide about it.

use super::{Strict, ok, page_limit, query};
use crate::clock;
use crate::error::Failure;
use crate::router::AppState;
use crate::store::{Applied, Change, MessageFilter};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use shared::api::{
    Actor, AuditBatch, DecideRequest, Message, MessageCounts, MessageDetail, MessageQuery, Page,
    Problem, Shipping,
};
use shared::delivery::{Happening, State as MessageState};
use shared::id::MessageId;
use shared::sla::Verdict;

/// Messages, newest first.
#[utoipa::path(get, path = "/api/v1/messages", tag = "messages", params(MessageQuery),
    responses((status = 200, body = Page<Message>), (status = 400, body = Problem)))]
pub async fn list_messages(
    State(app): State<AppState>,
    wanted: Result<Query<MessageQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let wanted = query(wanted)?;
    let filter = MessageFilter {
        text: wanted.q.filter(|text| !text.trim().is_empty()).map(|text| text.trim().to_owned()),
        states: words("state", wanted.state.as_deref(), MessageState::parse)?,
        verdicts: words("verdict", wanted.verdict.as_deref(), Verdict::parse)?,
        duplicate_prevented: wanted.duplicate_prevented == Some(true),
        cursor: wanted.cursor,
        limit: page_limit(wanted.limit)?,
    };
    Ok(ok(app.engine.store.list_messages(filter).await?))
}

/// The headline figures.
#[utoipa::path(get, path = "/api/v1/messages/counts", tag = "messages",
    responses((status = 200, body = MessageCounts)))]
pub async fn count_messages(State(app): State<AppState>) -> Result<Response, Failure> {
    Ok(ok(app.engine.store.count_messages().await?))
}

/// One message with its history and audit.
#[utoipa::path(get, path = "/api/v1/messages/{id}", tag = "messages", params(("id" = String, Path)),
    responses((status = 200, body = MessageDetail), (status = 404, body = Problem)))]
pub async fn find_message(
    State(app): State<AppState>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    detail(&app, message_id(&id)?).await
}

/// Withdraws a message; only while no attempt is open and none was taken.
#[utoipa::path(post, path = "/api/v1/messages/{id}/cancel", tag = "messages", params(("id" = String, Path)),
    responses((status = 200, body = MessageDetail), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "too late: it was sent, or has ended")))]
pub async fn cancel_message(
    State(app): State<AppState>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    by_person(&app, &id, Happening::Cancelled, "cancelled").await
}

/// Lets the planned attempt of a message that waits for one happen now.
#[utoipa::path(post, path = "/api/v1/messages/{id}/retry", tag = "messages", params(("id" = String, Path)),
    responses((status = 200, body = MessageDetail), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "no attempt is planned")))]
pub async fn retry_message(
    State(app): State<AppState>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    by_person(&app, &id, Happening::Hurried, "tried again").await
}

/// Decides about a parked message; who and why are recorded.
#[utoipa::path(post, path = "/api/v1/messages/{id}/decide", tag = "messages", params(("id" = String, Path)),
    request_body = DecideRequest,
    responses((status = 200, body = MessageDetail), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "it does not wait for a decision"),
        (status = 422, body = Problem, description = "the reason is missing or too long")))]
pub async fn decide_message(
    State(app): State<AppState>,
    Path(id): Path<String>,
    Strict(request): Strict<DecideRequest>,
) -> Result<Response, Failure> {
    let why = super::submissions::reason(&request.why)?;
    let happening = Happening::Decided { choice: request.decision, why };
    by_person(&app, &id, happening, "decided").await
}

async fn by_person(
    app: &AppState,
    id: &str,
    happening: Happening,
    done: &str,
) -> Result<Response, Failure> {
    let id = message_id(id)?;
    let change = Change {
        message_id: id.clone(),
        epoch: None,
        happening,
        actor: Actor::User,
        policy: app.engine.policy.clone(),
        jitter: clock::jitter(),
        keep_claim: false,
        channel: None,
    };
    match app.engine.store.apply(change, clock::now()).await? {
        Applied::Done(_) => {
            // It, or whatever waited behind it, may go now.
            app.engine.nudges.dispatch.notify_one();
            app.engine.nudges.track.notify_one();
            detail(app, id).await
        }
        // A message that only waits, and still cannot be taken back: an earlier attempt may have got through.
        Applied::Refused { state: MessageState::RetryWait } => Err(Failure::new(
            StatusCode::CONFLICT,
            "state",
            format!("It cannot be {done} now: an earlier attempt may have reached the platform"),
        )
        .detail("Nobody knows yet. Waybill is finding out, and asks a person if it cannot.")),
        Applied::Refused { state } => Err(Failure::new(
            StatusCode::CONFLICT,
            "state",
            format!("It cannot be {done} now: it is {}", state.as_str()),
        )),
        Applied::IdBound => Err(Failure::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "platform_id",
            "This platform id belongs to another message",
        )),
        Applied::Missing => Err(Failure::not_found("message")),
    }
}

async fn detail(app: &AppState, id: MessageId) -> Result<Response, Failure> {
    let Some(mut detail) = app.engine.store.find_message(id.clone()).await? else {
        let failure = Failure::not_found("message");
        return Err(match app.engine.store.find_removed(id).await? {
            Some(at) => failure.detail(format!(
                "It was removed on {at}, some time after it ended, as the settings say \
                 (retention.messages_days). Its audit entries are kept apart."
            )),
            None => failure,
        });
    };
    for batch in detail.audit.iter_mut().filter_map(|record| record.batch.as_mut()) {
        mark_kept(app, batch);
    }
    Ok(ok(detail))
}

/// A batch that waits although there is no sink is not waiting: it is kept.
pub fn mark_kept(app: &AppState, batch: &mut AuditBatch) {
    let has_sink = app
        .engine
        .connection(&batch.connection)
        .is_some_and(|connection| connection.sink.is_some());
    if !has_sink && batch.shipping == Shipping::Waiting {
        batch.shipping = Shipping::Kept;
    }
}

fn message_id(text: &str) -> Result<MessageId, Failure> {
    MessageId::parse(text).map_err(|error| Failure::bad_request("id", error.to_string()))
}

/// A comma-separated list of words of a closed set.
fn words<T>(
    name: &str,
    text: Option<&str>,
    parse: fn(&str) -> Option<T>,
) -> Result<Vec<T>, Failure> {
    text.unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(|word| {
            parse(word).ok_or_else(|| {
                let word: String = word.chars().take(40).collect();
                Failure::bad_request(name, format!("\"{word}\" is not a {name}"))
            })
        })
        .collect()
}
