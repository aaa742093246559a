//! `cargo xtask bench …`: measurements whose figures the documents state. Each prints a table to stdout.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Subcommand;

use crate::{
    bench_rules,
    build_console::{self, Finish},
    command::{self, cargo},
    compress,
    place::Place,
    stamp, tools,
};

/// What can be measured.
#[derive(Subcommand)]
pub enum Bench {
    /// How much a browser loads before the console can be used, raw and compressed.
    Size,
    /// The rules: messages judged a second natively and in the page, and what the engine adds to the page's size.
    Rules,
    /// The store: accepts by one caller and by 64, against the disk's own speed.
    Store,
    /// The proxy's resident set with a million queued messages.
    Memory,
    /// The time from start to ready with 100,000 pending messages.
    Restart,
    /// Platform requests for each delivered message, against a loop that does what the guide's code does.
    Requests {
        /// How often each is measured; the median counts. A round takes about eight minutes.
        #[arg(long, default_value_t = 3)]
        rounds: u32,
    },
    /// Accepts per second over HTTP, against a handler that stores nothing.
    Http,
    /// Accepts per second while audit batches are shipped, against the same without a sink.
    Audit,
}

/// `cargo xtask bench`.
pub fn run(what: &Bench) -> Result<ExitCode> {
    match what {
        Bench::Size => size()?,
        Bench::Rules => bench_rules::run()?,
        Bench::Store => helper("store")?,
        Bench::Memory => helper("memory")?,
        Bench::Restart => helper("restart")?,
        Bench::Requests { rounds } => traffic(&["requests", &rounds.to_string()])?,
        Bench::Http => traffic(&["http"])?,
        Bench::Audit => traffic(&["audit"])?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The store and the process are measured by the proxy's example `bench`, optimised.
fn helper(what: &str) -> Result<()> {
    example("bench", &[what])
}

/// The proxy between its callers and the platform is measured by its example `traffic`, optimised.
fn traffic(words: &[&str]) -> Result<()> {
    example("traffic", words)
}

fn example(name: &str, words: &[&str]) -> Result<()> {
    let place = Place::find()?;
    let run = ["run", "--release", "--package", "proxy", "--example", name, "--"];
    command::run(&mut cargo(&place, &[&run[..], words].concat()))
}

fn size() -> Result<()> {
    let place = Place::find()?;
    let tools = tools::ensure(&place)?;
    let console = build_console::build(&place, &tools, Finish::Release)?;
    let load = first_load(&console.dist)?;
    println!("{:<44} {:>10} {:>10} {:>10}", "file", "raw", "gzip", "brotli");
    let total = load.total();
    let rows =
        load.files.iter().map(|(name, size)| (name.as_str(), size)).chain([("first load", &total)]);
    for (name, size) in rows {
        println!("{name:<44} {:>10} {:>10} {:>10}", size.raw, size.gzip, size.brotli);
    }
    Ok(())
}

/// What a browser without a cache loads to show the first page.
pub struct FirstLoad {
    files: Vec<(String, Size)>,
}

impl FirstLoad {
    /// All files together.
    pub fn total(&self) -> Size {
        self.files.iter().fold(Size::default(), |total, (_, size)| Size {
            raw: total.raw + size.raw,
            gzip: total.gzip + size.gzip,
            brotli: total.brotli + size.brotli,
        })
    }
}

/// Bytes of one thing in its three forms.
#[derive(Clone, Copy, Default)]
pub struct Size {
    /// Uncompressed.
    pub raw: u64,
    /// As `.gz`.
    pub gzip: u64,
    /// As `.br`.
    pub brotli: u64,
}

/// The page and every script, style sheet, picture and wasm file it names.
pub fn first_load(dist: &Path) -> Result<FirstLoad> {
    let page = fs::read_to_string(dist.join("index.html"))
        .with_context(|| format!("{} holds no index.html", dist.display()))?;
    let mut paths = BTreeSet::new();
    stamp::collect(dist, &mut paths)?;
    let mut files = Vec::new();
    for path in paths {
        let name = path.strip_prefix(dist).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        let kind = path.extension().and_then(|extension| extension.to_str());
        let named = matches!(kind, Some("js" | "css" | "wasm" | "svg")) && page.contains(&name);
        if name == "index.html" || named {
            files.push((name, size_of(&path)?));
        }
    }
    Ok(FirstLoad { files })
}

fn size_of(file: &Path) -> Result<Size> {
    let length = |path: PathBuf| {
        fs::metadata(&path)
            .map(|metadata| metadata.len())
            .with_context(|| format!("failed to read {}", path.display()))
    };
    Ok(Size {
        raw: length(file.to_owned())?,
        gzip: length(compress::with_suffix(file, "gz"))?,
        brotli: length(compress::with_suffix(file, "br"))?,
    })
}

/// Bytes as people say them.
pub fn shown_size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        assert_eq!(shown_size(940), "940 B");
        assert_eq!(shown_size(102_500), "103 kB");
        assert_eq!(shown_size(21_470_000), "21.4 MB");
    }
}
