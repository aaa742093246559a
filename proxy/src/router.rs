//! Every route in one place, and the layers around them.

use crate::access::{self, Access};
use crate::console::{self, Console};
use crate::engine::Engine;
use crate::error::Failure;
use crate::routes::{
    audit, budget, connections, events, health, messages, openapi, options, rules, sandbox,
    schemas, sla, submissions, validate,
};
use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use shared::api::path;
use shared::json::BODY_BYTES_MAX;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

/// Time for a request's body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// What handlers work with.
#[derive(Clone)]
pub struct AppState {
    /// Store, connections, nudges.
    pub engine: Arc<Engine>,
    /// Where the in-process sandbox listens, if there is one.
    pub sandbox: Option<Arc<sandbox::Control>>,
    /// Ends live streams on a stop.
    pub stop: CancellationToken,
}

/// The whole server as a service.
pub fn router(state: AppState, access: Arc<Access>, console: Arc<Console>) -> Router {
    let api = Router::new()
        .route(path::SUBMISSIONS, post(submissions::create_submission))
        .route(path::SUBMISSION, get(submissions::find_submission))
        .route(path::MESSAGES, get(messages::list_messages))
        .route(path::MESSAGE_COUNTS, get(messages::count_messages))
        .route(path::MESSAGE, get(messages::find_message))
        .route(path::MESSAGE_CANCEL, post(messages::cancel_message))
        .route(path::MESSAGE_RETRY, post(messages::retry_message))
        .route(path::MESSAGE_RESEND, post(submissions::resend_message))
        .route(path::MESSAGE_DECIDE, post(messages::decide_message))
        .route(path::VALIDATE, post(validate::validate_payload))
        .route(path::RULES, get(rules::list_rules))
        .route(path::SCHEMA_PAYLOAD, get(schemas::find_payload_schema))
        .route(path::CONNECTIONS, get(connections::list_connections))
        .route(path::CONNECTION_RESUME, post(connections::resume_connection))
        .route(path::CONVERSATIONS, get(connections::list_conversations))
        .route(path::CONVERSATION, get(connections::find_conversation))
        .route(path::SLA, get(sla::report_sla))
        .route(path::AUDIT_BATCHES, get(audit::list_batches))
        .route(path::AUDIT_EXPORT, get(audit::export_batches))
        .route(path::AUDIT_RESUME, post(audit::resume_shipping))
        .route(path::EVENTS, get(events::stream_events))
        .route(path::OPTIONS, get(options::find_options))
        .route(path::BUDGET, get(budget::list_budgets))
        .route(path::OPENAPI, get(openapi::find_openapi))
        .route(path::SANDBOX, get(sandbox::forward).put(sandbox::forward))
        .route("/api/{*rest}", axum::routing::any(no_such_call))
        .layer(
            ServiceBuilder::new()
                .layer(set(header::VARY, "Origin, Sec-Fetch-Site"))
                .layer(set(header::CACHE_CONTROL, "no-store"))
                .layer(from_fn_with_state(Arc::clone(&access), access::check_caller)),
        )
        .with_state(state.clone());
    let health = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/reference", get(openapi::reference))
        .route("/reference.css", get(openapi::reference_css))
        .with_state(state);
    let page = Router::new()
        .route("/", get(console::document))
        .route("/{*path}", get(console::file))
        .with_state(console);
    Router::new()
        .merge(api)
        .merge(health)
        .merge(page)
        .method_not_allowed_fallback(method_not_allowed)
        // One stack of layers, the outermost first: a router pays for each layer it is given with an allocation or two
        // in every request.
        .layer(
            ServiceBuilder::new()
                .layer(CatchPanicLayer::custom(|_| {
                    Failure::new(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "internal",
                        "Something went wrong in the proxy",
                    )
                    .into_response()
                }))
                .layer(set(
                    HeaderName::from_static("permissions-policy"),
                    "camera=(), microphone=(), geolocation=(), payment=(), usb=(), clipboard-read=()",
                ))
                .layer(set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin"))
                .layer(set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
                .layer(set(header::REFERRER_POLICY, "no-referrer"))
                .layer(set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
                .map_response(problem_for_large_body)
                .layer(from_fn_with_state(access, access::check_host))
                .layer(RequestBodyTimeoutLayer::new(BODY_TIMEOUT))
                .layer(RequestBodyLimitLayer::new(BODY_BYTES_MAX))
                .layer(axum::extract::DefaultBodyLimit::disable()),
        )
}

fn set(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

async fn no_such_call() -> Failure {
    Failure::not_found("call").detail("The calls are listed at /reference.")
}

async fn method_not_allowed() -> Failure {
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method", "This path does not take that method")
}

/// The body limit answers in plain text; callers of the API get a problem like any other.
fn problem_for_large_body(response: Response) -> Response {
    let is_problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/problem+json");
    if response.status() != StatusCode::PAYLOAD_TOO_LARGE || is_problem {
        return response;
    }
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The request is too large")
        .detail(format!("A request may have {BODY_BYTES_MAX} bytes."))
        .into_response()
}
