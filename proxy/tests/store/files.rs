//! What the embedded store promises about its file: everything survives, and a file it should not touch
//! stays as it was.

use proxy::audit::HmacSigner;
use proxy::store::sqlite::{OpenError, Sqlite};
use proxy::store::{MessageFilter, SealWhen, Store, Work};
use shared::delivery::{Delivery, State};
use shared::id::{ConnectionName, MessageId, SubmissionId};
use shared::time::Timestamp;
use std::fs;
use std::sync::Arc;

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
    // Both ways lead to the same schema.
    let fresh = folder.path().join("fresh.sqlite");
    Sqlite::open(&fresh).unwrap().close().await;
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
    assert_eq!(schema(&connection), schema(&rusqlite::Connection::open(&fresh).unwrap()));
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
