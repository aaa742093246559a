//! The real workers on a real store, against a platform whose every answer the test decides. Workers run
//! when the test says so, at the time it says.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Extracted;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use proxy::audit::HmacSigner;
use proxy::clock;
use proxy::engine::{AuditPolicy, Connection, Engine, Nudges};
use proxy::platform::{Endpoint, connect_guide};
use proxy::store::sqlite::Sqlite;
use proxy::store::{Accepted, NewSubmission, Store};
use proxy::worker::Worker;
use proxy::worker::dispatch::Dispatch;
use proxy::worker::track::Track;
use secrecy::SecretString;
use serde_json::json;
use shared::api::MessageDetail;
use shared::channel::Channel;
use shared::delivery::{Delivery, Policy, State};
use shared::id::{ConnectionName, ConversationId, Key, MessageId, SubmissionId};
use shared::payload::Payload;
use shared::rules::{Dialect, Ruleset};
use shared::time::Timestamp;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

pub const AGENT: &str = "agent@example.com";
pub const CUSTOMER: &str = "customer@example.com";

/// What the platform answers to a call: `None` for its usual good answer.
type Rule = Box<dyn Fn(&Method, &str) -> Option<Response> + Send>;

/// A platform that works until a rule says otherwise.
#[derive(Clone)]
pub struct Platform {
    rule: Arc<Mutex<Rule>>,
    calls: Arc<Mutex<Vec<String>>>,
    /// The statuses of the messages it took: all of them have this one.
    status: Arc<Mutex<&'static str>>,
}

impl Platform {
    /// Replaces the rule.
    pub fn answer(&self, rule: impl Fn(&Method, &str) -> Option<Response> + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }

    /// Answers every call of the API with this status from now on, and the token call as usual.
    pub fn answer_all(&self, status: u16) {
        self.answer(move |_, path| {
            let code = StatusCode::from_u16(status).unwrap();
            (path != "/oauth/token").then(|| code.into_response())
        });
    }

    /// Works again.
    pub fn work(&self) {
        self.answer(|_, _| None);
    }

    /// What is said of every message from now on.
    pub fn report(&self, status: &'static str) {
        *self.status.lock().unwrap() = status;
    }

    /// Calls so far whose method and path contain `part`.
    pub fn calls(&self, part: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|call| call.contains(part)).count()
    }
}

async fn serve(
    Extracted(platform): Extracted<Platform>,
    method: Method,
    uri: Uri,
    _body: Bytes,
) -> Response {
    let path = uri.path();
    let number = {
        let mut calls = platform.calls.lock().unwrap();
        calls.push(format!("{method} {path}"));
        calls.len()
    };
    if let Some(answer) = (platform.rule.lock().unwrap())(&method, path) {
        return answer;
    }
    let created = "2026-11-22T10:00:00.000Z";
    if path == "/oauth/token" {
        let token = format!("token-{number}");
        return axum::Json(
            json!({"access_token": token, "token_type": "bearer", "expires_in": 3600}),
        )
        .into_response();
    }
    let id = path.trim_start_matches("/api/v2/conversations/").trim_end_matches("/messages");
    if method == Method::POST {
        return (
            StatusCode::ACCEPTED,
            axum::Json(json!({"id": format!("p-{id}"), "status": "queued"})),
        )
            .into_response();
    }
    let status = *platform.status.lock().unwrap();
    let times = match status {
        "queued" => json!({}),
        _ => json!({"delivered": "2026-11-22T10:00:03.000Z"}),
    };
    axum::Json(json!({
        "id": id,
        "channelType": "email",
        "participants": [
            {"id": "a", "role": "agent", "from": {"id": AGENT}},
            {"id": "c", "role": "customer", "from": {"id": CUSTOMER}},
        ],
        "messages": [{"id": format!("p-{id}"), "status": status, "createdTimestamp": created,
            "statusTimestamps": times}],
    }))
    .into_response()
}

/// Everything a test needs.
pub struct Stage {
    pub platform: Platform,
    pub engine: Engine,
    url: String,
    _folder: TempDir,
}

/// A stage with a connection named `main` to a platform that works.
pub async fn stage() -> Stage {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let platform = Platform {
        rule: Arc::new(Mutex::new(Box::new(|_, _| None))),
        calls: Arc::default(),
        status: Arc::new(Mutex::new("queued")),
    };
    let router = Router::new().fallback(serve).with_state(platform.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> =
        Arc::new(Sqlite::open(&folder.path().join("store.sqlite")).unwrap());
    let engine = engine(&url, store);
    Stage { platform, engine, url, _folder: folder }
}

fn engine(url: &str, store: Arc<dyn Store>) -> Engine {
    let connected = connect_guide(Endpoint {
        api_url: url.to_owned(),
        login_url: url.to_owned(),
        client_id: "client".into(),
        client_secret: SecretString::from("secret"),
        requests_per_minute: 60_000,
    })
    .unwrap();
    let config = proxy::config::ConnectionConfig {
        name: connection(),
        target: proxy::config::Target::Sandbox,
        region: "test".into(),
        requests_per_minute: 60_000,
        policy: Policy::default(),
        rules: Arc::new(Ruleset::embedded(Dialect::Guide).clone()),
        channels_without_receipts: Vec::new(),
    };
    let secret = SecretString::from("audit-secret-0123456789abcdef-0123456789");
    Engine {
        store,
        connections: vec![Connection::new(&config, connected, false, None)],
        policy: Policy::default(),
        threshold_ms: 10_000,
        signer: Arc::new(HmacSigner::new("k1".into(), &secret).unwrap()),
        audit: AuditPolicy::default(),
        retention: None,
        nudges: Nudges::default(),
    }
}

pub fn connection() -> ConnectionName {
    ConnectionName::parse("main").unwrap()
}

impl Stage {
    /// The same record under a new process, as after a restart.
    pub async fn restart(&mut self) {
        self.engine = engine(&self.url, Arc::clone(&self.engine.store));
        self.engine.store.recover(clock::now()).await.unwrap();
        self.engine.learn_from_record().await.unwrap();
    }

    /// The record in this file from now on, in which another process may have left something.
    pub async fn open(&mut self, path: &Path) {
        self.engine = engine(&self.url, Arc::new(Sqlite::open(path).unwrap()));
        self.engine.store.recover(clock::now()).await.unwrap();
    }

    /// The connection all messages go through.
    pub fn main(&self) -> &Connection {
        &self.engine.connections[0]
    }

    /// Accepts a message into each of the conversations.
    pub async fn accept_each(&self, numbers: std::ops::Range<u32>) -> Vec<MessageId> {
        let mut ids = Vec::new();
        for number in numbers {
            ids.push(self.accept(number).await);
        }
        ids
    }

    /// How many of these messages are in this state.
    pub async fn count(&self, ids: &[MessageId], state: State) -> usize {
        let mut count = 0;
        for id in ids {
            count += usize::from(self.message(id).await.message.delivery.state == state);
        }
        count
    }

    /// Accepts a message into conversation `number`.
    pub async fn accept(&self, number: u32) -> MessageId {
        self.accept_through(&connection(), number).await
    }

    /// Accepts a message for a connection.
    pub async fn accept_through(&self, name: &ConnectionName, number: u32) -> MessageId {
        let now = clock::now();
        let id = MessageId::new(now, clock::random());
        let new = NewSubmission {
            owner: "local".into(),
            key: Key::parse(&format!("key-{id}")).unwrap(),
            fingerprint: [7; 32],
            id: SubmissionId::new(now, clock::random()),
            message_id: id.clone(),
            connection: name.clone(),
            conversation_id: ConversationId::parse(&format!(
                "00000000-0000-4000-8000-{number:012}"
            ))
            .unwrap(),
            channel: Channel::Email,
            payload: Payload {
                from: AGENT.into(),
                to: vec![CUSTOMER.into()],
                content_type: "text/plain".into(),
                content: "Hello".into(),
                attachments: Vec::new(),
            },
            delivery: Delivery::accepted(now, None, None, 10_000, true),
            resend: None,
            audit_backlog_max: None,
        };
        let accepted = self.engine.store.accept_submission(new).await.unwrap();
        assert!(matches!(accepted, Accepted::New(_)), "{accepted:?}");
        id
    }

    /// Runs the dispatcher until everything that is due `later` from now had its turn.
    pub async fn dispatch_all(&self, later: Duration) {
        for _ in 0..10 {
            self.dispatch(later).await;
        }
    }

    /// Runs the dispatcher once, `later` from now.
    pub async fn dispatch(&self, later: Duration) {
        Dispatch.run_once(&self.engine, Self::at(later)).await.unwrap();
    }

    /// Runs the tracker once, `later` from now.
    pub async fn track(&self, later: Duration) {
        Track.run_once(&self.engine, Self::at(later)).await.unwrap();
    }

    fn at(later: Duration) -> Timestamp {
        clock::now().plus(later)
    }

    /// A message as it is.
    pub async fn message(&self, id: &MessageId) -> MessageDetail {
        self.engine.store.find_message(id.clone()).await.unwrap().unwrap()
    }
}

/// Lets the clock of breakers and pauses go on, while nothing is under way.
pub async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
