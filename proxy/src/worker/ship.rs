//! Posts sealed batches to the sink, in order, one at a time for each stream, until it answers 2xx.
//!
//! Nothing is skipped and nothing is dropped: a batch the sink refuses stays first in line and holds the
//! later ones, because a gap in the chain is worse than a delay (§4.5).

use super::{Progress, Worker};
use crate::audit;
use crate::engine::{Connection, Engine, Sink};
use crate::failpoint::{self, Call, Point};
use crate::platform::http;
use crate::store::{Error, ShippableBatch, Shipped};
use async_trait::async_trait;
use futures_util::future::try_join_all;
use shared::time::Timestamp;
use std::time::Duration;
use tokio::sync::Notify;

const TIMEOUT: Duration = Duration::from_secs(20);
/// The waits between posts of a batch; the last one repeats without end.
const WAITS_S: [u64; 6] = [5, 30, 120, 600, 1800, 3600];

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
        let shipped = try_join_all(engine.connections.iter().filter_map(|connection| {
            connection.sink.as_ref().map(|sink| ship_next(engine, connection, sink, now))
        }));
        let any = shipped.await?.contains(&true);
        Ok(if any { Progress::More } else { Progress::Idle })
    }
}

async fn ship_next(
    engine: &Engine,
    connection: &Connection,
    sink: &Sink,
    now: Timestamp,
) -> Result<bool, Error> {
    let Some(next) = engine.store.next_batch_to_ship(connection.name.clone(), now).await? else {
        return Ok(false);
    };
    failpoint::hit(Point::BeforeRequest(Call::Ship));
    let outcome = post(engine, sink, &next, now).await;
    failpoint::hit(Point::AfterAnswer(Call::Ship));
    let acknowledged = outcome == Shipped::Acknowledged;
    if let Shipped::Later { problem, stalled, .. } = &outcome {
        tracing::warn!(
            sequence = next.batch.sequence,
            problem,
            stalled,
            "the sink did not take a batch"
        );
    }
    let sequence = next.batch.sequence;
    let at = crate::clock::now();
    engine.store.record_shipping(connection.name.clone(), sequence, outcome, at).await?;
    Ok(acknowledged)
}

async fn post(engine: &Engine, sink: &Sink, next: &ShippableBatch, now: Timestamp) -> Shipped {
    let seconds = now.unix_ms() / 1000;
    let id = audit::webhook_id(next);
    let signature = engine.signer.webhook_signature(&id, seconds, &next.body);
    let mut request = sink
        .client
        .post(&sink.url)
        .timeout(TIMEOUT)
        .header("content-type", "application/json")
        .header("webhook-timestamp", seconds.to_string())
        .header("webhook-signature", signature)
        .body(next.body.clone());
    for (name, value) in audit::sealed_headers(next) {
        request = request.header(name, value);
    }
    let later = |problem: String, wait_s: u64, stalled: bool| Shipped::Later {
        problem,
        next_at: crate::clock::now().plus(Duration::from_secs(wait_s)),
        stalled,
    };
    let attempts = usize::try_from(next.batch.attempts).unwrap_or(usize::MAX);
    let wait_s = WAITS_S.get(attempts).copied().unwrap_or(3600);
    match request.send().await {
        Ok(response) => match response.status().as_u16() {
            200..=299 => Shipped::Acknowledged,
            status @ (408 | 429 | 500..=599) => {
                later(format!("the sink answered {status}"), wait_s, false)
            }
            status => later(format!("the sink refuses it with {status}"), 3600, true),
        },
        Err(error) => later(http::describe(&error), wait_s, false),
    }
}
