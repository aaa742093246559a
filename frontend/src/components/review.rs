//! The last look before sending: the facts as the proxy will get them, nothing to edit.

use crate::components::file::about;
use crate::components::finding::FindingNote;
use crate::components::icon::Icon;
use crate::components::row::channel_glyph;
use crate::words;
use leptos::prelude::*;
use shared::conversation::Conversation;
use shared::finding::Finding;
use shared::payload::{APPLICATION_JSON, Payload, TEXT_HTML};
use shared::time::Timestamp;

/// The slip to be signed.
#[component]
pub fn Review(
    /// What will be posted.
    payload: Payload,
    /// Into which conversation.
    conversation: Option<Conversation>,
    /// Not before this.
    not_before: Option<Timestamp>,
    /// Given up by this.
    expires_at: Option<Timestamp>,
    /// What is to be considered.
    warnings: Vec<Finding>,
) -> impl IntoView {
    let kind = match payload.content_type.as_str() {
        TEXT_HTML => "HTML",
        APPLICATION_JSON => "JSON",
        _ => "Text",
    };
    let said = match payload.text() {
        Some(text) => text.to_owned(),
        None => serde_json::to_string_pretty(&payload.content).unwrap_or_default(),
    };
    let when = not_before.map_or_else(|| "Now".to_owned(), words::full);
    let until = expires_at.map(|at| format!("given up if not sent by {}", words::full(at)));
    let channel = conversation.map(|conversation| {
        view! {
            <span class="row small muted nowrap">
                <Icon glyph=channel_glyph(&conversation.channel) class="i-small"/>
                {conversation.channel.label().to_owned()}
                <span class="mono">{conversation.id.to_string()}</span>
            </span>
        }
    });
    view! {
        <section class="stack stack-4" aria-labelledby="review-title">
            <div class="slip">
                <div class="slip-head row-wrap">
                    <h2 id="review-title" tabindex="-1">
                        "Is this right?"
                    </h2>
                    <span class="push"></span>
                    {channel}
                </div>
                <dl class="cells">
                    <div class="cell">
                        <dt>"From"</dt>
                        <dd class="mono">{payload.from}</dd>
                    </div>
                    <div class="cell">
                        <dt>"To"</dt>
                        <dd class="mono">
                            {payload
                                .to
                                .into_iter()
                                .map(|one| view! { <span class="said-line">{one}</span> })
                                .collect_view()}
                        </dd>
                    </div>
                </dl>
                <div class="perf"></div>
                <dl class="cells">
                    <div class="cell">
                        <dt>{kind}</dt>
                        <dd class="said-text">{said}</dd>
                    </div>
                </dl>
                {(!payload.attachments.is_empty())
                    .then(|| {
                        view! {
                            <dl class="cells">
                                <div class="cell">
                                    <dt>"Attachments"</dt>
                                    <dd>
                                        {payload
                                            .attachments
                                            .iter()
                                            .map(|file| {
                                                view! {
                                                    <span class="said-line">
                                                        {file.filename.clone()} " "
                                                        <span class="faint">{about(file)}</span>
                                                    </span>
                                                }
                                            })
                                            .collect_view()}
                                    </dd>
                                </div>
                            </dl>
                        }
                    })}
                <dl class="cells">
                    <div class="cell">
                        <dt>"When"</dt>
                        <dd>{when} <span class="sub">{until}</span></dd>
                    </div>
                </dl>
            </div>
            <div>
                {warnings
                    .into_iter()
                    .map(|finding| view! { <FindingNote finding/> })
                    .collect_view()}
            </div>
        </section>
    }
}
