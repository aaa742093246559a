//! The seeded simulator: messages to send, conversations to send them to, and what becomes of each.
//!
//! Everything is a pure function of a seed and a [`Scenario`], so both together with [`VERSION`] are a shareable
//! link, and page, proxy and command line show the same. [`Scenario::messages`] gives what is said, to whom, when,
//! and what becomes of it; [`Simulator`] makes messages as the guide contract's section "Simulator" describes them;
//! [`world`] makes the simulated platform's conversations, and [`Receipts::history`] says when a message sent to
//! one of them is sent, delivered, read or failed. All randomness comes from [`Draws`], all arithmetic is of
//! integers, and nothing here knows the time.

mod draws;
mod files;
mod history;
mod hostile;
mod message;
mod scenario;
mod stream;
mod text;
mod world;

pub use draws::{Draws, Purpose};
pub use history::{FAILURE_CODE, FAILURE_REASON, Failure, History, Receipt, history, platform_id};
pub use message::Simulator;
pub use scenario::{
    Arrivals, BadValue, ContentKind, Drawn, FailureShare, Files, Length, Messages, MimeType,
    Receipts, SCENARIO_BYTES_MAX, Scenario, ScenarioError, Span, Weights,
};
pub use stream::{BEGINNING_MS, SimulatedMessage, SimulatedMessages};
pub use text::Language;
pub use world::{
    Behaviour, CLOSED_CONVERSATION, FAILING_CONVERSATION, GUIDE_CONVERSATION,
    NO_AGENT_CONVERSATION, NO_RECEIPTS_CONVERSATION, SMS_CONVERSATION, SimulatedConversation,
    crowd, world,
};

/// Rises whenever the same seed and scenario would give other bytes than before; links carry it.
pub const VERSION: u32 = 1;

/// One of the things by their weights; `None` where there are none, or none weighs anything.
fn weighted<T>(draws: &mut Draws, all: impl Iterator<Item = (T, u32)> + Clone) -> Option<T> {
    let total = all.clone().fold(0u32, |sum, (_, weight)| sum.saturating_add(weight));
    let mut place = draws.below(total);
    for (one, weight) in all {
        match place.checked_sub(weight) {
            Some(rest) => place = rest,
            None => return Some(one),
        }
    }
    None
}

/// Compares with a committed fixture; a native run with `UPDATE_SNAPSHOTS` set writes it instead.
#[cfg(test)]
pub(crate) fn assert_snapshot(name: &str, committed: &str, made: &str) {
    #[cfg(not(target_arch = "wasm32"))]
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots");
        std::fs::write(folder.join(name), made).unwrap();
        return;
    }
    let first = committed.lines().zip(made.lines()).position(|(one, other)| one != other);
    assert!(
        committed == made,
        "{name} differs from line {:?} on; if that is meant, run the tests with UPDATE_SNAPSHOTS=1",
        first.map(|line| line + 1)
    );
}
