//! `cargo xtask crash`: kills `waybill` at random moments under load and sees that nothing is lost or doubled.
//! The killing and the comparing are an end-to-end test; here it is built, told how often and from which seed, and
//! its figures are shown.

use std::{process::ExitCode, time::Instant};

use anyhow::{Result, bail};

use crate::{
    build_console::{self, Finish},
    build_waybill::{self, CONSOLE_VARIABLE},
    command::{self, cargo},
    place::Place,
    progress::{self, Progress},
    tools,
};

const TEST: &str = "crash::random_kills_under_load_lose_and_double_nothing";
/// What the line with the figures begins with.
const FIGURES: &str = "crash: seed ";

/// Builds everything and runs the test with this many kills.
pub fn run(kills: u32, seed: u32) -> Result<ExitCode> {
    let place = Place::find()?;
    let mut progress = Progress::new(4);

    progress.step("Looking for the tools");
    let tools = tools::ensure(&place)?;
    progress.done("ready");

    progress.step("Building the console (about 2 min the first time)");
    let console = build_console::build(&place, &tools, Finish::Quick)?;
    progress.done(if console.was_built { "built" } else { "nothing changed, checked" });

    progress.step("Building waybill (about 3 min the first time)");
    let binary = build_waybill::build(&place, &console.dist, Finish::Quick)?;
    progress.done("built");

    progress.step("Killing it (about 1 s for each kill)");
    let started = Instant::now();
    // Not by nextest, which ends a test that takes as long as many kills do.
    let mut test = cargo(&place, &["test", "--package", "tests", "--test", "it", "--"]);
    test.args([TEST, "--exact", "--nocapture"])
        .env("WAYBILL_BIN", binary)
        .env("WAYBILL_CRASH_KILLS", kills.to_string())
        .env("WAYBILL_CRASH_SEED", seed.to_string())
        .env(CONSOLE_VARIABLE, &console.dist);
    let (succeeded, lines) = command::run_and_read(&mut test)?;
    let figures = lines.iter().find(|line| line.starts_with(FIGURES));
    if !succeeded {
        progress.done("FAILED");
        match figures {
            Some(figures) => println!("{figures}"),
            None => println!("crash: it ended before anything could be compared"),
        }
        return Ok(ExitCode::FAILURE);
    }
    // A test that was renamed would run nothing and succeed.
    let Some(figures) = figures else { bail!("{TEST} was not run") };
    progress.done("survived");
    println!("{figures}, in {}", progress::shown(started.elapsed()));
    Ok(ExitCode::SUCCESS)
}
