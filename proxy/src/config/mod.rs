//! Settings: what they are, after everything has been read and checked.
//!
//! The commented `waybill.default.toml` is embedded and *is* the set of defaults. [`load`] lays file,
//! environment and flags over it and reports every problem together. Nothing outside this module reads the
//! environment, and from here on a secret is a type that prints nothing.

mod check;
mod layers;
mod region;

pub use check::Problems;
pub(crate) use layers::load_text;
pub use layers::{Flags, load};

use crate::engine::AuditPolicy;
use secrecy::SecretString;
use shared::channel::Channel;
use shared::delivery::Policy;
use shared::id::ConnectionName;
use shared::rules::Ruleset;
use shared::simulator::Scenario;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything `waybill` was told, checked.
#[derive(Debug)]
pub struct Config {
    /// Where to listen; always loopback in local mode.
    pub listen: SocketAddr,
    /// The data folder.
    pub data: PathBuf,
    /// How long a stop may take.
    pub shutdown: Duration,
    /// How logs are written.
    pub log: LogConfig,
    /// The threshold a new message gets, in milliseconds.
    pub threshold_ms: u64,
    /// Retries and horizon.
    pub policy: Policy,
    /// Where audit batches go and how they are signed.
    pub audit: AuditConfig,
    /// Bytes the database may take; `None` for no limit.
    pub quota: Option<u64>,
    /// How long a message is kept after its end; `None` for good.
    pub retention: Option<Duration>,
    /// The simulated platform's seed.
    pub sandbox_seed: u64,
    /// What the simulated platform makes of messages.
    pub sandbox_scenario: Option<Scenario>,
    /// Platform organisations, by name.
    pub connections: Vec<ConnectionConfig>,
}

/// How logs are written.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// One JSON object a line instead of text.
    pub json: bool,
    /// A `tracing` filter.
    pub filter: String,
}

/// Where audit batches go and how they are signed.
#[derive(Debug)]
pub struct AuditConfig {
    /// The sink; `None` seals and keeps.
    pub sink_url: Option<String>,
    /// The HMAC secret; `None` uses the one in the data folder.
    pub secret: Option<SecretString>,
    /// Names the key.
    pub key_id: String,
    /// The key that signed before, with its id, while receivers may know only that one.
    pub previous: Option<(String, SecretString)>,
    /// Heartbeat, backlog and retention.
    pub policy: AuditPolicy,
}

/// One platform organisation.
#[derive(Debug)]
pub struct ConnectionConfig {
    /// Its name.
    pub name: ConnectionName,
    /// Where its platform is.
    pub target: Target,
    /// The region, or the API's host, for people.
    pub region: String,
    /// The platform's request limit until its headers teach another.
    pub requests_per_minute: u32,
    /// Retries, horizon, and what an unknown outcome leads to.
    pub policy: Policy,
    /// The rules its messages must keep: its dialect's, narrowed by the settings.
    pub rules: Arc<Ruleset>,
    /// Channels that never report delivery.
    pub channels_without_receipts: Vec<Channel>,
}

/// Where a connection's platform is.
#[derive(Debug)]
pub enum Target {
    /// The simulated platform inside this process.
    Sandbox,
    /// A platform somewhere else.
    Remote {
        /// Base of API calls, without a final slash.
        api_url: String,
        /// Base of the token endpoint, without a final slash.
        login_url: String,
        /// OAuth client id.
        client_id: String,
        /// OAuth client secret.
        client_secret: SecretString,
    },
}
