//! The word, sign and tone of each state, and what it means in a sentence. The one table of it.

use crate::components::icon::{Glyph, Icon};
use crate::words;
use leptos::prelude::*;
use shared::delivery::{Delivery, PlatformStatus, State};
use shared::time::Timestamp;

/// The word on screen; it depends on more than the state where the state alone says too little.
pub fn word(delivery: &Delivery, now: Timestamp) -> String {
    match delivery.state {
        State::Accepted => match scheduled(delivery, now) {
            Some(at) => format!("Scheduled {}", words::clock(at)),
            None => "Waiting to send".into(),
        },
        State::RetryWait => match delivery.due_at {
            Some(at) => format!("Retrying at {}", words::clock(at)),
            None => "Retrying".into(),
        },
        State::Submitted => match delivery.platform_status {
            Some(PlatformStatus::Queued) => "Queued".into(),
            _ => "Sent".into(),
        },
        state => name(state).into(),
    }
}

/// The word of a state alone, as filters show it.
pub fn name(state: State) -> &'static str {
    match state {
        State::Accepted => "Waiting to send",
        State::Sending => "Sending",
        State::Submitted => "Sent",
        State::Delivered => "Delivered",
        State::Read => "Read",
        State::RetryWait => "Retrying",
        State::Unknown => "Checking",
        State::Parked => "Needs a decision",
        State::Rejected => "Rejected",
        State::Failed => "Failed",
        State::Undelivered => "No receipt",
        State::Expired => "Expired",
        State::Cancelled => "Cancelled",
    }
}

/// What a state means and how long it usually lasts.
pub fn meaning(state: State) -> &'static str {
    match state {
        State::Accepted => "Stored here and next in line; usually sent within a second.",
        State::Sending => "On its way to the platform; usually under a second.",
        State::Submitted => "The platform took it; the receipt usually comes within seconds.",
        State::Delivered => "It reached the recipient.",
        State::Read => "The recipient has read it.",
        State::RetryWait => "It was certainly not sent and will be tried again at the time shown.",
        State::Unknown => "The answer was lost. Waybill finds out before it sends anything again.",
        State::Parked => "Nobody can know whether it was sent. A person must decide.",
        State::Rejected => "The rules or the platform refused it for good.",
        State::Failed => "The platform reported that it could not be delivered.",
        State::Undelivered => "No receipt came within the time allowed.",
        State::Expired => "It was not sent before its deadline.",
        State::Cancelled => "Somebody withdrew it before it was sent.",
    }
}

/// The sign of a state.
pub fn glyph(delivery: &Delivery, now: Timestamp) -> Glyph {
    match delivery.state {
        State::Accepted if scheduled(delivery, now).is_some() => Glyph::Clock,
        State::Accepted => Glyph::Dots,
        State::Sending => Glyph::Spin,
        State::Submitted => Glyph::Check,
        State::Delivered | State::Read => Glyph::CheckTwice,
        State::RetryWait => Glyph::Retry,
        State::Unknown => Glyph::Search,
        State::Parked => Glyph::Hand,
        State::Rejected => Glyph::Reject,
        State::Failed => Glyph::Cross,
        State::Undelivered => Glyph::Hourglass,
        State::Expired => Glyph::Expired,
        State::Cancelled => Glyph::Ban,
    }
}

fn scheduled(delivery: &Delivery, now: Timestamp) -> Option<Timestamp> {
    delivery.not_before.filter(|at| delivery.state == State::Accepted && *at > now)
}

fn class(delivery: &Delivery, now: Timestamp) -> String {
    match scheduled(delivery, now) {
        Some(_) => "state state-scheduled".into(),
        None => format!("state state-{}", delivery.state.as_str()),
    }
}

/// A state: sign, word and tone, with its meaning on hover.
#[component]
pub fn StateWord(
    /// The delivery whose state is shown.
    delivery: Delivery,
    /// Now, for what is scheduled.
    now: Timestamp,
    /// What tests find it by.
    #[prop(default = "state")]
    testid: &'static str,
) -> impl IntoView {
    let spin = if delivery.state == State::Sending { "spin" } else { "" };
    view! {
        <span
            class=class(&delivery, now)
            title=meaning(delivery.state)
            data-testid=testid
            data-state=delivery.state.as_str()
        >
            <Icon glyph=glyph(&delivery, now) class=spin/>
            {word(&delivery, now)}
        </span>
    }
}
