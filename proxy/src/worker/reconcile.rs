//! Finds out what to do about attempts whose outcome is unknown.
//!
//! Where the platform recognises a key (`dedup = "key"`), asking again with the same key and bytes is both the
//! question and the answer: it either takes the message now or names the one it took before. Where it forgets
//! keys (`dedup = "none"`), the conversation is read first: one message that is surely ours is adopted, none in
//! three looks over a minute is absent, and whatever cannot be told apart waits for a person.

use super::{LEASE, PERMIT_PATIENCE, Progress, Worker, apply};
use crate::engine::{Connection, Engine, NotNow};
use crate::failpoint::{self, Call, Point};
use crate::platform::{Listed, Priority, Snapshot};
use crate::store::{Applied, Claim, Error, Work};
use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use shared::api::Actor;
use shared::delivery::{Dedup, Delivery, Happening, Reason, State};
use shared::id::PlatformId;
use shared::payload::Payload;
use shared::time::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::Notify;

const CLAIMS_MAX: u32 = 16;
const LOOKS_AT_ONCE: usize = 4;
/// How far before the attempt a message may have been created and still be ours: two clocks never agree.
const CLOCKS_DIFFER_BY: Duration = Duration::from_secs(120);

/// The worker that settles unknown outcomes.
pub struct Reconcile;

#[async_trait]
impl Worker for Reconcile {
    fn name(&self) -> &'static str {
        "reconcile"
    }

    fn every(&self) -> Duration {
        Duration::from_millis(500)
    }

    fn nudge<'a>(&self, engine: &'a Engine) -> Option<&'a Notify> {
        Some(&engine.nudges.reconcile)
    }

    async fn run_once(&self, engine: &Engine, now: Timestamp) -> Result<Progress, Error> {
        let lease_until = now.plus(LEASE);
        let claims =
            engine.store.claim(Work::Reconcile, now, lease_until, CLAIMS_MAX, Vec::new()).await?;
        if claims.is_empty() {
            return Ok(Progress::Idle);
        }
        stream::iter(&claims)
            .map(Ok)
            .try_for_each_concurrent(LOOKS_AT_ONCE, |claim| settle(engine, claim))
            .await?;
        engine.nudges.dispatch.notify_one();
        Ok(Progress::More)
    }
}

async fn settle(engine: &Engine, claim: &Claim) -> Result<(), Error> {
    let mut delivery = claim.delivery.clone();
    if delivery.state == State::Sending {
        let reason = Reason::new("claim_ran_out", "Whoever was sending this went silent.");
        let happening = Happening::Ambiguous { reason };
        let done = apply(engine, claim, happening, Actor::Proxy, true, None).await?;
        let Applied::Done(unknown) = done else { return Ok(()) };
        delivery = *unknown;
    }
    let happening = match engine.connection(&claim.connection) {
        Some(connection) if connection.policy.dedup == Dedup::None => {
            let Some(found) = look(engine, connection, claim, &delivery).await? else {
                return engine.store.release(claim.message_id.clone(), claim.epoch).await;
            };
            found
        }
        Some(_) => Happening::MayRepeat,
        // Nobody can look, and nobody may send: it waits, and in the end a person has to decide.
        None => Happening::LookFailed,
    };
    let actor = match happening {
        Happening::Taken { .. } => Actor::Platform,
        _ => Actor::Proxy,
    };
    let done = apply(engine, claim, happening, actor, false, None).await?;
    if let Applied::Done(delivery) = done
        && delivery.state == State::Parked
    {
        let reason = delivery.reason.as_ref().map(|reason| reason.code.as_str());
        tracing::error!(message.id = %claim.message_id, reason, "a message needs a person's decision");
    }
    engine.nudges.track.notify_one();
    Ok(())
}

/// Looks for the attempt on the platform; `None` when there was no permit in time.
async fn look(
    engine: &Engine,
    connection: &Connection,
    claim: &Claim,
    delivery: &Delivery,
) -> Result<Option<Happening>, Error> {
    let permit = match connection.permit(Priority::Reconcile, PERMIT_PATIENCE).await {
        Ok(permit) => permit,
        Err(NotNow::NoPermit) => return Ok(None),
        // It is tried again later; when that has not helped for long, a person has to decide.
        Err(NotNow::Closed(_)) => return Ok(Some(Happening::LookFailed)),
    };
    failpoint::hit(Point::BeforeRequest(Call::Search));
    let answer = connection.platform.read_conversation(permit, &claim.conversation_id).await;
    failpoint::hit(Point::AfterAnswer(Call::Search));
    let snapshot = match answer {
        Ok(snapshot) => snapshot,
        Err(error) => {
            tracing::warn!(message.id = %claim.message_id, %error, "an unknown outcome could not be looked up");
            return Ok(Some(Happening::LookFailed));
        }
    };
    let ids = snapshot.listed.iter().map(|one| one.platform_id.clone()).collect();
    let bound = engine.store.platform_ids_bound(connection.name.clone(), ids).await?;
    // The payload was validated when it was stored; one that cannot be read can be told apart from nothing.
    let sent = Payload::decode(&claim.body).ok();
    let now = crate::clock::now();
    Ok(Some(match weigh(&snapshot, &bound, sent.as_ref(), began_ago(delivery, now), now) {
        Weighed::Absent => Happening::Absent,
        Weighed::Ours(platform_id) => {
            let receipt = snapshot.receipts.get(&platform_id).cloned();
            let receipt = receipt.unwrap_or_default();
            Happening::Taken { platform_id, receipt, was_there: true }
        }
        Weighed::CannotTell(candidates) => Happening::CannotTell { candidates },
    }))
}

/// What a conversation's messages say about an attempt.
#[derive(Debug, PartialEq)]
enum Weighed {
    /// None of them can be it.
    Absent,
    /// This one is: same sender, same content, made since the attempt began, and nobody else's.
    Ours(PlatformId),
    /// Any of these may be it.
    CannotTell(Vec<PlatformId>),
}

/// How long ago the attempt began. Nobody knows where it began in the future, or after its outcome was unknown: this
/// clock was set back since.
fn began_ago(delivery: &Delivery, now: Timestamp) -> Option<Duration> {
    let began = delivery.attempt_at.unwrap_or(delivery.accepted_at);
    let since = delivery.search.as_ref().map_or(now, |search| search.since);
    let ago = u64::try_from(now.ms_since(began)).ok().map(Duration::from_millis);
    ago.filter(|_| began <= since)
}

/// Times are compared on the platform's clock: how long ago the attempt began is the same on both.
fn weigh(
    snapshot: &Snapshot,
    bound: &BTreeSet<PlatformId>,
    sent: Option<&Payload>,
    ago: Option<Duration>,
    now: Timestamp,
) -> Weighed {
    let since = ago.map(|ago| snapshot.platform_now.unwrap_or(now).minus(ago + CLOCKS_DIFFER_BY));
    let is_new = |one: &Listed| match (one.created_at, since) {
        (Some(created), Some(since)) => created >= since,
        _ => true,
    };
    let (mut ours, mut untold) = (Vec::new(), Vec::new());
    for one in snapshot.listed.iter().filter(|one| !bound.contains(&one.platform_id)) {
        let id = one.platform_id.clone();
        match (&one.said, sent) {
            (Some(said), Some(sent)) => {
                if said.from != sent.from || !same_text(&said.text, &text_of(sent)) {
                    continue;
                }
                // Our words from before the attempt: somebody else's, unless this clock was set back meanwhile.
                if is_new(one) && since.is_some() { ours.push(id) } else { untold.push(id) }
            }
            _ if is_new(one) => untold.push(id),
            _ => {}
        }
    }
    match (ours.as_slice(), untold.is_empty()) {
        ([], true) => Weighed::Absent,
        ([one], true) => Weighed::Ours(one.clone()),
        _ => Weighed::CannotTell([ours, untold].concat()),
    }
}

fn text_of(payload: &Payload) -> String {
    payload.text().map_or_else(|| payload.content.to_string(), str::to_owned)
}

/// Platforms trim and re-wrap; a difference in white space alone is none.
fn same_text(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Said;
    use shared::conversation::Conversation;
    use shared::delivery::{Policy, step};

    const BEGAN: i64 = 1_795_341_600_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(BEGAN + seconds * 1000)
    }

    fn listed(id: &str, created: i64, said: Option<(&str, &str)>) -> Listed {
        Listed {
            platform_id: PlatformId::parse(id).unwrap(),
            created_at: Some(at(created)),
            said: said.map(|(from, text)| Said { from: from.into(), text: text.into() }),
        }
    }

    fn weighed(messages: Vec<Listed>, bound: &[&str]) -> Weighed {
        weighed_at(at(10), messages, bound)
    }

    fn weighed_at(now: Timestamp, messages: Vec<Listed>, bound: &[&str]) -> Weighed {
        weighed_since(at(5), now, messages, bound)
    }

    fn weighed_since(
        unknown: Timestamp,
        now: Timestamp,
        messages: Vec<Listed>,
        bound: &[&str],
    ) -> Weighed {
        let snapshot = Snapshot {
            conversation: serde_json::from_value::<Conversation>(serde_json::json!({
                "id": "a1b2c3d4-e5f6-7890-abcd-ef1234567890", "channel": "email",
                "participants": [], "ended_at": null, "read_at": "2026-11-22T10:00:00Z"
            }))
            .unwrap(),
            receipts: std::collections::HashMap::new(),
            listed: messages,
            // Ten minutes ahead of ours.
            platform_now: Some(at(610)),
        };
        let bound = bound.iter().map(|id| PlatformId::parse(id).unwrap()).collect();
        let sent = Payload {
            from: "agent@genesys.cloud".into(),
            content_type: "text/plain".into(),
            content: "Hello  there".into(),
            ..Payload::default()
        };
        weigh(&snapshot, &bound, Some(&sent), began_ago(&unknown_since(unknown), now), now)
    }

    /// An attempt of the moment 0 whose outcome was unknown at another.
    fn unknown_since(unknown: Timestamp) -> Delivery {
        let reason = Reason::new("r", "r");
        let happenings =
            [(Happening::AttemptStarted, at(0)), (Happening::Ambiguous { reason }, unknown)];
        let accepted = Delivery::accepted(at(0), None, None, 10_000, true);
        happenings.into_iter().fold(accepted, |delivery, (happening, at)| {
            step(&delivery, &happening, &Policy::default(), at, 0.0).unwrap().delivery
        })
    }

    fn id(text: &str) -> PlatformId {
        PlatformId::parse(text).unwrap()
    }

    #[test]
    fn only_a_new_unbound_message_with_our_words_is_ours() {
        let ours = Some(("agent@genesys.cloud", "Hello there\n"));
        assert_eq!(weighed(vec![], &[]), Weighed::Absent);
        assert_eq!(weighed(vec![listed("p1", 605, ours)], &[]), Weighed::Ours(id("p1")));
        assert_eq!(weighed(vec![listed("p1", 605, ours)], &["p1"]), Weighed::Absent);
        // Long before the attempt, by the platform's clock, which is ten minutes ahead.
        let old = vec![listed("p1", 470, ours)];
        assert_eq!(weighed(old, &[]), Weighed::CannotTell(vec![id("p1")]));
        assert_eq!(weighed(vec![listed("p1", 470, None)], &[]), Weighed::Absent);
        for other in [("other@genesys.cloud", "Hello there"), ("agent@genesys.cloud", "Bye")] {
            assert_eq!(weighed(vec![listed("p1", 605, Some(other))], &[]), Weighed::Absent);
        }
    }

    #[test]
    fn after_the_clock_was_set_back_nothing_is_surely_ours() {
        let ours = Some(("agent@genesys.cloud", "Hello there"));
        let old = vec![listed("p1", -3600, ours)];
        assert_eq!(weighed_at(at(-60), old, &[]), Weighed::CannotTell(vec![id("p1")]));
        assert_eq!(weighed_at(at(-60), vec![], &[]), Weighed::Absent);
    }

    /// As a restore leaves it: begun by a clock that was ahead, unknown since a moment before that.
    #[test]
    fn nor_when_the_clock_has_come_to_where_it_was_before() {
        let began_late = |listed| weighed_since(at(-3600), at(10), vec![listed], &[]);
        // Nobody can tell when it was sent, so one that cannot be read may be it, however old.
        assert_eq!(began_late(listed("p1", 470, None)), Weighed::CannotTell(vec![id("p1")]));
        let ours = Some(("agent@genesys.cloud", "Hello there"));
        assert_eq!(began_late(listed("p1", 605, ours)), Weighed::CannotTell(vec![id("p1")]));
    }

    #[test]
    fn what_cannot_be_told_apart_is_for_a_person() {
        let ours = Some(("agent@genesys.cloud", "Hello there"));
        let two = vec![listed("p1", 603, ours), listed("p2", 605, ours)];
        assert_eq!(weighed(two, &[]), Weighed::CannotTell(vec![id("p1"), id("p2")]));
        let untold = vec![listed("p1", 603, None)];
        assert_eq!(weighed(untold, &[]), Weighed::CannotTell(vec![id("p1")]));
        let both = vec![listed("p1", 603, None), listed("p2", 605, ours)];
        assert_eq!(weighed(both, &[]), Weighed::CannotTell(vec![id("p2"), id("p1")]));
    }
}
