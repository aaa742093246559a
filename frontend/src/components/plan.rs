//! The send plan: what the message will become and cost, before anything is sent.

use crate::components::icon::{Glyph, Icon};
use crate::words;
use leptos::prelude::*;
use shared::api::Budget;
use shared::plan::Plan;
use shared::time::Timestamp;

/// The slip.
#[component]
pub fn PlanSlip(
    /// What it becomes.
    #[prop(into)]
    plan: Signal<Plan>,
    /// The connection's request budget, where known.
    #[prop(into)]
    budget: Signal<Option<Budget>>,
    /// When it may leave.
    #[prop(into)]
    not_before: Signal<Option<Timestamp>>,
) -> impl IntoView {
    let sum = move |of: fn(&shared::plan::PlannedMessage) -> usize| {
        plan.with(|plan| plan.messages.iter().map(of).sum::<usize>())
    };
    let parts = move || {
        plan.with(|plan| {
            plan.messages
                .iter()
                .filter_map(|message| message.parts)
                .map(|parts| parts.count)
                .reduce(|one, other| one + other)
        })
    };
    let leaves = move || match (not_before.get(), budget.get().map(|budget| budget.waiting)) {
        (Some(at), _) => format!("at {}", words::clock(at)),
        (None, Some(waiting)) if waiting > 0 => format!("after {waiting} waiting"),
        (None, _) => "at once".into(),
    };
    let left = move || match budget.get() {
        Some(budget) => format!(
            "{} of {}",
            budget.allowed_per_minute.saturating_sub(budget.used_last_minute),
            budget.allowed_per_minute
        ),
        None => "not known".into(),
    };
    view! {
        <section class="slip" aria-labelledby="plan">
            <div class="slip-head">
                <h2 class="dense strong" id="plan">
                    "Send plan"
                </h2>
                <span class="push"></span>
                <span class="small muted">"before anything is sent"</span>
            </div>
            <dl class="cells">
                <div class="cell">
                    <dt>"People"</dt>
                    <dd class="plan-n">{move || sum(|message| message.recipients)}</dd>
                </div>
                <div class="cell">
                    <dt>"Messages"</dt>
                    <dd class="plan-n">{move || plan.with(|plan| plan.messages.len())}</dd>
                </div>
                <div class="cell" hidden=move || parts().is_none()>
                    <dt>"SMS parts"</dt>
                    <dd class="plan-n">{parts}</dd>
                </div>
            </dl>
            <div class="perf"></div>
            <ul class="plan">
                <li>
                    <Icon glyph=Glyph::Bolt/>
                    <span>"Leaves"</span>
                    <span class="n muted">{leaves}</span>
                </li>
                <li>
                    <Icon glyph=Glyph::Route/>
                    <span title="One look at the conversation, then one POST for each message">
                        "Requests until it is sent"
                    </span>
                    <span class="n muted">{move || plan.with(|plan| plan.requests)}</span>
                </li>
                <li>
                    <Icon glyph=Glyph::Sla/>
                    <span>"Budget left this minute"</span>
                    <span class="n muted">{left}</span>
                </li>
                <li>
                    <Icon glyph=Glyph::Split/>
                    <span>"Size"</span>
                    <span class="n muted">{move || words::bytes(sum(|message| message.bytes))}</span>
                </li>
            </ul>
        </section>
    }
}
