//! What a list of messages is narrowed to. It lives in the address and nowhere else, so that a link shows the
//! same list; this is the one place that reads and writes it.

use crate::browser::escaped;
use leptos_router::params::ParamsMap;
use shared::api::{Message, MessageQuery};
use shared::delivery::State;
use shared::sla::Verdict;

/// A search, states and verdicts; all that are given must hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Text in sender, recipient or first line.
    pub q: String,
    /// Any of these states; all when empty.
    pub states: Vec<State>,
    /// Any of these verdicts; all when empty.
    pub verdicts: Vec<Verdict>,
    /// Only messages that a blind repeat would have doubled.
    pub duplicate_prevented: bool,
}

impl Filter {
    /// Only these states.
    pub fn of_states(states: &[State]) -> Self {
        Self { states: states.to_vec(), ..Self::default() }
    }

    /// Reads the address's query; words that name nothing are left out.
    pub fn from_query(query: &ParamsMap) -> Self {
        Self::read(|name| query.get(name))
    }

    fn read(value: impl Fn(&str) -> Option<String>) -> Self {
        let words = |name: &str| value(name).unwrap_or_default();
        Self {
            q: words("q"),
            states: words("state").split(',').filter_map(State::parse).collect(),
            verdicts: words("verdict").split(',').filter_map(Verdict::parse).collect(),
            duplicate_prevented: words("duplicate_prevented") == "true",
        }
    }

    /// True when nothing is narrowed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The address's query, with its `?`; empty when nothing is narrowed.
    pub fn to_query(&self) -> String {
        let mut parts = Vec::new();
        if !self.q.is_empty() {
            parts.push(format!("q={}", escaped(&self.q)));
        }
        if !self.states.is_empty() {
            parts.push(format!("state={}", self.state_words()));
        }
        if !self.verdicts.is_empty() {
            parts.push(format!("verdict={}", self.verdict_words()));
        }
        if self.duplicate_prevented {
            parts.push("duplicate_prevented=true".to_owned());
        }
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }

    /// The same as the API takes it.
    pub fn to_api(&self, cursor: Option<String>) -> MessageQuery {
        let given = |text: String| (!text.is_empty()).then_some(text);
        MessageQuery {
            q: given(self.q.trim().to_owned()),
            state: given(self.state_words()),
            verdict: given(self.verdict_words()),
            duplicate_prevented: self.duplicate_prevented.then_some(true),
            cursor,
            limit: None,
        }
    }

    /// Whether a message that just arrived belongs into the list.
    pub fn matches(&self, message: &Message) -> bool {
        let q = self.q.trim().to_lowercase();
        let holds = |text: &str| text.to_lowercase().contains(&q);
        // What was prevented is not part of a row, so such a list grows only when it is asked for again.
        !self.duplicate_prevented
            && (self.states.is_empty() || self.states.contains(&message.delivery.state))
            && (self.verdicts.is_empty() || self.verdicts.contains(&message.verdict))
            && (q.is_empty()
                || holds(&message.sender)
                || holds(&message.preview)
                || message.recipients.iter().any(|one| holds(one)))
    }

    /// With `state` switched on or off.
    #[must_use]
    pub fn toggled_state(mut self, state: State) -> Self {
        toggle(&mut self.states, state);
        self
    }

    /// With `verdict` switched on or off.
    #[must_use]
    pub fn toggled_verdict(mut self, verdict: Verdict) -> Self {
        toggle(&mut self.verdicts, verdict);
        self
    }

    fn state_words(&self) -> String {
        self.states.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(",")
    }

    fn verdict_words(&self) -> String {
        self.verdicts.iter().map(|verdict| verdict.as_str()).collect::<Vec<_>>().join(",")
    }
}

fn toggle<T: PartialEq>(items: &mut Vec<T>, item: T) {
    match items.iter().position(|one| *one == item) {
        Some(index) => {
            items.remove(index);
        }
        None => items.push(item),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn toggling_twice_changes_nothing() {
        let filter = Filter::default().toggled_state(State::Failed);
        assert_eq!(filter.states, [State::Failed]);
        assert!(filter.toggled_state(State::Failed).is_empty());
        let filter = Filter::default().toggled_verdict(Verdict::Met);
        assert_eq!(filter.to_query(), "?verdict=met");
    }

    #[test]
    fn words_that_name_nothing_are_left_out() {
        let filter =
            Filter::read(|name| (name == "state").then(|| "failed,nonsense,read".to_owned()));
        assert_eq!(filter.states, [State::Failed, State::Read]);
        assert_eq!(filter.to_query(), "?state=failed,read");
    }
}
