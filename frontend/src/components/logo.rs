//! The mark: a route with an open first stop and a full last one, in the shape of a W.

use leptos::prelude::*;

/// The mark alone.
#[component]
pub fn Logo() -> impl IntoView {
    view! {
        <svg class="brand-mark" viewBox="0 0 24 24" aria-hidden="true">
            <path d="m3.5 6.5 4 11.5L12 8.5 16.5 18l4-11.5"></path>
            <circle class="stop-open" cx="3.5" cy="6" r="2.2"></circle>
            <circle class="stop-full" cx="20.5" cy="6" r="2.2"></circle>
        </svg>
    }
}
