//! What `cargo xtask bench store|memory|restart` runs: the store and the proxy as they are shipped, measured from
//! outside, each figure beside its limit from the same run. `serve` is the proxy itself, for the measured process.

use anyhow::{Context, Result, bail};
use clap::Parser;
use proxy::command::Cli;
use proxy::store::sqlite::{Sqlite, path_in};
use proxy::store::{Accepted, NewSubmission, Store};
use shared::channel::Channel;
use shared::delivery::Delivery;
use shared::id::{ConnectionName, ConversationId, Key, MessageId, SubmissionId};
use shared::payload::Payload;
use shared::time::Timestamp;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;

/// Rounds of the store's figures, one of each kind after the other.
const ROUNDS: usize = 7;
const SINGLE: u64 = 300;
const CONCURRENT: u64 = 6400;
const CALLERS: u64 = 64;
/// One page, the least that SQLite writes.
const RECORD: usize = 4096;
/// Nothing listens there, so every message stays queued.
const SETTINGS: &str = "[connections.main]\ndialect = \"guide\"\napi_url = \"http://127.0.0.1:9\"\n\
    login_url = \"http://127.0.0.1:9\"\nclient_id = \"bench\"\nclient_secret = \"not-a-secret\"\n";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("bench: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = match words.get(1).map(String::as_str) {
        Some("serve") => {
            let _ = rustls::crypto::ring::default_provider().install_default();
            return runtime.block_on(Cli::parse_from(words).run(&[])).into();
        }
        Some("store") => runtime.block_on(store()),
        Some("memory") => runtime.block_on(memory(count(&words, 1_000_000))),
        Some("restart") => runtime.block_on(restart(count(&words, 100_000))),
        _ => Err(anyhow::anyhow!("say store, memory [MESSAGES], restart [MESSAGES] or serve")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn count(words: &[String], usual: u64) -> u64 {
    words.get(2).and_then(|word| word.parse().ok()).unwrap_or(usual)
}

/// Message `number` of a run into one of `conversations`.
fn submission(number: u64, conversations: u64) -> Result<NewSubmission> {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::from_unix_ms(i64::try_from(elapsed.as_millis())?);
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    let conversation = number % conversations;
    Ok(NewSubmission {
        owner: "local".into(),
        key: Key::parse(&format!("bench-{number:030}"))?,
        fingerprint: [7; 32],
        id: SubmissionId::new(now, random),
        message_id: MessageId::new(now, random),
        connection: ConnectionName::parse("main")?,
        conversation_id: ConversationId::parse(&format!(
            "00000000-0000-4000-8000-{conversation:012}"
        ))?,
        channel: Channel::Sms,
        payload: Payload {
            from: "+447700900100".into(),
            to: vec!["+447700900141".into()],
            content_type: "text/plain".into(),
            content: format!("Message {number}: your parcel is out for delivery today.").into(),
            attachments: Vec::new(),
        },
        delivery: Delivery::accepted(now, None, None, 10_000, true),
        audit_backlog_max: Some(1_000_000),
        resend: None,
    })
}

async fn accept(store: &dyn Store, number: u64, conversations: u64) -> Result<()> {
    match store.accept_submission(submission(number, conversations)?).await? {
        Accepted::New(_) => Ok(()),
        other => bail!("message {number} was not accepted: {other:?}"),
    }
}

/// Accepts messages from so many callers at once.
async fn accept_many(
    store: &Arc<dyn Store>,
    numbers: std::ops::Range<u64>,
    callers: u64,
    conversations: u64,
) -> Result<()> {
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let store = Arc::clone(store);
        let mine = (numbers.start + caller..numbers.end).step_by(usize::try_from(callers)?);
        tasks.spawn(async move {
            for number in mine {
                accept(store.as_ref(), number, conversations).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// Time of each append of one record that is synced to the disk before the next.
fn appends(path: &Path) -> Result<Vec<Duration>> {
    let mut file = File::create(path)?;
    let record = vec![7; RECORD];
    (0..SINGLE)
        .map(|_| {
            let begun = Instant::now();
            file.write_all(&record)?;
            file.sync_data()?;
            Ok(begun.elapsed())
        })
        .collect()
}

async fn store() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&folder.path().join("store.sqlite"))?);
    let (mut append_p50, mut accept_p50, mut append_rate, mut accept_rate) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut latency_ratio, mut rate_ratio) = (Vec::new(), Vec::new());
    let mut next = 0;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let appended = median_of(appends(&folder.path().join("appends"))?);
        let one_sync_each = per_second(SINGLE, begun.elapsed());
        let mut accepted = Vec::new();
        for number in next..next + SINGLE {
            let begun = Instant::now();
            accept(store.as_ref(), number, 1000).await?;
            accepted.push(begun.elapsed());
        }
        next += SINGLE;
        let accepted = median_of(accepted);
        let begun = Instant::now();
        accept_many(&store, next..next + CONCURRENT, CALLERS, 1000).await?;
        let together = per_second(CONCURRENT, begun.elapsed());
        next += CONCURRENT;
        latency_ratio.push(accepted.as_secs_f64() / appended.as_secs_f64());
        rate_ratio.push(together / one_sync_each);
        append_p50.push(micros(appended));
        accept_p50.push(micros(accepted));
        append_rate.push(one_sync_each);
        accept_rate.push(together);
    }
    store.close().await;
    println!(
        "{ROUNDS} rounds, medians; {SINGLE} single calls and {CONCURRENT} by {CALLERS} callers each"
    );
    row("append + fdatasync, p50", &format!("{:.0} µs", median(append_p50)), "");
    row("accept with one caller, p50", &format!("{:.0} µs", median(accept_p50)), "");
    row("accept ÷ append + fdatasync", &format!("{:.2}", median(latency_ratio)), "at most 2");
    row("one fdatasync each", &format!("{:.0} /s", median(append_rate)), "");
    row("accepts with 64 callers", &format!("{:.0} /s", median(accept_rate)), "");
    row("accepts ÷ one fdatasync each", &format!("{:.1}", median(rate_ratio)), "at least 8");
    Ok(())
}

/// A data folder with so many messages that are to be sent.
async fn fill(data: &Path, messages: u64) -> Result<Duration> {
    #[cfg(unix)]
    fs::set_permissions(data, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&path_in(data))?);
    let begun = Instant::now();
    accept_many(&store, 0..messages, 256, messages.div_ceil(100)).await?;
    store.close().await;
    Ok(begun.elapsed())
}

/// A proxy on a data folder, serving; and how long that took.
struct Serving {
    child: Child,
    address: String,
    token: String,
    ready: Duration,
}

impl Serving {
    fn start(folder: &Path) -> Result<Self> {
        let settings = folder.join("waybill.toml");
        fs::write(&settings, SETTINGS)?;
        #[cfg(unix)]
        fs::set_permissions(&settings, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let begun = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.join("data"))
            .arg("--config")
            .arg(&settings)
            .stdout(Stdio::piped())
            .stderr(File::create(folder.join("serve.log"))?)
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("stdout is piped")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let ready = begun.elapsed();
        let link = line.trim().trim_start_matches("http://").split_once("/#token=");
        let (address, token) = link.context("the proxy printed no link")?;
        let (address, token) = (address.to_owned(), token.to_owned());
        Ok(Self { child, address, token, ready })
    }

    /// Bytes of an answer that must be 200.
    fn get(&self, path: &str) -> Result<usize> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
            self.address, self.token
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        if !answer.starts_with(b"HTTP/1.1 200") {
            bail!("{path}: {}", String::from_utf8_lossy(&answer[..answer.len().min(200)]));
        }
        Ok(answer.len())
    }

    /// What the system says of the process's memory, in MiB: `VmRSS` now, `VmHWM` at most so far.
    fn memory(&self, what: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(what)).context("no memory")?;
        let kib: f64 = line.trim_matches([':', '\t', ' ']).trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

async fn memory(messages: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    fs::create_dir(&data)?;
    let filled = fill(&data, messages).await?;
    let bytes = fs::metadata(path_in(&data))?.len();
    let serving = Serving::start(folder.path())?;
    let mut most: f64 = 0.0;
    let mut slowest = Vec::new();
    let paths = [
        "/metrics",
        "/readyz",
        "/api/v1/messages?limit=200",
        "/api/v1/messages/counts",
        "/api/v1/messages?q=nobody",
        "/api/v1/sla",
    ];
    for path in paths.iter().cycle().take(3 * paths.len()) {
        let begun = Instant::now();
        serving.get(path)?;
        slowest.push((*path, begun.elapsed()));
        most = most.max(serving.memory("VmRSS")?);
        std::thread::sleep(Duration::from_secs(1));
    }
    println!("{messages} queued messages, {:.0} MB of database", bytes as f64 / 1e6);
    row("accepted through the store", &format!("{:.0} /s", per_second(messages, filled)), "");
    row("start to ready", &format!("{:.2} s", serving.ready.as_secs_f64()), "");
    row("resident set now", &format!("{:.0} MiB", serving.memory("VmRSS")?), "");
    row(
        "resident set at most",
        &format!("{:.0} MiB", serving.memory("VmHWM")?.max(most)),
        "at most 256",
    );
    for path in paths {
        let times = slowest.iter().filter(|(other, _)| *other == path).map(|(_, time)| *time);
        let time = median_of(times.collect());
        row(&format!("GET {path}"), &format!("{:.1} ms", micros(time) / 1000.0), "");
    }
    serving.kill()
}

async fn restart(messages: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    fs::create_dir(&data)?;
    fill(&data, messages).await?;
    let bytes = fs::metadata(path_in(&data))?.len();
    let mut times = Vec::new();
    for round in 0..=ROUNDS {
        let serving = Serving::start(folder.path())?;
        // The first start makes what every later one finds.
        if round > 0 {
            times.push(serving.ready);
        }
        // Killed, so that the next start recovers.
        std::thread::sleep(Duration::from_secs(1));
        serving.kill()?;
    }
    println!(
        "{messages} pending messages, {:.0} MB of database, {ROUNDS} starts after SIGKILL",
        bytes as f64 / 1e6
    );
    let slowest = times.iter().max().copied().unwrap_or_default();
    row("start to ready, median", &format!("{:.2} s", median_of(times).as_secs_f64()), "at most 2");
    row("start to ready, slowest", &format!("{:.2} s", slowest.as_secs_f64()), "");
    Ok(())
}

fn row(what: &str, figure: &str, limit: &str) {
    println!("  {what:<34} {figure:>12}  {limit}");
}

fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn median_of(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
