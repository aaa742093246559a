//! What a rule found, in words: what is wrong, why, how to mend it, and where possible a button that does.

use crate::components::icon::{Glyph, Icon};
use crate::words;
use leptos::prelude::*;
use shared::finding::{Finding, Severity};

fn glyph(severity: Severity) -> Glyph {
    match severity {
        Severity::Error => Glyph::Stop,
        Severity::Warning => Glyph::Warn,
    }
}

/// A finding under the field it is about.
#[component]
pub fn FindingNote(
    /// The finding.
    finding: Finding,
    /// What the button says that mends it; no button when `None`.
    #[prop(default = None)]
    fix: Option<String>,
    /// Mends it.
    #[prop(optional)]
    mend: Option<Callback<()>>,
) -> impl IntoView {
    let class = match finding.severity {
        Severity::Error => "finding is-bad",
        Severity::Warning => "finding is-warn",
    };
    let code = finding.code.clone();
    view! {
        <div class=class data-testid="finding" data-code=code>
            <Icon glyph=glyph(finding.severity)/>
            <div>
                <p class="finding-what">{finding.what}</p>
                <p class="finding-why">
                    {finding.how} " " {finding.why} " " <code>{finding.code}</code>
                </p>
            </div>
            <div class="finding-fix">
                {fix
                    .zip(mend)
                    .map(|(label, mend)| {
                        view! {
                            <button type="button" class="b b-tiny" on:click=move |_| mend.run(())>
                                <Icon glyph=Glyph::Wand/>
                                {label}
                            </button>
                        }
                    })}
            </div>
        </div>
    }
}

/// Everything that was found, on top of the form, each a link to its field.
#[component]
pub fn Summary(
    /// The findings, errors first.
    #[prop(into)]
    findings: Signal<Vec<Finding>>,
    /// Goes to the field of a finding.
    go: Callback<Finding>,
) -> impl IntoView {
    let of = move |severity| {
        let count =
            findings.with(|all| all.iter().filter(|finding| finding.severity == severity).count());
        u64::try_from(count).unwrap_or(u64::MAX)
    };
    let title = move || {
        let stops = words::counted(of(Severity::Error), "thing stops", "things stop");
        match of(Severity::Warning) {
            0 => format!("{stops} this message"),
            warnings => format!("{stops} this message, {warnings} to consider"),
        }
    };
    view! {
        <div class="summary" role="alert" tabindex="-1" id="summary" aria-labelledby="summary-title">
            <h2 id="summary-title">{title}</h2>
            <ul>
                {move || {
                    findings
                        .get()
                        .into_iter()
                        .map(|finding| {
                            let class = match finding.severity {
                                Severity::Error => "fg-bad",
                                Severity::Warning => "fg-warn",
                            };
                            let what = finding.what.clone();
                            let sign = glyph(finding.severity);
                            view! {
                                <li class=class>
                                    <Icon glyph=sign class="i-small"/>
                                    <button
                                        type="button"
                                        class="link"
                                        on:click=move |_| go.run(finding.clone())
                                    >
                                        {what}
                                    </button>
                                </li>
                            }
                        })
                        .collect_view()
                }}
            </ul>
        </div>
    }
}
