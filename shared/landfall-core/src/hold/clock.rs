//! The times of a hold: when it is tried next, and when what it gates expires. Pure.

use jiff::{SignedDuration, Timestamp};

use super::{Breakage, CONFIGURATION, POSSIBLE_DUPLICATE};
use crate::record::{FORMAT, Hold};
use crate::retry::backoff_seconds;

/// How long after its first failure a hold lets what it gates expire (DESIGN 19).
pub const LIMIT: SignedDuration = SignedDuration::from_hours(72);

/// The first wait of a hold, in seconds.
const BASE_SECONDS: u32 = 60;
/// The longest wait, in seconds: a client who mends a role is served within the hour.
const CAP_SECONDS: u32 = 1800;
/// The wait of a hold that looking again cannot end, in seconds: an operator decides, and that ends it at once.
const DECIDED_SECONDS: u32 = 3600;
/// From how long before the limit on a try is the last one: a repair in the last hours must not be missed for a wait that is
/// half an hour long. The schedule comes once a minute and its plan a slot later, so the last try falls within a minute of
/// the limit.
const LAST_CALL: SignedDuration = SignedDuration::from_secs(30);
/// How long the last try may take: as long as a function runs.
const LAST_TRY: SignedDuration = SignedDuration::from_mins(15);

/// How long the last try is waited for when nobody makes it: a message that is lost must not keep a hold for ever.
const MOST_GRACE: SignedDuration = SignedDuration::from_hours(1);

/// When what a hold gates expires.
pub fn ends(hold: &Hold) -> Timestamp {
    hold.first_failure.saturating_add(LIMIT).unwrap_or(Timestamp::MAX)
}

/// From when on a try is the last one.
fn last_call(first_failure: Timestamp) -> Timestamp {
    first_failure.saturating_add(LIMIT - LAST_CALL).unwrap_or(Timestamp::MAX)
}

/// Whether the time of a hold has run out, its last try included: waits before the last call end there at the latest, so
/// a later `not_before` is that of a last try.
pub fn has_run_out(hold: &Hold, now: Timestamp) -> bool {
    hold.resource != CONFIGURATION
        && ends(hold) <= now
        && hold.not_before <= now
        && (hold.not_before > last_call(hold.first_failure) || now.duration_since(ends(hold)) >= MOST_GRACE)
}

/// When a hold is tried again after try number `attempts`, which is made now.
fn next_try(hold: &Hold, attempts: u32, now: Timestamp) -> Timestamp {
    let who = format!("{}/{}", hold.delivery, hold.resource);
    let seconds = if hold.code.as_deref() == Some(POSSIBLE_DUPLICATE) {
        DECIDED_SECONDS
    } else {
        backoff_seconds(&who, attempts, BASE_SECONDS, CAP_SECONDS)
    };
    let next = now.saturating_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MAX);
    let last = last_call(hold.first_failure);
    if hold.resource == CONFIGURATION {
        next
    } else if now >= last {
        now.saturating_add(LAST_TRY).unwrap_or(Timestamp::MAX)
    } else {
        next.min(last)
    }
}

/// The hold of a probe that goes on in its next step, which may begin now. Of a last try that is still the last try: its
/// time has not run out before that step was made.
pub(super) fn handed_on(hold: &Hold, now: Timestamp) -> Hold {
    Hold { not_before: now.min(last_call(hold.first_failure)), ..hold.clone() }
}

/// A hold at its first failure.
pub(super) fn opened(delivery: &str, n: u64, breakage: &Breakage, now: Timestamp) -> Hold {
    let hold = Hold {
        version: FORMAT,
        delivery: delivery.to_owned(),
        resource: breakage.resource.clone(),
        class: breakage.class,
        code: breakage.code.clone(),
        detail: breakage.detail.clone(),
        first_failure: now,
        attempts: 1,
        not_before: now,
        n,
    };
    Hold { not_before: next_try(&hold, 1, now), ..hold }
}

/// The hold after somebody took it on himself to try, for intent `n`.
pub(super) fn claimed(hold: &Hold, n: u64, now: Timestamp) -> Hold {
    let attempts = hold.attempts.saturating_add(1);
    Hold { attempts, not_before: next_try(hold, attempts, now), n, ..hold.clone() }
}

/// The hold after work on intent `n`, begun at `begun`, failed. A try that was claimed has been counted, and so has
/// what began before the hold was opened or claimed: a stampede counts once.
pub(super) fn failed(hold: &Hold, n: u64, breakage: &Breakage, begun: Timestamp, now: Timestamp) -> Hold {
    let said = |hold: Hold| Hold {
        class: breakage.class,
        code: breakage.code.clone(),
        detail: breakage.detail.clone(),
        ..hold
    };
    if hold.not_before <= begun {
        return said(claimed(hold, n, now));
    }
    let last = last_call(hold.first_failure);
    if hold.n == n && hold.not_before > last && now >= last && hold.resource != CONFIGURATION {
        // The last try is over: nothing is waited for any more.
        let after = last.saturating_add(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX);
        return said(Hold { not_before: hold.not_before.min(now.max(after)), ..hold.clone() });
    }
    if hold.n == n || (hold.class, &hold.code) != (breakage.class, &breakage.code) {
        return said(hold.clone());
    }
    hold.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorClass;

    fn breakage(resource: &str) -> Breakage {
        let (resource, detail) = (resource.to_owned(), "refused".to_owned());
        Breakage { resource, class: ErrorClass::ClientFixable, code: None, detail }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("a time")
    }

    #[test]
    fn the_last_try_is_made_at_the_limit_and_only_after_it_the_time_runs_out() {
        let mut hold = opened("acme", 1, &breakage("role"), at(0));
        let end = ends(&hold);
        let mut tries = 0;
        while hold.not_before < last_call(hold.first_failure) {
            assert!(!has_run_out(&hold, end), "{hold:?}");
            let now = hold.not_before;
            hold = claimed(&hold, 1, now);
            assert!(hold.not_before.duration_since(now).as_secs() <= i64::from(CAP_SECONDS));
            tries += 1;
        }
        assert!(tries < 72 * 6, "{tries} tries in 72 hours");
        assert_eq!(hold.not_before, last_call(at(0)));
        assert!(!has_run_out(&hold, end), "the last try is still to be made");
        assert!(has_run_out(&hold, end + MOST_GRACE), "nobody made it");
        let now = hold.not_before;
        hold = claimed(&hold, 1, now);
        assert!(!has_run_out(&hold, end), "it is under way");
        assert!(has_run_out(&hold, hold.not_before), "whoever made it died");
        hold = failed(&hold, 1, &breakage("role"), now, now);
        assert!(has_run_out(&hold, end) && !has_run_out(&hold, now), "{hold:?}");
    }

    #[test]
    fn a_last_try_that_is_handed_on_has_not_run_out() {
        let opened = opened("acme", 1, &breakage("bucket"), at(0));
        let now = ends(&opened);
        let probe = claimed(&Hold { not_before: last_call(at(0)), ..opened }, 1, now);
        let handed_on = handed_on(&probe, now);
        assert!(handed_on.not_before <= now && !has_run_out(&handed_on, now), "{handed_on:?}");
    }

    #[test]
    fn a_stampede_is_counted_once() {
        let hold = opened("acme", 1, &breakage("role"), at(100));
        for n in 2..50 {
            assert_eq!(failed(&hold, n, &breakage("role"), at(99), at(101)), hold);
        }
        let probe = claimed(&hold, 7, at(1000));
        assert_eq!((probe.attempts, probe.n), (2, 7));
        assert_eq!(failed(&probe, 7, &breakage("role"), at(1000), at(1001)).attempts, 2);
        let unclaimed = failed(&hold, 3, &breakage("role"), at(1000), at(1000));
        assert_eq!(unclaimed.attempts, 2, "a try that nobody claimed is counted by its failure");
    }

    #[test]
    fn a_configuration_never_runs_out() {
        let hold = opened("acme", 1, &breakage(CONFIGURATION), at(0));
        let late = claimed(&hold, 1, at(400 * 3600));
        assert!(!has_run_out(&late, Timestamp::MAX));
        assert!(late.not_before.duration_since(at(400 * 3600)).as_secs() <= i64::from(CAP_SECONDS));
    }
}
