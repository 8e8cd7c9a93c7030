//! A document that changes in the middle of an intent: what shapes files is as it was planned, what concerns access is as it
//! is now.

use landfall_core::delivery::Delivery;
use landfall_core::message::Message;
use landfall_core::port::Encryption;
use testkit::fake::Role;

use crate::scene::{Scene, delivery, document, noise, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";
const ACCOUNT: &str = "222222222222";
const ROLE: &str = "arn:aws:iam::222222222222:role/landfall-delivery";

/// Where an intent waits while its document changes: before its merge, and between merge and commit.
const WAITS: [&str; 2] = ["work", "commit"];

/// A delivery whose first intent waits before this queue.
async fn waiting(text: &str, queue: &str, body: String) -> Scene {
    let mut scene = Scene::new(&[text]);
    scene.block(queue);
    scene.stage("acme/rows/a", body);
    scene.deliver(&[ID]).await;
    let merged = scene.record_names(ID, 1).contains(&"outcome".to_owned());
    assert_eq!(merged, queue == "commit", "it waits before {queue}");
    assert_eq!(scene.delivered(LAKE), Vec::<String>::new());
    scene
}

/// Changes the document, as the client agrees to it; then one more object is staged and everything is delivered.
async fn change(scene: &mut Scene, text: &str, body: String) {
    scene.configure(text);
    let changed = delivery(text);
    scene.aws.admit_client(&changed.access());
    scene.notify_of(&changed.source.prefix);
    scene.unblock();
    scene.stage(&format!("{}b", changed.source.prefix), body);
    scene.tick_for(80).await;
}

/// An intent with its files, as they stand in production.
struct Delivered {
    pinned: Delivery,
    bucket: String,
    files: Vec<String>,
}

/// Waits before each queue, changes, and holds what became of both intents: every row once, each intent in the one place
/// and form of its own configuration, with one outcome, one notice and nothing left.
async fn changes(before: &str, after: &str, bodies: (String, String), check: impl Fn(&Scene, &[Delivered])) {
    for queue in WAITS {
        let mut scene = waiting(before, queue, bodies.0.clone()).await;
        change(&mut scene, after, bodies.1.clone()).await;
        assert_eq!(scene.holds(ID), Vec::<String>::new(), "before {queue}");
        assert_eq!(scene.staged(), Vec::<String>::new(), "before {queue}");
        let (mut both, mut ids) = (Vec::new(), Vec::new());
        for (n, text) in [(1, before), (2, after)] {
            let pinned = delivery(text);
            let pin = scene.ledger().intent(ID, n).await.expect("the intent").pin;
            assert_eq!(scene.ledger().pin(ID, &pin).await.expect("the pin"), pinned.pinned(), "intent {n}");
            let receipt = &scene.receipts(ID).await[usize::try_from(n).expect("small") - 1];
            assert_eq!(receipt.bucket, pinned.destination.bucket);
            assert_eq!(receipt.schema_version, pinned.contract.version, "before {queue}, intent {n}");
            let files: Vec<String> = receipt.files.iter().map(|file| file.key.clone()).collect();
            for file in &files {
                assert!(file.starts_with(&pinned.destination.prefix), "before {queue}, intent {n}: {file}");
                ids.extend(scene.ids_of(&receipt.bucket, file));
            }
            let glue = pinned.catalog.glue.as_ref().expect("a table");
            let table = scene.aws.table(ACCOUNT, &glue.database, &glue.table).expect("the table").table;
            let to = &pinned.destination;
            assert_eq!(table.location, format!("s3://{}/{}", to.bucket, to.prefix), "before {queue}");
            assert_eq!(table.partition_keys.len(), pinned.layout.partitions.len(), "before {queue}");
            let temps = scene.aws.keys(&to.bucket, &to.temp_prefix);
            assert_eq!((temps, scene.aws.uploads(&to.bucket)), (Vec::new(), Vec::new()), "before {queue}");
            both.push(Delivered { bucket: receipt.bucket.clone(), files, pinned });
        }
        let named: usize = both.iter().map(|one| one.files.len()).sum();
        ids.sort_unstable();
        let count = i64::try_from(ids.len()).expect("small");
        assert_eq!(ids, (0..count).collect::<Vec<i64>>(), "before {queue}: every row once");
        assert_eq!(count, i64::try_from(bodies.0.lines().count() + bodies.1.lines().count()).expect("small"));
        assert_eq!(scene.copies().len(), named, "before {queue}: no file is copied twice");
        assert_eq!(scene.outcomes(ID).await.len(), 2, "before {queue}");
        let told: Vec<String> =
            scene.notices("acme").iter().map(|notice| notice["delivery_id"].to_string()).collect();
        assert_eq!(told.len(), 2, "before {queue}: {told:?}");
        check(&scene, &both);
    }
}

fn some_rows() -> (String, String) {
    (rows(0, 4), rows(4, 3))
}

/// The document with files elsewhere, and so with another table.
fn moved(from: &str, to: &str) -> String {
    document("acme", "").replace(from, to).replace("table = \"rows\"", "table = \"rows_moved\"")
}

#[tokio::test]
async fn a_production_prefix_that_changes_holds_from_the_next_intent_on() {
    let after = moved("prefix = \"raw/rows/\"", "prefix = \"raw/elsewhere/\"");
    changes(&document("acme", ""), &after, some_rows(), |_, both| {
        assert!(both[0].files.iter().all(|file| file.starts_with("raw/rows/")));
    })
    .await;
}

#[tokio::test]
async fn a_bucket_that_changes_holds_from_the_next_intent_on() {
    let after = moved("bucket = \"acme-lake\"", "bucket = \"acme-new-lake\"");
    changes(&document("acme", ""), &after, some_rows(), |_, both| {
        assert_eq!((both[0].bucket.as_str(), both[1].bucket.as_str()), (LAKE, "acme-new-lake"));
    })
    .await;
}

#[tokio::test]
async fn a_hidden_prefix_that_changes_leaves_nothing_below_the_old_one() {
    let after = document("acme", "")
        .replace("prefix = \"raw/rows/\"", "prefix = \"raw/rows/\"\ntemp_prefix = \"_hidden/\"");
    changes(&document("acme", ""), &after, some_rows(), |scene, _| {
        let staged = scene.aws.calls_of("PutObject");
        let below = |prefix: &str| {
            staged.iter().filter(|put| put.key.as_deref().is_some_and(|key| key.starts_with(prefix))).count()
        };
        assert_eq!((below("_tmp/"), below("_hidden/")), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn partitions_that_change_hold_from_the_next_intent_on() {
    let level =
        "[[layout.partition]]\nname = \"called\"\nsource = \"column\"\nfield = \"name\"\n[catalog.glue]";
    let after = moved("[catalog.glue]", level);
    let after = after.replace("prefix = \"raw/rows/\"", "prefix = \"raw/called/\"");
    changes(&document("acme", ""), &after, some_rows(), |scene, both| {
        assert_eq!((both[0].files.len(), both[1].files.len()), (1, 3), "a file a partition");
        assert!(both[1].files.iter().all(|file| file.contains("/called=")));
        let table = scene.aws.table(ACCOUNT, "acme_raw", "rows_moved").expect("the table");
        assert_eq!(table.partitions.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_contract_that_gains_a_column_holds_from_the_next_intent_on() {
    let after = moved("[layout]", "[[contract.column]]\nname = \"more\"\ntype = \"string\"\n[layout]")
        .replace("[contract]\nversion = 3", "[contract]\nversion = 4")
        .replace("prefix = \"raw/rows/\"", "prefix = \"raw/more/\"");
    changes(&document("acme", ""), &after, some_rows(), |scene, both| {
        for (one, version, columns) in [(&both[0], "3", 2), (&both[1], "4", 3)] {
            let file = scene.aws.object(&one.bucket, &one.files[0]).expect("the file");
            assert_eq!(file.attributes.tags["schema_version"], version);
            assert_eq!(crate::parquet_rows::columns(&file.body), columns);
            let glue = one.pinned.catalog.glue.as_ref().expect("a table");
            let table = scene.aws.table(ACCOUNT, &glue.database, &glue.table).expect("the table").table;
            assert_eq!(table.columns.len(), columns);
        }
    })
    .await;
}

#[tokio::test]
async fn a_target_size_that_changes_holds_from_the_next_intent_on() {
    let after = document("acme", "")
        .replace("[layout]\n", "[layout]\ntarget_bytes = 65536\nrow_group_bytes = 65536\n");
    let bodies = (noise(0, 400, 1_000), noise(400, 400, 1_000));
    changes(&document("acme", ""), &after, bodies, |_, both| {
        assert_eq!(both[0].files.len(), 1, "one file of the old target");
        assert!(both[1].files.len() >= 3, "files of the new one: {:?}", both[1].files);
    })
    .await;
}

#[tokio::test]
async fn a_source_prefix_that_changes_leaves_no_delivered_object_behind() {
    let after = document("acme", "").replace("\"acme/rows/\"", "\"acme/elsewhere/\"");
    changes(&document("acme", ""), &after, some_rows(), |_, _| ()).await;

    // The same with a commit that dies between its receipt and its deletes.
    let mut scene = waiting(&document("acme", ""), "commit", rows(0, 4)).await;
    scene.unblock();
    scene.aws.faults().on("DeleteObject").resource("staging").inject(testkit::fake::Fault::CrashBefore);
    scene.ask(&Message::commit(ID, 1));
    scene.run(1).await;
    assert!(scene.record_names(ID, 1).contains(&"receipt".to_owned()));
    assert_eq!(scene.staged(), ["acme/rows/a"]);
    change(&mut scene, &after, rows(4, 3)).await;
    scene.tick_for(60).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(scene.staged(), Vec::<String>::new());
}

#[tokio::test]
async fn a_key_that_changes_encrypts_whatever_is_published_from_then_on() {
    let key = |name: &str| format!("arn:aws:kms:eu-central-1:{ACCOUNT}:key/{name}");
    let with = |name: &str| {
        let line = format!("prefix = \"raw/rows/\"\nkms_key_arn = \"{}\"", key(name));
        document("acme", "").replace("prefix = \"raw/rows/\"", &line)
    };
    let (old, new) = ("11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222");
    changes(&with(old), &with(new), some_rows(), |scene, both| {
        for one in both {
            let file = scene.aws.object(&one.bucket, &one.files[0]).expect("the file");
            assert_eq!(file.attributes.encryption, Encryption::Kms(key(new)));
        }
    })
    .await;
}

#[tokio::test]
async fn a_role_or_external_id_that_changes_is_used_by_what_was_planned_before() {
    let (role, external_id) = ("role/landfall-delivery", "external-id-of-acme");
    for (from, to) in [(role, "role/landfall-anew"), (external_id, "another-external-id")] {
        for queue in WAITS {
            let mut scene = waiting(&document("acme", ""), queue, rows(0, 4)).await;
            // The old way is closed for good.
            scene.aws.remove_role(ROLE);
            let changed = document("acme", "").replace(from, to);
            change(&mut scene, &changed, rows(4, 3)).await;
            assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 3, 4, 5, 6], "{to}, before {queue}");
            assert_eq!(scene.holds(ID), Vec::<String>::new());
            assert_eq!(scene.copies().len(), scene.delivered(LAKE).len());
            let to = delivery(&changed).destination;
            let role: Role = scene.aws.role(&to.role_arn).expect("the role");
            assert_eq!(role.external_id, Some(to.external_id));
        }
    }
}

#[tokio::test]
async fn a_table_whose_name_is_corrected_is_the_table_of_what_was_planned_before() {
    for queue in WAITS {
        let mut scene = waiting(&document("acme", ""), queue, rows(0, 4)).await;
        let changed = document("acme", "").replace("table = \"rows\"", "table = \"corrected\"");
        change(&mut scene, &changed, rows(4, 3)).await;
        assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 3, 4, 5, 6]);
        assert!(scene.aws.table(ACCOUNT, "acme_raw", "rows").is_none(), "before {queue}");
        assert!(scene.aws.table(ACCOUNT, "acme_raw", "corrected").is_some());
        assert_eq!(scene.holds(ID), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_document_that_is_deleted_and_comes_back_finds_its_work_where_it_was() {
    for queue in WAITS {
        let mut scene = waiting(&document("acme", ""), queue, rows(0, 4)).await;
        scene.aws.delete_object("state", &landfall_core::keys::config(ID));
        scene.unblock();
        scene.stage("acme/rows/b", rows(4, 3));
        scene.tick_for_hours(80).await;
        assert_eq!(scene.delivered(LAKE), Vec::<String>::new(), "nobody may deliver it");
        assert_eq!(scene.staged(), ["acme/rows/a", "acme/rows/b"]);
        assert_eq!(scene.dead_letters(), Vec::<String>::new());

        scene.configure(&document("acme", ""));
        scene.tick_for(60).await;
        assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 3, 4, 5, 6], "before {queue}");
        assert_eq!(scene.copies().len(), 2, "before {queue}");
        assert_eq!(scene.holds(ID), Vec::<String>::new());
        assert_eq!(scene.staged(), Vec::<String>::new());
        assert_eq!(scene.notices("acme").len(), 2);
    }
}
