//! What the embedded store promises about its file: everything survives, and a file it should not touch
//! stays as it was.

use proxy::store::sqlite::{OpenError, Sqlite};
use proxy::store::{MessageFilter, Store};
use std::fs;

/// §6 row 13.
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

/// §6 row 14.
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
