//! Sealed audit batches: where they are, and everything needed to verify them elsewhere.

use super::{Strict, messages::mark_kept, ok, page_limit, query};
use crate::audit;
use crate::clock;
use crate::error::Failure;
use crate::router::AppState;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use shared::api::{AuditBatch, ExportedBatch, Page, Problem, ResumeAnswer, ResumeRequest};
use shared::id::ConnectionName;

/// Which batches a list shows.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BatchQuery {
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Items on a page, 1 to 200; 50 unless given.
    limit: Option<u32>,
}

/// Sealed batches, newest first.
#[utoipa::path(get, path = "/api/v1/audit/batches", tag = "audit", params(BatchQuery),
    responses((status = 200, body = Page<AuditBatch>), (status = 400, body = Problem)))]
pub async fn list_batches(
    State(app): State<AppState>,
    wanted: Result<Query<BatchQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let wanted = query(wanted)?;
    let limit = page_limit(wanted.limit)?;
    let mut page = app.engine.store.list_audit_batches(wanted.cursor, limit).await?;
    for batch in &mut page.items {
        mark_kept(&app, batch);
    }
    Ok(ok(page))
}

/// Which part of a stream is exported.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// The connection whose stream it is; the first one unless given.
    #[param(value_type = Option<String>)]
    connection: Option<ConnectionName>,
    /// The `next_cursor` of the page before; from the beginning unless given.
    cursor: Option<u64>,
    /// Batches on a page, 1 to 200; 50 unless given.
    limit: Option<u32>,
}

/// Sealed batches of one connection with exact bodies and headers, oldest first, over all its streams.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "audit", params(ExportQuery),
    responses((status = 200, body = Page<ExportedBatch>), (status = 400, body = Problem)))]
pub async fn export_batches(
    State(app): State<AppState>,
    wanted: Result<Query<ExportQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let wanted = query(wanted)?;
    let limit = page_limit(wanted.limit)?;
    let first = app.engine.connections.first().map(|one| one.name.clone());
    let name = wanted.connection.or(first).ok_or_else(|| Failure::not_found("connection"))?;
    let after = wanted.cursor.unwrap_or(0);
    let batches = app.engine.store.export_audit_batches(name, after, limit).await?;
    let is_full = u32::try_from(batches.len()).is_ok_and(|count| count == limit);
    let next_cursor = batches.last().filter(|_| is_full).map(|last| last.position.to_string());
    let items = batches.iter().map(audit::exported).collect();
    Ok(ok(Page::<ExportedBatch> { items, next_cursor }))
}

/// Posts to a sink again at once that refused batches or was gone, or begins a new stream for it.
#[utoipa::path(post, path = "/api/v1/audit/resume", tag = "audit", request_body = ResumeRequest,
    responses((status = 200, body = ResumeAnswer), (status = 400, body = Problem),
        (status = 404, body = Problem)))]
pub async fn resume_shipping(
    State(app): State<AppState>,
    Strict(request): Strict<ResumeRequest>,
) -> Result<Response, Failure> {
    let engine = &app.engine;
    let name = request.connection;
    let connection = engine.connection(&name).ok_or_else(|| Failure::not_found("connection"))?;
    let mut answer = ResumeAnswer { resumed: false, new_stream: None };
    if request.new_stream {
        let why = "A person began a new stream.".to_owned();
        answer.new_stream =
            engine.store.start_audit_stream(name.clone(), why).await?.map(|new| new.stream);
        answer.resumed = answer.new_stream.is_some();
    } else {
        answer.resumed = engine.store.resume_shipping(name.clone(), clock::now()).await?;
    }
    if let Some(sink) = &connection.sink {
        sink.hurry();
    }
    tracing::info!(connection = %name, resumed = answer.resumed, "a person resumed the audit");
    engine.nudges.ship.notify_one();
    Ok(ok(answer))
}
