//! The proxy's API as a program calls it.

use crate::http;
use crate::wait::{eventually_within, found};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// States in which nothing more is expected to happen (but `delivered` may still become `read`).
pub const ENDINGS: [&str; 7] =
    ["delivered", "read", "rejected", "failed", "undelivered", "expired", "cancelled"];

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Sends a request and reads the whole answer.
    pub async fn of(request: RequestBuilder) -> Self {
        Self::try_of(request).await.expect("the server answers")
    }

    /// Sends a request; an error where no whole answer came back.
    pub async fn try_of(request: RequestBuilder) -> Result<Self, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, body: response.bytes().await?.to_vec() })
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// One header's value, or an empty text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The stable code of a problem, or an empty text.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The codes of a problem's findings.
    pub fn finding_codes(&self) -> Vec<String> {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["findings"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|finding| finding["code"].as_str().map(str::to_owned))
            .collect()
    }

    /// Fails the test unless the status is `status`.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

/// A client with the launch token. Clones share connections.
#[derive(Clone, Debug)]
pub struct Api {
    /// The client.
    pub client: reqwest::Client,
    /// Where the proxy is, without a final slash.
    pub base_url: String,
    /// The launch token.
    pub token: String,
}

impl Api {
    /// A client for the proxy at `base_url`.
    pub fn new(base_url: &str, token: &str) -> Self {
        Self { client: http::client(), base_url: base_url.into(), token: token.into() }
    }

    /// A request with the token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(&self.token)
    }

    /// A request without the token.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base_url))
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    /// `GET` of something that must be there.
    pub async fn read(&self, path: &str) -> Value {
        self.get(path).await.expect(200).json()
    }

    /// `POST` of a submission under `key`.
    pub async fn submit(&self, key: &str, body: &Value) -> Answer {
        self.try_submit(key, body).await.expect("the proxy answers")
    }

    /// `POST` of a submission; an error where the proxy went away.
    pub async fn try_submit(&self, key: &str, body: &Value) -> Result<Answer, reqwest::Error> {
        let request = self
            .request(Method::POST, shared::api::path::SUBMISSIONS)
            .header("idempotency-key", key)
            .json(body);
        Answer::try_of(request).await
    }

    /// Submits something that must be accepted; the message's id.
    pub async fn send(&self, key: &str, body: &Value) -> String {
        let answer = self.submit(key, body).await.expect(202).json();
        answer["messages"][0]["id"].as_str().expect("an accepted message has an id").to_owned()
    }

    /// A message with everything that is known of it.
    pub async fn message(&self, id: &str) -> Value {
        self.read(&format!("/api/v1/messages/{id}")).await
    }

    /// Waits until the message is in one of `states`.
    pub async fn message_in(&self, id: &str, states: &[&str], patience: Duration) -> Value {
        eventually_within(patience, &format!("message {id} is one of {states:?}"), async || {
            let message = self.message(id).await;
            let holds = message["state"].as_str().is_some_and(|state| states.contains(&state));
            found(holds, message)
        })
        .await
    }

    /// Every message, by id, read page by page.
    pub async fn messages(&self) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        let mut cursor = String::new();
        loop {
            let page = self.read(&format!("/api/v1/messages?limit=200{cursor}")).await;
            for message in page["items"].as_array().expect("a page has items") {
                let id = message["id"].as_str().expect("a message has an id");
                all.insert(id.to_owned(), message.clone());
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    /// Replaces the in-process sandbox's faults.
    pub async fn put_faults(&self, rules: &Value) {
        let request = self.request(Method::PUT, "/api/v1/sandbox/faults").json(rules);
        Answer::of(request).await.expect(200);
    }

    /// Sets the speed of the in-process sandbox's clock.
    pub async fn put_speed(&self, speed: f64) {
        let body = serde_json::json!({ "speed": speed });
        let request = self.request(Method::PUT, "/api/v1/sandbox/clock").json(&body);
        Answer::of(request).await.expect(200);
    }
}
