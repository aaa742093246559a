//! `docs/rules.md`, made from the catalogue and the packs as they are shipped.

use super::limits::limits;
use super::{Known, example, source, word};
use shared::rules::catalogue::{RULES, Rule};
use shared::rules::reading::{READING, ReadingRule};
use shared::rules::{Dialect, Ruleset};
use std::fmt::Write as _;

const HEAD: &str = "# Rules

Made by `waybill rules --format markdown`; do not edit it. `waybill rules CODE` explains one rule, and
`waybill rules --channel CHANNEL` shows what is in force, with what the settings narrow.

A finding has a code, a severity (an error stops the message), a pointer into the payload, and says what is wrong, why
that is a rule and how to mend it. Words in braces are filled in. Examples say what differs from a plain good message;
`{\"repeat\": 3, \"of\": \"a\"}` stands for `\"aaa\"`, and inside a list for three entries.
";

/// The whole document.
pub fn reference() -> String {
    let mut text = String::from(HEAD);
    let mut subject = None;
    for rule in RULES {
        if subject != Some(rule.subject) {
            subject = Some(rule.subject);
            let _ = write!(text, "\n## {}\n", rule.subject.label());
        }
        text.push_str(&payload(rule));
    }
    let _ = write!(text, "\n## Reading files\n");
    for rule in READING {
        text.push_str(&reading(rule));
    }
    let _ = write!(
        text,
        "\n## Packs\n\nThe limits as they are shipped. Settings (`[rules.CHANNEL]`) may narrow them and never widen them.\n"
    );
    for dialect in Dialect::ALL {
        for pack in &Ruleset::embedded(dialect).packs {
            let _ = write!(
                text,
                "\n### {}, dialect {dialect}\n\n{} Version {}, `{}`.\n\n| limit | value | source |\n| --- | --- | --- |\n",
                pack.channel.label(),
                pack.about,
                pack.version,
                pack.hash
            );
            for limit in limits(pack) {
                let value = match limit.name {
                    "not in file names" => code(&limit.value).replace('|', "\\|"),
                    _ => cell(&limit.value),
                };
                let _ = writeln!(text, "| {} | {value} | {} |", limit.name, cell(&limit.source));
            }
        }
    }
    text
}

/// One rule's section.
pub fn one(known: &Known) -> String {
    match known {
        Known::Payload(rule) => payload(rule),
        Known::Reading(rule) => reading(rule),
    }
    .trim_start()
    .to_owned()
}

fn payload(rule: &Rule) -> String {
    let mut text = heading(rule.code, word(rule.severity));
    sentences(&mut text, [rule.what, rule.why, source(rule.source), rule.how]);
    for (name, one) in [("Good", &rule.good), ("Bad", &rule.bad)] {
        let shown = example(one);
        let shown = match one.shown() {
            "" => shown,
            patch => shown.replacen(patch, &code(patch), 1),
        };
        let _ = writeln!(text, "- {name}: {shown}");
    }
    text
}

fn reading(rule: &ReadingRule) -> String {
    let mut text = heading(rule.code, "error");
    sentences(&mut text, [rule.what, rule.why, rule.source, rule.how]);
    text
}

fn heading(code: &str, severity: &str) -> String {
    format!("\n### `{code}`\n\n*{severity}* ")
}

fn sentences(text: &mut String, [what, why, source, how]: [&str; 4]) {
    let _ = write!(
        text,
        "{}.\n\n- Why: {} ({}).\n- How: {}\n",
        escaped(what),
        escaped(why),
        escaped(source),
        escaped(how)
    );
}

/// Text that means itself.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for one in text.chars() {
        if matches!(one, '\\' | '*' | '_' | '`' | '<' | '>' | '|') {
            escaped.push('\\');
        }
        escaped.push(one);
    }
    escaped
}

/// Text in a table.
fn cell(text: &str) -> String {
    escaped(text)
}

/// A code span around anything.
fn code(text: &str) -> String {
    let longest = text.split(|one| one != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}
