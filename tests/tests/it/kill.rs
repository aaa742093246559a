//! `kill -9` at the worst moments. The platform is a process of its own and remembers; the proxy is killed
//! between accepting and delivering, started again on the same data folder, and must neither lose nor double
//! anything: one platform id for each key, each message audited once, the chain whole.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tests::audit::{self, Batch};
use tests::sandbox::AUDIT_SECRET;
use tests::submission::{key, text};
use tests::wait::found;
use tests::{Place, SandboxProcess, Waybill, eventually_within};

const MESSAGES: usize = 50;
const CONVERSATIONS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(80);

/// When the proxy is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// Right after the answer to the last submission.
    Accepted,
    /// When so many posts have reached the platform.
    Sends(usize),
    /// When every message has reached the platform, but not all are known to be delivered.
    Tracking,
    /// When so many are delivered, and so some entries sealed and others not.
    Delivered(usize),
}

/// A platform that answers sends slowly enough to be interrupted, and a proxy's settings for it.
async fn stage(faults: &Value) -> (Place, SandboxProcess) {
    let mut place = Place::new();
    let sandbox = SandboxProcess::start(&place).await;
    // Latencies shrink with the speed, and so does the time a run takes.
    sandbox.put_speed(5.0).await;
    sandbox.put_faults(faults).await;
    place.configure(&sandbox.settings(&place));
    (place, sandbox)
}

fn body(sandbox: &SandboxProcess, number: usize) -> Value {
    let all = sandbox.conversations();
    let to = &all[number % CONVERSATIONS];
    text("main", &to.id, &to.from, &to.to, &format!("Message {number}"))
}

/// Accepts everything; the answers by key.
async fn accept_all(waybill: &Waybill, sandbox: &SandboxProcess) -> BTreeMap<String, Value> {
    let mut accepted = BTreeMap::new();
    for number in 0..MESSAGES {
        let key = key("kill", number);
        let answer = waybill.api.submit(&key, &body(sandbox, number)).await.expect(202).json();
        accepted.insert(key, answer);
    }
    accepted
}

async fn delivered(waybill: &Waybill) -> usize {
    let all = waybill.api.messages().await;
    all.values().filter(|one| one["state"] == "delivered" || one["state"] == "read").count()
}

/// Waits for the moment; it may have passed already where an earlier kill came late.
async fn wait_for(moment: Moment, waybill: &Waybill, sandbox: &SandboxProcess) {
    eventually_within(PATIENCE, &format!("{moment:?}"), async || {
        let sends = sandbox.sends().await;
        let arrived = sends.iter().filter(|send| send["duplicate"] == false).count();
        let is_there = match moment {
            Moment::Accepted => true,
            Moment::Sends(count) => arrived >= count,
            Moment::Tracking => arrived == MESSAGES,
            Moment::Delivered(count) => delivered(waybill).await >= count,
        };
        found(is_there, arrived)
    })
    .await;
}

/// The whole promise, seen from the platform, the proxy and the auditor.
async fn nothing_lost_nothing_doubled(
    waybill: &Waybill,
    sandbox: &SandboxProcess,
    accepted: &BTreeMap<String, Value>,
) {
    let messages = eventually_within(PATIENCE, "all are delivered", async || {
        let messages = waybill.api.messages().await;
        let mut states: BTreeMap<String, usize> = BTreeMap::new();
        for message in messages.values() {
            *states.entry(message["state"].to_string()).or_default() += 1;
        }
        let done = messages
            .values()
            .filter(|one| one["state"] == "delivered" || one["state"] == "read")
            .count();
        found(done == MESSAGES, states).map(|_| messages)
    })
    .await;
    assert_eq!(messages.len(), MESSAGES);

    // The platform has taken each key once; every repeat got the first one's id.
    let sends = sandbox.sends().await;
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for send in &sends {
        let word = |name: &str| send[name].as_str().expect("a send has it").to_owned();
        ids.entry(word("key")).or_default().insert(word("id"));
    }
    let originals: Vec<_> = sends.iter().filter(|send| send["duplicate"] == false).collect();
    assert_eq!(originals.len(), MESSAGES, "{sends:?}");
    assert!(ids.keys().eq(accepted.keys()));
    assert!(ids.values().all(|ids| ids.len() == 1), "{ids:?}");

    // The proxy knows the same ids, and gives the stored answers still.
    let mut platform_ids = BTreeSet::new();
    for (number, (key, answer)) in accepted.iter().enumerate() {
        let id = answer["messages"][0]["id"].as_str().expect("an id");
        let platform_id = messages[id]["platform_id"].as_str().expect("a platform id");
        assert!(ids[key].contains(platform_id), "{key}: {platform_id} is not {:?}", ids[key]);
        platform_ids.insert(platform_id.to_owned());
        let again = waybill.api.submit(key, &body(sandbox, number)).await.expect(202);
        assert_eq!(&again.json(), answer);
    }
    assert_eq!(platform_ids.len(), MESSAGES);

    // Messages of one conversation arrived in the order they were accepted in.
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for send in originals {
        let conversation = send["conversation_id"].as_str().expect("a conversation");
        let key = send["key"].as_str().expect("a key");
        if let Some(before) = last.insert(conversation, key) {
            assert!(before < key, "{key} came after {before} in {conversation}");
        }
    }

    // The auditor has each message once, in batches 1 to n whose chain holds.
    let entries = eventually_within(PATIENCE, "everything is audited", async || {
        let batches: Vec<Batch> = sandbox.batches().await.iter().map(Batch::read).collect();
        let count: usize = batches.iter().map(|batch| batch.entries().len()).sum();
        found(count >= MESSAGES, count).map(|_| batches)
    })
    .await;
    let verified = sandbox.batches().await.iter().all(|batch| batch["verified"] == true);
    assert!(verified, "the sandbox did not verify every batch");
    let batches = entries;
    for batch in &batches {
        audit::verify_attempt(AUDIT_SECRET, batch);
    }
    let entries = audit::verify(AUDIT_SECRET, &batches);
    let mut audited = BTreeSet::new();
    for entry in &entries {
        let id = entry["message_id"].as_str().expect("an entry names its message");
        assert!(audited.insert(id.to_owned()), "{id} is audited twice");
        assert_eq!(entry["status"], "delivered", "{entry}");
    }
    assert_eq!(audited, platform_ids);
}

async fn survives(faults: Value, moments: &[Moment]) {
    let (place, sandbox) = stage(&faults).await;
    let mut waybill = place.serve().await;
    let accepted = accept_all(&waybill, &sandbox).await;
    for moment in moments {
        wait_for(*moment, &waybill, &sandbox).await;
        waybill.kill9().await;
        waybill = place.serve().await;
    }
    nothing_lost_nothing_doubled(&waybill, &sandbox, &accepted).await;
    let log = place.log();
    assert!(!log.contains("panicked"), "{log}");
}

fn slow_sends() -> Value {
    json!({"latency": {"percent": 100, "ms": 300, "only": "send"}})
}

#[tokio::test]
async fn killed_right_after_the_last_answer() {
    survives(slow_sends(), &[Moment::Accepted]).await;
}

#[tokio::test]
async fn killed_again_and_again_while_sending_and_tracking() {
    let moments = [
        Moment::Sends(8),
        Moment::Sends(25),
        Moment::Tracking,
        Moment::Delivered(20),
        Moment::Delivered(45),
    ];
    survives(slow_sends(), &moments).await;
}

#[tokio::test]
async fn killed_while_the_platform_loses_answers() {
    let faults = json!({
        "latency": {"percent": 100, "ms": 200, "only": "send"},
        "lost_reply": {"percent": 25, "only": "send"},
    });
    survives(faults, &[Moment::Sends(12), Moment::Tracking]).await;
}

#[tokio::test]
async fn killed_at_every_tenth_send_full_run() {
    for offset in 0..5 {
        let moments: Vec<Moment> =
            (0..5).map(|step| Moment::Sends(1 + offset * 2 + step * 10)).collect();
        survives(slow_sends(), &moments).await;
    }
}
