//! What stands before every call of one connection: the API host's breaker, the pauses, the retry budget.
//!
//! The request budget says *how often* a connection may call; the gate says *whether*. It is asked before an
//! attempt is begun, so a message that cannot go waits as it is, and none of its attempts is used up.

use super::breaker::{Entry, Guard, Pass};
use super::budget::Priority;
use super::pause::{Pauses, Refusal};
use super::retry::RetryBudget;
use crate::clock;
use shared::api::BreakerState;
use shared::delivery::Reason;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Why nothing goes through now.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    /// In words, with what to do.
    pub reason: Reason,
    /// When it may be worth asking again.
    pub wait: Duration,
}

impl Closed {
    /// The host does not work.
    pub fn host(wait: Duration) -> Self {
        let text = "The platform cannot be reached or does not answer; tried again by itself.";
        Self { reason: Reason::new("platform_down", text), wait }
    }
}

/// The gate of one connection. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    guard: Guard,
    inner: Arc<Inner>,
}

struct Inner {
    pauses: Mutex<Pauses>,
    retries: Mutex<RetryBudget>,
}

impl Gate {
    /// An open gate before the host of `api_url`.
    pub fn new(api_url: &str) -> Self {
        let retries = Mutex::new(RetryBudget::new(Instant::now()));
        let inner = Inner { pauses: Mutex::default(), retries };
        Self { guard: Guard::for_url(api_url), inner: Arc::new(inner) }
    }

    /// Why a call of this kind would not be let through now.
    pub fn closed(&self, priority: Priority) -> Option<Closed> {
        if let Some(wait) = self.guard.closed_for() {
            return Some(Closed::host(wait));
        }
        let pauses = self.pauses();
        let cause = pauses.cause().filter(|cause| concerns(*cause, priority))?;
        let wait = pauses.closed_for(Instant::now())?;
        Some(Closed { reason: cause.reason(), wait })
    }

    /// Lets a call through, or says why not.
    pub fn enter(&self, priority: Priority) -> Result<Entrance, Closed> {
        let pass = self.guard.enter().map_err(Closed::host)?;
        let mut pauses = self.pauses();
        let pause = match pauses.cause().filter(|cause| concerns(*cause, priority)) {
            None => Entry::Usual,
            Some(cause) => {
                let now = Instant::now();
                let wait = pauses.closed_for(now).unwrap_or_default();
                pauses.admit(now).ok_or(Closed { reason: cause.reason(), wait })?
            }
        };
        drop(pauses);
        Ok(Entrance { pass: Some(pass), pause, gate: self.clone() })
    }

    /// A send was refused. True when everything waits now, this message included.
    pub fn refused(&self, refusal: Refusal) -> bool {
        let mut pauses = self.pauses();
        let before = pauses.cause();
        let waits = pauses.refused(refusal, Instant::now(), clock::jitter());
        drop(pauses);
        if waits && before != Some(refusal) {
            tracing::error!(host = self.guard.host(), why = refusal.text(), "sending is paused");
        }
        waits
    }

    /// The platform judged a send by itself.
    pub fn judged(&self) {
        self.lifting(Pauses::judged);
    }

    /// The platform took the token.
    pub fn token_taken(&self) {
        self.lifting(Pauses::token_taken);
    }

    /// Begins paused: the record says that the process before this one was.
    pub fn begin_paused(&self, cause: Refusal) {
        self.pauses().begin_paused(cause, Instant::now());
    }

    /// A person says that it works again: everything is tried now.
    pub fn resume(&self) {
        self.guard.hurry();
        self.judged();
    }

    /// Why sends are paused, if they are.
    pub fn paused(&self) -> Option<Refusal> {
        self.pauses().cause()
    }

    /// Where the API host's breaker is.
    pub fn breaker(&self) -> BreakerState {
        self.guard.state()
    }

    /// A first attempt was made.
    pub fn first_attempt(&self) {
        self.retries().first_attempt();
    }

    /// Takes a repeat from the retry budget, or says how long to wait for one.
    pub fn take_retry(&self) -> Result<(), Duration> {
        self.retries().take(Instant::now())
    }

    fn lifting(&self, change: fn(&mut Pauses)) {
        let mut pauses = self.pauses();
        let before = pauses.cause();
        change(&mut pauses);
        if before.is_some() && pauses.cause().is_none() {
            tracing::info!(host = self.guard.host(), "sending goes on");
        }
    }

    fn pauses(&self) -> MutexGuard<'_, Pauses> {
        self.inner.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn retries(&self) -> MutexGuard<'_, RetryBudget> {
        self.inner.retries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whom a pause holds up. A refused token is everybody's; a person may always ask, which finds out, too.
fn concerns(cause: Refusal, priority: Priority) -> bool {
    match priority {
        Priority::Send => true,
        Priority::Reconcile | Priority::Look => cause == Refusal::Token,
        Priority::Token | Priority::Ask => false,
    }
}

/// One call that was let through.
pub struct Entrance {
    pass: Option<Pass>,
    pause: Entry,
    gate: Gate,
}

impl std::fmt::Debug for Entrance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Entrance").field(&self.pass).field(&self.pause).finish()
    }
}

impl Entrance {
    /// The right to the first request; a replay of the same call asks anew.
    pub fn pass(&mut self) -> Result<Pass, Closed> {
        self.pass.take().map_or_else(|| self.gate.guard.enter().map_err(Closed::host), Ok)
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.gate.pauses().given_back(self.pause);
    }
}
