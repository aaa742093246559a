//! The vectors of `vectors/`: payloads with the exact findings they must get, natively and in wasm. Their format
//! is described in `vectors/README.md`; they were written from the rules' sources and not by this code.

use super::*;
use crate::finding::Severity;
use crate::rules::Dialect;
use crate::rules::example::repeated;
use crate::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const FILES: [(&str, &str); 9] = [
    ("sms", include_str!("../../../vectors/sms.json")),
    ("email", include_str!("../../../vectors/email.json")),
    ("webmessaging", include_str!("../../../vectors/webmessaging.json")),
    ("whatsapp", include_str!("../../../vectors/whatsapp.json")),
    ("facebook", include_str!("../../../vectors/facebook.json")),
    ("instagram", include_str!("../../../vectors/instagram.json")),
    ("apple", include_str!("../../../vectors/apple.json")),
    ("open", include_str!("../../../vectors/open.json")),
    ("unknown", include_str!("../../../vectors/unknown-channel.json")),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    channel: Option<Channel>,
    conversation: Option<Conversation>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    channel: Option<Channel>,
    #[serde(default)]
    dialect: Dialect,
    #[serde(default)]
    context: Against,
    payload: Value,
    findings: Vec<Expected>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Against {
    Channel,
    #[default]
    Conversation,
    Ended,
    Unread,
}

#[derive(Deserialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
struct Expected {
    code: String,
    pointer: String,
    severity: Severity,
}

fn judged(file: &File, case: &Case) -> Vec<Finding> {
    let payload: Payload = serde_json::from_value(repeated(case.payload.clone())).unwrap();
    let rules = Ruleset::embedded(case.dialect);
    let channel = case.channel.as_ref().or(file.channel.as_ref()).unwrap();
    match case.context {
        Against::Unread => validate(&payload, rules, Context::Unread),
        Against::Channel => validate(&payload, rules, Context::Channel(channel)),
        Against::Conversation | Against::Ended => {
            let mut conversation = file.conversation.clone().unwrap();
            if matches!(case.context, Against::Ended) {
                conversation.ended_at = Some(Timestamp::from_unix_ms(1));
            }
            validate(&payload, rules, Context::Conversation(&conversation))
        }
    }
}

#[test]
fn every_vector_gets_exactly_its_findings() {
    let mut count = 0;
    let mut wrong = Vec::new();
    let mut codes = std::collections::BTreeSet::new();
    for (name, text) in FILES {
        let file: File = serde_json::from_str(text).unwrap();
        for case in &file.cases {
            count += 1;
            let found: Vec<Expected> = judged(&file, case)
                .into_iter()
                .map(|one| Expected {
                    code: one.code,
                    pointer: one.pointer,
                    severity: one.severity,
                })
                .collect();
            codes.extend(found.iter().map(|one| one.code.clone()));
            if found != case.findings {
                let shown = |all: &[Expected]| -> Vec<String> {
                    all.iter().map(|one| format!("{} {}", one.code, one.pointer)).collect()
                };
                let (expected, found) = (shown(&case.findings), shown(&found));
                wrong
                    .push(format!("{name}, {}: expected {expected:?}, found {found:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 600, "{count}");
    let unseen: Vec<&str> = RULES
        .iter()
        .filter(|rule| rule.subject != Subject::Template && !codes.contains(rule.code))
        .map(|rule| rule.code)
        .collect();
    assert!(unseen.is_empty(), "no vector breaks {unseen:?}");
}
