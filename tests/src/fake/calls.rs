//! The call log: every call that reached the fake, by whom, on what, with what result.

use jiff::Timestamp;
use landfall_core::error::PortErrorKind;
use landfall_core::port::Purpose;

use super::fault::Fault;
use super::identity::Principal;

/// One call as the fake saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The number of the call, from 0, over all services.
    pub number: usize,
    /// AWS's name of the operation, such as `CopyObject`.
    pub operation: &'static str,
    /// Who called: `landfall`, or the ARN of the assumed role.
    pub principal: String,
    /// The function that called, where its handle has a name ([`super::FakeAws::function`]).
    pub function: Option<&'static str>,
    /// The account the caller acted in.
    pub account: String,
    /// The tenant whose delivery the session was opened for; `None` for landfall itself.
    pub tenant: Option<String>,
    /// What the session was opened for; `None` for landfall itself.
    pub purpose: Option<Purpose>,
    /// The bucket, queue URL, `database.table`, or role ARN.
    pub resource: String,
    /// The key, message body or partition values; for a listing the prefix.
    pub key: Option<String>,
    /// The owner of the bucket that the caller expected; `None` where the service has no such header.
    pub expected_owner: Option<String>,
    /// When, by the fake's clock.
    pub at: Timestamp,
    /// The process that called; 0 outside of any.
    pub process: u64,
    /// The fault that was injected.
    pub fault: Option<Fault>,
    /// What came of it.
    pub result: CallResult,
}

/// One chunk of a body that was read: no call of its own, but a thing that can fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyRead {
    /// The function that read, where its handle has a name.
    pub function: Option<&'static str>,
    /// The bucket.
    pub resource: String,
    /// The key.
    pub key: String,
    /// The call that came before it, as [`Call::number`] counts.
    pub after_call: usize,
    /// The fault that was injected.
    pub fault: Option<Fault>,
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallResult {
    /// Not answered: the process crashed, or the call still waits.
    Unanswered,
    /// Answered; an expected refusal, such as a 412, is an answer.
    Answered,
    /// Failed with this kind.
    Failed(PortErrorKind),
}

/// A call about to be made.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) operation: &'static str,
    pub(crate) writes: bool,
    pub(crate) principal: Principal,
    pub(crate) resource: String,
    pub(crate) key: Option<String>,
    pub(crate) expected_owner: Option<String>,
}

impl Request {
    pub(crate) fn read(operation: &'static str, principal: &Principal, resource: &str) -> Self {
        Self {
            operation,
            writes: false,
            principal: principal.clone(),
            resource: resource.to_owned(),
            key: None,
            expected_owner: None,
        }
    }

    pub(crate) fn write(operation: &'static str, principal: &Principal, resource: &str) -> Self {
        Self { writes: true, ..Self::read(operation, principal, resource) }
    }

    pub(crate) fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    pub(crate) fn owner(mut self, owner: &str) -> Self {
        self.expected_owner = Some(owner.to_owned());
        self
    }

    /// What an error names: `s3://bucket/key` and the like.
    pub(crate) fn subject(&self) -> String {
        match (&self.expected_owner, &self.key) {
            (Some(_), Some(key)) => format!("s3://{}/{key}", self.resource),
            (Some(_), None) => format!("s3://{}", self.resource),
            (None, _) => self.resource.clone(),
        }
    }
}
