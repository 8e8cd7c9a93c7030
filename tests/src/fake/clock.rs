//! A clock that moves only when told to.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use landfall_core::port::Clock;

/// A settable clock; clones share the time. Starts at 2026-05-19T10:00:00Z.
#[derive(Debug, Clone)]
pub struct FakeClock(Arc<Mutex<Timestamp>>);

/// 2026-05-19T10:00:00Z.
const START_SECOND: i64 = 1_779_184_800;

impl Default for FakeClock {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Timestamp::from_second(START_SECOND).unwrap_or(Timestamp::UNIX_EPOCH))))
    }
}

impl FakeClock {
    /// Sets the time, also backwards.
    pub fn set(&self, time: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }

    /// Moves the time on; stays where it is at the end of the calendar.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.checked_add(by).unwrap_or(*now);
    }

    /// Moves the time on to `time`; never back.
    pub fn advance_to(&self, time: Timestamp) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = time.max(*now);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
