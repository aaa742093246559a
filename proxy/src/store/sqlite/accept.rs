//! Storing a submission, or finding what its key was used for.

use super::audit::entries_waiting;
use super::removal::used_bytes;
use super::rows::{all, first, insert_event, json, stored_message_id, to_json};
use super::steps::event;
use super::turns;
use crate::store::{Accepted, Error, NewSubmission, Resend};
use rusqlite::{Connection, params};
use shared::api::{AcceptedMessage, Actor, SubmissionAccepted};
use shared::delivery::{Delivery, EventKind, Reason, State};
use shared::id::{Key, MessageId, SubmissionId};
use shared::time::Timestamp;

/// How much of its quota the database may have taken for something new to be accepted. The rest is for what
/// becomes of the messages accepted before: their outcomes are stored whatever the quota says.
const ACCEPT_BELOW_PERCENT: u64 = 80;

/// See [`crate::store::Store::accept_submission`]. `quota` is the bytes the database may take.
pub fn accept(
    connection: &Connection,
    new: &NewSubmission,
    quota: Option<u64>,
) -> Result<Accepted, Error> {
    if let Some(known) = find(connection, &new.owner, &new.key, new.fingerprint)? {
        return Ok(known);
    }
    if let Some(quota) = quota {
        let used = used_bytes(connection)?;
        if used >= quota / 100 * ACCEPT_BELOW_PERCENT {
            return Err(Error::Quota { used, quota });
        }
    }
    if let Some(most) = new.audit_backlog_max {
        let waiting = entries_waiting(connection, &new.connection)?;
        if waiting >= most {
            return Ok(Accepted::AuditBacklog { waiting });
        }
    }
    let now = new.delivery.accepted_at;
    if let Some(resend) = &new.resend
        && let Some(refused) = note_resend(connection, new, resend)?
    {
        return Ok(refused);
    }
    connection
        .prepare_cached(
            "INSERT INTO submissions (id, owner, key, fingerprint, accepted_at) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((
            new.id.as_str(),
            &new.owner,
            new.key.as_str(),
            new.fingerprint.as_slice(),
            now.unix_ms(),
        ))?;
    connection
        .prepare_cached("INSERT INTO payloads (bytes) VALUES (?1)")?
        .execute([new.payload.to_bytes()])?;
    let payload_id = connection.last_insert_rowid();
    let is_due = new.delivery.due_at.is_some_and(|due_at| due_at <= now);
    let (name, conversation_id) = (new.connection.as_str(), new.conversation_id.as_str());
    let held = is_due && turns::must_wait(connection, name, conversation_id, now)?;
    connection
        .prepare_cached(
            "INSERT INTO messages (id, submission_id, connection, conversation_id, channel, sender, \
             recipients, preview, payload_id, accepted_at, version, state, verdict, due_at, expires_at, delivery, \
             held) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?
        .execute(params![
            new.message_id.as_str(),
            new.id.as_str(),
            new.connection.as_str(),
            new.conversation_id.as_str(),
            new.channel.as_str(),
            new.payload.from,
            to_json("recipients", &new.payload.to)?,
            new.payload.preview(120),
            payload_id,
            now.unix_ms(),
            new.delivery.state.as_str(),
            new.delivery.judgement().verdict.as_str(),
            new.delivery.due_at.map(Timestamp::unix_ms),
            new.delivery.expires_at.map(Timestamp::unix_ms),
            to_json("delivery", &new.delivery)?,
            held,
        ])?;
    connection
        .prepare_cached("UPDATE conversations SET used_at = ?3 WHERE connection = ?1 AND id = ?2")?
        .execute((new.connection.as_str(), new.conversation_id.as_str(), now.unix_ms()))?;
    let mut event = event(EventKind::Accepted, Actor::User, &new.delivery, now);
    event.reason = new.resend.as_ref().map(|resend| {
        Reason::new("resend", format!("Sent once more after {}: {}", resend.original, resend.why))
    });
    insert_event(connection, &new.message_id, &event)?;
    Ok(Accepted::New(answer(new.id.clone(), &new.key, vec![new.message_id.clone()])))
}

/// Writes into the history of the message that is sent once more that it was, and why; or says why it may not
/// be. Its state is read in this transaction: it may have been delivered a moment ago.
fn note_resend(
    connection: &Connection,
    new: &NewSubmission,
    resend: &Resend,
) -> Result<Option<Accepted>, Error> {
    let original: Option<Delivery> = first(
        connection,
        "SELECT delivery FROM messages WHERE id = ?1",
        [resend.original.as_str()],
        |row| json("delivery", &row.get::<_, String>("delivery")?),
    )?;
    let Some(original) = original else {
        return Err(Error::Corrupt { what: "message", detail: "it was removed just now".into() });
    };
    if let Err(why) = original.may_resend(resend.even_if_delivered) {
        return Ok(Some(Accepted::NoResend { state: original.state, why }));
    }
    connection
        .prepare_cached("UPDATE messages SET version = version + 1 WHERE id = ?1")?
        .execute([resend.original.as_str()])?;
    let mut event = event(EventKind::Resent, Actor::User, &original, new.delivery.accepted_at);
    let text = format!("Sent once more as {}: {}", new.message_id, resend.why);
    event.reason = Some(Reason::new("resend", text));
    insert_event(connection, &resend.original, &event)?;
    Ok(None)
}

/// What a key was used for, if it was.
pub fn find(
    connection: &Connection,
    owner: &str,
    key: &Key,
    fingerprint: [u8; 32],
) -> Result<Option<Accepted>, Error> {
    let known = first(
        connection,
        "SELECT id, fingerprint FROM submissions WHERE owner = ?1 AND key = ?2",
        (owner, key.as_str()),
        |row| Ok((row.get::<_, String>("id")?, row.get::<_, Vec<u8>>("fingerprint")?)),
    )?;
    let Some((id, stored)) = known else { return Ok(None) };
    if stored != fingerprint {
        return Ok(Some(Accepted::KeyMismatch));
    }
    // Those that were removed since are named too: the answer given then never changes.
    let messages = all(
        connection,
        "SELECT id, position FROM messages WHERE submission_id = ?1 UNION ALL \
         SELECT id, position FROM removed_messages WHERE submission_id = ?1 ORDER BY position",
        [&id],
        |row| stored_message_id(row.get("id")?),
    )?;
    let corrupt = |error: shared::id::IdError| Error::Corrupt {
        what: "submission id",
        detail: error.to_string(),
    };
    let id = SubmissionId::parse(&id).map_err(corrupt)?;
    Ok(Some(Accepted::Repeated(answer(id, key, messages))))
}

/// The answer to an accepted submission, the same whenever it is given.
fn answer(id: SubmissionId, key: &Key, messages: Vec<MessageId>) -> SubmissionAccepted {
    let messages =
        messages.into_iter().map(|id| AcceptedMessage { id, state: State::Accepted }).collect();
    SubmissionAccepted { id, key: key.clone(), messages }
}
