//! The command line: what each word does, and with which exit code it ends.
//!
//! stdout carries only what was asked for; everything else goes to stderr.

mod audit;
mod backup;
mod completions;
mod rules;
mod sandbox;
mod schema;
mod serve;
mod simulate;
mod validate;
mod workflow;

pub use self::rules::reference as rules_reference;

use crate::config::{self, Config, Flags};
use crate::data_folder;
use clap::{Args, Parser, Subcommand};
use secrecy::ExposeSecret;
use std::path::PathBuf;
use std::process::ExitCode;

/// Send messages through Genesys Cloud conversations, watch what becomes of them, and prove it afterwards.
#[derive(Parser)]
#[command(name = "waybill", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the console and its API, and print the link that opens it.
    Serve(Common),
    /// Run the simulated platform alone and print where it is, as one line of JSON.
    Sandbox(sandbox::SandboxArgs),
    /// Send generated messages and follow each to its verdict: one line per message.
    Workflow(workflow::WorkflowArgs),
    /// Judge payloads by the rules the proxy judges by: what is wrong where, why, and how to mend it.
    Validate(validate::ValidateArgs),
    /// Write the messages of a scenario, one a line: the same seed gives the same messages.
    Simulate(simulate::SimulateArgs),
    /// List the rules, or explain one: what it says, why, how to mend it, what keeps and what breaks it.
    Rules(rules::RulesCommand),
    /// Print the JSON Schema of a payload.
    Schema,
    /// Print what makes a shell complete these words.
    Completions(completions::CompletionsArgs),
    /// Export sealed audit batches, and check an export offline.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Copy the database to a new file, while it is in use or not.
    Backup(backup::BackupArgs),
    /// Put a backup in the place of the database. No proxy may be using it; what it replaces is kept beside it.
    Restore(backup::RestoreArgs),
    /// Look at the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The launch token that opens the console.
    #[command(subcommand)]
    Token(TokenCommand),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Report every problem of the settings at once.
    Check(Common),
    /// Print the commented default settings.
    Default,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Replace the launch token; links with the old one stop working at once.
    Rotate(Common),
}

/// What most commands take.
#[derive(Args, Clone)]
pub struct Common {
    /// Settings that override the defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to serve; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything is good.
    Good,
    /// It worked, and found something.
    Findings,
    /// Bad usage or configuration.
    Usage,
    /// The storage failed.
    Storage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Good => 0,
            Exit::Findings => 1,
            Exit::Usage => 2,
            Exit::Storage => 3,
        })
    }
}

impl Cli {
    /// Runs the command.
    pub async fn run(self, environment: &[(String, String)]) -> Exit {
        match self.command {
            Command::Serve(common) => match load(&common, environment) {
                Ok(config) => serve::serve(&config).await,
                Err(exit) => exit,
            },
            Command::Sandbox(args) => sandbox::sandbox(args).await,
            Command::Workflow(args) => match load(args.common(), environment) {
                Ok(config) => workflow::workflow(&args, config).await,
                Err(exit) => exit,
            },
            Command::Validate(args) => validate::validate(&args, environment),
            Command::Simulate(args) => simulate::simulate(&args),
            Command::Rules(args) => rules::rules(&args, environment),
            Command::Schema => schema::schema(),
            Command::Completions(args) => completions::completions(&args),
            Command::Audit(audit::AuditCommand::Export(args)) => {
                match load(args.common(), environment) {
                    Ok(config) => audit::export(&args, &config).await,
                    Err(exit) => exit,
                }
            }
            Command::Audit(audit::AuditCommand::Verify(args)) => audit::verify(&args),
            Command::Backup(args) => match load(args.common(), environment) {
                Ok(config) => backup::backup(&args, &config),
                Err(exit) => exit,
            },
            Command::Restore(args) => match load(args.common(), environment) {
                Ok(config) => backup::restore(&args, &config),
                Err(exit) => exit,
            },
            Command::Config(ConfigCommand::Check(common)) => match load(&common, environment) {
                Ok(_) => {
                    eprintln!("waybill: the settings are good");
                    Exit::Good
                }
                Err(exit) => exit,
            },
            Command::Config(ConfigCommand::Default) => {
                print!("{}", include_str!("../../waybill.default.toml"));
                Exit::Good
            }
            Command::Token(TokenCommand::Rotate(common)) => match load(&common, environment) {
                Ok(config) => rotate(&config),
                Err(exit) => exit,
            },
        }
    }
}

fn load(common: &Common, environment: &[(String, String)]) -> Result<Config, Exit> {
    let flags = Flags {
        config: common.config.clone(),
        listen: common.listen.clone(),
        data: common.data.clone(),
    };
    config::load(&flags, environment).map_err(|problems| {
        eprint!("waybill: the settings cannot be used:\n{problems}");
        Exit::Usage
    })
}

/// Writes what was asked for. Whoever reads it may have seen enough.
fn print(text: &str) -> Exit {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Good,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Good,
        Err(error) => {
            eprintln!("waybill: standard output: {error}");
            Exit::Usage
        }
    }
}

fn rotate(config: &Config) -> Exit {
    match data_folder::rotate_launch_token(&config.data) {
        Ok(token) => {
            println!("{}", token.expose_secret());
            Exit::Good
        }
        Err(error) => {
            eprintln!("waybill: {}: {error}", config.data.display());
            Exit::Storage
        }
    }
}
