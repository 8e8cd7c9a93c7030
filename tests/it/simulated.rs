//! The simulator itself: it repeats itself exactly, it finds what it is there to find, and a few seeds of it hold.

use std::collections::BTreeSet;

use crate::simulator::exhaustive::exhaust_these;
use crate::simulator::harvest::{Harvest, VisibleFile, harvest};
use crate::simulator::model::{Model, Record};
use crate::simulator::oracle::{Kind, judge};
use crate::simulator::plan::{DeliveryPlan, Partitioning};
use crate::simulator::runner::{self, Workers};
use crate::simulator::scenario::{Event, Form, Scenario, Step, object};
use crate::simulator::simulation::Simulation;
use crate::simulator::sites::{Site, uncovered};
use crate::simulator::{ports, small};

/// Runs seeds, all of which must hold.
fn hold(seeds: std::ops::Range<u64>) {
    runner::quiet_panics();
    let failed: Vec<String> = seeds
        .map(|seed| (seed, runner::run(&Scenario::draw(seed), false)))
        .filter(|(_, run)| !run.problems.is_empty())
        .map(|(seed, run)| format!("seed {seed}: {:?}", run.problems))
        .collect();
    assert!(failed.is_empty(), "make simulate REPLAY=<seed> tells the story\n{}", failed.join("\n"));
}

#[test]
fn whatever_fails_and_whenever_every_row_arrives_once() {
    hold(0..60);
}

#[test]
fn whatever_fails_and_whenever_every_row_arrives_once_by_other_seeds() {
    hold(1_000_000..1_000_060);
}

#[test]
fn every_call_of_the_smallest_delivery_fails_in_every_way() {
    runner::quiet_panics();
    let done = exhaust_these(&Workers { threads: 1, speaks: false }, &[small::single()], false);
    assert!(done.failures.is_empty(), "{:?}", done.failures);
    assert!(done.points > 40 && done.faults > 400, "{} points, {} faults", done.points, done.faults);
}

#[test]
fn a_seed_tells_the_same_story_each_time() {
    runner::quiet_panics();
    let mut with_faults = 0;
    for seed in 0..12 {
        let scenario = Scenario::draw(seed);
        let calls = runner::calls(&scenario);
        with_faults += usize::from(calls.iter().any(|call| call.fault.is_some()));
        assert_eq!(calls, runner::calls(&scenario), "seed {seed}");
        assert_eq!(runner::replay(&scenario).0, runner::replay(&scenario).0, "seed {seed}");
    }
    assert!(with_faults > 3, "only {with_faults} of these seeds have faults");
}

/// Two deliveries of two tenants, with a bad line and an object that cannot be decoded.
async fn sound() -> (Simulation, Harvest) {
    let acme = DeliveryPlan { partitioning: Partitioning::Column, ..DeliveryPlan::default() };
    let globex = DeliveryPlan { tenant: "globex", ..DeliveryPlan::default() };
    let stage = |delivery, name: &str, (body, content)| {
        let (name, event) = (name.to_owned(), Event::Comes);
        Step::Stage { delivery, name, body, content, event }
    };
    let steps = vec![
        stage(0, "1.jsonl", object(1, 6, 2, 3, Form::Plain, 0)),
        stage(0, "2.jsonl.gz", object(11, 2, 2, 0, Form::Cut, 0)),
        stage(1, "1.jsonl", object(21, 3, 1, 0, Form::Plain, 0)),
        Step::Pass(600),
    ];
    let simulation = Simulation::play(&Scenario::of(vec![acme, globex], steps)).await;
    let harvest = harvest(&simulation).await;
    (simulation, harvest)
}

/// Something that goes wrong behind the oracle's back.
type Mischief = fn(&mut Model, &mut Harvest);

fn rows(file: &mut VisibleFile) -> &mut Vec<Record> {
    file.rows.as_mut().expect("a file")
}

#[tokio::test(start_paused = true)]
async fn the_oracle_finds_what_went_wrong() {
    let (simulation, sound) = sound().await;
    let deliveries = &simulation.deliveries;
    assert_eq!(judge(deliveries, &simulation.model, &sound), []);
    assert_eq!(sound.files.len(), 3);
    let mischief: [(&str, Kind, Mischief); 24] = [
        ("a file never came", Kind::Lost, |_, harvest| drop(harvest.files.pop())),
        ("a row of an object is missing", Kind::Partial, |_, harvest| {
            drop(rows(&mut harvest.files[2]).pop());
        }),
        ("a row is in its file twice", Kind::Duplicated, |_, harvest| {
            let row = rows(&mut harvest.files[0])[0].clone();
            rows(&mut harvest.files[0]).push(row);
        }),
        ("a file was copied under another name", Kind::Duplicated, |_, harvest| {
            let copy =
                VisibleFile { key: format!("{}.copy", harvest.files[0].key), ..harvest.files[0].clone() };
            harvest.files.push(copy);
        }),
        ("a file was written again", Kind::Partial, |_, harvest| {
            let again = harvest.files[0].clone();
            harvest.files.push(again);
        }),
        ("a row of another client", Kind::Foreign, |_, harvest| {
            let row = rows(&mut harvest.files[2]).pop().expect("a row");
            rows(&mut harvest.files[0]).push(row);
        }),
        ("a row that nobody staged", Kind::Foreign, |_, harvest| {
            rows(&mut harvest.files[0]).push(Record {
                id: 9_999,
                name: "lot 0".to_owned(),
                ..Record::default()
            });
        }),
        ("a row with another value", Kind::Foreign, |_, harvest| {
            rows(&mut harvest.files[2])[0].name = "lot 7".to_owned();
        }),
        ("a row with a value that it had not", Kind::Foreign, |_, harvest| {
            rows(&mut harvest.files[2])[0].more = [("score".to_owned(), 1)].into();
        }),
        ("a row without a value that it had", Kind::Foreign, |model, _| {
            for (_, record) in model.records.values_mut() {
                record.more = [("a".to_owned(), 1)].into();
            }
        }),
        ("a row in another partition", Kind::Foreign, |_, harvest| {
            let row = rows(&mut harvest.files[0]).pop().expect("a row");
            rows(&mut harvest.files[1]).push(row);
        }),
        ("a file outside of the prefix", Kind::Foreign, |_, harvest| {
            harvest.files[2].key = "elsewhere/x.parquet".to_owned();
        }),
        ("a staged file outside of the hidden prefix", Kind::Foreign, |_, harvest| {
            harvest.temps[0].1 = "_tmp/somebody/1".to_owned();
        }),
        ("a file that is none", Kind::Partial, |_, harvest| harvest.files[0].rows = Err("cut".to_owned())),
        ("an object that cannot be decoded is nowhere", Kind::Lost, |_, harvest| {
            harvest.deliveries[0].kept.clear();
        }),
        ("its bytes were not kept", Kind::Lost, |_, harvest| {
            harvest.deliveries[0].kept.values_mut().for_each(|kept| kept.body = None);
        }),
        ("a bad line is nowhere", Kind::Lost, |_, harvest| drop(harvest.deliveries[0].rejected.pop())),
        ("a bad line was set aside twice", Kind::Duplicated, |_, harvest| {
            let again = harvest.deliveries[0].rejected[0].clone();
            harvest.deliveries[0].rejected.push(again);
        }),
        ("a sound object was set aside", Kind::Lost, |model, harvest| {
            let identity = model.current["globex/rows/1.jsonl"].clone();
            let body = Some(model.uploads[&identity].body.clone());
            let kept = crate::simulator::harvest::Kept { reason: "gzip_data".to_owned(), body };
            harvest.files.pop();
            harvest.deliveries[1].kept.insert(identity, kept);
        }),
        ("nobody was told", Kind::Notice, |_, harvest| harvest.deliveries[1].notices.clear()),
        ("a notice names what is not there", Kind::Notice, |_, harvest| {
            harvest.deliveries[1].notices[0]["files"][0]["uri"] = "s3://globex-lake/raw/rows/none".into();
        }),
        ("the same file was told under another id", Kind::Notice, |_, harvest| {
            let mut again = harvest.deliveries[1].notices[0].clone();
            again["delivery_id"] = "globex-rows/2".into();
            harvest.deliveries[1].notices.push(again);
        }),
        ("an object is still staged", Kind::Unsettled, |model, harvest| {
            harvest.staged.push(model.current["acme/rows/1.jsonl"].clone());
        }),
        ("a log that cannot be", Kind::Log, |_, harvest| harvest.deliveries[0].log.floor = 99),
    ];
    for (what, kind, change) in mischief {
        let (mut model, mut harvest) = (simulation.model.clone(), sound.clone());
        change(&mut model, &mut harvest);
        let found = judge(deliveries, &model, &harvest);
        assert!(found.iter().any(|problem| problem.kind == kind), "{what}: {found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_done_behind_the_functions_backs_is_read_back() {
    let (simulation, before) = sound().await;
    let aws = simulation.scene.aws.clone();
    let file = aws.objects("globex-lake", "raw/").remove(0);
    aws.put_object("globex-lake", "raw/rows/copy.parquet", file.body);
    // Deleted like a client does: it had been seen.
    aws.delete_object("globex-lake", "raw/rows/copy.parquet");
    let found = judge(&simulation.deliveries, &simulation.model, &harvest(&simulation).await);
    let kinds: BTreeSet<Kind> = found.iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, BTreeSet::from([Kind::Duplicated, Kind::Notice]), "{found:?}");
    assert_eq!(before.files.len(), 3);
}

#[test]
fn a_kind_of_call_that_no_small_delivery_makes_is_found() {
    let known = Site { function: "compactor", operation: "PutObject", target: "intent" };
    let new = Site { function: "compactor", operation: "PutObject", target: "a record of tomorrow" };
    assert_eq!(uncovered([&known, &new], &BTreeSet::from([known])), [new]);
}

#[test]
fn a_method_of_a_port_that_nothing_calls_is_found() {
    let methods = ports::methods(ports::SOURCE);
    assert_eq!(ports::untold(&methods), Vec::<String>::new(), "each has a row, or a reason");
    assert!(methods.len() >= 18 && methods.contains(&"copy_across".to_owned()), "{methods:?}");
    let later = format!("{}\npub trait Clearing: Send {{\n    fn archive(&self);\n}}\n", ports::SOURCE);
    let met = BTreeSet::from([Site { function: "compactor", operation: "PutObject", target: "intent" }]);
    let unmet = ports::unmet(&ports::methods(&later), &met);
    assert!(unmet.contains(&"archive".to_owned()) && !unmet.contains(&"put".to_owned()), "{unmet:?}");
    assert!(!unmet.contains(&"now".to_owned()), "{unmet:?}");
}
