//! Copies of the database while it is in use, and putting one back.
//!
//! A backup is one file: what was committed when it began. A restore prepares its file beside the database (checked,
//! brought up to date, with new audit streams) and then swaps the two. The swap is several renames, so it is written
//! down first; whoever opens the database next finishes it. A process that dies at any point therefore leaves either
//! the old database or the restored one, whole, and the old one is never deleted.
//!
//! ```text
//! waybill.sqlite             in use
//! waybill.sqlite.restored    being prepared; without the next one it means nothing
//! waybill.sqlite.restoring   the swap is decided; holds the name the old database gets
//! waybill.sqlite.replaced-…  what a restore replaced
//! ```

use super::{Damage, OpenError, audit, bring_up_to_date, commit_at, damaged_or, first_damage};
use super::{inspect, prepare, rows, steps};
use crate::failpoint::{self, Commit, Point};
use crate::store::Change;
use rusqlite::{Connection, OpenFlags};
use shared::api::Actor;
use shared::delivery::{Dedup, Happening, Policy, Reason};
use shared::id::ConnectionName;
use shared::time::Timestamp;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// The first bytes of every SQLite database.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Files SQLite keeps beside a database; the database itself is the last.
const PARTS: [&str; 3] = ["-wal", "-shm", ""];

/// What a copy of the database holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The schema.
    pub schema: i64,
    /// Messages.
    pub messages: u64,
    /// Sealed audit batches.
    pub batches: u64,
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What is in use now.
    pub contents: Contents,
    /// Where the database is that was in use before; `None` when there was none.
    pub replaced: Option<PathBuf>,
    /// Audit streams that begin anew.
    pub streams: usize,
    /// Messages that may have been sent after the backup was made, and are looked for before anything else.
    pub doubtful: usize,
}

/// Why a backup or a restore was not made. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is a file of that name.
    #[error("{0} exists; a backup never overwrites a file, so choose another name")]
    Exists(String),
    /// There is nothing to copy.
    #[error("{0} does not exist")]
    Missing(String),
    /// Not a backup of Waybill.
    #[error("{path} is not a backup of Waybill: {what}")]
    Foreign {
        /// The file.
        path: String,
        /// What it is instead.
        what: &'static str,
    },
    /// The file cannot be used.
    #[error(transparent)]
    Unusable(#[from] OpenError),
    /// The copy does not hold what it should.
    #[error("the copy is damaged: {0}. It was removed; try again on another disk")]
    DamagedCopy(String),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
}

impl BackupError {
    /// Whether the cause is the storage (exit code 3) rather than how the command was used (2).
    pub fn is_storage(&self) -> bool {
        !matches!(self, Self::Exists(_) | Self::Missing(_) | Self::Foreign { .. })
    }
}

/// Copies what is committed in `database` to a new file, while others go on using the database. The copy is
/// readable by its owner alone, checked, and on disk when this returns.
pub fn back_up(database: &Path, to: &Path) -> Result<Contents, BackupError> {
    if !database.exists() {
        return Err(BackupError::Missing(shown(database)));
    }
    if beside(database, ".restoring").exists() {
        let source = io::Error::other("a restore was interrupted; start Waybill, which ends it");
        return Err(BackupError::Io { path: shown(database), source });
    }
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(shown(to)));
    }
    // Under another name until it is whole, so that a file of the name asked for is always a backup.
    let part = beside(to, ".part");
    private_new(&part)?;
    let made = copy(database, &part).and_then(|()| check_copy(&part)).and_then(|contents| {
        sync(&part)?;
        // A link is refused where a file of that name has come into being in the meantime.
        match fs::hard_link(&part, to) {
            Ok(()) => Ok(contents),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(BackupError::Exists(shown(to)))
            }
            // Not every file system has links.
            Err(_) if !to.exists() => {
                fs::rename(&part, to).map_err(io_error(to)).map(|()| contents)
            }
            Err(error) => Err(io_error(to)(error)),
        }
    });
    let _ = fs::remove_file(&part);
    if made.is_ok() {
        sync_folder(to)?;
    }
    made
}

fn copy(database: &Path, part: &Path) -> Result<(), BackupError> {
    let name = shown(database);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copied = Connection::open_with_flags(database, flags).and_then(|connection| {
        connection.busy_timeout(super::BUSY_WAIT)?;
        connection.execute("VACUUM INTO ?1", [part.to_string_lossy()])
    });
    copied.map_err(|source| damaged_or(&name, source))?;
    Ok(())
}

fn check_copy(part: &Path) -> Result<Contents, BackupError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let checked = Connection::open_with_flags(part, flags).and_then(|connection| {
        Ok((first_damage(&connection, Damage::Any)?, contents(&connection)?))
    });
    match checked {
        Ok((None, contents)) => Ok(contents),
        Ok((Some(report), _)) => Err(BackupError::DamagedCopy(report)),
        Err(error) => Err(BackupError::DamagedCopy(error.to_string())),
    }
}

fn contents(connection: &Connection) -> rusqlite::Result<Contents> {
    let count = |sql: &str| -> rusqlite::Result<u64> {
        Ok(rows::unsigned(connection.query_row(sql, [], |row| row.get(0))?))
    };
    Ok(Contents {
        schema: connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
        messages: count("SELECT count(*) FROM messages")?,
        batches: count("SELECT count(*) FROM audit_batches")?,
    })
}

/// Puts the backup `from` in the place of `database`, which nobody may be using. `now` names the file that holds what
/// was replaced. Each audit stream ends with what the sink had acknowledged when the backup was made, and another
/// begins, so that the sink sees a new stream and not a rolled-back one.
///
/// What was waiting to be sent may have been sent since, so on these connections, with their policies, its outcome is
/// unknown from now on: nobody can end it as not sent. Where the platform recognises a key it goes again at once, and
/// elsewhere it is looked for.
pub fn restore(
    database: &Path,
    from: &Path,
    connections: &[(ConnectionName, Policy)],
    now: Timestamp,
) -> Result<Restored, BackupError> {
    finish_restore(database).map_err(io_error(database))?;
    let restored = beside(database, ".restored");
    for part in PARTS {
        remove(&beside(&restored, part)).map_err(io_error(&restored))?;
    }
    let prepared = prepare_restored(from, &restored, connections, now);
    let (contents, streams, doubtful) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            for part in PARTS {
                let _ = remove(&beside(&restored, part));
            }
            return Err(error);
        }
    };
    let replaced = free_name(database, now);
    decide(database, &replaced).map_err(io_error(&restored))?;
    finish_restore(database).map_err(io_error(database))?;
    Ok(Restored { contents, replaced: replaced.exists().then_some(replaced), streams, doubtful })
}

/// Copies the backup, refuses what is none, and makes it what is to be in use: its contents, how many audit streams
/// begin anew, and how many messages are doubtful.
fn prepare_restored(
    from: &Path,
    restored: &Path,
    connections: &[(ConnectionName, Policy)],
    now: Timestamp,
) -> Result<(Contents, usize, usize), BackupError> {
    let name = shown(from);
    let foreign = |what| BackupError::Foreign { path: name.clone(), what };
    let mut source = match File::open(from) {
        Ok(source) => source,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(BackupError::Missing(name));
        }
        Err(error) => return Err(io_error(from)(error)),
    };
    let log = beside(from, "-wal");
    if fs::metadata(&log).is_ok_and(|metadata| metadata.len() > 0) {
        return Err(foreign(
            "a -wal file beside it holds more, so it is a database in use. Make a backup with \
             waybill backup",
        ));
    }
    let mut copy = private_new(restored)?;
    io::copy(&mut source, &mut copy).map_err(io_error(restored))?;
    copy.sync_all().map_err(io_error(restored))?;
    drop(copy);
    let mut head = [0; MAGIC.len()];
    let is_database = File::open(restored)
        .and_then(|mut file| io::Read::read_exact(&mut file, &mut head))
        .is_ok_and(|()| head == MAGIC);
    if !is_database {
        return Err(foreign("it is no SQLite database"));
    }
    // What is checked is the copy, which nobody changes any more; what is said names the file it was made from.
    let of_source = |error| match error {
        OpenError::Damaged { report, .. } => OpenError::Damaged { path: name.clone(), report },
        OpenError::Newer { found, .. } => OpenError::Newer { path: name.clone(), found },
        OpenError::Unusable { source, .. } => OpenError::Unusable { path: name.clone(), source },
        refused @ OpenError::Refused(_) => refused,
    };
    let unusable = |source| of_source(damaged_or(&name, source));
    let found = inspect(restored).map_err(of_source)?;
    let mut connection = Connection::open(restored).map_err(unusable)?;
    let tables: i64 = connection
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' \
             AND name IN ('messages', 'submissions', 'payloads', 'events', 'streams')",
            [],
            |row| row.get(0),
        )
        .map_err(unusable)?;
    if tables != 5 || found == 0 {
        return Err(foreign("it is a database of another program"));
    }
    if let Some(report) = first_damage(&connection, Damage::Any).map_err(unusable)? {
        return Err(OpenError::Damaged { path: name, report }.into());
    }
    prepare(&connection, "FULL").map_err(unusable)?;
    if found < super::SCHEMA_VERSION {
        bring_up_to_date(&mut connection, found).map_err(unusable)?;
    }
    let failed = |error: crate::store::Error| BackupError::Io {
        path: name.clone(),
        source: io::Error::other(error.to_string()),
    };
    let streams = new_streams(&mut connection).map_err(failed)?;
    let doubtful = doubt(&mut connection, connections, now).map_err(failed)?;
    let contents = contents(&connection).map_err(unusable)?;
    // One file again, without a log beside it.
    connection.pragma_update(None, "journal_mode", "DELETE").map_err(unusable)?;
    connection.close().map_err(|(_, source)| unusable(source))?;
    sync(restored)?;
    Ok((contents, streams, doubtful))
}

fn new_streams(connection: &mut Connection) -> Result<usize, crate::store::Error> {
    let transaction = connection.transaction()?;
    let names = rows::all(&transaction, "SELECT connection FROM streams", [], |row| {
        Ok(row.get::<_, String>(0)?)
    })?;
    for name in &names {
        audit::start_stream(&transaction, name, "the database was restored from a backup")?;
    }
    commit_at(transaction, Commit::RestoreStreams)?;
    Ok(names.len())
}

/// Makes the outcome unknown of everything that may have been sent after the backup was made. To the state machine
/// that is an attempt, begun when the message was accepted, whose answer nobody has. What is planned for later was not
/// sent, unless this machine's clock is behind what it was in the backup: then nobody knows whose time had come.
fn doubt(
    connection: &mut Connection,
    connections: &[(ConnectionName, Policy)],
    now: Timestamp,
) -> Result<usize, crate::store::Error> {
    let transaction = connection.transaction()?;
    let latest: Option<i64> =
        transaction.query_row("SELECT max(accepted_at) FROM messages", [], |row| row.get(0))?;
    let is_set_back = latest.is_some_and(|latest| latest > now.unix_ms());
    let mut doubtful = 0;
    for (name, policy) in connections {
        let waiting = rows::all(
            &transaction,
            "SELECT id, accepted_at FROM messages WHERE connection = ?1 \
             AND (state = 'retry_wait' OR (state = 'accepted' AND (due_at <= ?2 OR ?3))) \
             ORDER BY position",
            (name.as_str(), now.unix_ms(), is_set_back),
            |row| Ok((rows::stored_message_id(row.get(0)?)?, rows::timestamp(row.get(1)?))),
        )?;
        doubtful += waiting.len();
        for (message_id, accepted_at) in waiting {
            let text = "It may have been sent after the backup was made that was restored.";
            let reason = Reason::new("restored", text);
            let begun = match policy.dedup {
                Dedup::None => accepted_at,
                Dedup::Key => now,
            };
            let steps =
                [(Happening::AttemptStarted, begun), (Happening::Ambiguous { reason }, now)];
            for (happening, at) in steps {
                let change = Change {
                    message_id: message_id.clone(),
                    epoch: None,
                    happening,
                    actor: Actor::Proxy,
                    policy: policy.clone(),
                    jitter: 0.0,
                    keep_claim: false,
                    channel: None,
                };
                steps::apply(&transaction, &change, at)?;
            }
        }
    }
    commit_at(transaction, Commit::RestoreDoubt)?;
    Ok(doubtful)
}

/// From here on the restored file is the database, whatever happens.
fn decide(database: &Path, replaced: &Path) -> io::Result<()> {
    let name = replaced.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let marker = beside(database, ".restoring");
    let written = beside(database, ".restoring-new");
    fs::write(&written, name)?;
    File::open(&written)?.sync_all()?;
    failpoint::hit(Point::BeforeCommit(Commit::Restore));
    fs::rename(&written, &marker)?;
    sync_parent(database)?;
    failpoint::hit(Point::AfterCommit(Commit::Restore));
    Ok(())
}

/// Ends a restore that was decided and not finished. Does nothing when there is none.
pub fn finish_restore(database: &Path) -> io::Result<()> {
    while take_one_step(database)? {}
    Ok(())
}

/// The next rename of a swap; each may be the last before the process dies. False when nothing is left to do.
fn take_one_step(database: &Path) -> io::Result<bool> {
    let marker = beside(database, ".restoring");
    let name = match fs::read_to_string(&marker) {
        Ok(name) => name,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let restored = beside(database, ".restored");
    if !restored.exists() {
        // It is in place already.
        fs::remove_file(&marker)?;
        sync_parent(database)?;
        return Ok(true);
    }
    let replaced = database.with_file_name(name);
    for part in PARTS {
        let old = beside(database, part);
        if old.exists() {
            fs::rename(old, beside(&replaced, part))?;
            sync_parent(database)?;
            return Ok(true);
        }
    }
    fs::rename(&restored, database)?;
    sync_parent(database)?;
    Ok(true)
}

/// A name for what is replaced that nothing has yet.
fn free_name(database: &Path, now: Timestamp) -> PathBuf {
    let moment: String = now.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    let mut number = 1;
    loop {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        let name = beside(database, &format!(".replaced-{moment}{suffix}"));
        if PARTS.iter().all(|part| !beside(&name, part).exists()) {
            return name;
        }
        number += 1;
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> BackupError {
    let path = shown(path);
    move |source| BackupError::Io { path: path.clone(), source }
}

/// A new file that only its owner can read; one that a killed process left is replaced.
fn private_new(path: &Path) -> Result<File, BackupError> {
    remove(path).map_err(io_error(path))?;
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(io_error(path))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(io_error(path))
}

fn sync_folder(of: &Path) -> Result<(), BackupError> {
    sync_parent(of).map_err(io_error(of))
}

/// Makes what was renamed or linked in a file's folder last.
fn sync_parent(of: &Path) -> io::Result<()> {
    let folder = match of.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::sqlite::Sqlite;

    fn marked(path: &Path, mark: &str) {
        let connection = Connection::open(path).unwrap();
        prepare(&connection, "FULL").unwrap();
        connection
            .execute("INSERT INTO conversations VALUES ('c', ?1, 0, 0, '{}')", [mark])
            .unwrap();
        // As a killed process leaves it: with its log. Forgotten, so that closing does not fold it in.
        fs::copy(beside(path, "-wal"), beside(path, "-kept")).unwrap();
        connection.close().unwrap();
    }

    fn marks(path: &Path) -> Vec<String> {
        let connection = Connection::open(path).unwrap();
        let mut marks = connection.prepare("SELECT id FROM conversations ORDER BY id").unwrap();
        marks.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[tokio::test]
    async fn a_restore_that_dies_anywhere_is_finished_by_whoever_opens_the_database() {
        for steps in 0..6 {
            let folder = tempfile::tempdir().unwrap();
            let database = folder.path().join("w.sqlite");
            Sqlite::open(&database).unwrap().close().await;
            let copy = folder.path().join("copy");
            marked(&database, "in the backup");
            back_up(&database, &copy).unwrap();
            // A later change that only the log has.
            let before = fs::read(&database).unwrap();
            marked(&database, "later");
            fs::write(&database, &before).unwrap();
            fs::rename(beside(&database, "-kept"), beside(&database, "-wal")).unwrap();
            // What `restore` does up to the swap, then some of its steps, then death.
            let restored = beside(&database, ".restored");
            prepare_restored(&copy, &restored, &[], Timestamp::from_unix_ms(0)).unwrap();
            let replaced = free_name(&database, Timestamp::from_unix_ms(0));
            decide(&database, &replaced).unwrap();
            for _ in 0..steps {
                take_one_step(&database).unwrap();
            }
            assert!(
                steps > 3 || back_up(&database, &folder.path().join("no")).is_err(),
                "half swapped, nothing can be copied"
            );
            Sqlite::open(&database).unwrap().close().await;
            assert_eq!(marks(&database), ["in the backup"], "after {steps} steps");
            assert_eq!(marks(&replaced), ["in the backup", "later"], "after {steps} steps");
            assert!(!restored.exists() && !beside(&database, ".restoring").exists());
        }
    }

    #[test]
    fn what_may_have_been_sent_since_is_unknown_and_cannot_be_withdrawn() {
        use crate::store::Applied;
        use shared::delivery::State;
        let mut connection = crate::store::sqlite::turns::tests::backlog(3);
        let later = Timestamp::from_unix_ms(1_795_341_700_000);
        let states = |connection: &Connection| -> Vec<String> {
            let sql = "SELECT state FROM messages ORDER BY position";
            rows::all(connection, sql, [], |row| Ok(row.get(0)?)).unwrap()
        };
        assert_eq!(doubt(&mut connection, &[], later).unwrap(), 0);
        assert_eq!(states(&connection), ["accepted"; 3]);
        let main = ConnectionName::parse("main").unwrap();
        assert_eq!(doubt(&mut connection, &[(main, Policy::default())], later).unwrap(), 3);
        assert_eq!(states(&connection), ["unknown"; 3]);
        let claim = |work| {
            let lease = Timestamp::from_unix_ms(later.unix_ms() + 60_000);
            steps::claim(&connection, work, later, lease, 8, &[]).unwrap().len()
        };
        assert_eq!((claim(crate::store::Work::Send), claim(crate::store::Work::Reconcile)), (0, 3));
        // A platform that recognises keys is asked by repeating at once, however long ago it was accepted; until it has
        // answered nobody can say that the message was not sent.
        let id = rows::all(&connection, "SELECT id FROM messages", [], |row| {
            rows::stored_message_id(row.get(0)?)
        });
        let id = id.unwrap().remove(0);
        let apply = |happening| {
            let change = Change {
                message_id: id.clone(),
                epoch: None,
                happening,
                actor: Actor::Proxy,
                policy: Policy::default(),
                jitter: 0.0,
                keep_claim: false,
                channel: None,
            };
            steps::apply(&connection, &change, later).unwrap()
        };
        let Applied::Done(repeats) = apply(Happening::MayRepeat) else { panic!("it may repeat") };
        assert_eq!(repeats.state, State::RetryWait);
        let Applied::Refused { state: State::RetryWait } = apply(Happening::Cancelled) else {
            panic!("it may have been sent")
        };
    }

    /// Accepted by a clock that was ahead, one at once and one planned for a minute later; the clock was set right and
    /// the backup put back. The clock it was sent by may have come to either.
    #[test]
    fn behind_the_clock_of_the_backup_what_was_planned_may_have_been_sent_too() {
        let accepted_at = 1_795_341_600_000;
        let doubted = |at: i64, due_at: i64| {
            let mut connection = crate::store::sqlite::turns::tests::backlog(1);
            connection.execute("UPDATE messages SET due_at = ?1", [due_at]).unwrap();
            let main = [(ConnectionName::parse("main").unwrap(), Policy::default())];
            doubt(&mut connection, &main, Timestamp::from_unix_ms(at)).unwrap()
        };
        let planned_at = accepted_at + 60_000;
        assert_eq!(doubted(accepted_at - 600_000, accepted_at), 1, "it was to go at once");
        assert_eq!(doubted(accepted_at - 600_000, planned_at), 1, "its time may have come");
        assert_eq!(doubted(accepted_at + 30_000, planned_at), 0, "its time has not come");
        assert_eq!(doubted(planned_at, planned_at), 1);
    }

    #[tokio::test]
    async fn a_restore_that_dies_before_its_swap_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("w.sqlite");
        Sqlite::open(&database).unwrap().close().await;
        let copy = folder.path().join("copy");
        back_up(&database, &copy).unwrap();
        marked(&database, "later");
        fs::write(beside(&database, ".restored"), b"half a file").unwrap();
        Sqlite::open(&database).unwrap().close().await;
        assert_eq!(marks(&database), ["later"]);
        let done = restore(&database, &copy, &[], Timestamp::from_unix_ms(0)).unwrap();
        assert!(marks(&database).is_empty());
        assert_eq!(marks(&done.replaced.unwrap()), ["later"]);
    }
}
