//! "Send these to the sandbox": posts what was drawn as real submissions, each with a key of its own, and says
//! truthfully what came of each. Offered only where a proxy is reachable and the connection is a sandbox.

use super::desk::Desk;
use super::simulator::Made;
use crate::api::{Client, UNREACHABLE};
use crate::browser;
use crate::components::icon::{Glyph, Icon};
use crate::pages::Place;
use crate::words;
use leptos::prelude::*;
use leptos::task::spawn_local;
use shared::api::SubmissionRequest;
use shared::conversation::Conversation;
use shared::id::{ConnectionName, Key};
use shared::payload::Payload;
use shared::simulator::SimulatedMessage;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reasons for refusals that are listed, the most frequent first.
const WHY_MAX: usize = 6;

/// How far the sending is and what came of it.
#[derive(Clone, PartialEq, Debug, Default)]
struct Sent {
    total: usize,
    accepted: usize,
    refused: usize,
    /// No answer came: they may have been accepted or not.
    unknown: usize,
    /// No conversation of the sandbox is on their channel.
    left_out: usize,
    why: BTreeMap<String, usize>,
    is_running: bool,
    is_stopped: bool,
}

impl Sent {
    fn done(&self) -> usize {
        self.accepted + self.refused + self.unknown + self.left_out
    }
}

/// The panel; nothing where there is no sandbox.
#[component]
pub fn Send(made: Memo<Arc<Vec<Made>>>) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let client = use_context::<Client>();
    let sandbox = Memo::new(move |_| {
        desk.proxy?.options.with(|options| {
            let found = options.ready()?.connections.iter().find(|one| one.sandbox)?;
            Some((found.name.clone(), found.dialect.clone()))
        })
    });
    move || {
        let (client, (connection, _)) = client.zip(sandbox.get())?;
        Some(view! { <Panel made client connection/> })
    }
}

#[component]
fn Panel(made: Memo<Arc<Vec<Made>>>, client: Client, connection: ConnectionName) -> impl IntoView {
    let sent = RwSignal::new(None::<Sent>);
    let wants_stop = StoredValue::new(false);
    on_cleanup(move || {
        wants_stop.try_set_value(true);
    });
    let is_running =
        Memo::new(move |_| sent.with(|all| all.as_ref().is_some_and(|one| one.is_running)));
    let label = move || {
        let count = words::count(made.read().len());
        format!("Send {} to the sandbox", words::counted(count, "message", "messages"))
    };
    let name = connection.to_string();
    let start = move || {
        wants_stop.set_value(false);
        let connection = connection.clone();
        let made = made.get_untracked();
        spawn_local(async move { post_all(client, connection, &made, sent, wants_stop).await });
    };
    view! {
        <section class="panel" aria-labelledby="lab-send-title">
            <div class="panel-head">
                <h2 id="lab-send-title">"Send these to the sandbox"</h2>
            </div>
            <div class="panel-body stack stack-3">
                <p class="small muted">
                    {format!(
                        "As real submissions through {name}, in conversations it has on their channels.",
                    )}
                </p>
                <Show
                    when=move || is_running.get()
                    fallback={
                        let start = start.clone();
                        move || {
                            let start = start.clone();
                            view! {
                                <button
                                    type="button"
                                    class="b b-main"
                                    data-testid="lab-send"
                                    on:click=move |_| start()
                                >
                                    {label}
                                </button>
                            }
                        }
                    }
                >
                    <button
                        type="button"
                        class="b"
                        data-testid="lab-send-stop"
                        on:click=move |_| wants_stop.set_value(true)
                    >
                        <Icon glyph=Glyph::Stop/>
                        "Stop"
                    </button>
                </Show>
                {move || sent.get().map(|one| view! { <Became one/> })}
            </div>
        </section>
    }
}

#[component]
fn Became(one: Sent) -> impl IntoView {
    let done = one.done();
    let state = match (one.is_running, one.is_stopped) {
        (true, _) => "running",
        (false, true) => "stopped",
        (false, false) => "done",
    };
    let mut why: Vec<(String, usize)> = one.why.into_iter().collect();
    why.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let others = why.len().saturating_sub(WHY_MAX);
    let lines = [
        (one.accepted, "accepted", "fg-ok", Glyph::Check),
        (one.refused, "refused, nothing was sent", "fg-bad", Glyph::Reject),
        (
            one.unknown,
            "without an answer: they may have been accepted or not",
            "fg-warn",
            Glyph::Warn,
        ),
        (
            one.left_out,
            "left out: the sandbox has no open conversation on their channel",
            "muted",
            Glyph::Minus,
        ),
    ];
    view! {
        <div
            class="stack stack-1 small"
            role="status"
            data-testid="lab-sent"
            data-state=state
            data-accepted=one.accepted
            data-refused=one.refused
            data-unknown=one.unknown
        >
            <p class="muted">
                {format!("{done} of {}", one.total)}
                {match state {
                    "running" => " so far",
                    "stopped" => ", then stopped",
                    _ => " done",
                }}
            </p>
            {lines
                .into_iter()
                .filter(|line| line.0 > 0)
                .map(|(count, text, tone, glyph)| {
                    view! {
                        <p class=format!("row row-top {tone}")>
                            <Icon glyph=glyph class="i-small"/>
                            <span>{format!("{count} {text}")}</span>
                        </p>
                    }
                })
                .collect_view()}
            {why
                .into_iter()
                .take(WHY_MAX)
                .map(|(code, count)| {
                    view! {
                        <p class="faint">
                            {format!("{count} × ")}
                            <code>{code}</code>
                        </p>
                    }
                })
                .collect_view()}
            {(others > 0)
                .then(|| {
                    view! {
                        <p class="faint">
                            {format!("and {}", words::counted(words::count(others), "other code", "other codes"))}
                        </p>
                    }
                })}
            {(one.accepted > 0)
                .then(|| {
                    view! {
                        <p>
                            <a href=Place::all_messages().href()>"See what becomes of them"</a>
                        </p>
                    }
                })}
        </div>
    }
}

/// Posts one after the other: a person watches, and the proxy's own budget is what limits the sending anyway.
async fn post_all(
    client: Client,
    connection: ConnectionName,
    made: &[Made],
    shown: RwSignal<Option<Sent>>,
    wants_stop: StoredValue<bool>,
) {
    let mut sent = Sent { total: made.len(), is_running: true, ..Sent::default() };
    shown.try_set(Some(sent.clone()));
    let conversations = match client.conversations(connection.clone()).await {
        Ok(page) => page.items,
        Err(problem) => {
            sent.why.insert(problem.code, 1);
            Vec::new()
        }
    };
    for (index, one) in made.iter().enumerate() {
        match place(&conversations, &one.drawn.conversation, index) {
            None => sent.left_out += 1,
            Some(conversation) => {
                let request = SubmissionRequest {
                    connection: connection.clone(),
                    conversation_id: conversation.id.clone(),
                    payload: addressed(&one.drawn, conversation),
                    not_before: None,
                    expires_at: None,
                };
                let key = Key::new(browser::now(), browser::random_bytes());
                match client.submit(key, request).await {
                    Ok(_) => sent.accepted += 1,
                    Err(problem) if problem.code == UNREACHABLE || problem.status >= 500 => {
                        sent.unknown += 1;
                        *sent.why.entry(problem.code).or_default() += 1;
                    }
                    Err(problem) => {
                        sent.refused += 1;
                        let code =
                            problem.findings.first().map_or(problem.code, |one| one.code.clone());
                        *sent.why.entry(code).or_default() += 1;
                    }
                }
            }
        }
        sent.is_stopped = wants_stop.try_get_value().unwrap_or(true) && index + 1 < made.len();
        sent.is_running = index + 1 < made.len() && !sent.is_stopped;
        // What was posted is posted: a page that is left only stops posting more.
        if shown.try_set(Some(sent.clone())).is_some() || sent.is_stopped {
            return;
        }
    }
}

/// The conversation it was drawn for, where this sandbox has it, or one on its channel that can be sent to, in turn.
fn place<'a>(
    all: &'a [Conversation],
    drawn: &Conversation,
    turn: usize,
) -> Option<&'a Conversation> {
    if let Some(same) = all.iter().find(|one| one.id == drawn.id && one.channel == drawn.channel) {
        return Some(same);
    }
    let fitting: Vec<&Conversation> = all
        .iter()
        .filter(|one| {
            one.channel == drawn.channel
                && one.ended_at.is_none()
                && !one.senders().is_empty()
                && !one.customers().is_empty()
        })
        .collect();
    fitting.get(turn % fitting.len().max(1)).copied()
}

/// The payload as it goes into `conversation`: a plain one to its customer, one whose fault lies in its addresses
/// with that fault.
fn addressed(drawn: &SimulatedMessage, conversation: &Conversation) -> Payload {
    let mut payload = drawn.payload.clone();
    let first = |all: Vec<&str>| all.first().map(|one| (*one).to_owned());
    let (sender, customer) =
        (first(drawn.conversation.senders()), first(drawn.conversation.customers()));
    if Some(&payload.from) == sender.as_ref() {
        payload.from = first(conversation.senders()).unwrap_or_default();
    }
    for one in payload.to.iter_mut().filter(|one| Some(&**one) == customer.as_ref()) {
        *one = first(conversation.customers()).unwrap_or_default();
    }
    payload
}
