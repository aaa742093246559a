//! `waybill sandbox`: the simulated platform as a program of its own, for tests and other clients.

use super::Exit;
use super::serve::{Signal, print_line};
use crate::config::LogConfig;
use crate::data_folder;
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::{scenario, server, telemetry};
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What `waybill sandbox` takes.
#[derive(Args)]
pub struct SandboxArgs {
    /// Where to serve; port 0 takes a free one. Loopback only: its control calls need no credentials.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The same seed gives the same platform.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// What becomes of messages: guide, busy-hour, incident, hostile, lost-receipts, or a scenario's file.
    #[arg(long, value_name = "FILE|NAME", default_value = "guide")]
    scenario: String,
    /// Keep its state in this file; without it everything is forgotten at the end.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Verify audit batches with the secret in this file.
    #[arg(long, value_name = "FILE")]
    audit_secret_file: Option<PathBuf>,
}

/// Serves until a signal.
pub async fn sandbox(args: SandboxArgs) -> Exit {
    telemetry::start(&LogConfig { json: false, filter: "info".into() });
    let fail = |text: String, exit| {
        eprintln!("waybill: {text}");
        exit
    };
    if !args.listen.ip().is_loopback() {
        return fail(format!("{} is not loopback", args.listen), Exit::Usage);
    }
    let audit_secret =
        match args.audit_secret_file.as_deref().map(data_folder::read_secret).transpose() {
            Ok(secret) => secret,
            Err(error) => {
                return fail(format!("the audit secret cannot be read: {error}"), Exit::Usage);
            }
        };
    let scenario = match scenario::find(&args.scenario) {
        Ok(scenario) => scenario,
        Err(text) => return fail(format!("--scenario: {text}"), Exit::Usage),
    };
    let mut signal = match Signal::listen() {
        Ok(signal) => signal,
        Err(error) => return fail(format!("signals cannot be received: {error}"), Exit::Usage),
    };
    let options = SandboxOptions {
        seed: args.seed,
        scenario: Some(scenario),
        data: args.data,
        audit_secret,
        audit_previous_secret: None,
        client_id: None,
        client_secret: None,
        ..SandboxOptions::default()
    };
    let sandbox = match Sandbox::open(options) {
        Ok(sandbox) => sandbox,
        Err(error) => return fail(error.to_string(), Exit::Storage),
    };
    let listener = match TcpListener::bind(args.listen).await {
        Ok(listener) => listener,
        Err(error) => {
            return fail(format!("{} cannot be listened on: {error}", args.listen), Exit::Usage);
        }
    };
    let base_url = match listener.local_addr() {
        Ok(address) => format!("http://{address}"),
        Err(error) => return fail(error.to_string(), Exit::Usage),
    };
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server::serve(
        listener,
        sandbox.router(),
        stop.clone(),
        Duration::from_secs(2),
    ));
    print_line(&sandbox.announcement(&base_url).to_string());
    signal.received().await;
    stop.cancel();
    let _ = serving.await;
    Exit::Good
}
