//! The rules as data: what each channel takes on each dialect, and the words for everything a rule can find.
//!
//! A **pack** (`shared/rules/CHANNEL.json`) holds one channel's limits, each with its source; a [`Ruleset`] is
//! the packs of one dialect as they are in force, narrowed by whoever runs the proxy. [`crate::validate`] is the
//! code that applies them and [`catalogue`] holds its sentences. A pack in force is named by its hash, so that
//! two verdicts can be compared: same hash, same payload, same context, same findings.

pub mod catalogue;
pub mod example;
mod file_type;
mod narrow;
mod pack;
pub mod reading;

pub(crate) use file_type::sniffed;
pub use file_type::{FILE_TYPES, FileType, file_type};
pub use narrow::{Narrowing, NotNarrower};
pub use pack::{
    AddressForm, Limit, Media, Pack, PartsLimit, Recipients, Sending, TextLimit, TextUnit,
};

use crate::channel::Channel;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

/// How a platform is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Dialect {
    /// The tutorial's contract.
    #[default]
    Guide,
    /// The real platform's API.
    Genesys,
}

impl Dialect {
    /// Every dialect that has packs.
    pub const ALL: [Dialect; 2] = [Dialect::Guide, Dialect::Genesys];

    /// The name on the wire and in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Dialect::Guide => "guide",
            Dialect::Genesys => "genesys",
        }
    }

    /// Reads the name of a dialect; `None` for any other word.
    pub fn parse(name: &str) -> Option<Self> {
        Dialect::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The packs of one dialect that are in force.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ruleset {
    /// The dialect.
    pub dialect: Dialect,
    /// Names all of it: 16 hexadecimal digits over the packs' hashes.
    pub hash: String,
    /// One for each channel the dialect can carry, in the order of [`Channel::KNOWN`].
    pub packs: Vec<Pack>,
}

/// Why there is no pack to judge by. Nothing may be sent then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoPack {
    /// The channel has no rules at all.
    Unknown,
    /// The channel has rules, but this dialect cannot carry it.
    Dialect,
}

impl Ruleset {
    /// The packs as they are shipped, narrowed by nobody.
    pub fn embedded(dialect: Dialect) -> &'static Ruleset {
        static GUIDE: OnceLock<Ruleset> = OnceLock::new();
        static GENESYS: OnceLock<Ruleset> = OnceLock::new();
        let cell = match dialect {
            Dialect::Guide => &GUIDE,
            Dialect::Genesys => &GENESYS,
        };
        // A pack that could not be read would be a channel that nothing can be sent on; the tests read them all.
        cell.get_or_init(|| {
            let packs = pack::SHIPPED.iter().filter_map(|text| Pack::read(text, dialect).ok()?);
            Ruleset { dialect, hash: String::new(), packs: packs.collect() }.named()
        })
    }

    /// The pack for `channel`.
    pub fn pack(&self, channel: &Channel) -> Result<&Pack, NoPack> {
        self.packs.iter().find(|pack| pack.channel == *channel).ok_or(match channel {
            Channel::Unknown(_) => NoPack::Unknown,
            _ => NoPack::Dialect,
        })
    }

    /// These packs with less allowed, or everything that would allow more than before.
    pub fn narrowed(
        &self,
        narrowings: &BTreeMap<Channel, Narrowing>,
    ) -> Result<Ruleset, Vec<NotNarrower>> {
        let mut narrowed = self.clone();
        let mut faults = Vec::new();
        for pack in &mut narrowed.packs {
            if let Some(narrowing) = narrowings.get(&pack.channel) {
                faults.extend(narrow::narrow(pack, narrowing));
            }
        }
        if faults.is_empty() { Ok(narrowed.named()) } else { Err(faults) }
    }

    /// With the hashes that belong to what the packs say.
    fn named(mut self) -> Self {
        for pack in &mut self.packs {
            pack.hash = String::new();
            pack.hash = hash(&serde_json::to_vec(pack).unwrap_or_default());
        }
        let all: Vec<&str> = self.packs.iter().map(|pack| pack.hash.as_str()).collect();
        self.hash = hash(all.join("\n").as_bytes());
        self
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_shipped_pack_can_be_read_and_every_known_channel_has_one() {
        for text in pack::SHIPPED {
            for dialect in Dialect::ALL {
                Pack::read(text, dialect).unwrap();
            }
        }
        let of = |dialect| -> Vec<Channel> {
            let all = &Ruleset::embedded(dialect).packs;
            all.iter().map(|pack| pack.channel.clone()).collect()
        };
        assert_eq!(of(Dialect::Guide), Channel::KNOWN);
        let without_email: Vec<Channel> =
            Channel::KNOWN.into_iter().filter(|one| *one != Channel::Email).collect();
        assert_eq!(of(Dialect::Genesys), without_email);
    }

    #[test]
    fn hashes_name_what_is_in_force() {
        let shipped = Ruleset::embedded(Dialect::Guide);
        let sms = shipped.pack(&Channel::Sms).unwrap();
        assert_eq!(sms.hash.len(), 16);
        assert_ne!(sms.hash, shipped.pack(&Channel::Open).unwrap().hash);
        assert_ne!(shipped.hash, Ruleset::embedded(Dialect::Genesys).hash);
        let narrowing = Narrowing { text_max: Some(160), ..Narrowing::default() };
        let narrowed = shipped.narrowed(&BTreeMap::from([(Channel::Sms, narrowing)])).unwrap();
        assert_ne!(narrowed.pack(&Channel::Sms).unwrap().hash, sms.hash);
        assert_eq!(narrowed.pack(&Channel::Open), shipped.pack(&Channel::Open));
        assert_ne!(narrowed.hash, shipped.hash);
        let again = shipped.narrowed(&BTreeMap::new()).unwrap();
        assert_eq!(&again, shipped);
        // Written and read again it is the same, so the page can use what the proxy says.
        let text = serde_json::to_string(&narrowed).unwrap();
        assert_eq!(serde_json::from_str::<Ruleset>(&text).unwrap(), narrowed);
    }

    #[test]
    fn dialects_have_one_name_everywhere() {
        for dialect in Dialect::ALL {
            assert_eq!(Dialect::parse(dialect.as_str()), Some(dialect));
            assert_eq!(serde_json::to_value(dialect).unwrap(), dialect.to_string());
        }
        assert_eq!(Dialect::parse("Guide"), None);
    }

    #[test]
    fn what_has_no_pack_says_why() {
        let genesys = Ruleset::embedded(Dialect::Genesys);
        assert_eq!(genesys.pack(&Channel::Email).unwrap_err(), NoPack::Dialect);
        assert_eq!(genesys.pack(&Channel::parse("pigeon")).unwrap_err(), NoPack::Unknown);
    }
}
