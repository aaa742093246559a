//! The one thread that writes: it commits whatever is queued, at most [`COMMANDS_MAX`] commands at a time,
//! without waiting for more, so that callers share the cost of a sync to disk.
//!
//! Each command runs in a savepoint of its own: one that fails leaves no trace and the others commit. A
//! caller hears of success only after the commit. When a commit itself fails with an I/O error the thread
//! ends for good, because after a failed sync nobody can know what the disk holds; the process then
//! stops and recovers from disk.
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

/// Runs inside the transaction, then returns what to do once its fate is known. Without a transaction it
/// does nothing, and whoever waits hears why.
type Command = Box<dyn FnOnce(Option<&mut Transaction>) -> Finish + Send>;
type Finish = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// Commits commands: by the writing thread, or in line.
#[derive(Clone)]
pub struct Writer {
    commands: Commands,
}

#[derive(Clone)]
enum Commands {
    Queue(Sender<Command>),
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
        F: FnOnce(&Connection) -> Result<(T, Option<Commit>), Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let command: Command = Box::new(move |transaction| {
            let result = match transaction {
                Some(transaction) => in_savepoint(transaction, work),
                None => Err(Error::Stopped),
            };
            let commit = result.as_ref().ok().and_then(|(_, commit)| *commit);
            if let Some(commit) = commit {
                failpoint::hit(Point::BeforeCommit(commit));
            }
            Box::new(move |committed| {
                if let (Ok(()), Some(commit)) = (&committed, commit) {
                    failpoint::hit(Point::AfterCommit(commit));
                }
                // The caller may have given up; what was committed stays committed.
                let _ = reply.send(committed.and(result).map(|(value, _)| value));
            })
        });
        match &self.commands {
            Commands::Queue(queue) => queue.send(command).map_err(|_| Error::Stopped)?,
            Commands::InLine(committer) => {
                let mut committer = super::lock(committer);
                if *committer.broken.borrow() {
                    return Err(Error::Stopped);
                }
                committer.commit(vec![command]);
            }
        }
        answer.await.map_err(|_| Error::Stopped)?
    }
}

fn in_savepoint<T>(
    transaction: &mut Transaction,
    work: impl FnOnce(&Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    let savepoint = transaction.savepoint().map_err(classify)?;
    // A statement that finds the disk full or the database busy says so like a commit would: the caller waits and
    // tries again, and does not take it for a broken database.
    let value = work(&savepoint).map_err(|error| match error {
        Error::Database(error) => classify(error),
        other => other,
    })?;
    savepoint.commit().map_err(classify)?;
    Ok(value)
}

fn write(mut committer: Committer, commands: &Receiver<Command>) {
    while let Ok(first) = commands.recv() {
        let mut batch = vec![first];
        while batch.len() < COMMANDS_MAX
            && let Ok(next) = commands.try_recv()
        {
            batch.push(next);
        }
        committer.commit(batch);
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
    /// Runs and commits these commands together and tells each caller what became of its own.
    fn commit(&mut self, batch: Vec<Command>) {
        let mut finishes = Vec::with_capacity(batch.len());
        let committed = commit_batch(&mut self.connection, batch, &mut finishes);
        let failure = committed.as_ref().err().map(reason_of);
        if committed.is_ok()
            && let Ok(seq) = super::rows::last_event(&self.connection)
        {
            self.last_event.send_if_modified(|last| std::mem::replace(last, seq) != seq);
        }
        for finish in finishes {
            finish(match failure {
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

fn commit_batch(
    connection: &mut Connection,
    batch: Vec<Command>,
    finishes: &mut Vec<Finish>,
) -> Result<(), Error> {
    let mut transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate)
    {
        Ok(transaction) => transaction,
        Err(error) => {
            finishes.extend(batch.into_iter().map(|command| command(None)));
            return Err(classify(error));
        }
    };
    for command in batch {
        // A full disk makes SQLite roll everything back by itself; what ran after that would commit alone.
        let rolled_back = transaction.is_autocommit();
        finishes.push(command((!rolled_back).then_some(&mut transaction)));
    }
    if transaction.is_autocommit() {
        return Err(Error::Full);
    }
    transaction.commit().map_err(classify)
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

/// An error of SQLite as one of the store's.
pub fn classify(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy,
        _ => Error::Database(error),
    }
}
