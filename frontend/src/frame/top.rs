//! The top bar: search, the request budget, the live connection, the environment and the theme.

use crate::browser;
use crate::components::icon::{Glyph, Icon};
use crate::components::logo::Logo;
use crate::pages::Place;
use crate::state::clock::Clock;
use crate::state::filter::Filter;
use crate::state::live::{Live, LiveState};
use crate::state::proxy::Proxy;
use crate::state::theme::Theme;
use crate::words;
use leptos::prelude::*;
use leptos_router::hooks::{use_navigate, use_query_map};
use shared::api::Budget;

/// Identifier of the search box, for the `/` key.
pub const SEARCH: &str = "search";

/// The top bar.
#[component]
pub fn TopBar() -> impl IntoView {
    let is_signed_in = use_context::<Proxy>().is_some();
    view! {
        <header class="top">
            <a class="brand brand-small" href=Place::Compose.href() aria-label="Waybill">
                <Logo/>
            </a>
            {is_signed_in.then(|| view! { <Search/> })}
            <span class="push"></span>
            {is_signed_in
                .then(|| {
                    view! {
                        <BudgetGauge/>
                        <Connection/>
                        <Environment/>
                    }
                })}
            {(!is_signed_in)
                .then(|| {
                    view! {
                        <span class="live live-none" data-testid="no-proxy">
                            <span>"No proxy: everything here runs in this page"</span>
                        </span>
                    }
                })}
            <ThemeSwitch/>
        </header>
    }
}

#[component]
fn Search() -> impl IntoView {
    let query = use_query_map();
    let navigate = use_navigate();
    let text = RwSignal::new(String::new());
    Effect::new(move |_| text.set(query.with(|query| query.get("q")).unwrap_or_default()));
    let search = StoredValue::new(move || {
        let mut filter = query.with_untracked(Filter::from_query);
        filter.q = text.get_untracked().trim().to_owned();
        navigate(&Place::Messages(filter).href(), leptos_router::NavigateOptions::default());
    });
    view! {
        <form
            class="search"
            role="search"
            on:submit=move |event| {
                event.prevent_default();
                search.with_value(|search| search());
            }
        >
            <Icon glyph=Glyph::Search/>
            <label class="sr" for=SEARCH>
                "Search messages"
            </label>
            <input
                id=SEARCH
                type="search"
                placeholder="Search sender, recipient or text"
                autocomplete="off"
                bind:value=text
                on:search=move |_: web_sys::Event| {
                    if text.read_untracked().is_empty()
                        && query.with_untracked(|query| query.get("q").is_some())
                    {
                        search.with_value(|search| search());
                    }
                }
            />
            <kbd aria-hidden="true">"/"</kbd>
        </form>
    }
}

#[component]
fn BudgetGauge() -> impl IntoView {
    let budgets = expect_context::<Proxy>().budget;
    // The tightest one is the one that will be felt.
    let tightest = Memo::new(move |_| {
        budgets.with(|budgets| {
            let share = |one: &Budget| one.used_last_minute * 1000 / one.allowed_per_minute.max(1);
            budgets.iter().max_by_key(|one| share(one)).cloned()
        })
    });
    let paused = move || {
        tightest.get().and_then(|budget| budget.paused_until).map(|until| {
            format!("The platform asked for silence until {}.", words::clock_seconds(until))
        })
    };
    view! {
        <Show when=move || tightest.read().is_some()>
            {move || {
                tightest
                    .get()
                    .map(|budget| {
                        let allowed = budget.allowed_per_minute.max(1);
                        let used = budget.used_last_minute.min(allowed);
                        let fill = match used * 100 / allowed {
                            0..80 => "fill",
                            80..95 => "fill-warn",
                            _ => "fill-bad",
                        };
                        let title = paused()
                            .unwrap_or_else(|| {
                                let mut said = format!(
                                    "Requests to the platform in the last minute, of those allowed; {} waiting.",
                                    budget.waiting,
                                );
                                if budget.messages_waiting > 0 {
                                    let count = words::grouped(budget.messages_waiting);
                                    said.push_str(&match budget.backlog_ends_at {
                                        Some(at) => format!(" {count} messages to send, at this pace until {}.", words::clock_seconds(at)),
                                        None => format!(" {count} messages to send; how long that takes is not known yet."),
                                    });
                                }
                                if budget.look_lag_seconds >= 1.0 {
                                    said.push_str(&format!(" Receipts are looked for {} late.", words::seconds(budget.look_lag_seconds)));
                                }
                                said
                            });
                        view! {
                            <span class="budget" title=title>
                                <span>
                                    <span>"Budget"</span>
                                    <span>{format!("{}/{}", budget.used_last_minute, allowed)}</span>
                                </span>
                                <svg class="meter" aria-hidden="true">
                                    <rect
                                        class=fill
                                        width=format!("{}%", used * 100 / allowed)
                                        height="4"
                                    ></rect>
                                </svg>
                            </span>
                        }
                    })
            }}
        </Show>
    }
}

#[component]
fn Connection() -> impl IntoView {
    let live = expect_context::<Live>();
    let clock = expect_context::<Clock>();
    let age = move || {
        clock.now();
        live.contact_at.get().map(|at| words::span(browser::now().ms_since(at) / 1000 * 1000))
    };
    let class = move || match live.state.get() {
        LiveState::Live => "live",
        LiveState::Reconnecting => "live live-wait",
        LiveState::Offline => "live live-off",
    };
    let word = move || match live.state.get() {
        LiveState::Live => "Live",
        LiveState::Reconnecting => "Reconnecting",
        LiveState::Offline => "Offline",
    };
    view! {
        <span
            class=class
            data-testid="connection-state"
            data-state=move || live.state.get().as_str()
            title="The live connection to the proxy and when it last spoke"
        >
            <span>
                <span role="status">{word}</span>
                <span aria-hidden="true">
                    {move || age().map(|age| format!(", {} ago", age.replace(".0 s", " s")))}
                </span>
            </span>
        </span>
    }
}

#[component]
fn Environment() -> impl IntoView {
    let proxy = expect_context::<Proxy>();
    move || {
        proxy.is_sandbox().map(|is_sandbox| {
            if is_sandbox {
                view! {
                    <span class="env env-box" title="Nothing leaves this machine: the platform is simulated">
                        "SANDBOX"
                    </span>
                }
            } else {
                view! {
                    <span class="env env-live" title="Messages reach real people">
                        "LIVE"
                    </span>
                }
            }
        })
    }
}

#[component]
fn ThemeSwitch() -> impl IntoView {
    let theme = expect_context::<RwSignal<Theme>>();
    let choice = move |one: Theme, label: &'static str, glyph: Glyph| {
        view! {
            <label title=label>
                <input
                    class="sr"
                    type="radio"
                    name="theme"
                    prop:checked=move || theme.get() == one
                    on:change=move |_| theme.set(one)
                />
                <Icon glyph=glyph/>
                <span class="sr">{label}</span>
            </label>
        }
    };
    view! {
        <fieldset class="theme">
            <legend class="sr">"Theme"</legend>
            {choice(Theme::Auto, "As the system", Glyph::Auto)}
            {choice(Theme::Light, "Light", Glyph::Sun)}
            {choice(Theme::Dark, "Dark", Glyph::Moon)}
        </fieldset>
    }
}
