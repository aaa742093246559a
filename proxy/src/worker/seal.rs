//! Closes audit batches: at 50 entries, or 5 s after the oldest. Sending never waits for it. And keeps house:
//! old acknowledged batches are forgotten, messages that ended long ago are removed, and a backlog over its limit is said aloud.

use super::{Progress, Worker};
use crate::engine::{AuditPolicy, Engine};
use crate::store::{Error, SealWhen};
use async_trait::async_trait;
use shared::time::Timestamp;
use std::time::Duration;
use tokio::sync::Notify;

const OPEN_FOR: Duration = Duration::from_secs(5);
/// Batches forgotten in one transaction.
const FORGOTTEN_AT_ONCE: u32 = 500;

/// Messages removed in one transaction, few enough that nobody waits for it.
const REMOVED_AT_ONCE: u32 = 50;

/// The worker that seals.
pub struct Seal;

#[async_trait]
impl Worker for Seal {
    fn name(&self) -> &'static str {
        "seal"
    }

    fn every(&self) -> Duration {
        Duration::from_millis(500)
    }

    fn nudge<'a>(&self, _engine: &'a Engine) -> Option<&'a Notify> {
        None
    }

    async fn run_once(&self, engine: &Engine, now: Timestamp) -> Result<Progress, Error> {
        let mut sealed = seal_all(engine, SealWhen::OldestAt(before(now, OPEN_FOR)), now).await?;
        if let Some(idle) = engine.audit.heartbeat {
            sealed |= seal_all(engine, SealWhen::IdleSince(before(now, idle)), now).await?;
        }
        Ok(if sealed { Progress::More } else { Progress::Idle })
    }
}

/// Seals at most one batch of each stream; true when any was. A heartbeat needs a sink that hears it.
pub async fn seal_all(engine: &Engine, when: SealWhen, now: Timestamp) -> Result<bool, Error> {
    let mut sealed = false;
    for connection in &engine.connections {
        if matches!(when, SealWhen::IdleSince(_)) && connection.sink.is_none() {
            continue;
        }
        let signer = engine.signer.clone();
        let batch =
            engine.store.seal_audit_batch(connection.name.clone(), signer, when, now).await?;
        if let Some(batch) = batch {
            tracing::info!(
                stream = batch.stream,
                sequence = batch.sequence,
                count = batch.count,
                "audit batch sealed"
            );
            engine.nudges.ship.notify_one();
            sealed = true;
        }
    }
    Ok(sealed)
}

fn before(now: Timestamp, duration: Duration) -> Timestamp {
    let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_unix_ms(now.unix_ms().saturating_sub(ms))
}

/// The worker that forgets what was acknowledged long ago and watches what was not.
pub struct Keep;

#[async_trait]
impl Worker for Keep {
    fn name(&self) -> &'static str {
        "keep"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn nudge<'a>(&self, _engine: &'a Engine) -> Option<&'a Notify> {
        None
    }

    async fn run_once(&self, engine: &Engine, now: Timestamp) -> Result<Progress, Error> {
        let AuditPolicy { keep, backlog_max, refuses, .. } = engine.audit;
        let forgotten =
            engine.store.forget_audit_batches(before(now, keep), FORGOTTEN_AT_ONCE).await?;
        if forgotten == u64::from(FORGOTTEN_AT_ONCE) {
            return Ok(Progress::More);
        }
        if let Some(retention) = engine.retention {
            let without = engine.connections.iter().filter(|one| one.sink.is_none());
            let unshipped = without.map(|one| one.name.clone()).collect();
            let until = before(now, retention);
            let removed =
                engine.store.remove_ended_messages(until, unshipped, now, REMOVED_AT_ONCE).await?;
            if removed > 0 {
                tracing::info!(messages = removed, "removed messages that ended long ago");
                return Ok(Progress::More);
            }
        }
        for connection in engine.connections.iter().filter(|one| one.sink.is_some()) {
            let waiting = engine.store.audit_entries_waiting(connection.name.clone()).await?;
            if waiting >= backlog_max {
                let effect = if refuses { "new messages are refused" } else { "sending goes on" };
                tracing::error!(
                    connection = %connection.name,
                    waiting,
                    backlog_max,
                    "too many audit entries wait for the sink; {effect}"
                );
            }
        }
        Ok(Progress::Idle)
    }
}
