//! Claims and steps: who may work on a message, and what one step of the state machine writes.
//!
//! [`apply`] is the only writer of states. Row, event and audit entries of a step go into one transaction.

use super::audit::count_waiting;
use super::rows::{self, MESSAGE, all, first, insert_event, stored_message_id, to_json, unsigned};
use super::turns;
use crate::store::{Applied, Change, Claim, Error, Work};
use rusqlite::{Connection, params};
use shared::api::{Actor, Event, Message};
use shared::audit;
use shared::delivery::{
    self, Choice, Delivery, Ending, EventKind, Happening, Policy, Reason, State,
};
use shared::id::{ConnectionName, MessageId, PlatformId};
use shared::time::Timestamp;
use std::collections::BTreeSet;

/// Nobody works on it.
const FREE: &str = "(m.lease_until IS NULL OR m.lease_until <= ?1)";

/// See [`crate::store::Store::claim`].
pub fn claim(
    connection: &Connection,
    work: Work,
    now: Timestamp,
    lease_until: Timestamp,
    limit: u32,
    except: &[ConnectionName],
) -> Result<Vec<Claim>, Error> {
    const DUE: &str = "messages_due";
    const MAY_EXPIRE: &str = "m.state IN ('accepted', 'retry_wait')";
    if work == Work::Send {
        return claim_to_send(connection, now, lease_until, limit, except);
    }
    // One query for each state, so that the index gives the order and a long backlog is not sorted for every
    // claim: the state, the column that says when, its index, and what else must be true.
    let kinds: &[(&str, &str, &str, &str)] = match work {
        Work::Send => &[],
        Work::Expire => &[
            ("retry_wait", "expires_at", "messages_expiring", MAY_EXPIRE),
            ("accepted", "expires_at", "messages_expiring", MAY_EXPIRE),
        ],
        // An attempt whose claim ran out is as unknown as one that got no answer.
        Work::Reconcile => &[
            ("unknown", "due_at", DUE, "m.held = 0"),
            ("sending", "lease_until", "messages_leased", "TRUE"),
        ],
        // Whose SLA is still open goes first; who only waits to be read goes last.
        Work::Look => &[
            ("submitted", "due_at", DUE, "m.held = 0 AND m.accepted_at > ?1 - 60000"),
            ("submitted", "due_at", DUE, "m.held = 0 AND m.accepted_at <= ?1 - 60000"),
            ("delivered", "due_at", DUE, "m.held = 0"),
        ],
    };
    let mut positions: Vec<i64> = Vec::new();
    for (state, when, index, also) in kinds {
        let left = limit.saturating_sub(u32::try_from(positions.len()).unwrap_or(u32::MAX));
        let found = if *index == DUE {
            due(connection, state, also, now, left, except)?
        } else {
            let sql = format!(
                "SELECT m.{when}, m.position FROM messages m INDEXED BY {index} WHERE m.state = '{state}' \
                 AND m.{when} <= ?1 AND {also} AND {FREE} \
                 AND m.connection NOT IN (SELECT value FROM json_each(?3)) \
                 ORDER BY m.{when}, m.position LIMIT ?2"
            );
            let except = to_json("list of connections", &except)?;
            let arguments = (now.unix_ms(), left, except);
            all(connection, &sql, arguments, |row| Ok((row.get(0)?, row.get(1)?)))?
        };
        positions.extend(found.into_iter().map(|(_, position): (i64, i64)| position));
    }
    if work == Work::Look && !positions.is_empty() {
        // One read of a conversation serves all its messages, so those not due yet come along.
        let list = positions.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        let along = format!(
            "SELECT DISTINCT m.position FROM messages d CROSS JOIN messages m INDEXED BY messages_followed \
             ON m.connection = d.connection AND m.conversation_id = d.conversation_id \
             AND m.state = 'submitted' WHERE d.position IN ({list}) \
             AND m.position NOT IN ({list}) AND {FREE}"
        );
        let mut statement = connection.prepare(&along)?;
        let more = statement.query_map([now.unix_ms()], |row| row.get(0))?;
        for position in more {
            positions.push(position?);
        }
    }
    let mut claims = Vec::with_capacity(positions.len());
    for position in positions {
        let body = if work == Work::Reconcile { "p.bytes" } else { "NULL" };
        claims.extend(claimed(connection, position, body, lease_until)?);
    }
    Ok(claims)
}

/// Messages in a state that are due: when, and their positions, the earliest first. Each connection is looked through
/// by itself, so one through which nothing goes costs nothing, however much waits for it.
fn due(
    connection: &Connection,
    state: &str,
    also: &str,
    now: Timestamp,
    limit: u32,
    except: &[ConnectionName],
) -> Result<Vec<(i64, i64)>, Error> {
    let waiting = "FROM messages WHERE state = ?1 AND due_at IS NOT NULL AND held = 0";
    // From each name to the next one, by the index.
    let sql = format!(
        "WITH RECURSIVE named (name) AS (SELECT min(connection) {waiting} UNION ALL \
         SELECT (SELECT min(connection) {waiting} AND connection > name) FROM named \
         WHERE name IS NOT NULL) SELECT name FROM named WHERE name IS NOT NULL"
    );
    let names = all(connection, &sql, [state], |row| Ok(row.get::<_, String>(0)?))?;
    let open = names.iter().filter(|name| except.iter().all(|one| one.as_str() != **name));
    let sql = format!(
        "SELECT m.due_at, m.position FROM messages m INDEXED BY messages_due \
         WHERE m.state = '{state}' AND m.connection = ?3 AND m.due_at <= ?1 AND {also} AND {FREE} ORDER BY m.due_at, m.position LIMIT ?2"
    );
    let mut found = Vec::new();
    for name in open {
        found.extend(all(connection, &sql, (now.unix_ms(), limit, name), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?);
    }
    found.sort_unstable();
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

/// Claims at most one message of each conversation that has one due. What turns out to wait behind another is
/// held and not found again, so that each message costs a claim at most once for each time it is its turn.
fn claim_to_send(
    connection: &Connection,
    now: Timestamp,
    lease_until: Timestamp,
    limit: u32,
    except: &[ConnectionName],
) -> Result<Vec<Claim>, Error> {
    /// Rounds of one transaction; the next claim goes on.
    const ROUNDS_MAX: u32 = 1000;
    let mut claims = Vec::new();
    for state in ["retry_wait", "accepted"] {
        for _ in 0..ROUNDS_MAX {
            let left = limit.saturating_sub(u32::try_from(claims.len()).unwrap_or(u32::MAX));
            let found = due(connection, state, "m.held = 0", now, left, except)?;
            let mut places = BTreeSet::new();
            for (_, position) in &found {
                let sql = "SELECT connection, conversation_id FROM messages WHERE position = ?1";
                places.extend(first(connection, sql, [position], |row| {
                    Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
                })?);
            }
            if places.is_empty() {
                break;
            }
            for (name, conversation_id) in places {
                if let Some(position) = turns::next(connection, &name, &conversation_id, now)? {
                    claims.extend(claimed(connection, position, "p.bytes", lease_until)?);
                }
            }
        }
    }
    Ok(claims)
}

/// Gives the message at `position` to the caller until the lease ends. `body` is the column with its body.
fn claimed(
    connection: &Connection,
    position: i64,
    body: &str,
    lease_until: Timestamp,
) -> Result<Option<Claim>, Error> {
    connection
        .prepare_cached(
            "UPDATE messages SET epoch = epoch + 1, lease_until = ?2 WHERE position = ?1",
        )?
        .execute((position, lease_until.unix_ms()))?;
    let sql = format!(
        "SELECT m.id, m.epoch, m.connection, m.conversation_id, m.delivery, m.key, \
         {body} AS body FROM messages m JOIN payloads p ON p.id = m.payload_id WHERE m.position = ?1"
    );
    first(connection, &sql, [position], rows::claim)
}

/// See [`crate::store::Store::apply`].
pub fn apply(connection: &Connection, change: &Change, now: Timestamp) -> Result<Applied, Error> {
    Ok(apply_from(connection, change, now)?.0)
}

/// The same, and the state the message was in before.
pub fn apply_from(
    connection: &Connection,
    change: &Change,
    now: Timestamp,
) -> Result<(Applied, Option<State>), Error> {
    let sql = format!("SELECT {MESSAGE}, m.epoch FROM messages m WHERE m.id = ?1");
    let found = first(connection, &sql, [change.message_id.as_str()], |row| {
        Ok((rows::message(row)?, unsigned(row.get("epoch")?)))
    })?;
    let Some(((position, message), epoch)) = found else { return Ok((Applied::Missing, None)) };
    let state = message.delivery.state;
    if change.epoch.is_some_and(|claimed| claimed != epoch) {
        return Ok((Applied::Refused { state }, Some(state)));
    }
    let happening = match (
        &change.happening,
        bound_elsewhere(connection, &message, &change.happening)?,
    ) {
        (Happening::Decided { .. }, Some(_)) => return Ok((Applied::IdBound, Some(state))),
        (_, Some(other)) => {
            // What the platform said cannot be about this message, so its outcome is unknown.
            tracing::error!(message.id = %message.id, other.id = other, "the platform gave one id to two messages");
            let text = "The platform answered with the id of another message.";
            Happening::Ambiguous { reason: Reason::new("id_already_bound", text) }
        }
        (happening, None) => happening.clone(),
    };
    let step =
        match delivery::step(&message.delivery, &happening, &change.policy, now, change.jitter) {
            Ok(step) => step,
            Err(delivery::Refused { state }) => {
                return Ok((Applied::Refused { state }, Some(state)));
            }
        };
    let next = &step.delivery;
    let changed = step.event.is_some();
    connection
        .prepare_cached(
            "UPDATE messages SET version = version + ?2, state = ?3, verdict = ?4, due_at = ?5, \
             platform_id = ?6, delivery = ?7, channel = coalesce(?8, channel), \
             lease_until = CASE WHEN ?9 THEN lease_until END, ended_at = ?10, \
             held = held AND ?3 IN ('accepted', 'retry_wait') WHERE position = ?1",
        )?
        .execute(params![
            position,
            i64::from(changed),
            next.state.as_str(),
            next.judgement().verdict.as_str(),
            next.due_at.map(Timestamp::unix_ms),
            next.platform_id.as_ref().map(|id| id.as_str()),
            to_json("delivery", next)?,
            change.channel.as_ref().map(|channel| channel.as_str()),
            change.keep_claim,
            next.ended_at.map(Timestamp::unix_ms),
        ])?;
    if state.holds_conversation() && !next.state.holds_conversation() {
        let (name, conversation_id) = (&message.connection, &message.conversation_id);
        turns::let_next(connection, name.as_str(), conversation_id.as_str())?;
    }
    if let Some(kind) = step.event {
        let mut event = event(kind, change.actor, next, now);
        event.reason = step.note.or(event.reason);
        insert_event(connection, position, &to_json("event", &event)?)?;
    }
    if step.duplicate_prevented {
        insert_prevented(connection, &message, next, now)?;
    }
    if let Some(ending) = step.ending {
        insert_entries(connection, &message, next, ending, now)?;
    }
    Ok((Applied::Done(Box::new(step.delivery)), Some(state)))
}

/// The message that already has the platform id this happening names, if there is one.
fn bound_elsewhere(
    connection: &Connection,
    message: &Message,
    happening: &Happening,
) -> Result<Option<String>, Error> {
    let platform_id = match happening {
        Happening::Taken { platform_id, .. }
        | Happening::Decided { choice: Choice::Found { platform_id }, .. } => platform_id,
        _ => return Ok(None),
    };
    first(
        connection,
        "SELECT id FROM messages WHERE connection = ?1 AND platform_id = ?2 AND id <> ?3",
        (message.connection.as_str(), platform_id.as_str(), message.id.as_str()),
        |row| Ok(row.get("id")?),
    )
}

/// Writes down that a blind repeat would have doubled the message, and how that is known.
fn insert_prevented(
    connection: &Connection,
    message: &Message,
    next: &Delivery,
    now: Timestamp,
) -> Result<(), Error> {
    let before = &message.delivery;
    let evidence = serde_json::json!({
        "platform_id": next.platform_id,
        "platform_created_at": next.platform_created_at,
        "how": if before.state == State::Unknown { "a look found it" } else { "the repeat was recognised" },
        "attempts": next.attempts,
        "unknown_since": before.search.as_ref().map(|search| search.since),
    });
    connection
        .prepare_cached(
            "INSERT INTO duplicates_prevented (connection, message_id, at, evidence) \
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((
            message.connection.as_str(),
            message.id.as_str(),
            now.unix_ms(),
            evidence.to_string(),
        ))?;
    Ok(())
}

/// See [`crate::store::Store::platform_ids_bound`].
pub fn bound(
    connection: &Connection,
    name: &ConnectionName,
    ids: Vec<PlatformId>,
) -> Result<BTreeSet<PlatformId>, Error> {
    let sql = "SELECT 1 FROM messages WHERE connection = ?1 AND platform_id = ?2";
    let mut found = BTreeSet::new();
    for id in ids {
        if first(connection, sql, (name.as_str(), id.as_str()), |_| Ok(()))?.is_some() {
            found.insert(id);
        }
    }
    Ok(found)
}

fn insert_entries(
    connection: &Connection,
    message: &Message,
    next: &Delivery,
    ending: Ending,
    now: Timestamp,
) -> Result<(), Error> {
    let entries = audit::entries(
        next,
        ending,
        message.id.as_str(),
        &message.sender,
        &message.recipients,
        now,
    );
    let mut inserted = 0;
    for entry in entries {
        let body = entry
            .to_bytes()
            .map_err(|error| Error::Corrupt { what: "audit entry", detail: error.to_string() })?;
        inserted += connection
            .prepare_cached(
                "INSERT INTO audit_entries (connection, message_id, receiver, ending, created_at, \
                 body) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                 ON CONFLICT (message_id, receiver, ending) DO NOTHING",
            )?
            .execute((
                message.connection.as_str(),
                message.id.as_str(),
                &entry.receiver,
                ending.as_str(),
                now.unix_ms(),
                body,
            ))?;
    }
    let inserted = i64::try_from(inserted).unwrap_or(i64::MAX);
    count_waiting(connection, message.connection.as_str(), inserted)
}

/// See [`crate::store::Store::recover`].
pub fn recover(connection: &Connection, now: Timestamp) -> Result<u64, Error> {
    connection
        .execute("UPDATE messages SET lease_until = NULL WHERE lease_until IS NOT NULL", [])?;
    let open: Vec<MessageId> =
        all(connection, "SELECT id FROM messages WHERE state = 'sending'", [], |row| {
            stored_message_id(row.get("id")?)
        })?;
    let reason = Reason::new("stopped", "Waybill stopped while this was being sent.");
    for message_id in &open {
        let change = Change {
            message_id: message_id.clone(),
            epoch: None,
            happening: Happening::Ambiguous { reason: reason.clone() },
            actor: Actor::Proxy,
            policy: Policy::default(),
            jitter: 0.0,
            keep_claim: false,
            channel: None,
        };
        apply(connection, &change, now)?;
    }
    Ok(u64::try_from(open.len()).unwrap_or(u64::MAX))
}

/// The history line of a step.
pub fn event(kind: EventKind, actor: Actor, delivery: &Delivery, now: Timestamp) -> Event {
    let platform_at = match kind {
        EventKind::Submitted | EventKind::Found => delivery.platform_created_at,
        EventKind::Delivered => delivery.platform_delivered_at,
        EventKind::Read => delivery.platform_read_at,
        _ => None,
    };
    Event {
        seq: 0,
        at: now,
        kind,
        actor,
        state: delivery.state,
        attempt: delivery.attempts,
        reason: delivery.reason.clone(),
        due_at: delivery.due_at,
        platform_at,
    }
}
