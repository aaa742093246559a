//! The auditor's check of an export: order, gaps, links, counts and, with the secret, every signature.
//!
//! A pure function of the batches in the order they are given. It keeps a few values for each stream and not
//! the batches, so a chain of any length is checked in constant memory. What it cannot check it counts and
//! says ([`Report::unchecked`]); what is wrong it says with its place ([`Fault`]). The key's arithmetic
//! comes from outside ([`Keys`]): this crate knows none.
//!
//! One thing no reader of an export alone can see: a tail that was cut off. Who knows the chain value of the
//! last batch passes it as [`Bounds::until`], and then it is seen.

use super::{AuditEntry, ENTRIES_MAX, FIRST_PREVIOUS, Link, chain_text};
use crate::api::ExportedBatch;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt;

/// Hashes, and signs under the keys it holds.
pub trait Keys {
    /// Lower-case hex SHA-256.
    fn sha256(&self, bytes: &[u8]) -> String;
    /// Lower-case hex HMAC-SHA256 under the key of that id; `None` without such a key.
    fn sign(&self, key_id: &str, bytes: &[u8]) -> Option<String>;
}

/// What the auditor knows beside the export.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// The chain value of the batch before the first one: the export goes on from there.
    pub after: Option<String>,
    /// The chain value of the last batch: an export that ends elsewhere was cut.
    pub until: Option<String>,
}

/// What kind of thing is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum FaultKind {
    /// A header is missing, is not one of a sealed batch, or is not written as it must be.
    Header,
    /// The body is not a list of audit entries.
    Body,
    /// The header does not count the entries of the body.
    Count,
    /// The body's signature is not the secret's.
    Signature,
    /// The chain value is not what headers, body and secret give.
    Chain,
    /// No secret was given for the key the batch names.
    Key,
    /// The batch does not name the one before it.
    Link,
    /// Batches are missing between two others.
    Gap,
    /// Batches are missing at the beginning.
    Head,
    /// Batches are missing at the end.
    Tail,
    /// The batch stands in another place than its sequence says.
    Order,
    /// The same place in the stream is taken twice.
    Repeat,
}

/// One thing that is wrong, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The batch's place in the export, from 1; 0 for the export as a whole.
    pub place: u64,
    /// The stream it says it is in.
    pub stream: String,
    /// The sequence it says it has.
    pub sequence: Option<u64>,
    /// The header at fault, `body`, or empty.
    pub part: &'static str,
    /// What kind of thing.
    pub kind: FaultKind,
    /// What is wrong, in words.
    pub problem: String,
    /// What should be there, where that is known.
    pub expected: Option<String>,
    /// What is there.
    pub found: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.place, self.sequence) {
            (0, _) => f.write_str("export")?,
            (place, Some(sequence)) => {
                write!(f, "batch {place} ({} {sequence})", printable(&self.stream))?;
            }
            (place, None) => write!(f, "batch {place}")?,
        }
        if !self.part.is_empty() {
            write!(f, ", {}", self.part)?;
        }
        write!(f, ": {}", self.problem)?;
        if let Some(expected) = &self.expected {
            write!(f, "; expected {}", printable(expected))?;
        }
        if let Some(found) = &self.found {
            write!(f, "; found {}", printable(found))?;
        }
        Ok(())
    }
}

/// Text from an export as it may be shown: short, and without control characters.
fn printable(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

/// A run of sequences in an export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Range {
    /// The stream.
    pub stream: String,
    /// The first sequence.
    pub first: u64,
    /// The last sequence.
    pub last: u64,
}

/// What was read, and what could not be checked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Batches read.
    pub batches: u64,
    /// Entries in them.
    pub entries: u64,
    /// What the export holds of each stream, in order of appearance.
    pub ranges: Vec<Range>,
    /// Batches for each key id.
    pub keys: BTreeMap<String, u64>,
    /// Batches whose signatures were not checked, for want of a secret.
    pub unchecked: u64,
    /// The last batch's chain value.
    pub last_chain: Option<String>,
    /// Faults found.
    pub faults: u64,
}

/// Checks batches one after the other. See the module's text.
pub struct Verifier<'a> {
    keys: Option<&'a dyn Keys>,
    bounds: Bounds,
    report: Report,
    streams: Vec<Stream>,
}

impl<'a> Verifier<'a> {
    /// Without `keys` no signature can be checked.
    pub fn new(keys: Option<&'a dyn Keys>, bounds: Bounds) -> Self {
        Self { keys, bounds, report: Report::default(), streams: Vec::new() }
    }

    /// Checks the next batch of the export; what is wrong with it, or with the place it stands at.
    pub fn check(&mut self, batch: &ExportedBatch) -> Vec<Fault> {
        self.report.batches += 1;
        let mut found = Found::new(self.report.batches, batch);
        let headers = Headers::read(batch, &mut found);
        let count = check_body(batch, headers.as_ref(), &mut found);
        self.report.entries += count;
        if let Some(headers) = &headers {
            let computed = self.check_signatures(batch, headers, &mut found);
            self.place(batch, headers, computed, &mut found);
            *self.report.keys.entry(headers.key_id.to_owned()).or_default() += 1;
            self.report.last_chain = Some(headers.chain.to_owned());
        } else {
            self.report.unchecked += 1;
        }
        self.report.faults += found.faults.len() as u64;
        found.faults
    }

    /// Returns the chain value as the secret gives it, where there is a secret for it.
    fn check_signatures(
        &mut self,
        batch: &ExportedBatch,
        headers: &Headers,
        found: &mut Found,
    ) -> Option<String> {
        let Some(keys) = self.keys else {
            self.report.unchecked += 1;
            return None;
        };
        let body = batch.body.as_bytes();
        let Some(signature) = keys.sign(headers.key_id, body) else {
            self.report.unchecked += 1;
            found.add(KEY_ID, FaultKind::Key, "no secret was given for this key");
            return None;
        };
        let body_sha256 = keys.sha256(body);
        let text = chain_text(&Link {
            stream: headers.stream,
            sequence: headers.sequence,
            key_id: headers.key_id,
            sealed_at: headers.sealed_at,
            count: headers.count,
            body_sha256: &body_sha256,
            previous: headers.previous,
        });
        let chain = keys.sign(headers.key_id, text.as_bytes())?;
        match (signature == headers.signature, chain == headers.chain) {
            (true, true) => {}
            // The chain vouches for the body, so the signature is what was changed.
            (false, true) => found.add_values(
                SIGNATURE,
                FaultKind::Signature,
                "the header was changed: the body is the one the chain was made over",
                Some(signature),
                headers.signature,
            ),
            // The signature vouches for the body, so a header is what was changed.
            (true, false) => found.add_values(
                CHAIN,
                FaultKind::Chain,
                "a header the chain covers was changed (stream, sequence, key id, sealed-at, count, \
                 previous), or the chain value itself; the body is as it was signed",
                Some(chain.clone()),
                headers.chain,
            ),
            (false, false) => found.add_values(
                "body",
                FaultKind::Signature,
                "the body was changed, or signed with another secret",
                Some(signature),
                headers.signature,
            ),
        }
        Some(chain)
    }

    /// Puts the batch where its headers say it belongs, and checks the links on both sides.
    fn place(
        &mut self,
        batch: &ExportedBatch,
        headers: &Headers,
        computed: Option<String>,
        found: &mut Found,
    ) {
        let index = match self.streams.iter().position(|one| one.name == headers.stream) {
            Some(index) => index,
            None => {
                self.streams.push(Stream::new(headers.stream));
                self.streams.len() - 1
            }
        };
        if headers.sequence == 1 {
            self.check_beginning(index, headers, found);
        }
        let at = Placed {
            sequence: headers.sequence,
            place: found.place,
            previous: headers.previous.to_owned(),
            chain: Ends { written: headers.chain.to_owned(), computed },
        };
        let stream = &mut self.streams[index];
        stream.take(at, found);
        if batch.acknowledged_at.is_some() && headers.sequence >= stream.acknowledged.0 {
            stream.acknowledged = (headers.sequence, headers.chain.to_owned());
        }
    }

    /// The first batch of a stream begins from nothing, from what the auditor knows, or from the last batch
    /// of the stream before that the sink has: a new stream replaces one whose database was rolled back.
    fn check_beginning(&self, index: usize, headers: &Headers, found: &mut Found) {
        let is_known = headers.previous == FIRST_PREVIOUS
            || self.bounds.after.as_deref() == Some(headers.previous)
            || self.streams[..index].iter().any(|one| one.ends_with(headers.previous));
        if !is_known {
            found.add_values(
                PREVIOUS,
                FaultKind::Link,
                "the stream goes on from a batch that no earlier stream of this export ends with",
                None,
                headers.previous,
            );
        }
    }

    /// What is missing, now that everything was read.
    pub fn finish(mut self) -> (Vec<Fault>, Report) {
        let mut faults = Vec::new();
        for stream in &self.streams {
            stream.missing(self.bounds.after.as_deref(), &mut faults);
            let ends = stream.runs.first().zip(stream.runs.last());
            self.report.ranges.extend(ends.map(|(first, last)| Range {
                stream: stream.name.clone(),
                first: first.first.sequence,
                last: last.last,
            }));
        }
        if let Some(until) = &self.bounds.until
            && self.report.last_chain.as_ref() != Some(until)
        {
            faults.push(Fault {
                place: 0,
                stream: String::new(),
                sequence: None,
                part: "",
                kind: FaultKind::Tail,
                problem: "it does not end with the batch it should end with".into(),
                expected: Some(until.clone()),
                found: self.report.last_chain.clone(),
            });
        }
        self.report.faults += faults.len() as u64;
        (faults, self.report)
    }
}

const SIGNATURE: &str = "x-audit-signature";
const STREAM: &str = "x-audit-stream";
const SEQUENCE: &str = "x-audit-sequence";
const KEY_ID: &str = "x-audit-key-id";
const SEALED_AT: &str = "x-audit-sealed-at";
const COUNT: &str = "x-audit-count";
const PREVIOUS: &str = "x-audit-previous";
const CHAIN: &str = "x-audit-chain";
const WEBHOOK_ID: &str = "webhook-id";
const NAMES: [&str; 9] =
    [SIGNATURE, STREAM, SEQUENCE, KEY_ID, SEALED_AT, COUNT, PREVIOUS, CHAIN, WEBHOOK_ID];

/// The faults of one batch.
struct Found {
    place: u64,
    stream: String,
    sequence: Option<u64>,
    faults: Vec<Fault>,
}

impl Found {
    fn new(place: u64, batch: &ExportedBatch) -> Self {
        let stream = batch.headers.get(STREAM).cloned().unwrap_or_default();
        let sequence = batch.headers.get(SEQUENCE).and_then(|text| text.parse().ok());
        Self { place, stream, sequence, faults: Vec::new() }
    }

    fn add(&mut self, part: &'static str, kind: FaultKind, problem: impl Into<String>) {
        self.faults.push(Fault {
            place: self.place,
            stream: self.stream.clone(),
            sequence: self.sequence,
            part,
            kind,
            problem: problem.into(),
            expected: None,
            found: None,
        });
    }

    fn add_values(
        &mut self,
        part: &'static str,
        kind: FaultKind,
        problem: impl Into<String>,
        expected: Option<String>,
        found: &str,
    ) {
        self.add(part, kind, problem);
        if let Some(last) = self.faults.last_mut() {
            last.expected = expected;
            last.found = Some(found.to_owned());
        }
    }
}

/// The headers of a sealed batch, each in the one way it is written.
struct Headers<'a> {
    signature: &'a str,
    stream: &'a str,
    sequence: u64,
    key_id: &'a str,
    sealed_at: Timestamp,
    count: usize,
    previous: &'a str,
    chain: &'a str,
}

impl<'a> Headers<'a> {
    fn read(batch: &'a ExportedBatch, found: &mut Found) -> Option<Self> {
        for name in batch.headers.keys().filter(|name| !NAMES.contains(&name.as_str())) {
            let problem = format!("\"{}\" is not a header of a sealed batch", printable(name));
            found.add("", FaultKind::Header, problem);
        }
        let mut get = |name: &'static str| -> Option<&'a str> {
            let value = batch.headers.get(name).map(String::as_str);
            if value.is_none() {
                found.add(name, FaultKind::Header, "is missing");
            }
            value
        };
        let [signature, stream, sequence, key_id, sealed_at, count, previous, chain, webhook_id] =
            NAMES.map(&mut get);
        let mut checked = |name: &'static str, value: Option<&'a str>, good: fn(&str) -> bool| {
            let value = value?;
            if good(value) {
                return Some(value);
            }
            found.add_values(name, FaultKind::Header, "is not written as it must be", None, value);
            None
        };
        let signature = checked(SIGNATURE, signature, is_hex_64);
        let stream = checked(STREAM, stream, is_stream);
        let sequence = checked(SEQUENCE, sequence, |text| {
            text.parse::<u64>().is_ok_and(|number| number >= 1 && number.to_string() == text)
        });
        let key_id = checked(KEY_ID, key_id, |text| !text.is_empty() && !text.contains('\n'));
        let sealed_at = checked(SEALED_AT, sealed_at, |text| {
            Timestamp::parse(text).is_ok_and(|moment| moment.to_string() == text)
        });
        let count = checked(COUNT, count, |text| {
            text.parse::<usize>().is_ok_and(|number| number.to_string() == text)
        });
        let previous = checked(PREVIOUS, previous, is_hex_64);
        let chain = checked(CHAIN, chain, is_hex_64);
        let headers = Self {
            signature: signature?,
            stream: stream?,
            sequence: sequence?.parse().ok()?,
            key_id: key_id?,
            sealed_at: Timestamp::parse(sealed_at?).ok()?,
            count: count?.parse().ok()?,
            previous: previous?,
            chain: chain?,
        };
        let own_id = format!("{}-{}", headers.stream, headers.sequence);
        if let Some(webhook_id) = webhook_id.filter(|id| *id != own_id) {
            found.add_values(
                WEBHOOK_ID,
                FaultKind::Header,
                "does not name this stream and sequence",
                Some(own_id),
                webhook_id,
            );
        }
        Some(headers)
    }
}

fn is_hex_64(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_stream(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Checks the body's form and returns how many entries it has.
fn check_body(batch: &ExportedBatch, headers: Option<&Headers>, found: &mut Found) -> u64 {
    let entries: Vec<AuditEntry> = match serde_json::from_str(&batch.body) {
        Ok(entries) => entries,
        Err(error) => {
            let problem = format!("is not a list of audit entries: {error}");
            found.add("body", FaultKind::Body, printable_line(&problem));
            return 0;
        }
    };
    if entries.len() > ENTRIES_MAX {
        let problem = format!("has {} entries, more than {ENTRIES_MAX}", entries.len());
        found.add("body", FaultKind::Body, problem);
    }
    if entries.iter().any(|entry| !entry.elapsed_seconds.is_finite() || entry.elapsed_seconds < 0.0)
    {
        found.add("body", FaultKind::Body, "has an entry with a negative time");
    }
    if let Some(headers) = headers
        && headers.count != entries.len()
    {
        found.add_values(
            COUNT,
            FaultKind::Count,
            "does not count the entries of the body",
            Some(entries.len().to_string()),
            &headers.count.to_string(),
        );
    }
    entries.len() as u64
}

fn printable_line(text: &str) -> String {
    text.chars().take(200).flat_map(char::escape_debug).collect()
}

/// A batch's chain value: as its header has it, and as the secret gives it. A link to either is good: where
/// they differ, the batch itself was reported.
#[derive(Clone)]
struct Ends {
    written: String,
    computed: Option<String>,
}

impl Ends {
    fn is(&self, chain: &str) -> bool {
        self.written == chain || self.computed.as_deref() == Some(chain)
    }
}

/// A batch that is being put in its place.
#[derive(Clone)]
struct Placed {
    sequence: u64,
    place: u64,
    previous: String,
    chain: Ends,
}

/// Batches without a gap between them.
struct Run {
    first: Placed,
    last: u64,
    last_chain: Ends,
}

/// What is remembered of a stream: its runs, one unless something is missing or out of place.
struct Stream {
    name: String,
    runs: Vec<Run>,
    /// The sequence the next batch is expected to follow.
    at: u64,
    /// A batch that came too early, and the sequence that was expected to be followed before it came.
    early: Option<(Placed, u64)>,
    acknowledged: (u64, String),
}

impl Stream {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            runs: Vec::new(),
            at: 0,
            early: None,
            acknowledged: (0, String::new()),
        }
    }

    fn ends_with(&self, chain: &str) -> bool {
        self.acknowledged.1 == chain || self.runs.last().is_some_and(|run| run.last_chain.is(chain))
    }

    fn take(&mut self, batch: Placed, found: &mut Found) {
        let sequence = batch.sequence;
        let after = self.runs.partition_point(|run| run.first.sequence <= sequence);
        if let Some(run) = self.runs[..after].last()
            && sequence <= run.last
        {
            let is_last = sequence == run.last;
            let problem = if is_last && run.last_chain.written == batch.chain.written {
                "the same batch stands here again"
            } else if is_last {
                "another batch with this sequence stands before it"
            } else {
                "a batch with this sequence stands before it"
            };
            found.add(SEQUENCE, FaultKind::Repeat, problem);
            return;
        }
        self.check_order(&batch, found);
        // Joins the run that ends before it, the one that begins after it, both or none.
        let extends = after.checked_sub(1).filter(|before| self.runs[*before].last + 1 == sequence);
        let index = match extends {
            Some(before) => {
                let run = &mut self.runs[before];
                check_link(&run.last_chain, &batch, &self.name, found);
                run.last = sequence;
                run.last_chain = batch.chain.clone();
                before
            }
            None => {
                let last_chain = batch.chain.clone();
                self.runs.insert(after, Run { first: batch, last: sequence, last_chain });
                after
            }
        };
        let touches =
            self.runs.get(index + 1).is_some_and(|next| next.first.sequence == sequence + 1);
        if touches {
            let next = self.runs.remove(index + 1);
            let run = &mut self.runs[index];
            check_link(&run.last_chain, &next.first, &self.name, found);
            run.last = next.last;
            run.last_chain = next.last_chain;
        }
        if self.at == sequence {
            self.at = self.runs[index].last;
        }
    }

    /// A batch that skips ahead is either in the wrong place or stands after a gap: the next one tells.
    fn check_order(&mut self, batch: &Placed, found: &mut Found) {
        let sequence = batch.sequence;
        let early = self.early.take();
        if self.runs.is_empty() || sequence == self.at + 1 {
            self.at = sequence;
        } else if sequence > self.at {
            self.early = Some((batch.clone(), self.at));
            self.at = sequence;
        } else if let Some((early, before)) = early
            && sequence > before
        {
            let problem = format!("stands before sequence {sequence}");
            found.faults.push(out_of_place(&self.name, &early, problem));
            self.early = (sequence != before + 1).then(|| (batch.clone(), before));
            self.at = sequence;
        } else {
            let problem = format!("stands after sequence {}", self.at);
            found.faults.push(out_of_place(&self.name, batch, problem));
        }
    }

    fn missing(&self, after: Option<&str>, faults: &mut Vec<Fault>) {
        let fault = |at: &Placed, kind, problem| Fault {
            place: at.place,
            stream: self.name.clone(),
            sequence: Some(at.sequence),
            part: SEQUENCE,
            kind,
            problem,
            expected: None,
            found: None,
        };
        if let Some(run) = self.runs.first()
            && run.first.sequence > 1
            && after != Some(run.first.previous.as_str())
        {
            let missing = sequences(1, run.first.sequence - 1);
            let problem = format!("{missing} missing before it, at the beginning of the stream");
            faults.push(fault(&run.first, FaultKind::Head, problem));
        }
        for pair in self.runs.windows(2) {
            let missing = sequences(pair[0].last + 1, pair[1].first.sequence - 1);
            let problem = format!("{missing} missing before it");
            faults.push(fault(&pair[1].first, FaultKind::Gap, problem));
        }
    }
}

fn out_of_place(stream: &str, batch: &Placed, problem: String) -> Fault {
    Fault {
        place: batch.place,
        stream: stream.to_owned(),
        sequence: Some(batch.sequence),
        part: SEQUENCE,
        kind: FaultKind::Order,
        problem,
        expected: None,
        found: None,
    }
}

fn check_link(before: &Ends, batch: &Placed, stream: &str, found: &mut Found) {
    if !before.is(&batch.previous) {
        found.faults.push(Fault {
            place: batch.place,
            stream: stream.to_owned(),
            sequence: Some(batch.sequence),
            part: PREVIOUS,
            kind: FaultKind::Link,
            problem: "does not name the batch before it".into(),
            expected: Some(before.written.clone()),
            found: Some(batch.previous.clone()),
        });
    }
}

fn sequences(first: u64, last: u64) -> String {
    if first == last {
        format!("sequence {first} is")
    } else {
        format!("sequences {first} to {last} are")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Headers of a chain whose values only have the right form: nothing is signed here.
    fn batch(stream: &str, sequence: u64, previous: &str, acknowledged: bool) -> ExportedBatch {
        let header = |name: &str, value: String| (name.to_owned(), value);
        ExportedBatch {
            headers: BTreeMap::from([
                header(SIGNATURE, "a".repeat(64)),
                header(STREAM, stream.into()),
                header(SEQUENCE, sequence.to_string()),
                header(KEY_ID, "k1".into()),
                header(SEALED_AT, "2026-11-22T10:00:05.250Z".into()),
                header(COUNT, "0".into()),
                header(PREVIOUS, previous.into()),
                header(CHAIN, chain(stream, sequence)),
                header(WEBHOOK_ID, format!("{stream}-{sequence}")),
            ]),
            body: "[]".into(),
            acknowledged_at: acknowledged.then(|| Timestamp::from_unix_ms(1)),
        }
    }

    fn chain(stream: &str, sequence: u64) -> String {
        format!("{:0>64x}", sequence * 1000 + stream.len() as u64)
    }

    fn run(batches: &[ExportedBatch]) -> (Vec<Fault>, Report) {
        let mut verifier = Verifier::new(None, Bounds::default());
        let mut faults: Vec<Fault> =
            batches.iter().flat_map(|batch| verifier.check(batch)).collect();
        let (rest, report) = verifier.finish();
        faults.extend(rest);
        (faults, report)
    }

    fn stream(name: &str, first_previous: &str, acknowledged: &[bool]) -> Vec<ExportedBatch> {
        let mut previous = first_previous.to_owned();
        let mut batches = Vec::new();
        for (acknowledged, sequence) in acknowledged.iter().zip(1..) {
            batches.push(batch(name, sequence, &previous, *acknowledged));
            previous = chain(name, sequence);
        }
        batches
    }

    #[test]
    fn a_new_stream_goes_on_from_the_last_acknowledged_batch_or_the_end() {
        let old = stream("a", FIRST_PREVIOUS, &[true, true, false]);
        for (previous, is_good) in [
            (chain("a", 2), true),
            (chain("a", 3), true),
            (FIRST_PREVIOUS.to_owned(), true),
            (chain("a", 1), false),
            (chain("elsewhere", 1), false),
        ] {
            let mut both = old.clone();
            both.extend(stream("bb", &previous, &[true]));
            let (faults, report) = run(&both);
            assert_eq!(faults.is_empty(), is_good, "{faults:?}");
            assert!(faults.iter().all(|one| one.place == 4 && one.kind == FaultKind::Link));
            assert_eq!(report.ranges.len(), 2);
        }
    }

    #[test]
    fn each_header_has_one_way_to_be_written() {
        for (name, value) in [
            (SEQUENCE, "01"),
            (SEQUENCE, "0"),
            (SEQUENCE, "+1"),
            (SEALED_AT, "2026-11-22T10:00:05.25Z"),
            (SEALED_AT, "2026-11-22T11:00:05.250+01:00"),
            (COUNT, "00"),
            (CHAIN, "AB"),
            (STREAM, "a b"),
            (KEY_ID, ""),
        ] {
            let mut batch = batch("a", 1, FIRST_PREVIOUS, true);
            batch.headers.insert(name.into(), value.into());
            let (faults, _) = run(&[batch]);
            let found = faults.iter().any(|one| one.part == name && one.kind == FaultKind::Header);
            assert!(found, "{name}: {value}");
        }
        let mut odd = batch("a", 1, FIRST_PREVIOUS, true);
        odd.headers.insert("x-audit-\u{1b}[31m".into(), String::new());
        let text = run(&[odd]).0[0].to_string();
        assert!(text.contains("is not a header") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_body_is_a_list_of_entries_and_nothing_else() {
        for body in ["", "{}", "[1]", r#"[{"timestamp":"2026-11-22T10:00:00Z"}]"#, "[] ]"] {
            let mut batch = batch("a", 1, FIRST_PREVIOUS, true);
            batch.body = body.into();
            let faults = run(&[batch]).0;
            assert_eq!(faults[0].kind, FaultKind::Body, "{body}");
        }
    }
}
