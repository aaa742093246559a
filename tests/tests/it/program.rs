//! A program that uses the proxy and does not mind that it dies: it repeats what got no answer under the same
//! key, withdraws and decides what it means to, and waits until everything has ended and is audited. Then it
//! compares what it was told with what the platform, the proxy and the auditor have.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use shared::simulator::world;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tests::api::ENDINGS;
use tests::audit::{self, Batch};
use tests::sandbox::AUDIT_SECRET;
use tests::submission::text;
use tests::{Answer, Api, SandboxProcess};

/// The seed of [`SandboxProcess`].
const SEED: u64 = 7;
const PAUSE: Duration = Duration::from_millis(60);

/// What is done about a letter after it was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing; if it is parked it is sent again.
    Arrive,
    /// Withdraw it.
    Withdraw,
    /// Nothing; if it is parked it is given up.
    GiveUp,
}

/// One submission under its key.
pub struct Letter {
    key: String,
    body: Value,
    wish: Wish,
    /// The states in which it may end.
    endings: &'static [&'static str],
}

impl Letter {
    /// A text into a conversation of the simulated platform that has to end in one of `endings`.
    pub fn new(key: String, conversation: &str, endings: &'static [&'static str]) -> Self {
        let world = world(SEED);
        let found = world.iter().find(|one| one.id.as_str() == conversation);
        let conversation = found.expect("the conversation is one of the platform's");
        let id = conversation.id.as_str();
        let content = format!("Message {key}");
        let body = text("main", id, conversation.sender(), conversation.recipient(), &content);
        Self { key, body, wish: Wish::Arrive, endings }
    }

    /// With a field of the submission set.
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.body[field] = value;
        self
    }

    /// With something to be done about it.
    pub fn wishing(mut self, wish: Wish) -> Self {
        self.wish = wish;
        self
    }
}

/// The proxy went away in the middle of something.
#[derive(Debug)]
pub struct Gone;

/// What should have been, and is not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Accepted or ended, and not to be found.
    pub lost: Vec<String>,
    /// There more often than once.
    pub doubled: Vec<String>,
    /// Anything else.
    pub wrong: Vec<String>,
}

/// See the module's text.
#[derive(Default)]
pub struct Program {
    letters: Vec<Letter>,
    /// The answers to accepted submissions, by key.
    answers: BTreeMap<String, Value>,
    /// Posts that got no answer.
    pub unanswered: usize,
    /// Whether what waits to be tried again is tried at once.
    pub hurries: bool,
    /// How often an audit stream may be replaced.
    pub streams_replaced_max: usize,
}

impl Program {
    /// Takes on one more letter, to be posted with the next advance.
    pub fn add(&mut self, letter: Letter) {
        self.letters.push(letter);
    }

    /// Letters so far.
    pub fn len(&self) -> usize {
        self.letters.len()
    }

    /// Does what is to be done until everything has ended and is audited, or the proxy is gone.
    pub async fn finish(&mut self, api: &Api, patience: Duration) -> Result<(), Gone> {
        let until = Instant::now() + patience;
        loop {
            let waiting = self.advance(api).await?;
            if waiting.is_empty() {
                return Ok(());
            }
            assert!(Instant::now() < until, "not ended within {patience:?}: {waiting:#?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Posts, withdraws and decides once; what is still waited for.
    pub async fn advance(&mut self, api: &Api) -> Result<Vec<String>, Gone> {
        self.post(api).await?;
        let messages = read_all(api, "/api/v1/messages").await?;
        let by_id: BTreeMap<&str, &Value> =
            messages.iter().map(|one| (word(one, "id"), one)).collect();
        let mut waiting = Vec::new();
        for letter in &self.letters {
            let Some(message) = by_id.get(self.id(&letter.key)) else {
                waiting.push(format!("{} is not stored", letter.key));
                continue;
            };
            let state = word(message, "state");
            if !ENDINGS.contains(&state) {
                waiting.push(format!("{} is {state}: {}", letter.key, message["reason"]));
            }
            let id = word(message, "id");
            match (state, letter.wish) {
                ("accepted" | "retry_wait", Wish::Withdraw) => {
                    act(api, &format!("/api/v1/messages/{id}/cancel"), &json!({})).await?;
                }
                ("retry_wait", _) if self.hurries => {
                    act(api, &format!("/api/v1/messages/{id}/retry"), &json!({})).await?;
                }
                ("parked", wish) => {
                    let choice = if wish == Wish::GiveUp { "give_up" } else { "resend" };
                    let body = json!({ "decision": { "choice": choice }, "why": "A test." });
                    act(api, &format!("/api/v1/messages/{id}/decide"), &body).await?;
                }
                _ => {}
            }
        }
        if waiting.is_empty() {
            let batches = read_all(api, "/api/v1/audit/batches").await?;
            let done = batches.iter().filter(|one| one["shipping"] == "acknowledged");
            let entries: u64 = done.filter_map(|one| one["count"].as_u64()).sum();
            let expected: usize = messages.iter().map(|one| recipients(one).len()).sum();
            if entries < u64::try_from(expected).expect("few") {
                waiting.push(format!("{entries} of {expected} audit entries are acknowledged"));
            }
        }
        Ok(waiting)
    }

    /// Posts what has no answer yet.
    async fn post(&mut self, api: &Api) -> Result<(), Gone> {
        for letter in &self.letters {
            if self.answers.contains_key(&letter.key) {
                continue;
            }
            match api.try_submit(&letter.key, &letter.body).await {
                Ok(answer) => {
                    self.answers.insert(letter.key.clone(), answer.expect(202).json());
                }
                Err(_) => {
                    self.unanswered += 1;
                    return Err(Gone);
                }
            }
        }
        Ok(())
    }

    /// Repeats every letter. Each gets the answer of then, even if the request could not be made for the first time
    /// now, and even if its message was removed since; returns those that do not.
    pub async fn answers_that_differ(&self, api: &Api) -> Result<Vec<String>, Gone> {
        let mut differ = Vec::new();
        for letter in &self.letters {
            let (key, given) = (&letter.key, &self.answers[&letter.key]);
            let answer = api.try_submit(key, &letter.body).await.map_err(|_| Gone)?;
            if answer.status != 202 || answer.json() != *given {
                differ.push(format!("{key}: repeated, {} instead of {given}", answer.text()));
            }
        }
        Ok(differ)
    }

    /// The id an accepted letter's message was given.
    fn id(&self, key: &str) -> &str {
        word(&self.answers[key]["messages"][0], "id")
    }

    /// What was lost, doubled or is wrong otherwise, as the platform, the proxy and the auditor tell it.
    pub async fn differences(
        &self,
        api: &Api,
        sandbox: &SandboxProcess,
        batches: &[Batch],
    ) -> Result<Differences, Gone> {
        let mut found =
            Differences { wrong: self.answers_that_differ(api).await?, ..Differences::default() };
        let messages = read_all(api, "/api/v1/messages").await?;
        if messages.len() > self.letters.len() {
            let (letters, stored) = (self.letters.len(), messages.len());
            found.doubled.push(format!("{letters} letters are {stored} messages"));
        }
        let by_id: BTreeMap<&str, &Value> =
            messages.iter().map(|one| (word(one, "id"), one)).collect();
        let mut ids_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for send in sandbox.sends().await {
            let key = word(&send, "key").to_owned();
            ids_of.entry(key).or_default().insert(word(&send, "id").to_owned());
        }
        let mut expected: BTreeMap<(String, String, String), i64> = BTreeMap::new();
        let mut platform_ids = BTreeSet::new();
        for letter in &self.letters {
            let key = &letter.key;
            let Some(message) = by_id.get(self.id(key)) else {
                found.lost.push(format!("{key} was accepted and is gone"));
                continue;
            };
            let state = word(message, "state");
            if !letter.endings.contains(&state) {
                found.wrong.push(format!("{key}: ended {state}, not {:?}", letter.endings));
            }
            let theirs = ids_of.remove(key).unwrap_or_default();
            let ours = message["platform_id"].as_str();
            let agree = match ours {
                Some(id) => theirs.len() == 1 && theirs.contains(id) && platform_ids.insert(id),
                // Given up by a person, it may have been taken all the same; otherwise it was never sent.
                None => theirs.is_empty() || letter.wish == Wish::GiveUp,
            };
            if theirs.len() > 1 {
                found.doubled.push(format!("{key} has {theirs:?} at the platform"));
            } else if !agree {
                found.wrong.push(format!("{key}: the platform has {theirs:?}, we have {ours:?}"));
            }
            let name = ours.unwrap_or_else(|| word(message, "id"));
            let status = if state == "read" { "delivered" } else { state };
            for recipient in recipients(message) {
                let entry = (name.to_owned(), recipient, status.to_owned());
                *expected.entry(entry).or_default() += 1;
            }
        }
        if !ids_of.is_empty() {
            found.doubled.push(format!("the platform has what nobody sent: {ids_of:?}"));
        }
        // Signatures, order, gaps, chain and counts; it fails by itself.
        let (entries, streams) = audit::verify_streams(AUDIT_SECRET, batches);
        if streams > 1 + self.streams_replaced_max {
            found.wrong.push(format!("the audit has {streams} streams"));
        }
        for entry in entries {
            let word = |name: &str| word(&entry, name).to_owned();
            *expected.entry((word("message_id"), word("receiver"), word("status"))).or_default() -=
                1;
        }
        for (entry, count) in expected {
            if count != 0 {
                let list = if count > 0 { &mut found.lost } else { &mut found.doubled };
                list.push(format!("{} audit entries for {entry:?}", 1 - count));
            }
        }
        Ok(found)
    }
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn recipients(message: &Value) -> Vec<String> {
    let all = message["recipients"].as_array().into_iter().flatten();
    all.filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

/// What a person does; too late is an answer too.
async fn act(api: &Api, path: &str, body: &Value) -> Result<(), Gone> {
    let answer = ask(api.request(Method::POST, path).json(body)).await?;
    assert!(matches!(answer.status, 200 | 409), "{path}: {}", answer.text());
    Ok(())
}

/// Every item of a list, read page by page.
async fn read_all(api: &Api, path: &str) -> Result<Vec<Value>, Gone> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("{path}?limit=200{cursor}");
        let page = ask(api.request(Method::GET, &path)).await?.expect(200).json();
        all.extend(page["items"].as_array().into_iter().flatten().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(all),
        }
    }
}

async fn ask(request: RequestBuilder) -> Result<Answer, Gone> {
    Answer::try_of(request).await.map_err(|_| Gone)
}
