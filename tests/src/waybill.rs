//! `waybill serve` as a process.

use crate::api::Api;
use crate::binary;
use std::fs::OpenOptions;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(15);

/// A serving proxy; dropping it kills it.
pub struct Waybill {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    /// The line it printed: the link that opens the console.
    pub link: String,
    /// The API with its token.
    pub api: Api,
}

impl Waybill {
    /// Starts the command and waits for its link; its log is added to the file at `log`.
    pub async fn start(command: &mut Command, log: &Path) -> Self {
        let (child, mut stdout) = spawn(command, log);
        let line = timeout(START, stdout.next_line()).await;
        let Ok(Ok(Some(link))) = line else {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            panic!("waybill serve printed no link: {line:?}\n{log}");
        };
        let (base_url, token) = link.split_once("/#token=").expect("the link holds a token");
        let api = Api::new(base_url, token);
        Self { child, stdout, link, api }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.api.base_url.trim_start_matches("http://")
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address()
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .expect("an address has a port")
    }

    /// SIGKILL, and waits until it is gone.
    pub async fn kill9(mut self) {
        self.child.kill().await.expect("a running process can be killed");
    }

    /// Waits until it has ended by itself; `None` if it still runs after `patience`.
    pub async fn ended(&mut self, patience: Duration) -> Option<ExitStatus> {
        let status = timeout(patience, self.child.wait()).await.ok()?;
        Some(status.expect("it can be waited for"))
    }

    /// SIGTERM, and waits until it has ended by itself; everything else it printed, and how it ended.
    pub async fn terminate(mut self) -> (ExitStatus, Vec<String>) {
        let process = self.child.id().expect("it is running");
        binary::signal(process, "TERM").await;
        let status = timeout(STOP, self.child.wait()).await;
        let status = status.expect("it ends within 15 s of SIGTERM").expect("it can be waited for");
        let mut lines = Vec::new();
        while let Ok(Some(line)) = self.stdout.next_line().await {
            lines.push(line);
        }
        (status, lines)
    }

    /// The process's id.
    pub fn process(&self) -> u32 {
        self.child.id().expect("it is running")
    }
}

/// Starts a command whose stdout is read by the line and whose stderr is added to a file.
pub(crate) fn spawn(command: &mut Command, log: &Path) -> (Child, Lines<BufReader<ChildStdout>>) {
    let log = OpenOptions::new().create(true).append(true).open(log).expect("a log can be made");
    let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the binary starts");
    let stdout = child.stdout.take().expect("stdout is piped");
    (child, BufReader::new(stdout).lines())
}
