//! Conventions that matter, checked by a program and not by reviewers: documented modules, no ignored tests, tests
//! that run in wasm too, no trace of one person's machine, and arrows between the rooms that only point at `shared`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{place::Place, stamp};

const ROOMS: [&str; 5] = ["shared", "frontend", "proxy", "tests", "xtask"];

/// Rooms that must not appear among a room's dependencies.
const FORBIDDEN: [(&str, &[&str]); 4] = [
    ("shared", &["frontend", "proxy", "tests", "xtask"]),
    ("frontend", &["proxy", "tests", "xtask"]),
    ("proxy", &["frontend", "tests", "xtask"]),
    // From outside only: the binary, not the library.
    ("tests", &["frontend", "proxy", "xtask"]),
];

/// Written in two halves, so that this file does not contain what it looks for.
const TRACES: [(&str, &str); 4] = [
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/ho", "me/"), "a path of one machine"),
    (concat!("crates", ".io"), "the name of a registry host"),
    (concat!("npmjs", ".org"), "the name of a registry host"),
];
const IGNORED: &str = concat!("#[", "ignore");
const WASM_TESTS: &str = "use wasm_bindgen_test::wasm_bindgen_test as test;";

/// Every violation, one line each.
pub fn check(place: &Place) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for file in files(&place.root)? {
        let name = file.strip_prefix(&place.root).unwrap_or(&file);
        let text = fs::read_to_string(&file)
            .with_context(|| format!("failed to read {}", name.display()))?;
        check_file(name, &text, &mut found);
    }
    for (room, forbidden) in FORBIDDEN {
        let manifest = place.read(&format!("{room}/Cargo.toml"))?;
        for other in forbidden.iter().filter(|other| depends(&manifest, other)) {
            found.push(format!("{room}/Cargo.toml: {room} must not depend on {other}"));
        }
    }
    Ok(found)
}

/// Everything people wrote: the rooms, the documents, and the files at the top.
fn files(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    for room in ROOMS.iter().chain(&["docs", ".ci", ".cargo", ".github"]) {
        stamp::collect(&root.join(room), &mut files)?;
    }
    let top = fs::read_dir(root).context("failed to read the workspace root")?;
    files.extend(top.flatten().map(|entry| entry.path()).filter(|path| path.is_file()));
    files.retain(|file| {
        let extension = file.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("rs" | "md" | "toml" | "sh" | "html"))
    });
    Ok(files)
}

fn check_file(name: &Path, text: &str, found: &mut Vec<String>) {
    for (number, line) in text.lines().enumerate() {
        for (trace, what) in TRACES.iter().filter(|(trace, _)| line.contains(trace)) {
            found.push(format!("{}:{}: {trace} is {what}", name.display(), number + 1));
        }
        if is_rust(name) && line.trim_start().starts_with(IGNORED) {
            found.push(format!(
                "{}:{}: no ignored tests; delete it or make it pass",
                name.display(),
                number + 1
            ));
        }
    }
    if !is_rust(name) {
        return;
    }
    if !text.starts_with("//!") {
        found.push(format!(
            "{}: begins without `//!`: say what the module owns, promises and does not do",
            name.display()
        ));
    }
    let in_browser = name.starts_with("shared") || name.starts_with("frontend");
    // Properties draw their cases with a library that is not built for wasm; each rule has cases beside them.
    let is_properties = name.file_stem().is_some_and(|stem| stem == "properties");
    if in_browser && !is_properties && text.contains("#[test]") && !text.contains(WASM_TESTS) {
        found.push(format!(
            "{}: its tests do not run in wasm; add `#[cfg(target_arch = \"wasm32\")] {WASM_TESTS}`",
            name.display()
        ));
    }
}

fn is_rust(name: &Path) -> bool {
    name.extension().is_some_and(|extension| extension == "rs")
}

/// Whether a manifest has a dependency of this name.
fn depends(manifest: &str, name: &str) -> bool {
    let mut among_dependencies = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            among_dependencies = table.ends_with("dependencies");
            if table.ends_with(&format!("dependencies.{name}")) {
                return true;
            }
        }
        let key = line.split(['.', '=', ' ']).next().unwrap_or_default();
        if among_dependencies && key == name {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str, text: &str) -> usize {
        let mut found = Vec::new();
        check_file(Path::new(name), text, &mut found);
        found.len()
    }

    #[test]
    fn a_tidy_file_has_no_findings() {
        let text = format!("//! Good.\n{WASM_TESTS}\n#[test]\nfn good() {{}}\n");
        assert_eq!(findings("shared/src/good.rs", &text), 0);
    }

    #[test]
    fn each_convention_is_noticed() {
        assert_eq!(findings("proxy/src/a.rs", "use std::fs;\n"), 1);
        assert_eq!(findings("shared/src/a.rs", "//! A.\n#[test]\nfn a() {}\n"), 1);
        let native = "//! A.\n#[test]\nfn a() {}\n";
        assert_eq!(findings("shared/src/rules/properties.rs", native), 0);
        let ignored = format!("//! A.\n    {IGNORED}]\n");
        assert_eq!(findings("proxy/src/a.rs", &ignored), 1);
        let trace = format!("See {}me/notes.\n", TRACES[0].0);
        assert_eq!(findings("README.md", &trace), 1);
    }

    #[test]
    fn dependencies_are_read_in_every_form() {
        assert!(depends("[dependencies]\nproxy = { path = \"../proxy\" }\n", "proxy"));
        assert!(depends("[dev-dependencies]\nproxy.workspace = true\n", "proxy"));
        assert!(depends("[dependencies.proxy]\npath = \"../proxy\"\n", "proxy"));
        assert!(!depends("[package]\nname = \"proxy\"\n[features]\nproxy = []\n", "proxy"));
        assert!(!depends("[dependencies]\nproxy-wasm = \"1\"\n", "proxy"));
    }
}
