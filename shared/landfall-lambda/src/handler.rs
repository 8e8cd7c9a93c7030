//! What a function does with messages: one by one, or a batch at a time.

use std::any::Any;
use std::collections::BTreeSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use landfall_core::error::ErrorClass;

use crate::batch::SqsMessage;
use crate::deadline::Invocation;
use crate::verdict::{Disposition, Verdict, Verdicts};

/// Handles one message at a time.
pub trait MessageHandler: Send + Sync {
    /// The verdict on a message. May panic: the message comes back, its neighbours are handled. May be dropped
    /// at any await, when the deadline comes near: the message comes back.
    fn handle(&self, message: &SqsMessage, invocation: &Invocation) -> impl Future<Output = Verdict> + Send;
}

/// Handles a batch, for functions that fold messages together.
pub trait BatchHandler: Send + Sync {
    /// Reaches a verdict on as many messages as it can. A message without one comes back. Verdicts reached
    /// before a panic or before the host stops the handler hold.
    fn handle_batch(
        &self,
        messages: &[SqsMessage],
        invocation: &Invocation,
        verdicts: &Verdicts,
    ) -> impl Future<Output = ()> + Send;
}

/// A [`MessageHandler`] as a [`BatchHandler`]: one message after the other, none started within the host's start
/// margin.
#[derive(Debug, Clone)]
pub struct EachMessage<H>(pub H);

impl<H: MessageHandler> BatchHandler for EachMessage<H> {
    async fn handle_batch(&self, messages: &[SqsMessage], invocation: &Invocation, verdicts: &Verdicts) {
        let margin = invocation.deadline.start_margin_seconds();
        one_by_one(messages, invocation, verdicts, margin, |message| self.0.handle(message, invocation))
            .await;
    }
}

/// Handles messages in order, each in isolation, while at least `margin_seconds` are left. In a FIFO queue a group
/// ends with its first failure: what follows in it comes back unhandled, in order.
pub async fn one_by_one<'m, F: Future<Output = Verdict>>(
    messages: impl IntoIterator<Item = &'m SqsMessage>,
    invocation: &Invocation,
    verdicts: &Verdicts,
    margin_seconds: u32,
    handle: impl Fn(&'m SqsMessage) -> F,
) {
    let clock = invocation.deadline.clock();
    let mut stopped = BTreeSet::new();
    for message in messages {
        let group = message.receipt.ordered_group();
        if group.as_ref().is_some_and(|group| stopped.contains(group)) {
            let reason = "an earlier message of its group comes back";
            verdicts.reach(message.id(), Verdict::retry("blocked", ErrorClass::Transient, reason, None));
            continue;
        }
        if !invocation.deadline.has_time_for(margin_seconds) {
            return;
        }
        let started = clock.now();
        // The call stands inside the future: it may panic before it returns one. On the heap, since a handler over the
        // AWS clients nests deeply and its future is large.
        let verdict = match isolate(Box::pin(async { handle(message).await })).await {
            Ok(verdict) => verdict,
            Err(panic) => Verdict::retry("panicked", ErrorClass::Permanent, panic, None),
        };
        if let (Disposition::Retry { .. }, Some(group)) = (&verdict.disposition, group) {
            stopped.insert(group);
        }
        verdicts.reach_after(message.id(), verdict, elapsed(started, clock.now()));
    }
}

/// Runs a future; a panic in it is an error with the panic's text.
///
/// # Errors
/// The future panicked.
pub async fn isolate<F: Future>(future: F) -> Result<F::Output, String> {
    AssertUnwindSafe(future)
        .catch_unwind()
        .await
        .map_err(|panic| format!("panic: {}", panic_text(panic.as_ref())))
}

/// The time between two readings of a clock; none when it was set back.
pub(crate) fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a text".to_owned())
}
