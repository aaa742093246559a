//! The harness of the end-to-end tests: everything a test needs to stand outside and look in.
//!
//! ```text
//! place    a temporary folder with settings and data        waybill  the real binary, serving
//! sandbox  the simulated platform as its own process        sink     an audit receiver that can misbehave
//! api      the API with the launch token                    raw      bytes over TCP, for what no client sends
//! browser  headless Chromium through ChromeDriver           audit    signatures and chain, from the contract
//! static_host  the console's files on a host without a proxy
//! wait     until a condition holds, never for a duration
//! faulty_disk  a disk that fails under the real binary
//! ```
//!
//! Nothing here uses the proxy's code. Processes end with the value that holds them, whatever the test does.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "whatever goes wrong in the harness is a failure of the test that uses it"
)]

pub mod api;
pub mod audit;
pub mod binary;
pub mod browser;
#[cfg(target_os = "linux")]
pub mod faulty_disk;
pub mod http;
pub mod place;
pub mod raw;
pub mod sandbox;
pub mod sink;
pub mod static_host;
pub mod submission;
pub mod wait;
pub mod waybill;

pub use api::{Answer, Api};
pub use browser::Browser;
pub use place::Place;
pub use sandbox::SandboxProcess;
pub use static_host::StaticHost;
pub use wait::{eventually, eventually_within};
pub use waybill::Waybill;

/// True when the run may take long: `cargo xtask test --full`.
pub fn is_full() -> bool {
    std::env::var_os("WAYBILL_FULL").is_some()
}
