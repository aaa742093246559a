//! The root: who is asking decides between the console and the page that says how to open it. Everything a
//! signed-in page shares is made here, once, and handed down as context. The Lab needs nobody to be signed in.

use crate::api::Client;
use crate::frame::{Announcer, Frame};
use crate::pages::{Lab, OpenWithLink, Pages, Place};
use crate::state::clock::Clock;
use crate::state::live::Live;
use crate::state::messages::Messages;
use crate::state::proxy::Proxy;
use crate::state::session::Session;
use crate::state::theme::theme;
use leptos::prelude::*;
use leptos_router::components::Router;
use leptos_router::hooks::use_location;
use shared::api::LiveEvent;

/// The whole console.
#[component]
pub fn App() -> impl IntoView {
    let session = Session::start();
    provide_context(session);
    provide_context(theme());
    provide_context(Clock::start());
    view! {
        <Router>
            {move || match session.token.get() {
                Some(token) => view! { <SignedIn token session/> }.into_any(),
                None => view! { <Guest session/> }.into_any(),
            }}
        </Router>
    }
}

/// The console for a browser without a token, which is also that of a host without a proxy: the Lab, and how to
/// open the rest.
#[component]
fn Guest(session: Session) -> impl IntoView {
    provide_context(Announcer::default());
    let location = use_location();
    let is_lab = Memo::new(move |_| {
        Place::Lab.holds(&Place::way(&location.pathname.read(), &location.hash.read()))
    });
    move || {
        if is_lab.get() {
            view! {
                <Frame>
                    <Lab/>
                </Frame>
            }
            .into_any()
        } else {
            view! { <OpenWithLink session/> }.into_any()
        }
    }
}

#[component]
fn SignedIn(token: String, session: Session) -> impl IntoView {
    let client = Client::new(token, Callback::new(move |()| session.drop_token()));
    let messages = Messages::new(client);
    provide_context(client);
    provide_context(messages);
    provide_context(Announcer::default());
    provide_context(Proxy::start(client, expect_context::<Clock>()));
    provide_context(Live::start(
        client,
        Callback::new(move |event: LiveEvent| messages.apply_live(event.message)),
    ));
    view! {
        <Frame>
            <Pages/>
        </Frame>
    }
}
