//! The embedded store: one SQLite file, one writing thread, a few readers.
//!
//! WAL with `synchronous=FULL`: what was answered is on disk, after a crash of the process and of the
//! machine. The data folder's lock (held by the caller) guarantees that no other process writes, so a claim
//! needs no owner here beyond its epoch.

mod rows;
mod writer;

use super::{
    Accepted, Applied, Backlog, Change, Claim, Error, MessageFilter, NewSubmission, SealWhen,
    ShippableBatch, Shipped, Signer, Store, Work,
};
use async_trait::async_trait;
use rows::{BATCH, MESSAGE, all, first, json, signed, to_json, unsigned};
use rusqlite::{Connection, OpenFlags, params};
use sha2::{Digest, Sha256};
use shared::api::{
    AcceptedMessage, Actor, AuditBatch, AuditRecord, Event, LiveEvent, Message, MessageCounts,
    MessageDetail, Page, Submission, SubmissionAccepted,
};
use shared::audit::{self, AuditEntry, Link};
use shared::conversation::Conversation;
use shared::delivery::{
    self, Delivery, Ending, EventKind, Group, Happening, Policy, Reason, State,
};
use shared::id::{ConnectionName, ConversationId, Key, MessageId, SubmissionId};
use shared::payload::Payload;
use shared::time::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use writer::Writer;

/// The schema this program writes; a file with a higher number is from a newer Waybill.
const SCHEMA_VERSION: i64 = 1;
const SCHEMA: &str = include_str!("schema.sql");
/// Connections for reading; more would only wait for the same disk.
const READERS: usize = 4;
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Why the database cannot be used. The file is left as it was found.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Made by a newer Waybill.
    #[error(
        "{path} has schema {found}; this Waybill knows up to {SCHEMA_VERSION}. Use a newer one"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its schema.
        found: i64,
    },
    /// Not a whole database.
    #[error("{path} is damaged: {report}. Restore it from a backup; it was not changed")]
    Damaged {
        /// The file.
        path: String,
        /// What the integrity check says.
        report: String,
    },
    /// Anything else.
    #[error("{path} cannot be opened: {source}")]
    Unusable {
        /// The file.
        path: String,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The writing thread could not be started.
    #[error("the store's thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// The embedded store. Cheap to share; see the module's text.
pub struct Sqlite {
    writer: Mutex<Option<Writer>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    readers: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    last_event: watch::Receiver<u64>,
    broken: watch::Receiver<bool>,
}

impl Sqlite {
    /// Opens the file, making it and its schema if there is none. A damaged or newer one is refused.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let name = path.display().to_string();
        let unusable = |source| OpenError::Unusable { path: name.clone(), source };
        let is_new = !path.exists();
        let mut connection = Connection::open(path).map_err(unusable)?;
        prepare(&connection).map_err(|source| damaged_or(&name, source))?;
        let found: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(|source| damaged_or(&name, source))?;
        if found > SCHEMA_VERSION {
            return Err(OpenError::Newer { path: name, found });
        }
        if !is_new {
            let report: String = connection
                .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
                .map_err(|source| damaged_or(&name, source))?;
            if report != "ok" {
                return Err(OpenError::Damaged { path: name, report });
            }
        }
        if found == 0 {
            let transaction = connection.transaction().map_err(unusable)?;
            transaction.execute_batch(SCHEMA).map_err(unusable)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION).map_err(unusable)?;
            transaction.commit().map_err(unusable)?;
        }
        let seq = rows::last_event(&connection).unwrap_or(0);
        let readers = open_readers(path).map_err(unusable)?;
        let (last_event_sender, last_event) = watch::channel(seq);
        let (broken_sender, broken) = watch::channel(false);
        let (writer, thread) = Writer::start(connection, last_event_sender, broken_sender)?;
        Ok(Self {
            writer: Mutex::new(Some(writer)),
            thread: Mutex::new(Some(thread)),
            readers: Arc::new(Mutex::new(readers)),
            permits: Arc::new(Semaphore::new(READERS)),
            last_event,
            broken,
        })
    }

    /// Turns true when a write failed in a way after which the process must stop and recover from disk.
    pub fn broken(&self) -> watch::Receiver<bool> {
        self.broken.clone()
    }

    async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let writer = lock(&self.writer).clone().ok_or(Error::Stopped)?;
        writer.run(work).await
    }

    async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let _permit = self.permits.acquire().await.map_err(|_| Error::Stopped)?;
        let readers = Arc::clone(&self.readers);
        let task = tokio::task::spawn_blocking(move || {
            let connection = lock(&readers).pop().ok_or(Error::Stopped)?;
            let result = work(&connection);
            lock(&readers).push(connection);
            result
        });
        task.await.map_err(|_| Error::Stopped)?
    }
}

/// A lock that a panic elsewhere cannot poison for good: what it guards is valid between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn open_readers(path: &Path) -> rusqlite::Result<Vec<Connection>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    (0..READERS)
        .map(|_| {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(BUSY_WAIT)?;
            connection.set_prepared_statement_cache_capacity(64);
            Ok(connection)
        })
        .collect()
}

fn damaged_or(path: &str, source: rusqlite::Error) -> OpenError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => {
            OpenError::Damaged { path, report: source.to_string() }
        }
        _ => OpenError::Unusable { path, source },
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn accept_submission(&self, new: NewSubmission) -> Result<Accepted, Error> {
        self.write(move |connection| accept(connection, &new)).await
    }

    async fn find_submission(&self, id: SubmissionId) -> Result<Option<Submission>, Error> {
        self.read(move |connection| {
            let key = first(
                connection,
                "SELECT key FROM submissions WHERE id = ?1",
                [id.as_str()],
                |row| stored_key(row.get("key")?),
            )?;
            let Some(key) = key else { return Ok(None) };
            let sql = format!(
                "SELECT {MESSAGE} FROM messages m WHERE m.submission_id = ?1 ORDER BY m.position"
            );
            let messages = all(connection, &sql, [id.as_str()], |row| Ok(rows::message(row)?.1))?;
            Ok(Some(Submission { id, key, messages }))
        })
        .await
    }

    async fn list_messages(&self, filter: MessageFilter) -> Result<Page<Message>, Error> {
        self.read(move |connection| list(connection, &filter)).await
    }

    async fn count_messages(&self) -> Result<MessageCounts, Error> {
        self.read(|connection| {
            let mut counts = MessageCounts::default();
            for (state, count) in states(connection)? {
                counts.total += count;
                match state.group() {
                    Group::InFlight => counts.in_flight += count,
                    Group::Delivered => counts.delivered += count,
                    Group::Failed => counts.failed += count,
                    Group::NeedsDecision => counts.needs_decision += count,
                    Group::Cancelled => counts.cancelled += count,
                }
            }
            Ok(counts)
        })
        .await
    }

    async fn find_message(&self, id: MessageId) -> Result<Option<MessageDetail>, Error> {
        self.read(move |connection| detail(connection, &id)).await
    }

    async fn messages_accepted(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Message>, Error> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {MESSAGE} FROM messages m WHERE m.accepted_at >= ?1 AND m.accepted_at < ?2 \
                 ORDER BY m.position"
            );
            all(connection, &sql, (from.unix_ms(), to.unix_ms()), |row| Ok(rows::message(row)?.1))
        })
        .await
    }

    async fn claim(
        &self,
        work: Work,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Claim>, Error> {
        self.write(move |connection| claim(connection, work, now, lease_until, limit)).await
    }

    async fn release(&self, message_id: MessageId, epoch: u64) -> Result<(), Error> {
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE messages SET lease_until = NULL WHERE id = ?1 AND epoch = ?2",
                )?
                .execute((message_id.as_str(), signed(epoch)))?;
            Ok(())
        })
        .await
    }

    async fn apply(&self, change: Change, now: Timestamp) -> Result<Applied, Error> {
        self.write(move |connection| apply(connection, &change, now)).await
    }

    async fn recover(&self, now: Timestamp) -> Result<u64, Error> {
        self.write(move |connection| recover(connection, now)).await
    }

    async fn remember_conversation(
        &self,
        name: ConnectionName,
        conversation: Conversation,
    ) -> Result<(), Error> {
        self.write(move |connection| {
            let read_at = conversation.read_at.unix_ms();
            connection
                .prepare_cached(
                    "INSERT INTO conversations (connection, id, read_at, used_at, body) \
                     VALUES (?1, ?2, ?3, ?3, ?4) ON CONFLICT (connection, id) DO UPDATE \
                     SET read_at = excluded.read_at, body = excluded.body \
                     WHERE excluded.read_at >= read_at",
                )?
                .execute((
                    name.as_str(),
                    conversation.id.as_str(),
                    read_at,
                    to_json("conversation", &conversation)?,
                ))?;
            Ok(())
        })
        .await
    }

    async fn find_conversation(
        &self,
        name: ConnectionName,
        id: ConversationId,
    ) -> Result<Option<Conversation>, Error> {
        self.read(move |connection| {
            first(
                connection,
                "SELECT body FROM conversations WHERE connection = ?1 AND id = ?2",
                (name.as_str(), id.as_str()),
                |row| json("conversation", &row.get::<_, String>("body")?),
            )
        })
        .await
    }

    async fn list_conversations(&self, name: ConnectionName) -> Result<Vec<Conversation>, Error> {
        self.read(move |connection| {
            all(
                connection,
                "SELECT body FROM conversations WHERE connection = ?1 \
                 ORDER BY used_at DESC, id LIMIT 200",
                [name.as_str()],
                |row| json("conversation", &row.get::<_, String>("body")?),
            )
        })
        .await
    }

    fn last_event(&self) -> watch::Receiver<u64> {
        self.last_event.clone()
    }

    async fn changes_after(&self, seq: u64, limit: u32) -> Result<Vec<LiveEvent>, Error> {
        self.read(move |connection| {
            // Only the last change of each message: the row already holds all earlier ones.
            let sql = format!(
                "SELECT e.seq, {MESSAGE} FROM (SELECT max(seq) AS seq, message_id FROM events \
                 WHERE seq > ?1 GROUP BY message_id) e JOIN messages m ON m.id = e.message_id \
                 ORDER BY e.seq LIMIT ?2"
            );
            all(connection, &sql, (signed(seq), limit), |row| {
                Ok(LiveEvent { seq: unsigned(row.get("seq")?), message: rows::message(row)?.1 })
            })
        })
        .await
    }

    async fn seal_audit_batch(
        &self,
        name: ConnectionName,
        signer: Arc<dyn Signer>,
        when: SealWhen,
        now: Timestamp,
    ) -> Result<Option<AuditBatch>, Error> {
        self.write(move |connection| seal(connection, &name, signer.as_ref(), when, now)).await
    }

    async fn next_batch_to_ship(
        &self,
        name: ConnectionName,
        now: Timestamp,
    ) -> Result<Option<ShippableBatch>, Error> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {BATCH}, b.previous, b.body, b.next_at FROM audit_batches b \
                 WHERE b.connection = ?1 AND b.shipping <> 'acknowledged' \
                 ORDER BY b.sequence LIMIT 1"
            );
            let lowest = first(connection, &sql, [name.as_str()], |row| {
                Ok((row.get::<_, i64>("next_at")?, rows::shippable(row)?))
            })?;
            Ok(lowest.filter(|(next_at, _)| *next_at <= now.unix_ms()).map(|(_, batch)| batch))
        })
        .await
    }

    async fn record_shipping(
        &self,
        name: ConnectionName,
        sequence: u64,
        outcome: Shipped,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(move |connection| {
            match outcome {
                Shipped::Acknowledged => connection
                    .prepare_cached(
                        "UPDATE audit_batches SET shipping = 'acknowledged', attempts = attempts + 1, \
                         acknowledged_at = ?3, problem = NULL WHERE connection = ?1 AND sequence = ?2",
                    )?
                    .execute((name.as_str(), signed(sequence), now.unix_ms()))?,
                Shipped::Later { problem, next_at, stalled } => connection
                    .prepare_cached(
                        "UPDATE audit_batches SET shipping = ?3, attempts = attempts + 1, \
                         next_at = ?4, problem = ?5 WHERE connection = ?1 AND sequence = ?2",
                    )?
                    .execute((
                        name.as_str(),
                        signed(sequence),
                        if stalled { "stalled" } else { "waiting" },
                        next_at.unix_ms(),
                        problem,
                    ))?,
            };
            Ok(())
        })
        .await
    }

    async fn list_audit_batches(
        &self,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<Page<AuditBatch>, Error> {
        self.read(move |connection| list_batches(connection, cursor.as_deref(), limit)).await
    }

    async fn export_audit_batches(
        &self,
        name: ConnectionName,
        from_sequence: u64,
        limit: u32,
    ) -> Result<Vec<ShippableBatch>, Error> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {BATCH}, b.previous, b.body FROM audit_batches b \
                 WHERE b.connection = ?1 AND b.sequence >= ?2 ORDER BY b.sequence LIMIT ?3"
            );
            all(connection, &sql, (name.as_str(), signed(from_sequence), limit), rows::shippable)
        })
        .await
    }

    async fn backlog(&self) -> Result<Backlog, Error> {
        self.read(|connection| {
            let count = |sql: &str| -> Result<u64, Error> {
                Ok(unsigned(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?))
            };
            Ok(Backlog {
                messages: states(connection)?,
                entries_unsealed: count(
                    "SELECT count(*) FROM audit_entries WHERE sequence IS NULL",
                )?,
                batches_waiting: count(
                    "SELECT count(*) FROM audit_batches WHERE shipping <> 'acknowledged'",
                )?,
                batches_stalled: count(
                    "SELECT count(*) FROM audit_batches WHERE shipping = 'stalled'",
                )?,
            })
        })
        .await
    }

    async fn close(&self) {
        drop(lock(&self.writer).take());
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

fn accept(connection: &Connection, new: &NewSubmission) -> Result<Accepted, Error> {
    let answer = |id: SubmissionId, messages: Vec<MessageId>| SubmissionAccepted {
        id,
        key: new.key.clone(),
        messages: messages
            .into_iter()
            .map(|id| AcceptedMessage { id, state: State::Accepted })
            .collect(),
    };
    let known = first(
        connection,
        "SELECT id, fingerprint FROM submissions WHERE owner = ?1 AND key = ?2",
        (&new.owner, new.key.as_str()),
        |row| Ok((row.get::<_, String>("id")?, row.get::<_, Vec<u8>>("fingerprint")?)),
    )?;
    if let Some((id, fingerprint)) = known {
        if fingerprint != new.fingerprint {
            return Ok(Accepted::KeyMismatch);
        }
        let messages = all(
            connection,
            "SELECT id FROM messages WHERE submission_id = ?1 ORDER BY position",
            [&id],
            |row| stored_message_id(row.get("id")?),
        )?;
        let corrupt = |error: shared::id::IdError| Error::Corrupt {
            what: "submission id",
            detail: error.to_string(),
        };
        return Ok(Accepted::Repeated(answer(
            SubmissionId::parse(&id).map_err(corrupt)?,
            messages,
        )));
    }
    let now = new.delivery.accepted_at;
    connection
        .prepare_cached(
            "INSERT INTO submissions (id, owner, key, fingerprint, accepted_at) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((
            new.id.as_str(),
            &new.owner,
            new.key.as_str(),
            new.fingerprint.as_slice(),
            now.unix_ms(),
        ))?;
    connection
        .prepare_cached("INSERT INTO payloads (bytes) VALUES (?1)")?
        .execute([new.payload.to_bytes()])?;
    let payload_id = connection.last_insert_rowid();
    connection
        .prepare_cached(
            "INSERT INTO messages (id, submission_id, connection, conversation_id, channel, sender, \
             recipients, preview, payload_id, accepted_at, version, state, verdict, due_at, expires_at, delivery) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(params![
            new.message_id.as_str(),
            new.id.as_str(),
            new.connection.as_str(),
            new.conversation_id.as_str(),
            new.channel.as_str(),
            new.payload.from,
            to_json("recipients", &new.payload.to)?,
            new.payload.preview(120),
            payload_id,
            now.unix_ms(),
            new.delivery.state.as_str(),
            new.delivery.judgement().verdict.as_str(),
            new.delivery.due_at.map(Timestamp::unix_ms),
            new.delivery.expires_at.map(Timestamp::unix_ms),
            to_json("delivery", &new.delivery)?,
        ])?;
    connection
        .prepare_cached("UPDATE conversations SET used_at = ?3 WHERE connection = ?1 AND id = ?2")?
        .execute((new.connection.as_str(), new.conversation_id.as_str(), now.unix_ms()))?;
    let event = event(EventKind::Accepted, Actor::User, &new.delivery, now);
    rows::insert_event(connection, &new.message_id, &event)?;
    Ok(Accepted::New(answer(new.id.clone(), vec![new.message_id.clone()])))
}

fn event(kind: EventKind, actor: Actor, delivery: &Delivery, now: Timestamp) -> Event {
    let platform_at = match kind {
        EventKind::Submitted => delivery.platform_created_at,
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

fn list(connection: &Connection, filter: &MessageFilter) -> Result<Page<Message>, Error> {
    let before = match &filter.cursor {
        Some(cursor) => cursor.parse::<i64>().map_err(|_| Error::Cursor)?,
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

fn states(connection: &Connection) -> Result<Vec<(State, u64)>, Error> {
    all(connection, "SELECT state, count(*) AS count FROM messages GROUP BY state", [], |row| {
        let word: String = row.get("state")?;
        let state = State::parse(&word).ok_or(Error::Corrupt { what: "state", detail: word })?;
        Ok((state, unsigned(row.get("count")?)))
    })
}

fn detail(connection: &Connection, id: &MessageId) -> Result<Option<MessageDetail>, Error> {
    let sql = format!(
        "SELECT {MESSAGE}, s.key, p.bytes FROM messages m \
         JOIN submissions s ON s.id = m.submission_id JOIN payloads p ON p.id = m.payload_id \
         WHERE m.id = ?1"
    );
    let found = first(connection, &sql, [id.as_str()], |row| {
        let bytes: Vec<u8> = row.get("bytes")?;
        let payload = Payload::decode(&bytes)
            .map_err(|error| Error::Corrupt { what: "payload", detail: error.to_string() })?;
        Ok((rows::message(row)?.1, stored_key(row.get("key")?)?, payload))
    })?;
    let Some((message, key, payload)) = found else { return Ok(None) };
    let sql = format!(
        "SELECT a.ending, a.body AS entry, {BATCH} FROM audit_entries a LEFT JOIN audit_batches b \
         ON b.connection = a.connection AND b.sequence = a.sequence \
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
    let events = rows::events(connection, id)?;
    Ok(Some(MessageDetail { message, key, payload, events, audit }))
}

fn claim(
    connection: &Connection,
    work: Work,
    now: Timestamp,
    lease_until: Timestamp,
    limit: u32,
) -> Result<Vec<Claim>, Error> {
    const FREE: &str = "(m.lease_until IS NULL OR m.lease_until <= ?1)";
    let due = match work {
        // The head of each conversation: nothing accepted earlier is still to be sent. A message scheduled
        // for later holds nobody up.
        Work::Send => format!(
            "SELECT m.position FROM messages m WHERE m.state IN ('accepted', 'retry_wait') \
             AND m.due_at <= ?1 AND {FREE} AND NOT EXISTS (SELECT 1 FROM messages e \
             WHERE e.connection = m.connection AND e.conversation_id = m.conversation_id \
             AND e.state IN ('accepted', 'retry_wait', 'sending', 'unknown') \
             AND e.position < m.position AND (e.state <> 'accepted' OR e.due_at <= ?1)) \
             ORDER BY m.due_at, m.position LIMIT ?2"
        ),
        Work::Expire => format!(
            "SELECT m.position FROM messages m WHERE m.state IN ('accepted', 'retry_wait') \
             AND m.expires_at <= ?1 AND {FREE} ORDER BY m.expires_at LIMIT ?2"
        ),
        // An attempt whose claim ran out is as unknown as one that got no answer.
        Work::Reconcile => format!(
            "SELECT m.position FROM messages m WHERE (m.state = 'unknown' AND m.due_at <= ?1 \
             AND {FREE}) OR (m.state = 'sending' AND m.lease_until <= ?1) \
             ORDER BY m.position LIMIT ?2"
        ),
        Work::Look => format!(
            "SELECT m.position FROM messages m WHERE m.state IN ('submitted', 'delivered') \
             AND m.due_at <= ?1 AND {FREE} ORDER BY m.due_at LIMIT ?2"
        ),
    };
    let mut positions: Vec<i64> =
        all(connection, &due, (now.unix_ms(), limit), |row| Ok(row.get(0)?))?;
    if work == Work::Look && !positions.is_empty() {
        // One read of a conversation serves all its messages, so those not due yet come along.
        let list = positions.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        let along = format!(
            "SELECT DISTINCT m.position FROM messages d JOIN messages m \
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
        connection
            .prepare_cached(
                "UPDATE messages SET epoch = epoch + 1, lease_until = ?2 WHERE position = ?1",
            )?
            .execute((position, lease_until.unix_ms()))?;
        let body = if work == Work::Send { "p.bytes" } else { "NULL" };
        let sql = format!(
            "SELECT m.id, m.epoch, m.connection, m.conversation_id, m.delivery, s.key, \
             {body} AS body FROM messages m JOIN submissions s ON s.id = m.submission_id \
             JOIN payloads p ON p.id = m.payload_id WHERE m.position = ?1"
        );
        claims.extend(first(connection, &sql, [position], rows::claim)?);
    }
    Ok(claims)
}

fn apply(connection: &Connection, change: &Change, now: Timestamp) -> Result<Applied, Error> {
    let sql = format!("SELECT {MESSAGE}, m.epoch FROM messages m WHERE m.id = ?1");
    let found = first(connection, &sql, [change.message_id.as_str()], |row| {
        Ok((rows::message(row)?.1, unsigned(row.get("epoch")?)))
    })?;
    let Some((message, epoch)) = found else { return Ok(Applied::Missing) };
    let state = message.delivery.state;
    if change.epoch.is_some_and(|claimed| claimed != epoch) {
        return Ok(Applied::Refused { state });
    }
    let happening = unless_bound_elsewhere(connection, &message, &change.happening)?;
    let step =
        match delivery::step(&message.delivery, &happening, &change.policy, now, change.jitter) {
            Ok(step) => step,
            Err(delivery::Refused { state }) => return Ok(Applied::Refused { state }),
        };
    let next = &step.delivery;
    let changed = step.event.is_some();
    connection
        .prepare_cached(
            "UPDATE messages SET version = version + ?2, state = ?3, verdict = ?4, due_at = ?5, \
             platform_id = ?6, delivery = ?7, channel = coalesce(?8, channel), \
             lease_until = CASE WHEN ?9 THEN lease_until END WHERE id = ?1",
        )?
        .execute(params![
            change.message_id.as_str(),
            i64::from(changed),
            next.state.as_str(),
            next.judgement().verdict.as_str(),
            next.due_at.map(Timestamp::unix_ms),
            next.platform_id.as_ref().map(|id| id.as_str()),
            to_json("delivery", next)?,
            change.channel.as_ref().map(|channel| channel.as_str()),
            change.keep_claim,
        ])?;
    if let Some(kind) = step.event {
        rows::insert_event(connection, &change.message_id, &event(kind, change.actor, next, now))?;
    }
    if let Some(ending) = step.ending {
        insert_entries(connection, &message, next, ending, now)?;
    }
    Ok(Applied::Done(Box::new(step.delivery)))
}

/// A platform id that another message already has says nothing about this one: its outcome is unknown.
fn unless_bound_elsewhere(
    connection: &Connection,
    message: &Message,
    happening: &Happening,
) -> Result<Happening, Error> {
    let Happening::Taken { platform_id, .. } = happening else { return Ok(happening.clone()) };
    let other = first(
        connection,
        "SELECT id FROM messages WHERE connection = ?1 AND platform_id = ?2 AND id <> ?3",
        (message.connection.as_str(), platform_id.as_str(), message.id.as_str()),
        |row| Ok(row.get::<_, String>("id")?),
    )?;
    if let Some(other) = other {
        tracing::error!(message.id = %message.id, other.id = %other, "the platform gave one id to two messages");
        let text = "The platform answered with the id of another message.";
        return Ok(Happening::Ambiguous { reason: Reason::new("id_already_bound", text) });
    }
    Ok(happening.clone())
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
    for entry in entries {
        let body = entry
            .to_bytes()
            .map_err(|error| Error::Corrupt { what: "audit entry", detail: error.to_string() })?;
        connection
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
    Ok(())
}

fn recover(connection: &Connection, now: Timestamp) -> Result<u64, Error> {
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

fn seal(
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

fn list_batches(
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

fn stored_key(text: String) -> Result<Key, Error> {
    Key::parse(&text).map_err(|error| Error::Corrupt { what: "key", detail: error.to_string() })
}

fn stored_message_id(text: String) -> Result<MessageId, Error> {
    MessageId::parse(&text)
        .map_err(|error| Error::Corrupt { what: "message id", detail: error.to_string() })
}

/// Where the database is inside a data folder.
pub fn path_in(data: &Path) -> PathBuf {
    data.join("waybill.sqlite")
}
