//! How long to wait: back-off, look gaps and what `Retry-After` says. Pure functions of their arguments.
//!
//! `jitter` is always a number in 0..1 that the caller drew; the same number gives the same wait.

use crate::time::Timestamp;
use std::time::{Duration, UNIX_EPOCH};

/// The longest wait a platform may ask for; a larger one is cut to this.
pub const STATED_WAIT_MAX: Duration = Duration::from_secs(60 * 60);

/// The wait before attempt `attempts + 1` where the platform stated none: between one and two times
/// min(30 s, 0.5 s × 2^(attempts − 1)).
pub fn back_off(attempts: u32, jitter: f64) -> Duration {
    let doublings = attempts.saturating_sub(1).min(6);
    let base = Duration::from_millis(500 << doublings).min(Duration::from_secs(30));
    base + base.mul_f64(jitter.clamp(0.0, 1.0))
}

/// A stated wait plus 0 to 10 %, at least 250 ms: never shorter than what was asked for.
pub fn after_stated(stated: Duration, jitter: f64) -> Duration {
    let stated = stated.min(STATED_WAIT_MAX);
    let spread = stated.mul_f64(0.1).max(Duration::from_millis(250));
    stated + spread.mul_f64(jitter.clamp(0.0, 1.0))
}

/// The first look where nothing is known of a channel yet.
pub const FIRST_LOOK: Duration = Duration::from_secs(1);

/// The time from submission to the first look where delivery usually takes `usual`: up to a tenth and 100 ms
/// later, never earlier, because a look just before the receipt is a request for nothing. Between 0.3 s and a
/// minute.
pub fn first_look_delay(usual: Duration, jitter: f64) -> Duration {
    let usual = usual.clamp(Duration::from_millis(300), Duration::from_secs(60));
    let spread = usual.mul_f64(0.1) + Duration::from_millis(100);
    usual + spread.mul_f64(jitter.clamp(0.0, 1.0))
}

/// The gap before look `looks + 1`: 1, 2, 4, 8, 15, 30, 60 s and so on up to 5 min, ±10 %.
pub fn look_delay(looks: u32, jitter: f64) -> Duration {
    const GAPS_S: [u64; 9] = [1, 2, 4, 8, 15, 30, 60, 120, 240];
    let index = usize::try_from(looks).unwrap_or(usize::MAX);
    let gap = Duration::from_secs(GAPS_S.get(index).copied().unwrap_or(300));
    spread(gap, jitter)
}

/// The gap before an attempt of unknown outcome is looked for again, after `absent` looks without it: long
/// enough that three looks span more than a minute, plus up to 10 %.
pub fn search_delay(absent: u32, jitter: f64) -> Duration {
    let gap = Duration::from_secs(if absent <= 1 { 15 } else { 50 });
    gap + gap.mul_f64(0.1 * jitter.clamp(0.0, 1.0))
}

/// The gap before the next look for a read receipt, `since` after the delivery was seen: as long again as it
/// has been, at least 5 s, ±10 %; `None` after a quarter of an hour. Reading is welcome news, but not worth
/// the requests that messages still on their way need.
pub fn read_look_delay(since: Duration, jitter: f64) -> Option<Duration> {
    const LOOKED_FOR: Duration = Duration::from_secs(15 * 60);
    (since < LOOKED_FOR).then(|| spread(since.max(Duration::from_secs(5)), jitter))
}

fn spread(gap: Duration, jitter: f64) -> Duration {
    gap.mul_f64(0.9 + 0.2 * jitter.clamp(0.0, 1.0))
}

/// The wait that an answer's `Retry-After` headers state: whole seconds or an HTTP-date in any of its three
/// forms. A date counts from the answer's own `Date`, or from `now` without one. The longest of several
/// wins, what cannot be read is left out, and the past is no wait at all (RFC 9110 §10.2.3).
pub fn retry_after<'a>(
    values: impl IntoIterator<Item = &'a str>,
    date: Option<&str>,
    now: Timestamp,
) -> Option<Duration> {
    let sent = date.and_then(http_date_ms).unwrap_or_else(|| now.unix_ms());
    let mut longest = None;
    for value in values {
        let value = value.trim();
        let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // Too many digits for a number is still "very long".
            Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)))
        } else {
            http_date_ms(value)
                .map(|at| Duration::from_millis(u64::try_from(at - sent).unwrap_or(0)))
        };
        longest = longest.max(wait.map(|wait| wait.min(STATED_WAIT_MAX)));
    }
    longest
}

/// The moment an HTTP-date names, in any of its three forms.
pub fn http_date(text: &str) -> Option<Timestamp> {
    http_date_ms(text).map(Timestamp::from_unix_ms)
}

fn http_date_ms(text: &str) -> Option<i64> {
    let moment = httpdate::parse_http_date(text).ok()?;
    let since = moment.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn seconds(values: &[&str]) -> Option<u64> {
        let now = Timestamp::from_unix_ms(784_111_777_000);
        retry_after(values.iter().copied(), Some(DATE), now).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_reads_seconds_and_all_three_date_forms() {
        assert_eq!(seconds(&["7"]), Some(7));
        assert_eq!(seconds(&["0"]), Some(0));
        assert_eq!(seconds(&["Sun, 06 Nov 1994 08:50:37 GMT"]), Some(60));
        assert_eq!(seconds(&["Sunday, 06-Nov-94 08:50:37 GMT"]), Some(60));
        assert_eq!(seconds(&["Sun Nov  6 08:50:37 1994"]), Some(60));
        assert_eq!(seconds(&["Sun, 06 Nov 1994 08:00:00 GMT"]), Some(0));
    }

    #[test]
    fn retry_after_ignores_garbage_cuts_the_large_and_takes_the_longest() {
        for garbage in ["", "-1", "1.5", "soon"] {
            assert_eq!(seconds(&[garbage]), None, "{garbage:?}");
        }
        assert_eq!(seconds(&["100000000000000000000"]), Some(3600));
        assert_eq!(seconds(&["3", "soon", "11"]), Some(11));
    }

    #[test]
    fn waits_grow_and_stay_within_their_bounds() {
        for jitter in [0.0, 0.5, 1.0] {
            for attempts in 1..20 {
                let wait = back_off(attempts, jitter);
                assert!(wait >= Duration::from_millis(500) && wait <= Duration::from_secs(60));
                assert!(wait >= back_off(attempts - 1, jitter));
            }
            assert!(after_stated(Duration::from_secs(7), jitter) >= Duration::from_secs(7));
        }
        assert_eq!(look_delay(0, 0.5), Duration::from_secs(1));
        assert_eq!(look_delay(100, 0.5), Duration::from_secs(300));
    }
}
