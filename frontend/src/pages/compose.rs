//! To be written.
use leptos::prelude::*;
/// To be written.
#[component]
pub fn Compose() -> impl IntoView { view! { <p>"Compose"</p> } }
