//! What becomes of messages when the disk or the database does not do what it should.

use crate::backup::all_acknowledged;
use rusqlite::Connection;
use std::fs;
use std::time::{Duration, Instant};
use tests::submission::{guide, key, sms};
use tests::{Place, eventually, wait::found};

fn database(place: &Place) -> Connection {
    Connection::open(place.data().join("waybill.sqlite")).unwrap()
}

#[tokio::test]
async fn row_74_a_database_that_another_process_locks_is_said_after_five_seconds_and_waited_for() {
    let place = Place::new();
    let waybill = place.serve().await;
    let api = &waybill.api;
    let sent = api.send(&key("locked", 0), &sms("Before it")).await;
    api.message_in(&sent, &["delivered", "read"], Duration::from_secs(30)).await;
    let other = database(&place);
    other.busy_timeout(Duration::from_secs(5)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let locked = Instant::now();
    let refused = api.submit(&key("locked", 1), &sms("Meanwhile")).await.expect(503);
    let waited = locked.elapsed();
    assert_eq!(refused.code(), "storage_busy");
    assert!((4..10).contains(&waited.as_secs()), "after {waited:?}");
    // What needs no write goes on.
    assert_eq!(api.messages().await.len(), 1);
    let refused = api.submit(&key("locked", 1), &sms("Meanwhile")).await.expect(503);
    assert_eq!(refused.code(), "storage_busy");
    assert!(locked.elapsed() >= Duration::from_secs(9), "{:?}", locked.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    // Nothing is half stored: the same key is new, once.
    let id = api.send(&key("locked", 1), &sms("Meanwhile")).await;
    api.message_in(&id, &["delivered", "read"], Duration::from_secs(30)).await;
    assert_eq!(api.messages().await.len(), 2);
    let sends = api.read("/api/v1/sandbox/sends").await;
    assert_eq!(sends["sends"].as_array().map(Vec::len), Some(2), "{sends}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn row_75_a_disk_error_ends_the_process_with_code_3_and_the_next_start_recovers() {
    use tests::faulty_disk::{Failing, FaultyDisk};
    for call in [Failing::Write, Failing::Sync] {
        let mut place = Place::new();
        let disk = FaultyDisk::under(&mut place);
        let mut waybill = place.serve().await;
        let before = waybill.api.send(&key("disk", 0), &sms("Before it")).await;
        disk.fail(call);
        // Whoever hears anything hears no yes.
        let answer = waybill.api.try_submit(&key("disk", 1), &sms("Into the void")).await;
        if let Ok(answer) = answer {
            assert_eq!(answer.status, 503, "{call:?}: {}", answer.text());
            assert!(!answer.text().contains("Nothing was stored"), "nobody can know that");
        }
        let ended = waybill.ended(Duration::from_secs(20)).await;
        let ended = ended.unwrap_or_else(|| panic!("{call:?}: it goes on\n{}", place.log()));
        assert_eq!(ended.code(), Some(3), "{call:?}: {}", place.log());
        disk.mend();
        let waybill = place.serve().await;
        let id = waybill.api.send(&key("disk", 1), &sms("Into the void")).await;
        for id in [&before, &id] {
            waybill.api.message_in(id, &["delivered", "read"], Duration::from_secs(60)).await;
        }
        assert_eq!(waybill.api.messages().await.len(), 2, "{call:?}");
        let sends = waybill.api.read("/api/v1/sandbox/sends").await;
        let all = sends["sends"].as_array().unwrap();
        let ids: std::collections::BTreeSet<_> =
            all.iter().filter_map(|one| one["id"].as_str()).collect();
        assert_eq!(ids.len(), 2, "{call:?}: {sends}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn row_76_a_read_only_data_folder_is_refused_and_nothing_in_it_changes() {
    let mut place = Place::new();
    let waybill = place.serve().await;
    waybill.api.send(&key("read-only", 0), &guide("Before it")).await;
    let (status, _) = waybill.terminate().await;
    assert_eq!(status.code(), Some(0));
    let contents = |place: &Place| -> Vec<_> {
        let files = fs::read_dir(place.data()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> =
            files.map(|path| (fs::read(&path).unwrap_or_default(), path)).collect();
        files.sort();
        files
    };
    let before = contents(&place);
    tests::faulty_disk::read_only_data(&mut place);
    let ended = place.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains(&place.data().display().to_string()), "{ended:?}");
    assert!(contents(&place) == before, "the folder was changed");
}

#[tokio::test]
async fn row_73_a_quota_that_is_nearly_used_up_is_said_with_what_to_do_and_messages_go_on() {
    let mut place = Place::new();
    place.configure("[data]\nquota_mb = 2\n");
    let waybill = place.serve().await;
    let api = &waybill.api;
    let sent = api.send(&key("quota", 0), &guide("Before it")).await;
    let mut accepted = 0;
    let refused = loop {
        let mut body = guide(&format!("Message {accepted} {}", "x".repeat(100_000)));
        body["not_before"] = "2027-06-01T00:00:00Z".into();
        let answer = api.submit(&key("quota-more", accepted), &body).await;
        if answer.status != 202 {
            break answer.expect(503);
        }
        accepted += 1;
        assert!(accepted < 30, "2 MB hold no {accepted} messages of 100 kB");
    };
    assert_eq!(refused.code(), "storage_full");
    for words in ["data.quota_mb", "retention.messages_days", "same key"] {
        assert!(refused.text().contains(words), "{}", refused.text());
    }
    assert!(accepted > 8, "{accepted}");
    // What was accepted goes its way, and a repeated key gets its answer.
    api.message_in(&sent, &["delivered", "read"], Duration::from_secs(30)).await;
    assert_eq!(api.send(&key("quota", 0), &guide("Before it")).await, sent);
}

#[tokio::test]
async fn a_message_that_was_removed_is_not_found_and_its_key_still_gets_its_answer() {
    let mut place = Place::new();
    place.configure("[retention]\nmessages_days = 1\n");
    let waybill = place.serve().await;
    let old = waybill.api.send(&key("removed", 0), &sms("Long ago")).await;
    let young = waybill.api.send(&key("removed", 1), &sms("Today")).await;
    for id in [&old, &young] {
        waybill.api.message_in(id, &["delivered", "read"], Duration::from_secs(60)).await;
    }
    // Until the sink has its entries it stays, however old it is.
    all_acknowledged(&waybill.api).await;
    let (status, _) = waybill.terminate().await;
    assert_eq!(status.code(), Some(0));
    // Two days pass for one of them.
    let sql = "UPDATE messages SET ended_at = ended_at - 172800000, due_at = NULL WHERE id = ?1";
    let changed = database(&place).execute(sql, [&old]).unwrap();
    assert_eq!(changed, 1);
    let waybill = place.serve().await;
    let path = format!("/api/v1/messages/{old}");
    let gone = eventually("it is removed", async || {
        let answer = waybill.api.get(&path).await;
        found(answer.status == 404, (answer.status, answer.text()))
    })
    .await;
    assert!(gone.1.contains("removed"), "{}", gone.1);
    waybill.api.get(&format!("/api/v1/messages/{young}")).await.expect(200);
    assert_eq!(waybill.api.send(&key("removed", 0), &sms("Long ago")).await, old);
    let sends = waybill.api.read("/api/v1/sandbox/sends").await;
    assert_eq!(sends["sends"].as_array().map(Vec::len), Some(2), "{sends}");
}
