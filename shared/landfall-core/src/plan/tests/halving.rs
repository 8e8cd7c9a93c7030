//! What an intent gives back that cannot run is halved until the one object is alone that makes it fail.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn context<'a>(delivery: &'a Delivery, ratios: &'a Ratios) -> PlanContext<'a> {
    PlanContext {
        now: at(1),
        delivery,
        reason: PlanReason::Event,
        flushed_at: None,
        ratios,
        bounds: Bounds::for_timeout(900),
    }
}

#[test]
fn a_void_intent_is_planned_again_as_two_halves_alone_and_at_once() {
    let (delivery, ratios) = (delivery(""), Ratios::default());
    let mut planner = Planner::new(context(&delivery, &ratios));
    for i in 0..9 {
        let object = object(&format!("{i}"), 1, 0);
        assert_eq!(planner.offer(object, [Some(3), None, Some(5)][i % 3]), None);
    }
    let plan = planner.finish();
    let drafts: Vec<(FlushReason, Vec<&str>)> = plan
        .intents
        .iter()
        .map(|draft| {
            (draft.reason, draft.inputs.iter().map(|input| input.key.trim_start_matches("t/d/")).collect())
        })
        .collect();
    let halved = |keys: &[&'static str]| (FlushReason::Halved, keys.to_vec());
    assert_eq!(drafts, [halved(&["0", "3"]), halved(&["6"]), halved(&["2", "5"]), halved(&["8"])]);
    assert_eq!(plan.waiting, 3, "the others wait for company as ever");
}

/// Plans, and voids whatever holds a poisonous key, until nothing changes. How often it planned, what was delivered, and
/// what failed alone.
fn settle(
    objects: &[ListedObject],
    poison: &BTreeSet<String>,
) -> (usize, BTreeSet<String>, BTreeSet<String>) {
    let (delivery, ratios) = (delivery(""), Ratios::default());
    let (mut delivered, mut alone) = (BTreeSet::new(), BTreeSet::new());
    let mut voided: BTreeMap<u64, Vec<Input>> = BTreeMap::new();
    let mut n = 0;
    for plans in 1.. {
        let fingerprints = voided
            .iter()
            .flat_map(|(n, inputs)| inputs.iter().map(|input| (Fingerprint::of_input(input), *n)))
            .collect();
        let taken = Taken::new(Vec::new(), Vec::new(), fingerprints);
        let reason = if plans == 1 { PlanReason::Flush } else { PlanReason::Resume };
        let mut planner = Planner::new(PlanContext { reason, ..context(&delivery, &ratios) });
        let mut drafts = Vec::new();
        let gone = |key: &String| delivered.contains(key) || alone.contains(key);
        for object in objects.iter().filter(|object| !gone(&object.key)) {
            drafts.extend(planner.offer(object.clone(), taken.know(object).void));
        }
        drafts.extend(planner.finish().intents);
        if drafts.is_empty() {
            return (plans, delivered, alone);
        }
        for IntentDraft { inputs, .. } in drafts {
            n += 1;
            if !inputs.iter().any(|input| poison.contains(&input.key)) {
                delivered.extend(inputs.into_iter().map(|input| input.key));
            } else if inputs.len() == 1 {
                alone.extend(inputs.into_iter().map(|input| input.key));
            } else {
                voided.insert(n, inputs);
            }
        }
    }
    unreachable!("the loop has no end of its own")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is poisonous is found, and costs nothing else its delivery.
    #[test]
    fn halving_finds_what_makes_intents_fail_and_delivers_everything_else(
        count in 1_usize..200,
        chosen in prop::collection::btree_set(0_usize..200, 0..4),
    ) {
        let objects: Vec<_> = (0..count).map(|i| object(&format!("{i:03}.jsonl.gz"), 20_000, 0)).collect();
        let poison: BTreeSet<String> =
            chosen.iter().filter_map(|i| objects.get(*i)).map(|object| object.key.clone()).collect();
        let (plans, delivered, alone) = settle(&objects, &poison);
        prop_assert_eq!(&alone, &poison);
        let rest: BTreeSet<String> =
            objects.iter().map(|object| object.key.clone()).filter(|key| !poison.contains(key)).collect();
        prop_assert_eq!(delivered, rest);
        // One plan of everything, one for each halving, one that finds nothing.
        let steps = count.next_power_of_two().ilog2() as usize;
        prop_assert!(plans <= 2 + steps, "{plans} plans for {count} objects");
    }
}
