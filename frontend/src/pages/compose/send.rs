//! Sending, and what is said when no answer or a no came back. The key stays the same until the proxy has
//! accepted the submission, so that trying again can never send a second message.

use super::desk::{Desk, Sending};
use crate::api::{KEY_REUSED, UNREACHABLE};
use crate::browser;
use crate::components::finding::FindingNote;
use crate::components::icon::{Glyph, Icon};
use crate::pages::Place;
use crate::state::draft::Draft;
use crate::state::filter::Filter;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;
use shared::api::{Problem, SubmissionRequest, path};
use shared::id::{ConversationId, Key};

/// What posts the draft; a second call while one is under way does nothing.
pub fn sender(desk: Desk) -> impl Fn() + Clone {
    let navigate = use_navigate();
    move || {
        if desk.is_sending_untracked() {
            return;
        }
        let Some(request) = request(desk) else { return };
        desk.sending.set(Sending::UnderWay);
        // Noted before the POST: a reload from here on must know that it may have been accepted.
        desk.draft.update(|draft| draft.was_posted = true);
        desk.draft.with_untracked(Draft::store);
        let key = desk.draft.with_untracked(|draft| draft.key.clone());
        let navigate = navigate.clone();
        spawn_local(async move {
            match desk.client.submit(key, request).await {
                Ok(accepted) => {
                    if desk.draft.is_disposed() {
                        Draft::new().store();
                        return;
                    }
                    desk.start_over();
                    let place = match accepted.messages.into_iter().next() {
                        Some(message) => Place::Message(message.id, Filter::default()),
                        None => Place::all_messages(),
                    };
                    navigate(&place.href(), NavigateOptions::default());
                }
                Err(problem) => {
                    desk.sending.try_set(outcome(problem));
                    request_animation_frame(|| browser::focus("outcome"));
                }
            }
        });
    }
}

/// A refusal says that nothing was accepted; everything else leaves it open.
fn outcome(problem: Problem) -> Sending {
    if problem.code == UNREACHABLE || problem.status >= 500 {
        Sending::Unconfirmed(problem)
    } else {
        Sending::Refused(problem)
    }
}

fn request(desk: Desk) -> Option<SubmissionRequest> {
    let assessment = desk.assessment.get_untracked();
    let typed = desk.draft.with_untracked(|draft| draft.conversation.trim().to_owned());
    Some(SubmissionRequest {
        connection: untrack(|| desk.connection())?,
        conversation_id: ConversationId::parse(&typed).ok()?,
        payload: assessment.payload,
        not_before: assessment.not_before,
        expires_at: assessment.expires_at,
    })
}

/// The submission as a line for a terminal, without any credential.
pub fn curl(desk: Desk) -> String {
    desk.assessment.track();
    let body = match request(desk) {
        Some(request) => serde_json::to_string(&request).unwrap_or_default(),
        None => return "# Choose a conversation first.".into(),
    };
    let key = desk.draft.with(|draft| draft.key.clone());
    format!(
        "curl -sS -X POST '{}{}' \\\n  -H \"Authorization: Bearer $WAYBILL_TOKEN\" \\\n  -H 'Content-Type: application/json' \\\n  -H 'Idempotency-Key: {key}' \\\n  --data-binary @- <<'JSON'\n{body}\nJSON",
        browser::origin(),
        path::SUBMISSIONS,
    )
}

/// What came of the last try, where it was not a yes.
#[component]
pub fn Outcome() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let again = StoredValue::new(sender(desk));
    let retry = move |_| again.with_value(|again| again());
    let as_new = move |_| {
        desk.draft.update(|draft| {
            draft.key = Key::new(browser::now(), browser::random_bytes());
            draft.was_posted = false;
        });
        desk.draft.with_untracked(Draft::store);
        desk.sending.set(Sending::Idle);
        desk.review();
    };
    move || {
        match desk.sending.get() {
        Sending::Idle | Sending::UnderWay => ().into_any(),
        Sending::Unconfirmed(problem) => view! {
            <div class="banner banner-warn" role="alert" id="outcome" tabindex="-1" data-testid="send-unconfirmed">
                <Icon glyph=Glyph::Warn/>
                <p>
                    <b class="strong">"Not confirmed: this message may or may not have been accepted. "</b>
                    {problem.title} ". " {problem.detail}
                    " Nothing is lost here. Trying again is safe: it carries the same key and counts once."
                </p>
                <span class="actions">
                    <button type="button" class="b b-tiny" data-testid="try-again" on:click=retry>
                        <Icon glyph=Glyph::Retry/>
                        "Try again"
                    </button>
                </span>
            </div>
        }
        .into_any(),
        // The key was used by other content: the draft was changed after a try whose answer was lost.
        Sending::Refused(problem) if problem.code == KEY_REUSED => view! {
            <div class="banner banner-warn" role="alert" id="outcome" tabindex="-1" data-testid="send-mismatch">
                <Icon glyph=Glyph::Hand/>
                <p>
                    <b class="strong">
                        "An earlier version of this message was already accepted. "
                    </b>
                    "Its answer was lost, and you have changed the text since. Look at what was sent first, or send this one as a message of its own: the recipient then gets both."
                </p>
                <span class="actions">
                    <a class="b b-tiny" href=Place::all_messages().href()>
                        "See what was sent"
                    </a>
                    <button type="button" class="b b-tiny" on:click=as_new>
                        "Send as a new message"
                    </button>
                </span>
            </div>
        }
        .into_any(),
        Sending::Refused(problem) => view! {
            <div class="banner banner-bad" role="alert" id="outcome" tabindex="-1" data-testid="send-refused">
                <Icon glyph=Glyph::Stop/>
                <div class="grow">
                    <p>
                        <b class="strong">"Nothing was sent. "</b>
                        {problem.title} ". " {problem.detail}
                    </p>
                    {problem
                        .findings
                        .into_iter()
                        .map(|finding| view! { <FindingNote finding/> })
                        .collect_view()}
                </div>
                <span class="actions">
                    <button
                        type="button"
                        class="b b-tiny"
                        on:click=move |_| {
                            desk.sending.set(Sending::Idle);
                            desk.is_reviewing.set(false);
                        }
                    >
                        "Back to editing"
                    </button>
                </span>
            </div>
        }
        .into_any(),
    }
    }
}
