//! `waybill backup` under load and `waybill restore` into a sink that goes on watching: nothing that was in the
//! backup is lost or sent twice, and the auditor sees a new stream, never a rolled-back one.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tests::audit::{self, Batch};
use tests::sandbox::AUDIT_SECRET;
use tests::submission::{key, text};
use tests::wait::found;
use tests::{Api, Place, SandboxProcess, Waybill, eventually_within};

const PATIENCE: Duration = Duration::from_secs(60);

fn body(sandbox: &SandboxProcess, number: usize) -> Value {
    let all = sandbox.conversations();
    let to = &all[number % 10];
    text("main", &to.id, &to.from, &to.to, &format!("Message {number}"))
}

async fn stage() -> (Place, SandboxProcess) {
    let mut place = Place::new();
    let sandbox = SandboxProcess::start(&place).await;
    sandbox.put_speed(20.0).await;
    sandbox.put_faults(&json!({"latency": {"percent": 100, "ms": 50, "only": "send"}})).await;
    place.configure(&sandbox.settings(&place));
    (place, sandbox)
}

async fn delivered(waybill: &Waybill, count: usize) -> BTreeMap<String, Value> {
    eventually_within(PATIENCE, &format!("{count} are delivered"), async || {
        let messages = waybill.api.messages().await;
        let is_there = |one: &&Value| one["state"] == "delivered" || one["state"] == "read";
        let there = messages.values().filter(is_there).count();
        found(there == count && messages.len() == count, (there, messages.len())).map(|_| messages)
    })
    .await
}

/// Waits until the sink has acknowledged everything.
pub async fn all_acknowledged(api: &Api) {
    eventually_within(PATIENCE, "the sink has everything", async || {
        let metrics = api.get("/metrics").await.text();
        let waits = |line: &&str| line.starts_with("waybill_audit_entries_waiting{");
        let waiting: Vec<_> = metrics.lines().filter(waits).map(str::to_owned).collect();
        found(!waiting.is_empty() && waiting.iter().all(|line| line.ends_with(" 0")), waiting)
    })
    .await;
}

#[tokio::test]
async fn what_a_backup_holds_is_restored_and_the_sink_sees_a_new_stream() {
    let (place, sandbox) = stage().await;
    let waybill = place.serve().await;
    let mut before = BTreeMap::new();
    for number in 0..16 {
        let answer = waybill.api.submit(&key("kept", number), &body(&sandbox, number)).await;
        before.insert(key("kept", number), answer.expect(202).json());
        if number == 7 {
            // So that the backup holds an acknowledged batch, and messages in every state of the way.
            eventually_within(PATIENCE, "a batch is acknowledged", async || {
                let count = sandbox.batches().await.len();
                found(count > 0, count)
            })
            .await;
        }
    }
    // A backup while more and more is accepted.
    let file = place.path("backup.sqlite");
    let to = file.to_str().unwrap().to_owned();
    let api = Api::new(&waybill.api.base_url, &waybill.api.token);
    let bodies: Vec<_> = (100..116).map(|number| body(&sandbox, number)).collect();
    let load = tokio::spawn(async move {
        for (number, body) in bodies.iter().enumerate() {
            api.submit(&key("after", number), body).await.expect(202);
        }
    });
    let made = place.run(&["backup", &to]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.stdout.starts_with(&format!("{to}: schema 4, ")), "{made:?}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = fs::read(&file).unwrap();
    let again = place.run(&["backup", &to]).await;
    assert_eq!((again.code, again.stdout.as_str()), (Some(2), ""), "{again:?}");
    assert_eq!(fs::read(&file).unwrap(), bytes, "a backup was overwritten");
    load.await.unwrap();
    let refused = place.run(&["restore", &to]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("stop it first"), "{refused:?}");

    delivered(&waybill, 32).await;
    all_acknowledged(&waybill.api).await;
    let held = sandbox.batches().await;
    let old_stream = Batch::read(&held[0]).header("x-audit-stream").to_owned();
    waybill.terminate().await;
    let restored = place.run(&["restore", &to]).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    assert!(restored.stdout.contains("waybill.sqlite: schema 4, "), "{restored:?}");
    let replaced: Vec<_> = fs::read_dir(place.data())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("waybill.sqlite."))
        .collect();
    assert_eq!(replaced.len(), 1, "{replaced:?}");
    assert!(replaced[0].starts_with("waybill.sqlite.replaced-"), "{replaced:?}");

    let waybill = place.serve().await;
    let page = waybill.api.read("/api/v1/audit/batches?limit=200").await;
    let of_old = page["items"].as_array().unwrap().iter().find(|batch| {
        batch["stream"] == old_stream.as_str() && batch["shipping"] == "acknowledged"
    });
    let last_acknowledged =
        of_old.expect("the backup has one")["chain"].as_str().unwrap().to_owned();
    let there = waybill.api.messages().await.len();
    assert!(there >= before.len(), "{there} of what was accepted before are in the backup");
    for (number, (key, answer)) in before.iter().enumerate() {
        let again = waybill.api.submit(key, &body(&sandbox, number)).await.expect(202).json();
        assert_eq!(&again, answer, "its key still gets its answer");
    }
    waybill.api.submit(&key("new", 0), &body(&sandbox, 5)).await.expect(202);
    let messages = delivered(&waybill, there + 1).await;
    all_acknowledged(&waybill.api).await;

    // The platform took each key once, whatever the older database did not know.
    let sends = sandbox.sends().await;
    let mut taken = BTreeSet::new();
    for send in sends.iter().filter(|send| send["duplicate"] == false) {
        assert!(taken.insert(send["key"].as_str().unwrap()), "{send} was taken twice");
    }
    assert_eq!(taken.len(), 33);
    // The sink took everything: the old stream and after it the new one, chained to what both sides hold.
    let batches: Vec<Batch> = sandbox.batches().await.iter().map(Batch::read).collect();
    let (old, new): (Vec<_>, Vec<_>) =
        batches.into_iter().partition(|batch| batch.header("x-audit-stream") == old_stream);
    audit::verify(AUDIT_SECRET, &old);
    assert_eq!(old.len(), held.len(), "the old stream ended with the old database");
    assert_eq!(new[0].header("x-audit-sequence"), "1");
    assert_eq!(new[0].header("x-audit-previous"), last_acknowledged);
    assert!(sandbox.batches().await.iter().all(|batch| batch["verified"] == true));
    let audited: BTreeSet<String> = old
        .iter()
        .chain(&new)
        .flat_map(Batch::entries)
        .map(|entry| entry["message_id"].as_str().unwrap().to_owned())
        .collect();
    for message in messages.values() {
        let id = message["platform_id"].as_str().unwrap();
        assert!(audited.contains(id), "the sink never heard of {id}");
    }
    let log = place.log();
    assert!(!log.contains("answered 409") && !log.contains("rolled back"), "{log}");
}

#[tokio::test]
async fn what_is_no_backup_is_refused_and_the_database_is_left_alone() {
    let place = Place::new();
    let nothing = place.run(&["backup", place.path("none").to_str().unwrap()]).await;
    assert_eq!(nothing.code, Some(2), "there is no database yet: {nothing:?}");
    let waybill = place.serve().await;
    waybill.terminate().await;
    let database = place.data().join("waybill.sqlite");
    let file = place.path("backup.sqlite");
    let made = place.run(&["backup", file.to_str().unwrap()]).await;
    assert_eq!(made.code, Some(0), "nobody needs to serve: {made:?}");
    let good = fs::read(&file).unwrap();
    let before = fs::read(&database).unwrap();

    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    let mut flipped = good.clone();
    for byte in &mut flipped[4096..9000] {
        *byte ^= 0xff;
    }
    let cases: [(&str, Vec<u8>, i32, &str); 5] = [
        ("newer", newer, 3, "schema 99"),
        ("flipped", flipped, 3, "damaged"),
        ("cut", good[..good.len() / 2].to_vec(), 3, "damaged"),
        ("text", b"not a database at all".repeat(100), 2, "no SQLite database"),
        ("empty", Vec::new(), 2, "no SQLite database"),
    ];
    for (name, bytes, code, words) in cases {
        let bad = place.write(name, &bytes);
        let refused = place.run(&["restore", bad.to_str().unwrap()]).await;
        assert_eq!(refused.code, Some(code), "{name}: {refused:?}");
        assert!(refused.stderr.contains(words), "{name}: {refused:?}");
        assert_eq!(refused.stdout, "");
        assert_eq!(fs::read(&database).unwrap(), before, "{name}");
        assert_eq!(fs::read(&bad).unwrap(), bytes, "{name}");
    }
    let missing = place.run(&["restore", place.path("nowhere").to_str().unwrap()]).await;
    assert_eq!(missing.code, Some(2), "{missing:?}");
    // The live database of another folder is no backup: its log may hold more.
    let other = Place::new();
    let serving = other.serve().await;
    let live = other.data().join("waybill.sqlite");
    let refused = place.run(&["restore", live.to_str().unwrap()]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("database in use"), "{refused:?}");
    serving.terminate().await;
    let names: Vec<_> = fs::read_dir(place.data())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("waybill.sqlite."))
        .collect();
    assert!(names.is_empty(), "{names:?}");
    // Into an empty folder it is where a proxy starts from.
    let empty = Place::new();
    assert_eq!(empty.run(&["restore", file.to_str().unwrap()]).await.code, Some(0));
    empty.serve().await.terminate().await;
}
