//! A temporary place for one proxy: its data folder, its settings, its log. It outlives the processes that
//! run in it, so that a test can kill one and start the next.

use crate::binary::{self, Ended};
use crate::waybill::Waybill;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::process::Command;

/// The place.
pub struct Place {
    folder: TempDir,
    has_config: bool,
    environment: Vec<(String, String)>,
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// A place with the default settings: SQLite and the in-process sandbox.
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("waybill-e2e-").expect("a temporary folder can be made");
        fs::DirBuilder::new()
            .mode(0o700)
            .create(folder.path().join("data"))
            .expect("the data folder can be made");
        Self { folder, has_config: false, environment: Vec::new() }
    }

    /// The settings file from now on.
    pub fn configure(&mut self, settings: &str) {
        self.write("waybill.toml", settings.as_bytes());
        self.has_config = true;
    }

    /// A variable of every process started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.into(), value.into()));
    }

    /// Writes a file that only its owner can read; its path.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        let mut file = fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .expect("a file can be made");
        std::io::Write::write_all(&mut file, bytes).expect("a file can be written");
        path
    }

    /// A path in the place.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// A file of the data folder as text.
    pub fn data_text(&self, name: &str) -> String {
        let path = self.data().join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Everything the processes of this place have logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Where the log is.
    pub fn log_path(&self) -> PathBuf {
        self.path("stderr.log")
    }

    /// `waybill WORDS…` in this place, with its data folder and settings.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = binary::command();
        command.args(words).arg("--data").arg(self.data());
        if self.has_config {
            command.arg("--config").arg(self.path("waybill.toml"));
        }
        command.env("HOME", self.folder.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `waybill WORDS…` to its end.
    pub async fn run(&self, words: &[&str]) -> Ended {
        binary::run(&mut self.command(words)).await
    }

    /// Starts `waybill serve` on a free port.
    pub async fn serve(&self) -> Waybill {
        self.serve_at("127.0.0.1:0").await
    }

    /// Starts `waybill serve` at an address.
    pub async fn serve_at(&self, address: &str) -> Waybill {
        let mut command = self.command(&["serve", "--listen", address]);
        Waybill::start(&mut command, &self.log_path()).await
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
