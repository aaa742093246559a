//! The state machine against a model: random operations, faults and crashes on a few messages in two
//! conversations, with a platform that is a list and a store that is a list. After every step the invariants of
//! a message's life must hold, and at the end, with all faults gone, everything must have come to rest.
//!
//! Runs natively and in wasm. A failure names its seed; `run(seed)` repeats it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use shared::delivery::{
    Choice, Dedup, Delivery, Ending, Group, Happening, OnAmbiguous, PlatformStatus, Policy, Reason,
    Receipt, State, step,
};
use shared::id::PlatformId;
use shared::sla::Verdict;
use shared::time::Timestamp;
use std::time::Duration;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const SEEDS: u64 = 150;
const STEPS: u32 = 300;

#[test]
fn no_operation_fault_or_crash_breaks_an_invariant_of_a_messages_life() {
    let mut settled = [0_u32; 13];
    for seed in 0..SEEDS {
        let world = run(seed);
        for one in &world.messages {
            let place = State::ALL.iter().position(|state| *state == one.delivery.state);
            settled[place.unwrap()] += 1;
        }
    }
    // A model that never gets somewhere proves nothing about it.
    for (state, count) in State::ALL.iter().zip(settled) {
        let is_rest = !matches!(state.group(), Group::InFlight);
        assert_eq!(count > 0, is_rest, "{count} messages came to rest as {}", state.as_str());
    }
}

const STATUSES: [Option<PlatformStatus>; 5] = [
    None,
    Some(PlatformStatus::Queued),
    Some(PlatformStatus::Sent),
    Some(PlatformStatus::Delivered),
    Some(PlatformStatus::Read),
];

struct Message {
    conversation: u32,
    delivery: Delivery,
    endings: Vec<Ending>,
    /// A person said: send it although it may have been sent.
    risked: bool,
    /// Duplicates the state machine says it prevented.
    prevented: u32,
}

/// What the platform took.
struct Post {
    message: usize,
    id: PlatformId,
    status: Option<PlatformStatus>,
    /// The furthest it ever gets.
    best: Option<PlatformStatus>,
    failed: bool,
}

struct World {
    seed: u64,
    draws: ChaCha8Rng,
    now: Timestamp,
    policy: Policy,
    messages: Vec<Message>,
    posts: Vec<Post>,
    faults: bool,
}

fn run(seed: u64) -> World {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.act();
        world.check();
    }
    world.faults = false;
    // Far enough for every window, search and horizon to end.
    for _ in 0..180 {
        world.now = world.now.plus(Duration::from_secs(600));
        for message in 0..world.messages.len() {
            world.work(message);
            world.look(message);
        }
        world.check();
    }
    for (index, one) in world.messages.iter().enumerate() {
        let state = one.delivery.state;
        assert!(
            state.group() != Group::InFlight,
            "seed {seed}: {index} never came to rest: {state:?}"
        );
    }
    world
}

impl World {
    fn new(seed: u64) -> Self {
        let mut draws = ChaCha8Rng::seed_from_u64(seed);
        let dedup = if draws.next_u32().is_multiple_of(2) { Dedup::Key } else { Dedup::None };
        let park = draws.next_u32().is_multiple_of(2);
        let on_ambiguous = if park { OnAmbiguous::Park } else { OnAmbiguous::Resend };
        let now = Timestamp::from_unix_ms(1_795_341_600_000);
        let policy = Policy { dedup, on_ambiguous, ..Policy::default() };
        Self { seed, draws, now, policy, messages: vec![], posts: vec![], faults: true }
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.draws.next_u32()).unwrap() % end.max(1)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.faults && self.below(100) < percent
    }

    /// Lets something happen to somebody.
    fn act(&mut self) {
        let seconds = [0, 1, 5, 30, 120][self.below(5)];
        self.now = self.now.plus(Duration::from_secs(seconds));
        if self.messages.len() < 6 && self.below(4) == 0 {
            self.accept();
        }
        let message = self.below(self.messages.len());
        if message >= self.messages.len() {
            return;
        }
        match self.below(20) {
            0 => drop(self.apply(message, &Happening::Cancelled)),
            1 => drop(self.apply(message, &Happening::Hurried)),
            2 => self.decide(message),
            3 => drop(self.apply(message, &Happening::HorizonPassed)),
            4..10 => self.look(message),
            _ => self.work(message),
        }
    }

    fn accept(&mut self) {
        let later = self.below(600) as u64;
        let later = Timestamp::plus(self.now, Duration::from_secs(later));
        let not_before = (self.below(4) == 0).then_some(later);
        let expires_at = (self.below(3) == 0).then(|| later.plus(Duration::from_secs(60)));
        let delivery = Delivery::accepted(self.now, not_before, expires_at, 10_000, true);
        let conversation = self.draws.next_u32() % 2;
        self.messages.push(Message {
            conversation,
            delivery,
            endings: vec![],
            risked: false,
            prevented: 0,
        });
    }

    /// What the store's transaction does.
    fn apply(&mut self, message: usize, happening: &Happening) -> bool {
        let jitter = f64::from(self.draws.next_u32() % 1000) / 1000.0;
        let one = &self.messages[message];
        if let Happening::Taken { platform_id, .. }
        | Happening::Decided { choice: Choice::Found { platform_id }, .. } = happening
        {
            let is_bound =
                |other: &Message| other.delivery.platform_id.as_ref() == Some(platform_id);
            if self
                .messages
                .iter()
                .enumerate()
                .any(|(index, other)| index != message && is_bound(other))
            {
                return false;
            }
        }
        let Ok(step) = step(&one.delivery, happening, &self.policy, self.now, jitter) else {
            return false;
        };
        let one = &mut self.messages[message];
        if let Happening::Decided { choice: Choice::Resend, .. } = happening {
            one.risked = true;
        }
        one.delivery = step.delivery;
        one.endings.extend(step.ending);
        one.prevented += u32::from(step.duplicate_prevented);
        true
    }

    fn is_head(&self, message: usize) -> bool {
        let one = &self.messages[message];
        let same = |other: &&Message| other.conversation == one.conversation;
        let busy =
            |other: &Message| matches!(other.delivery.state, State::Sending | State::Unknown);
        let waits = |other: &Message| {
            other.delivery.state.holds_conversation()
                && (other.delivery.state != State::Accepted
                    || other.delivery.due_at <= Some(self.now))
        };
        !self.messages[..message].iter().filter(same).any(waits)
            && !self.messages.iter().filter(same).any(busy)
    }

    /// What dispatch, reconcile and a restart do.
    fn work(&mut self, message: usize) {
        let delivery = self.messages[message].delivery.clone();
        let is_due = delivery.due_at.is_some_and(|due| due <= self.now);
        match delivery.state {
            State::Accepted | State::RetryWait => {
                if delivery.expires_at.is_some_and(|at| at <= self.now) {
                    self.apply(message, &Happening::DeadlinePassed);
                } else if is_due && self.is_head(message) {
                    if self.chance(10) {
                        let reason = Reason::new("not_connected", "down");
                        self.apply(message, &Happening::NotSent { reason, wait: None });
                    } else if self.apply(message, &Happening::AttemptStarted) {
                        self.post(message);
                    }
                }
            }
            State::Unknown if is_due => self.settle(message),
            _ => {}
        }
    }

    /// A POST with everything that may become of it, a crash before its outcome is stored included.
    fn post(&mut self, message: usize) {
        let reason = || Reason::new("x", "x");
        if self.chance(20) {
            let not_sent = Happening::NotSent { reason: reason(), wait: None };
            self.apply(message, &not_sent);
            return;
        }
        if self.chance(7) {
            self.apply(message, &Happening::Refused { reason: reason() });
            return;
        }
        if self.chance(15) {
            // Lost on the way there.
            self.apply(message, &Happening::Ambiguous { reason: reason() });
            return;
        }
        let known = self.posts.iter().position(|post| post.message == message);
        let was_there = known.is_some() && self.policy.dedup == Dedup::Key;
        let post = match known {
            Some(known) if was_there => known,
            _ => {
                let id = PlatformId::parse(&format!("p-{}", self.posts.len())).unwrap();
                let failed = self.below(8) == 0;
                let best = STATUSES[self.below(5)];
                self.posts.push(Post { message, id, status: None, best, failed });
                self.posts.len() - 1
            }
        };
        if self.chance(30) {
            // Lost on the way back, or the process died.
            self.apply(message, &Happening::Ambiguous { reason: reason() });
            return;
        }
        let (platform_id, receipt) = (self.posts[post].id.clone(), Receipt::default());
        self.apply(message, &Happening::Taken { platform_id, receipt, was_there });
    }

    /// What reconcile does with an unknown outcome; looks see everything the platform took.
    fn settle(&mut self, message: usize) {
        if self.policy.dedup == Dedup::Key {
            self.apply(message, &Happening::MayRepeat);
            return;
        }
        if self.chance(30) {
            self.apply(message, &Happening::LookFailed);
            return;
        }
        let ours: Vec<PlatformId> = self
            .posts
            .iter()
            .filter(|post| post.message == message)
            .map(|post| post.id.clone())
            .collect();
        let happening = match ours.as_slice() {
            [] => Happening::Absent,
            [one] if !self.chance(10) => Happening::Taken {
                platform_id: one.clone(),
                receipt: Receipt::default(),
                was_there: true,
            },
            _ => Happening::CannotTell { candidates: ours },
        };
        self.apply(message, &happening);
    }

    /// A look for receipts, which come in any order and go back too.
    fn look(&mut self, message: usize) {
        let delivery = &self.messages[message].delivery;
        let submitted = delivery.submitted_at;
        let id = delivery.platform_id.clone();
        let Some(post) = self.posts.iter().position(|post| Some(&post.id) == id.as_ref()) else {
            // A platform id that a person named and that does not exist: only the horizon ends it.
            self.horizon(message, submitted);
            return;
        };
        if self.chance(20) {
            self.apply(message, &Happening::LookFailed);
        } else {
            let status = STATUSES[self.below(5)];
            let post = &mut self.posts[post];
            let status = status.min(post.best);
            post.status = post.status.max(status);
            let failure = post.failed.then(|| Reason::new("failed", "failed"));
            let receipt = Receipt {
                status: if post.failed { None } else { status },
                failure,
                ..Receipt::default()
            };
            self.apply(message, &Happening::Observed(receipt));
        }
        self.horizon(message, submitted);
    }

    fn horizon(&mut self, message: usize, submitted: Option<Timestamp>) {
        if submitted.is_some_and(|at| self.now >= at.plus(self.policy.horizon)) {
            self.apply(message, &Happening::HorizonPassed);
        }
    }

    fn decide(&mut self, message: usize) {
        let known =
            self.posts.iter().find(|post| post.message == message).map(|post| post.id.clone());
        let choice = match (self.below(3), known) {
            (0, Some(platform_id)) => Choice::Found { platform_id },
            (1, _) => Choice::Resend,
            _ => Choice::GiveUp,
        };
        self.apply(message, &Happening::Decided { choice, why: "because".into() });
    }

    fn check(&self) {
        for (index, one) in self.messages.iter().enumerate() {
            let (delivery, state) = (&one.delivery, one.delivery.state);
            let context = format!("seed {}, message {index}: {delivery:?}", self.seed);
            let taken = self.posts.iter().filter(|post| post.message == index).count();
            let ended = !matches!(state.group(), Group::InFlight | Group::NeedsDecision);

            // Nobody waits for nothing, and what has ended rests.
            assert_eq!(delivery.ended_at.is_some(), ended, "{context}");
            let is_sending = state == State::Sending;
            let may_be_due =
                !ended && !is_sending && state != State::Parked || state == State::Delivered;
            assert!(may_be_due || delivery.due_at.is_none(), "{context}");
            assert!(
                state == State::Delivered || may_be_due == delivery.due_at.is_some(),
                "{context}"
            );
            assert!(delivery.attempts <= self.policy.attempts_max, "{context}");

            // One audit ending for each end: a second one only for a late delivery after "no receipt".
            match one.endings.as_slice() {
                [] => assert!(!ended, "{context}"),
                [_] | [Ending::Undelivered, Ending::Delivered] => assert!(ended, "{context}"),
                endings => panic!("{context}: {endings:?}"),
            }

            // What is said to be not sent was not sent.
            if matches!(state, State::Rejected | State::Expired | State::Cancelled) {
                assert_eq!(taken, 0, "{context}");
            }
            // What is said to be with the platform is there.
            if matches!(state, State::Submitted | State::Delivered | State::Read) {
                assert!(taken > 0 && delivery.platform_id.is_some(), "{context}");
                assert!(!delivery.maybe_taken, "{context}");
            }
            // Nothing is sent twice, unless a person took that risk.
            assert!(taken <= 1 || one.risked, "{context}: taken {taken} times");
            if one.prevented > 0 {
                assert!(taken > 0, "{context}");
            }
            let verdict = delivery.judgement().verdict;
            if verdict == Verdict::Met {
                assert_eq!(state.group(), Group::Delivered, "{context}");
            }
            if state == State::Parked {
                assert_eq!(verdict, Verdict::Unknown, "{context}");
            }
        }
        for conversation in 0..2 {
            let busy = |one: &&Message| {
                one.conversation == conversation
                    && matches!(one.delivery.state, State::Sending | State::Unknown)
            };
            let busy = self.messages.iter().filter(busy).count();
            assert!(busy <= 1, "seed {}: {busy} in flight in one conversation", self.seed);
        }
    }
}
