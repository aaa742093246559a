//! An SMS as the carrier cuts it. A character as people see it is never drawn in halves: one that a cut tears is
//! drawn whole where it begins, and said to be torn.

use leptos::prelude::*;
use shared::sms::{self, Encoding};

/// One part as it is drawn.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DrawnPart {
    /// The characters that are whole in it.
    pub text: String,
    /// The character that begins in it and ends in a later one.
    pub torn: Option<String>,
    /// True where it begins with the rest of a torn character.
    pub continues: bool,
    /// Units in it.
    pub units: usize,
}

/// The parts of `text`. Their texts and torn characters, in order, are the text.
pub fn drawn_parts(text: &str) -> Vec<DrawnPart> {
    let mut drawn = Vec::new();
    // Up to here everything is drawn, in a torn character of an earlier part.
    let mut done = 0;
    for segment in sms::segments(text) {
        let start = segment.bytes.start.max(done);
        let continues = done > segment.bytes.start;
        let end = segment.bytes.end;
        let (whole, torn) = match segment.torn {
            Some(torn) if torn.start >= start => (start..torn.start, Some(torn)),
            // A character so long that this whole part is a piece of it.
            Some(_) => (start.min(end)..start.min(end), None),
            None => (start.min(end)..end, None),
        };
        done = torn.as_ref().map_or(done, |torn| torn.end);
        drawn.push(DrawnPart {
            text: text[whole].to_owned(),
            torn: torn.map(|torn| text[torn].to_owned()),
            continues,
            units: segment.units,
        });
    }
    drawn
}

/// The bubble, torn where its parts end.
#[component]
pub fn PartsBubble(
    /// The text.
    text: String,
    /// Whether each part says how full it is.
    #[prop(default = false)]
    with_units: bool,
) -> impl IntoView {
    let parts = sms::parts(&text);
    let is_several = parts.count > 1;
    let is_marked = parts.encoding == Encoding::Ucs2 && (is_several || with_units);
    let forcing: Vec<char> = if is_marked {
        sms::forcing(&text).iter().map(|one| one.character).collect()
    } else {
        Vec::new()
    };
    let (single, multi) = parts.encoding.limits();
    let room = if is_several { multi } else { single };
    let drawn = drawn_parts(&text);
    let is_torn = drawn.iter().any(|part| part.torn.is_some());
    let count = drawn.len();
    let drawn = drawn
        .into_iter()
        .enumerate()
        .map(|(index, part)| {
            let label = format!("Part {} ends here", index + 1);
            view! {
                {with_units
                    .then(|| {
                        view! {
                            <span class="part-note">
                                {format!("Part {} · {} of {room} units", index + 1, part.units)}
                            </span>
                        }
                    })}
                <p>
                    {part.continues.then(|| view! { <span class="torn-rest">"… rest of it"</span> })}
                    {marked(&part.text, &forcing)}
                    {part
                        .torn
                        .map(|torn| {
                            let title = format!("{torn} is cut in two by the end of this part");
                            view! {
                                <span class="torn" title=title>
                                    {torn}
                                    <span class="torn-word">"torn"</span>
                                </span>
                            }
                        })}
                </p>
                {(index + 1 < count)
                    .then(|| view! { <div class="perf" role="separator" aria-label=label></div> })}
            }
        })
        .collect_view();
    view! {
        <div class="bubble" data-testid="sms-bubble">{drawn}</div>
        {is_several
            .then(|| {
                view! {
                    <span class="caption">
                        "Torn lines show where one part ends. Phones join them again"
                        {if is_torn {
                            "; one that does not shows a torn character in pieces."
                        } else {
                            "."
                        }}
                    </span>
                }
            })}
    }
}

/// The text with the characters that force the wider alphabet marked; what is seen as one is marked as one.
fn marked(text: &str, forcing: &[char]) -> Vec<AnyView> {
    if forcing.is_empty() {
        return vec![text.to_owned().into_any()];
    }
    let mut runs: Vec<(String, bool)> = Vec::new();
    for seen in sms::seen(text) {
        let is_forced = seen.contains(forcing);
        match runs.last_mut() {
            Some((run, same)) if *same == is_forced => run.push_str(seen),
            _ => runs.push((seen.to_owned(), is_forced)),
        }
    }
    runs.into_iter()
        .map(
            |(run, is_forced)| {
                if is_forced { view! { <mark>{run}</mark> }.into_any() } else { run.into_any() }
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn joined(parts: &[DrawnPart]) -> String {
        let text = |part: &DrawnPart| part.text.clone() + part.torn.as_deref().unwrap_or_default();
        parts.iter().map(text).collect()
    }

    #[test]
    fn parts_are_as_many_as_counted_and_lose_nothing() {
        for text in [
            String::new(),
            "short".into(),
            "a".repeat(161),
            format!("{}€{}", "a".repeat(152), "b".repeat(20)),
            format!("{}é’{}", "ü".repeat(66), "–".repeat(80)),
            format!("{}😀{}", "x".repeat(66), "y".repeat(70)),
            format!("{}👩‍👩‍👧{}", "ж".repeat(64), "ж".repeat(80)),
            "👩‍👩‍👧".repeat(60),
            format!("ж{}{}", "\u{301}".repeat(300), "ж".repeat(100)),
        ] {
            let parts = drawn_parts(&text);
            assert_eq!(parts.len(), sms::parts(&text).count, "{text}");
            assert_eq!(joined(&parts), text);
        }
    }

    #[test]
    fn a_torn_character_is_drawn_whole_once() {
        let parts = drawn_parts(&format!("{}👩‍👩‍👧{}", "ж".repeat(64), "ж".repeat(20)));
        assert_eq!(parts[0].torn.as_deref(), Some("👩‍👩‍👧"));
        assert_eq!(parts[0].text, "ж".repeat(64));
        assert!(parts[1].continues && parts[1].torn.is_none());
        assert_eq!(parts[1].text, "ж".repeat(20));
    }
}
