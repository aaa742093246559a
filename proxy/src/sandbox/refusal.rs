//! Answers other than yes, in the platform's error body.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The platform's no: status, stable code and a sentence.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Vec<Detail>,
    retry_after: Option<String>,
}

/// Which field a refusal is about.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    error_code: &'static str,
    field_name: String,
}

/// The error body on the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    message: &'a str,
    code: &'a str,
    status: u16,
    context_id: String,
    details: &'a [Detail],
    errors: [(); 0],
}

/// The header that carries the same identifier as the body's `contextId`.
const CORRELATION_ID: &str = "inin-correlation-id";

impl Refusal {
    /// Any refusal.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: Vec::new(), retry_after: None }
    }

    /// 400 about the field `field`.
    pub fn bad_field(code: &'static str, field: &str, message: impl Into<String>) -> Self {
        let details = vec![Detail { error_code: code, field_name: field.to_owned() }];
        Self { details, ..Self::bad_request(code, message) }
    }

    /// 400.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 401.
    pub fn unauthorised(code: &'static str, message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, message)
    }

    /// 404.
    pub fn not_found(code: &'static str, message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// 429 that asks for a wait of `retry_after`.
    pub fn too_many(retry_after: &str) -> Self {
        let message = format!(
            "Rate limit exceeded the maximum. Retry the request in [{retry_after}] seconds"
        );
        Self {
            retry_after: Some(retry_after.to_owned()),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too.many.requests.retry.after", message)
        }
    }

    /// A fault of the platform's own.
    pub fn broken(status: StatusCode, retry_after: Option<String>) -> Self {
        let (code, message) = match status {
            StatusCode::BAD_GATEWAY => ("bad.gateway", "The gateway got no answer it could use"),
            StatusCode::SERVICE_UNAVAILABLE => {
                ("service.unavailable", "The service is not available")
            }
            StatusCode::GATEWAY_TIMEOUT => ("request.timeout", "The request took too long"),
            _ => ("internal.server.error", "The request could not be processed"),
        };
        Self { retry_after, ..Self::new(status, code, message) }
    }

    /// An answer that a fault was told to give.
    pub fn told(
        status: StatusCode,
        retry_after: Option<String>,
        location: Option<&str>,
    ) -> Response {
        let refusal = Self { retry_after, ..Self::new(status, "told", "As a fault was told") };
        let mut response = refusal.into_response();
        if let Some(Ok(value)) = location.map(HeaderValue::from_str) {
            response.headers_mut().insert(header::LOCATION, value);
        }
        response
    }

    /// What a request body that is too large or cut short gets.
    pub fn body(rejection: &axum::extract::rejection::BytesRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "request.entity.too.large",
                "The request body is too large",
            )
        } else {
            Self::bad_request("bad.request", "The request body could not be read")
        }
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        tracing::error!(error = %error, "the sandbox's data cannot be read or written");
        Self::broken(StatusCode::INTERNAL_SERVER_ERROR, None)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let context_id = super::random_uuid();
        let body = ErrorBody {
            message: &self.message,
            code: self.code,
            status: self.status.as_u16(),
            context_id: context_id.clone(),
            details: &self.details,
            errors: [],
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(&context_id) {
            headers.insert(CORRELATION_ID, value);
        }
        if let Some(Ok(value)) = self.retry_after.as_deref().map(HeaderValue::from_str) {
            headers.insert(header::RETRY_AFTER, value);
        }
        response
    }
}

/// Gives every answer that has none an identifier to talk about it by.
pub fn correlate(response: &mut Response) {
    if let Ok(value) = HeaderValue::from_str(&super::random_uuid()) {
        response.headers_mut().entry(CORRELATION_ID).or_insert(value);
    }
}
