//! Who calls and what they may do: roles, grants, session policies.
//!
//! A session may do what its role grants *and* its session policy allows, unless the role is denied it. Nothing
//! crosses accounts: a principal of one account touches no resource of another.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use landfall_core::delivery::Access;
use landfall_core::port::Purpose;

/// How long a session of role chaining lives.
pub(crate) const SESSION_LIFE: SignedDuration = SignedDuration::from_hours(1);

/// One permission: an action on a resource. A `*` at the end of either stands for any ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    action: String,
    resource: String,
    listing: Option<String>,
}

impl Grant {
    /// Permits `action` (`s3:PutObject`, `s3:*`) on `resource` (an ARN, such as `arn:aws:s3:::bucket/prefix/*`).
    pub fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into(), listing: None }
    }

    /// The same grant under the condition `s3:prefix` begins with `prefix`. Such a grant of `s3:ListBucket` does
    /// not turn the 403 for a missing key into a 404: a read of a key carries no `s3:prefix`.
    #[must_use]
    pub fn when_listing(mut self, prefix: impl Into<String>) -> Self {
        self.listing = Some(prefix.into());
        self
    }

    fn covers(&self, action: &str, resource: &str, listing: Option<&str>) -> bool {
        matches(&self.action, action)
            && matches(&self.resource, resource)
            && self
                .listing
                .as_ref()
                .is_none_or(|prefix| listing.is_some_and(|listed| listed.starts_with(prefix.as_str())))
    }
}

pub(crate) fn allows_in(grants: &[Grant], action: &str, resource: &str, listing: Option<&str>) -> bool {
    grants.iter().any(|grant| grant.covers(action, resource, listing))
}

fn matches(pattern: &str, text: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == text, |start| text.starts_with(start))
}

/// A role in a client's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// `arn:aws:iam::<account>:role/<name>`.
    pub arn: String,
    /// The ExternalId its trust policy demands; `None` demands none.
    pub external_id: Option<String>,
    /// The accounts its trust policy names.
    pub trusted_accounts: BTreeSet<String>,
    /// What it may do.
    pub grants: Vec<Grant>,
    /// What it may not do although granted.
    pub denies: Vec<Grant>,
}

impl Role {
    /// The account the role lives in.
    pub fn account(&self) -> &str {
        self.arn.split(':').nth(4).unwrap_or_default()
    }

    pub(crate) fn admits(&self, from_account: &str, external_id: &str) -> bool {
        self.trusted_accounts.contains(from_account)
            && self.external_id.as_ref().is_none_or(|expected| expected == external_id)
    }

    pub(crate) fn allows(&self, action: &str, resource: &str, listing: Option<&str>) -> bool {
        allows_in(&self.grants, action, resource, listing)
            && !allows_in(&self.denies, action, resource, listing)
    }
}

/// A session in a client's account.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) access: Access,
    pub(crate) purpose: Purpose,
    function: Option<&'static str>,
    policy: Vec<Grant>,
}

impl Session {
    pub(crate) fn new(id: u64, access: &Access, purpose: Purpose, function: Option<&'static str>) -> Self {
        Self { id, access: access.clone(), purpose, function, policy: session_policy(access, purpose) }
    }

    pub(crate) fn allows(&self, action: &str, resource: &str, listing: Option<&str>) -> bool {
        allows_in(&self.policy, action, resource, listing)
    }
}

/// Who makes a call.
#[derive(Debug, Clone)]
pub(crate) enum Principal {
    /// landfall's own functions, in landfall's account; the name of one where the handle has one.
    Landfall(Option<&'static str>),
    /// A session under a client's role.
    Session(Arc<Session>),
}

impl Principal {
    /// The function that calls, also through a client's role.
    pub(crate) fn function(&self) -> Option<&'static str> {
        match self {
            Self::Landfall(function) => *function,
            Self::Session(session) => session.function,
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Landfall(_) => "landfall",
            Self::Session(session) => &session.access.role_arn,
        }
    }
}

/// What a session may do at most: `landfall_core::session_policy` as grants. A test holds the two together.
pub(crate) fn session_policy(access: &Access, purpose: Purpose) -> Vec<Grant> {
    let bucket = bucket_arn(&access.bucket);
    let temps = allow(STAGE_ACTIONS, &format!("{bucket}/{}*", access.temp_prefix));
    let production = allow(PRODUCTION_ACTIONS, &format!("{bucket}/{}*", access.prefix));
    let listing = |prefix: &str| Grant::new("s3:ListBucket", &bucket).when_listing(prefix);
    let keys = allow(KMS_ACTIONS, "*");
    match purpose {
        Purpose::Stage => [temps, vec![listing(&access.temp_prefix)], keys].concat(),
        Purpose::Commit => {
            let glue = access.glue.as_ref().map(|(database, table)| glue_policy(access, database, table));
            let uploads = Grant::new("s3:ListBucketMultipartUploads", &bucket);
            let listings = vec![listing(&access.prefix), listing(&access.temp_prefix), uploads];
            let keys = if glue.is_some() { allow(CATALOG_KMS_ACTIONS, "*") } else { keys };
            [temps, production, listings, keys, glue.unwrap_or_default()].concat()
        }
        Purpose::Notify => {
            let queues = access.queue_arns.iter().map(|arn| Grant::new("sqs:SendMessage", arn));
            queues.chain(allow(KMS_ACTIONS, "*")).collect()
        }
    }
}

const STAGE_ACTIONS: &[&str] = &[
    "s3:PutObject",
    "s3:GetObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
];

const PRODUCTION_ACTIONS: &[&str] = &[
    "s3:PutObject",
    "s3:PutObjectTagging",
    "s3:GetObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
];

const GLUE_ACTIONS: &[&str] = &[
    "glue:CreateDatabase",
    "glue:GetTable",
    "glue:CreateTable",
    "glue:GetPartition",
    "glue:BatchCreatePartition",
];

const KMS_ACTIONS: &[&str] = &["kms:GenerateDataKey", "kms:Decrypt"];
const CATALOG_KMS_ACTIONS: &[&str] = &["kms:GenerateDataKey", "kms:Decrypt", "kms:Encrypt"];

fn allow(actions: &[&str], resource: &str) -> Vec<Grant> {
    actions.iter().map(|action| Grant::new(*action, resource)).collect()
}

fn glue_policy(access: &Access, database: &str, table: &str) -> Vec<Grant> {
    ["catalog".to_owned(), format!("database/{database}"), format!("table/{database}/{table}")]
        .iter()
        .flat_map(|entity| allow(GLUE_ACTIONS, &glue_arn(&access.region, &access.account, entity)))
        .collect()
}

/// What a client grants when it follows our template: everything a delivery needs, below its prefixes.
pub(crate) fn client_grants(access: &Access) -> Vec<Grant> {
    [Purpose::Stage, Purpose::Commit, Purpose::Notify]
        .into_iter()
        .flat_map(|purpose| session_policy(access, purpose))
        .collect()
}

pub(crate) fn bucket_arn(bucket: &str) -> String {
    format!("arn:aws:s3:::{bucket}")
}

pub(crate) fn object_arn(bucket: &str, key: &str) -> String {
    format!("arn:aws:s3:::{bucket}/{key}")
}

pub(crate) fn glue_arn(region: &str, account: &str, rest: &str) -> String {
    format!("arn:aws:glue:{region}:{account}:{rest}")
}

/// When a session that begins now must be renewed.
pub(crate) fn session_end(now: Timestamp) -> Timestamp {
    now.checked_add(SESSION_LIFE).unwrap_or(now)
}
