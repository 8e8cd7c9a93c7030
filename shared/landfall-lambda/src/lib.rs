//! The Lambda host of landfall: an SQS batch in, one verdict per message out.
//!
//! It never fails an invocation for one message: what is not handled (a panic, a deadline, a record that does
//! not decode) is named in the partial batch response and comes back. Of the delivery protocol it holds one rule,
//! what becomes of a message whose work failed ([`Failed`]), and it names no AWS client; visibility changes go through the [`landfall_core::port::Queue`] port.
//!
//! In the flow it stands first: S3 event -> **host** -> nudge, plan, merge, commit, notify.
//!
//! A function's `main`:
//!
//! ```no_run
//! use std::future::ready;
//!
//! use landfall_core::{error::PortError, port::{OutgoingMessage, Queue}};
//! use landfall_lambda::{EachMessage, Env, Host, Invocation, Limits, MessageHandler, QueueUrls, SqsMessage};
//! use landfall_lambda::{Verdict, env, serve, telemetry};
//!
//! # struct Sqs;
//! # impl Queue for Sqs {
//! #     fn send(&self, _: &str, messages: &[OutgoingMessage])
//! #     -> impl Future<Output = Vec<Result<String, PortError>>> + Send {
//! #         ready(messages.iter().map(|_| Ok(String::new())).collect())
//! #     }
//! #     fn change_visibility(&self, _: &str, _: &str, _: u32)
//! #     -> impl Future<Output = Result<(), PortError>> + Send { ready(Ok(())) }
//! # }
//! struct Notifier;
//!
//! impl MessageHandler for Notifier {
//!     async fn handle(&self, message: &SqsMessage, _invocation: &Invocation) -> Verdict {
//!         Verdict::done("notified").kind("notify").count("notices", 1)
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), lambda_runtime::Error> {
//!     let env = Env::read();
//!     telemetry::init(&env);
//!     let mut vars = env.vars();
//!     let (queue_url, namespace) =
//!         (vars.queue_url(&env::NOTIFY_QUEUE_URL), vars.required(&env::METRICS_NAMESPACE));
//!     let (queue_url, namespace) = vars.finish((queue_url, namespace))?;
//!     let limits = Limits {
//!         start_margin_seconds: 20,
//!         stop_margin_seconds: 2,
//!         backoff_base_seconds: 2,
//!         backoff_cap_seconds: 900,
//!     };
//!     let host = Host::new("notifier", namespace, Sqs, QueueUrls::new([queue_url]), limits);
//!     serve(host, EachMessage(Notifier)).await
//! }
//! ```

pub mod backoff;
pub mod batch;
pub mod deadline;
pub mod env;
pub mod failure;
pub mod handler;
pub mod host;
pub mod metrics;
pub mod notification;
pub mod object_key;
pub mod queue_urls;
pub mod shown;
pub mod telemetry;
pub mod verdict;

pub use batch::{BatchResponse, MessageId, SqsMessage};
pub use deadline::{Deadline, Invocation, SystemClock};
pub use env::Env;
pub use failure::{Failed, Failure};
pub use handler::{BatchHandler, EachMessage, MessageHandler, isolate, one_by_one};
pub use host::{Host, Limits, serve};
pub use metrics::MetricsRecorder;
pub use notification::{Intake, NotificationError, ObjectEvent, read_notification};
pub use queue_urls::QueueUrls;
pub use verdict::{Disposition, Verdict, Verdicts};

#[cfg(test)]
mod fixtures;
