//! What `cargo xtask bench requests|http|audit` runs: the proxy between its callers and the sandbox, over real
//! HTTP on both sides, each figure beside its limit from the same run.

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::post;
use proxy::app::{self, Running};
use proxy::config::{self, Flags};
use proxy::data_folder::{DataFolder, Opened};
use proxy::platform::http::client_for;
use proxy::sandbox::{Sandbox, SandboxOptions};
use reqwest::{Client, Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::simulator::{SimulatedConversation, crowd};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const SEED: u64 = 42;
const MESSAGES: usize = 300;
const DELIVERED_AFTER: Duration = Duration::from_secs(5);
const LOOP_POLLS_EVERY: Duration = Duration::from_secs(2);
const LOOP_SPEED: f64 = 50.0;
const CALLERS: usize = 64;
const ACCEPTS: usize = 6_000;
const ROUNDS: usize = 5;

#[tokio::main]
async fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["requests", rounds] => requests(rounds.parse().unwrap_or(1)).await,
        ["http"] => http().await,
        ["audit"] => audit().await,
        _ => Err(anyhow::anyhow!("say requests ROUNDS, http or audit")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("traffic: {error:#}");
            ExitCode::FAILURE
        }
    }
}

// ---- the platform, and what it counts ----

/// When each request came, whether it was a message, and whether it was refused for the rate.
type Log = Arc<Mutex<Vec<(Instant, bool, bool)>>>;

struct Platform {
    url: String,
    client_id: String,
    client_secret: String,
    conversations: Vec<SimulatedConversation>,
    log: Log,
}

async fn note(State(log): State<Log>, request: Request, next: Next) -> Response {
    let is_call = !request.uri().path().starts_with("/sandbox/");
    let is_message =
        request.method() == Method::POST && request.uri().path().ends_with("/messages");
    let response = next.run(request).await;
    if is_call {
        let over = response.status() == StatusCode::TOO_MANY_REQUESTS;
        log.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), is_message, over));
    }
    response
}

impl Platform {
    async fn start(conversations: usize) -> Result<Self> {
        let count = u32::try_from(conversations)?;
        let sandbox = Sandbox::open(SandboxOptions {
            seed: SEED,
            crowd: count,
            delivered_after: Some(DELIVERED_AFTER),
            ..SandboxOptions::default()
        })?;
        let log = Log::default();
        let router = sandbox.router().layer(from_fn_with_state(Arc::clone(&log), note));
        Ok(Self {
            url: serve(router).await?,
            client_id: sandbox.client_id().to_owned(),
            client_secret: sandbox.client_secret().expose_secret().to_owned(),
            conversations: crowd(SEED, count),
            log,
        })
    }

    fn requests(&self) -> Vec<(Instant, bool, bool)> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn speed(&self, client: &Client, speed: f64) -> Result<()> {
        let url = format!("{}/sandbox/v1/clock", self.url);
        client.put(url).json(&json!({ "speed": speed })).send().await?.error_for_status()?;
        Ok(())
    }
}

async fn serve(router: Router) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

fn payload(to: &SimulatedConversation) -> Value {
    json!({
        "from": to.sender(), "to": [to.recipient()], "type": "text/plain", "content": "Your order is on its way.",
    })
}

// ---- the proxy ----

struct Proxy {
    running: Running,
    client: Client,
    base_url: String,
    token: String,
    folder: PathBuf,
}

impl Proxy {
    async fn start(settings: &str) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let stamp = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("waybill-traffic-{stamp}-{number}"));
        fs::create_dir_all(&folder)?;
        let file = folder.join("waybill.toml");
        fs::write(&file, settings)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        }
        let flags = Flags {
            config: Some(file),
            listen: Some("127.0.0.1:0".into()),
            data: Some(folder.join("data")),
        };
        let config = config::load(&flags, &[])?;
        let Opened::Free(data) = DataFolder::open(&config.data)? else { bail!("folder taken") };
        let running = app::start(&config, data).await?;
        let link = running.link().expose_secret().to_owned();
        let (base_url, token) = link.split_once("/#token=").context("the link holds a token")?;
        let client = client_for(base_url)?;
        let (base_url, token) = (base_url.to_owned(), token.to_owned());
        Ok(Self { running, client, base_url, token, folder })
    }

    async fn stop(self) {
        self.running.stop(Duration::from_secs(5)).await;
        let _ = fs::remove_dir_all(&self.folder);
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let request = self.client.get(format!("{}{path}", self.base_url)).bearer_auth(&self.token);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }
}

/// Posts one submission; the same for the proxy and for what stores nothing.
async fn submit(client: &Client, url: &str, token: &str, key: &str, body: &Value) -> Result<()> {
    let request = client.post(url).bearer_auth(token).header("idempotency-key", key).json(body);
    let response = request.send().await?;
    let status = response.status();
    let answer = response.bytes().await?;
    if status != StatusCode::ACCEPTED {
        bail!("{status}: {}", String::from_utf8_lossy(&answer));
    }
    Ok(())
}

fn settings(platform: &Platform, sink: &str) -> String {
    let Platform { url, client_id, client_secret, .. } = platform;
    format!(
        "[log]\nfilter = \"error\"\n[audit]\nsink_url = \"{sink}\"\n[connections.main]\ndialect = \"guide\"\n\
         api_url = \"{url}\"\nlogin_url = \"{url}\"\nclient_id = \"{client_id}\"\n\
         client_secret = \"{client_secret}\"\n"
    )
}

// ---- requests for each delivered message ----

struct Traffic {
    per_message: f64,
    /// Of the platform's limit, while messages waited to be sent.
    share: f64,
    /// The same after the first minute, in which a quiet budget allows a burst; 0 where the backlog did not last.
    steady_share: f64,
    over: usize,
    took: Duration,
}

#[expect(clippy::cast_precision_loss, reason = "counts of a few thousand")]
async fn by_waybill(conversations: usize) -> Result<Traffic> {
    let platform = Platform::start(conversations).await?;
    let proxy = Proxy::start(&settings(&platform, "")).await?;
    let began = Instant::now();
    for number in 0..MESSAGES {
        let to = &platform.conversations[number % conversations];
        let body = json!({"connection": "main", "conversation_id": to.id, "payload": payload(to)});
        let url = format!("{}/api/v1/submissions", proxy.base_url);
        submit(&proxy.client, &url, &proxy.token, &format!("key-{number:06}"), &body).await?;
    }
    loop {
        let counts = proxy.get("/api/v1/messages/counts").await?;
        let count = |name: &str| counts[name].as_u64().unwrap_or(0);
        if count("delivered") == MESSAGES as u64 {
            break;
        }
        if count("failed") + count("needs_decision") > 0
            || began.elapsed() > Duration::from_secs(1200)
        {
            bail!("not all were delivered: {counts}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let requests = platform.requests();
    let took = began.elapsed();
    proxy.stop().await;
    let last = requests.iter().filter(|one| one.1).map(|one| one.0).max().unwrap_or(began);
    let backlog = last.duration_since(began).as_secs_f64();
    let used =
        |from: Instant| requests.iter().filter(|one| (from..=last).contains(&one.0)).count() as f64;
    let steady_from = began + Duration::from_secs(60);
    let steady = last.saturating_duration_since(steady_from).as_secs_f64();
    let steady_share =
        if steady < 10.0 { 0.0 } else { used(steady_from) / (300.0 * steady / 60.0) };
    Ok(Traffic {
        per_message: requests.len() as f64 / MESSAGES as f64,
        share: used(began) / (300.0 * backlog / 60.0),
        steady_share,
        over: requests.iter().filter(|one| one.2).count(),
        took,
    })
}

/// What the guide's code does for each message: read the conversation, send, look every 2 s until it is
/// delivered, read again. One token for all.
#[expect(clippy::cast_precision_loss, reason = "counts of a few thousand")]
async fn by_loop(conversations: usize) -> Result<Traffic> {
    let platform = Platform::start(conversations).await?;
    let client = client_for(&platform.url)?;
    platform.speed(&client, LOOP_SPEED).await?;
    let began = Instant::now();
    let token: Value = client
        .post(format!("{}/oauth/token", platform.url))
        .basic_auth(&platform.client_id, Some(&platform.client_secret))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("grant_type=client_credentials")
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let token = token["access_token"].as_str().context("a token")?.to_owned();
    for number in 0..MESSAGES {
        let to = &platform.conversations[number % conversations];
        let url = format!("{}/api/v2/conversations/{}", platform.url, to.id);
        let read = || async {
            let answer = client.get(&url).bearer_auth(&token).send().await?.error_for_status()?;
            anyhow::Ok(answer.json::<Value>().await?)
        };
        read().await?;
        let sent: Value = client
            .post(format!("{url}/messages"))
            .bearer_auth(&token)
            .header("x-genesys-client-id", format!("key-{number:06}"))
            .json(&payload(to))
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        loop {
            tokio::time::sleep(LOOP_POLLS_EVERY.div_f64(LOOP_SPEED)).await;
            let all = read().await?;
            let ours = all["messages"].as_array().into_iter().flatten();
            let ours = ours.into_iter().find(|one| one["id"] == sent["id"]);
            if ours.is_some_and(|one| one["status"] == "delivered") {
                break;
            }
        }
        read().await?;
    }
    let requests = platform.requests();
    let per_message = requests.len() as f64 / MESSAGES as f64;
    let over = requests.iter().filter(|one| one.2).count();
    Ok(Traffic { per_message, share: 0.0, steady_share: 0.0, over, took: began.elapsed() })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

async fn requests(rounds: usize) -> Result<()> {
    println!(
        "{MESSAGES} messages, delivered {} s after they were taken",
        DELIVERED_AFTER.as_secs()
    );
    for (conversations, limit) in [(300, 0.8), (10, 0.3)] {
        let (mut ours, mut loops) = (Vec::new(), Vec::new());
        for _ in 0..rounds.max(1) {
            loops.push(by_loop(conversations).await?);
            ours.push(by_waybill(conversations).await?);
        }
        let of =
            |all: &[Traffic], pick: fn(&Traffic) -> f64| median(all.iter().map(pick).collect());
        let waybill = of(&ours, |one| one.per_message);
        let guide = of(&loops, |one| one.per_message);
        let over: usize = ours.iter().map(|one| one.over).sum();
        println!("over {conversations} conversations, median of {} rounds:", ours.len());
        println!("  requests per message, loop        {guide:.2}");
        println!("  requests per message, waybill     {waybill:.2}");
        println!("  ratio                             {:.2}  (limit {limit})", waybill / guide);
        let share = of(&ours, |one| one.share);
        println!("  share of the limit with a backlog {share:.2}  (limit 0.90)");
        let steady = of(&ours, |one| one.steady_share);
        println!(
            "  the same after the first minute   {steady:.2}  (limit 0.90; 0 if it lasted no longer)"
        );
        println!("  answers 429                       {over}  (limit 0)");
        let took = of(&ours, |one| one.took.as_secs_f64());
        println!("  until all are delivered           {took:.0} s");
    }
    Ok(())
}

// ---- accepts per second ----

/// Accepts per second by [`CALLERS`] callers at once.
#[expect(clippy::cast_precision_loss, reason = "counts of a few thousand")]
async fn accepts(
    (client, url, token): (&Client, &str, &str),
    mark: &str,
    expire: bool,
) -> Result<f64> {
    let body = submission();
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (client, url, token) = (client.clone(), url.to_owned(), token.to_owned());
        let (body, mark) = (body.clone(), mark.to_owned());
        callers.spawn(async move {
            for number in 0..ACCEPTS / CALLERS {
                let key = format!("{mark}-{caller}-{number}");
                let mut body = body.clone();
                if expire {
                    body["expires_at"] = json!(proxy::clock::now().plus(Duration::from_secs(1)));
                }
                submit(&client, &url, &token, &key, &body).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = callers.join_next().await {
        done??;
    }
    let count = ACCEPTS / CALLERS * CALLERS;
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

fn nowhere(sink: &str) -> String {
    format!(
        "[log]\nfilter = \"off\"\n[audit]\nsink_url = \"{sink}\"\n[connections.main]\ndialect = \"guide\"\n\
         api_url = \"http://127.0.0.1:9\"\nlogin_url = \"http://127.0.0.1:9\"\nclient_id = \"bench\"\n\
         client_secret = \"not-a-secret\"\n"
    )
}

fn submission() -> Value {
    json!({
        "connection": "main",
        "conversation_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
        "payload": {"from": "agent@genesys.cloud", "to": ["customer@example.com"], "type": "text/plain",
            "content": "Your order is on its way."},
    })
}

async fn http() -> Result<()> {
    let stores_nothing = |body: axum::Json<Value>| async move {
        let key = body.0["conversation_id"].clone();
        (
            StatusCode::ACCEPTED,
            axum::Json(
                json!({"id": "s", "key": key, "messages": [{"id": "m", "state": "accepted"}]}),
            ),
        )
    };
    let bare = serve(Router::new().route("/api/v1/submissions", post(stores_nothing))).await?;
    let bare = format!("{bare}/api/v1/submissions");
    let proxy = Proxy::start(&nowhere("")).await?;
    let url = format!("{}/api/v1/submissions", proxy.base_url);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let mark = format!("round-{round}");
        theirs.push(accepts((&proxy.client, &bare, "none"), &mark, false).await?);
        ours.push(accepts((&proxy.client, &url, &proxy.token), &mark, false).await?);
    }
    proxy.stop().await;
    let (ours, theirs) = (median(ours), median(theirs));
    println!("{ACCEPTS} submissions by {CALLERS} callers over HTTP, median of {ROUNDS} rounds:");
    println!("  a handler that stores nothing  {theirs:.0}/s");
    println!("  waybill                        {ours:.0}/s");
    println!("  ratio                          {:.2}  (limit 0.40)", ours / theirs);
    Ok(())
}

/// With and without a sink, while messages end all the time: each expires a second after it was accepted,
/// which makes an audit entry of it. Without a sink batches are sealed and kept.
async fn audit() -> Result<()> {
    let sink = serve(Router::new().route("/", post(|_: axum::body::Bytes| async { "ok" }))).await?;
    let sink = format!("{sink}/");
    let (mut on, mut off) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for (sink, rates) in [("", &mut off), (sink.as_str(), &mut on)] {
            let proxy = Proxy::start(&nowhere(sink)).await?;
            let url = format!("{}/api/v1/submissions", proxy.base_url);
            let mark = format!("round-{round}");
            rates.push(accepts((&proxy.client, &url, &proxy.token), &mark, true).await?);
            proxy.stop().await;
        }
    }
    let (on, off) = (median(on), median(off));
    println!("{ACCEPTS} submissions by {CALLERS} callers, median of {ROUNDS} rounds:");
    println!("  without a sink  {off:.0}/s");
    println!("  with a sink     {on:.0}/s");
    println!("  ratio           {:.2}  (limit 0.95)", on / off);
    Ok(())
}
