//! `cargo xtask fuzz`: libFuzzer on everything that reads other people's bytes (`proxy/src/fuzz.rs`).
//!
//! The crate in `fuzz/` stands outside the workspace, because all of it is compiled with coverage; stable Rust and
//! a C++ compiler suffice. `fuzz/corpus` holds the examples it begins with, `target/fuzz/found` what it finds on the
//! way, `target/fuzz/crashes` the inputs that ended it. An input that did belongs into `fuzz/corpus`, mended.

use std::{
    fs,
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    command::{self, cargo},
    place::{self, Place},
    progress::Progress,
};

const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";
const MEMORY_MIB_MAX: u32 = 1024;
const INPUT_SECONDS_MAX: u32 = 10;
const INPUT_BYTES_MAX: u32 = 64 * 1024;

/// Feeds one target, or all of them, for so long each.
pub fn run(target: Option<&str>, each: Duration) -> Result<ExitCode> {
    let place = Place::find()?;
    let mut progress = Progress::new(2);
    progress.step("Building with coverage (about 4 min the first time)");
    let built = build(&place)?;
    progress.done("built");
    progress.step(&format!("Feeding each target for {} s", each.as_secs()));
    let failed = feed(&place, &built, target, each)?;
    progress.done(if failed == 0 { "nothing found" } else { "FOUND SOMETHING" });
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The same as a step of the full test: an error when something was found.
pub fn check(place: &Place, each: Duration) -> Result<()> {
    let failed = feed(place, &build(place)?, None, each)?;
    ensure!(failed == 0, "{failed} targets ended badly");
    Ok(())
}

type Built = std::path::PathBuf;

fn build(place: &Place) -> Result<Built> {
    let compiler = std::env::var_os("CXX").is_some()
        || place::find_program(&["c++", "g++", "clang++"]).is_some();
    ensure!(
        compiler,
        "libFuzzer is C++: install a compiler, on Debian or Ubuntu `apt-get install g++`"
    );
    let host = host()?;
    let target = place.target.join("fuzz");
    let manifest = place.root.join("fuzz/Cargo.toml");
    let mut build = cargo(place, &["build", "--locked", "--target", &host, "--manifest-path"]);
    // The flags are for the host named as a target, so that build scripts are built without coverage.
    build.arg(manifest).arg("--target-dir").arg(&target).env("RUSTFLAGS", COVERAGE);
    command::run(&mut build)?;
    Ok(target.join(host).join("debug/waybill-fuzz"))
}

fn host() -> Result<String> {
    let version = command::capture(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}

/// How many targets ended badly.
fn feed(place: &Place, built: &Built, only: Option<&str>, each: Duration) -> Result<usize> {
    let corpus = place.root.join("fuzz/corpus");
    let mut targets = Vec::new();
    for entry in fs::read_dir(&corpus).context("failed to read fuzz/corpus")? {
        targets.push(entry?.file_name().to_string_lossy().into_owned());
    }
    targets.sort();
    if let Some(only) = only {
        if !targets.iter().any(|target| target == only) {
            bail!("there is no target {only}; there are {}", targets.join(", "));
        }
        targets.retain(|target| target == only);
    }
    let mut failed = 0;
    for target in targets {
        let found = place.target.join("fuzz/found").join(&target);
        let crashes = place.target.join("fuzz/crashes").join(&target);
        fs::create_dir_all(&found)?;
        fs::create_dir_all(&crashes)?;
        let mut run = Command::new(built);
        run.env("WAYBILL_FUZZ_TARGET", &target)
            .arg(format!("-max_total_time={}", each.as_secs()))
            .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
            .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
            .arg(format!("-max_len={INPUT_BYTES_MAX}"))
            .arg(format!("-artifact_prefix={}/", crashes.display()))
            .args(["-print_final_stats=1", "-verbosity=0", "-close_fd_mask=1"])
            .args([&found, &corpus.join(&target)]);
        let (succeeded, lines) = command::run_and_read(&mut run)?;
        let stat = |name: &str| {
            let line = lines.iter().find(|line| line.contains(name));
            line.and_then(|line| line.split_whitespace().last()).unwrap_or("?").to_owned()
        };
        let (inputs, memory) = (stat("number_of_executed_units"), stat("peak_rss_mb"));
        let outcome = if succeeded { "nothing found" } else { "FOUND SOMETHING" };
        println!("fuzz: {target}: {inputs} inputs, at most {memory} MiB, {outcome}");
        if !succeeded {
            failed += 1;
            println!("fuzz: {target}: the input is in {}", crashes.display());
        }
    }
    Ok(failed)
}
