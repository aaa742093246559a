//! The history of a message, newest first: what, who, when, and how long after the line before it.

use crate::components::time::Time;
use crate::words;
use leptos::prelude::*;
use shared::api::{Actor, Event};
use shared::delivery::{Delivery, EventKind, State};
use shared::time::Timestamp;

fn what(event: &Event) -> String {
    match event.kind {
        EventKind::Accepted => "Accepted".into(),
        EventKind::AttemptStarted => format!("Attempt {}", event.attempt),
        EventKind::Submitted => "Taken by the platform".into(),
        EventKind::Found => "The platform had it already: not sent twice".into(),
        EventKind::Noted => "Noted from the platform".into(),
        EventKind::Resent => "Sent once more as a new message".into(),
        EventKind::RetryPlanned => match event.due_at {
            Some(at) => format!("Not sent; next attempt at {}", words::clock_seconds(at)),
            None => "Not sent; another attempt is planned".into(),
        },
        EventKind::OutcomeUnknown => "Answer lost: checking".into(),
        EventKind::RepeatPlanned => "Sent again with the same key".into(),
        EventKind::Parked => "Needs a decision".into(),
        EventKind::Decided => "A person decided".into(),
        EventKind::Hurried => "Next attempt wanted now".into(),
        EventKind::Rejected => "Rejected".into(),
        EventKind::Sent => "Handed on by the platform".into(),
        EventKind::Late => "Limit passed without delivery".into(),
        EventKind::Delivered => "Delivered".into(),
        EventKind::Read => "Read".into(),
        EventKind::Failed => "Failed".into(),
        EventKind::Undelivered => "No receipt in the time allowed".into(),
        EventKind::Expired => "Expired before it was sent".into(),
        EventKind::Cancelled => "Cancelled".into(),
    }
}

/// Who made it happen and what is known beside it.
fn who(event: &Event) -> String {
    let who = match (event.actor, event.kind) {
        (Actor::User, EventKind::Accepted) => "Posted here, stored before the answer",
        (Actor::User, _) => "By whoever holds the link",
        (Actor::Proxy, EventKind::AttemptStarted) => "Proxy to platform",
        (Actor::Proxy, EventKind::RepeatPlanned) => "The platform knows the key and counts it once",
        (Actor::Proxy, _) => "By the proxy",
        (Actor::Platform, EventKind::Delivered | EventKind::Read | EventKind::Sent) => {
            "Platform receipt"
        }
        (Actor::Platform, _) => "The platform's answer",
    };
    let mut text = match &event.reason {
        Some(reason) => format!("{} ({})", reason.text, reason.code),
        None => who.to_owned(),
    };
    if let Some(at) = event.platform_at {
        text.push_str(&format!(", by its clock at {}", words::clock_tenths(at)));
    }
    text
}

fn class(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Accepted | EventKind::Submitted | EventKind::Decided => "stop-full",
        EventKind::Delivered | EventKind::Found => "stop-ok",
        EventKind::Read => "stop-info",
        EventKind::OutcomeUnknown | EventKind::Parked | EventKind::Late => "stop-warn",
        EventKind::Rejected | EventKind::Failed => "stop-bad",
        EventKind::Undelivered | EventKind::Expired | EventKind::Cancelled => "stop-end",
        EventKind::AttemptStarted
        | EventKind::RetryPlanned
        | EventKind::RepeatPlanned
        | EventKind::Hurried
        | EventKind::Noted
        | EventKind::Resent
        | EventKind::Sent => "stop-small",
    }
}

/// The timeline.
#[component]
pub fn Timeline(
    /// The history, oldest first.
    events: Vec<Event>,
    /// Where the message is now.
    delivery: Delivery,
    /// Now, moving, for the wait until the next attempt.
    #[prop(into)]
    now: Signal<Timestamp>,
) -> impl IntoView {
    let before: Vec<Option<Timestamp>> =
        std::iter::once(None).chain(events.iter().map(|event| Some(event.at))).collect();
    let lines = events
        .into_iter()
        .zip(before)
        .rev()
        .map(|(event, before)| {
            let gap = before
                .map(|before| format!("+{}", words::span(event.at.ms_since(before))))
                .unwrap_or_default();
            view! {
                <li
                    class=class(event.kind)
                    data-testid="timeline-item"
                    data-kind=event.kind.as_str()
                >
                    <span class="what">{what(&event)}</span>
                    <span class="gap">{gap}</span>
                    <Time at=event.at text=words::clock_tenths(event.at)/>
                    <span class="who-where">{who(&event)}</span>
                </li>
            }
        })
        .collect_view();
    let next = delivery.due_at.filter(|_| delivery.state == State::RetryWait).map(|at| {
        view! {
            <li class="stop-next">
                <span class="what">
                    {move || {
                        match at.ms_since(now.get()) {
                            left @ 1.. => format!("Next attempt in {}", words::span(left)),
                            _ => "Next attempt now".to_owned(),
                        }
                    }}
                </span>
                <span class="gap"></span>
                <Time at text=words::clock_seconds(at)/>
            </li>
        }
    });
    view! {
        <ol class="route" aria-label="Timeline, newest first">
            {next}
            {lines}
        </ol>
    }
}
