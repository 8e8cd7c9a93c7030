//! Objects out of their time: of a partition that is long over, and of one that lies in the future.

use landfall_core::record::FlushReason;

use crate::scene::{Scene, document, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";

/// A delivery by the date in the key, which waits for company for an hour.
fn by_date() -> String {
    let level = "[[layout.partition]]\nname = \"dt\"\nsource = \"key\"\n[catalog.glue]";
    document("acme", "")
        .replace("[catalog.glue]", level)
        .replace("max_latency_seconds = 60", "max_latency_seconds = 3600")
}

/// The production files of a partition, with the ids in each.
fn files(scene: &Scene, date: &str) -> Vec<Vec<i64>> {
    let keys = scene.delivered(LAKE).into_iter().filter(|key| key.contains(&format!("/dt={date}/")));
    let mut files: Vec<Vec<i64>> = keys.map(|key| scene.ids_of(LAKE, &key)).collect();
    files.sort();
    files
}

#[tokio::test]
async fn late_data_goes_into_a_later_file_of_its_own_closed_partition() {
    let mut scene = Scene::new(&[&by_date()]);
    // It is the 19th: yesterday is over.
    scene.stage("acme/rows/dt=2026-05-18/a", rows(0, 2));
    scene.tick_for(70).await;
    assert_eq!(files(&scene, "2026-05-18"), [[0, 1]]);
    let first = scene.delivered(LAKE);
    let before = scene.aws.object(LAKE, &first[0]).expect("the file");

    // Late ones wait for each other, and share a file.
    scene.stage("acme/rows/dt=2026-05-18/b", rows(2, 2));
    scene.tick_for(20).await;
    scene.stage("acme/rows/dt=2026-05-18/c", rows(4, 2));
    scene.tick_for(35).await;
    assert_eq!(files(&scene, "2026-05-18"), [[0, 1]], "neither is an hour old");
    scene.tick_for(10).await;
    assert_eq!(files(&scene, "2026-05-18"), [vec![0, 1], vec![2, 3, 4, 5]]);
    assert_eq!(scene.aws.object(LAKE, &first[0]), Some(before), "what was delivered is as it was");
    assert_eq!(scene.intents(ID).await[1].reason, FlushReason::Age);
    let table = scene.aws.table("222222222222", "acme_raw", "rows").expect("the table");
    assert_eq!(table.partitions.len(), 1, "a partition that is there already");
    assert_eq!(scene.holds(ID), Vec::<String>::new());
}

#[tokio::test]
async fn an_object_of_the_future_is_delivered_by_its_age_into_its_own_partition() {
    let mut scene = Scene::new(&[&by_date()]);
    // Tomorrow, in years, at the end of all dates, and dates that are none.
    let dates = ["2026-05-20", "2031-01-01", "9999-12-31", "2026-13-45", "0000-00-00"];
    for (index, date) in (0_u64..).zip(dates) {
        scene.stage(&format!("acme/rows/dt={date}/x"), rows(index, 1));
    }
    scene.tick_for(50).await;
    assert_eq!(scene.delivered(LAKE), Vec::<String>::new(), "none of them is an hour old, nor over");
    scene.tick_for(15).await;
    for (index, date) in (0_i64..).zip(dates) {
        assert_eq!(files(&scene, date), [[index]], "{date}");
    }
    assert!(scene.intents(ID).await.iter().all(|intent| intent.reason == FlushReason::Age));
    assert_eq!(scene.staged(), Vec::<String>::new());
    // And again, when its day has come nearer.
    scene.stage("acme/rows/dt=2031-01-01/y", rows(10, 1));
    scene.tick_for(65).await;
    assert_eq!(files(&scene, "2031-01-01"), [[1], [10]]);
    assert_eq!(scene.holds(ID), Vec::<String>::new());
}
