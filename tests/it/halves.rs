//! Void intents are planned again in halves: one bad object among many ends alone, and what is too much for one execution
//! becomes several that fit.

use jiff::SignedDuration;
use landfall_core::record::Verdict;
use landfall_lambda::metrics;
use testkit::fake::Fault;

use crate::scene::{Scene, document, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";

/// Forty objects of two rows each, planned as one intent, whose merges begin only after [`Scene::unblock`].
async fn forty_objects() -> Scene {
    let mut scene = Scene::new(&[&document("acme", "")]);
    for index in 0..40_u64 {
        scene.stage(&format!("acme/rows/part-{index:02}"), rows(index * 2, 2));
    }
    scene.block("work");
    scene.deliver(&[ID]).await;
    scene.unblock();
    assert_eq!(scene.record_names(ID, 1), ["intent"]);
    scene
}

#[tokio::test]
async fn one_object_of_forty_that_kills_every_merge_ends_alone_in_quarantine() {
    for fault in [Fault::Panic, Fault::CrashBefore] {
        let mut scene = forty_objects().await;
        scene.aws.faults().on("GetObject").key("acme/rows/part-17").forever().inject(fault);
        // An execution that dies leaves its message out of sight for an hour and a half, three times at each halving.
        for _ in 0..48 {
            scene.tick();
            scene.run(3600).await;
        }
        let expected: Vec<i64> = (0..80).filter(|id| !(34..36).contains(id)).collect();
        assert_eq!(scene.delivered_ids(LAKE), expected, "{fault:?}");
        assert_eq!(scene.staged(), Vec::<String>::new(), "{fault:?}");
        let outcomes = scene.outcomes(ID).await;
        let set_aside: Vec<(&str, &str)> = outcomes
            .iter()
            .flat_map(|outcome| &outcome.verdicts)
            .filter_map(|verdict| match verdict {
                Verdict::Quarantined { reason, kept, .. } => Some((reason.as_str(), kept.as_str())),
                _ => None,
            })
            .collect();
        let [("poison", kept)] = set_aside.as_slice() else { panic!("{fault:?}: {set_aside:?}") };
        assert_eq!(scene.aws.object("state", kept).expect("the copy").body, rows(34, 2).as_bytes());
        assert_eq!(scene.total(&metrics::OBJECTS_QUARANTINED, Some(ID)), 1, "{fault:?}");
        // 40, 20, 10, 5, 3 or 2, 2 or 1: each half is tried once, and none is planned at its full size again.
        let voids = outcomes.iter().filter(|outcome| outcome.void).count();
        assert!((4..=7).contains(&voids), "{fault:?}: {voids} voids");
        assert_eq!(scene.work_dead_letters(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_intent_too_large_for_its_timeout_is_delivered_in_pieces_that_fit() {
    let mut scene = forty_objects().await;
    // Every call takes twenty seconds: forty objects are more than an execution of fifteen minutes reads.
    scene.aws.set_latency(SignedDuration::from_secs(20));
    for _ in 0..600 {
        scene.tick();
        scene.run(60).await;
        if scene.staged().is_empty() {
            break;
        }
    }
    scene.aws.set_latency(SignedDuration::ZERO);
    scene.tick_for(60).await;
    let expected: Vec<i64> = (0..80).collect();
    assert_eq!(scene.delivered_ids(LAKE), expected);
    assert_eq!(scene.staged(), Vec::<String>::new());
    let outcomes = scene.outcomes(ID).await;
    assert!(outcomes.iter().any(|outcome| outcome.void), "it fits as a whole: this test shows nothing");
    assert!(outcomes.iter().all(|outcome| outcome.void || outcome.consumed < 40));
    assert_eq!(scene.temps(LAKE), Vec::<String>::new());
    assert_eq!(scene.total(&metrics::OBJECTS_QUARANTINED, Some(ID)), 0, "nothing is wrong with any of them");
}
