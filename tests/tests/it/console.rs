//! What a person does in the console, in a real browser against the real binary.
//!
//! [`Console`] holds the doing; the tests say what must be seen.

use serde_json::{Value, json};
use shared::simulator::{FAILING_CONVERSATION, GUIDE_CONVERSATION, SMS_CONVERSATION};
use std::time::Duration;
use tests::audit::{self, Batch};
use tests::browser::by_id;
use tests::submission::{FAILING_RECIPIENT, SMS_RECIPIENT, key, sms};
use tests::wait::found;
use tests::{Browser, Place, Waybill, eventually};
use thirtyfour::Key;

/// A browser on the console of a proxy of its own.
struct Console {
    browser: Browser,
    waybill: Waybill,
    place: Place,
}

impl Console {
    /// Opens the link, as a person does.
    async fn open() -> Self {
        let place = Place::new();
        let waybill = place.serve().await;
        let browser = Browser::start().await;
        browser.open(&waybill.link).await;
        Self { browser, waybill, place }
    }

    /// Loads a place of the console anew.
    async fn go(&self, path: &str) {
        self.browser.open(&format!("{}{path}", self.waybill.api.base_url)).await;
    }

    /// Chooses a conversation and a recipient.
    async fn address(&self, conversation: &str, recipient: &str) {
        self.browser.rewrite("conversation-input", conversation).await;
        self.browser.find("conversation-card").await;
        self.browser.find("sender-select").await;
        eventually("the sender is chosen", async || {
            let sender = self.browser.value("sender-select").await;
            found(!sender.is_empty(), sender)
        })
        .await;
        // The page offers the only customer by itself; whoever is there already is not typed again.
        let script = "const input = document.querySelector('[data-testid=recipient-input]');\
                      return input.parentElement.innerText";
        let listed = self.browser.script(script).await.to_string();
        if !listed.contains(recipient) {
            self.browser.write("recipient-input", recipient).await;
            self.browser.write("recipient-input", &Key::Enter.value().to_string()).await;
        }
    }

    /// Reviews and sends what is composed; the id of the message whose page opens.
    async fn send(&self) -> String {
        self.browser.click("review-button").await;
        self.browser.click("send-button").await;
        self.message_page().await
    }

    /// Waits for the page of a message; its id.
    async fn message_page(&self) -> String {
        eventually("the message's page is open", async || {
            let url = self.browser.url().await;
            let id = url.split_once("/messages/").map(|(_, id)| id.to_owned());
            id.map(|id| id.split(['?', '#']).next().unwrap_or_default().to_owned()).ok_or(url)
        })
        .await
    }

    /// The selector of a message's row.
    fn row(id: &str) -> String {
        format!("{}[data-id=\"{id}\"]", by_id("message-row"))
    }

    /// Waits until the row of a message shows a state, without any reload.
    async fn row_in(&self, id: &str, states: &[&str]) {
        let row = Self::row(id);
        eventually(&format!("the row of {id} is {states:?}"), async || {
            let mut seen = None;
            if let Some(element) = self.browser.all(&row).await.first() {
                seen = element.attr("data-state").await.ok().flatten();
            }
            found(seen.as_deref().is_some_and(|state| states.contains(&state)), seen)
        })
        .await;
    }

    /// The page was not loaded again since [`Console::mark`].
    async fn is_marked(&self) -> bool {
        self.browser.script("return window.waybillTestMark === true").await == json!(true)
    }

    async fn mark(&self) {
        self.browser.script("window.waybillTestMark = true").await;
    }

    async fn messages(&self) -> Vec<Value> {
        self.waybill.api.messages().await.into_values().collect()
    }

    /// Ends the test: nothing was complained about, in this page's whole life.
    async fn end(self) {
        let complaints = self.browser.complaints().await;
        assert!(complaints.is_empty(), "the browser complains: {complaints:#?}");
        let log = self.place.log();
        assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
        self.browser.quit().await;
    }
}

#[tokio::test]
async fn a_message_is_composed_mended_sent_followed_judged_and_audited() {
    let console = Console::open().await;
    let browser = &console.browser;
    // Open by link: the token leaves the address and stays with this browser.
    browser.find("conversation-input").await;
    eventually("the token has left the address", async || {
        let url = browser.url().await;
        found(!url.contains("token"), url)
    })
    .await;
    let kept = browser.script("return JSON.stringify(localStorage)").await;
    assert!(kept.as_str().is_some_and(|kept| kept.contains(&console.waybill.api.token)));
    let history = browser.script("return document.referrer + document.cookie").await;
    assert_eq!(history, json!(""), "the token or something else is handed on");
    browser.attribute(&by_id("connection-state"), "data-state", "live").await;

    // HTML to SMS: found as it is typed, and not sent.
    console.address(SMS_CONVERSATION, SMS_RECIPIENT).await;
    browser.click("tab-html").await;
    browser.write("content-input", "<p>Your parcel is on its way</p>").await;
    let finding = format!("{}[data-code=\"type.channel\"]", by_id("finding"));
    browser.find_css(&finding).await;
    browser.click("review-button").await;
    browser.find_css(&finding).await;
    assert!(browser.all(&by_id("send-button")).await.is_empty(), "it could be sent");
    assert!(console.messages().await.is_empty());

    // Mended, reviewed, sent.
    browser.click("tab-text").await;
    browser.rewrite("content-input", "Your parcel is on its way").await;
    browser.gone(&finding).await;
    console.mark().await;
    let id = console.send().await;
    console.row_in(&id, &["delivered", "read"]).await;
    assert!(console.is_marked().await, "the page was loaded again");
    let state = by_id("message-state");
    eventually("the state is told", async || {
        let seen = browser.find_css(&state).await.attr("data-state").await.ok().flatten();
        found(matches!(seen.as_deref(), Some("delivered" | "read")), seen)
    })
    .await;
    browser.attribute(&by_id("message-verdict"), "data-verdict", "met").await;
    let mut kinds = Vec::new();
    for item in browser.all(&by_id("timeline-item")).await {
        kinds.extend(item.attr("data-kind").await.ok().flatten());
    }
    for kind in ["accepted", "attempt_started", "delivered"] {
        assert!(kinds.iter().any(|one| one == kind), "the timeline has no {kind}: {kinds:?}");
    }

    // Audited: acknowledged on the page, and right by an auditor's own reckoning.
    browser.click("tab-audit").await;
    browser.attribute(&by_id("audit-entry"), "data-shipping", "acknowledged").await;
    assert!(console.is_marked().await, "the page was loaded again");
    let sink = console.waybill.api.read("/api/v1/sandbox/audit").await;
    let batches: Vec<Batch> =
        sink["batches"].as_array().expect("the sink lists").iter().map(Batch::read).collect();
    let secret = console.place.data_text("audit-secret");
    let entries = audit::verify(secret.trim(), &batches);
    for batch in &batches {
        audit::verify_attempt(secret.trim(), batch);
    }
    let message = console.waybill.api.message(&id).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["message_id"], message["platform_id"]);
    assert_eq!(entries[0]["status"], "delivered");

    // The figures agree.
    console.go("/sla").await;
    let figure = browser.find("sla-compliance").await;
    eventually("compliance is 100 %", async || {
        let text = figure.text().await.unwrap_or_default();
        found(text.contains("100"), text)
    })
    .await;
    console.end().await;
}

#[tokio::test]
async fn a_template_asks_for_its_values_and_is_never_sent_with_a_hole() {
    let console = Console::open().await;
    let browser = &console.browser;
    console.address(SMS_CONVERSATION, SMS_RECIPIENT).await;
    let template = "Hello {{name}} of {{town}}, your order {{order|88}} is here";
    browser.write("content-input", template).await;
    let missing = format!("{}[data-code=\"template.missing\"]", by_id("finding"));
    browser.find_css(&missing).await;
    browser.click("review-button").await;
    assert!(browser.all(&by_id("send-button")).await.is_empty(), "it could be sent");
    // The first finding stands under the field, the others are a click away.
    assert_eq!(browser.all(&missing).await.len(), 1);
    browser.click("more-findings").await;
    eventually("both findings are shown", async || {
        let shown = browser.all(&missing).await.len();
        found(shown == 2, shown)
    })
    .await;
    browser.write("value-town", "Porto").await;
    browser.write("value-name", "Ana").await;
    browser.gone(&missing).await;
    let id = console.send().await;
    let message = console.waybill.api.message(&id).await;
    assert_eq!(message["payload"]["content"], "Hello Ana of Porto, your order 88 is here");
    console.end().await;
}

#[tokio::test]
async fn a_message_to_a_number_out_of_service_ends_failed_with_its_reason() {
    let console = Console::open().await;
    let browser = &console.browser;
    console.address(FAILING_CONVERSATION, FAILING_RECIPIENT).await;
    browser.write("content-input", "Can you hear me?").await;
    let id = console.send().await;
    console.row_in(&id, &["failed"]).await;
    browser.attribute(&by_id("message-state"), "data-state", "failed").await;
    browser.attribute(&by_id("message-verdict"), "data-verdict", "breached").await;
    let reason = browser.find("message-reason").await.text().await.unwrap_or_default();
    let message = console.waybill.api.message(&id).await;
    let told = message["reason"]["text"].as_str().expect("there is a reason");
    assert!(reason.contains(told), "{reason:?} does not say {told:?}");
    console.end().await;
}

#[tokio::test]
async fn row_80_reload_back_and_a_second_tab_keep_everything() {
    let console = Console::open().await;
    let browser = &console.browser;
    let id = console.waybill.api.send(&key("keep", 1), &sms("Sent before")).await;
    console.waybill.api.message_in(&id, &["delivered", "read"], Duration::from_secs(30)).await;

    // A draft outlives a reload, a walk through the console and a second tab.
    console.address(GUIDE_CONVERSATION, "customer@example.com").await;
    browser.write("content-input", "Not finished yet").await;
    eventually("the draft is saved", async || {
        let kept = browser.script("return JSON.stringify(localStorage)").await.to_string();
        found(kept.contains("Not finished yet"), kept)
    })
    .await;
    browser.driver.refresh().await.expect("the page reloads");
    let is_kept = async || {
        eventually("the draft is there", async || {
            let draft = (
                browser.value("conversation-input").await,
                browser.value("content-input").await,
                browser.shown().await.contains("customer@example.com"),
            );
            let wanted = (GUIDE_CONVERSATION.to_owned(), "Not finished yet".to_owned(), true);
            found(draft == wanted, draft)
        })
        .await;
    };
    is_kept().await;
    let compose = browser.url().await;
    console.go("/messages").await;
    browser.find_css(&Console::row(&id)).await;
    browser.driver.back().await.expect("there is a page before");
    is_kept().await;
    assert_eq!(browser.url().await, compose);

    // A message's page is a place: reload and back lead to the same.
    console.go(&format!("/messages/{id}")).await;
    browser.find("message-detail").await;
    browser.driver.refresh().await.expect("the page reloads");
    browser.find("message-detail").await;
    browser.find_css(&Console::row(&id)).await;
    console.go("/sla").await;
    browser.find("sla-compliance").await;
    browser.driver.back().await.expect("there is a page before");
    browser.find("message-detail").await;
    assert_eq!(console.message_page().await, id);

    // A second tab needs no link: the token is this browser's.
    let first = browser.driver.window().await.expect("there is a window");
    let second = browser.driver.new_tab().await.expect("a tab opens");
    browser.driver.switch_to_window(second).await.expect("the tab is there");
    console.go("/compose").await;
    is_kept().await;
    console.go(&format!("/messages/{id}")).await;
    browser.find("message-detail").await;
    // What happens is seen in both.
    let next = console.waybill.api.send(&key("keep", 2), &sms("Sent meanwhile")).await;
    console.row_in(&next, &["delivered", "read"]).await;
    browser.driver.switch_to_window(first).await.expect("the first tab is there");
    console.row_in(&next, &["delivered", "read"]).await;
    console.end().await;
}

#[tokio::test]
async fn a_reload_right_after_a_key_keeps_what_was_typed() {
    let console = Console::open().await;
    let browser = &console.browser;
    console.address(SMS_CONVERSATION, SMS_RECIPIENT).await;
    // In one go, so that no time passes between the key and the reload.
    browser
        .script(
            "const field = document.querySelector('[data-testid=content-input]');\
             field.value = 'Typed at the last moment';\
             field.dispatchEvent(new InputEvent('input', {bubbles: true}));\
             location.reload();",
        )
        .await;
    eventually("the last key is kept", async || {
        let text = browser.value("content-input").await;
        found(text == "Typed at the last moment", text)
    })
    .await;
    console.end().await;
}

#[tokio::test]
async fn without_a_token_the_page_asks_for_the_link_and_an_old_token_is_dropped() {
    let place = Place::new();
    let waybill = place.serve().await;
    let browser = Browser::start().await;
    browser.open(&waybill.api.base_url).await;
    browser.find("open-with-link").await;
    assert!(browser.all(&by_id("conversation-input")).await.is_empty());
    // The link opens it, also where the page is open already.
    browser.open(&waybill.link).await;
    browser.driver.refresh().await.expect("the page reloads");
    browser.find("conversation-input").await;
    // After a rotation the old token is worth nothing, and is not kept.
    let rotated = place.run(&["token", "rotate"]).await;
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    browser.driver.refresh().await.expect("the page reloads");
    browser.find("open-with-link").await;
    let kept = browser.script("return JSON.stringify(localStorage)").await;
    assert!(!kept.to_string().contains(&waybill.api.token), "{kept}");
    browser.open(&format!("{}/#token={}", waybill.api.base_url, rotated.stdout.trim())).await;
    browser.driver.refresh().await.expect("the page reloads");
    browser.find("conversation-input").await;
    browser.quit().await;
}

#[tokio::test]
async fn row_80_without_webassembly_the_page_says_so_in_plain_words() {
    let place = Place::new();
    let waybill = place.serve().await;
    // As hardened browsers are set: no code is made at run time, and so no WebAssembly.
    let browser = Browser::start_with(&["--js-flags=--jitless"]).await;
    browser.open(&waybill.link).await;
    assert_eq!(browser.script("return typeof WebAssembly").await, json!("undefined"));
    let trouble = browser.find_css("#shell-trouble").await;
    let said = trouble.text().await.unwrap_or_default();
    assert!(said.contains("WebAssembly"), "{said:?}");
    // Nothing that cannot work any more is offered, and it does not look as if it were still loading.
    assert!(browser.all(&by_id("content-input")).await.is_empty());
    for element in browser.all("#shell-loading").await {
        assert!(!element.is_displayed().await.unwrap_or(true), "it seems to load for ever");
    }
    browser.quit().await;
}

#[tokio::test]
async fn row_80_clicking_send_twice_sends_once() {
    let console = Console::open().await;
    let browser = &console.browser;
    console.address(SMS_CONVERSATION, SMS_RECIPIENT).await;
    browser.write("content-input", "Only once").await;
    browser.click("review-button").await;
    browser.find("send-button").await;
    let clicked = browser
        .script(
            "const send = document.querySelector('[data-testid=send-button]');\
             for (let i = 0; i < 5; i++) send.click(); return true",
        )
        .await;
    assert_eq!(clicked, json!(true));
    let id = console.message_page().await;
    console.row_in(&id, &["delivered", "read"]).await;
    assert_eq!(console.messages().await.len(), 1);
    let sends = console.waybill.api.read("/api/v1/sandbox/sends").await;
    assert_eq!(sends["sends"].as_array().map(Vec::len), Some(1), "{sends}");
    // What was sent is no draft any more, so nothing sends it again by accident.
    console.go("/compose").await;
    assert_eq!(browser.value("content-input").await, "");
    console.end().await;
}

#[tokio::test]
async fn the_page_says_when_the_proxy_is_away_and_goes_on_when_it_is_back() {
    let console = Console::open().await;
    let Console { browser, waybill, place } = console;
    browser.open(&format!("{}/messages", waybill.api.base_url)).await;
    browser.attribute(&by_id("connection-state"), "data-state", "live").await;
    let address = waybill.address().to_owned();
    waybill.kill9().await;
    eventually("the page notices", async || {
        let seen = browser.find("connection-state").await.attr("data-state").await.ok().flatten();
        found(seen.as_deref() != Some("live"), seen)
    })
    .await;
    let waybill = place.serve_at(&address).await;
    browser.attribute(&by_id("connection-state"), "data-state", "live").await;
    let id = waybill.api.send(&key("back", 1), &sms("After the return")).await;
    let console = Console { browser, waybill, place };
    console.row_in(&id, &["delivered", "read"]).await;
    console.browser.quit().await;
}
