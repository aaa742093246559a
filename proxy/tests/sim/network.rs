//! The way to the model platform, as one process has it: an implementation of the proxy's own trait, with
//! everything a network does in between. Each POST is checked at the moment its first byte goes out.

use crate::upstream::{Inner, Place, Upstream};
use crate::weather::Trouble;
use async_trait::async_trait;
use bytes::Bytes;
use proxy::platform::breaker::{CallEnd, Pass};
use proxy::platform::gate::Entrance;
use proxy::platform::{
    Budget, Closed, Listed, Permit, Platform, ReadError, Said, SendOutcome, Snapshot,
};
use rusqlite::{Connection, OpenFlags};
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

/// See the module's text.
pub struct Network {
    upstream: Arc<Upstream>,
    budget: Budget,
    /// What is committed, seen from beside the store.
    beside: Mutex<Connection>,
}

impl Network {
    pub fn new(upstream: &Arc<Upstream>, budget: &Budget, database: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let beside = Connection::open_with_flags(database, flags).unwrap();
        Self { upstream: Arc::clone(upstream), budget: budget.clone(), beside: Mutex::new(beside) }
    }

    /// Sleeps, for ever if the process dies meanwhile.
    async fn pass(&self, ms: i64) {
        sleep(Duration::from_millis(u64::try_from(ms).unwrap_or(0))).await;
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

/// One call as the proxy's own breaker sees it.
struct Call {
    pass: Option<Pass>,
    _entrance: Option<Entrance>,
}

impl Call {
    fn begin(permit: Permit) -> Result<Self, Closed> {
        let mut entrance = permit.into_entrance();
        let pass = entrance.as_mut().map(Entrance::pass).transpose()?;
        Ok(Self { pass, _entrance: entrance })
    }

    fn ended(self, trouble: Trouble) {
        let end = match trouble {
            Trouble::Refused => CallEnd::NotConnected,
            Trouble::LostRequest
            | Trouble::LostReply
            | Trouble::LateRequest
            | Trouble::ErrorBefore
            | Trouble::ErrorAfter => CallEnd::Failed,
            _ => CallEnd::Answered,
        };
        if let Some(pass) = self.pass {
            pass.ended(end);
        }
    }
}

#[async_trait]
impl Platform for Network {
    async fn read_conversation(
        &self,
        permit: Permit,
        id: &ConversationId,
    ) -> Result<Snapshot, ReadError> {
        self.pass(0).await;
        let call = match Call::begin(permit) {
            Ok(call) => call,
            Err(closed) => return Err(ReadError::Closed(closed.reason)),
        };
        let world = &self.upstream.world;
        let (trouble, takes) = {
            let mut inner = self.upstream.now();
            inner.reads += 1;
            let trouble = self.upstream.weather.strike_read(world.now_ms(), &mut inner.dice);
            let slow = inner.dice.percent(10);
            (trouble, inner.dice.ms(5, if slow { READ_TIMEOUT_MS as u32 } else { 200 }))
        };
        let unavailable = |text: &str| Err(ReadError::Unavailable(text.to_owned()));
        world.trace(format_args!("read {id}: {trouble:?}"));
        match trouble {
            Trouble::Refused => {
                call.ended(trouble);
                return unavailable("no connection could be made");
            }
            Trouble::LostRequest | Trouble::LostReply | Trouble::LateRequest => {
                self.pass(READ_TIMEOUT_MS).await;
                call.ended(trouble);
                return unavailable("no answer in time");
            }
            Trouble::ErrorBefore | Trouble::ErrorAfter => {
                self.pass(takes).await;
                call.ended(trouble);
                return unavailable("the platform answered 502");
            }
            Trouble::Limited => {
                self.pass(takes).await;
                call.ended(trouble);
                let wait = self.limited(&mut self.upstream.now());
                return Err(ReadError::Wait(wait));
            }
            Trouble::NoRights => {
                self.pass(takes).await;
                call.ended(trouble);
                return Err(ReadError::Forbidden("The platform does not permit this.".into()));
            }
            _ => {}
        }
        self.pass(takes).await;
        call.ended(trouble);
        let place = self.upstream.places.iter().find(|place| place.id == *id && place.exists);
        let Some(place) = place else { return Err(ReadError::NotFound) };
        Ok(self.snapshot(place))
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
        let call = match Call::begin(permit) {
            Ok(call) => call,
            Err(closed) => return SendOutcome::Held(closed.reason),
        };
        let world = &self.upstream.world;
        let (trouble, takes, _open) = {
            let mut inner = self.upstream.now();
            inner.posts += 1;
            self.check_first_byte(&mut inner, id, key, &body);
            let open = Open::new(&self.upstream, &mut inner, id);
            let trouble = self.upstream.strike_send(&mut inner, key.as_str());
            let slow = inner.dice.percent(10);
            let takes = inner.dice.ms(5, if slow { 9_500 } else { 400 });
            let lands_at = world.now_ms()
                + match trouble {
                    Trouble::LateRequest => SEND_TIMEOUT_MS + inner.dice.ms(0, 40_000),
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
            (trouble, takes, open)
        };
        world.trace(format_args!("send {key}: {trouble:?}"));
        let takes = match trouble {
            Trouble::LostRequest | Trouble::LostReply | Trouble::LateRequest => SEND_TIMEOUT_MS,
            Trouble::Refused => 1,
            _ => takes,
        };
        self.pass(takes).await;
        call.ended(trouble);
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
            Trouble::Rejected => refused("http_422", "The platform answered 422."),
            Trouble::NoRights => refused("http_403", "The platform does not permit this."),
            Trouble::None | Trouble::WrongId => {
                let now = self.upstream.world.now_ms();
                let Some(one) = inner.taken.iter().rfind(|one| one.key == key.as_str()).cloned()
                else {
                    return match self.upstream.takes(id, now) {
                        true => unclear("The answer broke off."),
                        false => refused("http_404", "The platform takes nothing there."),
                    };
                };
                drop(inner);
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
