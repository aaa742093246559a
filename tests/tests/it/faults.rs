//! Each way the platform can go wrong, seen through the whole proxy: the message still arrives, and the
//! platform has taken it once.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tests::submission::{key, text};
use tests::wait::found;
use tests::{Place, SandboxProcess, Waybill, eventually, eventually_within};

pub const PATIENCE: Duration = Duration::from_secs(60);

/// A proxy whose connection `main` is a sandbox of its own process, which runs ten times as fast.
pub struct Stage {
    pub waybill: Waybill,
    pub sandbox: SandboxProcess,
    pub place: Place,
}

pub async fn stage() -> Stage {
    let mut place = Place::new();
    let sandbox = SandboxProcess::start(&place).await;
    sandbox.put_speed(10.0).await;
    place.configure(&sandbox.settings(&place));
    Stage { waybill: place.serve().await, sandbox, place }
}

impl Stage {
    /// Sends one message into each of the first `count` conversations.
    pub async fn send(&self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for (number, to) in self.sandbox.conversations().iter().take(count).enumerate() {
            let body = text("main", &to.id, &to.from, &to.to, &format!("Message {number}"));
            ids.push(self.waybill.api.send(&key("fault", number), &body).await);
        }
        ids
    }

    /// Waits until all are delivered; each must then be bound to the one id the platform has for its key.
    pub async fn all_arrive_once(&self, ids: &[String]) -> Vec<Value> {
        let mut messages = Vec::new();
        for id in ids {
            let message = self.waybill.api.message_in(id, &["delivered", "read"], PATIENCE).await;
            messages.push(message);
        }
        let sends = self.sandbox.sends().await;
        for message in &messages {
            let of_key: BTreeSet<String> = sends
                .iter()
                .filter(|send| send["key"] == message["key"])
                .map(|send| send["id"].to_string())
                .collect();
            assert_eq!(of_key, BTreeSet::from([message["platform_id"].to_string()]));
        }
        let originals = sends.iter().filter(|send| send["duplicate"] == false).count();
        assert_eq!(originals, ids.len(), "{sends:?}");
        messages
    }

    async fn survive(&self, faults: Value, count: usize) -> Vec<Value> {
        self.sandbox.put_faults(&faults).await;
        let ids = self.send(count).await;
        self.all_arrive_once(&ids).await
    }
}

/// What happened to a message, in order.
pub fn kinds(message: &Value) -> Vec<String> {
    let events = message["events"].as_array().expect("a message has events");
    events.iter().filter_map(|event| event["kind"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn row_56_too_many_requests_with_retry_after() {
    let stage = stage().await;
    let faults = json!({"rate_429": {"next": 3, "only": "send", "retry_after": "2"}});
    let messages = stage.survive(faults, 3).await;
    let waited: i64 = messages.iter().map(|one| one["attempts"].as_i64().unwrap() - 1).sum();
    assert_eq!(waited, 3, "each 429 is one attempt more: {messages:?}");
    // A 429 was never processed, so nothing is repeated.
    assert_eq!(stage.sandbox.sends().await.len(), 3);
}

#[tokio::test]
async fn row_56_too_many_requests_with_garbage_in_retry_after() {
    let stage = stage().await;
    let faults = json!({"rate_429": {"next": 2, "retry_after": "soon"}});
    stage.survive(faults, 2).await;
}

#[tokio::test]
async fn row_58_server_errors_processed_and_not() {
    let stage = stage().await;
    stage
        .sandbox
        .put_faults(&json!({"rate_5xx": {"next": 2, "only": "send", "status": 500}}))
        .await;
    let mut ids = stage.send(2).await;
    stage.all_arrive_once(&ids).await;
    // The same from the caller's side, but the platform took it.
    let faults = json!({"rate_5xx": {"next": 2, "only": "send", "status": 502, "processed": true}});
    stage.sandbox.put_faults(&faults).await;
    for (number, to) in stage.sandbox.conversations().iter().skip(2).take(2).enumerate() {
        let body = text("main", &to.id, &to.from, &to.to, "Processed all the same");
        ids.push(stage.waybill.api.send(&key("processed", number), &body).await);
    }
    stage.all_arrive_once(&ids).await;
    let duplicates = stage.sandbox.sends().await;
    let duplicates = duplicates.iter().filter(|send| send["duplicate"] == true).count();
    assert_eq!(duplicates, 2, "both were repeated under their key, and taken once");
}

#[tokio::test]
async fn row_58_unavailable_with_retry_after_and_reads_that_fail() {
    let stage = stage().await;
    let faults = json!({"rate_5xx": {"next": 4, "status": 503, "retry_after": "1"}});
    stage.survive(faults, 2).await;
}

#[tokio::test]
async fn row_59_a_reset_connection() {
    let stage = stage().await;
    let messages = stage.survive(json!({"reset": {"next": 2, "only": "send"}}), 2).await;
    assert!(messages.iter().any(|message| kinds(message).len() > 3));
    assert_eq!(stage.sandbox.sends().await.len(), 2, "nothing was processed");
}

#[tokio::test]
async fn row_59_a_lost_answer() {
    let stage = stage().await;
    stage.survive(json!({"lost_reply": {"next": 3, "only": "send"}}), 3).await;
    let sends = stage.sandbox.sends().await;
    let duplicates = sends.iter().filter(|send| send["duplicate"] == true).count();
    assert_eq!(duplicates, 3, "each was asked about once more, with its key: {sends:?}");
}

#[tokio::test]
async fn row_59_a_call_that_hangs_is_given_up_in_ten_seconds_and_does_not_hold_others() {
    let stage = stage().await;
    stage.sandbox.put_faults(&json!({"hang": {"next": 1, "only": "send"}})).await;
    let ids = stage.send(4).await;
    // The three others do not wait for it.
    let done = eventually_within(Duration::from_secs(9), "three of four arrive", async || {
        let all = stage.waybill.api.messages().await;
        let done: Vec<String> = all
            .into_iter()
            .filter(|(_, one)| one["state"] == "delivered" || one["state"] == "read")
            .map(|(id, _)| id)
            .collect();
        found(done.len() == 3, done)
    })
    .await;
    assert_eq!(done.len(), 3);
    stage.all_arrive_once(&ids).await;
}

#[tokio::test]
async fn row_66_a_revoked_token_is_renewed_once_and_the_call_replayed() {
    let stage = stage().await;
    let ids = stage.send(1).await;
    stage.all_arrive_once(&ids).await;
    let mut more = Vec::new();
    for (number, to) in stage.sandbox.conversations().iter().skip(1).take(3).enumerate() {
        // One at a time: a second refusal of the same call would be a missing right, and pause everything.
        stage.sandbox.put_faults(&json!({"token_revoked": {"next": 1, "only": "send"}})).await;
        let body = text("main", &to.id, &to.from, &to.to, "After the revocation");
        let id = stage.waybill.api.send(&key("revoked", number), &body).await;
        let message = stage.waybill.api.message_in(&id, &["delivered", "read"], PATIENCE).await;
        assert_eq!(message["attempts"], 1, "a replay is not an attempt: {message}");
        more.push(id);
    }
    let all: Vec<String> = ids.into_iter().chain(more).collect();
    stage.all_arrive_once(&all).await;
}

#[tokio::test]
async fn row_66_one_revocation_seen_by_many_calls_at_once_costs_one_new_token() {
    let stage = stage().await;
    let first = stage.send(1).await;
    stage.all_arrive_once(&first).await;
    // Every call is on its way for a while, so that several carry the token that is revoked.
    let faults = json!({
        "latency": {"percent": 100, "ms": 200},
        "token_revoked": {"next": 1},
    });
    stage.sandbox.put_faults(&faults).await;
    let mut ids = first;
    for (number, to) in stage.sandbox.conversations().iter().skip(1).take(8).enumerate() {
        let body = text("main", &to.id, &to.from, &to.to, "All at once");
        ids.push(stage.waybill.api.send(&key("many", number), &body).await);
    }
    let messages = stage.all_arrive_once(&ids).await;
    assert!(messages.iter().all(|one| one["attempts"] == 1), "{messages:?}");
}

#[tokio::test]
async fn everything_at_once() {
    let stage = stage().await;
    let faults = json!({
        "latency": {"percent": 50, "ms": 200},
        "token_revoked": {"next": 1},
        "rate_429": {"next": 2, "only": "send"},
        "rate_5xx": {"percent": 10, "status": 500},
        "lost_reply": {"percent": 20, "only": "send"},
        "reset": {"next": 3},
    });
    stage.survive(faults, 12).await;
}

#[tokio::test]
async fn row_58_a_platform_that_is_down_delays_messages_and_refuses_nothing() {
    let mut place = Place::new();
    let sandbox = SandboxProcess::start(&place).await;
    let address = sandbox.address();
    let conversations = sandbox.conversations();
    place.configure(&sandbox.settings(&place));
    sandbox.kill9().await;
    let waybill = place.serve().await;
    let mut ids = Vec::new();
    for (number, to) in conversations.iter().take(3).enumerate() {
        let body = text("main", &to.id, &to.from, &to.to, "While it is down");
        ids.push(waybill.api.send(&key("down", number), &body).await);
    }
    // Without a token no attempt is begun: the messages wait as they are, and the connection says why.
    eventually("the proxy has tried", async || {
        let budget = waybill.api.read("/api/v1/budget").await;
        found(!budget["items"][0]["problem"].is_null(), budget)
    })
    .await;
    for id in &ids {
        assert_eq!(waybill.api.message(id).await["attempts"], 0);
    }
    let sandbox = SandboxProcess::start_at(&place, &address).await;
    sandbox.put_speed(10.0).await;
    let stage = Stage { waybill, sandbox, place };
    stage.all_arrive_once(&ids).await;
}
