//! Plain good messages on every channel, and the catalogue's examples made from them.

use super::catalogue::Example;
use super::{AddressForm, Dialect, Ruleset};
use crate::channel::Channel;
use crate::conversation::{Conversation, Participant, ROLE_AGENT, ROLE_CUSTOMER};
use crate::id::ConversationId;
use crate::payload::Payload;
use crate::time::Timestamp;
use serde_json::{Map, Value, json};

/// What an example says: a payload, and the conversation it is for.
#[derive(Clone, PartialEq, Debug)]
pub struct Case {
    /// The dialect.
    pub dialect: Dialect,
    /// The conversation; its channel is the example's.
    pub conversation: Conversation,
    /// The payload as JSON: it may be anything.
    pub payload: Value,
}

impl Case {
    /// The payload, where it has the shape of one; all of the catalogue's have.
    pub fn payload(&self) -> Option<Payload> {
        serde_json::from_value(self.payload.clone()).ok()
    }
}

impl Example {
    /// The whole example: the plain good message of its channel with its patch applied.
    pub fn case(&self) -> Case {
        let channel = Channel::parse(self.channel);
        let mut patch = serde_json::from_str(self.patch).map_or(Value::Null, repeated);
        let conversation_patch = patch.as_object_mut().and_then(|all| all.remove("conversation"));
        let mut conversation = json!(conversation(&channel));
        if let Some(more) = conversation_patch {
            merge(&mut conversation, more);
        }
        let mut payload = json!(self::payload(&channel));
        merge(&mut payload, patch);
        let conversation =
            serde_json::from_value(conversation).unwrap_or_else(|_| self::conversation(&channel));
        Case { dialect: self.dialect, conversation, payload }
    }

    /// The patch as it is to be read, without the braces of an empty one.
    pub fn shown(&self) -> &'static str {
        if self.patch == "{}" { "" } else { self.patch }
    }
}

/// Sender and two customers on `channel`, in the form its addresses have.
fn addresses(channel: &Channel) -> [&'static str; 3] {
    let form =
        Ruleset::embedded(Dialect::Guide).pack(channel).map(|pack| pack.recipient_form.value);
    match form {
        Ok(AddressForm::Phone) => ["+447700900001", "+447700900141", "+447700900142"],
        Ok(AddressForm::Email) => {
            ["agent@example.com", "customer@example.com", "second.customer@example.com"]
        }
        _ => ["service@example.com", "visitor-1", "visitor-2"],
    }
}

/// A plain good message on `channel`, to the first customer of [`conversation`].
pub fn payload(channel: &Channel) -> Payload {
    let [from, to, _] = addresses(channel);
    Payload {
        from: from.to_owned(),
        to: vec![to.to_owned()],
        content_type: crate::payload::TEXT_PLAIN.to_owned(),
        content: "Hello".into(),
        attachments: Vec::new(),
    }
}

/// An open conversation on `channel` with one agent, two customers, and three parties that cannot send: an
/// observer, one without a role, and one that is there twice.
pub fn conversation(channel: &Channel) -> Conversation {
    let [from, to, second] = addresses(channel);
    let parties = [
        (ROLE_AGENT, from),
        (ROLE_CUSTOMER, to),
        (ROLE_CUSTOMER, second),
        ("observer", "+447700900005"),
        ("", "+447700900006"),
        (ROLE_AGENT, "+447700900007"),
        (ROLE_AGENT, "+447700900007"),
    ];
    Conversation {
        id: ConversationId::example(),
        channel: channel.clone(),
        participants: parties
            .iter()
            .enumerate()
            .map(|(index, (role, address))| Participant {
                id: format!("participant-{}", index + 1),
                role: (*role).to_owned(),
                address: (*address).to_owned(),
            })
            .collect(),
        ended_at: None,
        read_at: Timestamp::from_unix_ms(1_795_341_600_000),
    }
}

/// Writes out `{"repeat": N, "of": X}`: a string N times, or N entries of the list it stands in.
pub fn repeated(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(
            items
                .into_iter()
                .flat_map(|item| match times(&item) {
                    Some((count, of)) => vec![repeated(of.clone()); count],
                    None => vec![repeated(item)],
                })
                .collect(),
        ),
        Value::Object(fields) => {
            let whole = Value::Object(fields);
            if let Some((count, Value::String(text))) = times(&whole) {
                return Value::String(text.repeat(count));
            }
            let Value::Object(fields) = whole else { return Value::Null };
            Value::Object(fields.into_iter().map(|(name, one)| (name, repeated(one))).collect())
        }
        other => other,
    }
}

fn times(value: &Value) -> Option<(usize, &Value)> {
    let fields = value.as_object().filter(|fields| fields.len() == 2)?;
    let count = usize::try_from(fields.get("repeat")?.as_u64()?).ok()?;
    Some((count, fields.get("of")?))
}

/// JSON merge patch (RFC 7396).
pub fn merge(target: &mut Value, patch: Value) {
    let Value::Object(changes) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (name, change) in changes {
        if change.is_null() {
            fields.shift_remove(&name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::{RULES, Rule, Subject};
    use super::*;
    use crate::finding::{Finding, may_send};
    use crate::validate::{Context, validate};
    use std::collections::HashSet;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn findings(example: &Example) -> Vec<Finding> {
        let case = example.case();
        let payload = case.payload().unwrap();
        let rules = Ruleset::embedded(case.dialect);
        validate(&payload, rules, Context::Conversation(&case.conversation))
    }

    fn rules_of_payloads() -> impl Iterator<Item = &'static Rule> {
        RULES.iter().copied().filter(|rule| rule.subject != Subject::Template)
    }

    #[test]
    fn every_bad_example_breaks_its_rule_and_every_good_one_keeps_it() {
        for rule in rules_of_payloads() {
            let bad = findings(&rule.bad);
            let found = bad.iter().find(|one| one.code == rule.code);
            let found = found.unwrap_or_else(|| panic!("{}: {bad:?}", rule.code));
            assert_eq!(found.severity, rule.severity);
            for sentence in [&found.what, &found.why, &found.how] {
                assert!(!sentence.is_empty(), "{found:?}");
                if rule.code != "content.placeholder" {
                    assert!(!sentence.contains(['{', '}']), "not filled: {found:?}");
                }
            }
            let good = findings(&rule.good);
            assert!(good.iter().all(|one| one.code != rule.code), "{}: {good:?}", rule.code);
            assert!(may_send(&good), "{}: {good:?}", rule.code);
        }
    }

    #[test]
    fn codes_are_unique_and_every_subject_has_rules() {
        let codes: HashSet<&str> = RULES.iter().map(|rule| rule.code).collect();
        assert_eq!(codes.len(), RULES.len());
        for subject in Subject::ALL {
            assert!(RULES.iter().any(|rule| rule.subject == subject), "{subject:?}");
        }
        assert!(RULES.is_sorted_by_key(|rule| rule.subject));
        let headings: HashSet<&str> = Subject::ALL.into_iter().map(Subject::label).collect();
        assert_eq!(headings.len(), Subject::ALL.len());
    }

    #[test]
    fn an_example_is_shown_as_it_is_written_and_an_empty_one_not_at_all() {
        let shown = |patch| Example { dialect: Dialect::Guide, patch, ..RULES[0].good }.shown();
        assert_eq!(shown("{}"), "");
        assert_eq!(shown(r#"{"content":"a"}"#), r#"{"content":"a"}"#);
    }

    #[test]
    fn the_plain_message_of_every_channel_has_no_findings() {
        for channel in Channel::KNOWN {
            let (payload, conversation) = (payload(&channel), conversation(&channel));
            let rules = Ruleset::embedded(Dialect::Guide);
            let found = validate(&payload, rules, Context::Conversation(&conversation));
            assert!(found.is_empty(), "{found:?}");
        }
    }

    #[test]
    fn what_repeats_is_written_out() {
        let short =
            json!({"a": {"repeat": 3, "of": "xy"}, "b": [{"repeat": 2, "of": {"c": 1}}, 5]});
        assert_eq!(repeated(short), json!({"a": "xyxyxy", "b": [{"c": 1}, {"c": 1}, 5]}));
        let mut target = json!({"a": 1, "b": {"c": 2, "d": 3}});
        merge(&mut target, json!({"a": null, "b": {"c": 4}, "e": [1]}));
        assert_eq!(target, json!({"b": {"c": 4, "d": 3}, "e": [1]}));
    }
}
