//! The way to the model platform, as one process has it: an implementation of the proxy's own trait, with
//! everything a network does in between. Each POST is checked at the moment its first byte goes out.

use crate::upstream::{Inner, Place, Upstream};
use crate::weather::{TokenTrouble, Trouble};
use async_trait::async_trait;
use bytes::Bytes;
use proxy::platform::breaker::{CallEnd, Pass};
use proxy::platform::http::{Authority, CallError, Calling};
use proxy::platform::token::{self, Login, Unanswered};
use proxy::platform::{
    Budget, Closed, Listed, Permit, Platform, ReadError, Said, SendOutcome, Snapshot,
};
use rusqlite::{Connection, OpenFlags};
use secrecy::ExposeSecret;
use shared::delivery::Reason;
use shared::id::{ConversationId, Key, PlatformId};
use shared::payload::Payload;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// How long the proxy's HTTP client waits for the answer to a POST.
const SEND_TIMEOUT_MS: i64 = 10_000;
const READ_TIMEOUT_MS: i64 = 5_000;
const TOKEN_TIMEOUT_MS: i64 = 10_000;

/// See the module's text.
pub struct Network {
    upstream: Arc<Upstream>,
    budget: Budget,
    authority: Authority,
    /// What is committed, seen from beside the store.
    beside: Mutex<Connection>,
}

impl Network {
    pub fn new(
        upstream: &Arc<Upstream>,
        budget: &Budget,
        authority: Authority,
        database: &Path,
    ) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let beside = Connection::open_with_flags(database, flags).unwrap();
        let beside = Mutex::new(beside);
        Self { upstream: Arc::clone(upstream), budget: budget.clone(), authority, beside }
    }

    /// Sleeps, for ever if the process dies meanwhile.
    async fn pass(&self, ms: i64) {
        sleep(self::ms(ms)).await;
        if self.upstream.world.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    /// What must be true when the first byte of a POST goes out.
    fn check_first_byte(&self, inner: &mut Inner, id: &ConversationId, key: &Key, body: &[u8]) {
        let world = &self.upstream.world;
        let state: Result<String, _> =
            self.beside.lock().unwrap_or_else(PoisonError::into_inner).query_row(
                "SELECT m.state FROM messages m WHERE m.key = ?1",
                [key.as_str()],
                |row| row.get(0),
            );
        if state.as_deref() != Ok("sending") {
            world.broken(format_args!("{key} goes out while its stored state is {state:?}"));
        }
        let is_alone = inner.open.get(id).is_none_or(|open| *open == 0);
        if !is_alone {
            world.broken(format_args!("two messages of {id} are in flight at a time"));
        }
        let first = inner.bodies.entry(key.as_str().to_owned()).or_insert_with(|| body.to_owned());
        if first != body {
            world.broken(format_args!("{key} goes out with other bytes than before"));
        }
    }

    /// An id the proxy already knows to be another message's.
    fn wrong_id(&self, key: &Key) -> Option<PlatformId> {
        let beside = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        let sql = "SELECT m.platform_id FROM messages m \
             WHERE m.platform_id IS NOT NULL AND m.connection = ?1 AND m.key <> ?2 LIMIT 1";
        let id: Option<String> = beside
            .query_row(sql, (self.upstream.name.as_str(), key.as_str()), |row| row.get(0))
            .ok();
        PlatformId::parse(&id?).ok()
    }

    fn limited(&self, inner: &mut Inner) -> Duration {
        let wait = Duration::from_secs(u64::from(inner.dice.within(1, 30)));
        self.budget.refused(Some(wait));
        wait
    }
}

fn ms(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// Counts a POST as open until it is dropped, with its process if need be.
struct Open(Arc<Upstream>, ConversationId);

impl Open {
    fn new(upstream: &Arc<Upstream>, inner: &mut Inner, id: &ConversationId) -> Self {
        *inner.open.entry(id.clone()).or_default() += 1;
        Self(Arc::clone(upstream), id.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(open) = self.0.now().open.get_mut(&self.1) {
            *open -= 1;
        }
    }
}

/// The way to the login host of the model platform.
pub struct Desk(pub Arc<Upstream>);

#[async_trait]
impl Login for Desk {
    async fn ask(&self) -> Result<token::Answer, Unanswered> {
        let Self(upstream) = self;
        let world = &upstream.world;
        let (trouble, takes, answer) = {
            let mut inner = upstream.now();
            let now = world.now_ms();
            let trouble = upstream.weather.strike_token(now, &mut inner.token_dice);
            let takes = inner.token_dice.ms(5, 3_000);
            let answer = match trouble {
                TokenTrouble::Refused => None,
                TokenTrouble::Status(status @ (400 | 401)) => {
                    Some((status, r#"{"error":"invalid_client"}"#.to_owned()))
                }
                TokenTrouble::Status(status) => Some((status, String::new())),
                TokenTrouble::Nonsense => Some((200, r#"{"access_token":""}"#.to_owned())),
                TokenTrouble::None | TokenTrouble::LostReply => {
                    let (token, seconds) = Upstream::give_token(&mut inner, now);
                    let words = format!(
                        r#"{{"access_token":"{token}","token_type":"bearer","expires_in":{seconds}}}"#
                    );
                    (trouble == TokenTrouble::None).then_some((200, words))
                }
            };
            inner.token_refusals += u64::from(trouble != TokenTrouble::None);
            (trouble, takes, answer)
        };
        world.trace(format_args!("token of {}: {trouble:?}", upstream.name));
        let (takes, end) = match trouble {
            TokenTrouble::Refused => (1, CallEnd::NotConnected),
            TokenTrouble::LostReply => (TOKEN_TIMEOUT_MS, CallEnd::Failed),
            _ => (takes, CallEnd::Answered),
        };
        sleep(ms(takes)).await;
        if world.is_dead() {
            std::future::pending::<()>().await;
        }
        let Some((status, body)) = answer else {
            return Err(Unanswered { end, why: "no answer in time".into() });
        };
        let wait = (status == 429).then(|| Duration::from_secs(9));
        Ok(token::Answer { status, wait, body: body.into() })
    }
}

/// What a call that did not get to the platform says of itself.
enum Missed {
    /// Nothing was sent: everything waits.
    Held(Reason),
    /// It was sent, and refused with the token it went with.
    Unauthorised,
}

/// How a call ended, as the proxy's own breaker sees it.
fn end_of(trouble: Trouble) -> CallEnd {
    match trouble {
        Trouble::Refused => CallEnd::NotConnected,
        Trouble::LostRequest
        | Trouble::LostReply
        | Trouble::LateRequest
        | Trouble::ErrorBefore
        | Trouble::ErrorAfter => CallEnd::Failed,
        _ => CallEnd::Answered,
    }
}

impl Network {
    /// Gets a call to where the platform lets it in: with a token, and with another one where that is refused. How
    /// many milliseconds are left for the answer.
    async fn enter(
        &self,
        calling: Result<Calling<'_>, CallError>,
        is_send: bool,
        mut arrives: impl FnMut() + Send,
    ) -> Result<(Pass, i64), Missed> {
        let held = |error: CallError| match error {
            CallError::Token(error) => Missed::Held(Reason::new("no_token", error.to_string())),
            CallError::Closed(closed) => Missed::Held(closed.reason),
            CallError::NotSent(text) | CallError::Ambiguous(text) => {
                Missed::Held(Reason::new("no_token", text))
            }
        };
        let mut calling = calling.map_err(held)?;
        loop {
            let turn = calling.turn().await.map_err(held)?;
            if self.upstream.world.is_dead() {
                std::future::pending::<()>().await;
            }
            arrives();
            let is_in = {
                let mut inner = self.upstream.now();
                self.upstream.lets_in(&mut inner, turn.token.value.expose_secret())
            };
            if is_in {
                let left = i64::try_from(turn.left.as_millis()).unwrap_or(0);
                return Ok((turn.pass, left));
            }
            self.upstream.world.trace("the token is refused");
            self.pass(20).await;
            turn.pass.ended(CallEnd::Answered);
            if !calling.is_to_be_replayed(401) {
                return Err(match self.authority.judge(401, is_send) {
                    Some(refusal) => Missed::Held(refusal.reason()),
                    None => Missed::Unauthorised,
                });
            }
            calling.renew(turn.token.generation).await.map_err(held)?;
        }
    }
}

#[async_trait]
impl Platform for Network {
    async fn ready(&self) -> Result<(), Closed> {
        self.authority.ready().await
    }

    async fn read_conversation(
        &self,
        permit: Permit,
        id: &ConversationId,
    ) -> Result<Snapshot, ReadError> {
        self.pass(0).await;
        let calling = self.authority.begin(permit, ms(READ_TIMEOUT_MS));
        let entered = self.enter(calling, false, || {}).await;
        let (pass, left) = entered.map_err(|missed| match missed {
            Missed::Held(reason) => ReadError::Closed(reason),
            Missed::Unauthorised => ReadError::Forbidden("The token is refused.".into()),
        })?;
        let world = &self.upstream.world;
        let (trouble, takes) = {
            let mut inner = self.upstream.now();
            inner.reads += 1;
            let trouble = self.upstream.weather.strike_read(world.now_ms(), &mut inner.dice);
            let slow = inner.dice.percent(10);
            let takes = inner.dice.ms(5, if slow { READ_TIMEOUT_MS as u32 } else { 200 });
            (if takes > left { Trouble::LostReply } else { trouble }, takes)
        };
        world.trace(format_args!("read {id}: {trouble:?}"));
        let takes = match trouble {
            Trouble::Refused => 0,
            Trouble::LostRequest | Trouble::LostReply | Trouble::LateRequest => left,
            _ => takes,
        };
        self.pass(takes).await;
        pass.ended(end_of(trouble));
        let unavailable = |text: &str| Err(ReadError::Unavailable(text.to_owned()));
        match trouble {
            Trouble::Refused => unavailable("no connection could be made"),
            Trouble::LostRequest | Trouble::LostReply | Trouble::LateRequest => {
                unavailable("no answer in time")
            }
            Trouble::ErrorBefore | Trouble::ErrorAfter => unavailable("the platform answered 502"),
            Trouble::Limited => {
                let wait = self.limited(&mut self.upstream.now());
                Err(ReadError::Wait(wait))
            }
            Trouble::NoRights => {
                self.authority.judge(403, false);
                Err(ReadError::Forbidden("The platform does not permit this.".into()))
            }
            _ => {
                let mut places = self.upstream.places.iter();
                let place = places.find(|place| place.id == *id && place.exists);
                self.authority.judge(if place.is_some() { 200 } else { 404 }, false);
                place.map(|place| self.snapshot(place)).ok_or(ReadError::NotFound)
            }
        }
    }

    async fn send(
        &self,
        permit: Permit,
        id: &ConversationId,
        key: &Key,
        body: Bytes,
    ) -> SendOutcome {
        if self.upstream.world.is_dead() {
            std::future::pending::<()>().await;
        }
        let world = &self.upstream.world;
        let mut open = None;
        let calling = self.authority.begin(permit, ms(SEND_TIMEOUT_MS));
        let first_byte = || {
            let mut inner = self.upstream.now();
            inner.posts += 1;
            // A replay is the same call, and its first request has ended.
            if open.is_none() {
                self.check_first_byte(&mut inner, id, key, &body);
                open = Some(Open::new(&self.upstream, &mut inner, id));
            }
        };
        let (pass, left) = match self.enter(calling, true, first_byte).await {
            Ok(entered) => entered,
            Err(Missed::Held(reason)) => return SendOutcome::Held(reason),
            Err(Missed::Unauthorised) => {
                let reason = Reason::new("http_401", "The platform refuses the token.");
                return SendOutcome::Refused(reason);
            }
        };
        let (trouble, takes) = {
            let mut inner = self.upstream.now();
            let trouble = self.upstream.strike_send(&mut inner, key.as_str());
            let slow = inner.dice.percent(10);
            let takes = inner.dice.ms(5, if slow { 9_500 } else { 400 });
            let lands_at = world.now_ms()
                + match trouble {
                    Trouble::LateRequest => left + inner.dice.ms(0, 40_000),
                    _ => takes * 2 / 3,
                };
            let arrives = !matches!(
                trouble,
                Trouble::Refused
                    | Trouble::Limited
                    | Trouble::LostRequest
                    | Trouble::ErrorBefore
                    | Trouble::Rejected
                    | Trouble::NoRights
            );
            if arrives {
                self.upstream.dispatch(&mut inner, lands_at, key.as_str(), id, &body);
            }
            // It may arrive all the same, but what it is answered comes too late.
            (if arrives && takes > left { Trouble::LostReply } else { trouble }, takes)
        };
        world.trace(format_args!("send {key}: {trouble:?}"));
        let takes = match trouble {
            Trouble::LostRequest | Trouble::LostReply | Trouble::LateRequest => left,
            Trouble::Refused => 1,
            _ => takes,
        };
        self.pass(takes).await;
        pass.ended(end_of(trouble));
        let outcome = self.outcome(trouble, id, key);
        world.trace(format_args!("sent {key}: {outcome:?}"));
        outcome
    }
}

impl Network {
    fn outcome(&self, trouble: Trouble, id: &ConversationId, key: &Key) -> SendOutcome {
        let mut inner = self.upstream.now();
        let unclear = |text: &str| SendOutcome::Ambiguous(Reason::new("no_answer", text));
        let refused = |code: &str, text: &str| SendOutcome::Refused(Reason::new(code, text));
        match trouble {
            Trouble::Refused => SendOutcome::NotSent {
                reason: Reason::new("not_connected", "No connection could be made."),
                wait: None,
            },
            Trouble::Limited => {
                let wait = self.limited(&mut inner);
                let reason = Reason::new("rate_limited", "Too many requests.");
                SendOutcome::NotSent { reason, wait: Some(wait) }
            }
            Trouble::LostRequest | Trouble::LostReply | Trouble::LateRequest => {
                unclear("No answer in time.")
            }
            Trouble::ErrorBefore | Trouble::ErrorAfter => unclear("The platform answered 500."),
            Trouble::NoId => unclear("The platform said yes but named no message."),
            Trouble::Rejected => {
                self.authority.judge(422, true);
                refused("http_422", "The platform answered 422.")
            }
            Trouble::NoRights => match self.authority.judge(403, true) {
                Some(refusal) => SendOutcome::Held(refusal.reason()),
                None => refused("http_403", "The platform does not permit this."),
            },
            Trouble::None | Trouble::WrongId => {
                let now = self.upstream.world.now_ms();
                let Some(one) = inner.taken.iter().rfind(|one| one.key == key.as_str()).cloned()
                else {
                    return match self.upstream.takes(id, now) {
                        true => unclear("The answer broke off."),
                        false => match self.authority.judge(404, true) {
                            Some(refusal) => SendOutcome::Held(refusal.reason()),
                            None => refused("http_404", "The platform takes nothing there."),
                        },
                    };
                };
                drop(inner);
                self.authority.judge(202, true);
                let wrong = (trouble == Trouble::WrongId).then(|| self.wrong_id(key)).flatten();
                SendOutcome::Accepted {
                    platform_id: wrong.unwrap_or_else(|| one.id.clone()),
                    receipt: self.upstream.receipt(&one, now),
                    was_there: now - one.at > SEND_TIMEOUT_MS,
                }
            }
        }
    }

    fn snapshot(&self, place: &Place) -> Snapshot {
        let mut inner = self.upstream.now();
        let now = self.upstream.world.now_ms();
        let here: Vec<_> = inner
            .taken
            .iter()
            .filter(|one| one.conversation == place.id && one.visible_at <= now)
            .cloned()
            .collect();
        let receipts = here
            .iter()
            .map(|one| {
                let calm = now >= self.upstream.weather.calm_from;
                let stale = !calm && inner.dice.percent(self.upstream.weather.stale);
                let seen = if stale { now - inner.dice.ms(0, 60_000) } else { now };
                (one.id.clone(), self.upstream.receipt(one, seen.max(one.at)))
            })
            .collect();
        let listed = here
            .iter()
            .map(|one| Listed {
                platform_id: one.id.clone(),
                created_at: Some(self.upstream.stamp(one.at)),
                said: Payload::decode(&one.body).ok().map(|payload| Said {
                    text: payload.text().unwrap_or_default().to_owned(),
                    from: payload.from,
                }),
            })
            .collect();
        let conversation = self.upstream.conversation(place, proxy::clock::now());
        let platform_now = Some(self.upstream.stamp(now));
        Snapshot { conversation, receipts, listed, platform_now }
    }
}
