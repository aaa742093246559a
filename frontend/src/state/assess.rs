//! What the rules say about a draft, field by field. The rules are `shared`'s; what is added here is only
//! what the payload does not hold: which conversation, JSON that cannot be read yet, and the times.

use crate::browser;
use crate::state::draft::Draft;
use crate::words;
use serde::Deserialize;
use serde_json::Value;
use shared::channel::Channel;
use shared::conversation::Conversation;
use shared::finding::{Finding, Severity};
use shared::id::ConversationId;
use shared::payload::{APPLICATION_JSON, Payload};
use shared::plan::{Plan, plan};
use shared::rules::Ruleset;
use shared::template::{self, Values, Wanted};
use shared::time::Timestamp;
use shared::validate::{Context, validate};

/// A section of the form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Field {
    /// Which conversation.
    Conversation,
    /// Who sends it.
    Sender,
    /// Whom it is for.
    Recipients,
    /// What it says.
    Content,
    /// What travels with it.
    Attachments,
    /// When.
    When,
}

impl Field {
    /// The field a finding is about.
    pub fn of(finding: &Finding) -> Self {
        match finding.pointer.split('/').nth(1) {
            Some("from") => Field::Sender,
            Some("to") => Field::Recipients,
            Some("type" | "content") => Field::Content,
            Some("attachments") => Field::Attachments,
            Some("when") => Field::When,
            _ => Field::Conversation,
        }
    }

    /// Identifier of the control that mends it.
    pub fn id(self) -> &'static str {
        match self {
            Field::Conversation => "f-conversation",
            Field::Sender => "f-sender",
            Field::Recipients => "f-recipients",
            Field::Content => "f-content",
            Field::Attachments => "f-attachments",
            Field::When => "f-when",
        }
    }
}

/// True for a finding that only says that something is not there yet: not worth mentioning before the reader
/// has been at the field.
pub fn is_emptiness(finding: &Finding) -> bool {
    finding.code.ends_with(".required") || finding.code == "content.empty"
}

/// What a draft would be, and what is wrong with it.
#[derive(Clone, PartialEq, Debug)]
pub struct Assessment {
    /// What would be posted: a template with its values filled in.
    pub payload: Payload,
    /// The names a template wants values for; empty where the draft is none.
    pub wanted: Vec<Wanted>,
    /// Not before this.
    pub not_before: Option<Timestamp>,
    /// Given up by this.
    pub expires_at: Option<Timestamp>,
    /// Everything the rules found, errors first.
    pub findings: Vec<Finding>,
    /// What it would become.
    pub plan: Plan,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Whole(#[serde(deserialize_with = "shared::json::strict_value")] Value);

/// Judges `draft` against the conversation, where one is known.
pub fn assess(
    draft: &Draft,
    conversation: Option<&Conversation>,
    rules: &Ruleset,
    now: Timestamp,
) -> Assessment {
    let is_json = draft.content_type == APPLICATION_JSON;
    let mut own = Vec::new();
    let content = if is_json {
        json_content(&draft.content, &mut own)
    } else {
        Value::String(draft.content.clone())
    };
    let payload = Payload {
        from: draft.sender.clone(),
        to: draft.recipients.clone(),
        content_type: draft.content_type.clone(),
        content,
        attachments: draft.attachments.clone(),
    };
    let (payload, wanted) = filled(payload, &draft.values, &mut own);
    if conversation.is_none() {
        own.extend(missing_conversation(&draft.conversation));
    }
    let not_before = draft.is_later.then(|| browser::local_moment(&draft.send_at)).flatten();
    let expires_at = browser::local_moment(&draft.give_up_at);
    times(draft.is_later, not_before, expires_at, now, &mut own);

    // Without a conversation only what is wrong on every channel is shown; nothing can be sent yet.
    let context = conversation.map_or(Context::Unread, Context::Conversation);
    let has_json_fault = own.iter().any(|finding| finding.code == "content.json");
    let mut findings = validate(&payload, rules, context);
    if own.iter().any(|finding| finding.code == "template.missing") {
        // What has no value yet is said once, by the template's rule.
        findings.retain(|finding| finding.code != "content.placeholder");
    }
    if has_json_fault {
        findings.retain(|finding| finding.code != "content.empty");
    }
    findings.extend(own);
    findings.sort_by_key(|finding| finding.severity);
    let unread = Channel::Unknown(String::new());
    let plan = plan(&payload, context.channel().unwrap_or(&unread), rules);
    Assessment { payload, wanted, not_before, expires_at, findings, plan }
}

/// The payload with its `{{names}}` filled in, and the names. What has no value stays as it is written and is a
/// finding that stops the message: nobody is sent a hole.
fn filled(
    written: Payload,
    values: &Values,
    findings: &mut Vec<Finding>,
) -> (Payload, Vec<Wanted>) {
    let wanted = template::wanted(&written);
    if wanted.is_empty() {
        return (written, wanted);
    }
    // Values of names that are no longer there are kept for when they are again.
    let is_wanted = |name: &String| wanted.iter().any(|one| one.name == *name);
    let used = values.iter().filter(|(name, _)| is_wanted(name));
    let used: Values = used.map(|(name, value)| (name.clone(), value.clone())).collect();
    let filled = template::fill(&written, &used);
    findings.extend(filled.findings);
    (filled.payload, wanted)
}

fn json_content(text: &str, findings: &mut Vec<Finding>) -> Value {
    if text.trim().is_empty() {
        return Value::Null;
    }
    match shared::json::decode::<Whole>(text.as_bytes()) {
        Ok(Whole(value)) => value,
        Err(error) => {
            let place = match (error.line, error.column) {
                (0, _) => String::new(),
                (line, column) => format!(" at line {line}, column {column}"),
            };
            findings.push(Finding {
                code: "content.json".into(),
                pointer: "/content".into(),
                severity: Severity::Error,
                what: format!("The JSON cannot be read{place}"),
                why: format!("{} (RFC 8259).", capitalised(&error.message)),
                how: "Mend it there, or choose Text.".into(),
                pack: String::new(),
            });
            Value::Null
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

fn missing_conversation(typed: &str) -> Option<Finding> {
    let typed = typed.trim();
    let (code, what, how) = if typed.is_empty() {
        (
            "conversation.required",
            "No conversation is chosen".to_owned(),
            "Paste its id, or pick a recent one.",
        )
    } else if ConversationId::parse(typed).is_err() {
        (
            "conversation.id",
            "That is not a conversation id".to_owned(),
            "Paste a UUID such as a1b2c3d4-e5f6-7890-abcd-ef1234567890.",
        )
    } else {
        (
            "conversation.unread",
            "The conversation has not been read yet".to_owned(),
            "Wait for it, or pick another one.",
        )
    };
    Some(Finding {
        code: code.into(),
        pointer: "/conversation".into(),
        severity: Severity::Error,
        what,
        why: "Every message goes into a conversation, which says who may send and to whom.".into(),
        how: how.into(),
        pack: String::new(),
    })
}

fn times(
    is_later: bool,
    not_before: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    now: Timestamp,
    findings: &mut Vec<Finding>,
) {
    let mut found = |code: &str, what: String, why: &str, how: &str| {
        findings.push(Finding {
            code: code.into(),
            pointer: "/when".into(),
            severity: Severity::Error,
            what,
            why: why.into(),
            how: how.into(),
            pack: String::new(),
        });
    };
    if is_later && not_before.is_none() {
        found(
            "when.required",
            "The time is missing".into(),
            "A message that is not sent now needs a time.",
            "Choose a time, or send now.",
        );
    }
    let Some(expires_at) = expires_at else { return };
    if expires_at <= now {
        found(
            "when.past",
            format!("{} is already past", words::clock(expires_at)),
            "A message is given up when its time passes, so this one would never leave.",
            "Choose a later time, or leave it empty.",
        );
    } else if not_before.is_some_and(|at| expires_at <= at) {
        found(
            "when.order",
            "It would be given up before it is sent".into(),
            "The time to give up must come after the time to send.",
            "Choose a later time to give up.",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::payload::TEXT_PLAIN;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_template_is_filled_and_what_is_missing_stops_it() {
        let written = Payload {
            content_type: TEXT_PLAIN.into(),
            content: "Dear {{name}}, {{what|hello}}".into(),
            ..Payload::default()
        };
        let mut findings = Vec::new();
        let gone = Values::from([("gone".to_owned(), "x".to_owned())]);
        let (payload, wanted) = filled(written.clone(), &gone, &mut findings);
        assert_eq!(payload.content, "Dear {{name}}, hello");
        assert_eq!(wanted.len(), 2);
        let codes: Vec<&str> = findings.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(codes, ["template.missing"]);
        assert_eq!(Field::of(&findings[0]), Field::Content);
        findings.clear();
        let named = Values::from([("name".to_owned(), "Ana".to_owned())]);
        assert_eq!(filled(written, &named, &mut findings).0.content, "Dear Ana, hello");
        assert!(findings.is_empty());
        // Braces that are no placeholder are none of ours.
        let plain = Payload { content: "a {{ 1 }} b".into(), ..Payload::default() };
        assert_eq!(filled(plain.clone(), &named, &mut findings), (plain, Vec::new()));
    }
}
