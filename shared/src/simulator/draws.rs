//! Random numbers that are the same on every machine.
//!
//! ChaCha with 8 rounds, keyed by the seed and by what is being decided, so that two decisions never share
//! numbers and one more draw in one place shifts nothing anywhere else. The key is laid out here byte by
//! byte instead of using `seed_from_u64`, whose expansion is the library's to change. Only 32-bit draws and
//! integer arithmetic follow: `usize` and floating point may differ between wasm and native.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a sequence of numbers is drawn for; each has a stream of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// The messages of [`crate::simulator::Simulator`].
    Messages,
    /// The conversations of [`crate::simulator::world`].
    World,
    /// What becomes of one message.
    History,
    /// The platform's name for one message.
    PlatformId,
    /// Which calls a fault strikes.
    Faults,
    /// The conversation and the content of one message of a scenario.
    Content,
    /// The pauses between the messages of a scenario.
    Arrivals,
    /// Which rules hostile messages break, and how.
    Hostile,
}

/// One sequence of numbers.
#[derive(Clone, Debug)]
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// The sequence for `purpose`, told apart from others by `subject` and `ordinal` (zeros where there is
    /// only one).
    pub fn new(purpose: Purpose, seed: u64, subject: [u8; 16], ordinal: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..24].copy_from_slice(&subject);
        key[24..].copy_from_slice(&ordinal.to_le_bytes());
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(match purpose {
            Purpose::Messages => 1,
            Purpose::World => 2,
            Purpose::History => 3,
            Purpose::PlatformId => 4,
            Purpose::Faults => 5,
            Purpose::Content => 6,
            Purpose::Arrivals => 7,
            Purpose::Hostile => 8,
        });
        Self(generator)
    }

    /// A number below `end`; 0 when `end` is 0. The bias of taking the upper half of the product is less
    /// than `end` in 2³², far below what a simulation could show.
    pub fn below(&mut self, end: u32) -> u32 {
        let product = u64::from(self.0.next_u32()) * u64::from(end);
        // The product is below 2⁶⁴, so its upper half always fits.
        u32::try_from(product >> 32).unwrap_or(u32::MAX)
    }

    /// A number from `first` to `last`, both included.
    pub fn within(&mut self, first: u32, last: u32) -> u32 {
        first + self.below(last.saturating_sub(first).saturating_add(1))
    }

    /// One of `choices`.
    pub fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T], otherwise: &'a T) -> &'a T {
        let end = u32::try_from(choices.len()).unwrap_or(u32::MAX);
        let index = usize::try_from(self.below(end)).unwrap_or(0);
        choices.get(index).copied().unwrap_or(otherwise)
    }

    /// A pause of a Poisson process: exponential, of this mean, in whole numbers; at most 22 times the mean.
    ///
    /// The negative logarithm of a uniform number, in fixed point with sixteen binary places: its whole part
    /// counts leading zeros, and each further place squares what is left.
    pub fn exponential(&mut self, mean: u32) -> u32 {
        const LN_2: u64 = 45_426;
        let uniform = self.0.next_u32().max(1);
        // Between one and two, with 31 binary places.
        let mut left = u64::from(uniform << uniform.leading_zeros());
        let mut places = 0;
        for _ in 0..16 {
            left = (left * left) >> 31;
            let is_two = left >> 32;
            left >>= is_two;
            places = places << 1 | is_two;
        }
        let log2 = (u64::from(uniform.leading_zeros()) + 1) * 65_536 - places;
        let pause = (u64::from(mean) * ((log2 * LN_2) >> 16)) >> 16;
        u32::try_from(pause).unwrap_or(u32::MAX)
    }

    /// A UUID of version 4 (RFC 9562) made of drawn bits.
    pub fn uuid(&mut self) -> String {
        let mut bytes = [0; 16];
        for chunk in bytes.chunks_exact_mut(4) {
            chunk.copy_from_slice(&self.0.next_u32().to_le_bytes());
        }
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn purposes_subjects_and_ordinals_have_sequences_of_their_own() {
        let all = [
            Draws::new(Purpose::Messages, 1, [0; 16], 0),
            Draws::new(Purpose::World, 1, [0; 16], 0),
            Draws::new(Purpose::World, 2, [0; 16], 0),
            Draws::new(Purpose::World, 1, [1; 16], 0),
            Draws::new(Purpose::World, 1, [0; 16], 1),
        ];
        let firsts: std::collections::HashSet<String> =
            all.into_iter().map(|mut draws| draws.uuid()).collect();
        assert_eq!(firsts.len(), 5);
    }

    #[test]
    fn numbers_stay_in_range_and_reach_both_ends() {
        let mut draws = Draws::new(Purpose::World, 7, [0; 16], 0);
        let seen: std::collections::BTreeSet<u32> = (0..200).map(|_| draws.within(3, 6)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [3, 4, 5, 6]);
        assert_eq!(draws.below(0), 0);
    }

    #[test]
    fn exponential_pauses_have_their_mean_and_their_quantiles() {
        let mut draws = Draws::new(Purpose::Arrivals, 7, [0; 16], 0);
        let mut pauses: Vec<u32> = (0..100_000).map(|_| draws.exponential(10_000)).collect();
        pauses.sort_unstable();
        let mean = pauses.iter().map(|one| u64::from(*one)).sum::<u64>() / 100_000;
        assert!((9_900..=10_100).contains(&mean), "{mean}");
        // Median ln 2, and e⁻³ of them more than three times the mean.
        assert!((6_830..=7_030).contains(&pauses[50_000]), "{}", pauses[50_000]);
        assert!((29_500..=30_500).contains(&pauses[95_021]), "{}", pauses[95_021]);
        assert_eq!(draws.exponential(0), 0);
    }
}
