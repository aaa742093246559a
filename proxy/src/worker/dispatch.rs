//! Sends what is due: at most one message of a conversation at a time, in the order of acceptance.
//!
//! The order of steps is what keeps a message from being lost or doubled. The attempt is committed before
//! the first byte goes out; if the process dies after that, the attempt is found open and its outcome is
//! unknown, never "not sent". No transaction is open across a call.

use super::{LEASE, PERMIT_PATIENCE, Progress, Worker, apply};
use crate::engine::{Connection, Engine};
use crate::failpoint::{self, Call, Point};
use crate::platform::guide::SEND_TIMEOUT;
use crate::platform::{Priority, ReadError, Refusal, SendOutcome};
use crate::store::{Applied, Claim, Error, Work};
use async_trait::async_trait;
use futures_util::future::try_join_all;
use shared::api::Actor;
use shared::conversation::Conversation;
use shared::delivery::{Happening, Reason};
use shared::finding::{self, Severity};
use shared::payload::Payload;
use shared::rules::Ruleset;
use shared::time::Timestamp;
use shared::validate::{Context, validate};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Dispatchers that run side by side.
pub const DISPATCHERS: usize = 4;
const CLAIMS_MAX: u32 = 8;
/// What has to be left of a claim when a send begins.
const SEND_TAKES: Duration = Duration::from_secs(SEND_TIMEOUT.as_secs() + 5);
/// How old a conversation may be when a message is sent into it.
const CONTEXT_AGE_MAX: Duration = Duration::from_secs(60);
/// The wait before a conversation that could not be read is tried again.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// The wait before the settings are asked again for a connection they do not name.
const MISSING_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// See [`held_for`].
const HELD_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The worker that sends.
pub struct Dispatch;

#[async_trait]
impl Worker for Dispatch {
    fn name(&self) -> &'static str {
        "dispatch"
    }

    fn every(&self) -> Duration {
        Duration::from_millis(500)
    }

    fn nudge<'a>(&self, engine: &'a Engine) -> Option<&'a Notify> {
        Some(&engine.nudges.dispatch)
    }

    async fn run_once(&self, engine: &Engine, now: Timestamp) -> Result<Progress, Error> {
        let lease_until = now.plus(LEASE);
        let send_until = Instant::now() + LEASE.saturating_sub(SEND_TAKES);
        let overdue =
            engine.store.claim(Work::Expire, now, lease_until, CLAIMS_MAX, Vec::new()).await?;
        for claim in &overdue {
            apply(engine, claim, Happening::DeadlinePassed, Actor::Proxy, false, None).await?;
        }
        let except = engine.without_room_to_send();
        // A backlog that cannot go anywhere is not even looked through.
        let claims = match except.len() == engine.connections.len() {
            true => Vec::new(),
            false => engine.store.claim(Work::Send, now, lease_until, CLAIMS_MAX, except).await?,
        };
        let done =
            try_join_all(claims.iter().map(|claim| dispatch(engine, claim, send_until))).await?;
        let idle = overdue.is_empty() && !done.contains(&Done::Something);
        Ok(if idle { Progress::Idle } else { Progress::More })
    }
}

/// Whether something became of a claim.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Something,
    /// It was given back as it was.
    Nothing,
}

/// Nothing is sent after `send_until`, because the claim may end before the answer is here.
async fn dispatch(engine: &Engine, claim: &Claim, send_until: Instant) -> Result<Done, Error> {
    let held = |reason: Option<Reason>, wait: Duration| async move {
        let happening = Happening::Held { reason, wait };
        apply(engine, claim, happening, Actor::Proxy, false, None).await?;
        Ok(Done::Something)
    };
    let give_back = || async {
        engine.store.release(claim.message_id.clone(), claim.epoch).await?;
        Ok(Done::Nothing)
    };
    let Some(connection) = engine.connection(&claim.connection) else {
        let text = "The connection it was for is no longer configured.";
        return held(Some(Reason::new("connection_missing", text)), MISSING_AGAIN_AFTER).await;
    };
    let is_first = claim.delivery.attempts == 0;
    if !is_first && let Err(wait) = connection.gate.take_retry() {
        return held(None, wait).await;
    }
    let conversation = match context(engine, connection, claim).await? {
        Reading::Known(conversation) => conversation,
        Reading::Refused(reason) => {
            apply(engine, claim, Happening::Refused { reason }, Actor::Platform, false, None)
                .await?;
            return Ok(Done::Something);
        }
        Reading::Held(reason, wait) => return held(Some(reason), wait).await,
        Reading::Later(reason, wait) => {
            let happening = Happening::NotSent { reason, wait: Some(wait) };
            apply(engine, claim, happening, Actor::Proxy, false, None).await?;
            return Ok(Done::Something);
        }
        Reading::NotNow => return give_back().await,
    };
    let channel = Some(conversation.channel.clone());
    if let Some(reason) = refusal_by_rules(claim, &conversation, &connection.rules) {
        apply(engine, claim, Happening::Refused { reason }, Actor::Proxy, false, channel).await?;
        return Ok(Done::Something);
    }
    let Ok(permit) = connection.permit(Priority::Send, PERMIT_PATIENCE).await else {
        return give_back().await;
    };
    if Instant::now() > send_until {
        // Whose turn it is was decided long ago, and nothing has begun yet.
        return give_back().await;
    }
    let started =
        apply(engine, claim, Happening::AttemptStarted, Actor::Proxy, true, channel.clone())
            .await?;
    if !matches!(started, Applied::Done(_)) {
        // Cancelled or claimed by another in the meantime: it is not ours to send.
        return Ok(Done::Something);
    }
    if Instant::now() > send_until {
        // The disk or this process stood still for long. Once the claim is over another may send it, and two would be in
        // flight.
        return held(None, Duration::ZERO).await;
    }
    if is_first {
        connection.gate.first_attempt();
    }
    failpoint::hit(Point::BeforeRequest(Call::Send));
    let outcome = connection
        .platform
        .send(permit, &claim.conversation_id, &claim.key, claim.body.clone())
        .await;
    failpoint::hit(Point::AfterAnswer(Call::Send));
    let happening = match outcome {
        SendOutcome::Accepted { platform_id, receipt, was_there } => {
            connection.measured.submitted(Instant::now());
            Happening::Taken { platform_id, receipt, was_there }
        }
        SendOutcome::Held(reason) => {
            let wait = held_for(connection);
            Happening::Held { reason: Some(reason), wait }
        }
        SendOutcome::Refused(reason) => Happening::Refused { reason },
        SendOutcome::NotSent { reason, wait } => Happening::NotSent { reason, wait },
        SendOutcome::Ambiguous(reason) => Happening::Ambiguous { reason },
    };
    tracing::info!(
        message.id = %claim.message_id,
        connection = %claim.connection,
        outcome = outcome_word(&happening),
        "attempt ended"
    );
    apply(engine, claim, happening, Actor::Platform, false, channel).await?;
    engine.nudges.reconcile.notify_one();
    engine.nudges.track.notify_one();
    // The next message of this conversation may go now.
    engine.nudges.dispatch.notify_one();
    Ok(Done::Something)
}

/// How long a message waits that met a pause. Where one message was refused for what may be its own fault,
/// others are to find out whether the pause is over; where all are, it may go first again.
fn held_for(connection: &Connection) -> Duration {
    match connection.gate.paused() {
        Some(Refusal::Permission | Refusal::Place) => HELD_AGAIN_AFTER,
        Some(Refusal::Token) | None => Duration::ZERO,
    }
}

fn outcome_word(happening: &Happening) -> &'static str {
    match happening {
        Happening::Taken { .. } => "accepted",
        Happening::Refused { .. } => "refused",
        Happening::NotSent { .. } => "not sent",
        Happening::Held { .. } => "held",
        _ => "unknown",
    }
}

enum Reading {
    Known(Conversation),
    Refused(Reason),
    Later(Reason, Duration),
    Held(Reason, Duration),
    NotNow,
}

/// The conversation as it is now, or as it was less than [`CONTEXT_AGE_MAX`] ago.
async fn context(
    engine: &Engine,
    connection: &Connection,
    claim: &Claim,
) -> Result<Reading, Error> {
    let id = &claim.conversation_id;
    let known = engine.store.find_conversation(connection.name.clone(), id.clone()).await?;
    let oldest_ms = i64::try_from(CONTEXT_AGE_MAX.as_millis()).unwrap_or(i64::MAX);
    if let Some(known) = known
        && crate::clock::now().ms_since(known.read_at) < oldest_ms
    {
        return Ok(Reading::Known(known));
    }
    let Ok(permit) = connection.permit(Priority::Send, PERMIT_PATIENCE).await else {
        return Ok(Reading::NotNow);
    };
    failpoint::hit(Point::BeforeRequest(Call::Read));
    let answer = connection.platform.read_conversation(permit, id).await;
    failpoint::hit(Point::AfterAnswer(Call::Read));
    match answer {
        Ok(snapshot) => {
            let conversation = snapshot.conversation;
            engine
                .store
                .remember_conversation(connection.name.clone(), conversation.clone())
                .await?;
            Ok(Reading::Known(conversation))
        }
        Err(ReadError::NotFound) if connection.gate.refused(Refusal::Place) => {
            Ok(Reading::Held(Refusal::Place.reason(), held_for(connection)))
        }
        Err(ReadError::Forbidden(_)) if connection.gate.refused(Refusal::Permission) => {
            Ok(Reading::Held(Refusal::Permission.reason(), held_for(connection)))
        }
        Err(ReadError::Closed(_)) => Ok(Reading::NotNow),
        Err(ReadError::NotFound) => {
            let text = "The platform knows no such conversation.";
            Ok(Reading::Refused(Reason::new("conversation_not_found", text)))
        }
        Err(ReadError::Forbidden(text)) => {
            Ok(Reading::Later(Reason::new("not_permitted", text), Duration::from_secs(60)))
        }
        Err(ReadError::Wait(wait)) => {
            let text = "The platform's request limit was reached.";
            Ok(Reading::Held(Reason::new("rate_limited", text), wait))
        }
        Err(ReadError::Unavailable(text)) => {
            let text = format!("The conversation could not be read: {text}");
            Ok(Reading::Later(Reason::new("not_connected", text), READ_AGAIN_AFTER))
        }
    }
}

/// What the rules say now that the conversation is known; they may have passed when it was accepted.
fn refusal_by_rules(claim: &Claim, conversation: &Conversation, rules: &Ruleset) -> Option<Reason> {
    let Ok(payload) = Payload::decode(&claim.body) else {
        return Some(Reason::new("payload", "The stored payload cannot be read."));
    };
    let findings = validate(&payload, rules, Context::Conversation(conversation));
    if finding::may_send(&findings) {
        return None;
    }
    let errors: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.what.as_str())
        .collect();
    let code = findings.first().map_or("rules", |finding| finding.code.as_str());
    Some(Reason::new(code, format!("{}.", errors.join(". "))))
}
