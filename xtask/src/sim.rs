//! `cargo xtask sim`: runs the seeded simulation for many seeds, or one seed again. The simulation is a test of
//! the proxy; here it is built quick enough for many runs, told which seeds, and its figures are shown.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::{
    command::{self, cargo},
    place::Place,
};

const TEST: &str = "nothing_is_lost_and_nothing_doubled_whatever_the_seed";
/// What the line with the figures begins with.
const FIGURES: &str = "sim: ";

/// Runs so many seeds, beginning with the first, or only the one given.
pub fn run(seeds: u32, first: u32, seed: Option<u32>) -> Result<ExitCode> {
    let place = Place::find()?;
    // Fail points and the stand-in for the clock are in builds with debug assertions only.
    let mut test = cargo(&place, &["test", "--profile", "sim", "-p", "proxy", "--test", "sim"]);
    test.args(["--", TEST, "--exact", "--nocapture"])
        .env("WAYBILL_SIM_SEEDS", seeds.to_string())
        .env("WAYBILL_SIM_FIRST", first.to_string());
    if let Some(seed) = seed {
        test.env("WAYBILL_SIM_SEED", seed.to_string());
    }
    let (succeeded, lines) = command::run_and_read(&mut test)?;
    // A test that was renamed would run nothing and succeed.
    if succeeded && !lines.iter().any(|line| line.starts_with(FIGURES)) {
        bail!("{TEST} was not run");
    }
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
