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

const FILES: [&str; 9] = [
    include_str!("../../../vectors/sms.json"),
    include_str!("../../../vectors/email.json"),
    include_str!("../../../vectors/webmessaging.json"),
    include_str!("../../../vectors/whatsapp.json"),
    include_str!("../../../vectors/facebook.json"),
    include_str!("../../../vectors/instagram.json"),
    include_str!("../../../vectors/apple.json"),
    include_str!("../../../vectors/open.json"),
    include_str!("../../../vectors/unknown-channel.json"),
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

fn read(text: &str) -> File {
    serde_json::from_str(text).unwrap()
}

/// Judges every case of a file and says all that differ.
fn check(text: &str) {
    let file = read(text);
    let mut wrong = Vec::new();
    for case in &file.cases {
        let found: Vec<Expected> = judged(&file, case)
            .into_iter()
            .map(|one| Expected { code: one.code, pointer: one.pointer, severity: one.severity })
            .collect();
        if found != case.findings {
            let shown = |all: &[Expected]| -> Vec<String> {
                all.iter().map(|one| format!("{} {}", one.code, one.pointer)).collect()
            };
            let (expected, found) = (shown(&case.findings), shown(&found));
            wrong.push(format!("{}: expected {expected:?}, found {found:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), file.cases.len(), wrong.join("\n"));
}

#[test]
fn sms() {
    check(FILES[0]);
}

#[test]
fn email() {
    check(FILES[1]);
}

#[test]
fn webmessaging() {
    check(FILES[2]);
}

#[test]
fn whatsapp() {
    check(FILES[3]);
}

#[test]
fn facebook() {
    check(FILES[4]);
}

#[test]
fn instagram() {
    check(FILES[5]);
}

#[test]
fn apple() {
    check(FILES[6]);
}

#[test]
fn open() {
    check(FILES[7]);
}

#[test]
fn unknown_channel() {
    check(FILES[8]);
}

#[test]
fn there_are_enough_and_every_rule_is_broken_by_one() {
    let files = FILES.map(read);
    let cases = || files.iter().flat_map(|file| &file.cases);
    assert!(cases().count() >= 600);
    let broken: std::collections::BTreeSet<&str> =
        cases().flat_map(|case| &case.findings).map(|one| one.code.as_str()).collect();
    let unseen: Vec<&str> = RULES
        .iter()
        .filter(|rule| rule.subject != Subject::Template && !broken.contains(rule.code))
        .map(|rule| rule.code)
        .collect();
    assert!(unseen.is_empty(), "no vector breaks {unseen:?}");
}

/// The words of a finding, in every way the vectors bring them about: at most twelve for each rule.
#[test]
fn findings_say_what_was_committed() {
    const EACH: usize = 12;
    let mut said: std::collections::BTreeMap<String, Vec<String>> =
        std::collections::BTreeMap::new();
    for file in FILES.map(read) {
        for case in &file.cases {
            for one in judged(&file, case) {
                let sentences = said.entry(one.code.clone()).or_default();
                let line = format!("{}: {} | {} | {}", one.code, one.what, one.why, one.how);
                if sentences.len() < EACH && !sentences.contains(&line) {
                    sentences.push(line);
                }
            }
        }
    }
    let made: String = said.into_values().flatten().map(|line| line + "\n").collect();
    let committed = include_str!("../../snapshots/findings.txt");
    crate::simulator::assert_snapshot("findings.txt", committed, &made);
}
