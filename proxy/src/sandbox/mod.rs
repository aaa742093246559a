//! The simulated platform: what `shared`'s simulator describes, served over real HTTP in the guide dialect.
//!
//! ```text
//! platform   token endpoint, read, send                gate     faults, token and rate limit before each
//! control    sends, faults, clock, conversations       refusal  the platform's error body
//! sink       the audit receiver                        spoil    answers that are not what they should be
//! faults, limit, clock, store: what they say
//! ```
//!
//! It promises to behave like the platform for everything the proxy can see, to do the same again for the
//! same seed and scenario, and to forget nothing over a restart when it has a data file. There are no timers: what
//! becomes of a message is decided and stored when it is taken, and its status is computed from that and the
//! simulated time whenever somebody asks. It deliberately does
//! not bind a port (the caller serves [`Sandbox::router`]) and its control calls need no credentials, so it
//! belongs on a loopback address.

mod clock;
mod control;
mod faults;
mod gate;
mod limit;
mod platform;
mod refusal;
mod sink;
mod spoil;
mod store;
mod token;

use axum::Router;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use shared::channel::Channel;
use shared::id::ConversationId;
use shared::simulator::{Behaviour, Receipts, Scenario, SimulatedConversation};
use shared::time::Timestamp;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a sandbox is made from.
#[derive(Clone, Debug, Default)]
pub struct SandboxOptions {
    /// Decides conversations, identifiers, latencies and which calls faults strike.
    pub seed: u64,
    /// The file that holds its state, made if missing; `None` keeps everything in memory.
    pub data: Option<PathBuf>,
    /// The key audit batches are verified with; `None` stores them unverified.
    pub audit_secret: Option<SecretString>,
    /// The key before it, while keys are being changed: batches sealed under it verify too.
    pub audit_previous_secret: Option<SecretString>,
    /// Decides what becomes of the messages it takes; `None` is the guide's. What it says of messages to send is
    /// for whoever sends them.
    pub scenario: Option<Scenario>,
    /// Conversations beside those every sandbox has, for measurements.
    pub crowd: u32,
    /// Every message is delivered exactly so long after it was taken, and nothing else becomes of it.
    pub delivered_after: Option<Duration>,
    /// The client id to accept; `None` takes the stored one, or makes one.
    pub client_id: Option<String>,
    /// The client secret to accept; `None` takes the stored one, or makes one.
    pub client_secret: Option<SecretString>,
}

/// Why a sandbox cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite said no.
    #[error("the sandbox's data cannot be read or written")]
    Store(#[from] rusqlite::Error),
    /// The data file or its folder cannot be made.
    #[error("{} cannot be made", path.display())]
    Create {
        /// The data file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has the data file.
    #[error("{} is in use by another sandbox", .0.display())]
    InUse(PathBuf),
    /// The data file is something else, or of another version.
    #[error("{} is not the data of a sandbox of this version", .0.display())]
    NotOurs(PathBuf),
    /// The data file belongs to another world.
    #[error(
        "the sandbox's data was made with seed {stored}, not {asked}: use that seed or another file"
    )]
    OtherSeed {
        /// The seed in the file.
        stored: String,
        /// The seed asked for.
        asked: u64,
    },
    /// A value in the data file cannot be read back.
    #[error("the sandbox's data holds an unreadable {0}")]
    Damaged(&'static str),
}

/// A conversation to try something on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SampleConversation {
    /// Its identifier on the simulated platform.
    pub id: ConversationId,
    /// The channel it runs on.
    pub channel: Channel,
    /// The address our side speaks from.
    pub from: String,
    /// The customer's address.
    pub to: String,
    /// What is the matter with it; `None` for an ordinary one, where messages arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub special: Option<Special>,
}

/// What a conversation was made to show.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Special {
    /// Every message is accepted and then fails.
    Fails,
    /// Every message stays `sent`.
    NoReceipts,
    /// Has ended: takes no message.
    Closed,
    /// Our side is no agent and may not send.
    NoAgent,
}

/// A running simulated platform; clones are the same one.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    seed: u64,
    client_id: String,
    client_secret: SecretString,
    audit_secret: Option<SecretString>,
    audit_previous_secret: Option<SecretString>,
    world: Vec<SimulatedConversation>,
    /// When this sandbox first ran, by the simulated clock: closed conversations ended an hour before.
    made_at: Timestamp,
    store: store::Store,
    clock: clock::Clock,
    faults: faults::Faults,
    window: Mutex<limit::Window>,
    delivered_after: Option<Duration>,
    /// The name of the scenario it runs.
    scenario: String,
    /// What becomes of the messages it takes from now on.
    receipts: Receipts,
}

impl Sandbox {
    /// Opens or makes the state and checks that it belongs to the seed.
    pub fn open(options: SandboxOptions) -> Result<Self, Error> {
        let store = store::Store::open(options.data.as_deref())?;
        let seed = options.seed;
        let stored = store.setting_or("seed", || seed.to_string())?;
        if stored != seed.to_string() {
            return Err(Error::OtherSeed { stored, asked: seed });
        }
        if let Some(client_id) = &options.client_id {
            store.put_setting("client_id", client_id)?;
        }
        if let Some(client_secret) = &options.client_secret {
            store.put_setting("client_secret", client_secret.expose_secret())?;
        }
        let (scenario, receipts) = match options.scenario {
            Some(scenario) => (scenario.name, scenario.receipts),
            None => (Scenario::SHIPPED[0].to_owned(), Receipts::GUIDE),
        };
        let client_id = store.setting_or("client_id", random_uuid)?;
        let client_secret = store.setting_or("client_secret", random_secret)?.into();
        let mut world = shared::simulator::world(seed);
        world.extend(shared::simulator::crowd(seed, options.crowd));
        let real = crate::clock::now();
        let clock = clock::Clock::restore(store.state("clock")?, real);
        store.put_state("clock", &clock.saved())?;
        let made_at = store.setting_or("made_at", || clock.now(real).to_string())?;
        let made_at = Timestamp::parse(&made_at).map_err(|_| Error::Damaged("made_at"))?;
        let faults = faults::Faults::restore(seed, store.state("faults")?);
        Ok(Self(Arc::new(Inner {
            seed,
            client_id,
            client_secret,
            audit_secret: options.audit_secret,
            audit_previous_secret: options.audit_previous_secret,
            world,
            delivered_after: options.delivered_after,
            scenario,
            receipts,
            made_at,
            store,
            clock,
            faults,
            window: Mutex::default(),
        })))
    }

    /// Token endpoint, both API calls, control calls and audit sink.
    pub fn router(&self) -> Router {
        Router::new()
            .merge(platform::routes())
            .merge(control::routes())
            .merge(sink::routes())
            .fallback(|| async {
                refusal::Refusal::not_found("not.found", "There is no such path")
            })
            .with_state(self.clone())
    }

    /// The client id the token endpoint accepts.
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }

    /// The client secret the token endpoint accepts.
    pub fn client_secret(&self) -> &SecretString {
        &self.0.client_secret
    }

    /// Every conversation, in the order of [`shared::simulator::world`]: the guide's own first.
    pub fn conversations(&self) -> Vec<SampleConversation> {
        self.0.world.iter().map(sample).collect()
    }

    /// What `waybill sandbox` prints: how to reach this sandbox, its scenario, and the conversations in which a
    /// plain text from `from` to `to` is accepted, and arrives as far as the scenario lets it.
    pub fn announcement(&self, base_url: &str) -> serde_json::Value {
        let mut conversations = self.conversations();
        conversations.retain(|conversation| conversation.special.is_none());
        serde_json::json!({
            "base_url": base_url,
            "client_id": self.client_id(),
            "client_secret": self.client_secret().expose_secret(),
            "scenario": self.0.scenario,
            "conversations": conversations,
        })
    }

    fn conversation(&self, id: &str) -> Option<&SimulatedConversation> {
        self.0.world.iter().find(|conversation| conversation.id.as_str() == id)
    }

    /// The simulated platform's time.
    fn now(&self) -> Timestamp {
        self.0.clock.now(crate::clock::now())
    }

    /// What this platform writes for a moment: its clock may be off.
    fn stamp(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_unix_ms(at.unix_ms().saturating_add(self.0.faults.skew_ms()))
    }
}

fn sample(conversation: &SimulatedConversation) -> SampleConversation {
    let special = match conversation.behaviour {
        _ if conversation.ended => Some(Special::Closed),
        _ if !conversation.accepts() => Some(Special::NoAgent),
        Behaviour::Fails => Some(Special::Fails),
        Behaviour::NoReceipts => Some(Special::NoReceipts),
        Behaviour::Quick | Behaviour::Usual => None,
    };
    SampleConversation {
        id: conversation.id.clone(),
        channel: conversation.channel.clone(),
        from: conversation.sender().to_owned(),
        to: conversation.recipient().to_owned(),
        special,
    }
}

/// Locks whatever happened to other holders: every change under these locks is a single assignment or a
/// database transaction, so a holder that panicked left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A UUID of version 4 from the operating system's randomness.
fn random_uuid() -> String {
    let mut bytes: [u8; 16] = crate::clock::random();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// 256 random bits as text that needs no escaping anywhere.
fn random_secret() -> String {
    hex::encode(crate::clock::random::<32>())
}
