//! What is around every page: the rail, the top bar, the keyboard, the announcements for screen readers, and
//! the banner that says when what is shown may be old.

mod help;
mod rail;
pub mod shortcuts;
mod top;

use crate::components::nothing::Stale;
use crate::state::live::{Live, LiveState};
use crate::state::proxy::Proxy;
use help::Help;
use leptos::prelude::*;
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
    let proxy = expect_context::<Proxy>();
    let live = expect_context::<Live>();
    let announcer = expect_context::<Announcer>();
    let is_help_open = RwSignal::new(false);
    shortcuts::listen(is_help_open);
    let env = move || match proxy.is_sandbox() {
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
                <Show when=move || live.state.get() == LiveState::Offline>
                    <div class="offline">
                        <Stale since=live.contact_at/>
                    </div>
                </Show>
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
