//! The ports of landfall-core over the AWS SDKs: S3, SQS, Glue, and client accounts entered through STS.
//!
//! Clients are built once per process ([`Clients::load`]) and cloned cheaply. No type of an SDK appears in what
//! this crate offers; no error code of AWS is known outside `error.rs`.
//!
//! What this crate must never do:
//! - repeat by itself a request whose effect the protocol has to judge: conditional puts, copies and completions
//!   are sent once; reads, parts, deletes, listings and catalog calls are retried by the SDK, a few times;
//! - take a refused or failed request for absence;
//! - show an ExternalId or a credential, in a log line, an error or a `Debug` text.

mod clients;
mod clock;
mod destinations;
mod error;
mod glue;
mod s3;
mod sqs;
mod sts;

#[cfg(test)]
mod replay;

pub use clients::{Clients, ClientsConfig, StaticCredentials};
pub use clock::SystemClock;
pub use destinations::AssumedDestinations;
pub use glue::GlueCatalog;
pub use s3::{S3Body, S3Store};
pub use sqs::SqsQueue;
