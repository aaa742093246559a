//! The one home of time and randomness. Everything else takes them as arguments.

use shared::time::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now, by this machine's clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// `N` bytes from the operating system's generator. A machine that has none cannot make a key or a token
/// that is safe to use, so the process ends instead of going on with a guessable one.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        tracing::error!("the operating system gives no random numbers");
        std::process::abort();
    }
    bytes
}

/// A fresh number in 0..1 to spread timers with.
pub fn jitter() -> f64 {
    f64::from(u32::from_le_bytes(random())) / (f64::from(u32::MAX) + 1.0)
}
