//! The contract of `/api/v1` as plain data: paths, requests and answers, used by the page and the proxy.

use crate::audit::AuditEntry;
use crate::channel::Channel;
use crate::conversation::Conversation;
use crate::delivery::{Choice, Delivery, Ending, EventKind, Reason, State};
use crate::finding::{Finding, Severity};
use crate::id::{ConnectionName, ConversationId, Key, MessageId, SubmissionId};
use crate::payload::Payload;
use crate::plan::{Plan, plan};
use crate::rules::catalogue::{RULES, Rule};
use crate::rules::{Dialect, Ruleset};
use crate::sla::{Cause, Verdict};
use crate::sms::{self, Parts};
use crate::time::Timestamp;
use crate::validate::{Context, validate};
use serde::{Deserialize, Serialize};

/// Every path of the API, as the router registers it; `{…}` is one path segment.
pub mod path {
    /// `POST`: accept a submission.
    pub const SUBMISSIONS: &str = "/api/v1/submissions";
    /// `GET`: a submission with its messages.
    pub const SUBMISSION: &str = "/api/v1/submissions/{id}";
    /// `GET`: messages, newest first, by cursor.
    pub const MESSAGES: &str = "/api/v1/messages";
    /// `GET`: the headline figures.
    pub const MESSAGE_COUNTS: &str = "/api/v1/messages/counts";
    /// `GET`: one message with its history.
    pub const MESSAGE: &str = "/api/v1/messages/{id}";
    /// `POST`: withdraw a message that was not sent yet.
    pub const MESSAGE_CANCEL: &str = "/api/v1/messages/{id}/cancel";
    /// `POST`: let the planned attempt happen now.
    pub const MESSAGE_RETRY: &str = "/api/v1/messages/{id}/retry";
    /// `POST`: send an ended message's payload once more, as a new message.
    pub const MESSAGE_RESEND: &str = "/api/v1/messages/{id}/resend";
    /// `POST`: decide about a parked message.
    pub const MESSAGE_DECIDE: &str = "/api/v1/messages/{id}/decide";
    /// `POST`: findings and plan for a payload.
    pub const VALIDATE: &str = "/api/v1/validate";
    /// `GET`: the rules in force and their words.
    pub const RULES: &str = "/api/v1/rules";
    /// `GET`: the JSON Schema of a payload.
    pub const SCHEMA_PAYLOAD: &str = "/api/v1/schemas/payload.json";
    /// `GET`: the connections of this proxy.
    pub const CONNECTIONS: &str = "/api/v1/connections";
    /// `POST`: try again now what waits because the platform refused the connection or could not be reached.
    pub const CONNECTION_RESUME: &str = "/api/v1/connections/{name}/resume";
    /// `GET`: conversations the proxy has read, latest first.
    pub const CONVERSATIONS: &str = "/api/v1/connections/{name}/conversations";
    /// `GET`: one conversation, read from the platform.
    pub const CONVERSATION: &str = "/api/v1/connections/{name}/conversations/{id}";
    /// `GET`: verdicts over a period.
    pub const SLA: &str = "/api/v1/sla";
    /// `GET`: sealed batches, newest first, by cursor.
    pub const AUDIT_BATCHES: &str = "/api/v1/audit/batches";
    /// `GET`: everything needed to verify a stream offline.
    pub const AUDIT_EXPORT: &str = "/api/v1/audit/export";
    /// `POST`: post to a sink again that refused batches or was gone.
    pub const AUDIT_RESUME: &str = "/api/v1/audit/resume";
    /// `GET`: the live stream, `text/event-stream`.
    pub const EVENTS: &str = "/api/v1/events";
    /// `GET`: what the page must know.
    pub const OPTIONS: &str = "/api/v1/options";
    /// `GET`: the request budget of each connection.
    pub const BUDGET: &str = "/api/v1/budget";
    /// `GET`: the machine-readable description of this API.
    pub const OPENAPI: &str = "/api/v1/openapi.json";
    /// Everything under it goes to the in-process sandbox's control calls.
    pub const SANDBOX: &str = "/api/v1/sandbox/{*rest}";

    /// Puts `value` into the one `{…}` segment named `name` of `template`.
    pub fn fill(template: &str, name: &str, value: &str) -> String {
        template.replace(&format!("{{{name}}}"), value)
    }
}

/// The header that carries a submission's [`Key`].
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What a person or program posts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SubmissionRequest {
    /// Through which connection.
    pub connection: ConnectionName,
    /// Into which conversation.
    pub conversation_id: ConversationId,
    /// What is to be said.
    pub payload: Payload,
    /// Not before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Given up if not sent by this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// The 202 to a submission: the same for the first post of a key and for every repeat.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SubmissionAccepted {
    /// The submission.
    pub id: SubmissionId,
    /// The key it is known by.
    pub key: Key,
    /// Its messages as they were stored.
    pub messages: Vec<AcceptedMessage>,
}

/// A message at the moment it was stored.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AcceptedMessage {
    /// The message.
    pub id: MessageId,
    /// Always `accepted`: later states are read from the message.
    pub state: State,
}

/// A submission with its messages as they are now.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Submission {
    /// The submission.
    pub id: SubmissionId,
    /// The key it is known by.
    pub key: Key,
    /// Its messages in the order they are sent.
    pub messages: Vec<Message>,
}

/// A message as lists and the live stream show it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Message {
    /// The message.
    pub id: MessageId,
    /// The submission it belongs to.
    pub submission_id: SubmissionId,
    /// Rises with every change, so that a late answer never overwrites a newer one.
    pub version: u64,
    /// The connection it goes through.
    pub connection: ConnectionName,
    /// The conversation it goes into.
    pub conversation_id: ConversationId,
    /// The conversation's channel when it was accepted.
    pub channel: Channel,
    /// Who sends it.
    pub sender: String,
    /// Whom it is for.
    pub recipients: Vec<String>,
    /// The first line of what it says.
    pub preview: String,
    /// Whether it met its SLA; derived from the delivery.
    pub verdict: Verdict,
    /// Why the verdict is what it is.
    pub verdict_cause: Cause,
    /// Time to delivery in seconds, once delivered.
    pub elapsed_seconds: Option<f64>,
    /// State, times and attempts.
    #[serde(flatten)]
    pub delivery: Delivery,
}

/// A person's decision about a parked message.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DecideRequest {
    /// What is to become of it.
    pub decision: Choice,
    /// Why, for those who ask later: 1 to 500 characters.
    pub why: String,
}

/// A person's wish to send an ended message's payload once more, as a new message with a key of its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResendRequest {
    /// Why, for those who ask later: 1 to 500 characters.
    pub why: String,
    /// Send it although the recipient has the first one, or may have it.
    #[serde(default)]
    pub even_if_delivered: bool,
}

/// A message with everything that is known of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MessageDetail {
    /// What lists show.
    #[serde(flatten)]
    pub message: Message,
    /// The submission's key, sent to the platform with every attempt.
    pub key: Key,
    /// What was said.
    pub payload: Payload,
    /// Its history, oldest first.
    pub events: Vec<Event>,
    /// Its audit entries with the batches they are in.
    pub audit: Vec<AuditRecord>,
}

/// One thing that happened to a message.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Position in the proxy's whole history.
    pub seq: u64,
    /// When, by the proxy's clock.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// Who made it happen.
    pub actor: Actor,
    /// The state afterwards.
    pub state: State,
    /// Attempts begun by then.
    pub attempt: u32,
    /// Why, where there is a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When the next thing was to be done, as planned at that moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// The platform's own time for it, where it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_at: Option<Timestamp>,
}

/// Who made something happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Actor {
    /// Whoever holds the launch token.
    User,
    /// This proxy.
    Proxy,
    /// The platform, in an answer or a receipt.
    Platform,
}

/// An audit entry and where it is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditRecord {
    /// The ending it records.
    pub ending: Ending,
    /// The entry as it is signed.
    pub entry: AuditEntry,
    /// The batch it was sealed in; `None` until it is.
    pub batch: Option<AuditBatch>,
}

/// A sealed batch without its body.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditBatch {
    /// The connection whose stream it is in.
    pub connection: ConnectionName,
    /// The stream.
    pub stream: String,
    /// Position in the stream, from 1.
    pub sequence: u64,
    /// Entries in it.
    pub count: u64,
    /// When it was sealed.
    pub sealed_at: Timestamp,
    /// The key that signed it.
    pub key_id: String,
    /// `X-Audit-Signature`.
    pub signature: String,
    /// `X-Audit-Chain`.
    pub chain: String,
    /// Where it is on its way to the sink.
    pub shipping: Shipping,
    /// Posts made so far.
    pub attempts: u32,
    /// When the sink acknowledged it.
    pub acknowledged_at: Option<Timestamp>,
    /// What went wrong last, while it is not acknowledged.
    pub problem: Option<String>,
}

/// Where a batch is on its way to the sink.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Shipping {
    /// Sealed and kept: no sink is configured.
    Kept,
    /// Waits to be shipped, or to be shipped again.
    Waiting,
    /// The sink refuses it; tried hourly.
    Stalled,
    /// The sink is gone; posted again when a person resumes.
    Stopped,
    /// Its stream ended before the sink acknowledged it; its entries are in batches of the next one.
    Replaced,
    /// The sink has it.
    Acknowledged,
}

/// A person's word that a sink may be posted to again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResumeRequest {
    /// The connection whose batches it takes.
    pub connection: ConnectionName,
    /// Begin a new stream: the sink holds other batches of this one and will never take ours. Batches it has
    /// not acknowledged stay here as replaced, and their entries are sealed again in the new stream.
    #[serde(default)]
    pub new_stream: bool,
}

/// What resuming did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResumeAnswer {
    /// True when batches are on their way again.
    pub resumed: bool,
    /// The new stream, if one was begun.
    pub new_stream: Option<String>,
}

/// A batch with all that a verifier needs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExportedBatch {
    /// The headers it is shipped with, except those made for each attempt.
    pub headers: std::collections::BTreeMap<String, String>,
    /// The exact body.
    pub body: String,
    /// When the sink acknowledged it.
    pub acknowledged_at: Option<Timestamp>,
}

/// A page of a list.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Pass it as `cursor` for the next page; `None` on the last.
    pub next_cursor: Option<String>,
}

/// What a list of messages is narrowed to; all given conditions must hold.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct MessageQuery {
    /// Text in sender, recipient or first line, case aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// States, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Verdicts, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// `true`: only messages that a blind repeat would have doubled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_prevented: Option<bool>,
    /// The `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Items on a page, 1 to 200; 50 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The headline figures; `in_flight + delivered + failed + needs_decision + cancelled = total`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MessageCounts {
    /// All messages.
    pub total: u64,
    /// See [`crate::delivery::Group`].
    pub in_flight: u64,
    /// Delivered or read.
    pub delivered: u64,
    /// Rejected, failed, undelivered or expired.
    pub failed: u64,
    /// Parked.
    pub needs_decision: u64,
    /// Withdrawn.
    pub cancelled: u64,
    /// Messages that a blind repeat would have doubled, each with its evidence in its history.
    #[serde(default)]
    pub duplicates_prevented: u64,
}

/// A payload to be judged, against a channel alone or a conversation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ValidateRequest {
    /// The channel; not with a conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// The dialect whose rules to go by; only with a channel, and `guide` where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<Dialect>,
    /// The connection; only with a conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionName>,
    /// The conversation; only with a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// The payload.
    pub payload: Payload,
}

/// What the rules say about a payload.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ValidateAnswer {
    /// All findings, errors first.
    pub findings: Vec<Finding>,
    /// SMS parts; only for text on SMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Parts>,
    /// What it would become.
    pub plan: Plan,
    /// The hash of the pack it was judged by, or of the ruleset where the channel has none.
    pub pack: String,
}

crate::json::objects_only! {
    SubmissionRequest: "an object",
    DecideRequest: "an object",
    ResendRequest: "an object",
    ResumeRequest: "an object",
    ValidateRequest: "an object",
}

impl ValidateAnswer {
    /// Judges `payload`: what page, proxy and command line all answer.
    pub fn new(payload: &Payload, rules: &Ruleset, context: Context) -> Self {
        let unknown = Channel::Unknown(String::new());
        let channel = context.channel().unwrap_or(&unknown);
        let parts = match (channel, payload.text()) {
            (Channel::Sms, Some(text)) => Some(sms::parts(text)),
            _ => None,
        };
        Self {
            findings: validate(payload, rules, context),
            parts,
            plan: plan(payload, channel, rules),
            pack: rules.pack(channel).map_or(&rules.hash, |pack| &pack.hash).clone(),
        }
    }
}

/// The rules in force and the words for each of them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RulesAnswer {
    /// The packs each connection goes by.
    pub connections: Vec<ConnectionRules>,
    /// Every rule, in the order of what it is about.
    pub rules: Vec<RuleWords>,
}

/// The packs one connection goes by.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectionRules {
    /// The connection.
    pub connection: ConnectionName,
    /// Its dialect's packs as they are in force.
    pub ruleset: Ruleset,
}

/// One rule in words; `{names}` stand for what a finding fills in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RuleWords {
    /// Its stable name.
    pub code: String,
    /// Whether breaking it stops the message.
    pub severity: Severity,
    /// What it is about.
    pub about: String,
    /// What is wrong.
    pub what: String,
    /// Why that is a rule.
    pub why: String,
    /// How to mend it.
    pub how: String,
    /// Where it comes from; `{source}` where each pack says it.
    pub source: String,
}

impl RuleWords {
    /// The words of every rule.
    pub fn all() -> Vec<Self> {
        let words = |rule: &&Rule| Self {
            code: rule.code.to_owned(),
            severity: rule.severity,
            about: rule.subject.label().to_owned(),
            what: rule.what.to_owned(),
            why: rule.why.to_owned(),
            how: rule.how.to_owned(),
            source: rule.source.to_owned(),
        };
        RULES.iter().map(words).collect()
    }
}

/// One platform organisation this proxy can send through.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Connection {
    /// Its name.
    pub name: ConnectionName,
    /// How its platform is spoken to.
    pub dialect: String,
    /// Its region, or the host of its API.
    pub region: String,
    /// True where nothing leaves this machine: the built-in simulated platform.
    pub sandbox: bool,
    /// Why nothing can be sent through it now, in words, where that is so.
    pub problem: Option<String>,
}

/// Verdicts over a period, by the time of acceptance.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SlaReport {
    /// Start of the period, included.
    pub from: Timestamp,
    /// End of the period, not included.
    pub to: Timestamp,
    /// The what-if threshold all were judged by; `None` when each was judged by its own.
    pub threshold_seconds: Option<f64>,
    /// The threshold a new message gets.
    pub policy_threshold_seconds: f64,
    /// The four verdicts.
    pub verdicts: VerdictCounts,
    /// Withdrawn messages, in none of the four.
    pub cancelled: u64,
    /// Met ÷ (met + breached), 0 to 1; `None` when nothing was judged.
    pub compliance: Option<f64>,
    /// Times to delivery.
    pub latency: Latency,
    /// Messages by time to delivery.
    pub histogram: Vec<HistogramBin>,
    /// Verdicts over time.
    pub buckets: Vec<TimeBucket>,
    /// The latest breaches, at most 50.
    pub breaches: Vec<Message>,
}

/// How many of each verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VerdictCounts {
    /// Delivered within the threshold.
    pub met: u64,
    /// Late, undelivered or failed.
    pub breached: u64,
    /// Not decided yet.
    pub pending: u64,
    /// Cannot be measured.
    pub unknown: u64,
}

impl VerdictCounts {
    /// Counts one more of `verdict`.
    pub fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Met => self.met += 1,
            Verdict::Breached => self.breached += 1,
            Verdict::Pending => self.pending += 1,
            Verdict::Unknown => self.unknown += 1,
        }
    }
}

/// Percentiles in seconds; one that falls among messages that never arrived, or p99 of fewer than 100, is
/// `None`.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Latency {
    /// Messages counted: delivered, undelivered and failed.
    pub n: u64,
    /// Of them, those that never arrived.
    pub never: u64,
    /// Half of them arrived within this.
    pub p50_seconds: Option<f64>,
    /// 95 % of them arrived within this.
    pub p95_seconds: Option<f64>,
    /// 99 % of them arrived within this.
    pub p99_seconds: Option<f64>,
}

/// One bar of the latency histogram.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistogramBin {
    /// Lower edge in seconds, included.
    pub from_seconds: f64,
    /// Upper edge in seconds, not included; `None` for the last bar, which has no end.
    pub to_seconds: Option<f64>,
    /// Messages in it.
    pub count: u64,
}

/// The verdicts of the messages accepted in one stretch of time.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TimeBucket {
    /// Start of the stretch.
    pub start: Timestamp,
    /// Its verdicts.
    pub verdicts: VerdictCounts,
}

/// What the page must know before it draws.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Options {
    /// The proxy's version.
    pub version: String,
    /// The connections, in the order of the configuration.
    pub connections: Vec<Connection>,
    /// The threshold a new message gets.
    pub threshold_seconds: f64,
    /// False when audit batches are sealed and kept because no sink is configured.
    pub audit_sink: bool,
    /// Now, by the proxy's clock, so that the page can show a skew.
    pub now: Timestamp,
}

/// Where the breaker before a host is: it stops calls to a host that does not work.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// It does not work; calls wait.
    Open,
    /// One call at a time finds out whether it works again.
    HalfOpen,
}

/// A host that a connection calls.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum HostRole {
    /// Gives tokens.
    Login,
    /// Takes messages.
    Api,
    /// Takes audit batches.
    Sink,
}

/// How one host of a connection does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Host {
    /// Which one.
    pub role: HostRole,
    /// Whether calls go through to it.
    pub breaker: BreakerState,
}

/// The request budget of one connection, and what it means for what waits.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Budget {
    /// The connection.
    pub connection: ConnectionName,
    /// Requests a minute the proxy allows itself: 95 % of the platform's limit.
    pub allowed_per_minute: u32,
    /// Requests made in the last minute.
    pub used_last_minute: u32,
    /// Requests waiting for a permit now.
    pub waiting: u32,
    /// Of the requests made in the last minute, those that looked for receipts: at most 40 % of what is
    /// allowed.
    pub looks_last_minute: u32,
    /// The platform asked for silence until then.
    pub paused_until: Option<Timestamp>,
    /// Messages that could be sent now and wait for their turn. Counted up to 100,000.
    pub messages_waiting: u64,
    /// Requests a message took to be sent, over the last minute; `None` while too few were sent to say.
    pub requests_per_message: Option<f64>,
    /// When the last of `messages_waiting` will have been sent if all goes on as in the last minute. `None`
    /// when nothing waits, or when it cannot be known: too little was sent, or nothing can be sent now.
    pub backlog_ends_at: Option<Timestamp>,
    /// How late looks for receipts are against the time they were planned for, in seconds: the worst of the
    /// last minute, or what is overdue now.
    pub look_lag_seconds: f64,
    /// The hosts it calls.
    pub hosts: Vec<Host>,
    /// Why nothing is sent now and what to do, in words, where that is so.
    pub problem: Option<String>,
}

/// One message of the live stream. Idempotent to apply: keep the higher `version`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LiveEvent {
    /// The event's position; the stream's `id:`, to be given back as `Last-Event-ID`.
    pub seq: u64,
    /// The message as it is after at least this event.
    pub message: Message,
}

/// An error as `application/problem+json` (RFC 9457).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{title}")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Stable name of the error, for programs.
    pub code: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong, in a sentence.
    pub title: String,
    /// Where and why, and how to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// For payloads that the rules refuse: every finding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// What the live stream says first: where it starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LiveHello {
    /// The last event before the stream began.
    pub seq: u64,
}

/// Conversations the proxy knows, latest first.
pub type Conversations = Page<Conversation>;
