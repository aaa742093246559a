//! What becomes of a message on the simulated platform, as a pure function.
//!
//! There are no timers anywhere: whoever asks compares the offsets with the time that has passed. So a
//! restart forgets nothing, and a faster clock is a faster platform.

use super::draws::{Draws, Purpose};
use super::world::{Behaviour, SimulatedConversation};
use serde::{Deserialize, Serialize};

/// The platform's code for the one way a simulated delivery fails.
pub const FAILURE_CODE: &str = "number.not.in.service";
/// The same in words.
pub const FAILURE_REASON: &str = "Number not in service";

/// A status the simulated platform reports.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receipt {
    /// Accepted by the platform.
    Queued,
    /// Handed to the carrier.
    Sent,
    /// Reached the recipient's device.
    Delivered,
    /// Read by the recipient.
    Read,
    /// Will not reach the recipient.
    Failed,
}

impl Receipt {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Receipt::Queued => "queued",
            Receipt::Sent => "sent",
            Receipt::Delivered => "delivered",
            Receipt::Read => "read",
            Receipt::Failed => "failed",
        }
    }
}

/// Every status that message number `ordinal` of `conversation` will have, oldest first, each with the
/// milliseconds from its acceptance.
pub fn history(
    seed: u64,
    conversation: &SimulatedConversation,
    ordinal: u64,
) -> Vec<(u32, Receipt)> {
    let mut draws = Draws::new(Purpose::History, seed, conversation.subject(), ordinal);
    // Always the same draws, so that a conversation's behaviour decides nothing but its own branch.
    let sent = draws.within(50, 300);
    let is_slow = draws.below(20) == 0 && conversation.behaviour == Behaviour::Usual;
    let quickly = draws.within(400, 4_000);
    let slowly = draws.within(12_000, 20_000);
    let is_read = draws.below(2) == 1;
    let reading = draws.within(1_000, 20_000);
    let failed = draws.within(500, 1_500);
    let mut history = vec![(0, Receipt::Queued), (sent, Receipt::Sent)];
    match conversation.behaviour {
        Behaviour::Quick | Behaviour::Usual => {
            let delivered = if is_slow { slowly } else { quickly };
            history.push((delivered, Receipt::Delivered));
            if is_read {
                history.push((delivered + reading, Receipt::Read));
            }
        }
        Behaviour::Fails => history.push((failed, Receipt::Failed)),
        Behaviour::NoReceipts => {}
    }
    history
}

/// The platform's name for message number `ordinal` of `conversation`.
pub fn platform_id(seed: u64, conversation: &SimulatedConversation, ordinal: u64) -> String {
    Draws::new(Purpose::PlatformId, seed, conversation.subject(), ordinal).uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::{
        FAILING_CONVERSATION, GUIDE_CONVERSATION, NO_RECEIPTS_CONVERSATION, assert_snapshot, world,
    };
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn of(id: &str) -> SimulatedConversation {
        world(42).into_iter().find(|one| one.id.as_str() == id).unwrap()
    }

    #[test]
    fn seed_42_gives_the_committed_histories() {
        let mut made = String::new();
        for conversation in world(42) {
            for ordinal in 0..3 {
                let line = serde_json::json!({
                    "conversation": conversation.id,
                    "ordinal": ordinal,
                    "platform_id": platform_id(42, &conversation, ordinal),
                    "history": history(42, &conversation, ordinal),
                });
                made.push_str(&format!("{line}\n"));
            }
        }
        assert_snapshot(
            "histories-seed-42.jsonl",
            include_str!("../../snapshots/histories-seed-42.jsonl"),
            &made,
        );
    }

    #[test]
    fn usual_messages_are_delivered_some_late_and_half_are_read() {
        let conversation = world(42).into_iter().nth(2).unwrap();
        let (mut late, mut read) = (0, 0);
        for ordinal in 0..1_000 {
            let history = history(42, &conversation, ordinal);
            assert!(history.is_sorted_by_key(|(offset, _)| *offset));
            assert_eq!(history[0], (0, Receipt::Queued));
            let (delivered, receipt) = history[2];
            assert_eq!(receipt, Receipt::Delivered);
            assert!((400..=4_000).contains(&delivered) || (12_000..=20_000).contains(&delivered));
            late += u32::from(delivered >= 12_000);
            read += u32::from(history.len() == 4);
        }
        assert!((25..=80).contains(&late), "{late}");
        assert!((420..=580).contains(&read), "{read}");
    }

    #[test]
    fn special_conversations_keep_their_promise() {
        for ordinal in 0..200 {
            let quick = history(42, &of(GUIDE_CONVERSATION), ordinal);
            assert!(quick[2].0 <= 4_000, "{quick:?}");
            let failing = history(42, &of(FAILING_CONVERSATION), ordinal);
            assert!(matches!(failing[2], (500..=1_500, Receipt::Failed)), "{failing:?}");
            let silent = history(42, &of(NO_RECEIPTS_CONVERSATION), ordinal);
            assert_eq!(silent.last().unwrap().1, Receipt::Sent);
        }
    }

    #[test]
    fn messages_have_names_of_their_own() {
        let all = world(42);
        let names: std::collections::HashSet<String> = all
            .iter()
            .flat_map(|one| (0..50).map(|ordinal| platform_id(42, one, ordinal)))
            .collect();
        assert_eq!(names.len(), all.len() * 50);
    }
}
