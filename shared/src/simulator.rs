//! The seeded simulator: messages to send, conversations to send them to, and what becomes of each.
//!
//! Everything is a pure function of a seed, so a seed is a shareable link to a whole scenario, and page,
//! proxy and command line show the same one. [`Simulator`] makes messages as the guide contract's section
//! "Simulator" describes them, [`world`] makes the simulated platform's conversations, and [`history`] says
//! when a message sent to one of them is sent, delivered, read or failed. All randomness comes from
//! [`Draws`]; nothing here knows the time.

mod draws;
mod history;
mod message;
mod world;

pub use draws::{Draws, Purpose};
pub use history::{FAILURE_CODE, FAILURE_REASON, Receipt, history, platform_id};
pub use message::Simulator;
pub use world::{
    Behaviour, CLOSED_CONVERSATION, FAILING_CONVERSATION, GUIDE_CONVERSATION,
    NO_AGENT_CONVERSATION, NO_RECEIPTS_CONVERSATION, SMS_CONVERSATION, SimulatedConversation,
    crowd, world,
};

/// Compares with a committed fixture; a native run with `UPDATE_SNAPSHOTS` set writes it instead.
#[cfg(test)]
fn assert_snapshot(name: &str, committed: &str, made: &str) {
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
