//! "Check 10,000 messages": draws and judges them in this page, a few milliseconds at a time so that it stays
//! responsive, and says how fast.
//!
//! Two speeds are measured. `data-rate` is that of judging alone: the time inside the rules. `data-wall-rate` is
//! that of the whole: drawing and giving way to the browser as well.

use super::desk::Desk;
use super::draw;
use crate::browser;
use crate::components::icon::{Glyph, Icon};
use crate::frame::Announcer;
use crate::words;
use leptos::prelude::*;
use leptos::task::spawn_local;
use shared::finding::may_send;
use shared::rules::Ruleset;
use shared::simulator::SimulatedMessage;
use shared::validate::{Context, validate};
use std::collections::BTreeMap;

/// Messages of one check.
const TO_CHECK: u32 = 10_000;
/// Messages drawn and then judged together: enough for the browser's clock to tell the time between.
const AT_ONCE: usize = 50;
/// The longest the browser is kept waiting, in milliseconds.
const SLICE_MS: f64 = 8.0;

/// A check, under way or over.
#[derive(Clone, PartialEq, Debug, Default)]
struct Tally {
    checked: u32,
    good: u32,
    judging_ms: f64,
    wall_ms: f64,
    by_code: BTreeMap<String, u32>,
    is_running: bool,
    is_stopped: bool,
}

impl Tally {
    fn rate(&self) -> f64 {
        per_second(self.checked, self.judging_ms)
    }

    fn wall_rate(&self) -> f64 {
        per_second(self.checked, self.wall_ms)
    }

    fn state(&self) -> &'static str {
        match (self.is_running, self.is_stopped) {
            (true, _) => "running",
            (false, true) => "stopped",
            (false, false) => "done",
        }
    }

    /// Codes by how many messages have them, the most frequent first.
    fn codes(&self) -> Vec<(String, u32)> {
        let mut codes: Vec<(String, u32)> = self.by_code.clone().into_iter().collect();
        codes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        codes
    }
}

fn per_second(count: u32, ms: f64) -> f64 {
    if ms <= 0.0 { 0.0 } else { (f64::from(count) / ms * 1000.0).round() }
}

fn grouped(rate: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates"
    )]
    words::grouped(rate as u64)
}

/// The panel.
#[component]
pub fn Check() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let announcer = use_context::<Announcer>();
    let tally = RwSignal::new(None::<Tally>);
    let is_running =
        Memo::new(move |_| tally.with(|all| all.as_ref().is_some_and(|one| one.is_running)));
    let wants_stop = StoredValue::new(false);
    on_cleanup(move || {
        wants_stop.try_set_value(true);
    });
    let start = move || {
        wants_stop.set_value(false);
        tally.set(Some(Tally { is_running: true, ..Tally::default() }));
        spawn_local(async move {
            run(desk, tally, wants_stop).await;
            if let (Some(announcer), Some(Some(one))) = (announcer, tally.try_get_untracked()) {
                announcer.say(format!("{} messages checked", words::grouped(one.checked.into())));
            }
        });
    };
    let headline = move || match tally.get() {
        None => "Check 10,000 messages".to_owned(),
        Some(one) if one.is_running => {
            format!(
                "{} of {} checked",
                words::grouped(one.checked.into()),
                words::grouped(TO_CHECK.into())
            )
        }
        Some(one) => {
            let stopped = if one.is_stopped { ", then stopped" } else { "" };
            let count = words::grouped(one.checked.into());
            format!("{count} messages checked in {:.2} s{stopped}", one.wall_ms / 1000.0)
        }
    };
    view! {
        <section class="panel" aria-labelledby="lab-check-title">
            <div class="speed">
                <div>
                    <h2 class="dense strong" id="lab-check-title">
                        {headline}
                    </h2>
                    {move || match tally.get() {
                        None => {
                            view! {
                                <p class="small muted">
                                    "Drawn from the seed and judged in this page, by the rules the proxy uses."
                                </p>
                            }
                                .into_any()
                        }
                        Some(one) => {
                            let title = format!(
                                "Judging alone. With drawing, and with giving way to the browser: {} a second.",
                                grouped(one.wall_rate()),
                            );
                            view! {
                                <p class="small muted">
                                    <span
                                        data-testid="lab-rate"
                                        data-rate=one.rate().to_string()
                                        data-wall-rate=one.wall_rate().to_string()
                                        data-checked=one.checked.to_string()
                                        data-state=one.state()
                                        title=title
                                    >
                                        {format!("{} messages a second", grouped(one.rate()))}
                                    </span>
                                    {format!(", {} with drawing them", grouped(one.wall_rate()))}
                                </p>
                            }
                                .into_any()
                        }
                    }}
                </div>
                <div class="speed-bar">{move || tally.get().map(|one| view! { <Bar one/> })}</div>
                <Show
                    when=move || is_running.get()
                    fallback=move || {
                        view! {
                            <button
                                type="button"
                                class="b b-small"
                                data-testid="lab-check"
                                on:click=move |_| start()
                            >
                                <Icon glyph=Glyph::Bolt/>
                                "Check 10,000"
                            </button>
                        }
                    }
                >
                    <button
                        type="button"
                        class="b b-small"
                        data-testid="lab-check-stop"
                        on:click=move |_| wants_stop.set_value(true)
                    >
                        <Icon glyph=Glyph::Stop/>
                        "Stop"
                    </button>
                </Show>
            </div>
            {move || {
                tally
                    .get()
                    .filter(|one| !one.is_running && !one.by_code.is_empty())
                    .map(|one| view! { <Codes one/> })
            }}
        </section>
    }
}

#[component]
fn Bar(one: Tally) -> impl IntoView {
    let faulty = one.checked - one.good;
    let share = |count: u32| format!("{:.2}%", f64::from(count) * 100.0 / f64::from(TO_CHECK));
    let label = format!("{} may be sent, {} may not", one.good, faulty);
    view! {
        <svg class="progress" role="img" aria-label=label>
            <rect class="p-done" width=share(one.good) height="10"></rect>
            <rect class="p-bad" x=share(one.good) width=share(faulty) height="10"></rect>
        </svg>
        <p class="legend">
            <span>
                <b>{words::grouped(one.good.into())}</b>
                " may be sent"
            </span>
            <span>
                <b>{words::grouped(faulty.into())}</b>
                " may not"
            </span>
        </p>
    }
}

/// What was found, by rule.
#[component]
fn Codes(one: Tally) -> impl IntoView {
    let checked = one.checked;
    view! {
        <details class="lab-codes">
            <summary class="small">
                {format!("By rule: {}", words::counted(words::count(one.by_code.len()), "rule was broken", "rules were broken"))}
            </summary>
            <ul data-testid="lab-codes">
                {one
                    .codes()
                    .into_iter()
                    .map(|(code, count)| {
                        view! {
                            <li>
                                <code>{code}</code>
                                <span>{words::grouped(count.into())}</span>
                                <span class="faint">{words::percent(count.into(), checked.into())}</span>
                            </li>
                        }
                    })
                    .collect_view()}
            </ul>
        </details>
    }
}

async fn run(desk: Desk, shown: RwSignal<Option<Tally>>, wants_stop: StoredValue<bool>) {
    let (seed, scenario) = desk.state.with_untracked(|state| {
        (state.seed, draw::scenario(&state.scenario, state.drawn_on.as_ref()))
    });
    let Some(scenario) = scenario else { return };
    let mut messages = scenario.messages(seed);
    let mut tally = Tally { is_running: true, ..Tally::default() };
    let began = browser::ticks_ms();
    loop {
        let slice = browser::ticks_ms();
        while tally.checked < TO_CHECK && browser::ticks_ms() - slice < SLICE_MS {
            let some: Vec<SimulatedMessage> = messages.by_ref().take(AT_ONCE).collect();
            if some.is_empty() {
                break;
            }
            let at = browser::ticks_ms();
            for one in &some {
                judge(one, &mut tally);
            }
            tally.judging_ms += browser::ticks_ms() - at;
        }
        tally.wall_ms = browser::ticks_ms() - began;
        tally.is_stopped = wants_stop.try_get_value().unwrap_or(true);
        let is_over = tally.checked >= TO_CHECK || tally.is_stopped;
        tally.is_stopped &= tally.checked < TO_CHECK;
        tally.is_running = !is_over;
        if shown.try_set(Some(tally.clone())).is_some() || is_over {
            return;
        }
        browser::give_way().await;
    }
}

fn judge(one: &SimulatedMessage, tally: &mut Tally) {
    let rules = Ruleset::embedded(one.dialect);
    let findings = validate(&one.payload, rules, Context::Conversation(&one.conversation));
    tally.checked += 1;
    tally.good += u32::from(may_send(&findings));
    let mut codes: Vec<&str> = findings.iter().map(|finding| finding.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    for code in codes {
        match tally.by_code.get_mut(code) {
            Some(count) => *count += 1,
            None => {
                tally.by_code.insert(code.to_owned(), 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn rates_and_tallies_are_plain_arithmetic() {
        assert_eq!(per_second(10_000, 250.0), 40_000.0);
        assert_eq!(per_second(10_000, 0.0), 0.0);
        let mut tally = Tally::default();
        let scenario = draw::scenario("hostile", None).unwrap();
        for one in scenario.messages(1).take(200) {
            judge(&one, &mut tally);
        }
        assert_eq!(tally.checked, 200);
        assert!((1..200).contains(&tally.good), "{}", tally.good);
        let codes = tally.codes();
        assert!(codes.is_sorted_by(|one, other| one.1 >= other.1));
    }
}
