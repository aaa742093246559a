//! Putting a proxy together and taking it apart: the one place that knows the order.
//!
//! Start: data folder, store, recovery, sandbox, connections, workers, server. Stop: no new requests, what is
//! in flight ends, the tail of the audit is sealed, the store closes. A process that dies instead finds
//! everything it needs in the database.

use crate::access::Access;
use crate::audit::HmacSigner;
use crate::clock;
use crate::config::{Config, ConnectionConfig, Target};
use crate::console::Console;
use crate::data_folder::DataFolder;
use crate::engine::{Connection, Engine, Sink};
use crate::platform::{self, Endpoint, Guard, http};
use crate::router::{AppState, router};
use crate::routes::sandbox::Control;
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::server;
use crate::store::sqlite::{self, Sqlite};
use crate::store::{SealWhen, Store};
use crate::worker;
use crate::worker::ship::Post;
use secrecy::{ExposeSecret, SecretString};
use shared::conversation::Conversation;
use shared::simulator::{self, Behaviour};
use shared::time::Timestamp;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Why a proxy could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error("the data folder cannot be used: {0}")]
    DataFolder(#[source] std::io::Error),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] sqlite::OpenError),
    /// A call to the store failed.
    #[error("the store failed: {0}")]
    StoreCall(#[from] crate::store::Error),
    /// The address is taken or not ours.
    #[error("{address} cannot be listened on: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The HTTP client cannot be made, usually because the machine has no CA certificates.
    #[error("https cannot be used on this machine: {0}")]
    Tls(#[from] reqwest::Error),
    /// The sandbox's own state cannot be used.
    #[error("the sandbox cannot be started: {0}")]
    Sandbox(#[from] crate::sandbox::Error),
    /// The audit secret cannot be used.
    #[error("the audit secret cannot be used as a key")]
    AuditSecret,
}

impl StartError {
    /// Whether the cause is the storage (exit code 3) rather than usage or configuration (2).
    pub fn is_storage(&self) -> bool {
        matches!(self, Self::DataFolder(_) | Self::Store(_) | Self::StoreCall(_) | Self::Sandbox(_))
    }
}

/// A running proxy.
pub struct Running {
    link: SecretString,
    engine: Arc<Engine>,
    broken: tokio::sync::watch::Receiver<bool>,
    intake: CancellationToken,
    workers: CancellationToken,
    sandbox: CancellationToken,
    server_task: TaskTracker,
    worker_tasks: TaskTracker,
    sandbox_tasks: TaskTracker,
    _data: DataFolder,
}

/// Starts everything; the proxy serves when this returns.
pub async fn start(config: &Config, data: DataFolder) -> Result<Running, StartError> {
    let launch_token = data.launch_token().map_err(StartError::DataFolder)?;
    let audit_secret = match &config.audit.secret {
        Some(secret) => secret.clone(),
        None => data.audit_secret().map_err(StartError::DataFolder)?,
    };
    let sqlite = Sqlite::open(&sqlite::path_in(&data.join("")))?.with_quota(config.quota);
    let broken = sqlite.broken();
    let store: Arc<dyn Store> = Arc::new(sqlite);
    let listener = bind(config.listen).await?;
    let address = listener
        .local_addr()
        .map_err(|source| StartError::Listen { address: config.listen, source })?;

    let sandbox_stop = CancellationToken::new();
    let sandbox_tasks = TaskTracker::new();
    let needs_sandbox = config.connections.iter().any(|one| matches!(one.target, Target::Sandbox));
    let sandbox = if needs_sandbox {
        let options = SandboxOptions {
            seed: config.sandbox_seed,
            scenario: config.sandbox_scenario.clone(),
            data: Some(data.join(&format!("sandbox-{}.sqlite", config.sandbox_seed))),
            audit_secret: Some(audit_secret.clone()),
            audit_previous_secret: config.audit.previous.as_ref().map(|(_, secret)| secret.clone()),
            client_id: None,
            client_secret: None,
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::open(options)?;
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener
            .local_addr()
            .map_err(|source| StartError::Listen { address: config.listen, source })?;
        sandbox_tasks.spawn(server::serve(
            listener,
            sandbox.router(),
            sandbox_stop.clone(),
            Duration::from_secs(1),
        ));
        Some((sandbox, format!("http://{address}")))
    } else {
        None
    };

    let mut connections = Vec::with_capacity(config.connections.len());
    // One sink for each address, because connections that ship to the same host share its breaker.
    let mut sinks = BTreeMap::new();
    for one in &config.connections {
        connections.push(connect(one, config, sandbox.as_ref(), &mut sinks)?);
    }
    if sandbox.is_some() {
        introduce(config.sandbox_seed, &connections, store.as_ref()).await?;
    }
    let previous_secret = config.audit.previous.as_ref().map(|(_, secret)| secret);
    let signer = HmacSigner::new(config.audit.key_id.clone(), &audit_secret)
        .ok_or(StartError::AuditSecret)?
        .with_previous(previous_secret);
    let engine = Arc::new(Engine::new(config, store, connections, signer));
    let open = engine.store.recover(clock::now()).await?;
    if open > 0 {
        tracing::warn!(
            attempts = open,
            "attempts were open when the last process ended; finding out what became of them"
        );
    }

    engine.learn_from_record().await?;

    let intake = CancellationToken::new();
    let control = sandbox.as_ref().map(|(_, base_url)| -> Result<_, StartError> {
        let client = http::client_for(base_url)?;
        Ok(Arc::new(Control { base_url: base_url.clone(), client }))
    });
    let state = AppState {
        engine: Arc::clone(&engine),
        sandbox: control.transpose()?,
        stop: intake.clone(),
    };
    let access =
        Arc::new(Access::new(address.port(), launch_token.clone(), data.launch_token_path()));
    let server_task = TaskTracker::new();
    server_task.spawn(server::serve(
        listener,
        router(state, access, Console::embedded()),
        intake.clone(),
        config.shutdown,
    ));
    let workers = CancellationToken::new();
    let worker_tasks = TaskTracker::new();
    worker::start(&engine, &worker_tasks, &workers);
    data.write_address(&address.to_string()).map_err(StartError::DataFolder)?;
    tracing::info!(%address, connections = engine.connections.len(), "serving");
    Ok(Running {
        link: SecretString::from(link(&address.to_string(), &launch_token)),
        engine,
        broken,
        intake,
        workers,
        sandbox: sandbox_stop,
        server_task,
        worker_tasks,
        sandbox_tasks,
        _data: data,
    })
}

impl Running {
    /// The link that opens the console; it holds the launch token.
    pub fn link(&self) -> &SecretString {
        &self.link
    }

    /// Waits until the store can no longer be trusted to write; pending for ever otherwise.
    pub async fn broken(&self) {
        let mut broken = self.broken.clone();
        if broken.wait_for(|broken| *broken).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Stops in order within `patience`: requests, workers, the audit's tail, the store.
    pub async fn stop(self, patience: Duration) {
        tracing::info!("stopping");
        self.intake.cancel();
        self.workers.cancel();
        self.server_task.close();
        self.worker_tasks.close();
        let finished = async {
            self.server_task.wait().await;
            self.worker_tasks.wait().await;
        };
        if tokio::time::timeout(patience, finished).await.is_err() {
            // Whatever is still open is found open at the next start.
            tracing::warn!("some work did not end in time and will be settled at the next start");
        }
        while let Ok(true) = worker::seal::seal_all(&self.engine, SealWhen::Now, clock::now()).await
        {
        }
        self.engine.store.close().await;
        self.sandbox.cancel();
        self.sandbox_tasks.close();
        self.sandbox_tasks.wait().await;
        tracing::info!("stopped");
    }
}

/// The link of a proxy at `address` with this launch token.
pub fn link(address: &str, launch_token: &SecretString) -> String {
    format!("http://{address}/#token={}", launch_token.expose_secret())
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

fn connect(
    one: &ConnectionConfig,
    config: &Config,
    sandbox: Option<&(Sandbox, String)>,
    sinks: &mut BTreeMap<String, Arc<dyn Post>>,
) -> Result<Connection, StartError> {
    let (endpoint, own_sink) = match (&one.target, sandbox) {
        (Target::Remote { api_url, login_url, client_id, client_secret }, _) => {
            let endpoint = Endpoint {
                api_url: api_url.clone(),
                login_url: login_url.clone(),
                client_id: client_id.clone(),
                client_secret: client_secret.clone(),
                requests_per_minute: one.requests_per_minute,
            };
            (endpoint, None)
        }
        (Target::Sandbox, Some((sandbox, base_url))) => {
            let endpoint = Endpoint {
                api_url: base_url.clone(),
                login_url: base_url.clone(),
                client_id: sandbox.client_id().to_owned(),
                client_secret: sandbox.client_secret().clone(),
                requests_per_minute: one.requests_per_minute,
            };
            (endpoint, Some(format!("{base_url}/sandbox/v1/audit")))
        }
        (Target::Sandbox, None) => {
            unreachable!("`start` makes the sandbox whenever a connection needs it")
        }
    };
    let url = config.audit.sink_url.clone().or(own_sink);
    let sink = match url {
        Some(url) => Some(match sinks.get(&url) {
            Some(sink) => Arc::clone(sink),
            None => {
                let (client, guard) = (http::client_for(&url)?, Guard::for_url(&url));
                let sink: Arc<dyn Post> = Arc::new(Sink { url: url.clone(), client, guard });
                sinks.insert(url, Arc::clone(&sink));
                sink
            }
        }),
        None => None,
    };
    let is_sandbox = matches!(one.target, Target::Sandbox);
    Ok(Connection::new(one, platform::connect_guide(endpoint)?, is_sandbox, sink))
}

/// The sandbox's conversations become known to each connection that uses it, so that a first visitor has
/// something to choose from: the guide's own example first, the awkward ones last.
async fn introduce(
    seed: u64,
    connections: &[Connection],
    store: &dyn Store,
) -> Result<(), StartError> {
    let mut world = simulator::world(seed);
    world.sort_by_key(|one| {
        !one.accepts() || matches!(one.behaviour, Behaviour::Fails | Behaviour::NoReceipts)
    });
    for connection in connections.iter().filter(|one| one.is_sandbox) {
        for (simulated, order) in world.iter().rev().zip(1..) {
            // Read long ago, as far as dispatch is concerned: it asks the platform before it sends.
            let read_at = Timestamp::from_unix_ms(order);
            let conversation = Conversation {
                id: simulated.id.clone(),
                channel: simulated.channel.clone(),
                participants: simulated.participants.clone(),
                ended_at: simulated.ended.then_some(read_at),
                read_at,
            };
            // Keeps what was really read since: an older reading never replaces a newer one.
            store.remember_conversation(connection.name.clone(), conversation).await?;
        }
    }
    Ok(())
}
