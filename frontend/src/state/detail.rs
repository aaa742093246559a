//! One open message with its history: fetched when opened, again when the store hears of a newer version,
//! and every two seconds while an audit batch of it is not acknowledged, which no live event tells.

use crate::api::Client;
use crate::browser;
use crate::state::loaded::Loaded;
use crate::state::messages::Messages;
use leptos::prelude::*;
use leptos::task::spawn_local;
use shared::api::{DecideRequest, MessageDetail, Problem, Shipping};
use shared::delivery::Group;
use shared::id::MessageId;
use std::time::Duration;

/// Pause between two looks while the audit is on its way.
const AUDIT_EVERY: Duration = Duration::from_secs(2);

/// What a reader can do with a message.
#[derive(Clone, PartialEq, Debug)]
pub enum Act {
    /// Withdraw it before it is sent.
    Cancel,
    /// Make the planned attempt now.
    TryNow,
    /// Decide what nobody else can.
    Decide(DecideRequest),
}

/// The open message's handle.
#[derive(Clone, Copy)]
pub struct Detail {
    /// What is known of it.
    pub message: RwSignal<Loaded<MessageDetail>>,
    /// True while something the reader asked for is on its way.
    pub is_acting: RwSignal<bool>,
    /// Why the last of it failed.
    pub act_problem: RwSignal<Option<Problem>>,
    id: RwSignal<Option<MessageId>>,
    client: Client,
    messages: Messages,
}

impl Detail {
    /// Nothing open yet.
    pub fn new(client: Client, messages: Messages) -> Self {
        let detail = Self {
            message: RwSignal::new(Loaded::Loading),
            is_acting: RwSignal::new(false),
            act_problem: RwSignal::new(None),
            id: RwSignal::new(None),
            client,
            messages,
        };
        Effect::new(move |_| {
            messages.changes.track();
            detail.follow();
        });
        let poll = set_interval_with_handle(move || detail.poll(), AUDIT_EVERY).ok();
        on_cleanup(move || {
            if let Some(poll) = poll {
                poll.clear();
            }
        });
        detail
    }

    /// Opens a message.
    pub fn open(self, id: MessageId) {
        if self.id.with_untracked(|open| open.as_ref() == Some(&id)) {
            return;
        }
        self.id.set(Some(id));
        self.act_problem.set(None);
        self.message.set(Loaded::Loading);
        self.fetch();
    }

    /// Fetches the open message again.
    pub fn fetch(self) {
        let Some(id) = self.id.get_untracked() else { return };
        spawn_local(async move {
            let result = self.client.message(id.clone()).await;
            if self.id.try_with_untracked(|open| open.as_ref() == Some(&id)) == Some(true) {
                self.take(result);
            }
        });
    }

    /// Does something with the open message; nothing while the last thing is still on its way.
    pub fn act(self, act: Act) {
        let Some(id) = self.id.get_untracked() else { return };
        if self.is_acting.get_untracked() {
            return;
        }
        self.is_acting.set(true);
        self.act_problem.set(None);
        spawn_local(async move {
            let result = match act {
                Act::Cancel => self.client.cancel(id).await,
                Act::TryNow => self.client.retry(id).await,
                Act::Decide(request) => self.client.decide(id, request).await,
            };
            if self.is_acting.try_set(false).is_some() {
                return;
            }
            match result {
                Ok(detail) => self.take(Ok(detail)),
                Err(problem) => {
                    self.act_problem.set(Some(problem));
                    self.fetch();
                }
            }
        });
    }

    fn take(self, result: Result<MessageDetail, Problem>) {
        match result {
            Ok(new) => {
                self.messages.apply(new.message.clone());
                let is_older = self.message.with_untracked(|known| {
                    known.ready().is_some_and(|known| known.message.version > new.message.version)
                });
                let is_same = self.message.with_untracked(|known| known.ready() == Some(&new));
                if !is_older && !is_same {
                    self.message.set(Loaded::Ready(new));
                }
            }
            // What is shown stays while the connection is lost.
            Err(problem) if self.message.with_untracked(|known| known.ready().is_none()) => {
                self.message.set(Loaded::Failed(problem));
            }
            Err(_) => {}
        }
    }

    fn follow(self) {
        let Some(id) = self.id.get_untracked() else { return };
        let heard = self.messages.row(&id).map(|row| row.with_untracked(|row| row.version));
        let shown =
            self.message.with_untracked(|known| known.ready().map(|known| known.message.version));
        if shown.is_some() && heard > shown {
            self.fetch();
        }
    }

    fn poll(self) {
        let is_waiting =
            self.message.with_untracked(|known| known.ready().is_some_and(is_audit_under_way));
        if is_waiting && browser::is_visible() {
            self.fetch();
        }
    }
}

/// True while an ending of the message is not yet where audit entries end up.
fn is_audit_under_way(detail: &MessageDetail) -> bool {
    let is_over =
        !matches!(detail.message.delivery.state.group(), Group::InFlight | Group::NeedsDecision);
    let is_open = |shipping: Option<Shipping>| {
        matches!(shipping, None | Some(Shipping::Waiting | Shipping::Stalled | Shipping::Stopped))
    };
    (is_over && detail.audit.is_empty())
        || detail
            .audit
            .iter()
            .any(|record| is_open(record.batch.as_ref().map(|batch| batch.shipping)))
}
