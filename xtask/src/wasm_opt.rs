//! Finds binaryen's `wasm-opt` for the release console and runs it.
//! It takes a quarter off the first load and is never required: without it, and without Node to install it,
//! the console is shipped as the compiler made it, and we say so.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{
    command::{self, command},
    place::{self, Place},
};

/// Distributions carry versions that do not know the features today's compiler uses.
const OLDEST: u32 = 116;

/// The npm package that is installed where `PATH` has none that is new enough.
const BINARYEN: &str = "132.0.0";

/// What rustc emits for the wasm target; wasm-bindgen drops the section that would tell.
const FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// A `wasm-opt` that is new enough.
pub struct WasmOpt {
    program: PathBuf,
    version: u32,
}

impl WasmOpt {
    /// Finds or installs it; `None` where neither is possible.
    pub fn find(place: &Place) -> Option<WasmOpt> {
        let prefix = place.tools.join("npm");
        let cached = prefix.join("node_modules/.bin/wasm-opt");
        let on_path = place::find_program(&["wasm-opt"]);
        let known = on_path
            .into_iter()
            .chain([cached.clone()])
            .find_map(|program| WasmOpt::at(place, program));
        if known.is_some() {
            return known;
        }
        let npm = place::find_program(&["npm"])?;
        eprintln!("      installing binaryen {BINARYEN} for wasm-opt (once; about 10 s)");
        let mut install = command(place, npm);
        install
            .args([
                "install",
                "--silent",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--prefix",
            ])
            .arg(&prefix)
            .arg(format!("binaryen@{BINARYEN}"));
        if let Err(error) = command::run(&mut install) {
            eprintln!("      {error:#}");
            return None;
        }
        WasmOpt::at(place, cached)
    }

    fn at(place: &Place, program: PathBuf) -> Option<WasmOpt> {
        if !program.is_file() {
            return None;
        }
        let said = command::capture(command(place, &program).arg("--version")).ok()?;
        let version = said.split_whitespace().find_map(|word| word.parse().ok())?;
        (version >= OLDEST).then_some(WasmOpt { program, version })
    }

    /// What it is, for the stamp and for people.
    pub fn name(&self) -> String {
        format!("wasm-opt {}", self.version)
    }

    /// Rewrites a wasm file in place, for size.
    pub fn shrink(&self, place: &Place, wasm: &Path) -> Result<()> {
        command::capture(
            command(place, &self.program).arg("-Oz").args(FEATURES).arg(wasm).arg("-o").arg(wasm),
        )
        .map(drop)
        .with_context(|| format!("wasm-opt could not shrink {}", wasm.display()))
    }
}
