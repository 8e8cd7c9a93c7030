//! What figures rest on: a listing in pages, the end of a hollow object, conditions.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use landfall_core::delivery::Capabilities;
use landfall_core::port::{
    Bucket, Condition, CopyOutcome, CopyRequest, GetOutcome, ObjectAttributes, ObjectBody, ObjectStore as _,
    PutOutcome,
};

use super::{Generated, GeneratedStore};
use crate::fake::{FakeAws, FakeStore, checksum};

fn store() -> (Generated, GeneratedStore<FakeStore>) {
    let make = Arc::new(|key: &str, size: u64| {
        let byte = key.bytes().last().unwrap_or_default();
        Box::new((0..size).map(move |_| Bytes::from(vec![byte]))) as super::Chunks
    });
    let shared = Generated::new("staging", &["lake"], make);
    (shared.clone(), GeneratedStore::new(&shared, FakeAws::new().store()))
}

fn bucket(name: &str) -> Bucket {
    Bucket { name: name.to_owned(), owner: "111111111111".to_owned() }
}

async fn read<B: ObjectBody>(answer: GetOutcome<B>) -> Vec<u8> {
    let GetOutcome::Found(_, mut body) = answer else { panic!("there is an object") };
    let mut bytes = Vec::new();
    while let Some(chunk) = body.chunk().await.expect("reads") {
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

#[tokio::test]
async fn a_source_is_listed_in_pages_made_when_it_is_read_and_deleted_under_its_tag() {
    let (shared, store) = store();
    for number in 0..2_500 {
        shared.stage(&format!("a/{number:05}"), 3, Timestamp::UNIX_EPOCH);
    }
    shared.stage("b/1", 3, Timestamp::UNIX_EPOCH);
    let (mut page, mut keys) = (None, Vec::new());
    loop {
        let listed = store.list(&bucket("staging"), "a/", None, page.as_deref()).await.expect("lists");
        keys.extend(listed.objects);
        page = listed.next;
        if page.is_none() {
            break;
        }
    }
    assert_eq!(keys.len(), 2_500);
    assert!(keys.is_sorted_by(|left, right| left.key < right.key));
    assert_eq!(shared.requests().of("staging", "ListObjectsV2"), 3);
    let object = &keys[2_477];
    let answer = store.get(&bucket("staging"), &object.key, Some(&object.etag), None).await.expect("reads");
    assert_eq!(read(answer).await, b"777");
    let changed = store.delete(&bucket("staging"), &object.key, "another").await.expect("answers");
    assert_eq!(changed, landfall_core::port::DeleteOutcome::Changed);
    store.delete(&bucket("staging"), &object.key, &object.etag).await.expect("deletes");
    assert_eq!(shared.staged(), 2_500);
}

#[tokio::test]
async fn of_a_hollow_object_the_end_is_kept_with_size_and_checksum() {
    let (shared, store) = store();
    let (lake, none, all) = (bucket("lake"), ObjectAttributes::default(), Capabilities::default());
    let upload = store.create_upload(&lake, "_tmp/1", &none, &all).await.expect("begins");
    let first = Bytes::from(vec![1_u8; 6 << 20]);
    let whole = [first.as_ref(), b"the end"].concat();
    let mut parts = Vec::new();
    for (number, body) in [(1, first.clone()), (2, Bytes::from_static(b"the end"))] {
        parts.push(store.upload_part(&lake, &upload, number, body, &all).await.expect("takes it"));
    }
    let (size, sum) = (whole.len() as u64, checksum::crc64nvme(&whole));
    store.complete_upload(&lake, &upload, &parts, size, sum + 1, &all).await.expect_err("another checksum");
    let done = store.complete_upload(&lake, &upload, &parts, size, sum, &all).await.expect("completes");
    let PutOutcome::Written { etag, .. } = done else { panic!("{done:?}") };
    let head = store.head(&lake, "_tmp/1").await.expect("answers").expect("stands");
    assert_eq!((head.size, head.crc64nvme), (size, Some(sum)));
    let end = store.get(&lake, "_tmp/1", None, Some((size - 7, size - 1))).await.expect("reads");
    assert_eq!(read(end).await, b"the end");
    store.get(&lake, "_tmp/1", None, None).await.expect_err("its beginning is gone");

    let request = CopyRequest {
        source_key: "_tmp/1",
        source_etag: &etag,
        source_size: size,
        key: "raw/1",
        attributes: &none,
        capabilities: &all,
    };
    assert!(matches!(store.copy(&lake, &request).await, Ok(CopyOutcome::Copied { .. })));
    assert!(matches!(store.copy(&lake, &request).await, Ok(CopyOutcome::DestinationExists)));
    let taken = store.put(&lake, "raw/1", first, &Condition::Absent, None, &none).await.expect("answers");
    assert_eq!(taken, PutOutcome::ConditionFailed);
    assert_eq!(shared.objects("lake"), [("_tmp/1".to_owned(), size), ("raw/1".to_owned(), size)]);
}
