//! How fast messages are simulated natively: 10,000 of each shipped scenario, in milliseconds.

use shared::simulator::Scenario;
use std::hint::black_box;
use std::time::Instant;

const MESSAGES: usize = 10_000;

fn main() {
    for name in Scenario::SHIPPED {
        let Some(scenario) = Scenario::shipped(name) else { continue };
        let start = Instant::now();
        let sent = scenario
            .messages(42)
            .take(MESSAGES)
            .filter(|message| black_box(message).history.len() > 1)
            .count();
        let ms = start.elapsed().as_millis();
        println!("{{\"scenario\":\"{name}\",\"messages\":{MESSAGES},\"sent\":{sent},\"ms\":{ms}}}");
    }
}
