//! What the editor's lines look like: words of JSON, and marks where the rules found something. Pure: text and
//! marks in, lines of coloured pieces out; [`super::paint`] puts them on the page.

use std::ops::Range;

/// How a piece of a line is drawn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Ink {
    /// As it is.
    #[default]
    Plain,
    /// The name of a field.
    Name,
    /// A text.
    Text,
    /// A number, `true`, `false` or `null`.
    Value,
    /// Brackets, commas, colons.
    Sign,
    /// A template's placeholder.
    Hole,
}

/// What is wrong with a piece.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mark {
    /// To be considered.
    Warn,
    /// Stops the message.
    Bad,
}

/// A run of characters that look the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// The characters.
    pub text: String,
    /// How they are drawn.
    pub ink: Ink,
    /// What is wrong with them.
    pub mark: Option<Mark>,
}

/// One line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Line {
    /// Its pieces in order; none where it is empty.
    pub pieces: Vec<Piece>,
    /// The worst mark on it, for the gutter.
    pub mark: Option<Mark>,
}

/// Cuts `text` into lines of pieces. `marks` are bytes of the text.
pub fn lines(text: &str, marks: &[(Range<usize>, Mark)]) -> Vec<Line> {
    let mut lines = vec![Line::default()];
    // Where the look changes because a mark begins or ends there.
    let mut edges: Vec<usize> = marks.iter().flat_map(|(at, _)| [at.start, at.end]).collect();
    edges.sort_unstable();
    let mut edges = edges.into_iter().peekable();
    for (range, ink) in words(text) {
        let mut start = range.start;
        while start < range.end {
            while edges.next_if(|edge| *edge <= start).is_some() {}
            let mut end = range.end;
            if let Some(edge) = edges.peek().filter(|edge| **edge < end) {
                end = *edge;
            }
            if !text.is_char_boundary(end) {
                end = range.end;
            }
            let mark = marks
                .iter()
                .filter(|(at, _)| at.start <= start && start < at.end)
                .map(|(_, mark)| *mark)
                .max();
            push(&mut lines, &text[start..end], ink, mark);
            start = end;
        }
    }
    lines
}

fn push(lines: &mut Vec<Line>, text: &str, ink: Ink, mark: Option<Mark>) {
    for (index, part) in text.split('\n').enumerate() {
        if index > 0 {
            lines.push(Line::default());
        }
        let Some(line) = lines.last_mut() else { return };
        if part.is_empty() {
            continue;
        }
        // What separates one line from the next, or only sets out, is not what is wrong.
        let mark = mark.filter(|_| !part.trim().is_empty());
        line.mark = line.mark.max(mark);
        match line.pieces.last_mut() {
            Some(last) if last.ink == ink && last.mark == mark => last.text.push_str(part),
            _ => line.pieces.push(Piece { text: part.to_owned(), ink, mark }),
        }
    }
}

/// The words of a JSON text in order, right or wrong; together they are the text.
fn words(text: &str) -> Vec<(Range<usize>, Ink)> {
    let bytes = text.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b'"' => {
                at = end_of_string(bytes, at);
                let next = bytes[at..].iter().find(|byte| !byte.is_ascii_whitespace());
                let ink = if next == Some(&b':') { Ink::Name } else { Ink::Text };
                with_holes(text, start..at, ink, &mut words);
                continue;
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' => {
                at += 1;
                words.push((start..at, Ink::Sign));
            }
            byte if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.') => {
                let is_more =
                    |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
                at += bytes[at..].iter().take_while(|byte| is_more(byte)).count();
                words.push((start..at, Ink::Value));
            }
            _ => {
                let is_other = |byte: &u8| {
                    !byte.is_ascii_alphanumeric()
                        && !matches!(byte, b'-' | b'+' | b'.')
                        && !b"\"{}[],:".contains(byte)
                };
                at += bytes[at..].iter().take_while(|byte| is_other(byte)).count();
                words.push((start..at, Ink::Plain));
            }
        }
    }
    words
}

/// The end of the string that begins at `start`: behind its quote, or at the end of the line where it has none.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            b'\n' => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// A string, its placeholders apart.
fn with_holes(text: &str, string: Range<usize>, ink: Ink, words: &mut Vec<(Range<usize>, Ink)>) {
    let mut start = string.start;
    while let Some(open) = text[start..string.end].find("{{").map(|at| start + at) {
        let Some(close) = text[open..string.end].find("}}").map(|at| open + at + 2) else { break };
        if text[..open].ends_with('\\') {
            words.push((start..close, ink));
        } else {
            if start < open {
                words.push((start..open, ink));
            }
            words.push((open..close, Ink::Hole));
        }
        start = close;
    }
    if start < string.end {
        words.push((start..string.end, ink));
    }
}

/// The part of a list of lines that changed: how many at the start and at the end are the same as before.
pub fn same_ends(before: &[Line], after: &[Line]) -> (usize, usize) {
    let head = before.iter().zip(after).take_while(|(one, other)| one == other).count();
    let rest = before.len().min(after.len()) - head;
    let tail = before.iter().rev().zip(after.iter().rev());
    (head, tail.take(rest).take_while(|(one, other)| one == other).count())
}

/// Where byte `at` of `text` is in UTF-16 units, which is how browsers count.
pub fn utf16(text: &str, at: usize) -> u32 {
    let before = text.get(..at).unwrap_or(text);
    u32::try_from(before.chars().map(char::len_utf16).sum::<usize>()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn joined(lines: &[Line]) -> String {
        let text = |line: &Line| line.pieces.iter().map(|one| one.text.as_str()).collect();
        lines.iter().map(text).collect::<Vec<String>>().join("\n")
    }

    #[test]
    fn whatever_is_typed_is_drawn_whole() {
        for text in [
            "",
            "\n\n",
            "{\n  \"to\": [\"ü\", -1.5e3, null],\r\n\t\"x\\\"y\": {}\n}",
            "{\"open: \"\\",
            "\"\\",
            "{\"a\": \"{{name}} and \\\\{{not}} {{half\"}",
            "]}{[:,,\u{1f600}\u{2028} é@",
        ] {
            assert_eq!(joined(&lines(text, &[])), text);
            let every: Vec<_> = (0..text.len()).map(|at| (at..at + 1, Mark::Bad)).collect();
            assert_eq!(joined(&lines(text, &every)), text);
        }
    }

    #[test]
    fn names_texts_and_placeholders_are_told_apart() {
        let line = &lines("{\"to\": \"Hi {{name}}!\", \"n\": 1}", &[])[0];
        let found: Vec<(&str, Ink)> =
            line.pieces.iter().map(|one| (one.text.as_str(), one.ink)).collect();
        assert!(found.contains(&("\"to\"", Ink::Name)));
        assert!(found.contains(&("\"Hi ", Ink::Text)));
        assert!(found.contains(&("{{name}}", Ink::Hole)));
        assert!(found.contains(&("1", Ink::Value)));
    }

    #[test]
    fn a_mark_lies_on_its_bytes_and_its_lines_alone() {
        let text = "{\n \"a\": \"bc\",\n \"d\": 1\n}";
        let at = text.find("\"bc\"").unwrap();
        let marks = [(at..at + 4, Mark::Warn), (0..text.len(), Mark::Bad)];
        let one = lines(text, &marks[..1]);
        let marked: Vec<Option<Mark>> = one.iter().map(|line| line.mark).collect();
        assert_eq!(marked, [None, Some(Mark::Warn), None, None]);
        let piece = one[1].pieces.iter().find(|piece| piece.mark.is_some()).unwrap();
        assert_eq!(piece.text, "\"bc\"");
        // The worse of two wins, and white space is never marked.
        let two = lines(text, &marks);
        assert!(two.iter().all(|line| line.mark == Some(Mark::Bad)));
        assert_eq!(two[1].pieces[0].mark, None);
    }

    #[test]
    fn only_lines_that_changed_are_drawn_again() {
        let before = lines("a\nb\nc\nd", &[]);
        assert_eq!(same_ends(&before, &before), (4, 0));
        assert_eq!(same_ends(&before, &lines("a\nb\nX\nY\nc\nd", &[])), (2, 2));
        assert_eq!(same_ends(&before, &lines("a\nd", &[])), (1, 1));
        assert_eq!(same_ends(&before, &lines("b\nb\nb\nb\nb", &[])), (0, 0));
        assert_eq!(same_ends(&lines("x\nx", &[]), &lines("x\nx\nx", &[])), (2, 0));
    }

    #[test]
    fn browsers_count_in_utf16() {
        assert_eq!(utf16("a😀ü", 1), 1);
        assert_eq!(utf16("a😀ü", 5), 3);
        assert_eq!(utf16("a😀ü", 99), 4);
    }
}
