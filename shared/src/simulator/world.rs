//! The conversations of the simulated platform: ordinary ones on every channel, and a few that go wrong in
//! a way somebody will want to see.
//!
//! The special ones have fixed identifiers, the same for every seed, so that documents, tests and links can
//! name them. Phone numbers are from the range Ofcom keeps free for drama (+44 7700 900000 to 900999) and
//! domains are those of RFC 2606, except the guide's own agent address: nothing here can reach anybody.

use super::draws::{Draws, Purpose};
use crate::channel::Channel;
use crate::conversation::{Conversation, Participant, ROLE_AGENT, ROLE_CUSTOMER};
use crate::id::ConversationId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The guide's own example: e-mail, `agent@genesys.cloud` to `customer@example.com`, always quick.
pub const GUIDE_CONVERSATION: &str = "a1b2c3d4-e5f6-7890-abcd-ef1234567890";
/// An SMS conversation that is always quick.
pub const SMS_CONVERSATION: &str = "00000000-0000-4000-8000-000000000001";
/// SMS to a number that is not in service: every message to it fails.
pub const FAILING_CONVERSATION: &str = "00000000-0000-4000-8000-000000000002";
/// Open messaging whose far end never reports receipts: every message stays `sent`.
pub const NO_RECEIPTS_CONVERSATION: &str = "00000000-0000-4000-8000-000000000003";
/// A web chat that has ended: nothing can be sent to it.
pub const CLOSED_CONVERSATION: &str = "00000000-0000-4000-8000-000000000004";
/// E-mail in which our side only watches, as `observer`: nobody may send.
pub const NO_AGENT_CONVERSATION: &str = "00000000-0000-4000-8000-000000000005";

/// Ordinary conversations beside the special ones, the same number on each of the first five channels.
const ORDINARY: u32 = 40;
/// Ordinary conversations on the messengers that came later, the same number on each; they stand at the end, so
/// that what was there before them kept its place.
const LATER: u32 = 12;

/// What becomes of messages sent to a conversation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// Delivered within 4 seconds, always.
    Quick,
    /// Delivered within 4 seconds, about one in twenty only after 12 to 20.
    Usual,
    /// Never delivered: the platform reports a failure.
    Fails,
    /// Handed over, and nothing is ever heard of it again.
    NoReceipts,
}

/// A conversation of the simulated platform.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SimulatedConversation {
    /// Its identifier.
    pub id: ConversationId,
    /// The channel it runs on.
    pub channel: Channel,
    /// Who takes part: our side first, the customer last.
    pub participants: Vec<Participant>,
    /// True if it has ended.
    pub ended: bool,
    /// What becomes of messages sent to it.
    pub behaviour: Behaviour,
}

impl SimulatedConversation {
    /// The address our side speaks from.
    pub fn sender(&self) -> &str {
        self.participants.first().map_or("", |one| &one.address)
    }

    /// The customer's address.
    pub fn recipient(&self) -> &str {
        self.participants.last().map_or("", |one| &one.address)
    }

    /// True when a plain text from [`Self::sender`] to [`Self::recipient`] is accepted.
    pub fn accepts(&self) -> bool {
        !self.ended && self.participants.first().is_some_and(|one| one.role == ROLE_AGENT)
    }

    /// The conversation as it is read at a moment.
    pub fn at(&self, read_at: Timestamp) -> Conversation {
        Conversation {
            id: self.id.clone(),
            channel: self.channel.clone(),
            participants: self.participants.clone(),
            ended_at: self.ended.then_some(read_at),
            read_at,
        }
    }

    /// The identifier's sixteen bytes, which key the draws of its messages.
    pub(super) fn subject(&self) -> [u8; 16] {
        let digits = self.id.as_str().bytes().filter_map(|byte| char::from(byte).to_digit(16));
        let mut subject = [0u8; 16];
        for (index, digit) in digits.enumerate().take(32) {
            // A hexadecimal digit is below 16 and so always fits.
            subject[index / 2] = subject[index / 2] << 4 | u8::try_from(digit).unwrap_or(0);
        }
        subject
    }
}

/// So many further conversations, all ordinary and by email: for measurements with more of them than the
/// [`world`] has.
pub fn crowd(seed: u64, count: u32) -> Vec<SimulatedConversation> {
    let mut maker = Maker { draws: Draws::new(Purpose::World, seed, [1; 16], 0) };
    let more =
        (ORDINARY..ORDINARY + count.min(1000)).map(|one| maker.ordinary(one, Channel::Email));
    more.flatten().collect()
}

/// Every conversation of the simulated platform: the guide's own first, then ordinary ones, then those that go
/// wrong, then ordinary ones on Facebook Messenger, Instagram and Apple Messages.
pub fn world(seed: u64) -> Vec<SimulatedConversation> {
    let mut maker = Maker { draws: Draws::new(Purpose::World, seed, [0; 16], 0) };
    let mut all = Vec::new();
    let mut add = |made: Option<SimulatedConversation>| all.extend(made);
    add(maker.conversation(
        Some(GUIDE_CONVERSATION),
        Channel::Email,
        Behaviour::Quick,
        &[(ROLE_AGENT, "agent@genesys.cloud"), (ROLE_CUSTOMER, "customer@example.com")],
    ));
    add(maker.conversation(
        Some(SMS_CONVERSATION),
        Channel::Sms,
        Behaviour::Quick,
        &[(ROLE_AGENT, "+447700900001"), (ROLE_CUSTOMER, "+447700900010")],
    ));
    for number in 0..ORDINARY {
        let channel = match number % 5 {
            0 => Channel::Sms,
            1 => Channel::Email,
            2 => Channel::Webmessaging,
            3 => Channel::Whatsapp,
            _ => Channel::Open,
        };
        add(maker.ordinary(number, channel));
    }
    add(maker.conversation(
        Some(FAILING_CONVERSATION),
        Channel::Sms,
        Behaviour::Fails,
        &[(ROLE_AGENT, "+447700900001"), (ROLE_CUSTOMER, "+447700900999")],
    ));
    add(maker.conversation(
        Some(NO_RECEIPTS_CONVERSATION),
        Channel::Open,
        Behaviour::NoReceipts,
        &[(ROLE_AGENT, "service@example.com"), (ROLE_CUSTOMER, "terminal-0001")],
    ));
    let closed = maker.conversation(
        Some(CLOSED_CONVERSATION),
        Channel::Webmessaging,
        Behaviour::Usual,
        &[(ROLE_AGENT, "service@example.com"), (ROLE_CUSTOMER, "visitor-closed")],
    );
    add(closed.map(|closed| SimulatedConversation { ended: true, ..closed }));
    add(maker.conversation(
        Some(NO_AGENT_CONVERSATION),
        Channel::Email,
        Behaviour::Usual,
        &[("observer", "observer@example.com"), (ROLE_CUSTOMER, "robin.watched@example.org")],
    ));
    for number in ORDINARY..ORDINARY + LATER {
        let channel = match number % 3 {
            0 => Channel::Facebook,
            1 => Channel::Instagram,
            _ => Channel::Apple,
        };
        add(maker.ordinary(number, channel));
    }
    all
}

struct Maker {
    draws: Draws,
}

impl Maker {
    /// An ordinary conversation; every fourth has a second agent, so that there is a sender to choose.
    fn ordinary(&mut self, number: u32, channel: Channel) -> Option<SimulatedConversation> {
        const FIRST: &[&str] = &[
            "alex", "amara", "chen", "dana", "elif", "femi", "ines", "jonas", "kiran", "lena",
            "marco", "noor", "olga", "priya", "ravi", "sofia", "tariq", "yuki",
        ];
        const LAST: &[&str] = &[
            "abbott", "baker", "costa", "dahl", "evans", "fischer", "garcia", "haddad", "ito",
            "jensen", "kaya", "lopez", "meyer", "novak", "okafor", "park",
        ];
        const DOMAINS: &[&str] = &["example.com", "example.org", "example.net"];
        const DESKS: &[&str] = &["care", "orders", "returns", "service"];
        let first = self.draws.pick(FIRST, "alex");
        let last = self.draws.pick(LAST, "abbott");
        let domain = self.draws.pick(DOMAINS, "example.org");
        let desk = self.draws.pick(DESKS, "service");
        // Twenty numbers for each conversation, so that no two share one.
        let phone = 900_100 + 20 * number + self.draws.below(20);
        let tag = self.draws.within(0x1000, 0xffff);
        let (agent, second, customer) = match channel {
            Channel::Sms => {
                ("+447700900001".into(), "+447700900003".into(), format!("+447700{phone}"))
            }
            Channel::Whatsapp => {
                ("+447700900002".into(), "+447700900004".into(), format!("+447700{phone}"))
            }
            Channel::Email => (
                format!("{desk}@example.com"),
                "supervisor@example.com".to_owned(),
                format!("{first}.{last}.{number:02}@{domain}"),
            ),
            Channel::Webmessaging => (
                format!("{desk}@example.com"),
                "supervisor@example.com".to_owned(),
                format!("visitor-{number:02}-{tag:04x}"),
            ),
            _ => (
                format!("{desk}@example.com"),
                "supervisor@example.com".to_owned(),
                format!("{first}-{number:02}-{tag:04x}"),
            ),
        };
        let (agent, second, customer) = (agent.as_str(), second.as_str(), customer.as_str());
        let (one, other) = ((ROLE_AGENT, agent), (ROLE_CUSTOMER, customer));
        if number % 4 == 3 {
            let parties = [one, (ROLE_AGENT, second), other];
            self.conversation(None, channel, Behaviour::Usual, &parties)
        } else {
            self.conversation(None, channel, Behaviour::Usual, &[one, other])
        }
    }

    /// `None` only if an identifier were malformed, which the tests rule out for every one made here.
    fn conversation(
        &mut self,
        id: Option<&str>,
        channel: Channel,
        behaviour: Behaviour,
        parties: &[(&str, &str)],
    ) -> Option<SimulatedConversation> {
        let drawn = self.draws.uuid();
        let id = ConversationId::parse(id.unwrap_or(&drawn)).ok()?;
        let participants = parties
            .iter()
            .map(|(role, address)| Participant {
                id: self.draws.uuid(),
                role: (*role).to_owned(),
                address: (*address).to_owned(),
            })
            .collect();
        Some(SimulatedConversation { id, channel, participants, ended: false, behaviour })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::may_send;
    use crate::payload::{Payload, TEXT_PLAIN};
    use crate::rules::{Dialect, Ruleset};
    use crate::simulator::assert_snapshot;
    use crate::validate::{Context, validate};
    use std::collections::HashSet;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn is_valid(conversation: &SimulatedConversation) -> bool {
        let payload = Payload {
            from: conversation.sender().to_owned(),
            to: vec![conversation.recipient().to_owned()],
            content_type: TEXT_PLAIN.to_owned(),
            content: "Hello".into(),
            attachments: Vec::new(),
        };
        let read = conversation.at(Timestamp::from_unix_ms(1_000));
        may_send(&validate(
            &payload,
            Ruleset::embedded(Dialect::Guide),
            Context::Conversation(&read),
        ))
    }

    #[test]
    fn seed_42_gives_the_committed_world() {
        let made: String = world(42)
            .iter()
            .map(|conversation| serde_json::to_string(conversation).unwrap() + "\n")
            .collect();
        assert_snapshot(
            "world-seed-42.jsonl",
            include_str!("../../snapshots/world-seed-42.jsonl"),
            &made,
        );
    }

    #[test]
    fn the_rules_and_the_world_agree_on_who_accepts_a_text() {
        for seed in [0, 1, 42, u64::MAX] {
            let all = world(seed);
            assert_eq!(all.len(), 58);
            for conversation in &all {
                assert_eq!(conversation.accepts(), is_valid(conversation), "{conversation:?}");
            }
            let open = all.iter().filter(|one| {
                one.accepts() && matches!(one.behaviour, Behaviour::Quick | Behaviour::Usual)
            });
            assert_eq!(open.count(), 54);
            let ids: HashSet<_> = all.iter().map(|one| &one.id).collect();
            assert_eq!(ids.len(), all.len());
            let customers: HashSet<_> = all.iter().map(SimulatedConversation::recipient).collect();
            assert_eq!(customers.len(), all.len());
            for channel in Channel::KNOWN {
                assert!(all.iter().filter(|one| one.channel == channel).count() >= 4);
            }
        }
    }

    #[test]
    fn the_guides_example_is_first_and_the_special_ones_exist() {
        let all = world(9);
        let guide = &all[0];
        assert_eq!(guide.id.as_str(), GUIDE_CONVERSATION);
        assert_eq!(
            (guide.sender(), guide.recipient()),
            ("agent@genesys.cloud", "customer@example.com")
        );
        let find = |id: &str| all.iter().find(|one| one.id.as_str() == id).unwrap();
        assert!(find(CLOSED_CONVERSATION).ended);
        assert_eq!(find(NO_AGENT_CONVERSATION).participants[0].role, "observer");
        assert_eq!(find(FAILING_CONVERSATION).behaviour, Behaviour::Fails);
        assert_eq!(find(NO_RECEIPTS_CONVERSATION).behaviour, Behaviour::NoReceipts);
        assert_eq!(find(SMS_CONVERSATION).channel, Channel::Sms);
    }
}
