//! A field for each value a template wants. An empty field is no value: what has none is a finding, never a hole.

use leptos::prelude::*;
use shared::template::{Values, Wanted};

/// The fields, in the order of their places in the template.
#[component]
pub fn Holes(
    /// The names that want a value.
    #[prop(into)]
    wanted: Signal<Vec<Wanted>>,
    /// The values there are.
    #[prop(into)]
    values: Signal<Values>,
    /// Told a name and its value, or none where the field was emptied.
    change: Callback<(String, Option<String>)>,
    /// What identifiers and test ids begin with.
    prefix: &'static str,
) -> impl IntoView {
    view! {
        <For each=move || wanted.get() key=|one| (one.name.clone(), one.is_required) let:one>
            <Hole one values change prefix/>
        </For>
    }
}

#[component]
fn Hole(
    one: Wanted,
    values: Signal<Values>,
    change: Callback<(String, Option<String>)>,
    prefix: &'static str,
) -> impl IntoView {
    let Wanted { name, is_required } = one;
    let id = format!("{prefix}{name}");
    let testid = id.clone();
    let read = name.clone();
    let value = Memo::new(move |_| values.with(|values| values.get(&read).cloned()));
    view! {
        <div class="field">
            <label class="label mono" for=id.clone()>
                {name.clone()}
                {(!is_required).then(|| view! { <span class="optional">" has a default"</span> })}
            </label>
            <input
                class="input is-small"
                class:hole-missing=move || is_required && value.read().is_none()
                id=id
                data-testid=testid
                autocomplete="off"
                placeholder=if is_required { "missing" } else { "as written" }
                prop:value=move || value.get().unwrap_or_default()
                on:input:target=move |event| {
                    let typed = event.target().value();
                    change.run((name.clone(), (!typed.is_empty()).then_some(typed)));
                }
            />
        </div>
    }
}
