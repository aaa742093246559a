//! Sending an ended message once more. What it said goes out again as a new message with a key of its own, so
//! a double click or a reload sends one, and both histories name the other and say why.

use crate::api::Client;
use crate::browser;
use crate::components::dialog::Dialog;
use crate::components::icon::{Glyph, Icon};
use crate::pages::Place;
use crate::state::filter::Filter;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;
use shared::api::{Message, Problem, ResendRequest};
use shared::delivery::{Delivery, NoResend, State};
use shared::id::Key;

/// Longest reason the proxy takes, in characters.
const WHY_CHARS_MAX: usize = 500;

/// The button and its dialog; nothing while the message has not ended.
#[component]
pub fn Resend(
    /// The open message.
    message: Memo<Option<Message>>,
) -> impl IntoView {
    let open = RwSignal::new(false);
    let known = Memo::new(move |_| {
        message.with(|message| message.as_ref().map(|one| (one.id.clone(), one.delivery.clone())))
    });
    let has_ended = move || {
        known.with(|known| known.as_ref().is_some_and(|(_, one)| one.may_resend(true).is_ok()))
    };
    view! {
        <Show when=has_ended>
            <button
                type="button"
                class="b b-small"
                data-testid="resend-button"
                on:click=move |_| open.set(true)
            >
                <Icon glyph=Glyph::Retry/>
                "Send once more"
            </button>
        </Show>
        <Dialog open title="Send once more" id="resend">
            {move || known.get_untracked().map(|(id, delivery)| view! { <Form id delivery open/> })}
        </Dialog>
    }
}

#[component]
fn Form(id: shared::id::MessageId, delivery: Delivery, open: RwSignal<bool>) -> impl IntoView {
    let client = expect_context::<Client>();
    let navigate = StoredValue::new(use_navigate());
    // Made when the dialog opens: however often it is posted, one message comes of it.
    let key = StoredValue::new(Key::new(browser::now(), browser::random_bytes()));
    let why = RwSignal::new(String::new());
    let agreed = RwSignal::new(false);
    let is_busy = RwSignal::new(false);
    let problem = RwSignal::new(None::<Problem>);
    let may_have_arrived = delivery.may_resend(false) == Err(NoResend::MayHaveArrived);
    let known = match delivery.state {
        State::Delivered | State::Read => {
            "The recipient has this message. They will get it a second time."
        }
        State::Undelivered => {
            "No receipt came, which does not mean that it did not arrive. The recipient may get it twice."
        }
        State::Failed => {
            "The platform reported that it could not be delivered, or a person gave it up."
        }
        _ => "It was not sent.",
    };
    let cannot =
        move || is_busy.get() || why.read().trim().is_empty() || may_have_arrived && !agreed.get();
    let id = StoredValue::new(id);
    let send = move |_| {
        let request = ResendRequest {
            why: why.get_untracked().trim().to_owned(),
            even_if_delivered: may_have_arrived && agreed.get_untracked(),
        };
        is_busy.set(true);
        problem.set(None);
        spawn_local(async move {
            let answer = client.resend(id.get_value(), key.get_value(), request).await;
            if is_busy.try_set(false).is_some() {
                return;
            }
            match answer {
                Ok(accepted) => {
                    open.set(false);
                    if let Some(new) = accepted.messages.into_iter().next() {
                        let place = Place::Message(new.id, Filter::default());
                        navigate.with_value(|go| go(&place.href(), NavigateOptions::default()));
                    }
                }
                Err(refused) => problem.set(Some(refused)),
            }
        });
    };
    view! {
        <div class="stack stack-4">
            <p class="measure">{known}</p>
            <div class="field">
                <label class="label" for="resend-why">
                    "Why " <span class="optional">"kept in both histories"</span>
                </label>
                <input
                    class="input"
                    id="resend-why"
                    maxlength=WHY_CHARS_MAX
                    placeholder="The customer asked for it again"
                    autofocus
                    bind:value=why
                />
            </div>
            {may_have_arrived
                .then(|| {
                    view! {
                        <label class="row">
                            <input
                                type="checkbox"
                                data-testid="resend-agree"
                                prop:checked=agreed
                                on:change=move |event| agreed.set(event_target_checked(&event))
                            />
                            <span>"Send it although it may arrive twice"</span>
                        </label>
                    }
                })}
            {move || {
                problem
                    .get()
                    .map(|problem| {
                        view! {
                            <p class="banner banner-warn" role="alert">
                                <Icon glyph=Glyph::Warn/>
                                <span>
                                    <b class="strong">{problem.title} ". "</b>
                                    {problem.detail}
                                </span>
                            </p>
                        }
                    })
            }}
            <div class="row">
                <button
                    type="button"
                    class="b b-main"
                    data-testid="resend-confirm"
                    disabled=cannot
                    on:click=send
                >
                    "Send once more"
                </button>
                <button type="button" class="b b-quiet" on:click=move |_| open.set(false)>
                    "Leave it"
                </button>
            </div>
        </div>
    }
}
