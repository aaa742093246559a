//! What was found, each with the way to its place.

use super::desk::Desk;
use super::judge::{Placed, SHOWN_MAX};
use crate::components::icon::{Glyph, Icon};
use leptos::prelude::*;
use shared::finding::Severity;

/// The list.
#[component]
pub fn Findings() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let found = Memo::new(move |_| desk.judged.with(|judged| judged.findings.clone()));
    let more = Memo::new(move |_| {
        desk.judged.with(|judged| {
            (judged.counts.0 + judged.counts.1).saturating_sub(judged.findings.len())
        })
    });
    view! {
        <Show
            when=move || !found.read().is_empty()
            fallback=|| {
                view! {
                    <p class="lab-none">
                        <Icon glyph=Glyph::Check class="fg-ok"/>
                        "Nothing was found. Every rule that is about this payload is kept."
                    </p>
                }
            }
        >
            <ul class="rules" aria-label="Findings" data-testid="lab-findings">
                {move || found.get().into_iter().map(|placed| view! { <Row placed/> }).collect_view()}
            </ul>
        </Show>
        <Show when=move || { more.get() > 0 }>
            <p class="lab-none">
                {move || format!("and {} more. The first {SHOWN_MAX} are shown.", more.get())}
            </p>
        </Show>
    }
}

#[component]
fn Row(placed: Placed) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let Placed { finding, spot } = placed;
    let (class, glyph) = match finding.severity {
        Severity::Error => ("rule is-bad", Glyph::Stop),
        Severity::Warning => ("rule is-warn", Glyph::Warn),
    };
    let place = spot.as_ref().map(|spot| format!("line {}, column {}", spot.line, spot.column));
    let line = spot.as_ref().map(|spot| spot.line.to_string());
    let what = finding.what.clone();
    let code = finding.code.clone();
    view! {
        <li class=class data-testid="lab-finding" data-code=code data-line=line>
            <Icon glyph=glyph/>
            {match spot {
                Some(spot) => {
                    view! {
                        <button type="button" class="link rule-what" on:click=move |_| desk.go(&spot)>
                            {what}
                        </button>
                    }
                        .into_any()
                }
                None => view! { <span class="rule-what">{what}</span> }.into_any(),
            }}
            <span class="src">
                {finding.how} " " {finding.why}
            </span>
            <span class="src">
                <code>{finding.code}</code>
                {place.map(|place| format!(" · {place}"))}
            </span>
        </li>
    }
}
