//! The commands of the workspace: `cargo xtask up`, `test`, `build`, `bench`, `rows`, `fuzz`, `crash` and `sim`.
//! This file parses the command line and passes on; each command has a module of its own.
//! Nothing here knows what Waybill does: it only builds, starts and checks it.

use std::{process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};

mod bench;
mod bench_rules;
mod build_console;
mod build_waybill;
mod command;
mod compress;
mod crash;
mod fuzz;
mod packages;
mod place;
mod probe;
mod progress;
mod rows;
mod sim;
mod stamp;
mod tally;
mod test;
mod tidy;
mod tools;
mod up;
mod wasm_opt;
mod wasm_tests;

/// Builds, starts and checks Waybill.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build everything, start it on the embedded defaults and print the link.
    Up {
        /// Start it on a free port with an empty data folder, see that it serves, stop it again.
        #[arg(long)]
        check: bool,
        /// Passed on to `waybill serve`.
        #[arg(last = true)]
        serve_arguments: Vec<String>,
    },
    /// Run everything that must hold: format, lints, unit, integration, wasm and end-to-end tests.
    Test {
        /// Also what takes long.
        #[arg(long)]
        full: bool,
    },
    /// Build `waybill` with the console inside.
    Build {
        /// Optimised, as it is shipped: one file that runs anywhere.
        #[arg(long)]
        release: bool,
    },
    /// Measure.
    Bench {
        #[command(subcommand)]
        what: bench::Bench,
    },
    /// Write into docs/bad-inputs.md which test shows which row.
    Rows,
    /// Feed what reads other people's bytes with what finds new ways through it.
    Fuzz {
        /// One of the folders in fuzz/corpus; all of them by default.
        target: Option<String>,
        /// For how long each.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Kill it at random moments under load, and see that nothing is lost or doubled.
    Crash {
        /// How often.
        #[arg(long, default_value_t = 200)]
        kills: u32,
        /// The same seed chooses the same moments.
        #[arg(long, default_value_t = 1)]
        seed: u32,
    },
    /// Run the whole sending pipeline on simulated time with everything going wrong, for many seeds.
    Sim {
        /// How many seeds.
        #[arg(long, default_value_t = 1000)]
        seeds: u32,
        /// The first of them.
        #[arg(long, default_value_t = 1)]
        first: u32,
        /// This seed alone: what it does is the same every time.
        #[arg(long)]
        seed: Option<u32>,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Up { check: true, serve_arguments } => up::check(&serve_arguments),
        Task::Up { check: false, serve_arguments } => up::run(&serve_arguments),
        Task::Test { full } => test::run(full),
        Task::Build { release } => build_waybill::run(release),
        Task::Bench { what } => bench::run(&what),
        Task::Rows => {
            place::Place::find().and_then(|place| rows::write(&place)).map(|()| ExitCode::SUCCESS)
        }
        Task::Fuzz { target, seconds } => {
            fuzz::run(target.as_deref(), Duration::from_secs(seconds))
        }
        Task::Crash { kills, seed } => crash::run(kills, seed),
        Task::Sim { seeds, first, seed } => sim::run(seeds, first, seed),
    };
    result.unwrap_or_else(|error| {
        eprintln!("\nerror: {error:#}");
        ExitCode::FAILURE
    })
}
