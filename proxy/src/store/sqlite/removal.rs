//! Removing what ended long ago: the message with its history and its payload. Its submission stays, so that a
//! repeated key still gets its first answer and is never sent again; and its audit entries stay for as long as the
//! bodies of their batches do.

use super::rows::{all, unsigned};
use crate::store::Error;
use rusqlite::Connection;
use shared::time::Timestamp;

/// What may go: ended before ?1, with nothing due and nobody working on it, and its audit entries acknowledged, or
/// sealed where the connection is one of ?2, which have no sink.
const REMOVABLE: &str = "m.ended_at < ?1 AND m.due_at IS NULL AND m.lease_until IS NULL \
    AND m.state IN ('delivered', 'read', 'rejected', 'failed', 'undelivered', 'expired', 'cancelled') \
    AND NOT EXISTS (SELECT 1 FROM audit_entries a LEFT JOIN audit_batches b ON b.id = a.batch \
    WHERE a.message_id = m.id AND (a.batch IS NULL OR (b.shipping <> 'acknowledged' \
    AND m.connection NOT IN (SELECT value FROM json_each(?2)))))";

/// Positions of messages that may go, the one that ended first at the front.
pub fn removable(
    connection: &Connection,
    ended_before: Timestamp,
    unshipped: &str,
    limit: u32,
) -> Result<Vec<i64>, Error> {
    let sql = format!(
        "SELECT m.position FROM messages m WHERE {REMOVABLE} ORDER BY m.ended_at, m.position LIMIT ?3"
    );
    all(connection, &sql, (ended_before.unix_ms(), unshipped, limit), |row| Ok(row.get(0)?))
}

/// Removes those of `positions` that may still go. Returns how many.
pub fn remove(
    connection: &Connection,
    positions: &[i64],
    ended_before: Timestamp,
    unshipped: &str,
    now: Timestamp,
) -> Result<u64, Error> {
    let sql = format!(
        "SELECT m.id, m.payload_id, m.submission_id FROM messages m WHERE m.position = ?3 AND {REMOVABLE}"
    );
    let mut removed = 0;
    for position in positions {
        let found = all(connection, &sql, (ended_before.unix_ms(), unshipped, position), |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        })?;
        for (id, payload_id, submission_id) in found {
            connection
                .prepare_cached(
                    "INSERT INTO removed_messages (id, submission_id, position, removed_at, key) \
                     SELECT id, submission_id, position, ?2, key FROM messages WHERE position = ?1",
                )?
                .execute((position, now.unix_ms()))?;
            connection
                .prepare_cached("DELETE FROM events WHERE message = ?1")?
                .execute([position])?;
            for statement in [
                // Entries go with the bodies of their batches: until then a stream may have to be sealed again.
                "DELETE FROM audit_entries WHERE message_id = ?1 AND NOT EXISTS \
                 (SELECT 1 FROM audit_batches b WHERE b.id = batch AND length(b.body) > 0)",
                "DELETE FROM messages WHERE id = ?1",
            ] {
                connection.prepare_cached(statement)?.execute([&id])?;
            }
            connection
                .prepare_cached(
                    "DELETE FROM payloads WHERE id = ?1 AND NOT EXISTS \
                     (SELECT 1 FROM messages WHERE submission_id = ?2 AND payload_id = ?1)",
                )?
                .execute((payload_id, submission_id))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Bytes of the database that hold something.
pub fn used_bytes(connection: &Connection) -> Result<u64, Error> {
    let read = |name: &str| -> Result<u64, Error> {
        Ok(unsigned(connection.pragma_query_value(None, name, |row| row.get(0))?))
    };
    Ok(read("page_count")?.saturating_sub(read("freelist_count")?) * read("page_size")?)
}
