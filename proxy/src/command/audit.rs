//! `waybill audit`: exporting sealed batches, and checking an export offline.
//!
//! An export is JSON Lines, one batch a line, so that neither side ever holds more than a page of it. The
//! check takes pages of `GET /api/v1/audit/export` too, one after the other in one file.

use super::workflow::Api;
use super::{Common, Exit};
use crate::app;
use crate::audit::{self, Keyring};
use crate::config::Config;
use crate::data_folder::{self, DataFolder, Opened};
use crate::store::Store;
use crate::store::sqlite::{self, Sqlite};
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde::Deserialize;
use shared::api::{ExportedBatch, Page, path};
use shared::audit::verify::{Bounds, Fault, FaultKind, Report, Verifier};
use shared::id::ConnectionName;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;

/// Batches read at once: with the largest bodies about 13 MB.
const PAGE: u32 = 50;

/// The words after `waybill audit`.
#[derive(Subcommand)]
pub enum AuditCommand {
    /// Write every sealed batch of a connection to stdout, one JSON object a line, oldest first.
    Export(ExportArgs),
    /// Check an export: order, gaps, links, counts and, with the secret, every signature.
    Verify(VerifyArgs),
}

/// What `waybill audit export` takes.
#[derive(Args)]
pub struct ExportArgs {
    /// The connection whose batches they are; the first one unless given.
    #[arg(long)]
    connection: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl ExportArgs {
    /// What it shares with other commands.
    pub fn common(&self) -> &Common {
        &self.common
    }
}

/// What `waybill audit verify` takes.
#[derive(Args)]
pub struct VerifyArgs {
    /// What `waybill audit export` wrote, or pages of GET /api/v1/audit/export; `-` is stdin.
    #[arg(value_name = "EXPORT")]
    export: PathBuf,
    /// The audit secret in a file, as KEY_ID=FILE or, for every key not named, FILE; may be given again.
    #[arg(long, value_name = "[KEY_ID=]FILE")]
    secret_file: Vec<String>,
    /// The key a secret file without KEY_ID is for.
    #[arg(long, value_name = "KEY_ID")]
    key_id: Option<String>,
    /// The chain value of the batch before the first: the export goes on from there.
    #[arg(long, value_name = "CHAIN")]
    after: Option<String>,
    /// The chain value of the last batch: without it nobody can see that a tail was cut off.
    #[arg(long, value_name = "CHAIN")]
    until: Option<String>,
}

/// Writes the export: through the proxy that serves the data folder, or from the database when none does.
pub async fn export(args: &ExportArgs, config: &Config) -> Exit {
    let named = args.connection.as_deref().map(ConnectionName::parse).transpose();
    let first = config.connections.first().map(|one| one.name.clone());
    let connection = match named {
        Ok(named) => named.or(first),
        Err(error) => return fail(&format!("--connection: {error}"), Exit::Usage),
    };
    let Some(connection) = connection else {
        return fail("there is no connection", Exit::Usage);
    };
    if !sqlite::path_in(&config.data).exists() {
        let text = format!("{}: no proxy has used this data folder yet", config.data.display());
        return fail(&text, Exit::Usage);
    }
    let source = match DataFolder::open(&config.data) {
        Ok(Opened::Served(address)) => data_folder::launch_token_of(&config.data)
            .map_err(|error| error.to_string())
            .and_then(|token| Api::new(&SecretString::from(app::link(&address, &token))))
            .map(Source::Proxy),
        Ok(Opened::Free(folder)) => Sqlite::open(&sqlite::path_in(&config.data))
            .map(|store| Source::Database(store, folder))
            .map_err(|error| error.to_string()),
        Err(error) => Err(format!("{}: {error}", config.data.display())),
    };
    let source = match source {
        Ok(source) => source,
        Err(text) => return fail(&text, Exit::Storage),
    };
    let written = copy(&source, &connection).await;
    if let Source::Database(store, _folder) = &source {
        store.close().await;
    }
    match written {
        Ok(count) => {
            eprintln!("waybill: {count} batches of {connection}");
            Exit::Good
        }
        Err(text) => fail(&text, Exit::Storage),
    }
}

/// Where an export comes from. The data folder stays locked while its database is read.
enum Source {
    Proxy(Api),
    Database(Sqlite, DataFolder),
}

async fn copy(source: &Source, connection: &ConnectionName) -> Result<u64, String> {
    let mut cursor = 0;
    let mut count = 0;
    loop {
        let (batches, next) = match source {
            Source::Proxy(api) => {
                let query = format!("connection={connection}&cursor={cursor}&limit={PAGE}");
                let page: Page<ExportedBatch> =
                    api.get(&format!("{}?{query}", path::AUDIT_EXPORT)).await?;
                let next = page.next_cursor.and_then(|next| next.parse().ok());
                (page.items, next)
            }
            Source::Database(store, _) => {
                let page = store
                    .export_audit_batches(connection.clone(), cursor, PAGE)
                    .await
                    .map_err(|error| error.to_string())?;
                let next = page.last().map(|last| last.position);
                (page.iter().map(audit::exported).collect(), next)
            }
        };
        let mut out = io::stdout().lock();
        for batch in &batches {
            let line = serde_json::to_string(batch).map_err(|error| error.to_string())?;
            writeln!(out, "{line}").map_err(|error| format!("stdout: {error}"))?;
            count += 1;
        }
        match next {
            Some(next) => cursor = next,
            None => return out.flush().map(|()| count).map_err(|error| format!("stdout: {error}")),
        }
    }
}

/// Checks an export and says what is wrong where, one line each on stdout.
pub fn verify(args: &VerifyArgs) -> Exit {
    let keys = match keyring(args) {
        Ok(keys) => keys,
        Err(text) => return fail(&text, Exit::Usage),
    };
    for (name, chain) in [("--after", &args.after), ("--until", &args.until)] {
        if chain.as_ref().is_some_and(|chain| chain.len() != 64) {
            return fail(&format!("{name} takes a chain value of 64 digits"), Exit::Usage);
        }
    }
    let input: Box<dyn BufRead> = if args.export.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        match std::fs::File::open(&args.export) {
            Ok(file) => Box::new(BufReader::new(file)),
            Err(error) => {
                return fail(&format!("{}: {error}", args.export.display()), Exit::Usage);
            }
        }
    };
    let bounds = Bounds { after: args.after.clone(), until: args.until.clone() };
    let has_until = bounds.until.is_some();
    let mut verifier = Verifier::new(keys.as_ref().map(|keys| keys as _), bounds);
    let mut unreadable = None;
    let mut has_more = false;
    let mut read = 0_u64;
    for part in serde_json::Deserializer::from_reader(input).into_iter::<Part>() {
        let batches = match part {
            Ok(Part::Page(page)) => {
                has_more = page.next_cursor.is_some();
                page.items
            }
            Ok(Part::Batch(batch)) => vec![batch],
            Ok(Part::Batches(batches)) => batches,
            Err(error) => {
                unreadable = Some(error.to_string());
                break;
            }
        };
        read += 1;
        for batch in &batches {
            show(&verifier.check(batch));
        }
    }
    if read == 0 {
        let error = unreadable.as_deref().unwrap_or("there is nothing in it");
        return fail(&format!("{}: not an export: {error}", args.export.display()), Exit::Usage);
    }
    let (faults, report) = verifier.finish();
    show(&faults);
    if let Some(error) = &unreadable {
        say(format_args!("export: cannot be read to its end: {error}"));
    }
    if has_more {
        say(format_args!(
            "export: the last page has a next_cursor, so there is more than was exported"
        ));
    }
    for line in summary(&report, keys.is_some(), has_until) {
        say(format_args!("{line}"));
    }
    if report.faults == 0 && unreadable.is_none() && !has_more {
        Exit::Good
    } else {
        Exit::Findings
    }
}

/// What an export may be made of.
#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    Page(Page<ExportedBatch>),
    Batch(ExportedBatch),
    Batches(Vec<ExportedBatch>),
}

/// One line on stdout. A reader that has seen enough is not a reason to stop checking.
fn say(line: std::fmt::Arguments) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn show(faults: &[Fault]) {
    for fault in faults {
        say(format_args!("{fault}"));
        if fault.kind == FaultKind::Head {
            say(format_args!(
                "  (begin from a batch verified earlier with --after and its x-audit-chain)"
            ));
        }
    }
}

/// What was read, what was checked, and plainly what was not.
fn summary(report: &Report, has_keys: bool, has_until: bool) -> Vec<String> {
    let mut lines = vec![format!(
        "{} batches with {} entries, {} faults",
        report.batches, report.entries, report.faults
    )];
    for range in &report.ranges {
        lines.push(format!("stream {}: sequence {} to {}", range.stream, range.first, range.last));
    }
    for (key_id, batches) in &report.keys {
        lines.push(format!("key {key_id:?}: {batches} batches"));
    }
    if !has_keys {
        lines.push(
            "not checked without a secret: whether bodies, headers and chain values are the ones \
             that were signed. Give it with --secret-file"
                .to_owned(),
        );
    } else if report.unchecked > 0 {
        lines.push(format!("not checked: the signatures of {} batches", report.unchecked));
    }
    if !has_until {
        let last = report.last_chain.as_deref().unwrap_or("none");
        lines.push(format!(
            "not checked: whether batches were cut off at the end. The last chain value is {last}; \
             compare it with the proxy's list of batches, or give the right one with --until"
        ));
    }
    lines
}

fn keyring(args: &VerifyArgs) -> Result<Option<Keyring>, String> {
    if args.secret_file.is_empty() {
        return match args.key_id {
            Some(_) => Err("--key-id says which key a --secret-file is for; give one".to_owned()),
            None => Ok(None),
        };
    }
    let mut keys = Keyring::default();
    for given in &args.secret_file {
        let (key_id, path) = match given.split_once('=') {
            Some((key_id, path)) if audit::is_key_id(key_id) => (Some(key_id.to_owned()), path),
            _ => (args.key_id.clone(), given.as_str()),
        };
        let secret = data_folder::read_secret(path.as_ref())
            .map_err(|error| format!("--secret-file {path}: {error}"))?;
        keys.add(key_id, &secret);
    }
    Ok(Some(keys))
}

fn fail(text: &str, exit: Exit) -> Exit {
    eprintln!("waybill: {text}");
    exit
}
