//! Tables of messages: CSV (RFC 4180) read strictly, row by row, and written so that a spreadsheet runs nothing.
//!
//! Reading is strict where a lenient reader would guess: a stray quote, a row with a field too many, bytes that
//! are no UTF-8 are faults with their row and place, and the rows around them are still read. Line ends may be
//! CRLF, LF or CR, mixed as well; a byte order mark is passed over; empty lines are no rows but are counted, so
//! that a row's number is the one a spreadsheet shows. Values are data: a formula is kept as it is written, and
//! [`for_spreadsheet`] takes care of it on the way out. [`Columns`] makes messages of rows.
//!
//! There is no I/O here. A [`Table`] is given the bytes that have arrived and says how many it has used, so a
//! file of any length is read in the memory of its longest row.

mod columns;

pub use columns::{Columns, Message};

use crate::finding::Finding;
use crate::json::BODY_BYTES_MAX;
use crate::rules::reading::{
    INPUT_EMPTY, INPUT_ENCODING, INPUT_TOO_LONG, ReadingRule, TABLE_QUOTE, TABLE_RAGGED, TABLE_ROWS,
};
use std::borrow::Cow;
use std::ops::Range;

/// Most rows that are read, the header left out.
pub const ROWS_MAX: u64 = 1_000_000;
/// Most bytes of one row.
pub const ROW_BYTES_MAX: usize = BODY_BYTES_MAX;

/// A table that is being read.
#[derive(Debug, Default)]
pub struct Table {
    rows: u64,
    lines: u64,
    header: Option<Header>,
    has_begun: bool,
    has_ended: bool,
}

#[derive(Debug, Clone, Copy)]
struct Header {
    fields: usize,
    row: u64,
}

/// What the next bytes are, and how many of them are used up by it.
#[derive(Debug)]
pub struct Read<'a> {
    /// Bytes that belong to it; the next call begins after them.
    pub used: usize,
    /// What they are.
    pub step: Step<'a>,
}

/// What comes next in a table.
#[derive(Debug)]
pub enum Step<'a> {
    /// The row is not whole yet: call again with the same bytes and more of them.
    More,
    /// A row; the first is the header.
    Row(Row<'a>),
    /// A row that cannot be read.
    Fault(Fault<'a>),
    /// Nothing follows.
    End,
}

/// One row as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// Its number in the file, from 1, header and empty lines counted.
    pub number: u64,
    /// The line it begins in, from 1: more than the number where fields hold line breaks.
    pub line: u64,
    /// The row without its line end.
    pub text: &'a str,
    /// Its fields.
    pub fields: Vec<Field<'a>>,
}

/// One field of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// What it says.
    pub value: Cow<'a, str>,
    /// Its bytes in the row's text, quotes included.
    pub bytes: Range<usize>,
}

/// What is wrong with a row, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault<'a> {
    /// What is wrong.
    pub finding: Finding,
    /// The row's number in the file.
    pub row: u64,
    /// The line it begins in.
    pub line: u64,
    /// The row without its line end, what is no UTF-8 replaced.
    pub text: Cow<'a, str>,
    /// The bytes of the text that are meant.
    pub bytes: Range<usize>,
}

impl Table {
    /// The next row in `bytes`, which begin where the last one ended; `is_last` where none follow them.
    pub fn next<'a>(&mut self, bytes: &'a [u8], is_last: bool) -> Read<'a> {
        if self.has_ended {
            return Read { used: bytes.len(), step: Step::End };
        }
        let mut start = 0;
        if !self.has_begun {
            if bytes.len() < 4 && !is_last {
                return Read { used: 0, step: Step::More };
            }
            if let Some(problem) = utf16(bytes) {
                return self.stop(&INPUT_ENCODING, &[("problem", problem)], "", bytes.len());
            }
            self.has_begun = true;
            start = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        }
        while let Some(after) = line_end(&bytes[start..], is_last) {
            self.rows += 1;
            self.lines += 1;
            start += after;
        }
        let rest = &bytes[start..];
        if rest.is_empty() || (rest == b"\r" && !is_last) {
            return match (is_last, self.header) {
                (false, _) => Read { used: start, step: Step::More },
                (true, Some(_)) => Read { used: start, step: Step::End },
                (true, None) => self.stop(&INPUT_EMPTY, &[], "", start),
            };
        }
        let over = self.header.is_some_and(|header| self.rows - header.row >= ROWS_MAX);
        if over {
            return self.stop(&TABLE_ROWS, &[("max", "1,000,000")], "", bytes.len());
        }
        let mut read = self.row(rest, is_last);
        read.used += start;
        read
    }

    /// The row at the beginning of `bytes`, which is no empty line.
    fn row<'a>(&mut self, bytes: &'a [u8], is_last: bool) -> Read<'a> {
        let scan = scan(bytes, is_last);
        let Some(end) = scan.end else {
            if bytes.len() > ROW_BYTES_MAX {
                let first = first_line(bytes);
                let open = scan.open.unwrap_or(0).min(first.len());
                let open = lossy(&first[..open]).len();
                let max = ROW_BYTES_MAX.to_string();
                let (rule, problem): (&ReadingRule, _) = match scan.open {
                    Some(_) => (&TABLE_QUOTE, "The quote is never closed"),
                    None => (&INPUT_TOO_LONG, ""),
                };
                let values = [("problem", problem), ("max", max.as_str())];
                let mut read = self.stop(rule, &values, first, bytes.len());
                if let Step::Fault(fault) = &mut read.step {
                    fault.mean(open..open + 1);
                }
                return read;
            }
            return Read { used: 0, step: Step::More };
        };
        let (row, line) = (self.rows + 1, self.lines + 1);
        let raw = &bytes[..end.text];
        let unclosed = scan.open.filter(|_| scan.is_unclosed);
        if let Some(open) = unclosed {
            // Everything after it is in the quotes. The rest of its line is given up, and the next line is a row.
            let text = first_line(raw);
            self.rows = row;
            self.lines = line;
            let used = text.len() + line_end(&bytes[text.len()..], true).unwrap_or(0);
            let finding = TABLE_QUOTE.found("", &[("problem", "The quote is never closed")]);
            let open = lossy(&text[..open.min(text.len())]).len();
            let mut fault = Fault { finding, row, line, text: lossy(text), bytes: 0..0 };
            fault.mean(open..open + 1);
            return Read { used, step: Step::Fault(fault) };
        }
        self.rows = row;
        self.lines += raw.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        let fault = |finding, text: Cow<'a, str>, bytes| {
            let mut fault = Fault { finding, row, line, text, bytes: 0..0 };
            fault.mean(bytes);
            Read { used: end.used, step: Step::Fault(fault) }
        };
        let text = match str::from_utf8(raw) {
            Ok(text) => text,
            Err(error) => {
                let at = error.valid_up_to();
                let problem = format!("the byte {:02X} is no character", raw[at]);
                let finding = INPUT_ENCODING.found("", &[("problem", &problem)]);
                // The replacement character takes three bytes.
                return fault(finding, lossy(raw), at..at + 3);
            }
        };
        if let Some((at, problem)) = scan.stray {
            let finding = TABLE_QUOTE.found("", &[("problem", problem)]);
            return fault(finding, text.into(), at..at + 1);
        }
        match self.header {
            None => self.header = Some(Header { fields: scan.fields.len(), row }),
            Some(header) if header.fields != scan.fields.len() => {
                let counts = (scan.fields.len().to_string(), header.fields.to_string());
                let values = [("count", counts.0.as_str()), ("expected", counts.1.as_str())];
                let extra = scan.fields.get(header.fields);
                let from = extra.map_or(text.len(), |field| field.bytes.start);
                return fault(TABLE_RAGGED.found("", &values), text.into(), from..text.len());
            }
            Some(_) => {}
        }
        let fields = scan.fields.into_iter().map(|field| field.read(text)).collect();
        let row = Row { number: row, line, text, fields };
        Read { used: end.used, step: Step::Row(row) }
    }

    /// The last fault: nothing after it is read.
    fn stop<'a>(
        &mut self,
        rule: &ReadingRule,
        values: &[(&str, &str)],
        text: impl AsRef<[u8]>,
        used: usize,
    ) -> Read<'a> {
        self.has_ended = true;
        let text = Cow::Owned(String::from_utf8_lossy(text.as_ref()).into_owned());
        let finding = rule.found("", values);
        let (row, line) = (self.rows + 1, self.lines + 1);
        Read { used, step: Step::Fault(Fault { finding, row, line, text, bytes: 0..0 }) }
    }
}

impl Fault<'_> {
    /// Means these bytes of its text, and whole characters.
    fn mean(&mut self, bytes: Range<usize>) {
        self.bytes =
            self.text.floor_char_boundary(bytes.start)..self.text.ceil_char_boundary(bytes.end);
    }
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// What speaks for UTF-16: its mark, or every second byte NUL.
pub fn utf16(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("it begins like UTF-16"),
        [0, second, 0, fourth, ..] | [second, 0, fourth, 0, ..] if *second > 0 && *fourth > 0 => {
            Some("it looks like UTF-16")
        }
        _ => None,
    }
}

/// Bytes of the line end at the beginning of `bytes`, if there surely is one.
fn line_end(bytes: &[u8], is_last: bool) -> Option<usize> {
    match bytes {
        [b'\r', b'\n', ..] => Some(2),
        [b'\n', ..] | [b'\r', _, ..] => Some(1),
        [b'\r'] if is_last => Some(1),
        _ => None,
    }
}

fn first_line(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len());
    &bytes[..end]
}

/// What one pass over a row found.
struct Scan {
    fields: Vec<Scanned>,
    /// `None` where the row may go on after the bytes that are there.
    end: Option<End>,
    /// The first quote that stands where none may.
    stray: Option<(usize, &'static str)>,
    /// The quote that opened the last field in quotes.
    open: Option<usize>,
    is_unclosed: bool,
}

struct End {
    text: usize,
    used: usize,
}

struct Scanned {
    bytes: Range<usize>,
    is_quoted: bool,
    has_escapes: bool,
}

impl Scanned {
    fn read(self, text: &str) -> Field<'_> {
        let written = &text[self.bytes.clone()];
        let value = if self.is_quoted && written.len() >= 2 {
            let inside = &written[1..written.len() - 1];
            if self.has_escapes { inside.replace("\"\"", "\"").into() } else { inside.into() }
        } else {
            written.into()
        };
        Field { value, bytes: self.bytes }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    Plain,
    Quoted,
    Closed,
}

fn scan(bytes: &[u8], is_last: bool) -> Scan {
    const INSIDE: &str = "A quote stands inside a field";
    const AFTER: &str = "Something follows the quote that ends the field";
    let mut scan =
        Scan { fields: Vec::new(), end: None, stray: None, open: None, is_unclosed: false };
    let mut state = At::Start;
    let mut begin = 0;
    let (mut is_quoted, mut has_escapes) = (false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match (state, byte) {
            (At::Quoted, b'"') => state = At::Closed,
            (At::Quoted, _) => {}
            (At::Closed, b'"') => {
                has_escapes = true;
                state = At::Quoted;
            }
            (_, b',' | b'\n' | b'\r') => {
                scan.fields.push(Scanned { bytes: begin..at, is_quoted, has_escapes });
                begin = at + 1;
                (is_quoted, has_escapes) = (false, false);
                state = At::Start;
                if *byte != b',' {
                    scan.end = line_end(&bytes[at..], is_last)
                        .map(|length| End { text: at, used: at + length });
                    return scan;
                }
            }
            (At::Start, b'"') => {
                state = At::Quoted;
                is_quoted = true;
                scan.open = Some(at);
            }
            (At::Plain, b'"') => {
                scan.stray.get_or_insert((at, INSIDE));
            }
            (At::Closed, _) => {
                scan.stray.get_or_insert((at, AFTER));
                is_quoted = false;
                state = At::Plain;
            }
            (At::Start | At::Plain, _) => state = At::Plain,
        }
    }
    if is_last {
        scan.is_unclosed = state == At::Quoted;
        scan.fields.push(Scanned { bytes: begin..bytes.len(), is_quoted, has_escapes });
        scan.end = Some(End { text: bytes.len(), used: bytes.len() });
    } else if state != At::Quoted {
        scan.open = None;
    }
    scan
}

/// Writes one row with its line end (CRLF), each field in quotes where it needs them.
pub fn write_row<'a>(out: &mut String, fields: impl IntoIterator<Item = &'a str>) {
    for (index, field) in fields.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let needs_quotes = field.is_empty() && index == 0 || field.contains([',', '"', '\r', '\n']);
        if needs_quotes || field.starts_with([' ', '\u{feff}']) || field.ends_with(' ') {
            out.push('"');
            out.push_str(&field.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(field);
        }
    }
    out.push_str("\r\n");
}

/// `value` so that a spreadsheet shows it and does not run it: with `'` before what it would take for a formula.
/// For people's exports only. It changes what a program reads, a phone number too.
pub fn for_spreadsheet(value: &str) -> Cow<'_, str> {
    if value.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\0', '＝', '＋', '－', '＠']) {
        format!("'{value}").into()
    } else {
        value.into()
    }
}

#[cfg(test)]
mod tests;
