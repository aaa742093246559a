//! What the page knows between two clicks. Each module owns one thing and hands out a small `Copy` handle;
//! components read the handles' signals, only `state` and `pages` call the API.

pub mod assess;
pub mod clock;
pub mod detail;
pub mod draft;
pub mod filter;
pub mod list;
pub mod live;
pub mod loaded;
pub mod messages;
pub mod period;
pub mod proxy;
pub mod session;
pub mod sse;
pub mod theme;
