//! How much time an invocation has left.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use landfall_core::hash;
use landfall_core::port::Clock;

use crate::batch::SqsMessage;
use crate::metrics::MetricsRecorder;

/// The first milliseconds since the epoch that have thirteen digits.
const YEAR_2001: i64 = 1_000_000_000_000;

/// The machine's clock: the only place where landfall asks it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The moment Lambda ends the invocation without a signal, and the clock it is measured with.
#[derive(Clone)]
pub struct Deadline {
    at_milliseconds: i64,
    start_margin_seconds: u32,
    clock: Arc<dyn Clock>,
}

impl Deadline {
    /// A deadline in milliseconds since the epoch, as `Lambda-Runtime-Deadline-Ms` gives it. What would lie before
    /// 2001 is taken as the time left: `cargo lambda watch` sends 600,000.
    pub fn new(milliseconds_since_epoch: u64, clock: Arc<dyn Clock>) -> Self {
        let given = i64::try_from(milliseconds_since_epoch).unwrap_or(i64::MAX);
        let at_milliseconds =
            if given < YEAR_2001 { clock.now().as_millisecond().saturating_add(given) } else { given };
        Self { at_milliseconds, start_margin_seconds: 0, clock }
    }

    /// The same deadline, with the seconds that must be left for work to be started.
    #[must_use]
    pub fn with_start_margin(mut self, seconds: u32) -> Self {
        self.start_margin_seconds = seconds;
        self
    }

    /// The seconds that must be left for work to be started; the host sets it from its limits.
    pub fn start_margin_seconds(&self) -> u32 {
        self.start_margin_seconds
    }

    /// The time left; zero when the deadline has passed.
    pub fn time_left(&self) -> Duration {
        let left = self.at_milliseconds.saturating_sub(self.clock.now().as_millisecond());
        Duration::from_millis(u64::try_from(left).unwrap_or_default())
    }

    /// Whether at least this many seconds are left.
    pub fn has_time_for(&self, seconds: u32) -> bool {
        self.time_left() >= Duration::from_secs(u64::from(seconds))
    }

    /// The time left until `margin_seconds` before the deadline.
    pub fn time_left_before(&self, margin_seconds: u32) -> Duration {
        self.time_left().saturating_sub(Duration::from_secs(u64::from(margin_seconds)))
    }

    /// The clock the deadline is measured with.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadline").field("at_milliseconds", &self.at_milliseconds).finish_non_exhaustive()
    }
}

/// What a handler knows of the invocation it works in.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The id Lambda gave the invocation; on every log line.
    pub request_id: String,
    /// The ARN the function was invoked by.
    pub function_arn: String,
    /// When it ends.
    pub deadline: Deadline,
    /// Counts of this invocation; written by the host when the batch is over.
    pub metrics: MetricsRecorder,
}

impl Invocation {
    /// An id of one execution alone: who runs it, for which message, which time. 20 hex digits.
    pub fn execution_id(&self, message: &SqsMessage) -> String {
        let name = format!("{}/{}/{}", self.request_id, message.id(), message.receive_count());
        hash::hex(name.as_bytes()).chars().take(20).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::FixedClock;

    #[test]
    fn time_left_counts_down_to_zero() {
        let clock = FixedClock::at("2026-05-19T00:00:00Z");
        let deadline_at = |seconds_from_now: i64| {
            let at = clock.now().as_millisecond() + seconds_from_now * 1_000;
            Deadline::new(u64::try_from(at).unwrap(), clock.shared())
        };
        for seconds in 0_u32..=900 {
            let deadline = deadline_at(i64::from(seconds));
            assert_eq!(deadline.time_left(), Duration::from_secs(u64::from(seconds)));
            assert!(deadline.has_time_for(seconds));
            assert!(!deadline.has_time_for(seconds + 1));
            assert_eq!(deadline.time_left_before(10).as_secs(), u64::from(seconds.saturating_sub(10)));
        }
        assert_eq!(deadline_at(-5).time_left(), Duration::ZERO);
        assert!(!deadline_at(-5).has_time_for(1));
    }

    #[test]
    fn a_deadline_out_of_range_does_not_overflow() {
        let clock = FixedClock::at("2026-05-19T00:00:00Z");
        assert!(Deadline::new(u64::MAX, clock.shared()).has_time_for(u32::MAX));
        assert!(!Deadline::new(0, clock.shared()).has_time_for(1));
    }

    #[test]
    fn a_deadline_long_past_is_the_time_left() {
        let clock = FixedClock::at("2026-05-19T00:00:00Z");
        assert_eq!(Deadline::new(600_000, clock.shared()).time_left().as_secs(), 600);
    }
}
