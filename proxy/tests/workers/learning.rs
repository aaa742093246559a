//! What a connection learns from watching itself, and what it shows of it.

use crate::stage::stage;
use shared::channel::Channel;
use shared::delivery::State;
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_first_look_is_made_when_delivery_usually_has_happened_also_after_a_restart() {
    let mut stage = stage().await;
    let ids = stage.accept_each(0..6).await;
    stage.dispatch(NOW).await;
    let before = stage.message(&ids[0]).await.message.delivery;
    let gap = before.due_at.unwrap().ms_since(before.submitted_at.unwrap());
    assert!((1000..=1250).contains(&gap), "a second while nothing is known: {gap}");
    stage.platform.report("delivered");
    stage.track(MINUTE).await;
    assert_eq!(stage.count(&ids, State::Delivered).await, 6);
    for restarts in 0..2 {
        let learned = stage.main().measured.first_look(&Channel::Email);
        assert_eq!(learned, Duration::from_secs(3), "by the platform's stamps");
        stage.platform.report("queued");
        let id = stage.accept(10 + restarts).await;
        stage.dispatch(NOW).await;
        let delivery = stage.message(&id).await.message.delivery;
        let gap = delivery.due_at.unwrap().ms_since(delivery.submitted_at.unwrap());
        assert!((3000..=3400).contains(&gap), "never early: {gap}");
        assert_eq!(delivery.looks, 0);
        stage.restart().await;
    }
}

#[tokio::test]
async fn budget_backlog_and_lag_are_shown() {
    let stage = stage().await;
    let ids = stage.accept_each(0..8).await;
    let budget =
        || async { proxy::routes::budget::budgets(&stage.engine).await.unwrap().remove(0) };
    let idle = budget().await;
    assert_eq!((idle.messages_waiting, idle.requests_per_message), (8, None));
    assert_eq!(idle.backlog_ends_at, None, "nothing was sent yet: it cannot be known");
    stage.dispatch(NOW).await;
    let more = stage.accept_each(20..40).await;
    let busy = budget().await;
    assert_eq!(busy.messages_waiting, more.len() as u64);
    // A token, and a read and a send for each.
    assert_eq!(busy.requests_per_message, Some(17.0 / 8.0));
    let left = busy.backlog_ends_at.unwrap().ms_since(proxy::clock::now());
    assert!((100_000..=160_000).contains(&left), "8 a minute, 20 to go: {left} ms");
    // Looks that come a minute late are said to be late.
    stage.track(MINUTE).await;
    let late = budget().await;
    assert!((55.0..=62.0).contains(&late.look_lag_seconds), "{}", late.look_lag_seconds);
    assert_eq!(late.looks_last_minute, 8);
    assert_eq!(stage.count(&ids, State::Submitted).await, 8);
}
