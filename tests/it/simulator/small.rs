//! Small deliveries, of which every call is failed in every way.

use landfall_core::error::PortErrorKind;
use testkit::fake::Fault;

use super::model::Content;
use super::plan::{DeliveryPlan, Partitioning};
use super::scenario::{Breakage, Event, Form, Operator, Scenario, Step, drifted_object, object};

/// A small delivery.
#[derive(Debug)]
pub struct Small {
    /// What it is.
    pub name: &'static str,
    /// What happens.
    pub scenario: Scenario,
    /// Whether every call of it is failed in every way. Of a costly one only those calls are whose kind no other has.
    pub every_call: bool,
}

fn stage(delivery: usize, name: &str, made: (bytes::Bytes, Content)) -> Step {
    let (body, content) = made;
    Step::Stage { delivery, name: name.to_owned(), body, content, event: Event::Comes }
}

fn rows(first: i64, count: i64) -> (bytes::Bytes, Content) {
    object(first, count, 3, 0, Form::Plain, 0)
}

/// All of them.
pub fn all() -> Vec<Small> {
    let base = DeliveryPlan::default();
    let mut all = vec![single()];
    let mut add = |name, plans: Vec<DeliveryPlan>, steps| {
        all.push(Small { name, scenario: Scenario::of(plans, steps), every_call: true });
    };
    add(
        "a partitioned delivery of several files",
        vec![DeliveryPlan { partitioning: Partitioning::Column, kms: true, ..base.clone() }],
        vec![stage(0, "1.jsonl", rows(1, 6)), Step::Pass(120)],
    );
    add(
        "an endpoint that can do less",
        vec![DeliveryPlan { capabilities: 0, ..base.clone() }],
        vec![stage(0, "1.jsonl", rows(1, 2)), Step::Pass(120)],
    );
    add(
        "objects and rows that are set aside",
        vec![base.clone()],
        vec![
            stage(0, "1.jsonl.gz", object(1, 3, 1, 0, Form::Cut, 0)),
            stage(0, "2.jsonl", object(4, 6, 1, 3, Form::Plain, 0)),
            Step::Pass(120),
        ],
    );
    add(
        "a repeat, an overwrite and a deletion",
        vec![base.clone()],
        vec![
            stage(0, "1.jsonl", rows(1, 2)),
            stage(0, "2.jsonl", rows(11, 2)),
            Step::Pass(75),
            stage(0, "1.jsonl", rows(1, 2)),
            stage(0, "2.jsonl", rows(21, 2)),
            stage(0, "3.jsonl", rows(31, 2)),
            Step::Remove { delivery: 0, name: "3.jsonl".to_owned() },
            Step::Pass(300),
        ],
    );
    add(
        "a client that deletes what it has consumed",
        vec![DeliveryPlan { consumer_deletes: true, ..base.clone() }],
        vec![
            stage(0, "1.jsonl", rows(1, 2)),
            Step::Pass(150),
            Step::Consume(0),
            Step::Pass(60),
            Step::Consume(0),
        ],
    );
    let fails =
        |operation, key: &str, times, fault| Step::Fail { operation, key: key.to_owned(), times, fault };
    add(
        "an object that kills whoever reads it",
        vec![base.clone()],
        vec![
            fails("GetObject", "acme/rows/1.jsonl", None, Fault::Panic),
            stage(0, "1.jsonl", rows(1, 2)),
            stage(0, "2.jsonl", rows(11, 2)),
            Step::Pass(3_600),
        ],
    );
    add(
        "staged files that vanish",
        vec![DeliveryPlan { partitioning: Partitioning::Column, ..base.clone() }],
        vec![
            fails("CopyObject", "raw/rows/", Some(1), Fault::Fail(PortErrorKind::Denied)),
            stage(0, "1.jsonl", rows(1, 2)),
            stage(0, "2.jsonl", rows(11, 2)),
            Step::Pass(95),
            Step::LoseTemps(0),
            Step::Remove { delivery: 0, name: "2.jsonl".to_owned() },
            Step::Pass(600),
        ],
    );
    for (name, breakage) in [
        ("a role that is gone for a while", Breakage::Role),
        ("a bucket that refuses us for a while", Breakage::Bucket),
        ("a catalog that refuses us for a while", Breakage::Catalog),
        ("a queue that refuses us for a while", Breakage::Queue),
    ] {
        let steps = vec![
            Step::Break(0, breakage),
            stage(0, "1.jsonl", rows(1, 2)),
            Step::Pass(400),
            Step::Mend(0),
            Step::Pass(60),
        ];
        add(name, vec![base.clone()], steps);
    }
    add(
        "a document that is refused for a while",
        vec![base.clone()],
        vec![
            stage(0, "1.jsonl", rows(1, 2)),
            Step::Pass(95),
            Step::Configure(0, Box::new(DeliveryPlan { broken: true, ..base.clone() })),
            Step::Pass(600),
            Step::Configure(0, Box::new(DeliveryPlan { version: 2, ..base.clone() })),
            Step::Pass(60),
        ],
    );
    let drifted = |first, more| drifted_object(first, 2, 3, 0, Form::Plain, 0, more);
    add(
        "a contract that evolves twice",
        vec![DeliveryPlan { evolves: true, unique: true, glue: false, ..base.clone() }],
        vec![
            stage(0, "1.jsonl", rows(1, 2)),
            stage(0, "2.jsonl", drifted(11, &[("a", 1)])),
            Step::Pass(150),
            stage(0, "3.jsonl", drifted(21, &[("score", 10_000_000_000)])),
            Step::Pass(240),
        ],
    );
    add(
        "an ordered delivery",
        vec![DeliveryPlan { ordered: true, ..base.clone() }],
        vec![
            stage(0, "1.jsonl", rows(1, 2)),
            Step::Pass(65),
            stage(0, "2.jsonl", rows(11, 2)),
            Step::Pass(120),
        ],
    );
    add(
        "a flush for two clients",
        vec![base.clone(), DeliveryPlan { tenant: "globex", glue: false, queue: false, ..base.clone() }],
        vec![
            stage(0, "1.jsonl", rows(1, 2)),
            stage(1, "1.jsonl.zst", object(11, 2, 1, 0, Form::Zstd, 0)),
            Step::Flush(0),
            Step::Flush(1),
            Step::Pass(120),
        ],
    );
    // Both are merged before one of them is published: the first wakes the second.
    let steps =
        vec![stage(0, "lot=0/1.jsonl", rows(1, 2)), stage(0, "lot=1/2.jsonl", rows(11, 2)), Step::Pass(120)];
    let plan = DeliveryPlan { ordered: true, partitioning: Partitioning::Key, ..base.clone() };
    let scenario = Scenario { concurrency: 2, ..Scenario::of(vec![plan], steps) };
    all.push(Small { name: "an ordered delivery of two partitions", scenario, every_call: true });
    for (name, breakage, operator) in [
        ("a catalog that is away for too long", Breakage::Catalog, Operator::Redelivers),
        ("a role that is gone for good", Breakage::Role, Operator::Discards),
        ("a queue that is gone for good", Breakage::Queue, Operator::Redelivers),
    ] {
        let steps = vec![
            Step::Break(0, breakage),
            stage(0, "1.jsonl", rows(1, 2)),
            Step::Pass(73 * 3_600),
            Step::Mend(0),
        ];
        let scenario = Scenario { operator, ..Scenario::of(vec![base.clone()], steps) };
        all.push(Small { name, scenario, every_call: false });
    }
    let parts = DeliveryPlan { partitioning: Partitioning::Column, ..base };
    for (name, capabilities) in [("a file in parts", 15), ("a file in parts on a lesser endpoint", 0)] {
        let plan = DeliveryPlan { capabilities, ..parts.clone() };
        // More than one part of 5 MiB.
        let steps = vec![stage(0, "1.jsonl", object(1, 1_450, 1, 0, Form::Plain, 4_096)), Step::Pass(120)];
        all.push(Small { name, scenario: Scenario::of(vec![plan], steps), every_call: false });
    }
    all
}

/// The smallest: one object of two records, of which all ordered pairs of crashes are tried.
pub fn single() -> Small {
    let steps = vec![stage(0, "1.jsonl", rows(1, 2)), Step::Pass(120)];
    Small { name: "one file", scenario: Scenario::of(vec![DeliveryPlan::default()], steps), every_call: true }
}
