//! The kill matrix: the real binary dies by SIGKILL right before and right after every commit and every call
//! to somebody else, is started again on the same data, and nothing may be lost, doubled or audited twice.
//!
//! The list of points is the binary's own. Each has a load that reaches it; a point that is not reached fails.
//! A few run always, all of them with `WAYBILL_FULL=1`, and `WAYBILL_POINTS=T3.after_commit,hold.before_commit` runs
//! these instead of the few.

use crate::program::{Differences, Gone, Letter, Program, Wish};
use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};
use shared::simulator::{
    CLOSED_CONVERSATION, FAILING_CONVERSATION, GUIDE_CONVERSATION, NO_RECEIPTS_CONVERSATION,
    SMS_CONVERSATION,
};
use shared::time::Timestamp;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tests::audit::{self, Batch};
use tests::sandbox::AUDIT_SECRET;
use tests::sink::{Reply, Sink};
use tests::submission::key;
use tests::{Answer, Api, Place, SandboxProcess, Waybill};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

const VARIABLE: &str = "WAYBILL_FAILPOINT";
/// Long enough for three looks over a minute, where keys are forgotten and the process died with something in flight.
const PATIENCE: Duration = Duration::from_secs(120);
/// How soon it must serve again.
const RECOVERY_MAX: Duration = Duration::from_secs(5);
/// Most of the time is spent waiting for receipts and for a batch to be closed.
const AT_ONCE: usize = 5;
/// Parts of a full run: each is a test of its own.
const PARTS: usize = 6;

const ARRIVED: &[&str] = &["delivered", "read"];
/// Messages of every program that reach the platform.
const SENT: usize = 5;
/// Words of [connections.main].
const SEARCHED: &str = "dedup = \"none\"\n";
/// Words of [audit].
const HEARTBEAT: &str = "heartbeat_seconds = 1\n";
/// Points no platform of this binary leads to: its one dialect lists nothing by which a message could be known as
/// ours. `proxy/tests/workers/adopting.rs` has a platform that does, and dies there.
const ELSEWHERE: &str = "T7.";

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

/// When the process comes to the point.
#[derive(Clone, Copy)]
enum When {
    /// While the program runs.
    Load,
    /// While it starts for the first time.
    FirstStart,
    /// While it starts after it died somewhere else.
    StartAfter(&'static str),
    /// Some time after everything has ended.
    Idle,
    /// While it starts two days after everything has ended.
    DaysLater,
    /// While a backup is restored that was made when everything had ended.
    Restore,
}

/// What a person does about the audit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chore {
    /// Resumes it where it has stopped.
    Resume,
    /// Begins a new stream where it has stalled.
    NewStream,
}

/// What makes a point be reached.
struct Load {
    faults: Value,
    settings: &'static str,
    /// Answers of a sink of our own, in place of the platform's.
    sink: Option<&'static [Reply]>,
    special: Option<Letter>,
    when: When,
    chore: Option<Chore>,
    hurries: bool,
    hit: u32,
}

impl Load {
    fn of(point: &str) -> Self {
        let mut load = Self {
            faults: json!({}),
            settings: "",
            sink: None,
            special: None,
            when: When::Load,
            chore: None,
            hurries: false,
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
            "hold" => {
                // Its time comes while the one before it is on its way.
                let rule = json!({ "percent": 100, "ms": 4000, "only": "send" });
                load.faults = json!({ "latency": rule });
                let letter = Letter::new(key("planned", 0), GUIDE_CONVERSATION, ARRIVED);
                load.special = Some(letter.with("not_before", json!(in_ms(2500))));
            }
            "release" => {
                // Claimed, it turns out that there is no token.
                let rule = json!({ "next": 1, "only": "token", "status": 500 });
                load.faults = json!({ "rate_5xx": rule });
            }
            "hurried" => {
                let rule = json!({ "next": 1, "only": "send", "status": 503, "retry_after": "30" });
                load.faults = json!({ "rate_5xx": rule });
                load.hurries = true;
            }
            "search" => {
                // It is found, and nobody but a person can tell that it is ours.
                load.settings = SEARCHED;
                load.faults = json!({ "lost_reply": { "next": 1, "only": "send" } });
            }
            "not_shipped" => load.sink = Some(&[Reply::Lost]),
            "resume" => {
                load.sink = Some(&[Reply::Status(410)]);
                load.chore = Some(Chore::Resume);
            }
            "new_stream" => {
                load.sink = Some(&[Reply::Status(400)]);
                load.chore = Some(Chore::NewStream);
            }
            "forked" => load.sink = Some(&[Reply::Holds(9)]),
            "ship_again" => {
                load.sink = Some(&[Reply::Status(200), Reply::Holds(0)]);
                load.settings = HEARTBEAT;
                load.when = When::Idle;
            }
            "heartbeat" => (load.settings, load.when, load.hit) = (HEARTBEAT, When::Idle, 2),
            "forget" => {
                (load.settings, load.when) = ("keep_days = 1\n", When::DaysLater);
            }
            "removal" => {
                (load.settings, load.when) = ("[retention]\nmessages_days = 1\n", When::DaysLater);
            }
            "schema" => load.when = When::FirstStart,
            "recovery" => load.when = When::StartAfter("T2.after_commit"),
            "restore" | "restore_streams" | "restore_doubt" => load.when = When::Restore,
            _ => {}
        }
        load
    }

    /// Two conversations with two messages each, one that fails, one that is withdrawn, and the special one.
    fn program(&mut self) -> Program {
        let hour = json!(in_ms(3_600_000));
        let withdrawn = Letter::new(key("back", 0), SMS_CONVERSATION, &["cancelled"]);
        let mut program = Program::default();
        program.hurries = self.hurries;
        program.add(Letter::new(key("guide", 0), GUIDE_CONVERSATION, ARRIVED));
        self.special.take().into_iter().for_each(|letter| program.add(letter));
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

/// Every point the binary has and can come to.
async fn points() -> Vec<String> {
    let mut place = Place::new();
    place.set(VARIABLE, "?");
    let ended = place.run(&["config", "check"]).await;
    assert_eq!(ended.code, Some(2), "not a debug build: {ended:?}");
    let all = ended.stderr.lines().skip(1).map(str::to_owned);
    all.filter(|point| !point.starts_with(ELSEWHERE)).collect()
}

/// A proxy, its platform and its sink.
struct Stage {
    place: Place,
    sandbox: SandboxProcess,
    sink: Option<Sink>,
    chore: Option<Chore>,
}

impl Stage {
    async fn new(load: &Load) -> Self {
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
        // Those of [connections.main] have to stand in it, and those of [audit] come last in the others.
        let settings = match load.settings {
            SEARCHED => {
                let dialect = "dialect = \"guide\"\n";
                settings.replace(dialect, &format!("{dialect}{SEARCHED}"))
            }
            more => format!("{settings}{more}"),
        };
        place.configure(&settings);
        Self { place, sandbox, sink, chore: load.chore }
    }

    /// Starts the proxy so that it dies at `point`.
    async fn serve_armed(&self, point: &str, hit: u32) -> Waybill {
        let mut command = self.place.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.env(VARIABLE, format!("{point}:{hit}"));
        Waybill::start(&mut command, &self.place.log_path()).await
    }

    /// Runs `waybill WORDS…`, which dies at `point`.
    async fn dies(&self, words: &[&str], point: &str) {
        let mut command = self.place.command(words);
        let ended = timeout(PATIENCE, command.env(VARIABLE, point).output()).await;
        let ended = ended.expect("it comes to the point").expect("the binary starts");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.signal(), Some(9), "{said}");
        assert!(said.contains(&format!("fail point {point}\n")), "{said}");
    }

    /// Runs the program, and does what is to be done about the audit meanwhile.
    async fn run(&self, api: &Api, program: &mut Program) -> Result<(), Gone> {
        let Some(chore) = self.chore else { return program.finish(api, PATIENCE).await };
        tokio::select! {
            done = program.finish(api, PATIENCE) => done,
            gone = attend(api, chore) => Err(gone),
        }
    }

    /// Runs the program until the proxy has died at `point`.
    async fn die(&self, waybill: &mut Waybill, program: &mut Program, point: &str, when: When) {
        let finished = self.run(&waybill.api.clone(), program).await;
        if finished.is_ok() {
            let is_idle = matches!(when, When::Idle);
            assert!(is_idle, "everything ended and {point} was not reached");
        }
        let status = waybill.ended(PATIENCE).await.expect("it ends at the point");
        let log = self.place.log();
        assert_eq!(status.signal(), Some(9), "{log}");
        assert!(log.contains(&format!("fail point {point}\n")), "{log}");
    }

    /// Lets everything end and the sink have it, and stops the proxy as it should be.
    async fn end_well(&self, program: &mut Program) {
        let waybill = self.place.serve().await;
        self.run(&waybill.api, program).await.expect("without a point it stays alive");
        all_audited(&waybill.api).await;
        let (status, _) = waybill.terminate().await;
        assert_eq!(status.code(), Some(0));
    }

    async fn batches(&self) -> Vec<Batch> {
        match &self.sink {
            Some(sink) => taken(sink),
            None => sandbox_batches(&self.sandbox).await,
        }
    }
}

/// Waits until the sink has everything.
async fn all_audited(api: &Api) {
    let until = Instant::now() + PATIENCE;
    loop {
        let metrics = api.get("/metrics").await.text();
        let mut waiting =
            metrics.lines().filter(|line| line.starts_with("waybill_audit_entries_waiting{"));
        if waiting.all(|line| line.ends_with(" 0")) {
            return;
        }
        assert!(Instant::now() < until, "the sink does not have everything: {metrics}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Resumes the audit, or begins a new stream, whenever it does not go on by itself, until the proxy is gone.
async fn attend(api: &Api, chore: Chore) -> Gone {
    loop {
        let read = Answer::try_of(api.request(Method::GET, "/api/v1/audit/batches")).await;
        let Ok(answer) = read else { return Gone };
        let page = answer.expect(200).json();
        let batches = page["items"].as_array().into_iter().flatten();
        let mut waiting = batches.filter(|one| one["shipping"] != "acknowledged");
        if waiting.any(|one| one["shipping"] == "stopped" || one["shipping"] == "stalled") {
            let body = json!({ "connection": "main", "new_stream": chore == Chore::NewStream });
            let request = api.request(Method::POST, "/api/v1/audit/resume").json(&body);
            let Ok(answer) = Answer::try_of(request).await else { return Gone };
            answer.expect(200);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// One point: die there, come back, end everything, compare. How long it took to serve again.
async fn survive(point: &str) -> Duration {
    let mut load = Load::of(point);
    let stage = Stage::new(&load).await;
    let mut program = load.program();
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let mut before = Vec::new();
    match load.when {
        When::Load | When::Idle => {
            let mut waybill = stage.serve_armed(point, load.hit).await;
            stage.die(&mut waybill, &mut program, point, load.when).await;
        }
        When::FirstStart => stage.dies(&serve, point).await,
        When::StartAfter(first) => {
            let mut waybill = stage.serve_armed(first, load.hit).await;
            stage.die(&mut waybill, &mut program, first, load.when).await;
            stage.dies(&serve, point).await;
        }
        When::DaysLater => {
            stage.end_well(&mut program).await;
            before = stage.batches().await;
            two_days_pass(&stage.place);
            stage.dies(&serve, point).await;
        }
        When::Restore => {
            stage.end_well(&mut program).await;
            let to = stage.place.path("backup.sqlite");
            let to = to.to_str().expect("a path of letters");
            let made = stage.place.run(&["backup", to]).await;
            assert_eq!(made.code, Some(0), "{made:?}");
            stage.dies(&["restore", to], point).await;
        }
    }

    let start = Instant::now();
    let waybill = stage.place.serve().await;
    waybill.api.get("/readyz").await.expect(200);
    let took = start.elapsed();
    assert!(took <= RECOVERY_MAX, "it took {took:?} to serve again");
    // Where everything had ended before, one more shows that the chain goes on. Of what was removed nothing is left that
    // could be waited for.
    let mut later = Program::default();
    let is_removed = point.starts_with("removal");
    let running = if is_removed { &mut later } else { &mut program };
    if matches!(load.when, When::Idle | When::DaysLater | When::Restore) {
        running.add(Letter::new(key("after", 0), SMS_CONVERSATION, ARRIVED));
    }
    stage.run(&waybill.api, running).await.expect("without a point it stays alive");
    all_audited(&waybill.api).await;
    let batches = stage.batches().await;
    if is_removed {
        // Of what was removed the keys are left, what the platform has, and the audit.
        let entries = audit::verify(AUDIT_SECRET, &batches);
        let there = audit::verify(AUDIT_SECRET, &before).len() + 1;
        assert_eq!(entries.len(), there, "entries after the removal");
        let left = waybill.api.messages().await;
        assert_eq!(left.len(), 1, "{left:?}");
        let differ = program.answers_that_differ(&waybill.api).await.expect("it stays alive");
        assert!(differ.is_empty(), "{differ:?}");
        assert_eq!(stage.sandbox.sends().await.len(), SENT + 1);
    } else {
        // Replaced once by what the point is about, and nowhere else.
        let replaces = ["forked", "new_stream", "restore"].iter().any(|it| point.starts_with(it));
        program.streams_replaced_max = usize::from(replaces);
        let found = program.differences(&waybill.api, &stage.sandbox, &batches).await;
        let log = stage.place.log();
        assert_eq!(found.expect("it stays alive"), Differences::default(), "{log}");
    }
    let held: Vec<_> = batches.iter().take(before.len()).map(Batch::sealed).collect();
    assert_eq!(held, before.iter().map(Batch::sealed).collect::<Vec<_>>());
    assert!(!stage.place.log().contains("panicked"), "{}", stage.place.log());
    took
}

/// As if everything had happened two days earlier.
fn two_days_pass(place: &Place) {
    let path = place.data().join("waybill.sqlite");
    let database = Connection::open(path).expect("the database can be opened");
    database
        .execute_batch(
            "UPDATE messages SET ended_at = ended_at - 172800000, due_at = NULL; \
             UPDATE audit_batches SET acknowledged_at = acknowledged_at - 172800000;",
        )
        .expect("the database can be changed");
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
    for (batch, reply) in sink.posts() {
        if reply.takes() && batches.iter().all(|one| one.sealed() != batch.sealed()) {
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
    let chosen: Vec<String> = match std::env::var("WAYBILL_POINTS") {
        Ok(chosen) => chosen.split(',').map(str::to_owned).collect(),
        Err(_) => USUAL.map(str::to_owned).to_vec(),
    };
    let unknown: Vec<_> = chosen.iter().filter(|one| !points.contains(one)).collect();
    assert!(unknown.is_empty(), "the binary has no {unknown:?}");
    survive_all(chosen).await;
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

#[tokio::test]
async fn a_kill_at_every_point_loses_and_doubles_nothing_5_full_run() {
    survive_part(4).await;
}

#[tokio::test]
async fn a_kill_at_every_point_loses_and_doubles_nothing_6_full_run() {
    survive_part(5).await;
}
