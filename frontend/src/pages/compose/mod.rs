//! Write a message, see at once what is wrong with it and what it will look like, review it, send it.
//!
//! The form is a route with stops. What is on the desk lives in [`desk`]; each stop is a module of its own.

mod attachments;
mod content;
mod conversation;
mod desk;
mod fixes;
mod recipients;
mod send;
mod side;
mod when;

use crate::components::code::Code;
use crate::components::dialog::Dialog;
use crate::components::finding::{FindingNote, Summary};
use crate::components::icon::{Glyph, Icon};
use crate::components::review::Review;
use crate::state::assess::Field;
use crate::{browser, words};
use desk::Desk;
use leptos::prelude::*;
use shared::finding::Finding;

/// The page.
#[component]
pub fn Compose() -> impl IntoView {
    let desk = Desk::new();
    provide_context(desk);
    let send = StoredValue::new(send::sender(desk));
    let go = move || {
        if desk.is_reviewing.get_untracked() {
            send.with_value(|send| send());
        } else {
            desk.review();
        }
    };
    let handle = window_event_listener(leptos::ev::keydown, move |event| {
        let is_go = event.key() == "Enter" && (event.ctrl_key() || event.meta_key());
        if is_go && !event.repeat() && !browser::is_dialog_open() {
            event.prevent_default();
            go();
        }
    });
    on_cleanup(move || handle.remove());
    view! {
        <div class="page compose">
            <Head/>
            <div class="two">
                <div class="stack stack-6">
                    <form
                        class="stack stack-6"
                        hidden=move || desk.is_reviewing.get()
                        on:submit=|event| event.prevent_default()
                    >
                        <Show when=move || desk.has_tried.get() && desk.errors() != 0>
                            <Summary
                                findings=Signal::derive(move || {
                                    desk.assessment.with(|all| all.findings.clone())
                                })
                                go=Callback::new(|finding| browser::focus(Field::of(&finding).id()))
                            />
                        </Show>
                        <div class="legs">
                            <conversation::Conversation/>
                            <recipients::Recipients/>
                            <content::Content/>
                            <attachments::Attachments/>
                            <when::When/>
                        </div>
                    </form>
                    <Show when=move || desk.is_reviewing.get()>
                        <Review
                            payload=desk.assessment.get_untracked().payload
                            conversation=desk.known()
                            not_before=desk.assessment.get_untracked().not_before
                            expires_at=desk.assessment.get_untracked().expires_at
                            warnings=desk.assessment.get_untracked().findings
                        />
                    </Show>
                    <send::Outcome/>
                </div>
                <side::Side/>
            </div>
        </div>
        <SendBar go=Callback::new(move |()| go())/>
    }
}

#[component]
fn Head() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let is_json_open = RwSignal::new(false);
    let is_curl_open = RwSignal::new(false);
    let saved = move || match desk.saved_at.get() {
        Some(at) => format!("Draft saved {}", words::clock(at)),
        None => String::new(),
    };
    view! {
        <header class="page-head">
            <h1>"Compose"</h1>
            <div class="row row-wrap">
                <span class="small faint">{saved}</span>
                <Show when=move || !desk.draft.read().is_empty()>
                    <button
                        type="button"
                        class="b b-small b-quiet"
                        on:click=move |_| desk.start_over()
                    >
                        "Start over"
                    </button>
                </Show>
                <button type="button" class="b b-small" on:click=move |_| is_json_open.set(true)>
                    <Icon glyph=Glyph::Json/>
                    "Show as JSON"
                </button>
                <button
                    type="button"
                    class="b b-small wide-only"
                    on:click=move |_| is_curl_open.set(true)
                >
                    "curl"
                </button>
            </div>
        </header>
        <Dialog open=is_json_open title="The exact payload" id="as-json">
            <Code text=Signal::derive(move || {
                desk.assessment.with(|all| pretty(&all.payload))
            })/>
        </Dialog>
        <Dialog open=is_curl_open title="The same from a terminal" id="as-curl">
            <p class="small">
                "Put the token of your link into "
                <code>"WAYBILL_TOKEN"</code>
                " first. The key makes a repeat harmless: it counts once."
            </p>
            <Code text=Signal::derive(move || send::curl(desk))/>
        </Dialog>
    }
}

/// Most findings shown under one field. More of them are more of the same.
const FINDINGS_MAX: usize = 20;

/// What is shown under a field: the first thing wrong with it, and on demand the others.
fn findings(field: Field) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let found = Memo::new(move |_| desk.findings(field));
    let is_open = RwSignal::new(false);
    let shown = move || {
        let most = if is_open.get() { FINDINGS_MAX } else { 1 };
        found.with(|found| found.iter().take(most).cloned().collect::<Vec<_>>())
    };
    let others = Memo::new(move |_| found.read().len().saturating_sub(1));
    let label = move || match is_open.get() {
        true => "Show the first only".to_owned(),
        false => format!("Show {} more", others.get().min(FINDINGS_MAX - 1)),
    };
    let is_cut = move || is_open.get() && others.get() >= FINDINGS_MAX;
    view! {
        {move || shown().into_iter().map(|finding| note(desk, field, finding)).collect_view()}
        <Show when=move || others.get() != 0>
            <p class="row small hint">
                <button
                    type="button"
                    class="b b-tiny b-quiet"
                    data-testid="more-findings"
                    aria-expanded=move || is_open.get().to_string()
                    on:click=move |_| is_open.update(|is_open| *is_open = !*is_open)
                >
                    {label}
                </button>
                <Show when=is_cut>
                    {move || format!("{FINDINGS_MAX} of {} are shown.", others.get() + 1)}
                </Show>
            </p>
        </Show>
    }
}

/// One finding, with the button that mends it where there is one.
fn note(desk: Desk, field: Field, finding: Finding) -> impl IntoView {
    let label = desk.draft.with_untracked(|draft| fixes::fix(&finding, draft)).map(|fix| fix.label);
    let mended = finding.clone();
    // Worked out anew at the click: the draft may have changed under a finding that stayed the same.
    let mend = Callback::new(move |()| {
        if let Some(fix) = desk.draft.with_untracked(|draft| fixes::fix(&mended, draft)) {
            desk.edit(field, |draft| *draft = fix.draft);
        }
    });
    view! { <FindingNote finding fix=label mend/> }
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

#[component]
fn SendBar(go: Callback<()>) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let messages =
        move || desk.assessment.with(|all| u64::try_from(all.plan.messages.len()).unwrap_or(0));
    let review = move || format!("Review {}", words::counted(messages(), "message", "messages"));
    let send = move || format!("Send {}", words::counted(messages(), "message", "messages"));
    let shown_errors = move || desk.shown_errors();
    let warnings = move || desk.warnings();
    view! {
        <div class="send-bar">
            <span class="row small" role="status">
                <Show when=move || shown_errors() != 0>
                    <span class="row fg-bad">
                        <Icon glyph=Glyph::Stop class="i-small"/>
                        {move || format!("{} to fix", shown_errors())}
                    </span>
                </Show>
                <Show when=move || warnings() != 0>
                    <span class="row fg-warn">
                        <Icon glyph=Glyph::Warn class="i-small"/>
                        {move || format!("{} to consider", warnings())}
                    </span>
                </Show>
            </span>
            <span class="push"></span>
            <Show
                when=move || desk.is_reviewing.get()
                fallback=move || {
                    view! {
                        <button
                            type="button"
                            class="b b-main"
                            data-testid="review-button"
                            on:click=move |_| go.run(())
                        >
                            {review}
                            <kbd>"Ctrl ↵"</kbd>
                        </button>
                    }
                }
            >
                <button
                    type="button"
                    class="b"
                    disabled=move || desk.is_sending()
                    on:click=move |_| desk.is_reviewing.set(false)
                >
                    "Back to editing"
                </button>
                <button
                    type="button"
                    class="b b-main"
                    data-testid="send-button"
                    aria-busy=move || desk.is_sending().to_string()
                    on:click=move |_| go.run(())
                >
                    <Show when=move || desk.is_sending()>
                        <Icon glyph=Glyph::Spin class="spin"/>
                    </Show>
                    {send}
                    <kbd>"Ctrl ↵"</kbd>
                </button>
            </Show>
        </div>
    }
}
