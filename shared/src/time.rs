//! The one representation of a moment: milliseconds since 1970, written as RFC 3339 in UTC with `Z`.
//!
//! Milliseconds are what an SLA in seconds needs and what every clock here can give; finer digits from a
//! platform are cut, never rounded up, so an interval never grows by parsing.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment in UTC, in whole milliseconds. `Display` and JSON give `2026-11-22T10:00:00.250Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime, example = "2026-11-22T10:00:00.250Z"))]
pub struct Timestamp(i64);

/// Text that is not an RFC 3339 moment with a zone between the years 1970 and 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an RFC 3339 time such as 2026-11-22T10:00:00Z")]
pub struct TimestampError(String);

/// 9999-12-31T23:59:59.999Z, the last moment RFC 3339 can write.
const LAST_MS: i64 = 253_402_300_799_999;

impl Timestamp {
    /// The moment `ms` milliseconds after 1970, held within the range RFC 3339 can write.
    pub fn from_unix_ms(ms: i64) -> Self {
        Self(ms.clamp(0, LAST_MS))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn unix_ms(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339 with any offset; a time without a zone is an error, never a guess.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let error = || TimestampError(text.chars().take(40).collect());
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| error())?;
        let ms = moment.unix_timestamp_nanos().div_euclid(1_000_000);
        match i64::try_from(ms) {
            Ok(ms) if (0..=LAST_MS).contains(&ms) => Ok(Self(ms)),
            _ => Err(error()),
        }
    }

    /// This moment plus `duration`, held at the end of the range.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_unix_ms(self.0.saturating_add(ms))
    }

    /// This moment less `duration`, held at the beginning of the range.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_unix_ms(self.0.saturating_sub(ms))
    }

    /// Milliseconds from `earlier` to this moment; negative when this one is the earlier.
    pub fn ms_since(self, earlier: Timestamp) -> i64 {
        self.0 - earlier.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In range by construction, so the fall-back is never written.
        let moment = OffsetDateTime::from_unix_timestamp(self.0.div_euclid(1000))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            moment.year(),
            u8::from(moment.month()),
            moment.day(),
            moment.hour(),
            moment.minute(),
            moment.second(),
            self.0.rem_euclid(1000),
        )
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Timestamp::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn writes_and_reads_the_audit_form() {
        let moment = Timestamp::parse("2026-11-22T10:00:00.25Z").unwrap();
        assert_eq!(moment.to_string(), "2026-11-22T10:00:00.250Z");
        assert_eq!(Timestamp::parse(&moment.to_string()), Ok(moment));
    }

    #[test]
    fn offsets_and_nine_decimals_are_exact_to_the_millisecond() {
        let moment = Timestamp::parse("2026-11-22T12:00:00.123456789+02:00").unwrap();
        assert_eq!(moment.to_string(), "2026-11-22T10:00:00.123Z");
    }

    #[test]
    fn refuses_what_is_not_a_moment() {
        for text in ["", "soon", "2026-11-22", "2026-11-22T10:00:00", "1969-12-31T23:59:59Z"] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }
}
