//! `waybill backup` and `waybill restore`: a copy of the database while it is in use, and putting one back.

use super::serve::print_line;
use super::{Common, Exit};
use crate::clock;
use crate::config::Config;
use crate::data_folder::{DataFolder, Opened};
use crate::store::sqlite;
use crate::store::sqlite::backup::{self, BackupError, Contents};
use clap::Args;
use std::path::PathBuf;

/// What `waybill backup` takes.
#[derive(Args)]
pub struct BackupArgs {
    /// The file to make; one that exists is never overwritten.
    #[arg(value_name = "TO")]
    to: PathBuf,
    #[command(flatten)]
    common: Common,
}

/// What `waybill restore` takes.
#[derive(Args)]
pub struct RestoreArgs {
    /// What `waybill backup` made.
    #[arg(value_name = "FROM")]
    from: PathBuf,
    #[command(flatten)]
    common: Common,
}

impl BackupArgs {
    /// What it shares with other commands.
    pub fn common(&self) -> &Common {
        &self.common
    }
}

impl RestoreArgs {
    /// What it shares with other commands.
    pub fn common(&self) -> &Common {
        &self.common
    }
}

/// Copies the database, whether or not a proxy uses it, and prints one line about the copy.
pub fn backup(args: &BackupArgs, config: &Config) -> Exit {
    match backup::back_up(&sqlite::path_in(&config.data), &args.to) {
        Ok(contents) => {
            print_line(&format!("{}: {}", args.to.display(), shown(&contents)));
            Exit::Good
        }
        Err(error) => failed(&error),
    }
}

/// Puts a backup in the place of the database, while no proxy uses it, and prints one line about what is there now.
pub fn restore(args: &RestoreArgs, config: &Config) -> Exit {
    // Held until the end, so that no proxy starts in between.
    let _folder = match DataFolder::open(&config.data) {
        Ok(Opened::Free(folder)) => folder,
        Ok(Opened::Served(address)) => {
            let data = config.data.display();
            eprintln!("waybill: {data}: a proxy serves it at {address}; stop it first");
            return Exit::Usage;
        }
        Err(error) => {
            eprintln!("waybill: {}: {error}", config.data.display());
            return Exit::Storage;
        }
    };
    let database = sqlite::path_in(&config.data);
    let connections: Vec<_> =
        config.connections.iter().map(|one| (one.name.clone(), one.policy.clone())).collect();
    match backup::restore(&database, &args.from, &connections, clock::now()) {
        Ok(done) => {
            print_line(&format!("{}: {}", database.display(), shown(&done.contents)));
            if let Some(replaced) = done.replaced {
                eprintln!("waybill: what it replaced is in {}", replaced.display());
            }
            if done.doubtful > 0 {
                let doubtful = done.doubtful;
                eprintln!(
                    "waybill: {doubtful} messages may have been sent since the backup; what became of them is found out first"
                );
            }
            if done.streams > 0 {
                let streams = done.streams;
                eprintln!("waybill: {streams} audit streams begin anew, as the sink will see");
            }
            Exit::Good
        }
        Err(error) => failed(&error),
    }
}

fn shown(contents: &Contents) -> String {
    let Contents { schema, messages, batches } = contents;
    format!("schema {schema}, {messages} messages, {batches} batches")
}

fn failed(error: &BackupError) -> Exit {
    eprintln!("waybill: {error}");
    if error.is_storage() { Exit::Storage } else { Exit::Usage }
}
