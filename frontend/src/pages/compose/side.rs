//! Beside the form: what the recipient will see, and what the sending will cost.

use super::desk::Desk;
use crate::components::plan::PlanSlip;
use crate::components::preview::Preview;
use crate::state::proxy::Proxy;
use leptos::prelude::*;

/// The column.
#[component]
pub fn Side() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let budgets = expect_context::<Proxy>().budget;
    let payload = Memo::new(move |_| desk.assessment.with(|all| all.payload.clone()));
    let channel = Memo::new(move |_| desk.known().map(|known| known.channel));
    let budget = move || {
        let connection = desk.connection()?;
        budgets.with(|all| all.iter().find(|one| one.connection == connection).cloned())
    };
    let title = move || match desk.draft.with(|draft| draft.recipients.first().cloned()) {
        Some(recipient) => format!("What {recipient} sees"),
        None => "What the recipient sees".to_owned(),
    };
    view! {
        <aside class="side stack stack-4" aria-label="Preview">
            <section class="seen" aria-labelledby="seen">
                <div class="seen-head">
                    <h2 class="dense strong clip" id="seen">
                        {title}
                    </h2>
                </div>
                <div class="seen-body">
                    <Preview payload channel/>
                </div>
            </section>
            <PlanSlip
                plan=Signal::derive(move || desk.assessment.with(|all| all.plan.clone()))
                budget=Signal::derive(budget)
                not_before=Signal::derive(move || desk.assessment.with(|all| all.not_before))
            />
        </aside>
    }
}
