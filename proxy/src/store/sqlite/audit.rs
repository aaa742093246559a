//! Sealing: entries become a batch with its place in the chain, in one transaction. And what becomes of a
//! batch afterwards: acknowledged, refused, posted again, replaced with its whole stream, forgotten.

use super::rows::{self, BATCH, all, first, signed, unsigned};
use crate::audit::{self as sealing, Place};
use crate::store::{Error, NewStream, Recorded, SealWhen, ShippableBatch, Shipped, Signer};
use rusqlite::{Connection, params};
use shared::api::{AuditBatch, Page};
use shared::audit;
use shared::id::ConnectionName;
use shared::time::Timestamp;

/// Batches the sink is still to get; the words of the index `audit_batches_waiting`.
const ON_THEIR_WAY: &str = "shipping IN ('waiting', 'stalled', 'stopped')";

/// See [`crate::store::Store::seal_audit_batch`].
pub fn seal(
    connection: &Connection,
    name: &ConnectionName,
    signer: &dyn Signer,
    when: SealWhen,
    now: Timestamp,
) -> Result<Option<AuditBatch>, Error> {
    let Some(entries) = due_entries(connection, name, when, now)? else { return Ok(None) };
    let stream = first(
        connection,
        "SELECT stream, last_sequence, last_chain FROM streams WHERE connection = ?1",
        [name.as_str()],
        |row| Ok((row.get(0)?, unsigned(row.get(1)?), row.get(2)?)),
    )?;
    let (stream, last_sequence, previous): (String, u64, String) = match stream {
        Some(stream) => stream,
        None => (new_stream_name(), 0, audit::FIRST_PREVIOUS.to_owned()),
    };
    let sequence = last_sequence + 1;
    let place = Place { stream: &stream, sequence, previous: &previous };
    let bodies = entries.iter().map(|(_, body)| body.as_slice());
    let sealed = sealing::seal(signer, place, bodies, now);
    connection
        .prepare_cached(
            "INSERT INTO streams (connection, stream, last_sequence, last_chain, acknowledged_chain) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (connection) DO UPDATE SET \
             last_sequence = excluded.last_sequence, last_chain = excluded.last_chain",
        )?
        .execute((name.as_str(), &stream, signed(sequence), &sealed.chain, &previous))?;
    connection
        .prepare_cached(
            "INSERT INTO audit_batches (connection, stream, sequence, key_id, sealed_at, count, \
             body, signature, previous, chain, shipping, next_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'waiting', ?5)",
        )?
        .execute(params![
            name.as_str(),
            stream,
            signed(sequence),
            signer.key_id(),
            now.unix_ms(),
            i64::try_from(entries.len()).unwrap_or(i64::MAX),
            sealed.body,
            sealed.signature,
            previous,
            sealed.chain,
        ])?;
    let id = connection.last_insert_rowid();
    for (entry, _) in &entries {
        connection
            .prepare_cached("UPDATE audit_entries SET batch = ?2 WHERE id = ?1")?
            .execute((entry, id))?;
    }
    let sql = format!("SELECT {BATCH} FROM audit_batches b WHERE b.id = ?1");
    first(connection, &sql, [id], rows::batch)
}

/// The entries of the next batch with their ids; `None` when none is due.
#[expect(clippy::type_complexity, reason = "a list of pairs, or nothing to do")]
fn due_entries(
    connection: &Connection,
    name: &ConnectionName,
    when: SealWhen,
    now: Timestamp,
) -> Result<Option<Vec<(i64, Vec<u8>)>>, Error> {
    let limit = u32::try_from(audit::ENTRIES_MAX).unwrap_or(u32::MAX);
    let waiting = all(
        connection,
        "SELECT id, created_at, body FROM audit_entries \
         WHERE connection = ?1 AND batch IS NULL ORDER BY id LIMIT ?2",
        (name.as_str(), limit),
        |row| {
            Ok((
                row.get::<_, i64>("id")?,
                row.get::<_, i64>("created_at")?,
                row.get::<_, Vec<u8>>("body")?,
            ))
        },
    )?;
    if waiting.is_empty() {
        let SealWhen::IdleSince(moment) = when else { return Ok(None) };
        return Ok(is_idle(connection, name, moment)?.then(Vec::new));
    }
    let is_due = match when {
        SealWhen::Now => true,
        // One from the future was made before the clock was set back, nobody knows how long ago.
        SealWhen::OldestAt(moment) => {
            waiting.iter().any(|(_, made, _)| *made <= moment.unix_ms() || *made > now.unix_ms())
        }
        SealWhen::IdleSince(_) => return Ok(None),
    };
    let mut bytes = 2;
    let mut entries = Vec::new();
    let mut is_full = waiting.len() == audit::ENTRIES_MAX;
    for (id, _, body) in waiting {
        bytes += body.len() + 1;
        if bytes > audit::BODY_BYTES_MAX && !entries.is_empty() {
            is_full = true;
            break;
        }
        entries.push((id, body));
    }
    Ok((is_full || is_due).then_some(entries))
}

/// True when the sink has every batch and the last one was sealed at or before `moment`. Heartbeats that
/// cannot reach the sink would say nothing, so they do not pile up.
fn is_idle(
    connection: &Connection,
    name: &ConnectionName,
    moment: Timestamp,
) -> Result<bool, Error> {
    let last = first(
        connection,
        "SELECT sealed_at, shipping FROM audit_batches WHERE connection = ?1 ORDER BY id DESC LIMIT 1",
        [name.as_str()],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)),
    )?;
    Ok(last.is_none_or(|(sealed_at, shipping)| {
        sealed_at <= moment.unix_ms() && matches!(shipping.as_str(), "acknowledged" | "replaced")
    }))
}

fn new_stream_name() -> String {
    format!("str_{}", hex::encode(crate::clock::random::<12>()))
}

/// See [`crate::store::Store::next_batch_to_ship`].
pub fn next_to_ship(
    connection: &Connection,
    name: &ConnectionName,
    now: Timestamp,
) -> Result<Option<ShippableBatch>, Error> {
    let sql = format!(
        "SELECT {BATCH}, b.id, b.previous, b.body, b.next_at FROM audit_batches b \
         WHERE b.connection = ?1 AND b.{ON_THEIR_WAY} ORDER BY b.id LIMIT 1"
    );
    let lowest = first(connection, &sql, [name.as_str()], |row| {
        let is_stopped = row.get::<_, String>("shipping")? == "stopped";
        let is_due = row.get::<_, i64>("next_at")? <= now.unix_ms();
        Ok((is_due && !is_stopped, rows::shippable(row)?))
    })?;
    Ok(lowest.filter(|(is_due, _)| *is_due).map(|(_, batch)| batch))
}

/// See [`crate::store::Store::record_shipping`].
pub fn record(
    connection: &Connection,
    position: u64,
    outcome: Shipped,
    now: Timestamp,
) -> Result<Recorded, Error> {
    let id = signed(position);
    let sql = format!(
        "SELECT connection, stream, sequence, count, chain FROM audit_batches \
         WHERE id = ?1 AND {ON_THEIR_WAY}"
    );
    let batch = first(connection, &sql, [id], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, i64>(2)?,
            row.get::<_, i64>(3)?,
            row.get::<_, String>(4)?,
        ))
    })?;
    let Some((name, stream, sequence, count, chain)) = batch else { return Ok(Recorded::Stale) };
    let refuse = |shipping: &str, problem: &str, next_at: Timestamp| -> Result<(), Error> {
        connection
            .prepare_cached(
                "UPDATE audit_batches SET shipping = ?2, attempts = attempts + 1, next_at = ?3, \
                 problem = ?4 WHERE id = ?1",
            )?
            .execute((id, shipping, next_at.unix_ms(), problem))?;
        Ok(())
    };
    match outcome {
        Shipped::Acknowledged => {
            connection
                .prepare_cached(
                    "UPDATE audit_batches SET shipping = 'acknowledged', attempts = attempts + 1, \
                     acknowledged_at = ?2, problem = NULL WHERE id = ?1",
                )?
                .execute((id, now.unix_ms()))?;
            connection
                .prepare_cached("UPDATE streams SET acknowledged_chain = ?2 WHERE connection = ?1")?
                .execute((&name, chain))?;
            count_waiting(connection, &name, -count)?;
            Ok(Recorded::Done)
        }
        Shipped::Later { problem, next_at, stalled } => {
            refuse(if stalled { "stalled" } else { "waiting" }, &problem, next_at)?;
            Ok(Recorded::Done)
        }
        Shipped::Gone { problem } => {
            refuse("stopped", &problem, now)?;
            Ok(Recorded::Done)
        }
        Shipped::Behind { last_sequence, next_at, stalled_until } => {
            let from = last_sequence + 1;
            if ship_again(connection, &name, &stream, (signed(from), sequence), next_at)? {
                let problem = format!("the sink holds the stream up to {last_sequence} only");
                refuse("waiting", &problem, next_at)?;
                return Ok(Recorded::ShippingAgain { from });
            }
            let problem =
                format!("the sink lacks batches from {from} on, which are not held here any more");
            refuse("stalled", &problem, stalled_until)?;
            Ok(Recorded::NotHeld)
        }
        Shipped::Forked { problem } => {
            let made = start_stream(connection, &name, &problem)?;
            Ok(made.map_or(Recorded::Stale, Recorded::Replaced))
        }
    }
}

/// Puts the batches of a stream from the first sequence up to before the second on their way again, if every
/// one of them is still held.
fn ship_again(
    connection: &Connection,
    name: &str,
    stream: &str,
    (from, before): (i64, i64),
    next_at: Timestamp,
) -> Result<bool, Error> {
    let (held, entries): (i64, i64) = connection
        .prepare_cached(
            "SELECT count(*), coalesce(sum(count), 0) FROM audit_batches WHERE stream = ?1 \
             AND sequence >= ?2 AND sequence < ?3 AND shipping = 'acknowledged' \
             AND length(body) > 0",
        )?
        .query_row((stream, from, before), |row| Ok((row.get(0)?, row.get(1)?)))?;
    if held != before - from {
        return Ok(false);
    }
    connection
        .prepare_cached(
            "UPDATE audit_batches SET shipping = 'waiting', acknowledged_at = NULL, next_at = ?4, \
             problem = 'the sink had acknowledged it and does not hold it any more' \
             WHERE stream = ?1 AND sequence >= ?2 AND sequence < ?3",
        )?
        .execute((stream, from, before, next_at.unix_ms()))?;
    connection
        .prepare_cached(
            "UPDATE streams SET acknowledged_chain = (SELECT previous FROM audit_batches \
             WHERE stream = ?2 AND sequence = ?3) WHERE connection = ?1",
        )?
        .execute((name, stream, from))?;
    count_waiting(connection, name, entries)?;
    Ok(true)
}

/// See [`crate::store::Store::start_audit_stream`]. How much waits does not change: the entries do.
pub fn start_stream(
    connection: &Connection,
    name: &str,
    why: &str,
) -> Result<Option<NewStream>, Error> {
    let old: Option<String> =
        first(connection, "SELECT stream FROM streams WHERE connection = ?1", [name], |row| {
            Ok(row.get(0)?)
        })?;
    let Some(old) = old else { return Ok(None) };
    let sql = format!(
        "UPDATE audit_entries SET batch = NULL WHERE batch IN \
         (SELECT id FROM audit_batches WHERE connection = ?1 AND {ON_THEIR_WAY})"
    );
    connection.execute(&sql, [name])?;
    let sql = format!(
        "UPDATE audit_batches SET shipping = 'replaced', problem = ?2 \
         WHERE connection = ?1 AND {ON_THEIR_WAY}"
    );
    let batches = connection.execute(&sql, (name, why))?;
    let stream = new_stream_name();
    connection.execute(
        "UPDATE streams SET stream = ?2, last_sequence = 0, last_chain = acknowledged_chain, \
         replaced = replaced + 1 WHERE connection = ?1",
        (name, &stream),
    )?;
    let batches_replaced = u64::try_from(batches).unwrap_or(u64::MAX);
    Ok(Some(NewStream { old, stream, batches_replaced }))
}

/// See [`crate::store::Store::resume_shipping`].
pub fn resume(
    connection: &Connection,
    name: &ConnectionName,
    now: Timestamp,
) -> Result<bool, Error> {
    let sql = format!(
        "UPDATE audit_batches SET shipping = 'waiting', next_at = ?2 \
         WHERE connection = ?1 AND {ON_THEIR_WAY} AND (shipping <> 'waiting' OR next_at > ?2)"
    );
    let changed = connection.execute(&sql, (name.as_str(), now.unix_ms()))?;
    Ok(changed > 0)
}

/// See [`crate::store::Store::forget_audit_batches`].
pub fn forget(
    connection: &Connection,
    acknowledged_before: Timestamp,
    limit: u32,
) -> Result<u64, Error> {
    let forgotten = all(
        connection,
        "SELECT id FROM audit_batches WHERE shipping = 'acknowledged' AND length(body) > 0 \
         AND acknowledged_at < ?1 ORDER BY acknowledged_at LIMIT ?2",
        (acknowledged_before.unix_ms(), limit),
        |row| Ok(row.get::<_, i64>(0)?),
    )?;
    for id in &forgotten {
        connection
            .prepare_cached("UPDATE audit_batches SET body = x'' WHERE id = ?1")?
            .execute([id])?;
        // Entries of removed messages were kept for this body alone.
        connection
            .prepare_cached(
                "DELETE FROM audit_entries WHERE batch = ?1 \
                 AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = message_id)",
            )?
            .execute([id])?;
    }
    connection.execute(
        "DELETE FROM audit_batches WHERE length(body) = 0 AND id < \
         coalesce((SELECT min(batch) FROM audit_entries WHERE batch IS NOT NULL), \
         (SELECT max(id) FROM audit_batches))",
        [],
    )?;
    Ok(u64::try_from(forgotten.len()).unwrap_or(u64::MAX))
}

/// See [`crate::store::Store::audit_entries_waiting`].
pub fn entries_waiting(connection: &Connection, name: &ConnectionName) -> Result<u64, Error> {
    let entries = first(
        connection,
        "SELECT entries FROM audit_waiting WHERE connection = ?1",
        [name.as_str()],
        |row| Ok(unsigned(row.get(0)?)),
    )?;
    Ok(entries.unwrap_or(0))
}

/// Adds to what waits for the sink, or takes from it.
pub fn count_waiting(connection: &Connection, name: &str, change: i64) -> Result<(), Error> {
    if change != 0 {
        connection
            .prepare_cached(
                "INSERT INTO audit_waiting (connection, entries) VALUES (?1, ?2) \
                 ON CONFLICT (connection) DO UPDATE SET entries = entries + excluded.entries",
            )?
            .execute((name, change))?;
    }
    Ok(())
}

/// See [`crate::store::Store::list_audit_batches`].
pub fn list_batches(
    connection: &Connection,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<AuditBatch>, Error> {
    let before = match cursor {
        Some(cursor) => rows::cursor(cursor)?,
        None => i64::MAX,
    };
    let sql = format!(
        "SELECT {BATCH}, b.id FROM audit_batches b WHERE b.id < ?1 ORDER BY b.id DESC LIMIT ?2"
    );
    let mut found = all(connection, &sql, (before, i64::from(limit) + 1), |row| {
        Ok((row.get::<_, i64>("id")?, rows::batch(row)?))
    })?;
    let more = found.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if more {
        found.pop();
    }
    let next_cursor = found.last().filter(|_| more).map(|(id, _)| id.to_string());
    Ok(Page { items: found.into_iter().map(|(_, batch)| batch).collect(), next_cursor })
}

/// See [`crate::store::Store::export_audit_batches`].
pub fn export(
    connection: &Connection,
    name: &ConnectionName,
    after: u64,
    limit: u32,
) -> Result<Vec<ShippableBatch>, Error> {
    let sql = format!(
        "SELECT {BATCH}, b.id, b.previous, b.body FROM audit_batches b \
         WHERE b.connection = ?1 AND b.id > ?2 AND length(b.body) > 0 ORDER BY b.id LIMIT ?3"
    );
    all(connection, &sql, (name.as_str(), signed(after), limit), rows::shippable)
}
