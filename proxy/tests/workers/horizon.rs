//! The horizon ends what is followed, whatever keeps it from being looked at.

use crate::stage::{Stage, stage};
use shared::delivery::{Ending, State};
use shared::id::{ConnectionName, MessageId};
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
async fn a_receipt_at_the_last_look_still_counts() {
    let stage = stage().await;
    let id = submitted(&stage).await;
    stage.platform.report("delivered");
    stage.track(HORIZON + Duration::from_secs(60)).await;
    assert_eq!(stage.message(&id).await.message.delivery.state, State::Delivered);
}
