//! Learns what became of submitted messages: one read of a conversation serves all its messages.
//!
//! Looks grow rarer with time, are never later than just past a message's SLA deadline, and share the budget
//! with sends, which go first. A read that fails only moves that conversation's next look.

use super::{LEASE, PERMIT_PATIENCE, Progress, Worker, apply};
use crate::engine::{Connection, Engine};
use crate::failpoint::{self, Call, Point};
use crate::platform::Priority;
use crate::store::{Claim, Error, Work};
use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use shared::api::Actor;
use shared::delivery::{Happening, State};
use shared::id::{ConnectionName, ConversationId};
use shared::time::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Notify;

/// Few at a time: while requests are scarce, what becomes due next must not wait behind a long batch.
const CLAIMS_MAX: u32 = 8;
const READS_AT_ONCE: usize = 8;

/// The worker that looks for receipts.
pub struct Track;

#[async_trait]
impl Worker for Track {
    fn name(&self) -> &'static str {
        "track"
    }

    fn every(&self) -> Duration {
        Duration::from_millis(250)
    }

    fn nudge<'a>(&self, engine: &'a Engine) -> Option<&'a Notify> {
        Some(&engine.nudges.track)
    }

    async fn run_once(&self, engine: &Engine, now: Timestamp) -> Result<Progress, Error> {
        let lease_until = now.plus(LEASE);
        let claims =
            engine.store.claim(Work::Look, now, lease_until, CLAIMS_MAX, Vec::new()).await?;
        if claims.is_empty() {
            return Ok(Progress::Idle);
        }
        let mut by_conversation: BTreeMap<(ConnectionName, ConversationId), Vec<Claim>> =
            BTreeMap::new();
        for claim in claims {
            let place = (claim.connection.clone(), claim.conversation_id.clone());
            by_conversation.entry(place).or_default().push(claim);
        }
        stream::iter(by_conversation)
            .map(Ok)
            .try_for_each_concurrent(READS_AT_ONCE, |((name, id), claims)| async move {
                match engine.connection(&name) {
                    Some(connection) => look(engine, connection, &id, &claims, now).await,
                    None => fail(engine, &claims, now).await,
                }
            })
            .await?;
        Ok(Progress::More)
    }
}

async fn look(
    engine: &Engine,
    connection: &Connection,
    id: &ConversationId,
    claims: &[Claim],
    now: Timestamp,
) -> Result<(), Error> {
    let Some(permit) = connection.budget.permit_within(Priority::Look, PERMIT_PATIENCE).await
    else {
        for claim in claims {
            engine.store.release(claim.message_id.clone(), claim.epoch).await?;
        }
        return Ok(());
    };
    failpoint::hit(Point::BeforeRequest(Call::Look));
    let answer = connection.platform.read_conversation(permit, id).await;
    failpoint::hit(Point::AfterAnswer(Call::Look));
    let snapshot = match answer {
        Ok(snapshot) => snapshot,
        Err(error) => {
            tracing::warn!(conversation.id = %id, %error, "a look failed");
            return fail(engine, claims, now).await;
        }
    };
    engine.store.remember_conversation(connection.name.clone(), snapshot.conversation).await?;
    for claim in claims {
        let receipt = claim.delivery.platform_id.as_ref().and_then(|id| snapshot.receipts.get(id));
        let over = is_over(engine, claim, now);
        let happening = match receipt {
            Some(receipt) => Happening::Observed(receipt.clone()),
            None => Happening::LookFailed,
        };
        apply(engine, claim, happening, Actor::Platform, over, None).await?;
        if over {
            // Refused, and rightly, when this very look brought the receipt.
            apply(engine, claim, Happening::HorizonPassed, Actor::Proxy, false, None).await?;
        }
    }
    Ok(())
}

/// A look that brought nothing. At the horizon it was the last one, whatever kept it from being made: a
/// conversation that can never be read again must not keep its messages open for ever.
async fn fail(engine: &Engine, claims: &[Claim], now: Timestamp) -> Result<(), Error> {
    for claim in claims {
        let happening = match is_over(engine, claim, now) {
            true => Happening::HorizonPassed,
            false => Happening::LookFailed,
        };
        apply(engine, claim, happening, Actor::Proxy, false, None).await?;
    }
    Ok(())
}

/// Whether the time in which receipts are looked for is over.
fn is_over(engine: &Engine, claim: &Claim, now: Timestamp) -> bool {
    let submitted_at = claim.delivery.submitted_at.unwrap_or(claim.delivery.accepted_at);
    claim.delivery.state == State::Submitted
        && now >= submitted_at.plus(engine.policy(&claim.connection).horizon)
}
