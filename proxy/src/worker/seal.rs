//! Closes audit batches: at 50 entries, or 5 s after the oldest. Sending never waits for it.

use super::{Progress, Worker};
use crate::engine::Engine;
use crate::store::{Error, SealWhen};
use async_trait::async_trait;
use shared::time::Timestamp;
use std::time::Duration;
use tokio::sync::Notify;

const OPEN_FOR: Duration = Duration::from_secs(5);

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
        let open_for_ms = i64::try_from(OPEN_FOR.as_millis()).unwrap_or(i64::MAX);
        let oldest = Timestamp::from_unix_ms(now.unix_ms() - open_for_ms);
        let sealed = seal_all(engine, SealWhen::OldestAt(oldest), now).await?;
        Ok(if sealed { Progress::More } else { Progress::Idle })
    }
}

/// Seals at most one batch of each stream; true when any was.
pub async fn seal_all(engine: &Engine, when: SealWhen, now: Timestamp) -> Result<bool, Error> {
    let mut sealed = false;
    for connection in &engine.connections {
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
