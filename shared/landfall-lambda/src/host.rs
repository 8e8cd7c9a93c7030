//! The host: decodes the batch, gives it to the handler with a deadline, answers for every message.
//!
//! | what happened | answer | comes back after |
//! |---|---|---|
//! | verdict `Done` | deleted | |
//! | verdict `Retry` with seconds | returned | these seconds |
//! | verdict `Retry` without, panic, broken record | returned | the backoff of its receive count |
//! | not started, or stopped before the deadline | returned | the backoff of its receive count |
//! | later in a FIFO group than a returned message | returned | the same seconds as that message |
//!
//! A FIFO queue hands out nothing of a group while one of its messages is in flight. Were a follower left at the
//! queue's visibility timeout (hours), the whole group would wait for it; hence the last row.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use landfall_core::error::ErrorClass;
use landfall_core::port::{Clock, Queue};
use serde_json::Value;
use tracing::Instrument as _;

use crate::backoff::{MAX_VISIBILITY_SECONDS, backoff, jitter};
use crate::batch::{Batch, BatchResponse, NotABatch, Receipt};
use crate::deadline::{Deadline, Invocation, SystemClock};
use crate::handler::{BatchHandler, elapsed, isolate};
use crate::metrics::{MESSAGES_RETURNED, MetricsRecorder};
use crate::queue_urls::QueueUrls;
use crate::telemetry;
use crate::verdict::{Disposition, Verdict, Verdicts};

/// How the host spends time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// No message is started when fewer seconds than this are left.
    pub start_margin_seconds: u32,
    /// The handler is stopped when this many seconds are left: enough to answer, 2 or more.
    pub stop_margin_seconds: u32,
    /// The first wait of a returned message, in seconds.
    pub backoff_base_seconds: u32,
    /// The longest wait, in seconds.
    pub backoff_cap_seconds: u32,
}

/// The last second before the deadline belongs to the answer.
const ANSWER_SECONDS: u32 = 1;

/// The longest time spent on changing visibilities: thousands of returned messages are not worth more.
const POSTPONE_AT_MOST: Duration = Duration::from_secs(10);

/// Visibility changes under way at once.
const POSTPONE_AT_ONCE: usize = 16;

/// One function's host.
#[derive(Debug)]
pub struct Host<Q> {
    function: &'static str,
    namespace: String,
    queue: Q,
    urls: QueueUrls,
    limits: Limits,
}

impl<Q: Queue> Host<Q> {
    /// A host of `function`, whose messages come from the queues at `urls`.
    pub fn new(function: &'static str, namespace: String, queue: Q, urls: QueueUrls, limits: Limits) -> Self {
        Self { function, namespace, queue, urls, limits }
    }

    /// Answers one invocation.
    ///
    /// # Errors
    /// The payload is no batch: there is no message to answer for.
    pub async fn answer<H: BatchHandler>(
        &self,
        handler: &H,
        payload: Value,
        invocation: &Invocation,
    ) -> Result<BatchResponse, NotABatch> {
        let batch = Batch::decode(payload)?;
        let clock = invocation.deadline.clock();
        let started = clock.now();
        let verdicts = Verdicts::default();
        for record in &batch.broken {
            let Some(receipt) = &record.receipt else {
                // Nothing names it in an answer. SQS always gives an id: this is no record of a queue.
                tracing::error!(reason = record.reason, "record without an id");
                continue;
            };
            let verdict = Verdict::retry("malformed", ErrorClass::Permanent, record.reason, None);
            verdicts.reach(&receipt.id, verdict);
        }
        let left_over = self.run(handler, &batch, invocation, &verdicts).await;

        let took = elapsed(started, clock.now());
        let mut verdicts = verdicts.into_inner();
        let (mut seen, mut returned) = (BTreeSet::new(), Vec::new());
        for receipt in batch.receipts() {
            // A standard queue may hand out a message twice in one batch: one verdict answers for both.
            if !seen.insert(receipt.id.clone()) {
                continue;
            }
            let (verdict, took) = match verdicts.remove(&receipt.id) {
                Some(reached) => (reached.verdict, reached.took.unwrap_or(took)),
                None => (Verdict::retry("unhandled", ErrorClass::Transient, left_over, None), took),
            };
            telemetry::outcome(&receipt, &verdict, took);
            if let Disposition::Retry { after_seconds, .. } = verdict.disposition {
                invocation.metrics.count(&MESSAGES_RETURNED, verdict.delivery.as_deref(), 1);
                returned.push((receipt, after_seconds));
            }
        }
        self.postpone(&returned, &invocation.deadline).await;
        Ok(BatchResponse::returning(returned.into_iter().map(|(receipt, _)| receipt.id)))
    }

    /// Runs the handler within its time. Answers why messages without a verdict have none.
    async fn run<H: BatchHandler>(
        &self,
        handler: &H,
        batch: &Batch,
        invocation: &Invocation,
        verdicts: &Verdicts,
    ) -> &'static str {
        let mut invocation = invocation.clone();
        invocation.deadline = invocation.deadline.with_start_margin(self.limits.start_margin_seconds);
        let deadline = &invocation.deadline;
        if !deadline.has_time_for(self.limits.start_margin_seconds) {
            return "not started: too little time was left";
        }
        let time = deadline.time_left_before(self.limits.stop_margin_seconds);
        // The call stands inside the future: it may panic before it returns one.
        let work = isolate(async { handler.handle_batch(&batch.messages, &invocation, verdicts).await });
        match tokio::time::timeout(time, work).await {
            Ok(Ok(())) if deadline.has_time_for(self.limits.start_margin_seconds) => "left without a verdict",
            Ok(Ok(())) => "not started: too little time was left",
            Ok(Err(panic)) => {
                tracing::error!(panic, "the handler of the batch panicked");
                "the handler of the batch panicked"
            }
            Err(_) => "stopped before the deadline",
        }
    }

    /// Lets returned messages come back after their wait instead of the queue's visibility timeout. Failures
    /// and lack of time are no harm: a message then comes back at that timeout.
    async fn postpone(&self, returned: &[(Receipt, Option<u32>)], deadline: &Deadline) {
        let time = deadline.time_left_before(ANSWER_SECONDS).min(POSTPONE_AT_MOST);
        let changes = stream::iter(self.waits(returned)).for_each_concurrent(
            POSTPONE_AT_ONCE,
            |(url, receipt, seconds)| async move {
                let change = self.queue.change_visibility(url, &receipt.handle, seconds);
                match isolate(change).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::warn!(%error, message_id = receipt.id.as_str(), "visibility not changed");
                    }
                    Err(panic) => tracing::error!(panic, "visibility not changed"),
                }
            },
        );
        if tokio::time::timeout(time, changes).await.is_err() {
            tracing::warn!(messages = returned.len(), "no time to change all visibilities");
        }
    }

    /// Where and for how long each returned message waits.
    fn waits<'a>(&'a self, returned: &'a [(Receipt, Option<u32>)]) -> Vec<(&'a str, &'a Receipt, u32)> {
        let mut groups = BTreeMap::new();
        let mut waits = Vec::new();
        for (receipt, after_seconds) in returned {
            let own = after_seconds.unwrap_or_else(|| self.backoff_of(receipt)).min(MAX_VISIBILITY_SECONDS);
            let seconds = receipt.ordered_group().map_or(own, |group| *groups.entry(group).or_insert(own));
            if let Some(url) = self.urls.of_arn(&receipt.source_arn).filter(|_| !receipt.handle.is_empty()) {
                waits.push((url, receipt, seconds));
            }
        }
        waits
    }

    fn backoff_of(&self, receipt: &Receipt) -> u32 {
        let Limits { backoff_base_seconds: base, backoff_cap_seconds: cap, .. } = self.limits;
        backoff(receipt.receive_count, base, cap, jitter(&receipt.id, receipt.receive_count))
    }

    /// Writes the metrics of an invocation.
    fn write_metrics(&self, metrics: &MetricsRecorder, now: Timestamp, out: &mut impl Write) {
        if let Err(error) = metrics.flush(&self.namespace, self.function, now, out) {
            tracing::warn!(%error, "metrics not written");
        }
    }
}

/// Serves a function until Lambda ends it.
///
/// The payload is taken as any JSON: what is odd about it is judged here, not by the runtime. No shutdown hook is
/// registered, since nothing outlives an invocation: its metrics are written before its answer.
///
/// # Errors
/// When the runtime API fails.
pub async fn serve<Q: Queue, H: BatchHandler>(
    host: Host<Q>,
    handler: H,
) -> Result<(), lambda_runtime::Error> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (host, handler, clock) = (&host, &handler, &clock);
    let invoke = service_fn(move |event: LambdaEvent<Value>| async move {
        let (payload, context) = event.into_parts();
        let span =
            tracing::info_span!("invocation", request_id = context.request_id, function = host.function);
        let invocation = Invocation {
            request_id: context.request_id,
            function_arn: context.invoked_function_arn,
            deadline: Deadline::new(context.deadline, Arc::clone(clock)),
            metrics: MetricsRecorder::default(),
        };
        let answer = host.answer(handler, payload, &invocation).instrument(span).await;
        host.write_metrics(&invocation.metrics, clock.now(), &mut io::stdout().lock());
        answer.map_err(|error| Diagnostic {
            error_type: "NotABatch".to_owned(),
            error_message: error.to_string(),
        })
    });
    Runtime::new(invoke).run().await
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
