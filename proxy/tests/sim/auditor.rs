//! The model sink: takes batches by the receiver's rules and keeps them. What it answers may be lost.

use crate::weather::{SinkTrouble, Weather};
use crate::world::{Dice, World};
use async_trait::async_trait;
use bytes::Bytes;
use proxy::audit::HmacSigner;
use proxy::store::Signer;
use proxy::worker::ship::{Answer, Post};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use shared::audit::{AuditEntry, FIRST_PREVIOUS, Link, chain_text};
use shared::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// The secret both sides know.
pub const SECRET: &str = "audit-secret-0123456789abcdef-0123456789";
/// The id of its key.
pub const KEY_ID: &str = "k1";
/// How old the time of a post may be.
const FRESH_S: i64 = 300;

/// A signer with the secret.
pub fn signer() -> HmacSigner {
    HmacSigner::new(KEY_ID.into(), &SecretString::from(SECRET)).unwrap()
}

/// What tells one entry from another.
fn name_of(entry: &AuditEntry) -> (String, String, String) {
    (entry.message_id.clone(), entry.receiver.clone(), entry.status.clone())
}

/// See the module's text.
pub struct Auditor {
    world: Arc<World>,
    weather: Arc<Weather>,
    signer: HmacSigner,
    held: Mutex<Held>,
}

struct Held {
    dice: Dice,
    /// Batches by stream: chain value and entries.
    streams: BTreeMap<String, Vec<(String, Vec<AuditEntry>)>>,
    /// Every chain value ever stored: a new stream names one of them.
    chains: Vec<String>,
    /// Posts that are still on their way, long after their caller gave up: when they arrive, and what they say.
    transit: Vec<(i64, BTreeMap<String, String>, Vec<u8>)>,
    /// Entries of batches it took and lost.
    lost: BTreeSet<(String, String, String)>,
    open: u32,
    posts: u64,
    /// The database that posts was rolled back, so another batch in the place of one that is held is to be expected.
    is_rolled_back: bool,
}

impl Auditor {
    pub fn new(seed: u64, number: u64, world: &Arc<World>, weather: &Arc<Weather>) -> Self {
        Self {
            world: Arc::clone(world),
            weather: Arc::clone(weather),
            signer: signer(),
            held: Mutex::new(Held {
                dice: Dice::new(seed, 200 + number),
                streams: BTreeMap::new(),
                chains: Vec::new(),
                transit: Vec::new(),
                lost: BTreeSet::new(),
                open: 0,
                posts: 0,
                is_rolled_back: false,
            }),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True while somebody posts.
    pub fn is_busy(&self) -> bool {
        self.held().open > 0
    }

    /// Nobody posts any more: the process is dead.
    pub fn hang_up(&self) {
        self.held().open = 0;
    }

    /// Posts so far.
    pub fn posts(&self) -> u64 {
        self.held().posts
    }

    /// Whoever posts has an older copy of the database from now on.
    pub fn expect_another_past(&self) {
        self.held().is_rolled_back = true;
    }

    /// True when it took a batch with this chain value, be it that it lost it since.
    pub fn took(&self, chain: &str) -> bool {
        self.held().chains.iter().any(|one| one == chain)
    }

    /// The chain values held of a stream, in their order.
    pub fn stream(&self, name: &str) -> Vec<String> {
        let held = self.held();
        let batches = held.streams.get(name).into_iter().flatten();
        batches.map(|(chain, _)| chain.clone()).collect()
    }

    /// Every entry held, with how often.
    pub fn entries(&self) -> BTreeMap<(String, String, String), u32> {
        let mut entries = BTreeMap::new();
        for (_, batch) in self.held().streams.values().flatten() {
            for one in batch {
                *entries.entry(name_of(one)).or_default() += 1;
            }
        }
        entries
    }

    /// It is restored from a backup and lacks the last batches of each stream.
    pub fn lose_last(&self, count: usize) {
        let mut held = self.held();
        let held = &mut *held;
        for batches in held.streams.values_mut() {
            let lost = batches.split_off(batches.len().saturating_sub(count));
            held.lost.extend(lost.iter().flat_map(|(_, entries)| entries).map(name_of));
        }
    }

    /// True when it took this entry once, and lost it.
    pub fn lost(&self, name: &(String, String, String)) -> bool {
        self.held().lost.contains(name)
    }

    /// Takes what has arrived by now, in the order in which it did. Nobody hears what it says to that.
    fn arrive(&self) {
        let now = self.world.now_ms();
        let mut landed: Vec<_> =
            self.held().transit.extract_if(.., |(lands_at, ..)| *lands_at <= now).collect();
        landed.sort_by_key(|(lands_at, ..)| *lands_at);
        for (_, headers, body) in landed {
            let said = self.receive(&headers, &body);
            self.world.trace(format_args!("a late batch arrives: {said:?}"));
        }
    }

    /// What the receiver's rules say to a post, in their order.
    fn receive(&self, headers: &BTreeMap<String, String>, body: &[u8]) -> (u16, Option<u64>) {
        let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
        let number = |name: &str| header(name).parse::<i64>().unwrap_or(-1);
        let (stream, chain) = (header("x-audit-stream"), header("x-audit-chain"));
        let (sequence, seconds) = (number("x-audit-sequence"), number("webhook-timestamp"));
        let id = header("webhook-id");
        let fresh = (self.world.now_ms() / 1000 - seconds).abs() <= FRESH_S;
        if header("x-audit-key-id") != KEY_ID
            || header("x-audit-signature") != self.signer.sign(body)
            || header("webhook-signature") != self.signer.webhook_signature(&id, seconds, body)
            || id != format!("{stream}-{sequence}")
        {
            self.world.broken(format_args!("a signature of batch {id} is wrong"));
            return (401, None);
        }
        if !fresh {
            return (401, None);
        }
        let entries: Vec<AuditEntry> = serde_json::from_slice(body).unwrap_or_default();
        let previous = header("x-audit-previous");
        let text = chain_text(&Link {
            stream: &stream,
            sequence: u64::try_from(sequence).unwrap_or(0),
            key_id: KEY_ID,
            sealed_at: Timestamp::parse(&header("x-audit-sealed-at")).unwrap(),
            count: entries.len(),
            body_sha256: &hex::encode(Sha256::digest(body)),
            previous: &previous,
        });
        if chain != self.signer.sign(text.as_bytes()) {
            self.world.broken(format_args!("the chain value of batch {id} is wrong"));
            return (401, None);
        }
        let mut held = self.held();
        let is_known = previous == FIRST_PREVIOUS || held.chains.contains(&previous);
        let batches = held.streams.entry(stream).or_default();
        let last = i64::try_from(batches.len()).unwrap_or(0);
        let place = usize::try_from(sequence - 1).unwrap_or(usize::MAX);
        if let Some((stored, _)) = batches.get(place) {
            if *stored != chain {
                if held.is_rolled_back {
                    return (409, u64::try_from(last).ok());
                }
                drop(held);
                self.world.broken(format_args!("batch {id} is another one than before"));
                return (409, None);
            }
            return (200, None);
        }
        let is_continued = !batches.is_empty();
        let follows = match batches.last() {
            Some((last, _)) => *last == previous,
            None => is_known,
        };
        if sequence != last + 1 {
            return (409, u64::try_from(last).ok());
        }
        if !follows {
            if held.is_rolled_back && is_continued {
                return (409, u64::try_from(last).ok());
            }
            drop(held);
            self.world.broken(format_args!("batch {id} does not name the one before it"));
            return (409, None);
        }
        batches.push((chain.clone(), entries));
        held.chains.push(chain);
        (200, None)
    }

    async fn answer(
        &self,
        headers: &BTreeMap<String, String>,
        body: &[u8],
        timeout: Duration,
    ) -> Result<Answer, String> {
        self.arrive();
        let (trouble, takes) = {
            let mut held = self.held();
            held.posts += 1;
            let now = self.world.now_ms();
            let trouble = self.weather.strike_sink(now, &mut held.dice);
            if trouble == SinkTrouble::Late {
                let late = held.dice.ms(1_000, 240_000);
                let lands_at = now + i64::try_from(timeout.as_millis()).unwrap_or(0) + late;
                held.transit.push((lands_at, headers.clone(), body.to_owned()));
            }
            (trouble, held.dice.within(5, 2_000))
        };
        let id = headers.get("webhook-id").cloned().unwrap_or_default();
        let stored = match trouble {
            SinkTrouble::Status(_) | SinkTrouble::Lost | SinkTrouble::Late => None,
            _ => Some(self.receive(headers, body)),
        };
        self.world.trace(format_args!("ship {id}: {trouble:?} {stored:?}"));
        let takes = match trouble {
            SinkTrouble::Lost | SinkTrouble::LostReply | SinkTrouble::Late => timeout,
            _ => Duration::from_millis(takes.into()),
        };
        sleep(takes).await;
        let lost = "no answer in time".to_owned();
        let (status, last_sequence) = match (trouble, stored) {
            (SinkTrouble::Lost | SinkTrouble::LostReply | SinkTrouble::Late, _) => {
                return Err(lost);
            }
            (SinkTrouble::Status(status), _) => (status, None),
            (SinkTrouble::StoredStatus(status), Some((200, _))) => (status, None),
            (_, Some(answer)) => answer,
            (_, None) => (200, None),
        };
        let broke_off = trouble == SinkTrouble::HalfReply;
        let body = if broke_off { Err("the answer broke off".into()) } else { Ok(Vec::new()) };
        let wait = (status == 429).then(|| Duration::from_secs(7));
        Ok(Answer { status, wait, last_sequence, clock_off: None, body })
    }
}

#[async_trait]
impl Post for Auditor {
    async fn post(
        &self,
        headers: BTreeMap<String, String>,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, String> {
        if self.world.is_dead() {
            std::future::pending::<()>().await;
        }
        self.held().open += 1;
        let answer = self.answer(&headers, &body, timeout).await;
        if self.world.is_dead() {
            std::future::pending::<()>().await;
        }
        self.held().open -= 1;
        answer
    }
}
