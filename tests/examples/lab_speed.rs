//! How fast the Lab judges in Chromium: "Check 10,000 messages" as it stands, and the time of a keystroke in a
//! payload of 10 kB. `cargo xtask bench rules` runs it; the last line is that of `shared`'s example `judge`.

use std::time::Duration;
use tests::browser::{Browser, by_id};
use tests::place::Place;
use tests::wait::{eventually_within, found};

const ROUNDS: usize = 5;
const KEYSTROKES: usize = 31;
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() {
    let place = Place::new();
    let waybill = place.serve().await;
    let browser = Browser::start().await;
    browser.open(&format!("{}/#/lab", waybill.address())).await;
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        browser.click("lab-check").await;
        rates.push(
            eventually_within(PATIENCE, "the check is done", async || {
                let script = format!(
                    "const one = document.querySelector('{}'); \
                     return one && one.dataset.state === 'done' ? Number(one.dataset.rate) : 0;",
                    by_id("lab-rate")
                );
                let rate = browser.script(&script).await.as_f64().unwrap_or(0.0);
                found(rate > 0.0, rate)
            })
            .await,
        );
        // The next round begins from a page that shows nothing of this one.
        browser.script("location.reload()").await;
        browser.find("lab-check").await;
    }
    let mut times = Vec::new();
    for number in 0..KEYSTROKES {
        // As if a letter was typed into a text of 10 kB: the editor's own event, and the page's own measurement.
        let script = format!(
            "const editor = document.querySelector('{}'); \
             const text = 'Hello, your order is on its way. '.repeat(310) + {number}; \
             editor.value = JSON.stringify({{from: '+447700900001', to: ['+447700900141'], \
                 type: 'text/plain', content: text}}, null, 2); \
             editor.dispatchEvent(new Event('input', {{bubbles: true}})); \
             return new Promise(done => requestAnimationFrame(() => setTimeout(() => \
                 done(Number(document.querySelector('{}').dataset.ms)))));",
            by_id("lab-editor"),
            by_id("lab-took")
        );
        times.push(browser.script(&script).await.as_f64().unwrap_or(f64::INFINITY));
    }
    println!("{:.0} messages/s, {:.4} ms for 10 kB", median(rates), median(times));
    browser.quit().await;
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
