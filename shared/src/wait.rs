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

/// The wait after the platform said `refusals` times in a row that its limit is reached: what it stated, or a
/// second, twice as long each further time up to 5 min (never shorter than stated).
pub fn after_refusals(stated: Option<Duration>, refusals: u32) -> Duration {
    const DOUBLED_MAX: Duration = Duration::from_secs(5 * 60);
    let stated = stated.unwrap_or(Duration::from_secs(1));
    let doubled = stated.saturating_mul(1 << refusals.saturating_sub(1).min(9)).min(DOUBLED_MAX);
    doubled.max(stated).min(STATED_WAIT_MAX)
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

/// For every input: the promises of each function's text.
#[cfg(all(test, not(target_arch = "wasm32")))]
mod properties {
    use super::*;
    use proptest::prelude::*;

    fn date(seconds: u64) -> String {
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    proptest! {
        #[test]
        fn any_header_is_a_bounded_wait_or_none(values in prop::collection::vec(".*", 0..4), date in ".*") {
            let now = Timestamp::from_unix_ms(1_795_341_600_000);
            let values = values.iter().map(String::as_str);
            let wait = retry_after(values, Some(&date), now);
            prop_assert!(wait.unwrap_or_default() <= STATED_WAIT_MAX);
        }

        #[test]
        fn whole_seconds_are_read_as_they_are_and_cut_at_an_hour(digits in "[0-9]{1,30}") {
            let wait = retry_after([digits.as_str()], None, Timestamp::from_unix_ms(0));
            let seconds = digits.parse::<u64>().unwrap_or(u64::MAX).min(3600);
            prop_assert_eq!(wait, Some(Duration::from_secs(seconds)));
        }

        #[test]
        fn a_date_counts_from_the_answers_own_date(sent in 0u64..4_000_000_000, gap in 0i64..10_000, sign: bool) {
            let gap = if sign { gap } else { -gap };
            let at = sent.saturating_add_signed(gap);
            let gap = at as i64 - sent as i64;
            let now = Timestamp::from_unix_ms(7);
            let wait = retry_after([date(at).as_str()], Some(&date(sent)), now);
            let expected = Duration::from_secs(u64::try_from(gap).unwrap_or(0).min(3600));
            prop_assert_eq!(wait, Some(expected));
        }

        #[test]
        fn the_longest_of_several_wins(seconds in prop::collection::vec(0u64..7200, 1..6)) {
            let values: Vec<String> = seconds.iter().map(u64::to_string).collect();
            let now = Timestamp::from_unix_ms(0);
            let wait = retry_after(values.iter().map(String::as_str), None, now);
            let longest = seconds.iter().max().copied().unwrap_or(0).min(3600);
            prop_assert_eq!(wait, Some(Duration::from_secs(longest)));
        }

        #[test]
        fn a_back_off_is_between_its_base_and_twice_that(attempts: u32, jitter in -1.0f64..2.0) {
            let doublings = attempts.saturating_sub(1).min(20);
            let base = Duration::from_millis(500u64 << doublings).min(Duration::from_secs(30));
            let wait = back_off(attempts, jitter);
            prop_assert!(wait >= base && wait <= base * 2, "{wait:?} for {base:?}");
        }

        #[test]
        fn a_stated_wait_is_never_cut_short_below_an_hour(ms in 0u64..10_000_000, jitter in 0.0f64..1.0) {
            let stated = Duration::from_millis(ms);
            let wait = after_stated(stated, jitter);
            prop_assert!(wait >= stated.min(STATED_WAIT_MAX));
            prop_assert!(wait <= stated.min(STATED_WAIT_MAX).mul_f64(1.1) + Duration::from_millis(250));
        }

        #[test]
        fn refusals_make_it_longer_up_to_five_minutes_or_what_was_stated(
            stated in prop::option::of(0u64..5000), refusals in 1u32..40,
        ) {
            let stated = stated.map(Duration::from_secs);
            let wait = after_refusals(stated, refusals);
            let least = stated.unwrap_or(Duration::from_secs(1)).min(STATED_WAIT_MAX);
            prop_assert!(wait >= least && wait <= least.max(Duration::from_secs(300)));
            prop_assert!(after_refusals(stated, refusals + 1) >= wait);
        }

        #[test]
        fn a_first_look_is_never_early_and_never_far_off(ms in 0u64..200_000, jitter in -1.0f64..2.0) {
            let usual = Duration::from_millis(ms);
            let delay = first_look_delay(usual, jitter);
            prop_assert!(delay >= usual.min(Duration::from_secs(60)));
            prop_assert!(delay >= Duration::from_millis(300));
            prop_assert!(delay <= Duration::from_secs(67));
        }

        #[test]
        fn looks_grow_rarer_and_end_at_five_minutes(looks in 0u32..10_000, jitter in 0.0f64..1.0) {
            let gap = look_delay(looks, jitter);
            prop_assert!(gap >= Duration::from_millis(900) && gap <= Duration::from_secs(330));
            prop_assert!(look_delay(looks + 1, 0.5) >= look_delay(looks, 0.5));
        }
    }
}
