//! What becomes of a message whose work failed: by the class of the failure it is held, sent again, or returned.

use jiff::Timestamp;
use landfall_core::error::ErrorClass;
use landfall_core::hold::{Breakage, Holds};
use landfall_core::message::{Message, Work};
use landfall_core::port::{ObjectStore, Queue};
use landfall_core::reschedule::{Rescheduled, reschedule};

use crate::batch::SqsMessage;
use crate::metrics::{DELIVERIES_HELD, MetricsRecorder, WORK_RESCHEDULED};
use crate::verdict::Verdict;

/// A failure as its function classified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The treatment.
    pub class: ErrorClass,
    /// What was attempted on what, and the answer.
    pub reason: String,
    /// What must be mended before the work can go on, where waiting alone does not help.
    pub breakage: Option<Breakage>,
    /// Whether it passes: the work is done later, and nobody is to blame. Otherwise the message comes back and uses up its
    /// receives.
    pub passes: bool,
    /// After how many seconds the work can surely go on, where that is known.
    pub wait_seconds: Option<u32>,
}

/// Where failed work goes: the holds of its delivery, and the queue it came from.
#[derive(Debug)]
pub struct Failed<'a, S, Q> {
    /// The holds.
    pub holds: Holds<'a, S, Q>,
    /// Our queues.
    pub queue: &'a Q,
    /// The URL of the queue the message came from.
    pub own_queue: &'a str,
    /// The message.
    pub message: &'a SqsMessage,
    /// The work it asked for.
    pub work: &'a Work,
    /// How that work becomes a message.
    pub kind: fn(Work) -> Message,
    /// When the work began, UTC.
    pub begun: Timestamp,
    /// Counts of this invocation.
    pub metrics: &'a MetricsRecorder,
}

impl<S: ObjectStore, Q: Queue> Failed<'_, S, Q> {
    /// Writes the hold, or sends the work again. What can be neither is left to the planner, who finds it open in the log; only
    /// what has no class that passes comes back as this message.
    pub async fn verdict(&self, failure: Failure, now: Timestamp) -> Verdict {
        let (id, n) = (self.work.delivery.as_str(), self.work.n);
        let Failure { class, reason, breakage, passes, wait_seconds } = failure;
        if let Some(breakage) = breakage {
            self.metrics.count(&DELIVERIES_HELD, Some(id), 1);
            return match self.holds.note(id, n, &breakage, self.begun, now).await {
                Ok(until) => {
                    let seconds = u64::try_from(until.duration_since(now).as_secs()).unwrap_or(0);
                    tracing::warn!(delivery = id, n, resource = breakage.resource, error = reason, "held");
                    Verdict::done("held").count("wait_seconds", seconds).detail(reason)
                }
                // The planner finds the work open in the log, and dispatches it again.
                Err(log) => {
                    tracing::error!(error = %log, delivery = id, "hold not written");
                    Verdict::done("left_to_the_planner").detail(reason)
                }
            };
        }
        if !passes {
            return Verdict::retry("failed", class, reason, None);
        }
        let group = self.message.receipt.group.clone();
        match reschedule(self.queue, self.own_queue, self.work, self.kind, group, wait_seconds).await {
            Ok(Rescheduled::In(seconds)) => {
                self.metrics.count(&WORK_RESCHEDULED, Some(id), 1);
                let tries = self.work.tries;
                Verdict::done("rescheduled")
                    .count("wait_seconds", u64::from(seconds))
                    .count("tries", tries)
                    .detail(reason)
            }
            Ok(Rescheduled::LeftToThePlanner) => {
                tracing::warn!(delivery = id, n, error = reason, "tried often enough, left to the planner");
                Verdict::done("left_to_the_planner").detail(reason)
            }
            // Nor is this a reason to use up receives: three of them give a merge up.
            Err(send) => {
                tracing::warn!(error = %send, delivery = id, n, "not sent again, left to the planner");
                Verdict::done("left_to_the_planner").detail(reason)
            }
        }
    }
}
