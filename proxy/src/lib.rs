//! The proxy: the only room that knows the platform, the credentials, the database and the audit sink.
//!
//! Start at [`app`] for how the parts are put together, at [`router`] for which path is served by what, at
//! [`worker`] for what happens by itself. Routes and workers meet only in [`engine`]; the database stands
//! behind [`store`], the platform behind [`platform`].

pub mod access;
pub mod app;
pub mod audit;
pub mod clock;
pub mod command;
pub mod config;
pub mod console;
pub mod data_folder;
pub mod engine;
pub mod error;
pub mod failpoint;
#[doc(hidden)]
pub mod fuzz;
pub mod measured;
pub mod platform;
pub mod router;
pub mod routes;
pub mod sandbox;
pub mod scenario;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod worker;
