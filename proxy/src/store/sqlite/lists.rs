//! Reading messages: pages, figures, and one with everything that is known of it.

use super::rows::{
    self, BATCH, MESSAGE, all, first, json, stored_key, stored_message_id, to_json, unsigned,
};
use crate::store::{Error, MessageFilter, PastDelivery, STANDING_MAX, Standing};
use rusqlite::{Connection, params};
use shared::api::{AuditRecord, Message, MessageDetail, Page};
use shared::audit::AuditEntry;
use shared::delivery::{Delivery, Ending, State};
use shared::id::{ConnectionName, MessageId, PlatformId};
use shared::payload::Payload;
use shared::time::Timestamp;
use std::time::Duration;

/// See [`crate::store::Store::list_messages`].
pub fn list(connection: &Connection, filter: &MessageFilter) -> Result<Page<Message>, Error> {
    let before = match &filter.cursor {
        Some(cursor) => rows::cursor(cursor)?,
        None => i64::MAX,
    };
    // Words from closed sets only; the free text is bound.
    let words = |names: Vec<&str>| format!("('{}')", names.join("','"));
    let mut sql = format!("SELECT {MESSAGE} FROM messages m WHERE m.position < ?1");
    if !filter.states.is_empty() {
        let names = filter.states.iter().map(|state| state.as_str()).collect();
        sql.push_str(&format!(" AND m.state IN {}", words(names)));
    }
    if !filter.verdicts.is_empty() {
        let names = filter.verdicts.iter().map(|verdict| verdict.as_str()).collect();
        sql.push_str(&format!(" AND m.verdict IN {}", words(names)));
    }
    if filter.duplicate_prevented {
        sql.push_str(
            " AND EXISTS (SELECT 1 FROM duplicates_prevented d WHERE d.message_id = m.id)",
        );
    }
    let text = filter.text.as_deref().unwrap_or_default();
    let pattern =
        format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
    if !text.is_empty() {
        sql.push_str(
            " AND (m.sender LIKE ?3 ESCAPE '\\' OR m.recipients LIKE ?3 ESCAPE '\\' \
             OR m.preview LIKE ?3 ESCAPE '\\' OR m.id = ?4 OR m.conversation_id = ?4)",
        );
    } else {
        sql.push_str(" AND ?3 IS NOT NULL AND ?4 IS NOT NULL");
    }
    sql.push_str(" ORDER BY m.position DESC LIMIT ?2");
    let limit = i64::from(filter.limit);
    let mut found =
        all(connection, &sql, params![before, limit + 1, pattern, text], rows::message)?;
    let more = found.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if more {
        found.pop();
    }
    let next_cursor = found.last().filter(|_| more).map(|(position, _)| position.to_string());
    Ok(Page { items: found.into_iter().map(|(_, message)| message).collect(), next_cursor })
}

/// How many messages are in each state.
pub fn states(connection: &Connection) -> Result<Vec<(State, u64)>, Error> {
    let sql = "SELECT state, count FROM (SELECT state, messages + CASE state WHEN 'accepted' THEN \
         coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0) ELSE 0 END AS count \
         FROM message_counts) WHERE count > 0";
    all(connection, sql, [], |row| {
        let word: String = row.get("state")?;
        let state = State::parse(&word).ok_or(Error::Corrupt { what: "state", detail: word })?;
        Ok((state, unsigned(row.get("count")?)))
    })
}

/// How many messages a blind repeat would have doubled.
pub fn duplicates_prevented(connection: &Connection) -> Result<u64, Error> {
    let sql = "SELECT count(*) AS count FROM duplicates_prevented";
    Ok(first(connection, sql, [], |row| Ok(unsigned(row.get("count")?)))?.unwrap_or(0))
}

/// See [`crate::store::Store::find_message`].
pub fn detail(connection: &Connection, id: &MessageId) -> Result<Option<MessageDetail>, Error> {
    let sql = format!(
        "SELECT {MESSAGE}, m.key, p.bytes FROM messages m JOIN payloads p ON p.id = m.payload_id \
         WHERE m.id = ?1"
    );
    let found = first(connection, &sql, [id.as_str()], |row| {
        let bytes: Vec<u8> = row.get("bytes")?;
        let payload = Payload::decode(&bytes)
            .map_err(|error| Error::Corrupt { what: "payload", detail: error.to_string() })?;
        Ok((rows::message(row)?, stored_key(row.get("key")?)?, payload))
    })?;
    let Some(((position, message), key, payload)) = found else { return Ok(None) };
    let sql = format!(
        "SELECT a.ending, a.body AS entry, {BATCH} FROM audit_entries a LEFT JOIN audit_batches b \
         ON b.id = a.batch \
         WHERE a.message_id = ?1 ORDER BY a.id"
    );
    let audit = all(connection, &sql, [id.as_str()], |row| {
        let sealed = row.get::<_, Option<i64>>("sequence")?.is_some();
        let entry: Vec<u8> = row.get("entry")?;
        Ok(AuditRecord {
            ending: json::<Ending>("ending", &format!("\"{}\"", row.get::<_, String>("ending")?))?,
            entry: json::<AuditEntry>("audit entry", &String::from_utf8_lossy(&entry))?,
            batch: if sealed { Some(rows::batch(row)?) } else { None },
        })
    })?;
    let events = rows::events(connection, position)?;
    Ok(Some(MessageDetail { message, key, payload, events, audit }))
}

/// See [`crate::store::Store::deliveries_accepted`].
pub fn accepted(
    connection: &Connection,
    (from, to): (Timestamp, Timestamp),
    after: Option<&MessageId>,
    limit: u32,
) -> Result<Vec<(MessageId, Delivery)>, Error> {
    // One lower bound: of two the index would take the first, and go through the pages before again.
    let first_at = |moment| MessageId::new(moment, [0; 10]).to_string();
    let (begins, lowest) = match after {
        Some(after) => ("id > ?1", after.to_string()),
        None => ("id >= ?1", first_at(from)),
    };
    let sql = format!(
        "SELECT id, delivery FROM messages WHERE {begins} AND id < ?2 ORDER BY id LIMIT ?3"
    );
    let page = (lowest, first_at(to), limit);
    all(connection, &sql, page, |row| {
        let delivery =
            json("delivery", row.get_ref("delivery")?.as_str().map_err(rusqlite::Error::from)?)?;
        Ok((stored_message_id(row.get("id")?)?, delivery))
    })
}

/// See [`crate::store::Store::undelivered_in`].
pub fn undelivered_in(
    connection: &Connection,
    name: &str,
    conversation_id: &str,
    limit: u32,
) -> Result<Vec<(MessageId, PlatformId)>, Error> {
    let sql = "SELECT id, platform_id FROM messages INDEXED BY messages_followed \
         WHERE connection = ?1 AND conversation_id = ?2 AND state = 'undelivered' \
         AND platform_id IS NOT NULL ORDER BY position DESC LIMIT ?3";
    all(connection, sql, (name, conversation_id, limit), |row| {
        let platform_id = PlatformId::parse(&row.get::<_, String>("platform_id")?)
            .map_err(|error| Error::Corrupt { what: "platform id", detail: error.to_string() })?;
        Ok((stored_message_id(row.get("id")?)?, platform_id))
    })
}

/// See [`crate::store::Store::latest_deliveries`].
pub fn latest_deliveries(connection: &Connection, limit: u32) -> Result<Vec<PastDelivery>, Error> {
    let mut found = Vec::new();
    for state in [State::Delivered, State::Read] {
        let sql = format!(
            "SELECT {MESSAGE} FROM messages m WHERE m.state = ?1 ORDER BY m.position DESC LIMIT ?2"
        );
        let messages = all(connection, &sql, (state.as_str(), limit), rows::message)?;
        found.extend(messages);
    }
    found.sort_by_key(|(position, _)| *position);
    let latest = found.iter().rev().take(usize::try_from(limit).unwrap_or(usize::MAX)).rev();
    Ok(latest.filter_map(|(_, message)| past_delivery(message)).collect())
}

fn past_delivery(message: &Message) -> Option<PastDelivery> {
    let delivery = &message.delivery;
    let ms = delivery.platform_delivered_at?.ms_since(delivery.platform_created_at?);
    Some(PastDelivery {
        connection: message.connection.clone(),
        channel: message.channel.clone(),
        latency: Duration::from_millis(u64::try_from(ms).ok()?),
    })
}

/// See [`crate::store::Store::waiting_for`].
pub fn waiting_for(
    connection: &Connection,
    codes: &[String],
) -> Result<Vec<(ConnectionName, String)>, Error> {
    let sql = "SELECT DISTINCT m.connection AS connection, \
               json_extract(m.delivery, '$.reason.code') AS code FROM messages m \
               WHERE m.state = 'retry_wait' AND code IN (SELECT value FROM json_each(?1))";
    all(connection, sql, [to_json("list of codes", &codes)?], |row| {
        Ok((rows::connection_name(row.get("connection")?)?, row.get("code")?))
    })
}

/// See [`crate::store::Store::standing`].
pub fn standing(
    connection: &Connection,
    name: &ConnectionName,
    now: Timestamp,
) -> Result<Standing, Error> {
    // What waits behind an earlier message of its conversation is due, too, whatever its own time says. Each part is
    // counted in an index that holds nothing else.
    let sql = "SELECT count(*) AS count FROM (SELECT 1 FROM messages WHERE state = 'accepted' \
               AND connection = ?1 AND due_at <= ?2 AND held = 0 \
               UNION ALL SELECT 1 FROM messages WHERE state = 'retry_wait' AND connection = ?1 \
               AND due_at IS NOT NULL AND held = 0 \
               UNION ALL SELECT 1 FROM messages WHERE connection = ?1 AND held = 1 \
               AND state IN ('accepted', 'retry_wait') LIMIT ?3)";
    let arguments = (name.as_str(), now.unix_ms(), STANDING_MAX);
    let to_send = first(connection, sql, arguments, |row| Ok(unsigned(row.get("count")?)))?;
    let sql = "SELECT due_at FROM messages WHERE state = 'submitted' AND connection = ?1 \
               AND held = 0 AND due_at <= ?2 ORDER BY due_at LIMIT 1";
    let look_due_since = first(connection, sql, (name.as_str(), now.unix_ms()), |row| {
        Ok(Timestamp::from_unix_ms(row.get("due_at")?))
    })?;
    Ok(Standing { to_send: to_send.unwrap_or(0), look_due_since })
}
