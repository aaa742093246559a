//! To be written.
use leptos::prelude::*;
/// To be written.
#[component]
pub fn MessagePage() -> impl IntoView { view! { <p>"MessagePage"</p> } }
