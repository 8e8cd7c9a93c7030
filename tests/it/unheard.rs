//! An object of which nobody hears, in a delivery that was planned before and is idle since: the next full listing finds it.

use jiff::SignedDuration;
use landfall_core::port::Clock as _;

use crate::scene::{SLOT_SECONDS, Scene, document, rows};
use crate::template;

const ID: &str = "acme-rows";
/// The schedule comes once a minute.
const MINUTE: i64 = 60;

#[tokio::test]
async fn an_object_nobody_hears_of_is_planned_within_one_reconcile_interval_of_an_idle_delivery() {
    let interval = i64::try_from(template::default_of("ReconcileIntervalSeconds")).expect("seconds");
    let most = interval + MINUTE + i64::from(SLOT_SECONDS);
    let mut longest = 0;
    // At any time between two looks; the first just after a listing.
    for seconds in (1..=most).step_by(91) {
        let mut scene = Scene::new(&[&document("acme", "")]);
        scene.stage("acme/rows/a", rows(0, 1));
        scene.deliver(&[ID]).await;
        assert_eq!(scene.delivered_ids("acme-lake"), [0]);
        // Idle through a whole interval: nothing but the schedule asks for plans any more.
        scene.tick_for(usize::try_from(2 * interval / MINUTE).expect("minutes")).await;
        let mut to_go = seconds;
        while to_go > 0 {
            scene.tick();
            scene.run(to_go.min(MINUTE)).await;
            to_go -= MINUTE;
        }
        // Long enough ago to be ripe when it is found.
        scene.stage_silently("acme/rows/b", rows(1, 1));
        assert_eq!(scene.intake_rest().0, 0, "nobody is told");
        let staged = scene.aws.clock().now();
        while scene.intents(ID).await.len() < 2 {
            let waited = scene.aws.clock().now().duration_since(staged);
            assert!(
                waited <= SignedDuration::from_secs(2 * interval),
                "staged {seconds} s into the interval"
            );
            scene.tick();
            scene.run(MINUTE).await;
        }
        let planned = scene.intents(ID).await[1].planned_at;
        let found = planned.duration_since(staged).as_secs();
        // Too young at its first listing, it waits until it is `max_latency_seconds` old.
        assert!(found <= most.max(2 * MINUTE + i64::from(SLOT_SECONDS)), "found after {found} s");
        assert!(found <= 2 * interval);
        longest = longest.max(found);
        scene.tick_for(2).await;
        assert_eq!(scene.delivered_ids("acme-lake"), [0, 1]);
    }
    assert!(longest > interval - 91 && longest <= most, "the longest wait was {longest} s");
}
