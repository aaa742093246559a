//! The one thread that writes: it commits whatever is queued, at most [`COMMANDS_MAX`] commands at a time,
//! without waiting for more, so that callers share the cost of a sync to disk. What is queued while it writes
//! still goes into the same commit.
//!
//! A command that fails leaves no trace and the others commit. That is rare, so nothing is paid for it in
//! advance: when one fails after it wrote something, everything is rolled back, and the same commands run once
//! more, each in a savepoint of its own. That is why a command may be run twice; only what the last run found
//! counts. A caller hears of success only after the commit. When a commit or any statement fails with an I/O
//! error the thread ends for good, because after a failed sync nobody can know what the disk holds; the process
//! then stops and recovers from disk.
//!
//! A simulation has no other thread: there each command is committed by itself, on the thread of its caller.

use crate::failpoint::{self, Commit, Point};
use crate::store::Error;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use tokio::sync::{oneshot, watch};

/// Most commands in one commit.
pub const COMMANDS_MAX: usize = 64;

/// Commits commands: by the writing thread, or in line.
#[derive(Clone)]
pub struct Writer {
    commands: Commands,
}

#[derive(Clone)]
enum Commands {
    Queue(Sender<Box<dyn Command>>),
    InLine(Arc<Mutex<Committer>>),
}

impl Writer {
    /// Starts the thread. `last_event` is set after every commit that added events; `broken` when a commit
    /// failed in a way that ends the store.
    pub fn start(
        connection: Connection,
        last_event: watch::Sender<u64>,
        broken: watch::Sender<bool>,
    ) -> std::io::Result<(Self, std::thread::JoinHandle<()>)> {
        let (sender, receiver) = channel();
        let committer = Committer { connection, last_event, broken };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || write(committer, &receiver))?;
        Ok((Self { commands: Commands::Queue(sender) }, thread))
    }

    /// Commits each command as it comes, without a thread.
    pub fn in_line(
        connection: Connection,
        last_event: watch::Sender<u64>,
        broken: watch::Sender<bool>,
    ) -> Self {
        let committer = Committer { connection, last_event, broken };
        Self { commands: Commands::InLine(Arc::new(Mutex::new(committer))) }
    }

    /// Runs `work` in a transaction and answers after its commit. What it says of the commit beside its value
    /// is for fail points alone.
    pub async fn run<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<(T, Option<Commit>), Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let command: Box<dyn Command> = Box::new(Asked { work, found: Err(Error::Stopped), reply });
        match &self.commands {
            Commands::Queue(queue) => queue.send(command).map_err(|_| Error::Stopped)?,
            Commands::InLine(committer) => {
                let mut committer = super::lock(committer);
                if *committer.broken.borrow() {
                    return Err(Error::Stopped);
                }
                committer.commit(command, || None);
            }
        }
        // What it worked with comes back too: freeing it is not for the thread that everybody waits for.
        let (answer, _work) = answer.await.map_err(|_| Error::Stopped)?;
        answer
    }
}

/// Something to be written, and somebody who waits for it.
trait Command: Send {
    /// Runs inside a transaction, and again inside another if that one was rolled back.
    fn run(&mut self, connection: &Connection) -> Ran;
    /// Tells whoever waits, once the transaction's fate is known.
    fn finish(self: Box<Self>, committed: Result<(), Error>);
}

/// How a command went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ran {
    Well,
    /// It must leave no trace.
    Failed,
    /// The disk failed; nothing of this transaction may be committed.
    OnABrokenDisk,
}

struct Asked<T, F> {
    work: F,
    found: Result<(T, Option<Commit>), Error>,
    reply: oneshot::Sender<(Result<T, Error>, F)>,
}

impl<T, F> Command for Asked<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> Result<(T, Option<Commit>), Error> + Send,
{
    fn run(&mut self, connection: &Connection) -> Ran {
        // A statement that finds the disk full or the database busy says so like a commit would: the caller waits
        // and tries again, and does not take it for a broken database.
        self.found = (self.work)(connection).map_err(|error| match error {
            Error::Database(error) => classify(error),
            other => other,
        });
        match &self.found {
            Ok((_, Some(commit))) => failpoint::hit(Point::BeforeCommit(*commit)),
            Ok((_, None)) => {}
            Err(error) if is_of_the_disk(error) => return Ran::OnABrokenDisk,
            Err(_) => return Ran::Failed,
        }
        Ran::Well
    }

    fn finish(self: Box<Self>, committed: Result<(), Error>) {
        if let (Ok(()), Ok((_, Some(commit)))) = (&committed, &self.found) {
            failpoint::hit(Point::AfterCommit(*commit));
        }
        // The caller may have given up; what was committed stays committed.
        let Self { work, found, reply } = *self;
        let _ = reply.send((committed.and(found).map(|(value, _)| value), work));
    }
}

fn write(mut committer: Committer, commands: &Receiver<Box<dyn Command>>) {
    while let Ok(first) = commands.recv() {
        committer.commit(first, || commands.try_recv().ok());
        if *committer.broken.borrow() {
            return;
        }
    }
}

struct Committer {
    connection: Connection,
    last_event: watch::Sender<u64>,
    /// True once nothing may be written any more.
    broken: watch::Sender<bool>,
}

impl Committer {
    /// Runs and commits this command together with `more`, and tells each caller what became of its own.
    fn commit(&mut self, first: Box<dyn Command>, more: impl FnMut() -> Option<Box<dyn Command>>) {
        let mut batch = vec![first];
        let committed = commit_batch(&mut self.connection, &mut batch, more);
        let failure = committed.as_ref().err().map(reason_of);
        if let Ok(Some(seq)) = committed {
            self.last_event.send_if_modified(|last| std::mem::replace(last, seq) != seq);
        }
        for command in batch {
            command.finish(match failure {
                None => Ok(()),
                Some(Reason::Full) => Err(Error::Full),
                Some(Reason::Busy) => Err(Error::Busy),
                Some(Reason::Fatal) => Err(Error::Stopped),
            });
        }
        if let (Some(Reason::Fatal), Err(error)) = (failure, &committed) {
            tracing::error!(%error, "a commit failed; stopping, to recover from what is on disk");
            self.broken.send_replace(true);
        }
    }
}

/// Runs and commits `batch` with whatever `more` gives meanwhile, which is in it afterwards. Returns the position of the
/// last event, if it could be read.
fn commit_batch(
    connection: &mut Connection,
    batch: &mut Vec<Box<dyn Command>>,
    mut more: impl FnMut() -> Option<Box<dyn Command>>,
) -> Result<Option<u64>, Error> {
    let mut transaction = match begin(connection) {
        Ok(transaction) => transaction,
        Err(error) => {
            // Whatever is queued has waited for the same lock. It is told now, and not each after a wait of its own.
            batch.extend(std::iter::from_fn(more));
            return Err(error);
        }
    };
    let mut is_guarded = false;
    let mut next = 0;
    while let Some(command) = batch.get_mut(next) {
        let before = transaction.total_changes();
        let ran = match is_guarded {
            true => in_savepoint(&mut transaction, command.as_mut())?,
            false => command.run(&transaction),
        };
        if ran == Ran::OnABrokenDisk {
            return Err(Error::Database(broken_disk()));
        }
        // A full disk makes SQLite roll everything back by itself; what ran after that would commit alone.
        if transaction.is_autocommit() {
            return Err(Error::Full);
        }
        if ran == Ran::Failed && !is_guarded && transaction.total_changes() != before {
            transaction.rollback().map_err(classify)?;
            if batch.len() == 1 {
                return Ok(None);
            }
            transaction = begin(connection)?;
            (is_guarded, next) = (true, 0);
            continue;
        }
        next += 1;
        if next == batch.len() && next < COMMANDS_MAX {
            batch.extend(more());
        }
    }
    // Read here, where it costs no transaction of its own.
    let last_event = super::rows::last_event(&transaction).ok();
    transaction.commit().map_err(classify)?;
    Ok(last_event)
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, Error> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(classify)
}

/// Runs a command so that it leaves no trace if it fails.
fn in_savepoint(transaction: &mut Transaction, command: &mut dyn Command) -> Result<Ran, Error> {
    let savepoint = transaction.savepoint().map_err(classify)?;
    let ran = command.run(&savepoint);
    if savepoint.is_autocommit() {
        return Ok(ran);
    }
    match ran {
        Ran::Well => savepoint.commit().map_err(classify)?,
        Ran::Failed => savepoint.finish().map_err(classify)?,
        Ran::OnABrokenDisk => {}
    }
    Ok(ran)
}

#[derive(Clone, Copy)]
enum Reason {
    Full,
    Busy,
    Fatal,
}

fn reason_of(error: &Error) -> Reason {
    match error {
        Error::Full => Reason::Full,
        Error::Busy => Reason::Busy,
        _ => Reason::Fatal,
    }
}

fn is_of_the_disk(error: &Error) -> bool {
    let Error::Database(error) = error else { return false };
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}

fn broken_disk() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
    rusqlite::Error::SqliteFailure(code, Some("a statement met a disk error".into()))
}

/// An error of SQLite as one of the store's.
pub fn classify(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy,
        _ => Error::Database(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    type Work = Box<dyn FnMut(&Connection) -> Result<(), Error> + Send>;

    struct Started {
        writer: Writer,
        broken: watch::Receiver<bool>,
        _folder: tempfile::TempDir,
        path: std::path::PathBuf,
    }

    fn start() -> Started {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("writer.sqlite");
        let connection = Connection::open(&path).unwrap();
        connection.busy_timeout(std::time::Duration::from_millis(50)).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.execute_batch("CREATE TABLE t (n INTEGER NOT NULL UNIQUE)").unwrap();
        let (last_event, _) = watch::channel(0);
        let (breaks, broken) = watch::channel(false);
        let (writer, _) = Writer::start(connection, last_event, breaks).unwrap();
        Started { writer, broken, _folder: folder, path }
    }

    fn insert(connection: &Connection, n: i64) -> Result<(), Error> {
        connection.execute("INSERT INTO t VALUES (?1)", [n])?;
        Ok(())
    }

    fn stored(started: &Started) -> Vec<i64> {
        let connection = Connection::open(&started.path).unwrap();
        let mut numbers = connection.prepare("SELECT n FROM t ORDER BY n").unwrap();
        numbers.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Runs these commands in one commit: the thread is held up until all are queued.
    async fn together(writer: &Writer, commands: Vec<Work>) -> Vec<Result<(), Error>> {
        let (begun, has_begun) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let holder = writer.clone();
        let held = tokio::spawn(async move {
            let hold = move |_: &Connection| {
                // Run again, after everything was rolled back, it finds nobody who waits.
                let _ = begun.send(());
                let _ = may_go.recv();
                Ok(((), None))
            };
            holder.run(hold).await
        });
        tokio::task::spawn_blocking(move || has_begun.recv()).await.unwrap().unwrap();
        let waiting: Vec<_> = commands
            .into_iter()
            .map(|mut command| {
                let (reply, answer) = oneshot::channel();
                let work = move |connection: &Connection| Ok((command(connection)?, None));
                let asked = Asked { work, found: Err(Error::Stopped), reply };
                let Commands::Queue(queue) = &writer.commands else { panic!("no thread") };
                queue.send(Box::new(asked)).unwrap();
                answer
            })
            .collect();
        drop(go);
        held.await.unwrap().unwrap();
        let mut answers = Vec::new();
        for answer in waiting {
            answers.push(answer.await.unwrap().0);
        }
        answers
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_command_that_fails_leaves_no_trace_and_the_others_commit() {
        let started = start();
        let answers = together(
            &started.writer,
            vec![
                Box::new(|db| insert(db, 1)),
                Box::new(|db| {
                    insert(db, 2)?;
                    insert(db, 3)?;
                    Err(Error::Cursor)
                }),
                Box::new(|db| insert(db, 4)),
                Box::new(|db| {
                    insert(db, 5)?;
                    insert(db, 4)
                }),
                Box::new(|_| Err(Error::Cursor)),
                Box::new(|db| insert(db, 6)),
            ],
        )
        .await;
        let failed: Vec<bool> = answers.iter().map(Result::is_err).collect();
        assert_eq!(failed, [false, true, false, true, true, false], "{answers:?}");
        assert_eq!(stored(&started), [1, 4, 6]);
        assert!(!*started.broken.borrow());
        // Alone too.
        let alone = |connection: &Connection| {
            insert(connection, 7)?;
            Err::<((), _), _>(Error::Cursor)
        };
        assert!(matches!(started.writer.run(alone).await, Err(Error::Cursor)));
        assert_eq!(stored(&started), [1, 4, 6]);
    }

    /// Bad inputs, row 75: whatever statement meets it, nothing of its commit is written, and nothing ever after.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_disk_error_in_any_statement_commits_nothing_and_is_the_end() {
        let mut started = start();
        let fails = |connection: &Connection| {
            insert(connection, 1)?;
            Err::<((), _), _>(Error::Database(broken_disk()))
        };
        assert!(matches!(started.writer.run(fails).await, Err(Error::Stopped)));
        started.broken.wait_for(|broken| *broken).await.unwrap();
        let later = started.writer.run(|db| Ok((insert(db, 2)?, None))).await;
        assert!(matches!(later, Err(Error::Stopped)), "{later:?}");
        assert_eq!(stored(&started), Vec::<i64>::new());
    }

    /// Those that wait behind a locked database hear of it when the first does, and not each after a wait of its own.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_locked_database_is_said_at_once_to_all_who_wait() {
        let started = start();
        let other = Connection::open(&started.path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let begun = std::time::Instant::now();
        let calls = (0..200).map(|n| {
            let writer = started.writer.clone();
            tokio::spawn(async move { writer.run(move |db| Ok((insert(db, n)?, None))).await })
        });
        for call in calls.collect::<Vec<_>>() {
            assert!(matches!(call.await.unwrap(), Err(Error::Busy)));
        }
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
        other.execute_batch("ROLLBACK").unwrap();
        started.writer.run(|db| Ok((insert(db, 1)?, None))).await.unwrap();
        assert_eq!(stored(&started), [1]);
    }
}
