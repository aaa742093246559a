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
use std::sync::LazyLock;

/// How much of its quota the database may have taken for something new to be accepted. The rest is for what
/// becomes of the messages accepted before: their outcomes are stored whatever the quota says.
const ACCEPT_BELOW_PERCENT: u64 = 80;

static INSERT_MESSAGE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO messages (connection, conversation_id, accepted_at, held, version, id, submission_id, key, \
         channel, sender, recipients, preview, payload_id, state, verdict, due_at, expires_at, delivery) \
         VALUES (?1, ?2, ?3, ?4 AND {}, 1, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        turns::must_wait()
    )
});

/// A submission with everything made of it that needs no database, so that the writing thread need not.
pub struct Prepared {
    new: NewSubmission,
    payload: Vec<u8>,
    recipients: String,
    preview: String,
    delivery: String,
    event: String,
}

impl Prepared {
    /// What becomes rows if it is accepted.
    pub fn new(new: NewSubmission) -> Result<Self, Error> {
        let accepted_at = new.delivery.accepted_at;
        let mut event = event(EventKind::Accepted, Actor::User, &new.delivery, accepted_at);
        event.reason = new.resend.as_ref().map(|resend| {
            let text = format!("Sent once more after {}: {}", resend.original, resend.why);
            Reason::new("resend", text)
        });
        Ok(Self {
            payload: new.payload.to_bytes(),
            recipients: to_json("recipients", &new.payload.to)?,
            preview: new.payload.preview(120),
            delivery: to_json("delivery", &new.delivery)?,
            event: to_json("event", &event)?,
            new,
        })
    }
}

/// See [`crate::store::Store::accept_submission`]. `quota` is the bytes the database may take.
pub fn accept(
    connection: &Connection,
    prepared: &Prepared,
    quota: Option<u64>,
) -> Result<Accepted, Error> {
    let new = &prepared.new;
    let known = || find(connection, &new.owner, &new.key, new.fingerprint);
    if let Some(refusal) = no_room(connection, new, quota)? {
        // What was accepted before gets its answer whatever there is room for.
        return known()?.map_or(refusal, Ok);
    }
    if let Some(resend) = &new.resend {
        if let Some(known) = known()? {
            return Ok(known);
        }
        if let Some(refused) = note_resend(connection, new, resend)? {
            return Ok(refused);
        }
    }
    let now = new.delivery.accepted_at;
    let is_new = connection
        .prepare_cached(
            "INSERT INTO submissions (id, owner, key, fingerprint, accepted_at) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (owner, key) DO NOTHING",
        )?
        .execute((
            new.id.as_str(),
            &new.owner,
            new.key.as_str(),
            new.fingerprint.as_slice(),
            now.unix_ms(),
        ))?;
    if is_new == 0
        && let Some(known) = known()?
    {
        return Ok(known);
    }
    connection
        .prepare_cached("INSERT INTO payloads (bytes) VALUES (?1)")?
        .execute([&prepared.payload])?;
    let payload_id = connection.last_insert_rowid();
    let is_due = new.delivery.due_at.is_some_and(|due_at| due_at <= now);
    let (name, conversation_id) = (new.connection.as_str(), new.conversation_id.as_str());
    connection.prepare_cached(&INSERT_MESSAGE)?.execute(params![
        name,
        conversation_id,
        now.unix_ms(),
        is_due,
        new.message_id.as_str(),
        new.id.as_str(),
        new.key.as_str(),
        new.channel.as_str(),
        new.payload.from,
        prepared.recipients,
        prepared.preview,
        payload_id,
        new.delivery.state.as_str(),
        new.delivery.judgement().verdict.as_str(),
        new.delivery.due_at.map(Timestamp::unix_ms),
        new.delivery.expires_at.map(Timestamp::unix_ms),
        prepared.delivery,
    ])?;
    insert_event(connection, connection.last_insert_rowid(), &prepared.event)?;
    connection
        .prepare_cached("UPDATE conversations SET used_at = ?3 WHERE connection = ?1 AND id = ?2")?
        .execute((name, conversation_id, now.unix_ms()))?;
    Ok(Accepted::New(answer(new.id.clone(), &new.key, vec![new.message_id.clone()])))
}

/// Why nothing new is accepted now, if nothing is.
fn no_room(
    connection: &Connection,
    new: &NewSubmission,
    quota: Option<u64>,
) -> Result<Option<Result<Accepted, Error>>, Error> {
    if let Some(quota) = quota {
        let used = used_bytes(connection)?;
        if used >= quota / 100 * ACCEPT_BELOW_PERCENT {
            return Ok(Some(Err(Error::Quota { used, quota })));
        }
    }
    if let Some(most) = new.audit_backlog_max {
        let waiting = entries_waiting(connection, &new.connection)?;
        if waiting >= most {
            return Ok(Some(Ok(Accepted::AuditBacklog { waiting })));
        }
    }
    Ok(None)
}

/// Writes into the history of the message that is sent once more that it was, and why; or says why it may not
/// be. Its state is read in this transaction: it may have been delivered a moment ago.
fn note_resend(
    connection: &Connection,
    new: &NewSubmission,
    resend: &Resend,
) -> Result<Option<Accepted>, Error> {
    let original: Option<(i64, Delivery)> = first(
        connection,
        "SELECT position, delivery FROM messages WHERE id = ?1",
        [resend.original.as_str()],
        |row| Ok((row.get("position")?, json("delivery", &row.get::<_, String>("delivery")?)?)),
    )?;
    let Some((position, original)) = original else {
        return Err(Error::Corrupt { what: "message", detail: "it was removed just now".into() });
    };
    if let Err(why) = original.may_resend(resend.even_if_delivered) {
        return Ok(Some(Accepted::NoResend { state: original.state, why }));
    }
    connection
        .prepare_cached("UPDATE messages SET version = version + 1 WHERE position = ?1")?
        .execute([position])?;
    let mut event = event(EventKind::Resent, Actor::User, &original, new.delivery.accepted_at);
    let text = format!("Sent once more as {}: {}", new.message_id, resend.why);
    event.reason = Some(Reason::new("resend", text));
    insert_event(connection, position, &to_json("event", &event)?)?;
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
