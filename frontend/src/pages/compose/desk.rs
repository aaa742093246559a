//! What lies on the desk while a message is written: the draft, the conversation it is for, and what the
//! rules say. Findings are worked out anew with every change and never stored.

use crate::api::Client;
use crate::browser;
use crate::components::leg::Standing;
use crate::state::assess::{Assessment, Field, assess, is_emptiness};
use crate::state::draft::Draft;
use crate::state::proxy::Proxy;
use leptos::prelude::*;
use leptos::task::spawn_local;
use shared::api::Problem;
use shared::channel::Channel;
use shared::conversation::Conversation;
use shared::finding::{Finding, Severity};
use shared::id::{ConnectionName, ConversationId};
use shared::rules::AddressForm;
use shared::time::Timestamp;
use std::collections::HashSet;
use std::time::Duration;

/// Pause after the last change before the draft is saved.
const SAVE_AFTER: Duration = Duration::from_millis(300);

/// What is known of the conversation that was typed.
#[derive(Clone, PartialEq, Debug)]
pub enum Known {
    /// Nothing that could be looked up.
    Nothing,
    /// Being read.
    Looking,
    /// Read.
    Here(Conversation),
    /// It cannot be read.
    Problem(Problem),
}

/// How the sending is.
#[derive(Clone, PartialEq, Debug)]
pub enum Sending {
    /// Not begun.
    Idle,
    /// Posted, no answer yet.
    UnderWay,
    /// No answer came: it may have been accepted or not.
    Unconfirmed(Problem),
    /// The proxy said no.
    Refused(Problem),
}

/// The desk's handle.
#[derive(Clone, Copy)]
pub struct Desk {
    /// What was filled in.
    pub draft: RwSignal<Draft>,
    /// What is known of the conversation.
    pub conversation: RwSignal<Known>,
    /// Conversations to pick from.
    pub recent: RwSignal<Vec<Conversation>>,
    /// What the rules say.
    pub assessment: Memo<Assessment>,
    /// Fields the reader has been at.
    pub touched: RwSignal<HashSet<Field>>,
    /// True once a review was asked for.
    pub has_tried: RwSignal<bool>,
    /// True while the message is shown for a last look.
    pub is_reviewing: RwSignal<bool>,
    /// How the sending is.
    pub sending: RwSignal<Sending>,
    /// When the draft was last saved.
    pub saved_at: RwSignal<Option<Timestamp>>,
    /// The API.
    pub client: Client,
    proxy: Proxy,
}

impl Desk {
    /// Lays out the draft of last time.
    pub fn new() -> Self {
        let draft = RwSignal::new(Draft::stored());
        let conversation = RwSignal::new(Known::Nothing);
        let proxy: Proxy = expect_context();
        let assessment = Memo::new(move |_| {
            let known = conversation.read();
            let known = match &*known {
                Known::Here(conversation) => Some(conversation),
                _ => None,
            };
            draft.with(|draft| {
                let judge = |rules: &_| assess(draft, known, rules, browser::now());
                proxy.with_rules(draft.connection.as_ref(), judge)
            })
        });
        let was_posted = draft.with_untracked(|draft| draft.was_posted);
        let sending =
            if was_posted { Sending::Unconfirmed(left_unanswered()) } else { Sending::Idle };
        let desk = Self {
            draft,
            conversation,
            recent: RwSignal::new(Vec::new()),
            assessment,
            touched: RwSignal::new(HashSet::new()),
            has_tried: RwSignal::new(false),
            is_reviewing: RwSignal::new(false),
            sending: RwSignal::new(sending),
            saved_at: RwSignal::new(None),
            client: expect_context(),
            proxy,
        };
        desk.follow_connection();
        desk.follow_conversation();
        desk.save_when_changed();
        desk
    }

    /// What recipients' addresses look like on `channel`, where it has rules.
    pub fn recipient_form(self, channel: &Channel) -> Option<AddressForm> {
        let connection = self.draft.with(|draft| draft.connection.clone());
        self.proxy.with_rules(connection.as_ref(), |rules| {
            rules.pack(channel).ok().map(|pack| pack.recipient_form.value)
        })
    }

    /// The connection in use, once the options are known.
    pub fn connection(self) -> Option<ConnectionName> {
        let chosen = self.draft.with(|draft| draft.connection.clone());
        self.proxy.options.with(|options| {
            let connections = &options.ready()?.connections;
            let is_there = |name: &ConnectionName| connections.iter().any(|one| one.name == *name);
            chosen.filter(is_there).or_else(|| connections.first().map(|one| one.name.clone()))
        })
    }

    /// The conversation, once it is known.
    pub fn known(self) -> Option<Conversation> {
        self.conversation.with(|known| match known {
            Known::Here(conversation) => Some(conversation.clone()),
            _ => None,
        })
    }

    /// Notes that the reader has been at `field`.
    pub fn touch(self, field: Field) {
        if !self.touched.with_untracked(|touched| touched.contains(&field)) {
            self.touched.update(|touched| {
                touched.insert(field);
            });
        }
    }

    /// Changes the draft at `field`.
    pub fn edit(self, field: Field, change: impl FnOnce(&mut Draft)) {
        self.draft.update(change);
        self.touch(field);
    }

    /// Whether a finding is shown by now: what is merely missing only after the reader was there.
    pub fn is_shown(self, finding: &Finding) -> bool {
        !is_emptiness(finding)
            || self.has_tried.get()
            || self.touched.with(|touched| touched.contains(&Field::of(finding)))
    }

    /// The findings of `field` that are shown by now, the worst first.
    pub fn findings(self, field: Field) -> Vec<Finding> {
        self.assessment.with(|all| {
            all.findings
                .iter()
                .filter(|finding| Field::of(finding) == field && self.is_shown(finding))
                .cloned()
                .collect()
        })
    }

    /// True when a finding of `field` that is shown stops the message.
    pub fn is_bad(self, field: Field) -> bool {
        self.findings(field).iter().any(|finding| finding.severity == Severity::Error)
    }

    /// True when `field` only has findings to be considered.
    pub fn is_only_warned(self, field: Field) -> bool {
        let findings = self.findings(field);
        !findings.is_empty() && findings.iter().all(|one| one.severity == Severity::Warning)
    }

    /// How the stop with these fields stands.
    pub fn standing(self, fields: &[Field], is_filled: bool) -> Standing {
        if fields.iter().any(|field| self.is_bad(*field)) {
            Standing::Bad
        } else if fields.iter().any(|field| self.is_only_warned(*field)) {
            Standing::Warn
        } else if is_filled {
            Standing::Done
        } else {
            Standing::Ahead
        }
    }

    /// How many findings stop the message, shown or not.
    pub fn errors(self) -> usize {
        self.count(|finding| finding.severity == Severity::Error)
    }

    /// How many of them are shown by now.
    pub fn shown_errors(self) -> usize {
        self.count(|finding| finding.severity == Severity::Error && self.is_shown(finding))
    }

    /// How many findings are only to be considered.
    pub fn warnings(self) -> usize {
        self.count(|finding| finding.severity == Severity::Warning)
    }

    fn count(self, counts: impl Fn(&Finding) -> bool) -> usize {
        self.assessment.with(|all| all.findings.iter().filter(|finding| counts(finding)).count())
    }

    /// True while an answer is awaited.
    pub fn is_sending(self) -> bool {
        self.sending.with(|sending| *sending == Sending::UnderWay)
    }

    /// The same for an event, which follows nothing.
    pub fn is_sending_untracked(self) -> bool {
        untrack(|| self.is_sending())
    }

    /// Asks for the last look, or shows everything that stands in its way.
    pub fn review(self) {
        self.has_tried.set(true);
        if untrack(|| self.errors()) == 0 {
            self.is_reviewing.set(true);
            request_animation_frame(|| browser::focus("review-title"));
        } else {
            request_animation_frame(|| browser::focus("summary"));
        }
    }

    /// Throws the draft away and begins another one with a key of its own.
    pub fn start_over(self) {
        let connection = self.draft.with_untracked(|draft| draft.connection.clone());
        self.draft.set(Draft { connection, ..Draft::new() });
        self.draft.with_untracked(Draft::store);
        self.touched.set(HashSet::new());
        self.has_tried.set(false);
        self.is_reviewing.set(false);
        self.sending.set(Sending::Idle);
    }

    fn follow_connection(self) {
        let connection = Memo::new(move |_| self.connection());
        Effect::new(move |_| {
            let Some(connection) = connection.get() else { return };
            spawn_local(async move {
                if let Ok(page) = self.client.conversations(connection).await {
                    self.recent.try_set(page.items);
                }
            });
        });
    }

    fn follow_conversation(self) {
        let wanted = Memo::new(move |_| {
            let typed = self.draft.with(|draft| draft.conversation.trim().to_owned());
            Some((self.connection()?, ConversationId::parse(&typed).ok()?))
        });
        Effect::new(move |_| {
            let Some((connection, id)) = wanted.get() else {
                self.conversation.set(Known::Nothing);
                return;
            };
            // A recent one is shown at once and read afresh behind it.
            let recent = self.recent.with_untracked(|recent| {
                recent.iter().find(|conversation| conversation.id == id).cloned()
            });
            match recent {
                Some(conversation) => self.take_conversation(conversation),
                None => self.conversation.set(Known::Looking),
            }
            spawn_local(async move {
                let result = self.client.conversation(connection, id.to_string()).await;
                let is_wanted = wanted
                    .try_with_untracked(|wanted| wanted.as_ref().map(|one| one.1.clone()))
                    .flatten()
                    == Some(id);
                match result {
                    Ok(conversation) if is_wanted => self.take_conversation(conversation),
                    Err(problem) if is_wanted && untrack(|| self.known()).is_none() => {
                        self.conversation.set(Known::Problem(problem));
                    }
                    _ => {}
                }
            });
        });
    }

    /// Takes what was read, and fills in who would send it to whom when the conversation is a new one.
    fn take_conversation(self, conversation: Conversation) {
        let is_new =
            self.draft.with_untracked(|draft| draft.filled_for != conversation.id.as_str());
        if is_new {
            let sender = conversation.senders().first().copied().unwrap_or_default().to_owned();
            let customers = conversation.customers().into_iter().map(str::to_owned).collect();
            self.draft.update(|draft| {
                draft.filled_for = conversation.id.to_string();
                draft.sender = sender;
                draft.recipients = customers;
            });
        }
        self.conversation.set(Known::Here(conversation));
    }

    /// Saves each change at once; with files, which take long to write, after a pause or when the page goes.
    fn save_when_changed(self) {
        let is_waiting = StoredValue::new(false);
        let save = move || {
            is_waiting.try_set_value(false);
            if self.draft.try_with_untracked(Draft::store).is_some() {
                self.saved_at.try_set(Some(browser::now()));
            }
        };
        let save_what_waits = move || {
            if is_waiting.try_get_value() == Some(true) {
                save();
            }
        };
        let leave = window_event_listener_untyped("pagehide", move |_| save_what_waits());
        on_cleanup(move || {
            leave.remove();
            save_what_waits();
        });
        Effect::new(move |before: Option<()>| {
            let has_files = self
                .draft
                .with(|draft| draft.attachments.iter().any(|file| file.content.is_some()));
            if before.is_none() {
                return;
            }
            if !has_files {
                save();
            } else if !is_waiting.get_value() {
                is_waiting.set_value(true);
                set_timeout(save, SAVE_AFTER);
            }
        });
    }
}

/// What a reload during sending leaves behind.
fn left_unanswered() -> Problem {
    Problem {
        code: crate::api::UNREACHABLE.into(),
        status: 0,
        title: "This message was posted, but its answer did not arrive".into(),
        detail: Some("The page was left or reloaded before the proxy answered.".into()),
        findings: Vec::new(),
    }
}
