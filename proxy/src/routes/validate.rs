//! Findings and plan for a payload, by the same code the page and dispatch run.

use super::{Strict, ok};
use crate::error::Failure;
use crate::router::AppState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use shared::api::{Problem, ValidateAnswer, ValidateRequest};
use shared::channel::Channel;
use shared::plan;
use shared::validate::{Context, validate};

/// Judges a payload against a channel, or against a conversation the proxy has read.
#[utoipa::path(post, path = "/api/v1/validate", tag = "submissions", request_body = ValidateRequest,
    responses((status = 200, body = ValidateAnswer), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn validate_payload(
    State(app): State<AppState>,
    Strict(request): Strict<ValidateRequest>,
) -> Result<Response, Failure> {
    let payload = &request.payload;
    let (findings, channel) = match (request.channel, request.connection, request.conversation_id) {
        (Some(channel), None, None) => (validate(payload, Context::Channel(&channel)), channel),
        (None, Some(connection), Some(id)) => {
            let conversation = super::connections::conversation(&app, connection, id).await?;
            (validate(payload, Context::Conversation(&conversation)), conversation.channel)
        }
        _ => {
            return Err(Failure::new(
                StatusCode::BAD_REQUEST,
                "context",
                "Give either channel, or connection and conversation_id",
            ));
        }
    };
    let plan = plan::plan(payload, &channel);
    let parts = if channel == Channel::Sms {
        plan.messages.first().and_then(|one| one.parts)
    } else {
        None
    };
    Ok(ok(ValidateAnswer { findings, parts, plan }))
}
