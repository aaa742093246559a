//! The kill matrix: the real binary dies by SIGKILL right before and right after every commit and every call
//! to somebody else, is started again on the same data, and nothing may be lost, doubled or audited twice.
//!
//! The list of points is the binary's own. Each has a load that reaches it; a point that is not reached fails.
//! A few run always, all of them with `WAYBILL_FULL=1`.

use crate::program::{Differences, Letter, Program, Wish};
use serde_json::{Value, json};
use shared::simulator::{
    CLOSED_CONVERSATION, FAILING_CONVERSATION, GUIDE_CONVERSATION, NO_RECEIPTS_CONVERSATION,
    SMS_CONVERSATION,
};
use shared::time::Timestamp;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tests::audit::Batch;
use tests::sink::{Reply, Sink};
use tests::submission::key;
use tests::{Place, SandboxProcess, Waybill};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const VARIABLE: &str = "WAYBILL_FAILPOINT";
const PATIENCE: Duration = Duration::from_secs(60);
/// How soon it must serve again.
const RECOVERY_MAX: Duration = Duration::from_secs(5);
/// Most of the time is spent waiting for receipts and for a batch to be closed.
const AT_ONCE: usize = 5;
/// Parts of a full run: each is a test of its own.
const PARTS: usize = 4;

const ARRIVED: &[&str] = &["delivered", "read"];

/// The points of every run: each kind of commit and call once, at its more dangerous side.
const USUAL: [&str; 10] = [
    "T1.before_commit",
    "T1.after_commit",
    "T2.after_commit",
    "send.after_answer",
    "T3.before_commit",
    "T8.after_commit",
    "T12.before_commit",
    "T17.after_commit",
    "ship.after_answer",
    "recovery.before_commit",
];

/// What makes a point be reached.
struct Load {
    faults: Value,
    settings: &'static str,
    /// Answers of a sink of our own, in place of the platform's.
    sink: Option<&'static [Reply]>,
    special: Option<Letter>,
    /// Where the process died before it came to the point.
    first_death: Option<&'static str>,
    hit: u32,
}

impl Load {
    fn of(point: &str) -> Self {
        let mut load = Self {
            faults: json!({}),
            settings: "",
            sink: None,
            special: None,
            first_death: None,
            hit: 1,
        };
        match point.split('.').next().unwrap_or_default() {
            // Not the very first one, so that something is there to be lost. A look comes after something was sent, and
            // on a slow machine one look may see everything.
            "T1" | "T2" | "T3" | "T12" | "send" | "claim_send" => load.hit = 2,
            "T4" => {
                let rule = json!({ "next": 1, "only": "send", "retry_after": "1" });
                load.faults = json!({ "rate_429": rule });
            }
            "T5" => {
                load.special =
                    Some(Letter::new(key("shut", 0), CLOSED_CONVERSATION, &["rejected"]));
            }
            "T6" | "T8" | "claim_reconcile" => {
                load.faults = json!({ "lost_reply": { "next": 1, "only": "send" } });
            }
            "T9" | "T10" => {
                let rule = json!({ "next": 3, "only": "send", "status": 500 });
                load.faults = json!({ "rate_5xx": rule });
                load.settings = "[sending]\nattempts_max = 1\n";
                let endings = &["failed", "delivered", "read"];
                let letter = Letter::new(key("lost", 0), GUIDE_CONVERSATION, endings);
                load.special = Some(letter.wishing(Wish::GiveUp));
            }
            "T11" | "T14" => {
                load.settings = "[sending]\nhorizon_hours = 0.0012\n";
                let letter =
                    Letter::new(key("mute", 0), NO_RECEIPTS_CONVERSATION, &["undelivered"]);
                load.special = Some(letter);
            }
            "T15" | "claim_expire" => {
                // Behind one that takes long, it cannot be sent in time.
                let rule = json!({ "percent": 100, "ms": 3000, "only": "send" });
                load.faults = json!({ "latency": rule });
                let letter = Letter::new(key("late", 0), GUIDE_CONVERSATION, &["expired"]);
                load.special = Some(letter.with("expires_at", json!(in_ms(1500))));
            }
            "not_shipped" => load.sink = Some(&[Reply::Lost]),
            "recovery" => load.first_death = Some("T2.after_commit"),
            _ => {}
        }
        load
    }

    /// Two conversations with two messages each, one that fails, one that is withdrawn, and the special one.
    fn program(self) -> Program {
        let hour = json!(in_ms(3_600_000));
        let withdrawn = Letter::new(key("back", 0), SMS_CONVERSATION, &["cancelled"]);
        let mut program = Program::default();
        program.add(Letter::new(key("guide", 0), GUIDE_CONVERSATION, ARRIVED));
        self.special.into_iter().for_each(|letter| program.add(letter));
        program.add(Letter::new(key("guide", 1), GUIDE_CONVERSATION, ARRIVED));
        program.add(withdrawn.with("not_before", hour).wishing(Wish::Withdraw));
        program.add(Letter::new(key("sms", 0), SMS_CONVERSATION, ARRIVED));
        program.add(Letter::new(key("sms", 1), SMS_CONVERSATION, ARRIVED));
        program.add(Letter::new(key("fails", 0), FAILING_CONVERSATION, &["failed"]));
        program
    }
}

fn in_ms(ms: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_millis();
    let now = i64::try_from(now).expect("it is before the year 292 million");
    Timestamp::from_unix_ms(now + ms).to_string()
}

/// Every point the binary has.
async fn points() -> Vec<String> {
    let mut place = Place::new();
    place.set(VARIABLE, "?");
    let ended = place.run(&["config", "check"]).await;
    assert_eq!(ended.code, Some(2), "not a debug build: {ended:?}");
    ended.stderr.lines().skip(1).map(str::to_owned).collect()
}

/// Starts the proxy so that it dies at `point`.
async fn serve_armed(place: &Place, point: &str, hit: u32) -> Waybill {
    let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env(VARIABLE, format!("{point}:{hit}"));
    Waybill::start(&mut command, &place.log_path()).await
}

/// Runs the program until the proxy has died at `point`.
async fn die(place: &Place, waybill: &mut Waybill, program: &mut Program, point: &str) {
    let finished = program.finish(&waybill.api.clone(), PATIENCE).await;
    assert!(finished.is_err(), "everything ended and {point} was not reached");
    let status = waybill.ended(PATIENCE).await.expect("it ends at the point");
    assert_eq!(status.signal(), Some(9), "{}", place.log());
    assert!(place.log().contains(&format!("fail point {point}\n")), "{}", place.log());
}

/// One point: die there, come back, end everything, compare. How long it took to serve again.
async fn survive(point: &str) -> Duration {
    let load = Load::of(point);
    let (hit, first_death) = (load.hit, load.first_death);
    let mut place = Place::new();
    let sandbox = SandboxProcess::start(&place).await;
    // Receipts come sooner, and so does the end of the test.
    sandbox.put_speed(10.0).await;
    sandbox.put_faults(&load.faults).await;
    let sink = match load.sink {
        Some(script) => Some(Sink::start(script).await),
        None => None,
    };
    let settings = match &sink {
        Some(sink) => sandbox.settings_with_sink(&place, &sink.url()),
        None => sandbox.settings(&place),
    };
    place.configure(&format!("{settings}{}", load.settings));

    let mut waybill = serve_armed(&place, first_death.unwrap_or(point), hit).await;
    let mut program = load.program();
    die(&place, &mut waybill, &mut program, first_death.unwrap_or(point)).await;
    if first_death.is_some() {
        // This time it dies while it starts.
        let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
        let ended = command.env(VARIABLE, point).output().await.expect("the binary starts");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.signal(), Some(9), "{said}");
        assert!(said.contains(&format!("fail point {point}\n")), "{said}");
    }

    let start = Instant::now();
    let waybill = place.serve().await;
    waybill.api.get("/readyz").await.expect(200);
    let took = start.elapsed();
    assert!(took <= RECOVERY_MAX, "it took {took:?} to serve again");
    program.finish(&waybill.api, PATIENCE).await.expect("without a point it stays alive");
    let batches = match &sink {
        Some(sink) => taken(sink),
        None => sandbox_batches(&sandbox).await,
    };
    let found = program.differences(&waybill.api, &sandbox, &batches).await;
    assert_eq!(found.expect("it stays alive"), Differences::default(), "{}", place.log());
    assert!(!place.log().contains("panicked"), "{}", place.log());
    took
}

/// What the platform's own sink holds; it has checked every signature and the order itself.
pub async fn sandbox_batches(sandbox: &SandboxProcess) -> Vec<Batch> {
    let batches = sandbox.batches().await;
    assert!(batches.iter().all(|batch| batch["verified"] == true), "{batches:?}");
    batches.iter().map(Batch::read).collect()
}

/// What a sink of ours has taken, each batch once: a repeat must bring the very same bytes.
fn taken(sink: &Sink) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for (batch, _) in sink.posts() {
        if batches.iter().all(|one| one.sealed() != batch.sealed()) {
            batches.push(batch);
        }
    }
    batches
}

/// Survives each of these points, and says which it did not.
async fn survive_all(points: impl IntoIterator<Item = String>) {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for point in points {
        let permits = Arc::clone(&permits);
        running.spawn(async move {
            let _permit = permits.acquire_owned().await.expect("it is never closed");
            // A task of its own, so that one failure does not hide the others.
            let survived = tokio::spawn({
                let point = point.clone();
                async move { survive(&point).await }
            });
            (point, survived.await)
        });
    }
    let (mut slowest, mut survived, mut failed) = (Duration::ZERO, 0, Vec::new());
    while let Some(done) = running.join_next().await {
        match done.expect("it only waits") {
            (_, Ok(took)) => (slowest, survived) = (slowest.max(took), survived + 1),
            (point, Err(_)) => failed.push(point),
        }
    }
    println!("kill matrix: {survived} points survived, slowest restart {slowest:.2?}");
    assert!(failed.is_empty(), "not survived: {failed:?}");
}

#[tokio::test]
async fn a_kill_at_the_usual_points_loses_and_doubles_nothing() {
    let points = points().await;
    let unknown: Vec<_> = USUAL.iter().filter(|one| !points.iter().any(|it| it == *one)).collect();
    assert!(unknown.is_empty(), "the binary has no {unknown:?}");
    survive_all(USUAL.map(str::to_owned)).await;
}

/// Every `PARTS`th point, from `part` on.
async fn survive_part(part: usize) {
    survive_all(points().await.into_iter().skip(part).step_by(PARTS)).await;
}

#[tokio::test]
async fn a_kill_at_every_point_loses_and_doubles_nothing_1_full_run() {
    survive_part(0).await;
}

#[tokio::test]
async fn a_kill_at_every_point_loses_and_doubles_nothing_2_full_run() {
    survive_part(1).await;
}

#[tokio::test]
async fn a_kill_at_every_point_loses_and_doubles_nothing_3_full_run() {
    survive_part(2).await;
}

#[tokio::test]
async fn a_kill_at_every_point_loses_and_doubles_nothing_4_full_run() {
    survive_part(3).await;
}
