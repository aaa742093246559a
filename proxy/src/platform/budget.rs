//! The request budget of one connection: every call to the platform takes a permit first.
//!
//! Two rules hold at once. In no window of 60 s are more than 95 % of the platform's limit used, whatever
//! window the platform itself counts in; and after a short burst permits come evenly, so that a backlog does
//! not use a minute's budget in its first seconds and keep a person waiting for the rest. Who waits is served
//! by priority, then in order. Looks may use at most 40 %; and while one waits, every tenth permit that would go to a
//! send is its, so that under a lasting backlog states stay fresh, if not as fresh.

use super::gate::Entrance;
use shared::wait;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(60);
/// Permits that may be taken at once after a quiet time.
const BURST: f64 = 40.0;
/// Permits others get in a row while a look waits.
const BEFORE_A_LOOK: u32 = 9;

/// What a request is for; the order is the order of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Getting a token.
    Token,
    /// Reading what a person asked for; there are few of them, and they wait before a screen.
    Ask,
    /// Sending, and reading a conversation in order to send.
    Send,
    /// Finding out what became of an attempt.
    Reconcile,
    /// Looking for receipts.
    Look,
}

/// The right to make one request. It is used up by being passed on.
#[derive(Debug)]
pub struct Permit {
    /// What the request is for.
    pub(super) priority: Priority,
    /// The right to call the host, where it was asked for together with the permit.
    pub(super) entrance: Option<Entrance>,
}

impl Permit {
    /// The same with the right to call the host.
    pub fn through(self, entrance: Entrance) -> Self {
        Self { entrance: Some(entrance), ..self }
    }
}

/// What is left of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Requests allowed in a minute.
    pub allowed_per_minute: u32,
    /// Requests made in the last minute.
    pub used_last_minute: u32,
    /// Of them, looks.
    pub looks_last_minute: u32,
    /// Requests waiting.
    pub waiting: u32,
    /// Of them, those made in order to send.
    pub sends_waiting: u32,
    /// How long the platform asked to stay silent from now.
    pub paused_for: Option<Duration>,
}

/// See the module's text. Cheap to share.
#[derive(Clone)]
pub struct Budget {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    allowed: u32,
    taken: VecDeque<(Instant, Priority)>,
    burst_left: f64,
    refilled_at: Instant,
    paused_until: Option<Instant>,
    /// How often in a row the platform said that the limit was reached.
    refusals: u32,
    waiting: BTreeSet<(Priority, u64)>,
    /// Permits since the last one for a look.
    since_look: u32,
    next_ticket: u64,
}

impl Budget {
    /// A budget for a platform that allows `limit_per_minute` requests.
    pub fn new(limit_per_minute: u32) -> Self {
        let state = State {
            allowed: share_of(limit_per_minute),
            taken: VecDeque::new(),
            burst_left: BURST,
            refilled_at: Instant::now(),
            paused_until: None,
            refusals: 0,
            waiting: BTreeSet::new(),
            since_look: 0,
            next_ticket: 0,
        };
        Self { inner: Arc::new(Inner { state: Mutex::new(state), changed: Notify::new() }) }
    }

    /// Waits for a permit. Giving up is safe at any time: the place in the queue goes to the next.
    pub async fn permit(&self, priority: Priority) -> Permit {
        let place = Place::take(&self.inner, priority);
        loop {
            // Registered before the look, so that a change in between is not missed.
            let changed = self.inner.changed.notified();
            let ready_at = match self.inner.lock().try_take(place.ticket) {
                Ok(()) => return Permit { priority, entrance: None },
                Err(ready_at) => ready_at,
            };
            match ready_at {
                Some(at) => tokio::select! {
                    biased;
                    () = tokio::time::sleep_until(at) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    /// A permit within `patience`, or none.
    pub async fn permit_within(&self, priority: Priority, patience: Duration) -> Option<Permit> {
        tokio::time::timeout(patience, self.permit(priority)).await.ok()
    }

    /// Takes in what an answer's headers say: the limit, what is used of it and the seconds until its window
    /// ends. Near the end of the budget everything pauses until the window is over.
    pub fn learn(&self, allowed: Option<u32>, count: Option<u32>, reset_s: Option<u64>) {
        let mut state = self.inner.lock();
        if let Some(allowed) = allowed.filter(|allowed| *allowed > 0) {
            state.allowed = share_of(allowed);
            if let (Some(count), Some(reset_s)) = (count, reset_s)
                && u64::from(count) * 100 >= u64::from(allowed) * 98
            {
                let pause = Duration::from_secs(reset_s.min(3600) + 1);
                state.pause(pause);
            }
        }
        drop(state);
        self.inner.changed.notify_waiters();
    }

    /// The platform said that its limit is reached, and perhaps for how long: all requests stop. When that
    /// was not long enough the next wait is twice as long, up to five minutes or what was stated.
    pub fn refused(&self, stated: Option<Duration>) {
        let mut state = self.inner.lock();
        let now = Instant::now();
        let is_new = state.paused_until.is_none_or(|until| until <= now);
        if is_new {
            state.refusals = state.refusals.saturating_add(1);
        }
        let wait = wait::after_refusals(stated, state.refusals);
        state.pause(wait);
        drop(state);
        self.inner.changed.notify_waiters();
    }

    /// The platform took a request again.
    pub fn taken(&self) {
        self.inner.lock().refusals = 0;
    }

    /// What is left.
    pub fn usage(&self) -> Usage {
        let mut state = self.inner.lock();
        let now = Instant::now();
        state.forget_before(now);
        Usage {
            allowed_per_minute: state.allowed,
            used_last_minute: u32::try_from(state.taken.len()).unwrap_or(u32::MAX),
            looks_last_minute: count(
                state.taken.iter().filter(|(_, priority)| *priority == Priority::Look),
            ),
            waiting: u32::try_from(state.waiting.len()).unwrap_or(u32::MAX),
            sends_waiting: count(
                state.waiting.iter().filter(|(priority, _)| *priority == Priority::Send),
            ),
            paused_for: state
                .paused_until
                .map(|until| until.saturating_duration_since(now))
                .filter(|left| !left.is_zero()),
        }
    }
}

fn count(of: impl Iterator) -> u32 {
    u32::try_from(of.count()).unwrap_or(u32::MAX)
}

fn share_of(limit_per_minute: u32) -> u32 {
    let share = u64::from(limit_per_minute) * 95 / 100;
    u32::try_from(share).unwrap_or(u32::MAX).max(1)
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn pause(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        self.paused_until = Some(self.paused_until.map_or(until, |paused| paused.max(until)));
    }

    fn forget_before(&mut self, now: Instant) {
        while self.taken.front().is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            self.taken.pop_front();
        }
        let rate = f64::from(self.allowed) / WINDOW.as_secs_f64();
        let refill = now.duration_since(self.refilled_at).as_secs_f64() * rate;
        self.burst_left = (self.burst_left + refill).min(BURST.min(f64::from(self.allowed)));
        self.refilled_at = now;
    }

    /// Takes a permit for `ticket`, or says when to ask again; `None` means when something changes.
    fn try_take(&mut self, ticket: (Priority, u64)) -> Result<(), Option<Instant>> {
        let now = Instant::now();
        self.forget_before(now);
        if let Some(until) = self.paused_until {
            if until > now {
                return Err(Some(until));
            }
            self.paused_until = None;
        }
        let allowed = usize::try_from(self.allowed).unwrap_or(usize::MAX);
        if self.taken.len() >= allowed {
            return Err(self.taken.front().map(|(at, _)| *at + WINDOW));
        }
        if self.burst_left < 1.0 {
            let rate = f64::from(self.allowed) / WINDOW.as_secs_f64();
            // Never less than a timer can wait: a rest that rounds to nothing would be asked for without end.
            let wait = Duration::from_secs_f64((1.0 - self.burst_left) / rate);
            return Err(Some(now + wait.max(Duration::from_millis(1))));
        }
        let looks_at = self.looks_free_at(allowed);
        let first = self.first_in_line(looks_at.is_none());
        if first != Some(ticket) {
            return Err(looks_at.filter(|_| ticket.0 == Priority::Look));
        }
        self.burst_left -= 1.0;
        self.taken.push_back((now, ticket.0));
        self.since_look =
            if ticket.0 == Priority::Look { 0 } else { self.since_look.saturating_add(1) };
        Ok(())
    }

    /// Who is served next, looks only while they may be.
    fn first_in_line(&self, looks_may: bool) -> Option<(Priority, u64)> {
        let look = self.waiting.iter().find(|(priority, _)| *priority == Priority::Look);
        let look = look.filter(|_| looks_may);
        let other = self.waiting.iter().find(|(priority, _)| *priority != Priority::Look);
        // A token and a person never wait for a look.
        let may_wait = |(priority, _): &&(Priority, u64)| {
            matches!(priority, Priority::Send | Priority::Reconcile)
        };
        if self.since_look >= BEFORE_A_LOOK
            && look.is_some()
            && other.is_none_or(|one| may_wait(&one))
        {
            return look.copied();
        }
        other.or(look).copied()
    }

    /// `None` while looks are within their share, else when the oldest look leaves the window.
    fn looks_free_at(&self, allowed: usize) -> Option<Instant> {
        let mut looks = self.taken.iter().filter(|(_, priority)| *priority == Priority::Look);
        let first = looks.next()?;
        (1 + looks.count() >= (allowed * 2 / 5).max(1)).then_some(first.0 + WINDOW)
    }
}

/// A place in the queue; dropping it (served or given up) lets the next one look.
struct Place {
    inner: Arc<Inner>,
    ticket: (Priority, u64),
}

impl Place {
    fn take(inner: &Arc<Inner>, priority: Priority) -> Self {
        let mut state = inner.lock();
        let ticket = (priority, state.next_ticket);
        state.next_ticket += 1;
        state.waiting.insert(ticket);
        drop(state);
        Self { inner: Arc::clone(inner), ticket }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.inner.lock().waiting.remove(&self.ticket);
        self.inner.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_minute_ever_sees_more_than_its_share() {
        let budget = Budget::new(300);
        let start = Instant::now();
        let mut taken = Vec::new();
        while taken.len() < 900 {
            let _permit = budget.permit(Priority::Send).await;
            taken.push(start.elapsed());
        }
        for (index, at) in taken.iter().enumerate() {
            let within = taken[index..].iter().take_while(|later| **later < *at + WINDOW).count();
            assert!(within <= 285, "{within} in the minute from {at:?}");
        }
        let minutes = taken.last().unwrap().as_secs_f64() / 60.0;
        assert!(900.0 / minutes >= 0.9 * 300.0, "only {} a minute", 900.0 / minutes);
    }

    #[tokio::test(start_paused = true)]
    async fn sends_go_before_looks_and_looks_keep_to_their_share() {
        let budget = Budget::new(100);
        let start = Instant::now();
        for _ in 0..38 {
            let _permit = budget.permit(Priority::Look).await;
        }
        assert!(budget.permit_within(Priority::Look, Duration::from_secs(5)).await.is_none());
        let _send = budget.permit(Priority::Send).await;
        assert!(start.elapsed() < Duration::from_secs(10));
        let _look = budget.permit(Priority::Look).await;
        assert!(start.elapsed() >= WINDOW);
    }

    #[tokio::test(start_paused = true)]
    async fn under_a_lasting_backlog_a_tenth_goes_to_looks_and_a_token_never_waits_for_one() {
        let budget = Budget::new(300);
        let served = Arc::new(Mutex::new(Vec::new()));
        for priority in [Priority::Send, Priority::Send, Priority::Look, Priority::Reconcile] {
            let (budget, served) = (budget.clone(), Arc::clone(&served));
            tokio::spawn(async move {
                loop {
                    let permit = budget.permit(priority).await;
                    served.lock().unwrap().push(permit.priority);
                }
            });
        }
        tokio::time::sleep(5 * WINDOW).await;
        let begun = Instant::now();
        let _token = budget.permit(Priority::Token).await;
        assert!(begun.elapsed() < Duration::from_millis(300), "the next one is the token's");
        // The burst of the quiet time before went to whoever came first.
        let served = served.lock().unwrap().split_off(40);
        let looks = served.iter().filter(|one| **one == Priority::Look).count();
        let share = looks * 100 / served.len();
        assert!((9..=10).contains(&share), "{looks} of {}", served.len());
        let longest = served.split(|one| *one == Priority::Look).map(<[_]>::len).max().unwrap();
        assert!(longest <= 10, "{longest} others in a row");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_everyone_and_giving_up_frees_the_place() {
        let budget = Budget::new(300);
        budget.refused(Some(Duration::from_secs(7)));
        let start = Instant::now();
        assert!(budget.permit_within(Priority::Token, Duration::from_secs(1)).await.is_none());
        assert_eq!(budget.usage().waiting, 0);
        let _permit = budget.permit(Priority::Look).await;
        assert!(start.elapsed() >= Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_refusal_doubles_the_wait_and_those_of_one_burst_count_once() {
        let budget = Budget::new(300);
        let paused = || budget.usage().paused_for.unwrap_or_default();
        for _ in 0..5 {
            budget.refused(Some(Duration::from_secs(2)));
        }
        assert_eq!(paused(), Duration::from_secs(2));
        let _permit = budget.permit(Priority::Send).await;
        budget.refused(Some(Duration::from_secs(2)));
        assert_eq!(paused(), Duration::from_secs(4));
        let _permit = budget.permit(Priority::Send).await;
        budget.taken();
        budget.refused(None);
        assert_eq!(paused(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn learns_the_limit_and_pauses_near_its_end() {
        let budget = Budget::new(300);
        budget.learn(Some(180), Some(10), Some(30));
        assert_eq!(budget.usage().allowed_per_minute, 171);
        budget.learn(Some(180), Some(178), Some(30));
        assert_eq!(budget.usage().paused_for, Some(Duration::from_secs(31)));
    }
}
