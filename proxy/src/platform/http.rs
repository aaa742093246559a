//! One authorised call to the platform: token, deadline, bounded body, and what the headers teach.
//!
//! A 401 refreshes the token once and replays the call with the same bytes: the platform refused it before
//! doing anything. Redirects and retries of the HTTP client are off, so one call here is one request there.

use super::breaker::{CallEnd, Pass};
use super::budget::{Budget, Permit, Priority};
use super::gate::{Closed, Entrance, Gate};
use super::pause::Refusal;
use super::token::{Token, TokenError, TokenSource};
use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use shared::time::Timestamp;
use shared::wait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::{Instant, timeout_at};

/// Most bytes read of an answer that should say something.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes read of an error.
const ERROR_BYTES_MAX: usize = 64 * 1024;
/// Less than this between two clocks may be the network's doing.
const CLOCK_OFF_MIN: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A request for which less time is left is not made.
const TIME_MIN: Duration = Duration::from_secs(1);

/// An answer, whatever its status.
#[derive(Default)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body, bounded.
    pub body: Bytes,
    /// What `Retry-After` asks for.
    pub wait: Option<Duration>,
    /// The platform's own time for its answer, from `Date`.
    pub date: Option<Timestamp>,
    /// How long the call took, by this machine's clock.
    pub took: Duration,
    /// Set when the platform refuses the whole connection, so that what was refused is to wait.
    pub paused: Option<Refusal>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum CallError {
    /// No token, so nothing was sent.
    Token(TokenError),
    /// No call goes through now, so nothing was sent.
    Closed(Closed),
    /// The connection could not be made, so nothing was sent.
    NotSent(String),
    /// Something may have been sent, and no answer that can be read came back.
    Ambiguous(String),
}

/// A client for `url`: follows nothing, repeats nothing. Plain http (loopback only, by the settings' rules)
/// needs no certificates, so the sandbox works on a machine that has none.
pub fn client_for(url: &str) -> Result<reqwest::Client, reqwest::Error> {
    if url.starts_with("http://") {
        builder().tls_certs_only([]).no_proxy().build()
    } else {
        builder().build()
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .pool_idle_timeout(Duration::from_secs(60))
        .user_agent(concat!("Waybill/", env!("CARGO_PKG_VERSION")))
}

/// What calls of one connection need beside HTTP: token, budget and gate. A simulation calls with the same.
#[derive(Clone)]
pub struct Authority {
    token: TokenSource,
    budget: Budget,
    gate: Gate,
}

impl Authority {
    /// Calls with this token and budget, through this gate.
    pub fn new(token: TokenSource, budget: Budget, gate: Gate) -> Self {
        Self { token, budget, gate }
    }

    /// Whether there is a token, refreshed first where needed.
    pub async fn ready(&self) -> Result<(), Closed> {
        self.token.token().await.map(drop).map_err(|error| self.token.closed(&error))
    }

    /// Begins a call; its token, its request and a replay end within `timeout`.
    pub fn begin(&self, permit: Permit, timeout: Duration) -> Result<Calling<'_>, CallError> {
        let until = Instant::now() + timeout;
        let entrance = match permit.entrance {
            Some(entrance) => entrance,
            None => self.gate.enter(permit.priority).map_err(CallError::Closed)?,
        };
        Ok(Calling { authority: self, entrance, until, is_replayed: false })
    }

    /// What the status of an answer says about the whole connection. The message that was refused waits with it
    /// where this says why.
    pub fn judge(&self, status: u16, is_send: bool) -> Option<Refusal> {
        let refusal = Refusal::of_status(status);
        if let Some(refusal) = refusal
            && (is_send || refusal == Refusal::Token)
        {
            return self.gate.refused(refusal).then_some(refusal);
        }
        let is_judged = matches!(status, 200..=299 | 400..=499)
            && !matches!(status, 408 | 425 | 429)
            && refusal.is_none();
        if is_send && is_judged {
            self.gate.judged();
        } else if is_judged || refusal.is_some() {
            self.gate.token_taken();
        }
        None
    }
}

/// A call that has begun.
pub struct Calling<'a> {
    authority: &'a Authority,
    entrance: Entrance,
    until: Instant,
    is_replayed: bool,
}

/// Everything one request needs.
pub struct Turn {
    /// The token it goes with.
    pub token: Token,
    /// How long it may take.
    pub left: Duration,
    /// To be told how it ended.
    pub pass: Pass,
}

impl Calling<'_> {
    /// What the next request of this call needs.
    pub async fn turn(&mut self) -> Result<Turn, CallError> {
        let token = match timeout_at(self.until, self.authority.token.token()).await {
            Ok(token) => token.map_err(CallError::Token)?,
            Err(_) => return Err(CallError::Token(TokenError::slow())),
        };
        let left = self.until.saturating_duration_since(Instant::now());
        if left < TIME_MIN {
            return Err(CallError::Token(TokenError::slow()));
        }
        let pass = self.entrance.pass().map_err(CallError::Closed)?;
        Ok(Turn { token, left, pass })
    }

    /// Whether a request that was answered with this status is to be made once more: its token was refused, so nothing
    /// was done, and another one may be taken.
    pub fn is_to_be_replayed(&self, status: u16) -> bool {
        status == 401 && !self.is_replayed
    }

    /// Gives up the token of `generation`, and gets what the replay needs of the budget.
    pub async fn renew(&mut self, generation: u64) -> Result<(), CallError> {
        self.is_replayed = true;
        self.authority.token.refused(generation);
        let permit = self.authority.budget.permit(Priority::Token);
        match timeout_at(self.until, permit).await {
            Ok(_) => Ok(()),
            Err(_) => Err(CallError::Token(TokenError::slow())),
        }
    }
}

/// Calls a platform's API with its token.
#[derive(Clone)]
pub struct Caller {
    client: reqwest::Client,
    api_url: String,
    authority: Authority,
    /// True while the platform's clock and this machine's are known to disagree.
    clock_is_off: Arc<AtomicBool>,
}

impl Caller {
    /// A caller for the API at `api_url`.
    pub fn new(client: reqwest::Client, api_url: String, authority: Authority) -> Self {
        Self { client, api_url, authority, clock_is_off: Arc::default() }
    }

    /// Whether there is a token, refreshed first where needed.
    pub async fn ready(&self) -> Result<(), Closed> {
        self.authority.ready().await
    }

    /// Makes one call; token, request and a replay end within `timeout`. `path` starts with a slash and is
    /// built from checked identifiers.
    pub async fn call(
        &self,
        permit: Permit,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<Bytes>,
        timeout: Duration,
    ) -> Result<Answer, CallError> {
        let budget = &self.authority.budget;
        let mut calling = self.authority.begin(permit, timeout)?;
        loop {
            let Turn { token, left, pass } = calling.turn().await?;
            let mut request = self
                .client
                .request(method.clone(), format!("{}{path}", self.api_url))
                .timeout(left)
                .header("accept", "application/json")
                .bearer_auth(token.value.expose_secret());
            if let Some(key) = key {
                request = request.header("x-genesys-client-id", key);
            }
            if let Some(body) = &body {
                request = request.header("content-type", "application/json").body(body.clone());
            }
            let began = Instant::now();
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) if error.is_connect() || error.is_builder() => {
                    pass.ended(CallEnd::NotConnected);
                    return Err(CallError::NotSent(describe(&error)));
                }
                Err(error) => {
                    pass.ended(CallEnd::Failed);
                    return Err(CallError::Ambiguous(describe(&error)));
                }
            };
            let status = response.status();
            self.learn(response.headers());
            if calling.is_to_be_replayed(status.as_u16()) {
                pass.ended(CallEnd::Answered);
                calling.renew(token.generation).await?;
                continue;
            }
            let wait = stated_wait(response.headers());
            let date = response.headers().get("date").and_then(|value| value.to_str().ok());
            let date = date.and_then(wait::http_date);
            let took = began.elapsed();
            let bytes_max = if status.is_success() { BODY_BYTES_MAX } else { ERROR_BYTES_MAX };
            let read = self::body(response, bytes_max).await;
            let is_well = !status.is_server_error() && (read.is_ok() || !status.is_success());
            pass.ended(if is_well { CallEnd::Answered } else { CallEnd::Failed });
            if status == StatusCode::TOO_MANY_REQUESTS {
                budget.refused(wait);
            } else {
                budget.taken();
            }
            let paused = self.authority.judge(status.as_u16(), method == Method::POST);
            let body = match read {
                Ok(body) => body,
                // The status alone says what an error means; its body is only words.
                Err(_) if !status.is_success() => Bytes::new(),
                Err(error) => return Err(CallError::Ambiguous(error)),
            };
            return Ok(Answer { status, body, wait, date, took, paused });
        }
    }

    fn learn(&self, headers: &HeaderMap) {
        let off = clock_off(headers);
        // Said once when it begins, not with every answer.
        if !self.clock_is_off.swap(off.is_some(), Ordering::Relaxed)
            && let Some(off) = off
        {
            tracing::warn!("{off} the platform's; correct one of them");
        }
        let (allowed, count, reset_s) = stated_limit(headers);
        if allowed.is_some() {
            self.authority.budget.learn(allowed, count, reset_s);
        }
    }
}

/// What an answer says of the request limit: allowed, used, and seconds until the window ends.
pub(crate) fn stated_limit(headers: &HeaderMap) -> (Option<u32>, Option<u32>, Option<u64>) {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let small = |name: &str| number(name).and_then(|value| u32::try_from(value).ok());
    (small("inin-ratelimit-allowed"), small("inin-ratelimit-count"), number("inin-ratelimit-reset"))
}

/// How this machine's clock differs from the one an answer is dated by, if it differs by more than
/// [`CLOCK_OFF_MIN`]: `this machine's clock is 600 s behind`. No interval is taken across the two, but stated
/// dates and signed times are read by both.
pub fn clock_off(headers: &HeaderMap) -> Option<String> {
    let date = headers.get("date")?.to_str().ok()?;
    let theirs = httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let ours = Duration::from_millis(u64::try_from(crate::clock::now().unix_ms()).ok()?);
    let (off, word) = match theirs.checked_sub(ours) {
        Some(off) => (off, "behind"),
        None => (ours.saturating_sub(theirs), "ahead of"),
    };
    (off >= CLOCK_OFF_MIN).then(|| format!("this machine's clock is {} s {word}", off.as_secs()))
}

/// The wait that an answer's `Retry-After` asks for.
pub fn stated_wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all("retry-after").into_iter().filter_map(|one| one.to_str().ok());
    let date = headers.get("date").and_then(|one| one.to_str().ok());
    wait::retry_after(values, date, crate::clock::now())
}

/// Reads a body up to `bytes_max`; more is an error, so memory is bounded whatever the other side sends.
pub async fn body(response: reqwest::Response, bytes_max: usize) -> Result<Bytes, String> {
    let mut bytes = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| describe(&error))?;
        if bytes.len() + chunk.len() > bytes_max {
            return Err(format!("the answer has more than {bytes_max} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

/// An error of the HTTP client in words, without its URL (which may name a conversation).
pub fn describe(error: &reqwest::Error) -> String {
    let kind = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection could be made"
    } else if error.is_body() || error.is_decode() {
        "the answer broke off"
    } else {
        "the connection broke before the answer"
    };
    let mut cause = std::error::Error::source(error);
    let mut deepest = String::new();
    while let Some(inner) = cause {
        deepest = inner.to_string();
        cause = inner.source();
    }
    if deepest.is_empty() { kind.to_owned() } else { format!("{kind} ({deepest})") }
}
