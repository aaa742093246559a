//! Handlers of `/api/v1` and the operator's paths, one file for each noun. A handler reads the request,
//! judges it with `shared`, calls one method of the store or an engine, and answers in a type of
//! `shared::api`. Loops and retries belong to workers.

pub mod audit;
pub mod budget;
pub mod connections;
pub mod events;
pub mod health;
pub mod messages;
pub mod openapi;
pub mod options;
pub mod rules;
pub mod sandbox;
pub mod schemas;
pub mod sla;
pub mod submissions;
pub mod validate;

use crate::error::Failure;
use axum::body::Bytes;
use axum::extract::FromRequest;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::json;

/// A JSON body, read strictly: see [`shared::json::decode`].
pub struct Strict<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Strict<T> {
    type Rejection = Failure;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Failure> {
        let bytes = Bytes::from_request(request, state).await.map_err(|error| unread(&error))?;
        Ok(Self(json::decode(&bytes)?))
    }
}

fn unread(error: &BytesRejection) -> Failure {
    let status = error.status();
    let code = if status == StatusCode::PAYLOAD_TOO_LARGE { "too_large" } else { "body" };
    Failure::new(status, code, "The body could not be read").detail(error.body_text())
}

/// An answer in JSON.
fn ok<T: Serialize>(value: T) -> Response {
    axum::Json(value).into_response()
}

/// A query that names a parameter this call does not have, or gives one a value it cannot have.
fn query<T: DeserializeOwned>(
    query: Result<axum::extract::Query<T>, axum::extract::rejection::QueryRejection>,
) -> Result<T, Failure> {
    match query {
        Ok(axum::extract::Query(query)) => Ok(query),
        Err(error) => {
            Err(Failure::bad_request("query", "The query cannot be read").detail(error.body_text()))
        }
    }
}

/// Items on a page: 50 unless given, 1 to 200.
fn page_limit(limit: Option<u32>) -> Result<u32, Failure> {
    const MOST: u32 = 200;
    match limit {
        None => Ok(50),
        Some(limit @ 1..=MOST) => Ok(limit),
        Some(_) => Err(Failure::bad_request("limit", format!("limit must be 1 to {MOST}"))),
    }
}
