//! System packages the tests need: a Chromium and its ChromeDriver.
//! Installed with apt as root on Debian and its kin; elsewhere the exact command is named and nothing is changed.
//! A C compiler is not looked for: without one this program could not have been linked.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::{
    command::{self, command},
    place::{self, Place},
};

const BROWSERS: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const DRIVERS: [&str; 2] = ["chromedriver", "chromium.chromedriver"];
const PACKAGES: [&str; 2] = ["chromium", "chromium-driver"];

/// The browser the end-to-end tests drive.
pub struct Browser {
    /// Chromium or Chrome.
    pub browser: PathBuf,
    /// The ChromeDriver that belongs to it.
    pub driver: PathBuf,
}

/// Finds the browser, installing it where we may.
pub fn ensure_browser(place: &Place) -> Result<Browser> {
    if let Some(browser) = find_browser() {
        return Ok(browser);
    }
    let by_hand = format!(
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends {}",
        PACKAGES.join(" ")
    );
    if place::find_program(&["apt-get"]).is_none() {
        bail!("Chromium and ChromeDriver are needed on PATH; on Debian: {by_hand}");
    }
    if !is_root(place) {
        bail!("Chromium and ChromeDriver are missing; install them with: {by_hand}");
    }
    eprintln!("      installing {} with apt-get (about 1 min)", PACKAGES.join(" and "));
    let apt = |arguments: &[&str]| {
        command::run(
            command(place, "apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    apt(&["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(PACKAGES);
    apt(&install)?;
    find_browser()
        .context("the packages are installed, but no Chromium with ChromeDriver is on PATH")
}

fn find_browser() -> Option<Browser> {
    Some(Browser {
        browser: place::find_program(&BROWSERS)?,
        driver: place::find_program(&DRIVERS)?,
    })
}

fn is_root(place: &Place) -> bool {
    command::capture(command(place, "id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
