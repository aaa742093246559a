//! The model platform: what it took, what is still on its way to it, and what became of each message. It
//! knows the truth and forgets nothing of it; what it says may be late, wrong or missing.

use crate::weather::{Trouble, Weather};
use crate::world::{Dice, World};
use proxy::config::ConnectionConfig;
use shared::channel::Channel;
use shared::conversation::{Conversation, Participant};
use shared::delivery::{Dedup, PlatformStatus, Reason, Receipt};
use shared::id::{ConnectionName, ConversationId, PlatformId};
use shared::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The one agent of every conversation.
pub const SENDER: &str = "+447700900100";

/// A conversation of the platform.
#[derive(Clone)]
pub struct Place {
    pub id: ConversationId,
    /// From this true time on it takes nothing new.
    pub ends_at: Option<i64>,
    /// False where the platform knows no such conversation.
    pub exists: bool,
}

/// A message the platform took.
#[derive(Clone)]
pub struct Taken {
    pub id: PlatformId,
    pub key: String,
    pub conversation: ConversationId,
    pub body: Vec<u8>,
    /// True times.
    pub at: i64,
    /// From when on reads show it.
    pub visible_at: i64,
    pub sent_at: i64,
    pub fate: Fate,
    pub read_at: Option<i64>,
}

/// What becomes of a message the platform took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Delivered(i64),
    Failed(i64),
    Never,
}

/// A request that is on its way.
struct Transit {
    lands_at: i64,
    key: String,
    conversation: ConversationId,
    body: Vec<u8>,
}

/// See the module's text.
pub struct Upstream {
    pub name: ConnectionName,
    pub world: Arc<World>,
    pub weather: Arc<Weather>,
    pub places: Vec<Place>,
    /// It takes a second message under a key it knows.
    pub forgets_keys: bool,
    /// How far the platform's own clock is from the true time.
    clock_ms: i64,
    inner: Mutex<Inner>,
}

pub struct Inner {
    pub dice: Dice,
    pub taken: Vec<Taken>,
    transit: Vec<Transit>,
    /// POSTs a caller waits for, by conversation.
    pub open: BTreeMap<ConversationId, u32>,
    /// What was posted first under a key.
    pub bodies: BTreeMap<String, Vec<u8>>,
    pub posts: u64,
    pub reads: u64,
    /// What befalls tokens, and how long they last.
    pub token_dice: Dice,
    /// The tokens that are good, each until a true time.
    tokens: BTreeMap<String, i64>,
    tokens_given: u64,
    /// Requests for a token that got none, and calls that were not let in with theirs.
    pub token_refusals: u64,
}

impl Upstream {
    pub fn new(
        seed: u64,
        settings: &ConnectionConfig,
        world: &Arc<World>,
        weather: &Arc<Weather>,
    ) -> Self {
        let name = settings.name.clone();
        let number = u64::from(name.as_str().ends_with('2')) + 1;
        let mut dice = Dice::new(seed, 100 + number);
        let count = dice.within(2, 5);
        let places = (0..count)
            .map(|index| {
                let text = format!("0000000{number}-0000-4000-8000-00000000000{index}");
                Place {
                    id: ConversationId::parse(&text).unwrap(),
                    ends_at: dice.percent(12).then(|| world.now_ms() + dice.ms(0, 120_000)),
                    exists: index == 0 || !dice.percent(5),
                }
            })
            .collect();
        let clock_ms = if dice.percent(50) { 0 } else { dice.ms(0, 1_200_000) - 600_000 };
        Self {
            name,
            forgets_keys: settings.policy.dedup == Dedup::None,
            world: Arc::clone(world),
            weather: Arc::clone(weather),
            places,
            clock_ms,
            inner: Mutex::new(Inner {
                dice,
                taken: Vec::new(),
                transit: Vec::new(),
                open: BTreeMap::new(),
                bodies: BTreeMap::new(),
                posts: 0,
                reads: 0,
                token_dice: Dice::new(seed, 300 + number),
                tokens: BTreeMap::new(),
                tokens_given: 0,
                token_refusals: 0,
            }),
        }
    }

    /// A new token, and how many seconds it says it lasts. Those before it stay good.
    pub fn give_token(inner: &mut Inner, now: i64) -> (String, u32) {
        let seconds = inner.token_dice.one_of(&[60, 90, 600, 3_600, 86_400]);
        inner.tokens_given += 1;
        let token = format!("token-{}", inner.tokens_given);
        inner.tokens.insert(token.clone(), now + i64::from(seconds) * 1_000);
        (token, seconds)
    }

    /// Whether a call with this token is let in. Sometimes all of them are revoked at this very moment.
    pub fn lets_in(&self, inner: &mut Inner, token: &str) -> bool {
        let now = self.world.now_ms();
        if self.weather.revokes(now, &mut inner.token_dice) {
            inner.tokens.clear();
        }
        let is_good = inner.tokens.get(token).is_some_and(|until| now < *until);
        inner.token_refusals += u64::from(!is_good);
        is_good
    }

    /// The platform as it is now: what was to arrive until now has arrived.
    pub fn now(&self) -> MutexGuard<'_, Inner> {
        let now = self.world.now_ms();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut landed: Vec<Transit> =
            inner.transit.extract_if(.., |one| one.lands_at <= now).collect();
        landed.sort_by_key(|one| one.lands_at);
        for one in landed {
            self.take(&mut inner, one);
        }
        inner
    }

    /// Puts a request on its way.
    pub fn dispatch(
        &self,
        inner: &mut Inner,
        lands_at: i64,
        key: &str,
        conversation: &ConversationId,
        body: &[u8],
    ) {
        let (key, conversation, body) = (key.to_owned(), conversation.clone(), body.to_owned());
        inner.transit.push(Transit { lands_at, key, conversation, body });
    }

    /// True while a request with this key has arrived or may still arrive.
    pub fn may_have(inner: &Inner, key: &str) -> bool {
        inner.taken.iter().any(|one| one.key == key)
            || inner.transit.iter().any(|one| one.key == key)
    }

    fn take(&self, inner: &mut Inner, request: Transit) {
        let Transit { lands_at: at, key, conversation, body } = request;
        if !self.forgets_keys && inner.taken.iter().any(|one| one.key == key) {
            self.world.trace(format_args!("{} knows {key}", self.name));
            return;
        }
        if !self.takes(&conversation, at) {
            return;
        }
        let dice = &mut inner.dice;
        let visible_at = at + if dice.percent(20) { dice.ms(0, 5_000) } else { 0 };
        let sent_at = at + dice.ms(0, 3_000);
        let weather = &self.weather;
        let most = if dice.percent(50) { 4_000 } else { 60_000 };
        let later = sent_at + dice.ms(10, most);
        let fate = if dice.percent(weather.never) {
            Fate::Never
        } else if dice.percent(weather.failing) {
            Fate::Failed(later)
        } else if dice.percent(weather.very_late) {
            Fate::Delivered(sent_at + dice.ms(600_000, 172_800_000))
        } else {
            Fate::Delivered(later)
        };
        let read_at = match fate {
            Fate::Delivered(at) if dice.percent(weather.reading) => Some(at + dice.ms(0, 60_000)),
            _ => None,
        };
        let number = inner.taken.len() + 1;
        let id = PlatformId::parse(&format!("{}-{number}", self.name)).unwrap();
        self.world.trace(format_args!("{id} is {key}: {fate:?}"));
        inner.taken.push(Taken {
            id,
            key,
            conversation,
            body,
            at,
            visible_at,
            sent_at,
            fate,
            read_at,
        });
    }

    /// True while a conversation takes new messages.
    pub fn takes(&self, conversation: &ConversationId, at: i64) -> bool {
        self.places.iter().any(|place| {
            place.id == *conversation && place.exists && place.ends_at.is_none_or(|end| at < end)
        })
    }

    /// The conversation as a read shows it.
    pub fn conversation(&self, place: &Place, read_at: Timestamp) -> Conversation {
        let ended_at = place.ends_at.filter(|end| *end <= self.world.now_ms());
        let party = |role: &str, address: &str| Participant {
            id: format!("the-{role}"),
            role: role.to_owned(),
            address: address.to_owned(),
        };
        Conversation {
            id: place.id.clone(),
            channel: Channel::Sms,
            participants: vec![party("agent", SENDER), party("customer", "+447700900141")],
            ended_at: ended_at.map(|end| self.stamp(end)),
            read_at,
        }
    }

    /// A true time as the platform's clock shows it.
    pub fn stamp(&self, at: i64) -> Timestamp {
        Timestamp::from_unix_ms(at + self.clock_ms)
    }

    /// What the platform says of a message at a true time.
    pub fn receipt(&self, one: &Taken, now: i64) -> Receipt {
        let mut receipt = Receipt {
            status: Some(PlatformStatus::Queued),
            created_at: Some(self.stamp(one.at)),
            ..Receipt::default()
        };
        if now >= one.sent_at {
            receipt.status = Some(PlatformStatus::Sent);
        }
        match one.fate {
            Fate::Delivered(at) if now >= at => {
                receipt.status = Some(PlatformStatus::Delivered);
                receipt.delivered_at = Some(self.stamp(at));
            }
            Fate::Failed(at) if now >= at => {
                receipt.status = None;
                receipt.failure = Some(Reason::new("not_in_service", "Number not in service"));
            }
            _ => {}
        }
        if let Some(at) = one.read_at.filter(|at| now >= *at) {
            receipt.status = Some(PlatformStatus::Read);
            receipt.read_at = Some(self.stamp(at));
        }
        receipt
    }

    /// Draws what befalls a POST of this key. A platform does not refuse what it already took.
    pub fn strike_send(&self, inner: &mut Inner, key: &str) -> Trouble {
        let trouble = self.weather.strike_send(self.world.now_ms(), &mut inner.dice);
        match trouble {
            Trouble::Rejected if Self::may_have(inner, key) => Trouble::None,
            trouble => trouble,
        }
    }
}
