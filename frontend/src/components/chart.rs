//! Charts as plain SVG: x in per cent, y in pixels, so that text never scales. The verdicts are always
//! stacked in the same order and never merged. Each chart has a sentence and a table that say the same.

use crate::components::icon::{Glyph, Icon};
use crate::words;
use leptos::prelude::*;
use shared::api::{HistogramBin, TimeBucket, VerdictCounts};
use shared::sla::Verdict;

const BASE_PX: f64 = 152.0;
const TOP_PX: f64 = 20.0;
/// Gap between two stacked parts.
const GAP_PX: f64 = 1.5;

/// How many of one verdict.
pub fn count_of(counts: &VerdictCounts, verdict: Verdict) -> u64 {
    match verdict {
        Verdict::Met => counts.met,
        Verdict::Breached => counts.breached,
        Verdict::Pending => counts.pending,
        Verdict::Unknown => counts.unknown,
    }
}

/// All four together.
pub fn total(counts: &VerdictCounts) -> u64 {
    counts.met + counts.breached + counts.pending + counts.unknown
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "c-met",
        Verdict::Breached => "c-breached",
        Verdict::Pending => "c-pending",
        Verdict::Unknown => "c-unknown",
    }
}

/// The next of 1, 2, 5, 10, 20, 50 … that is at least `most`.
fn nice(most: u64) -> u64 {
    let mut power = 1;
    loop {
        for step in [1, 2, 5] {
            if step * power >= most {
                return step * power;
            }
        }
        power *= 10;
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts for a picture")]
fn height(count: u64, scale: u64) -> f64 {
    (BASE_PX - TOP_PX) * count as f64 / scale.max(1) as f64
}

#[expect(clippy::cast_precision_loss, reason = "an index for a picture")]
fn share(index: usize, of: usize) -> f64 {
    100.0 * index as f64 / of.max(1) as f64
}

/// The patterns that tell pending and unknown apart without colour.
#[component]
fn Patterns() -> impl IntoView {
    view! {
        <defs>
            <pattern
                id="hatch-pending"
                width="5"
                height="5"
                patternUnits="userSpaceOnUse"
                patternTransform="rotate(45)"
            >
                <rect class="hatch-bg" width="5" height="5"></rect>
                <path class="hatch-pending" d="M0 0v5"></path>
            </pattern>
            <pattern id="hatch-unknown" width="4" height="4" patternUnits="userSpaceOnUse">
                <rect class="hatch-bg" width="4" height="4"></rect>
                <circle class="hatch-unknown" cx="1.5" cy="1.5" r=".9"></circle>
            </pattern>
        </defs>
    }
}

/// Two grid lines with their values, and the ground line.
fn grid(scale: u64, at_right: bool) -> impl IntoView {
    let (x, anchor) = if at_right { ("100%", "end") } else { ("0", "start") };
    let lines = [scale, scale / 2]
        .into_iter()
        .filter(|value| *value > 0 && (scale > 1 || *value == scale))
        .map(|value| {
            let y = BASE_PX - height(value, scale);
            view! {
                <line class="grid" x1="0" x2="100%" y1=y y2=y></line>
                <text class="halo" x=x y=y - 4.0 text-anchor=anchor>
                    {words::grouped(value)}
                </text>
            }
        })
        .collect_view();
    view! {
        {lines}
        <line class="base" x1="0" x2="100%" y1=BASE_PX y2=BASE_PX></line>
    }
}

/// What the colours mean, with the sums.
#[component]
pub fn Legend(counts: VerdictCounts) -> impl IntoView {
    let item = move |verdict: Verdict| {
        view! {
            <span>
                <svg viewBox="0 0 12 12" aria-hidden="true">
                    <rect class=class(verdict) x=".5" y=".5" width="11" height="11" rx="2"></rect>
                </svg>
                {verdict.as_str()} " " <b>{words::grouped(count_of(&counts, verdict))}</b>
            </span>
        }
    };
    view! { <p class="legend">{Verdict::ALL.map(item).collect_view()}</p> }
}

/// Verdicts over time, stacked.
#[component]
pub fn VerdictBars(
    /// The stretches, oldest first.
    buckets: Vec<TimeBucket>,
    /// The label of each stretch; empty where none is written.
    labels: Vec<String>,
    /// The sentence for those who cannot see it.
    said: String,
) -> impl IntoView {
    let scale = nice(buckets.iter().map(|bucket| total(&bucket.verdicts)).max().unwrap_or(1));
    let count = buckets.len();
    let width = share(1, count);
    let bars = buckets
        .iter()
        .enumerate()
        .map(|(index, bucket)| {
            let x = share(index, count) + width * 0.13;
            let mut y = BASE_PX;
            Verdict::ALL
                .into_iter()
                .filter_map(|verdict| {
                    let count = count_of(&bucket.verdicts, verdict);
                    if count == 0 {
                        return None;
                    }
                    let full = height(count, scale).max(2.0);
                    y -= full;
                    let shown = if full > 3.0 { full - GAP_PX } else { full };
                    Some(view! {
                        <rect
                            class=class(verdict)
                            x=format!("{x:.3}%")
                            y=format!("{:.1}", y + full - shown)
                            width=format!("{:.3}%", width * 0.74)
                            height=format!("{shown:.1}")
                        ></rect>
                    })
                })
                .collect_view()
        })
        .collect_view();
    let labels = labels
        .into_iter()
        .enumerate()
        .filter(|(_, label)| !label.is_empty())
        .map(|(index, label)| {
            let x = share(index, count) + width / 2.0;
            view! {
                <text x=format!("{x:.3}%") y=BASE_PX + 16.0 text-anchor="middle">
                    {label}
                </text>
            }
        })
        .collect_view();
    view! {
        <svg class="plot" height="172" role="img" aria-label=said>
            <Patterns/>
            {grid(scale, false)}
            {bars}
            {labels}
        </svg>
    }
}

/// A vertical line in the histogram.
#[derive(Clone, PartialEq, Debug)]
pub struct Mark {
    /// Where, in seconds.
    pub seconds: f64,
    /// What is written beside it.
    pub label: String,
    /// True for the one that is only supposed.
    pub is_supposed: bool,
}

/// Where a time lies among the bins, in bins from the left.
fn position(bins: &[HistogramBin], seconds: f64) -> f64 {
    let mut at = 0.0;
    for bin in bins {
        match bin.to_seconds {
            Some(to) if seconds >= to => at += 1.0,
            Some(to) if seconds > bin.from_seconds => {
                return at + (seconds - bin.from_seconds) / (to - bin.from_seconds);
            }
            _ => return at,
        }
    }
    at
}

fn edge(seconds: f64) -> String {
    if seconds >= 60.0 { words::seconds(seconds) } else { format!("{seconds}") }
}

/// Messages by time to delivery, with the limit; those that never arrived stand at the end.
#[component]
pub fn Histogram(
    /// The bars, shortest first.
    bins: Vec<HistogramBin>,
    /// Messages that never arrived.
    never: u64,
    /// The limit that decides the colours, in seconds.
    limit_seconds: f64,
    /// The lines.
    marks: Vec<Mark>,
    /// The sentence for those who cannot see it.
    said: String,
) -> impl IntoView {
    let slots = bins.len() + 1;
    let width = share(1, slots);
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(never);
    let scale = nice(most.max(1));
    let bar = move |index: usize, count: u64, class: &'static str| {
        (count > 0).then(|| {
            let height = height(count, scale).max(2.0);
            view! {
                <rect
                    class=class
                    x=format!("{:.3}%", share(index, slots) + width * 0.05)
                    y=format!("{:.1}", BASE_PX - height)
                    width=format!("{:.3}%", width * 0.9)
                    height=format!("{height:.1}")
                ></rect>
            }
        })
    };
    let bars = bins
        .iter()
        .enumerate()
        .map(|(index, bin)| {
            let class = if bin.from_seconds >= limit_seconds {
                "c-breached"
            } else if bin.to_seconds.is_some_and(|to| to <= limit_seconds) {
                "c-met"
            } else {
                "c-met-2"
            };
            bar(index, bin.count, class)
        })
        .collect_view();
    // Every edge where there is room, else every other one.
    let every = bins.len() / 8 + 1;
    let edges = bins
        .iter()
        .enumerate()
        .filter(|(index, _)| index.is_multiple_of(every))
        .map(|(index, bin)| {
            let anchor = if index == 0 { "start" } else { "middle" };
            let text = if index == 0 { "0 s".to_owned() } else { edge(bin.from_seconds) };
            view! {
                <text
                    x=format!("{:.3}%", share(index, slots))
                    y=BASE_PX + 16.0
                    text-anchor=anchor
                >
                    {text}
                </text>
            }
        })
        .collect_view();
    let never_bar = bar(bins.len(), never, "c-breached");
    let lines = marks
        .into_iter()
        .map(|mark| {
            let x = width * position(&bins, mark.seconds);
            let class = if mark.is_supposed { "threshold-if" } else { "threshold" };
            let (anchor, dx) = if x > 70.0 { ("end", "-6") } else { ("start", "6") };
            let y = if mark.is_supposed { 10.0 } else { 24.0 };
            view! {
                <line
                    class=class
                    x1=format!("{x:.3}%")
                    x2=format!("{x:.3}%")
                    y1="0"
                    y2=BASE_PX
                ></line>
                <text class="lead halo" x=format!("{x:.3}%") dx=dx y=y text-anchor=anchor>
                    {mark.label}
                </text>
            }
        })
        .collect_view();
    view! {
        <svg class="plot" height="172" role="img" aria-label=said>
            {grid(scale, true)}
            {bars}
            {never_bar}
            {edges}
            <text x="100%" y=BASE_PX + 16.0 text-anchor="end">
                "never"
            </text>
            {lines}
        </svg>
    }
}

/// A chart in its panel: heading, the chart or its table, and the sentence.
#[component]
pub fn ChartPanel(
    /// The heading.
    title: &'static str,
    /// Identifier of the heading.
    id: &'static str,
    /// What stands beside the heading.
    #[prop(into)]
    aside: ViewFn,
    /// The chart.
    #[prop(into)]
    chart: ViewFn,
    /// The same as a table.
    #[prop(into)]
    table: ViewFn,
    /// The same as a sentence.
    said: String,
) -> impl IntoView {
    let is_table = RwSignal::new(false);
    view! {
        <section class="panel" aria-labelledby=id>
            <div class="panel-head">
                <h2 id=id>{title}</h2>
                <span class="push"></span>
                {aside.run()}
                <button
                    type="button"
                    class="b b-tiny b-quiet"
                    aria-pressed=move || is_table.get().to_string()
                    on:click=move |_| is_table.update(|is_table| *is_table = !*is_table)
                >
                    <Icon glyph=Glyph::Table/>
                    "Table"
                </button>
            </div>
            <figure class="panel-body chart">
                {move || if is_table.get() { table.run() } else { chart.run() }}
                <figcaption class="said">{said}</figcaption>
            </figure>
        </section>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn scales_are_round_and_hold_the_most() {
        for (most, scale) in [(0, 1), (1, 1), (3, 5), (6, 10), (11, 20), (231, 500), (1_861, 2_000)]
        {
            assert_eq!(nice(most), scale);
        }
    }

    #[test]
    fn a_time_is_placed_within_its_bin() {
        let bin = |from_seconds, to_seconds| HistogramBin { from_seconds, to_seconds, count: 0 };
        let bins = [bin(0.0, Some(1.0)), bin(1.0, Some(5.0)), bin(5.0, None)];
        for (seconds, at) in
            [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (3.0, 1.5), (5.0, 2.0), (90.0, 2.0)]
        {
            assert!((position(&bins, seconds) - at).abs() < 1e-9, "{seconds}");
        }
    }
}
