use landfall_core::error::PortErrorKind;
use landfall_core::port::{
    Catalog as _, CatalogPartition, CatalogTable, CopyOutcome, Destinations as _, OutgoingMessage, Purpose,
    Queue as _,
};
use landfall_core::session_policy::session_policy;

use super::*;

#[tokio::test]
async fn a_role_opens_only_with_its_external_id() {
    let aws = FakeAws::new();
    aws.admit_client(&access());
    assert!(aws.destinations().open(&access(), Purpose::Stage).await.is_ok());
    let wrong = Access { external_id: Secret::new("guessed"), ..access() };
    let refused = aws.destinations().open(&wrong, Purpose::Stage).await.unwrap_err();
    assert_eq!(refused.kind, PortErrorKind::RoleRefused);
    aws.remove_role(ROLE);
    assert!(aws.destinations().open(&access(), Purpose::Stage).await.is_err());
}

#[tokio::test]
async fn a_session_reaches_only_what_its_purpose_needs() {
    let aws = FakeAws::new();
    let lake = aws.admit_client(&access());
    let attributes = ObjectAttributes::default();
    let stage = aws.destinations().open(&access(), Purpose::Stage).await.unwrap();
    let put =
        |key: &'static str| stage.store.put(&lake, key, Bytes::new(), &Condition::Absent, None, &attributes);
    put("_tmp/acme-sales/1").await.unwrap();
    for key in ["lake/sales/1", "_tmp/acme-other/1", "x"] {
        assert_eq!(put(key).await.unwrap_err().kind, PortErrorKind::Denied, "{key}");
    }
    let etag = aws.object("acme-lake", "_tmp/acme-sales/1").unwrap().etag;
    let from = ("_tmp/acme-sales/1", etag.as_str(), 0);
    let all = Capabilities::default();
    assert!(copy(&stage.store, &lake, from, "lake/sales/1", &all).await.is_err());
    let commit = aws.destinations().open(&access(), Purpose::Commit).await.unwrap();
    let copied = copy(&commit.store, &lake, from, "lake/sales/1", &all).await.unwrap();
    assert!(matches!(copied, CopyOutcome::Copied { .. }));
    let published = aws.object("acme-lake", "lake/sales/1").unwrap().etag;
    assert!(commit.store.delete(&lake, "lake/sales/1", &published).await.is_err(), "never deleted by us");
    let notify = aws.destinations().open(&access(), Purpose::Notify).await.unwrap();
    assert!(notify.store.list(&lake, "lake/sales/", None, None).await.is_err());
    let hello = [OutgoingMessage::plain("hi")];
    assert!(notify.queue.send(QUEUE, &hello).await[0].is_ok());
    assert!(commit.queue.send(QUEUE, &hello).await[0].is_err());
}

#[tokio::test]
async fn absence_is_found_although_listing_is_bound_to_prefixes() {
    let aws = FakeAws::new();
    let lake = aws.admit_client(&access());
    let commit = aws.destinations().open(&access(), Purpose::Commit).await.unwrap();
    assert_eq!(commit.store.head(&lake, "lake/sales/none").await.unwrap(), None);
    assert_eq!(aws.calls_of("ListObjectsV2").len(), 1, "HEAD said 403: only a listing can say absent");
    let gone =
        copy(&commit.store, &lake, ("_tmp/acme-sales/1", "e", 1), "lake/sales/1", &Capabilities::default())
            .await;
    assert_eq!(gone.unwrap(), CopyOutcome::SourceChanged);
    aws.deny(ROLE, "s3:ListBucket");
    let refused = commit.store.head(&lake, "lake/sales/none").await.unwrap_err();
    assert_eq!(refused.kind, PortErrorKind::Denied, "without any listing nobody can tell");
}

#[tokio::test]
async fn a_permission_taken_away_acts_on_open_sessions() {
    let aws = FakeAws::new();
    aws.admit_client(&access());
    let commit = aws.destinations().open(&access(), Purpose::Commit).await.unwrap();
    let table = CatalogTable {
        database: "lake".into(),
        table: "sales".into(),
        location: "s3://acme-lake/lake/sales/".into(),
        columns: Vec::new(),
        partition_keys: Vec::new(),
        parameters: BTreeMap::new(),
    };
    let partition = CatalogPartition { values: Vec::new(), location: "s3://acme-lake/lake/sales/".into() };
    aws.deny(ROLE, "glue:BatchCreatePartition");
    let refused = commit.catalog.register(&table, std::slice::from_ref(&partition)).await.unwrap_err();
    assert_eq!(refused.kind, PortErrorKind::CatalogRefused);
    aws.allow_again(ROLE);
    let change = commit.catalog.register(&table, std::slice::from_ref(&partition)).await.unwrap();
    assert_eq!((change.table_created, change.partitions_created), (false, 1));
    let other = CatalogTable { table: "other".into(), ..table };
    assert!(commit.catalog.register(&other, &[]).await.is_err(), "only the named table");
}

#[tokio::test]
async fn a_session_that_ran_out_needs_the_trust_again() {
    let aws = FakeAws::new();
    let lake = aws.admit_client(&access());
    let stage = aws.destinations().open(&access(), Purpose::Stage).await.unwrap();
    let list = || stage.store.list(&lake, "_tmp/acme-sales/", None, None);
    aws.clock().advance(jiff::SignedDuration::from_hours(2));
    list().await.unwrap();
    let mut role = aws.role(ROLE).unwrap();
    role.external_id = Some("changed".into());
    aws.put_role(role);
    list().await.unwrap();
    aws.clock().advance(jiff::SignedDuration::from_hours(2));
    assert_eq!(list().await.unwrap_err().kind, PortErrorKind::RoleRefused);
}

#[test]
fn grants_say_what_the_session_policy_says() {
    use crate::fake::identity::{allows_in, session_policy as grants};
    let bound = access();
    for purpose in [Purpose::Stage, Purpose::Commit, Purpose::Notify] {
        let text = session_policy(&bound, purpose).unwrap();
        let policy: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut stated = 0;
        for statement in policy["Statement"].as_array().unwrap() {
            let strings = |value: &serde_json::Value| -> Vec<String> {
                value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
            };
            let listing = statement["Condition"]["StringLike"].get("s3:prefix").map(&strings);
            for action in strings(&statement["Action"]) {
                for resource in strings(&statement["Resource"]) {
                    for prefix in
                        listing.clone().map_or(vec![None], |all| all.into_iter().map(Some).collect())
                    {
                        let resource = resource.trim_end_matches('*');
                        let prefix = prefix.as_deref().map(|prefix| prefix.trim_end_matches('*'));
                        stated += 1;
                        assert!(
                            allows_in(&grants(&bound, purpose), &action, resource, prefix),
                            "the fake's session for {purpose:?} lacks {action} on {resource}"
                        );
                    }
                }
            }
        }
        assert_eq!(
            grants(&bound, purpose).len(),
            stated,
            "the fake allows more than the policy of {purpose:?}"
        );
    }
}
