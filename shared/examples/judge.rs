//! How fast payloads are judged natively: messages a second, and one keystroke's worth of work for a payload of
//! 10 kB. `cargo xtask bench rules` runs it and compares it with the same work in the page, which the Lab does.

use shared::api::ValidateAnswer;
use shared::channel::Channel;
use shared::payload::Payload;
use shared::rules::{Dialect, Ruleset, example};
use shared::simulator::{Scenario, SimulatedMessage};
use shared::validate::{Context, validate};
use std::hint::black_box;
use std::time::Instant;

/// What the Lab's "Check 10,000 messages" judges when nothing else is chosen.
const SEED: u64 = 42;
const MESSAGES: usize = 10_000;
const ROUNDS: usize = 9;

fn main() {
    let Some(scenario) = Scenario::SHIPPED.first().and_then(|name| Scenario::shipped(name)) else {
        return;
    };
    let messages: Vec<SimulatedMessage> = scenario.messages(SEED).take(MESSAGES).collect();
    let seconds = median(|| {
        let start = Instant::now();
        for one in &messages {
            let rules = Ruleset::embedded(one.dialect);
            let context = Context::Conversation(&one.conversation);
            black_box(validate(black_box(&one.payload), rules, context));
        }
        start.elapsed().as_secs_f64()
    });
    let channel = Channel::Email;
    let long = Payload {
        content: "Hello, your order is on its way. ".repeat(310).into(),
        ..example::payload(&channel)
    };
    let (written, conversation) = (long.to_bytes(), example::conversation(&channel));
    let keystroke_seconds = median(|| {
        let start = Instant::now();
        let payload = Payload::decode(black_box(&written)).unwrap_or_default();
        let rules = Ruleset::embedded(Dialect::Guide);
        black_box(ValidateAnswer::new(&payload, rules, Context::Conversation(&conversation)));
        start.elapsed().as_secs_f64()
    });
    let per_second = messages.len() as f64 / seconds;
    let keystroke_ms = keystroke_seconds * 1_000.0;
    println!("{per_second:.0} messages/s, {keystroke_ms:.4} ms for {} bytes", written.len());
}

fn median(mut measure: impl FnMut() -> f64) -> f64 {
    let mut all: Vec<f64> = (0..ROUNDS).map(|_| measure()).collect();
    all.sort_by(f64::total_cmp);
    all[ROUNDS / 2]
}
