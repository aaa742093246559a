//! How fast payloads are judged natively: messages a second, and one keystroke's worth of work for a payload of
//! 10 kB. `cargo xtask bench rules` runs it and the same in the page.

use shared::channel::Channel;
use shared::payload::Payload;
use shared::rules::{Dialect, Ruleset, example};
use shared::simulator::Simulator;
use shared::validate::{Context, validate};
use std::hint::black_box;
use std::time::Instant;

const MESSAGES: usize = 10_000;
const ROUNDS: usize = 9;

fn main() {
    let rules = Ruleset::embedded(Dialect::Guide);
    let mut simulator = Simulator::new(42);
    let messages: Vec<(Channel, Payload)> = (0..MESSAGES)
        .map(|index| {
            let channel = Channel::KNOWN[index % Channel::KNOWN.len()].clone();
            let plain = example::payload(&channel);
            let payload = simulator.next_message_on(rules, &channel, &plain.from, &plain.to[0]);
            (channel, payload)
        })
        .collect();
    let per_second = median(|| {
        let start = Instant::now();
        for (channel, payload) in &messages {
            black_box(validate(payload, rules, Context::Channel(channel)));
        }
        MESSAGES as f64 / start.elapsed().as_secs_f64()
    });
    let long = Payload {
        content: "Hello, your order is on its way. ".repeat(310).into(),
        ..example::payload(&Channel::Email)
    };
    let written = long.to_bytes();
    let conversation = example::conversation(&Channel::Email);
    let keystroke = median(|| {
        let start = Instant::now();
        for _ in 0..100 {
            let payload = Payload::decode(black_box(&written)).unwrap_or_default();
            black_box(validate(&payload, rules, Context::Conversation(&conversation)));
        }
        start.elapsed().as_secs_f64() * 10.0
    });
    println!(
        "{{\"per_second\":{per_second:.0},\"keystroke_ms\":{keystroke:.4},\"bytes\":{}}}",
        written.len()
    );
}

fn median(mut measure: impl FnMut() -> f64) -> f64 {
    let mut all: Vec<f64> = (0..ROUNDS).map(|_| measure()).collect();
    all.sort_by(f64::total_cmp);
    all[ROUNDS / 2]
}
