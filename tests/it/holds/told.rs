//! Holds are told of as messages: opened, closed, expired, each at least once, whoever dies in between.

use landfall_core::keys::RecordName;
use landfall_core::record::Expired;
use landfall_lambda::metrics;
use testkit::fake::Fault;

use super::ACME_ROLE;
use crate::scene::{Scene, delivery, document, rows};

const ID: &str = "acme-rows";

fn told(scene: &Scene) -> (u64, u64, u64) {
    let total = |metric| scene.total(metric, Some(ID));
    (total(&metrics::HOLDS_OPENED), total(&metrics::HOLDS_CLOSED), total(&metrics::DELIVERIES_EXPIRED))
}

/// A role that is gone for an hour; with a fault on the way.
async fn an_outage(fault: impl Fn(&Scene)) -> Scene {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.aws.remove_role(ACME_ROLE);
    fault(&scene);
    scene.stage("acme/rows/a", rows(0, 2));
    scene.tick_for(60).await;
    assert_eq!(scene.holds(ID), ["role"]);
    scene.aws.admit_client(&delivery(&document("acme", "")).access());
    scene.tick_for(60).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1]);
    assert_eq!(scene.holds(ID), Vec::<String>::new());
    assert_eq!(scene.dead_letters(), Vec::<String>::new());
    scene
}

#[tokio::test]
async fn an_outage_is_told_of_once_at_its_beginning_and_once_at_its_end() {
    let scene = an_outage(|_| ()).await;
    assert_eq!(told(&scene), (1, 1, 0));
}

#[tokio::test]
async fn an_outage_is_told_of_whatever_dies_between_telling_and_writing() {
    let at = [
        ("PutObject", "holds/"),
        ("DeleteObject", "holds/"),
        ("SendMessage", "\"opened\""),
        ("SendMessage", "\"closed\""),
    ];
    let faults = [
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::LostResponse,
        Fault::Throttle,
        Fault::Unreached,
        Fault::Panic,
    ];
    for (operation, key) in at {
        for fault in faults {
            let scene = an_outage(|scene| scene.aws.faults().on(operation).key(key).inject(fault)).await;
            assert_eq!(scene.aws.faults().fired(), 1, "{operation} {key} {fault:?}");
            let (opened, closed, expired) = told(&scene);
            assert!((1..=2).contains(&opened), "{operation} {key} {fault:?}: {opened}");
            assert!((1..=2).contains(&closed), "{operation} {key} {fault:?}: {closed}");
            assert_eq!(expired, 0);
        }
    }
}

#[tokio::test]
async fn an_expiry_is_told_of_and_happens_once_whatever_dies_on_the_way() {
    let at = [("SendMessage", "\"event\":\"expired\""), ("PutObject", "/expired")];
    for (operation, key) in at {
        for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::LostResponse, Fault::Throttle] {
            let mut scene = Scene::new(&[&document("acme", "")]);
            scene.aws.remove_role(ACME_ROLE);
            scene.aws.faults().on(operation).key(key).inject(fault);
            scene.stage("acme/rows/a", rows(0, 2));
            scene.tick_for_hours(76).await;
            let context = format!("{operation} {key} {fault:?}");
            assert_eq!(scene.aws.faults().fired(), 1, "{context}");
            let record: Expired = scene.record(ID, 1, RecordName::Expired(1)).await;
            assert_eq!(record.resource, "role", "{context}");
            assert_eq!(scene.record_names(ID, 1), ["expired", "intent"], "{context}");
            assert!((1..=2).contains(&told(&scene).2), "{context}: {:?}", told(&scene));
        }
    }
}
