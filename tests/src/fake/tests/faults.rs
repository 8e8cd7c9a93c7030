use landfall_core::error::{Effect, ErrorClass, PortErrorKind};
use landfall_core::port::{CopyOutcome, GetOutcome, ObjectBody as _};

use super::*;
use crate::fake::{CallResult, Crashed, Fault, checksum};

#[tokio::test]
async fn a_lost_answer_has_its_effect() {
    let (aws, store, bucket) = fake();
    let attributes = ObjectAttributes::default();
    let write = || store.put(&bucket, "k", Bytes::from_static(b"x"), &Condition::Absent, None, &attributes);
    aws.faults().on("PutObject").inject(Fault::LostResponse);
    let lost = write().await.unwrap_err();
    assert_eq!(
        (lost.kind, lost.effect, lost.class()),
        (PortErrorKind::Unavailable, Effect::Unknown, ErrorClass::Ambiguous)
    );
    assert!(aws.object("state", "k").is_some());
    assert_eq!(write().await.unwrap(), PutOutcome::ConditionFailed);
}

#[tokio::test]
async fn faults_fire_where_and_as_often_as_told() {
    let (aws, store, bucket) = fake();
    aws.faults().on("HeadObject").key("b").after(1).times(2).inject(Fault::Throttle);
    let mut failed = Vec::new();
    for key in ["a", "b", "b", "a", "b", "b"] {
        failed.push(store.head(&bucket, key).await.is_err());
    }
    assert_eq!(failed, [false, false, true, false, true, false]);
    assert_eq!(aws.faults().fired(), 2);
    aws.faults().at_call(6, Fault::Fail(PortErrorKind::Denied));
    assert_eq!(store.list(&bucket, "", None, None).await.unwrap_err().kind, PortErrorKind::Denied);
    let last = aws.calls().pop().unwrap();
    assert_eq!(
        (last.number, last.operation, last.result),
        (6, "ListObjectsV2", CallResult::Failed(PortErrorKind::Denied))
    );
    assert_eq!(last.expected_owner.as_deref(), Some("111111111111"));
}

#[tokio::test]
async fn a_crash_stops_one_process_before_or_after_the_effect() {
    for (fault, written) in [(Fault::CrashBefore, false), (Fault::CrashAfter, true)] {
        let (aws, store, bucket) = fake();
        aws.faults().on("PutObject").inject(fault);
        let process = aws.run_until_crash(async {
            put(&store, &bucket, "k", "x", &Condition::Absent).await;
            put(&store, &bucket, "never", "x", &Condition::Absent).await;
        });
        assert_eq!(process.await, Err(Crashed));
        assert_eq!(aws.object("state", "k").is_some(), written);
        assert!(aws.object("state", "never").is_none());
        let other = aws.run_until_crash(put(&store, &bucket, "other", "x", &Condition::Absent)).await;
        assert!(matches!(other, Ok(PutOutcome::Written { .. })));
    }
}

#[tokio::test]
async fn a_paused_call_goes_on_later() {
    let (aws, store, bucket) = fake();
    aws.faults().on("PutObject").inject(Fault::Pause);
    let mut zombie = Box::pin(put(&store, &bucket, "k", "late", &Condition::Absent));
    assert!(aws.run_until_paused(&mut zombie).await.is_none());
    put(&store, &bucket, "k", "first", &Condition::Absent).await;
    aws.resume();
    assert_eq!(zombie.await, PutOutcome::ConditionFailed);
}

#[tokio::test]
async fn a_corrupting_copy_shows_in_its_checksum() {
    let (aws, store, bucket) = fake();
    let source = aws.put_object("state", "tmp", "rows");
    aws.faults().on("CopyObject").inject(Fault::Corrupt);
    let from = ("tmp", source.etag.as_str(), 4);
    let copied = copy(&store, &bucket, from, "out", &Capabilities::default()).await.unwrap();
    let CopyOutcome::Copied { crc64nvme, .. } = copied else { panic!("{copied:?}") };
    assert_ne!(crc64nvme, Some(checksum::crc64nvme(b"rows")));
}

#[tokio::test]
async fn a_cut_body_is_an_error() {
    let (aws, store, bucket) = fake();
    aws.put_object("state", "k", "abcdef");
    aws.set_chunk_bytes(4);
    aws.faults().on("ReadBody").after(1).inject(Fault::Unreached);
    let GetOutcome::Found(_, mut body) = store.get(&bucket, "k", None, None).await.unwrap() else {
        panic!("absent")
    };
    assert_eq!(body.chunk().await.unwrap().unwrap(), "abcd");
    assert!(body.chunk().await.is_err());
    assert!(body.chunk().await.is_err(), "a cut connection stays cut");
}

#[tokio::test]
async fn interleavings_are_replayable() {
    let run = |seed| async move {
        let (aws, store, bucket) = fake();
        aws.interleave(seed);
        let writer = |id: usize| {
            let (store, bucket) = (store.clone(), bucket.clone());
            async move {
                for n in 0..5 {
                    put(&store, &bucket, &format!("{n}-{id}"), "x", &Condition::Absent).await;
                }
            }
        };
        futures::future::join_all((0..3).map(writer)).await;
        aws.calls().into_iter().filter_map(|call| call.key).collect::<Vec<_>>()
    };
    assert_eq!(run(7).await, run(7).await);
    assert_ne!(run(7).await, run(8).await);
}
