//! Reading settings: defaults, file, environment and flags, each laid over the one before.
//!
//! A layer is checked for shape (unknown, duplicate or mistyped keys) before it is merged, so that an error
//! can name its line. A faulty line is set aside and reading goes on, so that one run shows all of them.

use super::Config;
use super::check::{self, Problems};
use serde::Deserialize;
use shared::rules::Narrowing;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

const DEFAULTS: &str = include_str!("../../waybill.default.toml");
/// Faulty lines shown of one file; the rest would only bury them.
const FAULTS_MAX: usize = 50;

/// What the command line says about settings.
#[derive(Debug, Default, Clone)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--data`.
    pub data: Option<PathBuf>,
}

/// The settings as they are written, before their meaning is checked.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Written {
    pub server: WrittenServer,
    pub log: WrittenLog,
    pub sla: WrittenSla,
    pub sending: WrittenSending,
    pub audit: WrittenAudit,
    pub data: WrittenData,
    pub retention: WrittenRetention,
    pub sandbox: WrittenSandbox,
    pub rules: BTreeMap<String, Narrowing>,
    pub connections: BTreeMap<String, WrittenConnection>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenServer {
    pub listen: String,
    pub data: String,
    pub shutdown_seconds: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenLog {
    pub format: String,
    pub filter: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenSla {
    pub threshold_seconds: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenSending {
    pub attempts_max: Number,
    pub retry_minutes: Number,
    pub horizon_hours: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenAudit {
    pub sink_url: String,
    pub secret: Option<secrecy::SecretString>,
    pub secret_file: Option<PathBuf>,
    pub key_id: String,
    pub previous_key_id: String,
    pub previous_secret: Option<secrecy::SecretString>,
    pub previous_secret_file: Option<PathBuf>,
    pub heartbeat_seconds: Number,
    pub on_backlog: String,
    pub backlog_entries: Number,
    pub keep_days: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenData {
    pub quota_mb: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenRetention {
    pub messages_days: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenSandbox {
    pub seed: Number,
    pub scenario: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenConnection {
    pub dialect: String,
    pub region: Option<String>,
    pub api_url: Option<String>,
    pub login_url: Option<String>,
    pub client_id: Option<String>,
    pub client_secret: Option<secrecy::SecretString>,
    pub client_secret_file: Option<PathBuf>,
    pub requests_per_minute: Option<Number>,
    pub dedup: Option<String>,
    pub on_ambiguous: Option<String>,
    pub channels_without_receipts: Vec<String>,
}

/// A number as a file writes it, or as text from the environment; NaN when it is neither.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Number(pub f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Whole(i64),
            Decimal(f64),
            Text(String),
        }
        #[expect(clippy::cast_precision_loss, reason = "no setting is near 2^53")]
        Ok(
            match Form::deserialize(deserializer)
                .map_err(|_| serde::de::Error::custom("expected a number"))?
            {
                Form::Whole(whole) => Number(whole as f64),
                Form::Decimal(decimal) => Number(decimal),
                Form::Text(text) => Number(text.trim().parse().unwrap_or(f64::NAN)),
            },
        )
    }
}

/// Reads and checks everything; the error holds every problem that was found.
pub fn load(flags: &Flags, environment: &[(String, String)]) -> Result<Config, Problems> {
    let mut problems = Problems::default();
    let mut merged: Table = toml::from_str(DEFAULTS).unwrap_or_default();
    if let Some(path) = &flags.config
        && let Some(text) = read_file(path, &mut problems)
        && let Some(file) = read_text(&path.display().to_string(), text, &mut problems)
    {
        refuse_readable_secrets(path, &file, &mut problems);
        merge_over_defaults(&mut merged, file);
    }
    finish(merged, flags, environment, problems)
}

/// As [`load`], of a file's text that is in memory.
pub(crate) fn load_text(
    text: String,
    environment: &[(String, String)],
) -> Result<Config, Problems> {
    let mut problems = Problems::default();
    let mut merged: Table = toml::from_str(DEFAULTS).unwrap_or_default();
    if let Some(file) = read_text("text", text, &mut problems) {
        merge_over_defaults(&mut merged, file);
    }
    finish(merged, &Flags::default(), environment, problems)
}

fn finish(
    mut merged: Table,
    flags: &Flags,
    environment: &[(String, String)],
    mut problems: Problems,
) -> Result<Config, Problems> {
    let overrides = from_environment(environment, &mut problems);
    merge_over_defaults(&mut merged, overrides);
    let written = match Value::Table(merged).try_into::<Written>() {
        Ok(written) => written,
        Err(error) => {
            problems.add("environment", redact(error.message()));
            return Err(problems);
        }
    };
    let home = HomeFolders::from(environment);
    check::check(written, flags, &home, problems)
}

/// Where a user's own files go, as the environment says.
pub(super) struct HomeFolders {
    pub data_home: Option<PathBuf>,
    pub home: Option<PathBuf>,
}

impl HomeFolders {
    fn from(environment: &[(String, String)]) -> Self {
        let find = |name: &str| {
            environment
                .iter()
                .find(|(key, value)| key == name && !value.is_empty())
                .map(|(_, value)| PathBuf::from(value))
        };
        Self { data_home: find("XDG_DATA_HOME"), home: find("HOME") }
    }
}

fn read_file(path: &Path, problems: &mut Problems) -> Option<String> {
    let read = std::fs::read_to_string(path);
    read.map_err(|error| {
        problems.add(&path.display().to_string(), format!("cannot be read: {error}"));
    })
    .ok()
}

/// A layer as a table; a line that is wrong is reported, set aside, and the rest read again.
fn read_text(place: &str, text: String, problems: &mut Problems) -> Option<Table> {
    let mut text = text.into_bytes();
    for _ in 0..FAULTS_MAX {
        let source = String::from_utf8_lossy(&text).into_owned();
        let fault = match toml::from_str::<Written>(&source) {
            Ok(_) => return Some(toml::from_str(&source).unwrap_or_default()),
            Err(fault) => fault,
        };
        let at = fault.span().map_or(0, |span| span.start.min(source.len()));
        let start = source[..at].rfind('\n').map_or(0, |index| index + 1);
        let end = source[at..].find('\n').map_or(source.len(), |index| at + index);
        let line = source[..start].matches('\n').count() + 1;
        problems
            .add(&format!("{place} line {line}"), describe(&source[start..end], fault.message()));
        if source[start..end].trim().is_empty() {
            return None;
        }
        text = source.into_bytes();
        text[start..end].fill(b' ');
    }
    None
}

/// The fault in words, without the value when the line is about a secret.
fn describe(line: &str, message: &str) -> String {
    let name = line.split('=').next().unwrap_or_default().trim();
    if name.contains("secret") {
        format!("{name}: not a text in quotes, or named twice")
    } else {
        redact(message)
    }
}

/// The first line of a message: what follows may quote the source.
fn redact(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

/// Laying a table over the defaults: tables merge, everything else replaces, and connections named at all
/// replace the default one.
fn merge_over_defaults(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(connections)), Value::Table(named)) if key == "connections" => {
                let is_new = named.keys().any(|name| !connections.contains_key(name));
                if is_new {
                    connections.retain(|name, _| named.contains_key(name) || name != "sandbox");
                }
                merge(connections, named);
            }
            (Some(Value::Table(inner)), Value::Table(over)) => merge(inner, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(over)) => merge(inner, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// `WAYBILL_A__B=x` as a table. Names without `__` are not settings.
fn from_environment(environment: &[(String, String)], problems: &mut Problems) -> Table {
    let mut table = Table::new();
    for (name, value) in environment {
        let Some(path) = name.strip_prefix("WAYBILL_").filter(|path| path.contains("__")) else {
            continue;
        };
        let parts: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
        let mut single = Value::String(value.clone());
        if parts.last().is_some_and(|last| last == "channels_without_receipts") {
            let names = value.split(',').map(|one| Value::String(one.trim().to_owned()));
            single = Value::Array(names.collect());
        }
        for part in parts.iter().skip(1).rev() {
            single = Value::Table(Table::from_iter([(part.clone(), single)]));
        }
        let single = Table::from_iter([(parts[0].clone(), single)]);
        match Value::Table(single.clone()).try_into::<Written>() {
            Ok(_) => merge(&mut table, single),
            Err(error) => problems.add(name, redact(error.message())),
        }
    }
    table
}

/// A file that holds a secret must be readable by its owner alone.
fn refuse_readable_secrets(path: &Path, table: &Table, problems: &mut Problems) {
    let holds = |table: &Table, name: &str| table.contains_key(name);
    let in_audit = table
        .get("audit")
        .and_then(Value::as_table)
        .is_some_and(|one| holds(one, "secret") || holds(one, "previous_secret"));
    let in_connection = table.get("connections").and_then(Value::as_table).is_some_and(|all| {
        all.values().filter_map(Value::as_table).any(|one| holds(one, "client_secret"))
    });
    if in_audit || in_connection {
        check::refuse_wide_mode(path, problems);
    }
}
