//! What the page, the proxy and the command line must agree on, compiled to wasm and native.
//!
//! This crate knows no I/O, no clock and no ambient randomness: the time, the seed and the jitter are
//! arguments, so the same input gives the same bytes everywhere. It holds the wire types of `/api/v1`
//! ([`api`]), what a submission says ([`payload`]) and how a template or a table becomes it ([`template`],
//! [`table`]), the rules it must keep ([`rules`]) and the code that applies them ([`validate`]), what it becomes
//! ([`plan`], [`sms`]), the delivery state machine ([`delivery`]), the verdict ([`sla`]), the audit bytes
//! ([`audit`]) and the simulator
//! ([`simulator`]). Every other room points here and this one points nowhere.

pub mod address;
pub mod api;
pub mod audit;
pub mod channel;
pub mod conversation;
pub mod delivery;
pub mod finding;
pub mod id;
pub mod json;
pub mod payload;
pub mod plan;
pub mod rules;
#[cfg(feature = "openapi")]
pub mod schema;
pub mod simulator;
pub mod sla;
pub mod sms;
pub mod table;
pub mod template;
pub mod time;
pub mod validate;
pub mod wait;
