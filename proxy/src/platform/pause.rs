//! Stops the sends of a connection that the platform refuses as a whole, so that one wrong setting does not
//! burn a queue.
//!
//! A token that is refused right after it was renewed pauses everything. Ten 403 in a row, or ten 404, pause
//! the sends: a missing right, a wrong host or region would end every message the same way. What is paused
//! waits; nothing ends. One message at a time finds out whether it works again, after a minute, then more and
//! more rarely up to every five. Time is an argument.
//!
//! A pause for 403 or 404 leaves a trace in the record: the message that met it waits with its reason. That
//! is how a restart knows of it (see [`Refusal::code`]). A pause for the token is met again by the first call.

use super::breaker::Entry;
use shared::delivery::Reason;
use std::time::Duration;
use tokio::time::Instant;

const IN_A_ROW: u32 = 10;
const PROBE_FIRST: Duration = Duration::from_secs(60);
const PROBE_MAX: Duration = Duration::from_secs(5 * 60);

/// How the platform refuses a whole connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 401, twice, with a new token in between.
    Token,
    /// 403.
    Permission,
    /// 404.
    Place,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Refusal; 3] = [Refusal::Token, Refusal::Permission, Refusal::Place];

    /// The refusal that a status is.
    pub fn of_status(status: u16) -> Option<Self> {
        match status {
            401 => Some(Refusal::Token),
            403 => Some(Refusal::Permission),
            404 => Some(Refusal::Place),
            _ => None,
        }
    }

    /// The stable code in the reason of a message that waits because of it.
    pub fn code(self) -> &'static str {
        match self {
            Refusal::Token => "paused_token_refused",
            Refusal::Permission => "paused_not_permitted",
            Refusal::Place => "paused_not_found",
        }
    }

    /// Why everything waits and what to do, for people.
    pub fn text(self) -> &'static str {
        match self {
            Refusal::Token => {
                "The platform refuses this connection's token although it was just renewed. Check the \
                 OAuth client's roles and that login and API host are of one region; sending goes on by \
                 itself when the platform takes the token again."
            }
            Refusal::Permission => {
                "The platform forbade ten sends in a row. Give the OAuth client a role that may send \
                 messages, then resume; one message a minute finds out by itself."
            }
            Refusal::Place => {
                "The platform did not find ten conversations in a row. Check the connection's region or \
                 host, then resume; one message a minute finds out by itself."
            }
        }
    }

    /// Why a message waits.
    pub fn reason(self) -> Reason {
        Reason::new(self.code(), self.text())
    }
}

/// The rule; see the module's text.
#[derive(Debug, Default)]
pub struct Pauses {
    in_a_row: Option<(Refusal, u32)>,
    paused: Option<Paused>,
}

#[derive(Debug)]
struct Paused {
    cause: Refusal,
    probe_at: Instant,
    probing: bool,
    probes: u32,
}

impl Pauses {
    /// Why everything waits, if it does.
    pub fn cause(&self) -> Option<Refusal> {
        self.paused.as_ref().map(|paused| paused.cause)
    }

    /// How long to wait before asking again; `None` when a call would be let through now.
    pub fn closed_for(&self, now: Instant) -> Option<Duration> {
        let paused = self.paused.as_ref()?;
        if paused.probing {
            return Some(Duration::from_secs(1));
        }
        (paused.probe_at > now).then(|| paused.probe_at - now)
    }

    /// Lets a call through, or not. Whoever got in gives the place back when it is done.
    pub fn admit(&mut self, now: Instant) -> Option<Entry> {
        if self.closed_for(now).is_some() {
            return None;
        }
        let Some(paused) = &mut self.paused else { return Some(Entry::Usual) };
        paused.probing = true;
        Some(Entry::Probe)
    }

    /// The call that was let through is over.
    pub fn given_back(&mut self, entry: Entry) {
        if let (Entry::Probe, Some(paused)) = (entry, &mut self.paused) {
            paused.probing = false;
        }
    }

    /// A send was refused. True when everything waits now, this message included. `jitter` is in 0..1.
    pub fn refused(&mut self, refusal: Refusal, now: Instant, jitter: f64) -> bool {
        if let Some(paused) = &mut self.paused {
            let wait = PROBE_FIRST.saturating_mul(1 << (paused.probes + 1).min(4)).min(PROBE_MAX);
            // Several that were on their way when it began are one refusal.
            if paused.probe_at <= now {
                paused.probes += 1;
                paused.probe_at = now + wait + wait.mul_f64(0.1 * jitter.clamp(0.0, 1.0));
            }
            paused.cause = refusal;
            return true;
        }
        let count = match self.in_a_row {
            Some((same, count)) if same == refusal => count + 1,
            _ => 1,
        };
        self.in_a_row = Some((refusal, count));
        if refusal != Refusal::Token && count < IN_A_ROW {
            return false;
        }
        self.pause(refusal, now + PROBE_FIRST);
        true
    }

    /// The platform judged a send by itself, whatever it said of it: what was paused goes on.
    pub fn judged(&mut self) {
        *self = Self::default();
    }

    /// The platform took the token.
    pub fn token_taken(&mut self) {
        if self.cause() == Some(Refusal::Token) {
            *self = Self::default();
        }
    }

    /// Begins paused and finds out at once whether that is still so: what a restart does.
    pub fn begin_paused(&mut self, cause: Refusal, now: Instant) {
        self.pause(cause, now);
    }

    fn pause(&mut self, cause: Refusal, probe_at: Instant) {
        self.in_a_row = None;
        self.paused = Some(Paused { cause, probe_at, probing: false, probes: 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_refusals_in_a_row_pause_and_nine_or_others_in_between_do_not() {
        for refusal in [Refusal::Permission, Refusal::Place] {
            let mut pauses = Pauses::default();
            let now = Instant::now();
            for _ in 0..9 {
                assert!(!pauses.refused(refusal, now, 0.0));
            }
            pauses.judged();
            for _ in 0..9 {
                assert!(!pauses.refused(refusal, now, 0.0));
            }
            assert!(pauses.refused(refusal, now, 0.0), "the tenth waits with all others");
            assert_eq!(pauses.cause(), Some(refusal));
            assert!(pauses.admit(now).is_none());
        }
    }

    #[test]
    fn a_refused_token_pauses_at_once_and_a_taken_one_ends_that() {
        let mut pauses = Pauses::default();
        let now = Instant::now();
        assert!(pauses.refused(Refusal::Token, now, 0.0));
        assert_eq!(pauses.closed_for(now), Some(PROBE_FIRST));
        pauses.token_taken();
        assert_eq!(pauses.admit(now), Some(Entry::Usual));
        for _ in 0..10 {
            pauses.refused(Refusal::Permission, now, 0.0);
        }
        pauses.token_taken();
        assert_eq!(pauses.cause(), Some(Refusal::Permission), "that says nothing about the right");
    }

    #[test]
    fn one_finds_out_at_a_time_and_more_and_more_rarely() {
        let mut pauses = Pauses::default();
        let mut now = Instant::now();
        pauses.refused(Refusal::Token, now, 0.0);
        for seconds in [60, 120, 240, 300, 300] {
            assert_eq!(pauses.closed_for(now), Some(Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
            assert_eq!(pauses.admit(now), Some(Entry::Probe));
            assert!(pauses.admit(now).is_none());
            // What was on its way together with it counts once.
            for _ in 0..3 {
                assert!(pauses.refused(Refusal::Token, now, 0.0));
            }
            pauses.given_back(Entry::Probe);
        }
        now += PROBE_MAX;
        assert_eq!(pauses.admit(now), Some(Entry::Probe));
        pauses.judged();
        assert_eq!((pauses.cause(), pauses.admit(now)), (None, Some(Entry::Usual)));
    }

    #[test]
    fn a_restart_begins_paused_and_finds_out_at_once() {
        let mut pauses = Pauses::default();
        let now = Instant::now();
        pauses.begin_paused(Refusal::Place, now);
        assert_eq!(pauses.admit(now), Some(Entry::Probe));
        assert!(pauses.refused(Refusal::Place, now, 0.0), "no further message is burnt");
    }
}
