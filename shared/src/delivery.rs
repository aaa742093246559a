//! The delivery state machine: (delivery, happening, now) → (delivery, what follows), and nothing else
//! decides what state a message is in.
//!
//! The store calls [`step`] inside the transaction that reads and writes the row, so a state, its history
//! and its audit entry can never disagree. Everything is a value: time, jitter and policy come in, the new
//! [`Delivery`] and the [`Step`] go out. A happening that does not fit the state is a [`Refused`], which the
//! caller treats as "somebody else was faster", never as permission to send again.

use crate::id::PlatformId;
use crate::sla::{self, Judgement};
use crate::time::Timestamp;
use crate::wait;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Where a message is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum State {
    /// Stored, not yet sent.
    Accepted,
    /// A POST is on its way.
    Sending,
    /// The platform took it; no receipt yet.
    Submitted,
    /// It reached the recipient.
    Delivered,
    /// The recipient read it.
    Read,
    /// Not sent for certain; will be tried again.
    RetryWait,
    /// Nobody knows yet whether the platform took it.
    Unknown,
    /// Only a person can decide what to do.
    Parked,
    /// The platform or the rules refused it.
    Rejected,
    /// The platform reported that it could not be delivered.
    Failed,
    /// No receipt came within the horizon.
    Undelivered,
    /// Its time to be sent passed.
    Expired,
    /// A person withdrew it before it was sent.
    Cancelled,
}

impl State {
    /// Every state, in the order of the glossary.
    pub const ALL: [State; 13] = [
        State::Accepted,
        State::Sending,
        State::Submitted,
        State::Delivered,
        State::Read,
        State::RetryWait,
        State::Unknown,
        State::Parked,
        State::Rejected,
        State::Failed,
        State::Undelivered,
        State::Expired,
        State::Cancelled,
    ];

    /// The word on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Accepted => "accepted",
            State::Sending => "sending",
            State::Submitted => "submitted",
            State::Delivered => "delivered",
            State::Read => "read",
            State::RetryWait => "retry_wait",
            State::Unknown => "unknown",
            State::Parked => "parked",
            State::Rejected => "rejected",
            State::Failed => "failed",
            State::Undelivered => "undelivered",
            State::Expired => "expired",
            State::Cancelled => "cancelled",
        }
    }

    /// The state a word names.
    pub fn parse(word: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// The one of the four figures this state counts in.
    pub fn group(self) -> Group {
        match self {
            State::Accepted
            | State::Sending
            | State::Submitted
            | State::RetryWait
            | State::Unknown => Group::InFlight,
            State::Delivered | State::Read => Group::Delivered,
            State::Parked => Group::NeedsDecision,
            State::Rejected | State::Failed | State::Undelivered | State::Expired => Group::Failed,
            State::Cancelled => Group::Cancelled,
        }
    }

    /// True while a later message of the same conversation must wait for this one.
    pub fn holds_conversation(self) -> bool {
        matches!(self, State::Accepted | State::RetryWait | State::Sending | State::Unknown)
    }
}

/// What the headline figures count; every state is in exactly one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Group {
    /// On its way, one way or another.
    InFlight,
    /// Reached the recipient, read or not.
    Delivered,
    /// Ended without reaching the recipient.
    Failed,
    /// Waits for a person.
    NeedsDecision,
    /// Withdrawn by a person; counted apart.
    Cancelled,
}

/// How far the platform says it got; the order is the rank, which only rises.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PlatformStatus {
    /// Accepted by the platform.
    Queued,
    /// Handed to the carrier.
    Sent,
    /// Reached the recipient's device.
    Delivered,
    /// Read by the recipient.
    Read,
}

/// Why a message is where it is: a stable code and a sentence.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reason {
    /// Stable name, for programs and the table of failure reasons.
    pub code: String,
    /// One sentence for a person; never a body, a credential or an address.
    pub text: String,
}

impl Reason {
    /// A reason from its two parts.
    pub fn new(code: &str, text: impl Into<String>) -> Self {
        Self { code: code.to_owned(), text: text.into() }
    }
}

/// What is known of an attempt whose outcome is unknown, on a platform that forgets keys: it is looked for
/// among the conversation's messages before anything else is done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Search {
    /// Since when the outcome is unknown.
    pub since: Timestamp,
    /// Looks that did not find it.
    pub absent: u32,
    /// When the first of them was made.
    pub first_absent_at: Option<Timestamp>,
    /// Messages on the platform that may be it and cannot be told apart from it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<PlatformId>,
}

/// The part of a message that the state machine owns. Times are the proxy's clock unless named otherwise. What is
/// not known is left out of its JSON: most of a young message's is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Delivery {
    /// Where the message is.
    pub state: State,
    /// The highest status the platform reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_status: Option<PlatformStatus>,
    /// Why it is there, where that is not plain from the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// POSTs begun so far.
    pub attempts: u32,
    /// Looks made since it was submitted.
    pub looks: u32,
    /// When something is to be done next; `None` when nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// When the submission was stored.
    pub accepted_at: Timestamp,
    /// Not to be sent before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Given up if not sent by this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When the first attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_attempt_at: Option<Timestamp>,
    /// When the latest attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_at: Option<Timestamp>,
    /// True from the first attempt whose outcome stayed unknown until the platform names the message: it may
    /// have it, so nothing that claims it was not sent can become of it.
    #[serde(default)]
    pub maybe_taken: bool,
    /// True once the platform showed that it had the message before the last attempt began.
    #[serde(default)]
    pub recognised: bool,
    /// What looking for an attempt of unknown outcome has shown so far; kept when it is parked, as evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
    /// When the platform's yes arrived here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<Timestamp>,
    /// When it was last looked at on the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_at: Option<Timestamp>,
    /// When a delivered or read receipt was first seen here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_seen_at: Option<Timestamp>,
    /// When it ended; moves when a late receipt ends it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The platform's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_id: Option<PlatformId>,
    /// The platform's own word for its status, as last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_word: Option<String>,
    /// Platform clock: when the platform created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_created_at: Option<Timestamp>,
    /// Platform clock: when it was delivered, or read if no delivered time was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_delivered_at: Option<Timestamp>,
    /// Platform clock: when it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_read_at: Option<Timestamp>,
    /// The SLA threshold in force when it was accepted, in milliseconds.
    pub threshold_ms: u64,
    /// True once it was ended as undelivered: a receipt after that no longer meets the SLA.
    pub horizon_passed: bool,
    /// False on a channel that never reports receipts: its verdict is `unknown`.
    pub receipts_expected: bool,
    /// Attempts that do not count towards the limit: the platform refused the whole connection in them and
    /// not this message.
    #[serde(default)]
    pub attempts_held: u32,
    /// Milliseconds since the first attempt in which it waited for others (the budget, a pause, a platform
    /// that could not be reached) and not for its own next attempt. They do not count towards the time in
    /// which it may be tried again.
    #[serde(default)]
    pub held_ms: u64,
}

impl Delivery {
    /// T1: a message just accepted.
    pub fn accepted(
        now: Timestamp,
        not_before: Option<Timestamp>,
        expires_at: Option<Timestamp>,
        threshold_ms: u64,
        receipts_expected: bool,
    ) -> Self {
        Self {
            state: State::Accepted,
            platform_status: None,
            reason: None,
            attempts: 0,
            looks: 0,
            due_at: Some(not_before.map_or(now, |at| at.max(now))),
            accepted_at: now,
            not_before,
            expires_at,
            first_attempt_at: None,
            attempt_at: None,
            maybe_taken: false,
            recognised: false,
            search: None,
            submitted_at: None,
            looked_at: None,
            delivery_seen_at: None,
            ended_at: None,
            platform_id: None,
            platform_word: None,
            platform_created_at: None,
            platform_delivered_at: None,
            platform_read_at: None,
            threshold_ms,
            horizon_passed: false,
            receipts_expected,
            attempts_held: 0,
            held_ms: 0,
        }
    }

    /// Whether its payload may be sent once more as a new message: only when this one has ended, and only with
    /// an explicit word where the recipient has it, or may have it, already.
    pub fn may_resend(&self, even_if_delivered: bool) -> Result<(), NoResend> {
        match self.state {
            State::Rejected | State::Failed | State::Expired | State::Cancelled => Ok(()),
            State::Delivered | State::Read | State::Undelivered if even_if_delivered => Ok(()),
            State::Delivered | State::Read | State::Undelivered => Err(NoResend::MayHaveArrived),
            State::Accepted
            | State::Sending
            | State::Submitted
            | State::RetryWait
            | State::Unknown
            | State::Parked => Err(NoResend::NotEnded),
        }
    }

    /// The verdict this record supports; see [`sla::judge`].
    pub fn judgement(&self) -> Judgement {
        sla::judge(self, self.threshold_ms)
    }
}

/// Why a message's payload may not be sent once more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoResend {
    /// It is still on its way, or waits for a decision.
    NotEnded,
    /// The recipient has it or may have it, and nobody said that a second one is wanted.
    MayHaveArrived,
}

/// What a platform said about a message in an answer or a look.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Receipt {
    /// The highest status reported; `None` where the platform's word is not one of ours.
    pub status: Option<PlatformStatus>,
    /// The platform's own word for it: one short line.
    pub word: Option<String>,
    /// Platform clock: created.
    pub created_at: Option<Timestamp>,
    /// How long before this report it was created, both by the platform's clock.
    pub age: Option<Duration>,
    /// Platform clock: delivered.
    pub delivered_at: Option<Timestamp>,
    /// Platform clock: read.
    pub read_at: Option<Timestamp>,
    /// Set when the platform reports that delivery failed.
    pub failure: Option<Reason>,
}

/// What happened to a message.
#[derive(Clone, PartialEq, Debug)]
pub enum Happening {
    /// T2: a POST is about to begin.
    AttemptStarted,
    /// T3, T7: the platform took it under this id.
    Taken {
        /// The platform's name for the message.
        platform_id: PlatformId,
        /// What the answer said about its status.
        receipt: Receipt,
        /// True when the platform had it already before it was asked this time: by its own clock, or because
        /// a look found it.
        was_there: bool,
    },
    /// T4: certainly not sent; `wait` is what the platform asked for, if it did.
    NotSent {
        /// Why.
        reason: Reason,
        /// The stated wait, if any.
        wait: Option<Duration>,
    },
    /// T4: certainly not sent, and for no fault of its own: everything on its connection waits. Neither this
    /// attempt nor the wait counts against it.
    Held {
        /// Why; `None` keeps the reason it has.
        reason: Option<Reason>,
        /// How long it waits at least.
        wait: Duration,
    },
    /// T5: refused for good, by the platform or by the rules before the POST.
    Refused {
        /// Why.
        reason: Reason,
    },
    /// T6: nobody knows whether it was taken.
    Ambiguous {
        /// What was seen instead of an answer.
        reason: Reason,
    },
    /// T8: it may be sent again, because the platform recognises the key.
    MayRepeat,
    /// A look for an attempt of unknown outcome did not find it.
    Absent,
    /// T9: a look found messages that may be it, and nobody but a person can tell.
    CannotTell {
        /// Which.
        candidates: Vec<PlatformId>,
    },
    /// T11–T13: a look or a push brought this.
    Observed(Receipt),
    /// A look that could not be made; the next one is planned.
    LookFailed,
    /// A look that is not made now, because the platform cannot be asked: made later, and not counted.
    LookPostponed {
        /// How long it waits.
        wait: Duration,
    },
    /// T14: the delivery horizon passed.
    HorizonPassed,
    /// T15: its `expires_at` passed.
    DeadlinePassed,
    /// T16: a person withdrew it.
    Cancelled,
    /// A person wants the planned attempt to happen now.
    Hurried,
    /// T10: a person decided about a message nobody else can settle.
    Decided {
        /// What is to become of it.
        choice: Choice,
        /// Why, in the person's words.
        why: String,
    },
}

/// What a person may decide about a parked message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "choice", rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Choice {
    /// Send it again. The recipient may get it twice.
    Resend,
    /// The platform has it under this id: follow that.
    Found {
        /// The platform's name for it.
        platform_id: PlatformId,
    },
    /// It did not get through; end it as failed.
    GiveUp,
}

/// What a platform does with a second POST of the same key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dedup {
    /// It answers with the first message, so asking again is safe and is the answer.
    Key,
    /// It takes a second message, so an attempt of unknown outcome is looked for before anything else.
    None,
}

/// What becomes of an attempt that was looked for and not found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnAmbiguous {
    /// A person decides.
    Park,
    /// It is sent again. One that turns visible after the last look is then doubled.
    Resend,
}

/// Looks that must not find it before it counts as absent.
pub const ABSENT_LOOKS: u32 = 3;
/// The least time between the first and the last of them.
pub const ABSENT_SPAN: Duration = Duration::from_secs(60);
/// How long looks may be impossible before a person has to decide.
pub const LOOKS_IMPOSSIBLE_FOR: Duration = Duration::from_secs(15 * 60);

/// How a connection treats what it cannot know; part of its configuration.
#[derive(Clone, PartialEq, Debug)]
pub struct Policy {
    /// What the platform does with a repeated key.
    pub dedup: Dedup,
    /// What becomes of an attempt that cannot be found, where the platform forgets keys.
    pub on_ambiguous: OnAmbiguous,
    /// Attempts after which no further one is made.
    pub attempts_max: u32,
    /// Time after the first attempt in which it may be tried again.
    pub retry_window: Duration,
    /// Time after submission in which receipts are looked for.
    pub horizon: Duration,
    /// Time from submission to the first look: what delivery on this channel usually takes.
    pub first_look: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            dedup: Dedup::Key,
            on_ambiguous: OnAmbiguous::Park,
            attempts_max: 12,
            retry_window: Duration::from_secs(15 * 60),
            horizon: Duration::from_secs(24 * 60 * 60),
            first_look: wait::FIRST_LOOK,
        }
    }
}

/// What one happening brought about; the store writes all of it in one transaction.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// The delivery afterwards.
    pub delivery: Delivery,
    /// The history line, or `None` where nothing happened that anyone would want to read.
    pub event: Option<EventKind>,
    /// What the history line says beside the delivery's own reason.
    pub note: Option<Reason>,
    /// Set when the message ended in a way the auditors must hear of.
    pub ending: Option<Ending>,
    /// Set when sending once more without asking would have reached the recipient twice.
    pub duplicate_prevented: bool,
}

/// The kinds of event in a message's history.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EventKind {
    /// Stored by the proxy.
    Accepted,
    /// A POST began.
    AttemptStarted,
    /// The platform took it.
    Submitted,
    /// The platform turned out to have taken it before: sending it blindly again would have doubled it.
    Found,
    /// The platform reported something that changes nothing.
    Noted,
    /// A person had its payload sent once more, as a new message.
    Resent,
    /// Certainly not sent; another attempt is planned.
    RetryPlanned,
    /// The outcome of the attempt is not known.
    OutcomeUnknown,
    /// The same key and bytes go again, which the platform recognises.
    RepeatPlanned,
    /// A person has to decide.
    Parked,
    /// A person decided.
    Decided,
    /// A person wants the next attempt now.
    Hurried,
    /// Refused for good.
    Rejected,
    /// The platform handed it on.
    Sent,
    /// A look after the threshold found it still undelivered.
    Late,
    /// A delivered receipt.
    Delivered,
    /// A read receipt.
    Read,
    /// A failed receipt.
    Failed,
    /// The horizon passed without a receipt.
    Undelivered,
    /// Not sent before its deadline.
    Expired,
    /// Withdrawn.
    Cancelled,
}

impl EventKind {
    /// The word on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::Accepted => "accepted",
            EventKind::AttemptStarted => "attempt_started",
            EventKind::Submitted => "submitted",
            EventKind::Found => "found",
            EventKind::Noted => "noted",
            EventKind::Resent => "resent",
            EventKind::RetryPlanned => "retry_planned",
            EventKind::OutcomeUnknown => "outcome_unknown",
            EventKind::RepeatPlanned => "repeat_planned",
            EventKind::Parked => "parked",
            EventKind::Decided => "decided",
            EventKind::Hurried => "hurried",
            EventKind::Rejected => "rejected",
            EventKind::Sent => "sent",
            EventKind::Late => "late",
            EventKind::Delivered => "delivered",
            EventKind::Read => "read",
            EventKind::Failed => "failed",
            EventKind::Undelivered => "undelivered",
            EventKind::Expired => "expired",
            EventKind::Cancelled => "cancelled",
        }
    }
}

/// How a message ended, as its audit entry names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Ending {
    /// Reached the recipient.
    Delivered,
    /// The platform reported failure.
    Failed,
    /// No receipt within the horizon.
    Undelivered,
    /// Refused.
    Rejected,
    /// Not sent in time.
    Expired,
    /// Withdrawn.
    Cancelled,
}

impl Ending {
    /// The word in the audit entry's `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Ending::Delivered => "delivered",
            Ending::Failed => "failed",
            Ending::Undelivered => "undelivered",
            Ending::Rejected => "rejected",
            Ending::Expired => "expired",
            Ending::Cancelled => "cancelled",
        }
    }
}

/// The happening does not fit the state, so nothing changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a message that is {} cannot take this step", .state.as_str())]
pub struct Refused {
    /// The state that refused it.
    pub state: State,
}

/// Applies one happening. `jitter` is a fresh number in 0..1 that spreads timers; see [`wait`].
pub fn step(
    delivery: &Delivery,
    happening: &Happening,
    policy: &Policy,
    now: Timestamp,
    jitter: f64,
) -> Result<Step, Refused> {
    use State::*;
    let refused = Refused { state: delivery.state };
    let mut next = delivery.clone();
    let mut note = None;
    let mut duplicate_prevented = false;
    let (event, ending) = match (delivery.state, happening) {
        (Accepted | RetryWait, Happening::AttemptStarted) => {
            note_held(&mut next, now);
            next.state = Sending;
            next.attempts += 1;
            next.first_attempt_at = next.first_attempt_at.or(Some(now));
            next.attempt_at = Some(now);
            next.search = None;
            next.due_at = None;
            next.reason = None;
            (Some(EventKind::AttemptStarted), None)
        }
        (Sending | Unknown, Happening::Taken { platform_id, receipt, was_there }) => {
            // An attempt before this one had got through although its outcome was not known.
            duplicate_prevented = *was_there && (delivery.state == Unknown || next.attempts > 1);
            next.recognised = duplicate_prevented;
            next.state = Submitted;
            next.maybe_taken = false;
            next.search = None;
            next.reason = None;
            next.platform_id = Some(platform_id.clone());
            next.submitted_at = Some(now);
            next.platform_status = Some(PlatformStatus::Queued);
            let seen = observe(&mut next, receipt, policy, now, jitter);
            if next.state == Submitted {
                next.looks = 0;
                plan_first_look(&mut next, policy, now, jitter);
            }
            let event = if duplicate_prevented { EventKind::Found } else { EventKind::Submitted };
            (Some(event), seen.ending)
        }
        // From `sending` an attempt failed; before that the conversation could not be read.
        (Accepted | RetryWait | Sending, Happening::NotSent { reason, wait }) => {
            note_held(&mut next, now);
            next.reason = Some(reason.clone());
            plan_retry(&mut next, *wait, policy, now, jitter)
        }
        (Accepted | RetryWait | Sending, Happening::Held { reason, wait }) => {
            note_held(&mut next, now);
            if next.first_attempt_at.is_some() {
                next.held_ms = next.held_ms.saturating_add(ms(*wait));
            }
            next.attempts_held += u32::from(delivery.state == Sending);
            let code = |of: &Option<Reason>| of.as_ref().map(|one| one.code.clone());
            let is_news = delivery.state == Sending
                || reason.is_some() && code(reason) != code(&delivery.reason);
            next.reason = reason.clone().or(next.reason);
            next.state = RetryWait;
            next.due_at = Some(now.plus(*wait));
            (is_news.then_some(EventKind::RetryPlanned), None)
        }
        (Accepted | RetryWait | Sending, Happening::Refused { reason }) if next.maybe_taken => {
            // This attempt was refused; the one before may have got through.
            park(&mut next, reason.clone())
        }
        (Accepted | RetryWait | Sending, Happening::Refused { reason }) => {
            next.reason = Some(reason.clone());
            end(&mut next, Rejected, now, EventKind::Rejected, Ending::Rejected)
        }
        (Sending, Happening::Ambiguous { reason }) => {
            next.state = Unknown;
            next.maybe_taken = true;
            next.reason = Some(reason.clone());
            next.search = Some(Search {
                since: now,
                absent: 0,
                first_absent_at: None,
                candidates: Vec::new(),
            });
            next.due_at = Some(now);
            (Some(EventKind::OutcomeUnknown), None)
        }
        (Unknown, Happening::MayRepeat) => {
            if retries_left(&next, policy, now) {
                let delay = repeat_delay(&next, jitter);
                plan_repeat(&mut next, now.plus(delay));
                (Some(EventKind::RepeatPlanned), None)
            } else {
                // It may or may not have been taken, and the window in which asking again is safe is over.
                next.state = Parked;
                next.due_at = None;
                (Some(EventKind::Parked), None)
            }
        }
        (Unknown, Happening::Absent) => absent(&mut next, policy, now, jitter),
        (Unknown, Happening::CannotTell { candidates }) => {
            let many = candidates.len() != 1;
            let text = if many {
                "The platform has several new messages in this conversation that may be this one."
            } else {
                "The platform has a new message in this conversation that may be this one."
            };
            search(&mut next, now).candidates.clone_from(candidates);
            park(&mut next, Reason::new("candidates", text))
        }
        (Unknown, Happening::LookFailed) => {
            let since = search(&mut next, now).since;
            if reached(since, now, LOOKS_IMPOSSIBLE_FOR) {
                let text = "The conversation could not be read for 15 minutes.";
                park(&mut next, Reason::new("looks_impossible", text))
            } else {
                next.due_at = Some(now.plus(wait::back_off(5, jitter)));
                (None, None)
            }
        }
        (Submitted | Undelivered | Delivered, Happening::Observed(receipt)) => {
            let mut seen = observe(&mut next, receipt, policy, now, jitter);
            if !next.recognised && is_older_than_attempt(&next, receipt, now) {
                next.recognised = true;
                duplicate_prevented = true;
                let text =
                    "The platform had it before the last attempt, and recognised the repeat.";
                seen.event = seen.event.or(Some(EventKind::Found));
                seen.note = Some(Reason::new("recognised", text));
            }
            note = seen.note;
            (seen.event, seen.ending)
        }
        (Submitted, Happening::LookFailed) => {
            plan_look(&mut next, policy, now, jitter);
            (None, None)
        }
        (Submitted | Delivered, Happening::LookPostponed { wait }) => {
            let later = now.plus(*wait);
            next.due_at = Some(horizon_of(&next, policy, now).map_or(later, |end| later.min(end)));
            (None, None)
        }
        (Delivered, Happening::LookFailed) => {
            next.due_at = read_look(&mut next, now, jitter);
            (None, None)
        }
        (Submitted, Happening::HorizonPassed) => {
            next.reason =
                Some(Reason::new("no_receipt", "The platform reported no receipt in time."));
            next.horizon_passed = true;
            end(&mut next, Undelivered, now, EventKind::Undelivered, Ending::Undelivered)
        }
        (RetryWait, Happening::DeadlinePassed) if next.maybe_taken => {
            let text = "The time to send it passed while nobody knows whether it was sent.";
            park(&mut next, Reason::new("send_deadline", text))
        }
        (Accepted | RetryWait, Happening::DeadlinePassed) => {
            let text = "It could not be sent before the time it was to be given up.";
            next.reason = next.reason.or(Some(Reason::new("send_deadline", text)));
            end(&mut next, Expired, now, EventKind::Expired, Ending::Expired)
        }
        (Accepted | RetryWait, Happening::Cancelled) if !next.maybe_taken => {
            next.reason = None;
            end(&mut next, State::Cancelled, now, EventKind::Cancelled, Ending::Cancelled)
        }
        (RetryWait, Happening::Hurried) => {
            next.due_at = Some(now);
            (Some(EventKind::Hurried), None)
        }
        (Parked, Happening::Decided { choice, why }) => {
            next.reason = Some(Reason::new("decided", why.as_str()));
            decide(&mut next, choice, policy, now, jitter)
        }
        _ => return Err(refused),
    };
    Ok(Step { delivery: next, event, note, ending, duplicate_prevented })
}

/// The first repeat goes at once, later ones back off.
fn repeat_delay(next: &Delivery, jitter: f64) -> Duration {
    match next.attempts.saturating_sub(1) {
        0 => Duration::ZERO,
        repeats => wait::back_off(repeats, jitter),
    }
}

/// It goes again, but never before the time it was planned for: what a restore doubts may not have been sent yet. That
/// wait uses up no time of its own.
fn plan_repeat(next: &mut Delivery, at: Timestamp) {
    let due = next.not_before.map_or(at, |planned| planned.max(at));
    next.held_ms = next.held_ms.saturating_add(u64::try_from(due.ms_since(at)).unwrap_or(0));
    next.state = State::RetryWait;
    next.due_at = Some(due);
}

/// What looking has shown; a record from before there was looking starts now.
fn search(next: &mut Delivery, now: Timestamp) -> &mut Search {
    next.search.get_or_insert(Search {
        since: now,
        absent: 0,
        first_absent_at: None,
        candidates: Vec::new(),
    })
}

fn reached(since: Timestamp, now: Timestamp, span: Duration) -> bool {
    now >= since.plus(span)
}

fn park(next: &mut Delivery, reason: Reason) -> (Option<EventKind>, Option<Ending>) {
    next.state = State::Parked;
    next.reason = Some(reason);
    next.due_at = None;
    (Some(EventKind::Parked), None)
}

/// A look did not find the attempt. Enough of them, far enough apart, mean that it is not there; T8 or T9.
fn absent(
    next: &mut Delivery,
    policy: &Policy,
    now: Timestamp,
    jitter: f64,
) -> (Option<EventKind>, Option<Ending>) {
    let search = search(next, now);
    search.absent += 1;
    let (looks, first) = (search.absent, *search.first_absent_at.get_or_insert(now));
    if looks < ABSENT_LOOKS || !reached(first, now, ABSENT_SPAN) {
        next.due_at = Some(now.plus(wait::search_delay(looks, jitter)));
        return (None, None);
    }
    if policy.on_ambiguous == OnAmbiguous::Resend && retries_left(next, policy, now) {
        plan_repeat(next, now.plus(repeat_delay(next, jitter)));
        return (Some(EventKind::RepeatPlanned), None);
    }
    let text = format!("{looks} looks within {} s did not find it.", now.ms_since(first) / 1000);
    park(next, Reason::new("not_found", text))
}

fn decide(
    next: &mut Delivery,
    choice: &Choice,
    policy: &Policy,
    now: Timestamp,
    jitter: f64,
) -> (Option<EventKind>, Option<Ending>) {
    match choice {
        Choice::Resend => {
            // The person starts a new series of attempts.
            next.attempts = 0;
            next.attempts_held = 0;
            next.held_ms = 0;
            next.first_attempt_at = None;
            next.search = None;
            plan_repeat(next, now);
            (Some(EventKind::Decided), None)
        }
        Choice::Found { platform_id } => {
            next.state = State::Submitted;
            next.maybe_taken = false;
            next.search = None;
            next.platform_id = Some(platform_id.clone());
            next.submitted_at = Some(now);
            next.platform_status = Some(PlatformStatus::Queued);
            plan_first_look(next, policy, now, jitter);
            (Some(EventKind::Decided), None)
        }
        Choice::GiveUp => end(next, State::Failed, now, EventKind::Decided, Ending::Failed),
    }
}

fn end(
    next: &mut Delivery,
    state: State,
    now: Timestamp,
    event: EventKind,
    ending: Ending,
) -> (Option<EventKind>, Option<Ending>) {
    next.state = state;
    next.ended_at = Some(now);
    next.due_at = None;
    (Some(event), Some(ending))
}

fn retries_left(delivery: &Delivery, policy: &Policy, now: Timestamp) -> bool {
    let window_ms = ms(policy.retry_window).saturating_add(delivery.held_ms);
    let window_ms = i64::try_from(window_ms).unwrap_or(i64::MAX);
    delivery.attempts.saturating_sub(delivery.attempts_held) < policy.attempts_max
        && delivery.first_attempt_at.is_none_or(|first| now.ms_since(first) <= window_ms)
}

/// Once a first attempt was made: what has passed since the next one was due is a wait for others.
fn note_held(next: &mut Delivery, now: Timestamp) {
    if let (Some(_), Some(due)) = (next.first_attempt_at, next.due_at) {
        let overdue = u64::try_from(now.ms_since(due)).unwrap_or(0);
        next.held_ms = next.held_ms.saturating_add(overdue);
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn plan_retry(
    next: &mut Delivery,
    stated: Option<Duration>,
    policy: &Policy,
    now: Timestamp,
    jitter: f64,
) -> (Option<EventKind>, Option<Ending>) {
    if !retries_left(next, policy, now) {
        if next.maybe_taken {
            next.state = State::Parked;
            next.due_at = None;
            return (Some(EventKind::Parked), None);
        }
        // Every attempt of this message is known not to have been sent, so ending it loses nothing.
        return end(next, State::Rejected, now, EventKind::Rejected, Ending::Rejected);
    }
    let delay = match stated {
        Some(stated) => wait::after_stated(stated, jitter),
        None => wait::back_off(next.attempts, jitter),
    };
    next.state = State::RetryWait;
    next.due_at = Some(now.plus(delay));
    (Some(EventKind::RetryPlanned), None)
}

/// The first look: when delivery on this channel has usually happened.
fn plan_first_look(next: &mut Delivery, policy: &Policy, now: Timestamp, jitter: f64) {
    plan_look_at(next, now.plus(wait::first_look_delay(policy.first_look, jitter)), policy, now);
}

/// When to look next: the usual gap.
fn plan_look(next: &mut Delivery, policy: &Policy, now: Timestamp, jitter: f64) {
    next.looks += 1;
    plan_look_at(next, now.plus(wait::look_delay(next.looks, jitter)), policy, now);
}

/// Never later than just past the SLA deadline or the horizon.
fn plan_look_at(next: &mut Delivery, usual: Timestamp, policy: &Policy, now: Timestamp) {
    let deadline = next
        .submitted_at
        .map(|at| at.plus(Duration::from_millis(next.threshold_ms)))
        .filter(|deadline| *deadline > now);
    let bounds = [deadline, horizon_of(next, policy, now)];
    next.due_at = Some(bounds.into_iter().flatten().fold(usual, Timestamp::min));
}

/// When receipts are no longer looked for, while that is still to come.
fn horizon_of(delivery: &Delivery, policy: &Policy, now: Timestamp) -> Option<Timestamp> {
    delivery.submitted_at.map(|at| at.plus(policy.horizon)).filter(|end| *end > now)
}

/// Whether a report shows that the message was made before its last attempt began: it is older, by the
/// platform's clock, than that attempt is by ours. Stamps may be of whole seconds, so less than that is not
/// claimed.
fn is_older_than_attempt(delivery: &Delivery, receipt: &Receipt, now: Timestamp) -> bool {
    const COARSE: Duration = Duration::from_secs(2);
    let (Some(age), Some(began)) = (receipt.age, delivery.attempt_at) else { return false };
    let since = Duration::from_millis(u64::try_from(now.ms_since(began)).unwrap_or(0));
    delivery.attempts > 1 && age > since + COARSE
}

/// What a receipt brought about.
#[derive(Default)]
struct Seen {
    event: Option<EventKind>,
    note: Option<Reason>,
    ending: Option<Ending>,
}

impl Seen {
    fn event(event: EventKind, ending: Option<Ending>) -> Self {
        Self { event: Some(event), note: None, ending }
    }
}

/// Takes in a receipt: ranks only rise, failure ends, delivery ends once, and the rest is history.
fn observe(
    next: &mut Delivery,
    receipt: &Receipt,
    policy: &Policy,
    now: Timestamp,
    jitter: f64,
) -> Seen {
    let before = next.clone();
    next.looked_at = Some(now);
    next.platform_created_at = next.platform_created_at.or(receipt.created_at);
    if receipt.word.is_some() {
        next.platform_word.clone_from(&receipt.word);
    }
    let was_ended_by_delivery = before.state == State::Delivered;
    let rank = receipt.status.max(before.platform_status);

    if let Some(reason) = &receipt.failure
        && before.state == State::Submitted
        && rank < Some(PlatformStatus::Delivered)
    {
        next.reason = Some(reason.clone());
        let (event, ending) = end(next, State::Failed, now, EventKind::Failed, Ending::Failed);
        return Seen { event, ending, note: None };
    }

    next.platform_status = rank;
    if rank >= Some(PlatformStatus::Delivered) {
        // `read` implies delivered no later than that, so the earlier of the two known times counts.
        let delivered = [receipt.delivered_at, receipt.read_at].into_iter().flatten().min();
        next.platform_delivered_at = next.platform_delivered_at.or(delivered);
        next.platform_read_at = next.platform_read_at.or(receipt.read_at);
        next.delivery_seen_at = next.delivery_seen_at.or(Some(now));
        next.reason = None;
        let read = rank == Some(PlatformStatus::Read);
        next.state = if read { State::Read } else { State::Delivered };
        next.due_at = if read { None } else { read_look(next, now, jitter) };
        if was_ended_by_delivery {
            return if read {
                Seen::event(EventKind::Read, None)
            } else {
                noted(&before, receipt).unwrap_or_default()
            };
        }
        next.ended_at = Some(now);
        let event = if read { EventKind::Read } else { EventKind::Delivered };
        return Seen::event(event, Some(Ending::Delivered));
    }

    if before.state == State::Submitted {
        plan_look(next, policy, now, jitter);
        if rank > before.platform_status {
            return Seen::event(EventKind::Sent, None);
        }
        if sla::is_late(next) && !sla::is_late(&before) {
            return Seen::event(EventKind::Late, None);
        }
    }
    noted(&before, receipt).unwrap_or_default()
}

/// A report that changes nothing is written down once: a lower status than before, a failure of what was
/// delivered, or a word that is none of ours.
fn noted(before: &Delivery, receipt: &Receipt) -> Option<Seen> {
    let word = receipt.word.as_ref()?;
    let is_news = before.platform_word.as_ref() != Some(word);
    let changes_nothing = receipt.failure.is_some() || receipt.status < before.platform_status;
    (is_news && changes_nothing).then(|| Seen {
        event: Some(EventKind::Noted),
        note: Some(Reason::new(
            "status_noted",
            format!("The platform now reports \"{word}\", which changes nothing."),
        )),
        ending: None,
    })
}

/// When to look for the read receipt of a delivered message.
fn read_look(next: &mut Delivery, now: Timestamp, jitter: f64) -> Option<Timestamp> {
    next.looks += 1;
    let seen = next.delivery_seen_at?;
    // A clock that was set back must not make this moment look like the first, again and again.
    let since = Duration::from_millis(now.ms_since(seen).unsigned_abs());
    wait::read_look_delay(since, jitter).map(|delay| now.plus(delay))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sla::{Cause, Verdict};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(1_795_341_600_000 + seconds * 1000)
    }

    fn accepted() -> Delivery {
        Delivery::accepted(at(0), None, None, 10_000, true)
    }

    fn apply(delivery: &Delivery, happening: &Happening, now: Timestamp) -> Step {
        step(delivery, happening, &Policy::default(), now, 0.0).unwrap()
    }

    fn after(delivery: &Delivery, happenings: &[(Happening, i64)]) -> Delivery {
        happenings.iter().fold(delivery.clone(), |delivery, (happening, seconds)| {
            apply(&delivery, happening, at(*seconds)).delivery
        })
    }

    fn taken() -> Happening {
        let receipt = Receipt { status: Some(PlatformStatus::Queued), ..Receipt::default() };
        Happening::Taken {
            platform_id: PlatformId::parse("p-1").unwrap(),
            receipt,
            was_there: false,
        }
    }

    fn ambiguous() -> Happening {
        Happening::Ambiguous { reason: Reason::new("no_answer", "no answer") }
    }

    fn observed(status: PlatformStatus, created: i64, delivered: Option<i64>) -> Happening {
        Happening::Observed(Receipt {
            status: Some(status),
            created_at: Some(at(created)),
            delivered_at: delivered.map(at),
            ..Receipt::default()
        })
    }

    fn failed() -> Happening {
        Happening::Observed(Receipt {
            failure: Some(Reason::new("not_in_service", "Number not in service")),
            ..Receipt::default()
        })
    }

    #[test]
    fn the_usual_way_ends_delivered_once_and_read_without_a_second_ending() {
        let submitted = after(&accepted(), &[(Happening::AttemptStarted, 1), (taken(), 2)]);
        assert_eq!(submitted.state, State::Submitted);
        assert!(submitted.due_at.is_some());
        let step = apply(&submitted, &observed(PlatformStatus::Delivered, 2, Some(4)), at(5));
        assert_eq!(
            (step.event, step.ending),
            (Some(EventKind::Delivered), Some(Ending::Delivered))
        );
        assert_eq!(step.delivery.judgement().verdict, Verdict::Met);
        assert_eq!(step.delivery.judgement().elapsed_ms, Some(2_000));
        let step = apply(&step.delivery, &observed(PlatformStatus::Read, 2, Some(4)), at(9));
        assert_eq!((step.event, step.ending), (Some(EventKind::Read), None));
        assert_eq!((step.delivery.state, step.delivery.due_at), (State::Read, None));
    }

    #[test]
    fn an_answer_that_says_delivered_already_is_a_success() {
        let sending = after(&accepted(), &[(Happening::AttemptStarted, 1)]);
        let receipt = Receipt { status: Some(PlatformStatus::Delivered), ..Receipt::default() };
        let platform_id = PlatformId::parse("p-1").unwrap();
        let step =
            apply(&sending, &Happening::Taken { platform_id, receipt, was_there: false }, at(2));
        assert_eq!(step.delivery.state, State::Delivered);
        assert_eq!(step.ending, Some(Ending::Delivered));
    }

    #[test]
    fn ranks_only_rise() {
        let sent = after(
            &accepted(),
            &[
                (Happening::AttemptStarted, 1),
                (taken(), 2),
                (observed(PlatformStatus::Sent, 2, None), 3),
            ],
        );
        assert_eq!(sent.platform_status, Some(PlatformStatus::Sent));
        let step = apply(&sent, &observed(PlatformStatus::Queued, 2, None), at(4));
        assert_eq!(step.delivery.platform_status, Some(PlatformStatus::Sent));
        assert_eq!(step.event, None);
    }

    #[test]
    fn an_unknown_outcome_is_repeated_at_once_then_with_back_off_and_finally_parked() {
        let mut delivery = accepted();
        for attempt in 1..=12 {
            delivery =
                after(&delivery, &[(Happening::AttemptStarted, attempt), (ambiguous(), attempt)]);
            assert_eq!(delivery.state, State::Unknown);
            let step = apply(&delivery, &Happening::MayRepeat, at(attempt));
            delivery = step.delivery;
            match attempt {
                1 => assert_eq!(delivery.due_at, Some(at(1))),
                12 => assert_eq!((delivery.state, delivery.due_at), (State::Parked, None)),
                _ => assert!(delivery.due_at > Some(at(attempt)), "attempt {attempt}"),
            }
        }
        assert_eq!(delivery.judgement().cause, Cause::Parked);
    }

    #[test]
    fn what_was_never_sent_waits_as_asked_and_is_given_up_after_the_window() {
        let sending = after(&accepted(), &[(Happening::AttemptStarted, 1)]);
        let reason = Reason::new("rate_limited", "too many");
        let not_sent = Happening::NotSent { reason, wait: Some(Duration::from_secs(7)) };
        let step = apply(&sending, &not_sent, at(2));
        assert_eq!(step.delivery.state, State::RetryWait);
        assert!(step.delivery.due_at >= Some(at(9)));
        // Attempts that start when they are planned, for a quarter of an hour.
        let mut waiting = step.delivery;
        while let Some(due) = waiting.due_at.filter(|due| *due < at(900)) {
            let sending = apply(&waiting, &Happening::AttemptStarted, due).delivery;
            waiting = apply(&sending, &not_sent, due).delivery;
            waiting.attempts = 1;
        }
        let due = waiting.due_at.unwrap();
        let late = apply(&waiting, &Happening::AttemptStarted, due).delivery;
        let step = apply(&late, &not_sent, due.max(at(902)));
        assert_eq!((step.delivery.state, step.ending), (State::Rejected, Some(Ending::Rejected)));
    }

    #[test]
    fn waiting_for_others_uses_up_neither_attempts_nor_time() {
        let policy = Policy { attempts_max: 2, ..Policy::default() };
        let apply = |delivery: &Delivery, happening: &Happening, seconds| -> Step {
            step(delivery, happening, &policy, at(seconds), 0.0).unwrap()
        };
        let reason = || Reason::new("paused", "paused");
        let held = Happening::Held { reason: Some(reason()), wait: Duration::ZERO };
        let mut delivery = accepted();
        for round in 0..5 {
            delivery = apply(&delivery, &Happening::AttemptStarted, round * 3600).delivery;
            let step = apply(&delivery, &held, round * 3600 + 1);
            assert_eq!(step.event, Some(EventKind::RetryPlanned));
            delivery = step.delivery;
        }
        assert_eq!((delivery.state, delivery.attempts), (State::RetryWait, 5));
        assert_eq!(apply(&delivery, &held, 20_000).event, None, "the same again is no news");
        // Five hours later it has both attempts of its own, and a quarter of an hour for them.
        let not_sent = Happening::NotSent { reason: reason(), wait: None };
        let own = apply(&delivery, &Happening::AttemptStarted, 20_000).delivery;
        let step = apply(&own, &not_sent, 20_001);
        assert_eq!(step.delivery.state, State::RetryWait);
        let own = apply(&step.delivery, &Happening::AttemptStarted, 30_000).delivery;
        assert_eq!(apply(&own, &not_sent, 30_001).delivery.state, State::Rejected);
    }

    #[test]
    fn a_late_start_of_an_attempt_does_not_use_up_the_window() {
        let reason = Reason::new("r", "r");
        let not_sent = Happening::NotSent { reason, wait: Some(Duration::from_secs(10)) };
        let waiting = after(&accepted(), &[(Happening::AttemptStarted, 1), (not_sent.clone(), 2)]);
        let late = after(&waiting, &[(Happening::AttemptStarted, 5_000)]);
        assert_eq!(apply(&late, &not_sent, at(5_001)).delivery.state, State::RetryWait);
    }

    #[test]
    fn no_look_is_planned_past_the_horizon_and_a_postponed_one_is_not_counted() {
        let policy = Policy { horizon: Duration::from_secs(20), ..Policy::default() };
        let submitted = after(&accepted(), &[(Happening::AttemptStarted, 1), (taken(), 2)]);
        let waits = Happening::LookPostponed { wait: Duration::from_secs(300) };
        let step = step(&submitted, &waits, &policy, at(5), 0.5).unwrap();
        assert_eq!(step.delivery.due_at, Some(at(22)));
        assert_eq!((step.delivery.looks, step.event), (submitted.looks, None));
    }

    #[test]
    fn a_failed_receipt_ends_it_but_never_what_was_delivered() {
        let submitted = after(&accepted(), &[(Happening::AttemptStarted, 1), (taken(), 2)]);
        let step = apply(&submitted, &failed(), at(3));
        assert_eq!((step.delivery.state, step.ending), (State::Failed, Some(Ending::Failed)));
        assert_eq!(step.delivery.judgement().cause, Cause::Failed);
        let delivered = after(&submitted, &[(observed(PlatformStatus::Delivered, 2, Some(3)), 4)]);
        assert_eq!(apply(&delivered, &failed(), at(5)).delivery.state, State::Delivered);
    }

    #[test]
    fn after_the_horizon_a_receipt_is_recorded_but_the_verdict_stays() {
        let undelivered = after(
            &accepted(),
            &[(Happening::AttemptStarted, 1), (taken(), 2), (Happening::HorizonPassed, 90_000)],
        );
        assert_eq!(undelivered.judgement().cause, Cause::Undelivered);
        let step =
            apply(&undelivered, &observed(PlatformStatus::Delivered, 2, Some(3)), at(90_001));
        assert_eq!((step.delivery.state, step.ending), (State::Delivered, Some(Ending::Delivered)));
        assert_eq!(step.delivery.judgement().verdict, Verdict::Breached);
    }

    #[test]
    fn it_is_late_only_once_a_look_after_the_deadline_showed_it() {
        let submitted = after(&accepted(), &[(Happening::AttemptStarted, 1), (taken(), 2)]);
        let early = apply(&submitted, &observed(PlatformStatus::Queued, 2, None), at(3)).delivery;
        assert_eq!(early.judgement().verdict, Verdict::Pending);
        assert!(early.due_at <= Some(at(12)), "no look is planned later than the deadline");
        let step = apply(&early, &observed(PlatformStatus::Queued, 2, None), at(12));
        assert_eq!(step.event, Some(EventKind::Late));
        assert_eq!(step.delivery.judgement().cause, Cause::Late);
    }

    #[test]
    fn nothing_is_cancelled_or_expired_once_an_attempt_is_open_or_unknown() {
        let sending = after(&accepted(), &[(Happening::AttemptStarted, 1)]);
        let unknown = after(&sending, &[(ambiguous(), 2)]);
        for delivery in [&sending, &unknown] {
            for happening in [Happening::Cancelled, Happening::DeadlinePassed] {
                assert!(step(delivery, &happening, &Policy::default(), at(3), 0.0).is_err());
            }
        }
        let waiting = accepted();
        assert_eq!(apply(&waiting, &Happening::Cancelled, at(1)).ending, Some(Ending::Cancelled));
        assert_eq!(
            apply(&waiting, &Happening::DeadlinePassed, at(1)).ending,
            Some(Ending::Expired)
        );
    }

    #[test]
    fn a_person_settles_what_nobody_else_can_and_says_why() {
        let parked = Delivery { state: State::Parked, attempts: 12, ..accepted() };
        let decided = |choice| {
            let why = "Asked the customer.".to_owned();
            apply(&parked, &Happening::Decided { choice, why }, at(9))
        };
        let resend = decided(Choice::Resend);
        assert_eq!(
            (resend.delivery.state, resend.delivery.due_at),
            (State::RetryWait, Some(at(9)))
        );
        assert_eq!(resend.delivery.reason.unwrap().text, "Asked the customer.");
        let found = decided(Choice::Found { platform_id: PlatformId::parse("p-9").unwrap() });
        assert_eq!(found.delivery.state, State::Submitted);
        let given_up = decided(Choice::GiveUp);
        assert_eq!(
            (given_up.delivery.state, given_up.ending),
            (State::Failed, Some(Ending::Failed))
        );
        let again = Happening::Decided { choice: Choice::Resend, why: String::new() };
        assert!(step(&given_up.delivery, &again, &Policy::default(), at(9), 0.0).is_err());
    }

    fn forgetful(on_ambiguous: OnAmbiguous) -> Policy {
        Policy { dedup: Dedup::None, on_ambiguous, ..Policy::default() }
    }

    fn unknown() -> Delivery {
        after(&accepted(), &[(Happening::AttemptStarted, 1), (ambiguous(), 2)])
    }

    /// Applies `happening` whenever a look is due until the state changes; the moments of the looks.
    fn looks(policy: &Policy, happening: &Happening) -> (Delivery, Vec<Timestamp>) {
        let (mut delivery, mut moments) = (unknown(), Vec::new());
        while delivery.state == State::Unknown {
            let now = delivery.due_at.unwrap();
            moments.push(now);
            delivery = step(&delivery, happening, policy, now, 0.5).unwrap().delivery;
        }
        (delivery, moments)
    }

    #[test]
    fn what_three_looks_over_a_minute_do_not_find_is_parked_or_sent_again_as_the_settings_say() {
        let (parked, moments) = looks(&forgetful(OnAmbiguous::Park), &Happening::Absent);
        assert_eq!((parked.state, moments.len()), (State::Parked, 3));
        assert!(moments[2].ms_since(moments[0]) >= 60_000);
        assert!(parked.reason.unwrap().text.starts_with("3 looks within 6"));
        let (again, _) = looks(&forgetful(OnAmbiguous::Resend), &Happening::Absent);
        assert_eq!(again.state, State::RetryWait);
        assert!(again.maybe_taken, "it may still turn up");
    }

    #[test]
    fn what_was_planned_is_not_repeated_before_its_time() {
        let planned = Delivery { not_before: Some(at(90_000)), ..unknown() };
        let step = apply(&planned, &Happening::MayRepeat, at(3));
        assert_eq!(
            (step.delivery.state, step.delivery.due_at),
            (State::RetryWait, Some(at(90_000)))
        );
        // That wait was nobody's fault: a quarter of an hour for its attempts is left.
        let own = apply(&step.delivery, &Happening::AttemptStarted, at(90_000)).delivery;
        let reason = Reason::new("r", "r");
        let again = apply(&own, &Happening::NotSent { reason, wait: None }, at(90_001));
        assert_eq!(again.delivery.state, State::RetryWait);
        let parked = Delivery { state: State::Parked, ..planned };
        let resend = Happening::Decided { choice: Choice::Resend, why: "w".into() };
        assert_eq!(apply(&parked, &resend, at(3)).delivery.due_at, Some(at(90_000)));
        assert_eq!(apply(&parked, &resend, at(90_001)).delivery.due_at, Some(at(90_001)));
    }

    #[test]
    fn what_cannot_be_looked_up_for_a_quarter_of_an_hour_is_parked() {
        let (parked, moments) = looks(&forgetful(OnAmbiguous::Resend), &Happening::LookFailed);
        assert_eq!(parked.state, State::Parked);
        assert_eq!(parked.reason.unwrap().code, "looks_impossible");
        let span = moments.last().unwrap().ms_since(at(2));
        assert!((900_000..960_000).contains(&span), "{span}");
    }

    #[test]
    fn what_a_look_finds_is_adopted_and_counts_as_a_duplicate_prevented() {
        let platform_id = PlatformId::parse("p-1").unwrap();
        let candidates = vec![platform_id.clone()];
        let found = Happening::Taken { platform_id, receipt: Receipt::default(), was_there: true };
        let step = apply(&unknown(), &found, at(3));
        assert_eq!((step.delivery.state, step.event), (State::Submitted, Some(EventKind::Found)));
        assert!(step.duplicate_prevented && !step.delivery.maybe_taken);
        let step =
            apply(&unknown(), &Happening::CannotTell { candidates: candidates.clone() }, at(3));
        assert_eq!(step.delivery.state, State::Parked);
        assert_eq!(step.delivery.search.unwrap().candidates, candidates);
    }

    #[test]
    fn a_message_older_than_its_last_attempt_is_a_duplicate_prevented_once() {
        let again = after(
            &unknown(),
            &[(Happening::MayRepeat, 12), (Happening::AttemptStarted, 12), (taken(), 13)],
        );
        let seen = |age| {
            Happening::Observed(Receipt {
                status: Some(PlatformStatus::Queued),
                age: Some(Duration::from_secs(age)),
                ..Receipt::default()
            })
        };
        // The last attempt began at 12: three seconds ago.
        assert!(!apply(&again, &seen(5), at(15)).duplicate_prevented);
        let step = apply(&again, &seen(14), at(15));
        assert_eq!(
            (step.event, step.note.unwrap().code.as_str()),
            (Some(EventKind::Found), "recognised")
        );
        assert!(step.duplicate_prevented);
        assert!(!apply(&step.delivery, &seen(15), at(16)).duplicate_prevented);
    }

    #[test]
    fn what_may_have_been_taken_is_never_called_not_sent() {
        let again =
            Delivery { attempts: 12, ..apply(&unknown(), &Happening::MayRepeat, at(3)).delivery };
        let policy = Policy::default();
        assert!(step(&again, &Happening::Cancelled, &policy, at(4), 0.0).is_err());
        let refused = Happening::Refused { reason: Reason::new("http_404", "gone") };
        let not_sent = Happening::NotSent { reason: Reason::new("busy", "busy"), wait: None };
        for happening in [Happening::DeadlinePassed, refused, not_sent] {
            let step = apply(&again, &happening, at(4));
            assert_eq!((step.delivery.state, step.ending), (State::Parked, None), "{happening:?}");
        }
    }

    #[test]
    fn a_report_that_changes_nothing_is_written_down_once() {
        let said = |word: &str, status| {
            Happening::Observed(Receipt { status, word: Some(word.into()), ..Receipt::default() })
        };
        let submitted = after(
            &accepted(),
            &[
                (Happening::AttemptStarted, 1),
                (taken(), 2),
                (said("sent", Some(PlatformStatus::Sent)), 3),
            ],
        );
        for (word, status) in [("queued", Some(PlatformStatus::Queued)), ("removed", None)] {
            let first = apply(&submitted, &said(word, status), at(4));
            assert_eq!(first.event, Some(EventKind::Noted));
            assert!(first.note.unwrap().text.contains(word));
            assert_eq!(first.delivery.platform_status, Some(PlatformStatus::Sent));
            let again = apply(&first.delivery, &said(word, status), at(5));
            assert_eq!(again.event, None);
        }
    }

    #[test]
    fn only_what_has_ended_is_sent_once_more_and_what_may_have_arrived_only_on_request() {
        for state in State::ALL {
            let delivery = Delivery { state, ..accepted() };
            let asked = delivery.may_resend(true).is_ok();
            let ended =
                matches!(state.group(), Group::Failed | Group::Delivered | Group::Cancelled);
            assert_eq!(asked, ended, "{state:?}");
            let may_have_arrived =
                matches!(state, State::Delivered | State::Read | State::Undelivered);
            assert_eq!(delivery.may_resend(false).is_ok(), ended && !may_have_arrived);
        }
    }

    /// Every pair of state and happening: nothing panics, an ended message is never sent again, and whatever
    /// ends has a time and no further attempt.
    #[test]
    fn no_happening_revives_what_has_ended() {
        let happenings = [
            Happening::AttemptStarted,
            taken(),
            ambiguous(),
            failed(),
            observed(PlatformStatus::Delivered, 2, Some(3)),
            Happening::NotSent { reason: Reason::new("r", "r"), wait: None },
            Happening::Refused { reason: Reason::new("r", "r") },
            Happening::MayRepeat,
            Happening::Absent,
            Happening::CannotTell { candidates: Vec::new() },
            Happening::LookFailed,
            Happening::LookPostponed { wait: Duration::from_secs(30) },
            Happening::Held { reason: None, wait: Duration::ZERO },
            Happening::HorizonPassed,
            Happening::DeadlinePassed,
            Happening::Cancelled,
            Happening::Hurried,
            Happening::Decided { choice: Choice::Resend, why: "w".into() },
            Happening::Decided { choice: Choice::GiveUp, why: "w".into() },
        ];
        for state in State::ALL {
            let delivery = Delivery { state, ended_at: Some(at(5)), ..accepted() };
            for happening in &happenings {
                let Ok(step) = step(&delivery, happening, &Policy::default(), at(6), 0.5) else {
                    continue;
                };
                let ended =
                    matches!(state.group(), Group::Failed | Group::Delivered | Group::Cancelled);
                let next = step.delivery.state;
                if ended {
                    let still = next == state || next.group() == Group::Delivered;
                    assert!(still, "{state:?} {happening:?}");
                }
                if step.ending.is_some() {
                    assert!(step.delivery.ended_at.is_some());
                    assert!(!step.delivery.state.holds_conversation());
                }
            }
        }
    }
}
