//! The list of keys and what each state means, one key away.

use crate::components::dialog::Dialog;
use crate::components::state_word;
use leptos::prelude::*;
use shared::delivery::State;

const KEYS: [(&[&str], &str); 11] = [
    (&["g", "c"], "Compose"),
    (&["g", "m"], "Messages"),
    (&["g", "s"], "SLA"),
    (&["g", "l"], "Lab"),
    (&["/"], "Search"),
    (&["j", "k"], "Next and previous message"),
    (&["Enter"], "Open the message"),
    (&["Esc"], "Close it"),
    (&["Ctrl", "Enter"], "Review, then send"),
    (&["F8"], "Next finding in the Lab"),
    (&["?"], "This list"),
];

/// The dialog.
#[component]
pub fn Help(open: RwSignal<bool>) -> impl IntoView {
    view! {
        <Dialog open title="Shortcuts and states" id="help">
            <ul class="keys">
                {KEYS
                    .iter()
                    .map(|(keys, what)| {
                        view! {
                            <li>
                                <span class="row">
                                    {keys.iter().map(|key| view! { <kbd>{*key}</kbd> }).collect_view()}
                                </span>
                                <span>{*what}</span>
                            </li>
                        }
                    })
                    .collect_view()}
            </ul>
            <dl class="meanings">
                {State::ALL
                    .iter()
                    .map(|state| {
                        view! {
                            <dt>{state_word::name(*state)}</dt>
                            <dd>{state_word::meaning(*state)}</dd>
                        }
                    })
                    .collect_view()}
            </dl>
        </Dialog>
    }
}
