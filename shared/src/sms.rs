//! How a carrier cuts a text into SMS parts (3GPP TS 23.038 and 23.040).
//!
//! A text of the GSM-7 alphabet has 160 units in one part or 153 in each of several; one character outside
//! it makes the whole text UCS-2 with 70 or 67 units. A character of two units is never cut in half.

use serde::{Deserialize, Serialize};
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;

/// The alphabet a text is sent in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Encoding {
    /// Seven bits a unit; characters of the extension table take two units.
    #[serde(rename = "GSM-7")]
    Gsm7,
    /// Sixteen bits a unit; characters past U+FFFF take two units.
    #[serde(rename = "UCS-2")]
    Ucs2,
}

impl Encoding {
    /// The name people know.
    pub fn as_str(self) -> &'static str {
        match self {
            Encoding::Gsm7 => "GSM-7",
            Encoding::Ucs2 => "UCS-2",
        }
    }

    /// Units one message may have: alone, or as a part of several.
    pub fn limits(self) -> (usize, usize) {
        match self {
            Encoding::Gsm7 => (160, 153),
            Encoding::Ucs2 => (70, 67),
        }
    }

    /// Units a character takes; in GSM-7, 1 for one that is not in it.
    pub fn width(self, character: char) -> usize {
        match self {
            Encoding::Gsm7 => gsm7_units(character).unwrap_or(1),
            Encoding::Ucs2 => character.len_utf16(),
        }
    }
}

/// How a text is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Parts {
    /// The alphabet.
    pub encoding: Encoding,
    /// Units in the whole text.
    pub units: usize,
    /// Parts the carrier sends and usually bills.
    pub count: usize,
    /// Units that fit into the parts so far: what `units` is counted against on screen.
    pub capacity: usize,
}

/// One part of a text as the carrier sends it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Segment {
    /// Bytes of the text it holds.
    pub bytes: Range<usize>,
    /// Units in it.
    pub units: usize,
    /// The character as people see it (grapheme cluster) that the end of this part cuts in two, as bytes of the
    /// text. Phones join the parts again, so nothing is lost; one that does not would show two halves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torn: Option<Range<usize>>,
}

/// A character that forces UCS-2.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Forcing {
    /// The character.
    pub character: char,
    /// How often it occurs.
    pub times: usize,
    /// What says the same in GSM-7, where something surely does.
    pub instead: Option<&'static str>,
}

/// What writing a text without typographic characters saves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Saving {
    /// The text without them.
    pub text: String,
    /// How it would be cut.
    pub parts: Parts,
    /// Parts saved; 0 where characters remain that force UCS-2, or the text is short enough either way.
    pub saved: usize,
}

/// Counts the parts of `text`. An empty text is one part without units.
pub fn parts(text: &str) -> Parts {
    let encoding = encoding(text);
    let units: usize = text.chars().map(|one| encoding.width(one)).sum();
    let (single, multi) = encoding.limits();
    if units <= single {
        return Parts { encoding, units, count: 1, capacity: single };
    }
    let count = cuts(text, encoding).count();
    Parts { encoding, units, count, capacity: count * multi }
}

/// Where the carrier cuts `text`: every part in order, together the whole text.
pub fn segments(text: &str) -> Vec<Segment> {
    let encoding = encoding(text);
    let units: usize = text.chars().map(|one| encoding.width(one)).sum();
    if units <= encoding.limits().0 {
        return vec![Segment { bytes: 0..text.len(), units, torn: None }];
    }
    let mut segments: Vec<Segment> =
        cuts(text, encoding).map(|(bytes, units)| Segment { bytes, units, torn: None }).collect();
    let mut clusters = text.grapheme_indices(true).map(|(at, one)| at..at + one.len()).peekable();
    for segment in &mut segments {
        let end = segment.bytes.end;
        while clusters.next_if(|cluster| cluster.end <= end).is_some() {}
        segment.torn = clusters.peek().filter(|cluster| cluster.start < end).cloned();
    }
    segments
}

/// The characters of `text` as people see them (grapheme clusters), in order.
pub fn seen(text: &str) -> impl Iterator<Item = &str> {
    text.graphemes(true)
}

/// The characters that force UCS-2, each once, in order of appearance.
pub fn forcing(text: &str) -> Vec<Forcing> {
    let mut forcing: Vec<Forcing> = Vec::new();
    for character in text.chars().filter(|one| gsm7_units(*one).is_none()) {
        match forcing.iter_mut().find(|one| one.character == character) {
            Some(known) => known.times += 1,
            None => forcing.push(Forcing { character, times: 1, instead: instead(character) }),
        }
    }
    forcing
}

/// `text` with its typographic characters written in GSM-7, and what that saves; `None` where there are none.
pub fn saving(text: &str) -> Option<Saving> {
    text.chars().any(|one| instead(one).is_some()).then(|| {
        let mut plain = String::with_capacity(text.len());
        for character in text.chars() {
            match instead(character) {
                Some(same) => plain.push_str(same),
                None => plain.push(character),
            }
        }
        let after = parts(&plain);
        let saved = parts(text).count.saturating_sub(after.count);
        Saving { text: plain, parts: after, saved }
    })
}

fn encoding(text: &str) -> Encoding {
    let is_gsm7 = text.chars().all(|one| gsm7_units(one).is_some());
    if is_gsm7 { Encoding::Gsm7 } else { Encoding::Ucs2 }
}

/// The parts of a text of several: bytes and units of each. A character of two units goes whole into the next.
fn cuts(text: &str, encoding: Encoding) -> impl Iterator<Item = (Range<usize>, usize)> {
    let room = encoding.limits().1;
    let mut rest = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let start = rest.peek()?.0;
        let mut filled = 0;
        while let Some((_, one)) = rest.next_if(|(_, one)| filled + encoding.width(*one) <= room) {
            filled += encoding.width(one);
        }
        let end = rest.peek().map_or(text.len(), |(at, _)| *at);
        Some((start..end, filled))
    })
}

/// Units a character takes in GSM-7: 1 in the default alphabet, 2 in the extension table (3GPP TS 23.038, 6.2.1).
fn gsm7_units(character: char) -> Option<usize> {
    match character {
        '^' | '{' | '}' | '\\' | '[' | '~' | ']' | '|' | '€' | '\u{c}' => Some(2),
        '`' => None,
        ' '..='~' | '\n' | '\r' => Some(1),
        '£' | '¥' | 'è' | 'é' | 'ù' | 'ì' | 'ò' | 'Ç' | 'Ø' | 'ø' | 'Å' | 'å' | 'Æ' | 'æ' | 'ß'
        | 'É' => Some(1),
        'Δ' | 'Φ' | 'Γ' | 'Λ' | 'Ω' | 'Π' | 'Ψ' | 'Σ' | 'Θ' | 'Ξ' => Some(1),
        '¤' | '¡' | 'Ä' | 'Ö' | 'Ñ' | 'Ü' | '§' | '¿' | 'ä' | 'ö' | 'ñ' | 'ü' | 'à' => {
            Some(1)
        }
        _ => None,
    }
}

/// What says the same in GSM-7: typography only, never a letter, whose change could change a word.
fn instead(character: char) -> Option<&'static str> {
    let same = match character {
        '‘' | '’' | '‚' | '‛' | '′' | '`' | '´' => "'",
        '“' | '”' | '„' | '‟' | '″' | '«' | '»' => "\"",
        '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' => "-",
        '…' => "...",
        '•' | '·' => "*",
        '×' => "x",
        '\t' | '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => " ",
        '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{ad}' => "",
        _ => return None,
    };
    Some(same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[derive(Deserialize)]
    struct Case {
        text: String,
        encoding: Encoding,
        segments: usize,
        units: usize,
    }

    /// 103 texts counted by an independent implementation.
    #[test]
    fn agrees_with_the_independent_vectors() {
        let cases: Vec<Case> =
            serde_json::from_str(include_str!("../../vectors/sms-segments.json")).unwrap();
        assert_eq!(cases.len(), 103);
        for case in cases {
            let found = parts(&case.text);
            assert_eq!(
                (found.encoding, found.count, found.units),
                (case.encoding, case.segments, case.units),
                "{:?}",
                case.text
            );
        }
    }

    #[test]
    fn names_what_forces_ucs2() {
        let found: Vec<(char, usize, Option<&str>)> = forcing("it’s 8–12 – ж")
            .iter()
            .map(|one| (one.character, one.times, one.instead))
            .collect();
        assert_eq!(found, [('’', 1, Some("'")), ('–', 2, Some("-")), ('ж', 1, None)]);
        assert!(forcing("plain €").is_empty());
    }

    #[test]
    fn the_alphabet_has_127_characters_and_ten_of_two_units() {
        let of = |units| {
            (0..=0x10_ffff)
                .filter_map(char::from_u32)
                .filter(move |one| gsm7_units(*one) == Some(units))
        };
        assert_eq!(of(1).count(), 127);
        assert_eq!(of(2).count(), 10);
    }

    #[test]
    fn parts_together_are_the_text_and_none_is_too_long() {
        let texts = [
            "a".repeat(500),
            "€".repeat(200),
            "a€".repeat(150),
            "ж".repeat(300),
            "a😀".repeat(100),
            "👩‍👩‍👧".repeat(40),
            "x".repeat(160),
            String::new(),
        ];
        for text in texts {
            let (whole, segments) = (parts(&text), segments(&text));
            assert_eq!(segments.len(), whole.count, "{text}");
            let joined: String = segments.iter().map(|one| &text[one.bytes.clone()]).collect();
            assert_eq!(joined, text);
            assert_eq!(segments.iter().map(|one| one.units).sum::<usize>(), whole.units);
            let (single, multi) = whole.encoding.limits();
            let room = if whole.count == 1 { single } else { multi };
            assert!(segments.iter().all(|one| one.units <= room));
            assert_eq!(whole.capacity, room * whole.count);
        }
    }

    #[test]
    fn says_which_visible_character_a_cut_tears() {
        // 64 units, then a family of 8 units: three of them fit into the first part of 67.
        let text = format!("{}👩‍👩‍👧{}", "ж".repeat(64), "ж".repeat(20));
        let segments = segments(&text);
        assert_eq!(segments.len(), 2);
        let family = 128..128 + "👩‍👩‍👧".len();
        assert_eq!(segments[0].torn, Some(family));
        assert_eq!((segments[0].units, segments[1].torn.clone()), (67, None));
        assert!(super::segments(&"😀".repeat(40)).iter().all(|one| one.torn.is_none()));
    }

    #[test]
    fn what_people_see_as_one_character_is_one() {
        assert_eq!(seen("e\u{301}👩‍👩‍👧a").collect::<Vec<_>>(), ["e\u{301}", "👩‍👩‍👧", "a"]);
        assert_eq!(Encoding::Gsm7.as_str(), "GSM-7");
        assert_eq!(Encoding::Ucs2.as_str(), "UCS-2");
    }

    /// Each character that is replaced, by what; all that a phone's keyboard and a word processor put in by themselves.
    #[test]
    fn every_typographic_character_has_its_plain_one() {
        for (typography, plain) in [
            ("‘’‚‛′`´", "'"),
            ("“”„‟″«»", "\""),
            ("‐‑‒–—―−", "-"),
            ("…", "..."),
            ("•·", "*"),
            ("×", "x"),
            ("\t\u{a0}\u{2000}\u{2009}\u{200a}\u{202f}\u{205f}\u{3000}", " "),
            ("\u{200b}\u{2060}\u{feff}\u{ad}", ""),
        ] {
            for character in typography.chars() {
                assert_eq!(saving(&character.to_string()).unwrap().text, plain, "{character:?}");
            }
        }
    }

    #[test]
    fn typography_becomes_gsm7_and_letters_stay() {
        let saved = saving("It’s 8–12 … “ok”").unwrap();
        assert_eq!(saved.text, "It's 8-12 ... \"ok\"");
        assert_eq!(saved.parts.encoding, Encoding::Gsm7);
        assert_eq!(saving(&"it’s ".repeat(20)).unwrap().saved, 1);
        assert_eq!(saving(&"ж’".repeat(50)).unwrap().saved, 0);
        assert_eq!(saving("ça va"), None);
    }
}
