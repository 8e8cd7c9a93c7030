use proptest::prelude::*;

use super::*;
use crate::delivery::Start;
use crate::document;

mod closing;
mod halving;
mod one_pass;

const DOCUMENT: &str = r#"
version = 1
id = "d"
tenant = "t"
dataset = "data"
[source]
prefix = "t/d/"
[destination]
role_arn = "arn:aws:iam::222222222222:role/landfall"
external_id = "external-id-1"
region = "eu-west-1"
bucket = "lake"
prefix = "raw/d/"
[contract]
version = 1
[[contract.column]]
name = "a"
type = "int64"
[layout]
target_bytes = 1000000
row_group_bytes = 1000000
max_latency_seconds = 60
"#;

fn delivery(partition: &str) -> Delivery {
    document::parse("d.toml", &format!("{DOCUMENT}{partition}")).expect("a valid document")
}

fn object(key: &str, size: u64, second: i64) -> ListedObject {
    ListedObject {
        key: format!("t/d/{key}"),
        etag: "e".into(),
        size,
        last_modified: Timestamp::from_second(1_800_000_000 + second).expect("in range"),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("in range")
}

/// Compressed objects make files of their own size, plain ones of an eighth.
fn learned() -> Ratios {
    let mut ratios = Ratios::default();
    for _ in 0..3 {
        ratios.learn(InputForm::Compressed, 1_000, 10_000, 1_000);
        ratios.learn(InputForm::Plain, 8_000, 8_000, 1_000);
    }
    ratios
}

fn plan_of(delivery: &Delivery, pending: &[ListedObject], now: i64, reason: PlanReason) -> Plan {
    plan(
        PlanContext {
            now: at(now),
            delivery,
            reason,
            flushed_at: None,
            ratios: &learned(),
            bounds: Bounds::for_timeout(900),
        },
        pending.to_vec(),
    )
}

#[test]
fn small_young_objects_wait_for_company_until_the_oldest_is_ripe() {
    let delivery = delivery("");
    let pending = [object("a.jsonl", 5_000, 10), object("b.jsonl", 5_000, 0)];
    let waiting = plan_of(&delivery, &pending, 59, PlanReason::Event);
    assert_eq!(waiting, Plan { waiting: 2, next_look: Some(at(60)), ..Plan::default() });

    let ripe = plan_of(&delivery, &pending, 60, PlanReason::Event);
    assert_eq!(ripe.intents.len(), 1);
    assert!(ripe.intents.iter().all(|draft| draft.reason == FlushReason::Age && draft.inputs.len() == 2));
    assert_eq!(ripe.next_look, None);
}

#[test]
fn a_flush_takes_everything_at_once() {
    let delivery = delivery("");
    let plan = plan_of(&delivery, &[object("a", 1, 0)], 0, PlanReason::Flush);
    assert_eq!(plan.intents.len(), 1);
    assert_eq!(plan.intents.first().map(|draft| draft.reason), Some(FlushReason::Request));
}

#[test]
fn a_flush_of_more_than_a_file_says_so_in_every_intent() {
    let delivery = delivery("");
    let pending: Vec<_> = (0..30).map(|i| object(&format!("{i:03}.jsonl.gz"), 100_000, 0)).collect();
    let plan = plan_of(&delivery, &pending, 1, PlanReason::Flush);
    assert!(plan.intents.len() > 1);
    assert!(plan.intents.iter().all(|draft| draft.reason == FlushReason::Request), "{plan:?}");
    assert_eq!(plan.waiting, 0);
}

#[test]
fn what_was_staged_before_a_flush_leaves_whenever_it_comes_free() {
    let delivery = delivery("");
    let pending = [object("freed", 1, 10), object("later", 1, 30)];
    let planned = |flushed_at: i64| {
        plan(
            PlanContext {
                now: at(40),
                delivery: &delivery,
                reason: PlanReason::Resume,
                flushed_at: Some(at(flushed_at)),
                ratios: &Ratios::default(),
                bounds: Bounds::for_timeout(900),
            },
            pending.clone(),
        )
    };
    assert_eq!(planned(9).intents, []);
    assert_eq!(planned(10).intents.first().map(|draft| draft.reason), Some(FlushReason::Request));
}

#[test]
fn records_that_choose_their_partition_gather_for_all_of_them_without_a_reserve() {
    let delivery = delivery("[[layout.partition]]\nname = \"p\"\nsource = \"column\"\nfield = \"a\"\n");
    let mut ratios = Ratios::default();
    for partitions in [2, 3, 4] {
        ratios.learn_partitions(partitions);
    }
    let pending: Vec<_> = (0..40).map(|i| object(&format!("{i:03}.jsonl.gz"), 100_000, 0)).collect();
    let input = PlanContext {
        now: at(1),
        delivery: &delivery,
        reason: PlanReason::Event,
        flushed_at: None,
        ratios: &ratios,
        bounds: Bounds::for_timeout(900),
    };
    let shape: Vec<_> =
        plan(input, pending).intents.iter().map(|draft| (draft.predicted, draft.inputs.len())).collect();
    assert_eq!(shape, [(30, 30)]);
}

#[test]
fn a_full_group_is_cut_at_the_target_with_a_reserve_and_the_tail_waits() {
    let delivery = delivery("");
    // 100,000 bytes of gzip each, predicted 1:1, target 1,000,000: ten fill a file, three are the reserve.
    let pending: Vec<_> = (0..30).map(|i| object(&format!("{i:03}.jsonl.gz"), 100_000, 0)).collect();
    let plan = plan_of(&delivery, &pending, 1, PlanReason::Event);
    let shape: Vec<_> = plan.intents.iter().map(|draft| (draft.predicted, draft.inputs.len())).collect();
    assert_eq!(shape, [(10, 13), (10, 13)]);
    assert_eq!(plan.waiting, 4);
}

#[test]
fn before_anything_is_learned_an_intent_lists_eight_times_what_it_is_guessed_to_need() {
    let delivery = delivery("");
    let shape = |bytes: u64, bounds: Bounds| -> Vec<(usize, usize)> {
        let pending: Vec<_> = (0..100).map(|i| object(&format!("{i:03}.jsonl"), bytes, 0)).collect();
        let (ratios, reason) = (Ratios::default(), PlanReason::Event);
        let context = PlanContext {
            now: at(1),
            delivery: &delivery,
            reason,
            flushed_at: None,
            ratios: &ratios,
            bounds,
        };
        let plan = plan(context, pending);
        plan.intents.iter().map(|draft| (draft.predicted, draft.inputs.len())).collect()
    };
    // 800,000 bytes of plain text each, guessed 8:1, target 1,000,000: ten fill a file.
    let bounds = Bounds::for_timeout(900);
    assert_eq!(shape(800_000, bounds), [(10, 80), (10, 20)]);
    // Not more than an execution can decode, but always the quarter.
    assert_eq!(shape(800_000, Bounds { raw_bytes: 16_000_000, ..bounds }).first(), Some(&(10, 20)));
    assert_eq!(shape(800_000, Bounds { raw_bytes: 8_000_000, ..bounds }).first(), Some(&(10, 13)));
}

#[test]
fn arrival_hours_and_key_values_never_share_an_intent() {
    let by_hour =
        delivery("[[layout.partition]]\nname = \"hour\"\nsource = \"arrival\"\ntransform = \"hour\"\n");
    let pending = [object("a", 1, 0), object("b", 1, 3600), object("c", 1, 1)];
    let plan = plan_of(&by_hour, &pending, 10_000, PlanReason::Event);
    let keys: Vec<Vec<&str>> = plan
        .intents
        .iter()
        .map(|draft| draft.inputs.iter().map(|input| input.key.as_str()).collect())
        .collect();
    assert_eq!(keys, [vec!["t/d/a", "t/d/c"], vec!["t/d/b"]]);

    let by_key = delivery("[[layout.partition]]\nname = \"region\"\nsource = \"key\"\n");
    let pending = [object("region=A/1", 1, 0), object("region=B/1", 1, 0), object("x", 1, 0)];
    let plan = plan_of(&by_key, &pending, 0, PlanReason::Flush);
    let partitions: Vec<_> = plan.intents.iter().map(|draft| draft.partition.clone()).collect();
    let known = |value: Option<&str>| vec![Some(KnownValue { value: value.map(Into::into) })];
    assert_eq!(partitions, [known(None), known(Some("A")), known(Some("B"))]);
}

#[test]
fn objects_before_the_start_are_left_alone() {
    let mut delivery = delivery("");
    delivery.source.start = Start::At(at(5));
    let plan = plan_of(&delivery, &[object("a", 1, 4), object("b", 1, 5)], 100, PlanReason::Event);
    assert_eq!(plan.before_start, 1);
    assert_eq!(plan.intents.iter().map(|draft| draft.inputs.len()).sum::<usize>(), 1);
}

#[test]
fn learned_ratios_change_the_cut() {
    let delivery = delivery("");
    let mut ratios = Ratios::default();
    for _ in 0..3 {
        ratios.learn(InputForm::Plain, 1_000, 1_000, 500);
    }
    let pending: Vec<_> = (0..40).map(|i| object(&format!("{i:03}.jsonl"), 100_000, 0)).collect();
    let plan = plan(
        PlanContext {
            now: at(1),
            delivery: &delivery,
            reason: PlanReason::Event,
            flushed_at: None,
            ratios: &ratios,
            bounds: Bounds::for_timeout(900),
        },
        pending,
    );
    assert_eq!(plan.intents.first().map(|draft| draft.predicted), Some(20));
}

#[test]
fn repeats_are_told_from_new_bytes_and_from_work_under_way() {
    let fingerprint = |key: &str, size: u64| Fingerprint::of_object(&object(key, size, 0));
    let voided = vec![(fingerprint("d", 1), 3), (fingerprint("d", 1), 7), (fingerprint("b", 1), 2)];
    let taken = Taken::new(vec![fingerprint("b", 1)], vec![fingerprint("a", 1)], voided);
    for (key, size, place, void) in [
        ("a", 1, Place::Repeat, None),
        ("a", 2, Place::Pending, None),
        ("b", 1, Place::InFlight, Some(2)),
        ("b", 9, Place::Pending, None),
        ("c", 1, Place::Pending, None),
        ("d", 1, Place::Pending, Some(7)),
    ] {
        assert_eq!(taken.know(&object(key, size, 0)), Known { place, void }, "{key} of {size}");
    }
}

proptest! {
    /// Nothing is lost, nothing is taken twice, order and bounds hold, whatever is pending.
    #[test]
    fn every_object_is_in_one_intent_or_waits(
        objects in prop::collection::vec((0_u64..3_000_000, 0_i64..200, 0_usize..3), 0..60),
        now in 0_i64..300,
        flush in any::<bool>(),
    ) {
        let delivery = delivery("[[layout.partition]]\nname = \"region\"\nsource = \"key\"\n");
        let pending: Vec<_> = objects
            .iter()
            .enumerate()
            .map(|(i, (size, second, region))| object(&format!("region={region}/{i:03}.jsonl.gz"), *size, *second))
            .collect();
        let mut sorted = pending.clone();
        sorted.sort_by(|a, b| a.key.cmp(&b.key));
        let reason = if flush { PlanReason::Flush } else { PlanReason::Event };
        let plan = plan_of(&delivery, &sorted, now, reason);

        let taken: usize = plan.intents.iter().map(|draft| draft.inputs.len()).sum();
        prop_assert_eq!(taken + plan.waiting + plan.before_start, sorted.len());
        let mut keys: Vec<&str> = plan.intents.iter().flat_map(|d| d.inputs.iter().map(|i| i.key.as_str())).collect();
        keys.sort_unstable();
        keys.dedup();
        prop_assert_eq!(keys.len(), taken);
        for draft in &plan.intents {
            prop_assert!(draft.predicted >= 1 && draft.predicted <= draft.inputs.len());
            prop_assert!(draft.inputs.windows(2).all(|pair| pair[0].key < pair[1].key));
        }
        prop_assert_eq!(plan.waiting == 0, plan.next_look.is_none());
        if flush {
            prop_assert_eq!(plan.waiting, 0);
        }
        if let Some(next) = plan.next_look {
            prop_assert!(next > at(now));
        }
    }
}
