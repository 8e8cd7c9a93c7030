//! The SQS event source mapping in process: queues in front of functions, partial batch failures, virtual time.
//!
//! [`Pipeline`] receives from queues of the fake, hands each function the event AWS would, and applies its answer
//! by AWS's contract: what succeeded is deleted, what failed comes back when its visibility runs out.

mod answer;
mod event;
mod invocation;
mod pipeline;
#[cfg(test)]
mod tests;

pub use answer::{Judgement, judge};
pub use event::sqs_event;
pub use invocation::{IntoAnswer, Invocation, Outcome, Stalled};
pub use pipeline::Pipeline;
