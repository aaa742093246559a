//! What is drawn where there is nothing to show, and why: empty, no match, or a problem.

use crate::words;
use leptos::prelude::*;
use shared::api::Problem;
use shared::time::Timestamp;

/// A quiet picture, a sentence, and what one can do.
#[component]
pub fn Nothing(
    /// What there is none of.
    #[prop(into)]
    title: String,
    /// Why, or what to do.
    #[prop(into)]
    text: String,
    /// Buttons and links.
    children: Children,
) -> impl IntoView {
    view! {
        <div class="nothing">
            <svg class="art" viewBox="0 0 120 56" aria-hidden="true">
                <path class="paper" d="M34 8h52v40H34z"></path>
                <path d="M42 18h22M42 26h14" stroke-dasharray="3 3"></path>
                <path class="accent" d="M8 44h20" stroke-dasharray="4 4"></path>
                <circle class="bg" cx="8" cy="44" r="4"></circle>
                <path class="accent" d="M92 44h16" stroke-dasharray="4 4"></path>
                <circle class="bg" cx="112" cy="44" r="4"></circle>
            </svg>
            <h3>{title}</h3>
            <p>{text}</p>
            <div class="row row-wrap">{children()}</div>
        </div>
    }
}

/// A problem in the place of what it kept from being shown, with a way to try again.
#[component]
pub fn Trouble(
    /// What went wrong.
    problem: Problem,
    /// Asks again.
    retry: Callback<()>,
) -> impl IntoView {
    view! {
        <div role="alert">
            <Nothing title=problem.title.clone() text=problem.detail.clone().unwrap_or_default()>
                <button type="button" class="b" on:click=move |_| retry.run(())>
                    "Try again"
                </button>
            </Nothing>
        </div>
    }
}

/// Says that what is shown may be old.
#[component]
pub fn Stale(
    /// When the proxy was last heard.
    #[prop(into)]
    since: Signal<Option<Timestamp>>,
) -> impl IntoView {
    view! {
        <p class="banner banner-off" role="status">
            <crate::components::icon::Icon glyph=crate::components::icon::Glyph::Offline/>
            <span>
                "Offline. "
                {move || match since.get() {
                    Some(at) => format!("What you see is from {}.", words::clock_seconds(at)),
                    None => "Nothing was heard from the proxy yet.".to_owned(),
                }} " It refreshes by itself when the proxy answers again."
            </span>
        </p>
    }
}
