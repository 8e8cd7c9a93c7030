//! What the rows of the current input have come to.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use landfall_core::contract::ViolationPolicy;

use crate::fault::{Fault, Position, QuarantineReason, RejectedRow, ViolationCode};
use crate::limits;
use crate::merge::Stop;
use crate::spec::{InputInfo, MergeError};

/// What happens to records that break the contract.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    pub(crate) on_violation: ViolationPolicy,
    pub(crate) drift_from: usize,
}

impl Policy {
    fn stops_at_drift(self, input: usize) -> bool {
        self.on_violation == ViolationPolicy::Evolve && input >= self.drift_from
    }
}

/// The rows of one input.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) index: usize,
    key: Arc<str>,
    /// How many rows of earlier inputs wait before the first one of this.
    pub(crate) mark: usize,
    /// How many partitions earlier inputs have.
    pub(crate) partitions: usize,
    /// How many rows of the job earlier inputs have.
    before: u64,
    pub(crate) accepted: u64,
    /// How many of them hold what was rescued.
    pub(crate) rescued: u64,
    pub(crate) rejected: Vec<RejectedRow>,
    pub(crate) rejected_count: u64,
    rejected_bytes: u64,
    pub(crate) weight: u64,
    /// Whether it is too large to be checked as a whole while its rows wait.
    pub(crate) large: bool,
    /// Whether its rows are only checked for now: it will be read again.
    pub(crate) check_only: bool,
    /// Whether a row of it has entered a file.
    pub(crate) entered: bool,
}

impl Rows {
    /// An input before its first row, behind `mark` rows that wait and `partitions` partitions of earlier ones, and behind
    /// the `before` rows that the job has so far.
    pub(crate) fn new(input: InputInfo, mark: usize, partitions: usize, before: u64) -> Self {
        Self {
            index: input.index,
            key: input.key.into(),
            mark,
            partitions,
            before,
            accepted: 0,
            rescued: 0,
            rejected: Vec::new(),
            rejected_count: 0,
            rejected_bytes: 0,
            weight: 0,
            large: false,
            check_only: false,
            entered: false,
        }
    }

    /// The place of the next row among those of the job, from 1.
    pub(crate) fn next_number(&self) -> u64 {
        self.before + self.accepted + 1
    }

    /// Whether its waiting rows take more memory than those of one input may.
    pub(crate) fn weigh_too_much(&self) -> bool {
        self.weight > self.most()
    }

    /// What more may weigh before [`Self::weigh_too_much`] is true.
    pub(crate) fn room(&self) -> u64 {
        self.most().saturating_sub(self.weight)
    }

    fn most(&self) -> u64 {
        if self.check_only || self.large { u64::MAX } else { limits::ISOLATED_WEIGHT }
    }

    /// Refuses a row: the whole object, if the policy says so, or if there are too many. Ends the merge where the contract
    /// might evolve instead.
    pub(crate) fn refuse(&mut self, fault: &Fault, policy: Policy, at: Position) -> Result<(), Stop> {
        self.drift(fault.code, policy)?;
        if policy.on_violation == ViolationPolicy::Strict {
            let detail = match fault.code.contract_column(fault.column.as_deref()) {
                Some(column) => Cow::Owned(format!("column {column}: {}", fault.detail)),
                None => fault.detail.clone(),
            };
            self.rejected_count += 1;
            return Err(Stop::Quarantine {
                reason: QuarantineReason::Violation(fault.code),
                detail,
                position: Some(at),
            });
        }
        if self.rejected_count >= limits::REJECTED_ROWS {
            return Err(too_many(at));
        }
        self.rejected_count += 1;
        Ok(())
    }

    /// Ends the merge where the contract might evolve to hold what is refused.
    pub(crate) fn drift(&self, code: ViolationCode, policy: Policy) -> Result<(), Stop> {
        if policy.stops_at_drift(self.index) && code.may_evolve() {
            return Err(Stop::Failed(MergeError::Drift { input: self.index }));
        }
        Ok(())
    }

    /// The bytes that rejected rows may still have.
    pub(crate) fn room_for_rejected(&self) -> usize {
        usize::try_from(limits::REJECTED_BYTES.saturating_sub(self.rejected_bytes)).unwrap_or(usize::MAX)
    }

    /// Keeps a row that was refused, with its text.
    pub(crate) fn keep(&mut self, fault: &Fault, at: Position, raw: &[u8]) -> Result<(), Stop> {
        self.rejected_bytes += raw.len() as u64;
        if self.rejected_bytes > limits::REJECTED_BYTES {
            self.rejected_count = self.rejected_count.saturating_sub(1);
            return Err(too_many(at));
        }
        self.rejected.push(RejectedRow {
            input: self.index,
            key: self.key.clone(),
            line: at.line,
            byte_offset: at.byte_offset,
            code: fault.code,
            column: fault.column.clone(),
            detail: fault.detail.clone().into_owned(),
            raw: Bytes::copy_from_slice(raw),
        });
        Ok(())
    }
}

#[cold]
fn too_many(at: Position) -> Stop {
    Stop::Quarantine {
        reason: QuarantineReason::TooManyRejected,
        detail: "more rows are rejected than can be kept one by one".into(),
        position: Some(at),
    }
}
