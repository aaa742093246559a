//! The verdict: did a message arrive in time? A pure function of its record, the same in page and proxy.
//!
//! The clock runs from the platform's created time to its delivered time, both the platform's own stamps;
//! no interval is ever taken across two clocks. Where the platform gives no delivered time, the proxy's
//! interval (seen − submitted) is used and marked, because it is coarse by the gap between looks.
//! A message that has not arrived is only called late when a look after the deadline showed that.

use crate::delivery::{Delivery, State};
use serde::{Deserialize, Serialize};

/// The longest threshold a policy may have: 30 days, in milliseconds.
pub const THRESHOLD_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1000;

/// What is known about a message's SLA. The four are never merged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Verdict {
    /// Delivered within the threshold.
    Met,
    /// Late, undelivered or failed.
    Breached,
    /// Not decided yet.
    Pending,
    /// Cannot be measured.
    Unknown,
}

impl Verdict {
    /// Every verdict, in the order charts stack them.
    pub const ALL: [Verdict; 4] =
        [Verdict::Met, Verdict::Breached, Verdict::Pending, Verdict::Unknown];

    /// The word on the wire, on screen and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Met => "met",
            Verdict::Breached => "breached",
            Verdict::Pending => "pending",
            Verdict::Unknown => "unknown",
        }
    }

    /// The verdict a word names.
    pub fn parse(word: &str) -> Option<Verdict> {
        Verdict::ALL.into_iter().find(|verdict| verdict.as_str() == word)
    }
}

/// Why the verdict is what it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Cause {
    /// Delivered in time.
    InTime,
    /// Delivered, or still not delivered, after the threshold.
    Late,
    /// No receipt within the horizon.
    Undelivered,
    /// The platform failed, or the message was rejected or expired.
    Failed,
    /// The clock has not started: not yet with the platform.
    NotStarted,
    /// The clock runs.
    Running,
    /// Waits for a person's decision.
    Parked,
    /// The platform's stamps contradict each other.
    ClockAnomaly,
    /// The channel never reports receipts.
    NoReceipts,
    /// Withdrawn before it was sent; counted apart.
    Cancelled,
}

/// Which clock measured the interval.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Basis {
    /// Delivered − created, both stamped by the platform.
    Platform,
    /// Seen − submitted, both by the proxy: an upper bound.
    Proxy,
}

/// A verdict with everything that led to it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub cause: Cause,
    /// Time to delivery in milliseconds, once delivered.
    pub elapsed_ms: Option<u64>,
    /// Whose clock measured it.
    pub basis: Option<Basis>,
}

/// Judges a delivery against a threshold, which may be another one than the message's own ("what if").
pub fn judge(delivery: &Delivery, threshold_ms: u64) -> Judgement {
    let plain = |verdict, cause| Judgement { verdict, cause, elapsed_ms: None, basis: None };
    let interval = match interval_ms(delivery) {
        Some(Ok(interval)) => Some(interval),
        Some(Err(ClockAnomaly)) => return plain(Verdict::Unknown, Cause::ClockAnomaly),
        None => None,
    };
    if let Some((elapsed_ms, basis)) = interval {
        let (verdict, cause) = if delivery.horizon_passed {
            // A receipt after the horizon is good news, but the promise was broken by then.
            (Verdict::Breached, Cause::Undelivered)
        } else if elapsed_ms <= threshold_ms {
            (Verdict::Met, Cause::InTime)
        } else {
            (Verdict::Breached, Cause::Late)
        };
        return Judgement { verdict, cause, elapsed_ms: Some(elapsed_ms), basis: Some(basis) };
    }
    match delivery.state {
        State::Cancelled => plain(Verdict::Unknown, Cause::Cancelled),
        State::Parked => plain(Verdict::Unknown, Cause::Parked),
        State::Rejected | State::Failed | State::Expired => plain(Verdict::Breached, Cause::Failed),
        _ if !delivery.receipts_expected => plain(Verdict::Unknown, Cause::NoReceipts),
        State::Undelivered => plain(Verdict::Breached, Cause::Undelivered),
        State::Submitted if late_for(delivery, threshold_ms) => {
            plain(Verdict::Breached, Cause::Late)
        }
        State::Submitted => plain(Verdict::Pending, Cause::Running),
        _ => plain(Verdict::Pending, Cause::NotStarted),
    }
}

/// True once a look after the message's own deadline found it undelivered.
pub fn is_late(delivery: &Delivery) -> bool {
    delivery.state == State::Submitted
        && delivery.receipts_expected
        && late_for(delivery, delivery.threshold_ms)
}

/// Both times are the proxy's. The platform created the message before its answer arrived here, so a look
/// `threshold` after the answer came later than the platform's own deadline.
fn late_for(delivery: &Delivery, threshold_ms: u64) -> bool {
    match (delivery.submitted_at, delivery.looked_at) {
        (Some(submitted), Some(looked)) => {
            u64::try_from(looked.ms_since(submitted)).is_ok_and(|waited| waited >= threshold_ms)
        }
        _ => false,
    }
}

struct ClockAnomaly;

fn interval_ms(delivery: &Delivery) -> Option<Result<(u64, Basis), ClockAnomaly>> {
    let seen = delivery.delivery_seen_at?;
    let (from, to, basis) = match (delivery.platform_created_at, delivery.platform_delivered_at) {
        (Some(created), Some(delivered)) => (created, delivered, Basis::Platform),
        _ => (delivery.submitted_at?, seen, Basis::Proxy),
    };
    Some(u64::try_from(to.ms_since(from)).map(|ms| (ms, basis)).map_err(|_| ClockAnomaly))
}

/// The value at or below which `percent` of the population lies, by the nearest-rank method.
///
/// `sorted_ms` holds the delivered ones, ascending; `never` counts those that never arrived, which are
/// longer than any that did. `None` when the rank falls among them or the population is empty.
pub fn percentile(sorted_ms: &[u64], never: usize, percent: u32) -> Option<u64> {
    let population = sorted_ms.len() + never;
    let rank = (population * usize::try_from(percent).unwrap_or(100)).div_ceil(100).max(1);
    sorted_ms.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(1_795_341_600_000 + ms)
    }

    fn delivered(created: Option<i64>, delivered: Option<i64>) -> Delivery {
        Delivery {
            state: State::Delivered,
            submitted_at: Some(at(1_000)),
            delivery_seen_at: Some(at(4_000)),
            platform_created_at: created.map(at),
            platform_delivered_at: delivered.map(at),
            ..Delivery::accepted(at(0), None, None, 10_000, true)
        }
    }

    #[test]
    fn the_threshold_itself_is_still_met() {
        assert_eq!(judge(&delivered(Some(0), Some(10_000)), 10_000).verdict, Verdict::Met);
        let late = judge(&delivered(Some(0), Some(10_001)), 10_000);
        assert_eq!((late.verdict, late.cause), (Verdict::Breached, Cause::Late));
    }

    #[test]
    fn a_contradiction_of_stamps_is_never_met() {
        let judged = judge(&delivered(Some(5_000), Some(4_999)), 10_000);
        assert_eq!((judged.verdict, judged.cause), (Verdict::Unknown, Cause::ClockAnomaly));
    }

    #[test]
    fn without_a_platform_time_the_proxys_interval_judges_and_says_so() {
        let judged = judge(&delivered(Some(0), None), 10_000);
        assert_eq!((judged.elapsed_ms, judged.basis), (Some(3_000), Some(Basis::Proxy)));
    }

    #[test]
    fn every_state_has_one_honest_verdict() {
        let expected = [
            (State::Accepted, Verdict::Pending),
            (State::Sending, Verdict::Pending),
            (State::Submitted, Verdict::Pending),
            (State::RetryWait, Verdict::Pending),
            (State::Unknown, Verdict::Pending),
            (State::Parked, Verdict::Unknown),
            (State::Rejected, Verdict::Breached),
            (State::Failed, Verdict::Breached),
            (State::Undelivered, Verdict::Breached),
            (State::Expired, Verdict::Breached),
            (State::Cancelled, Verdict::Unknown),
        ];
        for (state, verdict) in expected {
            let delivery =
                Delivery { state, ..Delivery::accepted(at(0), None, None, 10_000, true) };
            assert_eq!(judge(&delivery, 10_000).verdict, verdict, "{state:?}");
        }
        let silent = Delivery {
            state: State::Submitted,
            ..Delivery::accepted(at(0), None, None, 10_000, false)
        };
        assert_eq!(judge(&silent, 10_000).cause, Cause::NoReceipts);
    }

    #[test]
    fn percentiles_count_what_never_arrived_as_longest() {
        let times: Vec<u64> = (1..=9).collect();
        assert_eq!(percentile(&times, 1, 50), Some(5));
        assert_eq!(percentile(&times, 1, 90), Some(9));
        assert_eq!(percentile(&times, 1, 95), None);
        assert_eq!(percentile(&[], 0, 50), None);
        assert_eq!(percentile(&[7], 0, 99), Some(7));
    }
}
