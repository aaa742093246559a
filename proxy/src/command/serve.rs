//! `waybill serve`: one line on stdout when it serves, then work until a signal.

use super::Exit;
use crate::app;
use crate::config::Config;
use crate::data_folder::{self, DataFolder, Opened};
use crate::telemetry;
use secrecy::ExposeSecret;
use std::io::Write;

/// Serves until SIGTERM or SIGINT. When another process serves this data folder already, prints that one's
/// link and ends well.
pub async fn serve(config: &Config) -> Exit {
    telemetry::start(&config.log);
    let data = match DataFolder::open(&config.data) {
        Ok(Opened::Free(data)) => data,
        Ok(Opened::Served(address)) => return print_link_of(config, &address),
        Err(error) => {
            eprintln!("waybill: {}: {error}", config.data.display());
            return Exit::Storage;
        }
    };
    // Before the first byte is printed, so that a signal sent by whoever reads it is not lost.
    let mut signal = match Signal::listen() {
        Ok(signal) => signal,
        Err(error) => {
            eprintln!("waybill: signals cannot be received: {error}");
            return Exit::Usage;
        }
    };
    let running = match app::start(config, data).await {
        Ok(running) => running,
        Err(error) => {
            eprintln!("waybill: {error}");
            return if error.is_storage() { Exit::Storage } else { Exit::Usage };
        }
    };
    print_line(running.link().expose_secret());
    let exit = tokio::select! {
        () = signal.received() => Exit::Good,
        () = running.broken() => Exit::Storage,
    };
    running.stop(config.shutdown).await;
    exit
}

fn print_link_of(config: &Config, address: &str) -> Exit {
    match data_folder::launch_token_of(&config.data) {
        Ok(token) => {
            eprintln!("waybill: already serving this data folder");
            print_line(&app::link(address, &token));
            Exit::Good
        }
        Err(error) => {
            eprintln!("waybill: {}: {error}", config.data.display());
            Exit::Storage
        }
    }
}

/// One line on stdout, at once. A reader that has gone away is not a reason to stop serving.
pub fn print_line(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// SIGTERM or SIGINT.
pub struct Signal {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signal {
    /// Starts listening; from here on the signals no longer end the process by themselves.
    #[cfg(unix)]
    pub fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Starts listening.
    #[cfg(not(unix))]
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for one of them.
    pub async fn received(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
