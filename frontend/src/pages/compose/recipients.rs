//! The second stop: whom it is for.

use super::desk::Desk;
use super::findings;
use crate::components::chips::Chips;
use crate::components::leg::Leg;
use crate::state::assess::Field;
use crate::words;
use leptos::prelude::*;
use shared::rules::AddressForm;

/// The stop.
#[component]
pub fn Recipients() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let items = Memo::new(move |_| desk.draft.with(|draft| draft.recipients.clone()));
    let standing =
        Signal::derive(move || desk.standing(&[Field::Recipients], !items.read().is_empty()));
    let faulty = move || {
        desk.findings(Field::Recipients)
            .iter()
            .filter_map(|finding| finding.pointer.split('/').nth(2)?.parse().ok())
            .collect::<Vec<usize>>()
    };
    let placeholder = move || {
        let form = desk.known().and_then(|known| desk.recipient_form(&known.channel));
        match form {
            Some(AddressForm::Phone) => "Number such as +447700900141",
            Some(AddressForm::Email) => "Address such as customer@example.com",
            _ => "Address",
        }
    };
    let aside = move || match items.read().len() {
        0 => String::new(),
        count => {
            words::counted(u64::try_from(count).unwrap_or(u64::MAX), "recipient", "recipients")
        }
    };
    view! {
        <Leg title="Recipients" id="leg-recipients" standing aside=Signal::derive(aside)>
            <div class="field" class:has-bad=move || desk.is_bad(Field::Recipients)>
                <Chips
                    id=Field::Recipients.id()
                    testid="recipient-input"
                    label="Add a recipient, or paste a list"
                    placeholder=Signal::derive(placeholder)
                    items
                    faulty=Signal::derive(faulty)
                    change=Callback::new(move |recipients| {
                        desk.edit(Field::Recipients, |draft| draft.recipients = recipients);
                    })
                    leave=Callback::new(move |()| desk.touch(Field::Recipients))
                />
                {findings(Field::Recipients)}
            </div>
        </Leg>
    }
}
