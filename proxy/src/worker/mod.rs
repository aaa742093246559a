//! The workers: dispatch, reconcile, track, seal and ship.
//!
//! Each is one idempotent `run_once(now)` that finds its work in the database, does it and says whether there
//! may be more; none is told what to do, so recovering from a crash and carrying on are the same code. The
//! loop here owns the timer, the nudge and the stop. A run that began is finished on a stop.

pub mod dispatch;
pub mod reconcile;
pub mod seal;
pub mod ship;
pub mod track;

use crate::clock;
use crate::engine::Engine;
use crate::platform::guide::SEND_TIMEOUT;
use crate::store::{Applied, Change, Claim, Error};
use async_trait::async_trait;
use shared::api::Actor;
use shared::channel::Channel;
use shared::delivery::Happening;
use shared::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a claim lasts. Waiting for permits ([`PERMIT_PATIENCE`], twice), reading the conversation and the
/// whole send fit into it with 5 s to spare, so a slow worker never outlives its claim.
pub const LEASE: Duration = Duration::from_secs(60);
/// How long a claimed message waits for a permit before it is given back.
pub const PERMIT_PATIENCE: Duration = Duration::from_secs(15);
const _: () = assert!(
    LEASE.as_secs() >= 2 * PERMIT_PATIENCE.as_secs() + 5 + SEND_TIMEOUT.as_secs() + 5,
    "a claim must outlast everything that is done under it"
);

/// Whether a worker should run again at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It did something; there may be more.
    More,
    /// Nothing was due.
    Idle,
}

/// One kind of work.
#[async_trait]
pub trait Worker: Send + Sync + 'static {
    /// Its name in logs.
    fn name(&self) -> &'static str;
    /// How often to look for work without a nudge.
    fn every(&self) -> Duration;
    /// What wakes it earlier.
    fn nudge<'a>(&self, engine: &'a Engine) -> Option<&'a Notify>;
    /// Does what is due now.
    async fn run_once(&self, engine: &Engine, now: Timestamp) -> Result<Progress, Error>;
}

/// Starts every worker on `tasks` until `stop`.
pub fn start(engine: &Arc<Engine>, tasks: &TaskTracker, stop: &CancellationToken) {
    // Several dispatchers, so that one slow answer holds up one batch and not all.
    for _ in 0..dispatch::DISPATCHERS {
        tasks.spawn(run(Arc::clone(engine), dispatch::Dispatch, stop.clone()));
    }
    tasks.spawn(run(Arc::clone(engine), reconcile::Reconcile, stop.clone()));
    tasks.spawn(run(Arc::clone(engine), track::Track, stop.clone()));
    tasks.spawn(run(Arc::clone(engine), seal::Seal, stop.clone()));
    tasks.spawn(run(Arc::clone(engine), seal::Keep, stop.clone()));
    tasks.spawn(run(Arc::clone(engine), ship::Ship, stop.clone()));
}

async fn run(engine: Arc<Engine>, worker: impl Worker, stop: CancellationToken) {
    let mut failures: u32 = 0;
    while !stop.is_cancelled() {
        // Registered before the run, so that work arriving during it is not slept through.
        let nudge = worker.nudge(&engine).map(Notify::notified);
        let pause = match worker.run_once(&engine, clock::now()).await {
            Ok(Progress::More) => {
                failures = 0;
                continue;
            }
            Ok(Progress::Idle) => {
                failures = 0;
                worker.every()
            }
            Err(Error::Stopped) => break,
            Err(error) => {
                failures += 1;
                tracing::error!(worker = worker.name(), %error, "a run failed and will be repeated");
                shared::wait::back_off(failures, clock::jitter())
            }
        };
        // In this order always, so that a simulation with the same seed takes the same branch.
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = async { match nudge { Some(nudge) => nudge.await, None => std::future::pending().await } } => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// One step of a claimed message. While the store is busy or its disk full it is tried again: what the
/// platform did must not be forgotten because of a full disk.
pub(crate) async fn apply(
    engine: &Engine,
    claim: &Claim,
    happening: Happening,
    actor: Actor,
    keep_claim: bool,
    channel: Option<Channel>,
) -> Result<Applied, Error> {
    let mut failures = 0;
    let mut policy = engine.policy(&claim.connection).clone();
    if let (Some(connection), Some(channel)) = (engine.connection(&claim.connection), &channel) {
        policy.first_look = connection.measured.first_look(channel);
    }
    loop {
        let change = Change {
            message_id: claim.message_id.clone(),
            epoch: Some(claim.epoch),
            happening: happening.clone(),
            actor,
            policy: policy.clone(),
            jitter: clock::jitter(),
            keep_claim,
            channel: channel.clone(),
        };
        match engine.store.apply(change, clock::now()).await {
            Err(error @ (Error::Full | Error::Busy)) => {
                failures += 1;
                tracing::error!(message.id = %claim.message_id, %error, "an outcome waits to be stored");
                tokio::time::sleep(shared::wait::back_off(failures, clock::jitter())).await;
            }
            other => return other,
        }
    }
}
