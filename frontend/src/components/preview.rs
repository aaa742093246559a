//! What the recipient will see: a bubble, an SMS torn where its parts end, HTML in a frame of its own, JSON
//! set out in lines.
//!
//! HTML is never put into this page: it goes to `/preview.html`, whose own policy and sandbox keep it inert.

use crate::components::code::Code;
use crate::components::file::about;
use crate::components::icon::{Glyph, Icon};
use crate::components::parts::PartsBubble;
use leptos::html;
use leptos::prelude::*;
use shared::channel::Channel;
use shared::payload::{APPLICATION_JSON, Attachment, Payload, TEXT_HTML};
use wasm_bindgen::JsValue;

const FRAME: &str = "/preview.html";

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
        view! { <PartsBubble text/> }.into_any()
    }
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
