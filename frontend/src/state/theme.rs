//! Light, dark or as the system says; kept in this browser and written to `data-theme` on the root element,
//! where `boot-check.js` also puts it before the first paint.

use crate::browser;
use leptos::prelude::*;

const STORED_AS: &str = "waybill.theme";

/// Which colours the page wears.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Theme {
    /// As the system says.
    Auto,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

impl Theme {
    /// The word kept in this browser.
    pub fn as_str(self) -> &'static str {
        match self {
            Theme::Auto => "auto",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    fn stored() -> Self {
        match browser::stored(STORED_AS).as_deref() {
            Some("light") => Theme::Light,
            Some("dark") => Theme::Dark,
            _ => Theme::Auto,
        }
    }
}

/// The theme in use; setting it changes the page and is remembered.
pub fn theme() -> RwSignal<Theme> {
    let theme = RwSignal::new(Theme::stored());
    Effect::new(move |_| {
        let theme = theme.get();
        browser::store(STORED_AS, theme.as_str());
        let root = web_sys::window()
            .and_then(|window| window.document())
            .and_then(|document| document.document_element());
        if let Some(root) = root {
            let _ = match theme {
                Theme::Auto => root.remove_attribute("data-theme"),
                _ => root.set_attribute("data-theme", theme.as_str()),
            };
        }
    });
    theme
}
