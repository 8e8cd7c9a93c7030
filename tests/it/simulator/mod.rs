//! The simulator: whole deliveries in virtual time, with faults at every call, judged by a model that knows nothing of
//! the code.
//!
//! A [`scenario::Scenario`] is a list of steps, drawn from a seed or written down. [`simulation::Simulation`] plays it:
//! the real planner, handlers and Parquet writer over the strict fake, one thread, one clock, so the same scenario gives
//! the same calls. What then waits for somebody, the [`operator`] decides. At the end [`harvest`] reads back all that ever became visible and [`oracle`] holds it against the
//! [`model`] of what was staged. [`exhaustive`] fails every call of small deliveries in every way; [`sites`] says which
//! kinds of call that covers, and [`runner`] demands that the seeds meet no other. [`story`] tells what happened.

pub mod chance;
pub mod exhaustive;
pub mod harvest;
pub mod model;
pub mod operator;
pub mod oracle;
pub mod plan;
pub mod ports;
pub mod runner;
pub mod scenario;
pub mod simulation;
pub mod sites;
pub mod small;
pub mod story;
