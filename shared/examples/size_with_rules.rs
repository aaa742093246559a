//! The same program as `size_without_rules`, and it judges the payload: packs, catalogue, SMS parts and plan. The
//! difference of their sizes in wasm is what the engine adds.

use shared::api::ValidateAnswer;
use shared::channel::Channel;
use shared::payload::Payload;
use shared::rules::{Dialect, Ruleset};
use shared::validate::Context;
use std::hint::black_box;

fn main() {
    let text = black_box(String::new());
    let Ok(payload) = Payload::decode(text.as_bytes()) else { return };
    let rules = Ruleset::embedded(Dialect::Guide);
    let channel = Channel::parse(&text);
    let answer = ValidateAnswer::new(&payload, rules, Context::Channel(&channel));
    black_box(answer);
}
