//! How fast the Lab judges in Chromium: messages a second, and one keystroke in a payload of 10 kB. The console is
//! served as files from `WAYBILL_CONSOLE_DIST`; `cargo xtask bench rules` runs this with the one that is shipped.
//!
//! A keystroke in the Lab is more than a judging: the checklist of every rule, the plan and the place of each
//! finding are in its time, too.
#![expect(clippy::expect_used, reason = "a measurement that cannot be made ends the program")]

use serde_json::json;
use shared::channel::Channel;
use shared::payload::Payload;
use shared::rules::example;
use std::time::Duration;
use tests::{Browser, StaticHost, eventually_within};

const ROUNDS: usize = 9;
const KEYSTROKES: usize = 60;

#[tokio::main]
async fn main() {
    let host = StaticHost::start().await;
    let browser = Browser::start().await;
    browser.open(&format!("{}/#/lab?seed=42&scenario=guide", host.url)).await;
    browser.find("lab-check").await;
    let mut rates = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        browser.click("lab-check").await;
        let patience = Duration::from_secs(60);
        let rate = eventually_within(patience, "10,000 messages are checked", async || {
            let script = "return document.querySelector('[data-testid=lab-rate]')?.dataset";
            let seen = browser.script(script).await;
            let is_done = seen["state"] == "done" && seen["checked"] == "10000";
            let rate = seen["rate"].as_str().and_then(|rate| rate.parse::<f64>().ok());
            rate.filter(|_| is_done).ok_or_else(|| seen.to_string())
        })
        .await;
        rates.push(rate);
    }
    let long = Payload {
        content: "Hello, your order is on its way. ".repeat(310).into(),
        ..example::payload(&Channel::Email)
    };
    let written = serde_json::to_string(&long).expect("a payload can be written");
    // The clock of a browser is coarse, so what counts is the mean of many.
    let script = format!(
        "const area = document.querySelector('[data-testid=lab-editor]');\
         const channel = document.querySelector('[data-testid=lab-channel]');\
         channel.value = 'email'; channel.dispatchEvent(new Event('change', {{bubbles: true}}));\
         area.focus(); area.select(); document.execCommand('insertText', false, {written});\
         const place = area.value.indexOf('Hello') + 5; area.setSelectionRange(place, place);\
         const took = []; const rest = () => new Promise(done => setTimeout(done, 30));\
         return (async () => {{ for (let i = 0; i < {KEYSTROKES}; i++) {{\
           document.execCommand('insertText', false, 'x'); await rest();\
           took.push(Number(document.querySelector('[data-testid=lab-took]').dataset.ms)); }}\
           return took }})()",
        written = json!(written),
    );
    let took = browser.script(&script).await;
    let took: Vec<f64> =
        took.as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64).collect();
    assert_eq!(took.len(), KEYSTROKES, "not every keystroke was judged");
    rates.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let mean = took.iter().sum::<f64>() / took.len() as f64;
    let bytes = written.len();
    println!("{:.0} messages/s, {mean:.4} ms for {bytes} bytes", rates[ROUNDS / 2]);
    browser.quit().await;
}
