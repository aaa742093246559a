//! How a carrier cuts the text: parts and units, what forces the wider alphabet, and what replacing it saves.

use super::desk::Desk;
use super::judge::Read;
use crate::components::icon::{Glyph, Icon};
use crate::components::parts::PartsBubble;
use crate::words;
use leptos::prelude::*;
use shared::channel::Channel;
use shared::json;
use shared::payload::TEXT_PLAIN;
use shared::sms::{self, Encoding, Forcing, Saving};

/// Shown for plain text on SMS.
#[component]
pub fn Parts() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let text = Memo::new(move |_| {
        let is_sms = desk.channel.get() == Channel::Sms;
        desk.judged.with(|judged| {
            let read = judged.read.as_ref().filter(|_| is_sms)?;
            let is_plain = read.filled.content_type == TEXT_PLAIN;
            read.filled.text().filter(|_| is_plain).map(str::to_owned)
        })
    });
    move || text.get().map(|text| view! { <OfText text/> })
}

#[component]
fn OfText(text: String) -> impl IntoView {
    let parts = sms::parts(&text);
    let forcing = if parts.encoding == Encoding::Ucs2 { sms::forcing(&text) } else { Vec::new() };
    let saving = sms::saving(&text).filter(|_| !forcing.is_empty());
    let (single, multi) = parts.encoding.limits();
    let room = if parts.count == 1 { single } else { multi };
    view! {
        <section class="lab-part" aria-labelledby="lab-sms-title" data-testid="lab-sms" data-parts=parts.count>
            <div class="row row-wrap">
                <h2 class="dense strong" id="lab-sms-title">
                    "SMS parts"
                </h2>
                <span class="small muted">
                    <b class="strong">{parts.units}</b>
                    {format!(" / {} units · ", parts.capacity)}
                    {words::counted(words::count(parts.count), "part", "parts")}
                    {format!(" of {room} · {}", parts.encoding.as_str())}
                </span>
            </div>
            {(!forcing.is_empty()).then(|| view! { <Forced forcing saving/> })}
            <PartsBubble text with_units=true/>
        </section>
    }
}

/// The characters that force UCS-2, and the button that replaces those that can be.
#[component]
fn Forced(forcing: Vec<Forcing>, saving: Option<Saving>) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let stays = forcing.iter().any(|one| one.instead.is_none());
    let signs = forcing
        .into_iter()
        .map(|one| {
            let instead = match one.instead {
                Some("") => "can go".to_owned(),
                Some(" ") => "→ a space".to_owned(),
                Some(instead) => format!("→ {instead}"),
                None => "stays".to_owned(),
            };
            view! {
                <li class="row small">
                    <span class="glyph" title=format!("U+{:04X}", u32::from(one.character))>
                        {visible(one.character)}
                    </span>
                    <span class="muted">
                        {(one.times > 1).then(|| format!("{} times, ", one.times))} {instead}
                    </span>
                </li>
            }
        })
        .collect_view();
    let replace = saving.map(|saving| {
        let label = match saving.saved {
            0 => "Replace them".to_owned(),
            saved => {
                format!("Replace, save {}", words::counted(words::count(saved), "part", "parts"))
            }
        };
        view! {
            <button
                type="button"
                class="b b-tiny"
                data-testid="lab-replace"
                on:click=move |_| replace(desk)
            >
                <Icon glyph=Glyph::Wand/>
                {label}
            </button>
        }
    });
    view! {
        <div class="lab-forcing">
            <p class="small muted">
                {if stays {
                    "These need UCS-2, which more than halves a part. A letter is never replaced: it could change a word."
                } else {
                    "These need UCS-2, which more than halves a part."
                }}
            </p>
            <ul class="row row-wide row-wrap">{signs}</ul>
            {replace}
        </div>
    }
}

/// A character one can see: those that cannot be seen by their number.
fn visible(character: char) -> String {
    if character.is_whitespace() || shared::address::is_invisible(character) {
        format!("U+{:04X}", u32::from(character))
    } else {
        character.to_string()
    }
}

/// Writes the content anew without what can be replaced; the rest of the text stays as it is written.
fn replace(desk: Desk) {
    let plain = desk.judged.with_untracked(|judged| {
        judged.read.as_ref().and_then(|Read { written, .. }| sms::saving(written.text()?))
    });
    let place = desk.state.with_untracked(|state| json::locate(&state.payload, "/content"));
    if let (Some(plain), Some(place)) = (plain, place) {
        let written = serde_json::to_string(&plain.text).unwrap_or_default();
        let spot = desk.state.with_untracked(|state| super::judge::Spot::of(&state.payload, place));
        desk.write(Some(&spot), &written);
    }
}
