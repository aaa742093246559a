//! For operators: is it alive, can it work, and how much is waiting. Open on loopback, and therefore without
//! anything but counts.

use crate::router::AppState;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::fmt::Write as _;

/// Alive: the process answers.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready: the store can be read.
pub async fn readyz(State(app): State<AppState>) -> Response {
    match app.engine.store.backlog().await {
        Ok(_) => "ok\n".into_response(),
        Err(error) => {
            tracing::error!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the store cannot be read\n").into_response()
        }
    }
}

/// Prometheus text format, version 0.0.4.
pub async fn metrics(State(app): State<AppState>) -> Response {
    let backlog = match app.engine.store.backlog().await {
        Ok(backlog) => backlog,
        Err(error) => {
            tracing::error!(%error, "metrics could not be read");
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    };
    let mut text = String::new();
    let mut family = |name: &str, help: &str, samples: &[(String, u64)]| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let messages: Vec<(String, u64)> = backlog
        .messages
        .iter()
        .map(|(state, count)| (format!("{{state=\"{}\"}}", state.as_str()), *count))
        .collect();
    family("waybill_messages", "Messages by state.", &messages);
    let plain = |value: u64| [(String::new(), value)];
    family(
        "waybill_audit_entries_unsealed",
        "Audit entries not sealed yet.",
        &plain(backlog.entries_unsealed),
    );
    family(
        "waybill_audit_batches_waiting",
        "Sealed batches the sink has not acknowledged.",
        &plain(backlog.batches_waiting),
    );
    family(
        "waybill_audit_batches_stalled",
        "Batches the sink refuses.",
        &plain(backlog.batches_stalled),
    );
    family(
        "waybill_audit_batches_stopped",
        "Batches that wait for a person, because the sink is gone.",
        &plain(backlog.batches_stopped),
    );
    let entries: Vec<(String, u64)> = backlog
        .entries_waiting
        .iter()
        .map(|(name, entries)| (format!("{{connection=\"{name}\"}}"), *entries))
        .collect();
    family(
        "waybill_audit_entries_waiting",
        "Audit entries the sink has not acknowledged, sealed or not.",
        &entries,
    );
    family(
        "waybill_audit_streams_replaced",
        "Audit streams that ended because the database was rolled back or restored.",
        &plain(backlog.streams_replaced),
    );
    let usages: Vec<_> =
        app.engine.connections.iter().map(|one| (one.name.as_str(), one.budget.usage())).collect();
    let of = |pick: fn(&crate::platform::budget::Usage) -> u32| -> Vec<(String, u64)> {
        usages
            .iter()
            .map(|(name, usage)| (format!("{{connection=\"{name}\"}}"), u64::from(pick(usage))))
            .collect()
    };
    family(
        "waybill_budget_allowed_per_minute",
        "Platform requests allowed in a minute.",
        &of(|usage| usage.allowed_per_minute),
    );
    family(
        "waybill_budget_used_last_minute",
        "Platform requests made in the last minute.",
        &of(|usage| usage.used_last_minute),
    );
    family("waybill_budget_waiting", "Requests waiting for a permit.", &of(|usage| usage.waiting));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
