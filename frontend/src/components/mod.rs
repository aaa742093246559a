//! Small parts: props in, callbacks out. They never fetch and spell no address.

pub mod audit;
pub mod chart;
pub mod chips;
pub mod code;
pub mod content;
pub mod context_card;
pub mod copy;
pub mod decision;
pub mod dialog;
pub mod figure;
pub mod file;
pub mod finding;
pub mod icon;
pub mod leg;
pub mod logo;
pub mod nothing;
pub mod plan;
pub mod preview;
pub mod review;
pub mod row;
pub mod slip;
pub mod state_word;
pub mod tabs;
pub mod time;
pub mod timeline;
pub mod verdict;
