//! The in-process sandbox's control calls, for the page: `/api/v1/sandbox/…` goes to `/sandbox/v1/…` there.

use crate::error::Failure;
use crate::platform::http;
use crate::router::AppState;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What may be asked: the sink is the proxy's to post to, not the page's.
const CALLS: [&str; 5] = ["sends", "faults", "clock", "audit", "conversations"];

/// Where the in-process sandbox listens.
pub struct Control {
    /// Its base URL, without a final slash.
    pub base_url: String,
    /// A client without any credential.
    pub client: reqwest::Client,
}

/// Passes one control call on.
#[utoipa::path(get, path = "/api/v1/sandbox/{call}", tag = "sandbox",
    params(("call" = String, Path, description = "sends, faults, clock, audit or conversations")),
    responses((status = 200, description = "what the sandbox answers"),
        (status = 404, description = "no connection uses the in-process sandbox")))]
pub async fn forward(
    State(app): State<AppState>,
    method: Method,
    Path(call): Path<String>,
    body: Bytes,
) -> Result<Response, Failure> {
    let control = app.sandbox.ok_or_else(|| Failure::not_found("sandbox in this proxy"))?;
    if !CALLS.contains(&call.as_str()) {
        return Err(Failure::not_found("sandbox call"));
    }
    let unreachable = |text: String| {
        Failure::new(StatusCode::BAD_GATEWAY, "sandbox", "The sandbox does not answer").detail(text)
    };
    let response = control
        .client
        .request(method, format!("{}/sandbox/v1/{call}", control.base_url))
        .timeout(TIMEOUT)
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .map_err(|error| unreachable(http::describe(&error)))?;
    let status = response.status();
    let body = http::body(response, BODY_BYTES_MAX).await.map_err(unreachable)?;
    Ok((status, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}
