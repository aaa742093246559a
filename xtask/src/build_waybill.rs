//! Builds the binary `waybill` around a console, and `cargo xtask build`, which makes the one that is shipped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};

use crate::{
    bench,
    build_console::{self, Finish},
    command::{self, cargo},
    place::Place,
    progress::Progress,
    tools,
};

/// The variable with which the proxy's build script learns which console to embed.
pub const CONSOLE_VARIABLE: &str = "WAYBILL_CONSOLE_DIST";

/// Compiles the binary with this console inside and returns where it is.
pub fn build(place: &Place, dist: &Path, finish: Finish) -> Result<PathBuf> {
    let mut build = cargo(place, &["build", "--package", "proxy", "--bin", "waybill"]);
    let profile_folder = match finish {
        Finish::Quick => "debug",
        Finish::Release => {
            build.arg("--release");
            "release"
        }
    };
    command::run(build.env(CONSOLE_VARIABLE, dist))?;
    let name = format!("waybill{}", std::env::consts::EXE_SUFFIX);
    Ok(place.target.join(profile_folder).join(name))
}

/// `cargo xtask build [--release]`.
pub fn run(release: bool) -> Result<ExitCode> {
    let place = Place::find()?;
    let finish = if release { Finish::Release } else { Finish::Quick };
    let mut progress = Progress::new(3);

    progress.step("Looking for the tools");
    let tools = tools::ensure(&place)?;
    progress.done("ready");

    progress.step("Building the console (about 2 min the first time)");
    let console = build_console::build(&place, &tools, finish)?;
    progress.done(if console.was_built { "built" } else { "nothing changed, checked" });

    progress.step(if release {
        "Building waybill, optimised (about 5 min the first time)"
    } else {
        "Building waybill (about 3 min the first time)"
    });
    let binary = build(&place, &console.dist, finish)?;
    progress.done("built");

    let size = fs::metadata(&binary)
        .with_context(|| format!("{} is missing after its build", binary.display()))?
        .len();
    let load = bench::first_load(&console.dist)?;
    println!("{}  {}", binary.display(), bench::shown_size(size));
    println!(
        "first load of the console  {} raw, {} brotli",
        bench::shown_size(load.total().raw),
        bench::shown_size(load.total().brotli)
    );
    eprintln!("in {}", progress.elapsed());
    Ok(ExitCode::SUCCESS)
}
