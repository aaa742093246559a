//! What every call of the platform passes before and after its own work: faults, token, rate limit, headers.

use super::faults::{Call, Decision, Strike};
use super::refusal::{self, Refusal};
use super::{Sandbox, limit, lock, spoil};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The longest a call hangs if its caller never gives up.
const HANG_MAX: Duration = Duration::from_secs(120);

/// Runs `work` as a call of kind `call`, with whatever faults are in force.
pub async fn pass(
    sandbox: &Sandbox,
    call: Call,
    work: impl FnOnce(&Decision) -> Result<Response, Refusal>,
) -> Response {
    let decision = match sandbox.0.faults.decide(call, &sandbox.0.store) {
        Ok(decision) => decision,
        Err(error) => return Refusal::from(error).into_response(),
    };
    if decision.revoke
        && let Err(error) = sandbox.0.store.revoke_tokens()
    {
        return Refusal::from(error).into_response();
    }
    let mut response = strike(sandbox, &decision, work).await;
    refusal::correlate(&mut response);
    if call != Call::Token {
        rate_headers(sandbox, &mut response);
    }
    spoil::date(sandbox.0.faults.skew_ms(), &mut response);
    response
}

/// Waits as decided, does `work` if it is to take effect, and answers as decided.
pub async fn strike(
    sandbox: &Sandbox,
    decision: &Decision,
    work: impl FnOnce(&Decision) -> Result<Response, Refusal>,
) -> Response {
    if let Some(latency) = decision.latency {
        tokio::time::sleep(latency).await;
    }
    let work = || work(decision).unwrap_or_else(Refusal::into_response);
    match &decision.strike {
        Some(Strike::Reset) => spoil::dropped(),
        Some(Strike::Hang) => {
            tokio::time::sleep(HANG_MAX).await;
            spoil::dropped()
        }
        Some(Strike::TooMany(retry_after)) => Refusal::too_many(retry_after).into_response(),
        Some(Strike::Broken { status, retry_after, processed }) => {
            if *processed {
                drop(work());
            }
            Refusal::broken(*status, retry_after.clone()).into_response()
        }
        Some(Strike::LostReply) => {
            drop(work());
            spoil::dropped()
        }
        Some(Strike::Status { status, retry_after, location }) => {
            Refusal::told(*status, retry_after.clone(), location.as_deref())
        }
        Some(Strike::Spoilt(kind)) => spoil::spoilt(sandbox, work(), *kind).await,
        Some(Strike::Cut) => spoil::cut(work()).await,
        Some(Strike::Drip(every)) => spoil::drip(work(), *every).await,
        None => work(),
    }
}

/// Lets a call through that carries a token in force and is within the rate limit, which it counts against.
pub fn admit(sandbox: &Sandbox, headers: &HeaderMap) -> Result<(), Refusal> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, token)) = bearer.and_then(|value| value.split_once(' ')) else {
        return Err(Refusal::unauthorised("authentication.required", "No bearer token was given"));
    };
    let now = sandbox.now();
    if !scheme.eq_ignore_ascii_case("bearer")
        || !sandbox.0.store.has_token(&token_digest(token), now)?
    {
        return Err(Refusal::unauthorised("bad.credentials", "Invalid login credentials."));
    }
    let standing = lock(&sandbox.0.window).take(now);
    if standing.is_over {
        let seconds = sandbox.0.clock.real_seconds(standing.reset_ms);
        return Err(Refusal::too_many(&seconds.to_string()));
    }
    Ok(())
}

/// What is kept of a token: enough to know it again, not enough to use it.
pub fn token_digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// How the caller stands against the limit. The wait is in real seconds, as `Retry-After` is: the caller
/// counts them by its own clock, whatever speed the simulated one runs at.
fn rate_headers(sandbox: &Sandbox, response: &mut Response) {
    let standing = lock(&sandbox.0.window).look(sandbox.now());
    let reset = sandbox.0.clock.real_seconds(standing.reset_ms);
    let headers = response.headers_mut();
    headers.insert("inin-ratelimit-count", HeaderValue::from(standing.count));
    headers.insert("inin-ratelimit-allowed", HeaderValue::from(limit::ALLOWED));
    headers.insert("inin-ratelimit-reset", HeaderValue::from(reset));
}
