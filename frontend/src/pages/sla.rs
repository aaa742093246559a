//! How many messages arrived in time: figures, verdicts over time, times to delivery and the latest breaches.
//! Period and what-if threshold are in the address; the proxy counts, this page only draws.

use crate::api::Client;
use crate::browser;
use crate::components::chart::{ChartPanel, Histogram, Legend, Mark, VerdictBars, count_of, total};
use crate::components::figure::Figure;
use crate::components::icon::{Glyph, Icon};
use crate::components::nothing::{Nothing, Trouble};
use crate::components::row::recipients;
use crate::components::state_word::StateWord;
use crate::pages::Place;
use crate::state::clock::Clock;
use crate::state::filter::Filter;
use crate::state::loaded::Loaded;
use crate::state::messages::Messages;
use crate::state::period::{Outlook, Period};
use crate::words;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_query_map};
use shared::api::{Latency, Message, SlaReport};
use shared::sla::Verdict;
use shared::time::Timestamp;
use std::time::Duration;

/// Pause between two looks while messages change.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// The report by each message's own threshold, and the one by the supposed threshold.
#[derive(Clone, PartialEq, Debug)]
struct Reports {
    own: SlaReport,
    supposed: Option<SlaReport>,
}

impl Reports {
    /// The one on screen.
    fn shown(&self) -> &SlaReport {
        self.supposed.as_ref().unwrap_or(&self.own)
    }
}

/// The page.
#[component]
pub fn Sla() -> impl IntoView {
    let client = expect_context::<Client>();
    let clock = expect_context::<Clock>();
    let changes = expect_context::<Messages>().changes;
    let query = use_query_map();
    let outlook = Memo::new(move |_| query.with(Outlook::from_query));
    let reports = RwSignal::new(Loaded::Loading);
    let fetch = move |wanted: Outlook| {
        let to = clock.exact();
        let length_ms = i64::try_from(wanted.period.length().as_millis()).unwrap_or(0);
        let from = Timestamp::from_unix_ms(to.unix_ms() - length_ms);
        spawn_local(async move {
            let result = both(client, from, to, wanted.what_if).await;
            if outlook.try_get_untracked() != Some(wanted) {
                return;
            }
            // A lost connection leaves what is shown; the frame says that it is old.
            let keeps = result.is_err() && reports.with_untracked(|known| known.ready().is_some());
            if !keeps {
                reports.set(result.into());
            }
        });
    };
    Effect::new(move |_| fetch(outlook.get()));
    let seen = StoredValue::new(changes.get_untracked());
    let watch = set_interval_with_handle(
        move || {
            let now = changes.get_untracked();
            if now != seen.get_value() && browser::is_visible() {
                seen.set_value(now);
                fetch(outlook.get_untracked());
            }
        },
        LOOK_EVERY,
    );
    on_cleanup(move || {
        if let Ok(watch) = watch {
            watch.clear();
        }
    });
    let phase = Memo::new(move |_| match &*reports.read() {
        Loaded::Loading => Loaded::Loading,
        Loaded::Ready(_) => Loaded::Ready(()),
        Loaded::Failed(problem) => Loaded::Failed(problem.clone()),
    });
    let known = Memo::new(move |_| reports.with(|known| known.ready().cloned()));
    view! {
        <div class="page">
            <Head outlook known/>
            {move || match phase.get() {
                Loaded::Loading => view! { <Bones/> }.into_any(),
                Loaded::Failed(problem) => {
                    view! {
                        <Trouble
                            problem
                            retry=Callback::new(move |()| {
                                reports.set(Loaded::Loading);
                                fetch(outlook.get_untracked());
                            })
                        />
                    }
                        .into_any()
                }
                Loaded::Ready(()) => {
                    view! {
                        <div class="stack stack-4">
                            <Report outlook known/>
                        </div>
                    }
                        .into_any()
                }
            }}
        </div>
    }
}

async fn both(
    client: Client,
    from: Timestamp,
    to: Timestamp,
    what_if: Option<f64>,
) -> Result<Reports, shared::api::Problem> {
    let own = client.sla(from, to, None).await?;
    let supposed = match what_if {
        Some(seconds) => Some(client.sla(from, to, Some(seconds)).await?),
        None => None,
    };
    Ok(Reports { own, supposed })
}

#[component]
fn Bones() -> impl IntoView {
    view! {
        <div class="bones" role="status" aria-label="Loading the figures">
            {(0..5)
                .map(|_| {
                    view! {
                        <div class="bone-row">
                            <span class="bone w-4"></span>
                            <span class="bone w-3"></span>
                            <span class="bone w-2"></span>
                        </div>
                    }
                })
                .collect_view()}
        </div>
    }
}

#[component]
fn Head(outlook: Memo<Outlook>, known: Memo<Option<Reports>>) -> impl IntoView {
    let promise = move || {
        known.with(|known| {
            known.as_ref().map(|known| {
                format!(
                    "Delivered within {} of the platform taking the message.",
                    words::threshold(ms(known.own.policy_threshold_seconds))
                )
            })
        })
    };
    view! {
        <header class="page-head">
            <div>
                <h1>"SLA"</h1>
                <p>{promise}</p>
            </div>
            <nav class="seg seg-small" aria-label="Period">
                {Period::ALL
                    .into_iter()
                    .map(|period| {
                        let href = move || {
                            Place::Sla(Outlook { period, ..outlook.get() }).href()
                        };
                        let current = move || (outlook.read().period == period).then_some("true");
                        view! {
                            <a href=href aria-current=current>
                                {period.label()}
                            </a>
                        }
                    })
                    .collect_view()}
            </nav>
        </header>
    }
}

#[component]
fn Report(outlook: Memo<Outlook>, known: Memo<Option<Reports>>) -> impl IntoView {
    let is_empty = Memo::new(move |_| {
        known.with(|known| {
            known
                .as_ref()
                .is_none_or(|known| total(&known.own.verdicts) == 0 && known.own.cancelled == 0)
        })
    });
    move || {
        if is_empty.get() {
            return view! {
                <Nothing
                    title="No messages in this period"
                    text="As soon as something is sent, its way is measured here."
                >
                    <a class="b b-main" href=Place::Compose.href()>
                        <Icon glyph=Glyph::Compose/>
                        "Compose"
                    </a>
                </Nothing>
            }
            .into_any();
        }
        view! {
            <Figures known/>
            <WhatIf outlook known/>
            {move || {
                known
                    .get()
                    .map(|known| {
                        view! {
                            <OverTime report=known.shown().clone() period=outlook.get_untracked().period/>
                            <Latencies known=known.clone()/>
                            <Breaches report=known.shown().clone()/>
                        }
                    })
            }}
        }
        .into_any()
    }
}

fn ms(seconds: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "thresholds are positive and a float cast saturates"
    )]
    {
        (seconds * 1000.0).round() as u64
    }
}

#[component]
fn Figures(known: Memo<Option<Reports>>) -> impl IntoView {
    let of = move |read: fn(&SlaReport) -> String| {
        Signal::derive(move || {
            known.with(|known| known.as_ref().map(|known| read(known.shown())).unwrap_or_default())
        })
    };
    let percentile = move |name: &'static str, read: fn(&Latency) -> Option<f64>| {
        let value = move || {
            known.with(|known| {
                known
                    .as_ref()
                    .map(|known| percentile_word(name, known.shown(), read))
                    .unwrap_or_default()
            })
        };
        let note = move || {
            known.with(|known| {
                known
                    .as_ref()
                    .map(|known| percentile_note(name, known.shown(), read))
                    .unwrap_or_default()
            })
        };
        let tone = move || {
            known.with(|known| {
                let is_time =
                    known.as_ref().is_some_and(|known| read(&known.shown().latency).is_some());
                if is_time { "" } else { "value-word" }
            })
        };
        view! {
            <Figure
                name
                testid="sla-percentile"
                value=Signal::derive(value)
                note=Signal::derive(note)
                tone=Signal::derive(tone)
            />
        }
    };
    let breach_tone = move || {
        known.with(|known| match known.as_ref().map(|known| known.shown().verdicts.breached) {
            Some(1..) => "fg-bad",
            _ => "",
        })
    };
    view! {
        <div class="figures figures-5">
            <Figure
                name="Compliance"
                testid="sla-compliance"
                value=of(compliance)
                note=of(judged)
            />
            <Figure
                name="Breaches"
                testid="sla-breaches"
                value=of(|report| words::grouped(report.verdicts.breached))
                note=of(how_breached)
                tone=Signal::derive(breach_tone)
            />
            {percentile("p50", |latency| latency.p50_seconds)}
            {percentile("p95", |latency| latency.p95_seconds)}
            {percentile("p99", |latency| latency.p99_seconds)}
        </div>
    }
}

fn compliance(report: &SlaReport) -> String {
    let judged = report.verdicts.met + report.verdicts.breached;
    words::percent(report.verdicts.met, judged)
}

fn judged(report: &SlaReport) -> String {
    let verdicts = &report.verdicts;
    let judged = verdicts.met + verdicts.breached;
    let not = verdicts.pending + verdicts.unknown;
    if judged == 0 {
        return format!("nothing judged yet; {} not judged", words::grouped(not));
    }
    format!(
        "{} of {}; {} not judged",
        words::grouped(verdicts.met),
        words::grouped(judged),
        words::grouped(not)
    )
}

fn how_breached(report: &SlaReport) -> String {
    let never = report.latency.never.min(report.verdicts.breached);
    if report.verdicts.breached == 0 {
        return "none".into();
    }
    format!(
        "{} late, {} never",
        words::grouped(report.verdicts.breached - never),
        words::grouped(never)
    )
}

/// Messages below which a 99th percentile says nothing.
const P99_MIN: u64 = 100;

fn percentile_word(name: &str, report: &SlaReport, read: fn(&Latency) -> Option<f64>) -> String {
    match read(&report.latency) {
        Some(seconds) => words::seconds(seconds),
        None if report.latency.n == 0 => "–".into(),
        None if name == "p99" && report.latency.n < P99_MIN => "hidden".into(),
        None => "not reached".into(),
    }
}

fn percentile_note(name: &str, report: &SlaReport, read: fn(&Latency) -> Option<f64>) -> String {
    let latency = &report.latency;
    let limit = report.threshold_seconds.unwrap_or(report.policy_threshold_seconds);
    match read(latency) {
        Some(seconds) if seconds > limit => "over the limit".into(),
        Some(_) => format!("n = {}", words::grouped(latency.n)),
        None if latency.n == 0 => "nothing measured".into(),
        None if name == "p99" && latency.n < P99_MIN => {
            format!("below {P99_MIN}; n = {}", latency.n)
        }
        None => format!("{} have not arrived", words::percent(latency.never, latency.n)),
    }
}

/// "What if the limit were 5 s": a slider and a number for the same value, which goes into the address.
#[component]
fn WhatIf(outlook: Memo<Outlook>, known: Memo<Option<Reports>>) -> impl IntoView {
    let navigate = use_navigate();
    let policy = Memo::new(move |_| {
        known.with(|known| known.as_ref().map_or(10.0, |known| known.own.policy_threshold_seconds))
    });
    let value = RwSignal::new(0.0);
    Effect::new(move |_| value.set(outlook.get().what_if.unwrap_or(policy.get())));
    let max = move || (policy.get() * 3.0).max(30.0);
    let go = StoredValue::new(move |what_if: Option<f64>| {
        let to = Place::Sla(Outlook { what_if, ..outlook.get_untracked() });
        let options = NavigateOptions { replace: true, scroll: false, ..Default::default() };
        navigate(&to.href(), options);
    });
    let choose = move |text: String| {
        if let Ok(seconds) = text.parse::<f64>()
            && seconds.is_finite()
            && seconds > 0.0
        {
            value.set(seconds);
            let what_if = ((seconds - policy.get_untracked()).abs() > 0.001).then_some(seconds);
            go.with_value(|go| go(what_if));
        }
    };
    let outcome = move || {
        known.with(|known| {
            let known = known.as_ref()?;
            let supposed = known.supposed.as_ref()?;
            let (own, now) = (known.own.verdicts.breached, supposed.verdicts.breached);
            let (class, change) = match now.cmp(&own) {
                std::cmp::Ordering::Greater => ("fg-bad", format!("{} more", words::grouped(now - own))),
                std::cmp::Ordering::Less => ("fg-ok", format!("{} fewer", words::grouped(own - now))),
                std::cmp::Ordering::Equal => ("muted", "no change".into()),
            };
            Some(view! {
                <span class="row row-wrap small">
                    <span>
                        <b class="strong dense">{compliance(supposed)}</b>
                        " "
                        <span class="muted">{format!("instead of {}", compliance(&known.own))}</span>
                    </span>
                    <span>
                        <b class="strong dense">{words::grouped(now)}</b>
                        " "
                        <span class="muted">"breaches, "</span>
                        <span class=class>{change}</span>
                    </span>
                    <button
                        type="button"
                        class="b b-tiny b-quiet"
                        on:click=move |_| go.with_value(|go| go(None))
                    >
                        "Reset"
                    </button>
                </span>
            })
        })
    };
    view! {
        <section class="panel" aria-labelledby="what-if">
            <div class="whatif">
                <label class="strong dense row" id="what-if" for="limit">
                    "What if the limit were"
                    <input
                        class="input is-small whatif-number"
                        id="limit"
                        data-testid="what-if"
                        type="number"
                        min="0.1"
                        step="0.1"
                        prop:value=move || value.get().to_string()
                        on:change:target=move |event| choose(event.target().value())
                    />
                    "s"
                </label>
                <input
                    class="range"
                    type="range"
                    aria-label="What if the limit were, in seconds"
                    min="0.5"
                    max=max
                    step="0.5"
                    prop:value=move || value.get().to_string()
                    on:input:target=move |event| {
                        if let Ok(seconds) = event.target().value().parse() {
                            value.set(seconds);
                        }
                    }
                    on:change:target=move |event| choose(event.target().value())
                />
                {outcome}
            </div>
        </section>
    }
}

#[component]
fn OverTime(report: SlaReport, period: Period) -> impl IntoView {
    let is_by_day = matches!(period, Period::Week | Period::Month);
    let label =
        move |at: Timestamp| if is_by_day { words::day_short(at) } else { words::clock(at) };
    let every = report.buckets.len() / 8 + 1;
    let labels: Vec<String> = report
        .buckets
        .iter()
        .enumerate()
        .map(
            |(index, bucket)| {
                if index % every == every / 2 { label(bucket.start) } else { String::new() }
            },
        )
        .collect();
    let said = said_over_time(&report, label);
    let verdicts = report.verdicts;
    let buckets = report.buckets;
    let for_table = buckets.clone();
    let said_in_chart = said.clone();
    let rows = move || {
        for_table
            .iter()
            .filter(|bucket| total(&bucket.verdicts) > 0)
            .map(|bucket| {
                let cells = Verdict::ALL.map(|verdict| {
                    view! { <td class="end">{words::grouped(count_of(&bucket.verdicts, verdict))}</td> }
                });
                view! {
                    <tr>
                        <th scope="row">{format!("{} {}", words::day_short(bucket.start), words::clock(bucket.start))}</th>
                        {cells.collect_view()}
                    </tr>
                }
            })
            .collect_view()
    };
    view! {
        <ChartPanel
            title="Verdicts over time"
            id="over-time"
            said
            aside=move || view! { <Legend counts=verdicts/> }
            chart=move || {
                view! {
                    <VerdictBars
                        buckets=buckets.clone()
                        labels=labels.clone()
                        said=said_in_chart.clone()
                    />
                }
            }
            table=move || {
                view! {
                    <div class="table-wrap">
                        <table class="table">
                            <thead>
                                <tr>
                                    <th>"From"</th>
                                    {Verdict::ALL
                                        .map(|verdict| {
                                            view! { <th class="end">{verdict.as_str()}</th> }
                                        })
                                        .collect_view()}
                                </tr>
                            </thead>
                            <tbody>{rows()}</tbody>
                        </table>
                    </div>
                }
            }
        />
    }
}

fn said_over_time(report: &SlaReport, label: impl Fn(Timestamp) -> String) -> String {
    let all = total(&report.verdicts);
    let mut said = words::counted(all, "message", "messages");
    if report.cancelled > 0 {
        said.push_str(&format!(
            ", and {} cancelled, which are in none of the four",
            report.cancelled
        ));
    }
    said.push('.');
    let worst = report.buckets.iter().max_by_key(|bucket| bucket.verdicts.breached);
    match worst {
        Some(worst) if worst.verdicts.breached > 0 => said.push_str(&format!(
            " Most breaches in one stretch: {} of {}, from {}.",
            words::grouped(worst.verdicts.breached),
            words::grouped(total(&worst.verdicts)),
            label(worst.start)
        )),
        _ => said.push_str(" None breached."),
    }
    said
}

#[component]
fn Latencies(known: Reports) -> impl IntoView {
    let report = known.shown().clone();
    let limit = report.threshold_seconds.unwrap_or(report.policy_threshold_seconds);
    let mut marks = vec![Mark {
        seconds: report.policy_threshold_seconds,
        label: format!("limit {}", words::threshold(ms(report.policy_threshold_seconds))),
        is_supposed: false,
    }];
    if let Some(seconds) = report.threshold_seconds {
        marks.push(Mark {
            seconds,
            label: format!("what if {}", words::threshold(ms(seconds))),
            is_supposed: true,
        });
    }
    let latency = report.latency;
    let arrived = latency.n.saturating_sub(latency.never);
    let said = match latency.p50_seconds {
        Some(half) => format!(
            "Half arrive within {}. {} arrived and {} have not; those count as longer than any other. Waiting here before the platform took them is not part of it.",
            words::seconds(half),
            words::grouped(arrived),
            words::grouped(latency.never)
        ),
        None => format!(
            "{} arrived and {} have not.",
            words::grouped(arrived),
            words::grouped(latency.never)
        ),
    };
    let bins = report.histogram;
    let for_table = bins.clone();
    let said_in_chart = said.clone();
    let rows = move || {
        for_table
            .iter()
            .map(|bin| {
                let to = bin.to_seconds.map_or("longer".to_owned(), words::seconds);
                view! {
                    <tr>
                        <th scope="row">{format!("{} to {to}", words::seconds(bin.from_seconds))}</th>
                        <td class="end">{words::grouped(bin.count)}</td>
                    </tr>
                }
            })
            .collect_view()
    };
    view! {
        <ChartPanel
            title="Time to delivery"
            id="latencies"
            said
            aside=|| ()
            chart=move || {
                view! {
                    <Histogram
                        bins=bins.clone()
                        never=latency.never
                        limit_seconds=limit
                        marks=marks.clone()
                        said=said_in_chart.clone()
                    />
                }
            }
            table=move || {
                view! {
                    <div class="table-wrap">
                        <table class="table">
                            <thead>
                                <tr>
                                    <th>"Time to delivery"</th>
                                    <th class="end">"Messages"</th>
                                </tr>
                            </thead>
                            <tbody>
                                {rows()} <tr>
                                    <th scope="row">"never"</th>
                                    <td class="end">{words::grouped(latency.never)}</td>
                                </tr>
                            </tbody>
                        </table>
                    </div>
                }
            }
        />
    }
}

#[component]
fn Breaches(report: SlaReport) -> impl IntoView {
    let clock = expect_context::<Clock>();
    let now = clock.exact();
    let what_if = report.threshold_seconds;
    let count = report.verdicts.breached;
    let shown = u64::try_from(report.breaches.len()).unwrap_or(u64::MAX);
    let note = if shown < count {
        format!("the latest {} of {}", words::grouped(shown), words::grouped(count))
    } else {
        format!("{}, newest first", words::grouped(count))
    };
    let breached = Filter { verdicts: vec![Verdict::Breached], ..Filter::default() };
    let rows = report.breaches.into_iter().map(|message| row(message, what_if, now)).collect_view();
    view! {
        <section class="panel" aria-labelledby="breaches">
            <div class="panel-head">
                <h2 id="breaches">"Breaches"</h2>
                <span class="muted small">{note}</span>
                <span class="push"></span>
                <a class="small" href=Place::Messages(breached).href()>
                    "Open as a list"
                </a>
            </div>
            <p class="panel-body muted small" hidden=count != 0>
                "None in this period."
            </p>
            <div class="table-wrap" hidden=count == 0>
                <table class="table table-tall">
                    <thead>
                        <tr>
                            <th class="c-who">"Message"</th>
                            <th class="wide-only">"Channel"</th>
                            <th class="end">"Over by"</th>
                            <th>"Status"</th>
                            <th class="wide-only">"Accepted"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
}

fn row(message: Message, what_if: Option<f64>, now: Timestamp) -> impl IntoView {
    #[expect(clippy::cast_precision_loss, reason = "thresholds are far below 2^52 ms")]
    let limit = what_if.unwrap_or(message.delivery.threshold_ms as f64 / 1000.0);
    let over = match message.elapsed_seconds {
        Some(elapsed) if elapsed > limit => format!("+{}", words::seconds(elapsed - limit)),
        Some(_) => "too late".into(),
        None => "never".into(),
    };
    let at = message.delivery.accepted_at;
    let reason = message.delivery.reason.clone();
    let href = Place::Message(message.id.clone(), Filter::default()).href();
    view! {
        <tr data-testid="breach-row" data-id=message.id.to_string()>
            <td class="c-who">
                <div class="who">
                    <span>
                        <a href=href>{recipients(&message)}</a>
                    </span>
                    <span class="line">{message.preview.clone()}</span>
                </div>
            </td>
            <td class="nowrap muted wide-only">{message.channel.label().to_owned()}</td>
            <td class="end nowrap fg-bad">{over}</td>
            <td>
                <StateWord delivery=message.delivery now/>
                {reason.map(|reason| view! { <span class="reason">{reason.text}</span> })}
            </td>
            <td class="nowrap muted wide-only">
                {format!("{} {}", words::day_short(at), words::clock(at))}
            </td>
        </tr>
    }
}
