//! What was said, as the proxy received it: as the recipient sees it, and as the exact payload.

use crate::components::code::Code;
use crate::components::preview::Preview;
use crate::words;
use leptos::prelude::*;
use shared::channel::Channel;
use shared::payload::{Payload, TEXT_HTML};

/// The content of a message.
#[component]
pub fn Content(
    /// What was said.
    payload: Payload,
    /// Where.
    channel: Channel,
) -> impl IntoView {
    let source =
        (payload.content_type == TEXT_HTML).then(|| payload.text().unwrap_or_default().to_owned());
    let json = serde_json::to_string_pretty(&payload).unwrap_or_default();
    let size = words::bytes(payload.to_bytes().len());
    let kind = payload.content_type.clone();
    view! {
        <div class="stack stack-4">
            <section class="seen" aria-label="As the recipient sees it">
                <div class="seen-head">
                    <h3 class="dense strong">"As the recipient sees it"</h3>
                    <span class="push"></span>
                    <span class="small faint mono">{kind}</span>
                </div>
                <div class="seen-body">
                    <Preview
                        payload=Signal::stored(payload)
                        channel=Signal::stored(Some(channel))
                    />
                </div>
            </section>
            {source
                .map(|source| {
                    view! {
                        <section class="stack">
                            <h3>"HTML source"</h3>
                            <Code text=source/>
                        </section>
                    }
                })}
            <section class="stack">
                <h3>
                    "Payload " <span class="small faint">{size} " as sent"</span>
                </h3>
                <Code text=json/>
            </section>
        </div>
    }
}
