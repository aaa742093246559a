//! The calls to the proxy: one async function per endpoint and one error type, [`Problem`].
//!
//! Nothing else builds a request. A lost connection is a problem with the code [`UNREACHABLE`]; a refused
//! token tells the session once and comes back as the proxy's own problem. Nothing is retried here: whether
//! to ask again is the caller's decision.

use crate::browser::escaped;
use gloo_net::http::{Request, RequestBuilder, Response};
use leptos::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use shared::api::{
    Budget, Connection, DecideRequest, IDEMPOTENCY_KEY, Message, MessageCounts, MessageDetail,
    MessageQuery, Options, Page, Problem, ResendRequest, ResumeAnswer, ResumeRequest, RulesAnswer,
    SlaReport, SubmissionAccepted, SubmissionRequest, path,
};
use shared::conversation::Conversation;
use shared::id::{ConnectionName, Key, MessageId};
use shared::time::Timestamp;
use web_sys::AbortSignal;

/// The code of a problem that is no answer at all: whether the proxy heard the request is not known.
pub const UNREACHABLE: &str = "unreachable";

/// The code of the proxy's refusal of a key that stands for another request.
pub const KEY_REUSED: &str = "key_reused";

/// Calls the proxy with the session's token.
#[derive(Clone, Copy)]
pub struct Client {
    token: StoredValue<String>,
    refused: Callback<()>,
}

impl Client {
    /// A client for `token`; `refused` is told when the proxy no longer takes it.
    pub fn new(token: String, refused: Callback<()>) -> Self {
        Self { token: StoredValue::new(token), refused }
    }

    /// What the page must know before it draws.
    pub async fn options(self) -> Result<Options, Problem> {
        self.get(path::OPTIONS.to_owned()).await
    }

    /// The rules in force, for each connection.
    pub async fn rules(self) -> Result<RulesAnswer, Problem> {
        self.get(path::RULES.to_owned()).await
    }

    /// The request budget of each connection.
    pub async fn budget(self) -> Result<Page<Budget>, Problem> {
        self.get(path::BUDGET.to_owned()).await
    }

    /// Conversations the proxy knows, latest first.
    pub async fn conversations(
        self,
        connection: ConnectionName,
    ) -> Result<Page<Conversation>, Problem> {
        self.get(path::fill(path::CONVERSATIONS, "name", connection.as_str())).await
    }

    /// One conversation, read from the platform.
    pub async fn conversation(
        self,
        connection: ConnectionName,
        id: String,
    ) -> Result<Conversation, Problem> {
        let named = path::fill(path::CONVERSATION, "name", connection.as_str());
        self.get(path::fill(&named, "id", &escaped(&id))).await
    }

    /// Posts a submission. The same key may be posted any number of times and counts once.
    pub async fn submit(
        self,
        key: Key,
        request: SubmissionRequest,
    ) -> Result<SubmissionAccepted, Problem> {
        let builder = Request::post(path::SUBMISSIONS).header(IDEMPOTENCY_KEY, key.as_str());
        self.post(builder, &request).await
    }

    /// A page of messages, newest first.
    pub async fn messages(self, query: MessageQuery) -> Result<Page<Message>, Problem> {
        let limit = query.limit.map(|limit| limit.to_string());
        let fields = [
            ("q", query.q),
            ("state", query.state),
            ("verdict", query.verdict),
            ("duplicate_prevented", query.duplicate_prevented.map(|only| only.to_string())),
            ("cursor", query.cursor),
            ("limit", limit),
        ];
        self.get(with_query(path::MESSAGES, fields)).await
    }

    /// The headline figures.
    pub async fn counts(self) -> Result<MessageCounts, Problem> {
        self.get(path::MESSAGE_COUNTS.to_owned()).await
    }

    /// One message with its history.
    pub async fn message(self, id: MessageId) -> Result<MessageDetail, Problem> {
        self.get(path::fill(path::MESSAGE, "id", id.as_str())).await
    }

    /// Withdraws a message that was not sent yet.
    pub async fn cancel(self, id: MessageId) -> Result<MessageDetail, Problem> {
        let builder = Request::post(&path::fill(path::MESSAGE_CANCEL, "id", id.as_str()));
        self.post(builder, &serde_json::json!({})).await
    }

    /// Lets the planned attempt of a message happen now.
    pub async fn retry(self, id: MessageId) -> Result<MessageDetail, Problem> {
        let builder = Request::post(&path::fill(path::MESSAGE_RETRY, "id", id.as_str()));
        self.post(builder, &serde_json::json!({})).await
    }

    /// Sends an ended message's payload once more, as a new message under `key`.
    pub async fn resend(
        self,
        id: MessageId,
        key: Key,
        request: ResendRequest,
    ) -> Result<SubmissionAccepted, Problem> {
        let builder = Request::post(&path::fill(path::MESSAGE_RESEND, "id", id.as_str()))
            .header(IDEMPOTENCY_KEY, key.as_str());
        self.post(builder, &request).await
    }

    /// Decides about a parked message.
    pub async fn decide(
        self,
        id: MessageId,
        request: DecideRequest,
    ) -> Result<MessageDetail, Problem> {
        let builder = Request::post(&path::fill(path::MESSAGE_DECIDE, "id", id.as_str()));
        self.post(builder, &request).await
    }

    /// Lets what waits for a connection be tried now.
    pub async fn resume_connection(self, name: ConnectionName) -> Result<Connection, Problem> {
        let builder = Request::post(&path::fill(path::CONNECTION_RESUME, "name", name.as_str()));
        self.post(builder, &serde_json::json!({})).await
    }

    /// Lets batches be posted to the sink again.
    pub async fn resume_audit(self, request: ResumeRequest) -> Result<ResumeAnswer, Problem> {
        self.post(Request::post(path::AUDIT_RESUME), &request).await
    }

    /// What goes wrong in the in-process sandbox, by name.
    pub async fn faults(self) -> Result<Map<String, Value>, Problem> {
        self.get(path::fill(path::SANDBOX, "*rest", "faults")).await
    }

    /// Replaces what goes wrong in the in-process sandbox.
    pub async fn set_faults(
        self,
        faults: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Problem> {
        self.post(Request::put(&path::fill(path::SANDBOX, "*rest", "faults")), faults).await
    }

    /// Verdicts over a period, judged by `threshold_seconds` where it is given.
    pub async fn sla(
        self,
        from: Timestamp,
        to: Timestamp,
        threshold_seconds: Option<f64>,
    ) -> Result<SlaReport, Problem> {
        let fields = [
            ("from", Some(from.to_string())),
            ("to", Some(to.to_string())),
            ("threshold_seconds", threshold_seconds.map(|seconds| seconds.to_string())),
        ];
        self.get(with_query(path::SLA, fields)).await
    }

    /// Opens the live stream, after the event `last` where one was seen. The caller reads the body.
    pub async fn events(self, last: Option<u64>, abort: &AbortSignal) -> Result<Response, Problem> {
        let mut builder = Request::get(path::EVENTS)
            .header("accept", "text/event-stream")
            .abort_signal(Some(abort));
        if let Some(last) = last {
            builder = builder.header("last-event-id", &last.to_string());
        }
        let request = self.authorized(builder).build().map_err(|error| unreachable(&error))?;
        self.send(request).await
    }

    fn authorized(self, builder: RequestBuilder) -> RequestBuilder {
        builder.header("authorization", &format!("Bearer {}", self.token.get_value()))
    }

    async fn get<T: DeserializeOwned>(self, url: String) -> Result<T, Problem> {
        let request =
            self.authorized(Request::get(&url)).build().map_err(|error| unreachable(&error))?;
        read(self.send(request).await?).await
    }

    async fn post<T: DeserializeOwned>(
        self,
        builder: RequestBuilder,
        body: &impl Serialize,
    ) -> Result<T, Problem> {
        // Nothing the console posts can fail to encode; an empty body would be refused, not misread.
        let body = serde_json::to_string(body).unwrap_or_default();
        let request = self
            .authorized(builder)
            .header("content-type", "application/json")
            .body(body)
            .map_err(|error| unreachable(&error))?;
        read(self.send(request).await?).await
    }

    async fn send(self, request: Request) -> Result<Response, Problem> {
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        if response.ok() {
            return Ok(response);
        }
        if response.status() == 401 {
            self.refused.run(());
        }
        Err(problem(response).await)
    }
}

fn with_query<const N: usize>(path: &str, fields: [(&str, Option<String>); N]) -> String {
    let mut url = path.to_owned();
    let mut separator = '?';
    for (name, value) in fields {
        if let Some(value) = value {
            url.push(separator);
            url.push_str(name);
            url.push('=');
            url.push_str(&escaped(&value));
            separator = '&';
        }
    }
    url
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T, Problem> {
    let text = response.text().await.map_err(|error| unreachable(&error))?;
    serde_json::from_str(&text).map_err(|error| Problem {
        code: "answer_unreadable".into(),
        status: response.status(),
        title: "The proxy's answer could not be read".into(),
        detail: Some(format!("{error}. Reload the page: it may be older than the proxy.")),
        findings: Vec::new(),
    })
}

async fn problem(response: Response) -> Problem {
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_else(|_| Problem {
        code: format!("http_{status}"),
        status,
        title: format!("The proxy answered {status}"),
        detail: None,
        findings: Vec::new(),
    })
}

fn unreachable(error: &gloo_net::Error) -> Problem {
    Problem {
        code: UNREACHABLE.into(),
        status: 0,
        title: "Waybill's proxy did not answer".into(),
        detail: Some(format!("Is \"waybill serve\" still running? ({error})")),
        findings: Vec::new(),
    }
}
