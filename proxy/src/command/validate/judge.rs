//! One message judged: by the rules in force, against what is known of its channel, with the places of what was
//! found. What the API answers about a payload, this answers too, because both are `ValidateAnswer::new`.

use super::input::{Item, Kind};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use shared::api::ValidateAnswer;
use shared::channel::Channel;
use shared::conversation::Conversation;
use shared::finding::{Finding, Severity};
use shared::json::{self, DecodeError, Place};
use shared::payload::Payload;
use shared::plan::Plan;
use shared::rules::reading::{INPUT_CHANNEL, PAYLOAD_JSON, PAYLOAD_SHAPE};
use shared::rules::{Dialect, Ruleset};
use shared::validate::Context;
use std::ops::Range;

/// What every message is judged by.
#[derive(Debug)]
pub struct Judge {
    /// The packs in force.
    pub rules: Ruleset,
    /// The channel of messages that name none.
    pub channel: Option<Channel>,
    /// The conversation they are for, if one was given.
    pub conversation: Option<Conversation>,
}

/// A message that was judged, or what was found in its place.
#[derive(Debug)]
pub struct Judged {
    /// Findings, parts, plan and pack.
    pub answer: ValidateAnswer,
    /// True where no channel was known, so that only the rules of every channel were tried.
    pub is_unread: bool,
    /// The channel it was judged for.
    pub channel: Option<Channel>,
    /// True where it is a message and not something about the input.
    pub is_message: bool,
    /// Where its payload stands in its text: below this pointer, or at these bytes.
    at: At,
}

#[derive(Debug)]
enum At {
    Below(&'static str),
    Bytes(Range<usize>),
}

/// A payload with what it is judged against, as `waybill simulate` writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    payload: &'a RawValue,
    channel: Option<Channel>,
    conversation: Option<Conversation>,
    dialect: Option<Dialect>,
    // What became of it decides nothing here.
    #[serde(rename = "index")]
    _index: Option<IgnoredAny>,
    #[serde(rename = "at_ms")]
    _at_ms: Option<IgnoredAny>,
    #[serde(rename = "breaks")]
    _breaks: Option<IgnoredAny>,
    #[serde(rename = "history")]
    _history: Option<IgnoredAny>,
    #[serde(rename = "failure")]
    _failure: Option<IgnoredAny>,
}

/// What a message says of itself.
#[derive(Default)]
struct Meant<'a> {
    channel: Option<&'a Channel>,
    conversation: Option<&'a Conversation>,
    dialect: Option<Dialect>,
}

/// Just enough of a text to see whether it is an [`Envelope`].
#[derive(Deserialize)]
struct Probe {
    payload: Option<IgnoredAny>,
}

impl Judge {
    /// Judges what an item holds.
    pub fn judge(&self, item: &Item<'_>) -> Judged {
        match &item.kind {
            Kind::Json => self.json(&item.text),
            Kind::Row(_, _, message) => {
                let meant = Meant { channel: message.channel.as_ref(), ..Meant::default() };
                let mut judged = self.payload(&message.payload, &meant);
                let mut findings = message.findings.clone();
                findings.append(&mut judged.answer.findings);
                findings.sort_by_key(|finding| finding.severity);
                judged.answer.findings = findings;
                judged
            }
            Kind::Unreadable(finding, bytes) => self.nothing(finding.clone(), bytes.clone(), true),
            Kind::Whole(finding, bytes) => self.nothing(finding.clone(), bytes.clone(), false),
        }
    }

    fn json(&self, text: &str) -> Judged {
        let error = match Payload::decode(text.as_bytes()) {
            Ok(payload) => return self.payload(&payload, &Meant::default()),
            Err(error) => error,
        };
        if !serde_json::from_str::<Probe>(text).is_ok_and(|probe| probe.payload.is_some()) {
            return self.no_payload(text, &error, "");
        }
        let envelope = match json::decode::<Envelope>(text.as_bytes()) {
            Ok(envelope) => envelope,
            Err(error) => return self.no_payload(text, &error, ""),
        };
        match Payload::decode(envelope.payload.get().as_bytes()) {
            Ok(payload) => {
                let meant = Meant {
                    channel: envelope.channel.as_ref(),
                    conversation: envelope.conversation.as_ref(),
                    dialect: envelope.dialect,
                };
                let mut judged = self.payload(&payload, &meant);
                judged.at = At::Below("/payload");
                judged
            }
            Err(error) => self.no_payload(text, &error, "/payload"),
        }
    }

    /// Judges a payload; what a message says of itself goes before what was said of all of them.
    fn payload(&self, payload: &Payload, meant: &Meant<'_>) -> Judged {
        let rules = match meant.dialect {
            Some(dialect) if dialect != self.rules.dialect => Ruleset::embedded(dialect),
            _ => &self.rules,
        };
        let conversation = meant.conversation.or(self.conversation.as_ref());
        let context = match (conversation, meant.channel.or(self.channel.as_ref())) {
            (Some(conversation), _) => Context::Conversation(conversation),
            (None, Some(channel)) => Context::Channel(channel),
            (None, None) => Context::Unread,
        };
        let mut answer = ValidateAnswer::new(payload, rules, context);
        if let (Some(channel), Some(conversation)) = (meant.channel, conversation)
            && *channel != conversation.channel
        {
            let values = [("value", channel.label()), ("channel", conversation.channel.label())];
            answer.findings.insert(0, INPUT_CHANNEL.found("", &values));
        }
        Judged {
            answer,
            is_unread: context.channel().is_none(),
            channel: context.channel().cloned(),
            is_message: true,
            at: At::Below(""),
        }
    }

    /// A text that is no payload, below `pointer` of what it is instead.
    fn no_payload(&self, text: &str, error: &DecodeError, pointer: &'static str) -> Judged {
        let inner = json::locate(text, pointer).filter(|_| !pointer.is_empty());
        let begin = inner.map_or(0, |place| place.bytes.start);
        let payload = text.get(begin..).unwrap_or(text);
        let is_json = pointer == "/payload" || serde_json::from_str::<IgnoredAny>(text).is_ok();
        let problem = match error.message.as_str() {
            _ if text.starts_with('\u{feff}') => "it begins with a byte order mark",
            message => message,
        };
        let rule = if is_json { &PAYLOAD_SHAPE } else { &PAYLOAD_JSON };
        let finding = rule.found(error.pointer.clone(), &[("problem", problem)]);
        let bytes = match json::locate(text, &format!("{pointer}{}", error.pointer)) {
            // A whole object is at fault for what it does not have: its first character says where it is.
            Some(place) if is_json && !error.pointer.is_empty() => place.bytes,
            _ if is_json => begin..begin + 1,
            _ => {
                let at = begin + offset(payload, error.line, error.column);
                at..at + 1
            }
        };
        self.nothing(finding, bytes, true)
    }

    fn nothing(&self, finding: Finding, bytes: Range<usize>, is_message: bool) -> Judged {
        Judged {
            answer: ValidateAnswer {
                findings: vec![finding],
                parts: None,
                plan: Plan {
                    messages: Vec::new(),
                    requests: 0,
                    reasons: Vec::new(),
                    unmeasured: 0,
                },
                pack: self.rules.hash.clone(),
            },
            is_unread: false,
            channel: None,
            is_message,
            at: At::Bytes(bytes),
        }
    }
}

impl Judged {
    /// True where nothing stops the message.
    pub fn is_good(&self) -> bool {
        shared::finding::may_send(&self.answer.findings)
    }

    /// How many errors and warnings were found.
    pub fn counts(&self) -> (u64, u64) {
        let errors = self.answer.findings.iter().filter(|one| one.severity == Severity::Error);
        let errors = errors.count();
        (errors as u64, (self.answer.findings.len() - errors) as u64)
    }

    /// Where in the item's text stands what a finding means: its bytes, and line and column in the text.
    pub fn place(&self, item: &Item<'_>, finding: &Finding) -> Place {
        let bytes = match (&self.at, &item.kind) {
            (At::Bytes(bytes), _) => bytes.clone(),
            (At::Below(_), Kind::Row(row, columns, _)) => columns.place(row, &finding.pointer),
            (At::Below(above), _) => {
                let found = json::locate(&item.text, &format!("{above}{}", finding.pointer));
                let whole = finding.pointer.is_empty();
                match found {
                    Some(place) if whole => place.bytes.start..place.bytes.start + 1,
                    Some(place) => place.bytes,
                    None => 0..0,
                }
            }
        };
        Place::of(&item.text, within(&item.text, bytes))
    }
}

/// Bytes that are in the text and at the borders of characters.
fn within(text: &str, bytes: Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(bytes.start);
    start..text.ceil_char_boundary(bytes.end).max(start)
}

/// The byte at a line and column of `text`, as the JSON reader counts them: columns in bytes, from 1, or 0 for the
/// end of the line before.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}
