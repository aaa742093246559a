//! `waybill sandbox` as a process, and the settings of a proxy that uses it.

use crate::api::Answer;
use crate::place::Place;
use crate::{binary, http, waybill};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

/// The audit secret of proxies that use a sandbox of their own process.
pub const AUDIT_SECRET: &str = "e2e-audit-secret-0123456789abcdef-0123456789";

/// A conversation that takes a plain text from `from` to `to`.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// Its id.
    pub id: String,
    /// Our side.
    pub from: String,
    /// The customer.
    pub to: String,
}

/// A simulated platform; dropping it kills it. Its state is in the place, so it can be started again.
pub struct SandboxProcess {
    child: Child,
    _stdout: Lines<BufReader<ChildStdout>>,
    client: reqwest::Client,
    /// What it announced.
    pub announcement: Value,
    /// Where it is.
    pub base_url: String,
}

impl SandboxProcess {
    /// Starts one on a free port.
    pub async fn start(place: &Place) -> Self {
        Self::start_at(place, "127.0.0.1:0").await
    }

    /// Starts one at an address, with what it remembers from before.
    pub async fn start_at(place: &Place, address: &str) -> Self {
        let secret = place.write("sandbox-audit-secret", AUDIT_SECRET.as_bytes());
        let mut command = binary::command();
        command
            .args(["sandbox", "--seed", "7", "--listen", address])
            .arg("--data")
            .arg(Self::file(place))
            .arg("--audit-secret-file")
            .arg(secret);
        let (child, mut stdout) = waybill::spawn(&mut command, &place.path("sandbox.log"));
        let line = timeout(Duration::from_secs(30), stdout.next_line()).await;
        let Ok(Ok(Some(line))) = line else {
            let log = std::fs::read_to_string(place.path("sandbox.log")).unwrap_or_default();
            panic!("waybill sandbox announced nothing: {line:?}\n{log}");
        };
        let announcement: Value = serde_json::from_str(&line).expect("it announces JSON");
        let base_url = announcement["base_url"].as_str().expect("it says where it is").to_owned();
        Self { child, _stdout: stdout, client: http::client(), announcement, base_url }
    }

    /// Where its state is.
    pub fn file(place: &Place) -> PathBuf {
        place.path("sandbox.sqlite")
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.base_url.trim_start_matches("http://").to_owned()
    }

    /// Ends it at once.
    pub async fn kill9(mut self) {
        self.child.kill().await.expect("a running process can be killed");
    }

    /// Settings of a proxy whose connection `main` is this sandbox, which also takes its audit.
    pub fn settings(&self, place: &Place) -> String {
        self.settings_with_sink(place, &format!("{}/sandbox/v1/audit", self.base_url))
    }

    /// Settings with another sink.
    pub fn settings_with_sink(&self, place: &Place, sink_url: &str) -> String {
        let word = |name: &str| self.announcement[name].as_str().unwrap_or_default();
        let client = place.write("client-secret", word("client_secret").as_bytes());
        let audit = place.write("audit-secret", AUDIT_SECRET.as_bytes());
        format!(
            "[connections.main]\n\
             dialect = \"guide\"\n\
             api_url = \"{base_url}\"\n\
             login_url = \"{base_url}\"\n\
             client_id = \"{client_id}\"\n\
             client_secret_file = \"{client}\"\n\
             [audit]\n\
             sink_url = \"{sink_url}\"\n\
             secret_file = \"{audit}\"\n",
            base_url = self.base_url,
            client_id = word("client_id"),
            client = client.display(),
            audit = audit.display(),
        )
    }

    /// The conversations in which messages arrive.
    pub fn conversations(&self) -> Vec<Conversation> {
        let word = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
        self.announcement["conversations"]
            .as_array()
            .expect("it announces conversations")
            .iter()
            .map(|one| Conversation {
                id: word(one, "id"),
                from: word(one, "from"),
                to: word(one, "to"),
            })
            .collect()
    }

    /// Every send that arrived, oldest first.
    pub async fn sends(&self) -> Vec<Value> {
        self.list("sends").await
    }

    /// Every batch its sink holds.
    pub async fn batches(&self) -> Vec<Value> {
        self.list("audit").await
    }

    async fn list(&self, call: &str) -> Vec<Value> {
        let name = if call == "audit" { "batches" } else { call };
        let url = format!("{}/sandbox/v1/{call}", self.base_url);
        let answer = Answer::of(self.client.get(url)).await.expect(200).json();
        answer[name].as_array().expect("it answers with a list").clone()
    }

    /// Replaces the faults.
    pub async fn put_faults(&self, rules: &Value) {
        self.put("faults", rules).await;
    }

    /// The faults in force, with what is left of their counts.
    pub async fn faults(&self) -> Value {
        let url = format!("{}/sandbox/v1/faults", self.base_url);
        Answer::of(self.client.get(url)).await.expect(200).json()
    }

    /// Sets the speed of its time.
    pub async fn put_speed(&self, speed: f64) {
        self.put("clock", &json!({ "speed": speed })).await;
    }

    async fn put(&self, call: &str, body: &Value) {
        let url = format!("{}/sandbox/v1/{call}", self.base_url);
        Answer::of(self.client.put(url).json(body)).await.expect(200);
    }
}
