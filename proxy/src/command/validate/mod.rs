//! `waybill validate`: the rules over files of payloads, of any length, in the memory of the longest message.
//!
//! [`input`] finds the messages, [`judge`] applies the rules the API applies, [`text`] shows what was found where.
//! Standard output has what was asked for: findings and a summary to read, or one JSON object for each message.

mod buffer;
mod input;
mod judge;
mod screen;
mod text;

use self::input::{Format, Item, Stop};
use self::judge::{Judge, Judged};
use self::screen::Screen;
use self::text::{Source, Style, Tally};
use super::Exit;
use crate::config::{self, Flags};
use clap::{Args, ValueEnum};
use serde::Serialize;
use shared::api::ValidateAnswer;
use shared::channel::Channel;
use shared::conversation::Conversation;
use shared::finding::Severity;
use shared::json;
use shared::payload::Payload;
use shared::rules::{Dialect, Ruleset};
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// What `waybill validate` takes.
#[derive(Args)]
pub struct ValidateArgs {
    /// Files of payloads: JSON (one, or a list), JSON Lines or CSV; `-` is standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The channel of messages that name none.
    #[arg(long, conflicts_with = "conversation")]
    channel: Option<String>,
    /// The conversation they are for: JSON as GET /api/v1/connections/NAME/conversations/ID answers it.
    #[arg(long, value_name = "FILE")]
    conversation: Option<PathBuf>,
    /// A payload with {{placeholders}} that the rows of a CSV file fill.
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// How the messages are written; told by extension and content unless given.
    #[arg(long, value_name = "FORMAT")]
    input: Option<Format>,
    /// What is written to standard output.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Output,
    #[command(flatten)]
    rules: RulesArgs,
}

/// Whose rules.
#[derive(Args)]
pub struct RulesArgs {
    /// The dialect whose rules hold.
    #[arg(long, value_parser = dialect)]
    dialect: Option<Dialect>,
    /// Settings whose [rules] narrow what is allowed.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The connection of the settings whose rules hold; the first of the dialect unless given.
    #[arg(long, value_name = "NAME", requires = "config")]
    connection: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Findings with their places, for people.
    Text,
    /// One JSON object for each message, in their order.
    Json,
}

/// Reads the name of a dialect.
pub fn dialect(name: &str) -> Result<Dialect, String> {
    let names = || Dialect::ALL.map(Dialect::as_str).join(" or ");
    Dialect::parse(name).ok_or_else(|| format!("use {}", names()))
}

impl RulesArgs {
    /// The rules in force, or why there are none.
    pub fn ruleset(&self, environment: &[(String, String)]) -> Result<Ruleset, String> {
        let Some(config) = &self.config else {
            return Ok(Ruleset::embedded(self.dialect.unwrap_or_default()).clone());
        };
        // The data folder is not looked at, so nobody needs to have one.
        let data = Some(PathBuf::new());
        let flags = Flags { config: Some(config.clone()), listen: None, data };
        let config = config::load(&flags, environment)
            .map_err(|problems| format!("the settings cannot be used:\n{problems}"))?;
        let found = config.connections.iter().find(|one| {
            self.connection.as_ref().is_none_or(|name| name == one.name.as_str())
                && self.dialect.is_none_or(|dialect| dialect == one.rules.dialect)
        });
        match found {
            Some(connection) => Ok((*connection.rules).clone()),
            None => Err("the settings have no such connection of that dialect".to_owned()),
        }
    }
}

/// Reads a channel's name, and refuses one that has no rules: it is more likely misspelled than meant.
pub fn known_channel(name: &str) -> Result<Channel, String> {
    match Channel::parse(name) {
        Channel::Unknown(name) => {
            let known: Vec<&str> = Channel::KNOWN.iter().map(Channel::as_str).collect();
            Err(format!("--channel: \"{name}\" is not a channel; use {}", known.join(", ")))
        }
        known => Ok(known),
    }
}

/// Judges every message of every file. Ends with 1 where an error was found, and with 2 where something could not
/// be read, whatever was found in the rest.
pub fn validate(args: &ValidateArgs, environment: &[(String, String)]) -> Exit {
    let (judge, template) = match prepare(args, environment) {
        Ok(prepared) => prepared,
        Err(problem) => {
            eprintln!("waybill: {problem}");
            return Exit::Usage;
        }
    };
    let mut run = Run {
        judge,
        template,
        input: args.input,
        output: args.format,
        style: Style { is_coloured: wants_colour(environment) },
        screen: Screen::new(total(&args.files)),
        tally: Tally::default(),
        has_several: args.files.len() > 1,
        has_said_unread: false,
        before: 0,
    };
    let mut is_unreadable = false;
    for path in &args.files {
        match run.file(path) {
            Ok(()) => {}
            Err(Problem::Read(problem)) => {
                is_unreadable = true;
                eprintln!("waybill: {}: {problem}", path.display());
            }
            Err(Problem::Write(error)) => return ended_early(&error, run.tally),
        }
    }
    if let Err(error) = run.end() {
        return ended_early(&error, run.tally);
    }
    match (is_unreadable, run.tally.errors) {
        (true, _) => Exit::Usage,
        (false, 0) => Exit::Good,
        (false, _) => Exit::Findings,
    }
}

/// Whoever reads the answers may have seen enough; anything else that stops writing is said.
fn ended_early(error: &io::Error, tally: Tally) -> Exit {
    if error.kind() != io::ErrorKind::BrokenPipe {
        eprintln!("waybill: standard output: {error}");
        return Exit::Usage;
    }
    if tally.errors > 0 { Exit::Findings } else { Exit::Good }
}

fn prepare(
    args: &ValidateArgs,
    environment: &[(String, String)],
) -> Result<(Judge, Option<Payload>), String> {
    let rules = args.rules.ruleset(environment)?;
    let channel = args.channel.as_deref().map(known_channel).transpose()?;
    let conversation = args.conversation.as_deref().map(conversation).transpose()?;
    let template = args.template.as_deref().map(|path| {
        Payload::decode(&whole(path)?).map_err(|error| format!("{}: {error}", path.display()))
    });
    Ok((Judge { rules, channel, conversation }, template.transpose()?))
}

/// A conversation as the API answers it, or as somebody wrote it down: when it was read does not matter here.
fn conversation(path: &Path) -> Result<Conversation, String> {
    let named = |error: String| format!("{}: {error}", path.display());
    let mut value: serde_json::Value =
        json::decode(&whole(path)?).map_err(|error| named(error.to_string()))?;
    if let Some(fields) = value.as_object_mut() {
        fields.entry("read_at").or_insert_with(|| "1970-01-01T00:00:00Z".into());
    }
    serde_json::from_value(value).map_err(|error| named(format!("not a conversation: {error}")))
}

fn whole(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Bytes of all files together; `None` where one of them is no file.
fn total(files: &[PathBuf]) -> Option<u64> {
    let sizes = files.iter().map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        metadata.is_file().then_some(metadata.len())
    });
    sizes.sum()
}

fn wants_colour(environment: &[(String, String)]) -> bool {
    let value =
        |name: &str| environment.iter().find(|(one, _)| one == name).map(|(_, value)| value);
    let refuses = value("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = value("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && !refuses && !is_dumb
}

enum Problem {
    Read(String),
    Write(io::Error),
}

/// What is the same for all files, and what has come of them so far.
struct Run {
    judge: Judge,
    template: Option<Payload>,
    input: Option<Format>,
    output: Output,
    style: Style,
    screen: Screen,
    tally: Tally,
    has_several: bool,
    has_said_unread: bool,
    /// Bytes of the files before this one.
    before: u64,
}

/// One line of JSON output: the answer of the API, and which message it is about.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a Channel>,
    #[serde(flatten)]
    answer: &'a ValidateAnswer,
}

impl Run {
    fn file(&mut self, path: &Path) -> Result<(), Problem> {
        let is_stdin = path.as_os_str() == "-";
        let name = if is_stdin { "<stdin>".into() } else { path.display().to_string() };
        let input: Box<dyn Read> = if is_stdin {
            Box::new(io::stdin().lock())
        } else {
            Box::new(File::open(path).map_err(|error| Problem::Read(error.to_string()))?)
        };
        let format = self.input.or_else(|| Format::of_name(path));
        let template = self.template.take();
        let mut failed = None;
        let mut read = 0;
        let outcome = input::read(input, format, template.as_ref(), &mut |item| {
            read = item.read;
            match self.item(&name, &item) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        self.template = template;
        self.before += read;
        match (outcome, failed) {
            (_, Some(error)) => Err(Problem::Write(error)),
            (Err(Stop::Io(error)), None) => Err(Problem::Read(error.to_string())),
            (Err(Stop::Template), None) => Err(Problem::Read(
                "--template is filled by the rows of a table, and this is none".into(),
            )),
            (Ok(()) | Err(Stop::Enough), None) => Ok(()),
        }
    }

    fn item(&mut self, name: &str, item: &Item<'_>) -> io::Result<()> {
        let judged = self.judge.judge(item);
        if judged.is_unread && !self.has_said_unread {
            self.has_said_unread = true;
            eprintln!(
                "waybill: no channel is known, so only the rules of every channel are tried; \
                 give --channel or --conversation"
            );
        }
        let index = self.tally.messages;
        let (errors, warnings) = judged.counts();
        self.tally.errors += errors;
        self.tally.warnings += warnings;
        if judged.is_message {
            self.tally.messages += 1;
            self.tally.good += u64::from(judged.is_good());
        }
        self.screen.at(self.before + item.read);
        match self.output {
            Output::Text => self.text(name, item, &judged),
            Output::Json => self.json(name, item, &judged, index),
        }
    }

    fn text(&mut self, name: &str, item: &Item<'_>, judged: &Judged) -> io::Result<()> {
        let mut out = String::new();
        for finding in &judged.answer.findings {
            let place = judged.place(item, finding);
            let begins = (item.line, item.column);
            let source = Source { name, text: &item.text, begins, row: item.row, place };
            out.push_str(&text::finding(self.style, finding, &source));
        }
        if out.is_empty() { Ok(()) } else { self.screen.write(&out) }
    }

    fn json(&mut self, name: &str, item: &Item<'_>, judged: &Judged, index: u64) -> io::Result<()> {
        if !judged.is_message
            && let [finding] = judged.answer.findings.as_slice()
            && finding.severity == Severity::Warning
        {
            // A word about the table that is about none of its messages.
            eprintln!("waybill: {name}:{}: {}. {}", item.line, finding.what, finding.how);
            return Ok(());
        }
        let line = Line {
            index: judged.is_message.then_some(index),
            file: self.has_several.then_some(name),
            line: item.line,
            row: item.row,
            channel: judged.channel.as_ref(),
            answer: &judged.answer,
        };
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        self.screen.write(&text)
    }

    fn end(&mut self) -> io::Result<()> {
        if self.output == Output::Text {
            let line = format!("{}\n", self.tally.line());
            self.screen.write(&line)?;
        }
        self.screen.end()
    }
}
