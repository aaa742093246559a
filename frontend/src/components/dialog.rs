//! A modal dialog on the browser's own `<dialog>`: it traps the focus, closes on Escape and gives the focus
//! back to where it came from.

use crate::components::icon::{Glyph, Icon};
use leptos::html;
use leptos::prelude::*;

/// Shows its children over the page while `open` holds.
#[component]
pub fn Dialog(
    /// Whether it is shown; set to false when the reader closes it.
    open: RwSignal<bool>,
    /// Its heading.
    #[prop(into)]
    title: String,
    /// Its identifier, unique on the page.
    id: &'static str,
    /// What it shows; made anew each time it opens.
    children: ChildrenFn,
) -> impl IntoView {
    let element = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        let Some(dialog) = element.get() else { return };
        if open.get() && !dialog.open() {
            let _ = dialog.show_modal();
        } else if !open.get() && dialog.open() {
            dialog.close();
        }
    });
    let heading = format!("{id}-title");
    view! {
        <dialog
            class="dialog"
            id=id
            node_ref=element
            aria-labelledby=heading.clone()
            on:close=move |_| open.set(false)
        >
            <div class="dialog-head row">
                <h2 id=heading.clone()>{title}</h2>
                <button
                    type="button"
                    class="b b-icon b-quiet b-small push"
                    aria-label="Close"
                    on:click=move |_| open.set(false)
                >
                    <Icon glyph=Glyph::Close/>
                </button>
            </div>
            <Show when=move || open.get()>
                <div class="dialog-body">{children()}</div>
            </Show>
        </dialog>
    }
}
