//! Partitions that are over leave, however young what waits for them is.

use super::*;

/// A delivery that waits a day for company.
fn patient(level: &str) -> Delivery {
    let mut delivery = delivery(&format!("[[layout.partition]]\nname = \"p\"\n{level}\n"));
    delivery.layout.max_latency_seconds = 86_400;
    delivery
}

/// The first full hour at or after the zero of the tests' clock, which is 08:00 on 2027-01-15.
const HOUR: i64 = 3_600;
/// Midnight of that day.
const MIDNIGHT: i64 = 16 * HOUR;

#[test]
fn an_hour_that_is_over_leaves_after_the_grace_and_the_next_one_waits() {
    let delivery = patient("source = \"arrival\"\ntransform = \"hour\"");
    let pending = [object("a", 1, HOUR - 1), object("b", 1, HOUR)];
    let before = plan_of(&delivery, &pending, HOUR + 299, PlanReason::Due);
    assert_eq!((before.intents.len(), before.waiting), (0, 2));
    assert_eq!(before.next_look, Some(at(HOUR + 300)));

    let after = plan_of(&delivery, &pending, HOUR + 300, PlanReason::Due);
    let shape: Vec<_> = after.intents.iter().map(|draft| (draft.reason, draft.inputs.len())).collect();
    assert_eq!(shape, [(FlushReason::Closed, 1)]);
    assert_eq!((after.waiting, after.next_look), (1, Some(at(2 * HOUR + 300))));
}

#[test]
fn a_day_of_the_key_that_is_over_leaves_after_the_grace() {
    let delivery = patient("source = \"key\"");
    let pending = [object("p=2027-01-15/a", 1, MIDNIGHT + 200), object("p=2027-01-16/b", 1, MIDNIGHT - 60)];
    let before = plan_of(&delivery, &pending, MIDNIGHT + 299, PlanReason::Due);
    assert_eq!((before.intents.len(), before.next_look), (0, Some(at(MIDNIGHT + 300))));
    let after = plan_of(&delivery, &pending, MIDNIGHT + 300, PlanReason::Due);
    let shape: Vec<_> =
        after.intents.iter().map(|draft| (draft.reason, draft.inputs[0].key.as_str())).collect();
    assert_eq!(shape, [(FlushReason::Closed, "t/d/p=2027-01-15/a")]);
    assert_eq!(after.waiting, 1);
}

#[test]
fn late_objects_of_a_closed_partition_wait_for_each_other() {
    let delivery = patient("source = \"key\"");
    let late: Vec<_> =
        (0..10).map(|i| object(&format!("p=2027-01-14/{i}"), 1, MIDNIGHT + i64::from(i))).collect();
    let waits = plan_of(&delivery, &late, MIDNIGHT + 86_399, PlanReason::Due);
    assert_eq!((waits.intents.len(), waits.waiting), (0, 10));
    assert_eq!(waits.next_look, Some(at(MIDNIGHT + 86_400)));
    let leaves = plan_of(&delivery, &late, MIDNIGHT + 86_400, PlanReason::Due);
    let shape: Vec<_> = leaves.intents.iter().map(|draft| (draft.reason, draft.inputs.len())).collect();
    assert_eq!(shape, [(FlushReason::Age, 10)], "one file for all of them");
}

#[test]
fn a_partition_closes_no_later_than_its_oldest_object_is_ripe() {
    let mut delivery = patient("source = \"arrival\"\ntransform = \"date\"");
    delivery.layout.max_latency_seconds = 60;
    let plan = plan_of(&delivery, &[object("a", 1, 0)], 60, PlanReason::Due);
    assert_eq!(plan.intents.first().map(|draft| draft.reason), Some(FlushReason::Age));
}
