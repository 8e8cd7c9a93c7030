//! Who gets in.

use landfall_core::delivery::{Access, Secret};

use super::{
    Case, Destinations as _, DestinationsHarness, PortErrorKind, Purpose, Verdict, expect_kind, open, put,
};

const PURPOSES: [Purpose; 3] = [Purpose::Stage, Purpose::Commit, Purpose::Notify];

pub(super) fn cases<H: DestinationsHarness>() -> Vec<Case<H>> {
    cases![
        a_role_opens_with_its_external_id,
        a_wrong_external_id_is_refused,
        a_role_that_is_missing_is_refused,
        a_role_that_does_not_trust_us_is_refused,
        a_session_policy_that_does_not_fit_is_refused,
        a_right_the_role_lacks_is_not_given_by_the_session,
        a_right_taken_away_acts_on_open_sessions,
    ]
}

async fn a_role_opens_with_its_external_id<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    for purpose in PURPOSES {
        open(harness, &client, purpose).await?;
    }
    Ok(())
}

/// Opens for every purpose: each must be refused as a role that cannot be assumed.
async fn refused<H: DestinationsHarness>(harness: &H, access: &Access, what: &str) -> Verdict {
    for purpose in PURPOSES {
        let opened = harness.destinations().open(access, purpose).await.map(|_| ());
        expect_kind(opened, PortErrorKind::RoleRefused, what)?;
    }
    Ok(())
}

async fn a_wrong_external_id_is_refused<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let external_id = Secret::new("somebody-elses-external-id");
    refused(harness, &Access { external_id, ..client.access.clone() }, "a wrong ExternalId").await?;
    // What was refused must not spoil what is right.
    open(harness, &client, Purpose::Stage).await.map(|_| ())
}

async fn a_role_that_is_missing_is_refused<H: DestinationsHarness>(harness: &H) -> Verdict {
    let access = harness.fresh_client().await.access;
    let role_arn = format!("{}-gone", access.role_arn);
    refused(harness, &Access { role_arn, ..access }, "a role that is missing").await
}

async fn a_role_that_does_not_trust_us_is_refused<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let role_arn = client.untrusting_role;
    refused(harness, &Access { role_arn, ..client.access }, "a role that trusts somebody else").await
}

async fn a_session_policy_that_does_not_fit_is_refused<H: DestinationsHarness>(harness: &H) -> Verdict {
    let access = harness.fresh_client().await.access;
    let long = Access { temp_prefix: format!("{}/", "p".repeat(2048)), ..access };
    let opened = harness.destinations().open(&long, Purpose::Stage).await.map(|_| ());
    expect_kind(opened, PortErrorKind::Invalid, "a session policy beyond 2,048 characters")
}

async fn a_right_the_role_lacks_is_not_given_by_the_session<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    harness.deny(&client, "s3:PutObject").await;
    let stage = open(harness, &client, Purpose::Stage).await?;
    let written = put(&stage.store, &client.bucket(), &client.temp("1")).await;
    expect_kind(written, PortErrorKind::Denied, "a put the role may not do")
}

async fn a_right_taken_away_acts_on_open_sessions<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let stage = open(harness, &client, Purpose::Stage).await?;
    put(&stage.store, &client.bucket(), &client.temp("1")).await?;
    harness.deny(&client, "s3:PutObject").await;
    let written = put(&stage.store, &client.bucket(), &client.temp("2")).await;
    expect_kind(written, PortErrorKind::Denied, "a put the role may no longer do")
}
