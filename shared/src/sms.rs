//! How a carrier cuts a text into SMS parts (3GPP TS 23.038 and 23.040).
//!
//! A text of the GSM-7 alphabet has 160 units in one part or 153 in each of several; one character outside
//! it makes the whole text UCS-2 with 70 or 67 units. A character of two units is never cut in half.

use serde::{Deserialize, Serialize};

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
    fn limits(self) -> (usize, usize) {
        match self {
            Encoding::Gsm7 => (160, 153),
            Encoding::Ucs2 => (70, 67),
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

/// Counts the parts of `text`. An empty text is one part without units.
pub fn parts(text: &str) -> Parts {
    let encoding = if text.chars().all(|character| gsm7_units(character).is_some()) {
        Encoding::Gsm7
    } else {
        Encoding::Ucs2
    };
    let width = |character: char| match encoding {
        Encoding::Gsm7 => gsm7_units(character).unwrap_or(1),
        Encoding::Ucs2 => character.len_utf16(),
    };
    let units: usize = text.chars().map(width).sum();
    let (single, multi) = encoding.limits();
    if units <= single {
        return Parts { encoding, units, count: 1, capacity: single };
    }
    let mut count = 1;
    let mut filled = 0;
    for character in text.chars() {
        let width = width(character);
        if filled + width > multi {
            count += 1;
            filled = 0;
        }
        filled += width;
    }
    Parts { encoding, units, count, capacity: count * multi }
}

/// The characters that force UCS-2, each once, in order of appearance.
pub fn forcing_characters(text: &str) -> Vec<char> {
    let mut forcing = Vec::new();
    for character in text.chars() {
        if gsm7_units(character).is_none() && !forcing.contains(&character) {
            forcing.push(character);
        }
    }
    forcing
}

/// Units a character takes in GSM-7: 1 in the default alphabet, 2 in the extension table.
fn gsm7_units(character: char) -> Option<usize> {
    const DEFAULT: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
        ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
    const EXTENSION: &str = "\u{c}^{}\\[~]|€";
    if DEFAULT.contains(character) {
        Some(1)
    } else if EXTENSION.contains(character) {
        Some(2)
    } else {
        None
    }
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
            serde_json::from_str(include_str!("../vectors/sms-segments.json")).unwrap();
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
        assert_eq!(forcing_characters("it’s 8–12 – ok"), vec!['’', '–']);
        assert!(forcing_characters("plain €").is_empty());
    }
}
