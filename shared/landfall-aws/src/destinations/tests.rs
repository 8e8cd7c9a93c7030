//! Sessions: what is asked of STS, when it is asked again, and what a refusal becomes.

use jiff::SignedDuration;
use landfall_core::delivery::{Capabilities, Secret};
use landfall_core::error::{Effect, ErrorClass, PortErrorKind};
use landfall_core::port::{CopyOutcome, CopyRequest, Destinations, ObjectAttributes, ObjectStore, Purpose};
use percent_encoding::percent_decode_str;

use crate::replay::{Answer, Asked, Replay, TestClock, access, answer, lake, s3_error, with_headers};

/// A session that ends at `expires`.
fn session(key: &str, expires: &str) -> Answer {
    answer(
        200,
        format!(
            "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
             <AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>token-{key}</SessionToken>\
             <Expiration>{expires}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
        ),
    )
}

fn sts_error(status: u16, code: &str) -> Answer {
    answer(
        status,
        format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>not with very-secret</Message></Error></ErrorResponse>"
        ),
    )
}

fn head() -> Answer {
    with_headers(200, &[("etag", "\"e\"")], "")
}

fn is_sts(asked: &Asked) -> bool {
    asked.body.contains("Action=AssumeRole")
}

#[tokio::test]
async fn the_role_is_assumed_with_external_id_and_policy() {
    let replay = Replay::new([session("A", "2026-05-19T11:00:00Z"), head()]);
    let destinations = replay.clients().destinations();
    let opened = destinations.open(&access(), Purpose::Stage).await.unwrap();
    opened.store.head(&lake(), "_tmp/acme-sales/x").await.unwrap();
    let asked = replay.asked();
    let form = percent_decode_str(&asked[0].body).decode_utf8().unwrap().into_owned();
    for part in [
        "RoleArn=arn:aws:iam::222222222222:role/landfall",
        "RoleSessionName=landfall-acme-sales",
        "ExternalId=very-secret",
        "DurationSeconds=3600",
        r#"Policy={"Version":"2012-10-17","#,
        "acme-lake/_tmp/acme-sales/*",
    ] {
        assert!(form.contains(part), "{part} is not in {form}");
    }
    assert_eq!(asked[1].header("x-amz-security-token"), "token-A");
    assert!(asked[1].uri.contains("eu-west-1"), "the client's region: {}", asked[1].uri);
}

#[tokio::test]
async fn a_clients_objects_are_read_through_the_sdk() {
    let replay = Replay::new([session("A", "2026-05-19T11:00:00Z"), head()]);
    let opened = replay.clients().destinations().open(&access(), Purpose::Commit).await.unwrap();
    opened.store.get(&lake(), "lake/sales/x", Some("e"), None).await.unwrap();
    assert!(replay.asked()[1].uri.ends_with("?x-id=GetObject"), "{}", replay.asked()[1].uri);
}

#[tokio::test]
async fn sessions_are_kept_per_access_and_purpose() {
    let replay = Replay::new([
        session("A", "2026-05-19T11:00:00Z"),
        session("B", "2026-05-19T11:00:00Z"),
        session("C", "2026-05-19T11:00:00Z"),
    ]);
    let destinations = replay.clients().destinations();
    for _ in 0..3 {
        destinations.open(&access(), Purpose::Stage).await.unwrap();
    }
    assert_eq!(replay.asked().len(), 1);
    destinations.clone().open(&access(), Purpose::Commit).await.unwrap();
    assert_eq!(replay.asked().len(), 2);
    let mut changed = access();
    changed.external_id = Secret::new("another-secret");
    destinations.open(&changed, Purpose::Stage).await.unwrap();
    assert_eq!(replay.asked().len(), 3);
}

#[tokio::test]
async fn a_session_near_its_end_is_renewed_before_the_next_request() {
    let clock = TestClock::default();
    let replay = Replay::new([
        session("A", "2026-05-19T11:00:00Z"),
        head(),
        session("B", "2026-05-19T12:00:00Z"),
        head(),
    ]);
    let store =
        replay.clients_at(&clock).destinations().open(&access(), Purpose::Commit).await.unwrap().store;
    clock.advance(SignedDuration::from_mins(50));
    store.head(&lake(), "k").await.unwrap();
    clock.advance(SignedDuration::from_mins(6));
    store.head(&lake(), "k").await.unwrap();
    let asked = replay.asked();
    assert_eq!(asked.iter().map(is_sts).collect::<Vec<_>>(), [true, false, true, false]);
    assert_eq!(asked[3].header("x-amz-security-token"), "token-B");
}

/// A file copied in six parts while its session comes to its end.
fn large_copy<'a>(attributes: &'a ObjectAttributes, capabilities: &'a Capabilities) -> CopyRequest<'a> {
    CopyRequest {
        source_key: "_tmp/acme-sales/x",
        source_etag: "e",
        source_size: 3 * 1024 * 1024 * 1024,
        key: "lake/sales/x",
        attributes,
        capabilities,
    }
}

const IN_PARTS: Capabilities = Capabilities {
    full_object_multipart_checksum: true,
    copy_checksum: true,
    conditional_copy: false,
    multipart_tags: true,
};

fn begun() -> Answer {
    answer(200, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
}

fn part() -> Answer {
    answer(200, "<CopyPartResult><ETag>\"p\"</ETag></CopyPartResult>")
}

fn completed() -> Answer {
    answer(200, "<CompleteMultipartUploadResult><ETag>\"c-6\"</ETag></CompleteMultipartUploadResult>")
}

#[tokio::test]
async fn a_session_that_ends_in_the_middle_of_a_long_copy_is_renewed_between_its_parts() {
    let clock = TestClock::default();
    let first = [session("A", "2026-05-19T11:00:00Z"), begun(), part(), part(), part()];
    let second = [session("B", "2026-05-19T12:00:00Z"), part(), part(), part(), completed()];
    // Twelve minutes a request: the fourth part is asked for at 11:00, when the session is over.
    let replay = Replay::new(first.into_iter().chain(second)).taking(&clock, SignedDuration::from_mins(12));
    let opened = replay.clients_at(&clock).destinations().open(&access(), Purpose::Commit).await.unwrap();
    let attributes = ObjectAttributes::default();
    let outcome = opened.store.copy(&lake(), &large_copy(&attributes, &IN_PARTS)).await.unwrap();
    assert!(matches!(outcome, CopyOutcome::Copied { .. }), "{outcome:?}");
    let tokens: Vec<String> =
        replay.asked().iter().map(|asked| asked.header("x-amz-security-token").to_owned()).collect();
    let expected = ["", "token-A", "token-A", "token-A", "token-A", "", "token-B", "token-B", "token-B"];
    assert_eq!(tokens[..9], expected);
    assert_eq!(tokens.last().unwrap(), "token-B");
}

#[tokio::test]
async fn a_session_refused_in_the_middle_of_a_long_copy_ends_it_without_a_trace() {
    let answers = [session("A", "2026-05-19T11:00:00Z"), begun(), part(), s3_error(400, "ExpiredToken")];
    let after = [session("B", "2026-05-19T12:00:00Z"), answer(204, "")];
    let replay = Replay::new(answers.into_iter().chain(after));
    let opened = replay.clients().destinations().open(&access(), Purpose::Commit).await.unwrap();
    let attributes = ObjectAttributes::default();
    let error = opened.store.copy(&lake(), &large_copy(&attributes, &IN_PARTS)).await.unwrap_err();
    assert_eq!((error.class(), error.effect), (ErrorClass::Transient, Effect::None), "surely not copied");
    let abort = replay.asked().pop().unwrap();
    assert_eq!((abort.method.as_str(), abort.header("x-amz-security-token")), ("DELETE", "token-B"));
}

#[tokio::test]
async fn a_refused_renewal_is_the_error_of_the_request() {
    let clock = TestClock::default();
    let replay = Replay::new([session("A", "2026-05-19T11:00:00Z"), sts_error(403, "AccessDenied")]);
    let store =
        replay.clients_at(&clock).destinations().open(&access(), Purpose::Commit).await.unwrap().store;
    clock.advance(SignedDuration::from_mins(56));
    assert_eq!(store.head(&lake(), "k").await.unwrap_err().kind, PortErrorKind::RoleRefused);
}

#[tokio::test]
async fn a_renewal_that_fails_in_passing_leaves_the_session_usable() {
    let clock = TestClock::default();
    let replay =
        Replay::new([session("A", "2026-05-19T11:00:00Z"), Answer::Lost, Answer::Lost, Answer::Lost, head()]);
    let store =
        replay.clients_at(&clock).destinations().open(&access(), Purpose::Commit).await.unwrap().store;
    clock.advance(SignedDuration::from_mins(56));
    store.head(&lake(), "k").await.unwrap();
}

#[tokio::test]
async fn a_session_that_ran_out_early_is_opened_anew() {
    let replay = Replay::new([
        session("A", "2026-05-19T11:00:00Z"),
        s3_error(400, "ExpiredToken"),
        session("B", "2026-05-19T11:00:00Z"),
        with_headers(200, &[("etag", "\"e\""), ("content-length", "0")], ""),
    ]);
    let store = replay.clients().destinations().open(&access(), Purpose::Commit).await.unwrap().store;
    let expired = store.get(&lake(), "k", None, None).await.unwrap_err();
    assert_eq!(expired.class(), ErrorClass::Transient);
    store.get(&lake(), "k", None, None).await.unwrap();
}

#[tokio::test]
async fn refusals_are_typed_and_never_show_the_external_id() {
    let replay = Replay::new([sts_error(403, "AccessDenied")]);
    let error = replay.clients().destinations().open(&access(), Purpose::Notify).await.unwrap_err();
    assert_eq!((error.kind, error.class()), (PortErrorKind::RoleRefused, ErrorClass::ClientFixable));
    assert_eq!(error.code.as_deref(), Some("AccessDenied"));
    let shown = format!("{error} {error:?} {:?}", replay.clients().destinations());
    assert!(!shown.contains("very-secret"), "{shown}");

    let replay = Replay::new([Answer::Lost, Answer::Lost, Answer::Lost]);
    let error = replay.clients().destinations().open(&access(), Purpose::Notify).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient);
}

#[tokio::test]
async fn opened_destinations_can_be_shown() {
    let replay = Replay::new([session("AKIAKEY", "2026-05-19T11:00:00Z")]);
    let opened = replay.clients().destinations().open(&access(), Purpose::Stage).await.unwrap();
    let shown = format!("{opened:?}");
    for secret in ["very-secret", "token-AKIAKEY", "AKIAKEY"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
