//! What the sandbox remembers: one SQLite file of its own, or memory.
//!
//! One connection behind a mutex, used directly from the handlers: every call is a handful of indexed
//! statements that take microseconds, less than handing them to another thread would cost. `synchronous` is
//! NORMAL: with a write-ahead log that loses nothing when the process is killed, which is the promise here,
//! and saves a disk flush for each message that only a power cut would need. The file is locked for as long
//! as it is open, because clock, faults and rate window also live in memory and must have one owner.

use super::{Error, lock};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, TransactionBehavior, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::simulator::History;
use shared::time::Timestamp;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

const VERSION: i64 = 3;

const SCHEMA: &str = "
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE token (digest BLOB PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE message (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    conversation_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    body_sha256 TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    treatment TEXT NOT NULL,
    history TEXT,
    UNIQUE (conversation_id, ordinal)
) STRICT;
CREATE INDEX message_by_key ON message (key, number);
CREATE TABLE send (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    message_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    body_sha256 TEXT NOT NULL,
    at INTEGER NOT NULL,
    duplicate INTEGER NOT NULL
) STRICT;
CREATE TABLE audit_batch (
    number INTEGER PRIMARY KEY,
    stream TEXT,
    sequence INTEGER,
    chain TEXT,
    headers TEXT NOT NULL,
    body TEXT NOT NULL,
    verified INTEGER,
    UNIQUE (stream, sequence)
) STRICT;
";

/// From version 1, in which a key made one message and nothing became of it but its history.
const FROM_1_TO_2: &str = "
CREATE TABLE new_message (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    conversation_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    body_sha256 TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    treatment TEXT NOT NULL,
    UNIQUE (conversation_id, ordinal)
) STRICT;
INSERT INTO new_message (key, id, conversation_id, ordinal, body_sha256, created_at, treatment)
    SELECT key, id, conversation_id, ordinal, body_sha256, created_at, '{}' FROM message
    ORDER BY created_at, conversation_id, ordinal;
DROP TABLE message;
ALTER TABLE new_message RENAME TO message;
CREATE INDEX message_by_key ON message (key, number);
";

/// From version 2, in which a message's history followed from the seed alone; those taken then have none here.
const FROM_2_TO_3: &str = "ALTER TABLE message ADD COLUMN history TEXT;";

/// The open data.
pub struct Store(Mutex<Connection>);

/// A POST of a message, as it arrived.
pub struct Post<'a> {
    /// Its `X-Genesys-Client-Id`.
    pub key: &'a str,
    /// The conversation it was posted to.
    pub conversation_id: &'a str,
    /// Lower-case hex SHA-256 of its body.
    pub body_sha256: &'a str,
    /// When, by the simulated clock.
    pub at: Timestamp,
    /// Whether its key is not recognised, so that it makes a message whatever was posted before.
    pub is_forgotten: bool,
}

/// What a fault made of a message, beside its history; empty for most.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Treatment {
    /// How much later than it happens it is reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_ms: Option<i64>,
    /// How long after it was taken it is not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_ms: Option<i64>,
    /// Whether nothing after `sent` is reported.
    #[serde(skip_serializing_if = "is_false")]
    pub is_lost: bool,
    /// Whether it is listed twice.
    #[serde(skip_serializing_if = "is_false")]
    pub is_twice: bool,
    /// Whether `delivered` comes before `sent`.
    #[serde(skip_serializing_if = "is_false")]
    pub is_disordered: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A message the platform took.
pub struct Message {
    /// The platform's name for it.
    pub id: String,
    /// Its number within the conversation, from 0.
    pub ordinal: u64,
    /// When it was taken.
    pub created_at: Timestamp,
    /// What a fault made of it.
    pub treatment: Treatment,
    /// What becomes of it, as it was decided when it was taken; `None` for one that was taken before that was
    /// stored.
    pub history: Option<History>,
}

/// What is decided for a message when it is taken.
pub struct Taken {
    /// The platform's name for it.
    pub id: String,
    /// What becomes of it.
    pub history: History,
}

/// One processed POST of a message.
#[derive(Serialize)]
pub struct Send {
    /// The key it came with.
    pub key: String,
    /// The message it made, or the one an earlier POST with its key had made. A key with several ids is a
    /// message that its recipient gets several times.
    pub id: String,
    /// The conversation it was posted to.
    pub conversation_id: String,
    /// When, by the simulated clock.
    pub at: Timestamp,
    /// True if its key had been used before.
    pub duplicate: bool,
    /// Lower-case hex SHA-256 of its body.
    pub body_sha256: String,
}

/// Where a batch says it stands in its stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Position {
    /// The stream.
    pub stream: String,
    /// Its place, from 1.
    pub sequence: i64,
    /// Its chain value.
    pub chain: String,
    /// The chain value before it.
    pub previous: String,
}

/// What became of a batch that was to be stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placed {
    /// It is stored.
    Stored,
    /// The very same batch was stored before.
    Repeated,
    /// Another batch holds its place; the last sequence held of the stream.
    Forked(i64),
    /// It does not follow the last one held, whose sequence this is (0 for none).
    OutOfOrder(i64),
}

/// A batch as `GET /sandbox/v1/audit` shows it.
#[derive(Serialize)]
pub struct Batch {
    /// Its headers, names in lower case.
    pub headers: serde_json::Value,
    /// Its body, byte for byte.
    pub body: String,
    /// True if its signatures were checked; `None` where there was no secret to check with.
    pub verified: Option<bool>,
}

type Result<T> = std::result::Result<T, rusqlite::Error>;

impl Store {
    /// Opens the file at `path`, making it with its folder if missing, or memory without one.
    pub fn open(path: Option<&Path>) -> std::result::Result<Self, Error> {
        let Some(path) = path else {
            let mut connection = Connection::open_in_memory()?;
            prepare(&mut connection)?;
            return Ok(Self(Mutex::new(connection)));
        };
        make_private(path).map_err(|source| Error::Create { path: path.to_owned(), source })?;
        let open = || {
            let mut connection = Connection::open(path)?;
            // A predecessor may need a moment to let go.
            connection.busy_timeout(Duration::from_secs(2))?;
            connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            let is_ours = prepare(&mut connection)?;
            Ok((connection, is_ours))
        };
        match open() {
            Ok((connection, true)) => Ok(Self(Mutex::new(connection))),
            Ok((_, false)) => Err(Error::NotOurs(path.to_owned())),
            Err(error) => Err(match rusqlite::Error::sqlite_error_code(&error) {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    Error::InUse(path.to_owned())
                }
                Some(ErrorCode::NotADatabase) => Error::NotOurs(path.to_owned()),
                _ => Error::Store(error),
            }),
        }
    }

    /// The setting `name`; if there is none, `make`'s, which is stored.
    pub fn setting_or(&self, name: &str, make: impl FnOnce() -> String) -> Result<String> {
        let connection = lock(&self.0);
        if let Some(value) = setting(&connection, name)? {
            return Ok(value);
        }
        let value = make();
        put_setting(&connection, name, &value)?;
        Ok(value)
    }

    /// Stores a setting.
    pub fn put_setting(&self, name: &str, value: &str) -> Result<()> {
        put_setting(&lock(&self.0), name, value)
    }

    /// The setting `name` as JSON, if there is one.
    pub fn state<T: DeserializeOwned>(
        &self,
        name: &'static str,
    ) -> std::result::Result<Option<T>, Error> {
        let stored = setting(&lock(&self.0), name)?;
        stored.map(|text| serde_json::from_str(&text).map_err(|_| Error::Damaged(name))).transpose()
    }

    /// Stores a setting as JSON.
    pub fn put_state<T: Serialize>(&self, name: &str, state: &T) -> Result<()> {
        self.put_setting(name, &to_json(state)?)
    }

    /// Stores a token's digest and forgets tokens that have expired.
    pub fn put_token(&self, digest: &[u8], expires_at: Timestamp, now: Timestamp) -> Result<()> {
        let connection = lock(&self.0);
        connection
            .prepare_cached("DELETE FROM token WHERE expires_at <= ?")?
            .execute([now.unix_ms()])?;
        connection
            .prepare_cached("INSERT INTO token (digest, expires_at) VALUES (?, ?)")?
            .execute(params![digest, expires_at.unix_ms()])?;
        Ok(())
    }

    /// True if a token with this digest is in force.
    pub fn has_token(&self, digest: &[u8], now: Timestamp) -> Result<bool> {
        let connection = lock(&self.0);
        connection
            .prepare_cached("SELECT 1 FROM token WHERE digest = ? AND expires_at > ?")?
            .exists(params![digest, now.unix_ms()])
    }

    /// Forgets every token.
    pub fn revoke_tokens(&self) -> Result<()> {
        lock(&self.0).execute("DELETE FROM token", []).map(|_| ())
    }

    /// The message that an earlier POST with this key made, noting that it was posted again; `None` also where
    /// the platform forgot the key.
    pub fn repeat(&self, post: &Post) -> Result<Option<String>> {
        if post.is_forgotten {
            return Ok(None);
        }
        let connection = lock(&self.0);
        let id = message_by_key(&connection, post.key)?;
        if let Some(id) = &id {
            insert_send(&connection, post, id, true)?;
        }
        Ok(id)
    }

    /// Takes a message, unless its key made one before and is recognised; either way the message's id. `decide`
    /// gives id and history for the number the message gets in its conversation. Committed when this returns.
    pub fn accept(
        &self,
        post: &Post,
        treatment: &Treatment,
        decide: impl FnOnce(u64) -> Taken,
    ) -> Result<String> {
        let mut connection = lock(&self.0);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let first = message_by_key(&transaction, post.key)?;
        let is_repeat = first.is_some();
        if let Some(id) = first.filter(|_| !post.is_forgotten) {
            insert_send(&transaction, post, &id, true)?;
            transaction.commit()?;
            return Ok(id);
        }
        let treatment = to_json(treatment)?;
        let ordinal: u64 = transaction
            .prepare_cached(
                "SELECT coalesce(max(ordinal) + 1, 0) FROM message WHERE conversation_id = ?",
            )?
            .query_row([post.conversation_id], |row| unsigned(row, 0))?;
        let Taken { id, history } = decide(ordinal);
        transaction
            .prepare_cached(
                "INSERT INTO message
                     (key, id, conversation_id, ordinal, body_sha256, created_at, treatment, history)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                post.key,
                id,
                post.conversation_id,
                i64::try_from(ordinal).unwrap_or(i64::MAX),
                post.body_sha256,
                post.at.unix_ms(),
                treatment,
                to_json(&history)?,
            ])?;
        insert_send(&transaction, post, &id, is_repeat)?;
        transaction.commit()?;
        Ok(id)
    }

    /// The latest `limit` messages of a conversation, oldest first.
    pub fn messages(&self, conversation_id: &str, limit: u32) -> Result<Vec<Message>> {
        let connection = lock(&self.0);
        let mut statement = connection.prepare_cached(
            "SELECT id, ordinal, created_at, treatment, history FROM message
             WHERE conversation_id = ? ORDER BY ordinal DESC LIMIT ?",
        )?;
        let rows = statement.query_map(params![conversation_id, limit], |row| {
            Ok(Message {
                id: row.get(0)?,
                ordinal: unsigned(row, 1)?,
                created_at: Timestamp::from_unix_ms(row.get(2)?),
                // Written by this program; anything else is a message that nothing became of.
                treatment: serde_json::from_str(&row.get::<_, String>(3)?).unwrap_or_default(),
                history: row
                    .get::<_, Option<String>>(4)?
                    .and_then(|text| serde_json::from_str(&text).ok()),
            })
        })?;
        let mut messages = rows.collect::<Result<Vec<_>>>()?;
        messages.reverse();
        Ok(messages)
    }

    /// The newest message other than `id`, if there is one.
    pub fn another_message(&self, id: &str) -> Result<Option<String>> {
        lock(&self.0)
            .prepare_cached("SELECT id FROM message WHERE id <> ? ORDER BY number DESC LIMIT 1")?
            .query_row([id], |row| row.get(0))
            .optional()
    }

    /// Every processed POST, oldest first.
    pub fn sends(&self) -> Result<Vec<Send>> {
        let connection = lock(&self.0);
        let mut statement = connection.prepare_cached(
            "SELECT key, message_id, conversation_id, at, duplicate, body_sha256
             FROM send ORDER BY number",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(Send {
                key: row.get(0)?,
                id: row.get(1)?,
                conversation_id: row.get(2)?,
                at: Timestamp::from_unix_ms(row.get(3)?),
                duplicate: row.get(4)?,
                body_sha256: row.get(5)?,
            })
        })?;
        rows.collect()
    }

    /// Stores an audit batch where it belongs. With `is_chained` it must follow the last one of its stream;
    /// a new stream starts at 1, from nothing or from the end of a stream held here.
    pub fn put_batch(
        &self,
        position: Option<&Position>,
        is_chained: bool,
        batch: &Batch,
    ) -> Result<Placed> {
        let mut connection = lock(&self.0);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(position) = position {
            let held: Option<Option<String>> = transaction
                .query_row(
                    "SELECT chain FROM audit_batch WHERE stream = ? AND sequence = ?",
                    params![position.stream, position.sequence],
                    |row| row.get(0),
                )
                .optional()?;
            if let Some(chain) = held {
                let is_same = chain.as_deref() == Some(position.chain.as_str());
                if is_same {
                    return Ok(Placed::Repeated);
                }
                let last = transaction.query_row(
                    "SELECT max(sequence) FROM audit_batch WHERE stream = ?",
                    [&position.stream],
                    |row| row.get(0),
                )?;
                return Ok(Placed::Forked(last));
            }
            if is_chained && let Some(last) = out_of_order(&transaction, position)? {
                return Ok(Placed::OutOfOrder(last));
            }
        }
        transaction.execute(
            "INSERT INTO audit_batch (stream, sequence, chain, headers, body, verified)
             VALUES (?, ?, ?, ?, ?, ?)",
            params![
                position.map(|position| &position.stream),
                position.map(|position| position.sequence),
                position.map(|position| &position.chain),
                batch.headers.to_string(),
                batch.body,
                batch.verified,
            ],
        )?;
        transaction.commit()?;
        Ok(Placed::Stored)
    }

    /// Every stored audit batch, oldest first.
    pub fn batches(&self) -> Result<Vec<Batch>> {
        let connection = lock(&self.0);
        let mut statement = connection
            .prepare_cached("SELECT headers, body, verified FROM audit_batch ORDER BY number")?;
        let rows = statement.query_map([], |row| {
            let headers: String = row.get(0)?;
            Ok(Batch {
                // Written by this program; anything else shows as null instead of hiding the batch.
                headers: serde_json::from_str(&headers).unwrap_or_default(),
                body: row.get(1)?,
                verified: row.get(2)?,
            })
        })?;
        rows.collect()
    }
}

fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// Makes the tables in a new database, or brings those of an earlier version up to date; false if it is something else or of another version.
fn prepare(connection: &mut Connection) -> Result<bool> {
    // A transaction that writes from the start also takes the file's lock, so a second owner is noticed now.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (version, tables) {
        (0, 0) => {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        (1, _) => {
            transaction.execute_batch(FROM_1_TO_2)?;
            transaction.execute_batch(FROM_2_TO_3)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        (2, _) => {
            transaction.execute_batch(FROM_2_TO_3)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        (VERSION, _) => {}
        _ => return Ok(false),
    }
    transaction.commit()?;
    Ok(true)
}

/// An empty file only its owner can read, since it will hold the client secret; SQLite's companion files
/// take over its permissions.
fn make_private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ())
}

fn setting(connection: &Connection, name: &str) -> Result<Option<String>> {
    connection
        .prepare_cached("SELECT value FROM setting WHERE name = ?")?
        .query_row([name], |row| row.get(0))
        .optional()
}

fn put_setting(connection: &Connection, name: &str, value: &str) -> Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)")?
        .execute([name, value])
        .map(|_| ())
}

fn message_by_key(connection: &Connection, key: &str) -> Result<Option<String>> {
    connection
        .prepare_cached("SELECT id FROM message WHERE key = ? ORDER BY number LIMIT 1")?
        .query_row([key], |row| row.get(0))
        .optional()
}

fn insert_send(connection: &Connection, post: &Post, id: &str, duplicate: bool) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO send (key, message_id, conversation_id, body_sha256, at, duplicate)
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            post.key,
            id,
            post.conversation_id,
            post.body_sha256,
            post.at.unix_ms(),
            duplicate,
        ])
        .map(|_| ())
}

/// `None` if the batch follows the last one held of its stream; otherwise that one's sequence, 0 for none.
fn out_of_order(connection: &Connection, position: &Position) -> Result<Option<i64>> {
    let last: Option<(i64, String)> = connection
        .query_row(
            "SELECT sequence, chain FROM audit_batch WHERE stream = ?
             ORDER BY sequence DESC LIMIT 1",
            [&position.stream],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let follows = match &last {
        Some((sequence, chain)) => position.sequence == sequence + 1 && position.previous == *chain,
        None if position.previous == shared::audit::FIRST_PREVIOUS => position.sequence == 1,
        // A sender whose database was rolled back starts a new stream that names the old one's end.
        None => {
            position.sequence == 1
                && connection
                    .prepare("SELECT 1 FROM audit_batch WHERE chain = ?")?
                    .exists([&position.previous])?
        }
    };
    Ok(if follows { None } else { Some(last.map_or(0, |(sequence, _)| sequence)) })
}

/// SQLite has no unsigned numbers; what is stored here is never negative.
fn unsigned(row: &Row, column: usize) -> Result<u64> {
    row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::simulator::{Failure, Receipt};

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    fn post(key: &str, ms: i64) -> Post<'_> {
        Post { key, conversation_id: "c", body_sha256: "", at: at(ms), is_forgotten: false }
    }

    fn taken(id: String) -> Taken {
        Taken { id, history: History::default() }
    }

    #[test]
    fn a_forgotten_key_makes_a_second_message_and_a_remembered_one_the_first_again() {
        let store = Store::open(None).unwrap();
        let name = |ordinal| taken(format!("m-{ordinal}"));
        let treatment = Treatment { late_ms: Some(5), ..Treatment::default() };
        let first = store.accept(&post("k", 1), &treatment, name).unwrap();
        let forgotten = Post { is_forgotten: true, ..post("k", 2) };
        assert_eq!(store.repeat(&forgotten).unwrap(), None);
        let second = store.accept(&forgotten, &Treatment::default(), name).unwrap();
        let third = store.accept(&post("k", 3), &Treatment::default(), name).unwrap();
        assert_eq!([&*first, &*second, &*third], ["m-0", "m-1", "m-0"]);
        let sends: Vec<_> =
            store.sends().unwrap().into_iter().map(|one| (one.id, one.duplicate)).collect();
        assert_eq!(sends, [(first, false), (second, true), (third, true)]);
        let treatments: Vec<_> =
            store.messages("c", 9).unwrap().into_iter().map(|one| one.treatment).collect();
        assert_eq!(treatments, [treatment, Treatment::default()]);
    }

    #[test]
    fn a_file_of_version_1_is_brought_up_to_date_and_keeps_its_messages() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sandbox.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(
            "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
             CREATE TABLE token (digest BLOB PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
             CREATE TABLE message (
                 key TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, conversation_id TEXT NOT NULL,
                 ordinal INTEGER NOT NULL, body_sha256 TEXT NOT NULL, created_at INTEGER NOT NULL,
                 UNIQUE (conversation_id, ordinal)
             ) STRICT, WITHOUT ROWID;
             CREATE TABLE send (
                 number INTEGER PRIMARY KEY, key TEXT NOT NULL, message_id TEXT NOT NULL,
                 conversation_id TEXT NOT NULL, body_sha256 TEXT NOT NULL, at INTEGER NOT NULL,
                 duplicate INTEGER NOT NULL
             ) STRICT;
             CREATE TABLE audit_batch (
                 number INTEGER PRIMARY KEY, stream TEXT, sequence INTEGER, chain TEXT,
                 headers TEXT NOT NULL, body TEXT NOT NULL, verified INTEGER, UNIQUE (stream, sequence)
             ) STRICT;
             INSERT INTO message VALUES ('z', 'm-0', 'c', 0, '', 1), ('a', 'm-1', 'c', 1, '', 2);
             INSERT INTO send VALUES (1, 'z', 'm-0', 'c', '', 1, 0), (2, 'a', 'm-1', 'c', '', 2, 0);
             PRAGMA user_version = 1;",
        )
        .unwrap();
        old.close().unwrap();
        for _ in 0..2 {
            let store = Store::open(Some(&path)).unwrap();
            assert_eq!(store.repeat(&post("z", 3)).unwrap().as_deref(), Some("m-0"));
            let messages = store.messages("c", 9).unwrap();
            let ids: Vec<&str> = messages.iter().map(|one| one.id.as_str()).collect();
            assert_eq!(ids, ["m-0", "m-1"]);
            assert!(messages.iter().all(|one| one.history.is_none()));
        }
    }

    #[test]
    fn a_file_of_version_2_keeps_its_messages_and_takes_more_with_their_history() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sandbox.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(&SCHEMA.replace("    history TEXT,\n", "")).unwrap();
        old.execute_batch(
            "INSERT INTO message VALUES (1, 'z', 'm-0', 'c', 0, '', 1, '{\"is_lost\":true}');
             PRAGMA user_version = 2;",
        )
        .unwrap();
        old.close().unwrap();
        let history = History {
            receipts: vec![(0, Receipt::Queued), (7, Receipt::Failed)],
            failure: Some(Failure { code: "a".into(), reason: "b".into() }),
        };
        let store = Store::open(Some(&path)).unwrap();
        let decide = |ordinal| Taken { id: format!("m-{ordinal}"), history: history.clone() };
        store.accept(&post("y", 2), &Treatment::default(), decide).unwrap();
        drop(store);
        let store = Store::open(Some(&path)).unwrap();
        let messages = store.messages("c", 9).unwrap();
        assert!(messages[0].treatment.is_lost);
        let histories: Vec<_> = messages.into_iter().map(|one| one.history).collect();
        assert_eq!(histories, [None, Some(history)]);
    }

    #[test]
    fn a_token_is_in_force_until_it_expires_or_is_revoked() {
        let store = Store::open(None).unwrap();
        store.put_token(b"one", at(1_000), at(0)).unwrap();
        assert!(store.has_token(b"one", at(999)).unwrap());
        assert!(!store.has_token(b"one", at(1_000)).unwrap());
        assert!(!store.has_token(b"two", at(0)).unwrap());
        store.revoke_tokens().unwrap();
        assert!(!store.has_token(b"one", at(0)).unwrap());
    }

    #[test]
    fn the_latest_messages_are_listed_oldest_first() {
        let store = Store::open(None).unwrap();
        for number in 0..1_005 {
            let key = format!("k-{number}");
            let post = post(&key, number);
            let name = |ordinal| taken(format!("m-{ordinal}"));
            store.accept(&post, &Treatment::default(), name).unwrap();
        }
        let messages = store.messages("c", 1_000).unwrap();
        assert_eq!(messages.len(), 1_000);
        assert_eq!((messages[0].id.as_str(), messages[0].ordinal), ("m-5", 5));
        assert_eq!((messages[999].id.as_str(), messages[999].created_at), ("m-1004", at(1_004)));
        assert_eq!(store.messages("other", 1_000).unwrap().len(), 0);
    }
}
