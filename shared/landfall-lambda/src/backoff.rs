//! When a message comes back: exponential, capped, with full jitter, and without a random generator.

use landfall_core::{hash, retry};

use crate::batch::MessageId;

/// The longest visibility SQS accepts, in seconds.
pub const MAX_VISIBILITY_SECONDS: u32 = 43_200;

/// Seconds until the next try: between 1 and the smaller of `cap_seconds` and `base_seconds * 2^(attempt-1)`,
/// spread by `random`. `attempt` counts from 1. A base or cap of 0 counts as 1.
pub fn backoff(attempt: u32, base_seconds: u32, cap_seconds: u32, random: u64) -> u32 {
    retry::spread(attempt, base_seconds, cap_seconds.min(MAX_VISIBILITY_SECONDS), random)
}

/// A number that differs between messages and between receives of one message, the same on every run.
pub fn jitter(message: &MessageId, receive_count: u32) -> u64 {
    let digest = hash::hex(format!("{}/{receive_count}", message.as_str()).as_bytes());
    digest.get(..16).and_then(|head| u64::from_str_radix(head, 16).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn grows_to_the_cap() {
        let ceilings: Vec<u32> =
            (1..=8).map(|attempt| backoff(attempt, 2, 60, ceiling_of(attempt))).collect();
        assert_eq!(ceilings, [2, 4, 8, 16, 32, 60, 60, 60]);
    }

    /// The random value that gives the whole ceiling.
    fn ceiling_of(attempt: u32) -> u64 {
        (2_u64 << (attempt - 1)).min(60) - 1
    }

    #[test]
    fn jitter_differs_by_message_and_receive_and_repeats() {
        let id = |text: &str| MessageId::new(text).unwrap();
        assert_eq!(jitter(&id("a"), 1), jitter(&id("a"), 1));
        assert_ne!(jitter(&id("a"), 1), jitter(&id("a"), 2));
        assert_ne!(jitter(&id("a"), 1), jitter(&id("b"), 1));
    }

    proptest! {
        #[test]
        fn stays_within_its_bounds(attempt: u32, base: u32, cap: u32, random: u64) {
            let seconds = backoff(attempt, base, cap, random);
            prop_assert!(seconds >= 1);
            prop_assert!(seconds <= cap.clamp(1, MAX_VISIBILITY_SECONDS));
        }

        #[test]
        fn spreads_evenly(seeds in proptest::collection::vec(any::<u64>(), 200)) {
            let low = seeds.iter().filter(|seed| backoff(10, 2, 100, **seed) <= 50).count();
            prop_assert!((50..=150).contains(&low));
        }
    }
}
