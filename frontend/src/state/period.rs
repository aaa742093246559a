//! What the SLA page looks at: how far back, and by which threshold. It lives in the address.

use leptos_router::params::ParamsMap;
use std::time::Duration;

/// How far back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Period {
    /// The last hour.
    Hour,
    /// The last 24 hours.
    #[default]
    Day,
    /// The last 7 days.
    Week,
    /// The last 30 days.
    Month,
}

impl Period {
    /// Every period, shortest first.
    pub const ALL: [Period; 4] = [Period::Hour, Period::Day, Period::Week, Period::Month];

    /// The word in the address.
    pub fn as_str(self) -> &'static str {
        match self {
            Period::Hour => "1h",
            Period::Day => "24h",
            Period::Week => "7d",
            Period::Month => "30d",
        }
    }

    /// The word on screen.
    pub fn label(self) -> &'static str {
        match self {
            Period::Hour => "1 h",
            Period::Day => "24 h",
            Period::Week => "7 d",
            Period::Month => "30 d",
        }
    }

    /// How long it is.
    pub fn length(self) -> Duration {
        const HOUR_S: u64 = 60 * 60;
        Duration::from_secs(match self {
            Period::Hour => HOUR_S,
            Period::Day => 24 * HOUR_S,
            Period::Week => 7 * 24 * HOUR_S,
            Period::Month => 30 * 24 * HOUR_S,
        })
    }
}

/// What is looked at.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Outlook {
    /// How far back.
    pub period: Period,
    /// The threshold to judge all by, in seconds; each by its own when `None`.
    pub what_if: Option<f64>,
}

impl Outlook {
    /// Reads the address's query; what names nothing is left out.
    pub fn from_query(query: &ParamsMap) -> Self {
        Self::read(|name| query.get(name))
    }

    fn read(value: impl Fn(&str) -> Option<String>) -> Self {
        let period = value("period").unwrap_or_default();
        Self {
            period: Period::ALL.into_iter().find(|one| one.as_str() == period).unwrap_or_default(),
            what_if: value("threshold")
                .and_then(|text| text.parse().ok())
                .filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0),
        }
    }

    /// The address's query, with its `?`; empty for what is shown anyway.
    pub fn to_query(self) -> String {
        let period =
            (self.period != Period::default()).then(|| format!("period={}", self.period.as_str()));
        let what_if = self.what_if.map(|seconds| format!("threshold={seconds}"));
        let parts: Vec<String> = period.into_iter().chain(what_if).collect();
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn an_outlook_survives_its_address() {
        for text in ["", "?period=7d", "?threshold=2.5", "?period=1h&threshold=5"] {
            let value = |wanted: &str| {
                text.trim_start_matches('?')
                    .split('&')
                    .filter_map(|pair| pair.split_once('='))
                    .find(|(name, _)| *name == wanted)
                    .map(|(_, value)| value.to_owned())
            };
            assert_eq!(Outlook::read(value).to_query(), text);
        }
        let negative = |name: &str| (name == "threshold").then(|| "-1".to_owned());
        assert_eq!(Outlook::read(negative), Outlook::default());
    }
}
