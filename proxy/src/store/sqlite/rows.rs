//! Between rows and the types of the domain. Everything that reads or writes a column is here or in the SQL
//! beside it, so a change of the schema touches these files alone.

use crate::store::{Claim, Error, ShippableBatch};
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::api::{AuditBatch, Event, Message, Shipping};
use shared::audit;
use shared::channel::Channel;
use shared::delivery::Delivery;
use shared::id::{ConnectionName, ConversationId, Key, MessageId, SubmissionId};
use shared::time::Timestamp;

/// The columns [`message`] reads, for a table aliased `m`.
pub const MESSAGE: &str = "m.position, m.id, m.submission_id, m.version, m.connection, \
    m.conversation_id, m.channel, m.sender, m.recipients, m.preview, m.delivery";

/// The columns [`batch`] reads, for a table aliased `b`.
pub const BATCH: &str = "b.connection, b.stream, b.sequence, b.count, b.sealed_at, b.key_id, \
    b.signature, b.chain, b.shipping, b.attempts, b.acknowledged_at, b.problem";

/// A message and its position.
pub fn message(row: &Row) -> Result<(i64, Message), Error> {
    let delivery: Delivery = json("delivery", &row.get::<_, String>("delivery")?)?;
    let judgement = delivery.judgement();
    let message = Message {
        id: id("message id", MessageId::parse, row.get("id")?)?,
        submission_id: id("submission id", SubmissionId::parse, row.get("submission_id")?)?,
        version: unsigned(row.get("version")?),
        connection: id("connection", ConnectionName::parse, row.get("connection")?)?,
        conversation_id: id("conversation id", ConversationId::parse, row.get("conversation_id")?)?,
        channel: Channel::parse(&row.get::<_, String>("channel")?),
        sender: row.get("sender")?,
        recipients: json("recipients", &row.get::<_, String>("recipients")?)?,
        preview: row.get("preview")?,
        verdict: judgement.verdict,
        verdict_cause: judgement.cause,
        elapsed_seconds: judgement.elapsed_ms.map(audit::seconds),
        delivery,
    };
    Ok((row.get("position")?, message))
}

/// A claim; `body` is read from the column of that name.
pub fn claim(row: &Row) -> Result<Claim, Error> {
    Ok(Claim {
        message_id: id("message id", MessageId::parse, row.get("id")?)?,
        epoch: unsigned(row.get("epoch")?),
        connection: id("connection", ConnectionName::parse, row.get("connection")?)?,
        conversation_id: id("conversation id", ConversationId::parse, row.get("conversation_id")?)?,
        key: id("key", Key::parse, row.get("key")?)?,
        body: row.get::<_, Option<Vec<u8>>>("body")?.unwrap_or_default().into(),
        delivery: json("delivery", &row.get::<_, String>("delivery")?)?,
    })
}

/// A batch without its body.
pub fn batch(row: &Row) -> Result<AuditBatch, Error> {
    Ok(AuditBatch {
        connection: id("connection", ConnectionName::parse, row.get("connection")?)?,
        stream: row.get("stream")?,
        sequence: unsigned(row.get("sequence")?),
        count: unsigned(row.get("count")?),
        sealed_at: timestamp(row.get("sealed_at")?),
        key_id: row.get("key_id")?,
        signature: row.get("signature")?,
        chain: row.get("chain")?,
        shipping: match row.get::<_, String>("shipping")?.as_str() {
            "acknowledged" => Shipping::Acknowledged,
            "stalled" => Shipping::Stalled,
            "stopped" => Shipping::Stopped,
            "replaced" => Shipping::Replaced,
            _ => Shipping::Waiting,
        },
        attempts: u32::try_from(row.get::<_, i64>("attempts")?).unwrap_or(u32::MAX),
        acknowledged_at: row.get::<_, Option<i64>>("acknowledged_at")?.map(timestamp),
        problem: row.get("problem")?,
    })
}

/// A batch with its body, from [`BATCH`], `b.id`, `b.previous` and `b.body`.
pub fn shippable(row: &Row) -> Result<ShippableBatch, Error> {
    Ok(ShippableBatch {
        position: unsigned(row.get("id")?),
        batch: batch(row)?,
        previous: row.get("previous")?,
        body: row.get::<_, Vec<u8>>("body")?.into(),
    })
}

/// Everything a query yields, mapped.
pub fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    map: impl Fn(&Row) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(map(row)?);
    }
    Ok(items)
}

/// The first row a query yields, mapped.
pub fn first<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    map: impl Fn(&Row) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(map).transpose()
}

/// Adds an event to the history of the message at `position`; `event` is its JSON.
pub fn insert_event(connection: &Connection, position: i64, event: &str) -> Result<(), Error> {
    connection
        .prepare_cached("INSERT INTO events (message, body) VALUES (?1, ?2)")?
        .execute((position, event))?;
    Ok(())
}

/// A message's events, oldest first, with their positions.
pub fn events(connection: &Connection, position: i64) -> Result<Vec<Event>, Error> {
    all(
        connection,
        "SELECT seq, body FROM events WHERE message = ?1 ORDER BY seq",
        [position],
        |row| {
            let event: Event = json("event", &row.get::<_, String>("body")?)?;
            Ok(Event { seq: unsigned(row.get("seq")?), ..event })
        },
    )
}

/// The position of the last event, 0 when there is none.
pub fn last_event(connection: &Connection) -> Result<u64, Error> {
    let seq: Option<i64> = connection
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'events'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(unsigned(seq.unwrap_or(0)))
}

/// Where a page ended, as a list of ours writes it: the position of its last item, from 1.
pub fn cursor(text: &str) -> Result<i64, Error> {
    text.parse().ok().filter(|position| *position > 0).ok_or(Error::Cursor)
}

/// A stored count or position; never negative by construction.
pub fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A position or count as SQLite takes it.
pub fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A stored moment.
pub fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

/// A stored JSON value read back.
pub fn json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Corrupt { what, detail: error.to_string() })
}

/// A value as it is stored.
pub fn to_json<T: Serialize>(what: &'static str, value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Corrupt { what, detail: error.to_string() })
}

fn id<T>(
    what: &'static str,
    parse: fn(&str) -> Result<T, shared::id::IdError>,
    text: String,
) -> Result<T, Error> {
    parse(&text).map_err(|error| Error::Corrupt { what, detail: error.to_string() })
}

/// A stored connection's name read back.
pub fn connection_name(text: String) -> Result<ConnectionName, Error> {
    id("connection", ConnectionName::parse, text)
}

/// A stored key read back.
pub fn stored_key(text: String) -> Result<Key, Error> {
    Key::parse(&text).map_err(|error| Error::Corrupt { what: "key", detail: error.to_string() })
}

/// A stored message identifier read back.
pub fn stored_message_id(text: String) -> Result<MessageId, Error> {
    MessageId::parse(&text)
        .map_err(|error| Error::Corrupt { what: "message id", detail: error.to_string() })
}
