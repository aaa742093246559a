//! What every worker and route works with: the store, the connections, and the nudges between workers.

use crate::audit::HmacSigner;
use crate::config::{Config, ConnectionConfig};
use crate::measured::{Measured, Pace};
use crate::platform::{
    Budget, Closed, Gate, Guard, Permit, Platform, Priority, Refusal, TokenSource,
};
use crate::store::{Error, Store};
use crate::worker::ship::Post;
use shared::channel::Channel;
use shared::delivery::Policy;
use shared::id::ConnectionName;
use shared::rules::{Dialect, Ruleset};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Deliveries read from the record at the start.
const DELIVERIES_READ: u32 = 512;

/// One platform organisation with everything that is shared by calls to it.
pub struct Connection {
    /// Its name.
    pub name: ConnectionName,
    /// The region or host, for people.
    pub region: String,
    /// True for the simulated platform inside this process.
    pub is_sandbox: bool,
    /// The dialect.
    pub platform: Arc<dyn Platform>,
    /// The request budget.
    pub budget: Budget,
    /// The token's state.
    pub token: TokenSource,
    /// Retries, horizon, and what an unknown outcome leads to.
    pub policy: Policy,
    /// Whether calls go through at all.
    pub gate: Gate,
    /// What it learns from watching itself.
    pub measured: Measured,
    /// The rules its messages must keep.
    pub rules: Arc<Ruleset>,
    /// Channels that never report delivery.
    pub channels_without_receipts: Vec<Channel>,
    /// Where its audit batches go.
    pub sink: Option<Arc<dyn Post>>,
}

/// How audit batches are kept, beside how they are made.
#[derive(Clone, Debug)]
pub struct AuditPolicy {
    /// An empty batch is sealed after this long without one; `None` for never.
    pub heartbeat: Option<Duration>,
    /// Entries of a connection that may wait for its sink.
    pub backlog_max: u64,
    /// Whether more than that refuses new messages, or is only said aloud.
    pub refuses: bool,
    /// How long an acknowledged batch is kept.
    pub keep: Duration,
}

impl Default for AuditPolicy {
    fn default() -> Self {
        Self {
            heartbeat: None,
            backlog_max: 1_000_000,
            refuses: true,
            keep: Duration::from_secs(90 * 24 * 60 * 60),
        }
    }
}

/// Why there is no permit.
#[derive(Debug, Clone, PartialEq)]
pub enum NotNow {
    /// The budget had none in time.
    NoPermit,
    /// No call can be made now.
    Closed(Closed),
}

/// An audit sink that is reached by HTTP.
pub struct Sink {
    /// Its address.
    pub url: String,
    /// A client of its own: no platform credential can ever reach it.
    pub client: reqwest::Client,
    /// The breaker of its host.
    pub guard: Guard,
}

/// Wakes a worker before its timer does. Every worker finds its work in the database, so a lost nudge costs
/// a moment and never a message.
#[derive(Default)]
pub struct Nudges {
    /// There may be something to send.
    pub dispatch: Notify,
    /// There may be an unknown outcome.
    pub reconcile: Notify,
    /// There may be something to look at.
    pub track: Notify,
    /// There may be a batch to ship.
    pub ship: Notify,
}

/// See the module's text.
pub struct Engine {
    /// The durable record.
    pub store: Arc<dyn Store>,
    /// Platform organisations, in the order of the configuration.
    pub connections: Vec<Connection>,
    /// Retries and horizon of whatever has no connection any more.
    pub policy: Policy,
    /// The threshold a new message gets, in milliseconds.
    pub threshold_ms: u64,
    /// Signs audit batches.
    pub signer: Arc<HmacSigner>,
    /// How audit batches are kept.
    pub audit: AuditPolicy,
    /// How long a message is kept after its end; `None` for good.
    pub retention: Option<Duration>,
    /// Wakes workers.
    pub nudges: Nudges,
}

impl Engine {
    /// An engine as the settings want it.
    pub fn new(
        config: &Config,
        store: Arc<dyn Store>,
        connections: Vec<Connection>,
        signer: HmacSigner,
    ) -> Self {
        Self {
            store,
            connections,
            policy: config.policy.clone(),
            threshold_ms: config.threshold_ms,
            signer: Arc::new(signer),
            audit: config.audit.policy.clone(),
            retention: config.retention,
            nudges: Nudges::default(),
        }
    }

    /// The audit entries of a connection above which new messages are refused. Where nothing ships, nothing
    /// waits for a sink.
    pub fn audit_backlog_max(&self, connection: &Connection) -> Option<u64> {
        (self.audit.refuses && connection.sink.is_some()).then_some(self.audit.backlog_max)
    }

    /// The policy for messages of a connection.
    pub fn policy(&self, name: &ConnectionName) -> &Policy {
        self.connection(name).map_or(&self.policy, |connection| &connection.policy)
    }

    /// Takes from the record what the process before this one knew: how long delivery takes, and which
    /// connections the platform refused.
    pub async fn learn_from_record(&self) -> Result<(), Error> {
        for past in self.store.latest_deliveries(DELIVERIES_READ).await? {
            if let Some(connection) = self.connection(&past.connection) {
                connection.measured.delivered(&past.channel, past.latency);
            }
        }
        let codes = Refusal::ALL.map(|refusal| refusal.code().to_owned());
        for (name, code) in self.store.waiting_for(codes.to_vec()).await? {
            let refusal = Refusal::ALL.into_iter().find(|refusal| refusal.code() == code);
            if let (Some(connection), Some(refusal)) = (self.connection(&name), refusal) {
                tracing::warn!(connection = %name, why = refusal.text(), "sending was paused");
                connection.gate.begin_paused(refusal);
            }
        }
        Ok(())
    }

    /// Connections through which nothing more should be claimed to be sent now.
    pub fn without_room_to_send(&self) -> Vec<ConnectionName> {
        let full = self.connections.iter().filter(|one| !one.has_room_to_send());
        full.map(|one| one.name.clone()).collect()
    }

    /// The rules of a dialect: those its connections go by, or as they are shipped where there is none.
    pub fn rules(&self, dialect: Dialect) -> &Ruleset {
        let own = self.connections.iter().find(|one| one.rules.dialect == dialect);
        own.map_or_else(|| Ruleset::embedded(dialect), |one| &one.rules)
    }

    /// The connection of that name.
    pub fn connection(&self, name: &ConnectionName) -> Option<&Connection> {
        self.connections.iter().find(|one| one.name == *name)
    }
}

impl Connection {
    /// A connection from its settings and what it is connected to.
    pub fn new(
        config: &ConnectionConfig,
        connected: crate::platform::Connected,
        is_sandbox: bool,
        sink: Option<Arc<dyn Post>>,
    ) -> Self {
        Self {
            name: config.name.clone(),
            region: config.region.clone(),
            is_sandbox,
            platform: connected.platform,
            budget: connected.budget,
            token: connected.token,
            policy: config.policy.clone(),
            gate: connected.gate,
            measured: Measured::default(),
            rules: Arc::clone(&config.rules),
            channels_without_receipts: config.channels_without_receipts.clone(),
            sink,
        }
    }

    /// Why a call of this kind cannot be made now, without asking anybody.
    pub fn closed(&self, priority: Priority) -> Option<Closed> {
        self.gate.closed(priority).or_else(|| self.token.wanting())
    }

    /// A permit to call the platform, with everything that call needs beforehand, within `patience`.
    pub async fn permit(&self, priority: Priority, patience: Duration) -> Result<Permit, NotNow> {
        let until = Instant::now() + patience;
        if let Some(closed) = self.closed(priority) {
            return Err(NotNow::Closed(closed));
        }
        let ready = timeout_at(until, self.platform.ready()).await;
        ready.map_err(|_| NotNow::NoPermit)?.map_err(NotNow::Closed)?;
        let left = until.saturating_duration_since(Instant::now());
        let permit = self.budget.permit_within(priority, left).await.ok_or(NotNow::NoPermit)?;
        // Last, because others may have found out something in the meantime.
        let entrance = self.gate.enter(priority).map_err(NotNow::Closed)?;
        Ok(permit.through(entrance))
    }

    /// Whether messages should be claimed for it: it can send, and not too many wait for a permit already.
    pub fn has_room_to_send(&self) -> bool {
        /// Enough to use every permit the moment it is there.
        const SENDS_WAITING_MAX: u32 = 16;
        self.closed(Priority::Send).is_none()
            && self.budget.usage().sends_waiting < SENDS_WAITING_MAX
    }

    /// Why nothing is sent through it now and what to do, in words, where that is so.
    pub fn problem(&self) -> Option<String> {
        let paused = self.gate.paused().map(|refusal| refusal.text().to_owned());
        let down = || self.gate.closed(Priority::Send).map(|closed| closed.reason.text);
        paused.or_else(|| self.token.problem()).or_else(down)
    }

    /// A person says that it works again: everything that waits for it is tried now.
    pub fn resume(&self) {
        self.gate.resume();
        self.token.hurry();
    }

    /// How fast it sends.
    pub fn pace(&self) -> Pace {
        let usage = self.budget.usage();
        Pace {
            allowed: usage.allowed_per_minute,
            used: usage.used_last_minute,
            looks: usage.looks_last_minute,
            sent: self.measured.submitted_last_minute(Instant::now()),
        }
    }

    /// False where the channel never reports delivery.
    pub fn expects_receipts(&self, channel: &Channel) -> bool {
        !self.channels_without_receipts.contains(channel)
    }
}
