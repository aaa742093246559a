//! How anything that goes wrong in a request reaches the caller: one status, one stable code, one
//! `application/problem+json`.
//!
//! Handlers return [`Failure`]. What a caller can mend is said in words; what they cannot (a broken database)
//! is logged here once and answered without internal text.

use crate::store;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use shared::api::Problem;
use shared::finding::Finding;
use shared::json::DecodeError;

/// A request that did not succeed. Boxed: the way that succeeds should not carry its size.
#[derive(Debug)]
pub struct Failure(Box<Problem>);

impl Failure {
    /// A failure with a stable code and a sentence.
    pub fn new(status: StatusCode, code: &str, title: impl Into<String>) -> Self {
        Self(Box::new(Problem {
            code: code.to_owned(),
            status: status.as_u16(),
            title: title.into(),
            detail: None,
            findings: Vec::new(),
        }))
    }

    /// Adds where, why and how to mend it.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// The rules refuse the payload.
    pub fn findings(findings: Vec<Finding>) -> Self {
        let mut failure = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "payload_findings",
            "The rules refuse this message",
        );
        failure.0.findings = findings;
        failure
    }

    /// Nothing has that identifier.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("There is no such {what}"))
    }

    /// A request that cannot be understood.
    pub fn bad_request(code: &str, title: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, title)
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Cursor => {
                Self::bad_request("cursor", "The cursor is not one of this list")
                    .detail("Pass the next_cursor of the page before, unchanged.")
            }
            store::Error::Full => {
                tracing::error!("the disk is full");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "storage_full",
                    "The proxy's disk is full",
                )
                .detail("Nothing was stored. Free some space and try again with the same key.")
            }
            store::Error::Quota { used, quota } => {
                let (used, quota) = (used.div_ceil(1_000_000), quota / 1_000_000);
                tracing::error!(used_mb = used, quota_mb = quota, "the quota is nearly used up");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "storage_full",
                    "The proxy's database has nearly used up its quota",
                )
                .detail(format!(
                    "Nothing was stored. The database holds {used} MB; above 80 % of its {quota} MB nothing new \
                     is accepted, so that there is room to finish what was. Raise data.quota_mb, or let ended \
                     messages be removed (retention.messages_days) and see that the audit sink takes its \
                     batches; then try again with the same key."
                ))
            }
            store::Error::Busy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "storage_busy",
                "The proxy cannot store anything now",
            )
            .detail("Nothing was stored. Try again with the same key."),
            // After a failed commit nobody knows what the disk holds.
            store::Error::Stopped => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "storage_stopped",
                "The proxy is stopping",
            )
            .detail(
                "It may or may not have been stored. Try again with the same key: that is safe.",
            ),
            error @ (store::Error::Database(_) | store::Error::Corrupt { .. }) => {
                tracing::error!(%error, "a request failed in the store");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "Something went wrong in the proxy",
                )
                .detail("The proxy's log says what.")
            }
        }
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::bad_request("json", "The body is not the JSON this call takes")
            .detail(error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&*self.0)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
