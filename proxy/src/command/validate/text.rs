//! Findings as a compiler writes them: what is wrong, where, the line with the place marked, why, and how to mend
//! it. Whatever a text holds, it does nothing to a terminal: what cannot be seen is shown as one replacement mark.

use shared::address::is_invisible;
use shared::finding::{Finding, Severity};
use shared::json::Place;
use std::fmt::Write as _;
use unicode_width::UnicodeWidthChar;

/// Columns of a source line that are shown.
const COLUMNS: usize = 100;
/// Columns of them before the place that is marked.
const BEFORE: usize = 50;

/// Whether words are coloured.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// True on a terminal that wants colours.
    pub is_coloured: bool,
}

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        if self.is_coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Where a finding stands.
#[derive(Debug)]
pub struct Source<'a> {
    /// The input's name.
    pub name: &'a str,
    /// The text of the message.
    pub text: &'a str,
    /// Line and column in the input where the text begins.
    pub begins: (u64, u64),
    /// The row, in a table.
    pub row: Option<u64>,
    /// The place in the text.
    pub place: Place,
}

impl Source<'_> {
    fn line(&self) -> u64 {
        self.begins.0 + self.place.line as u64 - 1
    }

    fn column(&self) -> u64 {
        let first = if self.place.line == 1 { self.begins.1 - 1 } else { 0 };
        first + self.place.column as u64
    }
}

/// One finding with its place, and an empty line.
pub fn finding(style: Style, finding: &Finding, source: &Source<'_>) -> String {
    let (word, colour) = match finding.severity {
        Severity::Error => ("error", "1;31"),
        Severity::Warning => ("warning", "1;33"),
    };
    let mut out = String::new();
    let head = style.paint(colour, &format!("{word}[{}]", finding.code));
    let what = style.paint("1", &visible(&finding.what));
    let line = source.line().to_string();
    let gutter = " ".repeat(line.len());
    let bar = style.paint("34", "|");
    let arrow = style.paint("34", "-->");
    let row = source.row.map(|row| format!(" (row {row})")).unwrap_or_default();
    let name = visible(source.name);
    let _ = writeln!(out, "{head}: {what}");
    let _ = writeln!(out, "{gutter}{arrow} {name}:{line}:{}{row}", source.column());
    if !source.text.is_empty() {
        let (shown, before, marked) = excerpt(source.text, &source.place);
        let carets = style.paint(colour, &"^".repeat(marked));
        let number = style.paint("34", &line);
        let _ = writeln!(out, "{gutter} {bar}");
        let _ = writeln!(out, "{number} {bar} {shown}");
        let _ = writeln!(out, "{gutter} {bar} {}{carets}", " ".repeat(before));
    }
    let equals = style.paint("34", "=");
    let _ = writeln!(out, "{gutter} {equals} why: {}", visible(&finding.why));
    let _ = writeln!(out, "{gutter} {equals} how: {}\n", visible(&finding.how));
    out
}

/// The part of a line around a place, the columns before the place, and the columns it takes.
fn excerpt(text: &str, place: &Place) -> (String, usize, usize) {
    let start = place.bytes.start.min(text.len());
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let mut head: Vec<char> = Vec::new();
    let mut before = 0;
    let mut is_cut = false;
    for one in text[line_start..start].chars().rev() {
        let (shown, width) = shown(one);
        if before + width > BEFORE {
            is_cut = true;
            break;
        }
        before += width;
        head.push(shown);
    }
    let mut line: String = if is_cut { "…".into() } else { String::new() };
    before += usize::from(is_cut);
    line.extend(head.iter().rev());
    let mut columns = before;
    let mut marked = 0;
    for (at, one) in text[start..].char_indices() {
        if matches!(one, '\n' | '\r') {
            break;
        }
        let (shown, width) = shown(one);
        if columns + width > COLUMNS {
            line.push('…');
            break;
        }
        columns += width;
        line.push(shown);
        if start + at < place.bytes.end {
            marked += width;
        }
    }
    (line, before, marked.max(1))
}

/// A character as it is shown, and the columns it takes.
fn shown(one: char) -> (char, usize) {
    match one {
        '\t' => (' ', 1),
        _ if is_invisible(one) => ('\u{fffd}', 1),
        _ => (one, one.width().unwrap_or(1)),
    }
}

/// A sentence without anything that cannot be seen.
fn visible(text: &str) -> String {
    text.chars().map(|one| shown(one).0).collect()
}

/// What all of it comes to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Messages that were found.
    pub messages: u64,
    /// Messages without an error.
    pub good: u64,
    /// Errors.
    pub errors: u64,
    /// Warnings.
    pub warnings: u64,
}

impl Tally {
    /// The last line.
    pub fn line(self) -> String {
        let many = |count: u64, word: &str| match count {
            1 => format!("1 {word}"),
            _ => format!("{count} {word}s"),
        };
        format!(
            "{}: {} good, {} with errors; {}, {}",
            many(self.messages, "message"),
            self.good,
            self.messages - self.good,
            many(self.errors, "error"),
            many(self.warnings, "warning"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::rules::reading::PAYLOAD_SHAPE;

    const PLAIN: Style = Style { is_coloured: false };

    fn source<'a>(text: &'a str, what: &str) -> Source<'a> {
        let start = text.find(what).unwrap();
        let place = Place::of(text, start..start + what.len());
        Source { name: "a.jsonl", text, begins: (7, 1), row: None, place }
    }

    #[test]
    fn a_finding_points_into_its_line() {
        let found = PAYLOAD_SHAPE.found("/to", &[("problem", "a string, not a list")]);
        let source = source("{\"from\":\"é\", \"to\": \"漢字\"}", "\"漢字\"");
        let expected = "error[payload.shape]: It is not a payload: a string, not a list\n \
            --> a.jsonl:7:20\n  |\n7 | {\"from\":\"é\", \"to\": \"漢字\"}\n  |                    ^^^^^^\n  \
            = why: A payload has from, to, type and content, and may have attachments, each once and nothing else (guide contract, \"Message payload\").\n  \
            = how: Write the fields as `waybill schema` describes them.\n\n";
        assert_eq!(finding(PLAIN, &found, &source), expected);
        let coloured = finding(Style { is_coloured: true }, &found, &source);
        assert!(coloured.starts_with("\u{1b}[1;31merror[payload.shape]\u{1b}[0m: "));
        let mut stripped = coloured;
        for code in ["1;31", "34", "1", "0"] {
            stripped = stripped.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert_eq!(stripped, expected);
    }

    #[test]
    fn long_lines_are_cut_around_the_place_and_nothing_reaches_the_terminal() {
        let text = format!("{}\u{1b}[2J\u{202e}BAD{}", "x".repeat(1000), "y".repeat(1000));
        let (line, before, marked) = excerpt(&text, &source(&text, "BAD").place);
        assert!(line.starts_with("…xxx") && line.ends_with("yyy…"), "{line}");
        assert!(line.contains("\u{fffd}[2J\u{fffd}BAD"), "{line}");
        assert_eq!((before, marked), (51, 3));
        assert!(line.chars().count() <= COLUMNS + 1);
        assert!(!line.contains(['\u{1b}', '\u{202e}']));
        let end = Place::of("abc", 3..3);
        assert_eq!(excerpt("abc", &end), ("abc".into(), 3, 1));
        let several = "{\n  \"to\": {\n}}";
        let place = Place::of(several, 9..12);
        assert_eq!(excerpt(several, &place).0, "  \"to\": {");
    }

    #[test]
    fn the_summary_counts_one_as_one() {
        let tally = Tally { messages: 1, good: 0, errors: 2, warnings: 1 };
        assert_eq!(tally.line(), "1 message: 0 good, 1 with errors; 2 errors, 1 warning");
    }
}
