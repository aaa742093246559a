//! What becomes of a message on the simulated platform, as a pure function.
//!
//! There are no timers anywhere: whoever asks compares the offsets with the time that has passed. So a
//! restart forgets nothing, and a faster clock is a faster platform.

use super::draws::{Draws, Purpose};
use super::scenario::Receipts;
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

/// Everything that becomes of a message.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// Every status it will have, oldest first, each with the milliseconds from its acceptance.
    pub receipts: Vec<(u32, Receipt)>,
    /// Why it fails, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Why a message fails.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The platform's code.
    pub code: String,
    /// The same in words.
    pub reason: String,
}

/// Every status that message number `ordinal` of `conversation` will have, oldest first, each with the
/// milliseconds from its acceptance: in the scenario `guide`.
pub fn history(
    seed: u64,
    conversation: &SimulatedConversation,
    ordinal: u64,
) -> Vec<(u32, Receipt)> {
    Receipts::GUIDE.history(seed, conversation, ordinal).receipts
}

impl Receipts {
    /// What becomes of message number `ordinal` of `conversation`.
    pub fn history(
        &self,
        seed: u64,
        conversation: &SimulatedConversation,
        ordinal: u64,
    ) -> History {
        drawn(self, seed, conversation, ordinal)
    }
}

/// What an ordinary message comes to.
enum Fate<'a> {
    Arrives,
    Fails(&'a str, &'a str),
    Lost,
    Silent,
}

fn drawn(
    receipts: &Receipts,
    seed: u64,
    conversation: &SimulatedConversation,
    ordinal: u64,
) -> History {
    let is_usual = conversation.behaviour == Behaviour::Usual;
    let mut draws = Draws::new(Purpose::History, seed, conversation.subject(), ordinal);
    // Always the same draws, so that neither a conversation's behaviour nor a share of the scenario decides
    // anything but its own branch.
    let mut at = |[first, last]: [u32; 2]| draws.within(first, last);
    let sent = at(receipts.sent_ms);
    let is_slow = at([0, 99]) < receipts.late_percent && is_usual;
    let quickly = at(receipts.delivered_ms);
    let slowly = at(receipts.late_ms);
    let is_read = at([0, 99]) >= 100 - receipts.read_percent.min(100);
    let reading = at(receipts.read_after_ms);
    let failed = at(receipts.failed_ms);
    let fate = match conversation.behaviour {
        Behaviour::Quick => Fate::Arrives,
        Behaviour::Usual => fate(receipts, at([0, 99])),
        Behaviour::Fails => Fate::Fails(FAILURE_CODE, FAILURE_REASON),
        Behaviour::NoReceipts => Fate::Lost,
    };
    let mut history =
        History { receipts: vec![(0, Receipt::Queued), (sent, Receipt::Sent)], failure: None };
    match fate {
        Fate::Arrives => {
            let delivered = if is_slow { slowly } else { quickly };
            history.receipts.push((delivered, Receipt::Delivered));
            if is_read {
                history.receipts.push((delivered + reading, Receipt::Read));
            }
        }
        Fate::Fails(code, reason) => {
            history.receipts.push((failed, Receipt::Failed));
            history.failure = Some(Failure { code: code.to_owned(), reason: reason.to_owned() });
        }
        Fate::Lost => {}
        Fate::Silent => history.receipts.truncate(1),
    }
    history
}

/// The fate at `place` of a hundred: first the failures in their order, then the lost, then the silent.
fn fate(receipts: &Receipts, place: u32) -> Fate<'_> {
    let mut end = 0;
    for failure in &receipts.failures {
        end += failure.percent;
        if place < end {
            return Fate::Fails(&failure.code, &failure.reason);
        }
    }
    if place < end + receipts.lost_percent {
        Fate::Lost
    } else if place < end + receipts.lost_percent + receipts.silent_percent {
        Fate::Silent
    } else {
        Fate::Arrives
    }
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
