//! The OAuth token of one connection: client credentials, one refresh at a time, never shown.
//!
//! A refresh is a task of its own, so a caller that gives up does not take it along, and all who wait share
//! its result. It happens 30 s before the token ends, and after a 401 once per generation: two calls that
//! fail with the same token cause one refresh. Refused credentials are not tried again for five minutes,
//! anything else that fails after a wait that grows; the login host has a breaker of its own.

use super::breaker::{CallEnd, Guard};
use super::budget::{Budget, Priority};
use super::gate::Closed;
use crate::failpoint::{self, Call, Point};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use shared::api::BreakerState;
use shared::delivery::Reason;
use shared::wait;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const TIMEOUT: Duration = Duration::from_secs(10);
const REFRESH_BEFORE: Duration = Duration::from_secs(30);
const LIFETIME_MIN_S: u64 = 60;
const LIFETIME_MAX_S: u64 = 24 * 60 * 60;
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(5 * 60);
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The login host refused the credentials; a person must mend the configuration.
    #[error(
        "the login host refuses the credentials of this connection ({0}); check client_id, client_secret and region"
    )]
    Refused(String),
    /// It could not be reached or answered something else; this passes.
    #[error("no token could be had: {0}")]
    Unavailable(String),
}

impl TokenError {
    /// It did not come while there was time to use it.
    pub fn slow() -> Self {
        Self::Unavailable("the login host takes too long".into())
    }
}

/// A refresh that failed, and how long to wait before the next at least.
type Failed = (TokenError, Option<Duration>);

/// How the login host is asked. There is one way, HTTP; a simulation has its own.
#[async_trait]
pub trait Login: Send + Sync {
    /// Asks once, and reads the answer to its end.
    async fn ask(&self) -> Result<Answer, Unanswered>;
}

/// What a login host answered.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What `Retry-After` asks for.
    pub wait: Option<Duration>,
    /// The body, bounded.
    pub body: Bytes,
}

/// A login host gave no answer that can be read.
pub struct Unanswered {
    /// What that says of the host.
    pub end: CallEnd,
    /// Why, in words.
    pub why: String,
}

struct HttpLogin {
    client: reqwest::Client,
    url: String,
    client_id: String,
    client_secret: SecretString,
}

/// A token and which refresh it came from.
#[derive(Clone)]
pub struct Token {
    /// The bearer value.
    pub value: Arc<SecretString>,
    /// Rises with every refresh.
    pub generation: u64,
    refresh_at: Instant,
}

/// Gets and keeps a connection's token.
#[derive(Clone)]
pub struct TokenSource {
    inner: Arc<Inner>,
}

struct Inner {
    login: Arc<dyn Login>,
    budget: Budget,
    guard: Guard,
    state: Mutex<State>,
}

type Refresh = Shared<BoxFuture<'static, Result<Token, TokenError>>>;

#[derive(Default)]
struct State {
    token: Option<Token>,
    refresh: Option<Refresh>,
    generation: u64,
    failure: Option<(Instant, TokenError)>,
    /// Refreshes that failed in a row.
    failures: u32,
}

#[derive(Deserialize)]
struct Reply {
    access_token: Option<String>,
    token_type: Option<String>,
    expires_in: Option<serde_json::Value>,
    error: Option<String>,
}

impl TokenSource {
    /// A source that asks `login_url` with these credentials.
    pub fn new(
        client: reqwest::Client,
        login_url: &str,
        client_id: String,
        client_secret: SecretString,
        budget: Budget,
    ) -> Self {
        let url = format!("{login_url}/oauth/token");
        let login = HttpLogin { client, url, client_id, client_secret };
        Self::through(Arc::new(login), login_url, budget)
    }

    /// A source that asks `login`, the host of `login_url`.
    pub fn through(login: Arc<dyn Login>, login_url: &str, budget: Budget) -> Self {
        let guard = Guard::for_url(login_url);
        let state = Mutex::default();
        Self { inner: Arc::new(Inner { login, budget, guard, state }) }
    }

    /// A token that is good for a while, refreshed first where needed.
    pub async fn token(&self) -> Result<Token, TokenError> {
        let refresh = {
            let mut state = self.inner.lock();
            let now = Instant::now();
            if let Some(token) = state.token.as_ref().filter(|token| token.refresh_at > now) {
                return Ok(token.clone());
            }
            if let Some((until, error)) = &state.failure
                && *until > now
            {
                return Err(error.clone());
            }
            match &state.refresh {
                Some(refresh) => refresh.clone(),
                None => {
                    let refresh = self.start_refresh();
                    state.refresh = Some(refresh.clone());
                    refresh
                }
            }
        };
        refresh.await
    }

    /// Says that the platform refused the token of `generation`. Later ones are left alone.
    pub fn refused(&self, generation: u64) {
        let mut state = self.inner.lock();
        if state.token.as_ref().is_some_and(|token| token.generation == generation) {
            state.token = None;
        }
    }

    /// Why there is no token at the moment, if that is so.
    pub fn problem(&self) -> Option<String> {
        let state = self.inner.lock();
        state.failure.as_ref().map(|(_, error)| error.to_string())
    }

    /// Why nothing can go out for want of a token, and for how long at least; `None` when there is one, or
    /// when it is time to ask for one.
    pub fn wanting(&self) -> Option<Closed> {
        let state = self.inner.lock();
        let now = Instant::now();
        if state.token.as_ref().is_some_and(|token| token.refresh_at > now) {
            return None;
        }
        let (until, error) = state.failure.as_ref().filter(|(until, _)| *until > now)?;
        Some(Closed { reason: reason(error), wait: *until - now })
    }

    /// The same for an error just met.
    pub fn closed(&self, error: &TokenError) -> Closed {
        let wait = Duration::from_secs(1);
        self.wanting().unwrap_or_else(|| Closed { reason: reason(error), wait })
    }

    /// A person says that it works again: asked at once.
    pub fn hurry(&self) {
        self.inner.guard.hurry();
        let mut state = self.inner.lock();
        if let Some((until, _)) = &mut state.failure {
            *until = Instant::now();
        }
    }

    /// Where the login host's breaker is.
    pub fn breaker(&self) -> BreakerState {
        self.inner.guard.state()
    }

    fn start_refresh(&self) -> Refresh {
        let inner = Arc::clone(&self.inner);
        let task = tokio::spawn(async move {
            let result = inner.fetch().await;
            let mut state = inner.lock();
            state.refresh = None;
            match result {
                Ok((value, lifetime)) => {
                    state.generation += 1;
                    state.failure = None;
                    state.failures = 0;
                    let token = Token {
                        value: Arc::new(value),
                        generation: state.generation,
                        refresh_at: Instant::now() + lifetime.saturating_sub(REFRESH_BEFORE),
                    };
                    state.token = Some(token.clone());
                    Ok(token)
                }
                Err((error, at_least)) => {
                    state.failures = state.failures.saturating_add(1);
                    let pause = match &error {
                        TokenError::Refused(_) => PAUSE_AFTER_REFUSAL,
                        TokenError::Unavailable(_) => {
                            let own = wait::back_off(state.failures, crate::clock::jitter());
                            own.max(at_least.unwrap_or_default())
                        }
                    };
                    tracing::warn!(%error, "token refresh failed");
                    state.failure = Some((Instant::now() + pause, error.clone()));
                    Err(error)
                }
            }
        });
        let ended = TokenError::Unavailable("the refresh was stopped".into());
        task.map(move |joined| joined.unwrap_or(Err(ended))).boxed().shared()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> Result<(SecretString, Duration), Failed> {
        let unavailable = |text: String| (TokenError::Unavailable(text), None);
        let _permit = self.budget.permit(Priority::Token).await;
        let pass = self.guard.enter().map_err(|wait| {
            let text = "the login host cannot be reached or does not answer";
            (TokenError::Unavailable(text.into()), Some(wait))
        })?;
        failpoint::hit(Point::BeforeRequest(Call::Token));
        let answer = self.login.ask().await;
        failpoint::hit(Point::AfterAnswer(Call::Token));
        pass.ended(match &answer {
            Ok(answer) if answer.status < 500 => CallEnd::Answered,
            Ok(_) => CallEnd::Failed,
            Err(unanswered) => unanswered.end,
        });
        let Answer { status, wait, body } = answer.map_err(|none| unavailable(none.why))?;
        let reply: Option<Reply> = serde_json::from_slice(&body).ok();
        if !matches!(status, 200..=299) {
            let error = reply.and_then(|reply| reply.error).unwrap_or_default();
            // The login host's word, cut: an answer must not be able to fill a log.
            let error: String = error.chars().filter(|one| !one.is_control()).take(40).collect();
            return Err(if matches!(status, 400 | 401 | 403) && error.contains("client") {
                (TokenError::Refused(error), None)
            } else {
                let text = format!("the login host answered {status}");
                (TokenError::Unavailable(text), wait)
            });
        }
        let reply =
            reply.ok_or_else(|| unavailable("the login host's answer is not JSON".into()))?;
        let value = reply.access_token.filter(|value| {
            !value.is_empty()
                && value.len() <= 8192
                && value.bytes().all(|byte| byte.is_ascii_graphic())
        });
        let value =
            value.ok_or_else(|| unavailable("the login host gave no usable token".into()))?;
        if reply.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(unavailable("the login host gave a token that is not a bearer".into()));
        }
        let seconds = match reply.expires_in {
            Some(serde_json::Value::Number(number)) => number.as_f64().unwrap_or(0.0),
            Some(serde_json::Value::String(text)) => text.parse().unwrap_or(0.0),
            _ => 0.0,
        };
        Ok((SecretString::from(value), lifetime(seconds)))
    }
}

#[async_trait]
impl Login for HttpLogin {
    async fn ask(&self) -> Result<Answer, Unanswered> {
        let pair = format!("{}:{}", self.client_id, self.client_secret.expose_secret());
        let response = self
            .client
            .post(&self.url)
            .timeout(TIMEOUT)
            .header("authorization", format!("Basic {}", STANDARD.encode(pair)))
            .header("content-type", "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials")
            .send()
            .await;
        let unanswered = |end: CallEnd, why: String| Unanswered { end, why };
        let response = response.map_err(|error| {
            let not_connected = error.is_connect() || error.is_builder();
            let end = if not_connected { CallEnd::NotConnected } else { CallEnd::Failed };
            unanswered(end, super::http::describe(&error))
        })?;
        let status = response.status().as_u16();
        let wait = super::http::stated_wait(response.headers());
        let body = super::http::body(response, BODY_BYTES_MAX).await;
        let body = body.map_err(|why| unanswered(CallEnd::Failed, why))?;
        Ok(Answer { status, wait, body })
    }
}

fn reason(error: &TokenError) -> Reason {
    Reason::new("no_token", error.to_string())
}

/// What a stated lifetime is trusted to be: 60 s to 24 h.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped to the range first"
)]
fn lifetime(seconds: f64) -> Duration {
    let seconds = if seconds.is_nan() { 0.0 } else { seconds };
    Duration::from_secs(seconds.clamp(LIFETIME_MIN_S as f64, LIFETIME_MAX_S as f64) as u64)
}
