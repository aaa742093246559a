//! One ticking second for everything on screen that ages, on the proxy's clock where that is known.
//!
//! The skew between this machine and the proxy is taken once, from the options; without it a wrong clock
//! here would show wrong times left.

use crate::browser;
use leptos::prelude::*;
use shared::time::Timestamp;
use std::time::Duration;

/// Now, by the proxy's clock, moving once a second while the tab can be seen.
#[derive(Clone, Copy)]
pub struct Clock {
    now: RwSignal<Timestamp>,
    skew_ms: RwSignal<i64>,
}

impl Clock {
    /// Starts ticking.
    pub fn start() -> Self {
        let clock = Self { now: RwSignal::new(browser::now()), skew_ms: RwSignal::new(0) };
        set_interval(
            move || {
                if browser::is_visible() {
                    clock.now.set(clock.exact());
                }
            },
            Duration::from_secs(1),
        );
        clock
    }

    /// Takes the proxy's idea of now.
    pub fn adjust(self, proxy_now: Timestamp) {
        self.skew_ms.set(proxy_now.ms_since(browser::now()));
        self.now.set(self.exact());
    }

    /// This second; tracked.
    pub fn now(self) -> Timestamp {
        self.now.get()
    }

    /// Now to the millisecond; not tracked.
    pub fn exact(self) -> Timestamp {
        Timestamp::from_unix_ms(browser::now().unix_ms() + self.skew_ms.get_untracked())
    }
}
