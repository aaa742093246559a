//! The simulated platform over real HTTP: what its callers may rely on.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test would")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use proxy::sandbox::{Error, Sandbox, SandboxOptions, Special};
use reqwest::{Client, Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::audit::{FIRST_PREVIOUS, Link, chain_text};
use shared::simulator::{
    Behaviour, CLOSED_CONVERSATION, FAILING_CONVERSATION, FailureShare, GUIDE_CONVERSATION,
    NO_AGENT_CONVERSATION, NO_RECEIPTS_CONVERSATION, Receipt, Receipts, SMS_CONVERSATION, Scenario,
    history, world,
};
use shared::time::Timestamp;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const SEED: u64 = 42;
const AUDIT_SECRET: &str = "audit-secret-0123456789abcdef-0123456789";

/// A sandbox that is being served on a port of its own.
struct Running {
    sandbox: Sandbox,
    base_url: String,
    address: String,
    client: Client,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

/// An answer: status, one header by name, JSON body.
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }

    fn number(&self, name: &str) -> u64 {
        self.header(name).parse().unwrap()
    }
}

impl Running {
    async fn start() -> Self {
        Self::with(SandboxOptions { seed: SEED, ..SandboxOptions::default() }).await
    }

    async fn on_file(path: &Path) -> Self {
        let data = Some(path.to_owned());
        Self::with(SandboxOptions { seed: SEED, data, ..SandboxOptions::default() }).await
    }

    async fn with(options: SandboxOptions) -> Self {
        // A second test in this process finds it installed, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sandbox = Sandbox::open(options).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = sandbox.router();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or_default() };
            axum::serve(listener, router).with_graceful_shutdown(stopped).await
        });
        // No idle connections: a reset must be one of the request that asked for it.
        let client = Client::builder()
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Self { sandbox, base_url: format!("http://{address}"), address, client, stop, served }
    }

    /// Stops serving and lets go of the data file.
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap().unwrap();
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base_url))
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null) }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.answer(self.request(Method::GET, path)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    async fn put(&self, path: &str, body: Value) -> Answer {
        self.answer(self.request(Method::PUT, path).json(&body)).await
    }

    async fn faults(&self, rules: Value) {
        let answer = self.put("/sandbox/v1/faults", rules).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    async fn speed(&self, speed: impl Into<f64>) {
        let answer = self.put("/sandbox/v1/clock", json!({ "speed": speed.into() })).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    fn token_request(&self) -> reqwest::RequestBuilder {
        self.request(Method::POST, "/oauth/token")
            .basic_auth(
                self.sandbox.client_id(),
                Some(self.sandbox.client_secret().expose_secret()),
            )
            .header("content-type", "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials")
    }

    async fn token(&self) -> String {
        let answer = self.answer(self.token_request()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["access_token"].as_str().unwrap().to_owned()
    }

    fn read_request(&self, token: &str, id: &str) -> reqwest::RequestBuilder {
        self.request(Method::GET, &format!("/api/v2/conversations/{id}")).bearer_auth(token)
    }

    async fn read(&self, token: &str, id: &str) -> Answer {
        self.answer(self.read_request(token, id)).await
    }

    fn send_request(
        &self,
        token: &str,
        id: &str,
        key: &str,
        payload: &Value,
    ) -> reqwest::RequestBuilder {
        self.request(Method::POST, &format!("/api/v2/conversations/{id}/messages"))
            .bearer_auth(token)
            .header("X-Genesys-Client-Id", key)
            .json(payload)
    }

    async fn send(&self, token: &str, id: &str, key: &str, payload: &Value) -> Answer {
        self.answer(self.send_request(token, id, key, payload)).await
    }

    /// Sends a text from the conversation's `from` to its `to`.
    async fn say(&self, token: &str, id: &str, key: &str) -> Answer {
        self.send(token, id, key, &self.text(id)).await
    }

    fn text(&self, id: &str) -> Value {
        let all = self.sandbox.conversations();
        let one = all.iter().find(|one| one.id.as_str() == id).unwrap();
        json!({ "from": one.from, "to": [one.to], "type": "text/plain", "content": "Hello" })
    }

    async fn sends(&self) -> Vec<Value> {
        self.get("/sandbox/v1/sends").await["sends"].as_array().unwrap().clone()
    }

    /// Reads the conversation until its last message satisfies `is_reached`.
    async fn until(&self, token: &str, id: &str, is_reached: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = self.read(token, id).await;
            if answer.status == 200 {
                let last = answer.body["messages"].as_array().unwrap().last().unwrap();
                if is_reached(last) {
                    return last.clone();
                }
            }
            assert!(Instant::now() < deadline, "not reached: {}", answer.body);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the simulated clock has moved on by `ms`.
    async fn pass(&self, ms: i64) {
        let now = async || {
            let clock = self.get("/sandbox/v1/clock").await;
            Timestamp::parse(clock["now"].as_str().unwrap()).unwrap()
        };
        let begin = now().await;
        while now().await.ms_since(begin) < ms {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Every byte that comes back for a request written by hand, until the connection ends.
    async fn raw(&self, request: String) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        // A reset is an end like any other here.
        let _ = stream.read_to_end(&mut bytes).await;
        bytes
    }

    fn raw_send(&self, token: &str, key: &str) -> String {
        let body = self.text(GUIDE_CONVERSATION).to_string();
        format!(
            "POST /api/v2/conversations/{GUIDE_CONVERSATION}/messages HTTP/1.1\r\nhost: x\r\n\
             authorization: Bearer {token}\r\nx-genesys-client-id: {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

#[tokio::test]
async fn a_token_is_given_for_basic_and_form_credentials_only_when_they_are_right() {
    let running = Running::start().await;
    let (id, secret) =
        (running.sandbox.client_id(), running.sandbox.client_secret().expose_secret());
    let answer = running.answer(running.token_request()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        (&answer.body["token_type"], &answer.body["expires_in"]),
        (&json!("bearer"), &json!(3600))
    );

    let form = |body: String| {
        running
            .request(Method::POST, "/oauth/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    };
    let complete = format!(
        "grant_type=client_credentials&client_id={id}&client_secret={secret}&scope=conversation%3Asend"
    );
    assert_eq!(running.answer(form(complete)).await.status, 200);

    let grant = "grant_type=client_credentials";
    for (request, error, description) in [
        (
            form(format!("{grant}&client_id={id}&client_secret=no")),
            "invalid_client",
            "authentication failed",
        ),
        (
            form(format!("{grant}&client_id=no&client_secret={secret}")),
            "invalid_client",
            "client not found",
        ),
        (form(grant.to_owned()), "invalid_client", "client not found"),
        (
            form("grant_type=password".into()),
            "unsupported_grant_type",
            "grant_type must be client_credentials",
        ),
        (
            running.request(Method::POST, "/oauth/token").json(&json!({})),
            "invalid_request",
            "the body must be a form",
        ),
        (
            form(grant.to_owned()).header("authorization", "Bearer x"),
            "invalid_request",
            "the Authorization header is not Basic",
        ),
    ] {
        let answer = running.answer(request).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.body["error"], error);
        assert_eq!(answer.body["error_description"], description);
        assert_eq!(answer.body["description"], description);
    }
}

#[tokio::test]
async fn calls_without_a_valid_token_are_refused_in_the_platforms_words() {
    let running = Running::start().await;
    let path = format!("/api/v2/conversations/{GUIDE_CONVERSATION}");
    let missing = running.answer(running.request(Method::GET, &path)).await;
    assert_eq!((missing.status, &missing.body["code"]), (401, &json!("authentication.required")));
    let bad = running.read("not-a-token", GUIDE_CONVERSATION).await;
    assert_eq!((bad.status, &bad.body["code"]), (401, &json!("bad.credentials")));
    assert_eq!(bad.body["status"], 401);
    assert_eq!(bad.body["contextId"], bad.header("inin-correlation-id"));
    assert_eq!((&bad.body["details"], &bad.body["errors"]), (&json!([]), &json!([])));
    assert_eq!(bad.number("inin-ratelimit-count"), 0);
}

#[tokio::test]
async fn a_conversation_is_read_as_the_guide_describes_it() {
    let running = Running::start().await;
    let token = running.token().await;
    let guide = running.read(&token, GUIDE_CONVERSATION).await;
    assert_eq!(guide.status, 200);
    assert_eq!(guide.body["id"], GUIDE_CONVERSATION);
    assert_eq!(guide.body["channelType"], "email");
    let parties: Vec<_> = guide.body["participants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["role"].as_str().unwrap(), one["from"]["id"].as_str().unwrap()))
        .collect();
    assert_eq!(parties, [("agent", "agent@genesys.cloud"), ("customer", "customer@example.com")]);
    assert_eq!(guide.body["messages"], json!([]));
    assert!(guide.body.get("endTime").is_none());

    let closed = running.read(&token, CLOSED_CONVERSATION).await;
    let ended = Timestamp::parse(closed.body["endTime"].as_str().unwrap()).unwrap();
    assert!(ended < real_now());
    let unknown = running.read(&token, "00000000-0000-4000-8000-00000000ffff").await;
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.body["code"], "conversation.error.conversation.not.found");
    let nowhere = running.answer(running.request(Method::GET, "/api/v2/users/me")).await;
    assert_eq!((nowhere.status, &nowhere.body["code"]), (404, &json!("not.found")));
}

fn real_now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_unix_ms(i64::try_from(since.as_millis()).unwrap())
}

#[tokio::test]
async fn every_announced_conversation_accepts_a_text() {
    let running = Running::start().await;
    let token = running.token().await;
    let announced = running.sandbox.announcement(&running.base_url);
    assert_eq!(announced["base_url"], running.base_url);
    assert_eq!(announced["client_id"], running.sandbox.client_id());
    let all = announced["conversations"].as_array().unwrap();
    assert!(all.len() >= 36, "{}", all.len());
    assert_eq!(all[0]["id"], GUIDE_CONVERSATION);
    for (number, one) in all.iter().enumerate() {
        let payload = json!({
            "from": one["from"], "to": [one["to"]], "type": "text/plain", "content": "Hello",
        });
        let id = one["id"].as_str().unwrap();
        let answer = running.send(&token, id, &format!("k-{number}"), &payload).await;
        assert_eq!(answer.status, 202, "{one}: {}", answer.body);
        assert_eq!(answer.body["status"], "queued");
    }
    let listed = running.get("/sandbox/v1/conversations").await;
    let special: Vec<_> = running.sandbox.conversations();
    assert_eq!(listed["conversations"].as_array().unwrap().len(), special.len());
    for kind in [Special::Fails, Special::NoReceipts, Special::Closed, Special::NoAgent] {
        assert!(special.iter().any(|one| one.special == Some(kind)), "{kind:?}");
    }
}

#[tokio::test]
async fn the_same_key_gets_the_first_messages_answer_whatever_comes_with_it() {
    let running = Running::start().await;
    let token = running.token().await;
    let first = running.say(&token, GUIDE_CONVERSATION, "k-1").await;
    let again = running.say(&token, GUIDE_CONVERSATION, "k-1").await;
    let other = running.send(&token, GUIDE_CONVERSATION, "k-1", &json!({ "odd": true })).await;
    assert_eq!((first.status, again.status, other.status), (202, 202, 202));
    assert_eq!((&first.body, &first.body), (&again.body, &other.body));
    let read = running.read(&token, GUIDE_CONVERSATION).await;
    assert_eq!(read.body["messages"].as_array().unwrap().len(), 1);

    let sends = running.sends().await;
    let duplicates: Vec<_> = sends.iter().map(|one| one["duplicate"].as_bool().unwrap()).collect();
    assert_eq!(duplicates, [false, true, true]);
    for send in &sends {
        assert_eq!(send["key"], "k-1");
        assert_eq!(send["id"], first.body["id"]);
        assert_eq!(send["conversation_id"], GUIDE_CONVERSATION);
        assert!(Timestamp::parse(send["at"].as_str().unwrap()).is_ok());
    }
    assert_eq!(sends[0]["body_sha256"], sends[1]["body_sha256"]);
    assert_ne!(sends[0]["body_sha256"], sends[2]["body_sha256"]);
}

#[tokio::test]
async fn one_key_posted_by_many_at_once_makes_one_message() {
    let running = Running::start().await;
    let token = running.token().await;
    let posts = (0..30).map(|_| running.say(&token, SMS_CONVERSATION, "k-race"));
    let answers = futures_util::future::join_all(posts).await;
    assert!(answers.iter().all(|one| one.status == 202 && one.body == answers[0].body));
    let sends = running.sends().await;
    assert_eq!(sends.iter().filter(|one| one["duplicate"] == false).count(), 1);
    assert_eq!(sends.len(), 30);
}

#[tokio::test]
async fn what_the_platform_would_refuse_is_refused_and_not_counted_as_sent() {
    let running = Running::start().await;
    let token = running.token().await;
    let guide = |change: Value| {
        let mut payload = running.text(GUIDE_CONVERSATION);
        payload.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        payload
    };
    let attach = |attachment: Value| guide(json!({ "attachments": [attachment] }));
    let mut html = running.text(SMS_CONVERSATION);
    html["type"] = json!("text/html");
    for (id, payload, status, code) in [
        (SMS_CONVERSATION, html, 400, "message.content.type.not.supported"),
        (CLOSED_CONVERSATION, running.text(CLOSED_CONVERSATION), 400, "conversation.ended"),
        (NO_AGENT_CONVERSATION, running.text(NO_AGENT_CONVERSATION), 403, "not.authorized"),
        (
            GUIDE_CONVERSATION,
            guide(json!({ "from": "customer@example.com" })),
            403,
            "not.authorized",
        ),
        (
            GUIDE_CONVERSATION,
            guide(json!({ "from": "stranger@example.com" })),
            403,
            "not.authorized",
        ),
        (GUIDE_CONVERSATION, guide(json!({ "from": "" })), 400, "invalid.value"),
        (GUIDE_CONVERSATION, guide(json!({ "to": [] })), 400, "invalid.value"),
        (GUIDE_CONVERSATION, guide(json!({ "content": 7 })), 400, "invalid.value"),
        (
            GUIDE_CONVERSATION,
            guide(json!({ "type": "text/markdown" })),
            400,
            "message.content.type.not.supported",
        ),
        (GUIDE_CONVERSATION, json!({}), 400, "bad.request"),
        (GUIDE_CONVERSATION, json!("text"), 400, "bad.request"),
        (
            GUIDE_CONVERSATION,
            attach(json!({ "type": "application/pdf", "filename": "a.pdf" })),
            400,
            "invalid.value",
        ),
        (
            GUIDE_CONVERSATION,
            attach(
                json!({ "type": "application/pdf", "filename": "a.png", "url": "https://cdn.example.com/a.png" }),
            ),
            400,
            "attachment.type.mismatch",
        ),
    ] {
        let answer = running.send(&token, id, "k-refused", &payload).await;
        assert_eq!(
            (answer.status, answer.body["code"].as_str().unwrap()),
            (status, code),
            "{payload}"
        );
        assert_eq!(answer.body["status"], status);
    }
    let unkeyed = running
        .request(Method::POST, &format!("/api/v2/conversations/{GUIDE_CONVERSATION}/messages"));
    let unkeyed = running.answer(unkeyed.bearer_auth(&token).json(&guide(json!({})))).await;
    assert_eq!(unkeyed.status, 400);
    assert_eq!(unkeyed.body["details"][0]["fieldName"], "X-Genesys-Client-Id");
    let plain = running
        .request(Method::POST, &format!("/api/v2/conversations/{GUIDE_CONVERSATION}/messages"))
        .bearer_auth(&token)
        .header("X-Genesys-Client-Id", "k-refused")
        .header("content-type", "text/plain")
        .body("Hello");
    assert_eq!(running.answer(plain).await.status, 415);
    assert_eq!(running.sends().await.len(), 0);
    // A refused key was never used up.
    assert_eq!(running.say(&token, GUIDE_CONVERSATION, "k-refused").await.status, 202);
}

#[tokio::test]
async fn a_message_goes_through_its_life_at_the_moments_its_history_gives() {
    let running = Running::start().await;
    let token = running.token().await;
    let conversation = world(SEED).remove(0);
    let expected = history(SEED, &conversation, 0);
    running.speed(20).await;
    let sent = running.say(&token, GUIDE_CONVERSATION, "k-life").await;
    let (_, last) = expected.last().unwrap();
    let message = running
        .until(&token, GUIDE_CONVERSATION, |message| message["status"] == last.as_str())
        .await;
    assert_eq!(message["id"], sent.body["id"]);
    let created = Timestamp::parse(message["createdTimestamp"].as_str().unwrap()).unwrap();
    for (offset_ms, receipt) in expected {
        let at = message["statusTimestamps"][receipt.as_str()].as_str();
        if receipt == Receipt::Queued {
            assert_eq!(at, None);
        } else {
            let at = Timestamp::parse(at.unwrap()).unwrap();
            assert_eq!(at.ms_since(created), i64::from(offset_ms), "{receipt:?}");
        }
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_messages_in_another_sandbox() {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let running = Running::start().await;
        let token = running.token().await;
        let first = running.say(&token, GUIDE_CONVERSATION, "one").await;
        let second = running.say(&token, GUIDE_CONVERSATION, "two").await;
        ids.push((first.body["id"].clone(), second.body["id"].clone()));
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0].0, ids[0].1);
}

#[tokio::test]
async fn the_failing_recipient_fails_with_its_reason_and_the_silent_one_stays_sent() {
    let running = Running::start().await;
    let token = running.token().await;
    running.speed(1000).await;
    assert_eq!(running.say(&token, FAILING_CONVERSATION, "k-1").await.status, 202);
    assert_eq!(running.say(&token, NO_RECEIPTS_CONVERSATION, "k-2").await.status, 202);
    let failed =
        running.until(&token, FAILING_CONVERSATION, |message| message["status"] == "failed").await;
    assert_eq!(failed["errorInfo"]["message"], "Number not in service");
    assert!(failed["statusTimestamps"]["failed"].is_string());
    assert!(failed["statusTimestamps"].get("delivered").is_none());
    running.pass(10 * 60 * 1000).await;
    let silent = running.until(&token, NO_RECEIPTS_CONVERSATION, |_| true).await;
    assert_eq!(silent["status"], "sent");
    assert!(silent.get("errorInfo").is_none());
}

#[tokio::test]
async fn the_rate_limit_counts_refuses_and_opens_again_with_the_next_window() {
    let running = Running::start().await;
    let token = running.token().await;
    // At the slowest speed one window lasts ten real minutes, and its end must not be near.
    let mut last = loop {
        let slow = running.put("/sandbox/v1/clock", json!({ "speed": 0.1 })).await;
        assert_eq!(slow.status, 200);
        let read = running.read(&token, GUIDE_CONVERSATION).await;
        if read.number("inin-ratelimit-reset") > 60 {
            break read;
        }
        running.speed(1000).await;
        running.pass(10_000).await;
    };
    let begin = last.number("inin-ratelimit-count");
    for count in begin + 1..=300 {
        last = running.read(&token, GUIDE_CONVERSATION).await;
        assert_eq!((last.status, last.number("inin-ratelimit-count")), (200, count));
    }
    assert_eq!(last.number("inin-ratelimit-allowed"), 300);
    let refused = running.say(&token, GUIDE_CONVERSATION, "k-1").await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (429, &json!("too.many.requests.retry.after"))
    );
    let wait = refused.number("retry-after");
    // Ten real seconds for each simulated one.
    assert!((1..=600).contains(&wait), "{wait}");
    assert_eq!(refused.number("inin-ratelimit-count"), 300);
    assert!(wait.abs_diff(refused.number("inin-ratelimit-reset")) <= 1);
    let text = refused.body["message"].as_str().unwrap();
    assert_eq!(
        text,
        format!("Rate limit exceeded the maximum. Retry the request in [{wait}] seconds")
    );
    assert_eq!(running.sends().await.len(), 0);
    // Another token of the same client shares the limit.
    let other = running.token().await;
    assert_eq!(running.read(&other, GUIDE_CONVERSATION).await.status, 429);

    running.speed(1000).await;
    running.pass(60_000).await;
    assert_eq!(running.say(&token, GUIDE_CONVERSATION, "k-1").await.status, 202);
}

#[tokio::test]
async fn refusing_faults_answer_as_they_are_told_and_end() {
    let running = Running::start().await;
    let token = running.token().await;
    running.faults(json!({ "rate_429": { "next": 2, "only": "send", "retry_after": "7" } })).await;
    assert_eq!(running.read(&token, GUIDE_CONVERSATION).await.status, 200);
    let left =
        |count: u64| json!({ "rate_429": { "next": count, "only": "send", "retry_after": "7" } });
    assert_eq!(running.get("/sandbox/v1/faults").await, left(2));
    let busy = running.say(&token, GUIDE_CONVERSATION, "k-1").await;
    assert_eq!((busy.status, busy.header("retry-after")), (429, "7"));
    assert_eq!(running.get("/sandbox/v1/faults").await, left(1));
    assert_eq!(running.say(&token, GUIDE_CONVERSATION, "k-1").await.status, 429);
    assert_eq!(running.get("/sandbox/v1/faults").await, json!({}));
    assert_eq!(running.sends().await.len(), 0);

    running.faults(json!({ "rate_5xx": { "next": 1, "status": 503, "retry_after": "Sun, 06 Nov 1994 08:49:37 GMT" } })).await;
    let broken = running.say(&token, GUIDE_CONVERSATION, "k-2").await;
    assert_eq!((broken.status, &broken.body["code"]), (503, &json!("service.unavailable")));
    assert_eq!(broken.header("retry-after"), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(running.sends().await.len(), 0);

    running.faults(json!({ "rate_5xx": { "next": 1, "status": 502, "processed": true } })).await;
    let late = running.say(&token, GUIDE_CONVERSATION, "k-2").await;
    assert_eq!(late.status, 502);
    assert!(late.headers.get("retry-after").is_none());
    let sends = running.sends().await;
    assert_eq!((sends.len(), &sends[0]["duplicate"]), (1, &json!(false)));
    let again = running.say(&token, GUIDE_CONVERSATION, "k-2").await;
    assert_eq!((again.status, &again.body["id"]), (202, &sends[0]["id"]));

    running.faults(json!({ "rate_5xx": { "percent": 100, "only": "token" } })).await;
    assert_eq!(running.answer(running.token_request()).await.status, 500);
    running.faults(json!({})).await;
    assert_eq!(running.answer(running.token_request()).await.status, 200);
}

#[tokio::test]
async fn a_revoked_token_is_refused_and_a_new_one_works() {
    let running = Running::start().await;
    let (token, other) = (running.token().await, running.token().await);
    running.faults(json!({ "token_revoked": { "next": 1 } })).await;
    // Asking for a token neither uses the fault up nor suffers from it.
    running.token().await;
    for token in [&token, &token, &other] {
        let refused = running.say(token, GUIDE_CONVERSATION, "k-1").await;
        assert_eq!((refused.status, &refused.body["code"]), (401, &json!("bad.credentials")));
    }
    let fresh = running.token().await;
    assert_eq!(running.say(&fresh, GUIDE_CONVERSATION, "k-1").await.status, 202);
}

#[tokio::test]
async fn a_latency_delays_and_a_hang_never_answers() {
    let running = Running::start().await;
    let token = running.token().await;
    running.faults(json!({ "latency": { "next": 1, "ms": 300 } })).await;
    let begin = Instant::now();
    assert_eq!(running.read(&token, GUIDE_CONVERSATION).await.status, 200);
    assert!(begin.elapsed() >= Duration::from_millis(300));

    running.faults(json!({ "hang": { "next": 1, "only": "send" } })).await;
    let request =
        running.send_request(&token, GUIDE_CONVERSATION, "k-1", &running.text(GUIDE_CONVERSATION));
    let error = request.timeout(Duration::from_millis(300)).send().await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(running.sends().await.len(), 0);
    // Others are served meanwhile, and the next one is not hanging.
    assert_eq!(running.say(&token, GUIDE_CONVERSATION, "k-1").await.status, 202);
}

#[tokio::test]
async fn a_reset_processes_nothing_and_a_lost_reply_everything() {
    let running = Running::start().await;
    let token = running.token().await;
    running.faults(json!({ "reset": { "next": 2, "only": "send" } })).await;
    let request =
        running.send_request(&token, GUIDE_CONVERSATION, "k-1", &running.text(GUIDE_CONVERSATION));
    let error = request.send().await.unwrap_err();
    assert!(!error.is_timeout() && !error.is_connect(), "{error:?}");
    assert_eq!(running.raw(running.raw_send(&token, "k-1")).await, b"");
    assert_eq!(running.sends().await.len(), 0);

    running.faults(json!({ "lost_reply": { "next": 2, "only": "send" } })).await;
    let request =
        running.send_request(&token, GUIDE_CONVERSATION, "k-1", &running.text(GUIDE_CONVERSATION));
    assert!(request.send().await.is_err());
    assert_eq!(running.raw(running.raw_send(&token, "k-1")).await, b"");
    let sends = running.sends().await;
    assert_eq!(sends.len(), 2);
    let third = running.say(&token, GUIDE_CONVERSATION, "k-1").await;
    assert_eq!((third.status, &third.body["id"]), (202, &sends[0]["id"]));
    let whole = running
        .raw(running.raw_send(&token, "k-1").replace("host: x", "host: x\r\nconnection: close"))
        .await;
    assert!(whole.starts_with(b"HTTP/1.1 202"));
}

#[tokio::test]
async fn control_calls_say_what_is_wrong_with_their_input() {
    let running = Running::start().await;
    for (path, body, part) in [
        ("/sandbox/v1/faults", json!({ "slow": { "next": 1 } }), "unknown variant `slow`"),
        (
            "/sandbox/v1/faults",
            json!({ "hang": { "next": 1, "often": 2 } }),
            "unknown field `often`",
        ),
        ("/sandbox/v1/faults", json!({ "hang": {} }), "exactly one of percent and next"),
        ("/sandbox/v1/faults", json!({ "hang": { "percent": 50.5 } }), "at /hang/percent"),
        ("/sandbox/v1/faults", json!("off"), "expected a map"),
        (
            "/sandbox/v1/faults",
            json!({ "malformed": { "next": 1, "kind": "pdf" } }),
            "at /malformed/kind",
        ),
        ("/sandbox/v1/faults", json!({ "clock_skew": { "next": 1, "ms": 1 } }), "always in force"),
        ("/sandbox/v1/clock", json!({ "speed": 0 }), "from 0.1 to 1000"),
        ("/sandbox/v1/clock", json!({ "speed": 1001 }), "from 0.1 to 1000"),
        ("/sandbox/v1/clock", json!({ "speed": "fast" }), "at /speed"),
        ("/sandbox/v1/clock", json!({ "pace": 1 }), "unknown field `pace`"),
    ] {
        let answer = running.put(path, body.clone()).await;
        let message = answer.body["message"].as_str().unwrap_or_default();
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert!(message.contains(part), "{body}: {message}");
    }
    assert_eq!(running.get("/sandbox/v1/faults").await, json!({}));
    assert_eq!(running.get("/sandbox/v1/clock").await["speed"], json!(1.0));
}

#[tokio::test]
async fn nothing_is_forgotten_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/sandbox.db");
    let running = Running::on_file(&path).await;
    let token = running.token().await;
    let secret = running.sandbox.client_secret().expose_secret().to_owned();
    let id = running.sandbox.client_id().to_owned();
    running.speed(50).await;
    let first = running.say(&token, GUIDE_CONVERSATION, "k-1").await;
    let closed = running.read(&token, CLOSED_CONVERSATION).await;
    running.faults(json!({ "rate_429": { "next": 2, "only": "send" } })).await;
    assert_eq!(running.say(&token, GUIDE_CONVERSATION, "k-2").await.status, 429);
    let batch = running.request(Method::POST, "/sandbox/v1/audit").body("[]");
    assert_eq!(running.answer(batch).await.status, 200);
    let (sends, batches) = (running.sends().await, running.get("/sandbox/v1/audit").await);
    running.stop().await;

    let running = Running::on_file(&path).await;
    assert_eq!(running.sandbox.client_id(), id);
    assert_eq!(running.sandbox.client_secret().expose_secret(), secret);
    assert_eq!(running.get("/sandbox/v1/clock").await["speed"], json!(50.0));
    assert_eq!(running.sends().await, sends);
    assert_eq!(running.get("/sandbox/v1/audit").await, batches);
    // One of the two faults is left, then the key is still known and its message goes on.
    assert_eq!(running.say(&token, GUIDE_CONVERSATION, "k-1").await.status, 429);
    let again = running.say(&token, GUIDE_CONVERSATION, "k-1").await;
    assert_eq!((again.status, &again.body["id"]), (202, &first.body["id"]));
    let arrived =
        |message: &Value| ["delivered", "read"].map(Value::from).contains(&message["status"]);
    running.until(&token, GUIDE_CONVERSATION, arrived).await;
    let closed_again = running.read(&token, CLOSED_CONVERSATION).await;
    assert_eq!(closed_again.body["endTime"], closed.body["endTime"]);
    running.stop().await;
}

#[tokio::test]
async fn what_becomes_of_a_message_is_its_scenarios_also_after_a_restart_with_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sandbox.db");
    let scenario = |change: fn(&mut Receipts)| {
        let mut scenario = Scenario::shipped("incident").unwrap().clone();
        change(&mut scenario.receipts);
        scenario.check().unwrap();
        Some(scenario)
    };
    let failing = scenario(|receipts| {
        receipts.lost_percent = 0;
        receipts.failures = vec![FailureShare {
            percent: 100,
            code: "carrier.unavailable".into(),
            reason: "The carrier is down".into(),
        }];
    });
    let silent = scenario(|receipts| {
        receipts.failures.clear();
        receipts.lost_percent = 0;
        receipts.silent_percent = 100;
    });
    let late = scenario(|receipts| {
        receipts.failures.clear();
        receipts.lost_percent = 0;
        receipts.late_percent = 100;
    });
    let usual = world(SEED).into_iter().find(|one| one.behaviour == Behaviour::Usual).unwrap();
    let id = usual.id.as_str();
    let options = |scenario| SandboxOptions {
        seed: SEED,
        data: Some(path.clone()),
        scenario,
        ..SandboxOptions::default()
    };
    let with = async |scenario| {
        let running = Running::with(options(scenario)).await;
        running.speed(1000).await;
        let token = running.token().await;
        (running, token)
    };
    // The longest of them takes less than ten minutes.
    const LONG_MS: i64 = 600_000;

    let (running, token) = with(failing).await;
    running.say(&token, id, "k-failing").await;
    let failed = running.until(&token, id, |message| message["status"] == "failed").await;
    assert_eq!(
        failed["errorInfo"],
        json!({ "code": "carrier.unavailable", "message": "The carrier is down" })
    );
    assert_eq!(running.sandbox.announcement("http://x")["scenario"], "incident");
    // What special conversations are for holds in every scenario.
    running.say(&token, GUIDE_CONVERSATION, "k-quick").await;
    running
        .until(&token, GUIDE_CONVERSATION, |message| {
            !message["statusTimestamps"]["delivered"].is_null()
        })
        .await;
    running.stop().await;

    let (running, token) = with(silent).await;
    running.say(&token, id, "k-silent").await;
    running.pass(LONG_MS).await;
    let messages = running.read(&token, id).await.body["messages"].clone();
    assert_eq!(messages[0], failed);
    assert_eq!(
        (&messages[1]["status"], &messages[1]["statusTimestamps"]),
        (&json!("queued"), &json!({}))
    );
    running.stop().await;

    let (running, token) = with(late).await;
    running.say(&token, id, "k-late").await;
    let is_delivered = |message: &Value| !message["statusTimestamps"]["delivered"].is_null();
    let delivered = running.until(&token, id, is_delivered).await;
    let at = |name: &Value| Timestamp::parse(name.as_str().unwrap()).unwrap();
    let elapsed = at(&delivered["statusTimestamps"]["delivered"])
        .ms_since(at(&delivered["createdTimestamp"]));
    assert!((11_000..=300_000).contains(&elapsed), "{elapsed}");
    running.pass(LONG_MS).await;
    let before = running.read(&token, id).await.body["messages"].clone();
    running.stop().await;

    // The scenario of today says nothing about messages of yesterday.
    let (running, token) = with(None).await;
    assert_eq!(running.sandbox.announcement("http://x")["scenario"], "guide");
    let after = running.read(&token, id).await.body["messages"].clone();
    assert_eq!(before, after);
    assert_eq!((&after[0], &after[1]), (&messages[0], &messages[1]));
    running.stop().await;
}

#[tokio::test]
async fn a_data_file_has_one_owner_one_seed_and_one_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sandbox.db");
    let options = SandboxOptions { seed: 1, data: Some(path.clone()), ..SandboxOptions::default() };
    let sandbox = Sandbox::open(options.clone()).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
    }
    assert!(matches!(Sandbox::open(options.clone()).err().unwrap(), Error::InUse(_)));
    drop(sandbox);
    let other = SandboxOptions { seed: 2, ..options.clone() };
    let error = Sandbox::open(other).err().unwrap();
    assert!(matches!(error, Error::OtherSeed { asked: 2, .. }), "{error}");
    let given = SandboxOptions {
        client_id: Some("me".into()),
        client_secret: Some("mine".into()),
        ..options.clone()
    };
    assert_eq!(Sandbox::open(given).unwrap().client_id(), "me");
    let kept = Sandbox::open(options).unwrap();
    assert_eq!((kept.client_id(), kept.client_secret().expose_secret()), ("me", "mine"));

    let foreign = folder.path().join("notes.txt");
    std::fs::write(
        &foreign,
        "not a database, but long enough to be looked at by SQLite ".repeat(20),
    )
    .unwrap();
    let options = SandboxOptions { data: Some(foreign), ..SandboxOptions::default() };
    assert!(matches!(Sandbox::open(options).err().unwrap(), Error::NotOurs(_)));
}

/// A batch as the sealer makes it.
struct Sealed {
    stream: &'static str,
    sequence: u64,
    previous: String,
    body: String,
    chain: String,
}

fn sign(bytes: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(AUDIT_SECRET.as_bytes()).unwrap();
    mac.chain_update(bytes).finalize().into_bytes().to_vec()
}

const SEALED_AT: &str = "2026-11-22T10:00:05.250Z";

impl Sealed {
    fn new(stream: &'static str, sequence: u64, previous: &str, body: &str) -> Self {
        let text = chain_text(&Link {
            stream,
            sequence,
            key_id: "k1",
            sealed_at: Timestamp::parse(SEALED_AT).unwrap(),
            count: 1,
            body_sha256: &hex::encode(Sha256::digest(body)),
            previous,
        });
        let chain = hex::encode(sign(text.as_bytes()));
        Self { stream, sequence, previous: previous.to_owned(), body: body.to_owned(), chain }
    }

    async fn post(&self, running: &Running) -> Answer {
        running.answer(self.request(running)).await
    }

    fn request(&self, running: &Running) -> reqwest::RequestBuilder {
        let id = format!("{}-{}", self.stream, self.sequence);
        let seconds = real_now().unix_ms() / 1000;
        let attempt = sign(format!("{id}.{seconds}.{}", self.body).as_bytes());
        running
            .request(Method::POST, "/sandbox/v1/audit")
            .header("content-type", "application/json")
            .header("X-Audit-Signature", hex::encode(sign(self.body.as_bytes())))
            .header("X-Audit-Stream", self.stream)
            .header("X-Audit-Sequence", self.sequence)
            .header("X-Audit-Key-Id", "k1")
            .header("X-Audit-Sealed-At", SEALED_AT)
            .header("X-Audit-Count", 1)
            .header("X-Audit-Previous", &self.previous)
            .header("X-Audit-Chain", &self.chain)
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", format!("v1,{}", STANDARD.encode(attempt)))
            .body(self.body.clone())
    }
}

#[tokio::test]
async fn the_sink_stores_verified_batches_once_in_order_and_nothing_else() {
    let running = Running::with(SandboxOptions {
        seed: SEED,
        audit_secret: Some(AUDIT_SECRET.into()),
        ..SandboxOptions::default()
    })
    .await;
    let one = Sealed::new("str_a", 1, FIRST_PREVIOUS, r#"[{"n":1}]"#);
    let two = Sealed::new("str_a", 2, &one.chain, r#"[{"n":2}]"#);
    let three = Sealed::new("str_a", 3, &two.chain, r#"[{"n":3}]"#);

    let early = two.post(&running).await;
    assert_eq!((early.status, &early.body["last_sequence"]), (409, &json!(0)));
    let first = one.post(&running).await;
    assert_eq!((first.status, &first.body), (200, &json!({ "stored": true })));
    let repeated = one.post(&running).await;
    assert_eq!((repeated.status, &repeated.body), (200, &json!({ "stored": false })));
    let gap = three.post(&running).await;
    assert_eq!((gap.status, &gap.body["last_sequence"]), (409, &json!(1)));
    let fork = Sealed::new("str_a", 1, FIRST_PREVIOUS, r#"[{"n":9}]"#);
    assert_eq!(fork.post(&running).await.status, 409);
    let wrong_link = Sealed::new("str_a", 2, FIRST_PREVIOUS, r#"[{"n":2}]"#);
    assert_eq!(wrong_link.post(&running).await.status, 409);
    assert_eq!(two.post(&running).await.status, 200);

    // Signed by somebody else, changed on the way, replayed from long ago, or lying about its entries.
    let forged = three.request(&running).body(r#"[{"n":4}]"#);
    assert_eq!(running.answer(forged).await.status, 401);
    let mut relinked = Sealed::new("str_a", 3, &two.chain, r#"[{"n":3}]"#);
    relinked.chain = relinked.chain.replace(['0', '1', '2'], "3");
    assert_eq!(relinked.post(&running).await.status, 401);
    let stale = running
        .request(Method::POST, "/sandbox/v1/audit")
        .header("X-Audit-Signature", hex::encode(sign(b"[]")))
        .header("webhook-id", "x-1")
        .header("webhook-timestamp", 1)
        .header("webhook-signature", format!("v1,{}", STANDARD.encode(sign(b"x-1.1.[]"))))
        .body("[]");
    assert_eq!(running.answer(stale).await.status, 401);
    let miscounted = Sealed::new("str_a", 3, &two.chain, r#"[{"n":3},{"n":4}]"#);
    let answer = miscounted.post(&running).await;
    assert_eq!((answer.status, &answer.body["code"]), (400, &json!("audit.count")));
    assert_eq!(three.post(&running).await.status, 200);

    // A new stream begins from nothing or from the end of one held here.
    let rolled_back = Sealed::new("str_b", 1, &three.chain, r#"[{"n":1}]"#);
    assert_eq!(rolled_back.post(&running).await.status, 200);
    let from_nowhere = Sealed::new("str_c", 1, &one.chain.replace(['0', '1'], "2"), r#"[{"n":1}]"#);
    assert_eq!(from_nowhere.post(&running).await.status, 409);
    let large =
        running.request(Method::POST, "/sandbox/v1/audit").body(vec![b' '; 1024 * 1024 + 1]);
    assert_eq!(running.answer(large).await.status, 413);

    let held = running.get("/sandbox/v1/audit").await;
    let held: Vec<_> = held["batches"].as_array().unwrap().iter().collect();
    let bodies: Vec<_> = held.iter().map(|one| one["body"].as_str().unwrap()).collect();
    assert_eq!(bodies, [one.body.as_str(), &two.body, &three.body, &rolled_back.body]);
    for batch in held {
        assert_eq!(batch["verified"], true);
        let signature = batch["headers"]["x-audit-signature"].as_str().unwrap();
        assert_eq!(signature, hex::encode(sign(batch["body"].as_str().unwrap().as_bytes())));
    }
}

#[tokio::test]
async fn a_sink_without_the_secret_stores_what_comes_and_claims_nothing() {
    let running = Running::start().await;
    let batch = Sealed::new("str_a", 5, FIRST_PREVIOUS, r#"[{"n":1}]"#);
    for stored in [true, false] {
        assert_eq!(batch.post(&running).await.body, json!({ "stored": stored }));
    }
    let held = running.get("/sandbox/v1/audit").await;
    assert_eq!(held["batches"].as_array().unwrap().len(), 1);
    assert_eq!(held["batches"][0]["verified"], Value::Null);
    assert_eq!(held["batches"][0]["headers"]["x-audit-stream"], "str_a");
    let odd = running.request(Method::POST, "/sandbox/v1/audit").body(vec![0xff]);
    assert_eq!(running.answer(odd).await.status, StatusCode::BAD_REQUEST.as_u16());
}

#[tokio::test]
async fn a_forgetful_platform_takes_a_repeat_as_a_second_message() {
    let running = Running::start().await;
    let token = running.token().await;
    let first = running.say(&token, GUIDE_CONVERSATION, "k-1").await;
    running.faults(json!({ "forgetful": { "percent": 100 } })).await;
    let second = running.say(&token, GUIDE_CONVERSATION, "k-1").await;
    assert_eq!((first.status, second.status), (202, 202));
    assert_ne!(first.body["id"], second.body["id"]);
    running.faults(json!({})).await;
    let third = running.say(&token, GUIDE_CONVERSATION, "k-1").await;
    assert_eq!(third.body["id"], first.body["id"], "it remembers the first again");
    let seen: Vec<_> = running
        .sends()
        .await
        .into_iter()
        .map(|one| (one["id"].clone(), one["duplicate"].clone()))
        .collect();
    let (first, second) = (&first.body["id"], &second.body["id"]);
    let told = [(first, false), (second, true), (first, true)];
    assert_eq!(seen, told.map(|(id, duplicate)| (id.clone(), json!(duplicate))));
    let read = running.read(&token, GUIDE_CONVERSATION).await;
    let listed: Vec<_> =
        read.body["messages"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(listed, [first.clone(), second.clone()]);
}

#[tokio::test]
async fn what_becomes_of_a_message_is_decided_when_it_is_taken_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sandbox.db");
    let running = Running::on_file(&path).await;
    let token = running.token().await;
    let listed = async |running: &Running, id: &str| {
        running.read(&token, id).await.body["messages"].as_array().unwrap().clone()
    };
    // Late by half an hour, and hidden for ten minutes, which a faster clock makes short.
    running.faults(json!({ "receipt_late": { "next": 1, "ms": 1_800_000 } })).await;
    running.say(&token, GUIDE_CONVERSATION, "late").await;
    let late = running.sends().await[0]["id"].clone();
    running.faults(json!({ "visible_late": { "next": 1, "ms": 600_000 } })).await;
    running.say(&token, SMS_CONVERSATION, "hidden").await;
    let other = world(SEED)[2].id.as_str().to_owned();
    running
        .faults(json!({ "receipt_lost": { "next": 1 }, "receipt_duplicate": { "next": 1 } }))
        .await;
    running.say(&token, &other, "lost").await;
    running.faults(json!({})).await;
    running.stop().await;

    let running = Running::on_file(&path).await;
    assert_eq!(listed(&running, SMS_CONVERSATION).await, Vec::<Value>::new());
    running.speed(1000).await;
    running.pass(700_000).await;
    assert_eq!(listed(&running, SMS_CONVERSATION).await.len(), 1, "visible after ten minutes");
    assert_eq!(listed(&running, GUIDE_CONVERSATION).await[0]["status"], "queued");
    let lost = listed(&running, &other).await;
    assert_eq!((lost.len(), &lost[0]), (2, &lost[1]), "listed twice");
    assert_eq!(lost[0]["status"], "sent");
    let done = running
        .until(&token, GUIDE_CONVERSATION, |one| one["statusTimestamps"]["delivered"].is_string())
        .await;
    assert_eq!(done["id"], late);
    let at = |name: &str| Timestamp::parse(done["statusTimestamps"][name].as_str().unwrap());
    let created = Timestamp::parse(done["createdTimestamp"].as_str().unwrap()).unwrap();
    assert!(at("delivered").unwrap().ms_since(created) <= 4_000, "reported late, stamped truly");
}

#[tokio::test]
async fn receipts_out_of_order_report_delivered_first_and_sent_after_it() {
    let running = Running::start().await;
    let token = running.token().await;
    // Slow enough to see both, quick enough to wait for.
    running.speed(0.5).await;
    running.faults(json!({ "receipt_disorder": { "percent": 100 } })).await;
    running.say(&token, GUIDE_CONVERSATION, "k-1").await;
    let early = running.until(&token, GUIDE_CONVERSATION, |one| one["status"] == "delivered").await;
    assert!(early["statusTimestamps"].get("sent").is_none(), "{early}");
    running.speed(10.0).await;
    let late = running
        .until(&token, GUIDE_CONVERSATION, |one| one["statusTimestamps"]["sent"].is_string())
        .await;
    assert!(["sent", "read"].map(Value::from).contains(&late["status"]), "{late}");
    let at = |name: &str| Timestamp::parse(late["statusTimestamps"][name].as_str().unwrap());
    assert!(at("delivered").unwrap() < at("sent").unwrap());
}

#[tokio::test]
async fn spoilt_answers_take_effect_and_say_what_they_were_told_to() {
    let running = Running::start().await;
    let token = running.token().await;
    let known = running.say(&token, SMS_CONVERSATION, "known").await.body["id"].clone();
    let spoilt = async |kind: &str, key: &str| {
        running.faults(json!({ "malformed": { "next": 1, "only": "send", "kind": kind } })).await;
        let request = running.send_request(
            &token,
            GUIDE_CONVERSATION,
            key,
            &running.text(GUIDE_CONVERSATION),
        );
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 202, "{kind}");
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        (content_type, response.bytes().await.unwrap())
    };
    for (number, (kind, said)) in
        [("empty_object", "{}"), ("empty_list", "[]"), ("empty", "")].into_iter().enumerate()
    {
        assert_eq!(spoilt(kind, &format!("k-{number}")).await.1, said);
    }
    let (content_type, page) = spoilt("html", "k-html").await;
    assert!(content_type.starts_with("text/html") && page.starts_with(b"<!doctype"));
    let (content_type, wide) = spoilt("wrong_charset", "k-wide").await;
    assert!(content_type.ends_with("utf-16le") && wide.starts_with(b"{\0\"\0"));
    let half = spoilt("half", "k-half").await.1;
    assert!(half.starts_with(b"{") && serde_json::from_slice::<Value>(&half).is_err());
    let id = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["id"].clone();
    assert_eq!(id(&spoilt("id_number", "k-number").await.1), 7);
    assert_eq!(id(&spoilt("id_long", "k-long").await.1).as_str().unwrap().len(), 10_000);
    let other = id(&spoilt("id_bound", "k-bound").await.1);
    let sends = running.sends().await;
    assert!(sends.iter().any(|one| one["id"] == other && one["key"] != "k-bound"), "{other}");
    assert_ne!(known, Value::Null);
    assert_eq!(sends.len(), 10, "every one of them took effect: {sends:?}");
}

#[tokio::test]
async fn oversized_answers_are_a_hundred_mebibytes_each_in_its_way() {
    let running = Running::start().await;
    let token = running.token().await;
    let length = 100 * 1024 * 1024;
    for (number, kind) in ["declared", "streamed", "gzip"].into_iter().enumerate() {
        running.faults(json!({ "oversized": { "next": 1, "kind": kind } })).await;
        let request = running.send_request(
            &token,
            GUIDE_CONVERSATION,
            &format!("k-{number}"),
            &running.text(GUIDE_CONVERSATION),
        );
        let mut response = request.send().await.unwrap();
        assert_eq!(response.status(), 202, "{kind}");
        let declared = response.headers().get("content-length").map(|one| one.to_str().unwrap());
        match kind {
            "declared" => assert_eq!(declared, Some(&*length.to_string())),
            "streamed" => assert_eq!(declared, None),
            _ => assert_eq!(response.headers()["content-encoding"], "gzip"),
        }
        let mut read = 0;
        let mut ends_blank = true;
        while let Some(chunk) = response.chunk().await.unwrap() {
            read += chunk.len();
            ends_blank = chunk.ends_with(b" ");
        }
        match kind {
            "gzip" => assert!(read < 1024 * 1024, "{read}"),
            _ => assert!(read == length && ends_blank, "{kind}: {read}"),
        }
    }
    assert_eq!(running.sends().await.len(), 3);
}

#[tokio::test]
async fn a_cut_answer_breaks_off_in_its_body_and_a_dripping_one_takes_its_time() {
    let running = Running::start().await;
    let token = running.token().await;
    running.faults(json!({ "cut": { "next": 1, "only": "send" } })).await;
    let said = running.raw(running.raw_send(&token, "k-1")).await;
    let said = String::from_utf8(said).unwrap();
    assert!(said.starts_with("HTTP/1.1 202"), "{said}");
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    assert!(body.starts_with("{\"id\"") && !body.ends_with('}'), "{said}");
    assert!(head.contains("content-length"), "{said}");

    running.faults(json!({ "drip": { "next": 1, "only": "send", "ms": 5 } })).await;
    let begin = Instant::now();
    let slow = running.say(&token, GUIDE_CONVERSATION, "k-2").await;
    assert_eq!(slow.status, 202);
    let least = Duration::from_millis(5) * u32::try_from(slow.body.to_string().len()).unwrap();
    assert!(begin.elapsed() >= least, "{:?}", begin.elapsed());
    assert_eq!(running.sends().await.len(), 2);
}

#[tokio::test]
async fn a_redirect_processes_nothing_and_says_where_to() {
    let running = Running::start().await;
    let token = running.token().await;
    for status in [301, 302, 307, 308] {
        let rule = json!({ "next": 1, "status": status, "location": "https://other.example/x" });
        running.faults(json!({ "redirect": rule })).await;
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let request = client
            .get(format!("{}/api/v2/conversations/{GUIDE_CONVERSATION}", running.base_url))
            .bearer_auth(&token);
        let answer = running.answer(request).await;
        assert_eq!((answer.status, answer.header("location")), (status, "https://other.example/x"));
    }
}

#[tokio::test]
async fn a_clock_that_is_off_shows_in_stamps_and_date_and_moves_nothing() {
    let running = Running::start().await;
    let token = running.token().await;
    let date = |answer: &Answer| {
        let sent = httpdate::parse_http_date(answer.header("date")).unwrap();
        let sent = sent.duration_since(UNIX_EPOCH).unwrap().as_millis();
        Timestamp::from_unix_ms(i64::try_from(sent).unwrap())
    };
    running.say(&token, GUIDE_CONVERSATION, "k-1").await;
    let right = running.read(&token, GUIDE_CONVERSATION).await;
    for ms in [-86_400_000_i64, 600_000] {
        running.faults(json!({ "clock_skew": { "ms": ms } })).await;
        let off = running.read(&token, GUIDE_CONVERSATION).await;
        let created = |answer: &Answer| {
            let text = answer.body["messages"][0]["createdTimestamp"].as_str().unwrap().to_owned();
            Timestamp::parse(&text).unwrap()
        };
        assert_eq!(created(&off).ms_since(created(&right)), ms);
        let drift = date(&off).ms_since(real_now()) - ms;
        assert!(drift.abs() < 5_000, "{drift}");
    }
    // The sink is as far off: an attempt signed now looks old to it.
    let running = Running::with(SandboxOptions {
        seed: SEED,
        audit_secret: Some(AUDIT_SECRET.into()),
        ..SandboxOptions::default()
    })
    .await;
    running.faults(json!({ "clock_skew": { "ms": 600_000 } })).await;
    let batch = Sealed::new("str_a", 1, FIRST_PREVIOUS, r#"[{"n":1}]"#);
    let refused = batch.post(&running).await;
    assert_eq!(refused.status, 401);
    assert!(refused.body["message"].as_str().unwrap().contains("5 minutes"), "{}", refused.body);
    running.faults(json!({})).await;
    assert_eq!(batch.post(&running).await.status, 200);
}

#[tokio::test]
async fn the_sink_misbehaves_as_it_is_told_and_stores_only_what_it_says() {
    let running = Running::start().await;
    let stored =
        async || running.get("/sandbox/v1/audit").await["batches"].as_array().unwrap().len();
    let mut previous = FIRST_PREVIOUS.to_owned();
    let mut batches = Vec::new();
    for number in 1..=4 {
        let batch = Sealed::new("str_a", number, &previous, &format!(r#"[{{"n":{number}}}]"#));
        previous.clone_from(&batch.chain);
        batches.push(batch);
    }
    // Platform faults are nothing to it.
    running
        .faults(json!({ "reset": { "percent": 100 }, "latency": { "percent": 100, "ms": 9 } }))
        .await;
    assert_eq!(batches[0].post(&running).await.status, 200);
    for status in [301, 400, 401, 404, 409, 410, 413, 429, 500] {
        let rule = json!({ "next": 1, "status": status, "retry_after": "3", "location": "/" });
        running.faults(json!({ "sink_status": rule })).await;
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let answer = client.execute(batches[1].request(&running).build().unwrap()).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (status, &"3".parse().unwrap())
        );
    }
    for (rule, count) in [
        (json!({ "sink_reset": { "next": 1 } }), 1),
        (json!({ "sink_lost_reply": { "next": 1 } }), 2),
    ] {
        running.faults(rule).await;
        assert!(batches[1].request(&running).send().await.is_err());
        assert_eq!(stored().await, count);
    }
    running.faults(json!({ "sink_cut": { "next": 1 } })).await;
    let cut = batches[2].request(&running).send().await.unwrap();
    assert_eq!(cut.status(), 200);
    assert!(cut.bytes().await.is_err());
    running.faults(json!({ "sink_hang": { "next": 1 } })).await;
    let hung = batches[3].request(&running).timeout(Duration::from_millis(300)).send().await;
    assert!(hung.unwrap_err().is_timeout());
    assert_eq!(stored().await, 3);
    running.faults(json!({ "sink_latency": { "next": 1, "ms": 200 } })).await;
    let begin = Instant::now();
    assert_eq!(batches[3].post(&running).await.status, 200);
    assert!(begin.elapsed() >= Duration::from_millis(200));
}
