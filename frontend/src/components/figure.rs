//! A headline figure: a name, a number and a note, as a link where it opens a list.

use leptos::prelude::*;

/// One cell of a strip of figures.
#[component]
pub fn Figure(
    /// What is counted.
    name: &'static str,
    /// The number, with its unit.
    #[prop(into)]
    value: Signal<String>,
    /// A line below it.
    #[prop(into)]
    note: Signal<String>,
    /// Extra classes of the number, such as a tone.
    #[prop(into, default = Signal::from(""))]
    tone: Signal<&'static str>,
    /// Where it leads; empty where it leads nowhere.
    #[prop(into, default = Signal::from(String::new()))]
    href: Signal<String>,
    /// True while the list it leads to is the one shown.
    #[prop(into, default = Signal::from(false))]
    is_current: Signal<bool>,
    /// What tests find it by.
    #[prop(default = "figure")]
    testid: &'static str,
) -> impl IntoView {
    let body = move || {
        view! {
            <span class="name">{name}</span>
            <span class=move || format!("value {}", tone.get())>{move || value.get()}</span>
            <span class="note">{move || note.get()}</span>
        }
    };
    if href.get_untracked().is_empty() {
        view! {
            <div class="figure" data-testid=testid>
                {body()}
            </div>
        }
        .into_any()
    } else {
        view! {
            <a
                class="figure"
                data-testid=testid
                href=move || href.get()
                aria-current=move || is_current.get().then_some("true")
            >
                {body()}
            </a>
        }
        .into_any()
    }
}
