//! The launch token: read from the link's fragment, kept in this browser, dropped when the proxy refuses it.
//!
//! The fragment is removed from the address at once, so that neither a bookmark nor a shared screen shows it.

use crate::browser;
use leptos::prelude::*;
use wasm_bindgen::JsValue;

const STORED_AS: &str = "waybill.token";

/// Who may talk to the proxy: a token, or nobody.
#[derive(Clone, Copy)]
pub struct Session {
    /// The token in use.
    pub token: RwSignal<Option<String>>,
    /// True once a token was refused: the page then says so.
    pub refused: RwSignal<bool>,
}

impl Session {
    /// Takes the token from the address, or the one kept from last time.
    pub fn start() -> Self {
        if let Some(token) = take_from_address() {
            browser::store(STORED_AS, &token);
        }
        let token = browser::stored(STORED_AS).filter(|token| !token.is_empty());
        let session = Self { token: RwSignal::new(token), refused: RwSignal::new(false) };
        // A link opened in a tab that already shows this page changes the fragment and loads nothing.
        let handle = window_event_listener_untyped("hashchange", move |_| {
            if let Some(token) = take_from_address() {
                session.open(&token);
            }
        });
        on_cleanup(move || handle.remove());
        session
    }

    /// Uses a link or a bare token that somebody pasted.
    pub fn open(self, pasted: &str) {
        let token = pasted.rsplit_once("#token=").map_or(pasted, |(_, token)| token).trim();
        if token.is_empty() {
            return;
        }
        browser::store(STORED_AS, token);
        self.refused.set(false);
        self.token.set(Some(token.to_owned()));
    }

    /// Forgets the token because the proxy refused it.
    pub fn drop_token(self) {
        browser::forget(STORED_AS);
        self.refused.set(true);
        self.token.set(None);
    }
}

fn take_from_address() -> Option<String> {
    let window = web_sys::window()?;
    let location = window.location();
    let token = location.hash().ok()?.strip_prefix("#token=")?.to_owned();
    let clean = format!("{}{}", location.pathname().ok()?, location.search().ok()?);
    let history = window.history().ok()?;
    let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(&clean));
    Some(token)
}
