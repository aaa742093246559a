//! The platform as the workers see it: read a conversation, send a message. How it is spoken to is a
//! dialect's business; token, budget and HTTP below it are the same for all.
//!
//! Outcome types say what is *known*. "I do not know" is a value of its own ([`SendOutcome::Ambiguous`]),
//! because treating it as a failure sends twice and treating it as a success loses a message.

pub mod breaker;
pub mod budget;
pub mod gate;
pub mod guide;
pub mod http;
pub mod pause;
pub mod retry;
pub mod token;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::SecretString;
use shared::conversation::Conversation;
use shared::delivery::{Reason, Receipt};
use shared::id::{ConversationId, Key, PlatformId};
use shared::time::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use breaker::Guard;
pub use budget::{Budget, Permit, Priority};
pub use gate::{Closed, Gate};
pub use pause::Refusal;
pub use token::TokenSource;

/// A conversation with what the platform says of its messages.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Channel and participants.
    pub conversation: Conversation,
    /// The newest receipts, by the platform's message id.
    pub receipts: HashMap<PlatformId, Receipt>,
    /// The messages of the conversation that may be ours, in the platform's order: what an attempt of unknown
    /// outcome is looked for among.
    pub listed: Vec<Listed>,
    /// Platform clock: when it answered.
    pub platform_now: Option<Timestamp>,
}

/// A message as a conversation lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The platform's name for it.
    pub platform_id: PlatformId,
    /// Platform clock: when it was created.
    pub created_at: Option<Timestamp>,
    /// Who sent it and what it says, where the dialect tells: without them nobody can say whose it is.
    pub said: Option<Said>,
}

/// What tells one message from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The sender's address.
    pub from: String,
    /// The content as text.
    pub text: String,
}

/// Why a conversation could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The platform has no such conversation.
    #[error("the platform knows no such conversation")]
    NotFound,
    /// The platform does not let these credentials read it.
    #[error("{0}")]
    Forbidden(String),
    /// The platform asked to wait.
    #[error("the platform asks to wait {} s", .0.as_secs())]
    Wait(Duration),
    /// Nothing goes through to it now, whatever is asked.
    #[error("{}", .0.text)]
    Closed(Reason),
    /// It cannot be reached or does not answer in a way that can be read.
    #[error("{0}")]
    Unavailable(String),
}

/// What is known after a POST.
#[derive(Debug, Clone, PartialEq)]
pub enum SendOutcome {
    /// Taken, under this id.
    Accepted {
        /// The platform's name for it.
        platform_id: PlatformId,
        /// The status in the answer.
        receipt: Receipt,
        /// True when, by the platform's own clock, it had the message before this request reached it.
        was_there: bool,
    },
    /// Refused for good.
    Refused(Reason),
    /// Certainly not sent.
    NotSent {
        /// Why.
        reason: Reason,
        /// How long the platform asked to wait.
        wait: Option<Duration>,
    },
    /// Certainly not sent, and for no fault of the message: the whole connection waits.
    Held(Reason),
    /// Nobody knows.
    Ambiguous(Reason),
}

/// One platform organisation, in its dialect.
#[async_trait]
pub trait Platform: Send + Sync {
    /// Gets whatever calls need beforehand, such as a token, so that no attempt is begun without it.
    async fn ready(&self) -> Result<(), Closed> {
        Ok(())
    }
    /// Reads a conversation. The permit is one request of the budget.
    async fn read_conversation(
        &self,
        permit: Permit,
        id: &ConversationId,
    ) -> Result<Snapshot, ReadError>;
    /// Posts a message once. The permit is one request of the budget.
    async fn send(
        &self,
        permit: Permit,
        id: &ConversationId,
        key: &Key,
        body: Bytes,
    ) -> SendOutcome;
}

/// Where a platform is and who we are to it.
pub struct Endpoint {
    /// Base of API calls, without a final slash.
    pub api_url: String,
    /// Base of the token endpoint, without a final slash.
    pub login_url: String,
    /// OAuth client id.
    pub client_id: String,
    /// OAuth client secret.
    pub client_secret: SecretString,
    /// The request limit until the platform's headers teach another.
    pub requests_per_minute: u32,
}

/// A platform with the budget and token every call to it shares.
pub struct Connected {
    /// The dialect.
    pub platform: Arc<dyn Platform>,
    /// The request budget.
    pub budget: Budget,
    /// The token, for its state.
    pub token: TokenSource,
    /// Whether calls go through at all.
    pub gate: Gate,
}

/// Connects to a platform of the guide dialect. Nothing is sent until the first call.
pub fn connect_guide(endpoint: Endpoint) -> Result<Connected, reqwest::Error> {
    let client = http::client_for(&endpoint.api_url)?;
    let budget = Budget::new(endpoint.requests_per_minute);
    let token = TokenSource::new(
        client.clone(),
        &endpoint.login_url,
        endpoint.client_id,
        endpoint.client_secret,
        budget.clone(),
    );
    let gate = Gate::new(&endpoint.api_url);
    let authority = http::Authority::new(token.clone(), budget.clone(), gate.clone());
    let caller = http::Caller::new(client, endpoint.api_url, authority);
    Ok(Connected { platform: Arc::new(guide::Guide::new(caller)), budget, token, gate })
}
