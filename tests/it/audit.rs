//! The audit of a log: silent on every sound log, and telling on each thing that cannot be.

use landfall_core::audit::{DeliveryLog, State, read, verify};
use landfall_core::keys::RecordName;
use landfall_core::record::Verdict;

use crate::scene::{Scene, document, rows};

/// A log with two finished intents, one of which rejected a row, and one that waits for its client's role.
async fn log() -> DeliveryLog {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.stage("acme/rows/1", rows(0, 3));
    scene.deliver(&["acme-rows"]).await;
    scene.stage("acme/rows/2", format!("{}not json\n", rows(3, 2)));
    scene.deliver(&["acme-rows"]).await;
    scene.aws.deny("arn:aws:iam::222222222222:role/landfall-delivery", "s3:PutObject");
    scene.stage("acme/rows/3", rows(5, 1));
    scene.deliver(&["acme-rows"]).await;
    read(&scene.ledger(), "acme-rows").await.expect("the log is read")
}

#[tokio::test]
async fn a_sound_log_has_no_findings_at_any_step() {
    let log = log().await;
    assert_eq!(verify(&log), Vec::new());
    let states: Vec<State> = log.intents.values().map(landfall_core::audit::IntentLog::state).collect();
    assert_eq!(states, [State::Done, State::Done, State::Planned]);
}

/// Something done to a sound log.
type Change = fn(&mut DeliveryLog);

#[tokio::test]
async fn everything_that_cannot_be_is_found() {
    let log = log().await;
    let changes: [(&str, Change); 25] = [
        ("the floor is 9, the last intent 3", |log| log.floor = 9),
        ("intent 3: is retired and only planned", |log| log.floor = 3),
        ("intent 2 is missing", |log| drop(log.intents.remove(&2))),
        ("intent 2: has records and was never planned", |log| entry(log, 2).intent = None),
        ("intent 1: has later records and no outcome", |log| entry(log, 1).outcome = None),
        ("intent 2: took 3 rows and wrote 2", |log| {
            outcome(log, 2).verdicts = vec![Verdict::Merged { rows: 3, rejected: 1 }];
        }),
        ("intent 2: rejected 1 rows and kept none of them", |log| outcome(log, 2).rejected_rows.clear()),
        ("intent 1: consumed 2 of 1 inputs", |log| outcome(log, 1).consumed = 2),
        ("intent 1: has 0 versions on 1 inputs", |log| outcome(log, 1).versions.clear()),
        ("intent 1: has files that are not numbered in order", |log| outcome(log, 1).files[0].index = 1),
        ("intent 1: is void and has results", |log| outcome(log, 1).void = true),
        ("intent 1: has published-0 without an attempt", |log| {
            entry(log, 1).records.remove(&RecordName::Attempt { file: 0, k: 1 });
        }),
        ("intent 1: has refused-0-2 without its attempt", |log| {
            entry(log, 1).records.insert(RecordName::Refused { file: 0, k: 2 });
        }),
        ("which was not published", |log| entry(log, 1).published.clear()),
        ("intent 1: is closed without a receipt", |log| {
            entry(log, 1).records.remove(&RecordName::Receipt(1));
        }),
        ("intent 1: has a receipt for 4 rows in files of 3", |log| {
            entry(log, 1).receipts.get_mut(&1).unwrap().rows = 4;
        }),
        ("intent 1: has receipts for 0 of 1 files", |log| {
            entry(log, 1).receipts.get_mut(&1).unwrap().files.clear();
        }),
        ("intent 1: has two receipts for", |log| {
            let receipt = entry(log, 1).receipts[&1].clone();
            entry(log, 1).receipts.insert(2, receipt);
        }),
        ("intent 1: has resumed and had not expired", |log| {
            entry(log, 1).records.insert(RecordName::Resumed(1));
        }),
        ("intent 1: is closed and was neither resumed nor discarded after it expired", |log| {
            entry(log, 1).records.insert(RecordName::Expired(1));
        }),
        ("intent 1: has a receipt of part 3 and is in part 1", |log| {
            let receipt = entry(log, 1).receipts[&1].clone();
            entry(log, 1).receipts.insert(3, receipt);
        }),
        ("intent 1: has generations of its outcome that do not follow each other", |log| {
            outcome(log, 1).generation = 2;
        }),
        ("intent 2: decides otherwise in generation 1", |log| {
            let mut earlier = rebuilt(log, 2);
            earlier.verdicts = vec![Verdict::Empty];
            entry(log, 2).earlier.insert(1, earlier);
        }),
        ("intent 1: published files of generation 1, which was cut otherwise", |log| {
            let mut earlier = rebuilt(log, 1);
            earlier.files[0].rows += 1;
            entry(log, 1).earlier.insert(1, earlier);
        }),
        ("intent 3: has expired-2 and was not resumed before it", |log| {
            entry(log, 3).records.insert(RecordName::Expired(2));
        }),
    ];
    for (expected, change) in changes {
        let mut changed = log.clone();
        change(&mut changed);
        let found: Vec<String> = verify(&changed).iter().map(ToString::to_string).collect();
        assert!(found.iter().any(|finding| finding.contains(expected)), "{expected}: {found:?}");
    }

    // The same input delivered by two intents, under the same name.
    let mut twice = log.clone();
    let first = twice.intents[&1].clone();
    let second = entry(&mut twice, 2);
    second.intent.as_mut().unwrap().inputs = first.intent.unwrap().inputs;
    second.outcome.as_mut().unwrap().files = first.outcome.unwrap().files;
    let found: Vec<String> = verify(&twice).iter().map(ToString::to_string).collect();
    assert!(found.contains(&"intent 2: used acme/rows/1, which intent 1 had used".to_owned()), "{found:?}");
    assert!(found.iter().any(|finding| finding.contains("which intent 1 names")), "{found:?}");
}

#[tokio::test]
async fn what_was_deleted_with_age_is_no_finding_and_everything_else_that_is_missing_is() {
    let mut log = log().await;
    log.floor = 2;
    assert_eq!(verify(&log), Vec::new());
    let with = |change: Change| {
        let mut changed = log.clone();
        change(&mut changed);
        let findings: Vec<String> = verify(&changed).iter().map(ToString::to_string).collect();
        findings
    };
    let none = Vec::<String>::new();
    assert_eq!(with(|log| drop(log.intents.remove(&1))), none);
    assert_eq!(with(|log| log.intents.retain(|n, _| *n > 2)), none);
    // Half deleted: what was planned goes first.
    let half = with(|log| {
        entry(log, 1).intent = None;
        entry(log, 1).records.remove(&RecordName::Intent);
    });
    assert_eq!(half, none);
    // Everything is retired and deleted; and a planner that slept for a month put its number again.
    let asleep = with(|log| {
        let mut lone = log.intents.remove(&3).unwrap();
        lone.intent.as_mut().unwrap().n = 1;
        log.intents = [(1, lone)].into();
    });
    assert_eq!(asleep, none);

    assert_eq!(with(|log| drop(log.intents.remove(&2))), ["intent 2 is missing"]);
    assert_eq!(with(|log| log.floor = 3), ["intent 3: is retired and only planned"]);
    let gap = with(|log| {
        let third = log.intents.remove(&3).unwrap();
        log.intents.insert(4, third);
    });
    assert_eq!(gap, ["intent 3 is missing"]);
    let expired = with(|log| {
        log.floor = 3;
        entry(log, 3).records.insert(RecordName::Expired(1));
    });
    assert_eq!(expired, ["intent 3: is retired and only expired"]);
}

fn entry(log: &mut DeliveryLog, n: u64) -> &mut landfall_core::audit::IntentLog {
    log.intents.get_mut(&n).unwrap()
}

/// Makes an outcome the second generation; what would have been the first.
fn rebuilt(log: &mut DeliveryLog, n: u64) -> landfall_core::record::Outcome {
    let first = outcome(log, n).clone();
    outcome(log, n).generation = 2;
    first
}

fn outcome(log: &mut DeliveryLog, n: u64) -> &mut landfall_core::record::Outcome {
    entry(log, n).outcome.as_mut().unwrap()
}
