//! An identifier, shortened, that goes to the clipboard whole with one click.

use crate::browser;
use crate::components::icon::{Glyph, Icon};
use leptos::prelude::*;
use std::time::Duration;

/// How long the tick stays.
const TICK: Duration = Duration::from_millis(1500);

/// Shows the first characters of `text`; a click copies all of it.
#[component]
pub fn Copy(
    /// What is copied.
    #[prop(into)]
    text: String,
    /// What it is, for the label: "conversation id".
    name: &'static str,
    /// Characters shown.
    #[prop(default = 8)]
    shown: usize,
) -> impl IntoView {
    let copied = RwSignal::new(false);
    let short: String = text.chars().take(shown).collect();
    let title = text.clone();
    let copy = move |_| {
        browser::copy(&text);
        copied.set(true);
        set_timeout(
            move || {
                copied.try_set(false);
            },
            TICK,
        );
    };
    let glyph = Signal::derive(move || if copied.get() { Glyph::Check } else { Glyph::Copy });
    view! {
        <button
            type="button"
            class="copy mono"
            title=title
            aria-label=move || {
                if copied.get() { format!("Copied {name}") } else { format!("Copy {name}") }
            }
            on:click=copy
        >
            <span class="clip">{short}</span>
            <Icon glyph=glyph/>
        </button>
    }
}
