//! Whether an address has the form its channel wants, and what it must never hold.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Longest address in characters, on any channel.
pub const CHARS_MAX: usize = 320;

/// Why a text is not a phone number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PhoneFault {
    /// Not `+` and 7 to 15 digits, the first of them not 0.
    Form,
    /// It begins with no code that is assigned.
    Country,
    /// No number of its country has so many digits.
    Length {
        /// The country's code.
        country: u16,
        /// Digits after it.
        digits: usize,
        /// What numbers there have, rising.
        lengths: Vec<usize>,
    },
}

/// Country codes and the lengths of the numbers behind them; bit N is set where N digits are possible.
struct CountryCodes(BTreeMap<u16, u32>);

impl CountryCodes {
    fn get() -> &'static CountryCodes {
        #[derive(Deserialize)]
        struct File {
            lengths: BTreeMap<String, Vec<u32>>,
        }
        static CODES: OnceLock<CountryCodes> = OnceLock::new();
        CODES.get_or_init(|| {
            // Unreadable data would leave no country and so refuse every number; the tests read it.
            let file = serde_json::from_str::<File>(include_str!("../rules/country-codes.json"));
            let lengths = file.map(|file| file.lengths).unwrap_or_default();
            let mask = |all: Vec<u32>| all.iter().fold(0, |mask, length| mask | 1u32 << length);
            let codes =
                lengths.into_iter().filter_map(|(code, all)| Some((code.parse().ok()?, mask(all))));
            CountryCodes(codes.collect())
        })
    }

    /// The code `digits` begin with, and its mask. No code is the beginning of another.
    fn of(&self, digits: &str) -> Option<(u16, u32)> {
        (1..=3).find_map(|length| {
            let code = digits.get(..length)?.parse().ok()?;
            self.0.get(&code).map(|mask| (code, *mask))
        })
    }
}

/// Checks a phone number in international form (ITU-T E.164).
pub fn check_phone(text: &str) -> Result<(), PhoneFault> {
    let digits = text.strip_prefix('+').ok_or(PhoneFault::Form)?;
    let is_form = (7..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0');
    if !is_form {
        return Err(PhoneFault::Form);
    }
    let (country, mask) = CountryCodes::get().of(digits).ok_or(PhoneFault::Country)?;
    let national = digits.len() - country.to_string().len();
    if mask & 1 << national != 0 {
        return Ok(());
    }
    let lengths = (0..32).filter(|length| mask & 1u32 << length != 0).collect();
    Err(PhoneFault::Length { country, digits: national, lengths })
}

/// The HTML standard's "valid e-mail address": what a browser's e-mail field accepts.
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_local =
        |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    !local.is_empty() && local.bytes().all(is_local) && domain.split('.').all(is_label)
}

/// A label of a host name: 1 to 63 letters, digits and hyphens, none at its ends.
pub fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Control, zero-width, direction and byte-order characters: present in a text, absent to the eye.
pub fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Characters that turn the direction of the text after them.
pub fn is_direction_override(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether two addresses are one: the domain of an e-mail address has no case.
pub fn canonical(text: &str) -> std::borrow::Cow<'_, str> {
    match text.rsplit_once('@') {
        Some((local, domain)) if domain.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            format!("{local}@{}", domain.to_ascii_lowercase()).into()
        }
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn country_codes_are_read_and_none_begins_another() {
        let codes = &CountryCodes::get().0;
        assert_eq!(codes.len(), 215);
        for code in codes.keys().map(u16::to_string) {
            for cut in 1..code.len() {
                assert!(!codes.contains_key(&code[..cut].parse().unwrap()), "{code}");
            }
        }
    }

    #[test]
    fn phone_numbers_have_a_country_and_a_length_of_it() {
        for good in ["+447700900141", "+12025550123", "+4915112345678", "+33612345678"] {
            assert_eq!(check_phone(good), Ok(()), "{good}");
        }
        for bad in [
            "447700900141",
            "+0447700900141",
            "+44 7700900141",
            "+1234567890123456",
            "+44",
            "",
            "+４４7700900141",
        ] {
            assert_eq!(check_phone(bad), Err(PhoneFault::Form), "{bad}");
        }
        assert_eq!(check_phone("+9995550123"), Err(PhoneFault::Country));
        let short = PhoneFault::Length { country: 33, digits: 8, lengths: vec![9] };
        assert_eq!(check_phone("+3361234567"), Err(short));
    }

    #[test]
    fn email_addresses_are_those_of_the_html_standard() {
        for good in [
            "a@b",
            "customer@example.com",
            "o'neill+news@sub.example.co.uk",
            "a@xn--bcher-kva.example",
            "..@a",
        ] {
            assert!(is_email(good), "{good}");
        }
        let long = format!("a@{}.com", "b".repeat(64));
        for bad in [
            "",
            "@",
            "a@",
            "@b",
            "a b@c",
            "a@b@c",
            "a@-b.com",
            "a@b-.com",
            "a@b..com",
            "ä@b.com",
            "a@b.com.",
            "\"a\"@b.com",
            &long,
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn domains_have_no_case_and_local_parts_have() {
        assert_eq!(canonical("a@EXAMPLE.com"), canonical("a@example.COM"));
        assert_ne!(canonical("A@example.com"), canonical("a@example.com"));
        assert_eq!(canonical("Visitor"), "Visitor");
    }
}
