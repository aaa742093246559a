//! What goes wrong in a run, and when: rates and outages drawn from the seed. After [`Weather::calm_from`]
//! nothing goes wrong any more.

use crate::world::Dice;

/// What befalls one call to the platform.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// Nothing.
    None,
    /// No connection can be made.
    Refused,
    /// 429.
    Limited,
    /// The request is lost, and nobody answers.
    LostRequest,
    /// The request arrives in time, its answer does not.
    LostReply,
    /// The request arrives when the caller has given up long ago.
    LateRequest,
    /// A 5xx instead of doing it.
    ErrorBefore,
    /// A 5xx after doing it.
    ErrorAfter,
    /// A yes that names no message.
    NoId,
    /// A yes that names another message.
    WrongId,
    /// A final no.
    Rejected,
    /// 403.
    NoRights,
}

/// What befalls one request for a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenTrouble {
    /// Nothing.
    None,
    /// No connection can be made.
    Refused,
    /// This status: 400 and 401 say that the credentials are wrong.
    Status(u16),
    /// A token is made, and nobody hears of it.
    LostReply,
    /// A yes that holds no token.
    Nonsense,
}

/// What befalls one post to the sink.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SinkTrouble {
    /// Nothing.
    None,
    /// This status, and nothing is stored.
    Status(u16),
    /// It is stored; this status.
    StoredStatus(u16),
    /// It is not stored; no answer.
    Lost,
    /// It is stored; no answer.
    LostReply,
    /// It is stored; the answer breaks off.
    HalfReply,
    /// It arrives when the caller has given up long ago.
    Late,
}

/// See the module's text.
pub struct Weather {
    /// From this true time on nothing goes wrong.
    pub calm_from: i64,
    rates: Vec<(u32, Trouble)>,
    read_failures: u32,
    outages: Vec<(i64, i64, Trouble)>,
    token_rates: Vec<(u32, TokenTrouble)>,
    token_outages: Vec<(i64, i64, TokenTrouble)>,
    /// In a hundred: calls at which the token is revoked.
    revoked: u32,
    revoked_always: Option<(i64, i64)>,
    sink_rates: Vec<(u32, SinkTrouble)>,
    sink_outages: Vec<(i64, i64, SinkTrouble)>,
    /// In a hundred: receipts that are lost, late beyond the horizon, failed, read.
    pub never: u32,
    pub very_late: u32,
    pub failing: u32,
    pub reading: u32,
    /// In a hundred: looks that get an older receipt than the one before.
    pub stale: u32,
}

impl Weather {
    /// The weather of a seed from `begin` on.
    pub fn new(seed: u64, begin: i64, calm_from: i64) -> Self {
        let mut dice = Dice::new(seed, 1);
        let mut rate = |most: u32| if dice.percent(40) { 0 } else { dice.within(0, most) };
        use Trouble::{
            ErrorAfter, ErrorBefore, LateRequest, Limited, LostReply, LostRequest, NoId, NoRights,
            Refused, Rejected, WrongId,
        };
        let rates = [
            (10, Refused),
            (10, Limited),
            (12, LostRequest),
            (15, LostReply),
            (8, LateRequest),
            (8, ErrorBefore),
            (10, ErrorAfter),
            (6, NoId),
            (4, WrongId),
            (6, Rejected),
        ];
        let rates = rates.map(|(most, trouble)| (rate(most), trouble)).to_vec();
        let sink_rates = [
            (10, SinkTrouble::Status(500)),
            (8, SinkTrouble::Status(429)),
            (5, SinkTrouble::Status(408)),
            (4, SinkTrouble::Status(401)),
            (3, SinkTrouble::Status(301)),
            (3, SinkTrouble::Status(409)),
            (3, SinkTrouble::Status(410)),
            (6, SinkTrouble::StoredStatus(503)),
            (10, SinkTrouble::Lost),
            (15, SinkTrouble::LostReply),
            (6, SinkTrouble::HalfReply),
            (8, SinkTrouble::Late),
        ];
        let sink_rates = sink_rates.map(|(most, trouble)| (rate(most), trouble)).to_vec();
        let (never, very_late, failing) = (rate(20), rate(15), rate(20));
        let (reading, stale, read_failures) = (rate(60), rate(40), rate(30));
        let span = u32::try_from(calm_from - begin).unwrap_or(0);
        let mut outage = || {
            let from = begin + dice.ms(0, span);
            (from, from + dice.ms(1_000, span / 3))
        };
        let kinds = [Refused, LostRequest, LostReply, ErrorBefore, ErrorAfter, NoRights, Limited];
        let mut outages = Vec::new();
        let mut sink_outages = Vec::new();
        for kind in kinds {
            let (from, to) = outage();
            outages.push((from, to, kind));
        }
        for kind in [
            SinkTrouble::Status(503),
            SinkTrouble::Lost,
            SinkTrouble::LostReply,
            SinkTrouble::Late,
            SinkTrouble::Status(400),
        ] {
            let (from, to) = outage();
            sink_outages.push((from, to, kind));
        }
        let tokens = Tokens::new(seed, begin, span);
        // Not all of them in every run.
        outages.retain(|_| dice.percent(25));
        sink_outages.retain(|_| dice.percent(30));
        Self {
            calm_from,
            rates,
            read_failures,
            outages,
            token_rates: tokens.rates,
            token_outages: tokens.outages,
            revoked: tokens.revoked,
            revoked_always: tokens.revoked_always,
            sink_rates,
            sink_outages,
            never,
            very_late,
            failing,
            reading,
            stale,
        }
    }

    /// Nothing goes wrong but one thing: from a minute after `begin` on the platform answers 5xx for an hour, whatever it
    /// is asked, and has sometimes done it all the same.
    pub fn an_hour_of_errors(begin: i64) -> Self {
        let hour = (begin + 60_000, begin + 3_660_000);
        Self {
            calm_from: begin + 3_720_000,
            rates: Vec::new(),
            read_failures: 0,
            outages: vec![
                (hour.0, hour.0 + 600_000, Trouble::ErrorAfter),
                (hour.0 + 600_000, hour.1, Trouble::ErrorBefore),
            ],
            token_rates: Vec::new(),
            token_outages: Vec::new(),
            revoked: 0,
            revoked_always: None,
            sink_rates: Vec::new(),
            sink_outages: Vec::new(),
            never: 0,
            very_late: 0,
            failing: 0,
            reading: 0,
            stale: 0,
        }
    }

    /// What befalls a POST of a message now.
    pub fn strike_send(&self, now: i64, dice: &mut Dice) -> Trouble {
        if now >= self.calm_from {
            return Trouble::None;
        }
        pick(now, &self.outages, &self.rates, dice).unwrap_or(Trouble::None)
    }

    /// What befalls a read now; a read has no effect, so the kinds that differ by it are one.
    pub fn strike_read(&self, now: i64, dice: &mut Dice) -> Trouble {
        if now >= self.calm_from {
            return Trouble::None;
        }
        let rates = [
            (self.read_failures / 3, Trouble::Refused),
            (self.read_failures / 3, Trouble::LostReply),
            (self.read_failures / 6, Trouble::Limited),
        ];
        pick(now, &self.outages, &rates, dice).unwrap_or(Trouble::None)
    }

    /// Whether the token of a call is revoked right before it arrives.
    pub fn revokes(&self, now: i64, dice: &mut Dice) -> bool {
        let is_always = self.revoked_always.is_some_and(|(from, to)| (from..to).contains(&now));
        now < self.calm_from && (dice.percent(self.revoked) || is_always)
    }

    /// What befalls a request for a token now.
    pub fn strike_token(&self, now: i64, dice: &mut Dice) -> TokenTrouble {
        if now >= self.calm_from {
            return TokenTrouble::None;
        }
        pick(now, &self.token_outages, &self.token_rates, dice).unwrap_or(TokenTrouble::None)
    }

    /// What befalls a post to the sink now.
    pub fn strike_sink(&self, now: i64, dice: &mut Dice) -> SinkTrouble {
        if now >= self.calm_from {
            return SinkTrouble::None;
        }
        pick(now, &self.sink_outages, &self.sink_rates, dice).unwrap_or(SinkTrouble::None)
    }
}

/// What goes wrong with tokens; of dice of its own.
struct Tokens {
    rates: Vec<(u32, TokenTrouble)>,
    outages: Vec<(i64, i64, TokenTrouble)>,
    revoked: u32,
    revoked_always: Option<(i64, i64)>,
}

impl Tokens {
    fn new(seed: u64, begin: i64, span: u32) -> Self {
        let mut dice = Dice::new(seed, 6);
        let mut rate = |most: u32| if dice.percent(50) { 0 } else { dice.within(1, most) };
        let rates = [
            (15, TokenTrouble::Refused),
            (10, TokenTrouble::Status(400)),
            (10, TokenTrouble::Status(401)),
            (10, TokenTrouble::Status(429)),
            (15, TokenTrouble::Status(503)),
            (15, TokenTrouble::LostReply),
            (10, TokenTrouble::Nonsense),
        ]
        .map(|(most, trouble)| (rate(most), trouble));
        let revoked = rate(8);
        let mut outages = Vec::new();
        let outage = |dice: &mut Dice| {
            let from = begin + dice.ms(0, span);
            (from, from + dice.ms(1_000, span / 3))
        };
        for kind in [
            TokenTrouble::Refused,
            TokenTrouble::Status(400),
            TokenTrouble::Status(401),
            TokenTrouble::Status(500),
            TokenTrouble::LostReply,
        ] {
            let (from, to) = outage(&mut dice);
            if dice.percent(15) {
                outages.push((from, to, kind));
            }
        }
        let always = outage(&mut dice);
        let revoked_always = dice.percent(15).then_some(always);
        Self { rates: rates.to_vec(), outages, revoked, revoked_always }
    }
}

fn pick<T: Copy>(
    now: i64,
    outages: &[(i64, i64, T)],
    rates: &[(u32, T)],
    dice: &mut Dice,
) -> Option<T> {
    let mut roll = dice.within(0, 99);
    if let Some((.., trouble)) = outages.iter().find(|(from, to, _)| (*from..*to).contains(&now)) {
        return Some(*trouble);
    }
    for (rate, trouble) in rates {
        if roll < *rate {
            return Some(*trouble);
        }
        roll -= rate;
    }
    None
}
