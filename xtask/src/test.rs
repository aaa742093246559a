//! `cargo xtask test`: everything that must hold, the same on a developer's machine and anywhere else.
//! A failing step does not stop the others; the last lines say how many tests and steps passed and which did not.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Result, bail, ensure};

use crate::{
    build_console::{self, Finish},
    build_waybill::{self, CONSOLE_VARIABLE},
    command::{self, cargo},
    fuzz, packages,
    place::{self, Place},
    progress::Progress,
    rows, stamp,
    tally::Tally,
    tidy,
    tools::{self, WASM_TARGET},
    wasm_tests,
};

const STEPS: usize = 10;
/// For how long the full run feeds each fuzz target.
const FUZZ_EACH: Duration = Duration::from_secs(20);

/// Runs all steps.
pub fn run(full: bool) -> Result<ExitCode> {
    let place = Place::find()?;
    let dist = build_console::dist(&place, Finish::Quick);
    let mut report = Report::new(STEPS + usize::from(full));

    report.step("Format", |_| {
        tools::ensure_component(&place, "fmt", "rustfmt")?;
        command::run(&mut cargo(&place, &["fmt", "--all", "--check"]))
    });
    report.step("Conventions", |_| {
        let mut found = tidy::check(&place)?;
        found.extend(rows::check(&place)?);
        ensure!(found.is_empty(), "{}", found.join("\n"));
        Ok(())
    });
    let tools = report.step("Tools (about 3 min the first time)", |_| tools::ensure(&place));
    let console = report.step("Console (about 2 min the first time)", |_| {
        build_console::build(&place, needed(&tools)?, Finish::Quick)
    });
    let binary = report.step("Program (about 3 min the first time)", |_| {
        build_waybill::build(&place, &needed(&console)?.dist, Finish::Quick)
    });
    report.step("Lints, native (about 2 min the first time)", |_| {
        tools::ensure_component(&place, "clippy", "clippy")?;
        let mut clippy = cargo(&place, &["clippy", "--workspace", "--exclude", "frontend"]);
        clippy.args(["--all-targets", "--", "-D", "warnings"]);
        command::run(clippy.env(CONSOLE_VARIABLE, &dist))
    });
    report.step("Lints, wasm (about 1 min the first time)", |_| {
        let mut clippy = cargo(&place, &["clippy", "-p", "shared", "-p", "frontend"]);
        clippy.args(["--all-targets", "--target", WASM_TARGET]);
        command::run(clippy.args(["--", "-D", "warnings"]))
    });
    report.step("Unit and integration tests (about 2 min the first time)", |tally| {
        native_tests(&place, &dist, tally)
    });
    report.step("Tests in wasm (about 2 min the first time)", |tally| {
        wasm_tests::run(&place, needed(&tools)?, tally)
    });
    report.step("End-to-end tests in a browser", |tally| {
        end_to_end(&place, needed(&binary)?, &dist, full, tally)
    });
    if full {
        report
            .step("Fuzz targets (about 6 min the first time)", |_| fuzz::check(&place, FUZZ_EACH));
    }
    Ok(report.end())
}

/// What an earlier step should have made.
fn needed<T>(made: &Option<T>) -> Result<&T> {
    match made {
        Some(made) => Ok(made),
        None => bail!("not possible, because the step it builds on failed"),
    }
}

fn native_tests(place: &Place, dist: &Path, tally: &mut Tally) -> Result<()> {
    let mut tests = runner(place);
    tests.args(["--workspace", "--exclude", "frontend", "--exclude", "tests"]);
    count(tests.env(CONSOLE_VARIABLE, dist), tally)?;
    if has_doc_tests(place)? {
        count(&mut cargo(place, &["test", "--doc", "-p", "shared"]), tally)?;
    }
    Ok(())
}

fn end_to_end(
    place: &Place,
    binary: &Path,
    dist: &Path,
    full: bool,
    tally: &mut Tally,
) -> Result<()> {
    let found = packages::ensure_browser(place)?;
    let mut tests = runner(place);
    tests
        .args(["--package", "tests"])
        .args(selection(full))
        .env("WAYBILL_BIN", binary)
        .env("CHROMIUM", &found.browser)
        .env("CHROMEDRIVER", &found.driver)
        .env(CONSOLE_VARIABLE, dist);
    if full {
        tests.env("WAYBILL_FULL", "1");
    }
    count(&mut tests, tally)
}

/// What the usual run leaves to the full one: tests whose names end so.
const FULL_RUN: &str = "_full_run";

/// The runner's words for the end-to-end tests that are wanted. They mostly wait, for the proxy's request budget
/// and for a browser, so more of them than there are cores run at once.
fn selection(full: bool) -> Vec<String> {
    let is_nextest = place::find_program(&["cargo-nextest"]).is_some();
    let mut words = Vec::new();
    if is_nextest {
        words.extend(["--test-threads".to_owned(), "4".to_owned()]);
    }
    match (full, is_nextest) {
        (true, _) => {}
        (false, true) => words.extend(["-E".to_owned(), format!("not test({FULL_RUN})")]),
        (false, false) => words.extend(["--".to_owned(), "--skip".to_owned(), FULL_RUN.to_owned()]),
    }
    words
}

/// nextest where it is installed, because it is quicker; cargo's own runner decides the same.
fn runner(place: &Place) -> Command {
    if place::find_program(&["cargo-nextest"]).is_some() {
        cargo(place, &["nextest", "run", "--no-fail-fast"])
    } else {
        cargo(place, &["test", "--no-fail-fast", "--lib", "--bins", "--tests"])
    }
}

/// Runs tests and adds them up.
pub fn count(tests: &mut Command, tally: &mut Tally) -> Result<()> {
    let (succeeded, lines) = command::run_and_read(tests)?;
    let counted = Tally::read(&lines);
    *tally += counted;
    ensure!(succeeded, "`{}` failed", command::shown(tests));
    Ok(())
}

fn has_doc_tests(place: &Place) -> Result<bool> {
    let mut files = BTreeSet::new();
    stamp::collect(&place.root.join("shared/src"), &mut files)?;
    Ok(files.iter().any(|file| {
        fs::read_to_string(file).is_ok_and(|text| {
            text.lines()
                .map(str::trim_start)
                .any(|line| line.starts_with("/// ```") || line.starts_with("//! ```"))
        })
    }))
}

/// What became of the steps.
struct Report {
    progress: Progress,
    tally: Tally,
    passed: usize,
    failed: Vec<String>,
}

impl Report {
    fn new(steps: usize) -> Report {
        Report {
            progress: Progress::new(steps),
            tally: Tally::default(),
            passed: 0,
            failed: Vec::new(),
        }
    }

    /// Runs one step, which adds the tests it ran to the tally; `None` when it failed.
    fn step<T>(&mut self, name: &str, work: impl FnOnce(&mut Tally) -> Result<T>) -> Option<T> {
        self.progress.step(name);
        match work(&mut self.tally) {
            Ok(made) => {
                self.passed += 1;
                self.progress.done("passed");
                Some(made)
            }
            Err(error) => {
                eprintln!("{error:#}");
                self.progress.done("FAILED");
                let short = name.split(" (").next().unwrap_or(name);
                self.failed.push(short.to_owned());
                None
            }
        }
    }

    fn end(self) -> ExitCode {
        for name in &self.failed {
            println!("failed: {name}");
        }
        println!(
            "xtask test: {} steps passed, {} failed, {} tests, in {}",
            self.passed,
            self.failed.len(),
            self.tally.passed + self.tally.failed,
            self.progress.elapsed()
        );
        // A failing step without a failing test must not read like success.
        let failed = match (self.tally.failed, self.failed.len()) {
            (0, steps) => steps,
            (tests, _) => tests,
        };
        println!("{} passed, {failed} failed", self.tally.passed);
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
