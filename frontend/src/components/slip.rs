//! The waybill of one message: who to whom, how far it came and how long each leg took, whether in time, and
//! the identifiers that prove it.

use crate::components::copy::Copy;
use crate::components::state_word;
use crate::components::time::Time;
use crate::components::verdict::VerdictWord;
use crate::words;
use leptos::prelude::*;
use shared::api::MessageDetail;
use shared::delivery::{Delivery, State};
use shared::sla::Basis;
use shared::time::Timestamp;

/// How a stop of the route stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mark {
    Done,
    Now,
    Ahead,
    Ask,
    Bad,
}

/// A stop of the route, with the time the leg to the next one took.
#[derive(Clone, PartialEq, Debug)]
struct Stop {
    word: String,
    at: Option<Timestamp>,
    mark: Mark,
    leg: Option<String>,
}

/// The stops of a delivery: accepted, sent, delivered, read; or where the route broke off.
fn stops(delivery: &Delivery) -> Vec<Stop> {
    let stop = |word: &str, at, mark| Stop { word: word.into(), at, mark, leg: None };
    let mut stops = vec![stop("Accepted", Some(delivery.accepted_at), Mark::Done)];
    let broke_off = match delivery.state {
        State::Rejected | State::Failed | State::Undelivered | State::Expired => Some(Mark::Bad),
        State::Cancelled => Some(Mark::Bad),
        State::Parked => Some(Mark::Ask),
        _ => None,
    };
    let end = |mark| stop(state_word::name(delivery.state), delivery.ended_at, mark);
    match (delivery.submitted_at, broke_off) {
        (Some(at), _) => stops.push(stop("Sent", Some(at), Mark::Done)),
        (None, Some(mark)) => {
            stops.push(end(mark));
            return stops;
        }
        (None, None) => stops.push(stop("Sent", None, Mark::Now)),
    }
    let delivered_at = delivery.platform_delivered_at.or(delivery.delivery_seen_at);
    match (delivered_at, broke_off) {
        (Some(at), _) => stops.push(stop("Delivered", Some(at), Mark::Done)),
        (None, Some(mark)) => {
            stops.push(end(mark));
            return legs(stops, delivery);
        }
        (None, None) if delivery.submitted_at.is_some() => {
            stops.push(stop("Delivered", None, Mark::Now));
        }
        (None, None) => stops.push(stop("Delivered", None, Mark::Ahead)),
    }
    let mark = if delivery.state == State::Read { Mark::Done } else { Mark::Ahead };
    stops.push(stop("Read", delivery.platform_read_at, mark));
    legs(stops, delivery)
}

/// How long each leg took; an interval is only ever taken on one clock.
fn legs(mut stops: Vec<Stop>, delivery: &Delivery) -> Vec<Stop> {
    let between =
        |from: Option<Timestamp>, to: Option<Timestamp>| Some(words::span(to?.ms_since(from?)));
    let took = [
        between(Some(delivery.accepted_at), delivery.submitted_at),
        delivery
            .judgement()
            .elapsed_ms
            .map(|ms| words::span(i64::try_from(ms).unwrap_or(i64::MAX))),
        between(delivery.platform_delivered_at, delivery.platform_read_at),
    ];
    for (stop, leg) in stops.iter_mut().zip(took) {
        stop.leg = leg;
    }
    stops
}

#[component]
fn Route(delivery: Delivery) -> impl IntoView {
    let stops = stops(&delivery)
        .into_iter()
        .map(|stop| {
            let class = match stop.mark {
                Mark::Done => "",
                Mark::Now => "is-now",
                Mark::Ahead => "is-ahead",
                Mark::Ask => "is-ask",
                Mark::Bad => "is-bad",
            };
            view! {
                <li class=class>
                    <b>{stop.word}</b>
                    <span>
                        {match stop.at {
                            Some(at) => {
                                view! { <Time at text=words::clock_seconds(at)/> }.into_any()
                            }
                            None if stop.mark == Mark::Ask => "waiting".into_any(),
                            None => "not yet".into_any(),
                        }}
                    </span>
                    {stop.leg.map(|leg| view! { <em>{leg}</em> })}
                </li>
            }
        })
        .collect_view();
    view! {
        <ol class="stops" aria-label="Route">
            {stops}
        </ol>
    }
}

/// The slip.
#[component]
pub fn Slip(
    /// The message.
    detail: MessageDetail,
    /// Now, moving while the clock runs.
    #[prop(into)]
    now: Signal<Timestamp>,
) -> impl IntoView {
    let message = detail.message.clone();
    let delivery = message.delivery.clone();
    let judgement = delivery.judgement();
    let basis = match judgement.basis {
        Some(Basis::Platform) => "by the platform's clock",
        Some(Basis::Proxy) => "as seen here, at most",
        None => "not delivered",
    };
    let elapsed = message.elapsed_seconds.map_or_else(|| "–".to_owned(), words::seconds);
    let limit = format!("limit {}", words::threshold(delivery.threshold_ms));
    let attempts = match delivery.attempts {
        0 => "not begun".to_owned(),
        1 => "tried once".to_owned(),
        many => format!("{many} tries, one key"),
    };
    let looks = match delivery.looks {
        0 => "none".to_owned(),
        looks => looks.to_string(),
    };
    let looked = delivery
        .looked_at
        .map_or_else(String::new, |at| format!("last {}", words::clock_seconds(at)));
    let to = message.recipients.clone();
    let judged = message.clone();
    view! {
        <div class="slip" data-testid="message-slip">
            <div class="slip-head">
                <div class="grow">
                    <span class="caption">"Waybill"</span>
                    <br/>
                    <span class="strong">
                        <Copy text=message.id.to_string() name="message id" shown=36/>
                    </span>
                </div>
            </div>
            <dl class="cells">
                <div class="cell">
                    <dt>"From"</dt>
                    <dd class="mono">{message.sender.clone()}</dd>
                </div>
                <div class="cell">
                    <dt>"To"</dt>
                    <dd class="mono">
                        {to.into_iter()
                            .map(|one| view! { <span class="said-line">{one}</span> })
                            .collect_view()}
                    </dd>
                </div>
            </dl>
            <div class="perf"></div>
            <Route delivery=delivery.clone()/>
            <dl class="cells cells-4">
                <div class="cell">
                    <dt>"SLA"</dt>
                    <dd>
                        {move || {
                            view! {
                                <VerdictWord
                                    message=judged.clone()
                                    now=now.get()
                                    in_words=true
                                    testid="message-verdict"
                                />
                            }
                        }}
                        <span class="sub">{limit}</span>
                    </dd>
                </div>
                <div class="cell">
                    <dt>"Time to delivery"</dt>
                    <dd>{elapsed} <span class="sub">{basis}</span></dd>
                </div>
                <div class="cell">
                    <dt>"Attempts"</dt>
                    <dd>{delivery.attempts} <span class="sub">{attempts}</span></dd>
                </div>
                <div class="cell">
                    <dt>"Looks"</dt>
                    <dd>{looks} <span class="sub">{looked}</span></dd>
                </div>
            </dl>
            <dl class="cells">
                <div class="cell">
                    <dt>"Conversation"</dt>
                    <dd>
                        <Copy text=message.conversation_id.to_string() name="conversation id"/>
                    </dd>
                </div>
                <div class="cell">
                    <dt>"Key"</dt>
                    <dd>
                        <Copy text=detail.key.to_string() name="key"/>
                    </dd>
                </div>
                <div class="cell">
                    <dt>"Platform id"</dt>
                    <dd>
                        {match delivery.platform_id {
                            Some(id) => {
                                view! { <Copy text=id.to_string() name="platform id"/> }.into_any()
                            }
                            None => view! { <span class="faint">"none yet"</span> }.into_any(),
                        }}
                    </dd>
                </div>
            </dl>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn marks(delivery: &Delivery) -> Vec<(String, Mark)> {
        stops(delivery).into_iter().map(|stop| (stop.word, stop.mark)).collect()
    }

    #[test]
    fn the_route_shows_how_far_it_came() {
        let at = Timestamp::from_unix_ms(1_000);
        let mut delivery = Delivery::accepted(at, None, None, 10_000, true);
        let words = |marks: Vec<(String, Mark)>| {
            marks.into_iter().map(|(word, mark)| format!("{word} {mark:?}")).collect::<Vec<_>>()
        };
        assert_eq!(
            words(marks(&delivery)),
            ["Accepted Done", "Sent Now", "Delivered Ahead", "Read Ahead"]
        );
        delivery.state = State::Rejected;
        assert_eq!(words(marks(&delivery)), ["Accepted Done", "Rejected Bad"]);
        delivery.state = State::Failed;
        delivery.submitted_at = Some(at);
        assert_eq!(words(marks(&delivery)), ["Accepted Done", "Sent Done", "Failed Bad"]);
        delivery.state = State::Delivered;
        delivery.delivery_seen_at = Some(at);
        assert_eq!(
            words(marks(&delivery)),
            ["Accepted Done", "Sent Done", "Delivered Done", "Read Ahead"]
        );
    }
}
