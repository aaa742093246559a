//! The audit on its way: a sink that is down, fails, loses answers or comes back. Batches arrive in order,
//! the bytes never change, and nothing is dropped.

use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tests::audit::{self, Batch};
use tests::sandbox::AUDIT_SECRET;
use tests::sink::{Reply, Sink};
use tests::submission::{guide, key, sms};
use tests::wait::found;
use tests::{Place, Waybill, eventually_within};

const PATIENCE: Duration = Duration::from_secs(45);

/// A place whose in-process sandbox delivers quickly and whose audit goes to `sink_url`.
fn place_with_sink(sink_url: &str) -> Place {
    let mut place = Place::new();
    let secret = place.write("audit-secret", AUDIT_SECRET.as_bytes());
    place.configure(&format!(
        "[audit]\nsink_url = \"{sink_url}\"\nsecret_file = \"{}\"\nkey_id = \"k7\"\n",
        secret.display()
    ));
    place
}

/// Cancels a message, which ends it at once and so makes an audit entry at once.
async fn make_entry(waybill: &Waybill, number: usize) -> String {
    let mut body = guide(&format!("Entry {number}"));
    body["not_before"] = json!("2027-06-01T00:00:00Z");
    let id = waybill.api.send(&key("entry", number), &body).await;
    let path = format!("/api/v1/messages/{id}/cancel");
    let request = waybill.api.request(reqwest::Method::POST, &path).json(&json!({}));
    tests::Answer::of(request).await.expect(200);
    id
}

async fn acknowledged(waybill: &Waybill, count: usize) {
    eventually_within(PATIENCE, &format!("{count} batches are acknowledged"), async || {
        let page = waybill.api.read("/api/v1/audit/batches?limit=200").await;
        let items = page["items"].as_array().expect("a page has items").clone();
        let done = items.iter().filter(|one| one["shipping"] == "acknowledged").count();
        found(done >= count, items)
    })
    .await;
}

/// The batches a sink has taken, each once, in the order they came.
fn taken(posts: &[(Batch, Reply)]) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for (batch, reply) in posts {
        let is_taken = reply.takes();
        let is_new = batches.iter().all(|one| one.sealed() != batch.sealed());
        if is_taken && is_new {
            batches.push(batch.clone());
        }
    }
    batches
}

#[tokio::test]
async fn a_sink_that_fails_gets_the_same_bytes_again_before_anything_later() {
    let sink = Sink::start(&[Reply::Status(500), Reply::Lost]).await;
    let place = place_with_sink(&sink.url());
    let waybill = place.serve().await;
    let mut ids = BTreeSet::from([make_entry(&waybill, 0).await]);
    // The second batch is sealed while the first one waits.
    eventually_within(PATIENCE, "the first post", async || {
        let count = sink.posts().len();
        found(count >= 1, count)
    })
    .await;
    ids.insert(make_entry(&waybill, 1).await);
    eventually_within(PATIENCE, "two posts", async || {
        let count = sink.posts().len();
        found(count >= 2, count)
    })
    .await;
    let posts = sink.posts();
    let (first, second) = (&posts[0].0, &posts[1].0);
    assert_eq!(first.header("x-audit-sequence"), "1");
    assert_eq!(first.sealed(), second.sealed(), "the bytes changed between attempts");
    for (batch, _) in &posts {
        audit::verify_attempt(AUDIT_SECRET, batch);
        assert_eq!(batch.header("content-type"), "application/json");
        assert_eq!(batch.header("x-audit-key-id"), "k7");
    }
    let problem = waybill.api.read("/api/v1/audit/batches").await;
    assert!(
        problem.to_string().contains("500") || problem.to_string().contains("broke"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_sink_that_comes_back_gets_everything_in_order() {
    // Nobody listens at this address until later.
    let reserved = Sink::start(&[]).await;
    let (url, address) = (reserved.url(), reserved.address.clone());
    drop(reserved);
    let place = place_with_sink(&url);
    let waybill = place.serve().await;
    let mut ids = BTreeSet::from([make_entry(&waybill, 0).await]);
    let unreachable = "the first batch could not be shipped";
    eventually_within(PATIENCE, unreachable, async || {
        let page = waybill.api.read("/api/v1/audit/batches").await;
        let first = page["items"][0].clone();
        found(first["attempts"].as_u64().unwrap_or(0) >= 1, first)
    })
    .await;
    for number in 1..60 {
        ids.insert(make_entry(&waybill, number).await);
    }
    // 50 entries close a batch at once, whatever its age; a restart in between changes nothing.
    eventually_within(PATIENCE, "a full batch is sealed", async || {
        let page = waybill.api.read("/api/v1/audit/batches").await;
        let counts: Vec<u64> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|one| one["count"].as_u64())
            .collect();
        found(counts.contains(&50), counts)
    })
    .await;
    let (status, _) = waybill.terminate().await;
    assert_eq!(status.code(), Some(0));
    let sink = Sink::start_at(&address, &[]).await;
    let waybill = place.serve().await;
    let batches = eventually_within(PATIENCE, "everything has arrived", async || {
        let batches = taken(&sink.posts());
        let count: usize = batches.iter().map(|batch| batch.entries().len()).sum();
        found(count >= 60, count).map(|_| batches)
    })
    .await;
    acknowledged(&waybill, batches.len()).await;
    let entries = audit::verify(AUDIT_SECRET, &batches);
    let audited: Vec<&str> =
        entries.iter().filter_map(|entry| entry["message_id"].as_str()).collect();
    assert_eq!(audited.len(), 60);
    assert_eq!(audited.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), ids);
    // In order on the wire as well: no sequence before the one below it.
    let sequences: Vec<u64> = sink
        .posts()
        .iter()
        .filter_map(|(batch, _)| batch.header("x-audit-sequence").parse().ok())
        .collect();
    assert!(sequences.is_sorted(), "{sequences:?}");
}

#[tokio::test]
async fn a_sink_that_refuses_stalls_the_stream_and_loses_nothing() {
    let sink = Sink::start(&[Reply::Status(400)]).await;
    let place = place_with_sink(&sink.url());
    let waybill = place.serve().await;
    make_entry(&waybill, 0).await;
    let batch = eventually_within(PATIENCE, "the batch is stalled", async || {
        let page = waybill.api.read("/api/v1/audit/batches").await;
        let first = page["items"][0].clone();
        found(first["shipping"] == "stalled", first)
    })
    .await;
    assert!(batch["problem"].as_str().is_some_and(|text| text.contains("400")), "{batch}");
    let metrics =
        tests::Answer::of(waybill.api.bare(reqwest::Method::GET, "/metrics")).await.text();
    assert!(metrics.contains("waybill_audit_batches_stalled 1"), "{metrics}");
    // Sending does not care.
    let id = waybill.api.send(&key("stalled", 1), &sms("Still sent")).await;
    waybill.api.message_in(&id, &["delivered", "read"], PATIENCE).await;
    assert_eq!(sink.posts().len(), 1, "a refusal is not repeated at once");
}

#[tokio::test]
async fn the_export_verifies_offline() {
    let place = Place::new();
    let waybill = place.serve().await;
    let id = waybill.api.send(&key("export", 1), &sms("Hello")).await;
    waybill.api.message_in(&id, &["delivered", "read"], PATIENCE).await;
    acknowledged(&waybill, 1).await;
    make_entry(&waybill, 0).await;
    acknowledged(&waybill, 2).await;
    let export = waybill.api.read("/api/v1/audit/export").await;
    let batches: Vec<Batch> = export["batches"]
        .as_array()
        .or_else(|| export["items"].as_array())
        .unwrap_or_else(|| panic!("no batches in {export}"))
        .iter()
        .map(Batch::read)
        .collect();
    let secret = place.data_text("audit-secret");
    assert_eq!(audit::verify(secret.trim(), &batches).len(), 2);
    let at_sink = waybill.api.read("/api/v1/sandbox/audit").await;
    let at_sink: Vec<Batch> =
        at_sink["batches"].as_array().unwrap().iter().map(Batch::read).collect();
    assert_eq!(audit::verify(secret.trim(), &at_sink).len(), 2);
}
