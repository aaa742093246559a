//! To be written.
use leptos::prelude::*;
/// To be written.
#[component]
pub fn Sla() -> impl IntoView { view! { <p>"Sla"</p> } }
