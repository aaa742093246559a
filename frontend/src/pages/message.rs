//! One message: its waybill, its history, what it said and what was audited. A page of its own, and a drawer
//! over the list where the window is wide enough for both.

use crate::browser;
use crate::components::audit::Audit;
use crate::components::content::Content;
use crate::components::decision::Decision;
use crate::components::icon::{Glyph, Icon};
use crate::components::nothing::{Nothing, Trouble};
use crate::components::resend::Resend;
use crate::components::row::{channel_glyph, recipients};
use crate::components::slip::Slip;
use crate::components::state_word::{self, StateWord};
use crate::components::tabs::{Tab, Tabs};
use crate::components::timeline::Timeline;
use crate::frame::Announcer;
use crate::pages::{ID, Place};
use crate::state::clock::Clock;
use crate::state::detail::{Act, Detail};
use crate::state::filter::Filter;
use crate::state::list::List;
use crate::state::loaded::Loaded;
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};
use shared::api::{Message, MessageDetail};
use shared::delivery::State;
use shared::id::MessageId;

const TABS: [Tab; 3] = [
    Tab { id: "timeline", label: "Timeline" },
    Tab { id: "content", label: "Content" },
    Tab { id: "audit", label: "Audit" },
];

/// The page or drawer.
#[component]
pub fn MessagePage() -> impl IntoView {
    let params = use_params_map();
    let query = use_query_map();
    let filter = Memo::new(move |_| query.with(Filter::from_query));
    let id = Memo::new(move |_| {
        params.with(|params| params.get(ID)).and_then(|id| MessageId::parse(&id).ok())
    });
    let detail = Detail::new(expect_context(), expect_context());
    Effect::new(move |_| {
        if let Some(id) = id.get() {
            detail.open(id);
        }
    });
    announce(detail);
    // Only what a drawer shows besides the numbers that tick: a new answer redraws the parts that changed.
    let message = Memo::new(move |_| {
        detail.message.with(|known| known.ready().map(|known| known.message.clone()))
    });
    view! {
        <aside class="drawer" aria-labelledby="m-title" data-testid="message-detail">
            <Bar message id filter/>
            {move || match id.get() {
                None => view! {
                    <Nothing
                        title="That is not a message"
                        text="The address names no message id. It may have been cut when it was copied."
                    >
                        <a class="b" href=move || Place::Messages(filter.get()).href()>
                            "All messages"
                        </a>
                    </Nothing>
                }
                .into_any(),
                Some(_) => view! { <Body detail message/> }.into_any(),
            }}
        </aside>
    }
}

/// Says a change of the open message's state to screen readers.
fn announce(detail: Detail) {
    let announcer = expect_context::<Announcer>();
    Effect::new(move |before: Option<Option<(MessageId, State)>>| {
        let now = detail.message.with(|known| {
            known.ready().map(|known| (known.message.id.clone(), known.message.delivery.state))
        });
        if let (Some(Some((old_id, old))), Some((id, state))) = (before, &now)
            && old_id == *id
            && old != *state
        {
            announcer.say(format!("The message is now: {}", state_word::name(*state)));
        }
        now
    });
}

#[component]
fn Bar(
    message: Memo<Option<Message>>,
    id: Memo<Option<MessageId>>,
    filter: Memo<Filter>,
) -> impl IntoView {
    let list = expect_context::<List>();
    let neighbour = move |by: isize| {
        let ids = list.ids.read();
        let index = ids.iter().position(|one| Some(one) == id.get().as_ref())?;
        let id = ids.get(index.checked_add_signed(by)?)?.clone();
        Some(Place::Message(id, filter.get()).href())
    };
    let step = move |by: isize, label: &'static str, glyph: Glyph| {
        move || {
            neighbour(by).map(|href| {
                view! {
                    <a class="b b-icon b-quiet b-small" href=href aria-label=label title=label>
                        <Icon glyph/>
                    </a>
                }
            })
        }
    };
    let channel = move || {
        message.get().map(|message| {
            view! {
                <span class="row small muted">
                    <Icon glyph=channel_glyph(&message.channel) class="i-small"/>
                    {message.channel.label().to_owned()}
                </span>
            }
        })
    };
    view! {
        <div class="drawer-bar">
            {channel}
            <span class="push"></span>
            {step(-1, "Newer message", Glyph::Previous)}
            {step(1, "Older message", Glyph::Next)}
            <button
                type="button"
                class="b b-icon b-quiet b-small"
                aria-label="Copy link"
                title="Copy link"
                on:click=move |_| {
                    if let Some(id) = id.get_untracked() {
                        let href = Place::Message(id, Filter::default()).href();
                        browser::copy(&format!("{}{href}", browser::origin()));
                    }
                }
            >
                <Icon glyph=Glyph::Link/>
            </button>
            <a
                class="b b-icon b-quiet b-small"
                href=move || Place::Messages(filter.get()).href()
                aria-label="Close"
                title="Close (Esc)"
                on:click=move |_| {
                    if let Some(id) = id.get_untracked() {
                        request_animation_frame(move || browser::focus(&format!("row-{id}")));
                    }
                }
            >
                <Icon glyph=Glyph::Close/>
            </a>
        </div>
    }
}

#[component]
fn Body(detail: Detail, message: Memo<Option<Message>>) -> impl IntoView {
    let phase = Memo::new(move |_| match &*detail.message.read() {
        Loaded::Loading => Loaded::Loading,
        Loaded::Ready(_) => Loaded::Ready(()),
        Loaded::Failed(problem) => Loaded::Failed(problem.clone()),
    });
    move || match phase.get() {
        Loaded::Loading => view! {
            <div class="drawer-body bones" role="status" aria-label="Loading the message">
                <div class="bone-row">
                    <span class="bone w-4"></span>
                    <span class="bone w-2"></span>
                </div>
                <div class="bone-row">
                    <span class="bone w-5"></span>
                </div>
                <div class="bone-row">
                    <span class="bone w-3"></span>
                    <span class="bone w-3"></span>
                </div>
            </div>
        }
        .into_any(),
        Loaded::Failed(problem) => view! {
            <Trouble problem retry=Callback::new(move |()| detail.fetch())/>
        }
        .into_any(),
        Loaded::Ready(()) => view! {
            <Head detail message/>
            <Facts detail/>
        }
        .into_any(),
    }
}

#[component]
fn Head(detail: Detail, message: Memo<Option<Message>>) -> impl IntoView {
    let clock = expect_context::<Clock>();
    let is_in = move |states: &'static [State]| {
        move || {
            message.with(|message| {
                message.as_ref().is_some_and(|message| states.contains(&message.delivery.state))
            })
        }
    };
    let attempts = move || {
        message.with(|message| message.as_ref().map_or(0, |message| message.delivery.attempts))
    };
    let may_cancel = move || {
        is_in(&[State::Accepted, State::RetryWait])()
            && message.with(|message| message.as_ref().is_some_and(|one| !one.delivery.maybe_taken))
    };
    let candidates = move || {
        message.with(|message| {
            let search = message.as_ref()?.delivery.search.as_ref()?;
            Some(search.candidates.clone())
        })
    };
    view! {
        <div class="drawer-head">
            <div class="row row-wrap">
                <h2 class="m-title clip" id="m-title">
                    {move || message.with(|message| message.as_ref().map(recipients))}
                </h2>
                {move || {
                    message
                        .get()
                        .map(|message| {
                            view! {
                                <StateWord
                                    delivery=message.delivery
                                    now=clock.now()
                                    testid="message-state"
                                />
                            }
                        })
                }}
                <span class="row push">
                    <Show when=is_in(&[State::RetryWait])>
                        <button
                            type="button"
                            class="b b-small"
                            data-testid="retry-button"
                            disabled=move || detail.is_acting.get()
                            on:click=move |_| detail.act(Act::TryNow)
                        >
                            <Icon glyph=Glyph::Retry/>
                            "Try now"
                        </button>
                    </Show>
                    <Show when=may_cancel>
                        <button
                            type="button"
                            class="b b-small"
                            data-testid="cancel-button"
                            disabled=move || detail.is_acting.get()
                            on:click=move |_| detail.act(Act::Cancel)
                        >
                            <Icon glyph=Glyph::Ban/>
                            "Cancel"
                        </button>
                    </Show>
                    <Resend message/>
                </span>
            </div>
            {move || {
                message
                    .with(|message| message.as_ref()?.delivery.reason.clone())
                    .map(|reason| {
                        view! {
                            <p class="m-reason" data-testid="message-reason" data-code=reason.code.clone()>
                                {reason.text.clone()} " " <code class="faint">{reason.code.clone()}</code>
                            </p>
                        }
                    })
            }}
            <Show when=is_in(&[State::Unknown])>
                <p class="banner banner-warn">
                    <Icon glyph=Glyph::Search/>
                    <span>
                        "The answer to the last attempt was lost, so nobody knows yet whether the platform took the message. Waybill finds that out before anything is sent again."
                    </span>
                </p>
            </Show>
            <Show when=is_in(&[State::Parked])>
                <Decision
                    attempts=untrack(attempts)
                    candidates=untrack(candidates).unwrap_or_default()
                    is_busy=detail.is_acting
                    decide=Callback::new(move |request| detail.act(Act::Decide(request)))
                />
            </Show>
            {move || {
                detail
                    .act_problem
                    .get()
                    .map(|problem| {
                        view! {
                            <p class="banner banner-warn" role="alert">
                                <Icon glyph=Glyph::Warn/>
                                <span>
                                    <b class="strong">"That was not done. "</b>
                                    {problem.title} ". " {problem.detail}
                                </span>
                            </p>
                        }
                    })
            }}
        </div>
    }
}

#[component]
fn Facts(detail: Detail) -> impl IntoView {
    let clock = expect_context::<Clock>();
    let tab = RwSignal::new("timeline");
    let known = move || detail.message.with(|known| known.ready().cloned());
    // The slip counts down only while the message is on its way.
    let now = Memo::new(move |_| {
        let is_pending = detail.message.with(|known| {
            known
                .ready()
                .is_some_and(|known| known.message.verdict == shared::sla::Verdict::Pending)
        });
        if is_pending { clock.now() } else { clock.exact() }
    });
    let panel = move |known: MessageDetail, tab: &str| match tab {
        "content" => view! {
            <Content payload=known.payload channel=known.message.channel/>
        }
        .into_any(),
        "audit" => view! {
            <div class="stack stack-4">
                <Audit records=known.audit/>
            </div>
        }
        .into_any(),
        _ => view! {
            <Timeline
                events=known.events
                delivery=known.message.delivery
                now=Signal::derive(move || clock.now())
            />
        }
        .into_any(),
    };
    view! {
        <div class="drawer-body stack stack-4">
            {move || known().map(|detail| view! { <Slip detail now/> })}
            <Tabs
                tabs=&TABS
                chosen=tab
                choose=Callback::new(move |id| tab.set(id))
                label="Message"
                panel="message-panel"
            />
            <div id="message-panel" role="tabpanel">
                {move || known().map(|known| panel(known, tab.get()))}
            </div>
        </div>
    }
}
