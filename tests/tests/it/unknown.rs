//! Outcomes nobody knows: on a platform that recognises keys the repeat is the answer, on one that forgets them
//! nothing is sent before the conversation was searched, and what cannot be told is left to a person.

use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tests::api::Answer;
use tests::submission::{key, text};
use tests::wait::found;
use tests::{Place, SandboxProcess, Waybill, eventually};

const PATIENCE: Duration = Duration::from_secs(60);

struct Stage {
    waybill: Waybill,
    sandbox: SandboxProcess,
    _place: Place,
}

async fn stage(more: &str) -> Stage {
    let mut place = Place::new();
    let sandbox = SandboxProcess::start(&place).await;
    let dialect = "dialect = \"guide\"\n";
    place.configure(&sandbox.settings(&place).replace(dialect, &format!("{dialect}{more}\n")));
    Stage { waybill: place.serve().await, sandbox, _place: place }
}

impl Stage {
    async fn send(&self, number: usize) -> String {
        let to = &self.sandbox.conversations()[number];
        let body = text("main", &to.id, &to.from, &to.to, &format!("Message {number}"));
        self.waybill.api.send(&key("unknown", number), &body).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.waybill.api.request(Method::POST, path).json(body)).await
    }

    async fn resend(&self, id: &str, key: &str, body: &Value) -> Answer {
        let path = format!("/api/v1/messages/{id}/resend");
        let request = self.waybill.api.request(Method::POST, &path);
        Answer::of(request.header("idempotency-key", key).json(body)).await
    }

    async fn prevented(&self) -> Vec<String> {
        let list = self.waybill.api.read("/api/v1/messages?duplicate_prevented=true").await;
        let items = list["items"].as_array().expect("a page has items").iter();
        items.filter_map(|one| one["id"].as_str().map(str::to_owned)).collect()
    }
}

#[tokio::test]
async fn a_repeat_that_the_platform_recognises_is_a_duplicate_prevented_with_its_evidence() {
    let stage = stage("").await;
    // Nothing comes back for longer than two clocks with whole seconds can be told apart by.
    let lost = json!({"drip": {"next": 1, "only": "send", "ms": 200}});
    stage.sandbox.put_faults(&lost).await;
    let id = stage.send(0).await;
    let message = stage.waybill.api.message_in(&id, &["delivered", "read"], PATIENCE).await;
    let sends = stage.sandbox.sends().await;
    assert_eq!((sends.len(), sends[1]["duplicate"].as_bool()), (2, Some(true)), "{sends:?}");
    assert_eq!(sends[0]["id"], sends[1]["id"]);
    let events = message["events"].as_array().expect("a message has events");
    let shown = events.iter().any(|event| event["reason"]["code"] == "recognised");
    assert!(shown, "{events:?}");
    let counts = stage.waybill.api.read("/api/v1/messages/counts").await;
    assert_eq!(counts["duplicates_prevented"], 1);
    assert_eq!(stage.prevented().await, [id]);
}

#[tokio::test]
async fn a_forgetful_platform_is_searched_and_a_person_settles_what_cannot_be_told() {
    let stage = stage("dedup = \"none\"").await;
    let faults = json!({"forgetful": {"percent": 100}, "lost_reply": {"next": 1, "only": "send"}});
    stage.sandbox.put_faults(&faults).await;
    let id = stage.send(0).await;
    let parked = stage.waybill.api.message_in(&id, &["parked"], PATIENCE).await;
    let sends = stage.sandbox.sends().await;
    assert_eq!(sends.len(), 1, "nothing was sent blindly: {sends:?}");
    let candidate = sends[0]["id"].clone();
    // This dialect lists no content, so the one new message may be it and nobody but a person can tell.
    assert_eq!(parked["reason"]["code"], "candidates");
    assert_eq!(parked["search"]["candidates"], json!([candidate]));
    assert_eq!(parked["verdict"], "unknown");

    let decision = json!({
        "decision": {"choice": "found", "platform_id": candidate},
        "why": "It is the one in the conversation",
    });
    stage.post(&format!("/api/v1/messages/{id}/decide"), &decision).await.expect(200);
    let message = stage.waybill.api.message_in(&id, &["delivered", "read"], PATIENCE).await;
    assert_eq!(message["platform_id"], candidate);
    assert_eq!(stage.sandbox.sends().await.len(), 1);
}

#[tokio::test]
async fn what_may_have_been_sent_cannot_be_cancelled() {
    let stage = stage("").await;
    // The platform takes it and answers every time, and no answer arrives.
    stage.sandbox.put_faults(&json!({"lost_reply": {"percent": 100, "only": "send"}})).await;
    let id = stage.send(0).await;
    eventually("it was tried twice", async || {
        let message = stage.waybill.api.message(&id).await;
        found(message["attempts"].as_u64() >= Some(2), message)
    })
    .await;
    let answer = stage.post(&format!("/api/v1/messages/{id}/cancel"), &json!({})).await;
    assert_eq!((answer.status, answer.code()), (409, "state".into()), "{}", answer.text());
    stage.sandbox.put_faults(&json!({})).await;
    stage.waybill.api.message_in(&id, &["delivered", "read"], PATIENCE).await;
}

#[tokio::test]
async fn an_ended_message_is_sent_once_more_only_on_purpose_and_only_once_a_key() {
    let stage = stage("").await;
    let id = stage.send(0).await;
    let early = stage.resend(&id, "again-0", &json!({"why": "x"})).await;
    if early.status != 409 {
        panic!("a message on its way is not sent again: {}", early.text());
    }
    stage.waybill.api.message_in(&id, &["delivered", "read"], PATIENCE).await;
    let refused = stage.resend(&id, "again-1", &json!({"why": "Lost it"})).await;
    assert_eq!((refused.status, refused.code()), (409, "may_have_arrived".into()));
    assert_eq!(stage.sandbox.sends().await.len(), 1);
    let nameless = stage.resend(&id, "again-1", &json!({"why": " "})).await;
    assert_eq!((nameless.status, nameless.code()), (422, "why".into()));

    let wish = json!({"why": "The customer lost it", "even_if_delivered": true});
    let first = stage.resend(&id, "again-2", &wish).await.expect(202).json();
    let again = stage.resend(&id, "again-2", &wish).await.expect(202).json();
    assert_eq!(first, again);
    let new = first["messages"][0]["id"].as_str().expect("it has an id").to_owned();
    let sent = stage.waybill.api.message_in(&new, &["delivered", "read"], PATIENCE).await;
    assert_eq!(stage.sandbox.sends().await.len(), 2);
    let original = stage.waybill.api.message(&id).await;
    assert_eq!(original["payload"], sent["payload"]);
    let reason = |message: &Value, kind: &str| {
        let events = message["events"].as_array().unwrap().clone();
        let event = events.into_iter().find(|event| event["kind"] == kind).unwrap();
        event["reason"]["text"].as_str().unwrap().to_owned()
    };
    assert!(reason(&original, "resent").contains(&new));
    let accepted = reason(&sent, "accepted");
    assert!(accepted.contains(&id) && accepted.contains("The customer lost it"), "{accepted}");
}
