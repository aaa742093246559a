//! One run: processes live and die while things go wrong, then the weather calms down, everything must come
//! to rest, and what is there is compared with what truly happened.

use crate::auditor::Auditor;
use crate::checks;
use crate::life::{Life, Stage, settings};
use crate::people::{Deed, People};
use crate::rollback::{self, Operator};
use crate::upstream::Upstream;
use crate::weather::Weather;
use crate::world::{Dice, World};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// After the weather has calmed, everything must have come to rest within this: the longest horizon, and the
/// longest wait for a sink.
const REST_WITHIN_MS: i64 = 5 * 86_400_000;

/// What became of a run.
pub struct Outcome {
    pub seed: u64,
    /// The first promise that was broken.
    pub failure: Option<String>,
    pub last_lines: String,
    pub steps: u64,
    pub hash: u64,
    pub lives: u64,
    /// An older copy of the database was put in place.
    pub is_rolled_back: bool,
    pub letters: u64,
    pub posts: u64,
    pub token_refusals: u64,
    pub batches: u64,
    pub seconds: u64,
}

/// How a process ends.
enum Death {
    /// At this true time.
    At(i64),
    /// At its n-th fail point, or at this true time if that comes first.
    Point(u32, i64),
    /// It is the last one.
    Never,
}

/// Runs a seed in its own weather.
pub fn run(seed: u64) -> Outcome {
    run_under(seed, |begin, dice| Weather::new(seed, begin, begin + dice.ms(20_000, 400_000)))
}

/// Runs a seed in a weather that is made from the time at which the run begins.
pub fn run_under(seed: u64, weather: impl FnOnce(i64, &mut Dice) -> Weather) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(seed);
    let _stand_in = world.stand_in();
    let mut dice = Dice::new(seed, 4);
    let begin = world.now_ms();
    let weather = Arc::new(weather(begin, &mut dice));
    let calm_from = weather.calm_from;
    world.allow_commands_for(calm_from - begin);
    let config = settings(folder.path(), seed);
    let count = u64::try_from(config.connections.len()).unwrap();
    let upstreams: Vec<Arc<Upstream>> = config
        .connections
        .iter()
        .map(|one| Arc::new(Upstream::new(seed, one, &world, &weather)))
        .collect();
    let auditors = (1..=count).map(|n| Arc::new(Auditor::new(seed, n, &world, &weather))).collect();
    let people = People::new(seed, &world, &upstreams);
    let mut stage = Stage {
        world: Arc::clone(&world),
        config,
        upstreams,
        auditors,
        people,
        database: folder.path().join("waybill.sqlite"),
        dice: Dice::new(seed, 5),
        next_deed_at: begin,
        operator: None,
        life: 0,
    };
    let mut lives = 0;
    let deaths = dice.within(0, 6);
    stage.operator = Operator::new(seed, deaths, folder.path());
    for number in 0..=deaths {
        let death = match number {
            _ if number == deaths => Death::Never,
            // Long enough for batches to be sealed and shipped that the copy does not hold.
            _ if stage.operator.as_ref().is_some_and(|one| one.is_before(number)) => {
                Death::At(world.now_ms() + dice.ms(20_000, 150_000))
            }
            _ if dice.percent(60) => Death::Point(dice.within(1, 160), calm_from),
            _ => Death::At(world.now_ms() + dice.ms(0, 60_000)),
        };
        lives += 1;
        stage.life = number;
        rollback::go_back(&mut stage, number);
        live(&mut stage, &death, calm_from);
        if world.failure().is_some() {
            break;
        }
    }
    let (steps, hash) = world.trace_hash();
    let letters = stage.people.inner().letters.len();
    Outcome {
        seed,
        failure: world.failure(),
        last_lines: world.last_lines(),
        steps,
        hash,
        lives,
        is_rolled_back: stage.has_gone_back(),
        letters: u64::try_from(letters).unwrap(),
        posts: stage.upstreams.iter().map(|one| one.now().posts).sum(),
        token_refusals: stage.upstreams.iter().map(|one| one.now().token_refusals).sum(),
        batches: stage.auditors.iter().map(|one| one.posts()).sum(),
        seconds: u64::try_from((world.now_ms() - begin) / 1000).unwrap(),
    }
}

/// One process, from its start to its death.
fn live(stage: &mut Stage, death: &Death, calm_from: i64) {
    let world = Arc::clone(&stage.world);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let points = if let Death::Point(points, _) = death { Some(*points) } else { None };
        world.begin_life(points);
        world.trace("a process starts");
        let story = async {
            let life = Life::start(stage).await;
            match death {
                Death::At(at) | Death::Point(_, at) => life.go_on(stage, *at).await,
                Death::Never => {
                    life.go_on(stage, calm_from).await;
                    come_to_rest(stage, &life).await;
                }
            }
        };
        tokio::select! {
            biased;
            () = world.death() => {}
            () = story => {}
        }
        world.end_life();
    });
    // Whatever it was doing ends with it.
    drop(runtime);
    for auditor in &stage.auditors {
        auditor.hang_up();
    }
}

/// Nothing goes wrong any more: within a time everything must have ended, and then it is compared.
async fn come_to_rest(stage: &mut Stage, life: &Life) {
    let world = Arc::clone(&stage.world);
    world.set_skew(0);
    life.free_disk().await;
    world.trace("the weather is calm");
    let latest = world.now_ms() + REST_WITHIN_MS;
    // One more letter for each platform, so that a sink that lost batches hears of it.
    for _ in 0..4 {
        stage.people.act(&life.router, Deed::Write);
    }
    while !life.is_settled() || stage.people.is_busy() || !stage.people.has_every_answer() {
        if world.now_ms() > latest {
            world.broken("not everything came to rest");
            checks::show_open(life, &world);
            return;
        }
        if stage.dice.percent(5) {
            // A stream that stalls where the sink holds another past is for a person to replace.
            let replaces = stage.has_gone_back() && stage.dice.percent(50);
            let deed = if replaces { Deed::NewStream } else { Deed::Resume };
            stage.people.act(&life.router, deed);
        }
        sleep(Duration::from_millis(50)).await;
        life.wait(stage, world.now_ms() + 60_000).await;
    }
    if let Err(broken) = checks::everything(stage, life).await {
        world.broken(broken);
    }
}
