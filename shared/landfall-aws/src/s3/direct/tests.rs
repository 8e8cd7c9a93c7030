//! The shorter way of reads, and when it is left.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, future};
use jiff::{SignedDuration, Timestamp};
use landfall_core::error::{PortError, PortErrorKind};
use landfall_core::port::{Clock as _, GetOutcome, ObjectBody as _, ObjectStore as _};
use sha2::{Digest as _, Sha256};

use crate::replay::{Answer, Asked, Replay, TestClock, answer, lake, s3_error, with_headers};
use crate::s3::S3Body;

const KEY: &str = "in/a b+c/../é=?#%25.gz";

async fn get(
    answers: impl IntoIterator<Item = Answer>,
) -> (Result<GetOutcome<S3Body>, PortError>, Vec<Asked>) {
    let replay = Replay::new(answers);
    let outcome = replay.clients().store().get(&lake(), KEY, Some("e"), None).await;
    (outcome, replay.asked())
}

fn found() -> Answer {
    with_headers(
        200,
        &[
            ("etag", "\"e\""),
            ("content-length", "3"),
            ("x-amz-meta-Source", "edge"),
            ("x-amz-version-id", "v1"),
        ],
        "abc",
    )
}

/// HMAC-SHA-256 (RFC 2104), of keys of up to a block.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |with: u8| -> Vec<u8> {
        (0..64).map(|place| key.get(place).copied().unwrap_or_default() ^ with).collect()
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// The signature of a request as AWS describes it, from what was sent.
fn signature(asked: &Asked, signed_headers: &str) -> String {
    let (host, path) = asked.uri.strip_prefix("https://").unwrap().split_once('/').unwrap();
    let mut canonical = format!("GET\n/{path}\n\n");
    for name in signed_headers.split(';') {
        let value = if name == "host" { host } else { asked.header(name) };
        writeln!(canonical, "{name}:{value}").unwrap();
    }
    write!(canonical, "\n{signed_headers}\n{}", asked.header("x-amz-content-sha256")).unwrap();
    let time = asked.header("x-amz-date");
    let (day, _) = time.split_once('T').unwrap();
    let scope = format!("{day}/eu-central-1/s3/aws4_request");
    let digest = hex(&Sha256::digest(canonical.as_bytes()));
    let key = scope.split('/').fold(b"AWS4x".to_vec(), |key, part| hmac(&key, part.as_bytes()));
    hex(&hmac(&key, format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}").as_bytes()))
}

#[tokio::test]
async fn a_pinned_read_is_one_request_signed_as_aws_describes_it() {
    let replay = Replay::new([found(), found()]);
    let store = replay.clients().store();
    for range in [None, Some((2, 4))] {
        let outcome = store.get(&lake(), KEY, Some("e"), range).await.unwrap();
        let GetOutcome::Found(head, mut body) = outcome else { panic!("not found") };
        assert_eq!((head.etag.as_str(), head.size, head.version_id.as_deref()), ("e", 3, Some("v1")));
        assert_eq!(head.metadata["source"], "edge");
        assert_eq!(body.chunk().await.unwrap().unwrap(), "abc");
    }
    let asked = replay.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].header("range"), "");
    assert_eq!(asked[1].header("range"), "bytes=2-4");
    for asked in asked {
        assert_eq!(asked.method, "GET");
        assert_eq!(
            asked.uri,
            "https://acme-lake.s3.eu-central-1.amazonaws.com/in/a%20b%2Bc/../%C3%A9%3D%3F%23%2525.gz"
        );
        assert_eq!(asked.header("if-match"), "\"e\"");
        assert_eq!(asked.header("x-amz-checksum-mode"), "ENABLED");
        assert_eq!(asked.header("x-amz-expected-bucket-owner"), "222222222222");
        let authorization = asked.header("authorization").to_owned();
        let (_, signed) = authorization.split_once("SignedHeaders=").unwrap();
        let (signed, given) = signed.split_once(", Signature=").unwrap();
        assert!(signed.contains("if-match;") && signed.contains("x-amz-expected-bucket-owner"), "{signed}");
        assert_eq!(given, signature(&asked, signed));
    }
}

#[tokio::test]
async fn whatever_is_no_success_is_asked_again_through_the_sdk() {
    for first in [
        Answer::Lost,
        s3_error(503, "SlowDown"),
        s3_error(403, "RequestTimeTooSkewed"),
        s3_error(400, "ExpiredToken"),
        answer(301, ""),
        // No length: nobody could tell whether all of it came.
        with_headers(200, &[("etag", "\"e\"")], "abc"),
    ] {
        let (outcome, asked) = get([first, found()]).await;
        assert!(matches!(outcome.unwrap(), GetOutcome::Found(head, _) if head.size == 3));
        assert_eq!(asked.len(), 2);
        // The same object, under the same conditions.
        for header in ["if-match", "x-amz-checksum-mode", "x-amz-expected-bucket-owner"] {
            assert_eq!(asked[0].header(header), asked[1].header(header), "{header}");
        }
        assert_eq!(asked[0].uri, asked[1].uri.trim_end_matches("?x-id=GetObject"));
    }
    let twice = |given: Answer| get([given.clone(), given]);
    let (outcome, asked) = twice(s3_error(412, "PreconditionFailed")).await;
    assert!(matches!(outcome.unwrap(), GetOutcome::Changed) && asked.len() == 2);
    let (outcome, asked) = twice(s3_error(404, "NoSuchKey")).await;
    assert!(matches!(outcome.unwrap(), GetOutcome::Absent) && asked.len() == 2);
    let (outcome, asked) = twice(s3_error(404, "NoSuchBucket")).await;
    assert_eq!((outcome.unwrap_err().kind, asked.len()), (PortErrorKind::BucketMissing, 2));
}

#[tokio::test]
async fn every_checksum_of_a_whole_object_is_held_against_it() {
    // Of "abc": CRC-64/NVME, CRC-32, CRC-32C, SHA-1, SHA-256.
    for (header, right) in [
        ("x-amz-checksum-crc64nvme", "BeXKuz/B+us="),
        ("x-amz-checksum-crc32", "NSRBwg=="),
        ("x-amz-checksum-crc32c", "Nks/tw=="),
        ("x-amz-checksum-sha1", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
        ("x-amz-checksum-sha256", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
    ] {
        let wrong = right.replacen(|first: char| first.is_alphabetic(), "0", 1);
        for (value, whole) in [(right, true), (wrong.as_str(), false), ("AAAA-2", true)] {
            let (outcome, asked) =
                get([with_headers(200, &[("content-length", "3"), (header, value)], "abc")]).await;
            assert_eq!(asked.len(), 1);
            let GetOutcome::Found(_, mut body) = outcome.unwrap() else { panic!("not found") };
            assert_eq!(body.chunk().await.unwrap().unwrap(), "abc");
            match body.chunk().await {
                Ok(end) => assert!(whole && end.is_none(), "{header} {value}"),
                Err(error) => assert!(!whole && error.kind == PortErrorKind::Corrupt, "{header} {value}"),
            }
        }
    }
}

#[tokio::test]
async fn the_checksum_of_a_whole_object_is_not_held_against_a_part() {
    let headers =
        [("content-length", "3"), ("content-range", "bytes 2-4/10"), ("x-amz-checksum-crc32", "AAAAAA==")];
    let (outcome, _) = get([with_headers(206, &headers, "abc")]).await;
    let GetOutcome::Found(head, mut body) = outcome.unwrap() else { panic!("not found") };
    assert_eq!(head.size, 10);
    assert_eq!(body.chunk().await.unwrap().unwrap(), "abc");
    assert_eq!(body.chunk().await.unwrap(), None);
}

/// Credentials that end at an instant; counts how often they are asked for.
#[derive(Debug, Clone)]
struct Ending(Timestamp, Arc<AtomicU32>);

impl ProvideCredentials for Ending {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let count = self.1.fetch_add(1, Ordering::Relaxed);
        let (token, end) = (Some(format!("token-{count}")), Some(self.0.into()));
        future::ProvideCredentials::ready(Ok(Credentials::new("AKID", "x", token, end, "ending")))
    }
}

#[tokio::test]
async fn credentials_are_held_until_shortly_before_they_end_or_are_refused() {
    let clock = TestClock::default();
    let end = clock.now() + SignedDuration::from_mins(60);
    let replay = Replay::new(
        (0..5).map(|_| found()).chain([s3_error(403, "InvalidAccessKeyId")]).chain((0..2).map(|_| found())),
    );
    let replay = replay.signing_with(Ending(end, Arc::default()));
    let store = replay.clients_at(&clock).store();
    let token = async || {
        store.get(&lake(), KEY, Some("e"), None).await.unwrap();
        let asked = replay.asked().last().unwrap().clone();
        let signed = asked.header("authorization").contains("x-amz-security-token");
        assert!(signed || asked.uri.ends_with("GetObject"), "the token is signed");
        asked.header("x-amz-security-token").to_owned()
    };
    assert_eq!((token().await, token().await), ("token-0".into(), "token-0".into()));
    clock.advance(SignedDuration::from_mins(56));
    assert_eq!(token().await, "token-1");
    // Near the end not for each read.
    assert_eq!(token().await, "token-1");
    clock.advance(SignedDuration::from_secs(6));
    assert_eq!(token().await, "token-2");
    // Refused: the SDK asks with what it holds itself, and the next read asks for credentials anew.
    let before = token().await;
    let after = token().await;
    assert!(before != after && after != "token-2", "{before}, {after}");
}

#[tokio::test]
async fn what_names_no_entity_tag_goes_through_the_sdk() {
    let replay = Replay::new([found()]);
    replay.clients().store().get(&lake(), KEY, None, None).await.unwrap();
    assert!(replay.only().uri.ends_with("?x-id=GetObject"));
}
