//! What is around every page: the rail, the top bar, the keyboard, the announcements for screen readers, and
//! the banner that says when what is shown may be old. Without a token it is around the Lab alone, and on the Lab
//! nothing is said about the proxy, which the Lab does not need.

mod help;
mod paused;
mod rail;
pub mod shortcuts;
mod top;

use crate::browser;
use crate::components::icon::{Glyph, Icon};
use crate::components::nothing::Stale;
use crate::pages::Place;
use crate::state::live::{Live, LiveState};
use crate::state::loaded::Loaded;
use crate::state::proxy::Proxy;
use help::Help;
use leptos::prelude::*;
use leptos_router::hooks::use_location;
pub use rail::FAILED;
use rail::{BottomBar, Rail};
use top::TopBar;

/// Says something to screen readers, politely. One sentence at a time; the last one wins.
#[derive(Clone, Copy, Default)]
pub struct Announcer {
    said: RwSignal<String>,
}

impl Announcer {
    /// Says `text` when the reader pauses.
    pub fn say(self, text: impl Into<String>) {
        self.said.set(text.into());
    }
}

/// The frame around `children`.
#[component]
pub fn Frame(children: Children) -> impl IntoView {
    let reach = use_context::<Proxy>().zip(use_context::<Live>());
    let announcer = expect_context::<Announcer>();
    let is_help_open = RwSignal::new(false);
    shortcuts::listen(is_help_open);
    let location = use_location();
    let way = Memo::new(move |_| Place::way(&location.pathname.read(), &location.hash.read()));
    let title = Memo::new(move |_| Place::title(&way.read()));
    Effect::new(move |before: Option<Option<&'static str>>| {
        let title = title.get();
        browser::set_title(
            &title.map_or("Waybill".to_owned(), |title| format!("{title} · Waybill")),
        );
        // The first page needs no saying: the browser reads the document's title.
        if before.is_some_and(|before| before != title) {
            announcer.say(title.unwrap_or("Waybill"));
        }
        title
    });
    // What the proxy could not say at first it may be able to say once it is heard again.
    if let Some((proxy, live)) = reach {
        Effect::new(move |_| {
            let is_missing = matches!(*proxy.options.read_untracked(), Loaded::Failed(_));
            if live.epoch.get() > 0 && is_missing {
                proxy.fetch();
            }
        });
    }
    let env = move || match reach.and_then(|(proxy, _)| proxy.is_sandbox()) {
        Some(true) => "sandbox",
        Some(false) => "live",
        None => "",
    };
    view! {
        <a class="skip" href="#main">
            "Skip to content"
        </a>
        <div class="app" data-env=env>
            <div class="tape" aria-hidden="true"></div>
            <Rail is_help_open/>
            <TopBar/>
            <main class="sheet" id="main" tabindex="-1">
                {reach
                    .map(|(proxy, live)| {
                        view! {
                            <Show when=move || !Place::Lab.holds(&way.read())>
                                <Reach proxy live/>
                            </Show>
                        }
                    })}
                {children()}
            </main>
            <BottomBar/>
        </div>
        <p class="sr" aria-live="polite">
            {move || announcer.said.get()}
        </p>
        <Help open=is_help_open/>
    }
}

/// What is said over the pages while the proxy cannot be heard or sends nothing.
#[component]
fn Reach(proxy: Proxy, live: Live) -> impl IntoView {
    let problem = Memo::new(move |_| match &*proxy.options.read() {
        Loaded::Failed(problem) => Some(problem.clone()),
        _ => None,
    });
    view! {
        <Show when=move || live.state.get() == LiveState::Offline>
            <div class="offline">
                <Stale since=live.contact_at/>
            </div>
        </Show>
        {move || {
            problem
                .get()
                .map(|problem| {
                    view! {
                        <div class="offline">
                            <p class="banner banner-bad" role="alert">
                                <Icon glyph=Glyph::Stop/>
                                <span>
                                    <b class="strong">{problem.title} ". "</b>
                                    {problem.detail}
                                </span>
                                <span class="actions">
                                    <button
                                        type="button"
                                        class="b b-tiny"
                                        on:click=move |_| proxy.fetch()
                                    >
                                        "Try again"
                                    </button>
                                </span>
                            </p>
                        </div>
                    }
                })
        }}
        <paused::Paused/>
    }
}
