//! Posts sealed batches to the sink, in order, one at a time for each stream, until it answers 2xx.
//!
//! Nothing is skipped and nothing is dropped: a batch the sink refuses stays first in line and holds the
//! later ones, because a gap in the chain is worse than a delay.
//!
//! ```text
//! 2xx, read to its end     acknowledged
//! 408, 429, 5xx, no answer again by the schedule, never sooner than Retry-After says
//! 409 with what it holds   behind us: posted again from there, if all of it is still held here
//!                          ahead of us: this database was rolled back; a new stream replaces this one
//! 410                      stopped until a person resumes
//! anything else            stalled: again hourly, or when a person resumes
//! ```

use super::{Progress, Worker};
use crate::audit::{self, HmacSigner};
use crate::clock;
use crate::engine::{Engine, Sink};
use crate::failpoint::{self, Call, Point};
use crate::platform::breaker::CallEnd;
use crate::platform::http;
use crate::store::{Error, Recorded, ShippableBatch, Shipped, Store};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use serde_json::Value;
use shared::api::BreakerState;
use shared::id::ConnectionName;
use shared::time::Timestamp;
use shared::wait;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Notify;

/// Most bytes read of an answer: only a 409 says anything in its body.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// When a batch is posted again, and how long one post may take.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The whole post, answer included.
    pub timeout: Duration,
    /// The waits after the first, second, … post without a clear answer; the last one repeats without end.
    pub waits: Vec<Duration>,
    /// The wait after a refusal.
    pub stalled: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        let waits = [5, 30, 120, 600, 1800, 3600].map(Duration::from_secs);
        Self {
            timeout: Duration::from_secs(20),
            waits: waits.to_vec(),
            stalled: Duration::from_secs(3600),
        }
    }
}

impl Schedule {
    fn wait_after(&self, attempts: u32) -> Duration {
        let index = usize::try_from(attempts).unwrap_or(usize::MAX);
        self.waits.get(index).or(self.waits.last()).copied().unwrap_or(self.stalled)
    }
}

/// The worker that ships.
pub struct Ship;

#[async_trait]
impl Worker for Ship {
    fn name(&self) -> &'static str {
        "ship"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn nudge<'a>(&self, engine: &'a Engine) -> Option<&'a Notify> {
        Some(&engine.nudges.ship)
    }

    async fn run_once(&self, engine: &Engine, now: Timestamp) -> Result<Progress, Error> {
        let schedule = Schedule::default();
        let (store, signer) = (engine.store.as_ref(), engine.signer.as_ref());
        let shipped = try_join_all(engine.connections.iter().filter_map(|connection| {
            let sink = connection.sink.as_deref()?;
            Some(ship_next(store, signer, &connection.name, sink, &schedule, now, clock::wall()))
        }));
        let any = shipped.await?.contains(&true);
        Ok(if any { Progress::More } else { Progress::Idle })
    }
}

/// Posts the lowest batch of a connection, if one is due, and records what the sink did with it. True when
/// the sink has it now, or when there is a new stream to seal for. `stamp` is the time the sink compares with
/// its own clock, so it is the machine's and not [`clock::now`].
pub async fn ship_next(
    store: &dyn Store,
    signer: &HmacSigner,
    connection: &ConnectionName,
    sink: &dyn Post,
    schedule: &Schedule,
    now: Timestamp,
    stamp: Timestamp,
) -> Result<bool, Error> {
    if sink.closed_for().is_some() {
        // Not tried, so nothing is recorded: the batch is where it was.
        return Ok(false);
    }
    let Some(next) = store.next_batch_to_ship(connection.clone(), now).await? else {
        return Ok(false);
    };
    failpoint::hit(Point::BeforeRequest(Call::Ship));
    let outcome = post(signer, sink, schedule, &next, stamp).await;
    failpoint::hit(Point::AfterAnswer(Call::Ship));
    let (stream, sequence) = (&next.batch.stream, next.batch.sequence);
    match &outcome {
        Shipped::Acknowledged => {}
        Shipped::Later { problem, stalled: false, .. } => {
            tracing::warn!(stream, sequence, problem, "the sink did not take a batch");
        }
        Shipped::Later { problem, stalled: true, .. } => {
            tracing::error!(stream, sequence, problem, "the sink refuses a batch; tried hourly");
        }
        Shipped::Gone { problem } => {
            tracing::error!(stream, sequence, problem, "shipping stopped until somebody resumes");
        }
        Shipped::Behind { last_sequence, .. } => {
            tracing::error!(stream, sequence, last_sequence, "the sink lost batches it had");
        }
        Shipped::Forked { problem } => {
            tracing::error!(stream, sequence, problem, "this database was rolled back");
        }
    }
    let acknowledged = outcome == Shipped::Acknowledged;
    match store.record_shipping(next.position, outcome, clock::now()).await? {
        Recorded::Done | Recorded::Stale => Ok(acknowledged),
        Recorded::ShippingAgain { from } => {
            tracing::warn!(stream, from, "batches are posted to the sink again");
            Ok(false)
        }
        Recorded::NotHeld => {
            tracing::error!(stream, "the sink lacks batches that are not held here any more");
            Ok(false)
        }
        Recorded::Replaced(new) => {
            tracing::error!(
                old = new.old,
                stream = new.stream,
                batches_replaced = new.batches_replaced,
                "a new audit stream begins; what the sink never acknowledged is sealed again in it"
            );
            Ok(true)
        }
    }
}

/// What a sink answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What `Retry-After` asks for.
    pub wait: Option<Duration>,
    /// `X-Audit-Last-Sequence`, where the answer has one.
    pub last_sequence: Option<u64>,
    /// How this machine's clock differs from the sink's, if it does; see [`http::clock_off`].
    pub clock_off: Option<String>,
    /// The body as far as anybody needs it, or why it could not be read to its end.
    pub body: Result<Vec<u8>, String>,
}

/// How a batch gets to a sink. There is one way, HTTP; a simulation has its own.
#[async_trait]
pub trait Post: Send + Sync {
    /// Posts once; the answer is complete within `timeout`. An error says in words why there is none.
    async fn post(
        &self,
        headers: BTreeMap<String, String>,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, String>;

    /// How long a post should wait because the sink does not work; `None` when it may go.
    fn closed_for(&self) -> Option<Duration> {
        None
    }

    /// A person says that it works again.
    fn hurry(&self) {}

    /// Where the breaker of its host is.
    fn breaker(&self) -> BreakerState {
        BreakerState::Closed
    }
}

#[async_trait]
impl Post for Sink {
    async fn post(
        &self,
        headers: BTreeMap<String, String>,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, String> {
        let mut request = self.client.post(&self.url).timeout(timeout).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let closed = |_| "the sink does not work; it is tried again by itself".to_owned();
        let pass = self.guard.enter().map_err(closed)?;
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let not_connected = error.is_connect() || error.is_builder();
                pass.ended(if not_connected { CallEnd::NotConnected } else { CallEnd::Failed });
                return Err(http::describe(&error));
            }
        };
        let status = response.status().as_u16();
        let wait = http::stated_wait(response.headers());
        let clock_off = http::clock_off(response.headers());
        let last_sequence = response
            .headers()
            .get("x-audit-last-sequence")
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        // What other answers say in their bodies changes nothing.
        let body = match status {
            200..=299 | 409 => read(response).await,
            _ => Ok(Vec::new()),
        };
        let is_well = body.is_ok() && status < 500;
        pass.ended(if is_well { CallEnd::Answered } else { CallEnd::Failed });
        Ok(Answer { status, wait, last_sequence, clock_off, body })
    }

    fn closed_for(&self) -> Option<Duration> {
        self.guard.closed_for()
    }

    fn hurry(&self) {
        self.guard.hurry();
    }

    fn breaker(&self) -> BreakerState {
        self.guard.state()
    }
}

async fn post(
    signer: &HmacSigner,
    sink: &dyn Post,
    schedule: &Schedule,
    next: &ShippableBatch,
    now: Timestamp,
) -> Shipped {
    let seconds = now.unix_ms() / 1000;
    let signature = signer.webhook_signature(&audit::webhook_id(next), seconds, &next.body);
    let mut headers = audit::sealed_headers(next);
    headers.insert("content-type".into(), "application/json".into());
    headers.insert("webhook-timestamp".into(), seconds.to_string());
    headers.insert("webhook-signature".into(), signature);
    let own_wait = schedule.wait_after(next.batch.attempts);
    let again = |problem: String, stated: Option<Duration>| {
        // A stated wait only ever makes it later.
        let stated =
            stated.map_or(Duration::ZERO, |wait| wait::after_stated(wait, clock::jitter()));
        Shipped::Later { problem, next_at: clock::now().plus(own_wait.max(stated)), stalled: false }
    };
    let stalled_until = || clock::now().plus(schedule.stalled);
    let refused =
        |problem: String| Shipped::Later { problem, next_at: stalled_until(), stalled: true };
    let answer = match sink.post(headers, next.body.clone(), schedule.timeout).await {
        Ok(answer) => answer,
        Err(problem) => return again(problem, None),
    };
    let status = answer.status;
    match status {
        200..=299 => match answer.body {
            Ok(_) => Shipped::Acknowledged,
            Err(problem) => again(format!("the sink answered {status}, but {problem}"), None),
        },
        408 | 429 | 500..=599 => again(format!("the sink answered {status}"), answer.wait),
        409 => {
            let held =
                answer.last_sequence.or_else(|| last_sequence(&answer.body.unwrap_or_default()));
            conflict(next, held, clock::now().plus(own_wait), stalled_until())
        }
        410 => Shipped::Gone { problem: "the sink is gone: it answered 410".into() },
        status => {
            // A signed time that looks too old or too new is a usual reason, and easily mended.
            let off = answer.clock_off.map_or(String::new(), |off| format!("; {off} the sink's"));
            refused(format!("the sink refuses it with {status}{off}"))
        }
    }
}

/// What a 409 means, by the last sequence the sink says it holds of this stream.
fn conflict(
    next: &ShippableBatch,
    held: Option<u64>,
    next_at: Timestamp,
    stalled_until: Timestamp,
) -> Shipped {
    let sequence = next.batch.sequence;
    let refused =
        |problem: String| Shipped::Later { problem, next_at: stalled_until, stalled: true };
    match held {
        None => refused("the sink answered 409 and does not say which batch it holds last".into()),
        // A first post cannot be a repeat of ours, so what it holds in this place is another batch.
        Some(held) if held > sequence || (held == sequence && next.batch.attempts == 0) => {
            Shipped::Forked {
                problem: format!(
                    "the sink holds this stream up to {held}: this database was rolled back"
                ),
            }
        }
        Some(held) if held + 1 < sequence => {
            Shipped::Behind { last_sequence: held, next_at, stalled_until }
        }
        Some(held) => refused(format!(
            "the sink answered 409 and holds this stream up to {held}, whose chain is not ours"
        )),
    }
}

/// The last held sequence in the JSON of a 409.
pub(crate) fn last_sequence(body: &[u8]) -> Option<u64> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    ["last_sequence", "last_held_sequence"].iter().find_map(|name| answer.get(name)?.as_u64())
}

/// Reads an answer to its end, or as far as anybody needs it.
async fn read(response: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.map_err(|error| http::describe(&error))?);
        if bytes.len() > ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(bytes)
}
