//! Logs: structured, to stderr, with identifiers and without secrets, bodies or addresses.

use crate::config::LogConfig;
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// Starts logging. A second call changes nothing.
pub fn start(config: &LogConfig) {
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let started =
        if config.json { builder.json().try_init() } else { builder.with_target(false).try_init() };
    // Already started by an embedding program or a test: its choice stands.
    let _ = started;
}
