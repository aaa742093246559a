//! The send plan: what the message will become and cost, before anything is sent.

use crate::components::icon::{Glyph, Icon};
use crate::words;
use leptos::prelude::*;
use shared::api::Budget;
use shared::plan::{Carries, Plan, PlannedMessage};
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
            {move || {
                let (reasons, unmeasured) = plan
                    .with(|plan| (plan.reasons.clone(), plan.unmeasured));
                (!reasons.is_empty() || unmeasured > 0)
                    .then(|| {
                        view! {
                            <div class="slip-note stack stack-1">
                                <PlanNotes reasons unmeasured/>
                            </div>
                        }
                    })
            }}
        </section>
    }
}

/// The messages of a plan in order, each with what it carries and costs, and why there are several.
#[component]
pub fn PlanSteps(
    /// What it becomes.
    plan: Plan,
) -> impl IntoView {
    let count = plan.messages.len();
    let requests = words::counted(u64::from(plan.requests), "request", "requests");
    let sum = match count {
        1 => format!(
            "One message, {requests} to the platform: a look at the conversation and the POST."
        ),
        _ => format!(
            "{count} messages in this order, {requests} to the platform with the look at the conversation."
        ),
    };
    let hidden = count.saturating_sub(STEPS_MAX);
    view! {
        <p class="small muted">{sum}</p>
        <ol class="steps">
            {plan
                .messages
                .into_iter()
                .take(STEPS_MAX)
                .map(|message| view! { <li>{step(&message)}</li> })
                .collect_view()}
        </ol>
        {(hidden > 0).then(|| view! { <p class="small faint">{format!("and {hidden} more of the same kinds")}</p> })}
        <PlanNotes reasons=plan.reasons unmeasured=plan.unmeasured/>
    }
}

/// Steps that are written out.
const STEPS_MAX: usize = 12;

fn step(message: &PlannedMessage) -> String {
    let mut said = match (message.carries, &message.file) {
        (Carries::Everything, _) if message.attachments > 0 => {
            let files = words::counted(words::count(message.attachments), "file", "files");
            format!("Text and {files}")
        }
        (Carries::Everything | Carries::Text, _) => "The text".to_owned(),
        (Carries::File, file) => format!("The file {}", file.as_deref().unwrap_or_default()),
    };
    match &message.to {
        Some(to) => said.push_str(&format!(" to {to}")),
        None => {
            let people =
                words::counted(words::count(message.recipients), "recipient", "recipients");
            said.push_str(&format!(" to {people}"));
        }
    }
    said.push_str(&format!(", {}", words::bytes(message.bytes)));
    if let Some(parts) = message.parts {
        let count = words::counted(words::count(parts.count), "SMS part", "SMS parts");
        said.push_str(&format!(", {count} in {}", parts.encoding.as_str()));
    }
    match message.requests {
        1 => said.push_str(": 1 request"),
        several => {
            said.push_str(&format!(": {several} requests (where to upload, is it taken, the POST)"))
        }
    }
    said
}

/// Why a plan has several messages, and what of it could not be measured.
#[component]
pub fn PlanNotes(
    /// A sentence for each reason.
    reasons: Vec<String>,
    /// Files given by address.
    unmeasured: usize,
) -> impl IntoView {
    let unmeasured = (unmeasured > 0).then(|| {
        let files = words::counted(words::count(unmeasured), "file is", "files are");
        format!(
            "{files} given by address: nobody here fetches it, so size and bytes are not checked."
        )
    });
    reasons
        .into_iter()
        .chain(unmeasured)
        .map(|text| {
            view! {
                <p class="row row-top small muted plan-note">
                    <Icon glyph=Glyph::Info class="i-small"/>
                    <span>{text}</span>
                </p>
            }
        })
        .collect_view()
}
