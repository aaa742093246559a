//! The one home of time and randomness. Everything else takes them as arguments.
//!
//! A simulation can stand in for both, on one thread of a debug build; see [`Source`]. In a release build
//! there is only the machine's clock and generator.

use shared::time::Timestamp;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Time and randomness that stand in for the machine's.
pub trait Source {
    /// Now.
    fn now(&self) -> Timestamp;
    /// What the machine's clock shows.
    fn wall(&self) -> Timestamp;
    /// Fills `bytes` with what counts as random.
    fn fill(&self, bytes: &mut [u8]);
}

thread_local! {
    static SOURCE: RefCell<Option<Rc<dyn Source>>> = const { RefCell::new(None) };
}

/// Lets `source` stand in on this thread from now on; `None` goes back to the machine's. A release build
/// takes no notice.
pub fn stand_in(source: Option<Rc<dyn Source>>) {
    SOURCE.with(|current| *current.borrow_mut() = source);
}

fn source() -> Option<Rc<dyn Source>> {
    if cfg!(debug_assertions) {
        SOURCE.try_with(|source| source.borrow().clone()).ok().flatten()
    } else {
        None
    }
}

/// Now: what this machine's clock said when the process started, and the time that passed since. A clock that
/// is set while the process runs is followed slowly, so that a step of a day neither expires what still has
/// time nor ends a claim whose holder is at work; it never goes back.
pub fn now() -> Timestamp {
    if let Some(source) = source() {
        return source.now();
    }
    let wall_ms = wall().unix_ms();
    static STEADY: Mutex<Option<Steady>> = Mutex::new(None);
    let mut steady = STEADY.lock().unwrap_or_else(PoisonError::into_inner);
    let passed_ms = passed_ms();
    let steady = steady.get_or_insert_with(|| Steady::new(passed_ms, wall_ms));
    let (now_ms, stepped_ms) = steady.read(passed_ms, wall_ms);
    if let Some(stepped_ms) = stepped_ms {
        tracing::warn!(
            by_seconds = stepped_ms / 1000,
            "this machine's clock was set; it is followed slowly, and at once by a restart"
        );
    }
    Timestamp::from_unix_ms(now_ms)
}

/// What this machine's clock shows, jumps and all: for whoever compares it with a clock of their own.
pub fn wall() -> Timestamp {
    if let Some(source) = source() {
        return source.wall();
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Milliseconds that pass whatever the clock is set to, counting those in which the machine was suspended.
#[cfg(target_os = "linux")]
fn passed_ms() -> i64 {
    let passed = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    passed.tv_sec.saturating_mul(1000).saturating_add(passed.tv_nsec / 1_000_000)
}

/// Milliseconds that pass whatever the clock is set to. Where they do not pass in suspend, the clock is
/// followed slowly after one.
#[cfg(not(target_os = "linux"))]
fn passed_ms() -> i64 {
    static START: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    i64::try_from(START.elapsed().as_millis()).unwrap_or(i64::MAX)
}

/// A clock that does not jump: the passing of time plus an offset that moves towards the wall clock's by at
/// most a hundredth of the time that passed, which is far more than an undisturbed clock drifts.
#[derive(Debug)]
pub struct Steady {
    offset_ms: i64,
    moved_at_ms: i64,
    /// The step that was reported, so that it is reported once; 0 when there is none.
    reported_ms: i64,
}

impl Steady {
    /// More than this at once is a step and not drift.
    const STEP_MS: i64 = 2000;

    /// A clock that begins with what the wall clock says. `passed_ms` counts from any moment, `wall_ms` from 1970.
    pub fn new(passed_ms: i64, wall_ms: i64) -> Self {
        Self { offset_ms: wall_ms - passed_ms, moved_at_ms: passed_ms, reported_ms: 0 }
    }

    /// Now in milliseconds since 1970, and a step of the wall clock when it is first seen.
    pub fn read(&mut self, passed_ms: i64, wall_ms: i64) -> (i64, Option<i64>) {
        let behind_ms = wall_ms - passed_ms - self.offset_ms;
        let room_ms = (passed_ms - self.moved_at_ms) / 100;
        if room_ms > 0 {
            self.offset_ms += behind_ms.clamp(-room_ms, room_ms);
            self.moved_at_ms = passed_ms;
        }
        let is_news = behind_ms.abs() > self.reported_ms.abs() + Self::STEP_MS;
        let news = is_news.then_some(behind_ms);
        if is_news || behind_ms.abs() <= Self::STEP_MS {
            self.reported_ms = news.unwrap_or(0);
        }
        (passed_ms + self.offset_ms, news)
    }
}

/// `N` bytes from the operating system's generator. A machine that has none cannot make a key or a token
/// that is safe to use, so the process ends instead of going on with a guessable one.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Some(source) = source() {
        source.fill(&mut bytes);
    } else if getrandom::fill(&mut bytes).is_err() {
        tracing::error!("the operating system gives no random numbers");
        std::process::abort();
    }
    bytes
}

/// A fresh number in 0..1 to spread timers with.
pub fn jitter() -> f64 {
    f64::from(u32::from_le_bytes(random())) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    const WALL_MS: i64 = 1_795_341_600_000;

    #[test]
    fn row_71_steps_of_the_clock_are_followed_slowly_and_said_once() {
        for step_ms in [DAY_MS, -DAY_MS, -30_000, 30_000] {
            let mut clock = Steady::new(5_000, WALL_MS);
            let mut said = Vec::new();
            let mut before = WALL_MS;
            for second in 1..=600 {
                let passed_ms = second * 1000;
                let step_ms = if second > 60 { step_ms } else { 0 };
                let (now, news) = clock.read(5_000 + passed_ms, WALL_MS + passed_ms + step_ms);
                assert!(now > before, "it never goes back");
                let off_ms = now - WALL_MS - passed_ms;
                assert!(off_ms.abs() <= passed_ms / 100 + 1, "{off_ms} ms off after {second} s");
                said.extend(news);
                before = now;
            }
            assert_eq!(said, [step_ms]);
        }
    }

    #[test]
    fn row_71_drift_is_followed_and_suspended_time_counts() {
        let mut clock = Steady::new(0, WALL_MS);
        // A clock that gains a thousandth.
        for second in 1..=1000 {
            let (now, news) = clock.read(second * 1000, WALL_MS + second * 1001);
            assert!((now - WALL_MS - second * 1001).abs() <= 1 && news.is_none());
        }
        // Eight hours in which nobody asked.
        let passed = 1_000_000 + 8 * 60 * 60 * 1000;
        let (now, news) = clock.read(passed, WALL_MS + passed + 1000);
        assert!((now - WALL_MS - passed - 1000).abs() <= 1 && news.is_none());
    }

    #[test]
    fn it_says_the_machines_time() {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        assert!((now().unix_ms() - i64::try_from(wall).unwrap()).abs() < 1000);
        assert!(now() <= now());
    }
}
