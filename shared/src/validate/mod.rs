//! The rules applied: a payload, the packs in force and what is known of the conversation → every finding.
//!
//! Nothing fails open. What the rules cannot recognise (a channel, a sender, a content type) is a finding, never
//! a pass. Findings come in a fixed order: errors before warnings, and within them in the order of the payload's
//! fields, so that page, proxy and command line show the same list. The words are in [`crate::rules::catalogue`].

mod content;
mod files;
mod people;
mod url;

use crate::channel::Channel;
use crate::conversation::Conversation;
use crate::finding::Finding;
use crate::payload::{self, Payload};
use crate::rules::catalogue::{self, RULES, Rule, Subject};
use crate::rules::{AddressForm, NoPack, Pack, Ruleset};

/// Most bytes of content, as text or as JSON, on any channel.
pub const CONTENT_BYTES_MAX: usize = 256 * 1024;
/// Most recipients of one payload while its channel is not known.
pub const RECIPIENTS_MAX: usize = 1_000;
/// Most attachments of one payload while its channel is not known.
pub const ATTACHMENTS_MAX: usize = 50;
/// Most decoded bytes of all attachments together, on any channel: with base64 and content it stays under the
/// body limit.
pub const ATTACHMENTS_BYTES_MAX: usize = 5 * 1024 * 1024;

/// What a payload is judged against.
#[derive(Clone, Copy, Debug)]
pub enum Context<'a> {
    /// The channel's rules alone.
    Channel(&'a Channel),
    /// The channel's rules and who is in the conversation.
    Conversation(&'a Conversation),
    /// A conversation nobody has read yet: only the rules that hold on every channel. Dispatch judges again
    /// once it has been read.
    Unread,
}

impl<'a> Context<'a> {
    /// The channel, where it is known.
    pub fn channel(self) -> Option<&'a Channel> {
        match self {
            Context::Channel(channel) => Some(channel),
            Context::Conversation(conversation) => Some(&conversation.channel),
            Context::Unread => None,
        }
    }

    /// Who takes part, where that is known.
    pub fn conversation(self) -> Option<&'a Conversation> {
        match self {
            Context::Conversation(conversation) => Some(conversation),
            _ => None,
        }
    }
}

/// Every finding about `payload`, errors first.
pub fn validate(payload: &Payload, rules: &Ruleset, context: Context) -> Vec<Finding> {
    let mut judge = Judge::new(payload, rules, context);
    judge.channel();
    judge.conversation();
    judge.sender();
    judge.recipients();
    judge.content_type();
    judge.content();
    judge.attachments();
    // Stable: within a severity the order above stays.
    judge.findings.sort_by_key(|finding| finding.severity);
    judge.findings
}

/// What became of one rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Kept.
    Pass,
    /// Broken, so often.
    Fail(usize),
    /// Not about this payload.
    NotApplicable,
}

/// Every rule of payloads, in the catalogue's order, with what became of it in `findings`, which are those of
/// the same payload, rules and context.
pub fn checklist(
    payload: &Payload,
    rules: &Ruleset,
    context: Context,
    findings: &[Finding],
) -> Vec<(&'static Rule, Outcome)> {
    let judge = Judge::new(payload, rules, context);
    let of = |rule: &'static Rule| {
        let broken = findings.iter().filter(|finding| finding.code == rule.code).count();
        match (broken, judge.applies(rule.subject)) {
            (0, true) => Outcome::Pass,
            (0, false) => Outcome::NotApplicable,
            (broken, _) => Outcome::Fail(broken),
        }
    };
    RULES
        .iter()
        .copied()
        .filter(|rule| rule.subject != Subject::Template)
        .map(|rule| (rule, of(rule)))
        .collect()
}

/// One judging: what is judged, by what, and what has been found so far.
struct Judge<'a> {
    payload: &'a Payload,
    rules: &'a Ruleset,
    context: Context<'a>,
    /// `None` while the channel is unknown: then only the rules of every channel hold.
    pack: Option<&'a Pack>,
    no_pack: Option<NoPack>,
    findings: Vec<Finding>,
}

impl<'a> Judge<'a> {
    fn new(payload: &'a Payload, rules: &'a Ruleset, context: Context<'a>) -> Self {
        let (pack, no_pack) = match context.channel().map(|channel| rules.pack(channel)) {
            None => (None, None),
            Some(Ok(pack)) => (Some(pack), None),
            Some(Err(none)) => (None, Some(none)),
        };
        Self { payload, rules, context, pack, no_pack, findings: Vec::new() }
    }

    /// Adds a finding of `rule` at `pointer`; `values` fill its sentences.
    fn found(&mut self, rule: &Rule, pointer: impl Into<String>, values: &[(&str, &str)]) {
        let hash = self.pack.map_or(&self.rules.hash, |pack| &pack.hash);
        self.findings.push(finding(rule, pointer.into(), values, hash));
    }

    /// True where `subject` has something to do with this payload.
    fn applies(&self, subject: Subject) -> bool {
        let form = self.pack.map(|pack| pack.recipient_form.value);
        let is_text =
            matches!(self.payload.content_type.as_str(), payload::TEXT_PLAIN | payload::TEXT_HTML);
        match subject {
            Subject::Channel => self.context.channel().is_some(),
            Subject::Conversation | Subject::Participant => self.context.conversation().is_some(),
            Subject::Sender | Subject::Recipients | Subject::Type | Subject::Content => true,
            Subject::Phone => form == Some(AddressForm::Phone),
            Subject::Email => form == Some(AddressForm::Email),
            Subject::Text => is_text,
            Subject::Plain => self.payload.content_type == payload::TEXT_PLAIN,
            Subject::Html => self.payload.content_type == payload::TEXT_HTML,
            Subject::Sms => {
                self.pack.is_some_and(|pack| pack.parts.is_some())
                    && self.payload.content_type == payload::TEXT_PLAIN
            }
            Subject::Attachments => !self.payload.attachments.is_empty(),
            Subject::File => self.payload.attachments.iter().any(|one| one.content.is_some()),
            Subject::Url => self.payload.attachments.iter().any(|one| one.url.is_some()),
            Subject::Template => false,
        }
    }

    fn channel(&mut self) {
        let (Some(channel), Some(none)) = (self.context.channel(), self.no_pack) else { return };
        let labels: Vec<&str> = self.rules.packs.iter().map(|pack| pack.channel.label()).collect();
        let channels = one_of(&labels);
        match none {
            NoPack::Unknown => {
                let name = quoted(channel.as_str());
                let values = [("value", name.as_str()), ("channels", &channels)];
                self.found(&catalogue::CHANNEL_UNKNOWN, "", &values);
            }
            NoPack::Dialect => {
                let dialect = self.rules.dialect.as_str();
                let values =
                    [("channel", channel.label()), ("dialect", dialect), ("channels", &channels)];
                self.found(&catalogue::CHANNEL_DIALECT, "", &values);
            }
        }
    }

    fn conversation(&mut self) {
        if let Some(ended_at) = self.context.conversation().and_then(|one| one.ended_at) {
            let at = ended_at.to_string();
            self.found(&catalogue::CONVERSATION_ENDED, "", &[("value", &at)]);
        }
    }
}

/// A finding of `rule`, its sentences filled with `values`.
pub(crate) fn finding(
    rule: &Rule,
    pointer: String,
    values: &[(&str, &str)],
    pack: &str,
) -> Finding {
    let source = catalogue::fill(rule.source, values);
    Finding {
        code: rule.code.to_owned(),
        pointer,
        severity: rule.severity,
        what: catalogue::fill(rule.what, values),
        why: format!("{} ({source}).", catalogue::fill(rule.why, values)),
        how: catalogue::fill(rule.how, values),
        pack: pack.to_owned(),
    }
}

/// A value inside a sentence: in quotes, without what cannot be seen, and short.
pub(crate) fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let short: String =
        text.chars().take(CHARS_MAX).filter(|one| !crate::address::is_invisible(*one)).collect();
    let dots = if text.chars().nth(CHARS_MAX).is_some() { "…" } else { "" };
    format!("\"{short}{dots}\"")
}

/// `a, b or c`.
fn one_of(words: &[&str]) -> String {
    joined(words, "or")
}

/// `a, b and c`.
fn all_of(words: &[&str]) -> String {
    joined(words, "and")
}

fn joined(words: &[&str], last: &str) -> String {
    match words {
        [] => "none".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod vectors;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod properties;
