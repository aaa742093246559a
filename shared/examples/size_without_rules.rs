//! A program that reads a payload and does nothing with it: what `cargo xtask bench rules` compares the size of
//! `size_with_rules` with.

use shared::payload::Payload;
use std::hint::black_box;

fn main() {
    let text = black_box(String::new());
    let _ = black_box(Payload::decode(text.as_bytes()));
}
