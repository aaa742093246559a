//! End-to-end tests, one module for each promise. Every test has its own processes and data folder.
#![expect(clippy::expect_used, clippy::panic, reason = "a helper that fails is a test that fails")]

mod api;
mod stream;
