//! Fair shares: how many merges one delivery may have under way, so that a backlog of one tenant fills no queue.

use std::collections::BTreeSet;

/// How many merges of one delivery may be dispatched and not decided: an even share of its tenant's, and one at least.
pub fn merges_of_delivery(tenant_merges: u32, deliveries_of_tenant: usize) -> usize {
    let all = usize::try_from(tenant_merges).unwrap_or(usize::MAX);
    (all / deliveries_of_tenant.max(1)).max(1)
}

/// Whose turn it is among the undecided intents of a delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turns {
    /// To be dispatched now, for the first time.
    pub begin: BTreeSet<u64>,
    /// Not to be dispatched yet.
    pub wait: BTreeSet<u64>,
    /// The first of those that wait and were never dispatched.
    pub waiting_from: Option<u64>,
}

/// Divides the undecided intents of a delivery: the first `merges` by number may be under way, the others wait.
///
/// `undecided` are those the log shows, without what is held alone or has expired: such an intent may take long and keeps
/// nobody waiting. `new` are those that were put since. `waiting_from` is the first that was never dispatched, as the last
/// plan left it; every undecided intent before it was.
pub fn turns(
    undecided: impl IntoIterator<Item = u64>,
    new: &[u64],
    waiting_from: Option<u64>,
    merges: usize,
) -> Turns {
    let mut all: BTreeSet<u64> = undecided.into_iter().collect();
    let known = all.last().copied();
    all.extend(new);
    let first_new = new.iter().copied().find(|n| known.is_none_or(|known| *n > known));
    let first = [waiting_from, first_new].into_iter().flatten().min();
    let never_dispatched = |n: &u64| first.is_some_and(|first| *n >= first);
    let (go, wait): (Vec<(usize, u64)>, Vec<_>) =
        all.into_iter().enumerate().partition(|(place, _)| *place < merges);
    let wait: BTreeSet<u64> = wait.into_iter().map(|(_, n)| n).collect();
    Turns {
        begin: go.into_iter().map(|(_, n)| n).filter(never_dispatched).collect(),
        waiting_from: wait.iter().copied().find(never_dispatched),
        wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        undecided: &[u64],
        new: &[u64],
        waiting_from: Option<u64>,
        merges: usize,
        expected: (&[u64], Option<u64>),
    ) {
        let turns = turns(undecided.iter().copied(), new, waiting_from, merges);
        let begin: Vec<u64> = turns.begin.iter().copied().collect();
        assert_eq!(
            (begin.as_slice(), turns.waiting_from),
            expected,
            "{undecided:?} {new:?} {waiting_from:?}"
        );
        assert!(turns.begin.is_disjoint(&turns.wait));
        let all: BTreeSet<u64> = undecided.iter().chain(new).copied().collect();
        assert_eq!(turns.wait.len(), all.len().saturating_sub(merges), "nobody waits while there is room");
    }

    #[test]
    fn the_first_go_and_the_others_follow_as_they_are_decided() {
        check(&[], &[1, 2, 3, 4, 5], None, 2, (&[1, 2], Some(3)));
        check(&[1, 2, 3, 4, 5], &[], Some(3), 2, (&[], Some(3)));
        check(&[2, 3, 4, 5], &[], Some(3), 2, (&[3], Some(4)));
        check(&[4, 5], &[6], Some(4), 2, (&[4, 5], Some(6)));
        check(&[6], &[], Some(6), 2, (&[6], None));
        check(&[7, 8, 9], &[10], None, 2, (&[], Some(10)));
    }

    #[test]
    fn what_was_dispatched_is_not_dispatched_anew() {
        // The hold of 1 let 3 go; when it ends, 3 waits its turn again but is no newcomer.
        check(&[2, 3, 4, 5], &[], Some(3), 2, (&[3], Some(4)));
        check(&[1, 2, 3, 4, 5], &[], Some(4), 2, (&[], Some(4)));
        // A due record that was lost: the schedule takes care of them.
        check(&[1, 2, 3], &[], None, 2, (&[], None));
    }

    #[test]
    fn a_tenant_shares_among_its_deliveries() {
        for (tenant, deliveries, each) in [(64, 1, 64), (64, 3, 21), (64, 100, 1), (0, 0, 1)] {
            assert_eq!(merges_of_delivery(tenant, deliveries), each);
        }
    }
}
