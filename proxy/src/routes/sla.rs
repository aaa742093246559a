//! The SLA report: verdicts, percentiles and bins over a period. Each message is judged by
//! [`shared::sla::judge`], the code the page runs too.

use super::{ok, query};
use crate::clock;
use crate::error::Failure;
use crate::router::AppState;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use shared::api::{HistogramBin, Latency, Message, Problem, SlaReport, TimeBucket, VerdictCounts};
use shared::audit::seconds;
use shared::delivery::{Delivery, State as MessageState};
use shared::id::MessageId;
use shared::sla::{self, Judgement, THRESHOLD_MS_MAX, Verdict};
use shared::time::Timestamp;
use std::collections::VecDeque;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const PERIOD_MAX_MS: i64 = 92 * DAY_MS;
const BUCKETS: i64 = 24;
const BREACHES_MAX: usize = 50;
/// Messages read at once.
const PAGE: u32 = 4000;
/// p99 of fewer says more about one message than about all.
const P99_MIN: usize = 100;
/// Edges of the histogram in milliseconds: fine where SLAs are, coarse beyond.
const EDGES_MS: [u64; 16] = [
    0, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000,
    60_000, 300_000,
];

/// What the report is over.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SlaQuery {
    /// Start, included; 24 h before `to` unless given.
    from: Option<Timestamp>,
    /// End, not included; now unless given.
    to: Option<Timestamp>,
    /// Judge all by this instead of each by its own.
    threshold_seconds: Option<f64>,
}

/// Verdicts of the messages accepted in a period.
#[utoipa::path(get, path = "/api/v1/sla", tag = "sla", params(SlaQuery),
    responses((status = 200, body = SlaReport), (status = 400, body = Problem)))]
pub async fn report_sla(
    State(app): State<AppState>,
    wanted: Result<Query<SlaQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let wanted = query(wanted)?;
    let to = wanted.to.unwrap_or_else(|| clock::now().plus(std::time::Duration::from_millis(1)));
    let from = wanted.from.unwrap_or_else(|| Timestamp::from_unix_ms(to.unix_ms() - DAY_MS));
    if to <= from || to.ms_since(from) > PERIOD_MAX_MS {
        return Err(Failure::bad_request("period", "from must be before to, by at most 92 days"));
    }
    let threshold_ms = wanted.threshold_seconds.map(threshold_ms).transpose()?;
    let store = &app.engine.store;
    let mut tally = Tally::new(from, to, threshold_ms);
    let mut after = None;
    loop {
        let page = store.deliveries_accepted(from, to, after, PAGE).await?;
        after = page.last().map(|(id, _)| id.clone());
        let is_last = page.len() < PAGE as usize;
        for (id, delivery) in page {
            tally.add(id, &delivery);
        }
        if is_last {
            break;
        }
    }
    let breaches = store.find_messages(Vec::from(tally.breaches.clone())).await?;
    Ok(ok(tally.report(app.engine.threshold_ms, breaches)))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the range is checked first"
)]
fn threshold_ms(given: f64) -> Result<u64, Failure> {
    let ms = given * 1000.0;
    if ms.is_finite() && ms >= 1.0 && ms <= THRESHOLD_MS_MAX as f64 {
        Ok(ms.round() as u64)
    } else {
        Err(Failure::bad_request(
            "threshold_seconds",
            "It must be more than 0 and at most 2592000 (30 days)",
        ))
    }
}

/// A report in the making: it takes one message after the other, oldest first, and keeps none but the breaches it
/// shows, because a period may hold more than memory does.
struct Tally {
    from: Timestamp,
    to: Timestamp,
    threshold_ms: Option<u64>,
    width_ms: i64,
    buckets: Vec<TimeBucket>,
    histogram: Vec<HistogramBin>,
    verdicts: VerdictCounts,
    cancelled: u64,
    delivered_ms: Vec<u64>,
    never: usize,
    breaches: VecDeque<MessageId>,
}

impl Tally {
    fn new(from: Timestamp, to: Timestamp, threshold_ms: Option<u64>) -> Self {
        let width_ms = (to.ms_since(from) + BUCKETS - 1) / BUCKETS;
        let buckets = (0..BUCKETS).map(|index| TimeBucket {
            start: Timestamp::from_unix_ms(from.unix_ms() + index * width_ms),
            verdicts: VerdictCounts::default(),
        });
        let histogram = EDGES_MS.iter().enumerate().map(|(index, edge)| HistogramBin {
            from_seconds: seconds(*edge),
            to_seconds: EDGES_MS.get(index + 1).map(|next| seconds(*next)),
            count: 0,
        });
        Self {
            from,
            to,
            threshold_ms,
            width_ms,
            buckets: buckets.collect(),
            histogram: histogram.collect(),
            verdicts: VerdictCounts::default(),
            cancelled: 0,
            delivered_ms: Vec::new(),
            never: 0,
            breaches: VecDeque::new(),
        }
    }

    fn judge(&self, delivery: &Delivery) -> Judgement {
        sla::judge(delivery, self.threshold_ms.unwrap_or(delivery.threshold_ms))
    }

    fn add(&mut self, id: MessageId, delivery: &Delivery) {
        if delivery.state == MessageState::Cancelled {
            self.cancelled += 1;
            return;
        }
        let judged = self.judge(delivery);
        self.verdicts.add(judged.verdict);
        let index = delivery.accepted_at.ms_since(self.from) / self.width_ms;
        let bucket = usize::try_from(index).ok().and_then(|index| self.buckets.get_mut(index));
        if let Some(bucket) = bucket {
            bucket.verdicts.add(judged.verdict);
        }
        match judged.elapsed_ms {
            Some(elapsed) => {
                self.delivered_ms.push(elapsed);
                let bin = EDGES_MS.partition_point(|edge| *edge <= elapsed).saturating_sub(1);
                if let Some(bin) = self.histogram.get_mut(bin) {
                    bin.count += 1;
                }
            }
            None if judged.verdict == Verdict::Breached
                && delivery.state != MessageState::Submitted =>
            {
                self.never += 1;
            }
            None => {}
        }
        if judged.verdict == Verdict::Breached {
            if self.breaches.len() == BREACHES_MAX {
                self.breaches.pop_back();
            }
            self.breaches.push_front(id);
        }
    }

    /// The report with the breaches it shows, which may have got on since they were counted.
    fn report(mut self, policy_ms: u64, mut breaches: Vec<Message>) -> SlaReport {
        for message in &mut breaches {
            let judged = self.judge(&message.delivery);
            message.verdict = judged.verdict;
            message.verdict_cause = judged.cause;
            message.elapsed_seconds = judged.elapsed_ms.map(seconds);
        }
        breaches.retain(|message| message.verdict == Verdict::Breached);
        let never = self.never;
        self.delivered_ms.sort_unstable();
        let population = self.delivered_ms.len() + never;
        let percentile = |percent| sla::percentile(&self.delivered_ms, never, percent).map(seconds);
        SlaReport {
            from: self.from,
            to: self.to,
            threshold_seconds: self.threshold_ms.map(seconds),
            policy_threshold_seconds: seconds(policy_ms),
            cancelled: self.cancelled,
            compliance: compliance(&self.verdicts),
            latency: Latency {
                n: u64::try_from(population).unwrap_or(u64::MAX),
                never: u64::try_from(never).unwrap_or(u64::MAX),
                p50_seconds: percentile(50),
                p95_seconds: percentile(95),
                p99_seconds: percentile(99).filter(|_| population >= P99_MIN),
            },
            verdicts: self.verdicts,
            histogram: self.histogram,
            buckets: self.buckets,
            breaches,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share of fewer than 2^53 messages")]
fn compliance(verdicts: &VerdictCounts) -> Option<f64> {
    let judged = verdicts.met + verdicts.breached;
    (judged > 0).then(|| verdicts.met as f64 / judged as f64)
}
