//! The Lab: judge a payload, see what it becomes, draw messages from a seed. It needs no proxy and asks for no
//! token; what it can do only with one is offered where one is there.
//!
//! [`desk`] holds what a link holds and what the rules say about it; each panel is a module of its own.

mod check;
mod context;
mod desk;
mod draw;
mod editor;
mod export;
mod faults;
mod findings;
mod ink;
mod judge;
mod link;
mod paint;
mod rules;
mod send;
mod simulator;
mod sms;
mod values;

use crate::components::icon::{Glyph, Icon};
use crate::components::plan::PlanSteps;
use crate::words;
use desk::Desk;
use leptos::prelude::*;
use shared::plan::Plan;

/// The page.
#[component]
pub fn Lab() -> impl IntoView {
    let desk = Desk::new();
    provide_context(desk);
    let switches = faults::Switches::start();
    view! {
        <div class="page lab">
            <header class="page-head">
                <div>
                    <h1>"Lab"</h1>
                    <p>"Nothing here reaches a person. Whoever opens its link sees the same bytes."</p>
                </div>
                <export::Export/>
            </header>
            <div class="stack stack-4">
                <Doubts/>
                {switches.map(|switches| view! { <faults::Banner switches/> })}
                <section class="panel" aria-labelledby="lab-payload-title">
                    <context::Bar/>
                    <div class="lab-split">
                        <div class="lab-write">
                            <editor::Editor/>
                            <Verdict/>
                        </div>
                        <rules::Panel/>
                        <div class="lab-more">
                            <values::Values/>
                            <sms::Parts/>
                            <Steps/>
                        </div>
                    </div>
                </section>
                <simulator::Simulator switches/>
            </div>
        </div>
    }
}

/// What is not as the opened link said.
#[component]
fn Doubts() -> impl IntoView {
    let desk = expect_context::<Desk>();
    move || {
        let doubts = desk.doubts.get();
        (!doubts.is_empty()).then(|| {
            view! {
                <div class="banner banner-warn" role="status" data-testid="lab-doubts">
                    <Icon glyph=Glyph::Warn/>
                    <p>
                        <b class="strong">"This link does not show quite the same here. "</b>
                        {doubts.join(" ")}
                    </p>
                    <span class="actions">
                        <button type="button" class="b b-tiny" on:click=move |_| desk.doubts.set(Vec::new())>
                            "Understood"
                        </button>
                    </span>
                </div>
            }
        })
    }
}

/// The line under the editor: how it stands, how long it took to say so, and by which rules.
#[component]
fn Verdict() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let counts = Memo::new(move |_| desk.judged.read().counts);
    let size = Memo::new(move |_| desk.state.with(|state| state.payload.len()));
    let pack = Memo::new(move |_| desk.judged.read().pack.clone());
    let took = move || format!("judged in {}", words::fine_ms(desk.took_ms.get()));
    let said = move || match counts.get() {
        (0, 0) => ("fg-ok", Glyph::Check, "May be sent".to_owned()),
        (0, warnings) => ("fg-warn", Glyph::Warn, format!("May be sent, {warnings} to consider")),
        (errors, warnings) => {
            let stops = words::counted(words::count(errors), "thing stops it", "things stop it");
            let more =
                if warnings > 0 { format!(", {warnings} to consider") } else { String::new() };
            ("fg-bad", Glyph::Stop, format!("{stops}{more}"))
        }
    };
    view! {
        <div class="editor-foot lab-verdict" id="lab-verdict">
            {move || {
                let (tone, glyph, text) = said();
                view! {
                    <span
                        class=format!("row strong {tone}")
                        data-testid="lab-verdict"
                        data-errors=counts.get().0
                        data-warnings=counts.get().1
                    >
                        <Icon glyph=glyph class="i-small"/>
                        {text}
                    </span>
                }
            }}
            <span class="row row-wrap faint">
                <span title="The rules in force here. Same hash, same payload, same conversation: same findings.">
                    "rules " <code data-testid="lab-pack">{move || pack.get()}</code>
                </span>
                <span>{move || words::bytes(size.get())}</span>
                <span
                    data-testid="lab-took"
                    data-ms=move || desk.took_ms.get().to_string()
                    title="Reading, every rule, the plan and the places of all findings, for this keystroke"
                >
                    {took}
                </span>
            </span>
        </div>
    }
}

/// What it would become, and why.
#[component]
fn Steps() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let plan = Memo::new(move |_| desk.judged.read().plan.clone());
    let stops = Memo::new(move |_| desk.judged.read().counts.0 > 0);
    let steps = move |plan: Plan| {
        view! {
            <section class="lab-part" aria-labelledby="lab-plan-title" data-testid="lab-plan">
                <div class="row row-wrap">
                    <h2 class="dense strong" id="lab-plan-title">
                        "Explain this send"
                    </h2>
                    {stops.get().then(|| view! { <span class="tag tag-warn">"not as it is: see the findings"</span> })}
                </div>
                <PlanSteps plan/>
            </section>
        }
    };
    move || plan.get().map(steps)
}
