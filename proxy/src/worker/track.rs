//! Learns what became of submitted messages: one read of a conversation serves all its messages.
//!
//! Looks grow rarer with time, are never later than just past a message's SLA deadline, and share the budget
//! with sends, which go first. A read that fails only moves that conversation's next look.

use super::{LEASE, PERMIT_PATIENCE, Progress, Worker, apply};
use crate::engine::{Connection, Engine, NotNow};
use crate::failpoint::{self, Call, Point};
use crate::platform::{Priority, ReadError};
use crate::store::{Applied, Change, Claim, Error, Work};
use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use shared::api::Actor;
use shared::delivery::{Delivery, Happening, PlatformStatus, Receipt, State};
use shared::id::{ConnectionName, ConversationId, PlatformId};
use shared::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Few at a time: while requests are scarce, what becomes due next must not wait behind a long batch.
const CLAIMS_MAX: u32 = 8;
const READS_AT_ONCE: usize = 8;
/// Messages given up as undelivered for which a late receipt is looked for in one conversation.
const GIVEN_UP_MAX: u32 = 100;
/// The shortest wait before a platform is looked at again through which nothing went.
const CLOSED_AGAIN: Duration = Duration::from_secs(1);

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
    let permit = match connection.permit(Priority::Look, PERMIT_PATIENCE).await {
        Ok(permit) => permit,
        Err(NotNow::Closed(closed)) => return postpone(engine, claims, closed.wait, now).await,
        Err(NotNow::NoPermit) => {
            for claim in claims {
                engine.store.release(claim.message_id.clone(), claim.epoch).await?;
            }
            return Ok(());
        }
    };
    note_lag(connection, claims, now);
    failpoint::hit(Point::BeforeRequest(Call::Look));
    let answer = connection.platform.read_conversation(permit, id).await;
    failpoint::hit(Point::AfterAnswer(Call::Look));
    let snapshot = match answer {
        Ok(snapshot) => snapshot,
        Err(ReadError::Closed(_)) => return postpone(engine, claims, CLOSED_AGAIN, now).await,
        Err(error) => {
            tracing::warn!(conversation.id = %id, %error, "a look failed");
            return fail(engine, claims, now).await;
        }
    };
    let channel = snapshot.conversation.channel.clone();
    engine.store.remember_conversation(connection.name.clone(), snapshot.conversation).await?;
    late_receipts(engine, connection, id, &snapshot.receipts).await?;
    for claim in claims {
        let receipt = claim.delivery.platform_id.as_ref().and_then(|id| snapshot.receipts.get(id));
        let over = is_over(engine, claim, now);
        let happening = match receipt {
            Some(receipt) => Happening::Observed(receipt.clone()),
            None => Happening::LookFailed,
        };
        let applied = apply(engine, claim, happening, Actor::Platform, over, None).await?;
        if let Applied::Done(after) = applied
            && let Some(latency) = latency_just_learned(&claim.delivery, &after)
        {
            connection.measured.delivered(&channel, latency);
        }
        if over {
            // Refused, and rightly, when this very look brought the receipt.
            apply(engine, claim, Happening::HorizonPassed, Actor::Proxy, false, None).await?;
        }
    }
    Ok(())
}

/// Receipts that came after their message was given up as undelivered. Nobody looks for them, but where the
/// conversation is read anyway they are seen.
async fn late_receipts(
    engine: &Engine,
    connection: &Connection,
    id: &ConversationId,
    receipts: &HashMap<PlatformId, Receipt>,
) -> Result<(), Error> {
    let given_up =
        engine.store.undelivered_in(connection.name.clone(), id.clone(), GIVEN_UP_MAX).await?;
    for (message_id, platform_id) in given_up {
        let Some(receipt) = receipts.get(&platform_id) else { continue };
        if !matches!(receipt.status, Some(PlatformStatus::Delivered | PlatformStatus::Read)) {
            continue;
        }
        let change = Change {
            message_id,
            // Nobody claims what has ended; the state alone decides.
            epoch: None,
            happening: Happening::Observed(receipt.clone()),
            actor: Actor::Platform,
            policy: connection.policy.clone(),
            jitter: crate::clock::jitter(),
            keep_claim: false,
            channel: None,
        };
        engine.store.apply(change, crate::clock::now()).await?;
    }
    Ok(())
}

/// How long the platform took, if this look was the first to see the delivery.
fn latency_just_learned(before: &Delivery, after: &Delivery) -> Option<Duration> {
    if before.delivery_seen_at.is_some() {
        return None;
    }
    let ms = after.platform_delivered_at?.ms_since(after.platform_created_at?);
    u64::try_from(ms).ok().map(Duration::from_millis)
}

/// How late this look is against the time it was planned for.
fn note_lag(connection: &Connection, claims: &[Claim], now: Timestamp) {
    let due = claims.iter().filter_map(|claim| claim.delivery.due_at).min();
    let made_at = crate::clock::now().max(now);
    let late = due.map(|due| u64::try_from(made_at.ms_since(due)).unwrap_or(0));
    if let Some(late) = late {
        connection.measured.looked(Duration::from_millis(late), Instant::now());
    }
}

/// A look that is not made now, because nothing goes through: later, and not counted. At the horizon it was
/// the last one.
async fn postpone(
    engine: &Engine,
    claims: &[Claim],
    wait: Duration,
    now: Timestamp,
) -> Result<(), Error> {
    let wait = wait.max(CLOSED_AGAIN);
    for claim in claims {
        let happening = match is_over(engine, claim, now) {
            true => Happening::HorizonPassed,
            false => Happening::LookPostponed { wait },
        };
        apply(engine, claim, happening, Actor::Proxy, false, None).await?;
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
