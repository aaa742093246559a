//! The drawn signs of the console, inline because the page's policy loads nothing from elsewhere.
//!
//! Every sign is a 16 × 16 outline in the colour of the text around it and hidden from screen readers: the
//! word beside it says the same.

use leptos::prelude::*;

/// One sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Glyph {
    /// A headset: somebody who may send.
    Agent,
    /// Half a disc: follow the system.
    Auto,
    /// A barred ring: withdrawn.
    Ban,
    /// A bolt: leaves now.
    Bolt,
    /// One tick.
    Check,
    /// Two ticks.
    CheckTwice,
    /// A paper clip.
    Clip,
    /// A clock.
    Clock,
    /// A light cross: close or remove.
    Close,
    /// A pen.
    Compose,
    /// Two sheets.
    Copy,
    /// A heavy cross: failed.
    Cross,
    /// A dashed ring: not yet.
    Dashed,
    /// A die: another seed.
    Dice,
    /// Three dots: waiting.
    Dots,
    /// An envelope.
    Email,
    /// An hourglass run out.
    Expired,
    /// A flag: breached.
    Flag,
    /// A raised hand: a person must decide.
    Hand,
    /// A question mark.
    Help,
    /// An hourglass.
    Hourglass,
    /// An i in a ring.
    Info,
    /// Braces.
    Json,
    /// A flask.
    Lab,
    /// A chain link.
    Link,
    /// Lines of a list.
    Messages,
    /// A dash: not meant.
    Minus,
    /// A moon.
    Moon,
    /// Forward.
    Next,
    /// No connection.
    Offline,
    /// An arrow out of a box.
    Open,
    /// A person.
    Person,
    /// A plus.
    Plus,
    /// Back.
    Previous,
    /// A cross in a ring: refused.
    Reject,
    /// A turning arrow.
    Retry,
    /// Two stops and the way between.
    Route,
    /// A magnifier.
    Search,
    /// A shield with a tick.
    Shield,
    /// A stop watch.
    Sla,
    /// A speech bubble.
    Sms,
    /// A turning ring.
    Spin,
    /// One way becoming two.
    Split,
    /// An octagon: this stops the message.
    Stop,
    /// A sun.
    Sun,
    /// A table.
    Table,
    /// A bin.
    Trash,
    /// A wand: mend it.
    Wand,
    /// A triangle: consider this.
    Warn,
    /// A browser window.
    Web,
    /// A telephone in a bubble.
    Whatsapp,
}

impl Glyph {
    fn markup(self) -> &'static str {
        match self {
            Glyph::Agent => {
                r#"<path d="M3 9V8a5 5 0 0 1 10 0v1M3 9.2c0-.7.5-1.2 1.1-1.2h.7v4h-.7C3.5 12 3 11.5 3 10.8zM13 9.2c0-.7-.5-1.2-1.1-1.2h-.7v4h.7c.6 0 1.1-.5 1.1-1.2zM13 10.8c0 1.7-1.5 2.7-3.5 2.7"/>"#
            }
            Glyph::Auto => {
                r#"<circle cx="8" cy="8" r="5.5"/><path d="M8 2.5v11a5.5 5.5 0 0 0 0-11z" fill="currentColor" stroke="none"/>"#
            }
            Glyph::Ban => r#"<circle cx="8" cy="8" r="5.5"/><path d="m4.2 11.8 7.6-7.6"/>"#,
            Glyph::Bolt => r#"<path d="M8.8 2 3.8 9h3.7l-.5 5 5.2-7.2H8.4z"/>"#,
            Glyph::Check => r#"<path d="m3 8.6 3.2 3.2L13 4.9"/>"#,
            Glyph::CheckTwice => r#"<path d="m1.4 8.7 3 3 5.5-6.2M7.7 11l.8.7 6-6.2"/>"#,
            Glyph::Clip => {
                r#"<path d="m13 7.4-5.3 5.3a3.2 3.2 0 0 1-4.5-4.5l5.5-5.5a2.1 2.1 0 0 1 3 3L6.3 11a1 1 0 0 1-1.5-1.4l4.9-4.9"/>"#
            }
            Glyph::Clock => r#"<circle cx="8" cy="8" r="5.5"/><path d="M8 5v3.1l2 1.3"/>"#,
            Glyph::Close => r#"<path d="m4.2 4.2 7.6 7.6M11.8 4.2l-7.6 7.6"/>"#,
            Glyph::Compose => {
                r#"<path d="M10.9 2.9a1.5 1.5 0 0 1 2.2 2.2L5.4 12.7l-2.9.8.8-2.9zM9.6 4.3l2.1 2.1"/>"#
            }
            Glyph::Copy => {
                r#"<rect x="5.5" y="5.5" width="8" height="8" rx="1.2"/><path d="M10.5 3.3a.8.8 0 0 0-.8-.8H3.7a1.2 1.2 0 0 0-1.2 1.2v6c0 .5.4.8.8.8"/>"#
            }
            Glyph::Cross => r#"<path d="m4.2 4.2 7.6 7.6M11.8 4.2l-7.6 7.6" stroke-width="1.9"/>"#,
            Glyph::Dashed => r#"<circle cx="8" cy="8" r="5.2" stroke-dasharray="2.2 2.2"/>"#,
            Glyph::Dice => {
                r#"<rect x="2.5" y="2.5" width="11" height="11" rx="2.2"/><path d="M5.6 5.6h.01M10.4 5.6h.01M8 8h.01M5.6 10.4h.01M10.4 10.4h.01" stroke-width="1.9"/>"#
            }
            Glyph::Dots => r#"<path d="M3.5 8h.01M8 8h.01M12.5 8h.01" stroke-width="2.4"/>"#,
            Glyph::Email => {
                r#"<rect x="2.3" y="3.5" width="11.4" height="9" rx="1.3"/><path d="m2.8 4.6 5.2 4 5.2-4"/>"#
            }
            Glyph::Expired => {
                r#"<path d="M4.3 2.5h7.4M4.3 13.5h7.4M5.2 2.5v2.1C5.2 6.1 8 6.9 8 8s-2.8 1.9-2.8 3.4v2.1M10.8 2.5v2.1C10.8 6.1 8 6.9 8 8s2.8 1.9 2.8 3.4v2.1"/><path d="M6.3 12.4h3.4" stroke-width="2"/>"#
            }
            Glyph::Flag => r#"<path d="M4 13.8V2.8M4 3.3h7.6l-1.7 2.8 1.7 2.8H4"/>"#,
            Glyph::Hand => {
                r#"<path d="M5.3 8.3V4a.95.95 0 0 1 1.9 0M7.2 7.3V3a.95.95 0 0 1 1.9 0v4.3M9.1 7.5V3.8a.95.95 0 0 1 1.9 0v4.1M11 8V5.9a.95.95 0 0 1 1.8 0v3.5c0 2.7-1.7 4.5-4.3 4.5-2 0-3.1-.8-4-2.5L3.1 8.8c-.5-1 .8-1.7 1.5-.8l.7 1"/>"#
            }
            Glyph::Help => {
                r#"<circle cx="8" cy="8" r="5.5"/><path d="M6.4 6.6a1.6 1.6 0 1 1 2.3 1.5c-.5.3-.7.6-.7 1.1M8 11.2h.01"/>"#
            }
            Glyph::Hourglass => {
                r#"<path d="M4.3 2.5h7.4M4.3 13.5h7.4M5.2 2.5v2.1C5.2 6.1 8 6.9 8 8s-2.8 1.9-2.8 3.4v2.1M10.8 2.5v2.1C10.8 6.1 8 6.9 8 8s2.8 1.9 2.8 3.4v2.1"/>"#
            }
            Glyph::Info => r#"<circle cx="8" cy="8" r="5.5"/><path d="M8 7.5v3.2M8 5.2h.01"/>"#,
            Glyph::Json => {
                r#"<path d="M6 2.8c-1.5 0-2 .6-2 1.7v1.8c0 .9-.5 1.5-1.5 1.7 1 .2 1.5.8 1.5 1.7v1.8c0 1.1.5 1.7 2 1.7M10 2.8c1.5 0 2 .6 2 1.7v1.8c0 .9.5 1.5 1.5 1.7-1 .2-1.5.8-1.5 1.7v1.8c0 1.1-.5 1.7-2 1.7"/>"#
            }
            Glyph::Lab => {
                r#"<path d="M6.4 2.2v4L3.1 12a1.2 1.2 0 0 0 1 1.8h7.8a1.2 1.2 0 0 0 1-1.8L9.6 6.2v-4M5.3 2.2h5.4M4.8 9.6h6.4"/>"#
            }
            Glyph::Link => {
                r#"<path d="M6.8 9.2a2.6 2.6 0 0 0 3.7 0l2.2-2.2A2.6 2.6 0 0 0 9 3.3l-.9.9M9.2 6.8a2.6 2.6 0 0 0-3.7 0L3.3 9A2.6 2.6 0 0 0 7 12.7l.9-.9"/>"#
            }
            Glyph::Messages => r#"<path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h6.5"/>"#,
            Glyph::Minus => r#"<path d="M4 8h8"/>"#,
            Glyph::Moon => r#"<path d="M13.2 9.6A5.5 5.5 0 0 1 6.4 2.8a5.5 5.5 0 1 0 6.8 6.8z"/>"#,
            Glyph::Next => r#"<path d="m6.3 4.5 3.5 3.5-3.5 3.5"/>"#,
            Glyph::Offline => {
                r#"<path d="M2.2 6.3A8.5 8.5 0 0 1 5.3 4.4M8 3.8c2.2 0 4.2.9 5.8 2.5M4.4 8.8c.6-.6 1.3-1 2-1.3M9.8 7.6c.7.3 1.3.7 1.8 1.2M2.5 2.5l11 11M8 12h.01"/>"#
            }
            Glyph::Open => {
                r#"<path d="M9 2.8h4.2V7M13 3 7.5 8.5M11.5 9.5v2.7a1 1 0 0 1-1 1H3.8a1 1 0 0 1-1-1V5.5a1 1 0 0 1 1-1h2.7"/>"#
            }
            Glyph::Person => {
                r#"<circle cx="8" cy="5.3" r="2.6"/><path d="M3.2 13.4c.3-2.6 2.2-4.2 4.8-4.2s4.5 1.6 4.8 4.2"/>"#
            }
            Glyph::Plus => r#"<path d="M8 3.5v9M3.5 8h9"/>"#,
            Glyph::Previous => r#"<path d="M9.7 4.5 6.2 8l3.5 3.5"/>"#,
            Glyph::Reject => r#"<circle cx="8" cy="8" r="5.5"/><path d="m6 6 4 4M10 6l-4 4"/>"#,
            Glyph::Retry => r#"<path d="M13 8.2a5 5 0 1 1-1.5-3.8L13 5.8M13 2.6v3.2H9.8"/>"#,
            Glyph::Route => {
                r#"<circle cx="3.8" cy="12" r="1.6"/><circle cx="12.2" cy="4" r="1.6"/><path d="M5.4 12h4.4a2 2 0 0 0 0-4H6.2a2 2 0 0 1 0-4h4.4"/>"#
            }
            Glyph::Search => r#"<circle cx="7" cy="7" r="4.3"/><path d="m10.3 10.3 3.2 3.2"/>"#,
            Glyph::Shield => {
                r#"<path d="M8 2.2 13 4v4c0 3-2 5-5 6-3-1-5-3-5-6V4z"/><path d="m5.8 8 1.6 1.6 2.9-3.1"/>"#
            }
            Glyph::Sla => {
                r#"<circle cx="8" cy="9" r="5"/><path d="M8 6.4V9l1.7 1.3M6.4 1.8h3.2"/>"#
            }
            Glyph::Sms => {
                r#"<path d="M2.5 4.2a1.4 1.4 0 0 1 1.4-1.4h8.2a1.4 1.4 0 0 1 1.4 1.4v5.4a1.4 1.4 0 0 1-1.4 1.4H7l-3 2.6V11h-.1a1.4 1.4 0 0 1-1.4-1.4z"/><path d="M5.4 6.9h.01M8 6.9h.01M10.6 6.9h.01" stroke-width="1.7"/>"#
            }
            Glyph::Spin => {
                r#"<circle cx="8" cy="8" r="5.4" opacity=".25"/><path d="M8 2.6A5.4 5.4 0 0 1 13.4 8"/>"#
            }
            Glyph::Split => {
                r#"<path d="M2.5 8h3.5M6 8c2 0 2-4 4-4h3M6 8c2 0 2 4 4 4h3M11.5 2.5 13.2 4l-1.7 1.5M11.5 10.5l1.7 1.5-1.7 1.5"/>"#
            }
            Glyph::Stop => {
                r#"<path d="M5.7 2.5h4.6l3.2 3.2v4.6l-3.2 3.2H5.7l-3.2-3.2V5.7zM8 5.2v3.4M8 10.9h.01"/>"#
            }
            Glyph::Sun => {
                r#"<circle cx="8" cy="8" r="2.7"/><path d="M8 1.8v1.3M8 12.9v1.3M1.8 8h1.3M12.9 8h1.3M3.6 3.6l.9.9M11.5 11.5l.9.9M12.4 3.6l-.9.9M4.5 11.5l-.9.9"/>"#
            }
            Glyph::Table => {
                r#"<rect x="2.5" y="3" width="11" height="10" rx="1.2"/><path d="M2.5 6.5h11M2.5 9.7h11M6.5 6.5V13"/>"#
            }
            Glyph::Trash => r#"<path d="M3 4.5h10M6 4.5V3h4v1.5M4.2 4.5l.6 8.7h6.4l.6-8.7"/>"#,
            Glyph::Wand => {
                r#"<path d="m3 13 7-7M11.5 2.5v2.4M10.3 3.7h2.4M13 7.5v1.8M12.1 8.4h1.8M7 2.6v1.6M6.2 3.4h1.6"/>"#
            }
            Glyph::Warn => r#"<path d="M8 2.6 14 13H2zM8 6.6v3M8 11.4h.01"/>"#,
            Glyph::Web => {
                r#"<rect x="2.3" y="2.8" width="11.4" height="9" rx="1.3"/><path d="M2.5 5.6h11M4.4 4.2h.01M6.2 4.2h.01M6 14h4"/>"#
            }
            Glyph::Whatsapp => {
                r#"<path d="M8 2.5a5.4 5.4 0 0 0-4.7 8.1l-.8 2.9 3-.8A5.4 5.4 0 1 0 8 2.5z"/><path d="M6.1 5.9c0 2.2 1.8 4 4 4l.5-1.1-1.3-.8-.6.5c-.6-.3-1-.7-1.3-1.3l.5-.6-.8-1.3z" stroke-width="1.1"/>"#
            }
        }
    }
}

/// Draws `glyph`; `class` adds to the base class, for size and motion.
#[component]
pub fn Icon(
    /// What to draw.
    #[prop(into)]
    glyph: Signal<Glyph>,
    /// Further classes, such as `i-small`.
    #[prop(default = "")]
    class: &'static str,
) -> impl IntoView {
    view! {
        <svg
            class=format!("i {class}")
            viewBox="0 0 16 16"
            aria-hidden="true"
            inner_html=move || glyph.get().markup()
        ></svg>
    }
}
