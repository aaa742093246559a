//! What the rules say about a text that should be a payload, and where in the text. One call for every keystroke,
//! so it is made to take well under a millisecond.

use super::ink::{Mark, utf16};
use super::link::About;
use serde::{Deserialize, Serialize};
use shared::channel::Channel;
use shared::conversation::{Conversation, Participant};
use shared::finding::{Finding, Severity};
use shared::json::{self, DecodeError, Place};
use shared::payload::Payload;
use shared::plan::{Plan, plan};
use shared::rules::catalogue::{RULES, Rule, Subject};
use shared::rules::{Ruleset, example};
use shared::template::{self, Values, Wanted};
use shared::time::Timestamp;
use shared::validate::{Context, Outcome, checklist, validate};
use std::collections::HashMap;
use std::ops::Range;

/// Findings that are shown with their place; a payload of a thousand faulty recipients is not shown whole.
pub const SHOWN_MAX: usize = 100;

/// A place in the editor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spot {
    /// Bytes of the text.
    pub bytes: Range<usize>,
    /// The same in UTF-16 units.
    pub units: Range<u32>,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
}

impl Spot {
    /// The place as the editor counts.
    pub fn of(text: &str, place: Place) -> Self {
        let units = utf16(text, place.bytes.start)..utf16(text, place.bytes.end);
        Self { units, line: place.line, column: place.column, bytes: place.bytes }
    }

    /// What of it is marked: never more than its first line.
    fn marked(&self, text: &str) -> Range<usize> {
        let whole = text.get(self.bytes.clone()).unwrap_or_default();
        self.bytes.start..self.bytes.start + whole.find('\n').unwrap_or(whole.len())
    }
}

/// A finding and where it is; without a place it is about the whole payload.
#[derive(Clone, PartialEq, Debug)]
pub struct Placed {
    /// The finding.
    pub finding: Finding,
    /// Its place in the text.
    pub spot: Option<Spot>,
}

/// A text that is a payload.
#[derive(Clone, PartialEq, Debug)]
pub struct Read {
    /// As it is written, placeholders and all.
    pub written: Payload,
    /// With the values filled in: what is judged and would be sent.
    pub filled: Payload,
    /// The names its placeholders want values for.
    pub wanted: Vec<Wanted>,
}

/// Everything the Lab shows about a text.
#[derive(Clone, PartialEq, Debug)]
pub struct Judged {
    /// The payload, if the text is one.
    pub read: Option<Read>,
    /// What was found, errors first, at most [`SHOWN_MAX`].
    pub findings: Vec<Placed>,
    /// How many errors and warnings there are in all.
    pub counts: (usize, usize),
    /// Every rule, in the catalogue's order, and what became of it; empty while there is no payload.
    pub rules: Vec<(&'static Rule, Outcome)>,
    /// What it would become.
    pub plan: Option<Plan>,
    /// The hash of the pack it was judged by.
    pub pack: String,
    /// What is marked in the text.
    pub marks: Vec<(Range<usize>, Mark)>,
}

/// Judges `text` by `rules` on `channel` and against `conversation`, where one is known.
pub fn judge(
    text: &str,
    values: &Values,
    channel: &Channel,
    conversation: Option<&Conversation>,
    rules: &Ruleset,
) -> Judged {
    let pack = rules.pack(channel).map_or(&rules.hash, |pack| &pack.hash).clone();
    match Payload::decode(text.as_bytes()) {
        Err(error) => unreadable(text, &error, pack),
        Ok(written) => {
            let context = conversation.map_or(Context::Channel(channel), Context::Conversation);
            of_payload(text, written, values, channel, context, rules, pack)
        }
    }
}

fn of_payload(
    text: &str,
    written: Payload,
    values: &Values,
    channel: &Channel,
    context: Context,
    rules: &Ruleset,
    pack: String,
) -> Judged {
    let wanted = template::wanted(&written);
    let is_template = !wanted.is_empty() || !values.is_empty();
    let (filled, filling) = if is_template {
        let filled = template::fill(&written, values);
        (filled.payload, filled.findings)
    } else {
        (written.clone(), Vec::new())
    };
    let mut findings = validate(&filled, rules, context);
    let checked = checklist(&filled, rules, context, &findings);
    let mut rules_kept = with_templates(checked, is_template, &filling);
    let is_missing = filling.iter().any(|one| one.severity == Severity::Error);
    if is_missing {
        // What has no value yet is said once, by the template's rule.
        findings.retain(|finding| finding.code != "content.placeholder");
        for (rule, outcome) in &mut rules_kept {
            if rule.code == "content.placeholder" {
                *outcome = Outcome::NotApplicable;
            }
        }
    }
    findings.extend(filling);
    findings.sort_by_key(|finding| finding.severity);
    let errors = findings.iter().filter(|one| one.severity == Severity::Error).count();
    let counts = (errors, findings.len() - errors);
    let plan = plan(&filled, channel, rules);
    let mut known = HashMap::new();
    let findings: Vec<Placed> = findings
        .into_iter()
        .take(SHOWN_MAX)
        .map(|finding| {
            let spot = known
                .entry(finding.pointer.clone())
                .or_insert_with(|| spot(text, &finding.pointer))
                .clone();
            Placed { finding, spot }
        })
        .collect();
    Judged {
        marks: marks(text, &findings),
        read: Some(Read { written, filled, wanted }),
        findings,
        counts,
        rules: rules_kept,
        plan: Some(plan),
        pack,
    }
}

/// The checklist with the rules of templates at its end.
fn with_templates(
    mut rules: Vec<(&'static Rule, Outcome)>,
    is_template: bool,
    findings: &[Finding],
) -> Vec<(&'static Rule, Outcome)> {
    for rule in RULES.iter().copied().filter(|rule| rule.subject == Subject::Template) {
        let broken = findings.iter().filter(|finding| finding.code == rule.code).count();
        let outcome = match (broken, is_template) {
            (0, true) => Outcome::Pass,
            (0, false) => Outcome::NotApplicable,
            (broken, _) => Outcome::Fail(broken),
        };
        rules.push((rule, outcome));
    }
    rules
}

fn spot(text: &str, pointer: &str) -> Option<Spot> {
    // The whole payload is no place one could go to.
    (!pointer.is_empty()).then(|| json::locate(text, pointer).map(|place| Spot::of(text, place)))?
}

fn marks(text: &str, findings: &[Placed]) -> Vec<(Range<usize>, Mark)> {
    let mark = |placed: &Placed| {
        let mark = match placed.finding.severity {
            Severity::Error => Mark::Bad,
            Severity::Warning => Mark::Warn,
        };
        Some((placed.spot.as_ref()?.marked(text), mark))
    };
    findings.iter().filter_map(mark).collect()
}

/// What is said of a text that is no payload: one finding, where the reading stopped.
fn unreadable(text: &str, error: &DecodeError, pack: String) -> Judged {
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let place = fault_place(text, error);
    let at = format!("line {}, column {}", place.line, place.column);
    let (code, what, how) = if text.trim().is_empty() {
        (
            "payload.json",
            "There is nothing here yet".to_owned(),
            "Paste a payload, or load an example.",
        )
    } else if is_json {
        (
            "payload.shape",
            format!("This JSON is not a payload: {}", error.message),
            "A payload has from, to, type and content, and may have attachments.",
        )
    } else {
        (
            "payload.json",
            format!("The JSON cannot be read at {at}: {}", error.message),
            "Mend it there; the rules judge it as soon as it can be read.",
        )
    };
    let finding = Finding {
        code: code.into(),
        pointer: error.pointer.clone(),
        severity: Severity::Error,
        what,
        why: "Everything is read strictly: no field unknown or twice (RFC 8259; guide contract, \"Message payload\")."
            .into(),
        how: how.into(),
        pack: String::new(),
    };
    let findings = vec![Placed { finding, spot: Some(Spot::of(text, place)) }];
    Judged {
        read: None,
        marks: marks(text, &findings),
        findings,
        counts: (1, 0),
        rules: Vec::new(),
        plan: None,
        pack,
    }
}

/// Where reading stopped: the character there, or the last one before the end. A field that is not known is
/// marked itself, and what is too little by the value around it.
fn fault_place(text: &str, error: &DecodeError) -> Place {
    if let Some(name) = error.message.strip_prefix("unknown field `")
        && let Some(name) = name.split('`').next()
        && let Some(at) = text.find(&format!("\"{name}\""))
    {
        return Place::of(text, at..at + name.len() + 2);
    }
    let lines = text.split_inclusive('\n').take(error.line.saturating_sub(1));
    let mut at = lines.map(str::len).sum::<usize>() + error.column.saturating_sub(1);
    at = at.min(text.len().saturating_sub(1));
    while at > 0 && (!text.is_char_boundary(at) || text[at..].starts_with(char::is_whitespace)) {
        at -= 1;
    }
    let end = text[at..].chars().next().map_or(at, |one| at + one.len_utf8());
    Place::of(text, at..end)
}

/// What is written of a conversation: who takes part, and when it ended. A whole conversation as the API gives
/// it may be pasted, too; the channel is the one that is chosen.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Written {
    participants: Vec<Participant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
}

/// The JSON somebody edits of a conversation.
pub fn conversation_text(conversation: &Conversation) -> String {
    let written = Written {
        participants: conversation.participants.clone(),
        ended_at: conversation.ended_at,
    };
    serde_json::to_string_pretty(&written).unwrap_or_default()
}

/// The conversation that is judged against, or what cannot be read of it.
pub fn conversation(about: &About, channel: &Channel) -> Result<Option<Conversation>, DecodeError> {
    match about {
        About::ChannelAlone => Ok(None),
        About::Sample => Ok(Some(example::conversation(channel))),
        About::Written(text) => {
            let Written { participants, ended_at } = json::decode(text.as_bytes())?;
            Ok(Some(Conversation { participants, ended_at, ..example::conversation(channel) }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::link::sample;
    use super::*;
    use shared::rules::Dialect;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn judged(text: &str) -> Judged {
        let conversation = example::conversation(&Channel::Sms);
        let rules = Ruleset::embedded(Dialect::Guide);
        judge(text, &Values::new(), &Channel::Sms, Some(&conversation), rules)
    }

    fn codes(judged: &Judged) -> Vec<&str> {
        judged.findings.iter().map(|one| one.finding.code.as_str()).collect()
    }

    #[test]
    fn a_good_payload_passes_or_is_not_meant_by_every_rule() {
        let judged = judged(&sample(&Channel::Sms));
        assert_eq!(judged.findings, []);
        assert_eq!(judged.rules.len(), RULES.len());
        assert!(judged.rules.iter().all(|(_, one)| !matches!(one, Outcome::Fail(_))));
        assert!(judged.rules.iter().any(|(_, one)| *one == Outcome::NotApplicable));
    }

    #[test]
    fn every_finding_knows_its_place() {
        let text = sample(&Channel::Sms).replace("+447700900141", "nobody");
        let judged = judged(&text);
        let first = judged.findings.iter().find(|one| one.finding.pointer == "/to/0").unwrap();
        let spot = first.spot.as_ref().unwrap();
        assert_eq!((&text[spot.bytes.clone()], spot.line, spot.column), ("\"nobody\"", 4, 5));
        assert!(judged.marks.iter().all(|(at, _)| !text[at.clone()].contains('\n')));
    }

    #[test]
    fn what_is_no_payload_is_one_finding_at_its_place() {
        for (text, code, line, column) in [
            ("", "payload.json", 1, 1),
            ("{\n  \"from\": \"ü\" \"to\"", "payload.json", 2, 15),
            ("{\"from\": ", "payload.json", 1, 8),
            ("{\n \"fron\": 1}", "payload.shape", 2, 2),
            ("{}", "payload.shape", 1, 2),
            ("[]", "payload.shape", 1, 1),
        ] {
            let judged = judged(text);
            assert_eq!(codes(&judged), [code], "{text}");
            let spot = judged.findings[0].spot.as_ref().unwrap();
            assert_eq!((spot.line, spot.column), (line, column), "{text}");
            assert!(judged.plan.is_none() && judged.rules.is_empty());
        }
    }

    #[test]
    fn a_missing_value_is_said_once_and_what_is_filled_is_judged() {
        let text = sample(&Channel::Sms).replace("Hello", "Hello {{name}}");
        let missing = judged(&text);
        assert_eq!(codes(&missing), ["template.missing"]);
        assert_eq!(missing.read.unwrap().wanted.len(), 1);
        let values = Values::from([("name".to_owned(), "Ana\u{0}".to_owned())]);
        let rules = Ruleset::embedded(Dialect::Guide);
        let filled = judge(&text, &values, &Channel::Sms, None, rules);
        assert!(codes(&filled).contains(&"content.nul"), "{:?}", codes(&filled));
        assert!(!codes(&filled).contains(&"content.placeholder"));
    }

    #[test]
    fn what_was_written_of_a_conversation_comes_back() {
        let sample = example::conversation(&Channel::Email);
        let written = About::Written(conversation_text(&sample));
        assert_eq!(conversation(&written, &Channel::Email).unwrap(), Some(sample));
        let broken = conversation(&About::Written("{".into()), &Channel::Sms).unwrap_err();
        assert_eq!(broken.line, 1);
    }
}
