//! The platform's rate limit: so many requests of one client in fixed windows of simulated time.
//!
//! It is kept in memory only. A sandbox that restarts begins a window anew, which can allow more requests
//! than the real platform would and never fewer.

use shared::time::Timestamp;

/// Requests allowed in one window.
pub const ALLOWED: u32 = 300;
const WINDOW_MS: i64 = 60_000;

/// The requests of the current window.
#[derive(Default)]
pub struct Window {
    number: i64,
    count: u32,
}

/// How a request stands against the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Requests counted in this window.
    pub count: u32,
    /// Simulated milliseconds until the next window.
    pub reset_ms: i64,
    /// True if this request was one too many.
    pub is_over: bool,
}

impl Window {
    /// Counts a request, unless it is one too many.
    pub fn take(&mut self, now: Timestamp) -> Standing {
        let standing = self.look(now);
        if standing.count >= ALLOWED {
            return Standing { is_over: true, ..standing };
        }
        self.count += 1;
        Standing { count: self.count, ..standing }
    }

    /// The standing without counting anything.
    pub fn look(&mut self, now: Timestamp) -> Standing {
        let number = now.unix_ms() / WINDOW_MS;
        if number != self.number {
            *self = Self { number, count: 0 };
        }
        let reset_ms = WINDOW_MS - now.unix_ms() % WINDOW_MS;
        Standing { count: self.count, reset_ms, is_over: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_hundred_pass_and_the_next_window_begins_at_zero() {
        let mut window = Window::default();
        let now = Timestamp::from_unix_ms(600_000 + 15_000);
        for count in 1..=ALLOWED {
            assert_eq!(window.take(now), Standing { count, reset_ms: 45_000, is_over: false });
        }
        for _ in 0..2 {
            let standing = Standing { count: ALLOWED, reset_ms: 45_000, is_over: true };
            assert_eq!(window.take(now), standing);
        }
        assert_eq!(window.take(Timestamp::from_unix_ms(660_000)).count, 1);
    }
}
