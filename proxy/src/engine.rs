//! What every worker and route works with: the store, the connections, and the nudges between workers.

use crate::audit::HmacSigner;
use crate::config::{Config, ConnectionConfig};
use crate::platform::{Budget, Platform, TokenSource};
use crate::store::Store;
use crate::worker::ship::Post;
use shared::channel::Channel;
use shared::delivery::Policy;
use shared::id::ConnectionName;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

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

/// An audit sink that is reached by HTTP.
pub struct Sink {
    /// Its address.
    pub url: String,
    /// A client of its own: no platform credential can ever reach it.
    pub client: reqwest::Client,
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
            channels_without_receipts: config.channels_without_receipts.clone(),
            sink,
        }
    }

    /// False where the channel never reports delivery.
    pub fn expects_receipts(&self, channel: &Channel) -> bool {
        !self.channels_without_receipts.contains(channel)
    }
}
