//! What a connection learns from watching itself: how long delivery takes on each channel, how many messages
//! went out in the last minute, how late looks are.
//!
//! Everything here can be forgotten: latencies are read from the record again at the next start, the rest is
//! about the last minute. Time is an argument.

use shared::channel::Channel;
use shared::wait;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Deliveries of a channel that are remembered.
pub const LATENCIES_MAX: usize = 64;
/// Deliveries below which nothing is known of a channel.
const LATENCIES_MIN: usize = 5;
const MINUTE: Duration = Duration::from_secs(60);
/// Messages below which a rate says nothing.
const SUBMITTED_MIN: usize = 5;

/// See the module's text.
#[derive(Default)]
pub struct Measured(Mutex<State>);

#[derive(Default)]
struct State {
    latencies: HashMap<Channel, VecDeque<Duration>>,
    submitted: VecDeque<Instant>,
    lags: VecDeque<(Instant, Duration)>,
}

impl Measured {
    /// A message was delivered `latency` after the platform created it, by the platform's clock.
    pub fn delivered(&self, channel: &Channel, latency: Duration) {
        let mut state = self.lock();
        let latencies = state.latencies.entry(channel.clone()).or_default();
        if latencies.len() >= LATENCIES_MAX {
            latencies.pop_front();
        }
        latencies.push_back(latency);
    }

    /// When to look first for a receipt: the median of what is remembered, or a second while too little is.
    pub fn first_look(&self, channel: &Channel) -> Duration {
        let state = self.lock();
        let Some(latencies) = state.latencies.get(channel) else { return wait::FIRST_LOOK };
        if latencies.len() < LATENCIES_MIN {
            return wait::FIRST_LOOK;
        }
        let mut sorted: Vec<Duration> = latencies.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(wait::FIRST_LOOK)
    }

    /// The platform took a message.
    pub fn submitted(&self, now: Instant) {
        let mut state = self.lock();
        forget(&mut state.submitted, now, |at| *at);
        state.submitted.push_back(now);
    }

    /// Messages the platform took in the last minute; `None` while they are too few to say anything.
    pub fn submitted_last_minute(&self, now: Instant) -> Option<usize> {
        let mut state = self.lock();
        forget(&mut state.submitted, now, |at| *at);
        Some(state.submitted.len()).filter(|count| *count >= SUBMITTED_MIN)
    }

    /// A look was made this long after it was due.
    pub fn looked(&self, lag: Duration, now: Instant) {
        let mut state = self.lock();
        forget(&mut state.lags, now, |(at, _)| *at);
        state.lags.push_back((now, lag));
    }

    /// The worst lag of the last minute.
    pub fn lag(&self, now: Instant) -> Duration {
        let mut state = self.lock();
        forget(&mut state.lags, now, |(at, _)| *at);
        state.lags.iter().map(|(_, lag)| *lag).max().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget<T>(queue: &mut VecDeque<T>, now: Instant, at: impl Fn(&T) -> Instant) {
    while queue.front().is_some_and(|one| now.saturating_duration_since(at(one)) >= MINUTE) {
        queue.pop_front();
    }
}

/// How a backlog of messages will go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Requests allowed in a minute.
    pub allowed: u32,
    /// Requests of the last minute.
    pub used: u32,
    /// Of them, looks.
    pub looks: u32,
    /// Messages sent in the last minute; `None` when too few to say anything.
    pub sent: Option<usize>,
}

impl Pace {
    /// Requests a message took to be sent.
    #[expect(clippy::cast_precision_loss, reason = "messages of a minute")]
    pub fn requests_per_message(&self) -> Option<f64> {
        let sent = self.sent.filter(|sent| *sent > 0)?;
        Some(f64::from(self.used.saturating_sub(self.looks)) / sent as f64)
    }

    /// How long `waiting` messages will take if all goes on like this: by what the budget leaves for sending
    /// where the budget is what limits, else as fast as they went. `None` where nothing can be said.
    #[expect(clippy::cast_precision_loss, reason = "counts of a minute and of a capped backlog")]
    pub fn time_for(&self, waiting: u64) -> Option<Duration> {
        let sent = self.sent? as f64;
        let per_message = self.requests_per_message().filter(|requests| *requests > 0.0)?;
        let by_budget = f64::from(self.allowed.saturating_sub(self.looks)) / per_message;
        let is_budget_used = f64::from(self.used) >= 0.8 * f64::from(self.allowed);
        let per_minute = if is_budget_used { by_budget } else { sent.min(by_budget) };
        let minutes = waiting as f64 / per_minute;
        (waiting > 0 && minutes.is_finite() && minutes < 60.0 * 24.0 * 365.0)
            .then(|| Duration::from_secs_f64(minutes * 60.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_look_is_at_the_median_once_enough_is_known() {
        let measured = Measured::default();
        let seconds = Duration::from_secs;
        for latency in [5, 2, 9, 4] {
            measured.delivered(&Channel::Sms, seconds(latency));
        }
        assert_eq!(measured.first_look(&Channel::Sms), wait::FIRST_LOOK);
        measured.delivered(&Channel::Sms, seconds(3));
        assert_eq!(measured.first_look(&Channel::Sms), seconds(4));
        assert_eq!(measured.first_look(&Channel::Email), wait::FIRST_LOOK);
        for _ in 0..LATENCIES_MAX {
            measured.delivered(&Channel::Sms, seconds(7));
        }
        assert_eq!(measured.first_look(&Channel::Sms), seconds(7), "only the latest count");
    }

    #[test]
    fn a_backlog_ends_when_the_budget_allows_or_is_not_foretold() {
        let pace = Pace { allowed: 285, used: 285, looks: 85, sent: Some(100) };
        assert_eq!(pace.requests_per_message(), Some(2.0));
        assert_eq!(pace.time_for(200), Some(Duration::from_secs(120)));
        // The budget is not what holds it up: ten a minute it is.
        let slow = Pace { allowed: 285, used: 30, looks: 10, sent: Some(10) };
        assert_eq!(slow.time_for(20), Some(Duration::from_secs(120)));
        assert_eq!(slow.time_for(0), None);
        assert_eq!(Pace { sent: None, ..pace }.time_for(200), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_a_minute_old_is_forgotten() {
        let measured = Measured::default();
        for _ in 0..5 {
            measured.submitted(Instant::now());
        }
        measured.looked(Duration::from_secs(9), Instant::now());
        assert_eq!(measured.submitted_last_minute(Instant::now()), Some(5));
        assert_eq!(measured.lag(Instant::now()), Duration::from_secs(9));
        tokio::time::advance(MINUTE).await;
        assert_eq!(measured.submitted_last_minute(Instant::now()), None);
        assert_eq!(measured.lag(Instant::now()), Duration::ZERO);
    }
}
