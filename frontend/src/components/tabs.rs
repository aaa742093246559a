//! Tabs as the ARIA pattern wants them: one stop in the tab order, arrows move between them.

use leptos::prelude::*;
use wasm_bindgen::JsCast;

/// One tab.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tab {
    /// Its name for programs; the tab's `data-testid` is `tab-` and this.
    pub id: &'static str,
    /// Its label.
    pub label: &'static str,
}

/// A row of tabs; `chosen` holds the `id` of the one shown. The panel it controls is `panel`.
#[component]
pub fn Tabs(
    /// The tabs in order.
    tabs: &'static [Tab],
    /// The one shown.
    #[prop(into)]
    chosen: Signal<&'static str>,
    /// Told the `id` of the one the reader chose.
    choose: Callback<&'static str>,
    /// What the tabs are about.
    label: &'static str,
    /// Identifier of the panel.
    panel: &'static str,
) -> impl IntoView {
    let on_key = move |event: leptos::ev::KeyboardEvent| {
        let step = match event.key().as_str() {
            "ArrowRight" => 1,
            "ArrowLeft" => tabs.len() - 1,
            _ => return,
        };
        let Some(index) = tabs.iter().position(|tab| tab.id == chosen.get_untracked()) else {
            return;
        };
        event.prevent_default();
        let next = (index + step) % tabs.len();
        choose.run(tabs[next].id);
        let list = event.current_target().and_then(|list| list.dyn_into::<web_sys::Element>().ok());
        let buttons = list.map(|list| list.children());
        if let Some(button) = u32::try_from(next)
            .ok()
            .and_then(|next| buttons?.item(next))
            .and_then(|button| button.dyn_into::<web_sys::HtmlElement>().ok())
        {
            let _ = button.focus();
        }
    };
    view! {
        <div class="tabs" role="tablist" aria-label=label on:keydown=on_key>
            {tabs
                .iter()
                .map(|tab| {
                    let is_chosen = move || chosen.get() == tab.id;
                    view! {
                        <button
                            type="button"
                            role="tab"
                            data-testid=format!("tab-{}", tab.id)
                            aria-controls=panel
                            aria-selected=move || is_chosen().to_string()
                            tabindex=move || if is_chosen() { "0" } else { "-1" }
                            on:click=move |_| choose.run(tab.id)
                        >
                            {tab.label}
                        </button>
                    }
                })
                .collect_view()}
        </div>
    }
}
