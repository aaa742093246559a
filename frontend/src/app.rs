//! The root: who is asking decides between the console and the page that says how to open it. Everything a
//! signed-in page shares is made here, once, and handed down as context.

use crate::api::Client;
use crate::frame::{Announcer, Frame};
use crate::pages::{OpenWithLink, Pages};
use crate::state::clock::Clock;
use crate::state::live::Live;
use crate::state::messages::Messages;
use crate::state::proxy::Proxy;
use crate::state::session::Session;
use crate::state::theme::theme;
use leptos::prelude::*;
use leptos_router::components::Router;
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
                None => view! { <OpenWithLink session/> }.into_any(),
            }}
        </Router>
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
