//! The few things the console asks of the browser itself: time, randomness, storage, focus, clipboard.
//!
//! Every call is total: where the browser refuses (private mode, no clipboard), the answer is "nothing" and
//! the caller goes on without it.

use shared::time::Timestamp;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::HtmlElement;

/// Now, by this machine's clock.
pub fn now() -> Timestamp {
    // A date in milliseconds is far inside what an i64 holds.
    #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds since 1970")]
    Timestamp::from_unix_ms(js_sys::Date::now() as i64)
}

/// Ten bytes nobody can guess; zeros only where the browser has no source of randomness at all.
pub fn random_bytes() -> [u8; 10] {
    let mut bytes = [0; 10];
    if let Some(crypto) = web_sys::window().and_then(|window| window.crypto().ok()) {
        let _ = crypto.get_random_values_with_u8_array(&mut bytes);
    }
    bytes
}

fn storage() -> Option<web_sys::Storage> {
    web_sys::window()?.local_storage().ok()?
}

/// Reads a value kept in this browser.
pub fn stored(name: &str) -> Option<String> {
    storage()?.get_item(name).ok()?
}

/// Keeps a value in this browser; false when there is no room or no permission.
pub fn store(name: &str, value: &str) -> bool {
    storage().is_some_and(|storage| storage.set_item(name, value).is_ok())
}

/// Forgets a value kept in this browser.
pub fn forget(name: &str) {
    if let Some(storage) = storage() {
        let _ = storage.remove_item(name);
    }
}

/// The element with this id.
pub fn element(id: &str) -> Option<HtmlElement> {
    web_sys::window()?.document()?.get_element_by_id(id)?.dyn_into().ok()
}

/// Moves the focus to the element with this id and brings it into view.
pub fn focus(id: &str) {
    if let Some(element) = element(id) {
        let _ = element.focus();
        element.scroll_into_view_with_scroll_into_view_options(&{
            let options = web_sys::ScrollIntoViewOptions::new();
            options.set_block(web_sys::ScrollLogicalPosition::Nearest);
            options
        });
    }
}

/// How far the page or the element with this id has been scrolled down, whichever is more.
pub fn scrolled_px(id: &str) -> f64 {
    let page = web_sys::window().and_then(|window| window.scroll_y().ok()).unwrap_or_default();
    page.max(element(id).map_or(0.0, |element| f64::from(element.scroll_top())))
}

/// Brings the page and the element with this id back to their top.
pub fn scroll_to_top(id: &str) {
    if let Some(element) = element(id) {
        element.set_scroll_top(0);
    }
    if let Some(window) = web_sys::window() {
        window.scroll_to_with_x_and_y(0.0, 0.0);
    }
}

/// True while the tab can be seen.
pub fn is_visible() -> bool {
    web_sys::window()
        .and_then(|window| window.document())
        .is_none_or(|document| document.visibility_state() != web_sys::VisibilityState::Hidden)
}

/// True while the focus is in something one types into, where single keys belong to the text.
pub fn is_typing() -> bool {
    let Some(active) = web_sys::window()
        .and_then(|window| window.document())
        .and_then(|document| document.active_element())
    else {
        return false;
    };
    matches!(active.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT")
        || active.has_attribute("contenteditable")
}

/// True while a modal dialog is open, which then owns the keyboard.
pub fn is_dialog_open() -> bool {
    web_sys::window()
        .and_then(|window| window.document())
        .and_then(|document| document.query_selector("dialog[open]").ok().flatten())
        .is_some()
}

/// Puts `text` on the clipboard.
pub fn copy(text: &str) {
    if let Some(window) = web_sys::window() {
        // Nothing to do when it is refused: the text stays selectable on screen.
        drop(window.navigator().clipboard().write_text(text));
    }
}

/// Names the tab.
pub fn set_title(title: &str) {
    if let Some(document) = web_sys::window().and_then(|window| window.document()) {
        document.set_title(title);
    }
}

/// Where the page was loaded from, such as `http://127.0.0.1:8787`.
pub fn origin() -> String {
    web_sys::window().and_then(|window| window.location().origin().ok()).unwrap_or_default()
}

/// `text` as it may stand in a query or a path segment.
pub fn escaped(text: &str) -> String {
    js_sys::encode_uri_component(text).into()
}

/// A local date and time as `datetime-local` writes it (`2026-11-22T10:44`), as a moment.
pub fn local_moment(text: &str) -> Option<Timestamp> {
    if text.is_empty() {
        return None;
    }
    let ms = js_sys::Date::new(&JsValue::from_str(text)).get_time();
    #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds since 1970")]
    ms.is_finite().then(|| Timestamp::from_unix_ms(ms as i64))
}

/// Milliseconds that only ever rise, with fractions as fine as the browser gives them.
pub fn ticks_ms() -> f64 {
    web_sys::window().and_then(|window| window.performance()).map_or(0.0, |clock| clock.now())
}

/// What stands behind `#` in the address, as it is written there.
pub fn fragment() -> String {
    let hash = web_sys::window().and_then(|window| window.location().hash().ok());
    hash.as_deref().and_then(|hash| hash.strip_prefix('#')).unwrap_or_default().to_owned()
}

/// Puts `fragment` behind `#` in the address without going anywhere.
pub fn replace_fragment(fragment: &str) {
    if let Some(history) = web_sys::window().and_then(|window| window.history().ok()) {
        let state = history.state().unwrap_or(JsValue::NULL);
        let _ = history.replace_state_with_url(&state, "", Some(&format!("#{fragment}")));
    }
}

/// The address of the document itself, such as `http://127.0.0.1:8787/`: where a fragment alone finds the way.
pub fn document_address() -> String {
    let path = web_sys::window().and_then(|window| window.location().pathname().ok());
    let path = path.unwrap_or_default();
    let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
    format!("{}{folder}", origin())
}

/// Types `text` over the selection of the focused field, so that it can be undone like any typing. False where
/// the browser does not do that.
pub fn insert_text(text: &str) -> bool {
    let document = web_sys::window().and_then(|window| window.document());
    let Some(document) = document.and_then(|one| one.dyn_into::<web_sys::HtmlDocument>().ok())
    else {
        return false;
    };
    let command = if text.is_empty() { "delete" } else { "insertText" };
    document.exec_command_with_show_ui_and_value(command, false, text).unwrap_or(false)
}

/// Lets the browser do what waits: paint, take input. Unlike a timer it does not come back later and later.
pub async fn give_way() {
    let Ok(channel) = web_sys::MessageChannel::new() else { return };
    let woken = js_sys::Promise::new(&mut |resolve, _| {
        channel.port1().set_onmessage(Some(&resolve));
        let _ = channel.port2().post_message(&JsValue::NULL);
    });
    let _ = wasm_bindgen_futures::JsFuture::from(woken).await;
    channel.port1().close();
}
