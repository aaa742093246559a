//! Whose turn it is in a conversation: one message in flight, in the order of acceptance.
//!
//! A message that waits behind another is *held*: no index a worker looks through has it, so a claim costs the
//! same behind one waiting message and behind a million. Being held is a hint and never the truth: [`next`] looks
//! at the states themselves. What must hold is that a conversation with held messages always has one that is not
//! held and goes before them: it is in flight, planned to be tried again, or due. When that one leaves,
//! [`let_next`] gives its place to the next, in the same transaction.
//!
//! What has begun goes before what has not. Otherwise the order is that of acceptance, and a scheduled message
//! counts from its time on: until then it holds nobody up, and is found by its own time.

use super::rows::first;
use crate::store::Error;
use rusqlite::Connection;
use shared::time::Timestamp;

/// What limits a statement to one conversation; its parameters are ?1 and ?2.
const HERE: &str = "connection = ?1 AND conversation_id = ?2";
/// What has begun, in the words of its index.
const BEGUN: &str = "(state = 'retry_wait' OR state = 'sending' OR state = 'unknown')";

/// Whether a message accepted now, and due now, has to wait behind another of its conversation: an expression whose
/// parameters are ?1, the connection, ?2, the conversation, and ?3, the time.
pub fn must_wait() -> String {
    // Where one is held another goes before it, so the held ones need not be looked at.
    format!(
        "(EXISTS (SELECT 1 FROM messages WHERE {HERE} AND {BEGUN}) \
         OR EXISTS (SELECT 1 FROM messages WHERE {HERE} AND state = 'accepted' AND held = 0 \
         AND due_at <= ?3))"
    )
}

/// The position of the message that may be sent into a conversation now, if there is one: nothing else of the
/// conversation is in flight or claimed, and it is its turn. Every other one that is due is held afterwards.
pub fn next(
    connection: &Connection,
    name: &str,
    conversation_id: &str,
    now: Timestamp,
) -> Result<Option<i64>, Error> {
    const FREE: &str = "(lease_until IS NULL OR lease_until <= ?3)";
    let here = (name, conversation_id, now.unix_ms());
    let sql = format!(
        "UPDATE messages INDEXED BY messages_ready SET held = 1 WHERE {HERE} AND state = 'accepted' AND held = 0 \
         AND due_at <= ?3 AND {FREE}"
    );
    connection.prepare_cached(&sql)?.execute(here)?;
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM messages WHERE {HERE} AND {BEGUN} AND state <> 'retry_wait') \
         OR EXISTS (SELECT 1 FROM messages WHERE {HERE} AND state IN ('accepted', 'retry_wait') \
         AND lease_until IS NOT NULL AND lease_until > ?3)"
    );
    let in_flight = first(connection, &sql, here, |row| Ok(row.get::<_, bool>(0)?))?;
    let begun = if in_flight == Some(true) {
        None
    } else {
        // Held or not: several may have begun, and each was held while another was in flight.
        let sql = format!(
            "SELECT position FROM messages INDEXED BY messages_begun WHERE {HERE} AND state = 'retry_wait' \
             ORDER BY position LIMIT 1"
        );
        first(connection, &sql, (name, conversation_id), |row| Ok(row.get::<_, i64>(0)?))?
    };
    if let Some(begun) = begun {
        connection
            .prepare_cached("UPDATE messages SET held = 0 WHERE position = ?1 AND held = 1")?
            .execute([begun])?;
    }
    let sql = format!(
        "UPDATE messages INDEXED BY messages_begun SET held = 1 WHERE {HERE} AND state = 'retry_wait' AND held = 0 \
         AND due_at <= ?3 AND {FREE} AND position IS NOT ?4"
    );
    connection.prepare_cached(&sql)?.execute((name, conversation_id, now.unix_ms(), begun))?;
    if in_flight == Some(true) {
        return Ok(None);
    }
    let head = match begun {
        Some(begun) => Some(begun),
        None => let_next(connection, name, conversation_id)?,
    };
    let Some(head) = head else { return Ok(None) };
    let sql = "SELECT position FROM messages WHERE position = ?1 AND due_at <= ?2 \
         AND (lease_until IS NULL OR lease_until <= ?2)";
    first(connection, sql, (head, now.unix_ms()), |row| Ok(row.get(0)?))
}

/// Lets the first held message of a conversation be found, unless one that has begun still goes before it.
/// To be called whenever a message stops holding its conversation up. Returns the position.
pub fn let_next(
    connection: &Connection,
    name: &str,
    conversation_id: &str,
) -> Result<Option<i64>, Error> {
    let sql = format!(
        "UPDATE messages SET held = 0 WHERE position = (SELECT position FROM messages WHERE {HERE} \
         AND held = 1 AND state IN ('accepted', 'retry_wait') ORDER BY position LIMIT 1) \
         AND NOT EXISTS (SELECT 1 FROM messages WHERE {HERE} AND held = 0 \
         AND {BEGUN}) RETURNING position"
    );
    first(connection, &sql, (name, conversation_id), |row| Ok(row.get(0)?))
}

#[cfg(test)]
pub(super) mod tests {
    use crate::store::sqlite::{SCHEMA, accept, steps};
    use crate::store::{Change, NewSubmission, Work};
    use rusqlite::Connection;
    use shared::api::Actor;
    use shared::channel::Channel;
    use shared::delivery::{Delivery, Happening, Policy, Receipt};
    use shared::id::{ConnectionName, ConversationId, Key, MessageId, PlatformId, SubmissionId};
    use shared::payload::Payload;
    use shared::time::Timestamp;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(1_795_341_600_000 + ms)
    }

    /// A database with so many messages waiting in one conversation.
    pub fn backlog(messages: u32) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        for number in 0..messages {
            let mut random = [0; 10];
            random[..4].copy_from_slice(&number.to_be_bytes());
            let new = NewSubmission {
                owner: "local".into(),
                key: Key::parse(&format!("k{number}")).unwrap(),
                fingerprint: [7; 32],
                id: SubmissionId::new(at(0), random),
                message_id: MessageId::new(at(0), random),
                connection: ConnectionName::parse("main").unwrap(),
                conversation_id: ConversationId::parse("00000000-0000-4000-8000-000000000001")
                    .unwrap(),
                channel: Channel::Sms,
                payload: Payload {
                    from: "+447700900100".into(),
                    to: vec!["+447700900141".into()],
                    content_type: "text/plain".into(),
                    content: "Hello".into(),
                    attachments: Vec::new(),
                },
                delivery: Delivery::accepted(at(0), None, None, 10_000, true),
                resend: None,
                audit_backlog_max: None,
            };
            let new = accept::Prepared::new(new).unwrap();
            accept::accept(&connection, &new, None).unwrap();
        }
        connection
    }

    /// Steps of SQLite's machine in everything a message's turn takes: claims that find it, claims that find
    /// nothing, its attempt, its end, and the claim of the next one.
    fn steps_of_a_turn(connection: &Connection) -> u64 {
        let steps = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&steps);
        let count = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            false
        };
        connection.progress_handler(1, Some(count)).unwrap();
        let claim =
            |now| steps::claim(connection, Work::Send, at(now), at(now + 60_000), 8, &[]).unwrap();
        let first = claim(1).remove(0);
        assert!(claim(2).is_empty());
        for happening in [
            Happening::AttemptStarted,
            Happening::Taken {
                platform_id: PlatformId::parse("p-1").unwrap(),
                was_there: false,
                receipt: Receipt::default(),
            },
        ] {
            assert!(claim(3).is_empty());
            let change = Change {
                message_id: first.message_id.clone(),
                epoch: Some(first.epoch),
                happening,
                actor: Actor::Proxy,
                policy: Policy::default(),
                jitter: 0.0,
                keep_claim: true,
                channel: None,
            };
            steps::apply(connection, &change, at(4)).unwrap();
        }
        assert_eq!(claim(5).len(), 1);
        connection.progress_handler(0, None::<fn() -> bool>).unwrap();
        steps.load(Ordering::Relaxed)
    }

    #[test]
    fn a_turn_costs_the_same_behind_any_backlog() {
        let few = steps_of_a_turn(&backlog(3));
        let many = steps_of_a_turn(&backlog(3000));
        assert!(many <= few + few / 4, "{few} steps with 3 waiting, {many} with 3000");
    }
}
