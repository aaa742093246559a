//! The SLA verdict of a message in a few words: met with its time, breached, the time left, or why nothing
//! can be said.

use crate::components::icon::{Glyph, Icon};
use crate::words;
use leptos::prelude::*;
use shared::api::Message;
use shared::sla::{Cause, Verdict};
use shared::time::Timestamp;

/// Milliseconds until the threshold, while the clock runs; negative once it is past.
fn left_ms(message: &Message, now: Timestamp) -> Option<i64> {
    let started = message.delivery.submitted_at?;
    let threshold = i64::try_from(message.delivery.threshold_ms).ok()?;
    (message.verdict == Verdict::Pending).then(|| threshold - now.ms_since(started))
}

/// Why a verdict is what it is, in a sentence.
pub fn because(cause: Cause) -> &'static str {
    match cause {
        Cause::InTime => "Delivered within the limit.",
        Cause::Late => "Not delivered within the limit.",
        Cause::Undelivered => "No receipt came within the time allowed.",
        Cause::Failed => "It ended without being delivered.",
        Cause::NotStarted => "The clock starts when the platform takes the message.",
        Cause::Running => "The clock runs until the delivered receipt.",
        Cause::Parked => "It waits for a person's decision.",
        Cause::ClockAnomaly => "The platform's own times contradict each other.",
        Cause::NoReceipts => "This channel never reports receipts.",
        Cause::Cancelled => "It was withdrawn; that is counted apart.",
    }
}

/// The verdict of `message` at `now`.
#[component]
pub fn VerdictWord(
    /// The message.
    message: Message,
    /// Now, for the time left.
    now: Timestamp,
    /// True to say "met" where a list would show the time alone.
    #[prop(default = false)]
    in_words: bool,
    /// What tests find it by.
    #[prop(default = "verdict")]
    testid: &'static str,
) -> impl IntoView {
    let verdict = message.verdict;
    let left = left_ms(&message, now);
    let (class, text) = match (verdict, message.elapsed_seconds, left) {
        (Verdict::Met, Some(elapsed), _) if !in_words => ("sla sla-met", words::seconds(elapsed)),
        (Verdict::Pending, _, Some(left)) if left > 0 => {
            let near = left < i64::try_from(message.delivery.threshold_ms / 3).unwrap_or(0);
            let class = if near { "sla sla-pending sla-near" } else { "sla sla-pending" };
            (class, format!("{} s left", (left + 999) / 1000))
        }
        (Verdict::Pending, _, Some(_)) => ("sla sla-pending sla-near", "pending".into()),
        (Verdict::Pending, ..) => ("sla sla-pending sla-wait", "pending".into()),
        (Verdict::Met, ..) => ("sla sla-met", "met".into()),
        (Verdict::Breached, ..) => ("sla sla-breached", "breached".into()),
        (Verdict::Unknown, ..) => ("sla sla-unknown", "unknown".into()),
    };
    // 2 π r of the ring below.
    const RING: f64 = 31.4;
    let share = left.filter(|left| *left > 0).map(|left| {
        #[expect(clippy::cast_precision_loss, reason = "a share for a picture")]
        let share = left as f64 / message.delivery.threshold_ms.max(1) as f64;
        format!("{:.1} 40", share.clamp(0.0, 1.0) * RING)
    });
    let sign = match (verdict, share) {
        (Verdict::Pending, Some(dash)) => view! {
            <svg class="pie" viewBox="0 0 14 14" aria-hidden="true">
                <circle cx="7" cy="7" r="5"></circle>
                <circle class="left" cx="7" cy="7" r="5" stroke-dasharray=dash></circle>
            </svg>
        }
        .into_any(),
        (Verdict::Met, _) => view! { <Icon glyph=Glyph::Check/> }.into_any(),
        (Verdict::Breached, _) => view! { <Icon glyph=Glyph::Flag/> }.into_any(),
        (Verdict::Pending, _) => view! { <Icon glyph=Glyph::Dashed/> }.into_any(),
        (Verdict::Unknown, _) => view! { <Icon glyph=Glyph::Help/> }.into_any(),
    };
    view! {
        <span
            class=class
            title=because(message.verdict_cause)
            data-testid=testid
            data-verdict=verdict.as_str()
        >
            {sign}
            {text}
        </span>
    }
}
