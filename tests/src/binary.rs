//! Where the binary under test is.

use std::path::PathBuf;
use std::process::Stdio;
use tokio::process::Command;

/// The `waybill` to test: what `WAYBILL_BIN` names, else the debug build beside these tests.
pub fn path() -> PathBuf {
    let path = match std::env::var_os("WAYBILL_BIN") {
        Some(path) => PathBuf::from(path),
        None => {
            let own = std::env::current_exe().expect("a test knows where it is");
            // target/debug/deps/it-…
            own.ancestors().nth(2).expect("a test is in target/debug/deps").join("waybill")
        }
    };
    assert!(
        path.is_file(),
        "there is no binary at {}: run cargo xtask test, which builds it",
        path.display()
    );
    path
}

/// The binary with nothing of this machine's environment, so that a test means the same everywhere.
pub fn command() -> Command {
    let mut command = Command::new(path());
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// What a command that ended has said.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What was asked for.
    pub stdout: String,
    /// Everything else.
    pub stderr: String,
}

/// Runs a command to its end.
pub async fn run(command: &mut Command) -> Ended {
    let output = command.output().await.expect("the binary starts");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Sends `signal` (`TERM`, `STOP`, …) to one process.
pub async fn signal(process: u32, signal: &str) {
    let status = Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", signal, &process.to_string()])
        .status()
        .await
        .expect("sh starts");
    assert!(status.success(), "process {process} could not be sent {signal}");
}
