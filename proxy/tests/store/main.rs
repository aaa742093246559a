//! The behaviour every store must have, run against each implementation. A new one supplies only "a fresh
//! store" here.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test fails by panicking, as the test would"
)]

mod files;
mod suite;

use proxy::store::Store;
use proxy::store::sqlite::Sqlite;
use std::sync::Arc;
use tempfile::TempDir;

/// A store and the folder that ends with it.
struct Fresh {
    store: Arc<dyn Store>,
    _folder: TempDir,
}

fn sqlite() -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("store.sqlite")).unwrap();
    Fresh { store: Arc::new(store), _folder: folder }
}

macro_rules! against_each_store {
    ($($test:ident),* $(,)?) => {
        mod with_sqlite {
            $(#[tokio::test]
            async fn $test() {
                crate::suite::$test(crate::sqlite()).await;
            })*
        }
    };
}

against_each_store! {
    a_repeat_gets_the_stored_answer_and_another_request_none,
    one_key_at_the_same_instant_is_one_submission,
    only_the_head_of_a_conversation_is_claimed_and_only_once,
    what_goes_through_a_closed_connection_is_not_claimed,
    a_scheduled_message_holds_nobody_up,
    a_scheduled_message_waits_for_what_is_in_flight,
    turns_are_kept_whatever_happens,
    a_change_under_an_older_claim_is_refused,
    an_open_attempt_is_unknown_after_a_crash,
    one_platform_id_never_names_two_messages,
    each_ending_is_audited_once_for_each_recipient,
    batches_are_sealed_by_count_and_age_and_chained,
    batches_are_shipped_in_order_and_a_refused_one_holds_the_rest,
    too_many_waiting_entries_refuse_what_is_new_and_nothing_else,
    a_gone_sink_gets_nothing_until_a_person_resumes,
    a_sink_that_lost_batches_gets_them_again_while_they_are_held,
    a_forked_stream_is_replaced_and_no_entry_is_lost,
    a_heartbeat_is_an_empty_batch_after_an_idle_time,
    old_acknowledged_batches_are_forgotten_and_no_others,
    changes_are_replayed_in_order_with_the_last_state,
    pages_hold_everything_once,
    what_should_have_been_sent_by_now_is_claimed_to_expire,
    what_ended_long_ago_is_removed_and_its_key_is_remembered,
    without_a_sink_sealed_entries_do_not_keep_a_message,
    periods_are_read_page_by_page,
}
