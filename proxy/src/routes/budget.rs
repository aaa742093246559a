//! The request budget of each connection.

use super::ok;
use crate::clock;
use crate::router::AppState;
use axum::extract::State;
use axum::response::Response;
use shared::api::{Budget, Page};

/// Used, allowed and waiting requests.
#[utoipa::path(get, path = "/api/v1/budget", tag = "connections", responses((status = 200, body = Page<Budget>)))]
pub async fn list_budgets(State(app): State<AppState>) -> Response {
    let items = app
        .engine
        .connections
        .iter()
        .map(|one| {
            let usage = one.budget.usage();
            Budget {
                connection: one.name.clone(),
                allowed_per_minute: usage.allowed_per_minute,
                used_last_minute: usage.used_last_minute,
                waiting: usage.waiting,
                paused_until: usage.paused_for.map(|left| clock::now().plus(left)),
            }
        })
        .collect();
    ok(Page::<Budget> { items, next_cursor: None })
}
