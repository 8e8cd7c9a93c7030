//! Invocations of functions, and what comes of them.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

/// What a function gives back: an answer, or an error that fails the invocation.
pub trait IntoAnswer {
    /// The answer, or the error's text.
    ///
    /// # Errors
    /// What the function failed with.
    fn into_answer(self) -> Result<Value, String>;
}

impl IntoAnswer for Value {
    fn into_answer(self) -> Result<Value, String> {
        Ok(self)
    }
}

impl<E: fmt::Display> IntoAnswer for Result<Value, E> {
    fn into_answer(self) -> Result<Value, String> {
        self.map_err(|error| error.to_string())
    }
}

/// What came of one invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Answered; the messages with these ids come back.
    Answered(BTreeSet<String>),
    /// The whole batch comes back: an error, or an answer that breaks the contract.
    Failed(String),
    /// The function panicked.
    Panicked,
    /// The process ended in the middle.
    Crashed,
}

/// One invocation of a function.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The function.
    pub function: String,
    /// The queue's URL; `None` for a schedule.
    pub queue: Option<String>,
    /// When it began.
    pub at: Timestamp,
    /// Ids of the messages it was given.
    pub messages: Vec<String>,
    /// The process it ran in, as [`crate::fake::Call::process`] says.
    pub process: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// Work that did not come to rest in the rounds it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stalled {
    /// Queues that still hold messages, and how many.
    pub left: Vec<(String, usize)>,
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the pipeline did not come to rest: {:?}", self.left)
    }
}

impl std::error::Error for Stalled {}
