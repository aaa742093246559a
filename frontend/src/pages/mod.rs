//! The pages and their addresses. [`Place`] is the only place where an address of the console is spelled.

mod compose;
mod lab;
mod message;
mod messages;
mod open_with_link;
mod sla;

pub use lab::Lab;
pub use open_with_link::OpenWithLink;

use crate::components::nothing::Nothing;
use crate::state::filter::Filter;
use crate::state::period::Outlook;
use leptos::prelude::*;
use leptos_router::components::{ParentRoute, Redirect, Route, Routes};
use leptos_router::hooks::use_location;
use leptos_router::{ParamSegment, StaticSegment};
use shared::id::MessageId;

const COMPOSE: &str = "compose";
const MESSAGES: &str = "messages";
const SLA: &str = "sla";
const LAB: &str = "lab";
/// The parameter that names the open message.
const ID: &str = "id";

/// Somewhere one can be.
#[derive(Clone, PartialEq, Debug)]
pub enum Place {
    /// Write a message.
    Compose,
    /// The list of messages, narrowed.
    Messages(Filter),
    /// One message, over the list it was opened from.
    Message(MessageId, Filter),
    /// How many arrived in time.
    Sla(Outlook),
    /// Judge, explain and simulate; works without a proxy.
    Lab,
}

impl Place {
    /// The address.
    pub fn href(&self) -> String {
        match self {
            Place::Compose => format!("/{COMPOSE}"),
            Place::Messages(filter) => format!("/{MESSAGES}{}", filter.to_query()),
            Place::Message(id, filter) => format!("/{MESSAGES}/{id}{}", filter.to_query()),
            Place::Sla(outlook) => format!("/{SLA}{}", outlook.to_query()),
            Place::Lab => format!("/{LAB}"),
        }
    }

    /// The whole list.
    pub fn all_messages() -> Self {
        Place::Messages(Filter::default())
    }

    /// The SLA of the last 24 hours.
    pub fn sla() -> Self {
        Place::Sla(Outlook::default())
    }

    /// The path that an address means. A host that knows only files serves the document in one place; there
    /// the Lab is behind the fragment: `#/lab`.
    pub fn way(path: &str, fragment: &str) -> String {
        let first = path.trim_matches('/').split('/').next().unwrap_or_default();
        let is_place = [COMPOSE, MESSAGES, SLA, LAB].contains(&first);
        let inner = fragment.trim_start_matches('#').split('?').next().unwrap_or_default();
        if !is_place && inner.trim_matches('/') == LAB { inner.to_owned() } else { path.to_owned() }
    }

    /// The address of the Lab for whoever is at `path`: behind the fragment, unless the host knows our places.
    pub fn lab_from(path: &str) -> String {
        let first = path.trim_matches('/').split('/').next().unwrap_or_default();
        let is_place = [COMPOSE, MESSAGES, SLA, LAB].contains(&first);
        if is_place { Place::Lab.href() } else { format!("#/{LAB}") }
    }

    /// The name of the page that `path` is.
    pub fn title(path: &str) -> Option<&'static str> {
        let mut parts = path.trim_matches('/').split('/');
        match (parts.next()?, parts.next()) {
            (COMPOSE, None) => Some("Compose"),
            (MESSAGES, None) => Some("Messages"),
            (MESSAGES, Some(_)) => Some("Message"),
            (SLA, None) => Some("SLA"),
            (LAB, None) => Some("Lab"),
            _ => None,
        }
    }

    /// Whether `path` is this page or lies below it.
    pub fn holds(&self, path: &str) -> bool {
        let name = match self {
            Place::Compose => COMPOSE,
            Place::Messages(_) | Place::Message(..) => MESSAGES,
            Place::Sla(_) => SLA,
            Place::Lab => LAB,
        };
        path.trim_start_matches('/').split('/').next() == Some(name)
    }
}

/// What the frame is around: the page that the address names.
#[component]
pub fn Pages() -> impl IntoView {
    view! {
        <Routes fallback=NotFound>
            <Route path=StaticSegment("") view=Home/>
            <Route path=StaticSegment(COMPOSE) view=compose::Compose/>
            <ParentRoute path=StaticSegment(MESSAGES) view=messages::MessagesPage>
                <Route path=StaticSegment("") view=|| ()/>
                <Route path=ParamSegment(ID) view=message::MessagePage/>
            </ParentRoute>
            <Route path=StaticSegment(SLA) view=sla::Sla/>
            <Route path=StaticSegment(LAB) view=Lab/>
        </Routes>
    }
}

/// What stands at the document's own address: the Lab if the fragment says so, else the way to the first page.
#[component]
fn Home() -> impl IntoView {
    let location = use_location();
    let is_lab = Memo::new(move |_| {
        Place::Lab.holds(&Place::way(&location.pathname.read(), &location.hash.read()))
    });
    move || {
        if is_lab.get() {
            view! { <Lab/> }.into_any()
        } else {
            view! { <Redirect path=Place::Compose.href()/> }.into_any()
        }
    }
}

#[component]
fn NotFound() -> impl IntoView {
    view! {
        <div class="page">
            <Nothing title="There is no such page" text="The address may be misspelled or older than this version.">
                <a class="b b-main" href=Place::all_messages().href()>
                    "Messages"
                </a>
            </Nothing>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_lab_is_found_by_path_and_by_fragment() {
        for (path, fragment) in [
            ("/lab", ""),
            ("/lab", "#/lab?seed=1"),
            ("/", "#/lab"),
            ("/", "/lab?seed=1"),
            ("/index.html", "#/lab?seed=1"),
            ("/some/folder/", "#/lab"),
        ] {
            assert!(Place::Lab.holds(&Place::way(path, fragment)), "{path} {fragment}");
        }
        for (path, fragment) in [
            ("/", ""),
            ("/", "#token=lab"),
            ("/compose", "#/lab"),
            ("/messages/m1", "#/lab?x"),
            ("/", "#/laboratory"),
        ] {
            assert!(!Place::Lab.holds(&Place::way(path, fragment)), "{path} {fragment}");
        }
        assert_eq!(Place::title("/lab"), Some("Lab"));
        for (path, address) in [("/messages/m1", "/lab"), ("/", "#/lab"), ("/folder/", "#/lab")] {
            assert_eq!(Place::lab_from(path), address);
        }
    }
}
