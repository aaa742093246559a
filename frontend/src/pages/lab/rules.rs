//! The findings, and every rule with what became of it: kept, broken, or not about this payload.

use super::desk::Desk;
use super::findings::Findings;
use crate::components::icon::{Glyph, Icon};
use crate::components::tabs::{Tab, Tabs};
use leptos::prelude::*;
use shared::finding::Severity;
use shared::rules::Ruleset;
use shared::rules::catalogue::{Example, RULES, Rule};
use shared::validate::{Context, Outcome, validate};

const TABS: [Tab; 2] =
    [Tab { id: "findings", label: "Findings" }, Tab { id: "rules", label: "All rules" }];

/// Which rules are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kept {
    All,
    Broken,
    Passed,
    NotMeant,
}

impl Kept {
    const ALL: [(Kept, &'static str); 4] = [
        (Kept::All, "All"),
        (Kept::Broken, "Fail"),
        (Kept::Passed, "Pass"),
        (Kept::NotMeant, "Not applicable"),
    ];

    fn holds(self, outcome: Outcome) -> bool {
        match self {
            Kept::All => true,
            Kept::Broken => matches!(outcome, Outcome::Fail(_)),
            Kept::Passed => outcome == Outcome::Pass,
            Kept::NotMeant => outcome == Outcome::NotApplicable,
        }
    }
}

/// The column beside the editor.
#[component]
pub fn Panel() -> impl IntoView {
    let tab = RwSignal::new("findings");
    view! {
        <div class="lab-right">
            <div class="lab-tabs">
                <Tabs
                    tabs=&TABS
                    chosen=tab
                    choose=Callback::new(move |id| tab.set(id))
                    label="What the rules say"
                    panel="lab-said"
                />
            </div>
            <div class="lab-said" id="lab-said" role="tabpanel" tabindex="0" aria-label="What the rules say">
                <Show when=move || tab.get() == "findings" fallback=|| view! { <AllRules/> }>
                    <Findings/>
                </Show>
            </div>
        </div>
    }
}

/// Every rule.
#[component]
fn AllRules() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let kept = RwSignal::new(Kept::All);
    let sought = RwSignal::new(String::new());
    let outcomes = Memo::new(move |_| {
        desk.judged.with(|judged| judged.rules.iter().map(|one| one.1).collect::<Vec<_>>())
    });
    let count = move |kept: Kept| {
        outcomes.with(|all| all.iter().filter(|outcome| kept.holds(**outcome)).count())
    };
    let is_listed = move |index: usize, rule: &Rule| {
        let outcome = outcomes.with(|all| all.get(index).copied());
        let is_kept = outcome.map_or(kept.get() == Kept::All, |outcome| kept.get().holds(outcome));
        is_kept && sought.with(|sought| matches(rule, sought))
    };
    let listed =
        move || RULES.iter().enumerate().filter(|(index, rule)| is_listed(*index, rule)).count();
    view! {
        <div class="lab-filter">
            <div class="seg seg-small" role="radiogroup" aria-label="Which rules">
                {Kept::ALL
                    .into_iter()
                    .map(|(one, label)| {
                        view! {
                            <label>
                                <input
                                    class="sr"
                                    type="radio"
                                    name="lab-kept"
                                    prop:checked=move || kept.get() == one
                                    on:change=move |_| kept.set(one)
                                />
                                {label}
                                " "
                                <span class="faint">{move || count(one)}</span>
                            </label>
                        }
                    })
                    .collect_view()}
            </div>
            <input
                class="input is-small"
                type="search"
                aria-label="Search rules"
                placeholder="Search rules"
                data-testid="lab-rule-search"
                bind:value=sought
            />
        </div>
        <ul class="rules" aria-label="Rules" data-testid="lab-rules" data-listed=listed>
            {RULES
                .iter()
                .copied()
                .enumerate()
                .map(|(index, rule)| {
                    let outcome = Memo::new(move |_| outcomes.with(|all| all.get(index).copied()));
                    view! { <RuleRow rule outcome is_listed=Signal::derive(move || is_listed(index, rule))/> }
                })
                .collect_view()}
        </ul>
        <Show when=move || listed() == 0>
            <p class="lab-none">"No rule is like that."</p>
        </Show>
    }
}

fn matches(rule: &Rule, sought: &str) -> bool {
    let sought = sought.trim().to_lowercase();
    let holds = |text: &str| text.to_lowercase().contains(&sought);
    sought.is_empty()
        || holds(rule.code)
        || holds(rule.what)
        || holds(rule.why)
        || holds(rule.source)
        || holds(rule.subject.label())
}

#[component]
fn RuleRow(
    rule: &'static Rule,
    outcome: Memo<Option<Outcome>>,
    is_listed: Signal<bool>,
) -> impl IntoView {
    let is_open = RwSignal::new(false);
    let class = move || match (outcome.get(), rule.severity) {
        (Some(Outcome::Fail(_)), Severity::Error) => "rule is-bad",
        (Some(Outcome::Fail(_)), Severity::Warning) => "rule is-warn",
        (Some(Outcome::Pass), _) => "rule is-ok",
        _ => "rule is-na",
    };
    let glyph = Signal::derive(move || match (outcome.get(), rule.severity) {
        (Some(Outcome::Fail(_)), Severity::Error) => Glyph::Stop,
        (Some(Outcome::Fail(_)), Severity::Warning) => Glyph::Warn,
        (Some(Outcome::Pass), _) => Glyph::Check,
        _ => Glyph::Minus,
    });
    let word = move || match outcome.get() {
        Some(Outcome::Fail(1)) => "fail".to_owned(),
        Some(Outcome::Fail(times)) => format!("fails {times} times"),
        Some(Outcome::Pass) => "pass".to_owned(),
        Some(Outcome::NotApplicable) => "not applicable".to_owned(),
        None => "not judged".to_owned(),
    };
    view! {
        <li class=class hidden=move || !is_listed.get() data-testid="lab-rule" data-code=rule.code data-outcome=word>
            <Icon glyph/>
            <button
                type="button"
                class="rule-what rule-open"
                aria-expanded=move || is_open.get().to_string()
                on:click=move |_| is_open.update(|open| *open = !*open)
            >
                {plain(rule.why)}
            </button>
            <span class="src">
                {word}
                " · "
                <code>{rule.code}</code>
                {format!(" · {}", source(rule))}
            </span>
            <Show when=move || is_open.get()>
                <Words rule/>
            </Show>
        </li>
    }
}

/// Where a rule comes from.
fn source(rule: &Rule) -> &'static str {
    if rule.source.starts_with('{') { "the channel's rule pack" } else { rule.source }
}

/// A sentence of the catalogue without the names a finding fills in.
fn plain(sentence: &str) -> String {
    let mut said = String::with_capacity(sentence.len());
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        said.push_str(before);
        said.push('…');
        rest = after.split_once('}').map_or("", |(_, behind)| behind);
    }
    said.push_str(rest);
    said
}

/// Why a rule is one, where it comes from, and what keeps and breaks it, in the words of its own bad example.
#[component]
fn Words(rule: &'static Rule) -> impl IntoView {
    let (what, why, how) = match finding_of(rule) {
        Some(finding) => (finding.what, finding.why, finding.how),
        None => {
            let why = format!("{} ({}).", plain(rule.why), source(rule));
            (plain(rule.what), why, plain(rule.how))
        }
    };
    let severity = match rule.severity {
        Severity::Error => "Stops a message that breaks it: ",
        Severity::Warning => "Only to be considered where it is broken: ",
    };
    view! {
        <div class="rule-words">
            <p>
                {severity} <b class="strong">{what}</b> ". " {how}
            </p>
            <p>{why}</p>
            <ExampleLine label="Good" testid="lab-good" example=rule.good/>
            <ExampleLine label="Bad" testid="lab-bad" example=rule.bad/>
        </div>
    }
}

fn finding_of(rule: &Rule) -> Option<shared::finding::Finding> {
    let case = rule.bad.case();
    let rules = Ruleset::embedded(case.dialect);
    let found = validate(&case.payload()?, rules, Context::Conversation(&case.conversation));
    found.into_iter().find(|finding| finding.code == rule.code)
}

#[component]
fn ExampleLine(label: &'static str, testid: &'static str, example: Example) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let shown = match example.shown() {
        "" => "the plain message".to_owned(),
        patch => patch.to_owned(),
    };
    let on = format!("{}, {}", example.channel, example.dialect);
    view! {
        <p class="rule-example">
            <button
                type="button"
                class="b b-tiny"
                data-testid=testid
                on:click=move |_| desk.load_example(&example)
            >
                {label}
                <span class="sr">" example into the editor"</span>
            </button>
            <code class="clip" title=shown.clone()>{shown.clone()}</code>
            <span class="faint nowrap">{on}</span>
        </p>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn sentences_read_without_their_values() {
        assert_eq!(plain("The channel {value} is not known"), "The channel … is not known");
        assert_eq!(plain("plain"), "plain");
        assert_eq!(plain("{open"), "…");
    }

    #[test]
    fn rules_are_found_by_code_and_by_word() {
        let rule = RULES.iter().find(|rule| rule.code == "channel.unknown").unwrap();
        assert!(matches(rule, "") && matches(rule, " NOT known ") && matches(rule, "channel.u"));
        assert!(!matches(rule, "attachment"));
    }
}
