//! A catalog that is down: what is delivered stays delivered, the catalog catches up, and nobody is told before it has.

use landfall_core::error::PortErrorKind;
use testkit::fake::Fault;

use crate::scene::{Scene, document, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";
const HOURS: u64 = 6;

/// A delivery with a partition for each folder.
fn by_lot() -> String {
    let level = "[[layout.partition]]\nname = \"lot\"\nsource = \"key\"\n[catalog.glue]";
    document("acme", "").replace("[catalog.glue]", level)
}

fn partitions(scene: &Scene) -> usize {
    scene.aws.table("222222222222", "acme_raw", "rows").map_or(0, |stored| stored.partitions.len())
}

#[tokio::test]
async fn a_catalog_that_is_down_for_six_hours_delays_the_notice_and_not_the_rows() {
    for fault in [Fault::Fail(PortErrorKind::Unavailable), Fault::Throttle] {
        let mut scene = Scene::new(&[&by_lot()]);
        scene.stage("acme/rows/lot=before/x", rows(0, 1));
        scene.deliver(&[ID]).await;
        assert_eq!((partitions(&scene), scene.notices("acme").len()), (1, 1));

        for operation in ["GetTable", "CreateTable", "CreateDatabase", "BatchCreatePartition", "GetPartition"]
        {
            scene.aws.faults().on(operation).forever().inject(fault);
        }
        for hour in 0..HOURS {
            scene.stage(&format!("acme/rows/lot={hour}/x"), rows(1 + hour, 1));
            scene.tick_for(60).await;
            let so_far = i64::try_from(hour).expect("small") + 2;
            assert_eq!(
                scene.delivered_ids(LAKE),
                (0..so_far).collect::<Vec<i64>>(),
                "{fault:?}, hour {hour}"
            );
            // The notice comes after the catalog: whoever is told finds the partition.
            assert_eq!((partitions(&scene), scene.notices("acme").len()), (1, 1), "{fault:?}, hour {hour}");
        }
        assert_eq!(scene.staged().len() as u64, HOURS, "an object is kept until its receipt stands");
        assert_eq!(scene.holds(ID), Vec::<String>::new(), "what passes holds nobody: {fault:?}");
        let copies = scene.copies().len();

        scene.unblock();
        scene.tick_for(35).await;
        assert_eq!(partitions(&scene) as u64, HOURS + 1, "{fault:?}");
        let mut told: Vec<String> =
            scene.notices("acme").iter().map(|notice| notice["delivery_id"].to_string()).collect();
        told.sort();
        let one_each: Vec<String> = (1..=HOURS + 1).map(|n| format!("\"{ID}/{n}\"")).collect();
        assert_eq!(told, one_each, "{fault:?}");
        assert_eq!(scene.copies().len(), copies, "nothing is published twice");
        assert_eq!(scene.staged(), Vec::<String>::new());
        assert_eq!(scene.dead_letters(), Vec::<String>::new());
        assert_eq!(scene.handed_out_again(), Vec::<String>::new());
    }
}
