//! The system's clock.

use jiff::Timestamp;
use landfall_core::port::Clock;

/// The system's clock: the only place of this crate that reads the time.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
