//! The suite itself. Time is an argument; nothing here waits.

use crate::Fresh;
use proxy::audit::{self, HmacSigner, Keyring};
use proxy::store::{
    Accepted, Applied, Change, Claim, MessageFilter, NewSubmission, Recorded, SealWhen,
    ShippableBatch, Shipped, Signer, Store, Work,
};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use shared::api::{Actor, Message, Shipping};
use shared::audit::verify::{Bounds, Verifier};
use shared::audit::{FIRST_PREVIOUS, Link, chain_text};
use shared::channel::Channel;
use shared::delivery::{Delivery, Happening, PlatformStatus, Policy, Reason, Receipt, State};
use shared::id::{ConnectionName, ConversationId, Key, MessageId, PlatformId, SubmissionId};
use shared::payload::Payload;
use shared::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(60);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(1_795_341_600_000 + seconds * 1000)
}

fn connection() -> ConnectionName {
    ConnectionName::parse("sandbox").unwrap()
}

fn conversation(number: u32) -> ConversationId {
    ConversationId::parse(&format!("00000000-0000-4000-8000-{number:012}")).unwrap()
}

/// A new submission into conversation `number`; every call has other identifiers.
pub fn submission(key: &str, number: u32) -> NewSubmission {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut random = [0u8; 10];
    random[..4].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    NewSubmission {
        owner: "local".into(),
        key: Key::parse(key).unwrap(),
        fingerprint: [7; 32],
        id: SubmissionId::new(at(0), random),
        message_id: MessageId::new(at(0), random),
        connection: connection(),
        conversation_id: conversation(number),
        channel: Channel::Sms,
        payload: Payload {
            from: "+447700900100".into(),
            to: vec!["+447700900141".into(), "+447700900142".into()],
            content_type: "text/plain".into(),
            content: "Hello".into(),
            attachments: Vec::new(),
        },
        delivery: Delivery::accepted(at(0), None, None, 10_000, true),
        resend: None,
        audit_backlog_max: None,
    }
}

async fn accept(store: &dyn Store, new: NewSubmission) -> MessageId {
    match store.accept_submission(new).await.unwrap() {
        Accepted::New(answer) => answer.messages[0].id.clone(),
        other => panic!("not new: {other:?}"),
    }
}

async fn claim(store: &dyn Store, work: Work, now: Timestamp) -> Vec<Claim> {
    store.claim(work, now, now.plus(LEASE), 100, Vec::new()).await.unwrap()
}

async fn step(store: &dyn Store, claim: &Claim, happening: Happening, now: Timestamp) -> Applied {
    let change = Change {
        message_id: claim.message_id.clone(),
        epoch: Some(claim.epoch),
        happening,
        actor: Actor::Proxy,
        policy: Policy::default(),
        jitter: 0.0,
        keep_claim: true,
        channel: None,
    };
    store.apply(change, now).await.unwrap()
}

fn taken(id: &str) -> Happening {
    Happening::Taken {
        platform_id: PlatformId::parse(id).unwrap(),
        receipt: Receipt::default(),
        was_there: false,
    }
}

fn delivered() -> Happening {
    Happening::Observed(Receipt {
        status: Some(PlatformStatus::Delivered),
        created_at: Some(at(1)),
        delivered_at: Some(at(3)),
        ..Receipt::default()
    })
}

/// Sends and delivers what is due, each under the platform id `<prefix><n>`; returns how many.
async fn deliver_all(store: &dyn Store, prefix: &str, now: Timestamp) -> usize {
    let claims = claim(store, Work::Send, now).await;
    for (index, claim) in claims.iter().enumerate() {
        step(store, claim, Happening::AttemptStarted, now).await;
        step(store, claim, taken(&format!("{prefix}{index}")), now).await;
        assert!(matches!(step(store, claim, delivered(), now).await, Applied::Done(_)));
    }
    claims.len()
}

pub async fn a_repeat_gets_the_stored_answer_and_another_request_none(fresh: Fresh) {
    let store = fresh.store.as_ref();
    let first = store.accept_submission(submission("k", 1)).await.unwrap();
    let Accepted::New(answer) = first else { panic!("{first:?}") };
    let repeat = store.accept_submission(submission("k", 1)).await.unwrap();
    assert_eq!(repeat, Accepted::Repeated(answer.clone()));
    let other = NewSubmission { fingerprint: [8; 32], ..submission("k", 1) };
    assert_eq!(store.accept_submission(other).await.unwrap(), Accepted::KeyMismatch);
    let elsewhere = NewSubmission { owner: "someone".into(), ..submission("k", 1) };
    assert!(matches!(store.accept_submission(elsewhere).await.unwrap(), Accepted::New(_)));
    let find = async |key: &str, fingerprint| {
        let key = Key::parse(key).unwrap();
        store.find_accepted(submission("k", 1).owner, key, fingerprint).await.unwrap()
    };
    assert_eq!(find("k", submission("k", 1).fingerprint).await, Some(answer));
    assert_eq!(find("k", [8; 32]).await, None);
    assert_eq!(find("l", submission("k", 1).fingerprint).await, None);
}

pub async fn one_key_at_the_same_instant_is_one_submission(fresh: Fresh) {
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let store = Arc::clone(&fresh.store);
            tokio::spawn(async move { store.accept_submission(submission("k", 1)).await.unwrap() })
        })
        .collect();
    let mut new = 0;
    let mut ids = std::collections::HashSet::new();
    for task in tasks {
        match task.await.unwrap() {
            Accepted::New(answer) => {
                new += 1;
                ids.insert(answer.id);
            }
            Accepted::Repeated(answer) => {
                ids.insert(answer.id);
            }
            other => panic!("the same request without a limit: {other:?}"),
        }
    }
    assert_eq!((new, ids.len()), (1, 1));
    assert_eq!(fresh.store.count_messages().await.unwrap().total, 1);
}

pub async fn only_the_head_of_a_conversation_is_claimed_and_only_once(fresh: Fresh) {
    let store = fresh.store.as_ref();
    let first = accept(store, submission("a1", 1)).await;
    let second = accept(store, submission("a2", 1)).await;
    let other = accept(store, submission("b1", 2)).await;
    let claims = claim(store, Work::Send, at(1)).await;
    let ids: Vec<_> = claims.iter().map(|claim| claim.message_id.clone()).collect();
    assert_eq!(ids, [first.clone(), other]);
    assert!(claim(store, Work::Send, at(1)).await.is_empty());
    step(store, &claims[0], Happening::AttemptStarted, at(1)).await;
    assert!(claim(store, Work::Send, at(2)).await.is_empty(), "one in flight in a conversation");
    step(store, &claims[0], taken("p-1"), at(2)).await;
    let next = claim(store, Work::Send, at(2)).await;
    assert_eq!(next.len(), 1);
    assert_eq!(next[0].message_id, second);
}

pub async fn what_goes_through_a_closed_connection_is_not_claimed(fresh: Fresh) {
    let store = fresh.store.as_ref();
    let other = ConnectionName::parse("other").unwrap();
    accept(store, submission("a", 1)).await;
    let free = NewSubmission { connection: other.clone(), ..submission("b", 1) };
    accept(store, free).await;
    let claims = store.claim(Work::Send, at(1), at(61), 100, vec![connection()]).await.unwrap();
    assert_eq!(claims.iter().map(|one| &one.connection).collect::<Vec<_>>(), [&other]);
    assert_eq!(claim(store, Work::Send, at(1)).await.len(), 1, "open again, it is found");
}

pub async fn a_scheduled_message_holds_nobody_up(fresh: Fresh) {
    let store = fresh.store.as_ref();
    let tomorrow = Delivery::accepted(at(0), Some(at(86_400)), None, 10_000, true);
    accept(store, NewSubmission { delivery: tomorrow, ..submission("later", 1) }).await;
    let now = accept(store, submission("now", 1)).await;
    let claims = claim(store, Work::Send, at(1)).await;
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0].message_id, now);
}

pub async fn a_scheduled_message_waits_for_what_is_in_flight(fresh: Fresh) {
    let store = fresh.store.as_ref();
    let in_a_minute = Delivery::accepted(at(0), Some(at(60)), None, 10_000, true);
    let later =
        accept(store, NewSubmission { delivery: in_a_minute, ..submission("later", 1) }).await;
    accept(store, submission("now", 1)).await;
    let behind = accept(store, submission("behind", 1)).await;
    let sending = claim(store, Work::Send, at(59)).await.remove(0);
    assert!(claim(store, Work::Send, at(61)).await.is_empty(), "another is about to be sent");
    step(store, &sending, Happening::AttemptStarted, at(61)).await;
    assert!(claim(store, Work::Send, at(62)).await.is_empty(), "another is in flight");
    let reason = Reason::new("timeout", "no answer");
    step(store, &sending, Happening::Ambiguous { reason }, at(63)).await;
    assert!(claim(store, Work::Send, at(64)).await.is_empty(), "another may have been taken");
    step(store, &sending, Happening::MayRepeat, at(65)).await;
    store.release(sending.message_id.clone(), sending.epoch).await.unwrap();
    let again = claim(store, Work::Send, at(65)).await;
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].message_id, sending.message_id, "what has begun goes first");
    step(store, &again[0], Happening::AttemptStarted, at(66)).await;
    step(store, &again[0], taken("p-1"), at(66)).await;
    for expected in [later, behind] {
        let next = claim(store, Work::Send, at(67)).await;
        assert_eq!(next.len(), 1);
        assert_eq!(next[0].message_id, expected);
        step(store, &next[0], Happening::Cancelled, at(67)).await;
    }
}

/// Everything that can happen to messages of three conversations, in an order a seed draws. Whatever is claimed
/// may be sent, and in the end everything was.
pub async fn turns_are_kept_whatever_happens(fresh: Fresh) {
    for seed in 0..4_u64 {
        let store = fresh.store.as_ref();
        let mut draws: u64 = 0x9e37_79b9_7f4a_7c15 ^ seed;
        let mut draw = |below: u64| {
            draws = draws
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (draws >> 33) % below
        };
        let mut claims: Vec<Claim> = Vec::new();
        let mut now = at(i64::try_from(seed).unwrap() * 1_000_000);
        let mut ids = 0;
        for number in 0..240 {
            now = now.plus(Duration::from_millis(draw(2000)));
            let settling = number >= 150;
            match if settling { 2 + draw(8) } else { draw(10) } {
                0 | 1 => {
                    let wait = Duration::from_secs(draw(60));
                    let not_before = (draw(3) == 0).then(|| now.plus(wait));
                    let delivery = Delivery::accepted(now, not_before, None, 10_000, true);
                    let key = format!("{seed}-{number}");
                    let place = u32::try_from(draw(3)).unwrap();
                    accept(store, NewSubmission { delivery, ..submission(&key, place) }).await;
                }
                2 | 3 => {
                    let claimed =
                        store.claim(Work::Send, now, now.plus(LEASE), 2, vec![]).await.unwrap();
                    may_be_sent(store, &claimed, now).await;
                    claims.extend(claimed);
                }
                4 => {
                    let lease = now.plus(LEASE);
                    for unknown in
                        store.claim(Work::Reconcile, now, lease, 5, vec![]).await.unwrap()
                    {
                        step(store, &unknown, Happening::MayRepeat, now).await;
                        store.release(unknown.message_id, unknown.epoch).await.unwrap();
                    }
                }
                5 if !claims.is_empty() => {
                    let claim =
                        claims.swap_remove(usize::try_from(draw(claims.len() as u64)).unwrap());
                    store.release(claim.message_id, claim.epoch).await.unwrap();
                }
                6 if draw(10) == 0 => {
                    store.recover(now).await.unwrap();
                    claims.clear();
                }
                _ if !claims.is_empty() => {
                    let claim =
                        claims.swap_remove(usize::try_from(draw(claims.len() as u64)).unwrap());
                    let reason = Reason::new("test", "drawn");
                    ids += 1;
                    let happening = match draw(6) {
                        0 => Happening::Refused { reason },
                        1 => Happening::NotSent { reason, wait: Some(Duration::from_secs(5)) },
                        2 => Happening::Cancelled,
                        3 => Happening::Ambiguous { reason },
                        _ => taken(&format!("{seed}-{ids}")),
                    };
                    if happening != Happening::Cancelled {
                        step(store, &claim, Happening::AttemptStarted, now).await;
                    }
                    if draw(8) > 0 {
                        step(store, &claim, happening, now).await;
                        store.release(claim.message_id, claim.epoch).await.unwrap();
                    }
                }
                _ => {}
            }
        }
        // Whatever was left open is settled, and everything that waits gets its turn.
        store.recover(now).await.unwrap();
        for _ in 0..1000 {
            now = now.plus(Duration::from_secs(20));
            if !everything(store).await.iter().any(holds) {
                break;
            }
            for unknown in
                store.claim(Work::Reconcile, now, now.plus(LEASE), 9, vec![]).await.unwrap()
            {
                step(store, &unknown, Happening::MayRepeat, now).await;
                store.release(unknown.message_id, unknown.epoch).await.unwrap();
            }
            let claimed = store.claim(Work::Send, now, now.plus(LEASE), 9, vec![]).await.unwrap();
            may_be_sent(store, &claimed, now).await;
            for claim in claimed {
                ids += 1;
                step(store, &claim, Happening::AttemptStarted, now).await;
                step(store, &claim, taken(&format!("{seed}-{ids}")), now).await;
                store.release(claim.message_id, claim.epoch).await.unwrap();
            }
        }
        let waiting: Vec<_> = everything(store).await.into_iter().filter(holds).collect();
        assert!(waiting.is_empty(), "seed {seed}: nobody finds {waiting:#?}");
        let counted: u64 =
            store.backlog().await.unwrap().messages.iter().map(|(_, count)| count).sum();
        assert_eq!(counted, everything(store).await.len() as u64);
    }
}

fn holds(message: &Message) -> bool {
    message.delivery.state.holds_conversation()
}

/// Every message, oldest first.
async fn everything(store: &dyn Store) -> Vec<Message> {
    let filter = MessageFilter { limit: u32::MAX, ..MessageFilter::default() };
    let mut all = store.list_messages(filter).await.unwrap().items;
    all.reverse();
    all
}

/// That each of these claims is of a conversation with nothing in flight, and is its next message.
async fn may_be_sent(store: &dyn Store, claims: &[Claim], now: Timestamp) {
    let all = everything(store).await;
    for claim in claims {
        let mut earlier = true;
        for other in all.iter().filter(|other| other.conversation_id == claim.conversation_id) {
            if other.id == claim.message_id {
                earlier = false;
                continue;
            }
            assert!(claims.iter().all(|claim| claim.message_id != other.id), "two at once");
            let state = other.delivery.state;
            assert!(!matches!(state, State::Sending | State::Unknown), "another is in flight");
            let is_scheduled = other.delivery.not_before.is_some_and(|at| at > now);
            if claim.delivery.state == State::Accepted && earlier {
                assert!(state != State::Accepted || is_scheduled, "an earlier one waits");
                assert!(state != State::RetryWait, "one that has begun waits");
            }
        }
    }
}

pub async fn a_change_under_an_older_claim_is_refused(fresh: Fresh) {
    let store = fresh.store.as_ref();
    accept(store, submission("k", 1)).await;
    let old = claim(store, Work::Send, at(1)).await.remove(0);
    // The claim runs out and another worker takes the message.
    let new = claim(store, Work::Send, at(1).plus(LEASE)).await.remove(0);
    let refused = step(store, &old, Happening::AttemptStarted, at(62)).await;
    assert_eq!(refused, Applied::Refused { state: State::Accepted });
    assert!(matches!(step(store, &new, Happening::AttemptStarted, at(62)).await, Applied::Done(_)));
}

pub async fn an_open_attempt_is_unknown_after_a_crash(fresh: Fresh) {
    let store = fresh.store.as_ref();
    let id = accept(store, submission("k", 1)).await;
    let sending = claim(store, Work::Send, at(1)).await.remove(0);
    step(store, &sending, Happening::AttemptStarted, at(1)).await;
    assert_eq!(store.recover(at(2)).await.unwrap(), 1);
    assert_eq!(store.recover(at(2)).await.unwrap(), 0);
    let detail = store.find_message(id).await.unwrap().unwrap();
    assert_eq!(detail.message.delivery.state, State::Unknown);
    assert!(claim(store, Work::Send, at(3)).await.is_empty(), "never straight to a resend");
    let unknown = claim(store, Work::Reconcile, at(3)).await.remove(0);
    step(store, &unknown, Happening::MayRepeat, at(3)).await;
    store.release(unknown.message_id, unknown.epoch).await.unwrap();
    let again = claim(store, Work::Send, at(3)).await.remove(0);
    assert_eq!((again.key, again.body), (sending.key, sending.body));
}

pub async fn one_platform_id_never_names_two_messages(fresh: Fresh) {
    let store = fresh.store.as_ref();
    accept(store, submission("a", 1)).await;
    accept(store, submission("b", 2)).await;
    let claims = claim(store, Work::Send, at(1)).await;
    for claim in &claims {
        step(store, claim, Happening::AttemptStarted, at(1)).await;
    }
    step(store, &claims[0], taken("p-1"), at(2)).await;
    let Applied::Done(second) = step(store, &claims[1], taken("p-1"), at(2)).await else {
        panic!()
    };
    assert_eq!((second.state, second.platform_id), (State::Unknown, None));
}

pub async fn each_ending_is_audited_once_for_each_recipient(fresh: Fresh) {
    let store = fresh.store.as_ref();
    let id = accept(store, submission("k", 1)).await;
    deliver_all(store, "p-", at(4)).await;
    let look = claim(store, Work::Look, at(100)).await.remove(0);
    step(store, &look, delivered(), at(100)).await;
    let detail = store.find_message(id).await.unwrap().unwrap();
    let receivers: Vec<_> = detail.audit.iter().map(|one| one.entry.receiver.as_str()).collect();
    assert_eq!(receivers, ["+447700900141", "+447700900142"]);
    let entry = &detail.audit[0].entry;
    assert_eq!((entry.message_id.as_str(), entry.status.as_str()), ("p-0", "delivered"));
    assert_eq!((entry.elapsed_seconds, entry.sla_violation), (2.0, false));
    assert!(detail.audit[0].batch.is_none());
}

fn signer() -> Arc<HmacSigner> {
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    Arc::new(HmacSigner::new("k1".into(), &secret).unwrap())
}

pub async fn batches_are_sealed_by_count_and_age_and_chained(fresh: Fresh) {
    let store = fresh.store.as_ref();
    // Two recipients each: 30 messages are 60 entries.
    for number in 0..30 {
        accept(store, submission(&format!("k{number}"), number)).await;
    }
    assert_eq!(deliver_all(store, "p-", at(4)).await, 30);
    let seal = |when, now| store.seal_audit_batch(connection(), signer(), when, now);
    let first = seal(SealWhen::OldestAt(at(0)), at(5)).await.unwrap().unwrap();
    assert_eq!((first.sequence, first.count), (1, 50));
    assert_eq!(seal(SealWhen::OldestAt(at(3)), at(8)).await.unwrap(), None);
    let second = seal(SealWhen::OldestAt(at(4)), at(9)).await.unwrap().unwrap();
    assert_eq!((second.sequence, second.count), (2, 10));
    assert_eq!(seal(SealWhen::Now, at(10)).await.unwrap(), None);
    // The clock is set back by a day: nobody waits until it has caught up with the entries.
    accept(store, submission("k30", 30)).await;
    assert_eq!(deliver_all(store, "q-", at(10)).await, 1);
    let third = seal(SealWhen::OldestAt(at(-86_395)), at(-86_390)).await.unwrap().unwrap();
    assert_eq!((third.sequence, third.count), (3, 2));
    let exported = store.export_audit_batches(connection(), 0, 10).await.unwrap();
    let mut previous = FIRST_PREVIOUS.to_owned();
    for one in &exported {
        assert_eq!(one.previous, previous);
        assert_eq!(one.batch.signature, signer().sign(&one.body));
        let text = chain_text(&Link {
            stream: &one.batch.stream,
            sequence: one.batch.sequence,
            key_id: "k1",
            sealed_at: one.batch.sealed_at,
            count: usize::try_from(one.batch.count).unwrap(),
            body_sha256: &hex::encode(Sha256::digest(&one.body)),
            previous: &previous,
        });
        assert_eq!(one.batch.chain, signer().sign(text.as_bytes()));
        previous = one.batch.chain.clone();
    }
}

pub async fn batches_are_shipped_in_order_and_a_refused_one_holds_the_rest(fresh: Fresh) {
    let store = fresh.store.as_ref();
    for number in 0..2 {
        accept(store, submission(&format!("k{number}"), number)).await;
        deliver_all(store, &format!("p{number}-"), at(4)).await;
        store
            .seal_audit_batch(connection(), signer(), SealWhen::Now, at(5))
            .await
            .unwrap()
            .unwrap();
    }
    let next = |now| store.next_batch_to_ship(connection(), now);
    let first = next(at(5)).await.unwrap().unwrap();
    assert_eq!(first.batch.sequence, 1);
    let later = Shipped::Later { problem: "404".into(), next_at: at(3600), stalled: true };
    store.record_shipping(first.position, later, at(6)).await.unwrap();
    assert!(next(at(7)).await.unwrap().is_none(), "the second never overtakes the first");
    let first = next(at(3600)).await.unwrap().unwrap();
    assert_eq!((first.batch.shipping, first.batch.attempts), (Shipping::Stalled, 1));
    store.record_shipping(first.position, Shipped::Acknowledged, at(3601)).await.unwrap();
    assert_eq!(next(at(3601)).await.unwrap().unwrap().batch.sequence, 2);
    let page = store.list_audit_batches(None, 1).await.unwrap();
    assert_eq!(page.items[0].sequence, 2);
    let page = store.list_audit_batches(page.next_cursor, 1).await.unwrap();
    assert_eq!((page.items[0].sequence, page.items[0].shipping), (1, Shipping::Acknowledged));
    assert_eq!(page.next_cursor, None);
}

/// Makes one batch of two entries for each number: message, delivery, seal.
async fn seal_batches(store: &dyn Store, numbers: std::ops::Range<u32>, now: Timestamp) {
    for number in numbers {
        accept(store, submission(&format!("s{number}"), 1000 + number)).await;
        assert_eq!(deliver_all(store, &format!("s{number}-"), at(4)).await, 1);
        let sealed = store.seal_audit_batch(connection(), signer(), SealWhen::Now, now).await;
        assert_eq!(sealed.unwrap().unwrap().count, 2);
    }
}

/// Posts the next batch of the stream and records what the sink did with it.
async fn ship(store: &dyn Store, outcome: Shipped, now: Timestamp) -> (ShippableBatch, Recorded) {
    let next = store.next_batch_to_ship(connection(), now).await.unwrap().unwrap();
    let recorded = store.record_shipping(next.position, outcome, now).await.unwrap();
    (next, recorded)
}

async fn waiting(store: &dyn Store) -> u64 {
    let waiting = store.audit_entries_waiting(connection()).await.unwrap();
    let backlog = store.backlog().await.unwrap();
    let listed = backlog.entries_waiting.iter().find(|(name, _)| *name == connection());
    assert_eq!(listed.map_or(0, |(_, entries)| *entries), waiting);
    waiting
}

pub async fn too_many_waiting_entries_refuse_what_is_new_and_nothing_else(fresh: Fresh) {
    let store = fresh.store.as_ref();
    let limited = |key: &str, number, most| NewSubmission {
        audit_backlog_max: Some(most),
        ..submission(key, number)
    };
    accept(store, limited("k1", 1, 2)).await;
    assert_eq!(waiting(store).await, 0);
    deliver_all(store, "p-", at(4)).await;
    assert_eq!(waiting(store).await, 2, "sealed or not");
    let refused = store.accept_submission(limited("k2", 2, 2)).await.unwrap();
    assert_eq!(refused, Accepted::AuditBacklog { waiting: 2 });
    let repeated = store.accept_submission(limited("k1", 1, 2)).await.unwrap();
    assert!(matches!(repeated, Accepted::Repeated(_)), "{repeated:?}");
    assert_eq!(store.count_messages().await.unwrap().total, 1);
    accept(store, submission("unlimited", 3)).await;
    store.seal_audit_batch(connection(), signer(), SealWhen::Now, at(5)).await.unwrap().unwrap();
    assert_eq!(waiting(store).await, 2);
    ship(store, Shipped::Acknowledged, at(6)).await;
    assert_eq!(waiting(store).await, 0);
    accept(store, limited("k2", 2, 2)).await;
}

pub async fn a_gone_sink_gets_nothing_until_a_person_resumes(fresh: Fresh) {
    let store = fresh.store.as_ref();
    seal_batches(store, 0..2, at(5)).await;
    assert!(!store.resume_shipping(connection(), at(5)).await.unwrap());
    let (first, _) = ship(store, Shipped::Gone { problem: "410".into() }, at(6)).await;
    assert!(store.next_batch_to_ship(connection(), at(1_000_000)).await.unwrap().is_none());
    let listed = store.list_audit_batches(None, 10).await.unwrap().items;
    assert_eq!(
        (listed[1].shipping, listed[1].problem.as_deref()),
        (Shipping::Stopped, Some("410"))
    );
    assert_eq!(store.backlog().await.unwrap().batches_stopped, 1);
    assert!(store.resume_shipping(connection(), at(7)).await.unwrap());
    assert!(!store.resume_shipping(connection(), at(7)).await.unwrap());
    let later = Shipped::Later { problem: "500".into(), next_at: at(3600), stalled: false };
    ship(store, later, at(7)).await;
    assert!(store.resume_shipping(connection(), at(7)).await.unwrap(), "nobody waits an hour");
    let (again, _) = ship(store, Shipped::Acknowledged, at(7)).await;
    assert_eq!((again.position, again.body), (first.position, first.body));
}

pub async fn a_sink_that_lost_batches_gets_them_again_while_they_are_held(fresh: Fresh) {
    let store = fresh.store.as_ref();
    seal_batches(store, 0..4, at(5)).await;
    for _ in 0..3 {
        ship(store, Shipped::Acknowledged, at(6)).await;
    }
    let behind =
        |last_sequence| Shipped::Behind { last_sequence, next_at: at(10), stalled_until: at(3600) };
    let (fourth, recorded) = ship(store, behind(1), at(7)).await;
    assert_eq!(recorded, Recorded::ShippingAgain { from: 2 });
    assert_eq!(waiting(store).await, 6);
    assert!(store.next_batch_to_ship(connection(), at(9)).await.unwrap().is_none());
    for sequence in 2..=4 {
        let (next, _) = ship(store, Shipped::Acknowledged, at(10)).await;
        assert_eq!(next.batch.sequence, sequence);
    }
    assert_eq!(waiting(store).await, 0);
    let stale = store.record_shipping(fourth.position, behind(1), at(11)).await.unwrap();
    assert_eq!(stale, Recorded::Stale);
    // What is no longer held cannot be posted again.
    assert_eq!(store.forget_audit_batches(at(100), 2).await.unwrap(), 2);
    seal_batches(store, 4..5, at(12)).await;
    let (_, recorded) = ship(store, behind(0), at(13)).await;
    assert_eq!(recorded, Recorded::NotHeld);
    assert_eq!(store.backlog().await.unwrap().batches_stalled, 1);
}

pub async fn a_forked_stream_is_replaced_and_no_entry_is_lost(fresh: Fresh) {
    let store = fresh.store.as_ref();
    seal_batches(store, 0..3, at(5)).await;
    let (first, _) = ship(store, Shipped::Acknowledged, at(6)).await;
    let forked = Shipped::Forked { problem: "the sink holds 9".into() };
    let (second, recorded) = ship(store, forked, at(7)).await;
    let Recorded::Replaced(new) = recorded else { panic!("{recorded:?}") };
    assert_eq!((&new.old, new.batches_replaced), (&first.batch.stream, 2));
    assert_ne!(new.stream, new.old);
    assert_eq!(waiting(store).await, 4);
    assert!(store.next_batch_to_ship(connection(), at(1000)).await.unwrap().is_none());
    store.seal_audit_batch(connection(), signer(), SealWhen::Now, at(8)).await.unwrap().unwrap();
    let (begun, _) = ship(store, Shipped::Acknowledged, at(9)).await;
    assert_eq!((&begun.batch.stream, begun.batch.sequence), (&new.stream, 1));
    assert_eq!(begun.previous, first.batch.chain, "the last one both sides hold");
    assert_eq!(begun.batch.count, 4, "the entries of both replaced batches, in their order");
    let old_entries: Vec<_> = second.body[1..second.body.len() - 1].to_vec();
    assert_eq!(&begun.body[1..=old_entries.len()], old_entries);
    assert_eq!(waiting(store).await, 0);
    let late = store.record_shipping(second.position, Shipped::Acknowledged, at(9)).await.unwrap();
    assert_eq!(late, Recorded::Stale, "a replaced batch stays one");
    assert_eq!(store.backlog().await.unwrap().streams_replaced, 1);
    // Nothing was deleted, and the whole of it verifies.
    let exported = store.export_audit_batches(connection(), 0, 10).await.unwrap();
    let shipping: Vec<_> = exported.iter().map(|one| one.batch.shipping).collect();
    use Shipping::{Acknowledged, Replaced};
    assert_eq!(shipping, [Acknowledged, Replaced, Replaced, Acknowledged]);
    let mut keys = Keyring::default();
    keys.add(None, &SecretString::from("0123456789abcdef0123456789abcdef"));
    let mut verifier = Verifier::new(Some(&keys), Bounds::default());
    for batch in &exported {
        assert_eq!(verifier.check(&audit::exported(batch)), []);
    }
    assert_eq!(verifier.finish().0, []);
}

pub async fn a_heartbeat_is_an_empty_batch_after_an_idle_time(fresh: Fresh) {
    let store = fresh.store.as_ref();
    let beat = |idle_since, now| {
        store.seal_audit_batch(connection(), signer(), SealWhen::IdleSince(at(idle_since)), at(now))
    };
    let first = beat(0, 300).await.unwrap().unwrap();
    assert_eq!((first.sequence, first.count), (1, 0));
    assert_eq!(beat(700, 1000).await.unwrap(), None, "the sink does not have the last one yet");
    let (posted, _) = ship(store, Shipped::Acknowledged, at(301)).await;
    assert_eq!(posted.body, "[]");
    assert_eq!(beat(299, 599).await.unwrap(), None);
    assert_eq!(beat(300, 600).await.unwrap().unwrap().sequence, 2);
    ship(store, Shipped::Acknowledged, at(601)).await;
    accept(store, submission("k", 1)).await;
    deliver_all(store, "p-", at(602)).await;
    assert_eq!(beat(700, 1000).await.unwrap(), None, "entries wait: they are sealed as ever");
}

pub async fn old_acknowledged_batches_are_forgotten_and_no_others(fresh: Fresh) {
    let store = fresh.store.as_ref();
    seal_batches(store, 0..3, at(5)).await;
    ship(store, Shipped::Acknowledged, at(10)).await;
    ship(store, Shipped::Acknowledged, at(20)).await;
    assert_eq!(store.forget_audit_batches(at(10), 100).await.unwrap(), 0);
    assert_eq!(store.forget_audit_batches(at(1_000_000), 1).await.unwrap(), 1);
    assert_eq!(store.forget_audit_batches(at(1_000_000), 100).await.unwrap(), 1);
    assert_eq!(store.forget_audit_batches(at(1_000_000), 100).await.unwrap(), 0, "never this one");
    let left = store.export_audit_batches(connection(), 0, 10).await.unwrap();
    assert_eq!(left.iter().map(|one| one.batch.sequence).collect::<Vec<_>>(), [3]);
    // The history of a message still says where its entries went.
    let all = MessageFilter { limit: 10, ..MessageFilter::default() };
    let oldest = store.list_messages(all).await.unwrap().items.pop().unwrap();
    let detail = store.find_message(oldest.id).await.unwrap().unwrap();
    assert_eq!(detail.audit[0].batch.as_ref().unwrap().shipping, Shipping::Acknowledged);
    ship(store, Shipped::Acknowledged, at(30)).await;
}

pub async fn changes_are_replayed_in_order_with_the_last_state(fresh: Fresh) {
    let store = fresh.store.as_ref();
    let before = *store.last_event().borrow();
    let first = accept(store, submission("a", 1)).await;
    let second = accept(store, submission("b", 2)).await;
    let seen = *store.last_event().borrow();
    assert!(seen > before);
    let claims = claim(store, Work::Send, at(1)).await;
    step(store, &claims[0], Happening::AttemptStarted, at(1)).await;
    let all = store.changes_after(before, 10).await.unwrap();
    let ids: Vec<_> = all.iter().map(|change| change.message.id.clone()).collect();
    assert_eq!(ids, [second, first.clone()], "the one that changed last comes last");
    assert!(all[1].message.version > all[0].message.version);
    let after = store.changes_after(seen, 10).await.unwrap();
    assert_eq!(after.len(), 1);
    assert_eq!((&after[0].message.id, after[0].message.delivery.state), (&first, State::Sending));
}

pub async fn pages_hold_everything_once(fresh: Fresh) {
    let store = fresh.store.as_ref();
    for number in 0..25 {
        accept(store, submission(&format!("k{number}"), number)).await;
    }
    let mut filter = MessageFilter { limit: 10, ..MessageFilter::default() };
    let mut seen = Vec::new();
    loop {
        let page = store.list_messages(filter.clone()).await.unwrap();
        seen.extend(page.items.into_iter().map(|message| message.conversation_id));
        let Some(cursor) = page.next_cursor else { break };
        filter.cursor = Some(cursor);
    }
    let newest_first: Vec<_> = (0..25).rev().map(conversation).collect();
    assert_eq!(seen, newest_first);
    let odd = MessageFilter { text: Some("100%_".into()), limit: 10, ..MessageFilter::default() };
    assert!(store.list_messages(odd).await.unwrap().items.is_empty(), "wildcards are plain text");
    let by_state =
        MessageFilter { states: vec![State::Failed], limit: 10, ..MessageFilter::default() };
    assert!(store.list_messages(by_state).await.unwrap().items.is_empty());
    let forged = MessageFilter { cursor: Some("x".into()), limit: 10, ..MessageFilter::default() };
    assert!(store.list_messages(forged).await.is_err());
}

pub async fn what_should_have_been_sent_by_now_is_claimed_to_expire(fresh: Fresh) {
    let store = fresh.store.as_ref();
    let until = Delivery::accepted(at(0), None, Some(at(60)), 10_000, true);
    let id = accept(store, NewSubmission { delivery: until, ..submission("k", 1) }).await;
    assert!(claim(store, Work::Expire, at(59)).await.is_empty());
    let waiting = claim(store, Work::Send, at(1)).await.remove(0);
    let reason = Reason::new("rate_limited", "too many");
    let wait = Some(Duration::from_secs(600));
    step(store, &waiting, Happening::NotSent { reason, wait }, at(2)).await;
    store.release(waiting.message_id, waiting.epoch).await.unwrap();
    let overdue = claim(store, Work::Expire, at(60)).await.remove(0);
    step(store, &overdue, Happening::DeadlinePassed, at(60)).await;
    let detail = store.find_message(id).await.unwrap().unwrap();
    assert_eq!(detail.message.delivery.state, State::Expired);
    assert_eq!(detail.message.delivery.reason.unwrap().code, "rate_limited");
    assert_eq!(detail.audit.len(), 2);
}

pub async fn what_ended_long_ago_is_removed_and_its_key_is_remembered(fresh: Fresh) {
    let store = fresh.store.as_ref();
    let Accepted::New(answer) = store.accept_submission(submission("old", 1)).await.unwrap() else {
        panic!("not new")
    };
    let id = answer.messages[0].id.clone();
    let first = claim(store, Work::Send, at(1)).await.remove(0);
    step(store, &first, Happening::Cancelled, at(2)).await;
    store.release(first.message_id, first.epoch).await.unwrap();
    let waiting = accept(store, submission("waiting", 2)).await;
    let remove = async |ended_before, unshipped| {
        store.remove_ended_messages(at(ended_before), unshipped, at(500), 10).await.unwrap()
    };
    assert_eq!(remove(100, vec![connection()]).await, 0, "its entries are not sealed yet");
    store.seal_audit_batch(connection(), signer(), SealWhen::Now, at(3)).await.unwrap().unwrap();
    assert_eq!(remove(100, vec![]).await, 0, "its entries are not acknowledged yet");
    ship(store, Shipped::Acknowledged, at(4)).await;
    assert_eq!(remove(2, vec![]).await, 0, "it ended at that moment, not before");
    assert_eq!(store.find_removed(id.clone()).await.unwrap(), None);
    let seen = *store.last_event().borrow();
    assert_eq!(remove(100, vec![]).await, 1);
    assert_eq!(remove(100, vec![]).await, 0);

    assert!(store.find_message(id.clone()).await.unwrap().is_none());
    assert_eq!(store.find_removed(id).await.unwrap(), Some(at(500)));
    assert_eq!(store.find_removed(waiting.clone()).await.unwrap(), None);
    let again = store.accept_submission(submission("old", 1)).await.unwrap();
    assert_eq!(again, Accepted::Repeated(answer), "never sent again under its key");
    let left = everything(store).await;
    assert_eq!(left.iter().map(|one| &one.id).collect::<Vec<_>>(), [&waiting]);
    let counts = store.count_messages().await.unwrap();
    assert_eq!((counts.total, counts.in_flight, counts.cancelled), (1, 1, 0));
    let period = store.deliveries_accepted(at(-10), at(10), None, 10).await.unwrap();
    assert_eq!(period.len(), 1);
    assert!(store.changes_after(seen, 10).await.unwrap().is_empty());
    let stream = store.changes_after(0, 10).await.unwrap();
    assert_eq!(stream.len(), 1, "whoever resumes is told of what is there");
    // The batch is still what the sink got, and can be sealed again if the stream has to be replaced.
    assert_eq!(store.export_audit_batches(connection(), 0, 10).await.unwrap().len(), 1);
    assert_eq!(store.forget_audit_batches(at(1000), 10).await.unwrap(), 1);
}

pub async fn without_a_sink_sealed_entries_do_not_keep_a_message(fresh: Fresh) {
    let store = fresh.store.as_ref();
    accept(store, submission("k", 1)).await;
    let claimed = claim(store, Work::Send, at(1)).await.remove(0);
    step(store, &claimed, Happening::Cancelled, at(2)).await;
    store.release(claimed.message_id, claimed.epoch).await.unwrap();
    store.seal_audit_batch(connection(), signer(), SealWhen::Now, at(3)).await.unwrap().unwrap();
    let removed = store.remove_ended_messages(at(100), vec![connection()], at(500), 10).await;
    assert_eq!(removed.unwrap(), 1);
    // A sink that comes later still gets everything, and so does a new stream.
    let why = "test".to_owned();
    let new = store.start_audit_stream(connection(), why).await.unwrap().unwrap();
    assert_eq!(new.batches_replaced, 1);
    let sealed = store.seal_audit_batch(connection(), signer(), SealWhen::Now, at(600)).await;
    assert_eq!(sealed.unwrap().unwrap().count, 2);
    assert_eq!(waiting(store).await, 2);
}

pub async fn periods_are_read_page_by_page(fresh: Fresh) {
    let store = fresh.store.as_ref();
    for number in 0..7 {
        accept(store, submission(&format!("k{number}"), number)).await;
    }
    let mut later = submission("later", 7);
    later.message_id = MessageId::new(at(1), [0; 10]);
    later.delivery = Delivery::accepted(at(1), None, None, 10_000, true);
    accept(store, later).await;
    let mut after = None;
    let mut seen = Vec::new();
    loop {
        let page = store.deliveries_accepted(at(0), at(1), after, 3).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        seen.extend(page.into_iter().map(|(id, _)| id));
    }
    let nobody = MessageId::new(at(0), [9; 10]);
    let wanted = [seen.clone(), vec![nobody]].concat();
    let found = store.find_messages(wanted).await.unwrap();
    let places: Vec<_> = found.into_iter().map(|message| message.conversation_id).collect();
    assert_eq!(places, (0..7).map(conversation).collect::<Vec<_>>());
    assert!(store.deliveries_accepted(at(-5), at(0), None, 3).await.unwrap().is_empty());
    assert_eq!(store.deliveries_accepted(at(1), at(2), None, 3).await.unwrap().len(), 1);
}
