//! The way to the pages: a rail on the left, a bar at the bottom where the window is narrow. The counts are
//! the ones the page already has, not a copy of them. Without a token all ways but the one to the Lab lead to the
//! page that says how to open Waybill.

use crate::browser;
use crate::components::icon::{Glyph, Icon};
use crate::components::logo::Logo;
use crate::pages::Place;
use crate::state::filter::Filter;
use crate::state::messages::Messages;
use crate::state::proxy::Proxy;
use crate::words;
use leptos::prelude::*;
use leptos_router::hooks::{use_location, use_query_map};
use shared::api::MessageCounts;
use shared::delivery::State;

/// The states that count as failed.
pub const FAILED: [State; 4] = [State::Rejected, State::Failed, State::Undelivered, State::Expired];

fn is_current(place: Place) -> impl Fn() -> Option<&'static str> + Copy + Send + Sync {
    let place = StoredValue::new(place);
    let location = use_location();
    let (path, hash) = (location.pathname, location.hash);
    let query = use_query_map();
    move || {
        let way = Place::way(&path.read(), &hash.read());
        let is_here = place.with_value(|place| match place {
            Place::Messages(filter) => {
                place.holds(&way) && query.with(|query| Filter::from_query(query) == *filter)
            }
            place => place.holds(&way),
        });
        is_here.then_some("page")
    }
}

/// Whether any page of the list is shown, however narrowed.
fn is_below(place: Place) -> impl Fn() -> bool + Clone + Send + Sync {
    let location = use_location();
    let (path, hash) = (location.pathname, location.hash);
    move || place.holds(&Place::way(&path.read(), &hash.read()))
}

/// The counts, where somebody is signed in.
fn counts() -> impl Fn() -> Option<MessageCounts> + Copy + Send + Sync {
    let messages = use_context::<Messages>();
    move || messages.and_then(|messages| messages.counts.get())
}

/// The address of a place from here: a host without a proxy serves the document in one place alone.
fn href(place: &Place) -> String {
    if use_context::<Proxy>().is_some() {
        place.href()
    } else {
        format!("{}#{}", browser::document_address(), place.href())
    }
}

/// The rail.
#[component]
pub fn Rail(
    /// Opens the list of keys.
    is_help_open: RwSignal<bool>,
) -> impl IntoView {
    let counts = counts();
    let proxy = use_context::<Proxy>();
    let in_flight = move || counts().map_or(0, |counts| counts.in_flight);
    let failed = move || counts().map_or(0, |counts| counts.failed);
    let parked = move || counts().map_or(0, |counts| counts.needs_decision);
    let failed_place = Place::Messages(Filter::of_states(&FAILED));
    let parked_place = Place::Messages(Filter::of_states(&[State::Parked]));
    let is_failed_current = is_current(failed_place.clone());
    let is_parked_current = is_current(parked_place.clone());
    let is_list = is_below(Place::all_messages());
    let is_messages_current = move || {
        let is_sub = is_failed_current().is_some() || is_parked_current().is_some();
        (is_list() && !is_sub).then_some("page")
    };
    let version = move || {
        let of_proxy = proxy.and_then(|proxy| {
            proxy.options.with(|options| options.ready().map(|options| options.version.clone()))
        });
        of_proxy.unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned())
    };
    view! {
        <nav class="rail" aria-label="Pages">
            <a class="brand" href=href(&Place::Compose)>
                <Logo/>
                "Waybill"
            </a>
            <ul class="nav">
                <li>
                    <a href=href(&Place::Compose) aria-current=is_current(Place::Compose)>
                        <Icon glyph=Glyph::Compose/>
                        "Compose"
                    </a>
                </li>
                <li>
                    <a href=href(&Place::all_messages()) aria-current=is_messages_current>
                        <Icon glyph=Glyph::Messages/>
                        "Messages"
                        <Show when=move || in_flight() != 0>
                            <span class="count" title="In flight">
                                {move || words::grouped(in_flight())}
                                <span class="sr">" in flight"</span>
                            </span>
                        </Show>
                    </a>
                </li>
                <li hidden=move || failed() == 0>
                    <a class="sub" href=href(&failed_place) aria-current=is_failed_current>
                        "Failed"
                        <span class="count count-bad">{move || words::grouped(failed())}</span>
                    </a>
                </li>
                <li hidden=move || parked() == 0>
                    <a class="sub" href=href(&parked_place) aria-current=is_parked_current>
                        "Needs a decision"
                        <span class="count count-ask">{move || words::grouped(parked())}</span>
                    </a>
                </li>
                <li>
                    <a href=href(&Place::sla()) aria-current=is_current(Place::sla())>
                        <Icon glyph=Glyph::Sla/>
                        "SLA"
                    </a>
                </li>
                <li>
                    <a href=href(&Place::Lab) aria-current=is_current(Place::Lab)>
                        <Icon glyph=Glyph::Lab/>
                        "Lab"
                    </a>
                </li>
            </ul>
            <div class="rail-foot">
                <p class="rail-note">
                    <button type="button" class="rail-keys" on:click=move |_| is_help_open.set(true)>
                        <kbd>"?"</kbd>
                        " Shortcuts"
                    </button>
                    <span>{version}</span>
                </p>
            </div>
        </nav>
    }
}

/// The bar at the bottom of a narrow window.
#[component]
pub fn BottomBar() -> impl IntoView {
    let counts = counts();
    let parked = move || counts().map_or(0, |counts| counts.needs_decision);
    let is_list = is_below(Place::all_messages());
    view! {
        <nav class="bottom" aria-label="Pages">
            <a href=href(&Place::Compose) aria-current=is_current(Place::Compose)>
                <Icon glyph=Glyph::Compose/>
                "Compose"
            </a>
            <a
                href=href(&Place::all_messages())
                aria-current=move || is_list().then_some("page")
            >
                <Icon glyph=Glyph::Messages/>
                "Messages"
                <Show when=move || parked() != 0>
                    <span class="blip">
                        {move || words::grouped(parked())}
                        <span class="sr">" need a decision"</span>
                    </span>
                </Show>
            </a>
            <a href=href(&Place::sla()) aria-current=is_current(Place::sla())>
                <Icon glyph=Glyph::Sla/>
                "SLA"
            </a>
            <a href=href(&Place::Lab) aria-current=is_current(Place::Lab)>
                <Icon glyph=Glyph::Lab/>
                "Lab"
            </a>
        </nav>
    }
}
