//! Faults on demand: which calls go wrong, and how. `docs/sandbox.md` says what each does and what its rule
//! may say.
//!
//! Which calls a probability strikes follows from the seed and the number of calls since the rules were set:
//! the same rules and the same calls give the same faults again. Platform and sink count apart, because
//! nothing fixes the order of their calls. Rules and counts survive a restart.

use super::lock;
use super::store::{Store, Treatment};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::simulator::{Draws, Purpose};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::time::Duration;

const NEXT_MAX: u32 = 1_000_000;
const REAL_MS: RangeInclusive<i64> = 1..=60_000;
/// Of simulated time: thirty days.
const SIMULATED_MS: RangeInclusive<i64> = 1..=2_592_000_000;
/// A clock can be off either way.
const SKEW_MS: RangeInclusive<i64> = -2_592_000_000..=2_592_000_000;
const HEADER_BYTES_MAX: usize = 200;
const ELSEWHERE: &str = "https://elsewhere.example/";
/// Tells the sink's draws from the platform's.
const SINK: [u8; 16] = [1; 16];

/// What kind of call a rule can be narrowed to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// `POST …/messages`.
    Send,
    /// `GET` of a conversation.
    Read,
    /// `POST /oauth/token`.
    Token,
}

/// What can go wrong. The order is that of the draws: a new one goes to
/// the end of its list in [`Fault::PLATFORM`] or [`Fault::SINK`], so that a seed keeps its meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    Latency,
    TokenRevoked,
    Reset,
    Hang,
    #[serde(rename = "rate_429")]
    TooMany,
    #[serde(rename = "rate_5xx")]
    Broken,
    LostReply,
    Redirect,
    Malformed,
    Oversized,
    Cut,
    Drip,
    ReceiptLate,
    ReceiptLost,
    ReceiptDuplicate,
    ReceiptDisorder,
    VisibleLate,
    Forgetful,
    SinkLatency,
    SinkReset,
    SinkHang,
    SinkStatus,
    SinkLostReply,
    SinkCut,
    ClockSkew,
}

/// How a yes is spoilt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    EmptyObject,
    EmptyList,
    Html,
    Empty,
    WrongCharset,
    Half,
    IdNumber,
    IdLong,
    IdBound,
    Declared,
    Streamed,
    Gzip,
}

use Fault::*;

impl Fault {
    /// Those of a platform call, in the order they are drawn.
    const PLATFORM: [Fault; 18] = [
        Latency,
        TokenRevoked,
        Reset,
        Hang,
        TooMany,
        Broken,
        LostReply,
        Redirect,
        Malformed,
        Oversized,
        Cut,
        Drip,
        ReceiptLate,
        ReceiptLost,
        ReceiptDuplicate,
        ReceiptDisorder,
        VisibleLate,
        Forgetful,
    ];
    /// Those of a post to the sink, in the order they are drawn.
    const SINK: [Fault; 6] = [SinkLatency, SinkReset, SinkHang, SinkStatus, SinkLostReply, SinkCut];

    /// What a rule for it may say besides when it strikes.
    fn terms(self) -> Terms {
        let none = Terms::default();
        match self {
            Latency | Drip => Terms { ms: Some(REAL_MS), only: true, ..none },
            TokenRevoked | Reset | Hang | LostReply | Cut => Terms { only: true, ..none },
            TooMany => Terms { retry_after: true, only: true, ..none },
            Broken => Terms {
                statuses: &[500, 502, 503, 504],
                retry_after: true,
                processed: true,
                only: true,
                ..none
            },
            Redirect => {
                Terms { statuses: &[301, 302, 307, 308], location: true, only: true, ..none }
            }
            Malformed => Terms {
                kinds: &[
                    Kind::EmptyObject,
                    Kind::EmptyList,
                    Kind::Html,
                    Kind::Empty,
                    Kind::WrongCharset,
                    Kind::Half,
                    Kind::IdNumber,
                    Kind::IdLong,
                    Kind::IdBound,
                ],
                only: true,
                ..none
            },
            Oversized => {
                let kinds = &[Kind::Declared, Kind::Streamed, Kind::Gzip];
                Terms { kinds, only: true, ..none }
            }
            ReceiptLate | VisibleLate => Terms { ms: Some(SIMULATED_MS), ..none },
            ReceiptLost | ReceiptDuplicate | ReceiptDisorder | Forgetful => none,
            SinkLatency => Terms { ms: Some(REAL_MS), ..none },
            SinkReset | SinkHang | SinkLostReply | SinkCut => none,
            SinkStatus => Terms {
                statuses: &[
                    301, 302, 307, 308, 400, 401, 403, 404, 408, 409, 410, 413, 429, 500, 502, 503,
                    504,
                ],
                status_required: true,
                retry_after: true,
                location: true,
                ..none
            },
            ClockSkew => Terms { ms: Some(SKEW_MS), always: true, ..none },
        }
    }

    fn name(self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|name| name.as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

/// What a rule may say.
#[derive(Default)]
struct Terms {
    /// It strikes by no chance and no count.
    always: bool,
    only: bool,
    /// Required where there is a range.
    ms: Option<RangeInclusive<i64>>,
    statuses: &'static [u16],
    status_required: bool,
    /// Required where there are any.
    kinds: &'static [Kind],
    retry_after: bool,
    location: bool,
    processed: bool,
}

/// When one fault strikes, and what else it needs to know.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    only: Option<Call>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processed: Option<bool>,
}

impl Rule {
    fn check(&self, fault: Fault) -> Result<(), String> {
        let terms = fault.terms();
        let ensure = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        match (self.percent, self.next) {
            (None, None) if terms.always => {}
            _ if terms.always => return Err("it is always in force: no percent, no next".into()),
            (Some(percent), None) => {
                ensure((1..=100).contains(&percent), "percent is a whole number from 1 to 100")?;
            }
            (None, Some(next)) => {
                ensure((1..=NEXT_MAX).contains(&next), "next is a whole number from 1 to 1000000")?;
            }
            _ => return Err("exactly one of percent and next says when it strikes".into()),
        }
        ensure(terms.only || self.only.is_none(), "it takes no only")?;
        let wrong_call = fault == TokenRevoked && self.only == Some(Call::Token);
        ensure(!wrong_call, "it strikes send and read only")?;
        match (terms.ms, self.ms) {
            (None, ms) => ensure(ms.is_none(), "it takes no ms")?,
            (Some(range), ms) => {
                let (first, last) = (range.start(), range.end());
                let text = format!("ms is a whole number from {first} to {last}");
                ensure(ms.is_some_and(|ms| range.contains(&ms)), &text)?;
            }
        }
        match self.status {
            None => ensure(!terms.status_required, "status says what it answers")?,
            Some(_) if terms.statuses.is_empty() => return Err("it takes no status".into()),
            Some(status) => {
                let text = format!("status is one of {:?}", terms.statuses);
                ensure(terms.statuses.contains(&status), &text)?;
            }
        }
        if terms.kinds.is_empty() {
            ensure(self.kind.is_none(), "it takes no kind")?;
        } else {
            let names = serde_json::to_string(terms.kinds).unwrap_or_default();
            let is_known = self.kind.is_some_and(|kind| terms.kinds.contains(&kind));
            ensure(is_known, &format!("kind is one of {names}"))?;
        }
        for (name, value, allowed) in [
            ("retry_after", &self.retry_after, terms.retry_after),
            ("location", &self.location, terms.location),
        ] {
            let Some(value) = value else { continue };
            ensure(allowed, &format!("it takes no {name}"))?;
            let is_header = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
            let fits = value.len() <= HEADER_BYTES_MAX && value.bytes().all(is_header);
            ensure(fits, &format!("{name} is a header value of at most 200 characters"))?;
        }
        ensure(terms.processed || self.processed.is_none(), "it takes no processed")
    }

    fn duration(&self) -> Duration {
        Duration::from_millis(self.ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0))
    }

    fn status(&self, otherwise: StatusCode) -> StatusCode {
        self.status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(otherwise)
    }
}

/// The rules in force.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, Rule>", into = "BTreeMap<Fault, Rule>")]
pub struct Rules(BTreeMap<Fault, Rule>);

impl From<Rules> for BTreeMap<Fault, Rule> {
    fn from(rules: Rules) -> Self {
        rules.0
    }
}

/// Read by plain names, so that an error in a rule says which one it is in.
impl TryFrom<BTreeMap<String, Rule>> for Rules {
    type Error = String;

    fn try_from(rules: BTreeMap<String, Rule>) -> Result<Self, String> {
        let fault = |name: String| {
            serde_json::from_value::<Fault>(name.into()).map_err(|error| error.to_string())
        };
        let rules = rules.into_iter().map(|(name, rule)| Ok((fault(name)?, rule)));
        rules.collect::<Result<_, String>>().map(Self)
    }
}

impl Rules {
    /// Says what is wrong with rules that were read but make no sense.
    pub fn check(&self) -> Result<(), String> {
        self.0.iter().try_for_each(|(fault, rule)| {
            rule.check(*fault).map_err(|what| format!("{}: {what}", fault.name()))
        })
    }

    /// The rule if it strikes; its count goes down, and a rule that is used up goes off.
    fn strike(&mut self, fault: Fault, call: Option<Call>, drawn: u32) -> Option<Rule> {
        let rule = self.0.get_mut(&fault)?;
        if rule.only.is_some_and(|only| Some(only) != call) {
            return None;
        }
        if let Some(percent) = rule.percent {
            return (drawn < percent).then(|| rule.clone());
        }
        let left = rule.next?;
        rule.next = Some(left.saturating_sub(1));
        let struck = rule.clone();
        if left <= 1 {
            self.0.remove(&fault);
        }
        Some(struck)
    }
}

/// What goes wrong with one call.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Decision {
    /// How long it waits first.
    pub latency: Option<Duration>,
    /// Whether all tokens become invalid before it.
    pub revoke: bool,
    /// How it ends, if not by itself.
    pub strike: Option<Strike>,
    /// What becomes of the message it makes, if it makes one.
    pub treatment: Treatment,
    /// Whether its key is not recognised.
    pub forgets: bool,
}

/// How a call ends that does not end by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Strike {
    /// No answer, nothing processed.
    Reset,
    /// Silence, nothing processed.
    Hang,
    /// 429 with this `Retry-After`, nothing processed.
    TooMany(String),
    /// A 5xx.
    Broken {
        /// Which.
        status: StatusCode,
        /// Its `Retry-After`.
        retry_after: Option<String>,
        /// Whether the call takes effect all the same.
        processed: bool,
    },
    /// Processed, no answer.
    LostReply,
    /// Another status, nothing processed: a redirect, or what the sink was told to say.
    Status {
        /// Which.
        status: StatusCode,
        /// Its `Retry-After`.
        retry_after: Option<String>,
        /// Its `Location`.
        location: Option<String>,
    },
    /// Processed, and the yes is spoilt in this way.
    Spoilt(Kind),
    /// Processed, and the answer breaks off.
    Cut,
    /// Processed, and the answer comes a byte at a time, with this between.
    Drip(Duration),
}

impl Strike {
    fn takes_effect(&self) -> bool {
        match self {
            Strike::Reset | Strike::Hang | Strike::TooMany(_) | Strike::Status { .. } => false,
            Strike::Broken { processed, .. } => *processed,
            Strike::LostReply | Strike::Spoilt(_) | Strike::Cut | Strike::Drip(_) => true,
        }
    }

    fn of(fault: Fault, rule: Rule) -> Option<Self> {
        Some(match fault {
            Reset | SinkReset => Strike::Reset,
            Hang | SinkHang => Strike::Hang,
            TooMany => Strike::TooMany(rule.retry_after.unwrap_or_else(|| "1".to_owned())),
            Broken => Strike::Broken {
                status: rule.status(StatusCode::INTERNAL_SERVER_ERROR),
                processed: rule.processed == Some(true),
                retry_after: rule.retry_after,
            },
            LostReply | SinkLostReply => Strike::LostReply,
            Redirect => Strike::Status {
                status: rule.status(StatusCode::FOUND),
                retry_after: None,
                location: Some(rule.location.unwrap_or_else(|| ELSEWHERE.to_owned())),
            },
            SinkStatus => Strike::Status {
                status: rule.status(StatusCode::INTERNAL_SERVER_ERROR),
                retry_after: rule.retry_after,
                location: rule.location,
            },
            Malformed | Oversized => Strike::Spoilt(rule.kind?),
            Cut | SinkCut => Strike::Cut,
            Drip => Strike::Drip(rule.duration()),
            _ => return None,
        })
    }
}

/// The rules and how many calls they have seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    rules: Rules,
    calls: u64,
    #[serde(default)]
    posts: u64,
}

/// The faults of one sandbox.
pub struct Faults {
    seed: u64,
    state: Mutex<State>,
}

impl Faults {
    /// The faults as they were saved, or none.
    pub fn restore(seed: u64, saved: Option<State>) -> Self {
        Self { seed, state: Mutex::new(saved.unwrap_or_default()) }
    }

    /// The rules in force, with what is left of their counts.
    pub fn rules(&self) -> Rules {
        lock(&self.state).rules.clone()
    }

    /// How far off this platform's clock is, in milliseconds.
    pub fn skew_ms(&self) -> i64 {
        lock(&self.state).rules.0.get(&ClockSkew).and_then(|rule| rule.ms).unwrap_or(0)
    }

    /// Replaces all rules with ones that passed [`Rules::check`] and starts counting calls again.
    pub fn set(&self, rules: Rules, store: &Store) -> Result<(), rusqlite::Error> {
        let mut state = lock(&self.state);
        let new = State { rules, ..State::default() };
        store.put_state("faults", &new)?;
        *state = new;
        Ok(())
    }

    /// What goes wrong with the next call of the platform. Committed when this returns.
    pub fn decide(&self, call: Call, store: &Store) -> Result<Decision, rusqlite::Error> {
        self.next(store, |state, seed| state.decide(seed, call))
    }

    /// What goes wrong with the next post to the sink. Committed when this returns.
    pub fn decide_post(&self, store: &Store) -> Result<Decision, rusqlite::Error> {
        self.next(store, State::decide_post)
    }

    fn next(
        &self,
        store: &Store,
        decide: impl FnOnce(&mut State, u64) -> Decision,
    ) -> Result<Decision, rusqlite::Error> {
        let mut state = lock(&self.state);
        if state.rules == Rules::default() {
            return Ok(Decision::default());
        }
        let mut new = state.clone();
        let decision = decide(&mut new, self.seed);
        store.put_state("faults", &new)?;
        *state = new;
        Ok(decision)
    }
}

impl State {
    fn decide(&mut self, seed: u64, call: Call) -> Decision {
        let mut draws = Draws::new(Purpose::Faults, seed, [0; 16], self.calls);
        self.calls += 1;
        let mut decision = Decision::default();
        for fault in Fault::PLATFORM {
            // One draw for each fault whether it is on or not, so that switching one on moves no other.
            let drawn = draws.below(100);
            let is_ending = fault >= Reset && fault <= Drip;
            let may = match fault {
                Latency => true,
                TokenRevoked => call != Call::Token,
                _ if is_ending => decision.strike.is_none() && self.fits(fault, call),
                // What becomes of a message is nothing to a call that makes none.
                _ => {
                    call == Call::Send && decision.strike.as_ref().is_none_or(Strike::takes_effect)
                }
            };
            let struck = if may { self.rules.strike(fault, Some(call), drawn) } else { None };
            let Some(rule) = struck else { continue };
            let treatment = &mut decision.treatment;
            match fault {
                Latency => decision.latency = Some(rule.duration()),
                TokenRevoked => decision.revoke = true,
                ReceiptLate => treatment.late_ms = rule.ms,
                ReceiptLost => treatment.is_lost = true,
                ReceiptDuplicate => treatment.is_twice = true,
                ReceiptDisorder => treatment.is_disordered = true,
                VisibleLate => treatment.hidden_ms = rule.ms,
                Forgetful => decision.forgets = true,
                _ => decision.strike = Strike::of(fault, rule),
            }
        }
        decision
    }

    /// An odd id is nothing to an answer that has none.
    fn fits(&self, fault: Fault, call: Call) -> bool {
        let kind = self.rules.0.get(&fault).and_then(|rule| rule.kind);
        let is_id = matches!(kind, Some(Kind::IdNumber | Kind::IdLong | Kind::IdBound));
        !is_id || call == Call::Send
    }

    fn decide_post(&mut self, seed: u64) -> Decision {
        let mut draws = Draws::new(Purpose::Faults, seed, SINK, self.posts);
        self.posts += 1;
        let mut decision = Decision::default();
        for fault in Fault::SINK {
            let drawn = draws.below(100);
            let may = fault == SinkLatency || decision.strike.is_none();
            let struck = if may { self.rules.strike(fault, None, drawn) } else { None };
            let Some(rule) = struck else { continue };
            match fault {
                SinkLatency => decision.latency = Some(rule.duration()),
                _ => decision.strike = Strike::of(fault, rule),
            }
        }
        decision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Rules {
        let rules: Rules = serde_json::from_str(text).unwrap();
        rules.check().unwrap();
        rules
    }

    fn run(rules: Rules, seed: u64, calls: &[Call]) -> Vec<Decision> {
        let mut state = State { rules, ..State::default() };
        calls.iter().map(|call| state.decide(seed, *call)).collect()
    }

    #[test]
    fn counted_faults_strike_their_calls_in_order_and_end() {
        let all = rules(r#"{"reset":{"next":1,"only":"send"},"rate_429":{"next":2}}"#);
        let mut state = State { rules: all, ..State::default() };
        let busy = Some(Strike::TooMany("1".to_owned()));
        let strikes: Vec<_> = [Call::Read, Call::Send, Call::Send, Call::Send]
            .map(|call| state.decide(1, call).strike)
            .into();
        assert_eq!(strikes, [busy.clone(), Some(Strike::Reset), busy, None]);
        assert_eq!(state.rules, Rules::default());
    }

    #[test]
    fn probable_faults_repeat_with_the_seed_and_not_with_another() {
        let some = rules(r#"{"lost_reply":{"percent":25}}"#);
        let calls = [Call::Send; 400];
        let struck = |seed| -> Vec<bool> {
            let decisions = run(some.clone(), seed, &calls);
            decisions.iter().map(|one| one.strike.is_some()).collect()
        };
        assert_eq!(struck(1), struck(1));
        assert_ne!(struck(1), struck(2));
        let count = struck(1).iter().filter(|hit| **hit).count();
        assert!((70..=130).contains(&count), "{count}");
        let always = run(rules(r#"{"hang":{"percent":100}}"#), 1, &calls);
        assert!(always.iter().all(|one| one.strike == Some(Strike::Hang)));
    }

    #[test]
    fn switching_one_fault_on_moves_no_other() {
        let alone = run(rules(r#"{"lost_reply":{"percent":30}}"#), 5, &[Call::Send; 100]);
        let both = rules(r#"{"latency":{"percent":50,"ms":1},"lost_reply":{"percent":30}}"#);
        let both = run(both, 5, &[Call::Send; 100]);
        let strikes =
            |all: &[Decision]| all.iter().map(|one| one.strike.clone()).collect::<Vec<_>>();
        assert_eq!(strikes(&alone), strikes(&both));
    }

    #[test]
    fn rules_that_make_no_sense_are_refused_with_a_reason() {
        for (text, part) in [
            (r#"{"hang":{}}"#, "exactly one"),
            (r#"{"hang":{"percent":1,"next":1}}"#, "exactly one"),
            (r#"{"hang":{"percent":101}}"#, "1 to 100"),
            (r#"{"hang":{"next":0}}"#, "1 to 1000000"),
            (r#"{"latency":{"next":1}}"#, "ms is"),
            (r#"{"hang":{"next":1,"ms":5}}"#, "hang: it takes no ms"),
            (r#"{"rate_5xx":{"next":1,"status":404}}"#, "status is one of [500"),
            (r#"{"reset":{"next":1,"status":500}}"#, "no status"),
            (r#"{"sink_status":{"next":1}}"#, "sink_status: status says"),
            (r#"{"sink_status":{"next":1,"status":200}}"#, "status is one of"),
            (r#"{"sink_hang":{"next":1,"only":"send"}}"#, "no only"),
            (r#"{"rate_429":{"next":1,"retry_after":"1\n"}}"#, "retry_after is"),
            (r#"{"redirect":{"next":1,"location":"a\r\nb"}}"#, "location is"),
            (r#"{"hang":{"next":1,"location":"https://a"}}"#, "no location"),
            (r#"{"reset":{"next":1,"processed":true}}"#, "no processed"),
            (r#"{"malformed":{"next":1}}"#, "kind is one of [\"empty_object\""),
            (r#"{"oversized":{"next":1,"kind":"half"}}"#, "kind is one of [\"declared\""),
            (r#"{"cut":{"next":1,"kind":"half"}}"#, "no kind"),
            (r#"{"forgetful":{"next":1,"only":"send"}}"#, "no only"),
            (r#"{"clock_skew":{"percent":1,"ms":1}}"#, "always"),
            (r#"{"clock_skew":{}}"#, "ms is"),
            (r#"{"token_revoked":{"next":1,"only":"token"}}"#, "send and read"),
        ] {
            let rules: Rules = serde_json::from_str(text).unwrap();
            let error = rules.check().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        for text in [r#"{"slow":{"next":1}}"#, r#"{"hang":{"often":1}}"#, r#"{"hang":{"next":-1}}"#]
        {
            assert!(serde_json::from_str::<Rules>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_becomes_of_a_message_is_drawn_only_for_a_send_that_takes_effect() {
        let text = r#"{"reset":{"next":1,"only":"send"},"rate_5xx":{"next":1,"only":"send","processed":true},
            "receipt_late":{"next":2,"ms":7},"forgetful":{"next":1}}"#;
        let all =
            run(rules(text), 1, &[Call::Send, Call::Read, Call::Send, Call::Send, Call::Send]);
        let late: Vec<_> = all.iter().map(|one| one.treatment.late_ms).collect();
        assert_eq!(late, [None, None, Some(7), Some(7), None]);
        let forgets: Vec<_> = all.iter().map(|one| one.forgets).collect();
        assert_eq!(forgets, [false, false, true, false, false]);
    }

    #[test]
    fn an_odd_id_strikes_sends_alone_and_other_spoilt_answers_every_call() {
        let calls = [Call::Token, Call::Read, Call::Send];
        let spoilt = |kind: &str| -> Vec<bool> {
            let text = format!(r#"{{"malformed":{{"percent":100,"kind":"{kind}"}}}}"#);
            run(rules(&text), 1, &calls).iter().map(|one| one.strike.is_some()).collect()
        };
        assert_eq!(spoilt("id_long"), [false, false, true]);
        assert_eq!(spoilt("html"), [true, true, true]);
    }

    #[test]
    fn posts_to_the_sink_and_calls_of_the_platform_do_not_move_each_other() {
        let text = r#"{"reset":{"percent":30},"sink_hang":{"percent":30},"clock_skew":{"ms":-5}}"#;
        let alone = run(rules(text), 3, &[Call::Send; 50]);
        let mut state = State { rules: rules(text), ..State::default() };
        let (mut calls, mut posts) = (Vec::new(), 0);
        for _ in 0..50 {
            calls.push(state.decide(3, Call::Send));
            let post = state.decide_post(3);
            assert!(matches!(post.strike, None | Some(Strike::Hang)));
            posts += u32::from(post.strike.is_some());
        }
        assert_eq!(calls, alone);
        assert!((5..=25).contains(&posts), "{posts}");
    }
}
