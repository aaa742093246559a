//! Every message the page has seen, once each, with the highest version known. Answers and live events go
//! through [`Messages::apply`], so that a late answer never overwrites a newer one and rows change in place.

use crate::api::Client;
use leptos::prelude::*;
use leptos::task::spawn_local;
use shared::api::{Message, MessageCounts};
use shared::id::MessageId;
use std::collections::HashMap;
use std::time::Duration;

/// At most one look at the counts in this time, however many events come.
const COUNTS_EVERY: Duration = Duration::from_millis(800);

/// The store's handle.
#[derive(Clone, Copy)]
pub struct Messages {
    /// The headline figures, once known.
    pub counts: RwSignal<Option<MessageCounts>>,
    /// Rises with every change of any message.
    pub changes: RwSignal<u64>,
    /// Messages that came by the live stream and were not known; whoever shows a list takes them out.
    pub arrivals: RwSignal<Vec<MessageId>>,
    rows: StoredValue<HashMap<MessageId, ArcRwSignal<Message>>>,
    client: Client,
    counting: StoredValue<Counting>,
}

/// Keeps the counts fresh without asking for every event.
#[derive(Clone, Copy, Default)]
struct Counting {
    is_waiting: bool,
    is_stale: bool,
}

impl Messages {
    /// An empty store that counts at once.
    pub fn new(client: Client) -> Self {
        let messages = Self {
            counts: RwSignal::new(None),
            changes: RwSignal::new(0),
            arrivals: RwSignal::new(Vec::new()),
            rows: StoredValue::new(HashMap::new()),
            client,
            counting: StoredValue::new(Counting::default()),
        };
        messages.count();
        messages
    }

    /// Takes a message as it was seen somewhere; true when it was not known before.
    pub fn apply(self, message: Message) -> bool {
        let known = self.rows.with_value(|rows| rows.get(&message.id).cloned());
        let is_new = known.is_none();
        match known {
            Some(row) => {
                if message.version <= row.with_untracked(|row| row.version) {
                    return false;
                }
                row.set(message);
            }
            None => self.rows.update_value(|rows| {
                rows.insert(message.id.clone(), ArcRwSignal::new(message));
            }),
        }
        self.changes.update(|changes| *changes += 1);
        is_new
    }

    /// Takes a message from the live stream.
    pub fn apply_live(self, message: Message) {
        let id = message.id.clone();
        if self.apply(message) {
            self.arrivals.update(|arrivals| arrivals.push(id));
        }
        self.count();
    }

    /// The message as it is now, for a row to follow.
    pub fn row(self, id: &MessageId) -> Option<ArcRwSignal<Message>> {
        self.rows.with_value(|rows| rows.get(id).cloned())
    }

    /// Looks at the counts again: at once, or when the pause after the last look is over.
    pub fn count(self) {
        if self.counting.with_value(|counting| counting.is_waiting) {
            self.counting.update_value(|counting| counting.is_stale = true);
            return;
        }
        self.counting.set_value(Counting { is_waiting: true, is_stale: false });
        spawn_local(async move {
            if let Ok(counts) = self.client.counts().await {
                self.counts.try_set(Some(counts));
            }
        });
        set_timeout(
            move || {
                let was = self.counting.try_get_value().unwrap_or_default();
                self.counting.try_update_value(|counting| counting.is_waiting = false);
                if was.is_stale {
                    self.count();
                }
            },
            COUNTS_EVERY,
        );
    }
}
