//! Findings and plan for a payload, by the same code the page and dispatch run.

use super::{Strict, ok};
use crate::error::Failure;
use crate::router::AppState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use shared::api::{Problem, ValidateAnswer, ValidateRequest};
use shared::validate::Context;

/// Judges a payload against a channel, or against a conversation the proxy has read.
#[utoipa::path(post, path = "/api/v1/validate", tag = "submissions", request_body = ValidateRequest,
    responses((status = 200, body = ValidateAnswer), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn validate_payload(
    State(app): State<AppState>,
    Strict(request): Strict<ValidateRequest>,
) -> Result<Response, Failure> {
    let payload = &request.payload;
    let dialect = request.dialect;
    let context = (request.channel, request.connection, request.conversation_id);
    let answer = match context {
        (Some(channel), None, None) => {
            let rules = app.engine.rules(dialect.unwrap_or_default());
            ValidateAnswer::new(payload, rules, Context::Channel(&channel))
        }
        (None, Some(name), Some(id)) if dialect.is_none() => {
            let conversation = super::connections::conversation(&app, name.clone(), id).await?;
            let connection = app.engine.connection(&name);
            let connection = connection.ok_or_else(|| Failure::not_found("connection"))?;
            ValidateAnswer::new(payload, &connection.rules, Context::Conversation(&conversation))
        }
        _ => {
            return Err(Failure::new(
                StatusCode::BAD_REQUEST,
                "context",
                "Give either channel (and dialect), or connection and conversation_id",
            ));
        }
    };
    Ok(ok(answer))
}
