//! Sealed audit batches: where they are, and everything needed to verify them elsewhere.

use super::{messages::mark_kept, ok, page_limit, query};
use crate::audit;
use crate::error::Failure;
use crate::router::AppState;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use shared::api::{AuditBatch, ExportedBatch, Page, Problem};
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
    /// The sequence before the first one wanted, as `next_cursor` gives it; 0 unless given.
    cursor: Option<u64>,
    /// Batches on a page, 1 to 200; 50 unless given.
    limit: Option<u32>,
}

/// Batches of one stream with exact bodies and headers, oldest first.
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
    let from = wanted.cursor.unwrap_or(0).saturating_add(1);
    let batches = app.engine.store.export_audit_batches(name, from, limit).await?;
    let is_full = u32::try_from(batches.len()).is_ok_and(|count| count == limit);
    let next_cursor =
        batches.last().filter(|_| is_full).map(|last| last.batch.sequence.to_string());
    let items = batches
        .iter()
        .map(|batch| ExportedBatch {
            headers: audit::sealed_headers(batch),
            body: String::from_utf8_lossy(&batch.body).into_owned(),
            acknowledged_at: batch.batch.acknowledged_at,
        })
        .collect();
    Ok(ok(Page::<ExportedBatch> { items, next_cursor }))
}
