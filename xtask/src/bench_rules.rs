//! `cargo xtask bench rules`: how fast payloads are judged, natively and in the page, and what the engine adds to
//! the page's size.

use std::{fs, path::Path};

use anyhow::{Result, bail};

use crate::{
    build_console::{self, Finish},
    build_waybill::{self, CONSOLE_VARIABLE},
    command::{self, cargo},
    compress, packages,
    place::Place,
    tools::{self, WASM_TARGET},
    wasm_opt::WasmOpt,
};

/// The page may take at most this many times as long as a native program.
const RATIO_MAX: f64 = 2.0;
/// One keystroke in a payload of 10 kB may take this long, in milliseconds.
const KEYSTROKE_MS_MAX: f64 = 1.0;

/// Measures and prints a table.
pub fn run() -> Result<()> {
    let place = Place::find()?;
    let native = native(&place)?;
    let page = page(&place)?;
    let (with, without) =
        (engine_size(&place, "size_with_rules")?, engine_size(&place, "size_without_rules")?);
    let ratio = native.per_second / page.per_second;
    println!("{:<56} {:>12}  limit", "what", "figure");
    println!("{:<56} {:>12.0}", "messages judged a second, native", native.per_second);
    println!("{:<56} {:>12.0}", "messages judged a second, in Chromium", page.per_second);
    println!("{:<56} {ratio:>12.2}  {RATIO_MAX:.1}", "native ÷ Chromium");
    println!("{:<56} {:>12.3}  {KEYSTROKE_MS_MAX:.1}", "ms for 10 kB, native", native.keystroke_ms);
    println!(
        "{:<56} {:>12.3}  {KEYSTROKE_MS_MAX:.1}",
        "ms for 10 kB, in Chromium", page.keystroke_ms
    );
    println!("{:<56} {:>12}", "bytes of wasm the engine adds", with.raw - without.raw);
    println!("{:<56} {:>12}", "the same, brotli", with.brotli - without.brotli);
    Ok(())
}

/// What both programs say in their last line: `PER_SECOND messages/s, MS ms for BYTES bytes`.
struct Speed {
    per_second: f64,
    keystroke_ms: f64,
}

fn native(place: &Place) -> Result<Speed> {
    let run = ["run", "--release", "--package", "shared", "--example", "judge"];
    speed(&command::capture(&mut cargo(place, &run))?)
}

/// The same work, done by the Lab of the console as it is shipped.
fn page(place: &Place) -> Result<Speed> {
    let tools = tools::ensure(place)?;
    let console = build_console::build(place, &tools, Finish::Release)?;
    let binary = build_waybill::build(place, &console.dist, Finish::Quick)?;
    let browser = packages::ensure_browser(place)?;
    let run = ["run", "--package", "tests", "--example", "lab_speed"];
    let mut measure = cargo(place, &run);
    measure
        .env("WAYBILL_BIN", binary)
        .env("CHROMIUM", &browser.browser)
        .env("CHROMEDRIVER", &browser.driver)
        .env(CONSOLE_VARIABLE, &console.dist);
    speed(&command::capture(&mut measure)?)
}

fn speed(said: &str) -> Result<Speed> {
    let line = said.lines().next_back().unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    let [per_second, "messages/s,", keystroke_ms, "ms", ..] = words.as_slice() else {
        bail!("nothing was measured: {said}");
    };
    Ok(Speed { per_second: per_second.parse()?, keystroke_ms: keystroke_ms.parse()? })
}

struct EngineSize {
    raw: u64,
    brotli: u64,
}

fn engine_size(place: &Place, example: &str) -> Result<EngineSize> {
    let build = ["build", "--package", "shared", "--profile", "console", "--example", example];
    command::run(cargo(place, &build).args(["--target", WASM_TARGET]))?;
    let built = place.target.join(WASM_TARGET).join("console/examples");
    let folder = place.target.join("engine-size");
    fs::create_dir_all(&folder)?;
    let wasm = folder.join(format!("{example}.wasm"));
    fs::copy(built.join(format!("{example}.wasm")), &wasm)?;
    if let Some(wasm_opt) = WasmOpt::find(place) {
        wasm_opt.shrink(place, &wasm)?;
    }
    compress::folder(&folder, compress::Effort::Best)?;
    let length = |file: &Path| -> Result<u64> { Ok(fs::metadata(file)?.len()) };
    Ok(EngineSize { raw: length(&wasm)?, brotli: length(&compress::with_suffix(&wasm, "br"))? })
}
