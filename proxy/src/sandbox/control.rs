//! Looking into the sandbox and steering it: `/sandbox/v1/…`, without credentials.
//!
//! | call | in → out |
//! | --- | --- |
//! | `GET conversations` | → `{conversations: [{id, channel, from, to, special?}]}` |
//! | `GET sends` | → `{sends: [{key, id, conversation_id, at, duplicate, body_sha256}]}`, oldest first |
//! | `GET`, `PUT faults` | the rules of [`super::faults`] |
//! | `GET`, `PUT clock` | `{speed}` → `{speed, now}` |

use super::Sandbox;
use super::clock::SPEED_RANGE;
use super::faults::Rules;
use super::refusal::Refusal;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The routes of the control calls.
pub fn routes() -> Router<Sandbox> {
    Router::new()
        .route("/sandbox/v1/conversations", get(list_conversations))
        .route("/sandbox/v1/sends", get(list_sends))
        .route("/sandbox/v1/faults", get(find_faults).put(replace_faults))
        .route("/sandbox/v1/clock", get(find_clock).put(set_clock))
}

async fn list_conversations(State(sandbox): State<Sandbox>) -> Json<Value> {
    Json(json!({ "conversations": sandbox.conversations() }))
}

async fn list_sends(State(sandbox): State<Sandbox>) -> Result<Json<Value>, Refusal> {
    Ok(Json(json!({ "sends": sandbox.0.store.sends()? })))
}

async fn find_faults(State(sandbox): State<Sandbox>) -> Json<Rules> {
    Json(sandbox.0.faults.rules())
}

async fn replace_faults(
    State(sandbox): State<Sandbox>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Rules>, Refusal> {
    let rules: Rules = decode(body)?;
    rules.check().map_err(|error| Refusal::bad_request("bad.request", error))?;
    sandbox.0.faults.set(rules, &sandbox.0.store)?;
    Ok(Json(sandbox.0.faults.rules()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockRequest {
    speed: f64,
}

async fn find_clock(State(sandbox): State<Sandbox>) -> Json<Value> {
    Json(describe_clock(&sandbox))
}

async fn set_clock(
    State(sandbox): State<Sandbox>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Refusal> {
    let ClockRequest { speed } = decode(body)?;
    let saved = sandbox.0.clock.set_speed(speed, crate::clock::now()).ok_or_else(|| {
        let (slowest, fastest) = (SPEED_RANGE.start(), SPEED_RANGE.end());
        Refusal::bad_field(
            "invalid.value",
            "speed",
            format!("speed is a number from {slowest} to {fastest}"),
        )
    })?;
    sandbox.0.store.put_state("clock", &saved)?;
    Ok(Json(describe_clock(&sandbox)))
}

fn describe_clock(sandbox: &Sandbox) -> Value {
    json!({ "speed": sandbox.0.clock.speed(), "now": sandbox.now() })
}

fn decode<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Refusal> {
    let body = body.map_err(|rejection| Refusal::body(&rejection))?;
    shared::json::decode(&body)
        .map_err(|error| Refusal::bad_field("bad.request", &error.pointer, error.to_string()))
}
