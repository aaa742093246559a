//! What the recipient will see: a bubble, an SMS torn where its parts end, HTML in a frame of its own, JSON
//! set out in lines.
//!
//! HTML is never put into this page: it goes to `/preview.html`, whose own policy and sandbox keep it inert.

use crate::components::code::Code;
use crate::components::file::about;
use crate::components::icon::{Glyph, Icon};
use leptos::html;
use leptos::prelude::*;
use shared::channel::Channel;
use shared::payload::{APPLICATION_JSON, Attachment, Payload, TEXT_HTML};
use shared::sms;
use wasm_bindgen::JsValue;

const FRAME: &str = "/preview.html";

/// The texts of the parts a carrier makes of an SMS; together they are the text.
pub fn sms_parts(text: &str) -> Vec<String> {
    sms::segments(text).into_iter().map(|part| text[part.bytes].to_owned()).collect()
}

/// A message as its recipient sees it.
#[component]
pub fn Preview(
    /// What is said.
    #[prop(into)]
    payload: Signal<Payload>,
    /// Where.
    #[prop(into)]
    channel: Signal<Option<Channel>>,
) -> impl IntoView {
    let kind = Memo::new(move |_| {
        payload.with(|payload| (payload.content_type.clone(), payload.content.is_null()))
    });
    let html = move || payload.with(|payload| payload.text().unwrap_or_default().to_owned());
    let json = move || {
        payload.with(|payload| serde_json::to_string_pretty(&payload.content).unwrap_or_default())
    };
    view! {
        {move || match kind.get() {
            (kind, _) if kind == TEXT_HTML => {
                view! { <HtmlFrame html=Signal::derive(html)/> }.into_any()
            }
            (kind, false) if kind == APPLICATION_JSON => {
                view! { <Code text=Signal::derive(json)/> }.into_any()
            }
            (kind, true) if kind == APPLICATION_JSON => {
                view! { <p class="faint small">"No JSON to show yet."</p> }.into_any()
            }
            _ => view! { <Bubble payload channel/> }.into_any(),
        }}
        {move || {
            payload
                .with(|payload| payload.attachments.clone())
                .into_iter()
                .map(|file| view! { <BubbleFile file/> })
                .collect_view()
        }}
    }
}

#[component]
fn Bubble(payload: Signal<Payload>, channel: Signal<Option<Channel>>) -> impl IntoView {
    move || {
        let text = payload.with(|payload| payload.text().unwrap_or_default().to_owned());
        if text.is_empty() {
            return view! { <p class="faint small">"Nothing written yet."</p> }.into_any();
        }
        if channel.get() != Some(Channel::Sms) {
            return view! {
                <div class="bubble">
                    <p>{text}</p>
                </div>
            }
            .into_any();
        }
        let forcing: Vec<char> = sms::forcing(&text).iter().map(|one| one.character).collect();
        let is_ucs2 = sms::parts(&text).encoding == sms::Encoding::Ucs2;
        let parts = sms_parts(&text);
        let is_torn = parts.len() > 1;
        let forcing = if is_ucs2 && is_torn { forcing } else { Vec::new() };
        let count = parts.len();
        let parts = parts
            .into_iter()
            .enumerate()
            .map(|(index, part)| {
                let label = format!("Part {} ends here", index + 1);
                view! {
                    <p>{marked(&part, &forcing)}</p>
                    {(index + 1 < count)
                        .then(|| {
                            view! { <div class="perf" role="separator" aria-label=label></div> }
                        })}
                }
            })
            .collect_view();
        view! {
            <div class="bubble">{parts}</div>
            <Show when=move || is_torn>
                <span class="caption">
                    "Torn lines show where one part ends. Phones join them again."
                </span>
            </Show>
        }
        .into_any()
    }
}

/// The text with the characters that force the wider alphabet marked.
fn marked(text: &str, forcing: &[char]) -> Vec<AnyView> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    for character in text.chars() {
        if forcing.contains(&character) {
            pieces.push(std::mem::take(&mut plain).into_any());
            pieces.push(view! { <mark>{character.to_string()}</mark> }.into_any());
        } else {
            plain.push(character);
        }
    }
    pieces.push(plain.into_any());
    pieces
}

#[component]
fn BubbleFile(file: Attachment) -> impl IntoView {
    let about = about(&file);
    view! {
        <div class="bubble bubble-file">
            <span class="thumb">
                <Icon glyph=Glyph::Clip class="i-large"/>
            </span>
            <span class="who">
                <span>{file.filename}</span>
                <span class="line">{about}</span>
            </span>
        </div>
    }
}

/// HTML in a frame of its own, inert.
#[component]
pub fn HtmlFrame(
    /// The source.
    #[prop(into)]
    html: Signal<String>,
) -> impl IntoView {
    let frame = NodeRef::<html::Iframe>::new();
    let post = move || {
        let message = js_sys::Object::new();
        let _ = js_sys::Reflect::set(&message, &"html".into(), &JsValue::from_str(&html.get()));
        // The frame has no origin of its own to name; it takes messages from its parent alone.
        if let Some(window) = frame.get().and_then(|frame| frame.content_window()) {
            let _ = window.post_message(&message, "*");
        }
    };
    Effect::new(move |_| post());
    view! {
        <iframe
            class="html-frame"
            title="The HTML as the recipient sees it"
            sandbox="allow-scripts"
            src=FRAME
            node_ref=frame
            on:load=move |_| untrack(post)
        ></iframe>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn parts_are_as_many_as_counted_and_lose_nothing() {
        for text in [
            String::new(),
            "short".into(),
            "a".repeat(161),
            format!("{}€{}", "a".repeat(152), "b".repeat(20)),
            format!("{}é’{}", "ü".repeat(66), "–".repeat(80)),
            format!("{}😀{}", "x".repeat(66), "y".repeat(70)),
        ] {
            let parts = sms_parts(&text);
            assert_eq!(parts.len(), sms::parts(&text).count, "{text}");
            assert_eq!(parts.concat(), text);
        }
    }
}
