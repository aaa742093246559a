//! A platform that is down or refuses a whole connection: messages wait, and nothing is used up or burnt.

use crate::stage::{pass, stage};
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use serde_json::json;
use shared::api::{BreakerState, HostRole};
use shared::delivery::State;
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn row_58_while_the_breaker_is_open_messages_are_accepted_and_none_is_tried() {
    let stage = stage().await;
    stage.platform.answer_all(500);
    let early = stage.accept_each(0..24).await;
    stage.dispatch_all(NOW).await;
    assert_eq!(stage.main().gate.breaker(), BreakerState::Open);
    let calls = stage.platform.calls("GET");
    assert!((20..=24).contains(&calls), "{calls}");

    let late = stage.accept_each(24..30).await;
    stage.dispatch_all(MINUTE).await;
    assert_eq!(stage.platform.calls("GET"), calls, "nothing is tried");
    assert_eq!(stage.count(&late, State::Accepted).await, late.len());
    let budgets = proxy::routes::budget::budgets(&stage.engine).await.unwrap();
    let api = budgets[0].hosts.iter().find(|host| host.role == HostRole::Api).unwrap();
    assert_eq!(api.breaker, BreakerState::Open);
    assert!(budgets[0].problem.as_ref().unwrap().contains("cannot be reached"));
    assert_eq!(budgets[0].backlog_ends_at, None, "nobody knows");

    stage.platform.work();
    pass(34 * NOW).await;
    stage.dispatch_all(MINUTE).await;
    assert_eq!(stage.main().gate.breaker(), BreakerState::Closed);
    stage.dispatch_all(2 * MINUTE).await;
    for ids in [&early, &late] {
        assert_eq!(stage.count(ids, State::Submitted).await, ids.len());
    }
    let message = stage.message(&early[0]).await;
    assert_eq!(message.message.delivery.attempts, 1, "only the one that was made");
}

#[tokio::test]
async fn looks_wait_while_the_breaker_is_open_and_are_not_counted() {
    let stage = stage().await;
    let ids = stage.accept_each(0..20).await;
    stage.dispatch_all(NOW).await;
    assert_eq!(stage.count(&ids, State::Submitted).await, 20);
    stage.platform.answer_all(502);
    for _ in 0..8 {
        stage.track(MINUTE).await;
    }
    for _ in 0..8 {
        stage.track(3 * MINUTE).await;
    }
    assert_eq!(stage.main().gate.breaker(), BreakerState::Open);
    let calls = stage.platform.calls("GET");
    let looks = stage.message(&ids[0]).await.message.delivery.looks;
    for round in 4..8 {
        stage.track(round * 6 * MINUTE).await;
    }
    assert_eq!(stage.platform.calls("GET"), calls);
    assert_eq!(stage.message(&ids[0]).await.message.delivery.looks, looks);
}

#[tokio::test]
async fn a_token_refused_twice_pauses_all_and_one_at_a_time_finds_out() {
    let mut stage = stage().await;
    stage.platform.answer_all(401);
    let ids = stage.accept_each(0..6).await;
    stage.dispatch_all(NOW).await;
    assert!(stage.main().problem().unwrap().contains("token"));
    let calls = stage.platform.calls("/api/");
    stage.dispatch_all(10 * MINUTE).await;
    assert_eq!(stage.platform.calls("/api/"), calls, "paused");

    pass(61 * NOW).await;
    stage.dispatch_all(NOW).await;
    assert_eq!(stage.platform.calls("/api/"), calls + 2, "one message, refused and replayed once");
    let held = stage.count(&ids, State::RetryWait).await + stage.count(&ids, State::Accepted).await;
    assert_eq!(held, ids.len(), "nothing ends");

    // The next process does not know of it and is told by the first call.
    stage.restart().await;
    stage.dispatch_all(NOW).await;
    assert!(stage.main().problem().is_some());

    stage.platform.work();
    stage.main().resume();
    stage.dispatch_all(2 * MINUTE).await;
    assert_eq!(stage.count(&ids, State::Submitted).await, ids.len());
    assert_eq!(stage.main().problem(), None);
}

#[tokio::test]
async fn ten_refused_sends_in_a_row_pause_the_queue_and_a_restart_burns_no_more() {
    for status in [403, 404] {
        let mut stage = stage().await;
        stage.platform.answer(move |method, path| {
            let is_send = method == Method::POST && path.ends_with("/messages");
            is_send.then(|| StatusCode::from_u16(status).unwrap().into_response())
        });
        let ids = stage.accept_each(0..20).await;
        stage.dispatch_all(NOW).await;
        assert_eq!(stage.count(&ids, State::Rejected).await, 9, "the tenth and the rest wait");
        assert!(stage.main().problem().unwrap().contains("ten"));

        for _ in 0..3 {
            stage.restart().await;
            stage.dispatch_all(NOW).await;
            assert_eq!(stage.count(&ids, State::Rejected).await, 9);
            assert!(stage.main().problem().is_some());
        }
        let posts = stage.platform.calls("POST /api/");
        pass(61 * NOW).await;
        stage.dispatch_all(NOW).await;
        assert!(stage.platform.calls("POST /api/") <= posts + 1, "one at a time");

        stage.platform.work();
        stage.main().resume();
        stage.dispatch_all(30 * MINUTE).await;
        assert_eq!(stage.count(&ids, State::Submitted).await, 11);
    }
}

#[tokio::test]
async fn ten_conversations_in_a_row_that_are_not_there_pause_the_queue() {
    let stage = stage().await;
    stage.platform.answer_all(404);
    let ids = stage.accept_each(0..20).await;
    stage.dispatch_all(NOW).await;
    assert_eq!(stage.count(&ids, State::Rejected).await, 9);
    assert!(stage.main().problem().unwrap().contains("region"));
    // By itself, at the next probe.
    stage.platform.work();
    pass(6 * MINUTE).await;
    stage.dispatch_all(10 * MINUTE).await;
    stage.dispatch_all(10 * MINUTE).await;
    assert_eq!(stage.count(&ids, State::Submitted).await, 11);
}

#[tokio::test]
async fn row_64_refused_credentials_are_tried_once_in_five_minutes_and_use_up_no_attempt() {
    let stage = stage().await;
    stage.platform.answer(|_, path| {
        let refusal = axum::Json(json!({"error": "invalid_client"}));
        (path == "/oauth/token").then(|| (StatusCode::BAD_REQUEST, refusal).into_response())
    });
    let id = stage.accept(1).await;
    for minutes in 0..4 {
        stage.dispatch_all(minutes * MINUTE + NOW).await;
        pass(MINUTE).await;
    }
    assert_eq!(stage.platform.calls("/oauth/token"), 1);
    pass(MINUTE + NOW).await;
    stage.dispatch_all(6 * MINUTE).await;
    assert_eq!(stage.platform.calls("/oauth/token"), 2);
    let delivery = stage.message(&id).await.message.delivery;
    assert_eq!((delivery.state, delivery.attempts), (State::Accepted, 0));
    assert!(stage.main().problem().unwrap().contains("client_secret"));
}

#[tokio::test]
async fn a_repeat_without_budget_waits_and_is_not_lost() {
    let stage = stage().await;
    stage.platform.answer(|method, path| {
        let is_send = method == Method::POST && path.ends_with("/messages");
        let busy = (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")]);
        is_send.then(|| busy.into_response())
    });
    let id = stage.accept(1).await;
    stage.dispatch(NOW).await;
    let events = stage.message(&id).await.events.len();
    while stage.main().gate.take_retry().is_ok() {}
    stage.platform.work();
    stage.dispatch(5 * NOW).await;
    let message = stage.message(&id).await;
    assert_eq!((message.message.delivery.state, message.events.len()), (State::RetryWait, events));
    pass(2 * NOW).await;
    stage.dispatch(MINUTE).await;
    assert_eq!(stage.message(&id).await.message.delivery.state, State::Submitted);
}
