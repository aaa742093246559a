//! What is to be simulated, as a small file: channels, what is said, when messages come, and what becomes of them.
//!
//! A scenario is data and nothing else: with a seed and [`super::VERSION`] it names one sequence of messages, on
//! every machine. [`Scenario::read`] is strict (an unknown or doubled field is refused) and reports every bad
//! value at once, each by the name of its field and with what would do. Everything that could grow is bounded
//! here, so that whatever reads a scenario from a link or a file may run it.

use super::text::Language;
use crate::channel::Channel;
use crate::json::{self, DecodeError};
use crate::rules::{Dialect, FILE_TYPES, FileType, Ruleset, file_type};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::OnceLock;

/// The largest scenario file that is read, in bytes.
pub const SCENARIO_BYTES_MAX: usize = 64 * 1024;
/// The largest weight.
const WEIGHT_MAX: u32 = 10_000;
/// The longest delay and the longest pause between two messages: one day.
const MS_MAX: u32 = 24 * 60 * 60 * 1000;
/// The longest text, in characters.
const CHARACTERS_MAX: u32 = 10_000;
/// The largest file by value, in bytes.
const FILE_BYTES_MAX: u32 = 1024 * 1024;
/// Most files of one message.
const FILES_MAX: u32 = 10;
/// Most messages of one burst.
const BURST_MAX: u32 = 100_000;
/// Most entries of a list.
const ENTRIES_MAX: usize = 16;

/// The first and the last of the whole numbers one is drawn from, both included.
pub type Span = [u32; 2];

/// What is to be simulated.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name: 1 to 40 lower-case letters, digits and hyphens.
    pub name: String,
    /// What it shows, in a sentence or two.
    pub about: String,
    /// The dialect its messages are for.
    #[serde(default)]
    pub dialect: Dialect,
    /// Channels, and how often each comes up.
    pub channels: Weights<Channel>,
    /// What messages say.
    pub messages: Messages,
    /// When they come.
    pub arrivals: Arrivals,
    /// What becomes of them.
    pub receipts: Receipts,
    /// How many of a hundred messages break a rule, each the next rule of a shuffled catalogue.
    #[serde(default)]
    pub hostile_percent: u32,
}

/// What messages say.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Messages {
    /// What the guide contract's simulator says: `Test message N`, half of them with a file.
    Guide,
    /// Texts and files drawn after these figures.
    Drawn(Drawn),
}

/// The figures for drawn messages.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawn {
    /// Content types, and how often each comes up where the channel carries it.
    pub types: Weights<ContentKind>,
    /// How long texts are. A text is never longer than its channel takes.
    pub lengths: Vec<Length>,
    /// Languages, and how often each comes up.
    pub languages: Weights<Language>,
    /// Files; without it there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Files>,
}

/// A content type by its short name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentKind {
    /// `text/plain`.
    Text,
    /// `text/html`.
    Html,
    /// `application/json`.
    Json,
}

/// Some texts: between so many and so many characters long.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Length {
    /// How often texts of these lengths come up.
    pub weight: u32,
    /// Their fewest and their most characters.
    pub characters: Span,
}

/// The files of messages.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// How many of a hundred messages have files.
    pub percent: u32,
    /// Most files of one message; each number from 1 up to it comes up as often.
    #[serde(default = "one")]
    pub most: u32,
    /// How many of a hundred files are given by value. Where the dialect takes no addresses, all are.
    #[serde(default)]
    pub by_value_percent: u32,
    /// MIME types, and how often each comes up where the channel carries it.
    pub types: Weights<MimeType>,
    /// Fewest and most bytes of a file by value.
    pub bytes: Span,
}

fn one() -> u32 {
    1
}

/// When messages come. Offsets are whole milliseconds from the first one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Arrivals {
    /// One after each pause.
    Evenly {
        /// The pause.
        every_ms: u32,
    },
    /// Independently of each other, with exponential pauses: a Poisson process in whole milliseconds.
    Randomly {
        /// The mean pause.
        mean_ms: u32,
    },
    /// Some in quick succession, then a long pause.
    Bursts {
        /// Messages in a burst.
        messages: u32,
        /// The pause between two of a burst.
        every_ms: u32,
        /// The pause after a burst.
        pause_ms: u32,
    },
}

/// What becomes of messages, in milliseconds from their acceptance. The conversations that were made to show
/// something ([`super::Behaviour`]) keep their promise in every scenario.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipts {
    /// When they are handed to the carrier.
    pub sent_ms: Span,
    /// When they are delivered, unless late.
    pub delivered_ms: Span,
    /// How many of a hundred are late.
    pub late_percent: u32,
    /// When the late ones are delivered.
    pub late_ms: Span,
    /// How many of a hundred delivered ones are read.
    pub read_percent: u32,
    /// How long after delivery.
    pub read_after_ms: Span,
    /// When those that fail do so.
    pub failed_ms: Span,
    /// How messages fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureShare>,
    /// Of how many of a hundred nothing is reported after `sent`.
    #[serde(default)]
    pub lost_percent: u32,
    /// Of how many of a hundred nothing is reported at all, not even `sent`.
    #[serde(default)]
    pub silent_percent: u32,
}

/// One way of failing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailureShare {
    /// How many of a hundred messages fail like this.
    pub percent: u32,
    /// The platform's code.
    pub code: String,
    /// The same in words.
    pub reason: String,
}

/// Things, and how often each comes up compared with the others. Their order in the file means nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Weights<T: Ord>(BTreeMap<T, u32>);

impl<T: Ord> Weights<T> {
    /// Each with its weight, in the order of the type.
    pub fn iter(&self) -> impl Iterator<Item = (&T, u32)> + Clone {
        self.0.iter().map(|(one, weight)| (one, *weight))
    }
}

impl<T: Ord> From<Vec<(T, u32)>> for Weights<T> {
    fn from(entries: Vec<(T, u32)>) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<T: Ord + Serialize> Serialize for Weights<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.0)
    }
}

impl<'de, T: Ord + Deserialize<'de> + fmt::Display> Deserialize<'de> for Weights<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WeightsVisitor(PhantomData))
    }
}

struct WeightsVisitor<T>(PhantomData<T>);

impl<'de, T: Ord + Deserialize<'de> + fmt::Display> Visitor<'de> for WeightsVisitor<T> {
    type Value = Weights<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of names and weights")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut all = BTreeMap::new();
        while let Some(name) = access.next_key::<T>()? {
            if all.contains_key(&name) {
                return Err(de::Error::custom(format!("duplicate field `{name}`")));
            }
            all.insert(name, access.next_value()?);
        }
        Ok(Weights(all))
    }
}

impl fmt::Display for ContentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ContentKind::Text => "text",
            ContentKind::Html => "html",
            ContentKind::Json => "json",
        })
    }
}

/// A MIME type on the allow-list of attachments; ordered as it stands there.
#[derive(Clone, Copy, Debug)]
pub struct MimeType(pub &'static FileType);

impl MimeType {
    /// The entry for a MIME type written in lower case.
    pub fn of(mime: &str) -> Option<Self> {
        file_type(mime).map(Self)
    }

    fn place(self) -> usize {
        FILE_TYPES.iter().position(|one| one.mime == self.0.mime).unwrap_or(FILE_TYPES.len())
    }
}

impl PartialEq for MimeType {
    fn eq(&self, other: &Self) -> bool {
        self.0.mime == other.0.mime
    }
}

impl Eq for MimeType {}

impl PartialOrd for MimeType {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MimeType {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place().cmp(&other.place())
    }
}

impl fmt::Display for MimeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.mime)
    }
}

impl Serialize for MimeType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.mime)
    }
}

impl<'de> Deserialize<'de> for MimeType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::of(&name).ok_or_else(|| {
            let all: Vec<&str> = FILE_TYPES.iter().map(|one| one.mime).collect();
            de::Error::custom(format!(
                "\"{name}\" is not a type of file that can be sent; use one of {}",
                all.join(", ")
            ))
        })
    }
}

/// Why a text is not a scenario.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It is not JSON of the right shape.
    #[error("the scenario cannot be read: {0}")]
    Shape(#[from] DecodeError),
    /// It has the right shape, and values that will not do.
    #[error("the scenario cannot be used: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Values(Vec<BadValue>),
}

/// A value of a scenario that will not do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct BadValue {
    /// The field, as `receipts.late_ms`.
    pub field: String,
    /// What is wrong, and what would do.
    pub problem: String,
}

/// The shipped files, in the order they are shown.
const FILES: [(&str, &str); 5] = [
    ("guide", include_str!("../../scenarios/guide.json")),
    ("busy-hour", include_str!("../../scenarios/busy-hour.json")),
    ("incident", include_str!("../../scenarios/incident.json")),
    ("hostile", include_str!("../../scenarios/hostile.json")),
    ("lost-receipts", include_str!("../../scenarios/lost-receipts.json")),
];

impl Scenario {
    /// The names of the scenarios that are shipped; the first is what is simulated where nobody says otherwise.
    pub const SHIPPED: [&'static str; FILES.len()] = {
        let mut names = [""; FILES.len()];
        let mut index = 0;
        while index < FILES.len() {
            names[index] = FILES[index].0;
            index += 1;
        }
        names
    };

    /// The shipped scenario of this name.
    pub fn shipped(name: &str) -> Option<&'static Scenario> {
        static READ: OnceLock<Vec<Scenario>> = OnceLock::new();
        // One that could not be read would not be there; the tests read them all.
        let all = READ.get_or_init(|| {
            FILES.iter().filter_map(|(_, text)| Scenario::read(text).ok()).collect()
        });
        all.iter().find(|one| one.name == name)
    }

    /// The text of a shipped scenario's file, to begin one's own from.
    pub fn shipped_text(name: &str) -> Option<&'static str> {
        FILES.iter().find(|(one, _)| *one == name).map(|(_, text)| *text)
    }

    /// Reads a scenario's file, strictly.
    pub fn read(text: &str) -> Result<Scenario, ScenarioError> {
        if text.len() > SCENARIO_BYTES_MAX {
            let problem = format!(
                "the file has {} bytes, more than the {SCENARIO_BYTES_MAX} allowed",
                text.len()
            );
            return Err(ScenarioError::Values(vec![BadValue { field: "file".into(), problem }]));
        }
        let scenario: Scenario = json::decode(text.as_bytes())?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Whether every value will do; [`Scenario::read`] has asked already.
    pub fn check(&self) -> Result<(), ScenarioError> {
        let mut faults = Faults(Vec::new());
        self.names(&mut faults);
        self.weigh_channels(&mut faults);
        if let Messages::Drawn(drawn) = &self.messages {
            drawn.check(&mut faults);
        }
        self.arrivals.check(&mut faults);
        self.receipts.check(&mut faults);
        faults.percent("hostile_percent", self.hostile_percent);
        if faults.0.is_empty() { Ok(()) } else { Err(ScenarioError::Values(faults.0)) }
    }

    fn names(&self, faults: &mut Faults) {
        let is_name = (1..=40).contains(&self.name.len())
            && self.name.bytes().all(|one| matches!(one, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !is_name {
            faults.add("name", "write 1 to 40 of a-z, 0-9 and -, such as busy-hour".into());
        }
        if !(1..=400).contains(&self.about.chars().count()) {
            faults.add("about", "say in 1 to 400 characters what it shows".into());
        }
    }

    fn weigh_channels(&self, faults: &mut Faults) {
        faults.weights("channels", &self.channels);
        let rules = Ruleset::embedded(self.dialect);
        let carried: Vec<&str> = rules.packs.iter().map(|pack| pack.channel.as_str()).collect();
        for (channel, _) in self.channels.iter() {
            if rules.pack(channel).is_err() {
                faults.add(
                    format!("channels.{channel}"),
                    format!(
                        "the dialect {} does not carry it; use some of {}",
                        self.dialect,
                        carried.join(", ")
                    ),
                );
            }
        }
    }
}

impl Drawn {
    fn check(&self, faults: &mut Faults) {
        faults.weights("messages.drawn.types", &self.types);
        faults.weights("messages.drawn.languages", &self.languages);
        let field = "messages.drawn.lengths";
        if !(1..=ENTRIES_MAX).contains(&self.lengths.len()) {
            faults.add(field, format!("name 1 to {ENTRIES_MAX} lengths"));
        }
        for (index, length) in self.lengths.iter().enumerate() {
            let field = format!("{field}.{index}");
            faults.within(format!("{field}.weight"), length.weight, 1, WEIGHT_MAX);
            faults.span(format!("{field}.characters"), length.characters, 1, CHARACTERS_MAX);
        }
        if let Some(files) = &self.attachments {
            let field = |name: &str| format!("messages.drawn.attachments.{name}");
            faults.percent(field("percent"), files.percent);
            faults.within(field("most"), files.most, 1, FILES_MAX);
            faults.percent(field("by_value_percent"), files.by_value_percent);
            faults.weights(field("types"), &files.types);
            faults.span(field("bytes"), files.bytes, 1, FILE_BYTES_MAX);
        }
    }
}

impl Arrivals {
    fn check(&self, faults: &mut Faults) {
        match *self {
            Arrivals::Evenly { every_ms } => {
                faults.within("arrivals.evenly.every_ms", every_ms, 0, MS_MAX);
            }
            Arrivals::Randomly { mean_ms } => {
                faults.within("arrivals.randomly.mean_ms", mean_ms, 0, MS_MAX);
            }
            Arrivals::Bursts { messages, every_ms, pause_ms } => {
                faults.within("arrivals.bursts.messages", messages, 1, BURST_MAX);
                faults.within("arrivals.bursts.every_ms", every_ms, 0, MS_MAX);
                faults.within("arrivals.bursts.pause_ms", pause_ms, 0, MS_MAX);
            }
        }
    }
}

impl Receipts {
    /// What becomes of messages where no scenario says otherwise; the shipped `guide` says the same.
    pub const GUIDE: Receipts = Receipts {
        sent_ms: [50, 300],
        delivered_ms: [400, 4_000],
        late_percent: 5,
        late_ms: [12_000, 20_000],
        read_percent: 50,
        read_after_ms: [1_000, 20_000],
        failed_ms: [500, 1_500],
        failures: Vec::new(),
        lost_percent: 0,
        silent_percent: 0,
    };

    fn check(&self, faults: &mut Faults) {
        let spans = [
            ("receipts.sent_ms", self.sent_ms),
            ("receipts.delivered_ms", self.delivered_ms),
            ("receipts.late_ms", self.late_ms),
            ("receipts.read_after_ms", self.read_after_ms),
            ("receipts.failed_ms", self.failed_ms),
        ];
        for (field, span) in spans {
            faults.span(field, span, 1, MS_MAX);
            let follows_sent = matches!(
                field,
                "receipts.delivered_ms" | "receipts.late_ms" | "receipts.failed_ms"
            );
            if follows_sent && span[0] <= self.sent_ms[1] {
                faults.add(
                    field,
                    format!(
                        "it begins at {}, before the last message is sent; begin after {}, where \
                         receipts.sent_ms ends",
                        span[0], self.sent_ms[1]
                    ),
                );
            }
        }
        faults.percent("receipts.late_percent", self.late_percent);
        faults.percent("receipts.read_percent", self.read_percent);
        faults.percent("receipts.lost_percent", self.lost_percent);
        faults.percent("receipts.silent_percent", self.silent_percent);
        if self.failures.len() > ENTRIES_MAX {
            faults.add("receipts.failures", format!("name at most {ENTRIES_MAX}"));
        }
        let mut together = self.lost_percent.saturating_add(self.silent_percent);
        for (index, failure) in self.failures.iter().enumerate() {
            let field = |name: &str| format!("receipts.failures.{index}.{name}");
            faults.percent(field("percent"), failure.percent);
            for (name, text) in [("code", &failure.code), ("reason", &failure.reason)] {
                let is_plain = (1..=200).contains(&text.chars().count())
                    && !text.chars().any(crate::address::is_invisible);
                if !is_plain {
                    faults.add(field(name), "write 1 to 200 visible characters".into());
                }
            }
            together = together.saturating_add(failure.percent);
        }
        if together > 100 {
            faults.add(
                "receipts",
                format!(
                    "failures, lost_percent and silent_percent are {together} of a hundred; make \
                     them 100 or less together"
                ),
            );
        }
    }
}

/// What is wrong so far.
struct Faults(Vec<BadValue>);

impl Faults {
    fn add(&mut self, field: impl Into<String>, problem: String) {
        self.0.push(BadValue { field: field.into(), problem });
    }

    fn within(&mut self, field: impl Into<String>, value: u32, first: u32, last: u32) {
        if !(first..=last).contains(&value) {
            self.add(field, format!("{value} will not do; write {first} to {last}"));
        }
    }

    fn percent(&mut self, field: impl Into<String>, value: u32) {
        self.within(field, value, 0, 100);
    }

    fn span(&mut self, field: impl Into<String>, span: Span, first: u32, last: u32) {
        let [begin, end] = span;
        if begin > end || begin < first || end > last {
            self.add(
                field,
                format!(
                    "[{begin}, {end}] will not do; write two numbers from {first} to {last}, the \
                     smaller first"
                ),
            );
        }
    }

    fn weights<T: Ord + fmt::Display>(&mut self, field: impl Into<String>, all: &Weights<T>) {
        let field = field.into();
        if all.0.is_empty() {
            self.add(&field, "name at least one".into());
        }
        for (name, weight) in all.iter() {
            self.within(format!("{field}.{name}"), weight, 1, WEIGHT_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// The busy hour with one value replaced.
    fn with(pointer: &str, value: Value) -> Result<Scenario, ScenarioError> {
        let mut file: Value =
            serde_json::from_str(Scenario::shipped_text("busy-hour").unwrap()).unwrap();
        *file.pointer_mut(pointer).unwrap() = value;
        Scenario::read(&file.to_string())
    }

    fn fault(pointer: &str, value: Value) -> String {
        with(pointer, value).unwrap_err().to_string()
    }

    #[test]
    fn every_shipped_file_can_be_read_and_says_its_name() {
        assert_eq!(
            Scenario::SHIPPED,
            ["guide", "busy-hour", "incident", "hostile", "lost-receipts"]
        );
        for name in Scenario::SHIPPED {
            let scenario = Scenario::read(Scenario::shipped_text(name).unwrap()).unwrap();
            assert_eq!(scenario.name, name);
            assert_eq!(Scenario::shipped(name), Some(&scenario));
            let written = serde_json::to_string(&scenario).unwrap();
            assert_eq!(Scenario::read(&written), Ok(scenario));
        }
        assert_eq!(Scenario::shipped("other"), None);
        assert_eq!(Scenario::shipped("guide").unwrap().receipts, Receipts::GUIDE);
    }

    #[test]
    fn the_documents_example_is_a_scenario() {
        let documents = include_str!("../../../docs/sandbox.md");
        let (_, rest) = documents.split_once("```json\n{\n  \"name\"").unwrap();
        let (example, _) = rest.split_once("```").unwrap();
        let scenario = Scenario::read(&format!("{{\"name\"{example}")).unwrap();
        assert_eq!(scenario.name, "slow-evening");
        for name in Scenario::SHIPPED {
            assert!(documents.contains(&format!("| `{name}` |")), "{name}");
        }
    }

    #[test]
    fn what_has_the_wrong_shape_is_refused_with_its_place() {
        for (pointer, value, words) in [
            ("/channels", json!([]), "an object of names and weights"),
            ("/channels/sms", json!(-1), "/channels/sms"),
            ("/channels/sms", json!(1.5), "/channels/sms"),
            ("/messages", json!("other"), "unknown variant `other`, expected `guide` or `drawn`"),
            ("/messages/drawn/types", json!({"xml": 1}), "unknown variant `xml`, expected"),
            ("/messages/drawn/languages", json!({"klingon": 1}), "expected one of `english`"),
            (
                "/messages/drawn/attachments/types",
                json!({"image/svg+xml": 1}),
                "not a type of file that can be sent; use one of application/pdf,",
            ),
            ("/arrivals", json!({"evenly": {"every": 1}}), "unknown field `every`"),
            ("/receipts/sent_ms", json!([1]), "/receipts/sent_ms"),
            ("/dialect", json!("morse"), "expected `guide` or `genesys`"),
        ] {
            let error = fault(pointer, value);
            assert!(error.contains("cannot be read: line 1, column "), "{error}");
            assert!(error.contains(words), "{error}");
        }
        let guide = Scenario::shipped_text("guide").unwrap();
        for (from, to, words) in [
            ("\"name\"", "\"seed\": 1, \"name\"", "unknown field `seed`"),
            ("\"sms\": 1", "\"sms\": 1, \"SMS\": 2", "duplicate field `sms`"),
            ("\"guide\",\n  \"arr", "\"guide\",\n  \"name\": \"x\", \"arr", "duplicate field"),
        ] {
            let error = Scenario::read(&guide.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        for text in ["", "null", "[]", "{}", "7 8"] {
            assert!(matches!(Scenario::read(text), Err(ScenarioError::Shape(_))), "{text}");
        }
    }

    #[test]
    fn every_value_that_will_not_do_is_named_with_what_would() {
        let day = MS_MAX;
        for (pointer, value, words) in [
            ("/name", json!("Busy Hour"), "name: write 1 to 40 of a-z, 0-9 and -"),
            ("/about", json!(""), "about: say in 1 to 400 characters"),
            ("/channels", json!({}), "channels: name at least one"),
            ("/channels/sms", json!(0), "channels.sms: 0 will not do; write 1 to 10000"),
            ("/channels", json!({"pigeon": 1}), "channels.pigeon: the dialect guide does not"),
            ("/dialect", json!("genesys"), "channels.email: the dialect genesys does not carry it"),
            ("/messages/drawn/lengths", json!([]), "messages.drawn.lengths: name 1 to 16"),
            (
                "/messages/drawn/lengths/1/characters",
                json!([9, 8]),
                "messages.drawn.lengths.1.characters: [9, 8] will not do; write two numbers from 1 \
                 to 10000, the smaller first",
            ),
            ("/messages/drawn/attachments/percent", json!(101), "attachments.percent: 101 will"),
            ("/messages/drawn/attachments/most", json!(11), "attachments.most: 11 will not do"),
            ("/messages/drawn/attachments/bytes", json!([1, 2_000_000]), "attachments.bytes: "),
            (
                "/arrivals",
                json!({"bursts": {"messages": 0, "every_ms": 0, "pause_ms": 0}}),
                "arrivals.bursts.messages: 0 will not do; write 1 to 100000",
            ),
            ("/arrivals", json!({"evenly": {"every_ms": day + 1}}), "arrivals.evenly.every_ms: "),
            (
                "/receipts/delivered_ms",
                json!([400, 6000]),
                "receipts.delivered_ms: it begins at 400, before the last message is sent; begin \
                 after 400, where receipts.sent_ms ends",
            ),
            ("/receipts/late_percent", json!(200), "receipts.late_percent: 200 will not do"),
            ("/receipts/failures/0/code", json!(""), "receipts.failures.0.code: write 1 to 200"),
            ("/receipts/failures/0/reason", json!("a\u{202e}b"), "receipts.failures.0.reason: "),
            ("/receipts/failures/0/percent", json!(101), "receipts: failures, lost_percent and"),
        ] {
            let error = fault(pointer, value);
            assert!(error.starts_with("the scenario cannot be used: "), "{error}");
            assert!(error.contains(words), "{error}");
        }
        let hostile = Scenario { hostile_percent: 101, ..with("/name", json!("x")).unwrap() };
        let two = Scenario { name: String::new(), ..hostile };
        let Err(ScenarioError::Values(faults)) = two.check() else { panic!("{two:?}") };
        let fields: Vec<&str> = faults.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["name", "hostile_percent"]);
        let long = " ".repeat(SCENARIO_BYTES_MAX + 1);
        let error = Scenario::read(&long).unwrap_err().to_string();
        assert!(error.contains("65537 bytes, more than the 65536 allowed"), "{error}");
    }
}
