//! Stops calls to a host that does not work, and finds out when it works again.
//!
//! [`Breaker`] is the rule, with time as an argument: it opens when at least half of at least 20 calls within
//! 30 s failed, or five connections in a row could not be made; after 30 s, doubling up to 5 min while it does
//! not help, one call at a time is let through, and three good ones in a row close it. [`Guard`] is the one
//! that callers of a host share. What the host answered is its business: only silence and 5xx are failures.

use shared::api::BreakerState;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(30);
const CALLS_MIN: usize = 20;
const CONNECT_FAILURES_MAX: u32 = 5;
const OPEN_FIRST: Duration = Duration::from_secs(30);
const OPEN_MAX: Duration = Duration::from_secs(5 * 60);
const GOOD_PROBES: u32 = 3;
/// What somebody is told to wait who comes while a probe is out.
const PROBE_TAKES: Duration = Duration::from_secs(1);

/// How a call ended, as far as its host is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEnd {
    /// It answered, 4xx and 429 included.
    Answered,
    /// It broke off, was silent for too long, or answered 5xx.
    Failed,
    /// No connection could be made.
    NotConnected,
}

/// In which capacity a call was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// As any other.
    Usual,
    /// As the one that finds out.
    Probe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { good: u32, probing: bool },
}

/// The rule; see the module's text.
#[derive(Debug)]
pub struct Breaker {
    state: State,
    /// Calls of the last 30 s, and whether they failed.
    calls: VecDeque<(Instant, bool)>,
    connect_failures: u32,
    /// How often it opened since it was last closed.
    openings: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        let calls = VecDeque::new();
        Self { state: State::Closed, calls, connect_failures: 0, openings: 0 }
    }
}

impl Breaker {
    /// How long a call should wait before it asks again; `None` when it would be let through now.
    pub fn closed_for(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Open { until } if until > now => Some(until - now),
            State::HalfOpen { probing: true, .. } => Some(PROBE_TAKES),
            _ => None,
        }
    }

    /// Lets a call through, or not. Whoever got in says how it [`ended`](Self::ended) or that it was
    /// [`given back`](Self::given_back).
    pub fn admit(&mut self, now: Instant) -> Option<Entry> {
        if self.closed_for(now).is_some() {
            return None;
        }
        let good = match self.state {
            State::Closed => return Some(Entry::Usual),
            State::Open { .. } => 0,
            State::HalfOpen { good, .. } => good,
        };
        self.state = State::HalfOpen { good, probing: true };
        Some(Entry::Probe)
    }

    /// Takes in how a call ended. `jitter` in 0..1 makes an opening up to a tenth longer, so that many who
    /// lost the same host do not come back at once.
    pub fn ended(&mut self, entry: Entry, end: CallEnd, now: Instant, jitter: f64) {
        match (self.state, entry) {
            (State::Closed, Entry::Usual) => {
                self.connect_failures =
                    if end == CallEnd::NotConnected { self.connect_failures + 1 } else { 0 };
                self.calls.push_back((now, end != CallEnd::Answered));
                while self.calls.front().is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
                    self.calls.pop_front();
                }
                let failed = self.calls.iter().filter(|(_, failed)| *failed).count();
                let is_broken = self.calls.len() >= CALLS_MIN && failed * 2 >= self.calls.len();
                if is_broken || self.connect_failures >= CONNECT_FAILURES_MAX {
                    self.open(now, jitter);
                }
            }
            (State::HalfOpen { good, .. }, Entry::Probe) => match end {
                CallEnd::Answered if good + 1 >= GOOD_PROBES => *self = Self::default(),
                CallEnd::Answered => {
                    self.state = State::HalfOpen { good: good + 1, probing: false };
                }
                CallEnd::Failed | CallEnd::NotConnected => self.open(now, jitter),
            },
            // It was let in under another state; what it saw is old.
            _ => {}
        }
    }

    /// A call that was let through and not made.
    pub fn given_back(&mut self, entry: Entry) {
        if let (Entry::Probe, State::HalfOpen { probing, .. }) = (entry, &mut self.state) {
            *probing = false;
        }
    }

    /// Lets one call through now, because somebody says that the host works again.
    pub fn hurry(&mut self) {
        if matches!(self.state, State::Open { .. }) {
            self.state = State::HalfOpen { good: 0, probing: false };
        }
    }

    /// Where it is, for people and metrics.
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    fn open(&mut self, now: Instant, jitter: f64) {
        let wait = OPEN_FIRST.saturating_mul(1 << self.openings.min(4)).min(OPEN_MAX);
        self.openings += 1;
        self.calls.clear();
        self.connect_failures = 0;
        self.state = State::Open { until: now + wait + wait.mul_f64(0.1 * jitter.clamp(0.0, 1.0)) };
    }
}

/// A host's breaker, shared by everything that calls it. Cheap to clone.
#[derive(Clone)]
pub struct Guard {
    inner: Arc<Inner>,
}

struct Inner {
    host: String,
    breaker: Mutex<Breaker>,
}

impl Guard {
    /// A closed breaker for `host`, which its log lines name.
    pub fn new(host: impl Into<String>) -> Self {
        Self { inner: Arc::new(Inner { host: host.into(), breaker: Mutex::default() }) }
    }

    /// A breaker for the host of `url`.
    pub fn for_url(url: &str) -> Self {
        let host = reqwest::Url::parse(url).ok();
        let host = host.and_then(|url| {
            let name = url.host_str()?.to_owned();
            Some(url.port().map_or(name.clone(), |port| format!("{name}:{port}")))
        });
        Self::new(host.unwrap_or_else(|| "?".to_owned()))
    }

    /// The host, for people.
    pub fn host(&self) -> &str {
        &self.inner.host
    }

    /// How long a call should wait; `None` when it would be let through now.
    pub fn closed_for(&self) -> Option<Duration> {
        self.lock().closed_for(Instant::now())
    }

    /// Lets a call through, or says how long to wait.
    pub fn enter(&self) -> Result<Pass, Duration> {
        let now = Instant::now();
        let mut breaker = self.lock();
        match breaker.admit(now) {
            Some(entry) => Ok(Pass { guard: self.clone(), entry, is_used: false }),
            None => Err(breaker.closed_for(now).unwrap_or(PROBE_TAKES)),
        }
    }

    /// Lets one call through now, because a person says that the host works again.
    pub fn hurry(&self) {
        self.lock().hurry();
    }

    /// Where the breaker is.
    pub fn state(&self) -> BreakerState {
        self.lock().state()
    }

    fn ended(&self, entry: Entry, end: CallEnd) {
        let now = Instant::now();
        let mut breaker = self.lock();
        let before = breaker.state();
        breaker.ended(entry, end, now, crate::clock::jitter());
        let (after, wait) = (breaker.state(), breaker.closed_for(now).unwrap_or_default());
        drop(breaker);
        let host = &self.inner.host;
        if before != BreakerState::Open && after == BreakerState::Open {
            let seconds = wait.as_secs();
            tracing::error!(host, seconds, "does not work; calls to it wait and are tried again");
        } else if before == BreakerState::HalfOpen && after == BreakerState::Closed {
            tracing::info!(host, "works again");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        self.inner.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to call a host once. Dropped without a word, it is given back.
pub struct Pass {
    guard: Guard,
    entry: Entry,
    is_used: bool,
}

impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pass").field(&self.entry).finish()
    }
}

impl Pass {
    /// Says how the call ended.
    pub fn ended(mut self, end: CallEnd) {
        self.is_used = true;
        self.guard.ended(self.entry, end);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.is_used {
            self.guard.lock().given_back(self.entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn call(breaker: &mut Breaker, end: CallEnd, now: Instant) -> bool {
        let Some(entry) = breaker.admit(now) else { return false };
        breaker.ended(entry, end, now, 0.0);
        true
    }

    /// A breaker that was opened `times` in a row, and when it lets the next call through.
    fn opened(times: u32) -> (Breaker, Instant) {
        let mut breaker = Breaker::default();
        let mut now = Instant::now();
        for _ in 0..CONNECT_FAILURES_MAX {
            call(&mut breaker, CallEnd::NotConnected, now);
        }
        for _ in 1..times {
            now += breaker.closed_for(now).unwrap();
            call(&mut breaker, CallEnd::Failed, now);
        }
        let wait = breaker.closed_for(now).unwrap();
        (breaker, now + wait)
    }

    #[test]
    fn five_connections_in_a_row_that_cannot_be_made_open_it_for_30_s() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        for _ in 0..4 {
            assert!(call(&mut breaker, CallEnd::NotConnected, now));
        }
        assert!(call(&mut breaker, CallEnd::Answered, now), "not in a row");
        for _ in 0..5 {
            assert!(call(&mut breaker, CallEnd::NotConnected, now));
        }
        assert_eq!(breaker.closed_for(now), Some(30 * SECOND));
        assert!(!call(&mut breaker, CallEnd::Answered, now));
    }

    #[test]
    fn half_of_twenty_calls_within_30_s_open_it_and_fewer_do_not() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        for number in 0..19 {
            let end = if number % 2 == 0 { CallEnd::Failed } else { CallEnd::Answered };
            assert!(call(&mut breaker, end, now));
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        // Half a minute later those are forgotten.
        let later = now + WINDOW;
        assert!(call(&mut breaker, CallEnd::Failed, later));
        assert_eq!(breaker.state(), BreakerState::Closed);
        for _ in 0..10 {
            assert!(call(&mut breaker, CallEnd::Answered, later));
        }
        for _ in 0..8 {
            assert!(call(&mut breaker, CallEnd::Failed, later));
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert!(call(&mut breaker, CallEnd::Failed, later));
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn it_stays_open_twice_as_long_each_time_up_to_five_minutes() {
        for (times, seconds) in [(1, 30), (2, 60), (3, 120), (4, 240), (5, 300), (9, 300)] {
            let (mut breaker, at) = opened(times);
            let before = at - seconds * SECOND;
            assert_eq!(breaker.closed_for(before), Some(seconds * SECOND), "{times}");
            assert!(breaker.admit(at - SECOND).is_none());
            assert_eq!(breaker.admit(at), Some(Entry::Probe));
        }
    }

    #[test]
    fn one_probe_at_a_time_and_three_good_ones_close_it() {
        let (mut breaker, now) = opened(3);
        for probe in 1..=3 {
            let entry = breaker.admit(now).unwrap();
            assert!(breaker.admit(now).is_none(), "one at a time");
            breaker.given_back(entry);
            let entry = breaker.admit(now).unwrap();
            breaker.ended(entry, CallEnd::Answered, now, 0.0);
            assert_eq!(breaker.state() == BreakerState::Closed, probe == 3);
        }
        for _ in 0..CONNECT_FAILURES_MAX {
            call(&mut breaker, CallEnd::NotConnected, now);
        }
        assert_eq!(breaker.closed_for(now), Some(30 * SECOND), "it begins anew");
    }

    #[test]
    fn what_was_let_in_before_it_opened_changes_nothing_afterwards() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        let old = breaker.admit(now).unwrap();
        for _ in 0..CONNECT_FAILURES_MAX {
            call(&mut breaker, CallEnd::NotConnected, now);
        }
        breaker.ended(old, CallEnd::Answered, now, 0.0);
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker.hurry();
        assert_eq!(breaker.admit(now), Some(Entry::Probe), "a person may ask at once");
    }

    #[derive(Debug, Clone, Copy)]
    enum Act {
        Begin,
        End(CallEnd),
        GiveBack,
        Wait(u64),
        Hurry,
    }

    fn act() -> impl Strategy<Value = Act> {
        let end = prop_oneof![
            Just(CallEnd::Answered),
            Just(CallEnd::Failed),
            Just(CallEnd::NotConnected)
        ];
        prop_oneof![
            6 => Just(Act::Begin),
            5 => end.prop_map(Act::End),
            1 => Just(Act::GiveBack),
            2 => (0u64..400).prop_map(Act::Wait),
            1 => Just(Act::Hurry),
        ]
    }

    proptest! {
        /// Whatever happens: nothing goes through while it is open, at most one probe is out, it never stays
        /// shut for longer than five minutes and a tenth, and good calls alone never open it.
        #[test]
        fn it_always_lets_through_again_and_never_more_than_one_probe(
            acts in prop::collection::vec(act(), 0..200),
            jitter in 0.0f64..1.0,
        ) {
            let mut breaker = Breaker::default();
            let mut now = Instant::now();
            let mut out: VecDeque<Entry> = VecDeque::new();
            for act in acts {
                match act {
                    Act::Begin => {
                        let shut = breaker.closed_for(now).is_some();
                        let entry = breaker.admit(now);
                        prop_assert_eq!(entry.is_none(), shut);
                        out.extend(entry);
                    }
                    Act::End(end) => if let Some(entry) = out.pop_front() {
                        let before = breaker.state();
                        breaker.ended(entry, end, now, jitter);
                        if end == CallEnd::Answered && before == BreakerState::Closed {
                            let opened = breaker.state() == BreakerState::Open;
                            prop_assert!(!opened || breaker.calls.is_empty());
                        }
                    },
                    Act::GiveBack => if let Some(entry) = out.pop_back() {
                        breaker.given_back(entry);
                    },
                    Act::Wait(seconds) => now += Duration::from_secs(seconds),
                    Act::Hurry => breaker.hurry(),
                }
                let wait = breaker.closed_for(now).unwrap_or_default();
                prop_assert!(wait <= OPEN_MAX.mul_f64(1.1));
                if breaker.state() == BreakerState::Open {
                    prop_assert!(breaker.closed_for(now + OPEN_MAX.mul_f64(1.1)).is_none());
                }
            }
        }
    }
}
