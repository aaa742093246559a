//! For operators: is it alive, can it work, and how much is waiting. Open on loopback, and therefore without
//! anything but counts.

use super::budget;
use crate::clock;
use crate::router::AppState;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use shared::api::{BreakerState, Budget, HostRole};
use std::fmt::{Display, Write as _};

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
    let budgets = match budget::budgets(&app.engine).await {
        Ok(budgets) => budgets,
        Err(error) => {
            tracing::error!(%error, "metrics could not be read");
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    };
    let mut text = String::new();
    let mut family = |name: &str, help: &str, samples: &[(String, u64)]| {
        write_family(&mut text, name, help, samples);
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
    write_budgets(&mut text, &budgets);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

fn write_family<T: Display>(text: &mut String, name: &str, help: &str, samples: &[(String, T)]) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
    for (labels, value) in samples {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

fn write_budgets(text: &mut String, budgets: &[Budget]) {
    let mut gauge = |name: &str, help: &str, pick: fn(&Budget) -> Option<f64>| {
        let sample =
            |one: &Budget| Some((format!("{{connection=\"{}\"}}", one.connection), pick(one)?));
        let samples: Vec<(String, f64)> = budgets.iter().filter_map(sample).collect();
        write_family(text, name, help, &samples);
    };
    gauge("waybill_budget_allowed_per_minute", "Platform requests allowed in a minute.", |one| {
        Some(one.allowed_per_minute.into())
    });
    gauge("waybill_budget_used_last_minute", "Platform requests made in the last minute.", |one| {
        Some(one.used_last_minute.into())
    });
    gauge("waybill_budget_looks_last_minute", "Of them, looks for receipts.", |one| {
        Some(one.looks_last_minute.into())
    });
    gauge("waybill_budget_waiting", "Requests waiting for a permit.", |one| {
        Some(one.waiting.into())
    });
    gauge(
        "waybill_budget_paused_seconds",
        "Seconds for which the platform asked for silence.",
        |one| {
            let left = one.paused_until.map(|until| until.ms_since(clock::now()));
            Some(left.map_or(0.0, |ms| seconds(ms.max(0))))
        },
    );
    gauge(
        "waybill_messages_to_send",
        "Messages that could be sent now, counted up to 100000.",
        |one| Some(count(one.messages_waiting)),
    );
    gauge(
        "waybill_requests_per_message",
        "Requests a message took to be sent, over the last minute.",
        |one| one.requests_per_message,
    );
    gauge(
        "waybill_backlog_seconds",
        "Seconds until the last waiting message will have been sent; absent where it cannot be known.",
        |one| one.backlog_ends_at.map(|at| seconds(at.ms_since(clock::now()).max(0))),
    );
    gauge(
        "waybill_look_lag_seconds",
        "How late looks for receipts are against the time they were planned for.",
        |one| Some(one.look_lag_seconds),
    );
    gauge("waybill_sending_stopped", "1 while nothing can be sent through it.", |one| {
        Some(if one.problem.is_some() { 1.0 } else { 0.0 })
    });
    let breakers: Vec<(String, u8)> = budgets
        .iter()
        .flat_map(|one| one.hosts.iter().map(move |host| (one, host)))
        .map(|(one, host)| {
            let role = match host.role {
                HostRole::Login => "login",
                HostRole::Api => "api",
                HostRole::Sink => "sink",
            };
            let value = match host.breaker {
                BreakerState::Closed => 0,
                BreakerState::HalfOpen => 1,
                BreakerState::Open => 2,
            };
            (format!("{{connection=\"{}\",host=\"{role}\"}}", one.connection), value)
        })
        .collect();
    let help = "Breaker before a host: 0 closed, 1 finding out, 2 open.";
    write_family(text, "waybill_breaker", help, &breakers);
}

#[expect(clippy::cast_precision_loss, reason = "waits of at most a year")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "counted up to 100,000")]
fn count(messages: u64) -> f64 {
    messages as f64
}
