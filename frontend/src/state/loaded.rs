//! What is known of something that is fetched: the four things a page has to draw on purpose.

use shared::api::Problem;

/// A value on its way, here, or not to be had.
#[derive(Clone, PartialEq, Debug)]
pub enum Loaded<T> {
    /// Asked for, no answer yet.
    Loading,
    /// Here.
    Ready(T),
    /// Asked for and refused or lost.
    Failed(Problem),
}

impl<T> Loaded<T> {
    /// The value, if it is here.
    pub fn ready(&self) -> Option<&T> {
        match self {
            Loaded::Ready(value) => Some(value),
            _ => None,
        }
    }
}

impl<T> From<Result<T, Problem>> for Loaded<T> {
    fn from(result: Result<T, Problem>) -> Self {
        match result {
            Ok(value) => Loaded::Ready(value),
            Err(problem) => Loaded::Failed(problem),
        }
    }
}
