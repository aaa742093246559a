//! `cargo xtask rows`: which test shows what becomes of which bad input.
//!
//! `docs/bad-inputs.md` lists the inputs by row, with what comes of each; people write that. Its last column is
//! made here from the tests' own words: a test named `row_17_…`, `rows_48_and_49_…` or `rows_15_to_17_…` shows those
//! rows, and so does one under a comment `/// Bad inputs, rows 15 to 17, 19 and 25.` A row whose input is not taken
//! yet says `not yet: …` and needs no test; every other row does.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::Path,
};

use anyhow::{Context, Result, ensure};

use crate::{place::Place, stamp};

const TABLE: &str = "docs/bad-inputs.md";
const HEADING: &str = "| row | input | what comes of it | shown by |";
const ROOMS: [&str; 4] = ["shared", "frontend", "proxy", "tests"];
const NOT_YET: &str = "not yet";
const COMMENT: &str = "/// Bad inputs, row";

/// Tests by row: file, then names in the order they stand there.
type Tests = BTreeMap<u32, BTreeMap<String, Vec<String>>>;

/// Writes the table.
pub fn write(place: &Place) -> Result<()> {
    let (_, made) = make(place)?;
    fs::write(place.root.join(TABLE), made).with_context(|| format!("failed to write {TABLE}"))
}

/// What is wrong with the table, one line each: out of date, or a row that nothing shows.
pub fn check(place: &Place) -> Result<Vec<String>> {
    let (mut found, made) = make(place)?;
    if made != place.read(TABLE)? {
        found.push(format!("{TABLE}: does not list the tests as they are; run cargo xtask rows"));
    }
    Ok(found)
}

fn make(place: &Place) -> Result<(Vec<String>, String)> {
    let mut files = BTreeSet::new();
    for room in ROOMS {
        stamp::collect(&place.root.join(room), &mut files)?;
    }
    let mut tests = Tests::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "rs")) {
        let name = file.strip_prefix(&place.root).unwrap_or(file);
        collect(name, &fs::read_to_string(file)?, &mut tests);
    }
    table(&place.read(TABLE)?, &tests)
}

/// The document with its last column made anew, and the rows that nothing shows.
fn table(document: &str, tests: &Tests) -> Result<(Vec<String>, String)> {
    let (mut found, mut made) = (Vec::new(), String::new());
    let mut rows = BTreeSet::new();
    for line in document.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let row = cells.first().and_then(|cell| cell.parse::<u32>().ok());
        let (Some(row), [_, input, outcome, ..]) = (row, cells.as_slice()) else {
            writeln!(made, "{line}")?;
            continue;
        };
        rows.insert(row);
        let shown = tests.get(&row).map(shown).unwrap_or_default();
        if shown.is_empty() && !outcome.starts_with(NOT_YET) {
            found.push(format!("{TABLE}: no test shows row {row} ({input})"));
        }
        writeln!(made, "| {row} | {input} | {outcome} | {shown} |")?;
    }
    ensure!(made.contains(HEADING), "{TABLE}: has no table with the heading {HEADING}");
    for row in tests.keys().filter(|row| !rows.contains(row)) {
        found.push(format!("{TABLE}: there is no row {row}, which a test says it shows"));
    }
    Ok((found, made))
}

fn shown(files: &BTreeMap<String, Vec<String>>) -> String {
    let of_file = |(file, names): (&String, &Vec<String>)| {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        format!("{file}: {}", names.join(", "))
    };
    files.iter().map(of_file).collect::<Vec<_>>().join("<br>")
}

fn collect(file: &Path, text: &str, tests: &mut Tests) {
    let mut announced = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix(COMMENT) {
            announced = rows(words.split(|one: char| !one.is_ascii_alphanumeric()));
            continue;
        }
        let Some((_, rest)) = line.split_once("fn ").filter(|_| !line.starts_with("//")) else {
            continue;
        };
        let name = rest.split(['(', '<']).next().unwrap_or_default();
        let words = name.strip_prefix("row_").or(name.strip_prefix("rows_")).unwrap_or_default();
        let mut all = rows(words.split('_'));
        all.append(&mut announced);
        for row in all {
            let of_file = tests.entry(row).or_default().entry(file.display().to_string());
            of_file.or_default().push(name.to_owned());
        }
    }
}

/// The rows that words name, up to the first word that is about something else: `15 to 17 19 and 25`.
fn rows<'a>(words: impl Iterator<Item = &'a str>) -> BTreeSet<u32> {
    let mut rows = BTreeSet::new();
    let mut is_range = false;
    for word in words.filter(|word| !word.is_empty() && *word != "s") {
        match word.parse::<u32>() {
            Ok(row) if is_range => {
                let first = rows.last().copied().unwrap_or(row);
                rows.extend(first..=row);
                is_range = false;
            }
            Ok(row) => {
                rows.insert(row);
            }
            Err(_) if word == "and" => {}
            Err(_) if word == "to" => is_range = true,
            Err(_) => break,
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(u32, String)> {
        let mut tests = Tests::new();
        collect(Path::new("a.rs"), text, &mut tests);
        let names = |(row, files): (&u32, &BTreeMap<String, Vec<String>>)| {
            files["a.rs"].iter().map(|name| (*row, name.clone())).collect::<Vec<_>>()
        };
        tests.iter().flat_map(names).collect()
    }

    #[test]
    fn rows_are_read_from_names_and_comments() {
        let of = |text: &str| found(text).into_iter().map(|(row, _)| row).collect::<Vec<_>>();
        assert_eq!(of("async fn row_07_of_a_kind() {"), [7]);
        assert_eq!(of("    fn rows_48_and_49_others() {"), [48, 49]);
        assert_eq!(of("fn rows_3_to_5_and_9_of_them<T>() {"), [3, 4, 5, 9]);
        assert_eq!(
            of("/// Bad inputs, rows 15 to 17, 19 and 25. Row 3 is elsewhere.\nfn a() {"),
            [15, 16, 17, 19, 25]
        );
        assert_eq!(
            of("/// Bad inputs, row 37: the 2 of them.\n#[test]\nfn size() {}\nfn b() {}"),
            [37]
        );
        assert_eq!(of("fn rowing() {}\nlet row_3 = 4;\n// fn row_3_in_words()"), Vec::<u32>::new());
    }

    #[test]
    fn the_last_column_is_made_and_what_nothing_shows_is_reported() {
        let mut tests = Tests::new();
        collect(Path::new("a.rs"), "fn row_1_one() {}\nfn row_9_nine() {}", &mut tests);
        let document = format!(
            "# Words\n\n{HEADING}\n| --- | --- | --- | --- |\n| 1 | x | y | old |\n| 2 | x | y | |\n| 3 | x | not yet: z | |\n"
        );
        let (found, made) = table(&document, &tests).unwrap();
        assert!(made.contains("| 1 | x | y | a.rs: `row_1_one` |\n| 2 | x | y |  |\n"), "{made}");
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(table(&made, &tests).unwrap().1, made, "made again, it is the same");
    }
}
