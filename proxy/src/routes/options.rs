//! What the page must know before it draws.

use super::{connections, ok};
use crate::clock;
use crate::router::AppState;
use axum::extract::State;
use axum::response::Response;
use shared::api::Options;
use shared::audit::seconds;

/// Version, connections and the SLA threshold.
#[utoipa::path(get, path = "/api/v1/options", tag = "connections", responses((status = 200, body = Options)))]
pub async fn find_options(State(app): State<AppState>) -> Response {
    ok(Options {
        version: env!("CARGO_PKG_VERSION").into(),
        connections: connections::connections(&app),
        threshold_seconds: seconds(app.engine.threshold_ms),
        audit_sink: app.engine.connections.iter().any(|one| one.sink.is_some()),
        now: clock::now(),
    })
}
