//! The simulated platform's time: a base plus the real time since then, times a speed.
//!
//! Whole milliseconds and thousandths of speed only, so that a restored clock continues exactly where the
//! saved one would be; time passes while the sandbox is not running, as it does for a real platform. It
//! never goes backwards within a run, even if the machine's clock does.

use super::lock;
use serde::{Deserialize, Serialize};
use shared::time::Timestamp;
use std::sync::Mutex;

/// The slowest and the fastest the simulated time may run.
pub const SPEED_RANGE: std::ops::RangeInclusive<f64> = 0.1..=1000.0;

/// What is kept of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    simulated: Timestamp,
    real: Timestamp,
    speed_thousandths: u32,
}

/// The running clock.
pub struct Clock(Mutex<Running>);

struct Running {
    saved: Saved,
    latest: Timestamp,
}

impl Clock {
    /// A clock that goes on from what was saved, or starts at the real time with speed 1.
    pub fn restore(saved: Option<Saved>, real: Timestamp) -> Self {
        let saved = saved.unwrap_or(Saved { simulated: real, real, speed_thousandths: 1000 });
        Self(Mutex::new(Running { saved, latest: saved.simulated }))
    }

    /// The simulated time when the real one is `real`.
    pub fn now(&self, real: Timestamp) -> Timestamp {
        lock(&self.0).advance(real)
    }

    /// What a restart needs.
    pub fn saved(&self) -> Saved {
        lock(&self.0).saved
    }

    /// How fast it runs, 1 being real time.
    pub fn speed(&self) -> f64 {
        f64::from(lock(&self.0).saved.speed_thousandths) / 1000.0
    }

    /// Runs at `speed` from `real` on. `None`, and nothing changed, outside [`SPEED_RANGE`].
    pub fn set_speed(&self, speed: f64, real: Timestamp) -> Option<Saved> {
        if !SPEED_RANGE.contains(&speed) {
            return None;
        }
        let mut running = lock(&self.0);
        let simulated = running.advance(real);
        // Within the range this is at most a million, so nothing is lost.
        let speed_thousandths = (speed * 1000.0).round() as u32;
        running.saved = Saved { simulated, real, speed_thousandths };
        Some(running.saved)
    }

    /// Real seconds that `simulated_ms` take, rounded up and at least 1: what a caller, who waits by a real
    /// clock, must be told.
    pub fn real_seconds(&self, simulated_ms: i64) -> u64 {
        let speed = u64::from(lock(&self.0).saved.speed_thousandths);
        u64::try_from(simulated_ms).unwrap_or(0).div_ceil(speed.max(1)).max(1)
    }
}

impl Running {
    fn advance(&mut self, real: Timestamp) -> Timestamp {
        let passed = real.ms_since(self.saved.real).max(0);
        let speed = i64::from(self.saved.speed_thousandths);
        let simulated_ms = passed.saturating_mul(speed) / 1000;
        let now =
            Timestamp::from_unix_ms(self.saved.simulated.unix_ms().saturating_add(simulated_ms));
        self.latest = self.latest.max(now);
        self.latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    #[test]
    fn runs_at_its_speed_and_goes_on_after_a_restart() {
        let clock = Clock::restore(None, at(1_000));
        assert_eq!(clock.now(at(1_500)), at(1_500));
        clock.set_speed(10.0, at(2_000)).unwrap();
        assert_eq!(clock.now(at(2_100)), at(3_000));
        let again = Clock::restore(Some(clock.saved()), at(9_000));
        assert_eq!(again.now(at(2_100)), at(3_000));
        assert_eq!(again.real_seconds(60_000), 6);
        again.set_speed(0.1, at(2_100)).unwrap();
        assert_eq!(again.now(at(3_100)), at(3_100));
    }

    #[test]
    fn never_goes_back_and_refuses_what_is_no_speed() {
        let clock = Clock::restore(None, at(1_000));
        assert_eq!(clock.now(at(5_000)), at(5_000));
        assert_eq!(clock.now(at(2_000)), at(5_000));
        for speed in [0.0, -1.0, 0.09, 1000.1, f64::NAN, f64::INFINITY] {
            assert_eq!(clock.set_speed(speed, at(6_000)), None, "{speed}");
        }
    }
}
