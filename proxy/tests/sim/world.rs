//! What outlives every process of a run: the true time and how wrong the machine's clock is, the dice, the
//! trace, and whether the process is alive.

use proxy::clock;
use proxy::failpoint::{self, Point};
use shared::simulator::{Draws, Purpose};
use shared::time::Timestamp;
use std::collections::VecDeque;
use std::fmt::Display;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// When every run begins.
const BEGINNING_MS: i64 = 1_795_341_600_000;
/// Lines of the trace that are shown when something is wrong.
const SHOWN: usize = 60;
/// A run asks its store some ten thousand times; one that goes round in circles far more often.
const COMMANDS_MAX: u64 = 100_000;
/// Workers ask this often at most in a second of bad weather.
const COMMANDS_A_SECOND: u64 = 100;

/// One independent sequence of decisions.
pub struct Dice(Draws);

impl Dice {
    /// The dice of a run for one kind of decision.
    pub fn new(seed: u64, kind: u64) -> Self {
        Self(Draws::new(Purpose::Faults, seed, *b"simulated proxy.", kind))
    }

    /// From `first` to `last`, both included.
    pub fn within(&mut self, first: u32, last: u32) -> u32 {
        self.0.within(first, last)
    }

    /// From `first` to `last`, in milliseconds.
    pub fn ms(&mut self, first: u32, last: u32) -> i64 {
        i64::from(self.within(first, last))
    }

    /// True that often in a hundred.
    pub fn percent(&mut self, percent: u32) -> bool {
        self.0.below(100) < percent
    }

    /// An index below `length`.
    pub fn index(&mut self, length: usize) -> usize {
        let end = u32::try_from(length).unwrap_or(u32::MAX);
        usize::try_from(self.0.below(end)).unwrap_or(0)
    }

    /// One of `choices`.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }
}

/// See the module's text.
pub struct World {
    state: Mutex<State>,
    death: Notify,
}

struct State {
    /// True time that passed in earlier lives.
    lived: Duration,
    /// When this life began, by its runtime's clock; `None` between lives.
    born: Option<Instant>,
    /// How far ahead of the true time the machine's clock is.
    skew_ms: i64,
    /// The clock as the process that lives now reads it.
    steady: Option<clock::Steady>,
    dead: bool,
    /// Fail points this life still passes.
    points_left: Option<u32>,
    random: Dice,
    failure: Option<String>,
    /// What the store was asked, and may be.
    commands: u64,
    commands_max: u64,
    hash: u64,
    steps: u64,
    last: VecDeque<String>,
}

impl World {
    /// The world of a seed, at its beginning.
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                lived: Duration::ZERO,
                born: None,
                skew_ms: 0,
                steady: None,
                dead: true,
                points_left: None,
                random: Dice::new(seed, 0),
                failure: None,
                commands: 0,
                commands_max: COMMANDS_MAX,
                hash: 0xcbf2_9ce4_8422_2325,
                steps: 0,
                last: VecDeque::new(),
            }),
            death: Notify::new(),
        })
    }

    /// Puts this world in the place of this thread's clock and generator, until what is returned is dropped.
    pub fn stand_in(self: &Arc<Self>) -> StandIn {
        clock::stand_in(Some(Rc::new(Source(Arc::clone(self)))));
        let world = Arc::clone(self);
        failpoint::observe(Some(Rc::new(move |point| world.pass(point))));
        CURRENT.with(|current| *current.borrow_mut() = Some(Arc::clone(self)));
        StandIn
    }

    /// The store may be asked as often as bad weather that lasts this long needs.
    pub fn allow_commands_for(&self, ms: i64) {
        let seconds = u64::try_from(ms / 1000).unwrap_or(0);
        self.lock().commands_max = COMMANDS_MAX.max(seconds * COMMANDS_A_SECOND);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process begins; it dies at its `points`-th fail point at the latest.
    pub fn begin_life(&self, points: Option<u32>) {
        let mut state = self.lock();
        state.born = Some(Instant::now());
        state.steady = None;
        state.dead = false;
        state.points_left = points;
    }

    /// The process has ended, one way or another; call it while its runtime is still there.
    pub fn end_life(&self) {
        self.die("it ends");
        let mut state = self.lock();
        let born = state.born.take();
        state.lived += born.map_or(Duration::ZERO, |born| born.elapsed());
    }

    /// Does something while no process lives, as an operator would.
    pub fn between_lives<T>(&self, work: impl FnOnce() -> T) -> T {
        self.lock().points_left = None;
        let was_dead = std::mem::replace(&mut self.lock().dead, false);
        let done = work();
        self.lock().dead = was_dead;
        done
    }

    /// Kills the process: nothing it does from now on has an effect.
    pub fn die(&self, why: &str) {
        let mut state = self.lock();
        if !std::mem::replace(&mut state.dead, true) {
            drop(state);
            self.trace(format_args!("the process dies: {why}"));
            self.death.notify_one();
        }
    }

    /// True when the process was killed; whatever notices it must do nothing more.
    pub fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// Waits until the process is killed.
    pub async fn death(&self) {
        while !self.is_dead() {
            self.death.notified().await;
        }
    }

    fn pass(&self, point: Point) {
        if self.is_dead() {
            resume_unwind(Box::new("dead"));
        }
        let name = point.name();
        self.trace(&name);
        let mut state = self.lock();
        let Some(left) = state.points_left.as_mut() else { return };
        *left = left.saturating_sub(1);
        if *left == 0 {
            drop(state);
            self.die(&name);
            resume_unwind(Box::new("dead"));
        }
    }

    /// The true time in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        let state = self.lock();
        let passed = state.lived + state.born.map_or(Duration::ZERO, |born| born.elapsed());
        BEGINNING_MS + i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)
    }

    /// The true time.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.now_ms())
    }

    /// What the process that lives now takes for the time: the machine's clock, which it follows slowly.
    pub fn shown_ms(&self) -> i64 {
        let now = self.now_ms();
        let mut state = self.lock();
        let machine = now + state.skew_ms;
        state.steady.get_or_insert_with(|| clock::Steady::new(now, machine)).read(now, machine).0
    }

    /// What the machine's clock shows.
    pub fn machine_ms(&self) -> i64 {
        self.now_ms() + self.lock().skew_ms
    }

    /// Sets the machine's clock to be this far ahead of the true time.
    pub fn set_skew(&self, skew_ms: i64) {
        self.trace(format_args!("the machine's clock is {skew_ms} ms ahead from now on"));
        self.lock().skew_ms = skew_ms;
    }

    /// Adds a line to the trace.
    pub fn trace(&self, what: impl Display) {
        let at = self.now_ms() - BEGINNING_MS;
        let line = format!("{at:>9} {what}");
        let mut state = self.lock();
        for byte in line.bytes() {
            state.hash = (state.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        state.steps += 1;
        // One seed that is replayed is shown from its beginning.
        if state.last.len() >= SHOWN && std::env::var_os("WAYBILL_SIM_SEED").is_none() {
            state.last.pop_front();
        }
        state.last.push_back(line);
    }

    /// A promise was broken. The first one counts; the process ends.
    pub fn broken(&self, what: impl Display) {
        self.trace(format_args!("BROKEN: {what}"));
        self.lock().failure.get_or_insert(what.to_string());
        self.die("a promise was broken");
    }

    /// The first promise that was broken, if one was.
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    /// The number of the trace's lines, and a value that two traces share only if they are the same.
    pub fn trace_hash(&self) -> (u64, u64) {
        let state = self.lock();
        (state.steps, state.hash)
    }

    /// The last lines of the trace.
    pub fn last_lines(&self) -> String {
        Vec::from(self.lock().last.clone()).join("\n")
    }
}

struct Source(Arc<World>);

impl clock::Source for Source {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.shown_ms())
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.machine_ms())
    }

    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.0.lock();
        for byte in bytes {
            *byte = u8::try_from(state.random.within(0, 255)).unwrap_or(0);
        }
    }
}

/// While it lives, its world is this thread's clock and generator.
pub struct StandIn;

impl Drop for StandIn {
    fn drop(&mut self) {
        clock::stand_in(None);
        failpoint::observe(None);
        CURRENT.with(|current| *current.borrow_mut() = None);
    }
}

thread_local! {
    static CURRENT: std::cell::RefCell<Option<Arc<World>>> = const { std::cell::RefCell::new(None) };
}

/// How long a command waits for the store: mostly not at all, and for ever once the process is dead. Very rarely it is so
/// long that whoever asks holds no claim any more when it goes on.
pub fn queueing() -> Duration {
    CURRENT.with(|current| {
        let current = current.borrow();
        let Some(world) = current.as_ref() else { return Duration::ZERO };
        world.lock().commands += 1;
        let is_over = {
            let state = world.lock();
            state.commands == state.commands_max
        };
        if is_over {
            world.broken("it asks the store without end");
        }
        let mut state = world.lock();
        if state.dead {
            return Duration::from_secs(1 << 30);
        }
        let ms = match state.random.within(0, 9_999) {
            0..60 => state.random.within(61_000, 150_000),
            60..3_000 => state.random.within(1, 4),
            _ => 0,
        };
        Duration::from_millis(ms.into())
    })
}

/// A panic on this thread is a broken promise of its world.
pub fn panicked(panic: &dyn Display) {
    let world = CURRENT.with(|current| current.borrow().clone());
    if let Some(world) = world {
        world.broken(format_args!("it panicked: {panic}"));
    }
}
