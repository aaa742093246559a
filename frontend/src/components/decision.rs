//! The choice only a person can make: what is known, what each choice brings about, and why it was made.
//! No choice stands out, because nobody can know the right one.

use leptos::prelude::*;
use shared::api::DecideRequest;
use shared::delivery::Choice;
use shared::id::PlatformId;

/// Longest reason the proxy takes, in characters.
const WHY_CHARS_MAX: usize = 500;

/// The panel for a parked message.
#[component]
pub fn Decision(
    /// How often it was tried.
    attempts: u32,
    /// Messages on the platform that may be this one.
    candidates: Vec<PlatformId>,
    /// True while a decision is on its way.
    #[prop(into)]
    is_busy: Signal<bool>,
    /// Told what was decided, and why.
    decide: Callback<DecideRequest>,
) -> impl IntoView {
    let why = RwSignal::new(String::new());
    let found_id = RwSignal::new(String::new());
    let has_why = move || !why.read().trim().is_empty();
    let found = move || PlatformId::parse(found_id.read().trim()).ok();
    let run = move |decision: Choice| {
        decide.run(DecideRequest { decision, why: why.get_untracked().trim().to_owned() });
    };
    let cannot = move || is_busy.get() || !has_why();
    view! {
        <section class="ask" aria-labelledby="decision" data-testid="decision">
            <div class="ask-head">
                <h3 id="decision">"What should become of it?"</h3>
            </div>
            <p class="ask-known">
                {format!(
                    "It was tried {} and no clear answer came, so nobody here knows whether the platform took it. Whoever can look at the conversation knows more than Waybill does.",
                    if attempts == 1 { "once".to_owned() } else { format!("{attempts} times") },
                )}
            </p>
            <div class="field ask-why">
                <label class="label" for="decision-why">
                    "Why " <span class="optional">"kept in the history"</span>
                </label>
                <input
                    class="input"
                    id="decision-why"
                    maxlength=WHY_CHARS_MAX
                    placeholder="Asked the customer: nothing arrived"
                    bind:value=why
                />
            </div>
            <div class="choice">
                <span>"Send it again" <small>"The recipient may get it twice."</small></span>
                <button
                    type="button"
                    class="b b-small"
                    data-testid="decide-resend"
                    disabled=cannot
                    on:click=move |_| run(Choice::Resend)
                >
                    "Send again"
                </button>
            </div>
            <div class="choice">
                <span>
                    <label for="decision-id">"It was taken, under this platform id"</label>
                    <input
                        class="input mono is-small"
                        id="decision-id"
                        autocomplete="off"
                        spellcheck="false"
                        bind:value=found_id
                    />
                    <small>"Nothing is sent; Waybill follows that message."</small>
                </span>
                <button
                    type="button"
                    class="b b-small"
                    data-testid="decide-found"
                    disabled=move || cannot() || found().is_none()
                    on:click=move |_| {
                        if let Some(platform_id) = untrack(found) {
                            run(Choice::Found { platform_id });
                        }
                    }
                >
                    "Follow it"
                </button>
            </div>
            {(!candidates.is_empty())
                .then(|| {
                    view! {
                        <div class="choice">
                            <span>
                                "New in the conversation since it was tried"
                                <small>"One of these may be it. Choosing one fills in its id above."</small>
                            </span>
                            <span class="row row-wrap">
                                {candidates
                                    .into_iter()
                                    .map(|id| {
                                        let text = id.to_string();
                                        view! {
                                            <button
                                                type="button"
                                                class="b b-tiny mono"
                                                data-testid="candidate"
                                                on:click=move |_| found_id.set(text.clone())
                                            >
                                                {id.to_string()}
                                            </button>
                                        }
                                    })
                                    .collect_view()}
                            </span>
                        </div>
                    }
                })}
            <div class="choice">
                <span>
                    "Give it up" <small>"It ends as failed, and the auditors hear of it."</small>
                </span>
                <button
                    type="button"
                    class="b b-small"
                    data-testid="decide-give-up"
                    disabled=cannot
                    on:click=move |_| run(Choice::GiveUp)
                >
                    "Give up"
                </button>
            </div>
        </section>
    }
}
