//! The horizon ends what is followed, whatever keeps it from being looked at.

use crate::stage::{Stage, stage};
use axum::Json;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use serde_json::json;
use shared::delivery::{Ending, State};
use shared::id::{ConnectionName, MessageId};
use shared::sla::Verdict;
use std::time::Duration;

const HORIZON: Duration = Duration::from_secs(24 * 60 * 60);

async fn submitted(stage: &Stage) -> MessageId {
    let id = stage.accept(1).await;
    stage.dispatch(Duration::from_secs(1)).await;
    assert_eq!(stage.message(&id).await.message.delivery.state, State::Submitted);
    id
}

async fn ends_undelivered(stage: &Stage, id: &MessageId) {
    stage.track(HORIZON - Duration::from_secs(60)).await;
    assert_eq!(stage.message(id).await.message.delivery.state, State::Submitted);
    stage.track(HORIZON + Duration::from_secs(60)).await;
    let message = stage.message(id).await;
    assert_eq!(message.message.delivery.state, State::Undelivered);
    let endings: Vec<_> = message.audit.iter().map(|record| record.ending).collect();
    assert_eq!(endings, [Ending::Undelivered]);
}

#[tokio::test]
async fn a_conversation_that_can_no_longer_be_read_ends_its_messages_undelivered() {
    for status in [403, 404, 500] {
        let stage = stage().await;
        let id = submitted(&stage).await;
        stage.platform.answer_all(status);
        ends_undelivered(&stage, &id).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_no_longer_configured_ends_its_messages_undelivered() {
    let mut stage = stage().await;
    let id = submitted(&stage).await;
    stage.engine.connections[0].name = ConnectionName::parse("renamed").unwrap();
    ends_undelivered(&stage, &id).await;
}

#[tokio::test]
async fn a_receipt_after_the_horizon_counts_where_the_conversation_is_read_anyway() {
    let stage = stage().await;
    let first = submitted(&stage).await;
    ends_undelivered(&stage, &first).await;
    // Another message of the conversation, which the platform gives another id.
    stage.platform.answer(|method, path| {
        let id = path.trim_start_matches("/api/v2/conversations/").trim_end_matches("/messages");
        let answer = match *method {
            Method::POST if path != "/oauth/token" => {
                (StatusCode::ACCEPTED, Json(json!({"id": "second", "status": "queued"})))
            }
            Method::GET => (
                StatusCode::OK,
                Json(json!({
                    "id": id,
                    "channelType": "email",
                    "participants": [
                        {"id": "a", "role": "agent", "from": {"id": "agent@example.com"}},
                        {"id": "c", "role": "customer", "from": {"id": "customer@example.com"}},
                    ],
                    "messages": [
                        {"id": "second", "status": "queued", "createdTimestamp": "2026-11-23T10:00:00Z"},
                        {"id": format!("p-{id}"), "status": "delivered",
                         "createdTimestamp": "2026-11-22T10:00:00Z",
                         "statusTimestamps": {"delivered": "2026-11-23T10:00:03Z"}},
                    ],
                })),
            ),
            _ => return None,
        };
        Some(answer.into_response())
    });
    let second = submitted(&stage).await;
    stage.track(Duration::from_secs(60)).await;
    assert_eq!(stage.message(&second).await.message.delivery.state, State::Submitted);
    let first = stage.message(&first).await;
    assert_eq!(first.message.delivery.state, State::Delivered);
    let endings: Vec<_> = first.audit.iter().map(|record| record.ending).collect();
    assert_eq!(endings, [Ending::Undelivered, Ending::Delivered]);
    assert_eq!(first.message.verdict, Verdict::Breached, "the promise was broken by then");
}

#[tokio::test]
async fn a_receipt_at_the_last_look_still_counts() {
    let stage = stage().await;
    let id = submitted(&stage).await;
    stage.platform.report("delivered");
    stage.track(HORIZON + Duration::from_secs(60)).await;
    assert_eq!(stage.message(&id).await.message.delivery.state, State::Delivered);
}
