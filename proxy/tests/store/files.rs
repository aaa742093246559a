//! What the embedded store promises about its file: everything survives, and a file it should not touch
//! stays as it was.

use crate::suite::submission;
use proxy::audit::HmacSigner;
use proxy::store::sqlite::{OpenError, Sqlite};
use proxy::store::{Accepted, Change, Claim, Error, MessageFilter, SealWhen, Store, Work};
use shared::api::Actor;
use shared::delivery::{Delivery, Happening, Policy, State};
use shared::id::{ConnectionName, Key, MessageId, SubmissionId};
use shared::time::Timestamp;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

/// Bad inputs, row 13.
#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    Sqlite::open(&path).unwrap().close().await;
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    connection.close().unwrap();
    let before = fs::read(&path).unwrap();
    assert!(matches!(Sqlite::open(&path), Err(OpenError::Newer { found: 99, .. })));
    assert_eq!(fs::read(&path).unwrap(), before);
}

/// Bad inputs, row 14.
#[tokio::test]
async fn a_damaged_file_is_refused_with_a_report_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    Sqlite::open(&path).unwrap().close().await;
    let whole = fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    for byte in &mut flipped[4096..12_288] {
        *byte ^= 0xff;
    }
    for damaged in
        [whole[..whole.len() / 2].to_vec(), flipped, b"not a database at all".repeat(100)]
    {
        fs::write(&path, &damaged).unwrap();
        let Err(error) = Sqlite::open(&path) else { panic!("a damaged file was opened") };
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), damaged);
    }
}

/// A file of version 1 with an acknowledged batch, one on its way and an entry not sealed yet.
#[tokio::test]
async fn a_file_of_version_1_is_brought_up_to_date_with_everything_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(include_str!("schema_1.sql")).unwrap();
    connection
        .execute_batch(
            "INSERT INTO streams VALUES ('main', 'str_a', 2, 'c2');
             INSERT INTO audit_entries (connection, message_id, receiver, ending, created_at, body, sequence)
             VALUES ('main', 'm1', 'r', 'delivered', 1, CAST('{\"n\":1}' AS BLOB), 1),
                    ('main', 'm2', 'r', 'delivered', 2, CAST('{\"n\":2}' AS BLOB), 2),
                    ('main', 'm3', 'r', 'delivered', 3, CAST('{\"n\":3}' AS BLOB), NULL);
             INSERT INTO audit_batches (connection, sequence, stream, key_id, sealed_at, count, body,
                 signature, previous, chain, shipping, next_at, acknowledged_at)
             VALUES ('main', 1, 'str_a', 'k1', 10, 1, CAST('[{\"n\":1}]' AS BLOB), 's1', 'c0', 'c1', 'acknowledged', 10, 11),
                    ('main', 2, 'str_a', 'k1', 20, 1, CAST('[{\"n\":2}]' AS BLOB), 's2', 'c1', 'c2', 'waiting', 20, NULL);",
        )
        .unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection.close().unwrap();
    let store = Sqlite::open(&path).unwrap();
    let main = ConnectionName::parse("main").unwrap();
    let now = Timestamp::from_unix_ms(1000);
    assert_eq!(store.audit_entries_waiting(main.clone()).await.unwrap(), 2);
    let exported = store.export_audit_batches(main.clone(), 0, 10).await.unwrap();
    assert_eq!(exported.len(), 2);
    assert_eq!((exported[0].previous.as_str(), exported[0].batch.attempts), ("c0", 0));
    let next = store.next_batch_to_ship(main.clone(), now).await.unwrap().unwrap();
    assert_eq!((next.batch.sequence, next.body.as_ref()), (2, br#"[{"n":2}]"#.as_slice()));
    let new = store.start_audit_stream(main.clone(), "restored".into()).await.unwrap().unwrap();
    assert_eq!((new.old.as_str(), new.batches_replaced), ("str_a", 1));
    let secret = secrecy::SecretString::from("0123456789abcdef0123456789abcdef");
    let signer = Arc::new(HmacSigner::new("k1".into(), &secret).unwrap());
    let sealed = store.seal_audit_batch(main.clone(), signer, SealWhen::Now, now).await.unwrap();
    assert_eq!(sealed.unwrap().count, 2);
    let next = store.next_batch_to_ship(main, now).await.unwrap().unwrap();
    assert_eq!(next.previous, "c1");
    store.close().await;
    Sqlite::open(&path).unwrap().close().await;
}

/// A file of version 2 with messages in several states: what may be sent is found, everything is counted, and
/// what ended has its end.
#[tokio::test]
async fn a_file_of_version_2_is_brought_up_to_date_with_everything_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(include_str!("schema_2.sql")).unwrap();
    let ended = Timestamp::parse("2026-11-22T10:00:05.251Z").unwrap();
    for (number, state) in ["submitted", "delivered", "accepted", "accepted"].iter().enumerate() {
        let mut delivery = Delivery::accepted(Timestamp::from_unix_ms(5), None, None, 10_000, true);
        delivery.state = State::parse(state).unwrap();
        delivery.ended_at = (*state == "delivered").then_some(ended);
        let ids = (
            SubmissionId::new(ended, [u8::try_from(number).unwrap(); 10]),
            MessageId::new(ended, [u8::try_from(number).unwrap(); 10]),
        );
        connection
            .execute(
                "INSERT INTO submissions VALUES (?1, 'local', ?2, x'07', 5)",
                (ids.0.as_str(), format!("k{number}")),
            )
            .unwrap();
        connection.execute("INSERT INTO payloads (bytes) VALUES (x'7b7d')", []).unwrap();
        connection
            .execute(
                "INSERT INTO messages (id, submission_id, connection, conversation_id, channel, sender, \
                 recipients, preview, payload_id, accepted_at, version, state, verdict, due_at, delivery) \
                 VALUES (?1, ?2, 'main', '00000000-0000-4000-8000-000000000001', 'sms', '+44', '[]', '', ?3, 5, \
                 1, ?4, 'pending', 5, ?5)",
                (ids.1.as_str(), ids.0.as_str(), 1 + i64::try_from(number).unwrap(), state,
                 serde_json::to_string(&delivery).unwrap()),
            )
            .unwrap();
    }
    connection.pragma_update(None, "user_version", 2).unwrap();
    connection.close().unwrap();
    let store = Sqlite::open(&path).unwrap();
    let now = Timestamp::from_unix_ms(1000);
    let claims =
        store.claim(Work::Send, now, Timestamp::from_unix_ms(2000), 10, vec![]).await.unwrap();
    let keys: Vec<_> = claims.iter().map(|claim| claim.key.as_str().to_owned()).collect();
    assert_eq!(keys, ["k2"]);
    let mut counts = store.backlog().await.unwrap().messages;
    counts.sort_by_key(|(state, _)| state.as_str());
    assert_eq!(counts, [(State::Accepted, 2), (State::Delivered, 1), (State::Submitted, 1)]);
    store.close().await;
    let connection = rusqlite::Connection::open(&path).unwrap();
    let stored: i64 = connection
        .query_row("SELECT ended_at FROM messages WHERE state = 'delivered'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(stored, ended.unix_ms());
    assert_same_schema(&connection, folder.path());
}

/// Both ways lead to the same schema: a file brought up to date, and a new one.
fn assert_same_schema(connection: &rusqlite::Connection, folder: &std::path::Path) {
    let fresh = folder.join("fresh.sqlite");
    Sqlite::open(&fresh).unwrap();
    let schema = |connection: &rusqlite::Connection| -> Vec<(String, Vec<String>)> {
        let names = "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name";
        let mut names = connection.prepare(names).unwrap();
        let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let columns = |name: &str| -> Vec<String> {
            let sql = format!("SELECT name FROM pragma_table_xinfo('{name}') ORDER BY name");
            let mut columns = connection.prepare(&sql).unwrap();
            columns.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        names.map(|name| name.unwrap()).map(|name| (name.clone(), columns(&name))).collect()
    };
    assert_eq!(schema(connection), schema(&rusqlite::Connection::open(&fresh).unwrap()));
    // Indexes hold the same rows in the same order; how a file came by them changes nothing.
    let indexes = |connection: &rusqlite::Connection| -> Vec<String> {
        let sql =
            "SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name";
        let mut statement = connection.prepare(sql).unwrap();
        let lines = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        lines.map(|sql| sql.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    assert_eq!(indexes(connection), indexes(&rusqlite::Connection::open(&fresh).unwrap()));
}

/// A file of version 3 with a message in each of three states, its history, and a later one that was removed.
#[tokio::test]
async fn a_file_of_version_3_is_brought_up_to_date_with_everything_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(include_str!("schema_3.sql")).unwrap();
    let accepted = Timestamp::parse("2026-11-22T10:00:05.251Z").unwrap();
    let mut ids = Vec::new();
    for (number, state) in ["delivered", "accepted", "accepted", "cancelled"].iter().enumerate() {
        let byte = u8::try_from(number).unwrap();
        let mut delivery = Delivery::accepted(accepted, None, None, 10_000, true);
        delivery.state = State::parse(state).unwrap();
        let submission = SubmissionId::new(accepted, [byte; 10]);
        let message = MessageId::new(accepted, [byte; 10]);
        connection
            .execute(
                "INSERT INTO submissions VALUES (?1, 'local', ?2, ?3, ?4)",
                (submission.as_str(), format!("k{number}"), [7_u8; 32], accepted.unix_ms()),
            )
            .unwrap();
        connection
            .execute(
                "INSERT INTO payloads (bytes) VALUES (?1)",
                [r#"{"from":"+44","to":["+45"],"type":"text/plain","content":"Hello"}"#.as_bytes()],
            )
            .unwrap();
        connection
            .execute(
                "INSERT INTO messages (id, submission_id, connection, conversation_id, channel, sender, \
                 recipients, preview, payload_id, accepted_at, version, state, verdict, due_at, held, delivery) \
                 VALUES (?1, ?2, 'main', '00000000-0000-4000-8000-000000000001', 'sms', '+44', '[]', '', ?3, ?4, \
                 1, ?5, 'pending', ?4, ?6, ?7)",
                (message.as_str(), submission.as_str(), 1 + i64::from(byte), accepted.unix_ms(), state,
                 i64::from(number == 2), serde_json::to_string(&delivery).unwrap()),
            )
            .unwrap();
        let event = format!(
            r#"{{"seq":0,"at":"{accepted}","kind":"accepted","actor":"user","state":"accepted","attempt":0,"reason":null,"due_at":null,"platform_at":null}}"#
        );
        connection
            .execute(
                "INSERT INTO events (message_id, body) VALUES (?1, ?2)",
                (message.as_str(), event),
            )
            .unwrap();
        ids.push((submission, message));
    }
    connection
        .execute_batch(
            "INSERT INTO removed_messages SELECT id, submission_id, position, 9 FROM messages WHERE position = 4;
             DELETE FROM events WHERE seq = 4; DELETE FROM messages WHERE position = 4;
             DELETE FROM payloads WHERE id = 4;",
        )
        .unwrap();
    connection.pragma_update(None, "user_version", 3).unwrap();
    connection.close().unwrap();

    let store = Sqlite::open(&path).unwrap();
    let mut counts = store.backlog().await.unwrap().messages;
    counts.sort_by_key(|(state, _)| state.as_str());
    assert_eq!(counts, [(State::Accepted, 2), (State::Delivered, 1)]);
    let detail = store.find_message(ids[0].1.clone()).await.unwrap().unwrap();
    assert_eq!((detail.key.as_str(), detail.events.len(), detail.events[0].seq), ("k0", 1, 1));
    assert_eq!(detail.payload.content.as_str(), Some("Hello"));
    for (number, (submission, message)) in ids.iter().enumerate() {
        let found = store.find_submission(submission.clone()).await.unwrap().unwrap();
        assert_eq!(found.key.as_str(), format!("k{number}"), "also where the message was removed");
        let key = Key::parse(&format!("k{number}")).unwrap();
        let answer = store.find_accepted("local".into(), key, [7; 32]).await.unwrap().unwrap();
        assert_eq!(answer.messages[0].id, *message);
    }
    let period =
        store.deliveries_accepted(accepted, accepted.plus(Duration::from_millis(1)), None, 9);
    assert_eq!(period.await.unwrap().len(), 3);
    // Positions go on where they were, and the turn is kept.
    assert!(matches!(
        store.accept_submission(submission("k4", 1)).await.unwrap(),
        Accepted::New(_)
    ));
    assert_eq!(*store.last_event().borrow(), 5);
    let now = accepted.plus(Duration::from_secs(3600));
    let claims = store.claim(Work::Send, now, now.plus(Duration::from_secs(9)), 9, vec![]).await;
    let keys: Vec<_> = claims.unwrap().iter().map(|one| one.key.as_str().to_owned()).collect();
    assert_eq!(keys, ["k1", "k4"]);
    store.close().await;
    let connection = rusqlite::Connection::open(&path).unwrap();
    let last: i64 =
        connection.query_row("SELECT max(position) FROM messages", [], |row| row.get(0)).unwrap();
    assert_eq!(last, 5);
    assert_same_schema(&connection, folder.path());
}

#[tokio::test]
async fn a_closed_store_says_so_and_reopens_with_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let store = Sqlite::open(&path).unwrap();
    store.close().await;
    let now = shared::time::Timestamp::from_unix_ms(0);
    assert!(store.recover(now).await.is_err());
    drop(store);
    let store = Sqlite::open(&path).unwrap();
    assert!(
        store.list_messages(MessageFilter { limit: 1, ..MessageFilter::default() }).await.is_ok()
    );
}

/// Bad inputs, row 76: the log cut at every kind of place, or with a byte flipped.
#[tokio::test]
async fn row_76_a_torn_log_gives_every_commit_before_the_tear() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let log = folder.path().join("store.sqlite-wal");
    let store = Sqlite::open(&path).unwrap();
    store.accept_submission(submission("in-the-file", 0)).await.unwrap();
    store.close().await;
    let store = Sqlite::open(&path).unwrap();
    // Where each commit ends in the log.
    let mut ends = Vec::new();
    for number in 1..=6 {
        store.accept_submission(submission(&format!("k{number}"), number)).await.unwrap();
        ends.push(usize::try_from(fs::metadata(&log).unwrap().len()).unwrap());
    }
    let (file_bytes, log_bytes) = (fs::read(&path).unwrap(), fs::read(&log).unwrap());
    drop(store);
    let messages_in = async |log_bytes: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        fs::write(&path, &file_bytes).unwrap();
        fs::write(folder.path().join("store.sqlite-wal"), log_bytes).unwrap();
        let store = Sqlite::open(&path).unwrap();
        let found = store.count_messages().await.unwrap().total;
        store.accept_submission(submission("after-it", 9)).await.unwrap();
        assert_eq!(store.count_messages().await.unwrap().total, found + 1);
        store.close().await;
        Sqlite::open(&path).unwrap().close().await;
        usize::try_from(found).unwrap()
    };
    let frame = 24 + 4096;
    let mut cuts = vec![0, 1, 31, 32, 33, 32 + 24, 32 + frame, log_bytes.len()];
    for end in &ends {
        cuts.extend([end - frame - 1, end - frame, end - 1, *end, end + 1, end + 24]);
    }
    for cut in cuts.into_iter().filter(|cut| *cut <= log_bytes.len()) {
        let whole = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(messages_in(&log_bytes[..cut]).await, 1 + whole, "cut at {cut}, ends {ends:?}");
    }
    for flipped in [40, ends[0] + 30, ends[2] - 5, ends[4] + 10] {
        let mut bytes = log_bytes.clone();
        bytes[flipped] ^= 0xff;
        let whole = ends.iter().filter(|end| **end <= flipped).count();
        assert_eq!(messages_in(&bytes).await, 1 + whole, "flipped at {flipped}, ends {ends:?}");
    }
}

/// Bad inputs, row 76: what SQLite keeps beside the file, deleted while stopped.
#[tokio::test]
async fn row_76_without_its_index_everything_is_there_and_without_its_log_what_was_folded_in() {
    for (deleted, expected) in [("store.sqlite-shm", 2), ("store.sqlite-wal", 1)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        let store = Sqlite::open(&path).unwrap();
        store.accept_submission(submission("first", 1)).await.unwrap();
        store.close().await;
        let store = Sqlite::open(&path).unwrap();
        store.accept_submission(submission("second", 2)).await.unwrap();
        let after = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), after.path().join(entry.file_name())).unwrap();
        }
        fs::remove_file(after.path().join(deleted)).unwrap();
        let store = Sqlite::open(&after.path().join("store.sqlite")).unwrap();
        assert_eq!(store.count_messages().await.unwrap().total, expected, "without {deleted}");
        store.close().await;
    }
}

/// Bad inputs, row 73, as far as the quota goes: nothing new, and everything that was accepted goes on.
#[tokio::test]
async fn row_73_a_quota_refuses_what_is_new_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let store = Sqlite::open(&path).unwrap().with_quota(Some(1_000_000));
    let mut accepted = 0;
    let refused = loop {
        match store.accept_submission(submission(&format!("k{accepted}"), accepted)).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    let Error::Quota { used, quota: 1_000_000 } = refused else { panic!("{refused}") };
    assert!((800_000..900_000).contains(&used), "{used}");
    assert!(accepted > 50, "{accepted}");
    assert_eq!(store.count_messages().await.unwrap().total, u64::from(accepted));
    let again = store.accept_submission(submission("k0", 0)).await.unwrap();
    assert!(matches!(again, Accepted::Repeated(_)), "{again:?}");
    let now = submission("any", 0).delivery.accepted_at.plus(std::time::Duration::from_secs(1));
    let lease = now.plus(std::time::Duration::from_secs(60));
    assert_eq!(store.claim(Work::Send, now, lease, 5, Vec::new()).await.unwrap().len(), 5);
    store.close().await;
    let store = Sqlite::open(&path).unwrap().with_quota(Some(2_000_000));
    store.accept_submission(submission("new", 0)).await.unwrap();
}

/// Bad inputs, row 73: a full disk on accept, on attempt and on seal. Nothing is half written, and everything goes on
/// when space returns.
#[tokio::test]
async fn row_73_a_full_disk_refuses_every_write_and_leaves_nothing_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("store.sqlite")).unwrap();
    for number in 0..40 {
        store.accept_submission(submission(&format!("k{number}"), number)).await.unwrap();
    }
    let now = submission("any", 0).delivery.accepted_at.plus(std::time::Duration::from_secs(1));
    let lease = now.plus(std::time::Duration::from_secs(600));
    let claims = store.claim(Work::Send, now, lease, 40, Vec::new()).await.unwrap();
    assert_eq!(claims.len(), 40);
    let change = |claim: &Claim, happening| Change {
        message_id: claim.message_id.clone(),
        epoch: Some(claim.epoch),
        happening,
        actor: Actor::Proxy,
        policy: Policy::default(),
        jitter: 0.0,
        keep_claim: true,
        channel: None,
    };
    // No page more than there is: whatever needs one is refused.
    store.limit_pages(Some(1)).await.unwrap();
    let mut more = 0;
    let full = loop {
        match store.accept_submission(submission(&format!("more{more}"), 100 + more)).await {
            Ok(_) => more += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, Error::Full), "{full}");
    let mut begun = 0;
    let full = loop {
        let Some(claim) = claims.get(begun) else { panic!("every attempt found space") };
        match store.apply(change(claim, Happening::AttemptStarted), now).await {
            Ok(_) => begun += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, Error::Full), "{full}");
    let first = &claims[begun];
    let detail = store.find_message(first.message_id.clone()).await.unwrap().unwrap();
    assert_eq!(detail.message.delivery.state, State::Accepted, "no attempt without a commit");
    assert_eq!(detail.events.len(), 1, "and no trace of one");
    assert_eq!(store.count_messages().await.unwrap().total, u64::from(40 + more));

    store.limit_pages(None).await.unwrap();
    let new = store.accept_submission(submission(&format!("more{more}"), 100 + more)).await;
    assert!(matches!(new.unwrap(), Accepted::New(_)), "the same key, once");
    for claim in &claims {
        store.apply(change(claim, Happening::Cancelled), now).await.unwrap();
    }
    let main = submission("any", 0).connection;
    let secret = secrecy::SecretString::from("0123456789abcdef0123456789abcdef");
    let signer = Arc::new(HmacSigner::new("k1".into(), &secret).unwrap());
    store.limit_pages(Some(1)).await.unwrap();
    let mut sealed = 0;
    loop {
        let signer = signer.clone();
        match store.seal_audit_batch(main.clone(), signer, SealWhen::Now, now).await {
            Ok(Some(batch)) => {
                sealed += 1;
                assert_eq!(batch.sequence, sealed);
            }
            Ok(None) => panic!("every batch found space"),
            Err(error) => break assert!(matches!(error, Error::Full), "{error}"),
        }
    }
    store.limit_pages(None).await.unwrap();
    let next = store.seal_audit_batch(main, signer, SealWhen::Now, now).await.unwrap().unwrap();
    assert_eq!(next.sequence, sealed + 1, "no gap");
}
