//! `waybill workflow`: the guide's whole workflow from the terminal. Generate, validate, send, follow to
//! delivery, judge, audit; one line per message: id, elapsed seconds, verdict.
//!
//! It is a client of the API like the page. When a proxy serves the data folder it uses that one, otherwise
//! it starts one for as long as it runs.

use super::{Common, Exit};
use crate::app;
use crate::clock;
use crate::config::{Config, LogConfig};
use crate::data_folder::{self, DataFolder, Opened};
use crate::platform::http;
use crate::telemetry;
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use shared::api::{
    Connection, IDEMPOTENCY_KEY, Message, MessageDetail, Page, Problem, RulesAnswer,
    SubmissionAccepted, SubmissionRequest, path,
};
use shared::conversation::Conversation;
use shared::delivery::State;
use shared::finding;
use shared::id::{Key, MessageId};
use shared::rules::{Dialect, Ruleset};
use shared::simulator::Simulator;
use shared::sla::Verdict;
use shared::validate::{Context, validate};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What `waybill workflow` takes.
#[derive(Args)]
pub struct WorkflowArgs {
    /// The same seed gives the same messages.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// How many messages.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    /// The connection to send through; the first one unless given.
    #[arg(long)]
    connection: Option<String>,
    /// Send through a connection that is not the sandbox, to real customers.
    #[arg(long)]
    live: bool,
    /// Seconds after which a message without an ending is reported as it is.
    #[arg(long, default_value_t = 120)]
    patience: u64,
    #[command(flatten)]
    common: Common,
}

impl WorkflowArgs {
    /// What it shares with other commands.
    pub fn common(&self) -> &Common {
        &self.common
    }
}

/// Runs the workflow; ends with 1 when a message did not end within the patience. A breached SLA is a result
/// like any other.
pub async fn workflow(args: &WorkflowArgs, mut config: Config) -> Exit {
    telemetry::start(&LogConfig { json: config.log.json, filter: "warn".into() });
    let (running, link) = match DataFolder::open(&config.data) {
        Ok(Opened::Served(address)) => match data_folder::launch_token_of(&config.data) {
            Ok(token) => (None, SecretString::from(app::link(&address, &token))),
            Err(error) => return fail(&error.to_string(), Exit::Storage),
        },
        Ok(Opened::Free(data)) => {
            config.listen.set_port(0);
            match app::start(&config, data).await {
                Ok(running) => {
                    let link = running.link().clone();
                    (Some(running), link)
                }
                Err(error) => {
                    return fail(
                        &error.to_string(),
                        if error.is_storage() { Exit::Storage } else { Exit::Usage },
                    );
                }
            }
        }
        Err(error) => return fail(&format!("{}: {error}", config.data.display()), Exit::Storage),
    };
    let exit = match Api::new(&link) {
        Ok(api) => run(args, &api).await.unwrap_or_else(|text| fail(&text, Exit::Usage)),
        Err(text) => fail(&text, Exit::Usage),
    };
    if let Some(running) = running {
        running.stop(config.shutdown).await;
    }
    exit
}

fn fail(text: &str, exit: Exit) -> Exit {
    eprintln!("waybill: {text}");
    exit
}

async fn run(args: &WorkflowArgs, api: &Api) -> Result<Exit, String> {
    let connections: Page<Connection> = api.get(path::CONNECTIONS).await?;
    let connection = connections
        .items
        .into_iter()
        .find(|one| args.connection.as_deref().is_none_or(|name| one.name.as_str() == name))
        .ok_or_else(|| "there is no connection of that name".to_owned())?;
    if !connection.sandbox && !args.live {
        return Err(format!(
            "{} is not the sandbox; add --live to send generated messages to real customers",
            connection.name
        ));
    }
    let known: Page<Conversation> =
        api.get(&path::fill(path::CONVERSATIONS, "name", connection.name.as_str())).await?;
    let open: Vec<&Conversation> = known
        .items
        .iter()
        .filter(|one| {
            one.ended_at.is_none() && !one.senders().is_empty() && !one.customers().is_empty()
        })
        .collect();
    if open.is_empty() {
        return Err("no open conversation is known; open one in the console first".into());
    }
    let in_force: RulesAnswer = api.get(path::RULES).await?;
    let own = in_force.connections.iter().find(|one| one.connection == connection.name);
    let rules = own.map_or_else(|| Ruleset::embedded(Dialect::Guide), |one| &one.ruleset);
    let mut simulator = Simulator::new(args.seed);
    let mut sent = Vec::new();
    for index in 0..args.count {
        let index = usize::try_from(index).unwrap_or(0);
        let conversation = open[index % open.len()];
        let (from, to) = (conversation.senders()[0], conversation.customers()[0]);
        let payload = simulator.next_message_on(rules, &conversation.channel, from, to);
        let findings = validate(&payload, rules, Context::Conversation(conversation));
        if !finding::may_send(&findings) {
            return Err(format!("a generated message is not valid: {findings:?}"));
        }
        let request = SubmissionRequest {
            connection: connection.name.clone(),
            conversation_id: conversation.id.clone(),
            payload,
            not_before: None,
            expires_at: None,
        };
        let key = Key::new(clock::now(), clock::random());
        let accepted: SubmissionAccepted = api.submit(&key, &request).await?;
        sent.extend(accepted.messages.into_iter().map(|message| message.id));
    }
    let mut all_ended = true;
    for id in sent {
        let message = follow(api, &id, Duration::from_secs(args.patience)).await?;
        all_ended &= message.verdict != Verdict::Pending;
        println!("{}", line(&message));
    }
    Ok(if all_ended { Exit::Good } else { Exit::Findings })
}

fn line(message: &Message) -> String {
    let elapsed =
        message.elapsed_seconds.map_or_else(|| "-".to_owned(), |elapsed| format!("{elapsed:.3}"));
    format!("{}\t{elapsed}\t{}", message.id, message.verdict.as_str())
}

/// Asks until the message has a verdict that no longer waits, or patience ends.
async fn follow(api: &Api, id: &MessageId, patience: Duration) -> Result<Message, String> {
    let until = tokio::time::Instant::now() + patience;
    loop {
        let detail: MessageDetail = api.get(&path::fill(path::MESSAGE, "id", id.as_str())).await?;
        let message = detail.message;
        let is_settled =
            message.delivery.ended_at.is_some() || message.delivery.state == State::Parked;
        // Without receipts nothing more will come; a look after the threshold is as much as can be known.
        let is_unmeasurable =
            message.verdict == Verdict::Unknown && looked_past_threshold(&message);
        if is_settled || is_unmeasurable || tokio::time::Instant::now() >= until {
            return Ok(message);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn looked_past_threshold(message: &Message) -> bool {
    let delivery = &message.delivery;
    let due = delivery.submitted_at.map(|at| at.plus(Duration::from_millis(delivery.threshold_ms)));
    delivery.looked_at.zip(due).is_some_and(|(looked, due)| looked >= due)
}

/// The proxy's API as a program calls it.
pub(super) struct Api {
    client: reqwest::Client,
    base_url: String,
    token: SecretString,
}

impl Api {
    pub(super) fn new(link: &SecretString) -> Result<Self, String> {
        let (base_url, token) = link
            .expose_secret()
            .split_once("/#token=")
            .ok_or_else(|| "the link holds no token".to_owned())?;
        let client = http::client_for(base_url).map_err(|error| error.to_string())?;
        Ok(Self { client, base_url: base_url.to_owned(), token: SecretString::from(token) })
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        self.answer(self.client.get(format!("{}{path}", self.base_url))).await
    }

    async fn submit(
        &self,
        key: &Key,
        request: &SubmissionRequest,
    ) -> Result<SubmissionAccepted, String> {
        let url = format!("{}{}", self.base_url, path::SUBMISSIONS);
        self.answer(self.client.post(url).header(IDEMPOTENCY_KEY, key.as_str()).json(request)).await
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, String> {
        let response = request
            .timeout(Duration::from_secs(15))
            .bearer_auth(self.token.expose_secret())
            .send()
            .await
            .map_err(|error| http::describe(&error))?;
        if response.status().is_success() {
            return response.json().await.map_err(|error| http::describe(&error));
        }
        let status = response.status();
        match response.json::<Problem>().await {
            Ok(problem) => {
                Err(format!("{} ({})", problem.title, problem.detail.unwrap_or_default()))
            }
            Err(_) => Err(format!("the proxy answered {status}")),
        }
    }
}
