//! What reads other people's bytes never panics on them: on the collected examples, on what is left of them
//! after a few changes, and on noise. `cargo xtask fuzz` looks further.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test would")]

use proptest::prelude::*;
use proptest::sample::Index;
use proxy::fuzz;
use std::path::PathBuf;

/// The examples of a target, which the fuzzer begins with.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files = std::fs::read_dir(folder).unwrap();
    files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

/// One change: a byte replaced, removed or put in, a piece doubled, or the rest cut off.
fn change(bytes: &mut Vec<u8>, how: u8, at: &Index, byte: u8) {
    let at = at.index(bytes.len() + 1);
    match how % 5 {
        0 if at < bytes.len() => bytes[at] = byte,
        1 if at < bytes.len() => drop(bytes.remove(at)),
        2 => bytes.truncate(at),
        3 => bytes.extend_from_within(..at.min(64)),
        _ => bytes.insert(at, byte),
    }
}

fn holds(target: &str) {
    let (_, feed) = fuzz::TARGETS.into_iter().find(|(name, _)| *name == target).unwrap();
    let examples = corpus(target);
    assert!(!examples.is_empty());
    examples.iter().for_each(|example| feed(example));
    let changes = prop::collection::vec((any::<u8>(), any::<Index>(), any::<u8>()), 1..8);
    let mut config = ProptestConfig::with_cases(512);
    config.failure_persistence = None;
    proptest!(config, |(which in any::<Index>(), changes in changes)| {
        let mut bytes = which.get(&examples).clone();
        for (how, at, byte) in &changes {
            change(&mut bytes, *how, at, *byte);
        }
        feed(&bytes);
    });
    let mut config = ProptestConfig::with_cases(512);
    config.failure_persistence = None;
    proptest!(config, |(bytes in prop::collection::vec(any::<u8>(), 0..512))| feed(&bytes));
}

#[test]
fn request_bodies_never_panic() {
    holds("api_json");
}

#[test]
fn platform_answers_never_panic() {
    holds("platform_json");
}

#[test]
fn headers_never_panic() {
    holds("headers");
}

#[test]
fn settings_never_panic() {
    holds("settings");
}

#[test]
fn sink_answers_never_panic() {
    holds("sink_reply");
}

#[test]
fn payloads_are_judged_the_same_twice_and_never_panic() {
    holds("validate");
}

#[test]
fn templates_never_panic_and_leave_no_hole_unsaid() {
    holds("template");
}

/// Bad inputs, row 44.
#[test]
fn tables_never_panic_and_are_read_the_same_however_they_arrive() {
    holds("table");
}

#[test]
fn base64_is_what_a_strict_reader_takes() {
    holds("base64");
}
