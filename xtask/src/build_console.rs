//! Builds the console: Trunk compiles and bundles it, and what the browser loads is compressed beside it.
//! The result is a folder the proxy embeds. A build whose sources, tools and finish are unchanged is not repeated.
//! The quick console (for `up` and `test`) and the release console live in folders of their own, so that neither
//! makes the other stale.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    command::{self, command},
    compress::{self, Effort},
    place::{self, Place},
    stamp,
    tools::Tools,
    wasm_opt::WasmOpt,
};

/// Everything the console is made from.
const SOURCES: [&str; 6] =
    ["frontend", "shared", "Cargo.toml", "Cargo.lock", "Trunk.toml", ".cargo"];

/// How much is done after compiling.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// Served to the person at this machine.
    Quick,
    /// `wasm-opt` and the best compression.
    Release,
}

/// A console that is up to date.
pub struct Console {
    /// The folder the proxy embeds.
    pub dist: PathBuf,
    /// Whether it had to be built.
    pub was_built: bool,
}

/// Where the console of this finish is, built or not.
pub fn dist(place: &Place, finish: Finish) -> PathBuf {
    place.target.join("console-dist").join(match finish {
        Finish::Quick => "quick",
        Finish::Release => "release",
    })
}

/// Builds it unless nothing changed since it was last built.
pub fn build(place: &Place, tools: &Tools, finish: Finish) -> Result<Console> {
    let dist = dist(place, finish);
    let stamp_file = dist.with_extension("stamp");
    let wasm_opt = match finish {
        Finish::Quick => None,
        Finish::Release => {
            let found = WasmOpt::find(place);
            if found.is_none() {
                eprintln!(
                    "      without wasm-opt: neither a recent one nor npm is on PATH; the console is about a third larger"
                );
            }
            found
        }
    };
    let rustc = command::capture(command(place, "rustc").arg("-vV"))?;
    let optimizer = wasm_opt.as_ref().map(WasmOpt::name).unwrap_or_default();
    let wanted = stamp::of(&place.root, &SOURCES, &[&tools.versions, rustc.trim(), &optimizer])?;
    let present = fs::read_to_string(&stamp_file).unwrap_or_default();
    if present == wanted && dist.join("index.html").is_file() {
        return Ok(Console { dist, was_built: false });
    }

    // A build that stops half-way must not look finished next time.
    let _ = fs::remove_file(&stamp_file);
    trunk(place, tools, &dist)?;
    if let Some(wasm_opt) = &wasm_opt {
        wasm_opt.shrink(place, &the_wasm_file(&dist)?)?;
    }
    compress::folder(
        &dist,
        match finish {
            Finish::Quick => Effort::Quick,
            Finish::Release => Effort::Best,
        },
    )?;
    fs::write(&stamp_file, wanted)
        .with_context(|| format!("failed to write {}", stamp_file.display()))?;
    Ok(Console { dist, was_built: true })
}

fn trunk(place: &Place, tools: &Tools, dist: &Path) -> Result<()> {
    fs::create_dir_all(dist).with_context(|| format!("failed to create {}", dist.display()))?;
    // Trunk copies every snippet it finds there, those of earlier builds too.
    let _ = fs::remove_dir_all(place.target.join("wasm-bindgen"));
    let bindgen_folder = tools.wasm_bindgen.parent().context("wasm-bindgen is in no folder")?;
    // Trunk looks for its tools on PATH before it would download them, and we have seen that the version fits.
    command::run(
        command(place, &tools.trunk)
            .args(["build", "--log", "warn", "--skip-version-check", "--dist"])
            .arg(dist)
            .env("PATH", place::path_with(&[bindgen_folder])?)
            // The compiler has said what is wrong; Trunk's own stack would only hide it.
            .env("RUST_LIB_BACKTRACE", "0"),
    )
    .context("the console could not be built")
}

fn the_wasm_file(dist: &Path) -> Result<PathBuf> {
    let mut files = BTreeSet::new();
    stamp::collect(dist, &mut files)?;
    let mut wasm = files
        .into_iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    match (wasm.next(), wasm.next()) {
        (Some(file), None) => Ok(file),
        _ => bail!("{} must hold exactly one wasm file", dist.display()),
    }
}
