//! The session policy: what a session in a client's account may do at most, whatever the client's role allows.
//!
//! A session's rights are the intersection of the role and this policy, so one delivery can never reach the
//! files, tables or queues of another, not even by a defect of ours.
//!
//! | purpose | hidden prefix | production prefix | listing | catalog | queues |
//! |---|---|---|---|---|---|
//! | [`Purpose::Stage`] | write, read, delete | - | hidden prefix | - | - |
//! | [`Purpose::Commit`] | write, read, delete | write, tag, read | both | the named table | - |
//! | [`Purpose::Notify`] | - | - | - | - | send |
//!
//! Listing is needed because S3 answers 403 instead of 404 for a missing key to a principal that may not list:
//! without it absence could never be told from refusal. Listing uploads is for removing those that nobody will complete;
//! S3 can bind it to no prefix.
//!
//! KMS is allowed through the services that need it and nowhere else, on whatever key they ask for: temps can stand under
//! the bucket's default key or under one that was configured before, and a catalog or a queue has its own. Which keys
//! that can be is the client's role's to say.
//!
//! In policies `*`, `?` and `$` are pattern characters. In data they are written `${*}`, `${?}`, `${$}`. STS takes
//! no character above U+00FF, so everything outside printable ASCII is written as a JSON escape.

use crate::delivery::Access;
use crate::port::Purpose;

/// The longest session policy STS accepts, in characters.
pub const SESSION_POLICY_LIMIT: usize = 2_048;

/// The session policy does not fit: prefixes, names and ARNs of the delivery are too long together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the session policy of delivery {delivery} for {purpose:?} has {length} characters, {SESSION_POLICY_LIMIT} are allowed: shorten prefixes or names"
)]
pub struct SessionPolicyTooLong {
    /// The delivery.
    pub delivery: String,
    /// The purpose whose policy is too long.
    pub purpose: Purpose,
    /// Its length in characters.
    pub length: usize,
}

const STAGE_OBJECT_ACTIONS: &[&str] = &[
    "s3:PutObject",
    "s3:GetObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
];

const PRODUCTION_OBJECT_ACTIONS: &[&str] = &[
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

/// An encrypted catalog asks for `Encrypt` too (Glue Developer Guide, "Encrypting your Data Catalog").
const CATALOG_KMS_ACTIONS: &[&str] = &["kms:GenerateDataKey", "kms:Decrypt", "kms:Encrypt"];

/// The policy text (compact JSON) of a session for `purpose`.
///
/// # Errors
/// [`SessionPolicyTooLong`] when it exceeds what STS accepts. A checked delivery document never gives one, if
/// the check asks for the policies of all purposes.
pub fn session_policy(access: &Access, purpose: Purpose) -> Result<String, SessionPolicyTooLong> {
    let statements = match purpose {
        Purpose::Stage => vec![
            allow(STAGE_OBJECT_ACTIONS, &[objects(access, &access.temp_prefix)], ""),
            listing(access, &[&access.temp_prefix]),
            encryption(access, KMS_ACTIONS, &["s3"]),
        ],
        Purpose::Commit => {
            let mut statements = vec![
                allow(STAGE_OBJECT_ACTIONS, &[objects(access, &access.temp_prefix)], ""),
                allow(PRODUCTION_OBJECT_ACTIONS, &[objects(access, &access.prefix)], ""),
                listing(access, &[&access.prefix, &access.temp_prefix]),
                allow(&["s3:ListBucketMultipartUploads"], &[bucket(access)], ""),
            ];
            match &access.glue {
                Some((database, table)) => {
                    statements.push(encryption(access, CATALOG_KMS_ACTIONS, &["s3", "glue"]));
                    statements.push(allow(GLUE_ACTIONS, &glue_resources(access, database, table), ""));
                }
                None => statements.push(encryption(access, KMS_ACTIONS, &["s3"])),
            }
            statements
        }
        Purpose::Notify if access.queue_arns.is_empty() => vec![nothing()],
        Purpose::Notify => {
            let queues: Vec<String> = access.queue_arns.iter().map(|arn| literal(arn)).collect();
            vec![allow(&["sqs:SendMessage"], &queues, ""), encryption(access, KMS_ACTIONS, &["sqs"])]
        }
    };
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
    // The text is ASCII: bytes are characters.
    if text.len() > SESSION_POLICY_LIMIT {
        return Err(SessionPolicyTooLong { delivery: access.delivery.clone(), purpose, length: text.len() });
    }
    Ok(text)
}

/// One statement. `resources` and `condition` are JSON-ready: escaped, without their quotes.
fn allow(actions: &[&str], resources: &[String], condition: &str) -> String {
    let condition = if condition.is_empty() { String::new() } else { format!(r#","Condition":{condition}"#) };
    format!(
        r#"{{"Effect":"Allow","Action":[{}],"Resource":[{}]{condition}}}"#,
        quoted(actions.iter().copied()),
        quoted(resources.iter().map(String::as_str)),
    )
}

/// A session that may do nothing: a policy needs a statement.
fn nothing() -> String {
    r#"{"Effect":"Deny","Action":["*"],"Resource":["*"]}"#.to_owned()
}

/// All objects below a prefix.
fn objects(access: &Access, prefix: &str) -> String {
    format!("{}/{}*", bucket(access), literal(prefix))
}

fn bucket(access: &Access) -> String {
    format!("arn:{}:s3:::{}", partition(access), literal(&access.bucket))
}

/// Listing what is below the prefixes.
fn listing(access: &Access, prefixes: &[&str]) -> String {
    let patterns: Vec<String> = prefixes.iter().map(|prefix| format!("{}*", literal(prefix))).collect();
    allow(
        &["s3:ListBucket"],
        &[bucket(access)],
        &format!(r#"{{"StringLike":{{"s3:prefix":[{}]}}}}"#, quoted(patterns.iter().map(String::as_str))),
    )
}

/// Encryption and decryption through these services.
fn encryption(access: &Access, actions: &[&str], services: &[&str]) -> String {
    let suffix = if partition(access) == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    let through: Vec<String> =
        services.iter().map(|service| format!("{service}.{}.{suffix}", literal(&access.region))).collect();
    let condition = format!(
        r#"{{"StringEquals":{{"kms:ViaService":[{}]}}}}"#,
        quoted(through.iter().map(String::as_str))
    );
    allow(actions, &["*".to_owned()], &condition)
}

/// Glue asks for rights on the catalog, the database and the table together.
fn glue_resources(access: &Access, database: &str, table: &str) -> [String; 3] {
    let base =
        format!("arn:{}:glue:{}:{}", partition(access), literal(&access.region), literal(&access.account));
    let (database, table) = (literal(database), literal(table));
    [
        format!("{base}:catalog"),
        format!("{base}:database/{database}"),
        format!("{base}:table/{database}/{table}"),
    ]
}

/// The partition of the role's ARN: `aws`, `aws-cn`, `aws-us-gov`.
fn partition(access: &Access) -> String {
    literal(access.role_arn.split(':').nth(1).filter(|part| !part.is_empty()).unwrap_or("aws"))
}

fn quoted<'a>(items: impl Iterator<Item = &'a str>) -> String {
    items.map(|item| format!("\"{item}\"")).collect::<Vec<_>>().join(",")
}

/// Data as a policy's JSON text: pattern characters stand for themselves, and nothing leaves the quotes.
fn literal(data: &str) -> String {
    let mut text = String::with_capacity(data.len());
    for character in data.chars() {
        match character {
            '*' | '?' | '$' => {
                text.push_str("${");
                text.push(character);
                text.push('}');
            }
            '"' | '\\' => {
                text.push('\\');
                text.push(character);
            }
            ' '..='~' => text.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    text.push_str("\\u");
                    text.extend(
                        [12, 8, 4, 0]
                            .map(|shift| char::from_digit(u32::from(*unit >> shift) & 15, 16).unwrap_or('0')),
                    );
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Secret;

    const PURPOSES: [Purpose; 3] = [Purpose::Stage, Purpose::Commit, Purpose::Notify];

    fn access() -> Access {
        Access {
            tenant: "acme".into(),
            delivery: "acme-sales".into(),
            role_arn: "arn:aws:iam::222222222222:role/landfall".into(),
            external_id: Secret::new("very-secret"),
            region: "eu-central-1".into(),
            account: "222222222222".into(),
            bucket: "acme-lake".into(),
            prefix: "lake/sales/".into(),
            temp_prefix: "_tmp/acme-sales/".into(),
            kms_key_arn: None,
            glue: Some(("lake".into(), "sales".into())),
            queue_arns: vec!["arn:aws:sqs:eu-central-1:222222222222:etl".into()],
        }
    }

    fn policy(access: &Access, purpose: Purpose) -> serde_json::Value {
        serde_json::from_str(&session_policy(access, purpose).unwrap()).unwrap()
    }

    /// All strings of the policy that name resources or stand in conditions.
    fn patterns(policy: &serde_json::Value) -> Vec<String> {
        fn strings(value: &serde_json::Value, into: &mut Vec<String>) {
            match value {
                serde_json::Value::String(text) => into.push(text.clone()),
                serde_json::Value::Array(items) => items.iter().for_each(|item| strings(item, into)),
                serde_json::Value::Object(items) => items.values().for_each(|item| strings(item, into)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        for statement in policy["Statement"].as_array().unwrap() {
            strings(&statement["Resource"], &mut found);
            strings(&statement["Condition"], &mut found);
        }
        found
    }

    /// Wildcards of a pattern that IAM would expand.
    fn live_wildcards(pattern: &str) -> usize {
        let inert = pattern.replace("${*}", "").replace("${?}", "").replace("${$}", "");
        assert!(!inert.contains('$'), "a variable is left in {pattern}");
        inert.matches(['*', '?']).count()
    }

    #[test]
    fn staging_reaches_the_hidden_prefix_only() {
        let policy = policy(&access(), Purpose::Stage);
        assert_eq!(
            policy["Statement"][0],
            serde_json::json!({
                "Effect": "Allow",
                "Action": ["s3:PutObject", "s3:GetObject", "s3:DeleteObject",
                           "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
                "Resource": ["arn:aws:s3:::acme-lake/_tmp/acme-sales/*"],
            })
        );
        assert!(!policy.to_string().contains("lake/sales/"));
        assert!(!policy.to_string().contains("glue:"));
    }

    #[test]
    fn committing_never_deletes_what_is_published() {
        let policy = policy(&access(), Purpose::Commit);
        for statement in policy["Statement"].as_array().unwrap() {
            if statement["Resource"].to_string().contains("acme-lake/lake/sales/") {
                assert!(!statement["Action"].to_string().contains("Delete"));
            }
        }
        assert_eq!(
            policy["Statement"][2],
            serde_json::json!({
                "Effect": "Allow",
                "Action": ["s3:ListBucket"],
                "Resource": ["arn:aws:s3:::acme-lake"],
                "Condition": {"StringLike": {"s3:prefix": ["lake/sales/*", "_tmp/acme-sales/*"]}},
            })
        );
        assert_eq!(
            policy["Statement"][5]["Resource"],
            serde_json::json!([
                "arn:aws:glue:eu-central-1:222222222222:catalog",
                "arn:aws:glue:eu-central-1:222222222222:database/lake",
                "arn:aws:glue:eu-central-1:222222222222:table/lake/sales",
            ])
        );
    }

    #[test]
    fn notifying_reaches_the_named_queues_only() {
        let policy = policy(&access(), Purpose::Notify);
        assert_eq!(
            policy["Statement"][0],
            serde_json::json!({
                "Effect": "Allow",
                "Action": ["sqs:SendMessage"],
                "Resource": ["arn:aws:sqs:eu-central-1:222222222222:etl"],
            })
        );
        assert!(!policy.to_string().contains("s3:"));
        let mut silent = access();
        silent.queue_arns.clear();
        assert_eq!(self::policy(&silent, Purpose::Notify)["Statement"][0]["Effect"], "Deny");
    }

    #[test]
    fn keys_are_used_only_through_the_services_of_the_purpose() {
        for (purpose, services) in [
            (Purpose::Stage, vec!["s3.eu-central-1.amazonaws.com"]),
            (Purpose::Commit, vec!["s3.eu-central-1.amazonaws.com", "glue.eu-central-1.amazonaws.com"]),
            (Purpose::Notify, vec!["sqs.eu-central-1.amazonaws.com"]),
        ] {
            let policy = policy(&access(), purpose);
            let mut found = Vec::new();
            for statement in policy["Statement"].as_array().unwrap() {
                if statement["Action"].to_string().contains("kms:") {
                    found.push(&statement["Condition"]["StringEquals"]["kms:ViaService"]);
                } else {
                    assert_ne!(statement["Resource"], serde_json::json!(["*"]));
                }
            }
            assert_eq!(found, [&serde_json::json!(services)]);
        }
        let mut chinese = access();
        chinese.role_arn = "arn:aws-cn:iam::222222222222:role/landfall".into();
        chinese.region = "cn-north-1".into();
        let text = policy(&chinese, Purpose::Stage).to_string();
        assert!(text.contains("s3.cn-north-1.amazonaws.com.cn"), "{text}");
    }

    #[test]
    fn no_wildcard_of_the_data_is_live() {
        let mut hostile = access();
        hostile.prefix = "a*/${aws:username}/?\"],\"x\\é日😀/".into();
        hostile.temp_prefix = "*".into();
        hostile.bucket = "b*".into();
        hostile.kms_key_arn = Some("arn:aws:kms:eu-central-1:222222222222:key/*".into());
        hostile.glue = Some(("*".into(), "?".into()));
        hostile.queue_arns = vec!["arn:aws:sqs:*:*:*".into()];
        for purpose in PURPOSES {
            let text = session_policy(&hostile, purpose).unwrap();
            assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            for pattern in patterns(&serde_json::from_str(&text).unwrap()) {
                // Ours are the one at the end of a prefix, and the whole word for a queue's own key.
                let ours = usize::from(pattern.ends_with('*'));
                assert!(live_wildcards(&pattern) <= ours, "{pattern}");
            }
        }
        let text = policy(&hostile, Purpose::Commit).to_string();
        assert!(text.contains("${$}{aws:username}"), "{text}");
        assert!(text.contains("é日😀"), "the JSON escapes stand for the same characters: {text}");
    }

    #[test]
    fn ordinary_long_names_fit_and_longer_ones_are_refused() {
        let mut long = access();
        long.bucket = "b".repeat(63);
        long.prefix = format!("{}/", "p".repeat(150));
        long.temp_prefix = format!("_tmp/{}/", "d".repeat(63));
        long.glue = Some(("g".repeat(64), "t".repeat(64)));
        long.kms_key_arn = Some(format!("arn:aws:kms:eu-central-1:222222222222:key/{}", "k".repeat(36)));
        for purpose in PURPOSES {
            assert!(session_policy(&long, purpose).unwrap().len() <= SESSION_POLICY_LIMIT);
        }
        long.prefix = format!("{}/", "p".repeat(1_000));
        let refused = session_policy(&long, Purpose::Commit).unwrap_err();
        assert!(refused.length > SESSION_POLICY_LIMIT);
        assert!(refused.to_string().contains("acme-sales"));
        assert!(session_policy(&long, Purpose::Stage).is_ok());
    }
}
