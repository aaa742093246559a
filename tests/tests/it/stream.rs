//! Reading the live stream as a program does.

use reqwest::{Method, Response};
use serde_json::Value;
use shared::api::path;
use std::time::Duration;
use tests::Api;

/// One event of the stream.
#[derive(Debug)]
pub struct LiveEvent {
    /// `event:`.
    pub name: String,
    /// `id:`, or an empty text.
    pub id: String,
    /// `data:`.
    pub data: Value,
}

/// An open stream.
pub struct Live {
    response: Response,
    buffer: Vec<u8>,
}

impl Live {
    /// Opens the stream, after the event `last_event_id` where one is given.
    pub async fn open(api: &Api, last_event_id: Option<&str>) -> Self {
        let mut request = api.request(Method::GET, path::EVENTS).timeout(Duration::from_secs(120));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.expect("the stream opens");
        assert_eq!(response.status().as_u16(), 200);
        let kind = response.headers()["content-type"].to_str().expect("a content type is ASCII");
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        Self { response, buffer: Vec::new() }
    }

    /// The next event; comments that keep the stream alive are skipped.
    pub async fn next(&mut self) -> LiveEvent {
        let read = async {
            loop {
                if let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
                    let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                    if let Some(event) = parse(&String::from_utf8_lossy(&block)) {
                        return event;
                    }
                    continue;
                }
                let chunk = self.response.chunk().await.expect("the stream goes on");
                self.buffer.extend_from_slice(&chunk.expect("the stream does not end"));
            }
        };
        tokio::time::timeout(Duration::from_secs(30), read).await.expect("an event within 30 s")
    }
}

fn parse(block: &str) -> Option<LiveEvent> {
    let field = |name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(str::to_owned)
    };
    let data = serde_json::from_str(&field("data")?).expect("an event holds JSON");
    Some(LiveEvent { name: field("event")?, id: field("id").unwrap_or_default(), data })
}
