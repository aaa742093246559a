//! The list of messages on screen: which ones, in which order, and what of it is still to come.
//!
//! It keeps identifiers only; the messages themselves live in [`Messages`]. Identifiers are ordered by time,
//! so the newest is simply the largest. New messages are held back until the reader asks for them, unless
//! the list stands at its top.

use crate::api::Client;
use crate::state::filter::Filter;
use crate::state::messages::Messages;
use leptos::prelude::*;
use leptos::task::spawn_local;
use shared::api::{Message, Page, Problem};
use shared::id::MessageId;

/// How far the list is.
#[derive(Clone, PartialEq, Debug)]
pub enum Phase {
    /// Nothing here yet.
    Loading,
    /// What is here is complete up to the next page.
    Ready,
    /// The next page is on its way.
    More,
    /// The first page could not be had.
    Failed(Problem),
}

/// The list's handle.
#[derive(Clone, Copy)]
pub struct List {
    /// What is shown, newest first.
    pub ids: RwSignal<Vec<MessageId>>,
    /// What arrived and waits to be asked for.
    pub waiting: RwSignal<Vec<MessageId>>,
    /// How far it is.
    pub phase: RwSignal<Phase>,
    next: RwSignal<Option<String>>,
    filter: RwSignal<Filter>,
    client: Client,
    messages: Messages,
}

impl List {
    /// An empty list; nothing is fetched before [`List::show`].
    pub fn new(client: Client, messages: Messages) -> Self {
        Self {
            ids: RwSignal::new(Vec::new()),
            waiting: RwSignal::new(Vec::new()),
            phase: RwSignal::new(Phase::Loading),
            next: RwSignal::new(None),
            filter: RwSignal::new(Filter::default()),
            client,
            messages,
        }
    }

    /// Shows what `filter` lets through, from the top.
    pub fn show(self, filter: Filter) {
        self.filter.set(filter);
        self.ids.set(Vec::new());
        self.waiting.set(Vec::new());
        self.next.set(None);
        self.phase.set(Phase::Loading);
        self.fetch(None);
    }

    /// Looks at the first page again and takes over what is new, without moving anything else.
    pub fn refresh(self) {
        if self.phase.with_untracked(|phase| *phase != Phase::Loading) {
            self.fetch(None);
        }
    }

    /// Fetches the next page, if there is one and none is on its way.
    pub fn more(self) {
        let next = self.next.get_untracked();
        if next.is_some() && self.phase.with_untracked(|phase| *phase == Phase::Ready) {
            self.phase.set(Phase::More);
            self.fetch(next);
        }
    }

    /// Takes messages that arrived live: into the list when it `is_at_top`, else into the waiting ones.
    pub fn arrive(self, arrivals: &[MessageId], is_at_top: bool) {
        let filter = self.filter.get_untracked();
        let shown = self.ids.get_untracked();
        let fresh: Vec<MessageId> = arrivals
            .iter()
            .filter(|id| !shown.contains(id))
            .filter(|id| {
                self.messages
                    .row(id)
                    .is_some_and(|row| row.with_untracked(|message| filter.matches(message)))
            })
            .cloned()
            .collect();
        if fresh.is_empty() {
            return;
        }
        let target = if is_at_top { self.ids } else { self.waiting };
        target.update(|ids| merge(ids, fresh));
    }

    /// Puts the waiting ones into the list.
    pub fn take_waiting(self) {
        let waiting = std::mem::take(&mut *self.waiting.write());
        self.ids.update(|ids| merge(ids, waiting));
    }

    fn fetch(self, cursor: Option<String>) {
        let filter = self.filter.get_untracked();
        let is_first = cursor.is_none();
        spawn_local(async move {
            let result = self.client.messages(filter.to_api(cursor)).await;
            // The list may have been left, or narrowed differently, while the answer was on its way.
            if self.filter.try_with_untracked(|now| *now == filter) == Some(true) {
                self.take(result, is_first);
            }
        });
    }

    fn take(self, result: Result<Page<Message>, Problem>, is_first: bool) {
        match result {
            Ok(page) => {
                let ids = page.items.iter().map(|message| message.id.clone()).collect();
                for message in page.items {
                    self.messages.apply(message);
                }
                // A refresh of the first page says nothing about where the last one ended.
                if !is_first || self.ids.with_untracked(Vec::is_empty) {
                    self.next.set(page.next_cursor);
                }
                self.ids.update(|shown| merge(shown, ids));
                self.phase.set(Phase::Ready);
            }
            Err(problem) if self.ids.with_untracked(Vec::is_empty) => {
                self.phase.set(Phase::Failed(problem));
            }
            // What is shown stays; the frame says that the connection is lost.
            Err(_) => self.phase.set(Phase::Ready),
        }
    }
}

/// Adds `more` to `ids`: each once, newest first.
fn merge(ids: &mut Vec<MessageId>, more: Vec<MessageId>) {
    ids.extend(more);
    ids.sort_unstable_by(|one, other| other.cmp(one));
    ids.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::time::Timestamp;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn id(ms: i64) -> MessageId {
        MessageId::new(Timestamp::from_unix_ms(ms), [0; 10])
    }

    #[test]
    fn merging_keeps_each_once_newest_first() {
        let mut ids = vec![id(5), id(3)];
        merge(&mut ids, vec![id(4), id(5), id(9)]);
        assert_eq!(ids, [id(9), id(5), id(4), id(3)]);
    }
}
