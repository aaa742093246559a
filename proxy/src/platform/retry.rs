//! The retry budget of one host: repeats may add a fifth to the traffic, so that a platform in trouble is not
//! pushed further in.
//!
//! Every first attempt earns a fifth of a repeat, up to a hundred; beside that, one repeat a second is always
//! allowed. A repeat for which there is nothing left waits and is not lost. Time is an argument.

use std::time::Duration;
use tokio::time::Instant;

const EARNED_BY_FIRST: f64 = 0.2;
const EARNED_MAX: f64 = 100.0;
/// What a new process starts with: enough for what it finds open from before.
const EARNED_AT_START: f64 = 10.0;
const FLOOR_PER_SECOND: f64 = 1.0;

/// The rule; see the module's text.
#[derive(Debug)]
pub struct RetryBudget {
    earned: f64,
    floor: f64,
    refilled_at: Instant,
}

impl RetryBudget {
    /// A budget at its beginning.
    pub fn new(now: Instant) -> Self {
        Self { earned: EARNED_AT_START, floor: 1.0, refilled_at: now }
    }

    /// A first attempt was made.
    pub fn first_attempt(&mut self) {
        self.earned = (self.earned + EARNED_BY_FIRST).min(EARNED_MAX);
    }

    /// Takes a repeat, or says how long to wait for one.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.refilled_at).as_secs_f64();
        self.refilled_at = self.refilled_at.max(now);
        self.floor = (self.floor + passed * FLOOR_PER_SECOND).min(1.0);
        for part in [&mut self.floor, &mut self.earned] {
            // Sums of fifths and of fractions of a second fall short of a whole by a hair.
            if *part >= 1.0 - 1e-6 {
                *part = (*part - 1.0).max(0.0);
                return Ok(());
            }
        }
        let wait = Duration::from_secs_f64((1.0 - self.floor) / FLOOR_PER_SECOND);
        Err(wait.max(Duration::from_millis(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn after_what_it_starts_with_one_repeat_a_second_is_left() {
        let now = Instant::now();
        let mut budget = RetryBudget::new(now);
        let taken = (0..100).filter(|_| budget.take(now).is_ok()).count();
        assert_eq!(taken, 11);
        let wait = budget.take(now).unwrap_err();
        assert!(wait <= Duration::from_secs(1));
        assert!(budget.take(now + wait).is_ok());
        assert!(budget.take(now + wait).is_err());
    }

    #[test]
    fn five_first_attempts_earn_one_repeat_and_no_more_than_a_hundred_are_kept() {
        let now = Instant::now();
        let mut budget = RetryBudget::new(now);
        while budget.take(now).is_ok() {}
        for _ in 0..5 {
            budget.first_attempt();
        }
        assert!(budget.take(now).is_ok() && budget.take(now).is_err());
        for _ in 0..10_000 {
            budget.first_attempt();
        }
        assert_eq!((0..1000).filter(|_| budget.take(now).is_ok()).count(), 100);
    }

    proptest! {
        /// Never more than a fifth of the first attempts, one a second and what it started with; and whoever
        /// waits as long as he is told gets one.
        #[test]
        fn repeats_stay_within_the_budget_and_are_never_refused_for_good(
            acts in prop::collection::vec((any::<bool>(), 0u64..1500), 1..400)
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut budget = RetryBudget::new(now);
            let (mut first, mut repeats) = (0.0, 0.0);
            for (is_first, wait_ms) in acts {
                now += Duration::from_millis(wait_ms);
                if is_first {
                    budget.first_attempt();
                    first += 1.0;
                } else {
                    match budget.take(now) {
                        Ok(()) => repeats += 1.0,
                        Err(wait) => {
                            now += wait;
                            prop_assert!(budget.take(now).is_ok());
                            repeats += 1.0;
                        }
                    }
                }
                let seconds = (now - start).as_secs_f64();
                let most = EARNED_AT_START + 1.0 + 0.2 * first + seconds;
                prop_assert!(repeats <= most + 1e-6, "{repeats} of {most}");
            }
        }
    }
}
