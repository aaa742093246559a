//! Messages drawn from a seed: the same seed, scenario and version give the same ones everywhere. A click puts one
//! into the editor.

use super::check::Check;
use super::desk::Desk;
use super::draw;
use super::faults::{self, Switches};
use super::judge;
use super::link::{About, COUNT_MAX};
use super::send::Send;
use crate::browser;
use crate::components::icon::{Glyph, Icon};
use crate::words;
use leptos::prelude::*;
use shared::channel::Channel;
use shared::finding::{Finding, Severity};
use shared::rules::{Ruleset, example};
use shared::simulator::{self, Scenario, SimulatedMessage};
use shared::validate::{Context, validate};
use std::sync::Arc;

/// Messages on a page of the list.
const ON_PAGE: usize = 12;

/// One line of the list.
#[derive(Clone, PartialEq, Debug)]
pub struct Made {
    /// What was drawn.
    pub drawn: SimulatedMessage,
    /// The worst that was found.
    pub worst: Option<Finding>,
}

impl Made {
    /// True when nothing stops it.
    pub fn may_be_sent(&self) -> bool {
        self.worst.as_ref().is_none_or(|one| one.severity == Severity::Warning)
    }
}

/// The section.
#[component]
pub fn Simulator(switches: Option<Switches>) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let drawing = Memo::new(move |_| {
        desk.state
            .with(|state| (state.seed, state.scenario.clone(), state.count, state.drawn_on.clone()))
    });
    let made = Memo::new(move |_| {
        let (seed, name, count, on) = drawing.get();
        let count = usize::try_from(count).unwrap_or_default();
        let scenario = draw::scenario(&name, on.as_ref());
        let drawn = scenario.iter().flat_map(|scenario| scenario.messages(seed).take(count));
        let judged = drawn.map(|drawn| {
            let context = Context::Conversation(&drawn.conversation);
            let rules = Ruleset::embedded(drawn.dialect);
            let worst = validate(&drawn.payload, rules, context).into_iter().next();
            Made { drawn, worst }
        });
        Arc::new(judged.collect::<Vec<_>>())
    });
    view! {
        <section class="lab-simulator grid-2 grid-side" aria-label="Simulator">
            <aside class="stack stack-4">
                <Generator/>
                <Send made/>
                {switches.map(|switches| view! { <faults::Panel switches/> })}
            </aside>
            <div class="stack stack-4">
                <Check/>
                <List made/>
            </div>
        </section>
    }
}

#[component]
fn Generator() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let seed = Memo::new(move |_| desk.state.with(|state| state.seed));
    let count = Memo::new(move |_| desk.state.with(|state| state.count));
    let on = Memo::new(move |_| {
        desk.state.with(|state| {
            state.drawn_on.as_ref().map_or(String::new(), |channel| channel.as_str().to_owned())
        })
    });
    let scenario = Memo::new(move |_| desk.state.with(|state| state.scenario.clone()));
    let roll = move |_| {
        let bytes = browser::random_bytes();
        // Short enough to be said and typed.
        let seed =
            u64::from(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) % 1_000_000);
        desk.state.update(|state| state.seed = seed);
    };
    view! {
        <section class="panel" aria-labelledby="lab-draw-title">
            <div class="panel-head">
                <h2 id="lab-draw-title">"Simulator"</h2>
                <span class="push"></span>
                <span class="small faint" data-testid="lab-simulator-version">
                    {format!("version {}", simulator::VERSION)}
                </span>
            </div>
            <div class="panel-body stack stack-4">
                <div class="field">
                    <label class="label" for="lab-seed">
                        "Seed"
                    </label>
                    <div class="seed">
                        <input
                            class="input"
                            id="lab-seed"
                            data-testid="lab-seed"
                            inputmode="numeric"
                            autocomplete="off"
                            prop:value=move || seed.get().to_string()
                            on:change:target=move |event| {
                                let field = event.target();
                                match field.value().trim().parse() {
                                    Ok(seed) => desk.state.update(|state| state.seed = seed),
                                    Err(_) => field.set_value(&seed.get_untracked().to_string()),
                                }
                            }
                        />
                        <button
                            type="button"
                            class="b b-icon"
                            aria-label="Another seed"
                            title="Another seed"
                            data-testid="lab-dice"
                            on:click=roll
                        >
                            <Icon glyph=Glyph::Dice/>
                        </button>
                    </div>
                </div>
                <div class="field">
                    <label class="label" for="lab-scenario">
                        "Scenario"
                    </label>
                    <select
                        class="select"
                        id="lab-scenario"
                        data-testid="lab-scenario"
                        prop:value=move || scenario.get()
                        on:change:target=move |event| {
                            desk.state.update(|state| state.scenario = event.target().value());
                        }
                    >
                        {Scenario::SHIPPED
                            .into_iter()
                            .map(|name| {
                                let is_chosen = scenario.with_untracked(|chosen| chosen == name);
                                view! {
                                    <option value=name selected=is_chosen>
                                        {draw::label(name)}
                                    </option>
                                }
                            })
                            .collect_view()}
                    </select>
                    <p class="hint lab-about">
                        {move || {
                            Scenario::shipped(&scenario.read()).map(|scenario| scenario.about.clone())
                        }}
                    </p>
                </div>
                <div class="two-fields">
                    <div class="field">
                        <label class="label" for="lab-on">
                            "Channel"
                        </label>
                        <select
                            class="select"
                            id="lab-on"
                            data-testid="lab-on"
                            prop:value=move || on.get()
                            on:change:target=move |event| {
                                let name = event.target().value();
                                let channel = (!name.is_empty()).then(|| Channel::parse(&name));
                                desk.state.update(|state| state.drawn_on = channel);
                            }
                        >
                            <option value="" selected=on.read_untracked().is_empty()>
                                "All"
                            </option>
                            {Channel::KNOWN
                                .into_iter()
                                .map(|channel| {
                                    let is_chosen = on.with_untracked(|name| name == channel.as_str());
                                    view! {
                                        <option value=channel.as_str().to_owned() selected=is_chosen>
                                            {channel.label().to_owned()}
                                        </option>
                                    }
                                })
                                .collect_view()}
                        </select>
                    </div>
                    <div class="field">
                        <label class="label" for="lab-count">
                            "Messages"
                        </label>
                        <input
                            class="input"
                            id="lab-count"
                            data-testid="lab-count"
                            inputmode="numeric"
                            autocomplete="off"
                            prop:value=move || count.get().to_string()
                            on:change:target=move |event| {
                                let field = event.target();
                                let typed = field.value().trim().replace(',', "").parse::<u32>();
                                let count = typed.unwrap_or(count.get_untracked()).clamp(1, COUNT_MAX);
                                desk.state.update(|state| state.count = count);
                                field.set_value(&count.to_string());
                            }
                        />
                    </div>
                </div>
            </div>
        </section>
    }
}

#[component]
fn List(made: Memo<Arc<Vec<Made>>>) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let is_faulty_only = RwSignal::new(false);
    let page = RwSignal::new(0_usize);
    let opened = RwSignal::new(None::<usize>);
    // Another seed is another list.
    Effect::new(move |_| {
        made.track();
        is_faulty_only.track();
        page.set(0);
        opened.set(None);
    });
    let listed = Memo::new(move |_| {
        let only = is_faulty_only.get();
        made.with(|all| {
            let is_listed =
                |index: &usize| !only || all.get(*index).is_some_and(|one| one.worst.is_some());
            (0..all.len()).filter(is_listed).collect::<Vec<_>>()
        })
    });
    let good = move || made.with(|all| all.iter().filter(|one| one.may_be_sent()).count());
    let load = move |index: usize| {
        let Some(one) = made.with_untracked(|all| all.get(index).cloned()) else { return };
        let channel = one.drawn.conversation.channel.clone();
        let about = if one.drawn.conversation == example::conversation(&channel) {
            About::Sample
        } else {
            About::Written(judge::conversation_text(&one.drawn.conversation))
        };
        let text = serde_json::to_string_pretty(&one.drawn.payload).unwrap_or_default();
        opened.set(Some(index));
        desk.load(text, channel, one.drawn.dialect, about);
        browser::focus(super::editor::FIELD);
    };
    let pages = move || listed.with(|all| all.len().div_ceil(ON_PAGE)).max(1);
    let is_last = move || page.get() + 1 >= pages();
    let range = move || {
        let total = listed.with(Vec::len);
        let first = page.get() * ON_PAGE;
        let last = (first + ON_PAGE).min(total);
        if total == 0 {
            "none".to_owned()
        } else {
            format!("{} to {last} of {}", first + 1, words::grouped(words::count(total)))
        }
    };
    view! {
        <section class="panel" aria-labelledby="lab-made-title">
            <div class="panel-head">
                <h2 id="lab-made-title">"Generated"</h2>
                <span class="small muted" data-testid="lab-made" data-count=move || made.read().len()>
                    {move || {
                        let total = words::count(made.read().len());
                        format!("{}, {} may be sent", words::counted(total, "message", "messages"), words::grouped(words::count(good())))
                    }}
                </span>
                <span class="push"></span>
                <div class="seg seg-small" role="radiogroup" aria-label="Which messages">
                    {[(false, "All"), (true, "With findings")]
                        .into_iter()
                        .map(|(only, label)| {
                            view! {
                                <label>
                                    <input
                                        class="sr"
                                        type="radio"
                                        name="lab-listed"
                                        prop:checked=move || is_faulty_only.get() == only
                                        on:change=move |_| is_faulty_only.set(only)
                                    />
                                    {label}
                                </label>
                            }
                        })
                        .collect_view()}
                </div>
            </div>
            <div class="table-wrap lab-table">
                <table class="table">
                    <thead>
                        <tr>
                            <th class="rowno">"No."</th>
                            <th class="wide-only">"Channel"</th>
                            <th class="wide-only">"Type"</th>
                            <th class="c-who">"Content"</th>
                            <th>"Finding"</th>
                        </tr>
                    </thead>
                    <tbody>
                        {move || {
                            let first = page.get() * ON_PAGE;
                            let indexes: Vec<usize> = listed
                                .with(|all| all.iter().skip(first).take(ON_PAGE).copied().collect());
                            made.with(|all| {
                                indexes
                                    .into_iter()
                                    .filter_map(|index| all.get(index).map(|one| (index, one.clone())))
                                    .map(|(index, one)| row(index, &one, opened, load))
                                    .collect_view()
                            })
                        }}
                    </tbody>
                </table>
            </div>
            <div class="pager">
                <span>{range}</span>
                <span class="push"></span>
                <button
                    type="button"
                    class="b b-icon b-small b-quiet"
                    aria-label="Earlier messages"
                    data-testid="lab-earlier"
                    disabled=move || page.get() == 0
                    on:click=move |_| page.update(|page| *page = page.saturating_sub(1))
                >
                    <Icon glyph=Glyph::Previous/>
                </button>
                <button
                    type="button"
                    class="b b-icon b-small b-quiet"
                    aria-label="Later messages"
                    data-testid="lab-later"
                    disabled=is_last
                    on:click=move |_| page.update(|page| *page += 1)
                >
                    <Icon glyph=Glyph::Next/>
                </button>
            </div>
        </section>
    }
}

fn row(
    index: usize,
    made: &Made,
    opened: RwSignal<Option<usize>>,
    load: impl Fn(usize) + Copy + Send + Sync + 'static,
) -> AnyView {
    let payload = &made.drawn.payload;
    let files = match payload.attachments.len() {
        0 => String::new(),
        count => format!(" + {}", words::counted(words::count(count), "file", "files")),
    };
    let finding = match &made.worst {
        None => view! {
            <span class="sla sla-met">
                <Icon glyph=Glyph::Check/>
                "may be sent"
            </span>
        }
        .into_any(),
        Some(one) => {
            let (class, glyph) = match one.severity {
                Severity::Error => ("sla sla-breached", Glyph::Cross),
                Severity::Warning => ("sla sla-near", Glyph::Warn),
            };
            let code = one.code.clone();
            view! {
                <span class=class title=one.what.clone()>
                    <Icon glyph=glyph/>
                    <span class="clip lab-code">{code}</span>
                </span>
            }
            .into_any()
        }
    };
    view! {
        <tr class:is-open=move || opened.get() == Some(index) data-testid="lab-row" on:click=move |_| load(index)>
            <td class="rowno">{index + 1}</td>
            <td class="wide-only nowrap">{made.drawn.conversation.channel.label().to_owned()}</td>
            <td class="mono wide-only">{payload.content_type.clone()}</td>
            <td class="c-who">
                <button type="button" class="lab-content mono clip" data-testid="lab-load">
                    {payload.preview(80)}
                    <span class="faint">{files}</span>
                </button>
            </td>
            <td class="nowrap">{finding}</td>
        </tr>
    }
    .into_any()
}
