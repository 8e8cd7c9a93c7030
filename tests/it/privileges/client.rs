//! The role that clients deploy (infra/client.yaml) against the session policies that narrow it: what a session asks for
//! beyond the role it never gets, and what the role grants beyond the sessions nobody needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use landfall_core::delivery::{Access, Secret};
use landfall_core::port::Purpose;
use landfall_core::session_policy::session_policy;
use serde_json::Value;

use super::fits;

const KEY: &str = "arn:aws:kms:eu-central-1:222222222222:key/any";

/// Granted by the role and used by no session: nothing may join them unseen.
const UNUSED: [&str; 0] = [];

/// A delivery as the role of the template is made for it.
fn access() -> Access {
    Access {
        tenant: "acme".into(),
        delivery: "acme-sales".into(),
        role_arn: "arn:aws:iam::222222222222:role/landfall-delivery".into(),
        external_id: Secret::new("agreed-with-the-client"),
        region: "eu-central-1".into(),
        account: "222222222222".into(),
        bucket: "acme-lake".into(),
        prefix: "lake/sales/".into(),
        temp_prefix: "_tmp/acme-sales/".into(),
        kms_key_arn: Some(KEY.into()),
        glue: Some(("lake".into(), "sales".into())),
        queue_arns: vec!["arn:aws:sqs:eu-central-1:222222222222:etl".into()],
    }
}

/// The text of the template with the parameters of that delivery.
fn text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/client.yaml");
    let mut text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    for (parameter, value) in [
        ("AWS::Partition", "aws"),
        ("AWS::Region", "eu-central-1"),
        ("AWS::AccountId", "222222222222"),
        ("AWS::URLSuffix", "amazonaws.com"),
        ("BucketName", "acme-lake"),
        ("ProductionPrefix", "lake/sales/"),
        ("TempPrefix", "_tmp/"),
        ("GlueDatabase", "lake"),
        ("QueueName", "etl"),
        ("Suffix", ""),
    ] {
        text = text.replace(&format!("${{{parameter}}}"), value);
    }
    // One key and one more queue stand for all of them.
    for parameter in ["KmsKeyArn", "GlueKmsKeyArn", "QueueKmsKeyArn"] {
        text = text.replace(&format!("!Ref {parameter}\n"), &format!("{KEY}\n"));
    }
    text.replace("!Ref MoreQueueArns", "arn:aws:sqs:eu-central-1:222222222222:more").replace("!Sub ", "")
}

/// A permission of the role: an action on resources, bound to prefixes or to a service where it is.
#[derive(Debug, Default, Clone)]
struct Permission {
    actions: Vec<String>,
    resources: Vec<String>,
    /// Values of `s3:prefix`, or of `kms:ViaService`.
    bound: Vec<String>,
}

/// The permissions of the role, as the template says.
fn permissions() -> BTreeMap<String, Permission> {
    let text = text();
    let lines = text.lines().map(str::trim).skip_while(|line| *line != "- PolicyName: landfall-delivery");
    let lines = lines.take_while(|line| *line != "EtlQueue:");
    let (mut all, mut sid, mut field) = (BTreeMap::<String, Permission>::new(), String::new(), "");
    for line in lines {
        if let Some((_, name)) = line.split_once("Sid: ") {
            name.clone_into(&mut sid);
            field = "";
            continue;
        }
        let Some(statement) = (!sid.is_empty()).then(|| all.entry(sid.clone()).or_default()) else {
            continue;
        };
        let mut value = line.strip_prefix("- ").unwrap_or(line);
        for name in ["Action", "Resource", "Condition", "s3:prefix", "StringEquals"] {
            if let Some(rest) = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')) {
                field = name;
                value = rest.trim();
            }
        }
        if let Some((_, service)) = value.split_once("kms:ViaService: ") {
            statement.bound.push(service.trim_matches(['"', ' ', '}']).to_owned());
            continue;
        }
        let values = value.trim_matches(['[', ']']).split(", ").filter(|value| value.contains(':'));
        match field {
            "Action" => statement.actions.extend(values.map(str::to_owned)),
            "Resource" => {
                statement
                    .resources
                    .extend(values.filter(|value| value.starts_with("arn:")).map(str::to_owned));
            }
            "s3:prefix" if value.ends_with('*') => statement.bound.push(value.to_owned()),
            _ => {}
        }
    }
    all
}

/// A permission a session asks for: action, resource, and what it is bound to.
fn asked() -> Vec<(String, String, Vec<String>)> {
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut asked = Vec::new();
    for purpose in [Purpose::Stage, Purpose::Commit, Purpose::Notify] {
        let policy: Value = serde_json::from_str(&session_policy(&access(), purpose).unwrap()).unwrap();
        for statement in policy["Statement"].as_array().unwrap() {
            let condition = &statement["Condition"];
            let bound = [&condition["StringLike"]["s3:prefix"], &condition["StringEquals"]["kms:ViaService"]];
            let bound: Vec<String> = bound.into_iter().flat_map(strings).collect();
            for action in strings(&statement["Action"]) {
                for resource in strings(&statement["Resource"]) {
                    // Any key the role names.
                    let resource = if resource == "*" { KEY.to_owned() } else { resource };
                    asked.push((action.clone(), resource, bound.clone()));
                }
            }
        }
    }
    asked
}

/// Whether the role allows all that an asked permission covers.
fn allowed(role: &BTreeMap<String, Permission>, action: &str, resource: &str, bound: &[String]) -> bool {
    let within = |permission: &&Permission| {
        permission.actions.iter().any(|allowed| allowed == action)
            && permission.resources.iter().any(|pattern| fits(pattern, resource))
    };
    let of: Vec<&Permission> = role.values().filter(within).collect();
    let free = of.iter().any(|permission| permission.bound.is_empty());
    let covers = |wanted: &String| {
        let mut patterns = of.iter().flat_map(|permission| &permission.bound);
        patterns.any(|pattern| fits(pattern, wanted))
    };
    // A session names the services of all keys together, the role those of each key.
    let bound_alike =
        if action.starts_with("kms:") { bound.iter().any(covers) } else { bound.iter().all(covers) };
    !of.is_empty() && (free || (!bound.is_empty() && bound_alike))
}

#[test]
fn the_role_of_clients_allows_what_sessions_ask_for() {
    let role = permissions();
    let lacking: Vec<String> = asked()
        .iter()
        .filter(|(action, resource, bound)| !allowed(&role, action, resource, bound))
        .map(|(action, resource, bound)| format!("{action} on {resource} {bound:?}"))
        .collect();
    assert!(lacking.is_empty(), "infra/client.yaml lacks {lacking:#?}");
}

#[test]
fn the_role_of_clients_allows_nothing_that_no_session_asks_for() {
    let asked = asked();
    let mut unused = BTreeSet::new();
    for (sid, permission) in permissions() {
        assert!(!permission.actions.is_empty() && !permission.resources.is_empty(), "{sid}: {permission:?}");
        for action in &permission.actions {
            for resource in permission.resources.iter().filter(|resource| !resource.ends_with(":more")) {
                if !asked.iter().any(|(wanted, on, _)| wanted == action && fits(resource, on)) {
                    unused.insert((action.clone(), resource.clone()));
                }
            }
        }
    }
    let actions: BTreeSet<&str> = unused.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, BTreeSet::from(UNUSED), "{unused:#?}");
}

#[test]
fn the_role_of_clients_never_deletes_what_is_published() {
    let role = permissions();
    let published = "arn:aws:s3:::acme-lake/lake/sales/1";
    for action in ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"] {
        assert!(!allowed(&role, action, published, &[]), "{action}");
    }
    assert!(allowed(&role, "s3:PutObject", published, &[]));
    assert!(allowed(&role, "s3:DeleteObject", "arn:aws:s3:::acme-lake/_tmp/acme-sales/1", &[]));
    assert!(!allowed(&role, "s3:PutObject", "arn:aws:s3:::acme-lake/other/1", &[]));
    let listing =
        |prefix: &str| allowed(&role, "s3:ListBucket", "arn:aws:s3:::acme-lake", &[prefix.to_owned()]);
    assert!(listing("lake/sales/*") && !listing("*") && !listing("other/*"));
}
