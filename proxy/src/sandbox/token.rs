//! `POST /oauth/token`: client credentials in, a bearer token out.
//!
//! Credentials come as HTTP Basic, as the real platform wants them, or in the form, as the guide sends them.
//! Tokens are random and stored as digests; they live for an hour of simulated time and survive a restart.

use super::Sandbox;
use super::faults::{Call, Decision};
use super::gate;
use super::refusal::Refusal;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// How long a token lives, in simulated time.
const LIFETIME: Duration = Duration::from_secs(3600);

#[derive(Deserialize)]
struct Form {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// The handler.
pub async fn create_token(
    State(sandbox): State<Sandbox>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let work = |_: &Decision| {
        let body = body.map_err(|rejection| Refusal::body(&rejection))?;
        match issue(&sandbox, &headers, &body)? {
            Ok(token) => {
                let answer = json!({
                    "access_token": token,
                    "token_type": "bearer",
                    "expires_in": LIFETIME.as_secs(),
                });
                Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
            }
            // The token endpoint has an error body of its own.
            Err((error, description)) => {
                let answer = json!({
                    "error": error,
                    "description": description,
                    "error_description": description,
                });
                Ok((StatusCode::BAD_REQUEST, Json(answer)).into_response())
            }
        }
    };
    gate::pass(&sandbox, Call::Token, work).await
}

type Denial = (&'static str, &'static str);

fn issue(
    sandbox: &Sandbox,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Result<String, Denial>, Refusal> {
    let Some(form) = read_form(headers, body) else {
        return Ok(Err(("invalid_request", "the body must be a form")));
    };
    if form.grant_type.as_deref() != Some("client_credentials") {
        return Ok(Err(("unsupported_grant_type", "grant_type must be client_credentials")));
    }
    let (id, secret) = match headers.get(header::AUTHORIZATION) {
        Some(value) => match value.to_str().ok().and_then(read_basic) {
            Some(pair) => pair,
            None => return Ok(Err(("invalid_request", "the Authorization header is not Basic"))),
        },
        None => (form.client_id.unwrap_or_default(), form.client_secret.unwrap_or_default()),
    };
    if id != sandbox.client_id() {
        return Ok(Err(("invalid_client", "client not found")));
    }
    let expected = sandbox.client_secret().expose_secret().as_bytes();
    if !bool::from(secret.as_bytes().ct_eq(expected)) {
        return Ok(Err(("invalid_client", "authentication failed")));
    }
    let token = super::random_secret();
    let now = sandbox.now();
    sandbox.0.store.put_token(&gate::token_digest(&token), now.plus(LIFETIME), now)?;
    Ok(Ok(token))
}

fn read_form(headers: &HeaderMap, body: &[u8]) -> Option<Form> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let mime = content_type.split(';').next()?.trim();
    if !mime.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return None;
    }
    // A form is written like a query, so the query reader reads it.
    let text = std::str::from_utf8(body).ok()?;
    let uri = Uri::builder().path_and_query(format!("/?{text}")).build().ok()?;
    Query::try_from_uri(&uri).ok().map(|Query(form)| form)
}

fn read_basic(value: &str) -> Option<(String, String)> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    decoded.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}
