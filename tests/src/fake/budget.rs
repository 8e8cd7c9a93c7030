//! What S3 takes per second, and what becomes of its events: options that make the fake less kind.

use jiff::{SignedDuration, Timestamp};
use landfall_core::error::{PortError, PortErrorKind};

use super::calls::Request;
use super::random::Random;
use super::world::World;

/// Requests a bucket takes in one second of the fake's clock; what goes beyond is answered with 503 `SlowDown`.
#[derive(Debug)]
pub(crate) struct Budget {
    per_second: u32,
    second: i64,
    used: u32,
}

impl Budget {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second, second: i64::MIN, used: 0 }
    }

    /// Counts a request; whether it is within the budget of this second. One beyond it costs nothing.
    fn takes(&mut self, now: Timestamp) -> bool {
        if self.second != now.as_second() {
            self.second = now.as_second();
            self.used = 0;
        }
        let within = self.used < self.per_second;
        self.used += u32::from(within);
        within
    }
}

/// What may happen to the event notifications of a bucket, each by chance: S3 promises "at least once", in no order,
/// and loses some all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventMishaps {
    /// One notification in this many is never sent; 0 for none.
    pub lost_one_in: u64,
    /// One notification in this many is sent twice, both with the same sequencer; 0 for none.
    pub doubled_one_in: u64,
    /// Every notification comes up to this much later, drawn for each: they overtake each other.
    pub late: SignedDuration,
}

/// Mishaps and the chance that decides.
#[derive(Debug)]
pub(crate) struct Mishandling {
    mishaps: EventMishaps,
    random: Random,
}

impl Mishandling {
    pub(crate) fn new(seed: u64, mishaps: EventMishaps) -> Self {
        Self { mishaps, random: Random::new(seed) }
    }

    /// How much later each sending of one notification comes; empty when it is lost.
    pub(crate) fn sendings(&mut self) -> Vec<SignedDuration> {
        let lost = self.falls(self.mishaps.lost_one_in);
        let doubled = self.falls(self.mishaps.doubled_one_in);
        let count = if lost { 0 } else { 1 + usize::from(doubled) };
        (0..count).map(|_| self.delay()).collect()
    }

    fn falls(&mut self, one_in: u64) -> bool {
        one_in > 0 && self.random.below(one_in) == 0
    }

    fn delay(&mut self) -> SignedDuration {
        let most = u64::try_from(self.mishaps.late.as_millis()).unwrap_or_default();
        let drawn = self.random.below(most.saturating_add(1));
        SignedDuration::from_millis(i64::try_from(drawn).unwrap_or_default())
    }
}

impl World {
    /// Refuses a request that its bucket has no budget left for.
    pub(crate) fn admit(&mut self, request: &Request) -> Result<(), PortError> {
        let now = self.now();
        // Requests to S3 alone name an owner.
        let bucket = request.expected_owner.as_ref().and_then(|_| self.buckets.get_mut(&request.resource));
        if bucket.and_then(|bucket| bucket.budget.as_mut()).is_none_or(|budget| budget.takes(now)) {
            Ok(())
        } else {
            Err(request.refuse(PortErrorKind::Throttled, "SlowDown"))
        }
    }
}
