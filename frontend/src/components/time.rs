//! A moment on screen: short to read, whole on hover and for programs.

use crate::words;
use leptos::prelude::*;
use shared::time::Timestamp;

/// Shows `text` for the moment `at`.
#[component]
pub fn Time(
    /// The moment.
    at: Timestamp,
    /// How it is shown.
    #[prop(into)]
    text: String,
) -> impl IntoView {
    view! {
        <time datetime=at.to_string() title=words::full(at)>
            {text}
        </time>
    }
}
