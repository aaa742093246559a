//! The audit from sealing to the auditor. A chain of 10,000 batches in which every change is found at its
//! place, and a sink that answers whatever a test wants: the same bytes come again, in order, and none is
//! dropped. Rows are of the list of bad inputs.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test would")]

use proxy::audit::{self, HmacSigner, Keyring, Place};
use proxy::clock;
use proxy::config::{self, Flags};
use proxy::engine::Sink;
use proxy::platform::{Guard, http};
use proxy::store::sqlite::Sqlite;
use proxy::store::{SealWhen, Signer, Store};
use proxy::worker::ship::{Schedule, ship_next};
use secrecy::SecretString;
use shared::api::{AuditBatch, ExportedBatch, Page, Shipping};
use shared::audit::verify::{Bounds, Fault, FaultKind, Keys, Report, Verifier};
use shared::audit::{AuditEntry, FIRST_PREVIOUS};
use shared::id::ConnectionName;
use shared::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const SECRET: &str = "audit-secret-0123456789abcdef-0123456789";
const NEWER: &str = "newer-secret-0123456789abcdef-0123456789";

fn signer(key_id: &str, secret: &str) -> HmacSigner {
    HmacSigner::new(key_id.into(), &SecretString::from(secret)).unwrap()
}

fn keyring(keys: &[(&str, &str)]) -> Keyring {
    let mut keyring = Keyring::default();
    for (key_id, secret) in keys {
        keyring.add(Some((*key_id).to_owned()), &SecretString::from(*secret));
    }
    keyring
}

fn entry(number: u64) -> Vec<u8> {
    let entry = AuditEntry {
        timestamp: Timestamp::from_unix_ms(1_795_341_600_000),
        message_id: format!("m-{number}"),
        sender: "agent@genesys.cloud".into(),
        receiver: "customer@example.com".into(),
        status: "delivered".into(),
        elapsed_seconds: 1.5,
        sla_violation: false,
    };
    entry.to_bytes().unwrap()
}

/// A batch made by what seals, exported as the store exports.
fn batch(signer: &dyn Signer, place: Place, entries: &[Vec<u8>]) -> ExportedBatch {
    let now = Timestamp::from_unix_ms(1_795_341_605_000);
    let sealed = audit::seal(signer, place, entries.iter().map(Vec::as_slice), now);
    let header = |name: &str, value: String| (name.to_owned(), value);
    ExportedBatch {
        headers: BTreeMap::from([
            header("x-audit-signature", sealed.signature),
            header("x-audit-stream", place.stream.into()),
            header("x-audit-sequence", place.sequence.to_string()),
            header("x-audit-key-id", signer.key_id().into()),
            header("x-audit-sealed-at", now.to_string()),
            header("x-audit-count", entries.len().to_string()),
            header("x-audit-previous", place.previous.into()),
            header("x-audit-chain", sealed.chain),
            header("webhook-id", format!("{}-{}", place.stream, place.sequence)),
        ]),
        body: String::from_utf8(sealed.body).unwrap(),
        acknowledged_at: Some(now),
    }
}

fn chain_of(batch: &ExportedBatch) -> &str {
    &batch.headers["x-audit-chain"]
}

fn make_chain(length: u64, entries: u64) -> Vec<ExportedBatch> {
    let signer = signer("k1", SECRET);
    let mut chain: Vec<ExportedBatch> = Vec::new();
    for sequence in 1..=length {
        let previous = chain.last().map_or(FIRST_PREVIOUS, chain_of).to_owned();
        let entries: Vec<_> = (0..entries).map(|one| entry(sequence * 100 + one)).collect();
        chain.push(batch(
            &signer,
            Place { stream: "str_a", sequence, previous: &previous },
            &entries,
        ));
    }
    chain
}

/// 10,000 batches, made once.
fn long_chain() -> Vec<ExportedBatch> {
    static CHAIN: LazyLock<Vec<ExportedBatch>> = LazyLock::new(|| make_chain(10_000, 1));
    CHAIN.clone()
}

fn check<'a>(
    keys: Option<&dyn Keys>,
    bounds: Bounds,
    batches: impl IntoIterator<Item = &'a ExportedBatch>,
) -> (Vec<Fault>, Report) {
    let mut verifier = Verifier::new(keys, bounds);
    let mut faults = Vec::new();
    for batch in batches {
        faults.extend(verifier.check(batch));
    }
    let (rest, report) = verifier.finish();
    faults.extend(rest);
    (faults, report)
}

/// Place, sequence and kind of every fault.
fn kinds(faults: &[Fault]) -> Vec<(u64, u64, FaultKind)> {
    faults.iter().map(|one| (one.place, one.sequence.unwrap_or(0), one.kind)).collect()
}

fn without_secret(batches: &[ExportedBatch]) -> Vec<(u64, u64, FaultKind)> {
    kinds(&check(None, Bounds::default(), batches).0)
}

#[test]
fn ten_thousand_untouched_batches_are_good() {
    let chain = long_chain();
    let keys = keyring(&[("k1", SECRET)]);
    let (faults, report) = check(Some(&keys), Bounds::default(), &chain);
    assert_eq!(faults, []);
    assert_eq!((report.batches, report.entries, report.unchecked), (10_000, 10_000, 0));
    let (faults, report) = check(None, Bounds::default(), &chain);
    assert_eq!(faults, []);
    assert_eq!(report.unchecked, 10_000, "and it says that it saw no signature");
}

#[test]
fn every_flipped_byte_is_found_in_its_batch() {
    let keys = keyring(&[("k1", SECRET)]);
    let chain = make_chain(3, 1);
    let mut flips = 0;
    for place in 0..chain.len() {
        let names: Vec<String> =
            chain[place].headers.keys().cloned().chain(["body".into()]).collect();
        for name in names {
            let value = chain[place].headers.get(&name).unwrap_or(&chain[place].body).clone();
            for at in 0..value.len() {
                for flip in (0..7).map(|bit| 1_u8 << bit) {
                    let mut bytes = value.clone().into_bytes();
                    bytes[at] ^= flip;
                    let Ok(changed) = String::from_utf8(bytes) else { continue };
                    let mut tampered = chain.clone();
                    match tampered[place].headers.get_mut(&name) {
                        Some(header) => *header = changed,
                        None => tampered[place].body = changed,
                    }
                    let (faults, _) = check(Some(&keys), Bounds::default(), &tampered);
                    let here = u64::try_from(place).unwrap() + 1;
                    assert!(faults.iter().any(|one| one.place == here), "{name}[{at}]: {faults:?}");
                    flips += 1;
                }
            }
        }
    }
    assert!(flips > 8_000, "{flips}");
}

#[test]
fn flips_far_inside_a_long_chain_are_found_where_they_are_and_nowhere_else() {
    let mut chain = long_chain();
    let mut change = |place: usize, name: &str, edit: fn(&str) -> String| {
        let batch = &mut chain[place - 1];
        match batch.headers.get_mut(name) {
            Some(header) => *header = edit(header),
            None => batch.body = edit(&batch.body),
        }
    };
    let swap_hex = |text: &str| text.replace(['0', '1', '2'], "3");
    change(1_000, "body", |text| text.replace("delivered", "failed"));
    change(2_000, "x-audit-signature", swap_hex);
    change(3_000, "x-audit-chain", swap_hex);
    change(4_000, "x-audit-previous", swap_hex);
    change(5_000, "x-audit-sealed-at", |text| text.replace("05.000", "05.001"));
    change(6_000, "x-audit-count", |_| "2".into());
    change(7_000, "webhook-id", |_| "str_a-7".into());
    change(8_000, "x-audit-key-id", |_| "k9".into());
    change(9_000, "x-audit-chain", |text| text.to_uppercase());
    let keys = keyring(&[("k1", SECRET)]);
    let (faults, report) = check(Some(&keys), Bounds::default(), &chain);
    use FaultKind::{Chain, Count, Gap, Header, Key, Link, Signature};
    let expected = [
        (1_000, 1_000, Signature),
        (2_000, 2_000, Signature),
        (3_000, 3_000, Chain),
        (4_000, 4_000, Chain),
        (4_000, 4_000, Link),
        (5_000, 5_000, Chain),
        (6_000, 6_000, Count),
        (6_000, 6_000, Chain),
        (7_000, 7_000, Header),
        (8_000, 8_000, Key),
        (9_000, 9_000, Header),
        // A batch whose headers cannot be read cannot take its place.
        (9_001, 9_001, Gap),
    ];
    assert_eq!(kinds(&faults), expected);
    assert_eq!(report.faults, 12);
    let text = faults[0].to_string();
    assert!(text.starts_with("batch 1000 (str_a 1000), body: the body was changed"), "{text}");
}

#[test]
fn batches_dropped_swapped_repeated_or_renumbered_are_found_without_the_secret() {
    use FaultKind::{Gap, Head, Link, Order, Repeat};
    let chain = long_chain();
    let edited = |edit: fn(&mut Vec<ExportedBatch>)| {
        let mut chain = chain.clone();
        edit(&mut chain);
        without_secret(&chain)
    };
    assert_eq!(edited(|chain| drop(chain.remove(4_999))), [(5_000, 5_001, Gap)]);
    assert_eq!(edited(|chain| drop(chain.drain(99..199))), [(100, 200, Gap)]);
    assert_eq!(edited(|chain| chain.swap(4_999, 5_000)), [(5_000, 5_001, Order)]);
    assert_eq!(
        edited(|chain| chain.swap(9, 4_999)),
        [(10, 5_000, Order), (5_000, 10, Order)],
        "both, and nothing between them"
    );
    assert_eq!(edited(|chain| chain.insert(7_000, chain[6_999].clone())), [(7_001, 7_000, Repeat)]);
    assert_eq!(edited(|chain| chain.insert(7_000, chain[10].clone())), [(7_001, 11, Repeat)]);
    assert_eq!(edited(|chain| drop(chain.drain(..41))), [(1, 42, Head)]);
    // Renumbered with everything that names its number: its old place is empty, its new one taken twice.
    let renumber = |batch: &mut ExportedBatch, sequence: u64| {
        batch.headers.insert("x-audit-sequence".into(), sequence.to_string());
        batch.headers.insert("webhook-id".into(), format!("str_a-{sequence}"));
    };
    let mut renumbered = chain.clone();
    renumber(&mut renumbered[4], 7);
    let found = without_secret(&renumbered);
    assert!(found.contains(&(5, 7, Order)) && found.contains(&(7, 7, Repeat)), "{found:?}");
    let mut shifted = chain.clone();
    for (batch, sequence) in shifted[4_999..].iter_mut().zip(5_001..) {
        renumber(batch, sequence);
    }
    assert_eq!(without_secret(&shifted), [(5_000, 5_001, Gap)]);
    // Dropped and closed up: the link is what tells.
    let mut closed = chain.clone();
    closed.remove(4_999);
    for (batch, sequence) in closed[4_999..].iter_mut().zip(5_000..) {
        renumber(batch, sequence);
    }
    assert_eq!(without_secret(&closed), [(5_000, 5_000, Link)]);
    // And relinked too: only the secret tells.
    let before = chain_of(&closed[4_998]).to_owned();
    closed[4_999].headers.insert("x-audit-previous".into(), before);
    assert_eq!(without_secret(&closed), []);
    let keys = keyring(&[("k1", SECRET)]);
    let faults = check(Some(&keys), Bounds::default(), &closed[..5_002]).0;
    assert_eq!(faults[0].place, 5_000);
    assert_eq!(faults[0].kind, FaultKind::Chain);
}

#[test]
fn a_cut_tail_is_seen_only_by_who_knows_the_head() {
    let chain = long_chain();
    let cut = &chain[..9_990];
    let keys = keyring(&[("k1", SECRET)]);
    let (faults, report) = check(Some(&keys), Bounds::default(), &chain[..100]);
    assert_eq!((faults, report.batches), (vec![], 100), "nothing in the export can show it");
    assert_eq!(without_secret(cut), []);
    let bounds = Bounds { until: Some(chain_of(&chain[9_999]).to_owned()), after: None };
    let faults = check(None, bounds.clone(), cut).0;
    assert_eq!(kinds(&faults), [(0, 0, FaultKind::Tail)]);
    assert_eq!(check(None, bounds, &chain).0, []);
    // A check that goes on where the last one ended.
    let after = Bounds { after: Some(chain_of(&chain[41]).to_owned()), until: None };
    assert_eq!(check(None, after, &chain[42..]).0, []);
}

#[test]
fn a_change_of_keys_is_one_sequence_and_needs_both_secrets() {
    let (older, newer) = (signer("k1", SECRET), signer("k2", NEWER));
    let mut chain: Vec<ExportedBatch> = Vec::new();
    for sequence in 1..=4 {
        let previous = chain.last().map_or(FIRST_PREVIOUS, chain_of).to_owned();
        let signer = if sequence < 3 { &older } else { &newer };
        let place = Place { stream: "str_a", sequence, previous: &previous };
        chain.push(batch(signer, place, &[entry(sequence)]));
    }
    let both = keyring(&[("k1", SECRET), ("k2", NEWER)]);
    let (faults, report) = check(Some(&both), Bounds::default(), &chain);
    assert_eq!(faults, []);
    assert_eq!(report.keys, BTreeMap::from([("k1".into(), 2), ("k2".into(), 2)]));
    let one = keyring(&[("k1", SECRET)]);
    let (faults, report) = check(Some(&one), Bounds::default(), &chain);
    assert_eq!(kinds(&faults), [(3, 3, FaultKind::Key), (4, 4, FaultKind::Key)]);
    assert_eq!(report.unchecked, 2);
    let crossed = keyring(&[("k1", NEWER), ("k2", SECRET)]);
    let places: Vec<u64> =
        check(Some(&crossed), Bounds::default(), &chain).0.iter().map(|one| one.place).collect();
    assert_eq!(places, [1, 2, 3, 4]);
}

/// Runs the binary with `input` on stdin; its exit code and what it printed.
fn waybill(arguments: &[&str], input: &str) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_waybill"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), text)
}

#[test]
fn the_command_says_what_is_wrong_where_and_what_it_could_not_check() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let secret = secret.to_str().unwrap();
    let chain = make_chain(5, 2);
    let lines = |batches: &[ExportedBatch]| {
        batches.iter().map(|one| serde_json::to_string(one).unwrap() + "\n").collect::<String>()
    };
    let good = lines(&chain);
    let named = format!("k1={secret}");
    for arguments in [
        ["audit", "verify", "-", "--secret-file", &named],
        ["audit", "verify", "-", "--secret-file", secret],
    ] {
        let (code, text) = waybill(&arguments, &good);
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("5 batches with 10 entries, 0 faults"), "{text}");
        assert!(text.contains("cut off at the end"), "{text}");
    }
    let last = chain_of(&chain[4]);
    let export = folder.path().join("export");
    let page = Page { items: chain.clone(), next_cursor: None };
    std::fs::write(&export, serde_json::to_string_pretty(&page).unwrap()).unwrap();
    let export = export.to_str().unwrap();
    let (code, text) = waybill(&["audit", "verify", export, "--until", last], "");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("not checked without a secret"), "{text}");
    assert!(!text.contains("cut off"), "{text}");

    let (code, text) = waybill(&["audit", "verify", "-", "--until", last], &lines(&chain[..4]));
    assert_eq!(code, 1, "{text}");
    let mut changed = chain.clone();
    changed[2].body = changed[2].body.replace("m-300", "m-999");
    let (code, text) =
        waybill(&["audit", "verify", "-", "--secret-file", secret], &lines(&changed));
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("batch 3 (str_a 3), body: the body was changed"), "{text}");
    let (code, text) = waybill(&["audit", "verify", "-"], &good[..good.len() - 40]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("cannot be read to its end") && text.contains("line 5"), "{text}");
    let unfinished = Page { items: chain, next_cursor: Some("5".into()) };
    let (code, text) =
        waybill(&["audit", "verify", "-"], &serde_json::to_string(&unfinished).unwrap());
    assert_eq!(code, 1, "{text}");

    for (arguments, input) in [
        (vec!["audit", "verify"], ""),
        (vec!["audit", "verify", "-"], "not an export"),
        (vec!["audit", "verify", "-"], ""),
        (vec!["audit", "verify", "no-such-file"], ""),
        (vec!["audit", "verify", "-", "--secret-file", "no-such-file"], &good),
        (vec!["audit", "verify", "-", "--key-id", "k1"], &good),
        (vec!["audit", "verify", "-", "--until", "short"], &good),
    ] {
        let (code, text) = waybill(&arguments, input);
        assert_eq!(code, 2, "{arguments:?}: {text}");
    }
}

#[test]
fn settings_of_the_audit_are_checked_and_their_secrets_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waybill.toml");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let flags = Flags { config: Some(path.clone()), ..Flags::default() };
        config::load(&flags, &[("HOME".into(), "home-of-a-test".into())])
            .map(|config| config.audit)
            .map_err(|problems| problems.to_string())
    };
    let defaults = load("").unwrap();
    assert_eq!((defaults.policy.heartbeat, defaults.policy.backlog_max), (None, 1_000_000));
    assert!(defaults.policy.refuses && defaults.previous.is_none());
    assert_eq!(defaults.policy.keep, seconds(90 * 24 * 60 * 60));
    let changing = load(&format!(
        "[audit]\nkey_id = \"k2\"\nsecret = \"{NEWER}\"\nprevious_key_id = \"k1\"\n\
         previous_secret = \"{SECRET}\"\non_backlog = \"warn\"\nheartbeat_seconds = 300\n"
    ))
    .unwrap();
    assert_eq!(changing.previous.unwrap().0, "k1");
    assert!(!changing.policy.refuses);
    assert_eq!(changing.policy.heartbeat, Some(seconds(300)));
    for (line, part) in [
        ("previous_key_id = \"k0\"", "audit.previous_secret: is missing"),
        ("previous_secret = \"canary\"", "audit.previous_secret: has 6 bytes"),
        ("previous_secret = \"canary\"", "audit.previous_key_id: must be"),
        ("previous_key_id = \"k1\"\nprevious_secret = \"canary\"", "must differ"),
        ("on_backlog = \"ignore\"", "neither \"refuse\" nor \"warn\""),
        ("backlog_entries = 0", "audit.backlog_entries"),
        ("heartbeat_seconds = -1", "audit.heartbeat_seconds"),
        ("keep_days = 0", "audit.keep_days"),
    ] {
        let text = load(&format!("[audit]\n{line}\n")).unwrap_err();
        assert!(text.contains(part) && !text.contains("canary"), "{line}: {text}");
    }
}

/// What the sink does with one post.
#[derive(Clone, Copy, Debug)]
enum Reply {
    /// Answers with this status, and this `Retry-After` if it is not 0.
    Status(u16, u64),
    /// Answers 409 and says what it holds.
    Holds(u64),
    /// Takes it and closes without a byte.
    Lost,
    /// Says 200 and breaks off before the body it promised.
    Reset,
    /// Says nothing for longer than anybody waits.
    Hang,
}

/// One post as the sink got it: headers by lower-case name, and the body.
type Post = (BTreeMap<String, String>, Vec<u8>);

/// A sink that follows a script and takes everything after it.
struct Scripted {
    sink: Sink,
    script: Arc<Mutex<VecDeque<Reply>>>,
    posts: Arc<Mutex<Vec<Post>>>,
}

impl Scripted {
    async fn start(script: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/audit", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(script.iter().copied().collect::<VecDeque<_>>()));
        let posts = Arc::new(Mutex::new(Vec::new()));
        let (replies, seen) = (Arc::clone(&script), Arc::clone(&posts));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (replies, seen) = (Arc::clone(&replies), Arc::clone(&seen));
                // A connection that breaks is the sender's affair.
                tokio::spawn(async move { answer(stream, &replies, &seen).await });
            }
        });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = http::client_for(&url).unwrap();
        Self { sink: Sink { guard: Guard::for_url(&url), url, client }, script, posts }
    }

    fn then(&self, reply: Reply) {
        self.script.lock().unwrap().push_back(reply);
    }

    fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap().clone()
    }
}

async fn answer(
    stream: TcpStream,
    script: &Mutex<VecDeque<Reply>>,
    posts: &Mutex<Vec<Post>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let mut headers = BTreeMap::new();
        loop {
            line.clear();
            stream.read_line(&mut line).await?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        stream.read_exact(&mut body).await?;
        let reply = script.lock().unwrap().pop_front().unwrap_or(Reply::Status(200, 0));
        posts.lock().unwrap().push((headers, body));
        let text = match reply {
            Reply::Lost => return Ok(()),
            Reply::Hang => return std::future::pending().await,
            Reply::Reset => "HTTP/1.1 200 Fine\r\nContent-Length: 10\r\n\r\n{".to_owned(),
            Reply::Holds(last) => {
                let body = format!("{{\"last_sequence\":{last}}}");
                format!("HTTP/1.1 409 No\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            }
            Reply::Status(status, wait) => {
                let wait =
                    if wait > 0 { format!("Retry-After: {wait}\r\n") } else { String::new() };
                let location = "Location: http://127.0.0.1:9/elsewhere\r\n";
                format!("HTTP/1.1 {status} Said\r\n{wait}{location}Content-Length: 0\r\n\r\n")
            }
        };
        stream.write_all(text.as_bytes()).await?;
        if matches!(reply, Reply::Reset) {
            return Ok(());
        }
    }
}

/// A store with a stream, and the schedule of a test: nothing waits for long.
struct Stream {
    store: Sqlite,
    signer: Arc<HmacSigner>,
    schedule: Schedule,
    _folder: TempDir,
}

fn connection() -> ConnectionName {
    ConnectionName::parse("main").unwrap()
}

impl Stream {
    /// With `batches` sealed heartbeats: a batch is a batch to whoever ships it.
    async fn with(batches: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("store.sqlite")).unwrap();
        let schedule = Schedule {
            timeout: Duration::from_millis(150),
            waits: vec![Duration::from_secs(5), Duration::from_secs(30)],
            stalled: Duration::from_secs(3600),
        };
        let stream =
            Self { store, signer: Arc::new(signer("k1", SECRET)), schedule, _folder: folder };
        for _ in 0..batches {
            stream.seal().await;
        }
        stream
    }

    /// Seals a batch whatever waits: its entry is written into the file beside the store.
    async fn seal(&self) -> AuditBatch {
        static NUMBER: Mutex<u64> = Mutex::new(0);
        let number = {
            let mut number = NUMBER.lock().unwrap();
            *number += 1;
            *number
        };
        let beside = rusqlite::Connection::open(self._folder.path().join("store.sqlite")).unwrap();
        beside.busy_timeout(Duration::from_secs(5)).unwrap();
        beside
            .execute(
                "INSERT INTO audit_entries (connection, message_id, receiver, ending, created_at, \
                 body) VALUES ('main', ?1, 'r', 'delivered', 1, ?2)",
                (number.to_string(), entry(number)),
            )
            .unwrap();
        let signer = Arc::clone(&self.signer);
        let sealed = self.store.seal_audit_batch(connection(), signer, SealWhen::Now, clock::now());
        sealed.await.unwrap().unwrap()
    }

    /// Posts once, as if `later` had passed; true if the sink took it.
    async fn post(&self, sink: &Scripted, later: Duration) -> bool {
        let now = clock::now().plus(later);
        let (store, signer) = (&self.store, &self.signer);
        ship_next(store, signer, &connection(), &sink.sink, &self.schedule, now, now).await.unwrap()
    }

    /// Whether anything is posted when `later` has passed.
    async fn is_due(&self, later: Duration) -> bool {
        let now = clock::now().plus(later);
        self.store.next_batch_to_ship(connection(), now).await.unwrap().is_some()
    }

    async fn listed(&self) -> Vec<AuditBatch> {
        let mut items = self.store.list_audit_batches(None, 100).await.unwrap().items;
        items.reverse();
        items
    }

    async fn exported(&self) -> Vec<ExportedBatch> {
        let batches = self.store.export_audit_batches(connection(), 0, 100).await.unwrap();
        batches.iter().map(audit::exported).collect()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What never changes of a post.
fn sealed((headers, body): &Post) -> (Vec<&str>, &[u8]) {
    let names =
        headers.iter().filter(|(name, _)| name.starts_with("x-audit-") || *name == "webhook-id");
    (names.map(|(_, value)| value.as_str()).collect(), body)
}

#[tokio::test]
async fn row_68_whatever_the_sink_does_the_same_bytes_come_again_in_order() {
    use Reply::{Hang, Lost, Reset, Status};
    let unclear = [
        Status(408, 0),
        Status(429, 0),
        Status(500, 0),
        Status(502, 0),
        Status(503, 0),
        Lost,
        Reset,
        Hang,
    ];
    let refusals = [Status(301, 0), Status(400, 0), Status(401, 0), Status(404, 0), Status(413, 0)];
    for (replies, is_refusal) in [(unclear.as_slice(), false), (refusals.as_slice(), true)] {
        for reply in replies {
            let stream = Stream::with(2).await;
            let sink = Scripted::start(&[*reply]).await;
            assert!(!stream.post(&sink, seconds(0)).await, "{reply:?}");
            let batches = stream.listed().await;
            let expected = if is_refusal { Shipping::Stalled } else { Shipping::Waiting };
            assert_eq!((batches[0].shipping, batches[0].attempts), (expected, 1), "{reply:?}");
            assert!(batches[0].problem.is_some(), "{reply:?}");
            let wait = if is_refusal { 3600 } else { 5 };
            assert!(!stream.is_due(seconds(wait - 1)).await, "{reply:?} and the second one holds");
            assert!(
                stream.post(&sink, seconds(wait)).await && stream.post(&sink, seconds(wait)).await
            );
            let posts = sink.posts();
            assert_eq!(
                posts.len(),
                3,
                "{reply:?}: nothing is followed, nothing repeated by itself"
            );
            assert_eq!(sealed(&posts[0]), sealed(&posts[1]), "{reply:?}");
            let order: Vec<_> =
                posts.iter().map(|post| post.0["x-audit-sequence"].as_str()).collect();
            assert_eq!(order, ["1", "1", "2"], "{reply:?}");
            assert!(stream.listed().await.iter().all(|one| one.shipping == Shipping::Acknowledged));
        }
    }
}

#[tokio::test]
async fn waits_grow_as_scheduled_and_are_never_shorter_than_what_the_sink_asks() {
    let stream = Stream::with(1).await;
    let sink = Scripted::start(&[Reply::Status(500, 0), Reply::Status(500, 0)]).await;
    stream.post(&sink, seconds(0)).await;
    stream.post(&sink, seconds(5)).await;
    assert!(!stream.is_due(seconds(29)).await && stream.is_due(seconds(30)).await);
    sink.then(Reply::Status(503, 600));
    stream.post(&sink, seconds(30)).await;
    assert!(!stream.is_due(seconds(599)).await);
    assert!(stream.is_due(seconds(661)).await, "and at most a tenth longer");
    // A wait shorter than the schedule's does not hurry it.
    sink.then(Reply::Status(429, 1));
    stream.post(&sink, seconds(661)).await;
    assert!(!stream.is_due(seconds(29)).await && stream.is_due(seconds(30)).await);
    assert_eq!(stream.listed().await[0].attempts, 4);
}

#[tokio::test]
async fn row_68_a_410_stops_until_a_person_resumes() {
    let stream = Stream::with(1).await;
    let sink = Scripted::start(&[Reply::Status(410, 0)]).await;
    stream.post(&sink, seconds(0)).await;
    assert!(!stream.is_due(seconds(1_000_000)).await);
    assert_eq!(stream.listed().await[0].shipping, Shipping::Stopped);
    assert!(stream.store.resume_shipping(connection(), clock::now()).await.unwrap());
    assert!(stream.post(&sink, seconds(0)).await);
}

#[tokio::test]
async fn row_68_a_409_is_a_gap_a_fork_or_a_refusal() {
    // Behind us: posted again from there.
    let stream = Stream::with(3).await;
    let sink = Scripted::start(&[]).await;
    stream.post(&sink, seconds(0)).await;
    stream.post(&sink, seconds(0)).await;
    sink.then(Reply::Holds(0));
    stream.post(&sink, seconds(0)).await;
    for _ in 0..3 {
        assert!(stream.post(&sink, seconds(5)).await);
    }
    let order: Vec<_> =
        sink.posts().iter().map(|post| post.0["x-audit-sequence"].clone()).collect();
    assert_eq!(order, ["1", "2", "3", "1", "2", "3"]);
    assert_eq!(sealed(&sink.posts()[0]), sealed(&sink.posts()[3]));

    // It has what comes before and still says no, or does not say: a person must look.
    for reply in [Reply::Holds(3), Reply::Status(409, 0)] {
        stream.seal().await;
        sink.then(reply);
        assert!(!stream.post(&sink, seconds(0)).await);
        assert_eq!(stream.listed().await.last().unwrap().shipping, Shipping::Stalled);
        stream.store.resume_shipping(connection(), clock::now()).await.unwrap();
        assert!(stream.post(&sink, seconds(0)).await);
    }
}

#[tokio::test]
async fn a_rolled_back_database_begins_a_new_stream_and_loses_no_entry() {
    let stream = Stream::with(2).await;
    let sink = Scripted::start(&[]).await;
    stream.post(&sink, seconds(0)).await;
    stream.post(&sink, seconds(0)).await;
    let (third, _) = (stream.seal().await, stream.seal().await);
    sink.then(Reply::Holds(7));
    assert!(stream.post(&sink, seconds(0)).await);
    assert!(!stream.is_due(seconds(1_000_000)).await, "the old stream is over");
    let signer = Arc::clone(&stream.signer);
    let sealed =
        stream.store.seal_audit_batch(connection(), signer, SealWhen::Now, clock::now()).await;
    assert_eq!(sealed.unwrap().unwrap().count, 2);
    assert!(stream.post(&sink, seconds(0)).await);
    let (headers, body) = sink.posts().pop().unwrap();
    assert_ne!(headers["x-audit-stream"], third.stream);
    assert_eq!(headers["x-audit-sequence"], "1");
    let listed = stream.listed().await;
    assert_eq!(headers["x-audit-previous"], listed[1].chain, "the last one both sides hold");
    use Shipping::{Acknowledged, Replaced};
    let shipping: Vec<_> = listed.iter().map(|one| one.shipping).collect();
    assert_eq!(shipping, [Acknowledged, Acknowledged, Replaced, Replaced, Acknowledged]);
    assert!(listed[2].problem.as_deref().unwrap().contains("rolled back"));
    let entries: Vec<AuditEntry> = serde_json::from_slice(&body).unwrap();
    assert_eq!(entries.len(), 2);
    let keys = keyring(&[("k1", SECRET)]);
    let (faults, report) = check(Some(&keys), Bounds::default(), &stream.exported().await);
    assert_eq!(faults, []);
    assert_eq!(report.ranges.len(), 2);
}

#[tokio::test]
async fn row_69_a_batch_stored_before_its_answer_was_lost_is_posted_again_as_it_was() {
    let stream = Stream::with(1).await;
    let sink = Scripted::start(&[Reply::Lost]).await;
    stream.post(&sink, seconds(0)).await;
    // A receiver that knows the chain value answers 200 without storing; one that says 409 instead and holds
    // just this sequence may be repeating itself, which is no proof of a rollback.
    sink.then(Reply::Holds(1));
    stream.post(&sink, seconds(5)).await;
    assert_eq!(stream.listed().await[0].shipping, Shipping::Stalled);
    assert!(stream.post(&sink, seconds(3600)).await);
    let posts = sink.posts();
    assert!(posts.iter().all(|post| sealed(post) == sealed(&posts[0])));
    assert!(posts.iter().all(|post| post.0.contains_key("webhook-signature")));
}

#[test]
fn row_70_a_value_that_would_break_a_batch_never_becomes_an_entry() {
    let odd = "a\"b\\\u{2028}\u{0}\n".repeat(10_000);
    let mut entry: AuditEntry = serde_json::from_slice(&entry(1)).unwrap();
    entry.receiver = odd.clone();
    let signer = signer("k1", SECRET);
    let place = Place { stream: "str_a", sequence: 1, previous: FIRST_PREVIOUS };
    let large = batch(&signer, place, &[entry.to_bytes().unwrap()]);
    let keys = keyring(&[("k1", SECRET)]);
    assert_eq!(check(Some(&keys), Bounds::default(), [&large]).0, []);
    let read: Vec<AuditEntry> = serde_json::from_str(&large.body).unwrap();
    assert_eq!(read[0].receiver, odd);
    for elapsed_seconds in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1] {
        assert!(AuditEntry { elapsed_seconds, ..entry.clone() }.to_bytes().is_err());
    }
}

#[tokio::test]
async fn while_keys_change_an_attempt_carries_both_signatures_and_a_batch_keeps_its_key() {
    let mut stream = Stream::with(1).await;
    let older = SecretString::from(SECRET);
    stream.signer = Arc::new(signer("k2", NEWER).with_previous(Some(&older)));
    stream.seal().await;
    let sink = Scripted::start(&[]).await;
    assert!(stream.post(&sink, seconds(0)).await && stream.post(&sink, seconds(0)).await);
    for ((headers, body), key_id) in sink.posts().iter().zip(["k1", "k2"]) {
        assert_eq!(headers["x-audit-key-id"], key_id);
        let id = &headers["webhook-id"];
        let time = headers["webhook-timestamp"].parse().unwrap();
        let (newer, older) = (signer("k2", NEWER), signer("k1", SECRET));
        let both = [newer, older].map(|one| one.webhook_signature(id, time, body)).join(" ");
        assert_eq!(headers["webhook-signature"], both);
    }
    let keys = keyring(&[("k1", SECRET), ("k2", NEWER)]);
    assert_eq!(check(Some(&keys), Bounds::default(), &stream.exported().await).0, []);
}

#[tokio::test]
async fn a_heartbeat_reaches_the_sink_as_an_empty_list_and_verifies() {
    let stream = Stream::with(0).await;
    let signer = Arc::clone(&stream.signer);
    let idle = SealWhen::IdleSince(clock::now());
    let beat = stream.store.seal_audit_batch(connection(), signer, idle, clock::now()).await;
    assert_eq!(beat.unwrap().unwrap().count, 0);
    let sink = Scripted::start(&[]).await;
    assert!(stream.post(&sink, seconds(0)).await);
    let (headers, body) = sink.posts().remove(0);
    assert_eq!((headers["x-audit-count"].as_str(), body.as_slice()), ("0", b"[]".as_slice()));
    let keys = keyring(&[("k1", SECRET)]);
    assert_eq!(check(Some(&keys), Bounds::default(), &stream.exported().await).0, []);
}
