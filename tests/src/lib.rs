//! Test kit of landfall: a strict fake of AWS, a driver that runs functions in process, conformance suites.
//!
//! [`fake`] carries AWS's semantics behind the ports of `landfall-core`, without a clock, a network or a thread of
//! its own: the same calls in the same order give the same answers. [`lambda`] carries the semantics of the SQS
//! event source mapping. [`generated`] is for runs that are too large for the fake's memory. [`conformance`] states what each port promises, for the fake and for real adapters alike.
//!
//! The kit must never be linked into a function: it is a dev-dependency only.

pub mod conformance;
pub mod fake;
pub mod generated;
pub mod lambda;
