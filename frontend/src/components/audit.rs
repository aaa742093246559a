//! What the auditors get to know of a message: its entries, the batches they are sealed in, and whether the
//! sink has them.

use crate::api::Client;
use crate::components::copy::Copy;
use crate::components::dialog::Dialog;
use crate::components::icon::{Glyph, Icon};
use crate::components::time::Time;
use crate::words;
use leptos::prelude::*;
use leptos::task::spawn_local;
use shared::api::{AuditBatch, AuditRecord, ResumeRequest, Shipping};
use shared::id::ConnectionName;

/// The word for programs.
fn shipping(batch: Option<&AuditBatch>) -> &'static str {
    match batch.map(|batch| batch.shipping) {
        None => "none",
        Some(Shipping::Kept) => "kept",
        Some(Shipping::Waiting) => "waiting",
        Some(Shipping::Stalled) => "stalled",
        Some(Shipping::Stopped) => "stopped",
        Some(Shipping::Replaced) => "replaced",
        Some(Shipping::Acknowledged) => "acknowledged",
    }
}

fn sentence(batch: Option<&AuditBatch>) -> String {
    let Some(batch) = batch else { return "Not sealed yet".into() };
    match (batch.shipping, batch.acknowledged_at) {
        (Shipping::Kept, _) => "Sealed and kept: no sink is configured".into(),
        (Shipping::Waiting, _) if batch.attempts == 0 => "Sealed, waiting for the sink".into(),
        (Shipping::Waiting, _) => {
            format!(
                "Sealed, waiting for the sink after {}",
                words::counted(batch.attempts.into(), "try", "tries")
            )
        }
        (Shipping::Stalled, _) => {
            format!(
                "The sink refuses it: {}",
                batch.problem.as_deref().unwrap_or("no reason given")
            )
        }
        (Shipping::Stopped, _) => "The sink is gone: posted again when somebody resumes".into(),
        (Shipping::Replaced, _) => "Replaced: its entries are sealed again in a new stream".into(),
        (Shipping::Acknowledged, Some(at)) => format!("Acknowledged {}", words::clock_seconds(at)),
        (Shipping::Acknowledged, None) => "Acknowledged".into(),
    }
}

fn tone(batch: Option<&AuditBatch>) -> (&'static str, Glyph) {
    match batch.map(|batch| batch.shipping) {
        None => ("state", Glyph::Dots),
        Some(Shipping::Kept) => ("state", Glyph::Shield),
        Some(Shipping::Waiting) => ("state", Glyph::Clock),
        Some(Shipping::Stalled | Shipping::Stopped) => ("state state-failed", Glyph::Stop),
        Some(Shipping::Replaced) => ("state", Glyph::Clock),
        Some(Shipping::Acknowledged) => ("state state-delivered", Glyph::Shield),
    }
}

/// The audit of a message.
#[component]
pub fn Audit(
    /// Its entries, oldest first.
    records: Vec<AuditRecord>,
) -> impl IntoView {
    if records.is_empty() {
        return view! {
            <p class="muted measure">
                "Nothing to audit yet. When the message ends, one entry for each recipient is written in the same step and sealed within 5 seconds."
            </p>
        }
        .into_any();
    }
    records.into_iter().map(|record| view! { <Entry record/> }).collect_view().into_any()
}

#[component]
fn Entry(record: AuditRecord) -> impl IntoView {
    let batch = record.batch;
    let entry = record.entry;
    let (class, glyph) = tone(batch.as_ref());
    let word = shipping(batch.as_ref());
    let said = sentence(batch.as_ref());
    let status = entry.status.clone();
    let violated = if entry.sla_violation { "broken" } else { "kept" };
    view! {
        <section
            class="slip"
            aria-label="Audit entry"
            data-testid="audit-entry"
            data-shipping=word
            data-status=status
        >
            <div class="slip-head row-wrap">
                <span class="strong">{entry.status.clone()}</span>
                <span class=class>
                    <Icon glyph/>
                    {said}
                </span>
            </div>
            <dl class="cells">
                <div class="cell">
                    <dt>"Receiver"</dt>
                    <dd class="mono">{entry.receiver}</dd>
                </div>
                <div class="cell">
                    <dt>"Happened"</dt>
                    <dd>
                        <Time at=entry.timestamp text=words::clock_tenths(entry.timestamp)/>
                        <span class="sub">{format!("after {}", words::seconds(entry.elapsed_seconds))}</span>
                    </dd>
                </div>
                <div class="cell">
                    <dt>"SLA"</dt>
                    <dd>{violated}</dd>
                </div>
            </dl>
            {batch.map(|batch| view! { <Batch batch/> })}
        </section>
    }
}

#[component]
fn Batch(batch: AuditBatch) -> impl IntoView {
    let is_held = matches!(batch.shipping, Shipping::Stalled | Shipping::Stopped);
    let held = is_held.then(|| batch.connection.clone());
    view! {
        <div class="perf"></div>
        <dl class="cells">
            <div class="cell">
                <dt>"Batch"</dt>
                <dd>
                    {words::grouped(batch.sequence)}
                    <span class="sub">{words::counted(batch.count, "entry", "entries")}</span>
                </dd>
            </div>
            <div class="cell">
                <dt>"Stream"</dt>
                <dd>
                    <Copy text=batch.stream name="stream" shown=12/>
                </dd>
            </div>
            <div class="cell">
                <dt>"Sealed"</dt>
                <dd>
                    <Time at=batch.sealed_at text=words::clock_seconds(batch.sealed_at)/>
                    <span class="sub">{format!("key {}", batch.key_id)}</span>
                </dd>
            </div>
        </dl>
        <dl class="cells">
            <div class="cell">
                <dt>"Signature"</dt>
                <dd>
                    <Copy text=batch.signature name="signature" shown=16/>
                </dd>
            </div>
            <div class="cell">
                <dt>"Chain"</dt>
                <dd>
                    <Copy text=batch.chain name="chain value" shown=16/>
                </dd>
            </div>
        </dl>
        {batch
            .problem
            .filter(|_| batch.acknowledged_at.is_none())
            .map(|problem| view! { <p class="small fg-bad slip-note">{problem}</p> })}
        {held.map(|connection| view! { <Resume connection/> })}
    }
}

/// What a person can do about batches the sink refuses: have them posted again, or give this stream up.
#[component]
fn Resume(connection: ConnectionName) -> impl IntoView {
    let client = expect_context::<Client>();
    let is_busy = RwSignal::new(false);
    let is_asking = RwSignal::new(false);
    let said = RwSignal::new(None::<String>);
    let resume = StoredValue::new(move |new_stream: bool| {
        let request = ResumeRequest { connection: connection.clone(), new_stream };
        is_busy.set(true);
        is_asking.set(false);
        spawn_local(async move {
            let text = match client.resume_audit(request).await {
                Ok(answer) => match answer.new_stream {
                    Some(stream) => format!("A new stream begins: {stream}"),
                    None if answer.resumed => "The batches are posted again now".into(),
                    None => "Nothing waits for longer any more".into(),
                },
                Err(problem) => problem.title,
            };
            is_busy.try_set(false);
            said.try_set(Some(text));
        });
    });
    view! {
        <div class="row row-wrap slip-note">
            <button
                type="button"
                class="b b-tiny"
                data-testid="audit-resume"
                disabled=move || is_busy.get()
                on:click=move |_| resume.with_value(|resume| resume(false))
            >
                "Post again now"
            </button>
            <button
                type="button"
                class="b b-quiet b-tiny"
                disabled=move || is_busy.get()
                on:click=move |_| is_asking.set(true)
            >
                "Begin a new stream…"
            </button>
            <span class="small" role="status">
                {move || said.get()}
            </span>
        </div>
        <Dialog open=is_asking title="Begin a new audit stream" id="audit-stream">
            <div class="stack stack-4">
                <p class="measure">
                    "Only when the sink holds other batches of this stream and will never take these. Nothing is deleted: what the sink has not acknowledged is sealed again in the new stream, and whoever checks the audit sees the change."
                </p>
                <div class="row">
                    <button
                        type="button"
                        class="b b-main"
                        on:click=move |_| resume.with_value(|resume| resume(true))
                    >
                        "Begin a new stream"
                    </button>
                    <button type="button" class="b b-quiet" on:click=move |_| is_asking.set(false)>
                        "Leave it"
                    </button>
                </div>
            </div>
        </Dialog>
    }
}
