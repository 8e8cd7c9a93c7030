//! What passes by itself: the work is sent again, later; no receive is used up and nobody else waits.

use jiff::SignedDuration;
use landfall_core::message::Message;
use landfall_lambda::metrics;
use testkit::fake::Fault;

use crate::scene::{Scene, document, rows};

/// Half an hour of objects for two clients, one a minute each, and the hours after; with a fault at every call on acme's bucket
/// in that half hour.
async fn half_an_hour(fault: Option<Fault>) -> Scene {
    let mut scene = Scene::new(&[&document("acme", ""), &document("globex", "")]);
    if let Some(fault) = fault {
        scene.aws.faults().on_any().resource("acme-lake").forever().inject(fault);
    }
    for part in 0..30_u64 {
        scene.stage(&format!("acme/rows/{part:02}"), rows(part, 1));
        scene.stage(&format!("globex/rows/{part:02}"), rows(part, 1));
        scene.tick_for(1).await;
    }
    scene.unblock();
    scene.tick_for(60).await;
    scene
}

/// From the staging of the oldest input to the receipt, the 99th percentile over a client's deliveries.
async fn p99_lag(scene: &Scene, id: &str) -> SignedDuration {
    let mut lags = Vec::new();
    for receipt in scene.receipts(id).await {
        let intent = scene.ledger().intent(id, receipt.n).await.expect("the intent");
        let oldest = intent.inputs.iter().map(|input| input.last_modified).min().expect("inputs");
        lags.push(receipt.at.duration_since(oldest));
    }
    lags.sort();
    let rank = (lags.len() * 99).div_ceil(100).saturating_sub(1);
    lags[rank]
}

#[tokio::test]
async fn half_an_hour_of_503_for_one_client_leaves_no_dead_letter_and_no_other_client_waiting() {
    let calm = half_an_hour(None).await;
    for fault in [Fault::Throttle, Fault::Unreached] {
        let scene = half_an_hour(Some(fault)).await;
        let all: Vec<i64> = (0..30).collect();
        assert_eq!(scene.delivered_ids("globex-lake"), all);
        assert_eq!(scene.delivered_ids("acme-lake"), all, "{fault:?}: within the hour after it");
        assert_eq!(scene.staged(), Vec::<String>::new());
        assert_eq!(scene.holds("acme-rows"), Vec::<String>::new(), "nobody has to mend anything");
        assert_eq!(scene.dead_letters(), Vec::<String>::new());
        assert_eq!(
            scene.handed_out_again(),
            Vec::<String>::new(),
            "{fault:?}: every message was received once"
        );
        assert!(scene.total(&metrics::WORK_RESCHEDULED, Some("acme-rows")) > 0);

        let (before, during) = (p99_lag(&calm, "globex-rows").await, p99_lag(&scene, "globex-rows").await);
        assert_eq!(during, before, "the p99 lag of the other client");
        assert!(during <= SignedDuration::from_mins(4), "{during:?}");
    }
}

#[tokio::test]
async fn work_that_failed_ten_times_is_left_to_the_schedule() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.aws.faults().on("CopyObject").forever().inject(Fault::Throttle);
    scene.stage("acme/rows/a", rows(0, 1));
    scene.deliver(&["acme-rows"]).await;
    // Without the schedule's event nobody dispatches anything: only the message itself goes on.
    scene.run(3 * 3600).await;
    assert_eq!(scene.copies().len(), 11, "a first try and ten more");
    assert_eq!(scene.handed_out_again(), Vec::<String>::new());
    scene.unblock();
    scene.tick_for(60).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0]);
    assert_eq!((scene.work_failures(), scene.dead_letters()), (0, Vec::new()), "nothing was given up");
}

#[tokio::test]
async fn work_that_cannot_be_sent_again_is_left_to_the_schedule() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.block("work");
    scene.aws.faults().on("CreateMultipartUpload").resource("acme-lake").forever().inject(Fault::Throttle);
    scene.aws.faults().on("PutObject").resource("acme-lake").forever().inject(Fault::Throttle);
    scene.stage("acme/rows/a", rows(0, 1));
    scene.deliver(&["acme-rows"]).await;
    scene.ask(&Message::merge("acme-rows", 1));
    scene.run(60).await;
    scene.unblock();
    scene.tick_for(60).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0]);
    assert_eq!((scene.work_failures(), scene.dead_letters()), (0, Vec::new()), "nothing was given up");
}
