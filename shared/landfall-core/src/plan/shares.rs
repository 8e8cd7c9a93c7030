//! Fair shares: how many merges one delivery may have under way, so that a backlog of one tenant fills no queue.

use std::collections::BTreeSet;

/// How many merges of one delivery may be dispatched and not decided: an even share of its tenant's, and one at least.
pub fn merges_of_delivery(tenant_merges: u32, deliveries_of_tenant: usize) -> usize {
    let all = usize::try_from(tenant_merges).unwrap_or(usize::MAX);
    (all / deliveries_of_tenant.max(1)).max(1)
}

/// Whose turn it is among the undecided intents of a delivery: the first few by number may be under way, the others wait in
/// the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turns {
    merges: usize,
    under_way: usize,
    begin: BTreeSet<u64>,
    wait: BTreeSet<u64>,
    waiting_from: Option<u64>,
}

impl Turns {
    /// The turns of the intents that the log shows as undecided, in order of number and without what is held alone or has
    /// expired: such an intent may take long and keeps nobody waiting. `waiting_from` is the first that was never
    /// dispatched, as the last plan left it; every one before it was.
    pub fn new(undecided: impl IntoIterator<Item = u64>, waiting_from: Option<u64>, merges: usize) -> Self {
        let mut turns = Self { merges, ..Self::default() };
        for n in undecided {
            turns.place(n, waiting_from.is_some_and(|first| n >= first));
        }
        turns
    }

    /// Takes an intent that was just put, after all the others; whether it may be dispatched at once.
    pub fn add(&mut self, n: u64) -> bool {
        self.place(n, true)
    }

    /// Those to be dispatched now for the first time, the ones just put included.
    pub fn begin(&self) -> &BTreeSet<u64> {
        &self.begin
    }

    /// Whether an intent must not be dispatched yet.
    pub fn waits(&self, n: u64) -> bool {
        self.wait.contains(&n)
    }

    /// The first of those that wait: what the next plan must know.
    pub fn waiting_from(&self) -> Option<u64> {
        self.waiting_from
    }

    fn place(&mut self, n: u64, never_dispatched: bool) -> bool {
        if self.under_way < self.merges {
            self.under_way += 1;
            if never_dispatched {
                self.begin.insert(n);
            }
            return true;
        }
        self.wait.insert(n);
        // Also one that was dispatched before: a merge that is sent twice costs little, one that is sent to nobody waits for
        // the schedule. So a due record that was lost costs one round and no more.
        self.waiting_from.get_or_insert(n);
        false
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
        let mut turns = Turns::new(undecided.iter().copied(), waiting_from, merges);
        for n in new {
            assert_eq!(turns.add(*n), !turns.waits(*n));
        }
        let begin: Vec<u64> = turns.begin().iter().copied().collect();
        assert_eq!(
            (begin.as_slice(), turns.waiting_from()),
            expected,
            "{undecided:?} {new:?} {waiting_from:?}"
        );
        let waiting = undecided.iter().chain(new).filter(|n| turns.waits(**n)).count();
        let room = (undecided.len() + new.len()).saturating_sub(merges);
        assert_eq!(waiting, room, "nobody waits while there is room");
    }

    #[test]
    fn the_first_go_and_the_others_follow_as_they_are_decided() {
        check(&[], &[1, 2, 3, 4, 5], None, 2, (&[1, 2], Some(3)));
        check(&[1, 2, 3, 4, 5], &[], Some(3), 2, (&[], Some(3)));
        check(&[2, 3, 4, 5], &[], Some(3), 2, (&[3], Some(4)));
        check(&[4, 5], &[6], Some(4), 2, (&[4, 5], Some(6)));
        check(&[6], &[], Some(6), 2, (&[6], None));
        check(&[7, 8, 9], &[10], None, 2, (&[], Some(9)));
    }

    #[test]
    fn what_was_dispatched_is_not_dispatched_anew() {
        // The hold of 1 let 3 go; when it ends, 3 waits its turn again but is no newcomer.
        check(&[2, 3, 4, 5], &[], Some(3), 2, (&[3], Some(4)));
        check(&[1, 2, 3, 4, 5], &[], Some(4), 2, (&[], Some(3)));
        // A due record that was lost: whoever waits is sent when its turn comes, as if it never had been.
        check(&[1, 2, 3], &[], None, 2, (&[], Some(3)));
        check(&[2, 3], &[], Some(3), 2, (&[3], None));
    }

    #[test]
    fn a_tenant_shares_among_its_deliveries() {
        for (tenant, deliveries, each) in [(64, 1, 64), (64, 3, 21), (64, 100, 1), (0, 0, 1)] {
            assert_eq!(merges_of_delivery(tenant, deliveries), each);
        }
    }
}
