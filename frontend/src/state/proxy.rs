//! What the proxy says about itself: its options, fetched once, and the request budget, looked at now and
//! then while the tab can be seen.

use crate::api::Client;
use crate::browser;
use crate::state::clock::Clock;
use crate::state::loaded::Loaded;
use leptos::prelude::*;
use leptos::task::spawn_local;
use shared::api::{Budget, ConnectionRules, Options};
use shared::id::ConnectionName;
use shared::rules::{Dialect, Ruleset};
use std::time::Duration;

/// Pause between two looks at the budget.
const BUDGET_EVERY: Duration = Duration::from_secs(5);

/// The proxy's handle.
#[derive(Clone, Copy)]
pub struct Proxy {
    /// What the page must know before it draws.
    pub options: RwSignal<Loaded<Options>>,
    /// The budget of each connection; empty until known.
    pub budget: RwSignal<Vec<Budget>>,
    /// The rules each connection goes by; empty until known.
    pub rules: RwSignal<Vec<ConnectionRules>>,
    client: Client,
    clock: Clock,
}

impl Proxy {
    /// Asks for the options and begins to watch the budget.
    pub fn start(client: Client, clock: Clock) -> Self {
        let proxy = Self {
            options: RwSignal::new(Loaded::Loading),
            budget: RwSignal::new(Vec::new()),
            rules: RwSignal::new(Vec::new()),
            client,
            clock,
        };
        proxy.fetch();
        proxy.look_at_budget();
        let watch = set_interval_with_handle(
            move || {
                if browser::is_visible() {
                    proxy.look_at_budget();
                }
            },
            BUDGET_EVERY,
        );
        on_cleanup(move || {
            if let Ok(watch) = watch {
                watch.clear();
            }
        });
        proxy
    }

    /// Asks for the options again.
    pub fn fetch(self) {
        spawn_local(async move {
            let options = self.client.options().await;
            if let Ok(options) = &options {
                self.clock.adjust(options.now);
            }
            self.options.try_set(options.into());
        });
        spawn_local(async move {
            if let Ok(answer) = self.client.rules().await {
                self.rules.try_set(answer.connections);
            }
        });
    }

    /// Reads the rules `connection` goes by; until they are known, those shipped with the page.
    pub fn with_rules<T>(
        self,
        connection: Option<&ConnectionName>,
        read: impl FnOnce(&Ruleset) -> T,
    ) -> T {
        self.rules.with(|all| {
            let own = match connection {
                Some(name) => all.iter().find(|one| one.connection == *name),
                None => all.first(),
            };
            read(own.map_or_else(|| Ruleset::embedded(Dialect::Guide), |one| &one.ruleset))
        })
    }

    /// True when every connection is a sandbox; `None` until known.
    pub fn is_sandbox(self) -> Option<bool> {
        self.options.with(|options| {
            options.ready().map(|options| options.connections.iter().all(|one| one.sandbox))
        })
    }

    /// Looks at the budget now.
    pub fn look_at_budget(self) {
        spawn_local(async move {
            if let Ok(page) = self.client.budget().await {
                self.budget.try_set(page.items);
            }
        });
    }
}
