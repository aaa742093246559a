//! Running other programs: one way to build a command, one way to say that it failed.
//! Every command starts in the workspace root with an environment free of what `cargo run` put there for this
//! program alone, so that what it builds is the same as when a person had typed it.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    io::{BufRead, BufReader, IsTerminal, Read, Write},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result, bail};

use crate::place::Place;

/// A command in the workspace root with a clean environment.
pub fn command(place: &Place, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(&place.root);
    for (name, _) in std::env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let of_this_package = text.starts_with("CARGO_PKG_")
            || matches!(
                text,
                "CARGO"
                    | "CARGO_BIN_NAME"
                    | "CARGO_CRATE_NAME"
                    | "CARGO_MANIFEST_DIR"
                    | "CARGO_MANIFEST_PATH"
                    | "CARGO_PRIMARY_PACKAGE"
                    | "OUT_DIR"
            );
        // Trunk reads NO_COLOR as a boolean and stops at "1".
        if of_this_package || text == "NO_COLOR" {
            command.env_remove(&name);
        }
    }
    // Absolute, because a relative one would be read from another folder than the one it was written in.
    command.env("CARGO_TARGET_DIR", &place.target);
    command
}

/// A `cargo` command in the workspace root.
pub fn cargo(place: &Place, arguments: &[&str]) -> Command {
    let mut command = command(place, "cargo");
    command.args(arguments);
    command
}

/// Runs to the end with the terminal as its output.
pub fn run(command: &mut Command) -> Result<()> {
    let status =
        command.status().with_context(|| format!("failed to start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs to the end and returns what it wrote to stdout; its stderr is shown only when it fails.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("failed to start `{}`", shown(command)))?;
    if !output.status.success() {
        bail!(
            "`{}` failed ({}):\n{}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs to the end, passing its output through as it comes, and returns whether it succeeded with every line it
/// wrote, stdout and stderr mixed, without colours.
pub fn run_and_read(command: &mut Command) -> Result<(bool, Vec<String>)> {
    // A pipe makes cargo drop its colours; a person at a terminal still wants them.
    if std::io::stderr().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start `{}`", shown(command)))?;
    let out = child.stdout.take().context("the child has no stdout")?;
    let err = child.stderr.take().context("the child has no stderr")?;
    let err_reader = thread::spawn(move || pass_through(err, std::io::stderr()));
    let mut lines = pass_through(out, std::io::stdout());
    if let Ok(err_lines) = err_reader.join() {
        lines.extend(err_lines);
    }
    let status = child.wait().context("failed to wait for a child")?;
    Ok((status.success(), lines))
}

fn pass_through(from: impl Read, mut to: impl Write) -> Vec<String> {
    let mut lines = Vec::new();
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        // A closed terminal must not stop the command whose result we are after.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        lines.push(without_colours(String::from_utf8_lossy(&line).trim_end()));
        line.clear();
    }
    lines
}

/// Drops the terminal's escape sequences: from ESC to the first letter.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut escaped = false;
    for letter in line.chars() {
        if letter == '\u{1b}' {
            escaped = true;
        } else if !escaped {
            plain.push(letter);
        } else if letter.is_ascii_alphabetic() {
            escaped = false;
        }
    }
    plain
}

/// The command as a person would type it.
pub fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        // Writing to a String cannot fail.
        let _ = write!(text, " {}", argument.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_dropped() {
        assert_eq!(
            without_colours("\u{1b}[32;1m     Summary\u{1b}[0m [ 0.1s] 3 passed"),
            "     Summary [ 0.1s] 3 passed"
        );
    }

    #[test]
    fn a_command_is_shown_as_typed() {
        assert_eq!(shown(Command::new("cargo").args(["fmt", "--all"])), "cargo fmt --all");
    }
}
