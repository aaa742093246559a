//! Waiting for conditions: look, and look again shortly after, until it holds or the deadline is over.

use std::fmt::Debug;
use std::time::Duration;
use tokio::time::Instant;

const LOOK_EVERY: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `look` finds something, at most 30 s; the last thing it saw is in the failure.
pub async fn eventually<T, E: Debug>(what: &str, look: impl AsyncFnMut() -> Result<T, E>) -> T {
    eventually_within(PATIENCE, what, look).await
}

/// Waits until `look` finds something, at most for `patience`.
pub async fn eventually_within<T, E: Debug>(
    patience: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let until = Instant::now() + patience;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(saw) if Instant::now() >= until => {
                panic!("not within {patience:?}: {what}; at last {saw:?}")
            }
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// `Ok(value)` when `holds`, else what was seen: the usual end of a look.
pub fn found<T: Debug>(holds: bool, value: T) -> Result<T, T> {
    if holds { Ok(value) } else { Err(value) }
}
