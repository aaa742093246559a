//! Workers that run when a test says so: what they do when the platform does not.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test would")]

#[cfg(unix)]
mod adopting;
mod horizon;
mod learning;
mod refusals;
mod stage;
