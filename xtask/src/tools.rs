//! Brings what the build needs beyond cargo: the wasm target, rustfmt and clippy, Trunk, the `wasm-bindgen` CLI.
//! A tool on `PATH` at the right version is used; else the one in the per-user cache; else it is installed there
//! from the package registry. Nothing is downloaded from anywhere else, and nothing on `PATH` is changed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    command::{self, command},
    place::{self, Place},
};

/// The target the console is compiled for.
pub const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// 0.22 needs a newer compiler than the one this workspace asks for.
const TRUNK: &str = "0.21.14";

/// The tools of the console's build, each at the version the workspace asks for.
pub struct Tools {
    /// Trunk itself.
    pub trunk: PathBuf,
    /// The `wasm-bindgen` CLI.
    pub wasm_bindgen: PathBuf,
    /// Runs tests compiled to wasm; it comes with the CLI.
    pub test_runner: PathBuf,
    /// Their versions in one line: part of what the console is built from.
    pub versions: String,
}

/// Finds the tools, installing what is missing.
pub fn ensure(place: &Place) -> Result<Tools> {
    ensure_target(place)?;
    let version = wasm_bindgen_version(&place.read("Cargo.lock")?)?;
    let wasm_bindgen = Tool {
        package: "wasm-bindgen-cli",
        programs: &["wasm-bindgen", "wasm-bindgen-test-runner"],
        version: &version,
        usually: "about 1 min",
    };
    let trunk =
        Tool { package: "trunk", programs: &["trunk"], version: TRUNK, usually: "about 2 min" };
    let bindgen_folder = wasm_bindgen.ensure(place)?;
    let trunk_folder = trunk.ensure(place)?;
    Ok(Tools {
        trunk: trunk_folder.join("trunk"),
        wasm_bindgen: bindgen_folder.join("wasm-bindgen"),
        test_runner: bindgen_folder.join("wasm-bindgen-test-runner"),
        versions: format!("trunk {TRUNK}, wasm-bindgen {version}"),
    })
}

/// Adds a rustup component where the cargo subcommand it brings is missing.
pub fn ensure_component(place: &Place, subcommand: &str, component: &str) -> Result<()> {
    let found = command(place, "cargo")
        .args([subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if found {
        return Ok(());
    }
    command::run(command(place, "rustup").args(["component", "add", component])).with_context(
        || {
            format!(
                "`cargo {subcommand}` is missing and rustup could not add the component {component}"
            )
        },
    )
}

/// rustup may be set not to install targets by itself, so it is asked to.
fn ensure_target(place: &Place) -> Result<()> {
    let sysroot = command::capture(command(place, "rustc").args(["--print", "sysroot"]))?;
    let library = Path::new(sysroot.trim()).join("lib/rustlib").join(WASM_TARGET);
    if library.is_dir() {
        return Ok(());
    }
    eprintln!("      adding the compilation target {WASM_TARGET}");
    command::run(command(place, "rustup").args(["target", "add", WASM_TARGET])).with_context(|| {
        format!("the target {WASM_TARGET} is missing; without rustup, install it with your Rust distribution")
    })
}

/// The CLI must match the library to the last digit, so the lock file decides.
fn wasm_bindgen_version(lock: &str) -> Result<String> {
    lock.split("[[package]]")
        .find(|package| package.contains("name = \"wasm-bindgen\"\n"))
        .and_then(|package| package.split_once("version = \""))
        .and_then(|(_, rest)| rest.split('"').next())
        .map(str::to_owned)
        .context("Cargo.lock has no wasm-bindgen; run `cargo generate-lockfile`")
}

/// A program installed with `cargo install`.
struct Tool<'a> {
    package: &'a str,
    /// All of them must be there; the first answers `--version`.
    programs: &'a [&'a str],
    version: &'a str,
    usually: &'a str,
}

impl Tool<'_> {
    /// The folder that holds its programs at the right version.
    fn ensure(&self, place: &Place) -> Result<PathBuf> {
        if let Some(folder) = self.on_path() {
            return Ok(folder);
        }
        let cached = place.tools.join("bin");
        if !self.is_in(&cached) {
            self.install(place)?;
            if !self.is_in(&cached) {
                bail!(
                    "{} {} was installed into {} but does not answer with that version; remove that folder and try again",
                    self.package,
                    self.version,
                    place.tools.display()
                );
            }
        }
        Ok(cached)
    }

    fn on_path(&self) -> Option<PathBuf> {
        let program = place::find_program(&self.programs[..1])?;
        let folder = program.parent()?.to_owned();
        self.is_in(&folder).then_some(folder)
    }

    fn is_in(&self, folder: &Path) -> bool {
        let all_there = self.programs.iter().all(|program| folder.join(program).is_file());
        all_there
            && Command::new(folder.join(self.programs[0]))
                .arg("--version")
                .env_remove("NO_COLOR")
                .output()
                .is_ok_and(|output| {
                    String::from_utf8_lossy(&output.stdout)
                        .split_whitespace()
                        .any(|word| word == self.version)
                })
    }

    /// Unoptimised and without its downloaders: it compiles in a quarter of the time, and what it does here is small.
    fn install(&self, place: &Place) -> Result<()> {
        eprintln!(
            "      installing {} {} into {} (once; {} on 2 cores)",
            self.package,
            self.version,
            place.tools.display(),
            self.usually
        );
        let build = place.tools.join("build");
        let mut install = command(place, "cargo");
        install
            .args(["install", self.package, "--version", self.version])
            .args(["--locked", "--debug", "--no-default-features", "--force"])
            .arg("--root")
            .arg(&place.tools)
            .env("CARGO_TARGET_DIR", &build)
            .env("CARGO_PROFILE_DEV_DEBUG", "0");
        let installed = command::run(&mut install).with_context(|| {
            format!(
                "{} {} could not be installed; it is also accepted on PATH at exactly that version",
                self.package, self.version
            )
        });
        // Only space is lost when this fails.
        let _ = fs::remove_dir_all(&build);
        installed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_decides_the_version() -> Result<()> {
        let lock = "version = 4\n\n[[package]]\nname = \"wasm-bindgen-macro\"\nversion = \"0.2.1\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.129\"\n";
        assert_eq!(wasm_bindgen_version(lock)?, "0.2.129");
        assert!(wasm_bindgen_version("version = 4\n").is_err());
        Ok(())
    }
}
