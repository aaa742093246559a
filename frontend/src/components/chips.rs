//! Several short texts in one field: added by Enter, comma or a pasted list, removed by their button or by
//! Backspace in the empty field.

use crate::components::icon::{Glyph, Icon};
use leptos::prelude::*;

/// The texts in a pasted list: split at commas, semicolons, tabs and line ends.
pub fn split_list(text: &str) -> Vec<String> {
    text.split([',', ';', '\n', '\r', '\t'])
        .map(str::trim)
        .filter(|one| !one.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The field.
#[component]
pub fn Chips(
    /// Identifier of the input.
    id: &'static str,
    /// What tests find the input by.
    testid: &'static str,
    /// Its label.
    label: &'static str,
    /// Shown while it is empty.
    #[prop(into)]
    placeholder: Signal<&'static str>,
    /// The texts.
    #[prop(into)]
    items: Signal<Vec<String>>,
    /// Indexes of texts that have a finding.
    #[prop(into)]
    faulty: Signal<Vec<usize>>,
    /// Told all texts after a change.
    change: Callback<Vec<String>>,
    /// Told when the reader leaves the field.
    leave: Callback<()>,
) -> impl IntoView {
    let text = RwSignal::new(String::new());
    let add = move |typed: &str| {
        let more = split_list(typed);
        if !more.is_empty() {
            let mut all = items.get_untracked();
            for one in more {
                // What is there already is not wanted twice.
                if !all.contains(&one) {
                    all.push(one);
                }
            }
            change.run(all);
        }
        text.set(String::new());
    };
    let remove = move |index: usize| {
        let mut all = items.get_untracked();
        if index < all.len() {
            all.remove(index);
            change.run(all);
        }
    };
    let on_key = move |event: leptos::ev::KeyboardEvent| match event.key().as_str() {
        "Enter" if !event.ctrl_key() && !event.meta_key() => {
            event.prevent_default();
            add(&text.get_untracked());
        }
        "Backspace" if text.read_untracked().is_empty() => {
            if let Some(last) = items.with_untracked(Vec::len).checked_sub(1) {
                remove(last);
            }
        }
        _ => {}
    };
    view! {
        <div class="field-box">
            {move || {
                items
                    .get()
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| {
                        let label = format!("Remove {item}");
                        view! {
                            <span
                                class="chip"
                                class:is-bad=move || faulty.with(|faulty| faulty.contains(&index))
                            >
                                <span class="clip">{item}</span>
                                <button
                                    type="button"
                                    class="x"
                                    aria-label=label
                                    on:click=move |_| remove(index)
                                >
                                    <Icon glyph=Glyph::Close class="i-small"/>
                                </button>
                            </span>
                        }
                    })
                    .collect_view()
            }}
            <label class="sr" for=id>
                {label}
            </label>
            <input
                id=id
                data-testid=testid
                autocomplete="off"
                autocapitalize="off"
                spellcheck="false"
                placeholder=move || placeholder.get()
                prop:value=move || text.get()
                on:input:target=move |event| {
                    let typed = event.target().value();
                    if typed.contains([',', ';', '\n']) { add(&typed) } else { text.set(typed) }
                }
                on:keydown=on_key
                on:blur=move |_| {
                    add(&text.get_untracked());
                    leave.run(());
                }
            />
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn lists_are_split_where_people_and_spreadsheets_do() {
        assert_eq!(
            split_list(" a@x , b@x;c@x\r\nd@x\t e@x ,,"),
            ["a@x", "b@x", "c@x", "d@x", "e@x"]
        );
        assert!(split_list(" , ").is_empty());
    }
}
