//! Schemas of what callers write, so that an editor or a program can check it before it is sent.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// The JSON Schema (2020-12) of a payload. Its rules are another matter: see `/api/v1/rules`.
#[utoipa::path(get, path = "/api/v1/schemas/payload.json", tag = "submissions",
    responses((status = 200, description = "JSON Schema 2020-12", content_type = "application/schema+json")))]
pub async fn find_payload_schema() -> Response {
    let kind = [(header::CONTENT_TYPE, "application/schema+json")];
    (kind, shared::schema::payload_text()).into_response()
}
