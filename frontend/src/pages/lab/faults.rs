//! Switches for what goes wrong in the sandbox. Offered only where a proxy with an in-process sandbox is reachable;
//! what somebody else has set beside them stays as it is.

use crate::api::Client;
use crate::components::icon::{Glyph, Icon};
use crate::state::proxy::Proxy;
use crate::words;
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde_json::{Map, Value, json};
use shared::api::Problem;

/// The rules of the sandbox as it gives and takes them: a fault's name, and when and how it strikes.
pub type Faults = Map<String, Value>;

/// How a fault is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Dial {
    /// How many of a hundred calls it strikes.
    Percent,
    /// How long it makes every call wait, in milliseconds.
    Ms { max: i64, step: i64 },
    /// On or off: every time.
    Always,
    /// Once, at the next call.
    Once,
}

struct Knob {
    name: &'static str,
    label: &'static str,
    dial: Dial,
}

const KNOBS: [Knob; 9] = [
    Knob { name: "latency", label: "Latency", dial: Dial::Ms { max: 5_000, step: 50 } },
    Knob { name: "rate_429", label: "429, too many requests", dial: Dial::Percent },
    Knob { name: "rate_5xx", label: "5xx, broken", dial: Dial::Percent },
    Knob { name: "lost_reply", label: "Lost replies", dial: Dial::Percent },
    Knob {
        name: "receipt_late",
        label: "Receipts late",
        dial: Dial::Ms { max: 60_000, step: 1_000 },
    },
    Knob { name: "receipt_lost", label: "Receipts lost", dial: Dial::Percent },
    Knob { name: "receipt_disorder", label: "Receipts out of order", dial: Dial::Always },
    Knob { name: "receipt_duplicate", label: "Receipts twice", dial: Dial::Always },
    Knob { name: "token_revoked", label: "Token revoked, once", dial: Dial::Once },
];

impl Knob {
    fn set(&self, faults: &mut Faults, value: i64) {
        if value <= 0 {
            faults.remove(self.name);
            return;
        }
        let rule = match self.dial {
            Dial::Percent => json!({ "percent": value }),
            Dial::Ms { .. } => json!({ "percent": 100, "ms": value }),
            Dial::Always => json!({ "percent": 100 }),
            Dial::Once => json!({ "next": 1 }),
        };
        faults.insert(self.name.into(), rule);
    }

    fn value(&self, faults: &Faults) -> i64 {
        let field = match self.dial {
            Dial::Ms { .. } => "ms",
            Dial::Percent => "percent",
            Dial::Always | Dial::Once => return i64::from(faults.contains_key(self.name)),
        };
        let rule = faults.get(self.name);
        rule.and_then(|rule| rule.get(field)?.as_i64().or(Some(1))).unwrap_or(0)
    }

    fn shown(&self, value: i64) -> String {
        match (value, self.dial) {
            (0, _) => "off".into(),
            (_, Dial::Percent) => format!("{value} %"),
            (1_000.., Dial::Ms { .. }) => words::span(value),
            (_, Dial::Ms { .. }) => format!("{value} ms"),
            (_, Dial::Always | Dial::Once) => "on".into(),
        }
    }
}

/// What is on, in words: `Lost replies 2 %, Receipts late 8.0 s`.
fn in_words(faults: &Faults) -> String {
    let known = KNOBS.iter().filter(|knob| faults.contains_key(knob.name));
    let mut said: Vec<String> =
        known.map(|knob| format!("{} {}", knob.label, knob.shown(knob.value(faults)))).collect();
    let is_other = |name: &&String| KNOBS.iter().all(|knob| knob.name != name.as_str());
    said.extend(faults.keys().filter(is_other).cloned());
    said.join(", ")
}

/// The faults in force and the way to change them.
#[derive(Clone, Copy)]
pub struct Switches {
    faults: RwSignal<Option<Faults>>,
    problem: RwSignal<Option<Problem>>,
    client: Client,
}

impl Switches {
    /// Reads what is in force, where there is a sandbox.
    pub fn start() -> Option<Self> {
        let (client, proxy) = use_context::<Client>().zip(use_context::<Proxy>())?;
        let switches = Self { faults: RwSignal::new(None), problem: RwSignal::new(None), client };
        Effect::new(move |_| {
            if proxy.is_sandbox() == Some(true) {
                spawn_local(async move {
                    // A sandbox that runs elsewhere has no switches here.
                    if let Ok(faults) = client.faults().await {
                        switches.faults.try_set(Some(faults));
                    }
                });
            }
        });
        Some(switches)
    }

    fn put(self, faults: Faults) {
        spawn_local(async move {
            match self.client.set_faults(&faults).await {
                Ok(faults) => {
                    self.problem.try_set(None);
                    self.faults.try_set(Some(faults));
                }
                Err(problem) => {
                    self.problem.try_set(Some(problem));
                    // The switches show what is in force, not what was wished.
                    self.faults.try_update(|_| ());
                }
            }
        });
    }

    fn turn(self, knob: &Knob, value: i64) {
        if let Some(mut faults) = self.faults.get_untracked() {
            knob.set(&mut faults, value);
            self.put(faults);
        }
    }
}

/// Said while any fault is on.
#[component]
pub fn Banner(switches: Switches) -> impl IntoView {
    move || {
        let faults = switches.faults.get().filter(|faults| !faults.is_empty())?;
        let count = words::counted(words::count(faults.len()), "fault is", "faults are");
        Some(view! {
            <div class="banner banner-box" role="status" data-testid="lab-faults-on">
                <Icon glyph=Glyph::Lab/>
                <p>
                    <b class="strong">{format!("{count} on in the sandbox: ")}</b>
                    {in_words(&faults)}
                    "."
                </p>
                <span class="actions">
                    <button
                        type="button"
                        class="b b-tiny"
                        data-testid="lab-faults-off"
                        on:click=move |_| switches.put(Faults::new())
                    >
                        "Switch all off"
                    </button>
                </span>
            </div>
        })
    }
}

/// The switches.
#[component]
pub fn Panel(switches: Switches) -> impl IntoView {
    view! {
        <Show when=move || switches.faults.read().is_some()>
            <section class="panel" aria-labelledby="lab-faults-title">
                <div class="panel-head">
                    <h2 id="lab-faults-title">"Faults"</h2>
                    <span class="push"></span>
                    <span class="small faint">"in the sandbox"</span>
                </div>
                <div class="panel-body knobs">
                    {KNOBS.iter().map(|knob| view! { <Turn knob switches/> }).collect_view()}
                    {move || {
                        switches
                            .problem
                            .get()
                            .map(|problem| {
                                view! {
                                    <p class="hint fg-bad" role="alert">
                                        {problem.title} ". " {problem.detail}
                                    </p>
                                }
                            })
                    }}
                </div>
            </section>
        </Show>
    }
}

#[component]
fn Turn(knob: &'static Knob, switches: Switches) -> impl IntoView {
    let value = Signal::derive(move || {
        switches.faults.with(|faults| faults.as_ref().map_or(0, |faults| knob.value(faults)))
    });
    let id = format!("fault-{}", knob.name);
    let is_on = move || value.get() > 0;
    let (max, step) = match knob.dial {
        Dial::Percent => (100, 1),
        Dial::Ms { max, step } => (max, step),
        Dial::Always | Dial::Once => {
            return view! {
                <label class="switch switch-box">
                    <input
                        type="checkbox"
                        role="switch"
                        data-testid=id
                        prop:checked=is_on
                        on:change:target=move |event| {
                            switches.turn(knob, i64::from(event.target().checked()));
                        }
                    />
                    <span>{knob.label}</span>
                </label>
            }
            .into_any();
        }
    };
    // What is shown follows the hand; what is set follows when it lets go.
    let held = RwSignal::new(None::<i64>);
    view! {
        <div class="knob">
            <label for=id.clone()>{knob.label}</label>
            <output class="mono small">
                {move || knob.shown(held.get().unwrap_or_else(|| value.get()))}
            </output>
            <input
                class="range"
                type="range"
                id=id.clone()
                data-testid=id
                min="0"
                max=max.to_string()
                step=step.to_string()
                prop:value=move || value.get().to_string()
                on:input:target=move |event| held.set(event.target().value().parse().ok())
                on:change:target=move |event| {
                    held.set(None);
                    switches.turn(knob, event.target().value().parse().unwrap_or(0));
                }
            />
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn knobs_write_what_they_read_and_leave_the_rest_alone() {
        let mut faults = Faults::new();
        faults.insert("hang".into(), json!({ "percent": 3 }));
        for knob in &KNOBS {
            knob.set(&mut faults, 1);
            assert_eq!(knob.value(&faults), 1, "{}", knob.name);
        }
        assert_eq!(faults.len(), KNOBS.len() + 1);
        for knob in &KNOBS {
            knob.set(&mut faults, 0);
            assert_eq!(knob.value(&faults), 0, "{}", knob.name);
        }
        assert_eq!(in_words(&faults), "hang");
        KNOBS[3].set(&mut faults, 2);
        KNOBS[4].set(&mut faults, 8_000);
        assert_eq!(in_words(&faults), "Lost replies 2 %, Receipts late 8.0 s, hang");
    }
}
