//! What a payload is judged for and against: channel, dialect, and what is known of the conversation.

use super::desk::Desk;
use super::judge;
use super::link::About;
use crate::api::Client;
use crate::components::icon::{Glyph, Icon};
use leptos::prelude::*;
use leptos::task::spawn_local;
use shared::channel::Channel;
use shared::conversation::Conversation;
use shared::rules::{Dialect, example};

/// A channel nobody knows, to see what is said about it.
const UNKNOWN: &str = "pigeon";

/// The bar over the editor.
#[component]
pub fn Bar() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let is_open = RwSignal::new(false);
    let unknown = Memo::new(move |_| match desk.channel.get() {
        Channel::Unknown(name) => name,
        _ => UNKNOWN.to_owned(),
    });
    let about = Memo::new(move |_| {
        desk.state.with(|state| match state.about {
            About::ChannelAlone => "none",
            About::Sample => "sample",
            About::Written(_) => "written",
        })
    });
    let choose_about = move |choice: String| {
        let channel = desk.channel.get_untracked();
        let about = match choice.as_str() {
            "none" => About::ChannelAlone,
            "sample" => About::Sample,
            _ => About::Written(judge::conversation_text(&example::conversation(&channel))),
        };
        is_open.set(matches!(about, About::Written(_)));
        desk.state.update(|state| state.about = about);
    };
    view! {
        <div class="panel-head lab-bar">
            <h2 id="lab-payload-title">"Payload"</h2>
            <label class="row small">
                <span class="muted">"Channel"</span>
                <select
                    class="select is-small is-auto"
                    data-testid="lab-channel"
                    prop:value=move || desk.channel.read().as_str().to_owned()
                    on:change:target=move |event| {
                        desk.choose_channel(Channel::parse(&event.target().value()));
                    }
                >
                    {Channel::KNOWN
                        .into_iter()
                        .map(|channel| {
                            let is_chosen = desk.channel.with_untracked(|one| *one == channel);
                            view! {
                                <option value=channel.as_str().to_owned() selected=is_chosen>
                                    {channel.label().to_owned()}
                                </option>
                            }
                        })
                        .collect_view()}
                    <option value=move || unknown.get() selected=move || desk.channel.get() == Channel::Unknown(unknown.get())>
                        {move || format!("Unknown: {}", unknown.get())}
                    </option>
                </select>
            </label>
            <label class="row small">
                <span class="muted">"Dialect"</span>
                <select
                    class="select is-small is-auto"
                    data-testid="lab-dialect"
                    prop:value=move || desk.dialect.get().as_str()
                    on:change:target=move |event| {
                        if let Some(dialect) = Dialect::parse(&event.target().value()) {
                            desk.state.update(|state| state.dialect = dialect);
                        }
                    }
                >
                    {Dialect::ALL
                        .into_iter()
                        .map(|dialect| {
                            let is_chosen = desk.dialect.get_untracked() == dialect;
                            view! {
                                <option value=dialect.as_str() selected=is_chosen>
                                    {dialect.as_str()}
                                </option>
                            }
                        })
                        .collect_view()}
                </select>
            </label>
            <label class="row small">
                <span class="muted">"Conversation"</span>
                <select
                    class="select is-small is-auto"
                    data-testid="lab-conversation"
                    prop:value=move || about.get()
                    on:change:target=move |event| choose_about(event.target().value())
                >
                    <option value="sample" selected=move || about.get() == "sample">
                        "a sample"
                    </option>
                    <option value="none" selected=move || about.get() == "none">
                        "not known"
                    </option>
                    <option value="written" selected=move || about.get() == "written">
                        "as written here"
                    </option>
                </select>
            </label>
            {move || {
                desk.narrowing()
                    .map(|name| {
                        view! {
                            <label class="check" title="What the settings of this proxy allow is less than what the channel takes.">
                                <input
                                    type="checkbox"
                                    data-testid="lab-narrowed"
                                    prop:checked=move || desk.is_narrowed.get()
                                    on:change:target=move |event| {
                                        desk.is_narrowed.set(event.target().checked());
                                    }
                                />
                                {format!("as {name} narrows it")}
                            </label>
                        }
                    })
            }}
            <Show when=move || about.get() != "none">
                <button
                    type="button"
                    class="b b-tiny b-quiet"
                    aria-expanded=move || is_open.get().to_string()
                    aria-controls="lab-participants"
                    data-testid="lab-participants-toggle"
                    on:click=move |_| is_open.update(|open| *open = !*open)
                >
                    <Icon glyph=Glyph::Person/>
                    {move || if is_open.get() { "Hide who takes part" } else { "Who takes part" }}
                </button>
            </Show>
        </div>
        <Show when=move || is_open.get() && about.get() != "none">
            <Participants/>
        </Show>
    }
}

/// The conversation as JSON that can be changed, and the way to take one from the proxy.
#[component]
fn Participants() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let text = move || {
        desk.state.with(|state| match &state.about {
            About::Written(text) => text.clone(),
            _ => judge::conversation_text(&example::conversation(&state.channel)),
        })
    };
    let fault = move || {
        desk.conversation.with(|read| {
            let error = read.as_ref().err()?;
            Some(format!("Not read, and so not judged against: {error}"))
        })
    };
    view! {
        <div class="lab-participants" id="lab-participants">
            <div class="field" class:has-bad=move || desk.conversation.read().is_err()>
                <label class="label" for="lab-participants-json">
                    "Who takes part "
                    <span class="optional">"participants, and ended_at once it has ended"</span>
                </label>
                <textarea
                    class="area mono"
                    id="lab-participants-json"
                    data-testid="lab-participants"
                    spellcheck="false"
                    rows="8"
                    prop:value=text
                    on:input:target=move |event| {
                        let typed = event.target().value();
                        desk.state.update(|state| state.about = About::Written(typed));
                    }
                ></textarea>
                {move || fault().map(|text| view! { <p class="hint fg-bad" role="alert">{text}</p> })}
            </div>
            {use_context::<Client>().map(|client| view! { <FromProxy client/> })}
        </div>
    }
}

/// Conversations the proxy knows, to judge against.
#[component]
fn FromProxy(client: Client) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let recent = RwSignal::new(Vec::<Conversation>::new());
    Effect::new(move |_| {
        let Some(proxy) = desk.proxy else { return };
        let names = proxy.options.with(|options| {
            let connections = options.ready().map(|options| &options.connections);
            let name = |one: &shared::api::Connection| one.name.clone();
            connections.into_iter().flatten().map(name).collect::<Vec<_>>()
        });
        spawn_local(async move {
            let mut all = Vec::new();
            for name in names {
                if let Ok(page) = client.conversations(name).await {
                    all.extend(page.items);
                }
            }
            recent.try_set(all);
        });
    });
    let choose = move |id: String| {
        let chosen = recent.with_untracked(|all| {
            all.iter().find(|conversation| conversation.id.as_str() == id).cloned()
        });
        if let Some(conversation) = chosen {
            desk.state.update(|state| {
                state.about = About::Written(judge::conversation_text(&conversation));
                state.channel = conversation.channel;
            });
        }
    };
    view! {
        <Show when=move || !recent.read().is_empty()>
            <label class="row small row-wrap">
                <span class="muted">"Take one from the proxy"</span>
                <select
                    class="select is-small is-auto"
                    data-testid="lab-from-proxy"
                    on:change:target=move |event| choose(event.target().value())
                >
                    <option value="">"choose"</option>
                    {move || {
                        recent
                            .get()
                            .into_iter()
                            .map(|conversation| {
                                let who = conversation.customers().first().copied().unwrap_or("nobody").to_owned();
                                view! {
                                    <option value=conversation.id.to_string()>
                                        {format!("{}, {who}", conversation.channel.label())}
                                    </option>
                                }
                            })
                            .collect_view()
                    }}
                </select>
            </label>
        </Show>
    }
}
