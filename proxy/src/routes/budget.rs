//! The request budget of each connection, and what it means for what waits.

use super::ok;
use crate::clock;
use crate::engine::{Connection, Engine};
use crate::error::Failure;
use crate::platform::Priority;
use crate::router::AppState;
use crate::store::Error;
use axum::extract::State;
use axum::response::Response;
use shared::api::{Budget, Host, HostRole, Page};
use std::time::Duration;
use tokio::time::Instant;

/// Used, allowed and waiting requests, how the hosts do, and when the backlog ends.
#[utoipa::path(get, path = "/api/v1/budget", tag = "connections", responses((status = 200, body = Page<Budget>)))]
pub async fn list_budgets(State(app): State<AppState>) -> Result<Response, Failure> {
    Ok(ok(Page::<Budget> { items: budgets(&app.engine).await?, next_cursor: None }))
}

/// The budget of every connection, in the order of the configuration.
pub async fn budgets(engine: &Engine) -> Result<Vec<Budget>, Error> {
    let mut budgets = Vec::with_capacity(engine.connections.len());
    for connection in &engine.connections {
        budgets.push(budget(engine, connection).await?);
    }
    Ok(budgets)
}

async fn budget(engine: &Engine, connection: &Connection) -> Result<Budget, Error> {
    let now = clock::now();
    let standing = engine.store.standing(connection.name.clone(), now).await?;
    let usage = connection.budget.usage();
    let pace = connection.pace();
    let can_send = connection.closed(Priority::Send).is_none() && usage.paused_for.is_none();
    let time = pace.time_for(standing.to_send).filter(|_| can_send);
    let overdue = standing.look_due_since.map(|due| now.ms_since(due));
    let overdue = Duration::from_millis(overdue.and_then(|ms| ms.try_into().ok()).unwrap_or(0));
    let lag = connection.measured.lag(Instant::now()).max(overdue);
    Ok(Budget {
        connection: connection.name.clone(),
        allowed_per_minute: usage.allowed_per_minute,
        used_last_minute: usage.used_last_minute,
        waiting: usage.waiting,
        looks_last_minute: usage.looks_last_minute,
        paused_until: usage.paused_for.map(|left| now.plus(left)),
        messages_waiting: standing.to_send,
        requests_per_message: pace.requests_per_message(),
        backlog_ends_at: time.map(|time| now.plus(time)),
        look_lag_seconds: lag.as_secs_f64(),
        hosts: hosts(connection),
        problem: connection.problem(),
    })
}

fn hosts(connection: &Connection) -> Vec<Host> {
    let mut hosts = vec![
        Host { role: HostRole::Login, breaker: connection.token.breaker() },
        Host { role: HostRole::Api, breaker: connection.gate.breaker() },
    ];
    let sink = connection.sink.as_ref();
    hosts.extend(sink.map(|sink| Host { role: HostRole::Sink, breaker: sink.breaker() }));
    hosts
}
