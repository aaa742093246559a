//! The one home of time and randomness. Everything else takes them as arguments.
//!
//! A simulation can stand in for both, on one thread of a debug build; see [`Source`]. In a release build
//! there is only the machine's clock and generator.

use shared::time::Timestamp;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Time and randomness that stand in for the machine's.
pub trait Source {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Fills `bytes` with what counts as random.
    fn fill(&self, bytes: &mut [u8]);
}

thread_local! {
    static SOURCE: RefCell<Option<Rc<dyn Source>>> = const { RefCell::new(None) };
}

/// Lets `source` stand in on this thread from now on; `None` goes back to the machine's. A release build
/// takes no notice.
pub fn stand_in(source: Option<Rc<dyn Source>>) {
    SOURCE.with(|current| *current.borrow_mut() = source);
}

fn source() -> Option<Rc<dyn Source>> {
    if cfg!(debug_assertions) {
        SOURCE.try_with(|source| source.borrow().clone()).ok().flatten()
    } else {
        None
    }
}

/// Now, by this machine's clock.
pub fn now() -> Timestamp {
    if let Some(source) = source() {
        return source.now();
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// `N` bytes from the operating system's generator. A machine that has none cannot make a key or a token
/// that is safe to use, so the process ends instead of going on with a guessable one.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Some(source) = source() {
        source.fill(&mut bytes);
    } else if getrandom::fill(&mut bytes).is_err() {
        tracing::error!("the operating system gives no random numbers");
        std::process::abort();
    }
    bytes
}

/// A fresh number in 0..1 to spread timers with.
pub fn jitter() -> f64 {
    f64::from(u32::from_le_bytes(random())) / (f64::from(u32::MAX) + 1.0)
}
