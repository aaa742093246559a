//! Texts of a drawn length in several languages, never longer than there is room for.
//!
//! They read like nothing in particular and exercise what real ones do: languages whose letters force UCS-2,
//! letters of two and three bytes, writing from right to left, and characters past U+FFFF. None holds markup,
//! placeholders or anything else that a rule has something to say about, except the parts of a long SMS.

use super::draws::Draws;
use crate::rules::{Pack, TextUnit};
use crate::sms::Encoding;
use crate::validate::CONTENT_BYTES_MAX;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A language of drawn texts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// All of it in ASCII.
    English,
    /// With umlauts, which GSM-7 has.
    German,
    /// With accents that GSM-7 does not have.
    Czech,
    /// In letters of two bytes.
    Greek,
    /// From right to left.
    Arabic,
    /// Without spaces, in characters of three bytes.
    Japanese,
    /// English with emoji, which take two UTF-16 units each.
    Emoji,
}

impl Language {
    fn words(self) -> &'static [&'static str] {
        match self {
            Language::English => &[
                "your", "order", "has", "been", "sent", "today", "and", "will", "arrive",
                "between", "nine", "noon", "please", "answer", "this", "message", "if", "the",
                "time", "does", "not", "suit", "you", "we", "are", "happy", "to", "help", "with",
                "invoice", "number", "thank",
            ],
            Language::German => &[
                "Ihre",
                "Bestellung",
                "ist",
                "unterwegs",
                "und",
                "kommt",
                "heute",
                "zwischen",
                "zwölf",
                "fünf",
                "Uhr",
                "bitte",
                "prüfen",
                "Sie",
                "die",
                "Größe",
                "für",
                "Rückfragen",
                "stehen",
                "wir",
                "gern",
                "zur",
                "Verfügung",
                "schöne",
                "Grüße",
            ],
            Language::Czech => &[
                "vaše",
                "objednávka",
                "byla",
                "odeslána",
                "dnes",
                "přijde",
                "mezi",
                "devátou",
                "dvanáctou",
                "děkujeme",
                "těšíme",
                "se",
                "na",
                "příště",
                "číslo",
                "zásilky",
                "najdete",
                "účtu",
                "můžete",
                "kdykoli",
                "změnit",
            ],
            Language::Greek => &[
                "η",
                "παραγγελία",
                "σας",
                "στάλθηκε",
                "σήμερα",
                "και",
                "θα",
                "φτάσει",
                "πριν",
                "το",
                "μεσημέρι",
                "παρακαλούμε",
                "απαντήστε",
                "αν",
                "η",
                "ώρα",
                "δεν",
                "ταιριάζει",
                "ευχαριστούμε",
                "πολύ",
            ],
            Language::Arabic => &[
                "تم",
                "إرسال",
                "طلبك",
                "اليوم",
                "وسيصل",
                "قبل",
                "الظهر",
                "يرجى",
                "الرد",
                "إذا",
                "كان",
                "الوقت",
                "غير",
                "مناسب",
                "شكرا",
                "لك",
                "رقم",
                "الفاتورة",
            ],
            Language::Japanese => &[
                "ご注文",
                "は",
                "本日",
                "発送",
                "しました",
                "お届け",
                "予定",
                "午前",
                "九時",
                "から",
                "正午",
                "まで",
                "です",
                "ご不明",
                "な点",
                "お問い合わせ",
                "ください",
                "請求書",
                "番号",
            ],
            Language::Emoji => &[
                "your", "parcel", "📦", "is", "on", "its", "way", "🚚", "thank", "you", "🙏",
                "see", "soon", "👋", "done", "✅", "great", "🎉", "news", "today", "😀",
            ],
        }
    }

    /// What stands between two words, and what ends a sentence.
    fn marks(self) -> (&'static str, &'static str) {
        match self {
            Language::Japanese => ("", "。"),
            Language::Arabic => (" ", ". "),
            _ => (" ", ". "),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Language::English => "english",
            Language::German => "german",
            Language::Czech => "czech",
            Language::Greek => "greek",
            Language::Arabic => "arabic",
            Language::Japanese => "japanese",
            Language::Emoji => "emoji",
        })
    }
}

/// How much text there is room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Room {
    /// UTF-16 units.
    units: usize,
    /// Bytes of UTF-8.
    bytes: usize,
}

impl Room {
    /// What a text on a channel may have. Where a carrier cuts it into parts, every text is kept to what fits
    /// them in the wider alphabet.
    pub(super) fn on(pack: &Pack) -> Self {
        let mut room = Self { units: CONTENT_BYTES_MAX, bytes: CONTENT_BYTES_MAX };
        match &pack.text {
            Some(limit) if limit.unit == TextUnit::Bytes => room.bytes = room.bytes.min(limit.max),
            Some(limit) => room.units = limit.max,
            None => {}
        }
        if let Some(parts) = &pack.parts {
            // One unit of each may stay empty, because a character of two is never cut in half.
            room.units = room.units.min(parts.max * (Encoding::Ucs2.limits().1 - 1));
        }
        room
    }

    /// What is left beside `text`; `None` where it does not fit.
    pub(super) fn beside(self, text: &str) -> Option<Self> {
        Some(Self {
            units: self.units.checked_sub(text.chars().map(char::len_utf16).sum())?,
            bytes: self.bytes.checked_sub(text.len())?,
        })
    }

    /// As much of `text` as there is room for, whole characters.
    pub(super) fn cut(mut self, text: &str) -> &str {
        let mut end = 0;
        for character in text.chars() {
            match self.after(character) {
                Some(rest) => self = rest,
                None => break,
            }
            end += character.len_utf8();
        }
        &text[..end]
    }

    /// Whether all of `text` fits.
    pub(super) fn holds(self, text: &str) -> bool {
        self.beside(text).is_some()
    }

    fn after(self, character: char) -> Option<Self> {
        Some(Self {
            units: self.units.checked_sub(character.len_utf16())?,
            bytes: self.bytes.checked_sub(character.len_utf8())?,
        })
    }
}

/// A text of `characters`, fewer where there is no room for them. It is never empty and begins with something
/// that can be seen.
pub(super) fn text(draws: &mut Draws, language: Language, characters: u32, room: Room) -> String {
    let words = language.words();
    let (between, end) = language.marks();
    let mut made = String::new();
    let (mut left, mut room) = (characters, room);
    let mut until_stop = draws.within(5, 12);
    'words: loop {
        let word = draws.pick(words, "message");
        until_stop = until_stop.saturating_sub(1);
        let mark = if until_stop == 0 { end } else { between };
        if until_stop == 0 {
            until_stop = draws.within(5, 12);
        }
        for character in word.chars().chain(mark.chars()) {
            match room.after(character) {
                Some(rest) if left > 0 => (room, left) = (rest, left - 1),
                _ => break 'words,
            }
            made.push(character);
        }
    }
    made.truncate(made.trim_end().len());
    // There was no room for the first character of this language; an ASCII one fits everywhere.
    if made.is_empty() {
        made.push('1');
    }
    made
}
