//! Headless Chromium, driven through ChromeDriver, with a fresh profile and what a test looks for.
//!
//! Elements are found by `data-testid` only, so that neither words nor looks of the page break a test.

use crate::http;
use crate::wait::{eventually, found};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use tempfile::TempDir;
use thirtyfour::common::log::LoggingPrefsLogLevel;
use thirtyfour::prelude::*;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A browser with one window; dropping it ends browser and driver.
pub struct Browser {
    /// The session, for whatever is not wrapped here.
    pub driver: WebDriver,
    process: Child,
    profile: Profile,
}

/// The folder of one browser. It ends whatever still runs in it: a driver that is killed leaves its browser behind.
struct Profile(TempDir);

impl Drop for Profile {
    fn drop(&mut self) {
        let running =
            std::process::Command::new("pkill").args(["-KILL", "-f"]).arg(self.0.path()).status();
        if let Err(error) = running {
            eprintln!("a browser may be left running: {error}");
        }
    }
}

impl Browser {
    /// Starts ChromeDriver on a free port and a browser with an empty profile.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with these arguments for the browser.
    pub async fn start_with(more: &[&str]) -> Self {
        let chromedriver = program("CHROMEDRIVER", &["chromedriver"]);
        let chromium = program("CHROMIUM", &["chromium", "chromium-browser", "google-chrome"]);
        let profile = TempDir::with_prefix("waybill-browser-").expect("a folder can be made");
        let profile = Profile(profile);
        let mut process = Command::new(chromedriver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .env("HOME", profile.0.path())
            .kill_on_drop(true)
            .spawn()
            .expect("ChromeDriver starts");
        let stdout = process.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines();
        let port = loop {
            let line = lines.next_line().await.ok().flatten().expect("ChromeDriver says its port");
            if let Some((_, rest)) = line.split_once("started successfully on port ") {
                break rest.trim_end_matches('.').to_owned();
            }
        };
        // Read to the end, so that the driver never waits for a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let mut wanted = DesiredCapabilities::chrome();
        let user_data = format!("--user-data-dir={}", profile.0.path().join("profile").display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--disable-dev-shm-usage",
            "--window-size=1280,900",
            &user_data,
        ];
        for argument in arguments.iter().chain(more) {
            wanted.add_arg(argument).expect("an argument can be added");
        }
        wanted.set_binary(&chromium.to_string_lossy()).expect("a program can be named");
        wanted.set_browser_log_level(LoggingPrefsLogLevel::All).expect("logs can be asked for");
        let driver = WebDriver::builder(format!("http://127.0.0.1:{port}"), wanted)
            .client(http::client())
            .connect()
            .await
            .expect("the browser starts");
        Self { driver, process, profile }
    }

    /// Opens an address.
    pub async fn open(&self, url: &str) {
        self.driver.goto(url).await.expect("the page opens");
    }

    /// Waits for the one visible element with this test id.
    pub async fn find(&self, id: &str) -> WebElement {
        self.find_css(&by_id(id)).await
    }

    /// Waits for the first visible element a CSS selector finds.
    pub async fn find_css(&self, selector: &str) -> WebElement {
        eventually(&format!("{selector} is shown"), async || {
            for element in self.all(selector).await {
                if element.is_displayed().await.unwrap_or(false) {
                    return Ok(element);
                }
            }
            Err(self.shown().await)
        })
        .await
    }

    /// Everything a CSS selector finds now.
    pub async fn all(&self, selector: &str) -> Vec<WebElement> {
        self.driver.find_all(By::Css(selector)).await.unwrap_or_default()
    }

    /// Waits until nothing matches a CSS selector.
    pub async fn gone(&self, selector: &str) {
        eventually(&format!("{selector} is gone"), async || {
            let count = self.all(selector).await.len();
            found(count == 0, count)
        })
        .await;
    }

    /// Clicks the element with this test id, once it can be clicked. It is brought to the middle of the
    /// window first, as a person scrolls, because a bar may lie over the edges.
    pub async fn click(&self, id: &str) {
        eventually(&format!("{id} can be clicked"), async || {
            let element = self.find(id).await;
            let script = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})";
            let arguments = vec![element.to_json().map_err(|error| error.to_string())?];
            let scrolled = self.driver.execute(script, arguments).await;
            scrolled.map_err(|error| error.to_string())?;
            element.click().await.map_err(|error| error.to_string())
        })
        .await;
    }

    /// Types text after what is there.
    pub async fn write(&self, id: &str, text: &str) {
        self.find(id).await.send_keys(text).await.expect("text can be typed");
    }

    /// Replaces what is in a field by typing.
    pub async fn rewrite(&self, id: &str, text: &str) {
        let field = self.find(id).await;
        field.send_keys(Key::Control + "a").await.expect("text can be selected");
        field.send_keys(Key::Delete.value().to_string()).await.expect("text can be deleted");
        field.send_keys(text).await.expect("text can be typed");
    }

    /// The value of a field.
    pub async fn value(&self, id: &str) -> String {
        self.find(id).await.prop("value").await.ok().flatten().unwrap_or_default()
    }

    /// Waits until the first element of a selector has an attribute with this value.
    pub async fn attribute(&self, selector: &str, name: &str, value: &str) {
        eventually(&format!("{selector} has {name}={value}"), async || {
            let mut seen = None;
            if let Some(element) = self.all(selector).await.first() {
                seen = element.attr(name).await.ok().flatten();
            }
            found(seen.as_deref() == Some(value), seen)
        })
        .await;
    }

    /// The result of a script as JSON.
    pub async fn script(&self, script: &str) -> serde_json::Value {
        let result = self.driver.execute(script, Vec::new()).await.expect("the script runs");
        result.json().clone()
    }

    /// The address of the page.
    pub async fn url(&self) -> String {
        self.driver.current_url().await.expect("a page has an address").to_string()
    }

    /// What the page says, for failures.
    pub async fn shown(&self) -> String {
        let text = self.script("return document.body ? document.body.innerText : ''").await;
        text.as_str().unwrap_or_default().chars().take(2000).collect()
    }

    /// Everything of the log that a page in good order does not say: errors, warnings, policy violations.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.driver.browser_log().await.expect("the browser keeps a log");
        log.into_iter()
            .filter(|entry| !matches!(entry.level.as_str(), "INFO" | "DEBUG" | "FINE"))
            .map(|entry| format!("{}: {}", entry.level, entry.message))
            .collect()
    }

    /// Saves a picture of the page, for whoever looks into a failure.
    pub async fn picture(&self, path: &std::path::Path) {
        let _ = self.driver.screenshot(path).await;
    }

    /// Ends browser and driver in order; dropping does the same less politely.
    pub async fn quit(self) {
        let Self { driver, mut process, profile } = self;
        let _ = driver.quit().await;
        let _ = process.kill().await;
        drop(profile);
    }
}

/// A selector for a test id.
pub fn by_id(id: &str) -> String {
    format!("[data-testid=\"{id}\"]")
}

/// The program a variable names, else the first of `names` on PATH.
fn program(variable: &str, names: &[&str]) -> OsString {
    if let Some(path) = std::env::var_os(variable) {
        return path;
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = std::env::split_paths(&folders)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    let program: Option<PathBuf> = candidates.find(|path| path.is_file());
    program.unwrap_or_else(|| panic!("{} is missing: run cargo xtask test", names[0])).into()
}
