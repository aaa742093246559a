//! The messages of a scenario, one after the other, each with the conversation it is for and what becomes of it.
//!
//! Conversations and content of a message are drawn for its index alone, arrivals and the guide's own content
//! from sequences of their own, so that another share in one place of a scenario shifts as little as possible
//! elsewhere. A message passes validation in its scenario's dialect unless it says which rule it was made to break.

use super::draws::{Draws, Purpose};
use super::files;
use super::history::{Failure, Receipt};
use super::hostile::Hostile;
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
    hostile: Hostile,
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
            hostile: Hostile::new(seed, self.hostile_percent),
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
        let (index, at_ms) = (self.index, self.at_ms);
        let mut draws = Draws::new(Purpose::Content, self.seed, [0; 16], index);
        let intent = self.hostile.intent(index);
        let place = self.place(&mut draws, intent.as_ref().and_then(|one| one.channel.as_ref()))?;
        let (simulated, times) = self.conversations.get_mut(place)?;
        let (from, to) = (simulated.sender(), simulated.recipient());
        let payload = match &self.scenario.messages {
            Messages::Guide => self.guide.next_message_on(self.rules, &simulated.channel, from, to),
            Messages::Drawn(drawn) => {
                compose(&mut draws, drawn, self.rules, &simulated.channel, (from, to))
            }
        };
        let read_at = Timestamp::from_unix_ms(BEGINNING_MS).plus(Duration::from_millis(at_ms));
        let conversation = simulated.at(read_at);
        let mut message = SimulatedMessage {
            index,
            at_ms,
            dialect: self.rules.dialect,
            breaks: None,
            conversation,
            payload,
            history: Vec::new(),
            failure: None,
        };
        let mut is_sent = true;
        if let Some(intent) = intent {
            let broken = intent.carry_out(self.rules, &message.conversation, &message.payload);
            is_sent = broken.may_be_sent;
            message.dialect = broken.dialect;
            message.breaks = Some(broken.rule.code);
            message.conversation = broken.conversation;
            message.payload = broken.payload;
        }
        if is_sent {
            let history = self.scenario.receipts.history(self.seed, simulated, *times);
            *times += 1;
            message.history = history.receipts;
            message.failure = history.failure;
        }
        self.index += 1;
        self.at_ms = at_ms.saturating_add(self.pause(index).into());
        Some(message)
    }
}

impl SimulatedMessages<'_> {
    /// Which conversation comes up: first a channel by its weight, unless one that the scenario has is preferred,
    /// then any of its conversations.
    fn place(&self, draws: &mut Draws, preferred: Option<&Channel>) -> Option<usize> {
        let drawn = weighted(draws, self.scenario.channels.iter())?;
        let on = |channel: &Channel| -> Vec<usize> {
            let all = self.conversations.iter().enumerate();
            all.filter(|(_, (one, _))| one.channel == *channel).map(|(place, _)| place).collect()
        };
        let mut places = preferred.map(on).unwrap_or_default();
        if places.is_empty() {
            places = on(drawn);
        }
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
    use crate::finding::{Finding, may_send};
    use crate::rules::catalogue::{RULES, Subject};
    use crate::simulator::{Receipts, VERSION, assert_snapshot};
    use crate::validate::{Context, validate};
    use sha2::{Digest, Sha256};
    use std::collections::BTreeSet;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn findings(message: &SimulatedMessage) -> Vec<Finding> {
        let rules = Ruleset::embedded(message.dialect);
        validate(&message.payload, rules, Context::Conversation(&message.conversation))
    }

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
    fn seed_42_of_the_busy_hour_gives_the_committed_messages() {
        let committed = include_str!("../../snapshots/scenario-busy-hour-seed-42.jsonl");
        is_as_committed("busy-hour", committed, 60);
    }

    #[test]
    fn seed_42_of_the_incident_gives_the_committed_messages() {
        let committed = include_str!("../../snapshots/scenario-incident-seed-42.jsonl");
        is_as_committed("incident", committed, 60);
    }

    #[test]
    fn seed_42_of_hostile_input_gives_the_committed_messages() {
        let committed = include_str!("../../snapshots/scenario-hostile-seed-42.jsonl");
        is_as_committed("hostile", committed, 150);
    }

    #[test]
    fn seed_42_of_lost_receipts_gives_the_committed_messages() {
        let committed = include_str!("../../snapshots/scenario-lost-receipts-seed-42.jsonl");
        is_as_committed("lost-receipts", committed, 40);
    }

    #[test]
    fn every_rule_of_payloads_is_broken_in_turn() {
        let scenario = Scenario::shipped("hostile").unwrap();
        let rules = RULES.iter().filter(|rule| rule.subject != Subject::Template);
        let all: BTreeSet<&str> = rules.map(|rule| rule.code).collect();
        for seed in [0, 42] {
            let mut broken = BTreeSet::new();
            for message in scenario.messages(seed).take(100) {
                let Some(code) = message.breaks else { continue };
                broken.insert(code);
                let found = findings(&message);
                assert!(found.iter().any(|one| one.code == code), "{code}: {message:?}");
                assert_eq!(message.history.is_empty(), !may_send(&found) || is_away(&message));
            }
            assert_eq!(broken, all);
        }
    }

    /// Whether a message is for a conversation that the sandbox does not have.
    fn is_away(message: &SimulatedMessage) -> bool {
        let id = &message.conversation.id;
        message.dialect != Dialect::Guide
            || id.as_str() == crate::simulator::GUIDE_CONVERSATION
            || world(42).iter().chain(&world(0)).all(|one| one.id != *id)
    }

    #[test]
    fn arrivals_keep_their_pace() {
        let at = |arrivals: Arrivals| -> Vec<u64> {
            let scenario = Scenario { arrivals, ..Scenario::shipped("incident").unwrap().clone() };
            scenario.messages(3).take(2_000).map(|one| one.at_ms).collect()
        };
        assert_eq!(at(Arrivals::Evenly { every_ms: 7 })[..4], [0, 7, 14, 21]);
        let bursts = at(Arrivals::Bursts { messages: 3, every_ms: 1, pause_ms: 50 });
        assert_eq!(bursts[..7], [0, 1, 2, 52, 53, 54, 104]);
        let randomly = at(Arrivals::Randomly { mean_ms: 100 });
        assert!(randomly.is_sorted());
        assert!((185_000..=215_000).contains(&randomly[1_999]), "{}", randomly[1_999]);
    }

    #[test]
    fn shares_of_what_becomes_of_messages_are_kept() {
        let shares = |name: &str| {
            let (mut late, mut failed, mut lost, mut silent) = (0, 0, 0, 0);
            for message in Scenario::shipped(name).unwrap().messages(5).take(2_000) {
                match message.history.last().unwrap() {
                    (_, Receipt::Failed) => {
                        failed += 1;
                        assert!(message.failure.is_some());
                    }
                    (_, Receipt::Sent) => lost += 1,
                    (_, Receipt::Queued) => silent += 1,
                    _ => late += u32::from(message.history[2].0 > 10_000),
                }
            }
            [late, failed, lost, silent]
        };
        let near = |found: [u32; 4], wanted: [u32; 4]| {
            let is_near = |(one, other): (&u32, &u32)| one.abs_diff(*other) <= 20 + other / 5;
            assert!(found.iter().zip(&wanted).all(is_near), "{found:?}, not {wanted:?}");
        };
        near(shares("guide"), [100, 0, 0, 0]);
        near(shares("busy-hour"), [60, 20, 0, 0]);
        near(shares("incident"), [664, 240, 100, 0]);
        near(shares("lost-receipts"), [60, 0, 600, 200]);
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
            assert!(may_send(&findings(&message)), "{message:?}");
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod properties {
    use super::super::scenario::{Files, Length, MimeType, Receipts, Weights};
    use super::super::text::Language;
    use super::*;
    use crate::finding::{Finding, may_send};
    use crate::rules::{FILE_TYPES, Narrowing};
    use crate::validate::{Context, validate};
    use proptest::collection::btree_map;
    use proptest::prelude::*;
    use proptest::sample::subsequence;
    use std::collections::BTreeMap;

    fn findings(message: &SimulatedMessage, rules: &Ruleset) -> Vec<Finding> {
        validate(&message.payload, rules, Context::Conversation(&message.conversation))
    }

    fn weights<T: Ord + Clone + std::fmt::Debug + 'static>(
        all: Vec<T>,
    ) -> impl Strategy<Value = Weights<T>> {
        let count = all.len();
        (subsequence(all, 1..=count), proptest::collection::vec(1..=10_000u32, count)).prop_map(
            |(chosen, weights)| chosen.into_iter().zip(weights).collect::<Vec<_>>().into(),
        )
    }

    fn span(first: u32, last: u32) -> impl Strategy<Value = [u32; 2]> {
        (first..=last, first..=last).prop_map(|(one, other)| [one.min(other), one.max(other)])
    }

    fn drawn() -> impl Strategy<Value = Messages> {
        let types = vec![ContentKind::Text, ContentKind::Html, ContentKind::Json];
        let languages = vec![
            Language::English,
            Language::German,
            Language::Czech,
            Language::Greek,
            Language::Arabic,
            Language::Japanese,
            Language::Emoji,
        ];
        let mimes: Vec<MimeType> = FILE_TYPES.iter().map(MimeType).collect();
        let files = (0..=100u32, 1..=10u32, 0..=100u32, weights(mimes), span(1, 200_000)).prop_map(
            |(percent, most, by_value_percent, types, bytes)| Files {
                percent,
                most,
                by_value_percent,
                types,
                bytes,
            },
        );
        let length = (1..=10_000u32, span(1, 10_000))
            .prop_map(|(weight, characters)| Length { weight, characters });
        let lengths = proptest::collection::vec(length, 1..4);
        (weights(types), lengths, weights(languages), proptest::option::of(files)).prop_map(
            |(types, lengths, languages, attachments)| {
                Messages::Drawn(Drawn { types, lengths, languages, attachments })
            },
        )
    }

    /// Any scenario of a dialect in which nothing is hostile.
    fn scenario() -> impl Strategy<Value = Scenario> {
        prop_oneof![Just(Dialect::Guide), Just(Dialect::Genesys)].prop_flat_map(|dialect| {
            let packs = &Ruleset::embedded(dialect).packs;
            let channels = packs.iter().map(|pack| pack.channel.clone()).collect();
            let messages = prop_oneof![1 => Just(Messages::Guide), 4 => drawn()];
            (weights(channels), messages).prop_map(move |(channels, messages)| Scenario {
                name: "any".into(),
                about: "Anything.".into(),
                dialect,
                channels,
                messages,
                arrivals: Arrivals::Randomly { mean_ms: 500 },
                receipts: Receipts::GUIDE,
                hostile_percent: 0,
            })
        })
    }

    fn narrowing() -> impl Strategy<Value = Narrowing> {
        let media = subsequence(vec!["image/png", "application/pdf", "text/*", "audio/*"], 0..=4);
        let small = |last: usize| proptest::option::of(1..=last);
        (small(600), small(10), small(90_000), small(90_000), proptest::option::of(media)).prop_map(
            |(text_max, attachments_max, one, all, media)| Narrowing {
                text_max,
                attachments_max: attachments_max.map(|most| most - 1),
                attachment_bytes_max: one,
                attachments_bytes_max: all,
                media_types: media.map(|all| all.into_iter().map(str::to_owned).collect()),
                ..Narrowing::default()
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_a_scenario_says_its_messages_may_be_sent(
            scenario in scenario(),
            seed: u64,
        ) {
            prop_assert_eq!(scenario.check(), Ok(()));
            let rules = Ruleset::embedded(scenario.dialect);
            for message in scenario.messages(seed).take(20) {
                let findings = findings(&message, rules);
                prop_assert!(may_send(&findings), "{message:?}: {findings:?}");
                prop_assert!(message.history.is_sorted_by_key(|(offset, _)| *offset));
            }
        }

        #[test]
        fn under_narrowed_rules_they_may_be_sent_too(
            scenario in scenario(),
            seed: u64,
            narrowings in btree_map(
                proptest::sample::select(Channel::KNOWN.to_vec()), narrowing(), 1..=8,
            ),
        ) {
            // What would not narrow a channel is left out; the others are what is tried.
            let embedded = Ruleset::embedded(scenario.dialect);
            let rules = narrowings.into_iter().fold(embedded.clone(), |rules, (channel, one)| {
                rules.narrowed(&BTreeMap::from([(channel, one)])).unwrap_or(rules)
            });
            for message in scenario.messages_under(seed, &rules).take(20) {
                let findings = findings(&message, &rules);
                prop_assert!(may_send(&findings), "{message:?}: {findings:?}");
            }
        }

        #[test]
        fn shipped_messages_may_be_sent_or_break_the_rule_they_name(seed: u64) {
            for name in Scenario::SHIPPED {
                for message in Scenario::shipped(name).unwrap().messages(seed).take(20) {
                    let findings = findings(&message, Ruleset::embedded(message.dialect));
                    match message.breaks {
                        None => prop_assert!(may_send(&findings), "{message:?}: {findings:?}"),
                        Some(code) => {
                            let is_broken = findings.iter().any(|one| one.code == code);
                            prop_assert!(is_broken, "{message:?}: {findings:?}");
                        }
                    }
                }
            }
        }

        #[test]
        fn the_first_messages_do_not_depend_on_how_many_follow(seed: u64, name_at in 0..5usize) {
            let scenario = Scenario::shipped(Scenario::SHIPPED[name_at]).unwrap();
            let few: Vec<_> = scenario.messages(seed).take(5).collect();
            let many: Vec<_> = scenario.messages(seed).take(15).collect();
            prop_assert_eq!(&few[..], &many[..5]);
            let text = serde_json::to_string(scenario).unwrap();
            let again = Scenario::read(&text).unwrap();
            prop_assert_eq!(&few, &again.messages(seed).take(5).collect::<Vec<_>>());
        }
    }
}
