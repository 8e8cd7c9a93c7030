//! Work done by several at once: messages handed out twice, invocations interleaved call by call, replayable by seed.

use std::collections::{BTreeMap, BTreeSet};

use landfall_core::keys::{self, RecordName};
use landfall_core::message::Message;
use landfall_lambda::metrics;
use testkit::fake::Fault;

use crate::scene::{Scene, document, rows};

/// What has to hold when everything has come to rest, whoever won which race.
fn assert_settled(scene: &Scene, seed: u64) {
    for (tenant, first) in [("acme", 0), ("globex", 1000)] {
        let (id, lake) = (format!("{tenant}-rows"), format!("{tenant}-lake"));
        let expected: Vec<i64> = (first..first + 60).collect();
        assert_eq!(scene.delivered_ids(&lake), expected, "seed {seed}: {id}");
        assert_eq!(scene.temps(&lake), Vec::<String>::new(), "seed {seed}: a loser removes its own files");
        assert_eq!(scene.holds(&id), Vec::<String>::new(), "seed {seed}");
        assert_eq!(scene.rejected(&id), [], "seed {seed}");

        let mut outcomes: BTreeMap<u64, usize> = BTreeMap::new();
        for key in scene.aws.keys("state", &format!("log/{id}/")) {
            if let Some((n, RecordName::Outcome(_))) = keys::parse_record(&id, &key) {
                *outcomes.entry(n).or_default() += 1;
            }
        }
        assert!(outcomes.values().all(|count| *count == 1), "seed {seed}: {outcomes:?}");
        let told: BTreeSet<String> =
            scene.notices(tenant).iter().map(|notice| notice["delivery_id"].to_string()).collect();
        let named: BTreeSet<String> = outcomes.keys().map(|n| format!("\"{id}/{n}\"")).collect();
        assert_eq!(told, named, "seed {seed}: one id for each handing over");
    }
    let files = scene.delivered("acme-lake").len() + scene.delivered("globex-lake").len();
    assert_eq!(scene.copies().len(), files, "seed {seed}: nobody copies what another is copying");
    assert_eq!(scene.staged(), Vec::<String>::new(), "seed {seed}");
}

async fn race(seed: u64) {
    let mut scene = Scene::racing(&[&document("acme", ""), &document("globex", "")], 4);
    scene.aws.interleave(seed);
    scene.duplicate(1);
    for round in 0..3_u64 {
        for part in 0..4 {
            let first = round * 20 + part * 5;
            scene.stage(&format!("acme/rows/{round}-{part}"), rows(first, 5));
            scene.stage(&format!("globex/rows/{round}-{part}"), rows(1000 + first, 5));
        }
        scene.run(20).await;
        scene.flush("acme-rows");
        scene.flush("globex-rows");
    }
    // Two plans of one delivery at the same time: the same message for two groups.
    scene.tick();
    scene.tick();
    scene.run(120).await;
    scene.tick_for(40).await;
    assert_settled(&scene, seed);
}

#[tokio::test]
async fn interleaved_invocations_of_doubled_messages_deliver_every_row_once() {
    for seed in 0..10 {
        race(seed).await;
    }
}

#[tokio::test]
async fn interleaved_invocations_of_doubled_messages_deliver_every_row_once_in_other_orders() {
    for seed in 10..20 {
        race(seed).await;
    }
}

#[tokio::test]
async fn one_of_many_executions_decides_and_the_others_adopt_what_it_staged() {
    let mut most = 0;
    for seed in 0..10 {
        let mut scene = Scene::racing(&[&document("acme", "")], 4);
        scene.block("commit");
        scene.stage("acme/rows/1", rows(0, 5));
        scene.block("work");
        scene.deliver(&["acme-rows"]).await;
        scene.unblock();
        scene.block("commit");
        scene.aws.interleave(seed);
        for _ in 0..4 {
            scene.ask(&Message::merge("acme-rows", 1));
        }
        scene.pipe.round().await;
        let outcome = scene.outcomes("acme-rows").await.remove(0);
        assert_eq!(scene.temps("acme-lake"), [outcome.files[0].temp_key.clone()], "seed {seed}");
        let staged = scene.aws.calls_of("PutObject");
        let staged =
            staged.iter().filter(|put| put.key.as_deref().is_some_and(|key| key.starts_with("_tmp/")));
        most = most.max(staged.count());
        scene.unblock();
        scene.tick_for(40).await;
        assert_eq!(scene.delivered_ids("acme-lake"), [0, 1, 2, 3, 4], "seed {seed}");
        assert_eq!(scene.notices("acme").len(), 1, "seed {seed}");
    }
    assert!(most > 1, "no two executions ever staged a file: this test shows nothing");
}

#[tokio::test]
async fn several_committers_of_one_intent_hold_nothing_that_one_of_them_delivered() {
    for seed in 0..60 {
        let mut scene = Scene::racing(&[&document("acme", "")], 4);
        scene.block("commit");
        scene.stage("acme/rows/1", rows(0, 5));
        scene.deliver(&["acme-rows"]).await;
        scene.unblock();
        scene.aws.interleave(seed);
        for _ in 0..4 {
            scene.ask(&Message::commit("acme-rows", 1));
        }
        scene.run(120).await;
        assert_eq!(scene.delivered_ids("acme-lake"), [0, 1, 2, 3, 4], "seed {seed}");
        assert_eq!(scene.copies().len(), 1, "seed {seed}");
        assert_eq!(scene.holds("acme-rows"), Vec::<String>::new(), "seed {seed}");
        let held = scene.total(&metrics::DELIVERIES_HELD, Some("acme-rows"));
        assert_eq!(held, 0, "seed {seed}: nobody is called for what is no failure");
    }
}

#[tokio::test]
async fn a_file_consumed_while_two_committers_judge_its_copy_is_no_possible_duplicate() {
    let text = document("acme", "")
        .replace("prefix = \"raw/rows/\"", "prefix = \"raw/rows/\"\nconsumer_deletes = true");
    let mut scene = Scene::racing(&[&text], 2);
    scene.aws.faults().on("CopyObject").inject(Fault::CrashAfter);
    scene.stage("acme/rows/1", rows(0, 5));
    scene.deliver(&["acme-rows"]).await;
    scene.run(960).await;
    assert_eq!(scene.delivered("acme-lake").len(), 1);

    // The first is slow to look; the second finds the copy, and its client is told and consumes it.
    let aws = scene.aws.clone();
    aws.faults().on("HeadObject").key("raw/").inject(Fault::Pause);
    for _ in 0..2 {
        scene.ask(&Message::commit("acme-rows", 1));
    }
    let mut round = Box::pin(scene.pipe.round());
    assert_eq!(aws.run_until_paused(&mut round).await, None);
    for key in aws.keys("acme-lake", "raw/") {
        aws.delete_object("acme-lake", &key);
    }
    aws.resume();
    round.await;
    scene.run(60).await;
    assert_eq!(scene.holds("acme-rows"), Vec::<String>::new());
    assert_eq!(scene.total(&metrics::DELIVERIES_HELD, Some("acme-rows")), 0);
    assert_eq!(scene.copies().len(), 1);
    assert_eq!(scene.notices("acme").len(), 1);
    assert_eq!(scene.staged(), Vec::<String>::new());
}
