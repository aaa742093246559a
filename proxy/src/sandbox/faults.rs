//! Faults on demand: which calls go wrong, and how.
//!
//! `PUT /sandbox/v1/faults` takes an object with a rule for each fault that is wanted; everything it does
//! not name is off, so `{}` ends them all:
//!
//! ```json
//! {
//!   "latency":       {"percent": 100, "ms": 800},
//!   "rate_429":      {"next": 3, "only": "send", "retry_after": "2"},
//!   "rate_5xx":      {"percent": 10, "status": 503, "retry_after": "1", "processed": false},
//!   "reset":         {"next": 1, "only": "read"},
//!   "hang":          {"next": 1},
//!   "lost_reply":    {"next": 1, "only": "send"},
//!   "token_revoked": {"next": 1}
//! }
//! ```
//!
//! A rule strikes either each call with a probability (`percent`, 1 to 100) or the next so many calls
//! (`next`, 1 to 1,000,000), after which it is gone; `only` narrows it to `send`, `read` or `token`.
//! - `latency`: the call waits `ms` real milliseconds first (1 to 60,000), then goes on.
//! - `token_revoked`: every token becomes invalid just before the call, which is then refused with 401. It
//!   strikes `send` and `read` only.
//! - `reset`: the connection closes without an answer, and nothing was processed.
//! - `hang`: no answer until the caller gives up, at most two minutes; nothing was processed.
//! - `rate_429`: refused with 429 and `Retry-After` (`retry_after`, by default "1"), nothing processed. The
//!   value is sent as it is given, so that a date or garbage can be tried.
//! - `rate_5xx`: answered with `status` (500, 502, 503 or 504; by default 500), with `Retry-After` if
//!   `retry_after` is given. With `"processed": true` the call takes effect all the same.
//! - `lost_reply`: the call takes effect, then the connection closes without an answer.
//!
//! One call gets at most one of the last five, in this order. Which calls a probability strikes follows from
//! the seed and the number of calls since the rules were set: the same rules and the same calls give the
//! same faults again. Rules and counts survive a restart.

use super::lock;
use super::store::Store;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::simulator::{Draws, Purpose};
use std::sync::Mutex;
use std::time::Duration;

const NEXT_MAX: u32 = 1_000_000;
const LATENCY_MS_MAX: u64 = 60_000;

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

/// When one fault strikes, and what else it needs to know.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    percent: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    only: Option<Call>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    processed: Option<bool>,
}

/// The rules in force; see the module for what each does.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latency: Option<Rule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_revoked: Option<Rule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reset: Option<Rule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hang: Option<Rule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate_429: Option<Rule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate_5xx: Option<Rule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost_reply: Option<Rule>,
}

impl Rules {
    /// Says what is wrong with rules that were read but make no sense.
    pub fn check(&self) -> Result<(), String> {
        for (name, rule) in self.named() {
            let wrong = |what: &str| Err(format!("{name}: {what}"));
            match (rule.percent, rule.next) {
                (Some(percent), None) if !(1..=100).contains(&percent) => {
                    return wrong("percent is a whole number from 1 to 100");
                }
                (None, Some(next)) if !(1..=NEXT_MAX).contains(&next) => {
                    return wrong("next is a whole number from 1 to 1000000");
                }
                (Some(_), None) | (None, Some(_)) => {}
                _ => return wrong("exactly one of percent and next says when it strikes"),
            }
            match (name, rule.ms) {
                ("latency", Some(1..=LATENCY_MS_MAX)) => {}
                ("latency", _) => return wrong("ms is a whole number from 1 to 60000"),
                (_, Some(_)) => return wrong("ms belongs to latency"),
                _ => {}
            }
            match (name, rule.status) {
                (_, None) | ("rate_5xx", Some(500 | 502 | 503 | 504)) => {}
                ("rate_5xx", _) => return wrong("status is 500, 502, 503 or 504"),
                _ => return wrong("status belongs to rate_5xx"),
            }
            match (name, rule.retry_after.as_deref()) {
                (_, None) => {}
                ("rate_429" | "rate_5xx", Some(value)) => {
                    let is_header = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
                    if value.len() > 100 || !value.bytes().all(is_header) {
                        return wrong("retry_after is a header value of at most 100 characters");
                    }
                }
                _ => return wrong("retry_after belongs to rate_429 and rate_5xx"),
            }
            if rule.processed.is_some() && name != "rate_5xx" {
                return wrong("processed belongs to rate_5xx");
            }
            if name == "token_revoked" && rule.only == Some(Call::Token) {
                return wrong("it strikes send and read only");
            }
        }
        Ok(())
    }

    fn named(&self) -> impl Iterator<Item = (&'static str, &Rule)> {
        [
            ("latency", &self.latency),
            ("token_revoked", &self.token_revoked),
            ("reset", &self.reset),
            ("hang", &self.hang),
            ("rate_429", &self.rate_429),
            ("rate_5xx", &self.rate_5xx),
            ("lost_reply", &self.lost_reply),
        ]
        .into_iter()
        .filter_map(|(name, rule)| rule.as_ref().map(|rule| (name, rule)))
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
}

/// The rules and how many calls they have seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    rules: Rules,
    calls: u64,
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

    /// Replaces all rules with ones that passed [`Rules::check`] and starts counting calls again.
    pub fn set(&self, rules: Rules, store: &Store) -> Result<(), rusqlite::Error> {
        let mut state = lock(&self.state);
        let new = State { rules, calls: 0 };
        store.put_state("faults", &new)?;
        *state = new;
        Ok(())
    }

    /// What goes wrong with the next call. Committed when this returns.
    pub fn decide(&self, call: Call, store: &Store) -> Result<Decision, rusqlite::Error> {
        let mut state = lock(&self.state);
        if state.rules == Rules::default() {
            return Ok(Decision::default());
        }
        let mut new = state.clone();
        let decision = new.decide(self.seed, call);
        store.put_state("faults", &new)?;
        *state = new;
        Ok(decision)
    }
}

impl State {
    fn decide(&mut self, seed: u64, call: Call) -> Decision {
        let mut draws = Draws::new(Purpose::Faults, seed, [0; 16], self.calls);
        self.calls += 1;
        // One draw for each fault whether it is on or not, so that switching one on moves no other.
        let mut strikes = |rule: &mut Option<Rule>, may: bool| {
            let drawn = draws.below(100);
            if may { strike(rule, call, drawn) } else { None }
        };
        let rules = &mut self.rules;
        let latency =
            strikes(&mut rules.latency, true).and_then(|rule| rule.ms).map(Duration::from_millis);
        let revoke = strikes(&mut rules.token_revoked, call != Call::Token).is_some();
        let reset = strikes(&mut rules.reset, true).map(|_| Strike::Reset);
        let hang = strikes(&mut rules.hang, reset.is_none()).map(|_| Strike::Hang);
        let mut found = reset.or(hang);
        let too_many = strikes(&mut rules.rate_429, found.is_none())
            .map(|rule| Strike::TooMany(rule.retry_after.unwrap_or_else(|| "1".to_owned())));
        found = found.or(too_many);
        let broken = strikes(&mut rules.rate_5xx, found.is_none()).map(|rule| Strike::Broken {
            status: rule
                .status
                .and_then(|status| StatusCode::from_u16(status).ok())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            retry_after: rule.retry_after,
            processed: rule.processed == Some(true),
        });
        found = found.or(broken);
        let lost = strikes(&mut rules.lost_reply, found.is_none()).map(|_| Strike::LostReply);
        Decision { latency, revoke, strike: found.or(lost) }
    }
}

/// The rule if it strikes this call; its count goes down, and a rule that is used up goes off.
fn strike(rule: &mut Option<Rule>, call: Call, drawn: u32) -> Option<Rule> {
    let found = rule.as_mut().filter(|rule| rule.only.is_none_or(|only| only == call))?;
    if let Some(percent) = found.percent {
        return (drawn < percent).then(|| found.clone());
    }
    let left = found.next?;
    found.next = Some(left.saturating_sub(1));
    let struck = found.clone();
    if left <= 1 {
        *rule = None;
    }
    Some(struck)
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
        let mut state = State { rules, calls: 0 };
        calls.iter().map(|call| state.decide(seed, *call)).collect()
    }

    #[test]
    fn counted_faults_strike_their_calls_in_order_and_end() {
        let all = rules(r#"{"reset":{"next":1,"only":"send"},"rate_429":{"next":2}}"#);
        let mut state = State { rules: all, calls: 0 };
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
            (r#"{"hang":{"next":1,"ms":5}}"#, "ms belongs"),
            (r#"{"rate_5xx":{"next":1,"status":404}}"#, "status is"),
            (r#"{"reset":{"next":1,"status":500}}"#, "status belongs"),
            (r#"{"rate_429":{"next":1,"retry_after":"1\n"}}"#, "retry_after is"),
            (r#"{"reset":{"next":1,"processed":true}}"#, "processed belongs"),
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
}
