//! Random kills under load: the proxy is killed with SIGKILL again and again at moments a seed chooses, while
//! it starts too, and goes on each time. `cargo xtask crash --kills N --seed S` sets how often and which.

use crate::kill_points::sandbox_batches;
use crate::program::{Differences, Letter, Program, Wish};
use serde_json::json;
use shared::simulator::{Draws, FAILING_CONVERSATION, Purpose};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tests::submission::key;
use tests::{Place, SandboxProcess, Waybill, is_full};
use tokio::time::{sleep, timeout};

/// Kills where the environment names no number.
const KILLS: u32 = 6;
const KILLS_FULL: u32 = 40;
const LETTERS_A_LIFE: u32 = 3;
const CONVERSATIONS: usize = 30;
const RECOVERY_MAX: Duration = Duration::from_secs(5);
/// For what is left when the killing is over.
const PATIENCE: Duration = Duration::from_secs(120);

fn from_environment(name: &str) -> Option<u32> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// One more letter: most arrive, some fail, some are withdrawn if that is still possible.
fn letter(number: usize, draws: &mut Draws, conversations: &[String]) -> Letter {
    let key = key("crash", number);
    match draws.below(10) {
        0 => Letter::new(key, FAILING_CONVERSATION, &["failed"]),
        1 => Letter::new(key, pick(draws, conversations), &["cancelled", "delivered", "read"])
            .wishing(Wish::Withdraw),
        _ => Letter::new(key, pick(draws, conversations), &["delivered", "read"]),
    }
}

fn pick<'a>(draws: &mut Draws, conversations: &'a [String]) -> &'a str {
    let end = u32::try_from(conversations.len()).expect("there are few");
    let index = usize::try_from(draws.below(end)).expect("a usize holds it");
    &conversations[index]
}

/// Starts the command and kills it a moment later, wherever it is by then.
async fn kill_while_starting(place: &Place, after: Duration) {
    let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = quiet.spawn().expect("the binary starts");
    sleep(after).await;
    child.kill().await.expect("it can be killed");
}

async fn serve(place: &Place, slowest: &mut Duration) -> Waybill {
    let start = Instant::now();
    let waybill = place.serve().await;
    waybill.api.get("/readyz").await.expect(200);
    *slowest = (*slowest).max(start.elapsed());
    waybill
}

#[tokio::test]
async fn random_kills_under_load_lose_and_double_nothing() {
    let usual = if is_full() { KILLS_FULL } else { KILLS };
    let kills = from_environment("WAYBILL_CRASH_KILLS").unwrap_or(usual);
    let seed = from_environment("WAYBILL_CRASH_SEED").unwrap_or(1);
    let mut draws = Draws::new(Purpose::Faults, seed.into(), [0; 16], 0);
    let mut place = Place::new();
    let sandbox = SandboxProcess::start(&place).await;
    sandbox.put_speed(10.0).await;
    let faults = json!({
        "latency": { "percent": 50, "ms": 80 },
        "lost_reply": { "percent": 5, "only": "send" },
    });
    sandbox.put_faults(&faults).await;
    place.configure(&sandbox.settings(&place));
    let conversations: Vec<String> =
        sandbox.conversations().into_iter().take(CONVERSATIONS).map(|one| one.id).collect();

    let mut program = Program::default();
    let mut slowest = Duration::ZERO;
    for _ in 0..kills {
        if draws.below(5) == 0 {
            let after = Duration::from_millis(draws.within(1, 250).into());
            kill_while_starting(&place, after).await;
            continue;
        }
        let waybill = serve(&place, &mut slowest).await;
        for _ in 0..LETTERS_A_LIFE {
            let letter = letter(program.len(), &mut draws, &conversations);
            program.add(letter);
        }
        let life = Duration::from_millis(draws.within(10, 1500).into());
        // What ends first is this life: whatever the program was doing is cut off with it.
        if let Ok(gone) = timeout(life, program.finish(&waybill.api, PATIENCE)).await {
            gone.expect("only we end it");
        }
        waybill.kill9().await;
    }

    let waybill = serve(&place, &mut slowest).await;
    program.finish(&waybill.api, PATIENCE).await.expect("nobody ends it now");
    let batches = sandbox_batches(&sandbox).await;
    let found = program.differences(&waybill.api, &sandbox, &batches).await.expect("it is alive");
    println!(
        "crash: seed {seed}, {kills} kills, {} messages, {} batches, {} lost, {} doubled, {} wrong, slowest \
         restart {slowest:.2?}",
        program.len(),
        batches.len(),
        found.lost.len(),
        found.doubled.len(),
        found.wrong.len(),
    );
    assert_eq!(found, Differences::default(), "{}", place.log());
    assert!(slowest <= RECOVERY_MAX, "it took {slowest:?} to serve again");
    assert!(!place.log().contains("panicked"), "{}", place.log());
}
