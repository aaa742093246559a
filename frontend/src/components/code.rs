//! A block of text for machines, with a button that copies it.

use crate::browser;
use crate::components::icon::{Glyph, Icon};
use leptos::prelude::*;

/// Shows `text` as it is.
#[component]
pub fn Code(
    /// The text.
    #[prop(into)]
    text: Signal<String>,
) -> impl IntoView {
    let copied = RwSignal::new(false);
    view! {
        <div class="code-box">
            <pre class="code" tabindex="0">
                {move || text.get()}
            </pre>
            <button
                type="button"
                class="b b-tiny"
                on:click=move |_| {
                    browser::copy(&text.get_untracked());
                    copied.set(true);
                }
            >
                <Icon glyph=Signal::derive(move || {
                    if copied.get() { Glyph::Check } else { Glyph::Copy }
                })/>
                {move || if copied.get() { "Copied" } else { "Copy" }}
            </button>
        </div>
    }
}
