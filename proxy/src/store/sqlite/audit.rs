//! Sealing: entries become a batch with its place in the chain, in one transaction.

use super::rows::{self, BATCH, all, first, signed, unsigned};
use crate::store::{Error, SealWhen, Signer};
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use shared::api::{AuditBatch, Page};
use shared::audit::{self, Link};
use shared::id::ConnectionName;
use shared::time::Timestamp;

/// See [`crate::store::Store::seal_audit_batch`].
pub fn seal(
    connection: &Connection,
    name: &ConnectionName,
    signer: &dyn Signer,
    when: SealWhen,
    now: Timestamp,
) -> Result<Option<AuditBatch>, Error> {
    let limit = u32::try_from(audit::ENTRIES_MAX).unwrap_or(u32::MAX);
    let waiting = all(
        connection,
        "SELECT id, created_at, body FROM audit_entries \
         WHERE connection = ?1 AND sequence IS NULL ORDER BY id LIMIT ?2",
        (name.as_str(), limit),
        |row| {
            Ok((
                row.get::<_, i64>("id")?,
                row.get::<_, i64>("created_at")?,
                row.get::<_, Vec<u8>>("body")?,
            ))
        },
    )?;
    let mut bytes = 2;
    let mut entries = Vec::new();
    let mut is_full = waiting.len() == audit::ENTRIES_MAX;
    for entry in waiting {
        bytes += entry.2.len() + 1;
        if bytes > audit::BODY_BYTES_MAX && !entries.is_empty() {
            is_full = true;
            break;
        }
        entries.push(entry);
    }
    let Some((_, oldest, _)) = entries.first() else { return Ok(None) };
    let is_due = match when {
        SealWhen::Now => true,
        SealWhen::OldestAt(moment) => *oldest <= moment.unix_ms(),
    };
    if !is_full && !is_due {
        return Ok(None);
    }
    let stream = first(
        connection,
        "SELECT stream, last_sequence, last_chain FROM streams WHERE connection = ?1",
        [name.as_str()],
        |row| Ok((row.get(0)?, unsigned(row.get(1)?), row.get(2)?)),
    )?;
    let (stream, last_sequence, previous): (String, u64, String) = match stream {
        Some(stream) => stream,
        None => {
            let made = format!("str_{}", hex::encode(crate::clock::random::<12>()));
            (made, 0, audit::FIRST_PREVIOUS.to_owned())
        }
    };
    let sequence = last_sequence + 1;
    let body = audit::batch_body(entries.iter().map(|(_, _, body)| body.as_slice()));
    let signature = signer.sign(&body);
    let chain = signer.sign(
        audit::chain_text(&Link {
            stream: &stream,
            sequence,
            key_id: signer.key_id(),
            sealed_at: now,
            count: entries.len(),
            body_sha256: &hex::encode(Sha256::digest(&body)),
            previous: &previous,
        })
        .as_bytes(),
    );
    connection.execute(
        "INSERT INTO streams (connection, stream, last_sequence, last_chain) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (connection) DO UPDATE SET last_sequence = excluded.last_sequence, \
         last_chain = excluded.last_chain",
        (name.as_str(), &stream, signed(sequence), &chain),
    )?;
    connection.execute(
        "INSERT INTO audit_batches (connection, sequence, stream, key_id, sealed_at, count, body, \
         signature, previous, chain, shipping, next_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'waiting', ?5)",
        params![
            name.as_str(),
            signed(sequence),
            stream,
            signer.key_id(),
            now.unix_ms(),
            i64::try_from(entries.len()).unwrap_or(i64::MAX),
            body,
            signature,
            previous,
            chain,
        ],
    )?;
    for (id, _, _) in &entries {
        connection
            .prepare_cached("UPDATE audit_entries SET sequence = ?2 WHERE id = ?1")?
            .execute((id, signed(sequence)))?;
    }
    let sql =
        format!("SELECT {BATCH} FROM audit_batches b WHERE b.connection = ?1 AND b.sequence = ?2");
    first(connection, &sql, (name.as_str(), signed(sequence)), rows::batch)
}

/// See [`crate::store::Store::list_audit_batches`].
pub fn list_batches(
    connection: &Connection,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<AuditBatch>, Error> {
    // A cursor is "sealed_at sequence connection" of the last item: unique and in list order.
    let (at, sequence, name) = match cursor {
        None => (i64::MAX, i64::MAX, String::new()),
        Some(cursor) => {
            let mut parts = cursor.splitn(3, '.');
            let mut number =
                || parts.next().and_then(|part| part.parse().ok()).ok_or(Error::Cursor);
            let (at, sequence) = (number()?, number()?);
            (at, sequence, parts.next().ok_or(Error::Cursor)?.to_owned())
        }
    };
    let sql = format!(
        "SELECT {BATCH} FROM audit_batches b \
         WHERE (b.sealed_at, b.sequence, b.connection) < (?1, ?2, ?3) \
         ORDER BY b.sealed_at DESC, b.sequence DESC, b.connection DESC LIMIT ?4"
    );
    let mut items = all(connection, &sql, (at, sequence, name, i64::from(limit) + 1), rows::batch)?;
    let more = items.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if more {
        items.pop();
    }
    let next_cursor = items
        .last()
        .filter(|_| more)
        .map(|last| format!("{}.{}.{}", last.sealed_at.unix_ms(), last.sequence, last.connection));
    Ok(Page { items, next_cursor })
}
