//! Those who use the proxy: they write letters, repeat what was not answered, change their minds, decide,
//! and resume. A letter and its key outlive the process, as they do in a browser.

use crate::upstream::{SENDER, Upstream};
use crate::world::{Dice, World};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use proxy::clock;
use serde_json::{Value, json};
use shared::id::Key;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tower::ServiceExt;

/// The bearer the proxy of a run expects.
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Something somebody wants sent.
#[derive(Clone)]
pub struct Letter {
    pub key: Key,
    /// Which platform it goes through.
    pub upstream: usize,
    /// Where it is posted.
    pub path: String,
    /// The request as it is posted every time.
    pub request: Value,
    /// Its words, which no other letter has.
    pub words: String,
    /// It holds nobody up before its time.
    pub is_scheduled: bool,
    /// The 202 it got.
    pub answer: Option<Value>,
    /// It was refused for good.
    pub is_refused: bool,
    /// Somebody withdrew it and was told that it is withdrawn.
    pub is_cancelled: bool,
    /// Somebody gave it up.
    pub is_given_up: bool,
    /// Somebody had it sent again.
    pub is_resent: bool,
    /// It is the payload of a letter that had ended, sent once more as a message of its own.
    pub is_once_more: bool,
    /// It was accepted, and that was forgotten when an older copy of the database was put in place.
    pub is_forgotten: bool,
    /// It may have been sent, and nothing in the database says so, because an older copy was put in place.
    pub is_sent_unknown: bool,
}

impl Letter {
    /// The message it became.
    pub fn message_id(&self) -> Option<String> {
        Some(self.answer.as_ref()?.pointer("/messages/0/id")?.as_str()?.to_owned())
    }

    /// Whoever wrote it is still to be answered. One whose acceptance was forgotten has its answer.
    fn is_to_be_posted(&self) -> bool {
        self.answer.is_none() && !self.is_refused && !self.is_forgotten
    }
}

/// What somebody does.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    Write,
    Repeat,
    ReuseKey,
    Cancel,
    Hurry,
    Decide,
    Resume,
    NewStream,
    OnceMore,
}

/// See the module's text.
pub struct People {
    world: Arc<World>,
    upstreams: Vec<Arc<Upstream>>,
    inner: Mutex<Inner>,
}

pub struct Inner {
    pub dice: Dice,
    pub letters: Vec<Letter>,
    busy: u32,
}

impl People {
    pub fn new(seed: u64, world: &Arc<World>, upstreams: &[Arc<Upstream>]) -> Arc<Self> {
        let inner = Inner { dice: Dice::new(seed, 2), letters: Vec::new(), busy: 0 };
        Arc::new(Self {
            world: Arc::clone(world),
            upstreams: upstreams.to_vec(),
            inner: Mutex::new(inner),
        })
    }

    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True while somebody waits for an answer.
    pub fn is_busy(&self) -> bool {
        self.inner().busy > 0
    }

    /// True when every letter has an answer.
    pub fn has_every_answer(&self) -> bool {
        let inner = self.inner();
        inner.letters.iter().all(|letter| !letter.is_to_be_posted())
    }

    /// A process has begun: whoever got no answer from the last one asks again.
    pub fn return_to(self: &Arc<Self>, router: &Router) {
        let unanswered: Vec<usize> = {
            let mut inner = self.inner();
            inner.busy = 0;
            let open = |index: &usize| inner.letters[*index].is_to_be_posted();
            (0..inner.letters.len()).filter(open).collect()
        };
        for index in unanswered {
            let (people, router) = (Arc::clone(self), router.clone());
            self.busily(async move { people.post(&router, index).await });
        }
    }

    /// An older copy of the database is in place, as `beside` sees it. What was done since is forgotten with it; whether
    /// what was sent since is known to be doubtful, `is_doubted` says.
    pub fn go_back(&self, beside: &rusqlite::Connection, is_doubted: bool) {
        let state_of = |letter: &Letter| -> Option<String> {
            let sql = "SELECT coalesce(m.state, '') FROM submissions s \
                 LEFT JOIN messages m ON m.submission_id = s.id WHERE s.key = ?1";
            beside.query_row(sql, [letter.key.as_str()], |row| row.get(0)).ok()
        };
        let mut inner = self.inner();
        let inner = &mut *inner;
        for letter in &mut inner.letters {
            let state = state_of(letter);
            let upstream = &self.upstreams[letter.upstream];
            let may_have = Upstream::may_have(&upstream.now(), letter.key.as_str());
            let waits = matches!(state.as_deref(), Some("accepted" | "retry_wait"));
            if may_have && (state.is_none() || (waits && !is_doubted)) {
                letter.is_sent_unknown = true;
            }
            if state.is_none() && letter.answer.take().is_some() {
                // Some write it once more under its key, some never look again.
                letter.is_forgotten = inner.dice.percent(50);
                let again = if letter.is_forgotten { "is left" } else { "is posted again" };
                self.world.trace(format_args!("{} is forgotten and {again}", letter.key));
            }
            letter.is_cancelled &= matches!(state.as_deref(), Some("cancelled" | ""));
        }
    }

    /// Somebody does something, beside everything else that goes on.
    pub fn act(self: &Arc<Self>, router: &Router, deed: Deed) {
        let (people, router) = (Arc::clone(self), router.clone());
        self.busily(async move {
            match deed {
                Deed::Write => {
                    let index = people.write();
                    people.post(&router, index).await;
                }
                Deed::Repeat => {
                    if let Some(index) = people.any_letter() {
                        people.post(&router, index).await;
                    }
                }
                Deed::ReuseKey => people.reuse_key(&router).await,
                Deed::Cancel => people.change(&router, "cancel").await,
                Deed::Hurry => people.change(&router, "retry").await,
                Deed::Decide => people.decide(&router).await,
                Deed::Resume => people.resume(&router, false).await,
                Deed::NewStream => people.resume(&router, true).await,
                Deed::OnceMore => {
                    if let Some(index) = people.once_more() {
                        people.post(&router, index).await;
                    }
                }
            }
        });
    }

    fn busily(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        self.inner().busy += 1;
        let people = Arc::clone(self);
        tokio::spawn(async move {
            work.await;
            people.inner().busy -= 1;
        });
    }

    fn any_letter(&self) -> Option<usize> {
        let mut inner = self.inner();
        let count = inner.letters.len();
        (count > 0).then(|| inner.dice.index(count))
    }

    fn write(&self) -> usize {
        let now = clock::now();
        let mut inner = self.inner();
        let inner = &mut *inner;
        let (dice, number) = (&mut inner.dice, inner.letters.len());
        let upstream = dice.index(self.upstreams.len());
        let places = &self.upstreams[upstream].places;
        let conversation = &places[dice.index(places.len())].id;
        let words = format!("Letter {number}.");
        let mut to = vec!["+447700900141"];
        if dice.percent(20) {
            to.push("+447700900142");
        }
        let mut request = json!({
            "connection": self.upstreams[upstream].name,
            "conversation_id": conversation,
            "payload": { "from": SENDER, "to": to, "type": "text/plain", "content": words },
        });
        let in_ms = |ms: u32| now.plus(Duration::from_millis(ms.into()));
        let mut earliest = 0;
        let is_scheduled = dice.percent(15);
        if is_scheduled {
            earliest = dice.within(1_000, 120_000);
            request["not_before"] = json!(in_ms(earliest));
        }
        if dice.percent(20) {
            request["expires_at"] = json!(in_ms(earliest + dice.within(500, 60_000)));
        }
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&(number as u64).to_be_bytes());
        inner.letters.push(Letter {
            key: Key::new(self.world.now(), bytes),
            upstream,
            path: "/api/v1/submissions".into(),
            request,
            words,
            is_scheduled,
            answer: None,
            is_refused: false,
            is_cancelled: false,
            is_given_up: false,
            is_resent: false,
            is_once_more: false,
            is_forgotten: false,
            is_sent_unknown: false,
        });
        number
    }

    /// Somebody wants a letter that has a message sent once more. Whether it has ended is for the proxy to say.
    fn once_more(&self) -> Option<usize> {
        let original = self.any_letter()?;
        let mut inner = self.inner();
        let number = inner.letters.len();
        let even_if_delivered = inner.dice.percent(50);
        let letter = inner.letters.get(original)?.clone();
        let id = letter.message_id()?;
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&(number as u64).to_be_bytes());
        inner.letters.push(Letter {
            key: Key::new(self.world.now(), bytes),
            path: format!("/api/v1/messages/{id}/resend"),
            request: json!({ "why": "The seed says so.", "even_if_delivered": even_if_delivered }),
            is_scheduled: false,
            answer: None,
            is_refused: false,
            is_cancelled: false,
            is_given_up: false,
            is_resent: false,
            is_once_more: true,
            is_forgotten: false,
            is_sent_unknown: false,
            ..letter
        });
        Some(number)
    }

    /// Posts a letter until it is answered one way or the other.
    async fn post(&self, router: &Router, index: usize) {
        for again in 0.. {
            let letter = self.inner().letters[index].clone();
            let (status, answer) =
                self.call(router, &letter.path, Some(&letter.key), Some(&letter.request)).await;
            self.note_answer(index, status, answer);
            if status != 503 {
                return;
            }
            // Whoever waits to ask again waits for nobody's answer.
            self.inner().busy -= 1;
            tokio::time::sleep(Duration::from_secs(7 << again.min(7))).await;
            self.inner().busy += 1;
        }
    }

    fn note_answer(&self, index: usize, status: u16, answer: Value) {
        let letter = &mut self.inner().letters[index];
        match (status, &letter.answer) {
            (202, None) if letter.is_refused && !letter.is_once_more => {
                self.world.broken(format_args!("{} was refused and is taken now", letter.key));
            }
            // One that was refused because the other had not ended may be taken later.
            (202, None) => {
                (letter.answer, letter.is_refused) = (Some(answer), false);
                letter.is_forgotten = false;
            }
            (202, Some(before)) if *before == answer => {}
            (422, None) => letter.is_refused = true,
            // It has not ended, it may have arrived, or it was removed since.
            (404 | 409, None) if letter.is_once_more => letter.is_refused = true,
            (503, _) => {}
            (status, _) => {
                let key = &letter.key;
                self.world.broken(format_args!("{key} is answered {status} {answer}"));
            }
        }
    }

    async fn reuse_key(&self, router: &Router) {
        let Some(index) = self.any_letter() else { return };
        let letter = self.inner().letters[index].clone();
        if letter.answer.is_none() || letter.is_once_more {
            return;
        }
        let mut other = letter.request.clone();
        other["payload"]["content"] = json!("Something else.");
        let path = "/api/v1/submissions";
        let (status, _) = self.call(router, path, Some(&letter.key), Some(&other)).await;
        if !matches!(status, 422 | 503) {
            self.world.broken(format_args!("{} is taken for two letters: {status}", letter.key));
        }
    }

    async fn change(&self, router: &Router, what: &str) {
        let Some(index) = self.any_letter() else { return };
        let letter = self.inner().letters[index].clone();
        let Some(id) = letter.message_id() else { return };
        let path = format!("/api/v1/messages/{id}/{what}");
        let (status, answer) = self.call(router, &path, None, Some(&json!({}))).await;
        match (status, what) {
            (200, "cancel") => {
                self.inner().letters[index].is_cancelled = true;
                let upstream = &self.upstreams[letter.upstream];
                let has = Upstream::may_have(&upstream.now(), letter.key.as_str());
                if has && !letter.is_sent_unknown {
                    self.world.broken(format_args!("{} is withdrawn and sent", letter.key));
                }
            }
            // 503 while the disk is full, 404 once it was removed.
            (200 | 404 | 409 | 503, _) => {}
            _ => self.world.broken(format_args!("{what} is answered {status} {answer}")),
        }
    }

    async fn decide(&self, router: &Router) {
        let (_, parked) = self.call(router, "/api/v1/messages?state=parked", None, None).await;
        let Some(id) = parked.pointer("/items/0/id").and_then(Value::as_str) else { return };
        let found = {
            let inner = self.inner();
            inner.letters.iter().position(|letter| letter.message_id().as_deref() == Some(id))
        };
        let Some(index) = found else { return };
        let (key, upstream) = {
            let letter = &self.inner().letters[index];
            (letter.key.clone(), Arc::clone(&self.upstreams[letter.upstream]))
        };
        let known = upstream.now().taken.iter().find(|one| one.key == key.as_str()).cloned();
        let roll = self.inner().dice.within(0, 99);
        let decision = match known {
            Some(one) if roll < 60 => json!({ "choice": "found", "platform_id": one.id }),
            _ if roll < 80 => json!({ "choice": "resend" }),
            _ => json!({ "choice": "give_up" }),
        };
        let body = json!({ "decision": decision, "why": "The seed says so." });
        let path = format!("/api/v1/messages/{id}/decide");
        // Noted before the answer, which may be lost.
        match decision["choice"].as_str() {
            Some("give_up") => self.inner().letters[index].is_given_up = true,
            Some("resend") => self.inner().letters[index].is_resent = true,
            _ => {}
        }
        let (status, answer) = self.call(router, &path, None, Some(&body)).await;
        if !matches!(status, 200 | 409 | 503) {
            self.world.broken(format_args!("a decision is answered {status} {answer}"));
        }
    }

    async fn resume(&self, router: &Router, new_stream: bool) {
        for upstream in &self.upstreams {
            let body = json!({ "connection": upstream.name, "new_stream": new_stream });
            self.call(router, "/api/v1/audit/resume", None, Some(&body)).await;
        }
    }

    /// One call of the API, by its own router.
    async fn call(
        &self,
        router: &Router,
        path: &str,
        key: Option<&Key>,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let request = Request::builder()
            .method(if body.is_some() { "POST" } else { "GET" })
            .uri(path)
            .header("host", "127.0.0.1:8787")
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", "application/json");
        let request = match key {
            Some(key) => request.header("idempotency-key", key.as_str()),
            None => request,
        };
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let response = router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        if self.world.is_dead() {
            std::future::pending::<()>().await;
        }
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        self.world.trace(format_args!("{path} {}: {status}", key.map_or("", Key::as_str)));
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }
}
