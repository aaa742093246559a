//! A conversation in a few lines: its channel, who is in it and in which role, and who of them may send.

use crate::components::icon::{Glyph, Icon};
use crate::components::row::channel_glyph;
use crate::words;
use leptos::prelude::*;
use shared::channel::Channel;
use shared::conversation::{Conversation, Participant, ROLE_AGENT};

/// The first year of the epoch.
const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1000;

/// The card.
#[component]
pub fn ContextCard(conversation: Conversation) -> impl IntoView {
    let ended = conversation.ended_at;
    // A sample that was never read from the platform carries a time of no meaning.
    let read = (conversation.read_at.unix_ms() > YEAR_MS)
        .then(|| format!("· read {}", words::clock_seconds(conversation.read_at)));
    let is_known = Channel::KNOWN.contains(&conversation.channel);
    view! {
        <div class="context" data-testid="conversation-card">
            <div class="context-row">
                <Icon glyph=channel_glyph(&conversation.channel)/>
                <span>
                    {conversation.channel.label().to_owned()} " "
                    <span class="faint">{read}</span>
                </span>
                {match (ended, is_known) {
                    (Some(at), _) => {
                        view! {
                            <span class="tag tag-bad" title=words::full(at)>
                                <Icon glyph=Glyph::Ban/>
                                "Ended "
                                {words::clock(at)}
                            </span>
                        }
                            .into_any()
                    }
                    (None, false) => {
                        view! {
                            <span class="tag tag-bad">
                                <Icon glyph=Glyph::Help/>
                                "Unknown channel"
                            </span>
                        }
                            .into_any()
                    }
                    (None, true) => {
                        view! {
                            <span class="tag tag-ok">
                                <Icon glyph=Glyph::Check/>
                                "Open"
                            </span>
                        }
                            .into_any()
                    }
                }}
            </div>
            {conversation.participants.into_iter().map(row).collect_view()}
        </div>
    }
}

fn row(participant: Participant) -> impl IntoView {
    let may_send = participant.role == ROLE_AGENT;
    let glyph = if may_send { Glyph::Agent } else { Glyph::Person };
    let role = if participant.role.is_empty() { "no role".to_owned() } else { participant.role };
    view! {
        <div class="context-row">
            <Icon glyph=glyph/>
            <span class="clip mono">{participant.address}</span>
            <span class="row">
                <span class="tag">{role}</span>
                {may_send.then(|| view! { <span class="tag tag-accent">"may send"</span> })}
            </span>
        </div>
    }
}
