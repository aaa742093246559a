//! The messages in an input, one after the other: of JSON (one payload or a list of them), JSON Lines and CSV.
//!
//! Nothing is judged here. A message that cannot be read is an item like any other and those after it are still
//! read, as far as anybody can tell where they begin. No more is kept than the longest message, and none longer
//! than a request may be.

use super::buffer::Buffer;
use shared::finding::Finding;
use shared::json::BODY_BYTES_MAX;
use shared::payload::Payload;
use shared::rules::reading::{INPUT_EMPTY, INPUT_ENCODING, INPUT_TOO_LONG, PAYLOAD_JSON};
use shared::table::{Columns, Message, Row, Step, Table, utf16};
use std::borrow::Cow;
use std::io::{self, Read};
use std::ops::{ControlFlow, Range};
use std::path::Path;

/// Most bytes that are looked at to tell the format.
const LOOK_MAX: usize = 1024 * 1024;

/// How messages are written into an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// One payload, or a list of payloads.
    Json,
    /// One payload a line.
    Jsonl,
    /// A table whose first row names its columns.
    Csv,
}

impl Format {
    /// By a file's extension.
    pub fn of_name(path: &Path) -> Option<Format> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "json" => Some(Format::Json),
            "jsonl" | "ndjson" => Some(Format::Jsonl),
            "csv" => Some(Format::Csv),
            _ => None,
        }
    }

    /// By how it begins.
    fn of_content(bytes: &[u8]) -> Format {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        match bytes.trim_ascii_start() {
            [] => Format::Jsonl,
            [b'[', ..] => Format::Json,
            value @ [b'{', ..] => {
                let mut scanner = Scanner::default();
                let first = value.split(|byte| *byte == b'\n').next().unwrap_or_default();
                scanner.feed(first);
                // A first line that leaves something open is the beginning of a longer value.
                if first.len() < value.len() && scanner.depth > 0 {
                    Format::Json
                } else {
                    Format::Jsonl
                }
            }
            _ => Format::Csv,
        }
    }
}

/// One message as it is written, or what stands in its place.
#[derive(Debug)]
pub struct Item<'a> {
    /// Its text, or as much of it as is worth showing.
    pub text: Cow<'a, str>,
    /// The line its text begins in, from 1.
    pub line: u64,
    /// The column its text begins in, from 1.
    pub column: u64,
    /// Its row, in a table.
    pub row: Option<u64>,
    /// Bytes of the input that were read by then.
    pub read: u64,
    /// What it is.
    pub kind: Kind<'a>,
}

/// What an item is.
#[derive(Debug)]
pub enum Kind<'a> {
    /// A text that should be a payload in JSON.
    Json,
    /// A row of a table.
    Row(&'a Row<'a>, &'a Columns, Message),
    /// A message that cannot be read, and the bytes of the text that are to blame.
    Unreadable(Finding, Range<usize>),
    /// Something about the input as a whole, and the bytes of the text that are to blame.
    Whole(Finding, Range<usize>),
}

/// Why reading ended before the input did.
#[derive(Debug)]
pub enum Stop {
    /// The input cannot be read.
    Io(io::Error),
    /// A template is for tables, and this is none.
    Template,
    /// Whoever takes the items wants no more.
    Enough,
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Io(error)
    }
}

/// Takes an item; breaks off when it wants no more.
pub type Each<'e> = dyn FnMut(Item<'_>) -> ControlFlow<()> + 'e;

/// Gives every message of `input` to `each`.
pub fn read(
    input: impl Read,
    format: Option<Format>,
    template: Option<&Payload>,
    each: &mut Each<'_>,
) -> Result<(), Stop> {
    let mut buffer = Buffer::new(input);
    while !buffer.is_last() && buffer.bytes().len() < 4 {
        buffer.more()?;
    }
    let format = match format {
        Some(format) => format,
        None => {
            while !buffer.is_last() && !has_line(buffer.bytes()) && buffer.bytes().len() < LOOK_MAX
            {
                buffer.more()?;
            }
            Format::of_content(buffer.bytes())
        }
    };
    if format == Format::Csv {
        return table(&mut buffer, template, each);
    }
    if template.is_some() {
        return Err(Stop::Template);
    }
    if let Some(problem) = utf16(buffer.bytes()) {
        let finding = INPUT_ENCODING.found("", &[("problem", problem)]);
        return whole(&buffer, finding, each);
    }
    match format {
        Format::Json => json(&mut buffer, each),
        _ => lines(&mut buffer, each),
    }
}

/// True where a line with something in it is whole.
fn has_line(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().contains(&b'\n')
}

fn give(each: &mut Each<'_>, item: Item<'_>) -> Result<(), Stop> {
    match each(item) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Stop::Enough),
    }
}

/// Says something about the whole input, at the place that has been reached.
fn whole<R: Read>(buffer: &Buffer<R>, finding: Finding, each: &mut Each<'_>) -> Result<(), Stop> {
    let (line, column, read) = (buffer.line, buffer.column, buffer.used);
    let kind = Kind::Whole(finding, 0..0);
    give(each, Item { text: "".into(), line, column, row: None, read, kind })
}

fn too_long() -> Finding {
    INPUT_TOO_LONG.found("", &[("max", &BODY_BYTES_MAX.to_string())])
}

/// What stands at the beginning of the buffer, `length` bytes of it, as one message.
fn message<R: Read>(buffer: &Buffer<R>, length: usize, each: &mut Each<'_>) -> Result<(), Stop> {
    let bytes = &buffer.bytes()[..length];
    let (text, kind) = match str::from_utf8(bytes) {
        Ok(text) => (Cow::Borrowed(text), Kind::Json),
        Err(error) => {
            let at = error.valid_up_to();
            let problem = format!("the byte {:02X} is no character", bytes[at]);
            let finding = INPUT_ENCODING.found("", &[("problem", &problem)]);
            // What is no character is shown as one of three bytes.
            (String::from_utf8_lossy(bytes), Kind::Unreadable(finding, at..at + 3))
        }
    };
    let (line, column, read) = (buffer.line, buffer.column, buffer.used + length as u64);
    give(each, Item { text, line, column, row: None, read, kind })
}

/// A message that is longer than any may be: its beginning is shown and all of it is passed over.
fn overlong<R: Read>(buffer: &Buffer<R>, each: &mut Each<'_>) -> Result<(), Stop> {
    const SHOWN: usize = 200;
    let text = String::from_utf8_lossy(&buffer.bytes()[..SHOWN]);
    let (line, column, read) = (buffer.line, buffer.column, buffer.used);
    let kind = Kind::Unreadable(too_long(), 0..0);
    give(each, Item { text, line, column, row: None, read, kind })
}

fn lines<R: Read>(buffer: &mut Buffer<R>, each: &mut Each<'_>) -> Result<(), Stop> {
    let mut has_any = false;
    loop {
        let bytes = buffer.bytes();
        let end = bytes.iter().position(|byte| *byte == b'\n');
        match end {
            None if !buffer.is_last() && bytes.len() <= BODY_BYTES_MAX => buffer.more()?,
            None if bytes.is_empty() => break,
            None if bytes.len() > BODY_BYTES_MAX => {
                has_any = true;
                overlong(buffer, each)?;
                buffer.use_up_to(|byte| byte == b'\n')?;
            }
            end => {
                let length = end.unwrap_or(bytes.len());
                let line = bytes[..length].trim_ascii_end();
                if line.len() > BODY_BYTES_MAX {
                    has_any = true;
                    overlong(buffer, each)?;
                } else if !line.trim_ascii_start().is_empty() {
                    has_any = true;
                    message(buffer, line.len(), each)?;
                }
                buffer.use_up(end.map_or(length, |end| end + 1));
            }
        }
    }
    if has_any { Ok(()) } else { whole(buffer, INPUT_EMPTY.found("", &[]), each) }
}

fn json<R: Read>(buffer: &mut Buffer<R>, each: &mut Each<'_>) -> Result<(), Stop> {
    let is_content = |byte: u8| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    match buffer.use_up_to(is_content)? {
        None => return whole(buffer, INPUT_EMPTY.found("", &[]), each),
        Some(b'[') => buffer.use_up(1),
        Some(_) => {
            while !buffer.is_last() && buffer.bytes().len() <= BODY_BYTES_MAX {
                buffer.more()?;
            }
            let length = buffer.bytes().trim_ascii_end().len();
            return if length > BODY_BYTES_MAX {
                overlong(buffer, each)
            } else {
                message(buffer, length, each)
            };
        }
    }
    let fault = |problem| PAYLOAD_JSON.found("", &[("problem", problem)]);
    let mut count = 0_u64;
    let end = loop {
        buffer.use_up_to(is_content)?;
        let found = value(buffer, each)?;
        let is_nothing = match found.mark {
            None => found.length == Some(0),
            Some(mark) => found.length == Some(0) && count == 0 && mark == b']',
        };
        if !is_nothing {
            count += 1;
            if let Some(length) = found.length {
                message(buffer, length, each)?;
            }
        }
        buffer.use_up(found.seen);
        match found.mark {
            Some(b',') => buffer.use_up(1),
            mark => break mark,
        }
    };
    if end.is_none() {
        return whole(buffer, fault("the list is not closed"), each);
    }
    buffer.use_up(1);
    if buffer.use_up_to(is_content)?.is_some() {
        return whole(buffer, fault("something follows the list"), each);
    }
    if count == 0 { whole(buffer, INPUT_EMPTY.found("", &[]), each) } else { Ok(()) }
}

/// An item of a list.
struct Found {
    /// Its length without the white space after it; `None` where it was too long and has been passed over.
    length: Option<usize>,
    /// Bytes up to the mark that ends it.
    seen: usize,
    /// The mark that ends it: a comma or the list's bracket.
    mark: Option<u8>,
}

/// The item the buffer begins with.
fn value<R: Read>(buffer: &mut Buffer<R>, each: &mut Each<'_>) -> Result<Found, Stop> {
    let mut scanner = Scanner::default();
    let mut seen = 0;
    let mut is_overlong = false;
    loop {
        let found = scanner.feed(&buffer.bytes()[seen..]).map(|at| seen + at);
        seen = found.unwrap_or(buffer.bytes().len());
        let mark = found.map(|at| buffer.bytes()[at]);
        if !is_overlong && seen > BODY_BYTES_MAX {
            overlong(buffer, each)?;
            is_overlong = true;
        }
        if is_overlong {
            buffer.use_up(seen);
            seen = 0;
        }
        if mark.is_some() || buffer.is_last() {
            let length = buffer.bytes()[..seen].trim_ascii_end().len();
            return Ok(Found { length: (!is_overlong).then_some(length), seen, mark });
        }
        buffer.more()?;
    }
}

/// Follows strings and brackets of a JSON text, wherever it is cut.
#[derive(Default)]
struct Scanner {
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
}

impl Scanner {
    /// Where the value ends in `bytes`: at a comma or closing bracket of the list around it.
    fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.is_in_string => self.is_escaped = true,
                b'"' => self.is_in_string = !self.is_in_string,
                _ if self.is_in_string => {}
                b'{' | b'[' => self.depth += 1,
                b',' | b']' if self.depth == 0 => return Some(at),
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        None
    }
}

fn table<R: Read>(
    buffer: &mut Buffer<R>,
    template: Option<&Payload>,
    each: &mut Each<'_>,
) -> Result<(), Stop> {
    let mut table = Table::default();
    let mut columns: Option<Columns> = None;
    loop {
        let read = table.next(buffer.bytes(), buffer.is_last());
        let count = read.used;
        let at = buffer.used + count as u64;
        let mut needs_more = false;
        match read.step {
            Step::More => needs_more = true,
            Step::End => return Ok(()),
            Step::Fault(fault) => {
                let (line, row) = (fault.line, Some(fault.row));
                // Without a header nobody knows what the rows are.
                let is_whole = columns.is_none();
                let kind = if is_whole { Kind::Whole } else { Kind::Unreadable };
                let kind = kind(fault.finding, fault.bytes);
                give(each, Item { text: fault.text, line, column: 1, row, read: at, kind })?;
                if is_whole {
                    return Ok(());
                }
            }
            Step::Row(row) => match &columns {
                None => {
                    let (found, faults) = Columns::read(&row, template);
                    for fault in faults {
                        let (line, row) = (fault.line, Some(fault.row));
                        let kind = Kind::Whole(fault.finding, fault.bytes);
                        give(
                            each,
                            Item { text: fault.text, line, column: 1, row, read: at, kind },
                        )?;
                    }
                    let Some(found) = found else { return Ok(()) };
                    columns = Some(found);
                }
                Some(columns) => {
                    let (line, number, text) = (row.line, Some(row.number), row.text.into());
                    let kind = Kind::Row(&row, columns, columns.message(&row));
                    give(each, Item { text, line, column: 1, row: number, read: at, kind })?;
                }
            },
        }
        buffer.use_up(count);
        if needs_more {
            buffer.more()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Arrives one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(1).min(into.len());
            into[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    /// Each item: its place, and its text or the code of what is wrong.
    fn items(text: &str, format: Option<Format>) -> Vec<String> {
        let mut items = Vec::new();
        let mut each = |item: Item<'_>| {
            let what = match &item.kind {
                Kind::Json => item.text.to_string(),
                Kind::Row(_, _, message) => message.payload.content.to_string(),
                Kind::Unreadable(finding, _) => format!("unreadable {}", finding.code),
                Kind::Whole(finding, _) => format!("whole {}", finding.code),
            };
            items.push(format!("{}:{} {what}", item.line, item.column));
            ControlFlow::Continue(())
        };
        read(Slow(text.as_bytes()), format, None, &mut each).unwrap();
        items
    }

    #[test]
    fn the_format_is_told_by_the_name_or_by_how_it_begins() {
        assert_eq!(Format::of_name(Path::new("a/b.NDJSON")), Some(Format::Jsonl));
        assert_eq!(Format::of_name(Path::new("-")), None);
        for (text, format) in [
            ("\u{feff} [\n", Format::Json),
            ("{\n \"from\"", Format::Json),
            ("{\"from\":1}\n{", Format::Jsonl),
            ("{\"from\":\"{\"}", Format::Jsonl),
            ("from,to", Format::Csv),
            ("\"from\",to", Format::Csv),
            (" \n", Format::Jsonl),
        ] {
            assert_eq!(Format::of_content(text.as_bytes()), format, "{text:?}");
        }
    }

    #[test]
    fn lists_are_cut_at_their_items_and_keep_their_places() {
        let text = "[ {\"a\":\"],[\\\"\"},\n  7 , [1,\n2]\n]\n";
        assert_eq!(items(text, None), ["1:3 {\"a\":\"],[\\\"\"}", "2:3 7", "2:7 [1,\n2]"]);
        assert_eq!(items("[]", None), ["1:3 whole input.empty"]);
        assert_eq!(items("[1,,2,]", None), ["1:2 1", "1:4 ", "1:5 2", "1:7 "]);
        assert_eq!(items("[1,", None), ["1:2 1", "1:4 whole payload.json"]);
        assert_eq!(items("[1", None), ["1:2 1", "1:3 whole payload.json"]);
        assert_eq!(items("[1] 2", None), ["1:2 1", "1:5 whole payload.json"]);
        assert_eq!(items(" {\n} \n", None), ["1:2 {\n}"]);
    }

    #[test]
    fn lines_and_rows_keep_their_numbers() {
        assert_eq!(items("\n{}\r\n\n [1]", Some(Format::Jsonl)), ["2:1 {}", "4:1  [1]"]);
        assert_eq!(items("", None), ["1:1 whole input.empty"]);
        let table = "from,to,type,content\na,b,text/plain,\"x\ny\"\n1\na,b,text/plain,z\n";
        assert_eq!(
            items(table, None),
            ["2:1 \"x\\ny\"", "4:1 unreadable table.ragged", "5:1 \"z\""]
        );
        assert_eq!(items("from,to,type\na,b,c\n", None), ["1:1 whole table.missing"]);
        assert_eq!(items("a\0b\0", Some(Format::Json)), ["1:1 whole input.encoding"]);
    }

    #[test]
    fn what_is_too_long_is_passed_over_and_the_next_is_read() {
        let long = "x".repeat(BODY_BYTES_MAX + 10);
        let found = |text: String, format| {
            let mut items = Vec::new();
            let mut each = |item: Item<'_>| {
                items.push(match item.kind {
                    Kind::Unreadable(finding, _) => finding.code,
                    _ => item.text.chars().take(20).collect(),
                });
                ControlFlow::Continue(())
            };
            read(text.as_bytes(), Some(format), None, &mut each).unwrap();
            items
        };
        assert_eq!(
            found(format!("1\n\"{long}\"\n2\n"), Format::Jsonl),
            ["1", "input.too_long", "2"]
        );
        assert_eq!(
            found(format!("[1,\"{long}\" , 2]"), Format::Json),
            ["1", "input.too_long", "2"]
        );
        assert_eq!(found(format!("\"{long}\""), Format::Json), ["input.too_long"]);
    }
}
