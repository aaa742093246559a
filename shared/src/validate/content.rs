//! What is said.

use super::{CONTENT_BYTES_MAX, Judge, quoted};
use crate::address;
use crate::payload::{APPLICATION_JSON, TEXT_HTML, TEXT_PLAIN};
use crate::rules::catalogue as rule;
use crate::{sms, template};
use serde_json::Value;

/// What people call a content type; `None` for one a message cannot have.
pub(super) fn type_label(mime: &str) -> Option<&'static str> {
    match mime {
        TEXT_PLAIN => Some("plain text"),
        TEXT_HTML => Some("HTML"),
        APPLICATION_JSON => Some("JSON"),
        _ => None,
    }
}

const POINTER: &str = "/content";

impl Judge<'_> {
    pub(super) fn content(&mut self) {
        let payload = self.payload;
        let bytes = match &payload.content {
            Value::String(text) => text.len(),
            other => json_len(other),
        };
        if bytes > CONTENT_BYTES_MAX {
            let (count, max) = (bytes.to_string(), CONTENT_BYTES_MAX.to_string());
            self.found(&rule::CONTENT_TOO_LONG, POINTER, &[("count", &count), ("max", &max)]);
        }
        if payload.content_type == APPLICATION_JSON {
            if payload.content.is_null() {
                let value = [("value", "The JSON content is null")];
                self.found(&rule::CONTENT_EMPTY, POINTER, &value);
            }
            return;
        }
        let Value::String(text) = &payload.content else {
            let value = [("value", json_kind(&payload.content))];
            self.found(&rule::CONTENT_NOT_TEXT, POINTER, &value);
            return;
        };
        if !is_seen(text) {
            let value = if text.is_empty() { "There is no text" } else { "The text shows nothing" };
            self.found(&rule::CONTENT_EMPTY, POINTER, &[("value", value)]);
        }
        self.text(text);
        if payload.content_type == TEXT_HTML {
            self.html(text);
        }
        if payload.content_type == TEXT_PLAIN {
            if let Some(tag) = first_tag(text) {
                let value = quoted(tag);
                self.found(&rule::CONTENT_MARKUP, POINTER, &[("value", &value)]);
            }
            self.sms(text);
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(pack) = self.pack
            && let Some(limit) = &pack.text
        {
            let count = limit.unit.count(text);
            if count > limit.max {
                let (over, count) = ((count - limit.max).to_string(), count.to_string());
                let max = limit.max.to_string();
                let values = [
                    ("channel", pack.channel.label()),
                    ("count", &count),
                    ("max", &max),
                    ("over", &over),
                    ("unit", limit.unit.word()),
                    ("source", &limit.source),
                ];
                self.found(&rule::CONTENT_OVER_LIMIT, POINTER, &values);
            }
        }
        if text.contains('\0') {
            self.found(&rule::CONTENT_NUL, POINTER, &[]);
        }
        let is_control = |one: &char| one.is_control() && !"\0\t\n\r".contains(*one);
        let is_override = |one: &char| address::is_direction_override(*one);
        if let Some(character) = text.chars().find(is_control) {
            let value = format!("U+{:04X}", u32::from(character));
            self.found(&rule::CONTENT_CONTROL, POINTER, &[("value", &value)]);
        }
        if let Some(character) = text.chars().find(is_override) {
            let value = format!("U+{:04X}", u32::from(character));
            self.found(&rule::CONTENT_DIRECTION, POINTER, &[("value", &value)]);
        }
        if let Some(placeholder) = template::first_placeholder(text) {
            let value = quoted(placeholder);
            self.found(&rule::CONTENT_PLACEHOLDER, POINTER, &[("value", &value)]);
        }
    }

    fn html(&mut self, html: &str) {
        if is_seen(html) && !shows_something(html) {
            self.found(&rule::HTML_EMPTY, POINTER, &[]);
        }
        if let Some(active) = first_active(html) {
            self.found(&rule::HTML_ACTIVE, POINTER, &[("value", active)]);
        }
    }

    fn sms(&mut self, text: &str) {
        let Some(pack) = self.pack else { return };
        let Some(limit) = &pack.parts else { return };
        let parts = sms::parts(text);
        if parts.count < 2 {
            return;
        }
        let count = parts.count.to_string();
        if parts.count > limit.max {
            let max = limit.max.to_string();
            let values = [("count", count.as_str()), ("max", &max), ("source", &limit.source)];
            self.found(&rule::SMS_TOO_MANY_PARTS, POINTER, &values);
        } else if parts.count > limit.usual_max {
            let max = limit.usual_max.to_string();
            let values = [("count", count.as_str()), ("max", &max), ("source", &limit.source)];
            self.found(&rule::SMS_MANY_PARTS, POINTER, &values);
        }
        let forcing = sms::forcing(text);
        let single = parts.encoding.limits().0.to_string();
        if forcing.is_empty() {
            self.found(&rule::SMS_PARTS, POINTER, &[("count", &count), ("single", &single)]);
            return;
        }
        let shown: Vec<String> =
            forcing.iter().take(5).map(|one| quoted(&one.character.to_string())).collect();
        let saving = match sms::saving(text) {
            Some(saving) if saving.saved > 0 => {
                format!("Replacing these characters saves {} of {count} parts.", saving.saved)
            }
            _ => {
                let without: String = text
                    .chars()
                    .map(|one| if forcing.iter().any(|f| f.character == one) { '?' } else { one })
                    .collect();
                match parts.count - sms::parts(&without).count {
                    0 => format!("Shorten it to {single} units to send one part."),
                    saved => {
                        format!("Leaving these characters out saves {saved} of {count} parts.")
                    }
                }
            }
        };
        let shown = if forcing.len() > shown.len() {
            format!("{} and {} more", shown.join(" "), forcing.len() - shown.len())
        } else {
            shown.join(" ")
        };
        let make = if forcing.len() == 1 { "makes" } else { "make" };
        let values =
            [("value", shown.as_str()), ("make", make), ("count", &count), ("saving", &saving)];
        self.found(&rule::SMS_ALPHABET, POINTER, &values);
    }
}

/// Bytes of a JSON value as it is sent, without writing it out.
fn json_len(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail, and neither can writing strings, lists and finite numbers.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The first thing in `text` that is written like an HTML tag people use: `<b>`, `</p>`, `<br/>`, `<a href…>`.
fn first_tag(text: &str) -> Option<&str> {
    const TAGS: [&str; 26] = [
        "a", "b", "br", "body", "div", "em", "font", "h1", "h2", "h3", "hr", "html", "i", "img",
        "li", "ol", "p", "script", "span", "strong", "style", "table", "td", "tr", "u", "ul",
    ];
    tags(text).find(|(name, _)| TAGS.contains(&name.as_str())).map(|(_, tag)| tag)
}

/// Everything in `text` between `<` and `>` that begins like a tag: its name in lower case, and all of it.
fn tags(text: &str) -> impl Iterator<Item = (String, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let start = rest.find('<')?;
            let tag = &rest[start..];
            let inside = tag[1..].strip_prefix('/').unwrap_or(&tag[1..]);
            let name: String =
                inside.chars().take_while(char::is_ascii_alphanumeric).take(20).collect();
            rest = &rest[start + 1..];
            if name.starts_with(|first: char| first.is_ascii_alphabetic())
                && let Some(end) = tag.find('>')
            {
                return Some((name.to_ascii_lowercase(), &tag[..=end]));
            }
        }
    })
}

/// True where HTML has a word or a picture. It is looked at like a reader would, not parsed: the content of
/// style sheets and programs is not seen, tags are not, and white space is nothing.
fn shows_something(html: &str) -> bool {
    let lower = html.to_ascii_lowercase();
    if ["<img", "<svg", "<video", "<audio", "<hr", "<object"].iter().any(|tag| lower.contains(tag))
    {
        return true;
    }
    let mut rest = lower.as_str();
    let mut seen = String::new();
    while let Some((before, after)) = rest.split_once('<') {
        seen.push_str(before);
        let hidden = ["script", "style", "title"].iter().find(|name| after.starts_with(**name));
        let end = match hidden {
            Some(name) => format!("</{name}"),
            None if after.starts_with("!--") => "-->".to_owned(),
            None => String::new(),
        };
        let after = after.split_once(end.as_str()).map_or("", |(_, after)| after);
        rest =
            if end == "-->" { after } else { after.split_once('>').map_or("", |(_, after)| after) };
    }
    seen.push_str(rest);
    for blank in ["&nbsp;", "&#160;", "&#xa0;", "&zwnj;", "&zwj;", "&shy;", "&#8203;"] {
        seen = seen.replace(blank, " ");
    }
    is_seen(&seen)
}

/// True where a reader would see something.
fn is_seen(text: &str) -> bool {
    text.chars().any(|one| !one.is_whitespace() && !address::is_invisible(one))
}

/// What in HTML would do something, or load something, by itself.
fn first_active(html: &str) -> Option<&'static str> {
    for (name, tag) in tags(html) {
        let found = match name.as_str() {
            "script" => "a script",
            "iframe" | "frame" | "frameset" => "a frame",
            "object" | "embed" | "applet" => "an embedded program",
            "form" | "input" | "button" | "textarea" | "select" => "a form",
            "link" | "base" | "meta" => "a page setting",
            _ => match attribute(tag) {
                Some(found) => found,
                None => continue,
            },
        };
        return Some(found);
    }
    None
}

/// An event handler or a script address among a tag's attributes.
fn attribute(tag: &str) -> Option<&'static str> {
    let lower = tag.to_ascii_lowercase();
    let squeezed: String =
        lower.chars().filter(|one| !one.is_whitespace() && !one.is_control()).collect();
    if squeezed.contains("=javascript:")
        || squeezed.contains("=\"javascript:")
        || squeezed.contains("='javascript:")
    {
        return Some("a script address");
    }
    // HTML takes white space before the sign.
    let mut named = String::with_capacity(lower.len());
    for one in lower.chars() {
        if one == '=' {
            named.truncate(named.trim_end().len());
        }
        named.push(one);
    }
    let is_handler = named
        .split(|one: char| one.is_whitespace() || matches!(one, '/' | '"' | '\''))
        .any(|word| {
            word.strip_prefix("on").and_then(|rest| rest.split_once('=')).is_some_and(
                |(name, _)| name.len() > 2 && name.bytes().all(|byte| byte.is_ascii_lowercase()),
            )
        });
    is_handler.then_some("an event handler")
}
