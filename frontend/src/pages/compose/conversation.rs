//! The first stop: which connection, which conversation, and who of it sends.

use super::desk::{Desk, Known};
use super::findings;
use crate::components::context_card::ContextCard;
use crate::components::icon::{Glyph, Icon};
use crate::components::leg::Leg;
use crate::state::assess::Field;
use crate::state::proxy::Proxy;
use leptos::html;
use leptos::prelude::*;
use shared::conversation::Conversation as Context;
use shared::id::ConnectionName;
use wasm_bindgen::JsCast;

/// The stop.
#[component]
pub fn Conversation() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let standing = Signal::derive(move || {
        let is_filled = desk.conversation.with(|known| matches!(known, Known::Here(_)))
            && !desk.draft.read().sender.is_empty();
        desk.standing(&[Field::Conversation, Field::Sender], is_filled)
    });
    let proxy = expect_context::<Proxy>();
    let is_new_here =
        move || proxy.is_sandbox() == Some(true) && desk.draft.read().conversation.is_empty();
    view! {
        <Leg title="Conversation" id="leg-conversation" standing aside=Signal::derive(move || {
            desk.connection().map(|name| name.to_string()).unwrap_or_default()
        })>
            <ConnectionChoice/>
            <div class="field" class:has-bad=move || desk.is_bad(Field::Conversation)>
                <label class="sr" for=Field::Conversation.id()>
                    "Conversation id"
                </label>
                <div class="row">
                    <input
                        class="input mono grow"
                        id=Field::Conversation.id()
                        data-testid="conversation-input"
                        autocomplete="off"
                        spellcheck="false"
                        placeholder="Paste a conversation id"
                        prop:value=move || desk.draft.read().conversation.clone()
                        on:input:target=move |event| {
                            let typed = event.target().value();
                            desk.draft.update(|draft| draft.conversation = typed);
                        }
                        on:blur=move |_| desk.touch(Field::Conversation)
                    />
                    <Recent/>
                </div>
                {findings(Field::Conversation)}
                <Show when=is_new_here>
                    <p class="hint" data-testid="sandbox-hint">
                        "This is the sandbox: nothing leaves this machine. Pick one of its sample conversations under Recent and send it something."
                    </p>
                </Show>
            </div>
            <Card/>
            <Sender/>
        </Leg>
    }
}

/// Only where there is a choice.
#[component]
fn ConnectionChoice() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let options = expect_context::<Proxy>().options;
    let connections = Memo::new(move |_| {
        options.with(|options| {
            options.ready().map(|options| options.connections.clone()).unwrap_or_default()
        })
    });
    let problem = move || {
        let chosen = desk.connection();
        connections
            .with(|all| all.iter().find(|one| Some(&one.name) == chosen.as_ref())?.problem.clone())
    };
    view! {
        <Show when=move || connections.read().get(1).is_some()>
            <div class="field">
                <label class="label" for="f-connection">
                    "Connection"
                </label>
                <select
                    class="select"
                    id="f-connection"
                    on:change:target=move |event| {
                        let name = ConnectionName::parse(&event.target().value()).ok();
                        desk.edit(Field::Conversation, |draft| draft.connection = name);
                    }
                >
                    {move || {
                        let chosen = desk.connection();
                        connections
                            .get()
                            .into_iter()
                            .map(|one| {
                                let label = if one.sandbox {
                                    format!("{} (sandbox)", one.name)
                                } else {
                                    format!("{}, {}", one.name, one.region)
                                };
                                view! {
                                    <option
                                        value=one.name.to_string()
                                        selected=Some(&one.name) == chosen.as_ref()
                                    >
                                        {label}
                                    </option>
                                }
                            })
                            .collect_view()
                    }}
                </select>
            </div>
        </Show>
        {move || {
            problem()
                .map(|problem| {
                    view! {
                        <p class="banner banner-warn" role="status">
                            <Icon glyph=Glyph::Warn/>
                            <span>
                                "Nothing can be sent through this connection now: " {problem}
                                ". What is accepted meanwhile waits."
                            </span>
                        </p>
                    }
                })
        }}
    }
}

/// The conversations the proxy knows, to pick from.
#[component]
fn Recent() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let menu = NodeRef::<html::Details>::new();
    let close = move || {
        if let Some(menu) = menu.get_untracked() {
            menu.set_open(false);
        }
    };
    let handle = window_event_listener(leptos::ev::click, move |event| {
        let Some(details) = menu.get_untracked() else { return };
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Node>().ok());
        if !details.contains(target.as_ref()) {
            details.set_open(false);
        }
    });
    on_cleanup(move || handle.remove());
    let choose = move |id: String| {
        desk.draft.update(|draft| draft.conversation = id);
        close();
    };
    view! {
        <Show when=move || !desk.recent.read().is_empty()>
            <details
                class="menu-box menu-end"
                node_ref=menu
                on:keydown=move |event| {
                    if event.key() == "Escape" {
                        close();
                    }
                }
            >
                <summary class="b b-field" data-testid="recent-conversations">
                    <Icon glyph=Glyph::Clock/>
                    "Recent"
                </summary>
                <div class="menu menu-wide" role="group" aria-label="Recent conversations">
                    <For
                        each=move || desk.recent.get()
                        key=|conversation| conversation.id.clone()
                        children=move |conversation| {
                            view! {
                                <RecentChoice
                                    conversation
                                    choose=Callback::new(choose)
                                />
                            }
                        }
                    />
                </div>
            </details>
        </Show>
    }
}

#[component]
fn RecentChoice(conversation: Context, choose: Callback<String>) -> impl IntoView {
    let id = conversation.id.to_string();
    let short: String = id.chars().take(8).collect();
    let who = conversation.customers().first().copied().unwrap_or("nobody").to_owned();
    let is_over = conversation.ended_at.is_some();
    view! {
        <button
            type="button"
            data-testid="recent-conversation"
            data-id=id.clone()
            on:click=move |_| choose.run(id.clone())
        >
            <Icon glyph=crate::components::row::channel_glyph(&conversation.channel)/>
            <span class="clip grow">{who}</span>
            {is_over.then(|| view! { <span class="tag">"ended"</span> })}
            <span class="mono faint">{short}</span>
        </button>
    }
}

#[component]
fn Card() -> impl IntoView {
    let desk = expect_context::<Desk>();
    move || match desk.conversation.get() {
        Known::Nothing => ().into_any(),
        Known::Looking => view! {
            <div class="context" role="status" aria-label="Reading the conversation">
                <div class="context-row">
                    <span></span>
                    <span class="bone w-4"></span>
                </div>
                <div class="context-row">
                    <span></span>
                    <span class="bone w-5"></span>
                </div>
            </div>
        }
        .into_any(),
        Known::Here(conversation) => view! { <ContextCard conversation/> }.into_any(),
        Known::Problem(problem) => view! {
            <p class="banner banner-bad" role="alert">
                <Icon glyph=Glyph::Stop/>
                <span>
                    <b class="strong">{problem.title.clone()}</b> ". "
                    {problem.detail.unwrap_or_default()}
                </span>
            </p>
        }
        .into_any(),
    }
}

#[component]
fn Sender() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let senders = Memo::new(move |_| {
        let known = desk.known();
        known.map(|known| known.senders().into_iter().map(str::to_owned).collect::<Vec<_>>())
    });
    let options = move || {
        let chosen = desk.draft.with(|draft| draft.sender.clone());
        let senders = senders.get().unwrap_or_default();
        let is_listed = senders.contains(&chosen);
        let placeholder = (!is_listed).then(|| {
            let text =
                if chosen.is_empty() { "Choose who sends it".to_owned() } else { chosen.clone() };
            view! {
                <option value=chosen.clone() selected=true disabled=true>
                    {text}
                </option>
            }
        });
        let listed = senders
            .into_iter()
            .map(|sender| {
                let is_chosen = sender == chosen;
                view! {
                    <option value=sender.clone() selected=is_chosen>
                        {sender.clone()}
                    </option>
                }
            })
            .collect_view();
        view! {
            {placeholder}
            {listed}
        }
    };
    view! {
        <Show when=move || senders.read().is_some()>
            <div class="field" class:has-bad=move || desk.is_bad(Field::Sender)>
                <label class="label" for=Field::Sender.id()>
                    "Sender"
                </label>
                <select
                    class="select"
                    id=Field::Sender.id()
                    data-testid="sender-select"
                    on:change:target=move |event| {
                        let sender = event.target().value();
                        desk.edit(Field::Sender, |draft| draft.sender = sender);
                    }
                >
                    {options}
                </select>
                {findings(Field::Sender)}
            </div>
        </Show>
    }
}
