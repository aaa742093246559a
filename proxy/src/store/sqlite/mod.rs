//! The embedded store: one SQLite file, one writing thread, a few readers.
//!
//! WAL with `synchronous=FULL`: what was answered is on disk, after a crash of the process and of the
//! machine. The data folder's lock (held by the caller) guarantees that no other process writes, so a claim
//! needs no owner here beyond its epoch.

mod accept;
mod audit;
pub mod backup;
mod lists;
mod removal;
mod rows;
mod steps;
mod turns;
mod writer;

use super::{
    Accepted, Applied, Backlog, Change, Claim, Error, MessageFilter, NewStream, NewSubmission,
    PastDelivery, Recorded, SealWhen, ShippableBatch, Shipped, Signer, Standing, Store, Work,
};
use crate::failpoint::{self, Commit, Point};
use async_trait::async_trait;
use rows::{MESSAGE, all, first, json, signed, to_json, unsigned};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction};
use shared::api::{
    AuditBatch, LiveEvent, Message, MessageCounts, MessageDetail, Page, Submission,
    SubmissionAccepted,
};
use shared::conversation::Conversation;
use shared::delivery::{Delivery, Group};
use shared::id::{ConnectionName, ConversationId, Key, MessageId, PlatformId, SubmissionId};
use shared::time::Timestamp;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use writer::Writer;

/// The schema this program writes; a file with a higher number is from a newer Waybill.
const SCHEMA_VERSION: i64 = 4;
const SCHEMA: &str = include_str!("schema.sql");
/// From each older version to the next: the first one starts at version 1.
const MIGRATIONS: [&str; 3] = [
    include_str!("schema_1_to_2.sql"),
    include_str!("schema_2_to_3.sql"),
    include_str!("schema_3_to_4.sql"),
];
const _: () = assert!(MIGRATIONS.len() as i64 == SCHEMA_VERSION - 1, "every version has its step");
/// Connections for reading; more would only wait for the same disk.
const READERS: usize = 4;
const READERS_PERMITS: u32 = 4;
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Pages of 4 KiB in the write-ahead log before it is folded into the file: 32 MiB.
const LOG_PAGES: i64 = 8192;
/// Memory for pages of the writing connection.
const WRITER_CACHE_KIB: i64 = 16 * 1024;
/// Prepared statements kept by a connection, more than there are.
const STATEMENTS: usize = 256;

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
    /// The operating system refused the file or the writing thread.
    #[error("the store cannot be started: {0}")]
    Refused(#[from] std::io::Error),
}

/// How long a command of a store without threads waits before it runs, as it would in a queue.
pub type Queueing = fn() -> Duration;

/// The embedded store. Cheap to share; see the module's text.
pub struct Sqlite {
    /// Set where everything happens on the thread of the caller.
    in_line: Option<Queueing>,
    quota: Option<u64>,
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
        Self::open_as(path, None)
    }

    /// Opens the file for a simulation: no thread takes part, so that the same calls in the same order always
    /// meet the same store; and nothing is synced, because no machine fails here.
    pub fn open_in_line(path: &Path, queueing: Queueing) -> Result<Self, OpenError> {
        Self::open_as(path, Some(queueing))
    }

    /// With so many bytes that the database may take; its log comes on top.
    #[must_use]
    pub fn with_quota(mut self, quota: Option<u64>) -> Self {
        self.quota = quota;
        self
    }

    /// Makes the disk full for this store at so many pages, and `None` gives all the space back: for tests, which
    /// cannot fill a real one everywhere. To SQLite both are the same error.
    pub async fn limit_pages(&self, pages: Option<u32>) -> Result<(), Error> {
        let pages = pages.unwrap_or(u32::MAX - 1);
        // It is not kept in the file, so there is nothing to be lost.
        let limit = move |connection: &Connection| {
            Ok(connection.pragma_update(None, "max_page_count", pages)?)
        };
        self.write(limit, |()| None).await
    }

    fn open_as(path: &Path, in_line: Option<Queueing>) -> Result<Self, OpenError> {
        let name = path.display().to_string();
        let unusable = |source| OpenError::Unusable { path: name.clone(), source };
        backup::finish_restore(path)?;
        let found = inspect(path)?;
        make_private(path)?;
        let mut connection = Connection::open(path).map_err(unusable)?;
        let synchronous = if in_line.is_some() { "OFF" } else { "FULL" };
        prepare(&connection, synchronous).map_err(unusable)?;
        if found < SCHEMA_VERSION {
            bring_up_to_date(&mut connection, found).map_err(unusable)?;
        }
        let seq = rows::last_event(&connection).unwrap_or(0);
        let readers = open_readers(path).map_err(unusable)?;
        let (last_event_sender, last_event) = watch::channel(seq);
        let (broken_sender, broken) = watch::channel(false);
        let (writer, thread) = if in_line.is_some() {
            (Writer::in_line(connection, last_event_sender, broken_sender), None)
        } else {
            let (writer, thread) = Writer::start(connection, last_event_sender, broken_sender)?;
            (writer, Some(thread))
        };
        Ok(Self {
            in_line,
            quota: None,
            writer: Mutex::new(Some(writer)),
            thread: Mutex::new(thread),
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

    /// A write. Its commit has fail points, as `commit` names it; only one that wrote nothing has none.
    async fn write<T, F, N>(&self, mut work: F, commit: N) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Error> + Send + 'static,
        N: Fn(&T) -> Option<Commit> + Send + 'static,
    {
        let writer = lock(&self.writer).clone().ok_or(Error::Stopped)?;
        let named = move |connection: &Connection| {
            let value = work(connection)?;
            let commit = commit(&value);
            Ok((value, commit))
        };
        self.queue().await;
        writer.run(named).await
    }

    async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let _permit = self.permits.acquire().await.map_err(|_| Error::Stopped)?;
        let readers = Arc::clone(&self.readers);
        let work = move || {
            let connection = lock(&readers).pop().ok_or(Error::Stopped)?;
            let result = work(&connection);
            lock(&readers).push(connection);
            result
        };
        if self.in_line.is_some() {
            self.queue().await;
            return work();
        }
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Stopped)?
    }

    /// A read of a few rows by their key, on the thread of the caller: it takes less time than asking another thread
    /// for it, and waits for no writer.
    async fn look_up<T, F>(&self, work: F) -> Result<T, Error>
    where
        F: FnOnce(&Connection) -> Result<T, Error>,
    {
        let _permit = self.permits.acquire().await.map_err(|_| Error::Stopped)?;
        self.queue().await;
        let connection = lock(&self.readers).pop().ok_or(Error::Stopped)?;
        let result = work(&connection);
        lock(&self.readers).push(connection);
        result
    }

    async fn queue(&self) {
        if let Some(queueing) = self.in_line {
            tokio::time::sleep(queueing()).await;
        }
    }
}

/// A lock that a panic elsewhere cannot poison for good: what it guards is valid between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Makes the file readable by its owner alone; SQLite gives its other files the same mode.
fn make_private(path: &Path) -> Result<(), std::io::Error> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Looks at an existing file without a write: its schema, or 0 for a new one.
fn inspect(path: &Path) -> Result<i64, OpenError> {
    let name = path.display().to_string();
    if !path.exists() {
        return Ok(0);
    }
    let damaged = |source| damaged_or(&name, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(damaged)?;
    let found: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(damaged)?;
    if found > SCHEMA_VERSION {
        return Err(OpenError::Newer { path: name, found });
    }
    match first_damage(&connection, Damage::OfTables).map_err(damaged)? {
        Some(report) => Err(OpenError::Damaged { path: name, report }),
        None => Ok(found),
    }
}

/// How closely a database is looked at.
#[derive(Clone, Copy)]
enum Damage {
    /// Every page of every table. Quick enough for each start.
    OfTables,
    /// Also that indexes agree with their tables.
    Any,
}

/// The first thing an integrity check finds wrong.
fn first_damage(connection: &Connection, look_for: Damage) -> rusqlite::Result<Option<String>> {
    let check = match look_for {
        Damage::OfTables => "PRAGMA quick_check(1)",
        Damage::Any => "PRAGMA integrity_check(1)",
    };
    let report: String = connection.query_row(check, [], |row| row.get(0))?;
    Ok((report != "ok").then_some(report))
}

/// Makes the schema, or changes an older one step by step: all of it or nothing.
fn bring_up_to_date(connection: &mut Connection, found: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    match usize::try_from(found) {
        Ok(version @ 1..) => {
            for step in MIGRATIONS.iter().skip(version - 1) {
                transaction.execute_batch(step)?;
            }
        }
        _ => transaction.execute_batch(SCHEMA)?,
    }
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    commit_at(transaction, Commit::Schema)
}

/// Commits what is written at a start or in a restore, where no writing thread is.
fn commit_at(transaction: Transaction<'_>, commit: Commit) -> rusqlite::Result<()> {
    failpoint::hit(Point::BeforeCommit(commit));
    transaction.commit()?;
    failpoint::hit(Point::AfterCommit(commit));
    Ok(())
}

fn prepare(connection: &Connection, synchronous: &str) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Folding the log into the file syncs both. Done rarely, it is shared by thousands of commits; what a crash
    // leaves in the log is at most this, and read back in a moment.
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    // Each command of a commit has a savepoint, whose undo pages would otherwise go through a temporary file: more
    // bytes than the commit itself.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Keys and identifiers go to places all over their indexes.
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    keep_plans(connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// A statement keeps its plan whatever its parameters are. Otherwise SQLite plans every claim anew, because
/// an index that holds some rows only might fit another parameter better.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

fn open_readers(path: &Path) -> rusqlite::Result<Vec<Connection>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    (0..READERS)
        .map(|_| {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(BUSY_WAIT)?;
            keep_plans(&connection)?;
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
        let commit = |accepted: &Accepted| match accepted {
            Accepted::New(_) => Some(Commit::T1),
            Accepted::Repeated(_)
            | Accepted::KeyMismatch
            | Accepted::NoResend { .. }
            | Accepted::AuditBacklog { .. } => None,
        };
        let quota = self.quota;
        let new = accept::Prepared::new(new)?;
        self.write(move |connection| accept::accept(connection, &new, quota), commit).await
    }

    async fn find_accepted(
        &self,
        owner: String,
        key: Key,
        fingerprint: [u8; 32],
    ) -> Result<Option<SubmissionAccepted>, Error> {
        self.read(move |connection| {
            let known = accept::find(connection, &owner, &key, fingerprint)?;
            Ok(known.and_then(|known| match known {
                Accepted::Repeated(answer) => Some(answer),
                _ => None,
            }))
        })
        .await
    }

    async fn find_submission(&self, id: SubmissionId) -> Result<Option<Submission>, Error> {
        self.read(move |connection| {
            // Where its messages were removed they still name it.
            let sql = "SELECT key FROM messages WHERE submission_id = ?1 UNION ALL \
                       SELECT key FROM removed_messages WHERE submission_id = ?1 LIMIT 1";
            let key = first(connection, sql, [id.as_str()], |row| rows::stored_key(row.get(0)?))?;
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
        self.read(move |connection| lists::list(connection, &filter)).await
    }

    async fn count_messages(&self) -> Result<MessageCounts, Error> {
        self.read(|connection| {
            let mut counts = MessageCounts {
                duplicates_prevented: lists::duplicates_prevented(connection)?,
                ..MessageCounts::default()
            };
            for (state, count) in lists::states(connection)? {
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
        self.read(move |connection| lists::detail(connection, &id)).await
    }

    async fn find_messages(&self, ids: Vec<MessageId>) -> Result<Vec<Message>, Error> {
        self.read(move |connection| {
            let sql = format!("SELECT {MESSAGE} FROM messages m WHERE m.id = ?1");
            let one = |id: &MessageId| {
                first(connection, &sql, [id.as_str()], |row| Ok(rows::message(row)?.1)).transpose()
            };
            ids.iter().filter_map(one).collect()
        })
        .await
    }

    async fn deliveries_accepted(
        &self,
        from: Timestamp,
        to: Timestamp,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<(MessageId, Delivery)>, Error> {
        self.read(move |connection| lists::accepted(connection, (from, to), after.as_ref(), limit))
            .await
    }

    async fn remove_ended_messages(
        &self,
        ended_before: Timestamp,
        unshipped: Vec<ConnectionName>,
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, Error> {
        let unshipped = to_json("list of connections", &unshipped)?;
        // Found by a reader, so that looking through what may not go yet holds up no writer.
        let words = unshipped.clone();
        let found = self
            .read(move |connection| removal::removable(connection, ended_before, &words, limit))
            .await?;
        if found.is_empty() {
            return Ok(0);
        }
        self.write(
            move |connection| removal::remove(connection, &found, ended_before, &unshipped, now),
            |removed| (*removed > 0).then_some(Commit::Removal),
        )
        .await
    }

    async fn find_removed(&self, id: MessageId) -> Result<Option<Timestamp>, Error> {
        self.read(move |connection| {
            let sql = "SELECT removed_at FROM removed_messages WHERE id = ?1";
            first(connection, sql, [id.as_str()], |row| Ok(rows::timestamp(row.get(0)?)))
        })
        .await
    }

    async fn claim(
        &self,
        work: Work,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
        except: Vec<ConnectionName>,
    ) -> Result<Vec<Claim>, Error> {
        let claimed = self.write(
            move |connection| {
                let before = connection.total_changes();
                let claims = steps::claim(connection, work, now, lease_until, limit, &except)?;
                Ok((claims, connection.total_changes() != before))
            },
            move |(claims, changed)| match claims.is_empty() {
                false => Some(Commit::of_claim(work)),
                true => changed.then_some(Commit::Hold),
            },
        );
        Ok(claimed.await?.0)
    }

    async fn undelivered_in(
        &self,
        name: ConnectionName,
        conversation_id: ConversationId,
        limit: u32,
    ) -> Result<Vec<(MessageId, PlatformId)>, Error> {
        self.look_up(|connection| {
            lists::undelivered_in(connection, name.as_str(), conversation_id.as_str(), limit)
        })
        .await
    }

    async fn platform_ids_bound(
        &self,
        connection: ConnectionName,
        ids: Vec<PlatformId>,
    ) -> Result<BTreeSet<PlatformId>, Error> {
        self.read(move |db| steps::bound(db, &connection, ids)).await
    }

    async fn release(&self, message_id: MessageId, epoch: u64) -> Result<(), Error> {
        let work = move |connection: &Connection| {
            connection
                .prepare_cached(
                    "UPDATE messages SET lease_until = NULL WHERE id = ?1 AND epoch = ?2",
                )?
                .execute((message_id.as_str(), signed(epoch)))?;
            Ok(())
        };
        self.write(work, |()| Some(Commit::Release)).await
    }

    async fn apply(&self, change: Change, now: Timestamp) -> Result<Applied, Error> {
        let happening = change.happening.clone();
        let applied = self.write(
            move |connection| steps::apply_from(connection, &change, now),
            move |(applied, before)| Commit::of_change((*before)?, &happening, applied),
        );
        Ok(applied.await?.0)
    }

    async fn recover(&self, now: Timestamp) -> Result<u64, Error> {
        let recovered = self.write(
            move |connection| {
                let before = connection.total_changes();
                let open = steps::recover(connection, now)?;
                Ok((open, connection.total_changes() != before))
            },
            |(_, changed)| changed.then_some(Commit::Recovery),
        );
        Ok(recovered.await?.0)
    }

    async fn remember_conversation(
        &self,
        name: ConnectionName,
        conversation: Conversation,
    ) -> Result<(), Error> {
        let work = move |connection: &Connection| {
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
        };
        self.write(work, |()| Some(Commit::Conversation)).await
    }

    async fn find_conversation(
        &self,
        name: ConnectionName,
        id: ConversationId,
    ) -> Result<Option<Conversation>, Error> {
        self.look_up(|connection| {
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
                "SELECT e.seq, {MESSAGE} FROM (SELECT max(seq) AS seq, message FROM events \
                 WHERE seq > ?1 GROUP BY message) e JOIN messages m ON m.position = e.message \
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
        self.write(
            move |connection| audit::seal(connection, &name, signer.as_ref(), when, now),
            |batch| {
                let is_empty = batch.as_ref()?.count == 0;
                Some(if is_empty { Commit::Heartbeat } else { Commit::T17 })
            },
        )
        .await
    }

    async fn next_batch_to_ship(
        &self,
        name: ConnectionName,
        now: Timestamp,
    ) -> Result<Option<ShippableBatch>, Error> {
        self.read(move |connection| audit::next_to_ship(connection, &name, now)).await
    }

    async fn record_shipping(
        &self,
        position: u64,
        outcome: Shipped,
        now: Timestamp,
    ) -> Result<Recorded, Error> {
        let answer = outcome.clone();
        self.write(
            move |connection| audit::record(connection, position, outcome.clone(), now),
            move |recorded| Commit::of_shipping(&answer, recorded),
        )
        .await
    }

    async fn resume_shipping(&self, name: ConnectionName, now: Timestamp) -> Result<bool, Error> {
        self.write(
            move |connection| audit::resume(connection, &name, now),
            |changed| changed.then_some(Commit::Resume),
        )
        .await
    }

    async fn start_audit_stream(
        &self,
        name: ConnectionName,
        why: String,
    ) -> Result<Option<NewStream>, Error> {
        self.write(
            move |connection| audit::start_stream(connection, name.as_str(), &why),
            |new| new.as_ref().map(|_| Commit::NewStream),
        )
        .await
    }

    async fn forget_audit_batches(
        &self,
        acknowledged_before: Timestamp,
        limit: u32,
    ) -> Result<u64, Error> {
        self.write(
            move |connection| audit::forget(connection, acknowledged_before, limit),
            |forgotten| (*forgotten > 0).then_some(Commit::Forget),
        )
        .await
    }

    async fn audit_entries_waiting(&self, name: ConnectionName) -> Result<u64, Error> {
        self.read(move |connection| audit::entries_waiting(connection, &name)).await
    }

    async fn list_audit_batches(
        &self,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<Page<AuditBatch>, Error> {
        self.read(move |connection| audit::list_batches(connection, cursor.as_deref(), limit)).await
    }

    async fn export_audit_batches(
        &self,
        name: ConnectionName,
        after: u64,
        limit: u32,
    ) -> Result<Vec<ShippableBatch>, Error> {
        self.read(move |connection| audit::export(connection, &name, after, limit)).await
    }

    async fn latest_deliveries(&self, limit: u32) -> Result<Vec<PastDelivery>, Error> {
        self.read(move |connection| lists::latest_deliveries(connection, limit)).await
    }

    async fn waiting_for(
        &self,
        codes: Vec<String>,
    ) -> Result<Vec<(ConnectionName, String)>, Error> {
        self.read(move |connection| lists::waiting_for(connection, &codes)).await
    }

    async fn standing(&self, name: ConnectionName, now: Timestamp) -> Result<Standing, Error> {
        self.read(move |connection| lists::standing(connection, &name, now)).await
    }

    async fn backlog(&self) -> Result<Backlog, Error> {
        self.read(|connection| {
            let count = |sql: &str| -> Result<u64, Error> {
                Ok(unsigned(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?))
            };
            Ok(Backlog {
                messages: lists::states(connection)?,
                entries_unsealed: count("SELECT count(*) FROM audit_entries WHERE batch IS NULL")?,
                batches_waiting: count(
                    "SELECT count(*) FROM audit_batches \
                     WHERE shipping IN ('waiting', 'stalled', 'stopped')",
                )?,
                batches_stalled: count(
                    "SELECT count(*) FROM audit_batches WHERE shipping = 'stalled' \
                     AND shipping IN ('waiting', 'stalled', 'stopped')",
                )?,
                batches_stopped: count(
                    "SELECT count(*) FROM audit_batches WHERE shipping = 'stopped' \
                     AND shipping IN ('waiting', 'stalled', 'stopped')",
                )?,
                entries_waiting: all(
                    connection,
                    "SELECT connection, entries FROM audit_waiting ORDER BY connection",
                    [],
                    |row| Ok((rows::connection_name(row.get(0)?)?, unsigned(row.get(1)?))),
                )?,
                streams_replaced: count("SELECT coalesce(sum(replaced), 0) FROM streams")?,
            })
        })
        .await
    }

    async fn close(&self) {
        // Readers first: the connection that closes last folds the write-ahead log into the file, and only
        // the writer's may.
        if let Ok(permits) = self.permits.acquire_many(READERS_PERMITS).await {
            permits.forget();
        }
        self.permits.close();
        lock(&self.readers).clear();
        drop(lock(&self.writer).take());
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

/// Where the database is inside a data folder.
pub fn path_in(data: &Path) -> PathBuf {
    data.join("waybill.sqlite")
}
