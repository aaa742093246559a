//! The Lab in a real browser: on a host that knows only files, and at a proxy with a sandbox.

use serde_json::{Value, json};
use std::time::Duration;
use tests::browser::by_id;
use tests::wait::found;
use tests::{Browser, Place, StaticHost, eventually, eventually_within};

/// Three faults on three lines.
const FAULTY: &str = r#"{
  "from": "+447700900001",
  "to": ["nobody"],
  "type": "text/plain",
  "content": "Hello",
  "attachments": [{"type": "application/pdf", "filename": "a.png", "url": "https://cdn.example.com/a.png"}]
}"#;

async fn on_static_host() -> (StaticHost, Browser) {
    let host = StaticHost::start().await;
    let browser = Browser::start().await;
    browser.open(&format!("{}/#/lab", host.url)).await;
    browser.find("lab-editor").await;
    (host, browser)
}

/// Puts a text into the editor as pasting does.
async fn paste(browser: &Browser, text: &str) {
    let script = format!(
        "const area = document.querySelector('[data-testid=lab-editor]'); area.focus(); area.select();\
         return document.execCommand('insertText', false, {})",
        json!(text)
    );
    assert_eq!(browser.script(&script).await, json!(true));
}

/// Waits until the findings are these codes on these lines, in any order.
async fn finds(browser: &Browser, wanted: &[(&str, &str)]) {
    let script = "return [...document.querySelectorAll('[data-testid=lab-finding]')]\
                  .map(one => [one.dataset.code, one.dataset.line ?? ''])";
    let mut wanted: Vec<Value> = wanted.iter().map(|(code, line)| json!([code, line])).collect();
    wanted.sort_by_key(Value::to_string);
    eventually(&format!("the findings are {wanted:?}"), async || {
        let seen = browser.script(script).await;
        let mut seen = seen.as_array().cloned().unwrap_or_default();
        seen.sort_by_key(Value::to_string);
        found(seen == wanted, seen)
    })
    .await;
}

async fn editor_value(browser: &Browser) -> String {
    browser.value("lab-editor").await
}

/// Nothing was complained about and nothing but files was asked for.
async fn end(host: StaticHost, browser: Browser) {
    let complaints = browser.complaints().await;
    // Browsers ask every host for this one by themselves.
    let complaints: Vec<&String> =
        complaints.iter().filter(|one| !one.contains("favicon.ico")).collect();
    assert!(complaints.is_empty(), "the browser complains: {complaints:#?}");
    let asked = host.asked();
    assert!(asked.iter().all(|path| !path.contains("/api/")), "the proxy was asked: {asked:?}");
    browser.quit().await;
}

#[tokio::test]
async fn the_lab_judges_while_one_types_without_any_proxy() {
    let (host, browser) = on_static_host().await;
    finds(&browser, &[]).await;
    // Typing, not pasting: the text stops being JSON, and the place is said.
    browser.write("lab-editor", "x").await;
    finds(&browser, &[("payload.json", "8")]).await;
    paste(&browser, FAULTY).await;
    let expected = [("to.phone", "3"), ("to.not_participant", "3"), ("attachment.extension", "6")];
    finds(&browser, &expected).await;
    // Lines are marked, and a click on a finding selects what is at fault.
    let marked = "return [...document.querySelectorAll('.lab-ink > .is-bad')]\
                  .map(line => [...line.parentElement.children].indexOf(line) + 1)";
    assert_eq!(browser.script(marked).await, json!([3, 6]));
    let button = format!("{}[data-code=\"attachment.extension\"] button", by_id("lab-finding"));
    browser.find_css(&button).await.click().await.unwrap();
    let selected = "const area = document.activeElement;\
                    return area.value.slice(area.selectionStart, area.selectionEnd)";
    assert_eq!(browser.script(selected).await, json!("\"a.png\""));
    // What is typed now replaces it, and undo brings it back.
    browser.write("lab-editor", "\"a.pdf\"").await;
    finds(&browser, &expected[..2]).await;
    eventually("undo brings it back", async || {
        browser.script("document.execCommand('undo')").await;
        let text = editor_value(&browser).await;
        found(text == FAULTY, text)
    })
    .await;
    finds(&browser, &expected).await;
    let took = browser.find("lab-took").await.attr("data-ms").await.unwrap().unwrap();
    assert!(took.parse::<f64>().is_ok(), "{took}");
    end(host, browser).await;
}

#[tokio::test]
async fn every_rule_shows_what_became_of_it_and_loads_its_examples() {
    let (host, browser) = on_static_host().await;
    browser.click("tab-rules").await;
    let rule = format!("{}[data-code=\"to.phone\"]", by_id("lab-rule"));
    browser.attribute(&rule, "data-outcome", "pass").await;
    browser.write("lab-rule-search", "to.phone").await;
    browser.find_css(&format!("{rule} .rule-open")).await.click().await.unwrap();
    browser.find_css(&format!("{rule} [data-testid=lab-bad]")).await.click().await.unwrap();
    browser.attribute(&rule, "data-outcome", "fail").await;
    browser.find_css(&format!("{rule} [data-testid=lab-good]")).await.click().await.unwrap();
    browser.attribute(&rule, "data-outcome", "pass").await;
    // A channel nobody knows is a finding and not a pass.
    browser
        .script(
            "const s = document.querySelector('[data-testid=lab-channel]');\
        s.value = 'pigeon'; s.dispatchEvent(new Event('change', {bubbles: true}))",
        )
        .await;
    let unknown = format!("{}[data-code=\"channel.unknown\"]", by_id("lab-rule"));
    browser.attribute(&unknown, "data-outcome", "fail").await;
    end(host, browser).await;
}

#[tokio::test]
async fn a_link_shows_the_same_bytes_and_says_what_differs() {
    let (host, browser) = on_static_host().await;
    let text = FAULTY.replace("Hello", "Hello {{name}} – 👩‍👩‍👧 #token=x");
    paste(&browser, &text).await;
    browser.write("lab-value-name", "Ana").await;
    browser.rewrite("lab-seed", "7\u{e007}").await;
    eventually("the address holds it", async || {
        let url = browser.url().await;
        found(url.contains("seed=7") && url.contains("values="), url)
    })
    .await;
    let link = browser.url().await;
    assert!(!link.contains("#token="), "{link}");
    browser.open("about:blank").await;
    browser.open(&link).await;
    browser.find("lab-editor").await;
    assert_eq!(editor_value(&browser).await, text);
    assert_eq!(browser.value("lab-value-name").await, "Ana");
    assert_eq!(browser.value("lab-seed").await, "7");
    assert!(browser.all(&by_id("lab-doubts")).await.is_empty());
    // Opened in the same tab, and from another version: shown, and said.
    browser.open(&link.replace("simulator=1", "simulator=0")).await;
    let doubts = browser.find("lab-doubts").await.text().await.unwrap();
    assert!(doubts.contains("version 0"), "{doubts}");
    assert_eq!(editor_value(&browser).await, text);
    end(host, browser).await;
}

#[tokio::test]
async fn templates_are_filled_and_sms_parts_shown_and_mended() {
    let (host, browser) = on_static_host().await;
    let long = "it’s on its way ".repeat(6);
    let text = format!(
        "{{\"from\": \"+447700900001\", \"to\": [\"+447700900141\"], \"type\": \"text/plain\",\n\
         \"content\": \"Dear {{{{name}}}}, {long}\"}}"
    );
    paste(&browser, &text).await;
    finds(&browser, &[("template.missing", "2"), ("sms.alphabet", "2")]).await;
    browser.write("lab-value-name", "Ana").await;
    finds(&browser, &[("sms.alphabet", "2")]).await;
    let filled = browser.find("lab-filled").await.text().await.unwrap();
    assert!(filled.starts_with("Dear Ana, it’s"), "{filled}");
    browser.attribute(&by_id("lab-sms"), "data-parts", "2").await;
    browser.click("lab-replace").await;
    browser.attribute(&by_id("lab-sms"), "data-parts", "1").await;
    finds(&browser, &[]).await;
    assert!(editor_value(&browser).await.contains("Dear {{name}}, it's on its way"));
    // A value nothing uses any more is said.
    paste(&browser, &text.replace("{{name}}", "you")).await;
    finds(&browser, &[("template.unused", ""), ("sms.alphabet", "2")]).await;
    end(host, browser).await;
}

#[tokio::test]
async fn ten_thousand_messages_are_checked_while_the_page_stays_responsive() {
    let (host, browser) = on_static_host().await;
    browser
        .script(
            "const s = document.querySelector('[data-testid=lab-scenario]');\
        s.value = 'hostile'; s.dispatchEvent(new Event('change', {bubbles: true}))",
        )
        .await;
    browser.rewrite("lab-count", "1000\u{e007}").await;
    browser.attribute(&by_id("lab-made"), "data-count", "1000").await;
    // The longest time the page took no input while it checked.
    browser.script("window.longest = 0; let last = performance.now(); window.beat = setInterval(() => {\
        const now = performance.now(); window.longest = Math.max(window.longest, now - last); last = now }, 5)").await;
    browser.click("lab-check").await;
    let patience = Duration::from_secs(120);
    eventually_within(patience, "the check is done", async || {
        let script = "return document.querySelector('[data-testid=lab-rate]')?.dataset";
        let seen = browser.script(script).await;
        found(seen["state"] == "done" && seen["checked"] == "10000", seen)
    })
    .await;
    let rate = browser.find("lab-rate").await.attr("data-rate").await.unwrap().unwrap();
    assert!(rate.parse::<f64>().unwrap() > 0.0, "{rate}");
    let longest = browser.script("clearInterval(window.beat); return window.longest").await;
    assert!(longest.as_f64().unwrap() < 1000.0, "the page stood still for {longest} ms");
    // A listed message opens in the editor.
    browser
        .find_css(&format!("{}:nth-child(2) button", by_id("lab-row")))
        .await
        .click()
        .await
        .unwrap();
    eventually("it is in the editor", async || {
        let text = editor_value(&browser).await;
        found(text.contains("\"from\""), text)
    })
    .await;
    browser.find_css(".lab-codes summary").await.click().await.unwrap();
    browser.find("lab-codes").await;
    end(host, browser).await;
}

#[tokio::test]
async fn the_lab_opens_at_a_proxy_without_a_token_and_sends_to_its_sandbox_with_one() {
    let place = Place::new();
    let waybill = place.serve().await;
    let browser = Browser::start().await;
    let base = waybill.api.base_url.clone();
    browser.open(&format!("{base}/lab")).await;
    browser.find("lab-editor").await;
    browser.find("no-proxy").await;
    // Other places still say what they need.
    browser.open(&format!("{base}/messages")).await;
    browser.find("open-with-link").await;
    browser.click("gate-lab").await;
    browser.find("lab-editor").await;
    // The launch token arrives in a fragment, too.
    browser.open(&waybill.link).await;
    browser.find("conversation-input").await;
    browser.open(&format!("{base}/lab")).await;
    browser.find("lab-editor").await;
    browser.rewrite("lab-count", "6\u{e007}").await;
    browser.attribute(&by_id("lab-made"), "data-count", "6").await;
    browser.click("lab-send").await;
    browser.attribute(&by_id("lab-sent"), "data-state", "done").await;
    let sent =
        browser.script("return document.querySelector('[data-testid=lab-sent]').dataset").await;
    assert_eq!(sent["accepted"], "6", "{sent}");
    assert_eq!(waybill.api.messages().await.len(), 6);
    // A fault is on: said, in force, and off again by one click.
    browser.click("fault-receipt_duplicate").await;
    browser.find("lab-faults-on").await;
    let faults = waybill.api.read("/api/v1/sandbox/faults").await;
    assert_eq!(faults, json!({"receipt_duplicate": {"percent": 100}}));
    browser.click("lab-faults-off").await;
    browser.gone(&by_id("lab-faults-on")).await;
    assert_eq!(waybill.api.read("/api/v1/sandbox/faults").await, json!({}));
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "the browser complains: {complaints:#?}");
    browser.quit().await;
}
