//! Backoff: capped exponential with full jitter, from numbers only. No random source: the jitter comes from a
//! hash of who waits, so that a thousand waiters spread and a replay waits alike.

use sha2::{Digest, Sha256};

/// Seconds to wait after failure number `attempt` (from 1) of `who`: see [`spread`], by a hash.
pub fn backoff_seconds(who: &str, attempt: u32, base: u32, cap: u32) -> u32 {
    let digest = Sha256::new().chain_update(who.as_bytes()).chain_update(attempt.to_be_bytes()).finalize();
    let random = digest.iter().take(8).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    spread(attempt, base, cap, random)
}

/// Seconds until the next try: between 1 and the smaller of `cap` and `base * 2^(attempt-1)`, spread by `random`.
/// `attempt` counts from 1. A base or cap of 0 counts as 1.
pub fn spread(attempt: u32, base: u32, cap: u32, random: u64) -> u32 {
    let doublings = attempt.saturating_sub(1).min(31);
    let grown = u64::from(base.max(1)) << doublings;
    let ceiling = grown.min(u64::from(cap.max(1)));
    u32::try_from(1 + random % ceiling).unwrap_or(cap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_spread() {
        for attempt in 1..40 {
            let waits: Vec<u32> =
                (0..200).map(|who| backoff_seconds(&who.to_string(), attempt, 2, 1800)).collect();
            let ceiling = 2_u32.saturating_mul(1 << (attempt - 1).min(20)).min(1800);
            assert!(waits.iter().all(|wait| (1..=ceiling).contains(wait)));
            if ceiling > 100 {
                let distinct: std::collections::BTreeSet<_> = waits.iter().collect();
                assert!(distinct.len() > 50, "attempt {attempt}: {} distinct waits", distinct.len());
            }
        }
        assert_eq!(backoff_seconds("a", 3, 2, 60), backoff_seconds("a", 3, 2, 60));
    }
}
