//! The seeded simulation: the real state machine, workers, routes and SQLite store in processes that live on
//! a fake clock behind a fake network and die at any point. Everything that happens is drawn from a seed, so
//! a seed that fails fails again in the same way.
//!
//! `cargo xtask sim` runs many seeds. [`world`] is what outlives a process, [`life`] is one process,
//! [`upstream`] and [`network`] are the platform and the way to it, [`auditor`] the sink, [`people`] those who
//! use it, [`rollback`] the operator, [`weather`] what goes wrong. [`network`], [`people`] and [`auditor`] check what can be seen while
//! it happens, [`checks`] the rest when everything has come to rest.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test fails by panicking, as the test would"
)]

mod auditor;
mod checks;
mod life;
mod network;
mod people;
mod rollback;
mod run;
mod upstream;
mod weather;
mod world;

use run::{Outcome, run, run_under};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use weather::Weather;

/// Seeds of the usual run.
const SEEDS: u64 = 50;

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// A file only its owner can read, as settings must be.
fn write_private(path: &std::path::Path, text: &str) {
    std::fs::write(path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// Once for the process: a panic of the proxy is a broken promise of its seed, and HTTP clients can be made.
fn prepare() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            usual(panic);
            world::panicked(panic);
        }));
    });
}

/// Runs these seeds, as many at a time as there are cores.
fn run_all(first: u64, count: u64) -> Vec<Outcome> {
    prepare();
    let next = AtomicU64::new(first);
    let outcomes = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let outcome = run(seed);
                    outcomes.lock().unwrap().push(outcome);
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    outcomes.sort_by_key(|outcome| outcome.seed);
    outcomes
}

#[test]
fn nothing_is_lost_and_nothing_doubled_whatever_the_seed() {
    let one = from_environment("WAYBILL_SIM_SEED");
    let count = from_environment("WAYBILL_SIM_SEEDS").unwrap_or(SEEDS);
    let first = from_environment("WAYBILL_SIM_FIRST").unwrap_or(1);
    let (first, count) = one.map_or((first, count), |seed| (seed, 1));
    let start = Instant::now();
    let outcomes = run_all(first, count);
    let sum = |figure: fn(&Outcome) -> u64| outcomes.iter().map(figure).sum::<u64>();
    let failed: Vec<&Outcome> =
        outcomes.iter().filter(|outcome| outcome.failure.is_some()).collect();
    for outcome in failed.iter().take(3) {
        println!(
            "seed {}: {}\n{}\nreplay it: cargo xtask sim --seed {}\n",
            outcome.seed,
            outcome.failure.as_deref().unwrap_or_default(),
            outcome.last_lines,
            outcome.seed
        );
    }
    println!(
        "sim: {} seeds, {} failed, {} processes, {} rolled back, {} letters, {} posts, {} tokens refused, {} batches \
         posted, {} steps, {} simulated hours, in {:.1} s",
        outcomes.len(),
        failed.len(),
        sum(|one| one.lives),
        sum(|one| u64::from(one.is_rolled_back)),
        sum(|one| one.letters),
        sum(|one| one.posts),
        sum(|one| one.token_refusals),
        sum(|one| one.batches),
        sum(|one| one.steps),
        sum(|one| one.seconds) / 3600,
        start.elapsed().as_secs_f64(),
    );
    let seeds: Vec<u64> = failed.iter().map(|outcome| outcome.seed).collect();
    assert!(seeds.is_empty(), "seeds {seeds:?} broke a promise; see above");
}

#[test]
fn row_58_an_hour_of_server_errors_delays_messages_and_loses_and_doubles_none() {
    prepare();
    let outcome = run_under(3, |begin, _| Weather::an_hour_of_errors(begin));
    assert_eq!(outcome.failure, None, "{}", outcome.last_lines);
    assert!(outcome.seconds > 3_600, "{} s", outcome.seconds);
    assert!(outcome.letters > 20, "{}", outcome.letters);
    // The breaker kept nearly all calls back: a try every second would have been thousands.
    assert!(outcome.posts < 10 * outcome.letters, "{} posts", outcome.posts);
}

#[test]
fn the_same_seed_replays_exactly() {
    prepare();
    for seed in [1, 7, 23] {
        let (first, second) = (run(seed), run(seed));
        assert!(first.steps > 100, "{}", first.steps);
        assert_eq!(first.last_lines, second.last_lines, "seed {seed}");
        assert_eq!((first.steps, first.hash), (second.steps, second.hash), "seed {seed}");
    }
    assert_ne!(run(1).hash, run(2).hash);
}
