//! Named places at which a debug build can be made to die, to prove that dying there loses and doubles nothing.
//!
//! There is one before and one after every commit of the store and every call to somebody else. The list is
//! closed: a place that does not exist cannot be written down, and a test can go through all of them.
//! `WAYBILL_FAILPOINT=T3.after_commit:2` kills the process with SIGKILL when it comes to that place for the
//! second time: no destructor, no flush, no answer. An unknown name ends the start and prints every name there
//! is. A simulation, in which one thread is the whole process, learns of every place by [`observe`] instead.
//! In a release build [`hit`] is empty and the variable means nothing.

use crate::store::{Applied, Recorded, Shipped, Work};
use shared::delivery::{Happening, State};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The variable that arms one point.
pub const VARIABLE: &str = "WAYBILL_FAILPOINT";

/// A transaction of the store, by what it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// T1: a new submission.
    T1,
    /// T2: an attempt that is about to begin.
    T2,
    /// T3: the platform took it.
    T3,
    /// T4: certainly not sent.
    T4,
    /// T5: refused for good.
    T5,
    /// T6: nobody knows what became of the attempt.
    T6,
    /// T6 at the start of a process, for attempts the last one left open; claims it held end, too.
    Recovery,
    /// T7: a look found it on the platform.
    T7,
    /// T8: it may be repeated.
    T8,
    /// T9: only a person can decide.
    T9,
    /// T10: a person decided.
    T10,
    /// T11: a look that ends nothing.
    T11,
    /// T12: delivered or read.
    T12,
    /// T13: the platform reported failure.
    T13,
    /// T14: the horizon passed.
    T14,
    /// T15: not sent in time.
    T15,
    /// T16: a person withdrew it.
    T16,
    /// T17: an audit batch is sealed.
    T17,
    /// T18: the sink has a batch.
    T18,
    /// A batch without entries is sealed, because nothing else was for some time.
    Heartbeat,
    /// The sink did not take a batch.
    NotShipped,
    /// Batches the sink lost are on their way again.
    ShipAgain,
    /// The sink proved that this database was rolled back, and a new stream begins.
    Forked,
    /// A person began a new stream.
    NewStream,
    /// A person had batches posted at once that waited.
    Resume,
    /// Bodies of batches are forgotten that were acknowledged long ago.
    Forget,
    /// Messages are removed that ended long ago.
    Removal,
    /// A person had a message tried again at once.
    Hurried,
    /// Messages are claimed to be sent.
    ClaimSend,
    /// Messages are claimed to expire.
    ClaimExpire,
    /// Messages are claimed to be reconciled.
    ClaimReconcile,
    /// Messages are claimed to be looked at.
    ClaimLook,
    /// Nothing could be claimed, but some turned out to wait behind another of their conversation.
    Hold,
    /// A claim is given back with nothing done.
    Release,
    /// A conversation as just read.
    Conversation,
    /// The tables are made, or brought up to date.
    Schema,
    /// New streams in a database that is being restored.
    RestoreStreams,
    /// What may have been sent since, in a database that is being restored.
    RestoreDoubt,
    /// From here on the restored database is the one in use.
    Restore,
}

impl Commit {
    const ALL: [Commit; 39] = [
        Commit::T1,
        Commit::T2,
        Commit::T3,
        Commit::T4,
        Commit::T5,
        Commit::T6,
        Commit::Recovery,
        Commit::T7,
        Commit::T8,
        Commit::T9,
        Commit::T10,
        Commit::T11,
        Commit::T12,
        Commit::T13,
        Commit::T14,
        Commit::T15,
        Commit::T16,
        Commit::T17,
        Commit::T18,
        Commit::Heartbeat,
        Commit::NotShipped,
        Commit::ShipAgain,
        Commit::Forked,
        Commit::NewStream,
        Commit::Resume,
        Commit::Forget,
        Commit::Removal,
        Commit::Hurried,
        Commit::ClaimSend,
        Commit::ClaimExpire,
        Commit::ClaimReconcile,
        Commit::ClaimLook,
        Commit::Hold,
        Commit::Release,
        Commit::Conversation,
        Commit::Schema,
        Commit::RestoreStreams,
        Commit::RestoreDoubt,
        Commit::Restore,
    ];

    fn name(self) -> &'static str {
        match self {
            Commit::T1 => "T1",
            Commit::T2 => "T2",
            Commit::T3 => "T3",
            Commit::T4 => "T4",
            Commit::T5 => "T5",
            Commit::T6 => "T6",
            Commit::Recovery => "recovery",
            Commit::T7 => "T7",
            Commit::T8 => "T8",
            Commit::T9 => "T9",
            Commit::T10 => "T10",
            Commit::T11 => "T11",
            Commit::T12 => "T12",
            Commit::T13 => "T13",
            Commit::T14 => "T14",
            Commit::T15 => "T15",
            Commit::T16 => "T16",
            Commit::T17 => "T17",
            Commit::T18 => "T18",
            Commit::Heartbeat => "heartbeat",
            Commit::NotShipped => "not_shipped",
            Commit::ShipAgain => "ship_again",
            Commit::Forked => "forked",
            Commit::NewStream => "new_stream",
            Commit::Resume => "resume",
            Commit::Forget => "forget",
            Commit::Removal => "removal",
            Commit::Hurried => "hurried",
            Commit::ClaimSend => "claim_send",
            Commit::ClaimExpire => "claim_expire",
            Commit::ClaimReconcile => "claim_reconcile",
            Commit::ClaimLook => "claim_look",
            Commit::Hold => "hold",
            Commit::Release => "release",
            Commit::Conversation => "conversation",
            Commit::Schema => "schema",
            Commit::RestoreStreams => "restore_streams",
            Commit::RestoreDoubt => "restore_doubt",
            Commit::Restore => "restore",
        }
    }

    /// Which transition a change was: the state before it, the happening, and where it led.
    pub fn of_change(before: State, happening: &Happening, applied: &Applied) -> Option<Self> {
        let Applied::Done(delivery) = applied else { return None };
        let commit = match (happening, delivery.state) {
            // What the platform said was about another message.
            (Happening::Ambiguous { .. }, _) | (Happening::Taken { .. }, State::Unknown) => {
                Commit::T6
            }
            (Happening::AttemptStarted, _) => Commit::T2,
            (Happening::Taken { .. }, _) if before == State::Unknown => Commit::T7,
            (Happening::Taken { .. }, _) => Commit::T3,
            (Happening::NotSent { .. }, State::RetryWait) | (Happening::Held { .. }, _) => {
                Commit::T4
            }
            (Happening::NotSent { .. } | Happening::Refused { .. }, _) => Commit::T5,
            (Happening::MayRepeat | Happening::Absent | Happening::LookFailed, State::Parked)
            | (Happening::CannotTell { .. }, _) => Commit::T9,
            (Happening::MayRepeat | Happening::Absent, _) => Commit::T8,
            (Happening::Decided { .. }, _) => Commit::T10,
            (Happening::Observed(_), State::Delivered | State::Read) => Commit::T12,
            (Happening::Observed(_), State::Failed) => Commit::T13,
            (
                Happening::Observed(_) | Happening::LookFailed | Happening::LookPostponed { .. },
                _,
            ) => Commit::T11,
            (Happening::HorizonPassed, _) => Commit::T14,
            (Happening::DeadlinePassed, _) => Commit::T15,
            (Happening::Cancelled, _) => Commit::T16,
            (Happening::Hurried, _) => Commit::Hurried,
        };
        Some(commit)
    }

    /// What became of a batch that was posted: the sink's answer and what it brought about.
    pub fn of_shipping(outcome: &Shipped, recorded: &Recorded) -> Option<Self> {
        Some(match (recorded, outcome) {
            (Recorded::Stale, _) => return None,
            (Recorded::ShippingAgain { .. }, _) => Commit::ShipAgain,
            (Recorded::Replaced(_), _) => Commit::Forked,
            (Recorded::Done, Shipped::Acknowledged) => Commit::T18,
            (Recorded::Done | Recorded::NotHeld, _) => Commit::NotShipped,
        })
    }

    /// The claiming of this work.
    pub fn of_claim(work: Work) -> Self {
        match work {
            Work::Send => Commit::ClaimSend,
            Work::Expire => Commit::ClaimExpire,
            Work::Reconcile => Commit::ClaimReconcile,
            Work::Look => Commit::ClaimLook,
        }
    }
}

/// A call to somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// The platform's token endpoint.
    Token,
    /// The read of a conversation before a send.
    Read,
    /// The POST of a message.
    Send,
    /// The read of a conversation for receipts.
    Look,
    /// The read of a conversation for a message that may be in it.
    Search,
    /// The POST of a batch to the sink.
    Ship,
}

impl Call {
    const ALL: [Call; 6] =
        [Call::Token, Call::Read, Call::Send, Call::Look, Call::Search, Call::Ship];

    fn name(self) -> &'static str {
        match self {
            Call::Token => "token",
            Call::Read => "read",
            Call::Send => "send",
            Call::Look => "look",
            Call::Search => "search",
            Call::Ship => "ship",
        }
    }
}

/// A place at which the process can be made to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Everything is written in the transaction, which is not committed yet.
    BeforeCommit(Commit),
    /// It is on disk, and nobody has been told.
    AfterCommit(Commit),
    /// No byte has gone out yet.
    BeforeRequest(Call),
    /// The whole answer, or the reason why there is none, is here and nowhere else.
    AfterAnswer(Call),
}

impl Point {
    /// Every point there is.
    pub fn all() -> impl Iterator<Item = Self> {
        let commits = Commit::ALL.into_iter();
        let calls = Call::ALL.into_iter();
        commits
            .flat_map(|one| [Point::BeforeCommit(one), Point::AfterCommit(one)])
            .chain(calls.flat_map(|one| [Point::BeforeRequest(one), Point::AfterAnswer(one)]))
    }

    /// The name, as the variable gives it.
    pub fn name(self) -> String {
        let (of, place) = match self {
            Point::BeforeCommit(commit) => (commit.name(), "before_commit"),
            Point::AfterCommit(commit) => (commit.name(), "after_commit"),
            Point::BeforeRequest(call) => (call.name(), "before_request"),
            Point::AfterAnswer(call) => (call.name(), "after_answer"),
        };
        format!("{of}.{place}")
    }
}

struct Armed {
    point: Point,
    /// The hits that are still survived.
    spared: AtomicU32,
}

/// One for the process, because it is the process that dies.
static ARMED: OnceLock<Armed> = OnceLock::new();

/// Arms the point the environment names, if it names one. The error says which points there are.
pub fn arm(environment: &[(String, String)]) -> Result<(), String> {
    let named = environment.iter().find(|(name, _)| name == VARIABLE);
    let (true, Some((_, text))) = (cfg!(debug_assertions), named) else { return Ok(()) };
    let (point, spared) = parse(text).ok_or_else(|| {
        let names: Vec<String> = Point::all().map(Point::name).collect();
        format!(
            "{VARIABLE}={text}: not NAME or NAME:HIT, where NAME is one of\n{}",
            names.join("\n")
        )
    })?;
    // Set once, at the start; whatever was armed before stays.
    let _ = ARMED.set(Armed { point, spared: AtomicU32::new(spared) });
    Ok(())
}

fn parse(text: &str) -> Option<(Point, u32)> {
    let (name, hit) = text.split_once(':').unwrap_or((text, "1"));
    let point = Point::all().find(|point| point.name() == name)?;
    Some((point, hit.parse::<u32>().ok()?.checked_sub(1)?))
}

/// Is told where a thread has come to, and ends the simulated process there by unwinding.
pub type Observer = Rc<dyn Fn(Point)>;

thread_local! {
    static OBSERVER: RefCell<Option<Observer>> = const { RefCell::new(None) };
}

/// Tells `observer` of every place this thread comes to from now on; `None` ends that.
pub fn observe(observer: Option<Observer>) {
    OBSERVER.with(|current| *current.borrow_mut() = observer);
}

/// Marks a place. The process ends here if the place is armed and its hit has come.
#[inline]
pub fn hit(point: Point) {
    if !cfg!(debug_assertions) {
        return;
    }
    if let Ok(Some(observer)) = OBSERVER.try_with(|observer| observer.borrow().clone()) {
        observer(point);
    }
    if let Some(armed) = ARMED.get()
        && armed.point == point
        && armed
            .spared
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |spared| spared.checked_sub(1))
            .is_err()
    {
        die(point);
    }
}

/// Ends the process as `kill -9` does.
fn die(point: Point) -> ! {
    eprintln!("waybill: fail point {}", point.name());
    #[cfg(unix)]
    {
        use rustix::process::{Signal, getpid, kill_process};
        let _ = kill_process(getpid(), Signal::KILL);
    }
    // Where there is no such signal, and for the moment until it arrives.
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_point_has_a_name_of_its_own_and_is_found_by_it() {
        let all: Vec<Point> = Point::all().collect();
        let names: BTreeSet<String> = all.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), all.len());
        for point in all {
            assert_eq!(parse(&point.name()), Some((point, 0)));
            assert_eq!(parse(&format!("{}:3", point.name())), Some((point, 2)));
        }
    }

    #[test]
    fn what_names_no_point_is_refused_with_the_list() {
        for text in ["", "T3", "T19.after_commit", "T3.after_commit:0", "T3.after_commit:x"] {
            assert_eq!(parse(text), None, "{text}");
        }
        let environment = [(VARIABLE.to_owned(), "?".to_owned())];
        assert!(arm(&environment).unwrap_err().contains("\nship.after_answer"));
        assert_eq!(arm(&[]), Ok(()));
    }
}
