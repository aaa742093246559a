//! The third stop: what is said, as text, HTML or JSON. The three share one text, so that choosing another
//! one loses nothing.

use super::desk::Desk;
use super::findings;
use crate::components::holes::Holes;
use crate::components::icon::{Glyph, Icon};
use crate::components::leg::Leg;
use crate::components::tabs::{Tab, Tabs};
use crate::state::assess::Field;
use crate::words;
use leptos::prelude::*;
use shared::channel::Channel;
use shared::payload::{APPLICATION_JSON, TEXT_HTML, TEXT_PLAIN};
use shared::sms;

const KINDS: [Tab; 3] = [
    Tab { id: "text", label: "Text" },
    Tab { id: "html", label: "HTML" },
    Tab { id: "json", label: "JSON" },
];

fn mime(id: &str) -> &'static str {
    match id {
        "html" => TEXT_HTML,
        "json" => APPLICATION_JSON,
        _ => TEXT_PLAIN,
    }
}

fn id(mime: &str) -> &'static str {
    match mime {
        TEXT_HTML => "html",
        APPLICATION_JSON => "json",
        _ => "text",
    }
}

/// The stop.
#[component]
pub fn Content() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let kind = Memo::new(move |_| desk.draft.with(|draft| id(&draft.content_type)));
    let standing = Signal::derive(move || {
        desk.standing(&[Field::Content], !desk.draft.read().content.trim().is_empty())
    });
    let wanted = Memo::new(move |_| desk.assessment.with(|all| all.wanted.clone()));
    let placeholder = move || match kind.get() {
        "html" => "<p>Write HTML; the preview shows it inert.</p>",
        "json" => "{ \"order\": 88214 }",
        _ => "What do you want to say?",
    };
    let label = move || match kind.get() {
        "html" => "HTML source",
        "json" => "JSON",
        _ => "Text",
    };
    view! {
        <Leg title="Content" id="leg-content" standing>
            <div
                class="field"
                class:has-bad=move || desk.is_bad(Field::Content)
                class:has-warn=move || desk.is_only_warned(Field::Content)
            >
                <Tabs
                    tabs=&KINDS
                    chosen=kind
                    choose=Callback::new(move |id| {
                        desk.draft.update(|draft| draft.content_type = mime(id).into());
                    })
                    label="Content type"
                    panel="content-panel"
                />
                <div class="editor" id="content-panel" role="tabpanel" aria-label=label>
                    <textarea
                        class="area"
                        class:mono=move || kind.get() != "text"
                        id=Field::Content.id()
                        data-testid="content-input"
                        rows="4"
                        aria-label=label
                        aria-describedby="content-foot"
                        spellcheck=move || (kind.get() == "text").to_string()
                        placeholder=placeholder
                        prop:value=move || desk.draft.read().content.clone()
                        on:input:target=move |event| {
                            let typed = event.target().value();
                            desk.edit(Field::Content, |draft| draft.content = typed);
                        }
                        on:blur=move |_| desk.touch(Field::Content)
                    ></textarea>
                    <div class="editor-foot" id="content-foot">
                        <Foot kind/>
                    </div>
                </div>
                {findings(Field::Content)}
            </div>
            <Show when=move || !wanted.read().is_empty()>
                <div class="context template-values" data-testid="compose-values">
                    <p class="small muted">
                        "This is a template. What is filled in here is sent in place of its names, to everyone the same."
                    </p>
                    <div class="holes">
                        <Holes
                            wanted
                            values=Signal::derive(move || desk.draft.read().values.clone())
                            change=Callback::new(move |(name, value)| {
                                desk.edit(
                                    Field::Content,
                                    |draft| match value {
                                        Some(value) => {
                                            draft.values.insert(name, value);
                                        }
                                        None => {
                                            draft.values.remove(&name);
                                        }
                                    },
                                );
                            })
                            prefix="value-"
                        />
                    </div>
                </div>
            </Show>
        </Leg>
    }
}

/// The line under the text: SMS parts, or how long it is.
#[component]
fn Foot(kind: Memo<&'static str>) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let is_sms = move || {
        kind.get() == "text" && desk.known().is_some_and(|known| known.channel == Channel::Sms)
    };
    let chars = move || {
        let count = desk.draft.with(|draft| draft.content.chars().count());
        words::counted(u64::try_from(count).unwrap_or(u64::MAX), "character", "characters")
    };
    let tidy = move || {
        let tidied = desk.assessment.with_untracked(|all| {
            (!all.payload.content.is_null())
                .then(|| serde_json::to_string_pretty(&all.payload.content).ok())
                .flatten()
        });
        if let Some(tidied) = tidied {
            desk.edit(Field::Content, |draft| draft.content = tidied);
        }
    };
    move || {
        if is_sms() {
            let parts =
                desk.assessment.with(|all| sms::parts(all.payload.text().unwrap_or_default()));
            let count = u64::try_from(parts.count).unwrap_or(u64::MAX);
            let tone = if count > 1 { "fg-warn strong" } else { "" };
            view! {
                <span data-testid="sms-line">
                    <b class="strong">{parts.units}</b>
                    {format!(" / {} · ", parts.capacity)}
                    <span class=tone>{words::counted(count, "part", "parts")}</span>
                    {format!(" · {}", parts.encoding.as_str())}
                </span>
            }
            .into_any()
        } else if kind.get() == "json" {
            view! {
                <span>{chars}</span>
                <button type="button" class="b b-tiny b-quiet" on:click=move |_| tidy()>
                    <Icon glyph=Glyph::Json/>
                    "Set out in lines"
                </button>
            }
            .into_any()
        } else {
            view! { <span>{chars}</span> }.into_any()
        }
    }
}
