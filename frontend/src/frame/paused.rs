//! Said over every page while nothing is sent through a connection: why, what to do, and the way to try at once.

use crate::api::Client;
use crate::components::icon::{Glyph, Icon};
use crate::frame::Announcer;
use crate::state::proxy::Proxy;
use leptos::prelude::*;
use leptos::task::spawn_local;
use shared::id::ConnectionName;

/// A banner for each connection through which nothing goes now.
#[component]
pub fn Paused() -> impl IntoView {
    let proxy = expect_context::<Proxy>();
    let problems = Memo::new(move |_| {
        proxy.budget.with(|budgets| {
            let said = budgets.iter().filter_map(|one| {
                Some((one.connection.clone(), one.problem.clone()?, one.messages_waiting))
            });
            said.collect::<Vec<_>>()
        })
    });
    move || {
        problems
            .get()
            .into_iter()
            .map(|(name, problem, waiting)| view! { <Banner name problem waiting/> })
            .collect_view()
    }
}

#[component]
fn Banner(name: ConnectionName, problem: String, waiting: u64) -> impl IntoView {
    let client = expect_context::<Client>();
    let proxy = expect_context::<Proxy>();
    let announcer = expect_context::<Announcer>();
    let is_busy = RwSignal::new(false);
    let waits = match waiting {
        0 => "Nothing waits to be sent.".to_owned(),
        1 => "1 message waits; nothing is lost.".to_owned(),
        count => format!("{} messages wait; nothing is lost.", crate::words::grouped(count)),
    };
    let resume = {
        let name = name.clone();
        move |_| {
            let name = name.clone();
            is_busy.set(true);
            spawn_local(async move {
                let said = match client.resume_connection(name).await {
                    Ok(_) => "Trying again now".to_owned(),
                    Err(problem) => problem.title,
                };
                announcer.say(said);
                proxy.look_at_budget();
                is_busy.try_set(false);
            });
        }
    };
    view! {
        <div class="offline">
            <p class="banner banner-warn" role="status" data-testid="paused">
                <Icon glyph=Glyph::Warn/>
                <span>
                    <b class="strong">{format!("Nothing is sent through {name} now. ")}</b>
                    {problem} " " {waits}
                </span>
                <span class="actions">
                    <button
                        type="button"
                        class="b b-tiny"
                        data-testid="resume-connection"
                        disabled=move || is_busy.get()
                        on:click=resume
                    >
                        "Try now"
                    </button>
                </span>
            </p>
        </div>
    }
}
