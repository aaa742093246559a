//! End-to-end tests, one module for each promise. Every test has its own processes and data folder.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod api;
mod backup;
mod cli;
mod console;
mod crash;
mod disk;
mod faults;
mod kill;
mod kill_points;
mod lab;
mod program;
mod secrets;
mod security;
mod sinks;
mod stream;
mod tls;
mod unknown;
mod upstream;
mod validate;
