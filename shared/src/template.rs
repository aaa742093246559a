//! Templates: a payload with `{{name}}` in it, filled with values that are escaped for where they stand.
//!
//! `{{name}}` must have a value and `{{name|default}}` need not; white space around both is not part of them.
//! `\{{` stands for two braces. Placeholders may stand in any text of the payload: sender, recipients, content
//! (in JSON, in every string of it), file names and addresses. A value goes into plain text and JSON as it is,
//! into HTML with `& < > " '` escaped, and into an address percent-encoded. A default is the author's own text
//! and goes in as it is written. What is missing is a finding and never a hole.

use crate::finding::Finding;
use crate::json::escape_segment;
use crate::payload::{Payload, TEXT_HTML};
use crate::rules::catalogue;
use crate::validate::{finding, quoted};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Values by name.
pub type Values = BTreeMap<String, String>;

/// A name a template wants a value for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The name.
    pub name: String,
    /// True where at least one of its places has no default.
    pub is_required: bool,
}

/// A payload made from a template, and what is wrong with the filling.
#[derive(Clone, PartialEq, Debug)]
pub struct Filled {
    /// The payload; places that could not be filled hold their placeholder still.
    pub payload: Payload,
    /// Errors where something is missing or cannot be read, warnings for values nothing uses.
    pub findings: Vec<Finding>,
}

/// Fills `template` with `values`.
pub fn fill(template: &Payload, values: &Values) -> Filled {
    let mut filler = Filler { values, used: BTreeSet::new(), findings: Vec::new() };
    let mut payload = template.clone();
    payload.from = filler.fill(&template.from, "/from", Escape::None);
    for (index, recipient) in payload.to.iter_mut().enumerate() {
        *recipient = filler.fill(recipient, &format!("/to/{index}"), Escape::None);
    }
    let escape = if template.content_type == TEXT_HTML { Escape::Html } else { Escape::None };
    filler.fill_value(&mut payload.content, "/content", escape);
    for (index, file) in payload.attachments.iter_mut().enumerate() {
        let pointer = format!("/attachments/{index}");
        file.filename = filler.fill(&file.filename, &format!("{pointer}/filename"), Escape::None);
        if let Some(url) = &mut file.url {
            *url = filler.fill(url, &format!("{pointer}/url"), Escape::Url);
        }
    }
    for name in values.keys().filter(|name| !filler.used.contains(name.as_str())) {
        filler.findings.push(finding(
            &catalogue::TEMPLATE_UNUSED,
            String::new(),
            &[("value", name)],
            "",
        ));
    }
    filler.findings.sort_by_key(|finding| finding.severity);
    Filled { payload, findings: filler.findings }
}

/// The names `template` wants values for, in order of appearance.
pub fn wanted(template: &Payload) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut see = |text: &str| {
        for piece in pieces(text) {
            let Piece::Place { name, default, .. } = piece else { continue };
            let is_required = default.is_none();
            match wanted.iter_mut().find(|one| one.name == name) {
                Some(known) => known.is_required |= is_required,
                None => wanted.push(Wanted { name: name.to_owned(), is_required }),
            }
        }
    };
    see(&template.from);
    template.to.iter().for_each(|one| see(one));
    each_string(&template.content, &mut see);
    for file in &template.attachments {
        see(&file.filename);
        file.url.iter().for_each(|one| see(one));
    }
    wanted
}

/// The first placeholder in `text`, as it is written.
pub fn first_placeholder(text: &str) -> Option<&str> {
    pieces(text).find_map(|piece| match piece {
        Piece::Place { written, .. } => Some(written),
        _ => None,
    })
}

fn each_string(value: &Value, see: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => see(text),
        Value::Array(items) => items.iter().for_each(|item| each_string(item, see)),
        Value::Object(fields) => fields.values().for_each(|one| each_string(one, see)),
        _ => {}
    }
}

/// How a value is written where it stands.
#[derive(Clone, Copy)]
enum Escape {
    None,
    Html,
    Url,
}

impl Escape {
    fn apply(self, value: &str) -> Cow<'_, str> {
        match self {
            Escape::None => value.into(),
            Escape::Html => {
                let mut escaped = String::with_capacity(value.len());
                for character in value.chars() {
                    match character {
                        '&' => escaped.push_str("&amp;"),
                        '<' => escaped.push_str("&lt;"),
                        '>' => escaped.push_str("&gt;"),
                        '"' => escaped.push_str("&quot;"),
                        '\'' => escaped.push_str("&#39;"),
                        other => escaped.push(other),
                    }
                }
                escaped.into()
            }
            Escape::Url => value
                .bytes()
                .map(|byte| match byte {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                        char::from(byte).to_string()
                    }
                    other => format!("%{other:02X}"),
                })
                .collect::<String>()
                .into(),
        }
    }
}

struct Filler<'a> {
    values: &'a Values,
    used: BTreeSet<String>,
    findings: Vec<Finding>,
}

impl Filler<'_> {
    fn fill(&mut self, text: &str, pointer: &str, escape: Escape) -> String {
        let mut filled = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Place { name, default, written } => {
                    self.used.insert(name.to_owned());
                    match (self.values.get(name), default) {
                        (Some(value), _) => filled.push_str(&escape.apply(value)),
                        (None, Some(default)) => filled.push_str(default),
                        (None, None) => {
                            filled.push_str(written);
                            let missing = &catalogue::TEMPLATE_MISSING;
                            self.found(missing, pointer, &[("value", name)]);
                        }
                    }
                }
                Piece::Bad { written, problem } => {
                    filled.push_str(written);
                    let values = [("value", quoted(written)), ("problem", problem.to_owned())];
                    let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
                    self.found(&catalogue::TEMPLATE_SYNTAX, pointer, &values);
                }
            }
        }
        filled
    }

    fn fill_value(&mut self, value: &mut Value, pointer: &str, escape: Escape) {
        match value {
            Value::String(text) => *text = self.fill(text, pointer, escape),
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.fill_value(item, &format!("{pointer}/{index}"), escape);
                }
            }
            Value::Object(fields) => {
                for (name, one) in fields.iter_mut() {
                    self.fill_value(one, &format!("{pointer}/{}", escape_segment(name)), escape);
                }
            }
            _ => {}
        }
    }

    fn found(&mut self, rule: &catalogue::Rule, pointer: &str, values: &[(&str, &str)]) {
        self.findings.push(finding(rule, pointer.to_owned(), values, ""));
    }
}

enum Piece<'a> {
    Text(&'a str),
    Place { name: &'a str, default: Option<&'a str>, written: &'a str },
    Bad { written: &'a str, problem: &'static str },
}

/// A text cut at its placeholders.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(at) = rest.find("{{") else {
            return Some(Piece::Text(std::mem::take(&mut rest)));
        };
        if rest[..at].ends_with('\\') {
            if at > 1 {
                let before = &rest[..at - 1];
                rest = &rest[at - 1..];
                return Some(Piece::Text(before));
            }
            rest = &rest[at + 2..];
            return Some(Piece::Text("{{"));
        }
        if at > 0 {
            let before = &rest[..at];
            rest = &rest[at..];
            return Some(Piece::Text(before));
        }
        let Some(end) = rest.find("}}") else {
            let written = std::mem::take(&mut rest);
            return Some(Piece::Bad { written, problem: "it is not closed" });
        };
        let (written, after) = rest.split_at(end + 2);
        rest = after;
        let inside = &written[2..end];
        let (name, default) = match inside.split_once('|') {
            Some((name, default)) => (name.trim(), Some(default.trim())),
            None => (inside.trim(), None),
        };
        Some(match name_problem(name) {
            None => Piece::Place { name, default, written },
            Some(problem) => Piece::Bad { written, problem },
        })
    })
}

fn name_problem(name: &str) -> Option<&'static str> {
    let mut characters = name.chars();
    match characters.next() {
        None => Some("it has no name"),
        Some(first) if !(first.is_alphabetic() || first == '_') => {
            Some("its name does not begin with a letter")
        }
        Some(_) if name.chars().count() > 64 => Some("its name has more than 64 characters"),
        Some(_) => {
            let is_bad = |one: char| !(one.is_alphanumeric() || matches!(one, '_' | '.' | '-'));
            name.contains(is_bad)
                .then_some("its name holds something else than letters, digits, _ . -")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::{APPLICATION_JSON, Attachment, TEXT_PLAIN};
    use serde_json::json;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn of(content_type: &str, content: Value) -> Payload {
        Payload {
            from: "service@example.com".into(),
            to: vec!["{{to}}".into()],
            content_type: content_type.into(),
            content,
            attachments: Vec::new(),
        }
    }

    fn values(all: &[(&str, &str)]) -> Values {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn codes(filled: &Filled) -> Vec<(&str, &str)> {
        filled.findings.iter().map(|one| (one.code.as_str(), one.pointer.as_str())).collect()
    }

    #[test]
    fn values_defaults_and_braces_that_are_meant() {
        let template =
            of(TEXT_PLAIN, "Hello {{ name | you }}, order {{order}} \\{{as it is}}".into());
        let given = values(&[("to", "visitor-1"), ("order", "<7>")]);
        let filled = fill(&template, &given);
        assert_eq!(filled.payload.content, "Hello you, order <7> {{as it is}}");
        assert_eq!(filled.payload.to, ["visitor-1"]);
        assert!(filled.findings.is_empty(), "{:?}", filled.findings);
        let names: Vec<(String, bool)> =
            wanted(&template).into_iter().map(|one| (one.name, one.is_required)).collect();
        let expected = [("to", true), ("name", false), ("order", true)];
        assert_eq!(names, expected.map(|(name, required)| (name.to_owned(), required)));
    }

    #[test]
    fn every_place_wants_its_value_and_one_without_a_default_decides() {
        let mut template = of(APPLICATION_JSON, json!({"x": ["{{a|1}}", {"y": "{{b}} {{c|2}}"}]}));
        template.from = "{{c|3}}".into();
        template.attachments.push(Attachment {
            filename: "{{a}}.pdf".into(),
            url: Some("https://example.com/{{d}}".into()),
            ..Attachment::default()
        });
        let names: Vec<(String, bool)> =
            wanted(&template).into_iter().map(|one| (one.name, one.is_required)).collect();
        let expected = [("c", false), ("to", true), ("a", true), ("b", true), ("d", true)];
        assert_eq!(names, expected.map(|(name, required)| (name.to_owned(), required)));
    }

    #[test]
    fn a_name_has_at_most_64_characters() {
        let longest = "ü".repeat(64);
        let given = values(&[("to", "a"), (longest.as_str(), "x")]);
        let filled = fill(&of(TEXT_PLAIN, format!("{{{{{longest}}}}}").into()), &given);
        assert_eq!((filled.payload.content, filled.findings.len()), ("x".into(), 0));
        let longer = format!("{{{{{longest}n}}}}");
        let filled = fill(&of(TEXT_PLAIN, longer.into()), &values(&[("to", "a")]));
        assert_eq!(codes(&filled), [("template.syntax", "/content")]);
        assert!(filled.findings[0].what.contains("more than 64"), "{}", filled.findings[0].what);
    }

    #[test]
    fn values_are_escaped_for_where_they_stand() {
        let given = values(&[("to", "a"), ("x", "<b>\"&'/ü")]);
        let html = fill(&of(TEXT_HTML, "<p>{{x}}</p>".into()), &given).payload;
        assert_eq!(html.content, "<p>&lt;b&gt;&quot;&amp;&#39;/ü</p>");
        let json =
            fill(&of(APPLICATION_JSON, json!({"a": ["{{x}}", 1], "{{x}}": "{{x}}!"})), &given);
        assert_eq!(json.payload.content, json!({"a": ["<b>\"&'/ü", 1], "{{x}}": "<b>\"&'/ü!"}));
        let mut with_file = of(TEXT_PLAIN, "Hello".into());
        with_file.attachments.push(Attachment {
            content_type: "image/png".into(),
            filename: "{{x}}.png".into(),
            content: None,
            url: Some("https://cdn.example.com/{{x}}.png".into()),
        });
        let filled = fill(&with_file, &values(&[("to", "a"), ("x", "a b/é")])).payload;
        assert_eq!(
            filled.attachments[0].url.as_deref(),
            Some("https://cdn.example.com/a%20b%2F%C3%A9.png")
        );
        assert_eq!(filled.attachments[0].filename, "a b/é.png");
    }

    #[test]
    fn what_is_missing_unused_or_unreadable_is_found_where_it_stands() {
        let template = of(TEXT_PLAIN, "{{name}} {{1st}} {{}} {{a b}} {{open".into());
        let filled = fill(&template, &values(&[("nme", "x")]));
        assert_eq!(
            codes(&filled),
            [
                ("template.missing", "/to/0"),
                ("template.missing", "/content"),
                ("template.syntax", "/content"),
                ("template.syntax", "/content"),
                ("template.syntax", "/content"),
                ("template.syntax", "/content"),
                ("template.unused", ""),
            ]
        );
        assert_eq!(filled.findings[1].what, "There is no value for {{name}}");
        assert_eq!(filled.findings[1].how, "Give name a value, or a default: {{name|…}}.");
        assert_eq!(filled.findings[6].what, "The value nme is used nowhere");
        assert_eq!(filled.payload.content, "{{name}} {{1st}} {{}} {{a b}} {{open");
        let nested =
            fill(&of(APPLICATION_JSON, json!({"a/b": ["{{x}}"]})), &values(&[("to", "a")]));
        assert_eq!(codes(&nested), [("template.missing", "/content/a~1b/0")]);
    }

    /// A value is data: what looks like a placeholder in it is not filled again.
    #[test]
    fn values_are_not_templates() {
        let filled =
            fill(&of(TEXT_PLAIN, "{{a}}".into()), &values(&[("to", "x"), ("a", "{{to}}")]));
        assert_eq!(filled.payload.content, "{{to}}");
        assert_eq!(first_placeholder("a \\{{b}} {{ c }}"), Some("{{ c }}"));
        assert_eq!(first_placeholder("{ {a} } {{ {{"), None);
    }
}
