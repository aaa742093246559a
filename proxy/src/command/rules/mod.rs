//! `waybill rules`: what the rules are, in words, with the limits in force; and the document made of them.
//!
//! Everything comes from the catalogue and the packs, so nothing here says what a rule is.

mod limits;
mod markdown;

use self::limits::limits;
use super::Exit;
use super::validate::{RulesArgs, known_channel};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use shared::api::RuleWords;
use shared::finding::Severity;
use shared::rules::catalogue::{self, Example, RULES, Rule};
use shared::rules::reading::{self, READING, ReadingRule};
use shared::rules::{Dialect, Pack, Ruleset};
use std::fmt::Write as _;

pub use markdown::reference;

/// What `waybill rules` takes.
#[derive(Args)]
pub struct RulesCommand {
    /// The rule to explain, by its code.
    code: Option<String>,
    /// Show the limits of this channel.
    #[arg(long)]
    channel: Option<String>,
    /// What is written.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Output,
    #[command(flatten)]
    rules: RulesArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For programs: the packs in force and every rule's words.
    Json,
    /// The whole reference, docs/rules.md.
    Markdown,
}

/// A rule of either list.
enum Known {
    Payload(&'static Rule),
    Reading(&'static ReadingRule),
}

/// Prints what was asked for. Ends with 2 where there is no such rule.
pub fn rules(args: &RulesCommand, environment: &[(String, String)]) -> Exit {
    match answer(args, environment) {
        Ok(text) => super::print(&text),
        Err(problem) => {
            eprintln!("waybill: {problem}");
            Exit::Usage
        }
    }
}

fn answer(args: &RulesCommand, environment: &[(String, String)]) -> Result<String, String> {
    let known = args.code.as_deref().map(find).transpose()?;
    if args.format == Output::Markdown {
        return match known {
            None => Ok(reference()),
            Some(known) => Ok(markdown::one(&known)),
        };
    }
    let rules = args.rules.ruleset(environment)?;
    let channel = args.channel.as_deref().map(known_channel).transpose()?;
    let pack = match &channel {
        None => None,
        Some(channel) => Some(rules.pack(channel).map_err(|_| {
            format!("{} cannot be sent in the dialect {}", channel.label(), rules.dialect)
        })?),
    };
    if args.format == Output::Json {
        let packs: Vec<&Pack> = match pack {
            Some(pack) => vec![pack],
            None => rules.packs.iter().collect(),
        };
        let value = match known {
            Some(known) => explained(&known),
            None => json!({
                "dialect": rules.dialect,
                "hash": rules.hash,
                "packs": packs,
                "rules": RuleWords::all(),
                "reading": READING.iter().map(|rule| words(rule)).collect::<Vec<_>>(),
            }),
        };
        return Ok(format!("{value:#}\n"));
    }
    let mut text = String::new();
    match (known, pack) {
        (Some(known), _) => text.push_str(&explanation(&known)),
        (None, Some(_)) => {}
        (None, None) => text.push_str(&list(&rules)),
    }
    if let Some(pack) = pack {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&in_force(pack));
    }
    Ok(text)
}

/// The rule of a code, or the code that may be meant.
fn find(code: &str) -> Result<Known, String> {
    if let Some(rule) = catalogue::find(code) {
        return Ok(Known::Payload(rule));
    }
    if let Some(rule) = reading::find(code) {
        return Ok(Known::Reading(rule));
    }
    let codes = RULES.iter().map(|rule| rule.code).chain(READING.iter().map(|rule| rule.code));
    let nearest = codes
        .map(|known| (strsim::damerau_levenshtein(code, known), known))
        .min()
        .filter(|(distance, _)| *distance <= code.chars().count().max(4) / 2);
    Err(match nearest {
        Some((_, known)) => format!("there is no rule {code:?}; did you mean {known}?"),
        None => format!("there is no rule {code:?}; `waybill rules` lists them"),
    })
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// Every rule on a line, under what it is about, and the packs in force.
fn list(rules: &Ruleset) -> String {
    let mut text = String::new();
    let mut subject = None;
    for rule in RULES {
        if subject != Some(rule.subject) {
            subject = Some(rule.subject);
            let _ = writeln!(text, "{}", rule.subject.label());
        }
        let _ = writeln!(text, "  {:32} {:8} {}", rule.code, word(rule.severity), rule.what);
    }
    let _ = writeln!(text, "Reading files");
    for rule in READING {
        let _ = writeln!(text, "  {:32} {:8} {}", rule.code, "error", rule.what);
    }
    let _ = writeln!(text, "\nPacks in force, dialect {} ({})", rules.dialect, rules.hash);
    for pack in &rules.packs {
        let _ =
            writeln!(text, "  {:32} {} version {}", pack.channel.as_str(), pack.hash, pack.version);
    }
    text
}

/// One rule in full.
fn explanation(known: &Known) -> String {
    let mut text = String::new();
    match known {
        Known::Payload(rule) => {
            let about = rule.subject.label();
            let _ = writeln!(text, "{} ({}, {about})\n", rule.code, word(rule.severity));
            let _ = writeln!(text, "  what  {}.", rule.what);
            let _ = writeln!(text, "  why   {}.", rule.why);
            let _ = writeln!(text, "  from  {}", source(rule.source));
            let _ = writeln!(text, "  how   {}", rule.how);
            let _ = writeln!(text, "  good  {}", example(&rule.good));
            let _ = writeln!(text, "  bad   {}", example(&rule.bad));
        }
        Known::Reading(rule) => {
            let _ = writeln!(text, "{} (error, Reading files)\n", rule.code);
            let _ = writeln!(text, "  what  {}.", rule.what);
            let _ = writeln!(text, "  why   {}.", rule.why);
            let _ = writeln!(text, "  from  {}", rule.source);
            let _ = writeln!(text, "  how   {}", rule.how);
        }
    }
    text
}

/// Where a rule comes from, as a person reads it.
fn source(source: &str) -> &str {
    if source == "{source}" { "the channel's pack" } else { source }
}

/// An example as what differs from a plain good message.
fn example(example: &Example) -> String {
    let dialect = match example.dialect {
        Dialect::Guide => String::new(),
        other => format!(", dialect {other}"),
    };
    let of = format!("{}{dialect}", example.channel);
    match example.shown() {
        "" => format!("a plain message on {of}"),
        patch => format!("{patch} on {of}"),
    }
}

/// A channel's limits with their sources, and the name of the pack.
fn in_force(pack: &Pack) -> String {
    let mut text = format!(
        "{} in the dialect {}: pack {}, version {}\n{}\n\n",
        pack.channel.label(),
        pack.dialect,
        pack.hash,
        pack.version,
        pack.about
    );
    for limit in limits(pack) {
        let _ =
            writeln!(text, "  {:22} {}\n  {:22} ({})", limit.name, limit.value, "", limit.source);
    }
    text
}

fn words(rule: &ReadingRule) -> Value {
    json!({
        "code": rule.code, "severity": "error", "about": "Reading files",
        "what": rule.what, "why": rule.why, "how": rule.how, "source": rule.source,
    })
}

fn explained(known: &Known) -> Value {
    match known {
        Known::Reading(rule) => words(rule),
        Known::Payload(rule) => {
            let found = RuleWords::all().into_iter().find(|words| words.code == rule.code);
            let mut value = json!(found);
            for (name, example) in [("good", &rule.good), ("bad", &rule.bad)] {
                let patch: Value = serde_json::from_str(example.patch).unwrap_or_default();
                value[name] = json!({
                    "channel": example.channel, "dialect": example.dialect, "patch": patch,
                });
            }
            value
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_can_be_explained_and_a_slip_is_understood() {
        let codes = RULES.iter().map(|rule| rule.code).chain(READING.iter().map(|rule| rule.code));
        for code in codes {
            let known = find(code).unwrap();
            assert!(explanation(&known).starts_with(code));
            assert_eq!(explained(&known)["code"], code);
        }
        let suggested = |code| find(code).err().unwrap();
        assert!(suggested("sms.prats").ends_with("did you mean sms.parts?"));
        assert!(suggested("zzzzzzzzz").ends_with("lists them"));
    }

    #[test]
    fn limits_name_their_sources_and_the_pack() {
        for dialect in Dialect::ALL {
            for pack in &Ruleset::embedded(dialect).packs {
                let shown = in_force(pack);
                assert!(shown.contains(&pack.hash), "{shown}");
                assert!(limits(pack).iter().all(|one| !one.source.is_empty()), "{shown}");
            }
        }
        assert!(list(Ruleset::embedded(Dialect::Guide)).contains("attachment.base64"));
    }
}
