//! The rules this proxy goes by, so that a page or program can judge by the same.

use super::ok;
use crate::router::AppState;
use axum::extract::State;
use axum::response::Response;
use shared::api::{ConnectionRules, RuleWords, RulesAnswer};

/// The packs each connection goes by, named by their hashes, and every rule in words.
#[utoipa::path(get, path = "/api/v1/rules", tag = "submissions", responses((status = 200, body = RulesAnswer)))]
pub async fn list_rules(State(app): State<AppState>) -> Response {
    let of = |one: &crate::engine::Connection| ConnectionRules {
        connection: one.name.clone(),
        ruleset: (*one.rules).clone(),
    };
    ok(RulesAnswer {
        connections: app.engine.connections.iter().map(of).collect(),
        rules: RuleWords::all(),
    })
}
