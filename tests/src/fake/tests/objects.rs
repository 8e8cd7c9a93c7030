use landfall_core::error::PortErrorKind;
use landfall_core::port::{CopyOutcome, DeleteOutcome};

use super::*;
use crate::fake::{HOME_ACCOUNT, HOME_REGION, Version, checksum};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_delete_marker_lets_the_key_be_written_again() {
    let aws = FakeAws::new();
    let bucket = aws.create_home_bucket("staging", true);
    let store = aws.store();
    let PutOutcome::Written { etag, .. } = put(&store, &bucket, "k", "one", &Condition::Absent).await else {
        panic!("an absent key must be writable");
    };
    assert_eq!(put(&store, &bucket, "k", "two", &Condition::Absent).await, PutOutcome::ConditionFailed);
    assert_eq!(store.delete(&bucket, "k", &etag).await.unwrap(), DeleteOutcome::Deleted);
    assert_eq!(store.delete(&bucket, "k", &etag).await.unwrap(), DeleteOutcome::Absent);
    assert_eq!(put(&store, &bucket, "k", "x", &Condition::Matches(etag)).await, PutOutcome::ConditionFailed);
    assert!(matches!(put(&store, &bucket, "k", "two", &Condition::Absent).await, PutOutcome::Written { .. }));
    let history = aws.versions("staging", "k");
    assert!(matches!(history.as_slice(), [Version::Object(_), Version::DeleteMarker(_), Version::Object(_)]));
}

#[tokio::test]
async fn a_completion_conflicts_when_the_key_was_deleted_meanwhile() {
    let (aws, store, bucket) = fake();
    let (attributes, all) = (ObjectAttributes::default(), Capabilities::default());
    aws.put_object("state", "k", "old");
    let upload = store.create_upload(&bucket, "k", &attributes, &all).await.unwrap();
    let part = store.upload_part(&bucket, &upload, 1, Bytes::from_static(b"new"), &all).await.unwrap();
    let sum = checksum::crc64nvme(b"new");
    let parts = [part];
    let complete = || store.complete_upload(&bucket, &upload, &parts, 3, sum, &all);
    assert_eq!(complete().await.unwrap(), PutOutcome::ConditionFailed);
    aws.delete_object("state", "k");
    assert_eq!(complete().await.unwrap_err().kind, PortErrorKind::Conflict);
    assert_eq!(aws.uploads("state"), ["k"], "a failed completion leaves the upload to be aborted");
    store.abort_upload(&bucket, &upload).await.unwrap();
    store.abort_upload(&bucket, &upload).await.unwrap();
    assert!(aws.uploads("state").is_empty());
    assert_eq!(complete().await.unwrap_err().code.as_deref(), Some("NoSuchUpload"));
}

#[tokio::test]
async fn parts_are_checked_as_s3_checks_them() {
    let (_aws, store, bucket) = fake();
    let (attributes, all) = (ObjectAttributes::default(), Capabilities::default());
    let upload = store.create_upload(&bucket, "k", &attributes, &all).await.unwrap();
    let large = Bytes::from(vec![7; 5 * MIB]);
    let small = Bytes::from_static(b"end");
    let one = store.upload_part(&bucket, &upload, 1, large.clone(), &all).await.unwrap();
    let two = store.upload_part(&bucket, &upload, 2, small.clone(), &all).await.unwrap();
    let three = store.upload_part(&bucket, &upload, 3, small.clone(), &all).await.unwrap();
    assert_eq!(
        store.upload_part(&bucket, &upload, 10_001, small.clone(), &all).await.unwrap_err().kind,
        PortErrorKind::Invalid
    );
    let body = [large, small].concat();
    let sum = checksum::crc64nvme(&body);
    let size = body.len() as u64;
    let mut wrong = two.clone();
    wrong.etag = one.etag.clone();
    for (parts, size, sum, code) in [
        (vec![two.clone(), one.clone()], size, sum, "InvalidPartOrder"),
        (vec![one.clone(), wrong], size, sum, "InvalidPart"),
        (vec![one.clone(), two.clone(), three], size + 3, sum, "EntityTooSmall"),
        (vec![one.clone(), two.clone()], size + 1, sum, "InvalidRequest"),
        (vec![one.clone(), two.clone()], size, sum + 1, "BadDigest"),
    ] {
        let error = store.complete_upload(&bucket, &upload, &parts, size, sum, &all).await.unwrap_err();
        assert_eq!(error.code.as_deref(), Some(code));
    }
    let done = store.complete_upload(&bucket, &upload, &[one, two], size, sum, &all).await.unwrap();
    let PutOutcome::Written { etag, .. } = done else { panic!("the key was free") };
    assert!(etag.ends_with("-2"));
    let head = store.head(&bucket, "k").await.unwrap().unwrap();
    assert_eq!((head.size, head.crc64nvme), (size, Some(sum)));
}

#[tokio::test]
async fn a_copy_works_on_every_endpoint_that_says_what_it_can() {
    for endpoint in all_capabilities() {
        let (aws, store, bucket) = fake();
        aws.set_capabilities("state", endpoint);
        let source = aws.put_object("state", "tmp", "rows");
        let from = ("tmp", source.etag.as_str(), source.size());
        let copied = copy(&store, &bucket, from, "out", &endpoint).await.unwrap();
        let CopyOutcome::Copied { crc64nvme, .. } = copied else { panic!("{endpoint:?}: {copied:?}") };
        let answers = if endpoint.conditional_copy {
            endpoint.copy_checksum
        } else {
            endpoint.full_object_multipart_checksum
        };
        assert_eq!(crc64nvme, answers.then(|| checksum::crc64nvme(b"rows")), "{endpoint:?}");
        let out = aws.object("state", "out").unwrap();
        assert_eq!(out.body, source.body);
        assert_eq!(out.attributes.tags.get("rows").map(String::as_str), Some("3"), "{endpoint:?}");
        assert_eq!(out.attributes.metadata.get("delivery").map(String::as_str), Some("acme-sales"));
        assert_eq!(
            copy(&store, &bucket, from, "out", &endpoint).await.unwrap(),
            CopyOutcome::DestinationExists
        );
        assert!(aws.uploads("state").is_empty(), "{endpoint:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_cannot_what_is_declared_does_worse() {
    let declared = Capabilities::default();
    let none = Capabilities {
        full_object_multipart_checksum: false,
        copy_checksum: false,
        conditional_copy: false,
        multipart_tags: false,
    };
    let (aws, store, bucket) = fake();
    aws.set_capabilities("state", none);
    let source = aws.put_object("state", "tmp", "rows");
    aws.put_object("state", "out", "foreign");
    let from = ("tmp", source.etag.as_str(), source.size());
    let copied = copy(&store, &bucket, from, "out", &declared).await.unwrap();
    assert!(
        matches!(copied, CopyOutcome::Copied { crc64nvme: None, .. }),
        "the condition is ignored: {copied:?}"
    );
    let upload = store.create_upload(&bucket, "k", &ObjectAttributes::default(), &declared).await.unwrap();
    let part = store.upload_part(&bucket, &upload, 1, Bytes::from_static(b"x"), &declared).await.unwrap();
    let right = checksum::crc64nvme(b"x");
    let error = store.complete_upload(&bucket, &upload, &[part], 1, right, &declared).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("BadDigest"));
}

#[tokio::test]
async fn a_copy_is_pinned_to_its_source() {
    for capabilities in all_capabilities() {
        let (aws, store, bucket) = fake();
        aws.set_capabilities("state", capabilities);
        let old = aws.put_object("state", "tmp", "old");
        aws.put_object("state", "tmp", "new");
        let from = ("tmp", old.etag.as_str(), 3);
        let copied = copy(&store, &bucket, from, "out", &capabilities).await.unwrap();
        assert_eq!(copied, CopyOutcome::SourceChanged, "{capabilities:?}");
        aws.delete_object("state", "tmp");
        let copied = copy(&store, &bucket, from, "out", &capabilities).await.unwrap();
        assert_eq!(copied, CopyOutcome::SourceChanged, "{capabilities:?}");
        assert!(aws.object("state", "out").is_none());
    }
}

#[tokio::test]
async fn large_copies_go_in_parts() {
    let (aws, store, bucket) = fake();
    aws.set_copy_limit(6 * MIB as u64);
    let source = aws.put_object("state", "tmp", vec![1; 13 * MIB]);
    let from = ("tmp", source.etag.as_str(), source.size());
    let copied = copy(&store, &bucket, from, "out", &Capabilities::default()).await.unwrap();
    let CopyOutcome::Copied { etag, crc64nvme } = copied else { panic!("{copied:?}") };
    assert!(etag.ends_with("-3"));
    assert_eq!(crc64nvme, Some(checksum::crc64nvme(&source.body)));
    assert_eq!(aws.calls_of("UploadPartCopy").len(), 3);
    let other = aws.create_home_bucket("quarantine", false);
    for _ in 0..2 {
        let set_aside = store.copy_across(&bucket, "tmp", &source.etag, &other, "bad").await.unwrap();
        assert!(matches!(set_aside, CopyOutcome::Copied { .. }), "it overwrites: {set_aside:?}");
    }
    assert_eq!(aws.calls_of("UploadPartCopy").len(), 9);
}

#[tokio::test]
async fn a_bucket_that_demands_conditions_refuses_writes_without_one() {
    let (aws, store, bucket) = fake();
    let source = aws.put_object("state", "in", "bad");
    let other = aws.create_home_bucket("quarantine", false);
    aws.demand_conditions("quarantine");
    let refused = store.copy_across(&bucket, "in", &source.etag, &other, "bad").await.unwrap_err();
    assert_eq!(refused.kind, PortErrorKind::Denied);
    let put = put(&store, &other, "new", "x", &Condition::Absent).await;
    assert!(matches!(put, PutOutcome::Written { .. }));
}

#[tokio::test]
async fn a_bucket_of_another_owner_is_refused() {
    let aws = FakeAws::new();
    let ours = aws.create_home_bucket("state", false);
    aws.hand_over("state", "333333333333");
    let error = aws.store().head(&ours, "k").await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Denied);
    let nobody = Bucket { name: "state".into(), owner: String::new() };
    assert_eq!(aws.store().head(&nobody, "k").await.unwrap_err().kind, PortErrorKind::Invalid);
    let gone = Bucket { name: "gone".into(), owner: HOME_ACCOUNT.into() };
    assert_eq!(aws.store().head(&gone, "k").await.unwrap_err().kind, PortErrorKind::BucketMissing);
    let far = aws.create_bucket("far", HOME_ACCOUNT, "us-east-1", false);
    assert_ne!(HOME_REGION, "us-east-1");
    assert_eq!(aws.store().head(&far, "k").await.unwrap_err().kind, PortErrorKind::BucketMissing);
}

#[tokio::test]
async fn pages_hold_every_key_once_in_byte_order() {
    let (aws, store, bucket) = fake();
    let keys = ["p/a", "p/a/b", "p/a0", "p/é", "p/z", "p/~"];
    for key in keys.iter().chain(&["o", "q"]) {
        aws.put_object("state", key, "x");
    }
    for page_size in 1..=7 {
        aws.set_page_size(page_size);
        let mut listed = Vec::new();
        let mut page = None;
        loop {
            let answer = store.list(&bucket, "p/", None, page.as_deref()).await.unwrap();
            assert!(answer.objects.len() <= page_size);
            listed.extend(answer.objects.into_iter().map(|object| object.key));
            page = answer.next;
            if page.is_none() {
                break;
            }
        }
        let mut expected = keys.to_vec();
        expected.sort_unstable();
        assert_eq!(listed, expected);
    }
    aws.set_page_size(1000);
    let after = store.list(&bucket, "p/", Some("p/a0"), None).await.unwrap();
    assert_eq!(after.objects.first().map(|object| object.key.as_str()), Some("p/z"));
}

#[tokio::test]
async fn an_entity_tag_under_kms_says_nothing_of_the_content() {
    let (aws, store, bucket) = fake();
    aws.set_kms_key("arn:aws:kms:eu-central-1:111111111111:key/k", true);
    aws.set_default_key("state", "arn:aws:kms:eu-central-1:111111111111:key/k");
    put(&store, &bucket, "a", "same", &Condition::Absent).await;
    put(&store, &bucket, "b", "same", &Condition::Absent).await;
    let etag = |key| aws.object("state", key).unwrap().etag;
    assert_ne!(etag("a"), etag("b"));
    aws.set_kms_key("arn:aws:kms:eu-central-1:111111111111:key/k", false);
    assert_eq!(store.head(&bucket, "a").await.unwrap_err().kind, PortErrorKind::KeyRefused);
}
