//! The live stream: what changed, as it is committed.
//!
//! The database is the queue. A stream remembers only the last position it sent, so a slow or resumed reader
//! is served from the record and misses nothing, and no reader can fill memory.

use crate::error::Failure;
use crate::router::AppState;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use shared::api::{LiveEvent, LiveHello};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;

const KEEP_ALIVE: Duration = Duration::from_secs(15);
const CHANGES_MAX: u32 = 200;
/// A reader that was away for more than this is told where the stream is now and reads the lists again.
const REPLAY_MAX: u64 = 10_000;

/// `text/event-stream`: first `hello` with the position it starts at, then a `message` for every changed
/// message. `Last-Event-ID` resumes after that position.
#[utoipa::path(get, path = "/api/v1/events", tag = "messages",
    params(("Last-Event-ID" = Option<u64>, Header, description = "resume after this position")),
    responses((status = 200, description = "text/event-stream of LiveHello, then LiveEvent", body = LiveEvent)))]
pub async fn stream_events(
    State(app): State<AppState>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let changes = app.engine.store.last_event();
    let last = *changes.borrow();
    let resumed = match headers.get("last-event-id") {
        None => None,
        Some(value) => {
            let given = value.to_str().ok().and_then(|text| text.parse::<u64>().ok());
            Some(given.ok_or_else(|| {
                Failure::bad_request("last_event_id", "Last-Event-ID must be a number")
            })?)
        }
    };
    let seq = resumed.filter(|seq| *seq <= last && last - seq <= REPLAY_MAX).unwrap_or(last);
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(events(app, seq, changes)).keep_alive(keep_alive).into_response())
}

struct Reader {
    app: AppState,
    seq: u64,
    changes: watch::Receiver<u64>,
    ready: VecDeque<LiveEvent>,
    greeted: bool,
}

fn events(
    app: AppState,
    seq: u64,
    changes: watch::Receiver<u64>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let reader = Reader { app, seq, changes, ready: VecDeque::new(), greeted: false };
    stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    })
}

impl Reader {
    /// The next event; `None` ends the stream, and the page comes back by itself.
    async fn next(&mut self) -> Option<Event> {
        if !self.greeted {
            self.greeted = true;
            return Event::default().event("hello").json_data(LiveHello { seq: self.seq }).ok();
        }
        loop {
            if let Some(change) = self.ready.pop_front() {
                self.seq = change.seq;
                return Event::default()
                    .event("message")
                    .id(change.seq.to_string())
                    .json_data(change)
                    .ok();
            }
            let last = *self.changes.borrow_and_update();
            if last > self.seq {
                match self.app.engine.store.changes_after(self.seq, CHANGES_MAX).await {
                    Ok(changes) if changes.is_empty() => self.seq = last,
                    Ok(changes) => self.ready = changes.into(),
                    Err(error) => {
                        tracing::warn!(%error, "a live stream ended early");
                        return None;
                    }
                }
                continue;
            }
            tokio::select! {
                changed = self.changes.changed() => changed.ok()?,
                () = self.app.stop.cancelled() => return None,
            }
        }
    }
}
