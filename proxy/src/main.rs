//! The binary `waybill`: reads the command line and the environment, and ends with the exit code of the
//! command. 0 good, 1 findings, 2 bad usage or configuration, 3 storage failure.

use clap::Parser;
use proxy::command::Cli;
use proxy::failpoint;
use std::process::ExitCode;

fn main() -> ExitCode {
    // One TLS provider for everything; a second call cannot happen.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let cli = Cli::parse();
    if let Err(error) = failpoint::arm(&environment) {
        eprintln!("waybill: {error}");
        return ExitCode::from(2);
    }
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(cli.run(&environment)).into(),
        Err(error) => {
            eprintln!("waybill: cannot start: {error}");
            ExitCode::from(2)
        }
    }
}
