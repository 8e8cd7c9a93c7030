//! Files too large for one request, on endpoints of every kind: uploads in parts, copies in parts, their failures.

use bytes::Bytes;
use testkit::fake::{Call, Fault, checksum};

use crate::scene::{Scene, capabilities, document, noise};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";
/// More than three parts of 5 MiB, of which rows that choose their partition are uploaded.
const ROWS: u64 = 4_400;
const ROW_BYTES: usize = 4_096;
const MIB: u64 = 1024 * 1024;

/// A delivery whose rows choose their partition, and one object that makes one large file of it.
fn routed(declared: &str, body: Bytes) -> Scene {
    let text = document("acme", declared)
        .replace(
            "name = \"name\"\ntype = \"string\"\n",
            "name = \"name\"\ntype = \"string\"\n[[contract.column]]\nname = \"lot\"\ntype = \"string\"\n",
        )
        .replace(
            "[catalog.glue]",
            "[[layout.partition]]\nname = \"of\"\nsource = \"column\"\nfield = \"lot\"\n[catalog.glue]",
        );
    let scene = Scene::new(&[&text]);
    scene.stage("acme/rows/large", body);
    scene
}

fn large_object() -> Bytes {
    noise(0, ROWS, ROW_BYTES).replace("{\"id\"", "{\"lot\":\"x\",\"id\"").into()
}

fn of(scene: &Scene, operation: &str, prefix: &str) -> Vec<Call> {
    let mut calls = scene.aws.calls_of(operation);
    calls.retain(|call| call.key.as_deref().is_some_and(|key| key.starts_with(prefix)));
    calls
}

/// Delivers one large file although a part fails and the answers of its completions are lost.
async fn delivers_a_large_file(combinations: std::ops::Range<u8>) {
    let body = large_object();
    for bits in combinations {
        let (capabilities, declared) = capabilities(bits);
        let mut scene = routed(&declared, body.clone());
        scene.aws.set_capabilities(LAKE, capabilities);
        let faults = scene.aws.faults();
        // The first execution fails at its second part, the second one does not learn that it is done, nor does the copy.
        faults.on("UploadPart").key("_tmp/").after(1).inject(Fault::Throttle);
        faults.on("CompleteMultipartUpload").key("_tmp/").inject(Fault::LostResponse);
        faults.on("CompleteMultipartUpload").key("raw/").inject(Fault::LostResponse);
        faults.on("CopyObject").key("raw/").inject(Fault::LostResponse);
        scene.deliver(&[ID]).await;
        assert_eq!(scene.aws.faults().fired(), 3, "{capabilities:?}");
        assert!(of(&scene, "UploadPart", "_tmp/").len() > 2 + 3, "{capabilities:?}");

        let keys = scene.delivered(LAKE);
        assert_eq!(keys.len(), 1, "{capabilities:?}");
        let file = scene.aws.object(LAKE, &keys[0]).expect("the file");
        assert!(file.size() > 3 * 5 * MIB, "{} bytes", file.size());
        assert_eq!(scene.ids_of(LAKE, &keys[0]), (0..4_400).collect::<Vec<i64>>(), "{capabilities:?}");
        assert_eq!(scene.temps(LAKE), Vec::<String>::new(), "{capabilities:?}");
        assert_eq!(scene.staged(), Vec::<String>::new(), "{capabilities:?}");
        let outcome = scene.outcomes(ID).await.remove(0);
        let sum = format!("{:016x}", checksum::crc64nvme(&file.body));
        assert_eq!(outcome.files[0].crc64nvme, sum, "{capabilities:?}");
        assert_eq!(file.attributes.tags.get("status").map(String::as_str), Some("validated"));
        assert_eq!(scene.notices("acme")[0]["files"][0]["crc64nvme"], sum);
    }
}

#[tokio::test]
async fn a_large_file_reaches_endpoints_without_tags_on_uploads_and_conditions_on_copies() {
    delivers_a_large_file(0..4).await;
}

#[tokio::test]
async fn a_large_file_reaches_endpoints_without_tags_on_uploads() {
    delivers_a_large_file(4..8).await;
}

#[tokio::test]
async fn a_large_file_reaches_endpoints_without_conditions_on_copies() {
    delivers_a_large_file(8..12).await;
}

#[tokio::test]
async fn a_large_file_reaches_endpoints_that_copy_under_conditions_and_tag_uploads() {
    delivers_a_large_file(12..16).await;
}

#[tokio::test]
async fn a_part_that_fails_leaves_no_upload_behind() {
    let mut scene = routed("", large_object());
    scene.aws.faults().on("UploadPart").after(2).forever().inject(Fault::Throttle);
    scene.flush(ID);
    scene.run(31).await;
    assert!(of(&scene, "UploadPart", "_tmp/").len() >= 3);
    assert_eq!(scene.temps(LAKE), Vec::<String>::new());
    assert_eq!(scene.record_names(ID, 1), ["intent"]);
}

#[tokio::test]
async fn a_damaged_part_is_refused_by_its_checksum_and_sent_again() {
    let mut scene = routed("", large_object());
    scene.aws.faults().on("UploadPart").after(1).inject(Fault::Corrupt);
    scene.deliver(&[ID]).await;
    scene.tick_for(30).await;
    assert_eq!(scene.delivered_ids(LAKE).len(), 4_400);
    assert_eq!(scene.temps(LAKE), Vec::<String>::new());
}
