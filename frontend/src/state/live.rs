//! The live stream: one connection at a time, resumed after the last event seen, closed while the tab is
//! hidden (browsers allow six connections per host), reopened with growing pauses when it breaks.
//!
//! It promises that what was missed is replayed, by giving the last event's number back; it does not promise
//! each event once. Applying one twice must be harmless, which [`crate::state::messages`] sees to.

use crate::api::Client;
use crate::browser;
use crate::state::sse::{Frame, Reader};
use leptos::prelude::*;
use leptos::task::spawn_local;
use shared::api::{LiveEvent, LiveHello};
use shared::time::Timestamp;
use std::time::Duration;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, ReadableStreamDefaultReader};

/// How the stream is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LiveState {
    /// Open and heard from.
    Live,
    /// Broken, being reopened.
    Reconnecting,
    /// Several tries failed, or the browser has no network.
    Offline,
}

impl LiveState {
    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            LiveState::Live => "live",
            LiveState::Reconnecting => "reconnecting",
            LiveState::Offline => "offline",
        }
    }
}

/// Tries after which the page calls itself offline.
const FAILURES_MAX: u32 = 3;
/// Silence after which a connection is given up: the proxy says something every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(40);

/// The stream's handle.
#[derive(Clone, Copy)]
pub struct Live {
    /// How it is.
    pub state: RwSignal<LiveState>,
    /// When anything was last heard.
    pub contact_at: RwSignal<Option<Timestamp>>,
    /// Counts the connections made; lists look again when it rises.
    pub epoch: RwSignal<u32>,
    client: Client,
    on_event: Callback<LiveEvent>,
    inner: StoredValue<Inner, LocalStorage>,
}

#[derive(Default)]
struct Inner {
    /// Names the connection in use, so that one that was given up says nothing more.
    generation: u32,
    abort: Option<AbortController>,
    failures: u32,
    last_seq: Option<u64>,
}

impl Live {
    /// Opens the stream and keeps it open; every event goes to `on_event`.
    pub fn start(client: Client, on_event: Callback<LiveEvent>) -> Self {
        let live = Self {
            state: RwSignal::new(LiveState::Reconnecting),
            contact_at: RwSignal::new(None),
            epoch: RwSignal::new(0),
            client,
            on_event,
            inner: StoredValue::new_local(Inner::default()),
        };
        live.open();
        let visibility = window_event_listener_untyped("visibilitychange", move |_| live.look());
        let online = window_event_listener_untyped("online", move |_| live.look());
        let offline = window_event_listener_untyped("offline", move |_| {
            live.close();
            live.state.set(LiveState::Offline);
        });
        let watch = set_interval_with_handle(move || live.watch(), Duration::from_secs(5)).ok();
        on_cleanup(move || {
            visibility.remove();
            online.remove();
            offline.remove();
            if let Some(watch) = watch {
                watch.clear();
            }
            live.close();
        });
        live
    }

    /// Opens or closes as the tab's visibility asks.
    fn look(self) {
        if !browser::is_visible() {
            self.close();
        } else if self.inner.with_value(|inner| inner.abort.is_none()) {
            self.inner.update_value(|inner| inner.failures = 0);
            self.open();
        }
    }

    /// Gives up a connection that fell silent.
    fn watch(self) {
        let heard = self.contact_at.get_untracked();
        let is_open = self.inner.with_value(|inner| inner.abort.is_some());
        let silence = heard.map_or(0, |at| browser::now().ms_since(at));
        if is_open && u128::try_from(silence).is_ok_and(|ms| ms > SILENCE_MAX.as_millis()) {
            self.close();
            self.state.set(LiveState::Reconnecting);
            self.open();
        }
    }

    fn close(self) {
        self.inner.update_value(|inner| {
            inner.generation += 1;
            if let Some(abort) = inner.abort.take() {
                abort.abort();
            }
        });
    }

    fn open(self) {
        self.close();
        let Ok(abort) = AbortController::new() else { return };
        let signal = abort.signal();
        let mut generation = 0;
        let mut last_seq = None;
        self.inner.update_value(|inner| {
            inner.abort = Some(abort);
            generation = inner.generation;
            last_seq = inner.last_seq;
        });
        spawn_local(async move {
            if let Ok(response) = self.client.events(last_seq, &signal).await {
                self.read(response, generation).await;
            }
            self.ended(generation);
        });
    }

    async fn read(self, response: gloo_net::http::Response, generation: u32) {
        let reader = response.body().map(|body| body.get_reader());
        let Some(Ok(reader)) = reader.map(|one| one.dyn_into::<ReadableStreamDefaultReader>())
        else {
            return;
        };
        let mut frames = Reader::default();
        while let Ok(chunk) = JsFuture::from(reader.read()).await {
            let value = js_sys::Reflect::get(&chunk, &"value".into()).unwrap_or_default();
            let Ok(bytes) = value.dyn_into::<js_sys::Uint8Array>() else { return };
            if !self.is_current(generation) {
                return;
            }
            self.contact_at.set(Some(browser::now()));
            for frame in frames.feed(&bytes.to_vec()) {
                self.take(&frame);
            }
        }
    }

    fn take(self, frame: &Frame) {
        match frame.event.as_str() {
            "hello" => {
                let hello: Option<LiveHello> = serde_json::from_str(&frame.data).ok();
                self.inner.update_value(|inner| {
                    inner.failures = 0;
                    inner.last_seq = inner.last_seq.or(hello.map(|hello| hello.seq));
                });
                self.state.set(LiveState::Live);
                self.epoch.update(|epoch| *epoch += 1);
            }
            "message" => {
                if let Ok(event) = serde_json::from_str::<LiveEvent>(&frame.data) {
                    // Replays overlap, so numbers may go back; the highest is what was seen.
                    self.inner
                        .update_value(|inner| inner.last_seq = inner.last_seq.max(Some(event.seq)));
                    self.on_event.run(event);
                }
            }
            _ => {}
        }
    }

    fn is_current(self, generation: u32) -> bool {
        self.inner.try_with_value(|inner| inner.generation == generation).unwrap_or(false)
    }

    fn ended(self, generation: u32) {
        if !self.is_current(generation) {
            return;
        }
        let mut failures = 0;
        self.inner.update_value(|inner| {
            inner.abort = None;
            inner.failures += 1;
            failures = inner.failures;
        });
        self.state.set(if failures > FAILURES_MAX {
            LiveState::Offline
        } else {
            LiveState::Reconnecting
        });
        let pause = Duration::from_millis(500 << failures.min(5).saturating_sub(1));
        set_timeout(
            move || {
                if self.is_current(generation) && browser::is_visible() {
                    self.open();
                }
            },
            pause,
        );
    }
}
