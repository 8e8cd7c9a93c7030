//! What became of a message.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use landfall_core::error::ErrorClass;

use crate::batch::MessageId;

/// Whether a message is over or comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// It is over: deleted from the queue.
    Done,
    /// It comes back.
    Retry {
        /// After how many seconds; `None` leaves it to the host's backoff.
        after_seconds: Option<u32>,
        /// What kind of failure it was.
        class: ErrorClass,
        /// What was attempted on what, and the answer.
        reason: String,
    },
}

/// The verdict on one message, and what its outcome line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it comes back.
    pub disposition: Disposition,
    /// One word for what happened, such as `published`.
    pub outcome: &'static str,
    /// What the message was, such as `commit`.
    pub kind: &'static str,
    /// The delivery it concerned.
    pub delivery: Option<String>,
    /// The intent it concerned.
    pub n: Option<u64>,
    /// Numbers worth a line, such as `("rows", 1400)`.
    pub counts: Vec<(&'static str, u64)>,
    /// A sentence more, where one helps.
    pub detail: Option<String>,
}

impl Verdict {
    /// The message is over.
    pub fn done(outcome: &'static str) -> Self {
        Self {
            disposition: Disposition::Done,
            outcome,
            kind: "unknown",
            delivery: None,
            n: None,
            counts: Vec::new(),
            detail: None,
        }
    }

    /// The message comes back.
    pub fn retry(
        outcome: &'static str,
        class: ErrorClass,
        reason: impl Into<String>,
        after_seconds: Option<u32>,
    ) -> Self {
        let disposition = Disposition::Retry { after_seconds, class, reason: reason.into() };
        Self { disposition, ..Self::done(outcome) }
    }

    /// Names what the message was.
    #[must_use]
    pub fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// Names the delivery.
    #[must_use]
    pub fn delivery(mut self, delivery: impl Into<String>) -> Self {
        self.delivery = Some(delivery.into());
        self
    }

    /// Names the intent.
    #[must_use]
    pub fn intent(mut self, n: u64) -> Self {
        self.n = Some(n);
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn count(mut self, name: &'static str, number: u64) -> Self {
        self.counts.push((name, number));
        self
    }

    /// Adds a sentence.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// The verdicts of a batch as they are reached: what stands here when time runs out counts.
#[derive(Debug, Default)]
pub struct Verdicts(Mutex<BTreeMap<MessageId, Reached>>);

/// A verdict, and how long the work on its message took, where that was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) verdict: Verdict,
    pub(crate) took: Option<Duration>,
}

impl Verdicts {
    /// Notes the verdict on a message; the first one holds.
    pub fn reach(&self, id: &MessageId, verdict: Verdict) {
        self.note(id, Reached { verdict, took: None });
    }

    /// [`Verdicts::reach`], with the time the work took.
    pub fn reach_after(&self, id: &MessageId, verdict: Verdict, took: Duration) {
        self.note(id, Reached { verdict, took: Some(took) });
    }

    fn note(&self, id: &MessageId, reached: Reached) {
        let mut verdicts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        verdicts.entry(id.clone()).or_insert(reached);
    }

    /// All verdicts reached.
    pub(crate) fn into_inner(self) -> BTreeMap<MessageId, Reached> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
