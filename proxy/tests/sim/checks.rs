//! What must be true when everything has come to rest: what the proxy shows against what truly happened on
//! the platform and what the sink holds.

use crate::auditor::{self, SECRET};
use crate::life::{Life, Stage};
use crate::people::Letter;
use crate::rollback::{self, Way};
use crate::upstream::{Fate, Taken, Upstream};
use crate::world::World;
use proxy::audit::{Keyring, exported};
use proxy::store::MessageFilter;
use secrecy::SecretString;
use shared::api::{Event, MessageDetail, Shipping};
use shared::audit::verify::{Bounds, Verifier};
use shared::delivery::{EventKind, State};
use shared::id::MessageId;
use shared::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Checks everything; the error says which promise was broken.
pub async fn everything(stage: &Stage, life: &Life) -> Result<(), String> {
    let details = details(life).await;
    let letters = stage.people.inner().letters.clone();
    let mut known = BTreeSet::new();
    for letter in &letters {
        let Some(id) = letter.message_id() else {
            if !letter.is_refused && !letter.is_forgotten {
                return Err(format!("{} was never answered", letter.key));
            }
            continue;
        };
        let Some(detail) = details.get(&id) else {
            // Some days after its end it may be gone, and then the record says so.
            let id = MessageId::parse(&id).map_err(|error| error.to_string())?;
            match life.engine.store.find_removed(id).await {
                Ok(Some(_)) if stage.config.retention.is_some() => continue,
                _ => return Err(format!("{} is lost", letter.key)),
            }
        };
        known.insert(id);
        let upstream = &stage.upstreams[letter.upstream];
        let alike = letters.iter().filter(|one| one.words == letter.words);
        let way = stage.operator.as_ref().filter(|one| one.has_gone_back()).map(|one| one.way);
        truth(letter, &alike.collect::<Vec<_>>(), detail, upstream, way)
            .map_err(|text| format!("{}: {text}", letter.key))?;
        history(&detail.events).map_err(|text| format!("{}: {text}", letter.key))?;
        audit(detail).map_err(|text| format!("{}: {text}", letter.key))?;
    }
    if let Some(stranger) = details.keys().find(|id| !known.contains(*id)) {
        return Err(format!("message {stranger} is nobody's"));
    }
    order(&letters, &details)?;
    for (upstream, auditor) in stage.upstreams.iter().zip(&stage.auditors) {
        chain(life, upstream, auditor, &details, stage.has_gone_back()).await?;
        rollback::check_audit(stage, &life.beside, upstream, auditor)?;
    }
    Ok(())
}

/// Every message of the store, by id.
async fn details(life: &Life) -> BTreeMap<String, MessageDetail> {
    let mut details = BTreeMap::new();
    let mut cursor = None;
    loop {
        let filter = MessageFilter { cursor, limit: 100, ..MessageFilter::default() };
        let page = life.engine.store.list_messages(filter).await.unwrap();
        for message in page.items {
            let id: MessageId = message.id;
            // One that was removed in between is not there any more, as the record says.
            if let Some(detail) = life.engine.store.find_message(id.clone()).await.unwrap() {
                details.insert(id.to_string(), detail);
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return details;
        }
    }
}

/// The state a message shows against what the platform truly did with it.
fn truth(
    letter: &Letter,
    alike: &[&Letter],
    detail: &MessageDetail,
    upstream: &Upstream,
    gone_back: Option<Way>,
) -> Result<(), String> {
    let delivery = &detail.message.delivery;
    let state = delivery.state;
    if detail.key != letter.key {
        return Err(format!("it is stored under {}", detail.key));
    }
    let quoted = format!("\"{}\"", letter.words);
    let copies: Vec<Taken> = upstream
        .now()
        .taken
        .iter()
        .filter(|one| String::from_utf8_lossy(&one.body).contains(&quoted))
        .cloned()
        .collect();
    // A person who has it sent again may double it, and was told so. One sent once more is a message of its own.
    // One whose acceptance was forgotten was wanted once.
    let is_wanted = |one: &&&Letter| one.answer.is_some() || one.is_sent_unknown;
    let wanted = alike.iter().filter(is_wanted).count();
    // Where keys are forgotten, what was sent and is not known to be may go again.
    let may_double = |one: &Letter| one.is_resent || (upstream.forgets_keys && one.is_sent_unknown);
    if copies.len() > wanted && !alike.iter().any(|one| may_double(one)) {
        return Err(format!("the platform has it {} times", copies.len()));
    }
    let copies: Vec<Taken> =
        copies.into_iter().filter(|copy| copy.key == letter.key.as_str()).collect();
    if copies.len() > 1 && !may_double(letter) {
        return Err(format!("the platform has it {} times under its key", copies.len()));
    }
    let named = |copy: &&Taken| delivery.platform_id.as_ref().is_none_or(|id| *id == copy.id);
    let copy = copies.iter().find(named);
    if copy.is_none() && !copies.is_empty() {
        return Err(format!("it is {:?} here and {} there", delivery.platform_id, copies[0].id));
    }
    if letter.is_cancelled && state != State::Cancelled {
        return Err(format!("it was withdrawn and is {}", state.as_str()));
    }
    // The same words of another letter may be taken for this one's where the record of that one is gone.
    let may_be_mistaken =
        gone_back.is_some() && upstream.forgets_keys && alike.len() > 1 && copy.is_none();
    if may_be_mistaken {
        return Ok(());
    }
    let fate = copy.map(|copy| copy.fate);
    let is_true = match state {
        State::Rejected | State::Expired | State::Cancelled => {
            copy.is_none() || letter.is_sent_unknown
        }
        State::Delivered | State::Read => matches!(fate, Some(Fate::Delivered(_))),
        State::Failed => letter.is_given_up || matches!(fate, Some(Fate::Failed(_))),
        State::Undelivered => copy.is_some(),
        State::Parked => delivery.reason.is_some(),
        State::Accepted | State::Sending | State::Submitted | State::RetryWait | State::Unknown => {
            false
        }
    };
    if is_true {
        return Ok(());
    }
    Err(format!("it shows {} and the platform has {fate:?}", state.as_str()))
}

/// The lines of a message's history: in order, each from a state that allows it.
fn history(events: &[Event]) -> Result<(), String> {
    let Some(first) = events.first().filter(|one| one.kind == EventKind::Accepted) else {
        return Err("its history does not begin with its acceptance".into());
    };
    let mut before = first;
    for event in &events[1..] {
        let (from, to) = (before.state, event.state);
        if event.seq <= before.seq || !(from == to || may_follow(from, to)) {
            return Err(format!("{} follows {} in its history", to.as_str(), from.as_str()));
        }
        before = event;
    }
    Ok(())
}

fn may_follow(from: State, to: State) -> bool {
    use State::{
        Accepted, Cancelled, Delivered, Expired, Failed, Parked, Read, Rejected, RetryWait,
        Sending, Submitted, Undelivered, Unknown,
    };
    match from {
        Accepted | RetryWait => {
            matches!(to, Sending | RetryWait | Rejected | Expired | Cancelled | Parked | Unknown)
        }
        Sending => {
            matches!(
                to,
                Submitted | Delivered | Read | Failed | RetryWait | Rejected | Unknown | Parked
            )
        }
        Unknown => matches!(to, Submitted | Delivered | Read | Failed | RetryWait | Parked),
        Parked => matches!(to, RetryWait | Submitted | Failed),
        Submitted => matches!(to, Delivered | Read | Failed | Undelivered),
        Undelivered => matches!(to, Delivered | Read),
        Delivered => to == Read,
        Read | Rejected | Failed | Expired | Cancelled => false,
    }
}

/// One entry for each recipient and ending, each in a batch the sink acknowledged.
fn audit(detail: &MessageDetail) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for record in &detail.audit {
        let name = (record.ending.as_str(), record.entry.receiver.clone());
        if !seen.insert(name.clone()) {
            return Err(format!("{name:?} is in the audit twice"));
        }
        let shipping = record.batch.as_ref().map(|batch| batch.shipping);
        if shipping != Some(Shipping::Acknowledged) {
            return Err(format!("the entry {name:?} is {shipping:?}"));
        }
    }
    let state = detail.message.delivery.state;
    let ending = match state {
        State::Parked => None,
        State::Read => Some("delivered"),
        other => Some(other.as_str()),
    };
    for recipient in &detail.message.recipients {
        if let Some(ending) = ending
            && !seen.contains(&(ending, recipient.clone()))
        {
            return Err(format!("it is {ending} and the audit does not say so of {recipient}"));
        }
    }
    let most = if ending.is_none() { 0 } else { 2 * detail.message.recipients.len() };
    if seen.len() > most {
        return Err(format!("the audit has {} entries of it", seen.len()));
    }
    Ok(())
}

/// Within a conversation: one attempt at a time, and none before what was accepted earlier is settled.
fn order(letters: &[Letter], details: &BTreeMap<String, MessageDetail>) -> Result<(), String> {
    let mut places: BTreeMap<_, Vec<(u64, &Event, &MessageDetail)>> = BTreeMap::new();
    for detail in details.values() {
        let message = &detail.message;
        let place = (message.connection.clone(), message.conversation_id.clone());
        let position = detail.events[0].seq;
        let lines = detail.events.iter().map(|event| (position, event, detail));
        places.entry(place).or_default().extend(lines);
    }
    let free: BTreeSet<String> = letters
        .iter()
        .filter(|letter| letter.is_scheduled || letter.is_resent)
        .filter_map(Letter::message_id)
        .collect();
    for lines in places.values_mut() {
        lines.sort_by_key(|(_, event, _)| event.seq);
        let mut states: BTreeMap<u64, (State, bool, Option<Timestamp>)> = BTreeMap::new();
        for (position, event, detail) in lines.iter() {
            if event.kind == EventKind::AttemptStarted && !is_doubt(event, detail) {
                for (other, (state, is_free, due_at)) in &states {
                    // One whose time has not come holds nobody up, be it that the clock was set back.
                    let is_due = *state != State::Accepted || *due_at <= Some(event.at);
                    let holds =
                        other < position && state.holds_conversation() && is_due && !is_free;
                    if other != position && (*state == State::Sending || holds) {
                        return Err(format!(
                            "{} was sent while another of its conversation was {}",
                            detail.key,
                            state.as_str()
                        ));
                    }
                }
            }
            let is_free = free.contains(detail.message.id.as_str());
            states.insert(*position, (event.state, is_free, event.due_at));
        }
    }
    Ok(())
}

/// True for an attempt that a restore assumes, because there may have been one: nothing was sent with it.
fn is_doubt(attempt: &Event, detail: &MessageDetail) -> bool {
    let next = detail.events.iter().find(|event| event.seq > attempt.seq);
    let reason = next.and_then(|event| event.reason.as_ref());
    reason.is_some_and(|reason| reason.code == "restored")
}

/// The chain as an auditor checks it, and that the sink holds every entry of it.
async fn chain(
    life: &Life,
    upstream: &Upstream,
    auditor: &auditor::Auditor,
    details: &BTreeMap<String, MessageDetail>,
    has_gone_back: bool,
) -> Result<(), String> {
    let mut keys = Keyring::default();
    keys.add(Some(auditor::KEY_ID.into()), &SecretString::from(SECRET));
    let mut verifier = Verifier::new(Some(&keys), Bounds::default());
    let mut faults = Vec::new();
    let mut after = 0;
    loop {
        let name = upstream.name.clone();
        let page = life.engine.store.export_audit_batches(name, after, 100).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.position;
        for batch in &page {
            faults.extend(verifier.check(&exported(batch)));
        }
    }
    faults.extend(verifier.finish().0);
    if let Some(fault) = faults.first() {
        return Err(format!("the export of {}: {fault}", upstream.name));
    }
    let held = auditor.entries();
    // An entry that is sealed again in another stream may be there twice; a copy of the database from before the first
    // batch begins its stream anew by itself.
    let is_replaced = life.number("SELECT max(replaced) FROM streams") > Some(0);
    let may_repeat = is_replaced || has_gone_back;
    for detail in details.values().filter(|one| one.message.connection == upstream.name) {
        for record in &detail.audit {
            let entry = &record.entry;
            let name = (entry.message_id.clone(), entry.receiver.clone(), entry.status.clone());
            match held.get(&name) {
                Some(1) => {}
                Some(_) if may_repeat => {}
                // Two losses at once: it is never asked again about a stream that was replaced.
                None if has_gone_back && auditor.lost(&name) => {}
                other => return Err(format!("the sink has {name:?} {other:?} times")),
            }
        }
    }
    // Both at the same moment, because a receipt may still come that is later than all of this.
    let name = upstream.name.as_str();
    let counted = life.number(&format!(
        "SELECT coalesce((SELECT entries FROM audit_waiting WHERE connection = '{name}'), 0) - \
         (SELECT count(*) FROM audit_entries a LEFT JOIN audit_batches b ON b.id = a.batch \
         WHERE a.connection = '{name}' AND coalesce(b.shipping, '') <> 'acknowledged')"
    ));
    if counted != Some(0) {
        return Err(format!("{counted:?} more entries are counted as waiting than do"));
    }
    Ok(())
}

/// Puts what has not come to rest into the trace.
pub fn show_open(life: &Life, world: &World) {
    let sql = "SELECT state || ' ' || id || ' ' || delivery FROM messages WHERE state IN \
         ('accepted', 'sending', 'submitted', 'retry_wait', 'unknown') LIMIT 5";
    let mut statement = life.beside.prepare(sql).unwrap();
    let lines = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    for line in lines {
        world.trace(line.unwrap());
    }
    let sql = "SELECT shipping || ' ' || stream || ' ' || sequence || ' ' || coalesce(problem, '') \
         FROM audit_batches WHERE shipping IN ('waiting', 'stalled', 'stopped') LIMIT 5";
    let mut statement = life.beside.prepare(sql).unwrap();
    let lines = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    for line in lines {
        world.trace(line.unwrap());
    }
}
