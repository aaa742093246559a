//! What can be wrong with a file before there is a payload in it to be judged: its words, as the catalogue has
//! them for payloads. All of them are errors, because what cannot be read is not sent.

use super::catalogue::fill;
use crate::finding::{Finding, Severity};

/// A rule about how messages are written into a file.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadingRule {
    /// Stable name, for programs and for searching.
    pub code: &'static str,
    /// What is wrong; `{names}` are filled in.
    pub what: &'static str,
    /// Why that is a rule, without its last full stop.
    pub why: &'static str,
    /// Where the rule comes from.
    pub source: &'static str,
    /// How to mend it.
    pub how: &'static str,
}

impl ReadingRule {
    /// A finding of it at `pointer`; `values` fill its sentences.
    pub fn found(&self, pointer: impl Into<String>, values: &[(&str, &str)]) -> Finding {
        Finding {
            code: self.code.to_owned(),
            pointer: pointer.into(),
            severity: Severity::Error,
            what: fill(self.what, values),
            why: format!("{} ({}).", self.why, self.source),
            how: fill(self.how, values),
            pack: String::new(),
        }
    }
}

macro_rules! reading {
    ($($name:ident = $code:literal what $what:literal why $why:literal source $source:literal how $how:literal;)*) => {
        $(
            #[doc = concat!("`", $code, "`: ", $why, ".")]
            pub static $name: ReadingRule =
                ReadingRule { code: $code, what: $what, why: $why, source: $source, how: $how };
        )*

        /// All of them: about any file, about JSON, about tables.
        pub static READING: &[&ReadingRule] = &[$(&$name),*];
    };
}

reading! {
INPUT_EMPTY = "input.empty"
    what "There is no message in it"
    why "Nothing to judge is not the same as nothing wrong" source "Waybill's own rule"
    how "Check that it is the file you meant.";
INPUT_ENCODING = "input.encoding"
    what "It is not UTF-8: {problem}"
    why "Everywhere else the characters would be others" source "RFC 8259 §8.1"
    how "Save it as UTF-8.";
INPUT_TOO_LONG = "input.too_long"
    what "The message has more than {max} bytes"
    why "Nothing longer is read, so that no file can fill the memory" source "Waybill's own limit"
    how "Give large files as https addresses, and check that nothing is left open.";
INPUT_CHANNEL = "input.channel"
    what "The message is for {value}, the conversation is on {channel}"
    why "A message is judged by the rules of one channel" source "Waybill's own rule"
    how "Leave the channel out, or choose the other conversation.";

PAYLOAD_JSON = "payload.json"
    what "It is not JSON: {problem}"
    why "A payload is one JSON object" source "RFC 8259"
    how "Mend it at the place shown.";
PAYLOAD_SHAPE = "payload.shape"
    what "It is not a payload: {problem}"
    why "A payload has from, to, type and content, and may have attachments, each once and nothing else" source "guide contract, \"Message payload\""
    how "Write the fields as `waybill schema` describes them.";

TABLE_SEPARATOR = "table.separator"
    what "The columns are separated by {value}"
    why "Columns are separated by commas" source "RFC 4180"
    how "Save it with commas between the columns.";
TABLE_HEADER = "table.header"
    what "Column {number} has no name"
    why "The first row names the columns" source "Waybill's own rule"
    how "Write its name into the first row.";
TABLE_DUPLICATE = "table.duplicate"
    what "Two columns are named {value}"
    why "Nobody could tell which of them is meant" source "Waybill's own rule"
    how "Rename one of them, or remove it.";
TABLE_MISSING = "table.missing"
    what "There is no column {value}"
    why "Every message needs its value" source "Waybill's own rule"
    how "Add the column, or give a template with --template.";
TABLE_COLUMN = "table.column"
    what "The column {value} is not known"
    why "What it holds would be lost without a word" source "Waybill's own rule"
    how "{hint}";
TABLE_RAGGED = "table.ragged"
    what "The row has {count} fields, the first row has {expected}"
    why "Every row has a field for every column" source "RFC 4180 §2"
    how "Put values that hold commas in quotes, and check that no field is missing.";
TABLE_QUOTE = "table.quote"
    what "{problem}"
    why "A field in quotes has its own quotes doubled and nothing around it" source "RFC 4180 §2"
    how "Put the whole field in quotes and write \"\" for each one in it.";
TABLE_ROWS = "table.rows"
    what "There are more than {max} rows"
    why "A table of this size is more than one person can answer for" source "Waybill's own limit"
    how "Split it into several files.";
}

/// The rule of this code.
pub fn find(code: &str) -> Option<&'static ReadingRule> {
    READING.iter().find(|rule| rule.code == code).copied()
}

#[cfg(test)]
mod tests {
    use super::super::catalogue;
    use super::*;
    use std::collections::HashSet;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn codes_are_unique_among_all_rules() {
        let codes: HashSet<&str> = READING.iter().map(|rule| rule.code).collect();
        assert_eq!(codes.len(), READING.len());
        assert!(codes.iter().all(|code| catalogue::find(code).is_none()));
        assert_eq!(find("table.quote"), Some(&TABLE_QUOTE));
    }
}
