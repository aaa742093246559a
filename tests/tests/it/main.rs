//! End-to-end tests, one module for each promise. Every test has its own processes and data folder.
#![expect(clippy::expect_used, reason = "a helper that fails is a test that fails")]

mod api;
mod cli;
mod faults;
mod kill;
mod secrets;
mod security;
mod sinks;
mod stream;
