//! The values of a template: a field for each name the payload holds, and those that nothing uses any more.

use super::desk::Desk;
use crate::components::holes::Holes;
use crate::components::icon::{Glyph, Icon};
use leptos::prelude::*;

/// Shown while the payload holds `{{names}}`, or values are left over from one that did.
#[component]
pub fn Values() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let wanted = Memo::new(move |_| {
        desk.judged
            .with(|judged| judged.read.as_ref().map(|read| read.wanted.clone()).unwrap_or_default())
    });
    let unused = Memo::new(move |_| {
        desk.state.with(|state| {
            let is_unused =
                |name: &&String| wanted.with(|all| all.iter().all(|one| one.name != **name));
            state.values.keys().filter(is_unused).cloned().collect::<Vec<_>>()
        })
    });
    let is_shown = Memo::new(move |_| !wanted.read().is_empty() || !unused.read().is_empty());
    let result = Memo::new(move |_| {
        desk.judged.with(|judged| {
            let read = judged.read.as_ref().filter(|read| !read.wanted.is_empty())?;
            Some(read.filled.text().map_or_else(|| read.filled.content.to_string(), str::to_owned))
        })
    });
    view! {
        <Show when=move || is_shown.get()>
            <section class="lab-part" aria-labelledby="lab-values-title" data-testid="lab-values">
                <h2 class="dense strong" id="lab-values-title">
                    "Template"
                </h2>
                <div class="holes">
                    <Holes
                        wanted
                        values=Signal::derive(move || desk.state.with(|state| state.values.clone()))
                        change=Callback::new(move |(name, value)| {
                            desk.state
                                .update(|state| match value {
                                    Some(value) => {
                                        state.values.insert(name, value);
                                    }
                                    None => {
                                        state.values.remove(&name);
                                    }
                                });
                        })
                        prefix="lab-value-"
                    />
                    <For each=move || unused.get() key=Clone::clone let:name>
                        <Unused name/>
                    </For>
                </div>
                {move || {
                    result
                        .get()
                        .map(|text| {
                            view! {
                                <p class="caption">"Filled, and judged like this:"</p>
                                <pre class="code lab-filled" tabindex="0" data-testid="lab-filled">{text}</pre>
                            }
                        })
                }}
            </section>
        </Show>
    }
}

#[component]
fn Unused(name: String) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let label = format!("Remove {name}");
    let shown = name.clone();
    view! {
        <p class="row small">
            <span class="chip is-warn">
                <span class="clip mono">{shown}</span>
                <button
                    type="button"
                    class="x"
                    aria-label=label
                    on:click=move |_| {
                        desk.state
                            .update(|state| {
                                state.values.remove(&name);
                            });
                    }
                >
                    <Icon glyph=Glyph::Close class="i-small"/>
                </button>
            </span>
            <span class="fg-warn">"used nowhere"</span>
        </p>
    }
}
