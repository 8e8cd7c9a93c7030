//! One by one is the same as all at once, and a million objects are planned in the memory of a few.

use std::collections::BTreeMap;

use super::*;

/// What a plan must be, from all objects of a group at once: sizes of the intents as (predicted, listed), and the rest.
fn model(context: &PlanContext<'_>, objects: &[&ListedObject]) -> (Vec<(usize, usize)>, usize) {
    let layout = &context.delivery.layout;
    let oldest = objects.iter().map(|object| object.last_modified).min().expect("a group has objects");
    let ripe = oldest + SignedDuration::from_secs(i64::from(layout.max_latency_seconds)) <= context.now;
    let everything =
        ripe || context.reason == PlanReason::Flush || context.flushed_at.is_some_and(|f| oldest <= f);
    let (mut shape, mut rest) = (Vec::new(), objects);
    while !rest.is_empty() {
        let (mut output, mut raw, mut predicted, mut full, mut bound) = (0, 0, 0, false, false);
        for object in rest {
            let form = input_form(&object.key);
            let more = context.ratios.raw_bytes(form, object.size);
            if predicted > 0 && (raw + more > context.bounds.raw_bytes || predicted >= context.bounds.objects)
            {
                (full, bound) = (true, true);
                break;
            }
            raw += more;
            output += context.ratios.output_bytes(form, object.size);
            predicted += 1;
            if output >= layout.target_bytes.min(context.bounds.output_bytes) {
                full = true;
                break;
            }
        }
        if !full && !everything {
            break;
        }
        let form = objects.first().map_or(InputForm::Plain, |object| input_form(&object.key));
        let reserve = context.ratios.reserve(form, predicted, raw, context.bounds.raw_bytes);
        let reserve = if bound { 0 } else { reserve };
        let listed = (predicted + reserve).min(rest.len());
        shape.push((predicted, listed));
        rest = &rest[listed..];
    }
    (shape, rest.len())
}

proptest! {
    /// Groups, cuts, reserves and rests are those of a plan that sees everything before it decides anything.
    #[test]
    fn objects_offered_one_by_one_are_planned_as_if_all_were_known(
        objects in prop::collection::vec((0_u64..1_500_000, 0_i64..200, 0_usize..3), 0..80),
        now in 0_i64..300,
        flush in any::<bool>(),
        flushed_at in prop::option::of(0_i64..100),
        most in 1_usize..20,
        raw_bytes in 1_000_000_u64..40_000_000,
    ) {
        let delivery = delivery("[[layout.partition]]\nname = \"region\"\nsource = \"key\"\n");
        let mut pending: Vec<_> = objects
            .iter()
            .enumerate()
            .map(|(i, (size, second, region))| object(&format!("region={region}/{i:03}.jsonl.gz"), *size, *second))
            .collect();
        pending.sort_by(|a, b| a.key.cmp(&b.key));
        let ratios = Ratios::default();
        let context = PlanContext {
            now: at(now),
            delivery: &delivery,
            reason: if flush { PlanReason::Flush } else { PlanReason::Event },
            flushed_at: flushed_at.map(at),
            ratios: &ratios,
            bounds: Bounds { raw_bytes, objects: most, output_bytes: 900_000 },
        };
        let planned = plan(context, pending.clone());
        let mut shapes: BTreeMap<_, Vec<(usize, usize)>> = BTreeMap::new();
        for draft in &planned.intents {
            shapes.entry(draft.partition.clone()).or_default().push((draft.predicted, draft.inputs.len()));
        }
        let mut groups: BTreeMap<_, Vec<&ListedObject>> = BTreeMap::new();
        for object in &pending {
            groups.entry(known_partition(&delivery.layout, object)).or_default().push(object);
        }
        let mut waiting = 0;
        for (partition, objects) in groups {
            let (shape, rest) = model(&context, &objects);
            prop_assert_eq!(shapes.remove(&partition).unwrap_or_default(), shape);
            waiting += rest;
        }
        prop_assert_eq!(planned.waiting, waiting);
    }
}

#[test]
fn a_million_objects_are_planned_in_one_pass_in_the_memory_of_one_intent_a_group() {
    let mut delivery = delivery("[[layout.partition]]\nname = \"region\"\nsource = \"key\"\n");
    delivery.layout.target_bytes = 128 * 1024 * 1024;
    let ratios = learned();
    let context = PlanContext {
        now: at(1),
        delivery: &delivery,
        reason: PlanReason::Event,
        flushed_at: None,
        ratios: &ratios,
        bounds: Bounds::for_timeout(900),
    };
    // Half of them known, as on a day when a producer uploads everything again.
    let (groups, each) = (10_u64, 100_000_u64);
    let size = 40_000;
    let listing = (0..groups)
        .flat_map(|group| (0..each).map(move |i| object(&format!("region={group}/{i:06}.jsonl"), size, 0)));
    let known = (0..each)
        .step_by(2)
        .map(|i| Fingerprint::of_object(&object(&format!("region=0/{i:06}.jsonl"), size, 0)));
    let taken = Taken::new(Vec::new(), known.collect(), Vec::new());

    let mut planner = Planner::new(context);
    let (mut most, mut repeats, mut planned) = (0, 0, 0);
    let mut drafts = Vec::new();
    for (index, object) in listing.enumerate() {
        let known = taken.know(&object);
        if known.place == Place::Repeat {
            repeats += 1;
        } else if let Some(draft) = planner.offer(object, known.void) {
            planned += draft.inputs.len();
            drafts.push((draft.reason, draft.predicted, draft.inputs.len()));
        }
        if index % 100 == 0 {
            most = most.max(planner.held());
        }
    }
    let plan = planner.finish();
    // 5,000 bytes of each object come out: 26,844 of them make 128 MB, and a quarter is the reserve.
    assert!(drafts.iter().all(|draft| *draft == (FlushReason::Size, 26_844, 33_555)), "{drafts:?}");
    assert_eq!(drafts.len(), 19, "two of each group's hundred thousand, one of the halved one's fifty");
    let rest: usize = plan.intents.iter().map(|draft| draft.inputs.len()).sum();
    assert_eq!(repeats + planned + rest + plan.waiting, 1_000_000);
    let bound = 33_555 * usize::try_from(groups).expect("a small number");
    assert!(most <= bound + 100, "{most} objects in hand at once");
}
