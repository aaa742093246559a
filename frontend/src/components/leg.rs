//! A stop of the form: its number's place is taken by how it stands, so the route shows what is left to do.

use crate::components::icon::{Glyph, Icon};
use leptos::prelude::*;

/// How a stop stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Not filled in yet.
    Ahead,
    /// Good.
    Done,
    /// Good enough, but to be considered.
    Warn,
    /// Something stops the message.
    Bad,
}

impl Standing {
    fn class(self) -> &'static str {
        match self {
            Standing::Ahead => "leg is-ahead",
            Standing::Done => "leg is-done",
            Standing::Warn => "leg is-warn",
            Standing::Bad => "leg is-bad",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Standing::Ahead => "to do",
            Standing::Done => "done",
            Standing::Warn => "to consider",
            Standing::Bad => "to fix",
        }
    }
}

/// A section of the form.
#[component]
pub fn Leg(
    /// Its heading.
    title: &'static str,
    /// Identifier of the heading.
    id: &'static str,
    /// How it stands.
    #[prop(into)]
    standing: Signal<Standing>,
    /// A word at the right of the heading.
    #[prop(into, default = Signal::from(String::new()))]
    aside: Signal<String>,
    /// Its fields.
    children: Children,
) -> impl IntoView {
    let glyph = Signal::derive(move || match standing.get() {
        Standing::Ahead => Glyph::Dots,
        Standing::Done => Glyph::Check,
        Standing::Warn => Glyph::Warn,
        Standing::Bad => Glyph::Close,
    });
    view! {
        <section class=move || standing.get().class() aria-labelledby=id>
            <span class="leg-stop" aria-hidden="true">
                <Icon glyph=glyph/>
            </span>
            <div class="leg-head">
                <h2 id=id>
                    {title} <span class="sr">{move || format!(", {}", standing.get().word())}</span>
                </h2>
                <span class="aside">{move || aside.get()}</span>
            </div>
            <div class="stack">{children()}</div>
        </section>
    }
}
