//! Connections and the conversations behind them.

use super::ok;
use crate::engine::NotNow;
use crate::error::Failure;
use crate::platform::{Priority, ReadError};
use crate::router::AppState;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use shared::api::{Actor, Connection, Page, Problem};
use shared::conversation::Conversation;
use shared::id::{ConnectionName, ConversationId};
use std::time::Duration;

/// How old a conversation may be that is shown without reading it again.
const FRESH: Duration = Duration::from_secs(30);
/// How long a person waits for a permit before hearing that the budget is used up.
const PATIENCE: Duration = Duration::from_secs(5);

/// The platform organisations of this proxy.
#[utoipa::path(get, path = "/api/v1/connections", tag = "connections",
    responses((status = 200, body = Page<Connection>)))]
pub async fn list_connections(State(app): State<AppState>) -> Response {
    ok(Page { items: connections(&app), next_cursor: None })
}

/// The connections as the page shows them.
pub fn connections(app: &AppState) -> Vec<Connection> {
    app.engine.connections.iter().map(describe).collect()
}

fn describe(one: &crate::engine::Connection) -> Connection {
    Connection {
        name: one.name.clone(),
        dialect: "guide".into(),
        region: one.region.clone(),
        sandbox: one.is_sandbox,
        problem: one.problem(),
    }
}

/// Conversations this proxy has read, most recently used first, at most 200.
#[utoipa::path(get, path = "/api/v1/connections/{name}/conversations", tag = "connections",
    params(("name" = String, Path)),
    responses((status = 200, body = Page<Conversation>), (status = 404, body = Problem)))]
pub async fn list_conversations(
    State(app): State<AppState>,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    let name = known(&app, &name)?;
    let items = app.engine.store.list_conversations(name).await?;
    Ok(ok(Page { items, next_cursor: None }))
}

/// One conversation: its channel, who is in it and who may send.
#[utoipa::path(get, path = "/api/v1/connections/{name}/conversations/{id}", tag = "connections",
    params(("name" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Conversation), (status = 404, body = Problem),
        (status = 502, body = Problem, description = "the platform could not be asked")))]
pub async fn find_conversation(
    State(app): State<AppState>,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let name = known(&app, &name)?;
    let id = ConversationId::parse(&id)
        .map_err(|error| Failure::bad_request("id", error.to_string()))?;
    Ok(ok(conversation(&app, name, id).await?))
}

/// Tries again now what waits because the platform refused the whole connection or could not be reached.
#[utoipa::path(post, path = "/api/v1/connections/{name}/resume", tag = "connections",
    params(("name" = String, Path)),
    responses((status = 200, body = Connection), (status = 404, body = Problem)))]
pub async fn resume_connection(
    State(app): State<AppState>,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    let name = known(&app, &name)?;
    let engine = &app.engine;
    let connection = engine.connection(&name).ok_or_else(|| Failure::not_found("connection"))?;
    let problem = connection.problem().unwrap_or_default();
    connection.resume();
    let actor = Actor::User;
    tracing::info!(connection = %name, ?actor, problem, "a person resumed the connection");
    engine.nudges.dispatch.notify_one();
    engine.nudges.track.notify_one();
    Ok(ok(describe(connection)))
}

fn known(app: &AppState, name: &str) -> Result<ConnectionName, Failure> {
    let found = app.engine.connections.iter().find(|one| one.name.as_str() == name);
    found.map(|one| one.name.clone()).ok_or_else(|| Failure::not_found("connection"))
}

/// A conversation as it is now; as it was last read when the platform cannot be asked.
pub async fn conversation(
    app: &AppState,
    name: ConnectionName,
    id: ConversationId,
) -> Result<Conversation, Failure> {
    let engine = &app.engine;
    let connection = engine.connection(&name).ok_or_else(|| Failure::not_found("connection"))?;
    let last = engine.store.find_conversation(name.clone(), id.clone()).await?;
    let fresh_ms = i64::try_from(FRESH.as_millis()).unwrap_or(i64::MAX);
    if let Some(last) = &last
        && crate::clock::now().ms_since(last.read_at) < fresh_ms
    {
        return Ok(last.clone());
    }
    let unread = |text: String| match last {
        Some(last) => Ok(last),
        None => Err(Failure::new(
            StatusCode::BAD_GATEWAY,
            "platform",
            "The conversation could not be read",
        )
        .detail(text)),
    };
    let permit = match connection.permit(Priority::Ask, PATIENCE).await {
        Ok(permit) => permit,
        Err(NotNow::Closed(closed)) => return unread(closed.reason.text),
        Err(NotNow::NoPermit) => {
            let text = "The request budget of this minute is used up; try again shortly.";
            return unread(text.into());
        }
    };
    match connection.platform.read_conversation(permit, &id).await {
        Ok(snapshot) => {
            engine.store.remember_conversation(name, snapshot.conversation.clone()).await?;
            Ok(snapshot.conversation)
        }
        Err(ReadError::NotFound) => Err(Failure::not_found("conversation").detail(
            "The platform knows no conversation with this id. Check it, and the connection.",
        )),
        Err(error) => unread(error.to_string()),
    }
}
