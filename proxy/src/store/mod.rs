//! What must survive: submissions, messages, their history, and the audit.
//!
//! [`Store`] speaks in sentences of the domain and each method is one transaction, so whoever calls it never
//! sees half of anything. It is object-safe, because the proxy is one binary with the database chosen at
//! start. Every change of a message goes through [`Store::apply`], which runs the shared state machine inside
//! the transaction: row, event and audit entry are written together or not at all.

pub mod sqlite;

use async_trait::async_trait;
use shared::api::{
    Actor, AuditBatch, LiveEvent, Message, MessageCounts, MessageDetail, Page, Submission,
    SubmissionAccepted,
};
use shared::channel::Channel;
use shared::conversation::Conversation;
use shared::delivery::{Delivery, Happening, NoResend, Policy, State};
use shared::id::{ConnectionName, ConversationId, Key, MessageId, PlatformId, SubmissionId};
use shared::payload::Payload;
use shared::sla::Verdict;
use shared::time::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::watch;

/// Most messages that [`Store::standing`] counts.
pub const STANDING_MAX: u32 = 100_000;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk is full; nothing was written.
    #[error("the disk is full")]
    Full,
    /// The database has taken its share of the quota; nothing new is accepted.
    #[error("the database has {used} of the {quota} bytes it may take")]
    Quota {
        /// Bytes in use.
        used: u64,
        /// Bytes it may take.
        quota: u64,
    },
    /// The database cannot be used now; nothing was written.
    #[error("the database is busy")]
    Busy,
    /// The store has stopped, or its last write failed in a way that makes going on unsafe.
    #[error("the store has stopped")]
    Stopped,
    /// A cursor that this store did not make.
    #[error("the cursor is not one of this list")]
    Cursor,
    /// The database answered with an error of its own.
    #[error("the database failed: {0}")]
    Database(#[from] rusqlite::Error),
    /// A stored value that cannot be read back.
    #[error("a stored {what} cannot be read: {detail}")]
    Corrupt {
        /// What was being read.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

/// A submission about to be stored.
#[derive(Debug, Clone)]
pub struct NewSubmission {
    /// Who posted it; keys are unique per owner.
    pub owner: String,
    /// Its identity.
    pub key: Key,
    /// SHA-256 of the canonical request.
    pub fingerprint: [u8; 32],
    /// The identifier it gets if it is new.
    pub id: SubmissionId,
    /// The identifier its message gets if it is new.
    pub message_id: MessageId,
    /// Through which connection.
    pub connection: ConnectionName,
    /// Into which conversation.
    pub conversation_id: ConversationId,
    /// The conversation's channel as far as it is known.
    pub channel: Channel,
    /// What is to be said.
    pub payload: Payload,
    /// The message's first state.
    pub delivery: Delivery,
    /// The ended message whose payload this is, when a person sends it once more.
    pub resend: Option<Resend>,
    /// Refuse it while this many audit entries of the connection, or more, wait for the sink.
    pub audit_backlog_max: Option<u64>,
}

/// A person's wish to send an ended message's payload once more.
#[derive(Debug, Clone)]
pub struct Resend {
    /// The message that ended.
    pub original: MessageId,
    /// Why, in the person's words.
    pub why: String,
    /// Also when the recipient has it, or may have it.
    pub even_if_delivered: bool,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq)]
pub enum Accepted {
    /// Stored now.
    New(SubmissionAccepted),
    /// The same key and request were stored before: the answer given then.
    Repeated(SubmissionAccepted),
    /// The key was used before for another request.
    KeyMismatch,
    /// Nothing was stored: the message it repeats may not be sent once more now.
    NoResend {
        /// The state it is in.
        state: State,
        /// Why not.
        why: NoResend,
    },
    /// Nothing was stored: too many audit entries wait for the sink.
    AuditBacklog {
        /// How many.
        waiting: u64,
    },
}

/// Which work a worker asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Messages to send: at most the head of each conversation.
    Send,
    /// Messages not sent by the time they were to be given up.
    Expire,
    /// Messages whose outcome is unknown, and attempts whose claim ran out.
    Reconcile,
    /// Messages to look at, with all others of the same conversations that are being followed.
    Look,
}

/// A message that one worker alone may work on until its lease ends.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The message.
    pub message_id: MessageId,
    /// Rises with every claim; a change from an older one is refused.
    pub epoch: u64,
    /// Through which connection.
    pub connection: ConnectionName,
    /// In which conversation.
    pub conversation_id: ConversationId,
    /// The submission's key.
    pub key: Key,
    /// The exact request body; empty unless the work is [`Work::Send`] or [`Work::Reconcile`].
    pub body: bytes::Bytes,
    /// Its state when it was claimed.
    pub delivery: Delivery,
}

/// One step of one message.
#[derive(Debug, Clone)]
pub struct Change {
    /// The message.
    pub message_id: MessageId,
    /// The claim that allows it; `None` for what a person does.
    pub epoch: Option<u64>,
    /// What happened.
    pub happening: Happening,
    /// Who made it happen.
    pub actor: Actor,
    /// The connection's policy.
    pub policy: Policy,
    /// A fresh number in 0..1.
    pub jitter: f64,
    /// Keep the claim for a further step; otherwise it ends with this one.
    pub keep_claim: bool,
    /// The channel, when reading the conversation has just taught it.
    pub channel: Option<Channel>,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Applied {
    /// It was made; the delivery afterwards.
    Done(Box<Delivery>),
    /// The state, or a newer claim, does not allow it; nothing changed.
    Refused {
        /// The state that refused it.
        state: State,
    },
    /// The platform id a person named belongs to another message.
    IdBound,
    /// There is no such message.
    Missing,
}

/// Which messages a list shows.
#[derive(Debug, Clone, Default)]
pub struct MessageFilter {
    /// Text in sender, recipients or first line.
    pub text: Option<String>,
    /// Any of these states; empty for all.
    pub states: Vec<State>,
    /// Any of these verdicts; empty for all.
    pub verdicts: Vec<Verdict>,
    /// Only those that a blind repeat would have doubled.
    pub duplicate_prevented: bool,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// Items on the page.
    pub limit: u32,
}

/// Signs what is sealed. The store calls it inside the sealing transaction, so it must be quick.
pub trait Signer: Send + Sync {
    /// The id of the key in use.
    fn key_id(&self) -> &str;
    /// Lower-case hex HMAC of `bytes`.
    fn sign(&self, bytes: &[u8]) -> String;
}

/// When a batch is due although it is not full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealWhen {
    /// Its oldest entry was made at or before this moment.
    OldestAt(Timestamp),
    /// Now, however few entries there are: the process is stopping.
    Now,
    /// As a heartbeat, without entries: none wait, the sink has every batch, and the last one was sealed at
    /// or before this moment.
    IdleSince(Timestamp),
}

/// A batch on its way to the sink.
#[derive(Debug, Clone)]
pub struct ShippableBatch {
    /// Names the batch in this store; rises in the order of sealing, over all streams.
    pub position: u64,
    /// Stream, sequence and signatures.
    pub batch: AuditBatch,
    /// The previous batch's chain value.
    pub previous: String,
    /// The exact body.
    pub body: bytes::Bytes,
}

/// What the sink did with a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shipped {
    /// It has it.
    Acknowledged,
    /// It may take it later.
    Later {
        /// What went wrong.
        problem: String,
        /// When to try again.
        next_at: Timestamp,
        /// It refused the batch, rather than being unreachable.
        stalled: bool,
    },
    /// It is gone for good; nothing is posted until a person resumes.
    Gone {
        /// What it said.
        problem: String,
    },
    /// It lacks batches it had acknowledged: it holds the stream up to `last_sequence` only.
    Behind {
        /// The last one it holds, at least two before this batch.
        last_sequence: u64,
        /// When to post the first missing one.
        next_at: Timestamp,
        /// When to try again if the missing ones are not held here any more.
        stalled_until: Timestamp,
    },
    /// It holds other batches of this stream than this database does, which was therefore rolled back.
    Forked {
        /// What it said.
        problem: String,
    },
}

/// What recording an answer of the sink brought about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// What was asked for.
    Done,
    /// The batch is no longer on its way; nothing changed.
    Stale,
    /// The batches from this sequence are on their way again.
    ShippingAgain {
        /// The first of them.
        from: u64,
    },
    /// The sink lacks batches that are not held here any more; the stream is stalled.
    NotHeld,
    /// Another stream took the place of this one.
    Replaced(NewStream),
}

/// A stream that took the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStream {
    /// The one that ended.
    pub old: String,
    /// The one in use from now on.
    pub stream: String,
    /// Batches of the old one the sink never acknowledged; their entries are sealed again in the new one.
    pub batches_replaced: u64,
}

/// How the sends and looks of one connection stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Messages that wait to be sent and are not scheduled for later; counted up to [`STANDING_MAX`].
    pub to_send: u64,
    /// When the look that is overdue longest was due; `None` when none is.
    pub look_due_since: Option<Timestamp>,
}

/// A delivery of the past: how long the platform took from creating a message to delivering it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastDelivery {
    /// Through which connection.
    pub connection: ConnectionName,
    /// On which channel.
    pub channel: Channel,
    /// By the platform's clock.
    pub latency: Duration,
}

/// How much is waiting, for metrics and readiness.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Messages by state.
    pub messages: Vec<(State, u64)>,
    /// Audit entries not sealed yet.
    pub entries_unsealed: u64,
    /// Sealed batches not acknowledged yet.
    pub batches_waiting: u64,
    /// Batches the sink refuses.
    pub batches_stalled: u64,
    /// Batches that wait for a person, because the sink is gone.
    pub batches_stopped: u64,
    /// Audit entries the sink has not acknowledged, sealed or not, by connection.
    pub entries_waiting: Vec<(ConnectionName, u64)>,
    /// Streams that took the place of another: rolled-back databases found, and restores.
    pub streams_replaced: u64,
}

/// The durable record. See the module's text.
#[async_trait]
pub trait Store: Send + Sync {
    /// Stores a submission with its message, or finds what its key was used for.
    async fn accept_submission(&self, new: NewSubmission) -> Result<Accepted, Error>;
    /// The answer that was given to a request stored under this key; `None` if there is none, or another one.
    async fn find_accepted(
        &self,
        owner: String,
        key: Key,
        fingerprint: [u8; 32],
    ) -> Result<Option<SubmissionAccepted>, Error>;
    /// A submission with its messages.
    async fn find_submission(&self, id: SubmissionId) -> Result<Option<Submission>, Error>;
    /// Messages, newest first.
    async fn list_messages(&self, filter: MessageFilter) -> Result<Page<Message>, Error>;
    /// The headline figures.
    async fn count_messages(&self) -> Result<MessageCounts, Error>;
    /// One message with its history and audit.
    async fn find_message(&self, id: MessageId) -> Result<Option<MessageDetail>, Error>;
    /// These messages, as many of them as there are, in the order of `ids`.
    async fn find_messages(&self, ids: Vec<MessageId>) -> Result<Vec<Message>, Error>;
    /// What became of at most `limit` messages accepted in a period, oldest first; `after` is the last one of the
    /// page before. An identifier begins with the time of acceptance, so it gives the order too.
    async fn deliveries_accepted(
        &self,
        from: Timestamp,
        to: Timestamp,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<(MessageId, Delivery)>, Error>;
    /// Removes at most `limit` messages that ended before `ended_before`, with their history and payloads, when
    /// nothing more is to be done for them and their audit entries are acknowledged; where there is no sink, in the
    /// connections `unshipped`, sealed ones are enough. Their keys are remembered. Returns how many.
    async fn remove_ended_messages(
        &self,
        ended_before: Timestamp,
        unshipped: Vec<ConnectionName>,
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, Error>;
    /// When a message was removed, if it was there once.
    async fn find_removed(&self, id: MessageId) -> Result<Option<Timestamp>, Error>;

    /// Claims due work for this process until `lease_until`, but none that goes through the connections in
    /// `except`: nothing can be done for them now, and they must hold nobody up.
    async fn claim(
        &self,
        work: Work,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
        except: Vec<ConnectionName>,
    ) -> Result<Vec<Claim>, Error>;
    /// Messages of a conversation whose time for receipts is over, the latest ones first, at most `limit`, each with
    /// the platform's name for it. A late receipt still counts for them, where somebody reads the conversation anyway.
    async fn undelivered_in(
        &self,
        connection: ConnectionName,
        conversation_id: ConversationId,
        limit: u32,
    ) -> Result<Vec<(MessageId, PlatformId)>, Error>;
    /// Which of these platform ids belong to a message already.
    async fn platform_ids_bound(
        &self,
        connection: ConnectionName,
        ids: Vec<PlatformId>,
    ) -> Result<BTreeSet<PlatformId>, Error>;
    /// Gives a claim back with nothing done.
    async fn release(&self, message_id: MessageId, epoch: u64) -> Result<(), Error>;
    /// Runs one step of the state machine and writes everything it brings about.
    async fn apply(&self, change: Change, now: Timestamp) -> Result<Applied, Error>;
    /// After a crash: every attempt that was open becomes `unknown`, and all claims end. Returns how many
    /// attempts were open.
    async fn recover(&self, now: Timestamp) -> Result<u64, Error>;

    /// Remembers a conversation as just read.
    async fn remember_conversation(
        &self,
        connection: ConnectionName,
        conversation: Conversation,
    ) -> Result<(), Error>;
    /// A conversation as last read.
    async fn find_conversation(
        &self,
        connection: ConnectionName,
        id: ConversationId,
    ) -> Result<Option<Conversation>, Error>;
    /// Conversations as last read, most recently used first.
    async fn list_conversations(
        &self,
        connection: ConnectionName,
    ) -> Result<Vec<Conversation>, Error>;

    /// The position of the last event.
    fn last_event(&self) -> watch::Receiver<u64>;
    /// Messages that changed after `seq`, in order of their last change, at most `limit`.
    async fn changes_after(&self, seq: u64, limit: u32) -> Result<Vec<LiveEvent>, Error>;

    /// Seals the next batch of a connection's stream if one is due.
    async fn seal_audit_batch(
        &self,
        connection: ConnectionName,
        signer: std::sync::Arc<dyn Signer>,
        when: SealWhen,
        now: Timestamp,
    ) -> Result<Option<AuditBatch>, Error>;
    /// The lowest batch the sink has not acknowledged, if it is due.
    async fn next_batch_to_ship(
        &self,
        connection: ConnectionName,
        now: Timestamp,
    ) -> Result<Option<ShippableBatch>, Error>;
    /// Records what the sink did with the batch at `position`.
    async fn record_shipping(
        &self,
        position: u64,
        outcome: Shipped,
        now: Timestamp,
    ) -> Result<Recorded, Error>;
    /// Lets batches that the sink refuses, is gone for or could not be reached for be posted at once; false
    /// when none waits for longer.
    async fn resume_shipping(
        &self,
        connection: ConnectionName,
        now: Timestamp,
    ) -> Result<bool, Error>;
    /// Ends a connection's stream and begins another, whose first batch names the last batch the sink
    /// acknowledged. Batches it has not acknowledged stay, marked as replaced, and their entries wait to be
    /// sealed again: nothing is deleted and no entry misses the sink. `None` when nothing was ever sealed.
    async fn start_audit_stream(
        &self,
        connection: ConnectionName,
        why: String,
    ) -> Result<Option<NewStream>, Error>;
    /// Forgets the bodies of at most `limit` batches that were acknowledged before a moment, and the rest of
    /// them where no message's history shows them any more. Returns how many bodies.
    async fn forget_audit_batches(
        &self,
        acknowledged_before: Timestamp,
        limit: u32,
    ) -> Result<u64, Error>;
    /// Audit entries of a connection the sink has not acknowledged, sealed or not.
    async fn audit_entries_waiting(&self, connection: ConnectionName) -> Result<u64, Error>;
    /// Sealed batches, newest first.
    async fn list_audit_batches(
        &self,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<Page<AuditBatch>, Error>;
    /// Sealed batches of a connection with their bodies, oldest first, after a position.
    async fn export_audit_batches(
        &self,
        connection: ConnectionName,
        after: u64,
        limit: u32,
    ) -> Result<Vec<ShippableBatch>, Error>;

    /// The latest messages that were delivered, at most `limit`, oldest first.
    async fn latest_deliveries(&self, limit: u32) -> Result<Vec<PastDelivery>, Error>;
    /// Which connections have messages that wait with one of these reason codes, and with which.
    async fn waiting_for(&self, codes: Vec<String>)
    -> Result<Vec<(ConnectionName, String)>, Error>;
    /// How a connection's sends and looks stand.
    async fn standing(&self, connection: ConnectionName, now: Timestamp)
    -> Result<Standing, Error>;
    /// How much is waiting.
    async fn backlog(&self) -> Result<Backlog, Error>;
    /// Ends the store: everything queued is committed, later calls fail with [`Error::Stopped`].
    async fn close(&self);
}
