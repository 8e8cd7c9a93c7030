//! What is sent to S3, and what its answers become.

use std::collections::BTreeMap;

use bytes::Bytes;
use landfall_core::delivery::Capabilities;
use landfall_core::error::{Effect, ErrorClass, PortErrorKind};
use landfall_core::port::{
    Bucket, Condition, CopyOutcome, CopyRequest, DeleteOutcome, Encryption, GetOutcome, ObjectAttributes,
    ObjectBody, ObjectStore, PutOutcome, Upload, UploadedPart,
};

use crate::replay::{Answer, Replay, answer, lake, s3_error, with_headers};

const NONE: Capabilities = Capabilities {
    full_object_multipart_checksum: false,
    copy_checksum: false,
    conditional_copy: false,
    multipart_tags: false,
};

fn attributes() -> ObjectAttributes {
    ObjectAttributes {
        content_type: Some("application/vnd.apache.parquet".into()),
        metadata: BTreeMap::from([("delivery-id".into(), "d1".into())]),
        tags: BTreeMap::from([("tenant".into(), "acme & co".into())]),
        encryption: Encryption::Kms("arn:aws:kms:eu-west-1:222222222222:key/k".into()),
    }
}

fn copy_request<'a>(attributes: &'a ObjectAttributes, capabilities: &'a Capabilities) -> CopyRequest<'a> {
    CopyRequest {
        source_key: "_tmp/a b+é.parquet",
        source_etag: "src",
        source_size: 100,
        key: "lake/sales/part-1.parquet",
        attributes,
        capabilities,
    }
}

async fn copy(
    answers: impl IntoIterator<Item = Answer>,
) -> (Result<CopyOutcome, landfall_core::error::PortError>, Replay) {
    let replay = Replay::new(answers);
    let outcome =
        replay.clients().store().copy(&lake(), &copy_request(&attributes(), &Capabilities::default())).await;
    (outcome, replay)
}

fn found(etag: &str) -> Answer {
    with_headers(200, &[("etag", etag), ("content-length", "100")], "")
}

#[tokio::test]
async fn a_copy_is_one_request_with_all_its_conditions() {
    let (outcome, replay) = copy([answer(
        200,
        "<CopyObjectResult><ETag>\"new\"</ETag><ChecksumCRC64NVME>AAAAAAAAAAc=</ChecksumCRC64NVME></CopyObjectResult>",
    )])
    .await;
    assert_eq!(outcome.unwrap(), CopyOutcome::Copied { etag: "new".into(), crc64nvme: Some(7) });
    let asked = replay.only();
    assert_eq!(asked.method, "PUT");
    for (header, value) in [
        ("x-amz-copy-source", "acme-lake/_tmp/a%20b%2B%C3%A9.parquet"),
        ("x-amz-copy-source-if-match", "\"src\""),
        ("if-none-match", "*"),
        ("x-amz-expected-bucket-owner", "222222222222"),
        ("x-amz-source-expected-bucket-owner", "222222222222"),
        ("x-amz-tagging-directive", "REPLACE"),
        ("x-amz-tagging", "tenant=acme%20%26%20co"),
        ("x-amz-metadata-directive", "REPLACE"),
        ("x-amz-meta-delivery-id", "d1"),
        ("x-amz-checksum-algorithm", "CRC64NVME"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "arn:aws:kms:eu-west-1:222222222222:key/k"),
        ("x-amz-server-side-encryption-bucket-key-enabled", "true"),
        ("content-type", "application/vnd.apache.parquet"),
    ] {
        assert_eq!(asked.header(header), value, "{header}");
    }
}

#[tokio::test]
async fn an_error_inside_a_200_is_of_unknown_effect_and_not_repeated() {
    let (outcome, replay) = copy([s3_error(200, "InternalError")]).await;
    let error = outcome.unwrap_err();
    assert_eq!((error.kind, error.effect), (PortErrorKind::Unavailable, Effect::Unknown));
    assert_eq!(error.class(), ErrorClass::Ambiguous);
    assert_eq!(error.code.as_deref(), Some("InternalError"));
    assert_eq!(replay.asked().len(), 1);
}

#[tokio::test]
async fn a_lost_answer_is_of_unknown_effect_and_not_repeated() {
    let (outcome, replay) = copy([Answer::Lost]).await;
    assert_eq!(outcome.unwrap_err().class(), ErrorClass::Ambiguous);
    assert_eq!(replay.asked().len(), 1);
    let (outcome, _) = copy([s3_error(500, "InternalError")]).await;
    assert_eq!(outcome.unwrap_err().class(), ErrorClass::Ambiguous);
}

#[tokio::test]
async fn a_throttled_copy_had_no_effect() {
    let (outcome, replay) = copy([s3_error(503, "SlowDown")]).await;
    let error = outcome.unwrap_err();
    assert_eq!((error.kind, error.effect), (PortErrorKind::Throttled, Effect::None));
    assert_eq!(replay.asked().len(), 1);
}

#[tokio::test]
async fn the_source_tells_which_condition_of_a_copy_failed() {
    for (source, expected) in [
        (found("\"src\""), CopyOutcome::DestinationExists),
        (found("\"other\""), CopyOutcome::SourceChanged),
        (answer(404, ""), CopyOutcome::SourceChanged),
    ] {
        let (outcome, replay) = copy([s3_error(412, "PreconditionFailed"), source]).await;
        assert_eq!(outcome.unwrap(), expected);
        assert_eq!(replay.asked()[1].method, "HEAD");
    }
    let (outcome, _) = copy([s3_error(404, "NoSuchKey")]).await;
    assert_eq!(outcome.unwrap(), CopyOutcome::SourceChanged);
    let (outcome, _) = copy([s3_error(404, "NoSuchBucket")]).await;
    assert_eq!(outcome.unwrap_err().kind, PortErrorKind::BucketMissing);
    let (outcome, _) = copy([s3_error(409, "ConditionalRequestConflict")]).await;
    assert_eq!(outcome.unwrap_err().class(), ErrorClass::Transient);
}

const LISTING_WITHOUT_KEY: &str = "<ListBucketResult><EncodingType>url</EncodingType></ListBucketResult>";

#[tokio::test]
async fn a_refused_copy_whose_source_stands_is_refused() {
    let (outcome, _) = copy([s3_error(403, "AccessDenied"), found("\"src\"")]).await;
    assert_eq!(outcome.unwrap_err().kind, PortErrorKind::Denied);
    let (outcome, _) =
        copy([s3_error(403, "AccessDenied"), answer(403, ""), answer(200, LISTING_WITHOUT_KEY)]).await;
    assert_eq!(outcome.unwrap(), CopyOutcome::SourceChanged);
}

#[tokio::test]
async fn an_endpoint_without_conditional_copies_gets_parts_a_conditional_completion_and_tags() {
    let replay = Replay::new([
        answer(200, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"),
        answer(
            200,
            "<CopyPartResult><ETag>\"p1\"</ETag><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C></CopyPartResult>",
        ),
        answer(200, "<CompleteMultipartUploadResult><ETag>\"new-1\"</ETag></CompleteMultipartUploadResult>"),
        answer(200, ""),
    ]);
    let outcome = replay.clients().store().copy(&lake(), &copy_request(&attributes(), &NONE)).await;
    assert_eq!(outcome.unwrap(), CopyOutcome::Copied { etag: "new-1".into(), crc64nvme: None });
    let asked = replay.asked();
    assert_eq!(asked[0].header("x-amz-tagging"), "");
    assert_eq!(asked[0].header("x-amz-meta-delivery-id"), "d1");
    assert_eq!(asked[1].header("x-amz-copy-source-if-match"), "\"src\"");
    assert_eq!(asked[1].header("x-amz-copy-source-range"), "bytes=0-99");
    assert_eq!(asked[1].header("x-amz-source-expected-bucket-owner"), "222222222222");
    assert_eq!(asked[2].header("if-none-match"), "*");
    assert!(asked[2].body.contains("<ChecksumCRC32C>AAAAAA==</ChecksumCRC32C>"), "{}", asked[2].body);
    assert!(asked[3].uri.contains("tagging"), "{}", asked[3].uri);
    assert!(asked[3].body.contains("acme &amp; co"), "{}", asked[3].body);
    assert!(asked.iter().all(|asked| asked.header("x-amz-expected-bucket-owner") == "222222222222"));
}

#[tokio::test]
async fn a_copy_in_parts_that_did_not_happen_is_aborted() {
    for (part, completion, expected) in [
        (s3_error(412, "PreconditionFailed"), None, CopyOutcome::SourceChanged),
        (
            answer(200, "<CopyPartResult><ETag>\"p\"</ETag></CopyPartResult>"),
            Some(s3_error(412, "PreconditionFailed")),
            CopyOutcome::DestinationExists,
        ),
        // A completion answers 200 before it knows how it ends.
        (
            answer(200, "<CopyPartResult><ETag>\"p\"</ETag></CopyPartResult>"),
            Some(s3_error(200, "PreconditionFailed")),
            CopyOutcome::DestinationExists,
        ),
    ] {
        let begin = answer(
            200,
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
        );
        let replay = Replay::new([begin, part].into_iter().chain(completion).chain([answer(204, "")]));
        let outcome = replay.clients().store().copy(&lake(), &copy_request(&attributes(), &NONE)).await;
        assert_eq!(outcome.unwrap(), expected);
        assert_eq!(replay.asked().last().unwrap().method, "DELETE");
    }
}

#[tokio::test]
async fn tags_that_fail_after_a_copy_leave_its_effect_unknown() {
    let replay = Replay::new([
        answer(200, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"),
        answer(200, "<CopyPartResult><ETag>\"p1\"</ETag></CopyPartResult>"),
        answer(200, "<CompleteMultipartUploadResult><ETag>\"new-1\"</ETag></CompleteMultipartUploadResult>"),
        s3_error(403, "AccessDenied"),
    ]);
    let error =
        replay.clients().store().copy(&lake(), &copy_request(&attributes(), &NONE)).await.unwrap_err();
    assert_eq!((error.kind, error.effect), (PortErrorKind::Denied, Effect::Unknown));
}

async fn put(
    condition: &Condition,
    given: Answer,
) -> (Result<PutOutcome, landfall_core::error::PortError>, Replay) {
    let replay = Replay::new([given]);
    let outcome = replay
        .clients()
        .store()
        .put(&lake(), "log/1", Bytes::from_static(b"x"), condition, Some(7), &ObjectAttributes::default())
        .await;
    (outcome, replay)
}

#[tokio::test]
async fn puts_carry_their_condition_and_checksum_and_are_sent_once() {
    let (outcome, replay) = put(&Condition::Absent, with_headers(200, &[("etag", "\"e\"")], "")).await;
    assert_eq!(outcome.unwrap(), PutOutcome::Written { etag: "e".into(), version_id: None });
    let asked = replay.only();
    assert_eq!(asked.header("if-none-match"), "*");
    assert_eq!(asked.header("x-amz-checksum-crc64nvme"), "AAAAAAAAAAc=");
    assert_eq!(asked.header("x-amz-expected-bucket-owner"), "222222222222");

    let (outcome, replay) = put(&Condition::Matches("old".into()), s3_error(404, "NoSuchKey")).await;
    assert_eq!(outcome.unwrap(), PutOutcome::ConditionFailed);
    assert_eq!(replay.only().header("if-match"), "\"old\"");

    let (outcome, _) = put(&Condition::Absent, s3_error(412, "PreconditionFailed")).await;
    assert_eq!(outcome.unwrap(), PutOutcome::ConditionFailed);
    let (outcome, _) = put(&Condition::Matches("old".into()), s3_error(404, "NoSuchBucket")).await;
    assert_eq!(outcome.unwrap_err().kind, PortErrorKind::BucketMissing);
    let (outcome, replay) = put(&Condition::Absent, Answer::Lost).await;
    assert_eq!(outcome.unwrap_err().class(), ErrorClass::Ambiguous);
    assert_eq!(replay.asked().len(), 1);
}

#[tokio::test]
async fn absence_is_said_on_the_services_own_word_only() {
    let head = async |answers: Vec<Answer>| Replay::new(answers).clients().store().head(&lake(), "a/b").await;
    assert_eq!(head(vec![answer(404, "")]).await.unwrap(), None);
    // Refused, and the listing is refused as well.
    let refused = head(vec![answer(403, ""), s3_error(403, "AccessDenied")]).await;
    assert_eq!(refused.unwrap_err().kind, PortErrorKind::Denied);
    // Refused, and the listing shows the key: it is there and we may not see it.
    let listed = "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a/b</Key><Size>1</Size>\
        <LastModified>2026-05-19T10:00:00.000Z</LastModified><ETag>\"e\"</ETag></Contents></ListBucketResult>";
    let refused = head(vec![answer(403, ""), answer(200, listed)]).await;
    assert_eq!(refused.unwrap_err().kind, PortErrorKind::Denied);
    assert_eq!(head(vec![answer(403, ""), answer(200, LISTING_WITHOUT_KEY)]).await.unwrap(), None);
    // Three tries, then the error.
    let down = head(vec![answer(503, ""), answer(503, ""), answer(503, "")]).await;
    assert_eq!(down.unwrap_err().class(), ErrorClass::Transient);
}

#[tokio::test]
async fn heads_tell_checksum_and_metadata() {
    let replay = Replay::new([with_headers(
        200,
        &[
            ("etag", "\"e-2\""),
            ("content-length", "9"),
            ("x-amz-checksum-crc64nvme", "AAAAAAAAAAc="),
            ("x-amz-meta-Delivery-Id", "d1"),
            ("x-amz-version-id", "null"),
        ],
        "",
    )]);
    let head = replay.clients().store().head(&lake(), "k").await.unwrap().unwrap();
    assert_eq!((head.etag.as_str(), head.size, head.crc64nvme), ("e-2", 9, Some(7)));
    assert_eq!(head.metadata["delivery-id"], "d1");
    assert_eq!(head.version_id, None);
    assert_eq!(replay.only().header("x-amz-checksum-mode"), "ENABLED");
}

#[tokio::test]
async fn listings_are_decoded_and_reads_repeated() {
    let listed = "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>\
        <NextContinuationToken>t</NextContinuationToken><Contents><Key>in/a+b%2Bc/%C3%BC%3D</Key><Size>5</Size>\
        <LastModified>2026-05-19T10:00:00.000Z</LastModified><ETag>\"e\"</ETag></Contents></ListBucketResult>";
    let replay = Replay::new([s3_error(503, "SlowDown"), answer(200, listed)]);
    let page = replay.clients().store().list(&lake(), "in/", Some("in/0"), None).await.unwrap();
    assert_eq!(page.next.as_deref(), Some("t"));
    assert_eq!(page.objects[0].key, "in/a b+c/ü=");
    assert_eq!((page.objects[0].etag.as_str(), page.objects[0].size), ("e", 5));
    assert_eq!(page.objects[0].last_modified, "2026-05-19T10:00:00Z".parse().unwrap());
    let asked = replay.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked[1].uri.contains("start-after=in%2F0"), "{}", asked[1].uri);
    assert_eq!(asked[1].header("x-amz-expected-bucket-owner"), "222222222222");
}

async fn get(given: Answer, range: Option<(u64, u64)>) -> GetOutcome<super::S3Body> {
    Replay::new([given]).clients().store().get(&lake(), "k", Some("e"), range).await.unwrap()
}

#[tokio::test]
async fn gets_are_pinned_and_know_the_whole_size() {
    let part = with_headers(
        206,
        &[("etag", "\"e\""), ("content-length", "3"), ("content-range", "bytes 2-4/10")],
        "abc",
    );
    let GetOutcome::Found(head, mut body) = get(part, Some((2, 4))).await else { panic!("not found") };
    assert_eq!(head.size, 10);
    assert_eq!(body.chunk().await.unwrap().unwrap(), "abc");
    assert_eq!(body.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn a_body_that_ends_early_or_is_damaged_is_an_error() {
    async fn end(mut body: super::S3Body) -> PortErrorKind {
        loop {
            match body.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the end came with success"),
                Err(error) => return error.kind,
            }
        }
    }
    let short = with_headers(206, &[("content-length", "5"), ("content-range", "bytes 0-4/10")], "abc");
    let GetOutcome::Found(_, body) = get(short, Some((0, 4))).await else { panic!("not found") };
    assert_eq!(end(body).await, PortErrorKind::Unavailable);
    let damaged =
        with_headers(200, &[("content-length", "3"), ("x-amz-checksum-crc64nvme", "AAAAAAAAAAc=")], "abc");
    let GetOutcome::Found(_, body) = get(damaged, None).await else { panic!("not found") };
    assert_eq!(end(body).await, PortErrorKind::Corrupt);
}

#[tokio::test]
async fn deletes_name_the_one_object_that_may_go() {
    for (given, expected) in [
        (answer(204, ""), DeleteOutcome::Deleted),
        (s3_error(404, "NoSuchKey"), DeleteOutcome::Absent),
        (s3_error(412, "PreconditionFailed"), DeleteOutcome::Changed),
    ] {
        let replay = Replay::new([given]);
        assert_eq!(replay.clients().store().delete(&lake(), "k", "e").await.unwrap(), expected);
        assert_eq!(replay.only().header("if-match"), "\"e\"");
    }
}

async fn upload(
    capabilities: &Capabilities,
    completion: Answer,
) -> (Result<PutOutcome, landfall_core::error::PortError>, Replay) {
    let replay = Replay::new([
        answer(200, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"),
        with_headers(200, &[("etag", "\"p1\""), ("x-amz-checksum-crc32c", "AAAAAA==")], ""),
        completion,
    ]);
    let store = replay.clients().store();
    let upload = store.create_upload(&lake(), "k", &attributes(), capabilities).await.unwrap();
    let part =
        store.upload_part(&lake(), &upload, 1, Bytes::from_static(b"abc"), capabilities).await.unwrap();
    assert_eq!((part.number, part.etag.as_str()), (1, "p1"));
    (store.complete_upload(&lake(), &upload, &[part], 3, 7, capabilities).await, replay)
}

const COMPLETED: &str = "<CompleteMultipartUploadResult><ETag>\"e-1\"</ETag></CompleteMultipartUploadResult>";

#[tokio::test]
async fn uploads_carry_the_checksum_of_the_whole_object() {
    let (outcome, replay) = upload(&Capabilities::default(), answer(200, COMPLETED)).await;
    assert_eq!(outcome.unwrap(), PutOutcome::Written { etag: "e-1".into(), version_id: None });
    let asked = replay.asked();
    assert_eq!(asked[0].header("x-amz-checksum-algorithm"), "CRC64NVME");
    assert_eq!(asked[0].header("x-amz-checksum-type"), "FULL_OBJECT");
    assert_eq!(asked[0].header("x-amz-tagging"), "tenant=acme%20%26%20co");
    assert_ne!(asked[1].header("x-amz-checksum-crc64nvme"), "");
    assert_eq!(asked[2].header("x-amz-checksum-crc64nvme"), "AAAAAAAAAAc=");
    assert_eq!(asked[2].header("x-amz-mp-object-size"), "3");
    assert_eq!(asked[2].header("if-none-match"), "*");
}

#[tokio::test]
async fn uploads_without_that_capability_carry_one_checksum_per_part() {
    let (outcome, replay) = upload(&NONE, answer(200, COMPLETED)).await;
    outcome.unwrap();
    let asked = replay.asked();
    assert_eq!(asked[0].header("x-amz-checksum-algorithm"), "CRC32C");
    assert_eq!(asked[0].header("x-amz-tagging"), "");
    // CRC-32C of "abc".
    assert_eq!(asked[1].header("x-amz-checksum-crc32c"), "Nks/tw==");
    assert_eq!(asked[2].header("x-amz-checksum-crc64nvme"), "");
    assert!(asked[2].body.contains("<ChecksumCRC32C>AAAAAA==</ChecksumCRC32C>"));
}

#[tokio::test]
async fn completions_are_sent_once() {
    for (given, class) in [
        (Answer::Lost, ErrorClass::Ambiguous),
        (s3_error(200, "InternalError"), ErrorClass::Ambiguous),
        (s3_error(409, "ConditionalRequestConflict"), ErrorClass::Transient),
        (s3_error(404, "NoSuchUpload"), ErrorClass::Transient),
    ] {
        let (outcome, replay) = upload(&Capabilities::default(), given).await;
        assert_eq!(outcome.unwrap_err().class(), class);
        assert_eq!(replay.asked().len(), 3);
    }
    let (outcome, _) = upload(&Capabilities::default(), s3_error(412, "PreconditionFailed")).await;
    assert_eq!(outcome.unwrap(), PutOutcome::ConditionFailed);
}

#[tokio::test]
async fn aborting_what_is_gone_is_a_success() {
    let replay = Replay::new([s3_error(404, "NoSuchUpload")]);
    let upload = Upload { key: "k".into(), id: "u".into() };
    replay.clients().store().abort_upload(&lake(), &upload).await.unwrap();
}

#[tokio::test]
async fn parts_are_repeated() {
    let replay = Replay::new([Answer::Lost, with_headers(200, &[("etag", "\"p\"")], "")]);
    let upload = Upload { key: "k".into(), id: "u".into() };
    let part = replay
        .clients()
        .store()
        .upload_part(&lake(), &upload, 2, Bytes::from_static(b"abc"), &NONE)
        .await
        .unwrap();
    assert_eq!(part, UploadedPart { number: 2, etag: "p".into(), crc32c: None });
}

#[tokio::test]
async fn quarantine_copies_overwrite_and_name_both_owners() {
    let replay = Replay::new([
        found("\"src\""),
        answer(200, "<CopyObjectResult><ETag>\"new\"</ETag></CopyObjectResult>"),
    ]);
    let ours = Bucket { name: "quarantine".into(), owner: "111111111111".into() };
    let outcome = replay.clients().store().copy_across(&lake(), "in/x", "src", &ours, "q/x").await;
    assert_eq!(outcome.unwrap(), CopyOutcome::Copied { etag: "new".into(), crc64nvme: None });
    let asked = replay.asked();
    assert_eq!(asked[1].header("if-none-match"), "");
    assert_eq!(asked[1].header("x-amz-copy-source-if-match"), "\"src\"");
    assert_eq!(asked[1].header("x-amz-expected-bucket-owner"), "111111111111");
    assert_eq!(asked[1].header("x-amz-source-expected-bucket-owner"), "222222222222");
}
