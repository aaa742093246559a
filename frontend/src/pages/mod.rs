//! The pages and their addresses. [`Place`] is the only place where an address of the console is spelled.

mod compose;
mod message;
mod messages;
mod open_with_link;
mod sla;

pub use open_with_link::OpenWithLink;

use crate::components::nothing::Nothing;
use crate::state::filter::Filter;
use crate::state::period::Outlook;
use leptos::prelude::*;
use leptos_router::components::{ParentRoute, Redirect, Route, Routes};
use leptos_router::{ParamSegment, StaticSegment};
use shared::id::MessageId;

const COMPOSE: &str = "compose";
const MESSAGES: &str = "messages";
const SLA: &str = "sla";
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
}

impl Place {
    /// The address.
    pub fn href(&self) -> String {
        match self {
            Place::Compose => format!("/{COMPOSE}"),
            Place::Messages(filter) => format!("/{MESSAGES}{}", filter.to_query()),
            Place::Message(id, filter) => format!("/{MESSAGES}/{id}{}", filter.to_query()),
            Place::Sla(outlook) => format!("/{SLA}{}", outlook.to_query()),
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

    /// The name of the page that `path` is.
    pub fn title(path: &str) -> Option<&'static str> {
        let mut parts = path.trim_matches('/').split('/');
        match (parts.next()?, parts.next()) {
            (COMPOSE, None) => Some("Compose"),
            (MESSAGES, None) => Some("Messages"),
            (MESSAGES, Some(_)) => Some("Message"),
            (SLA, None) => Some("SLA"),
            _ => None,
        }
    }

    /// Whether `path` is this page or lies below it.
    pub fn holds(&self, path: &str) -> bool {
        let name = match self {
            Place::Compose => COMPOSE,
            Place::Messages(_) | Place::Message(..) => MESSAGES,
            Place::Sla(_) => SLA,
        };
        path.trim_start_matches('/').split('/').next() == Some(name)
    }
}

/// What the frame is around: the page that the address names.
#[component]
pub fn Pages() -> impl IntoView {
    view! {
        <Routes fallback=NotFound>
            <Route
                path=StaticSegment("")
                view=|| view! { <Redirect path=Place::Compose.href()/> }
            />
            <Route path=StaticSegment(COMPOSE) view=compose::Compose/>
            <ParentRoute path=StaticSegment(MESSAGES) view=messages::MessagesPage>
                <Route path=StaticSegment("") view=|| ()/>
                <Route path=ParamSegment(ID) view=message::MessagePage/>
            </ParentRoute>
            <Route path=StaticSegment(SLA) view=sla::Sla/>
        </Routes>
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
