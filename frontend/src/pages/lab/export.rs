//! Taking what is here elsewhere: a link, the JSON, a call of the proxy's API, a line for a terminal. None holds a
//! credential.

use super::desk::{Desk, LINK_CHARS_MAX};
use super::link::About;
use crate::browser;
use crate::components::code::Code;
use crate::components::dialog::Dialog;
use crate::components::icon::{Glyph, Icon};
use crate::words;
use leptos::prelude::*;
use serde_json::json;
use shared::api::path;
use shared::channel::Channel;
use shared::payload::Payload;
use shared::rules::Dialect;
use std::time::Duration;

/// Where a proxy listens unless it was told otherwise.
const USUAL: &str = "http://127.0.0.1:8787";
/// How long the tick stays.
const TICK: Duration = Duration::from_millis(1500);

/// The buttons.
#[component]
pub fn Export() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let is_open = RwSignal::new(false);
    let copied = RwSignal::new(None::<String>);
    let copy_link = move |_| {
        let link = desk.link();
        browser::copy(&link);
        let said = if link.len() > LINK_CHARS_MAX {
            format!("Copied, {} long", words::bytes(link.len()))
        } else {
            "Copied".to_owned()
        };
        copied.set(Some(said));
        set_timeout(
            move || {
                copied.try_set(None);
            },
            TICK,
        );
    };
    let payload =
        move || desk.judged.with(|judged| judged.read.as_ref().map(|read| read.filled.clone()));
    let context = move || (desk.channel.get(), desk.dialect.get());
    let as_json = move || match payload() {
        Some(payload) => serde_json::to_string_pretty(&payload).unwrap_or_default(),
        None => desk.state.with(|state| state.payload.clone()),
    };
    let as_curl = move || {
        let (channel, dialect) = context();
        let origin = if desk.proxy.is_some() { browser::origin() } else { USUAL.to_owned() };
        payload().map_or_else(not_yet, |payload| curl(&origin, &payload, &channel, dialect))
    };
    let as_line = move || {
        let (channel, dialect) = context();
        payload().map_or_else(not_yet, |payload| line(&payload, &channel, dialect))
    };
    let is_channel_alone = move || desk.state.with(|state| state.about == About::ChannelAlone);
    view! {
        <div class="row row-wrap">
            <button
                type="button"
                class="b b-small b-quiet"
                data-testid="lab-start-over"
                on:click=move |_| desk.start_over()
            >
                "Start over"
            </button>
            <button type="button" class="b b-small" data-testid="lab-copy-link" on:click=copy_link>
                <Icon glyph=Signal::derive(move || {
                    if copied.read().is_some() { Glyph::Check } else { Glyph::Link }
                })/>
                {move || copied.get().unwrap_or_else(|| "Copy link".to_owned())}
            </button>
            <button
                type="button"
                class="b b-small"
                data-testid="lab-export"
                on:click=move |_| is_open.set(true)
            >
                <Icon glyph=Glyph::Json/>
                "Copy as …"
            </button>
        </div>
        <Dialog open=is_open title="The same elsewhere" id="lab-elsewhere">
            <h3>"JSON"</h3>
            <p class="small">"The payload as it would be sent, values filled in."</p>
            <div data-testid="lab-as-json">
                <Code text=Signal::derive(as_json)/>
            </div>
            <h3>"curl"</h3>
            <p class="small">
                "Put the token of your link into "
                <code>"WAYBILL_TOKEN"</code>
                " first. Nothing is sent: the proxy only judges."
            </p>
            <div data-testid="lab-as-curl">
                <Code text=Signal::derive(as_curl)/>
            </div>
            <h3>"Command line"</h3>
            <p class="small">"Needs neither a proxy nor a token."</p>
            <div data-testid="lab-as-line">
                <Code text=Signal::derive(as_line)/>
            </div>
            <Show when=move || !is_channel_alone()>
                <p class="small faint">
                    "curl and command line judge by the channel alone; who takes part is judged where a conversation is named."
                </p>
            </Show>
        </Dialog>
    }
}

fn not_yet() -> String {
    "# The payload cannot be read yet.".to_owned()
}

/// The call that judges it at a proxy.
fn curl(origin: &str, payload: &Payload, channel: &Channel, dialect: Dialect) -> String {
    let body = json!({ "channel": channel, "dialect": dialect, "payload": payload });
    format!(
        "curl -sS -X POST '{origin}{}' \\\n  -H \"Authorization: Bearer $WAYBILL_TOKEN\" \\\n  -H 'Content-Type: application/json' \\\n  --data-binary @- <<'JSON'\n{body}\nJSON",
        path::VALIDATE,
    )
}

/// The command that judges it.
fn line(payload: &Payload, channel: &Channel, dialect: Dialect) -> String {
    let json = serde_json::to_string(payload).unwrap_or_default();
    format!(
        "waybill validate - --channel {} --dialect {dialect} <<'JSON'\n{json}\nJSON",
        quoted(channel.as_str())
    )
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::rules::example;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_is_copied_holds_no_credential_and_survives_a_shell() {
        let mut payload = example::payload(&Channel::Sms);
        payload.content = "it's $HOME `x`\nJSON\n".into();
        let channel = Channel::parse("a'b; rm");
        let line = line(&payload, &channel, Dialect::Genesys);
        assert!(line.starts_with(
            "waybill validate - --channel 'a'\\''b; rm' --dialect genesys <<'JSON'\n"
        ));
        // The text is one line of JSON: nothing in it can end the here-document early.
        assert_eq!(line.lines().count(), 3);
        let curl = curl("http://x", &payload, &Channel::Sms, Dialect::Guide);
        assert_eq!(curl.lines().filter(|line| *line == "JSON").count(), 1);
        assert!(curl.contains("$WAYBILL_TOKEN") && curl.contains("/api/v1/validate"));
    }
}
