//! Who may do what: role, session policy, owner, keys.

use landfall_core::error::PortErrorKind;
use landfall_core::port::{
    Catalog as _, CatalogTable, Destinations as _, GetOutcome, OutgoingMessage, Purpose, Queue as _,
};

use super::*;
use crate::fake::{Grant, HOME_ACCOUNT, Role};

const KEY: &str = "arn:aws:kms:eu-central-1:222222222222:key/lake";

/// A client whose role has exactly these grants.
fn client(grants: &[(&str, &str)]) -> (FakeAws, Bucket) {
    let aws = FakeAws::new();
    let lake = aws.admit_client(&access());
    let grants = grants.iter().map(|(action, resource)| Grant::new(*action, *resource)).collect();
    aws.put_role(Role { grants, ..aws.role(ROLE).unwrap() });
    (aws, lake)
}

async fn write(store: &FakeStore, bucket: &Bucket, key: &str) -> Option<PortErrorKind> {
    let attributes = ObjectAttributes::default();
    let put = store.put(bucket, key, Bytes::new(), &Condition::Absent, None, &attributes).await;
    put.err().map(|error| error.kind)
}

fn table(database: &str, name: &str) -> CatalogTable {
    CatalogTable {
        database: database.into(),
        table: name.into(),
        location: "s3://acme-lake/lake/sales/".into(),
        columns: Vec::new(),
        partition_keys: Vec::new(),
        parameters: BTreeMap::new(),
    }
}

#[tokio::test]
async fn a_session_may_do_what_role_and_session_policy_both_allow() {
    let ours = "arn:aws:s3:::acme-lake/_tmp/acme-sales/*";
    let denied = Some(PortErrorKind::Denied);
    for (grants, own, foreign) in [
        (vec![("*", "*")], None, denied),
        (vec![("s3:*", ours)], None, denied),
        (vec![("s3:PutObject", ours)], None, denied),
        (vec![("s3:PutObject", "arn:aws:s3:::acme-lake/lake/sales/*")], denied, denied),
        (vec![("s3:PutObject", "arn:aws:s3:::other/*")], denied, denied),
        (vec![("s3:GetObject", "*")], denied, denied),
        (vec![], denied, denied),
    ] {
        let (aws, lake) = client(&grants);
        let stage = aws.destinations().open(&access(), Purpose::Stage).await.unwrap();
        assert_eq!(write(&stage.store, &lake, "_tmp/acme-sales/1").await, own, "{grants:?}");
        assert_eq!(write(&stage.store, &lake, "lake/sales/1").await, foreign, "{grants:?}");
        // A denial goes before every grant, and only for what it names.
        let mut role = aws.role(ROLE).unwrap();
        role.denies.push(Grant::new("s3:PutObject", "arn:aws:s3:::acme-lake/_tmp/acme-sales/2*"));
        aws.put_role(role);
        assert_eq!(write(&stage.store, &lake, "_tmp/acme-sales/2").await, denied, "{grants:?}");
        assert_eq!(write(&stage.store, &lake, "_tmp/acme-sales/3").await, own, "{grants:?}");
    }
}

#[tokio::test]
async fn a_bucket_of_another_account_is_out_of_reach_whatever_the_role_allows() {
    let (aws, _) = client(&[("*", "*")]);
    aws.hand_over("acme-lake", "333333333333");
    let stage = aws.destinations().open(&access(), Purpose::Stage).await.unwrap();
    for owner in ["222222222222", "333333333333"] {
        let bucket = Bucket { name: "acme-lake".into(), owner: owner.into() };
        assert_eq!(write(&stage.store, &bucket, "_tmp/acme-sales/1").await, Some(PortErrorKind::Denied));
    }
}

#[tokio::test]
async fn a_role_opens_to_whom_it_trusts_alone() {
    let (aws, _) = client(&[("*", "*")]);
    let role = aws.role(ROLE).unwrap();
    for (trusted, opens) in [(HOME_ACCOUNT, true), ("333333333333", false)] {
        aws.put_role(Role { trusted_accounts: [trusted.to_owned()].into(), ..role.clone() });
        let opened = aws.destinations().open(&access(), Purpose::Stage).await.map(|_| ());
        assert_eq!(opened.is_ok(), opens, "{trusted}");
        if let Err(refused) = opened {
            assert_eq!(refused.kind, PortErrorKind::RoleRefused);
        }
    }
}

#[tokio::test]
async fn objects_are_encrypted_and_read_by_who_may_use_the_key_alone() {
    let all = [("s3:*", "*"), ("kms:GenerateDataKey", KEY), ("kms:Decrypt", KEY)];
    let refused = Some(PortErrorKind::KeyRefused);
    let other_key = "arn:aws:kms:eu-central-1:222222222222:key/other";
    for (what, grants, writes, reads, uploads) in [
        ("both rights", all.to_vec(), None, None, None),
        ("no right to encrypt", vec![all[0], all[2]], refused, None, refused),
        ("no right to decrypt", vec![all[0], all[1]], None, refused, refused),
        ("another key", vec![all[0], ("kms:*", other_key)], refused, refused, refused),
    ] {
        let (aws, lake) = client(&grants);
        aws.set_kms_key(KEY, true);
        aws.set_default_key("acme-lake", KEY);
        aws.put_object("acme-lake", "_tmp/acme-sales/1", "rows");
        let store = aws.destinations().open(&access(), Purpose::Stage).await.unwrap().store;
        assert_eq!(write(&store, &lake, "_tmp/acme-sales/2").await, writes, "{what}");
        let got = store.get(&lake, "_tmp/acme-sales/1", None, None).await;
        assert_eq!(got.as_ref().err().map(|error| error.kind), reads, "{what}");
        assert!(got.is_err() || matches!(got, Ok(GetOutcome::Found(..))), "{what}");
        let plain = ObjectAttributes::default();
        let upload = store.create_upload(&lake, "_tmp/acme-sales/3", &plain, &Capabilities::default()).await;
        assert_eq!(upload.err().map(|error| error.kind), uploads, "{what}");
        aws.set_kms_key(KEY, false);
        assert_eq!(write(&store, &lake, "_tmp/acme-sales/4").await, refused, "{what}, disabled");
    }
}

#[tokio::test]
async fn a_key_of_another_account_is_refused() {
    let (aws, lake) = client(&[("*", "*")]);
    let key = "arn:aws:kms:eu-central-1:333333333333:key/theirs";
    aws.set_kms_key(key, true);
    aws.set_default_key("acme-lake", key);
    let store = aws.destinations().open(&access(), Purpose::Stage).await.unwrap().store;
    assert_eq!(write(&store, &lake, "_tmp/acme-sales/1").await, Some(PortErrorKind::KeyRefused));
}

#[tokio::test]
async fn a_queue_is_reached_by_its_own_arn_and_key() {
    let other = "arn:aws:sqs:eu-central-1:222222222222:other";
    let keys = [("kms:GenerateDataKey", KEY), ("kms:Decrypt", KEY)];
    for (grants, encrypted, expected) in [
        (vec![("sqs:SendMessage", QUEUE)], false, None),
        (vec![("sqs:SendMessage", other)], false, Some(PortErrorKind::QueueRefused)),
        (vec![("sqs:ReceiveMessage", QUEUE)], false, Some(PortErrorKind::QueueRefused)),
        (vec![("sqs:SendMessage", QUEUE)], true, Some(PortErrorKind::KeyRefused)),
        (vec![("sqs:SendMessage", QUEUE), keys[0]], true, Some(PortErrorKind::KeyRefused)),
        (vec![("sqs:SendMessage", QUEUE), keys[0], keys[1]], true, None),
    ] {
        let (aws, _) = client(&grants);
        aws.set_kms_key(KEY, true);
        if encrypted {
            aws.change_queue(QUEUE, |spec| spec.kms_key = Some(KEY.to_owned()));
        }
        let notify = aws.destinations().open(&access(), Purpose::Notify).await.unwrap();
        let sent = notify.queue.send(QUEUE, &[OutgoingMessage::plain("hi")]).await.remove(0);
        assert_eq!(sent.err().map(|error| error.kind), expected, "{grants:?}");
    }
}

#[tokio::test]
async fn glue_asks_for_catalog_database_and_table_together() {
    let arn = |entity: &str| format!("arn:aws:glue:eu-central-1:222222222222:{entity}");
    let (catalog, database, sales) = (arn("catalog"), arn("database/lake"), arn("table/lake/sales"));
    let (other_database, other_table) = (arn("database/other"), arn("table/lake/other"));
    for (resources, allowed) in [
        ([&catalog, &database, &sales], true),
        ([&database, &database, &sales], false),
        ([&catalog, &catalog, &sales], false),
        ([&catalog, &database, &database], false),
        ([&catalog, &other_database, &sales], false),
        ([&catalog, &database, &other_table], false),
    ] {
        let grants: Vec<(&str, &str)> = resources.iter().map(|arn| ("glue:*", arn.as_str())).collect();
        let (aws, _) = client(&grants);
        let commit = aws.destinations().open(&access(), Purpose::Commit).await.unwrap();
        let registered = commit.catalog.register(&table("lake", "sales"), &[]).await;
        assert_eq!(registered.is_ok(), allowed, "{resources:?}");
        if let Err(refused) = registered {
            assert_eq!(refused.kind, PortErrorKind::CatalogRefused, "{resources:?}");
        }
    }
}

#[tokio::test]
async fn an_encrypted_catalog_asks_for_its_key() {
    let actions = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"];
    for missing in [None, Some(0), Some(1), Some(2)] {
        let mut grants = vec![("glue:*", "*")];
        let granted = actions.iter().enumerate().filter(|(index, _)| Some(*index) != missing);
        grants.extend(granted.map(|(_, action)| (*action, KEY)));
        let (aws, _) = client(&grants);
        aws.set_kms_key(KEY, true);
        aws.set_catalog_key("222222222222", KEY);
        let commit = aws.destinations().open(&access(), Purpose::Commit).await.unwrap();
        let registered = commit.catalog.register(&table("lake", "sales"), &[]).await;
        let expected = missing.map(|_| PortErrorKind::KeyRefused);
        assert_eq!(registered.err().map(|error| error.kind), expected, "{grants:?}");
    }
}
