//! `waybill completions`: a script that makes a shell complete the command's words, made from their definition.

use super::{Cli, Exit};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// What `waybill completions` takes.
#[derive(Args)]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Prints the script.
pub fn completions(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "waybill", &mut script);
    super::print(&String::from_utf8_lossy(&script))
}
