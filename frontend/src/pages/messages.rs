//! The list of messages with its figures and filters, and beside it the one that is open.
//!
//! Everything that narrows the list is in the address. Only the rows near the visible part are in the
//! document; their heights are fixed, so where each one stands is arithmetic.

use crate::browser;
use crate::components::figure::Figure;
use crate::components::icon::{Glyph, Icon};
use crate::components::nothing::{Nothing, Trouble};
use crate::components::row::MessageRow;
use crate::components::state_word;
use crate::frame::FAILED;
use crate::frame::shortcuts::is_free;
use crate::pages::Place;
use crate::state::clock::Clock;
use crate::state::filter::Filter;
use crate::state::list::{List, Phase};
use crate::state::live::Live;
use crate::state::messages::Messages;
use crate::words;
use leptos::html;
use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::components::Outlet;
use leptos_router::hooks::{use_location, use_navigate, use_query_map};
use shared::api::MessageCounts;
use shared::delivery::{Group, State};
use shared::id::MessageId;
use shared::sla::Verdict;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

/// Heights of a row and of a day strip, in CSS pixels; the style sheet fixes the same.
const ROW_PX: f64 = 56.0;
const DAY_PX: f64 = 29.0;
/// Identifier of what scrolls in a wide window; in a narrow one it is the page itself.
const ROWS: &str = "rows";
/// What is kept in the document above and below the visible part.
const MARGIN_PX: f64 = 600.0;

/// The list, and the open message beside it.
#[component]
pub fn MessagesPage() -> impl IntoView {
    let messages = expect_context::<Messages>();
    let live = expect_context::<Live>();
    let list = List::new(expect_context(), messages);
    provide_context(list);
    let query = use_query_map();
    let path = use_location().pathname;
    let filter = Memo::new(move |_| query.with(Filter::from_query));
    let open_id = Memo::new(move |_| {
        let path = path.read();
        path.trim_end_matches('/').rsplit_once('/').and_then(|(_, id)| MessageId::parse(id).ok())
    });
    let is_split = Memo::new(move |_| path.read().trim_matches('/').contains('/'));
    messages.arrivals.update_untracked(Vec::clear);
    Effect::new(move |_| list.show(filter.get()));
    Effect::new(move |before: Option<u32>| {
        let epoch = live.epoch.get();
        if before.is_some_and(|before| before != epoch) {
            list.refresh();
        }
        epoch
    });
    Effect::new(move |_| {
        if messages.arrivals.with(Vec::is_empty) {
            return;
        }
        let arrivals = std::mem::take(&mut *messages.arrivals.write());
        list.arrive(&arrivals, browser::scrolled_px(ROWS) < ROW_PX);
    });
    listen(list, filter, open_id);
    view! {
        <div class="split" class:is-split=move || is_split.get()>
            <section class="list" aria-label="Messages">
                <ListHead filter/>
                <Fresh list/>
                <Rows list filter open_id/>
            </section>
            <Outlet/>
        </div>
    }
}

/// `j`, `k` and Escape.
fn listen(list: List, filter: Memo<Filter>, open_id: Memo<Option<MessageId>>) {
    let navigate = use_navigate();
    let step = move |by: isize| {
        let ids = list.ids.get_untracked();
        let focused = web_sys::window()
            .and_then(|window| window.document())
            .and_then(|document| document.active_element())
            .map(|element| element.id());
        let current = ids
            .iter()
            .position(|id| focused.as_deref() == Some(row_id(id).as_str()))
            .or_else(|| {
                let open = open_id.get_untracked();
                ids.iter().position(|id| open.as_ref() == Some(id))
            });
        let next = match current {
            Some(index) => index.saturating_add_signed(by).min(ids.len().saturating_sub(1)),
            None => 0,
        };
        if let Some(id) = ids.get(next) {
            browser::focus(&row_id(id));
        }
    };
    let handle = window_event_listener(leptos::ev::keydown, move |event| {
        if !is_free(&event) {
            return;
        }
        match event.key().as_str() {
            "j" => step(1),
            "k" => step(-1),
            "Escape" => {
                if let Some(id) = open_id.get_untracked() {
                    let list_place = Place::Messages(filter.get_untracked());
                    navigate(&list_place.href(), NavigateOptions::default());
                    request_animation_frame(move || browser::focus(&row_id(&id)));
                }
            }
            _ => {}
        }
    });
    on_cleanup(move || handle.remove());
}

fn row_id(id: &MessageId) -> String {
    format!("row-{id}")
}

#[component]
fn ListHead(filter: Memo<Filter>) -> impl IntoView {
    let counts = expect_context::<Messages>().counts;
    let total = move || counts.get().map(|counts| words::grouped(counts.total));
    view! {
        <div class="list-head">
            <div class="row">
                <h1>"Messages"</h1>
                <span class="muted">{total}</span>
                <span class="push"></span>
                <a class="b b-main b-small" href=Place::Compose.href()>
                    <Icon glyph=Glyph::Compose/>
                    "Compose"
                </a>
            </div>
            <Figures filter/>
            <Prevented filter/>
            <Filters filter/>
        </div>
    }
}

#[component]
fn Figures(filter: Memo<Filter>) -> impl IntoView {
    let counts = expect_context::<Messages>().counts;
    let figure = move |name: &'static str,
                       testid: &'static str,
                       group: Group,
                       count: fn(&MessageCounts) -> u64| {
        let states: Vec<State> =
            State::ALL.into_iter().filter(|state| state.group() == group).collect();
        let place = Filter::of_states(&states);
        let count_of = move || counts.get().as_ref().map(count);
        let value = move || count_of().map_or_else(|| "–".to_owned(), words::grouped);
        let note = move || match (group, counts.get()) {
            (_, None) => String::new(),
            (Group::InFlight | Group::NeedsDecision, Some(counts)) if count(&counts) == 0 => {
                "none".to_owned()
            }
            (Group::InFlight, Some(_)) => "on their way".to_owned(),
            (Group::NeedsDecision, Some(_)) => "waiting for a person".to_owned(),
            (_, Some(counts)) => words::percent(count(&counts), counts.total),
        };
        let tone = move || match (group, count_of()) {
            (Group::Failed, Some(1..)) => "fg-bad",
            _ => "",
        };
        let here = place.clone();
        view! {
            <Figure
                name
                testid
                value=Signal::derive(value)
                note=Signal::derive(note)
                tone=Signal::derive(tone)
                href=Place::Messages(place).href()
                is_current=Signal::derive(move || filter.get() == here)
            />
        }
    };
    view! {
        <div class="figures">
            {figure("In flight", "count-in-flight", Group::InFlight, |counts| counts.in_flight)}
            {figure("Delivered", "count-delivered", Group::Delivered, |counts| counts.delivered)}
            {figure("Failed", "count-failed", Group::Failed, |counts| counts.failed)}
            {figure("Needs a decision", "count-parked", Group::NeedsDecision, |counts| {
                counts.needs_decision
            })}
        </div>
    }
}

/// What did not happen: messages that a blind repeat would have sent twice.
#[component]
fn Prevented(filter: Memo<Filter>) -> impl IntoView {
    let counts = expect_context::<Messages>().counts;
    let count = Memo::new(move |_| counts.get().map_or(0, |counts| counts.duplicates_prevented));
    let place = Filter { duplicate_prevented: true, ..Filter::default() };
    let here = place.clone();
    let href = Place::Messages(place).href();
    view! {
        <Show when=move || { count.get() > 0 }>
            <a
                class="prevented"
                href=href.clone()
                data-testid="duplicates-prevented"
                title="An answer was lost, and asking first showed that the platform already had the message"
                aria-current={
                    let here = here.clone();
                    move || (filter.get() == here).then_some("page")
                }
            >
                <Icon glyph=Glyph::Shield/>
                {move || words::counted(count.get(), "duplicate prevented", "duplicates prevented")}
            </a>
        </Show>
    }
}

#[component]
fn Filters(filter: Memo<Filter>) -> impl IntoView {
    let state_label = move || {
        filter.with(|filter| match filter.states.as_slice() {
            [] => None,
            [one] => Some(state_word::name(*one).to_owned()),
            many if many == FAILED => Some("Failed".to_owned()),
            many => Some(format!("{} of {}", many.len(), State::ALL.len())),
        })
    };
    let verdict_label = move || {
        filter.with(|filter| match filter.verdicts.as_slice() {
            [] => None,
            [one] => Some(one.as_str().to_owned()),
            many => Some(many.len().to_string()),
        })
    };
    view! {
        <div class="filters" role="group" aria-label="Filters">
            <FilterMenu name="Status" value=Signal::derive(state_label)>
                {State::ALL
                    .into_iter()
                    .map(|state| {
                        let href = move || {
                            Place::Messages(filter.get().toggled_state(state)).href()
                        };
                        let is_on = move || filter.with(|filter| filter.states.contains(&state));
                        view! { <FilterChoice label=state_word::name(state) href=Signal::derive(href) is_on=Signal::derive(is_on)/> }
                    })
                    .collect_view()}
            </FilterMenu>
            <FilterMenu name="SLA" value=Signal::derive(verdict_label)>
                {Verdict::ALL
                    .into_iter()
                    .map(|verdict| {
                        let href = move || {
                            Place::Messages(filter.get().toggled_verdict(verdict)).href()
                        };
                        let is_on = move || {
                            filter.with(|filter| filter.verdicts.contains(&verdict))
                        };
                        view! { <FilterChoice label=verdict.as_str() href=Signal::derive(href) is_on=Signal::derive(is_on)/> }
                    })
                    .collect_view()}
            </FilterMenu>
            <Show when=move || filter.with(|filter| !filter.q.is_empty())>
                <a
                    class="filter is-on"
                    href=move || {
                        Place::Messages(Filter { q: String::new(), ..filter.get() }).href()
                    }
                >
                    <Icon glyph=Glyph::Search/>
                    <b>{move || filter.get().q}</b>
                    <Icon glyph=Glyph::Close/>
                    <span class="sr">"Clear the search"</span>
                </a>
            </Show>
            <Show when=move || filter.with(|filter| !filter.is_empty())>
                <a class="b b-quiet b-tiny" href=Place::all_messages().href()>
                    "Clear filters"
                </a>
            </Show>
        </div>
    }
}

/// A filter chip that opens a list of choices; on the browser's own disclosure, so it needs no script.
#[component]
fn FilterMenu(
    name: &'static str,
    #[prop(into)] value: Signal<Option<String>>,
    children: Children,
) -> impl IntoView {
    let element = NodeRef::<html::Details>::new();
    // A click elsewhere closes it, as with any menu.
    let handle = window_event_listener(leptos::ev::click, move |event| {
        let Some(details) = element.get_untracked() else { return };
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Node>().ok());
        if details.open() && !details.contains(target.as_ref()) {
            details.set_open(false);
        }
    });
    on_cleanup(move || handle.remove());
    view! {
        <details
            class="menu-box"
            node_ref=element
            name="filter"
            on:keydown=move |event| {
                let details = element.get_untracked().filter(|details| details.open());
                if let (Some(details), "Escape") = (details, event.key().as_str()) {
                    // Closes the menu and not the message behind it.
                    event.prevent_default();
                    details.set_open(false);
                }
            }
        >
            <summary class="filter" class:is-on=move || value.read().is_some()>
                <Icon glyph=Glyph::Plus/>
                {name}
                {move || value.get().map(|value| view! { " " <b>{value}</b> })}
            </summary>
            <div class="menu" role="group" aria-label=name>
                {children()}
            </div>
        </details>
    }
}

#[component]
fn FilterChoice(
    label: &'static str,
    #[prop(into)] href: Signal<String>,
    #[prop(into)] is_on: Signal<bool>,
) -> impl IntoView {
    view! {
        <a href=move || href.get() aria-current=move || is_on.get().then_some("true")>
            <span class="menu-tick">
                <Show when=move || is_on.get()>
                    <Icon glyph=Glyph::Check/>
                </Show>
            </span>
            {label}
        </a>
    }
}

#[component]
fn Fresh(list: List) -> impl IntoView {
    let count = move || u64::try_from(list.waiting.read().len()).unwrap_or(u64::MAX);
    view! {
        <Show when=move || count() != 0>
            <div class="fresh">
                <button
                    type="button"
                    class="b b-tiny"
                    on:click=move |_| {
                        list.take_waiting();
                        browser::scroll_to_top(ROWS);
                    }
                >
                    {move || format!("{} new", words::grouped(count()))}
                </button>
            </div>
        </Show>
    }
}

/// A line of the list: a strip that names a day, or a message.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Line {
    Day(String),
    Message(MessageId),
}

impl Line {
    fn height(&self) -> f64 {
        match self {
            Line::Day(_) => DAY_PX,
            Line::Message(_) => ROW_PX,
        }
    }
}

/// The part of the lines that is drawn, with the room left out above and below it.
#[derive(Clone, PartialEq, Debug, Default)]
struct Window {
    lines: Vec<Line>,
    above_px: f64,
    below_px: f64,
    is_near_end: bool,
}

fn window_of(lines: &[Line], from_px: f64, to_px: f64) -> Window {
    let mut window = Window::default();
    let mut at = 0.0;
    for line in lines {
        let end = at + line.height();
        if end < from_px {
            window.above_px += line.height();
        } else if at > to_px {
            window.below_px += line.height();
        } else {
            window.lines.push(line.clone());
        }
        at = end;
    }
    window.is_near_end = window.below_px == 0.0;
    window
}

#[component]
fn Rows(list: List, filter: Memo<Filter>, open_id: Memo<Option<MessageId>>) -> impl IntoView {
    let messages = expect_context::<Messages>();
    let clock = expect_context::<Clock>();
    let navigate = use_navigate();
    let lines = Memo::new(move |_| {
        let ids = list.ids.read();
        let now = clock.exact();
        let mut lines = Vec::with_capacity(ids.len() + 8);
        let mut day = None;
        for id in ids.iter() {
            let Some(at) = messages
                .row(id)
                .map(|row| row.with_untracked(|message| message.delivery.accepted_at))
            else {
                continue;
            };
            let this = words::day_number(at);
            if day != Some(this) {
                day = Some(this);
                lines.push(Line::Day(words::day(at, now)));
            }
            lines.push(Line::Message(id.clone()));
        }
        lines
    });
    let body = NodeRef::<html::Tbody>::new();
    let scrolled = RwSignal::new((0.0, 2_000.0));
    let measure = move || {
        let Some(body) = body.get_untracked() else { return };
        let top = -body.get_bounding_client_rect().top();
        let height =
            window().inner_height().ok().and_then(|height| height.as_f64()).unwrap_or(1_000.0);
        // Steps, so that not every pixel of scrolling draws anew.
        let from = ((top - MARGIN_PX) / 200.0).floor() * 200.0;
        let next = (from, from + height + 2.0 * MARGIN_PX + 200.0);
        if scrolled.get_untracked() != next {
            scrolled.set(next);
        }
    };
    Effect::new(move |_| {
        lines.track();
        measure();
    });
    let scroll = window_event_listener_untyped_capture("scroll", measure);
    let resize = window_event_listener_untyped("resize", move |_| measure());
    on_cleanup(move || {
        scroll();
        resize.remove();
    });
    let shown = Memo::new(move |_| {
        let (from, to) = scrolled.get();
        lines.with(|lines| window_of(lines, from, to))
    });
    Effect::new(move |_| {
        if shown.with(|shown| shown.is_near_end) && list.phase.get() == Phase::Ready {
            list.more();
        }
    });
    let row = move |line: Line| match line {
        Line::Day(name) => view! {
            <tr class="day">
                <th colspan="6" scope="rowgroup">
                    {name}
                </th>
            </tr>
        }
        .into_any(),
        Line::Message(id) => {
            let Some(message) = messages.row(&id) else { return ().into_any() };
            let place = StoredValue::new(id.clone());
            let href =
                move || place.with_value(|id| Place::Message(id.clone(), filter.get()).href());
            let navigate = navigate.clone();
            view! {
                <MessageRow
                    message=Signal::derive(move || message.get())
                    href=Signal::derive(href)
                    is_open=Signal::derive(move || {
                        open_id.with(|open| open.as_ref() == Some(&place.get_value()))
                    })
                    now=Signal::derive(move || clock.now())
                    open=Callback::new(move |()| {
                        navigate(&untrack(href), NavigateOptions::default())
                    })
                />
            }
            .into_any()
        }
    };
    view! {
        <div class="list-scroll" id=ROWS>
            <table class="table table-tall" aria-rowcount=move || list.ids.read().len()>
                <caption class="sr">"Messages, newest first"</caption>
                <thead>
                    <tr>
                        <th class="c-who">"Recipient"</th>
                        <th class="c-channel">"Channel"</th>
                        <th class="c-state">"Status"</th>
                        <th class="c-sla">"SLA"</th>
                        <th class="c-tries end">"Attempts"</th>
                        <th class="c-time end" aria-sort="descending">
                            "Time"
                        </th>
                    </tr>
                </thead>
                <tbody node_ref=body>
                    <tr
                        class="room"
                        aria-hidden="true"
                        style:height=move || format!("{}px", shown.read().above_px)
                    ></tr>
                    <For each=move || shown.get().lines key=Line::clone children=row/>
                    <tr
                        class="room"
                        aria-hidden="true"
                        style:height=move || format!("{}px", shown.read().below_px)
                    ></tr>
                </tbody>
            </table>
            <ListFoot list filter/>
        </div>
    }
}

/// Listens to `name` on the way down, where scrolling of any element passes; gives what stops it.
fn window_event_listener_untyped_capture(
    name: &'static str,
    handler: impl Fn() + 'static,
) -> impl FnOnce() + Send + Sync {
    let closure = Closure::<dyn Fn()>::new(handler);
    let _ = window().add_event_listener_with_callback_and_bool(
        name,
        closure.as_ref().unchecked_ref(),
        true,
    );
    let closure = StoredValue::new_local(closure);
    move || {
        closure.try_with_value(|closure| {
            let _ = window().remove_event_listener_with_callback_and_bool(
                name,
                closure.as_ref().unchecked_ref(),
                true,
            );
        });
    }
}

/// What stands below the rows: loading, empty, no match, a problem, or the end.
#[component]
fn ListFoot(list: List, filter: Memo<Filter>) -> impl IntoView {
    let is_empty = move || list.ids.read().is_empty();
    move || {
        match list.phase.get() {
        Phase::Loading => view! {
            <div class="bones" role="status" aria-label="Loading messages">
                {(0..6)
                    .map(|_| {
                        view! {
                            <div class="bone-row">
                                <span class="bone w-4"></span>
                                <span class="bone w-3"></span>
                                <span class="bone w-2"></span>
                            </div>
                        }
                    })
                    .collect_view()}
            </div>
        }
        .into_any(),
        Phase::Failed(problem) => view! {
            <Trouble
                problem
                retry=Callback::new(move |()| list.show(filter.get_untracked()))
            />
        }
        .into_any(),
        Phase::Ready | Phase::More if is_empty() && filter.read().is_empty() => view! {
            <Nothing
                title="No messages yet"
                text="Everything that is sent appears here and moves by itself until it has arrived."
            >
                <a class="b b-main" href=Place::Compose.href()>
                    <Icon glyph=Glyph::Compose/>
                    "Compose the first one"
                </a>
            </Nothing>
        }
        .into_any(),
        Phase::Ready | Phase::More if is_empty() => view! {
            <Nothing
                title="No message matches"
                text="Nothing is narrowed away for good: clear the filters to see all of them."
            >
                <a class="b" href=Place::all_messages().href()>
                    "Clear filters"
                </a>
            </Nothing>
        }
        .into_any(),
        Phase::More => view! {
            <p class="pager" role="status">
                "Loading older messages…"
            </p>
        }
        .into_any(),
        Phase::Ready => ().into_any(),
    }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::time::Timestamp;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_window_leaves_out_exactly_what_it_does_not_draw() {
        let lines: Vec<Line> = (0..1_000)
            .map(|ms| Line::Message(MessageId::new(Timestamp::from_unix_ms(ms), [0; 10])))
            .collect();
        let window = window_of(&lines, 10_000.0, 11_000.0);
        assert!(window.lines.len() < 25);
        let drawn: f64 = window.lines.iter().map(Line::height).sum();
        assert!((window.above_px + drawn + window.below_px - 56_000.0).abs() < 0.5);
        assert!(!window.is_near_end);
        assert!(window_of(&lines, 55_000.0, 57_000.0).is_near_end);
        assert!(window_of(&[], 0.0, 1_000.0).is_near_end);
    }
}
