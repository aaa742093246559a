//! The messages of a scenario, one after the other, each with the conversation it is for and what becomes of it.
//!
//! Conversations and content of a message are drawn for its index alone, arrivals and the guide's own content
//! from sequences of their own, so that another share in one place of a scenario shifts as little as possible
//! elsewhere. A message passes validation in its scenario's dialect unless it says which rule it was made to break.

use super::draws::{Draws, Purpose};
use super::files;
use super::history::{Failure, Receipt};
use super::message::Simulator;
use super::scenario::{Arrivals, ContentKind, Drawn, Messages, Scenario};
use super::text::{Language, Room, text};
use super::weighted;
use super::world::{Behaviour, SimulatedConversation, world};
use crate::channel::Channel;
use crate::conversation::Conversation;
use crate::payload::{APPLICATION_JSON, Payload, TEXT_HTML, TEXT_PLAIN};
use crate::rules::{Dialect, Pack, Ruleset};
use crate::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

/// When every simulation begins, in Unix milliseconds: 22 November 2026, 10:00 UTC.
pub const BEGINNING_MS: i64 = 1_795_341_600_000;

/// One message of a scenario.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct SimulatedMessage {
    /// Its number, from 0.
    pub index: u64,
    /// When it comes: milliseconds after the first one.
    pub at_ms: u64,
    /// The dialect it is for: the scenario's, or that of the rule it breaks.
    pub dialect: Dialect,
    /// The code of the rule it was made to break; `None` for one that may be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaks: Option<&'static str>,
    /// The conversation it is for. Of one that breaks a rule it need not be in the simulated world.
    pub conversation: Conversation,
    /// What it says.
    pub payload: Payload,
    /// What becomes of it, oldest first, each with milliseconds from its acceptance; empty where it cannot be sent.
    pub history: Vec<(u32, Receipt)>,
    /// Why it fails, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// An endless sequence of messages; the same seed, scenario and rules give the same one.
#[derive(Clone, Debug)]
pub struct SimulatedMessages<'a> {
    scenario: &'a Scenario,
    rules: &'a Ruleset,
    seed: u64,
    /// Ordinary conversations of the scenario's channels, and how many messages each has had.
    conversations: Vec<(SimulatedConversation, u64)>,
    guide: Simulator,
    arrivals: Draws,
    index: u64,
    at_ms: u64,
}

impl Scenario {
    /// The messages of this scenario for `seed`, under the rules as they are shipped.
    pub fn messages(&self, seed: u64) -> SimulatedMessages<'_> {
        self.messages_under(seed, Ruleset::embedded(self.dialect))
    }

    /// The same under rules that somebody narrowed.
    pub fn messages_under<'a>(&'a self, seed: u64, rules: &'a Ruleset) -> SimulatedMessages<'a> {
        let is_wanted = |one: &SimulatedConversation| {
            one.behaviour == Behaviour::Usual
                && one.accepts()
                && self.channels.iter().any(|(channel, _)| *channel == one.channel)
        };
        SimulatedMessages {
            scenario: self,
            rules,
            seed,
            conversations: world(seed)
                .into_iter()
                .filter(is_wanted)
                .map(|conversation| (conversation, 0))
                .collect(),
            guide: Simulator::new(seed),
            arrivals: Draws::new(Purpose::Arrivals, seed, [0; 16], 0),
            index: 0,
            at_ms: 0,
        }
    }
}

impl Iterator for SimulatedMessages<'_> {
    type Item = SimulatedMessage;

    fn next(&mut self) -> Option<SimulatedMessage> {
        let index = self.index;
        let mut draws = Draws::new(Purpose::Content, self.seed, [0; 16], index);
        let place = self.place(&mut draws)?;
        let at_ms = self.at_ms;
        let (simulated, times) = self.conversations.get_mut(place)?;
        let ordinal = *times;
        *times += 1;
        let (from, to) = (simulated.sender(), simulated.recipient());
        let payload = match &self.scenario.messages {
            Messages::Guide => self.guide.next_message_on(self.rules, &simulated.channel, from, to),
            Messages::Drawn(drawn) => {
                compose(&mut draws, drawn, self.rules, &simulated.channel, (from, to))
            }
        };
        let history = self.scenario.history(self.seed, simulated, ordinal);
        let read_at = Timestamp::from_unix_ms(BEGINNING_MS).plus(Duration::from_millis(at_ms));
        let message = SimulatedMessage {
            index,
            at_ms,
            dialect: self.rules.dialect,
            breaks: None,
            conversation: simulated.at(read_at),
            payload,
            history: history.receipts,
            failure: history.failure,
        };
        self.index += 1;
        self.at_ms = at_ms.saturating_add(self.pause(index).into());
        Some(message)
    }
}

impl SimulatedMessages<'_> {
    /// Which conversation comes up: first a channel by its weight, then any of its conversations.
    fn place(&self, draws: &mut Draws) -> Option<usize> {
        let channel = weighted(draws, self.scenario.channels.iter())?;
        let places: Vec<usize> = (0..self.conversations.len())
            .filter(|place| self.conversations[*place].0.channel == *channel)
            .collect();
        let end = u32::try_from(places.len()).unwrap_or(u32::MAX);
        places.get(usize::try_from(draws.below(end)).unwrap_or(0)).copied()
    }

    /// The pause after message number `index`.
    fn pause(&mut self, index: u64) -> u32 {
        match self.scenario.arrivals {
            Arrivals::Evenly { every_ms } => every_ms,
            Arrivals::Randomly { mean_ms } => self.arrivals.exponential(mean_ms),
            Arrivals::Bursts { messages, every_ms, pause_ms } => {
                let is_last = (index + 1).is_multiple_of(u64::from(messages.max(1)));
                if is_last { pause_ms } else { every_ms }
            }
        }
    }
}

/// A message after the figures, as far as the channel carries it.
fn compose(
    draws: &mut Draws,
    drawn: &Drawn,
    rules: &Ruleset,
    channel: &Channel,
    (from, to): (&str, &str),
) -> Payload {
    let mut payload = Payload {
        from: from.to_owned(),
        to: vec![to.to_owned()],
        content_type: TEXT_PLAIN.to_owned(),
        content: "Hello".into(),
        attachments: Vec::new(),
    };
    // Without a pack nothing can be sent there, whatever it says.
    let Ok(pack) = rules.pack(channel) else { return payload };
    let content_type = content_type(draws, drawn, pack);
    let lengths = drawn.lengths.iter().map(|one| (one.characters, one.weight));
    let [fewest, most] = weighted(draws, lengths).unwrap_or([1, 1]);
    let characters = draws.within(fewest, most);
    let language = weighted(draws, drawn.languages.iter().map(|(one, weight)| (*one, weight)));
    let language = language.unwrap_or(Language::English);
    payload.content = content(draws, &content_type, characters, language, pack);
    payload.content_type = content_type;
    if let Some(files) = &drawn.attachments {
        let text_bytes = payload.text().map_or(0, str::len);
        payload.attachments = files::attachments(draws, files, pack, text_bytes);
    }
    payload
}

fn content_type(draws: &mut Draws, drawn: &Drawn, pack: &Pack) -> String {
    let name = |kind| match kind {
        ContentKind::Text => TEXT_PLAIN,
        ContentKind::Html => TEXT_HTML,
        ContentKind::Json => APPLICATION_JSON,
    };
    let carried = drawn
        .types
        .iter()
        .map(|(kind, weight)| (name(*kind), weight))
        .filter(|(one, _)| pack.carries(one));
    let content_type = weighted(draws, carried).map(str::to_owned);
    content_type.or_else(|| pack.content_types.value.first().cloned()).unwrap_or_default()
}

fn content(
    draws: &mut Draws,
    content_type: &str,
    characters: u32,
    language: Language,
    pack: &Pack,
) -> Value {
    let room = Room::on(pack);
    match content_type {
        APPLICATION_JSON => {
            let number = draws.below(10_000);
            let text = text(draws, language, characters, room);
            json!({ "event": "message", "seq": number.to_string(), "text": text })
        }
        TEXT_HTML => match room.beside("<p></p>").filter(|rest| rest.holds("1")) {
            Some(rest) => json!(format!("<p>{}</p>", text(draws, language, characters, rest))),
            None => json!(text(draws, language, characters, room)),
        },
        _ => json!(text(draws, language, characters, room)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::may_send;
    use crate::simulator::{Receipts, VERSION, assert_snapshot};
    use crate::validate::{Context, validate};
    use sha2::{Digest, Sha256};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// One line of a snapshot. A payload that nobody would want to read is named by its digest.
    fn line(message: &SimulatedMessage) -> String {
        let mut line = json!(message);
        let bytes = message.payload.to_bytes();
        if bytes.len() > 4_000 {
            let digest: String =
                Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            line["payload"] = json!({ "bytes": bytes.len(), "sha256": digest });
        }
        // Who takes part is the world's snapshot; here it is enough to say which conversation.
        let id = message.conversation.id.as_str();
        line["conversation"] = json!([id, message.conversation.channel]);
        format!("{line}\n")
    }

    fn is_as_committed(name: &str, committed: &str, count: usize) {
        let scenario = Scenario::shipped(name).unwrap();
        let mut made = format!("{}\n", json!({ "version": VERSION, "scenario": name }));
        made.extend(scenario.messages(42).take(count).map(|one| line(&one)));
        assert_snapshot(&format!("scenario-{name}-seed-42.jsonl"), committed, &made);
    }

    #[test]
    fn seed_42_of_the_guide_gives_the_committed_messages() {
        let committed = include_str!("../../snapshots/scenario-guide-seed-42.jsonl");
        is_as_committed("guide", committed, 40);
    }

    #[test]
    fn the_guides_scenario_says_and_does_what_the_guide_does() {
        let scenario = Scenario::shipped("guide").unwrap();
        assert_eq!(scenario.receipts, Receipts::GUIDE);
        let mut guide = Simulator::new(7);
        let rules = Ruleset::embedded(Dialect::Guide);
        for (index, message) in scenario.messages(7).take(200).enumerate() {
            let conversation = &message.conversation;
            let (from, to) = (conversation.senders()[0], conversation.customers()[0]);
            let payload = guide.next_message_on(rules, &conversation.channel, from, to);
            assert_eq!(message.payload, payload);
            assert_eq!(message.at_ms, 1_000 * u64::try_from(index).unwrap());
            let findings = validate(&payload, rules, Context::Conversation(conversation));
            assert!(may_send(&findings), "{findings:?}");
        }
    }
}
