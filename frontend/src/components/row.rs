//! One row of the list of messages. It follows its message by itself, so a live change touches this row only.

use crate::components::icon::{Glyph, Icon};
use crate::components::state_word::StateWord;
use crate::components::time::Time;
use crate::components::verdict::VerdictWord;
use crate::words;
use leptos::prelude::*;
use shared::api::Message;
use shared::channel::Channel;
use shared::delivery::State;
use shared::time::Timestamp;

/// The sign of a channel.
pub fn channel_glyph(channel: &Channel) -> Glyph {
    match channel {
        Channel::Sms => Glyph::Sms,
        Channel::Email => Glyph::Email,
        Channel::Webmessaging => Glyph::Web,
        Channel::Whatsapp | Channel::Facebook | Channel::Instagram | Channel::Apple => {
            Glyph::Whatsapp
        }
        Channel::Open | Channel::Unknown(_) => Glyph::Open,
    }
}

/// `customer@example.com` or `customer@example.com and 3 more`.
pub fn recipients(message: &Message) -> String {
    match message.recipients.as_slice() {
        [] => "nobody".into(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

/// A table row for `message`.
#[component]
pub fn MessageRow(
    /// The message as it is now.
    #[prop(into)]
    message: Signal<Message>,
    /// Where its link leads.
    #[prop(into)]
    href: Signal<String>,
    /// True while it is the one that is open.
    #[prop(into)]
    is_open: Signal<bool>,
    /// Now, moving.
    #[prop(into)]
    now: Signal<Timestamp>,
    /// Told when the row is clicked anywhere but on its link.
    open: Callback<()>,
) -> impl IntoView {
    let first = message.get_untracked();
    let id = first.id.clone();
    let accepted_at = first.delivery.accepted_at;
    let who = recipients(&first);
    let line = first.preview.clone();
    let channel = first.channel.clone();
    let link_id = format!("row-{id}");
    // Only what is still moving follows the clock.
    let moving = Memo::new(move |_| {
        let needs_clock = message.with(|message| {
            message.delivery.state == State::Accepted
                || message.verdict == shared::sla::Verdict::Pending
        });
        if needs_clock { now.get() } else { now.get_untracked() }
    });
    view! {
        <tr
            class:is-open=move || is_open.get()
            data-testid="message-row"
            data-id=id.to_string()
            data-state=move || message.with(|message| message.delivery.state.as_str())
            on:click=move |event| {
                // The link takes care of itself, middle button and modifiers included.
                if !event.default_prevented() && event.button() == 0 && !event.ctrl_key()
                    && !event.meta_key() && !event.shift_key()
                {
                    open.run(());
                }
            }
        >
            <td class="c-who">
                <div class="who">
                    <span>
                        <a
                            id=link_id
                            class="row-link"
                            href=move || href.get()
                            on:click=|event| event.stop_propagation()
                        >
                            {who}
                        </a>
                    </span>
                    <span class="line">{line}</span>
                </div>
            </td>
            <td class="c-channel">
                <span class="row small muted">
                    <Icon glyph=channel_glyph(&channel) class="i-small"/>
                    {channel.label().to_owned()}
                </span>
            </td>
            <td class="c-state">
                {move || {
                    let message = message.get();
                    let reason = message.delivery.reason.clone();
                    view! {
                        <StateWord delivery=message.delivery now=moving.get()/>
                        {reason.map(|reason| view! { <span class="reason">{reason.text}</span> })}
                    }
                }}
            </td>
            <td class="c-sla">
                {move || view! { <VerdictWord message=message.get() now=moving.get()/> }}
            </td>
            <td class="c-tries end">{move || message.with(|message| message.delivery.attempts)}</td>
            <td class="c-time end nowrap muted">
                <Time at=accepted_at text=words::clock_seconds(accepted_at)/>
            </td>
        </tr>
    }
}
