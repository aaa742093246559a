//! Keys that work everywhere: `g` then a letter goes to a page, `/` searches, `?` shows the list of keys.
//! Keys are never taken while somebody types or a dialog is open, nor when a modifier is held.

use crate::browser;
use crate::frame::top::SEARCH;
use crate::pages::Place;
use leptos::ev::KeyboardEvent;
use leptos::prelude::*;
use leptos_router::hooks::use_navigate;
use shared::time::Timestamp;

/// Time in which the second key of `g c` must follow, in milliseconds.
const SECOND_KEY_MS: i64 = 1500;

/// True when a single key press is not meant for anything else on the page.
pub fn is_free(event: &KeyboardEvent) -> bool {
    let is_modified = event.ctrl_key() || event.meta_key() || event.alt_key();
    !is_modified
        && !event.default_prevented()
        && !browser::is_typing()
        && !browser::is_dialog_open()
}

/// Listens as long as the frame is there.
pub fn listen(is_help_open: RwSignal<bool>) {
    let navigate = use_navigate();
    let go_at = StoredValue::new(None::<Timestamp>);
    let handle = window_event_listener(leptos::ev::keydown, move |event| {
        if !is_free(&event) {
            return;
        }
        let is_second =
            go_at.get_value().is_some_and(|at| browser::now().ms_since(at) < SECOND_KEY_MS);
        go_at.set_value(None);
        let place = match (is_second, event.key().as_str()) {
            (false, "g") => {
                go_at.set_value(Some(browser::now()));
                return;
            }
            (_, "/") => {
                event.prevent_default();
                browser::focus(SEARCH);
                return;
            }
            (_, "?") => {
                event.prevent_default();
                is_help_open.set(true);
                return;
            }
            (true, "c") => Place::Compose,
            (true, "m") => Place::all_messages(),
            (true, "s") => Place::sla(),
            (true, "l") => Place::Lab,
            _ => return,
        };
        event.prevent_default();
        navigate(&place.href(), leptos_router::NavigateOptions::default());
    });
    on_cleanup(move || handle.remove());
}
