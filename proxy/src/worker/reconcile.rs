//! Finds out what to do about attempts whose outcome is unknown.
//!
//! The guide dialect recognises a repeat by its key, so asking again with the same key and bytes is both the
//! question and the answer: the platform either takes the message now or names the one it took before.
//! A dialect that forgets keys has to look before it sends; that belongs here when it comes.

use super::{LEASE, Progress, Worker, apply};
use crate::engine::Engine;
use crate::store::{Applied, Error, Work};
use async_trait::async_trait;
use shared::api::Actor;
use shared::delivery::{Happening, Reason, State};
use shared::time::Timestamp;
use std::time::Duration;
use tokio::sync::Notify;

const CLAIMS_MAX: u32 = 50;

/// The worker that settles unknown outcomes.
pub struct Reconcile;

#[async_trait]
impl Worker for Reconcile {
    fn name(&self) -> &'static str {
        "reconcile"
    }

    fn every(&self) -> Duration {
        Duration::from_millis(500)
    }

    fn nudge<'a>(&self, engine: &'a Engine) -> Option<&'a Notify> {
        Some(&engine.nudges.reconcile)
    }

    async fn run_once(&self, engine: &Engine, now: Timestamp) -> Result<Progress, Error> {
        let lease_until = now.plus(LEASE);
        let claims =
            engine.store.claim(Work::Reconcile, now, lease_until, CLAIMS_MAX, Vec::new()).await?;
        for claim in &claims {
            if claim.delivery.state == State::Sending {
                let reason = Reason::new("claim_ran_out", "Whoever was sending this went silent.");
                let happening = Happening::Ambiguous { reason };
                let done = apply(engine, claim, happening, Actor::Proxy, true, None).await?;
                if !matches!(done, Applied::Done(_)) {
                    continue;
                }
            }
            apply(engine, claim, Happening::MayRepeat, Actor::Proxy, false, None).await?;
            engine.nudges.dispatch.notify_one();
        }
        Ok(if claims.is_empty() { Progress::Idle } else { Progress::More })
    }
}
