//! Rows 44 and 45 of the bad inputs, and agreement with another reader of CSV.

use super::*;
use crate::channel::Channel;
use crate::payload::Payload;
use crate::rules::{Dialect, Ruleset};
use crate::validate::{Context, validate};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Row, line, values.
type Found = (u64, u64, Vec<String>);
/// Row, code, the text that is meant.
type Wrong = (u64, String, String);

/// Everything in a table, given in pieces of `piece` bytes: rows by number and line with their values, and
/// faults by row, code and the text that is meant.
fn all(bytes: &[u8], piece: usize) -> (Vec<Found>, Vec<Wrong>) {
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    let mut table = Table::default();
    let (mut start, mut end) = (0, piece.min(bytes.len()));
    loop {
        let read = table.next(&bytes[start..end], end == bytes.len());
        match read.step {
            Step::More => end = (end + piece).min(bytes.len()),
            Step::Row(row) => {
                let values = row.fields.into_iter().map(|field| field.value.into_owned());
                rows.push((row.number, row.line, values.collect()));
            }
            Step::Fault(fault) => {
                let meant = fault.text[fault.bytes].to_owned();
                faults.push((fault.row, fault.finding.code, meant));
            }
            Step::End => return (rows, faults),
        }
        start += read.used;
        end = end.max(start);
    }
}

fn faults(text: &str) -> Vec<Wrong> {
    let found = all(text.as_bytes(), 1).1;
    assert_eq!(found, all(text.as_bytes(), 1 << 20).1, "in pieces and whole");
    found
}

fn fault(row: u64, code: &str, meant: &str) -> Wrong {
    (row, code.to_owned(), meant.to_owned())
}

#[test]
fn row_44_faults_name_the_row_of_the_file_and_the_rows_around_them_are_read() {
    assert_eq!(
        faults("a,b\n1,2,3\n4,5\n6\n"),
        [fault(2, "table.ragged", "3"), fault(4, "table.ragged", "")]
    );
    let stray = "a,b\n1,x\"y\n\"p\"q,2\n3,4\n";
    assert_eq!(faults(stray), [fault(2, "table.quote", "\""), fault(3, "table.quote", "q")]);
    assert_eq!(all(stray.as_bytes(), 3).0.last().unwrap().0, 4);
    // Whole characters are meant, and what is no character moves nothing.
    assert_eq!(faults("a,b\n1,\"p\"é\n"), [fault(2, "table.quote", "é")]);
    let unclosed = all(b"a,b\n\xff\xc3\xa9,\"x\n1,2\n", 5).1;
    assert_eq!(unclosed, [fault(2, "table.quote", "\"")]);
    // A quote that is never closed costs its line, not the rest of the file.
    assert_eq!(faults("a,b\n1,\"x\n2,y\n3,z\n"), [fault(2, "table.quote", "\"")]);
    let rows: Vec<(u64, u64)> =
        all(b"a,b\n1,\"x\r\n2,y\n3,z\n", 2).0.iter().map(|row| (row.0, row.1)).collect();
    assert_eq!(rows, [(1, 1), (3, 3), (4, 4)]);
    for empty in ["", "\n\r\n", "\u{feff}"] {
        assert_eq!(faults(empty)[0].1, "input.empty", "{empty:?}");
    }
    let utf16: Vec<u8> = "from,to\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(all(&utf16, 5).1[0].1, "input.encoding");
    assert_eq!(all(&[b"\xff\xfe".as_slice(), &utf16].concat(), 5).1[0].1, "input.encoding");
    let broken = all(b"a,b\n1,\xc3(\n2,3\n", 4);
    assert_eq!((broken.0.len(), &broken.1[0]), (2, &fault(2, "input.encoding", "\u{fffd}")));
}

#[test]
fn utf_16_is_told_from_a_text_of_nuls() {
    for (bytes, problem) in [
        (b"\xff\xfef\0".as_slice(), Some("it begins like UTF-16")),
        (b"\xfe\xff\0f", Some("it begins like UTF-16")),
        (b"f\0r\0", Some("it looks like UTF-16")),
        (b"\0f\0r", Some("it looks like UTF-16")),
        (b"\0\0\0\0", None),
        (b"\0f\0\0", None),
        (b"\0\0\0f", None),
        (b"f\0\0\0", None),
        (b"\0\0f\0", None),
        (b"from", None),
    ] {
        assert_eq!(utf16(bytes), problem, "{bytes:?}");
    }
}

#[test]
fn row_44_line_ends_may_be_mixed_and_rows_are_counted_as_a_spreadsheet_does() {
    let mixed = "\u{feff}a,b\r\n1,\"x\ny\"\n\n2,z\r3,\"\"\"q\"\"\"";
    for piece in [1, 2, 7, 100] {
        let (rows, faults) = all(mixed.as_bytes(), piece);
        assert!(faults.is_empty(), "{faults:?}");
        let found: Vec<(u64, u64, &str)> =
            rows.iter().map(|(row, line, values)| (*row, *line, values[1].as_str())).collect();
        assert_eq!(found, [(1, 1, "b"), (2, 2, "x\ny"), (4, 5, "z"), (5, 6, "\"q\"")]);
    }
}

#[test]
fn row_44_the_millionth_and_first_row_is_one_too_many() {
    let text = format!("a\n{}", "1\n".repeat(1_000_001));
    let mut table = Table::default();
    let (mut at, mut rows) = (0, 0);
    let fault = loop {
        let read = table.next(&text.as_bytes()[at..], true);
        at += read.used;
        match read.step {
            Step::Row(_) => rows += 1,
            Step::Fault(fault) => break fault,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        (rows, fault.row, fault.finding.code.as_str()),
        (1_000_001, 1_000_002, "table.rows")
    );
    assert!(matches!(table.next(&[], true).step, Step::End));
}

#[test]
fn row_44_a_row_that_never_ends_is_given_up() {
    let long = format!("a,b\n1,\"{}", "x\n".repeat(ROW_BYTES_MAX / 2 + 1));
    let mut table = Table::default();
    let first = table.next(long.as_bytes(), false);
    let Step::Fault(fault) = table.next(&long.as_bytes()[first.used..], false).step else {
        panic!("no fault");
    };
    assert_eq!((fault.row, fault.finding.code.as_str(), &*fault.text), (2, "table.quote", "1,\"x"));
    assert_eq!((&fault.text[fault.bytes], fault.line), ("\"", 2));
    // At its most it may still end; one byte more and it is given up.
    let mut longest = "x".repeat(ROW_BYTES_MAX);
    assert!(matches!(Table::default().next(longest.as_bytes(), false).step, Step::More));
    longest.push('x');
    let mut table = Table::default();
    let Step::Fault(fault) = table.next(longest.as_bytes(), false).step else { panic!("no fault") };
    assert_eq!((fault.row, fault.finding.code.as_str()), (1, "input.too_long"));
    assert!(matches!(table.next(b"y", true).step, Step::End));
}

fn header(text: &str, template: Option<&Payload>) -> (Option<Columns>, Vec<String>) {
    let mut table = Table::default();
    let Step::Row(row) = table.next(text.as_bytes(), true).step else { panic!("no row") };
    let (columns, faults) = Columns::read(&row, template);
    (columns, faults.into_iter().map(|fault| fault.finding.code).collect())
}

#[test]
fn row_44_a_header_names_each_column_once() {
    let good = "from,to,type,content";
    assert!(header(good, None).1.is_empty());
    for (text, codes) in [
        ("from,to,type,content,to", vec!["table.duplicate"]),
        ("from,to,type,content,", vec!["table.header"]),
        ("from,to,type", vec!["table.missing"]),
        ("from,to,type,content,attachment-url", vec!["table.column"]),
        ("From,to,type,content", vec!["table.missing", "table.column"]),
        ("from;to;type;content", vec!["table.separator"]),
    ] {
        let (columns, found) = header(text, None);
        assert_eq!(found, codes, "{text}");
        assert!(columns.is_none(), "{text}");
    }
    let template = crate::rules::example::payload(&Channel::Sms);
    let template = Payload { content: "Hello {{name}}".into(), ..template };
    assert_eq!(header("nme", Some(&template)).1, ["template.missing", "template.unused"]);
    let (columns, found) = header("name,channel,town", Some(&template));
    assert_eq!((columns.is_some(), found), (true, vec!["template.unused".to_owned()]));
}

/// The messages of a table that has no faults.
fn messages(text: &str, template: Option<&Payload>) -> Vec<(Message, String)> {
    let mut table = Table::default();
    let mut columns = None;
    let mut messages = Vec::new();
    let mut at = 0;
    loop {
        let read = table.next(&text.as_bytes()[at..], true);
        at += read.used;
        match (read.step, &columns) {
            (Step::Row(row), None) => columns = Columns::read(&row, template).0,
            (Step::Row(row), Some(columns)) => {
                let place = row.text[columns.place(&row, "/content")].to_owned();
                messages.push((columns.message(&row), place));
            }
            (Step::End, _) => return messages,
            (other, _) => panic!("{other:?}"),
        }
    }
}

#[test]
fn rows_become_messages() {
    let text = "from,to,type,content,channel,attachment_url\n\
                a@example.com,b@example.com; c@example.com,text/plain,\"Hi, \"\"you\"\"\",email,https://cdn.example.com/a.pdf?x=1\n\
                a@example.com,,application/json,\"{\"\"a\"\":1}\",,\n\
                a@example.com,b@example.com,application/json,{a},,\n";
    let found = messages(text, None);
    let (first, place) = &found[0];
    assert_eq!(first.payload.to, ["b@example.com", "c@example.com"]);
    assert_eq!(
        (first.channel.clone(), place.as_str()),
        (Some(Channel::Email), "\"Hi, \"\"you\"\"\"")
    );
    let file = &first.payload.attachments[0];
    assert_eq!((file.filename.as_str(), file.content_type.as_str()), ("a.pdf", "application/pdf"));
    let rules = Ruleset::embedded(Dialect::Guide);
    assert!(validate(&first.payload, rules, Context::Channel(&Channel::Email)).is_empty());
    assert_eq!(found[1].0.payload.content, serde_json::json!({"a": 1}));
    assert!(found[1].0.payload.to.is_empty() && found[1].0.channel.is_none());
    assert_eq!(found[2].0.findings[0].code, "payload.json");
}

#[test]
fn rows_fill_a_template_and_an_empty_cell_is_no_value() {
    let template = Payload {
        to: vec!["{{to}}".into()],
        content: "Hello {{name|you}}, {{order}}".into(),
        ..crate::rules::example::payload(&Channel::Sms)
    };
    let found =
        messages("to,name,order\n+447700900141,Robin,7\n+447700900141,,\n", Some(&template));
    assert_eq!(found[0].0.payload.content, "Hello Robin, 7");
    assert!(found[0].0.findings.is_empty());
    assert_eq!(found[0].1, "Robin");
    assert_eq!(found[1].0.payload.content, "Hello you, {{order}}");
    assert_eq!(found[1].0.findings[0].code, "template.missing");
}

#[test]
fn row_45_formulas_are_data_when_read_and_text_when_exported() {
    let text = "from,to,type,content\na,b,text/plain,=cmd()\na,b,text/plain,@SUM(A1)\n";
    let found = messages(text, None);
    assert_eq!(found[0].0.payload.content, "=cmd()");
    assert_eq!(found[1].0.payload.content, "@SUM(A1)");
    for start in ["=", "+", "-", "@", "\t", "\r", "\0"] {
        let value = format!("{start}1");
        assert_eq!(for_spreadsheet(&value), format!("'{value}"));
    }
    for plain in ["", "a=1", "'=1", " =1", "7"] {
        assert_eq!(for_spreadsheet(plain), plain);
    }
}

#[test]
fn what_is_written_is_read_again() {
    let values =
        ["plain", "", "a,b", "say \"hi\"", "two\r\nlines", " led", "=1+1", "é✓", "\u{feff}x", "'"];
    let mut text = String::new();
    write_row(&mut text, (0..values.len()).map(|_| "name"));
    write_row(&mut text, values);
    write_row(&mut text, ["", "", "", "", "", "", "", "", "", ""]);
    let (rows, faults) = all(text.as_bytes(), 5);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(rows[1].2, values);
    // Quotes stand where they are needed and nowhere else.
    let written =
        "plain,,\"a,b\",\"say \"\"hi\"\"\",\"two\r\nlines\",\" led\",=1+1,é✓,\"\u{feff}x\",'\r\n";
    assert!(text.contains(written), "{text}");
    let mut spaces = String::new();
    write_row(&mut spaces, ["", "trailed ", "in between"]);
    assert_eq!(spaces, "\"\",\"trailed \",in between\r\n");
    let mut single = String::new();
    write_row(&mut single, ["n"]);
    write_row(&mut single, [""]);
    assert_eq!(all(single.as_bytes(), 9).0.len(), 2, "an empty value is a row and no empty line");
}

#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use super::*;
    use proptest::prelude::*;

    /// Rows as the `csv` crate reads them.
    fn theirs(text: &str) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect());
        rows.collect()
    }

    proptest! {
        /// What is read without a fault is what a lenient reader reads too, however the bytes arrive.
        #[test]
        fn agrees_with_another_reader(text in "[ab,\"\r\n é]{0,40}", piece in 1_usize..20) {
            let (rows, faults) = all(text.as_bytes(), piece);
            prop_assert_eq!(&(rows.clone(), faults.clone()), &all(text.as_bytes(), 1000));
            if faults.is_empty() {
                let ours: Vec<Vec<String>> = rows.into_iter().map(|row| row.2).collect();
                prop_assert_eq!(ours, theirs(&text));
            }
        }

        #[test]
        fn another_reader_reads_what_is_written(
            rows in prop::collection::vec(prop::collection::vec("[=a,\"\r\n\t é]{0,8}", 2), 1..5),
        ) {
            let mut text = String::new();
            for row in &rows {
                write_row(&mut text, row.iter().map(String::as_str));
            }
            prop_assert_eq!(&theirs(&text), &rows);
            let (ours, faults) = all(text.as_bytes(), 7);
            prop_assert!(faults.is_empty());
            prop_assert_eq!(ours.into_iter().map(|row| row.2).collect::<Vec<_>>(), rows);
        }
    }
}
