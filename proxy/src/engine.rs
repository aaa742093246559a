//! What every worker and route works with: the store, the connections, and the nudges between workers.

use crate::audit::HmacSigner;
use crate::config::ConnectionConfig;
use crate::platform::{Budget, Platform, TokenSource};
use crate::store::Store;
use shared::channel::Channel;
use shared::delivery::Policy;
use shared::id::ConnectionName;
use std::sync::Arc;
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
    /// Channels that never report delivery.
    pub channels_without_receipts: Vec<Channel>,
    /// Where its audit batches go.
    pub sink: Option<Sink>,
}

/// An audit sink.
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
    /// Retries and horizon.
    pub policy: Policy,
    /// The threshold a new message gets, in milliseconds.
    pub threshold_ms: u64,
    /// Signs audit batches.
    pub signer: Arc<HmacSigner>,
    /// Wakes workers.
    pub nudges: Nudges,
}

impl Engine {
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
        sink: Option<Sink>,
    ) -> Self {
        Self {
            name: config.name.clone(),
            region: config.region.clone(),
            is_sandbox,
            platform: connected.platform,
            budget: connected.budget,
            token: connected.token,
            channels_without_receipts: config.channels_without_receipts.clone(),
            sink,
        }
    }

    /// False where the channel never reports delivery.
    pub fn expects_receipts(&self, channel: &Channel) -> bool {
        !self.channels_without_receipts.contains(channel)
    }
}
