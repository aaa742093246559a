//! What a rule has to say about a payload, in words a person can act on.

use serde::{Deserialize, Serialize};

/// Whether a finding stops the message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Severity {
    /// The message cannot be sent like this.
    Error,
    /// It can be sent, but probably costs or reads differently than meant.
    Warning,
}

/// One thing a rule found: what is wrong, why that is a rule, and how to mend it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// Stable name of the rule, for programs and for searching; [`crate::rules::catalogue`] explains each.
    pub code: String,
    /// JSON pointer (RFC 6901) into the payload; empty where the whole payload is meant.
    pub pointer: String,
    /// Whether it stops the message.
    pub severity: Severity,
    /// What is wrong, with the value at fault where it is short.
    pub what: String,
    /// The rule and, in parentheses, where it comes from.
    pub why: String,
    /// What to do about it.
    pub how: String,
    /// The hash of the pack it was judged by ([`crate::rules::Pack::hash`]), or of the ruleset where no channel
    /// is known; empty for what a page finds by itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pack: String,
}

/// True when nothing among the findings stops the message.
pub fn may_send(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.severity != Severity::Error)
}
