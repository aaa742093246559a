//! Runs the tests of `shared` and of the console compiled to wasm, in the browser the console is used with, and
//! sees that none of `shared`'s was left out: a test that runs natively and not in wasm proves nothing about the page.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};

use crate::{
    command::{self, cargo},
    packages::{self, Browser},
    place::Place,
    tally::Tally,
    tools::{Tools, WASM_TARGET},
};

/// Runs them all, and compares those of `shared` with what there is natively.
pub fn run(place: &Place, tools: &Tools, tally: &mut Tally) -> Result<()> {
    let browser = packages::ensure_browser(place)?;
    let console = run_package("frontend", place, tools, &browser, tally);
    let shared = run_package("shared", place, tools, &browser, tally)?;
    console?;

    let list = ["test", "-p", "shared", "--tests", "--", "--list"];
    // Properties draw their cases with a library that is not built for wasm; each rule has cases beside them.
    let mut native = native_names(&command::capture(&mut cargo(place, &list))?);
    native.retain(|name| !name.contains("::properties::"));
    let in_wasm = wasm_names(&shared);
    let passed = Tally::read(&shared).passed;
    if passed != native.len() {
        let missing: Vec<&str> =
            native.iter().filter(|name| !in_wasm.contains(*name)).map(String::as_str).collect();
        bail!(
            "{} tests of shared run natively and {passed} in wasm; not in wasm: {}",
            native.len(),
            missing.join(", ")
        );
    }
    Ok(())
}

/// Runs the tests of one package and returns what the runner wrote.
fn run_package(
    package: &str,
    place: &Place,
    tools: &Tools,
    browser: &Browser,
    tally: &mut Tally,
) -> Result<Vec<String>> {
    let mut tests = cargo(place, &["test", "-p", package, "--tests", "--no-fail-fast"]);
    tests
        .args(["--target", WASM_TARGET])
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", &tools.test_runner)
        .env("WASM_BINDGEN_USE_BROWSER", "1")
        .env("WASM_BINDGEN_TEST_TIMEOUT", "300")
        .env("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", "30")
        .env("CHROMEDRIVER", &browser.driver);
    // The runner would prefer these to the driver we name.
    for other in ["GECKODRIVER", "SAFARIDRIVER", "MSEDGEDRIVER", "CHROMEDRIVER_REMOTE"] {
        tests.env_remove(other);
    }
    let (succeeded, lines) = command::run_and_read(&mut tests)?;
    *tally += Tally::read(&lines);
    ensure!(succeeded, "`{}` failed", command::shown(&tests));
    Ok(lines)
}

/// The names of a `--list`; one that occurs in two test binaries counts twice.
fn native_names(list: &str) -> Vec<String> {
    list.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

/// The names the runner reports as passed.
fn wasm_names(lines: &[String]) -> BTreeSet<String> {
    lines
        .iter()
        .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... ok"))
        .map(|name| name.trim_start_matches("shared::").to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_both_runners_compare() {
        let native =
            native_names("plan::tests::a: test\nplan::tests::b: test\n\n2 tests, 0 benchmarks\n");
        let wasm = wasm_names(&["test shared::plan::tests::a ... ok".to_owned()]);
        assert_eq!(native, ["plan::tests::a", "plan::tests::b"]);
        assert!(wasm.contains(&native[0]) && !wasm.contains(&native[1]));
    }
}
