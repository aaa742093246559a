//! What lies on the Lab's desk: the state a link holds, what the rules say about it, and the ways to change it.
//!
//! The address follows what is shown, so that a reload or a bookmark keeps it; what was shown last is kept in
//! this browser, too, for whoever comes back by the rail.

use super::editor;
use super::judge::{self, Judged, Spot};
use super::link::{self, About, State};
use crate::browser;
use crate::state::proxy::Proxy;
use leptos::html;
use leptos::prelude::*;
use shared::channel::Channel;
use shared::conversation::Conversation;
use shared::id::ConnectionName;
use shared::json::DecodeError;
use shared::rules::catalogue::Example;
use shared::rules::{Dialect, Ruleset};
use shared::template::Values;
use std::sync::Arc;
use std::time::Duration;

const STORED_AS: &str = "waybill.lab";
/// Pause after the last change before the address follows.
const FOLLOW_AFTER: Duration = Duration::from_millis(400);
/// A longer link is not put into the address by itself: browsers and what people paste into have limits.
pub const LINK_CHARS_MAX: usize = 32_000;

/// The desk's handle.
#[derive(Clone, Copy)]
pub struct Desk {
    /// All that a link holds.
    pub state: RwSignal<State>,
    /// What was not as the opened link said.
    pub doubts: RwSignal<Vec<String>>,
    /// The channel it is judged for.
    pub channel: Memo<Channel>,
    /// The dialect it is judged for.
    pub dialect: Memo<Dialect>,
    /// The conversation it is judged against, or what cannot be read of it.
    pub conversation: Memo<Result<Option<Conversation>, DecodeError>>,
    /// What the rules say.
    pub judged: Memo<Arc<Judged>>,
    /// How long the last judging took, in milliseconds: reading, every rule, the plan, the places.
    pub took_ms: RwSignal<f64>,
    /// The editor's field.
    pub area: NodeRef<html::Textarea>,
    /// The proxy, where one is reachable by this page.
    pub proxy: Option<Proxy>,
    /// True to judge by the rules as that proxy narrows them, where it does.
    pub is_narrowed: RwSignal<bool>,
}

impl Desk {
    /// Lays out what the address says, or what was shown last.
    pub fn new() -> Self {
        let opened = query_here().or_else(|| browser::stored(STORED_AS)).unwrap_or_default();
        let is_link = query_here().is_some();
        let link::Opened { state, doubts } = link::decode(&opened);
        let state = RwSignal::new(state);
        let proxy = use_context::<Proxy>();
        let channel = Memo::new(move |_| state.with(|state| state.channel.clone()));
        let dialect = Memo::new(move |_| state.with(|state| state.dialect));
        let conversation = Memo::new(move |_| {
            state.with(|state| judge::conversation(&state.about, &state.channel))
        });
        let took_ms = RwSignal::new(0.0);
        let is_narrowed = RwSignal::new(false);
        let judged = Memo::new_with_compare(
            move |_| {
                let began = browser::ticks_ms();
                let conversation = conversation.read();
                let conversation = conversation.as_ref().ok().and_then(Option::as_ref);
                let judge = |rules: &_| {
                    state.with(|state| {
                        judge::judge(
                            &state.payload,
                            &state.values,
                            &state.channel,
                            conversation,
                            rules,
                        )
                    })
                };
                let dialect = dialect.get();
                let judged = Arc::new(match proxy.filter(|_| is_narrowed.get()) {
                    None => judge(Ruleset::embedded(dialect)),
                    Some(proxy) => proxy.rules.with(|all| {
                        let own = all.iter().find(|one| one.ruleset.dialect == dialect);
                        judge(own.map_or_else(|| Ruleset::embedded(dialect), |one| &one.ruleset))
                    }),
                });
                took_ms.set(browser::ticks_ms() - began);
                judged
            },
            // Comparing would cost as much as judging.
            |_, _| true,
        );
        let desk = Self {
            state,
            doubts: RwSignal::new(if is_link { doubts } else { Vec::new() }),
            channel,
            dialect,
            conversation,
            judged,
            took_ms,
            area: NodeRef::new(),
            proxy,
            is_narrowed,
        };
        if is_link {
            desk.compare_packs(&opened);
        }
        desk.follow();
        desk
    }

    /// The connection whose rules of this dialect allow less than those that are shipped.
    pub fn narrowing(self) -> Option<ConnectionName> {
        let dialect = self.dialect.get();
        self.proxy?.rules.with(|all| {
            let own = all.iter().find(|one| one.ruleset.dialect == dialect)?;
            (own.ruleset.hash != Ruleset::embedded(dialect).hash).then(|| own.connection.clone())
        })
    }

    /// Lays out what a first visit shows.
    pub fn start_over(self) {
        let State { payload, channel, dialect, about, .. } = State::default();
        self.load(payload, channel, dialect, about);
    }

    /// The whole address that shows the same.
    pub fn link(self) -> String {
        format!("{}#/lab?{}", browser::document_address(), self.query())
    }

    fn query(self) -> String {
        let pack = self.judged.with_untracked(|judged| judged.pack.clone());
        self.state.with_untracked(|state| link::encode(state, &pack))
    }

    /// Shows another link in place of what is here.
    fn open(self, query: &str) {
        let link::Opened { state, doubts } = link::decode(query);
        self.state.set(state);
        self.doubts.set(doubts);
        self.compare_packs(query);
    }

    fn compare_packs(self, query: &str) {
        let here = self.judged.with_untracked(|judged| judged.pack.clone());
        if let Some(there) = link::pack(query).filter(|there| *there != here) {
            let there: String =
                there.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
            self.doubts.update(|doubts| {
                doubts.push(format!(
                    "It was judged by rules {there} and is judged by {here} here: findings may differ."
                ));
            });
        }
    }

    /// Changes the payload as somebody would who types: it can be undone.
    pub fn write(self, spot: Option<&Spot>, text: &str) {
        let whole =
            self.state.with_untracked(|state| super::ink::utf16(&state.payload, usize::MAX));
        let units = spot.map_or(0..whole, |spot| spot.units.clone());
        let is_typed =
            self.area.get_untracked().is_some_and(|area| editor::type_into(&area, units, text));
        if !is_typed {
            self.state.update(|state| match spot {
                Some(spot) => state.payload.replace_range(spot.bytes.clone(), text),
                None => text.clone_into(&mut state.payload),
            });
        }
    }

    /// Goes to a place in the editor and selects it.
    pub fn go(self, spot: &Spot) {
        if let Some(area) = self.area.get_untracked() {
            editor::select(&area, spot);
        }
    }

    /// Chooses the channel. A plain message that nobody has changed becomes the one of that channel.
    pub fn choose_channel(self, channel: Channel) {
        let is_sample =
            self.state.with_untracked(|state| state.payload == link::sample(&state.channel));
        if is_sample {
            let sample = link::sample(&channel);
            self.state.update(|state| state.channel = channel);
            self.write(None, &sample);
        } else {
            self.state.update(|state| state.channel = channel);
        }
    }

    /// Shows an example of the catalogue.
    pub fn load_example(self, example: &Example) {
        let case = example.case();
        let channel = case.conversation.channel.clone();
        let text = serde_json::to_string_pretty(&case.payload).unwrap_or_default();
        let about = if case.conversation == shared::rules::example::conversation(&channel) {
            About::Sample
        } else {
            About::Written(judge::conversation_text(&case.conversation))
        };
        self.load(text, channel, case.dialect, about);
    }

    /// Shows a payload in its context.
    pub fn load(self, text: String, channel: Channel, dialect: Dialect, about: About) {
        self.state.update(|state| {
            state.channel = channel;
            state.dialect = dialect;
            state.about = about;
            state.values = Values::new();
        });
        self.write(None, &text);
        self.doubts.set(Vec::new());
    }

    /// Keeps address and browser up with what is shown.
    fn follow(self) {
        let waiting = StoredValue::new(None::<TimeoutHandle>);
        let save = move || {
            let Some(query) = self.state.try_with_untracked(|_| ()).map(|()| self.query()) else {
                return;
            };
            if query.len() <= LINK_CHARS_MAX {
                browser::store(STORED_AS, &query);
                browser::replace_fragment(&format!("/lab?{query}"));
            }
        };
        Effect::new(move |before: Option<()>| {
            self.state.track();
            if before.is_none() {
                return;
            }
            if let Some(handle) = waiting.get_value() {
                handle.clear();
            }
            waiting.set_value(set_timeout_with_handle(save, FOLLOW_AFTER).ok());
        });
        // A link opened in a tab that already shows the Lab changes the fragment and loads nothing.
        let opened = window_event_listener_untyped("hashchange", move |_| {
            if let Some(query) = query_here() {
                self.open(&query);
            }
        });
        on_cleanup(move || {
            opened.remove();
            if let Some(Some(handle)) = waiting.try_get_value() {
                handle.clear();
            }
        });
    }
}

/// What stands behind `#/lab?` in the address.
fn query_here() -> Option<String> {
    browser::fragment().strip_prefix("/lab?").map(str::to_owned)
}
