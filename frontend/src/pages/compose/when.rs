//! The last stop: now or at a time, and until when it is worth sending.

use super::desk::Desk;
use super::findings;
use crate::browser;
use crate::components::leg::Leg;
use crate::state::assess::Field;
use crate::words;
use leptos::prelude::*;

/// The stop.
#[component]
pub fn When() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let is_later = Memo::new(move |_| desk.draft.read().is_later);
    let standing = Signal::derive(move || desk.standing(&[Field::When], true));
    let zone = words::zone(browser::now());
    let choice = move |later: bool, label: &'static str| {
        view! {
            <label>
                <input
                    class="sr"
                    type="radio"
                    name="when"
                    prop:checked=move || is_later.get() == later
                    on:change=move |_| {
                        desk.draft.update(|draft| draft.is_later = later);
                    }
                />
                {label}
            </label>
        }
    };
    view! {
        <Leg title="When" id="leg-when" standing aside=format!("your time, {zone}")>
            <div class="field" class:has-bad=move || desk.is_bad(Field::When)>
                <div class="row row-wide row-wrap">
                    <div class="seg" role="radiogroup" aria-label="When">
                        {choice(false, "Now")} {choice(true, "At a time")}
                    </div>
                    <Show when=move || is_later.get()>
                        <input
                            class="input is-small is-auto"
                            type="datetime-local"
                            aria-label="Send at"
                            data-testid="send-at"
                            prop:value=move || desk.draft.read().send_at.clone()
                            on:input:target=move |event| {
                                let at = event.target().value();
                                desk.edit(Field::When, |draft| draft.send_at = at);
                            }
                        />
                    </Show>
                    <label class="row dense row-wrap" for=Field::When.id()>
                        "Give up if not sent by"
                        <input
                            class="input is-small is-auto"
                            id=Field::When.id()
                            type="datetime-local"
                            prop:value=move || desk.draft.read().give_up_at.clone()
                            on:input:target=move |event| {
                                let at = event.target().value();
                                desk.edit(Field::When, |draft| draft.give_up_at = at);
                            }
                        />
                    </label>
                </div>
                {findings(Field::When)}
            </div>
        </Leg>
    }
}
