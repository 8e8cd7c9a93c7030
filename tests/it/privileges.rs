//! Least privilege: what each function does in landfall's own account is what its role in the template allows.

mod client;

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use landfall_core::keys;
use landfall_core::message::Message;
use testkit::fake::{Call, Fault};

use crate::scene::{Scene, delivery, document, gzip, rows};
use crate::template::{self, Statement};

const ROLE: &str = "arn:aws:iam::222222222222:role/landfall-delivery";
const QUEUE: &str = "arn:aws:sqs:eu-central-1:222222222222:acme-etl";

/// The functions and their roles.
const ROLES: [(&str, &str); 3] =
    [("compactor", "CompactorRole"), ("committer", "CommitterRole"), ("notifier", "NotifierRole")];

/// What a call asks of the caller's role: actions, each on a resource of the template.
fn demands(call: &Call) -> Vec<(&'static str, String)> {
    let key = call.key.as_deref().unwrap_or_default();
    let bucket = match call.resource.as_str() {
        "staging" => "StagingBucket",
        "state" => "StateBucket",
        _ => "",
    };
    let object = format!("{bucket}/{key}");
    match call.operation {
        "ListObjectsV2" => vec![("s3:ListBucket", bucket.to_owned())],
        // Only to who may list is a missing key 404 and not 403.
        "GetObject" | "HeadObject" => vec![("s3:GetObject", object), ("s3:ListBucket", bucket.to_owned())],
        "GetObjectVersion" => vec![("s3:GetObjectVersion", object)],
        // A copy is one for quarantine, from staging: its source is looked at first, by a call of its own.
        "PutObject" | "CopyObject" => vec![("s3:PutObject", object)],
        // Ours carry an entity tag, for which S3 asks for the right to read as well.
        "DeleteObject" => vec![
            ("s3:DeleteObject", object.clone()),
            ("s3:GetObject", object),
            ("s3:ListBucket", bucket.to_owned()),
        ],
        "SendMessage" => vec![("sqs:SendMessage", queue(call))],
        "ChangeMessageVisibility" => vec![("sqs:ChangeMessageVisibility", queue(call))],
        "AssumeRole" => vec![("sts:AssumeRole", "ClientRoleArns".to_owned())],
        other => panic!("no action is known for {other}: {call:?}"),
    }
}

fn queue(call: &Call) -> String {
    match call.resource.rsplit('/').next() {
        Some("intake") => "IntakeQueue",
        Some("plan.fifo") => "PlanQueue",
        Some("work") => "WorkQueue",
        Some("work-failures") => "WorkFailuresQueue",
        Some("commit") => "CommitQueue",
        Some("notify") => "NotifyQueue",
        _ => panic!("{call:?}"),
    }
    .to_owned()
}

/// Whether IAM's pattern (`*` stands for anything) fits.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).filter_map(|at| text.get(at..)).any(|text| fits(rest, text))
        }),
    }
}

fn allows(statements: &[Statement], action: &str, resource: &str) -> bool {
    statements.iter().any(|statement| {
        statement.actions.iter().any(|allowed| allowed == action)
            && statement.resources.iter().any(|allowed| fits(allowed, resource))
    })
}

/// Everything the functions do: deliveries, order, quarantine, repeats, holds of every kind, resumption, retirement.
async fn everything() -> Scene {
    let ordered =
        document("globex", "").replace("dataset = \"rows\"", "dataset = \"rows\"\norder = \"delivery\"");
    let mut scene = Scene::new(&[&document("acme", ""), &ordered]);
    let mut broken = gzip(&rows(0, 1000));
    broken.truncate(broken.len() - 6);
    scene.stage("acme/rows/broken.gz", broken);
    scene.stage("acme/rows/1", format!("{}not json\n", rows(0, 3)));
    scene.intake("{not json");
    scene.repeat("{not json");
    scene.give_up_body("{not json");
    // The second intent is merged before the first is committed: its commit wakes it.
    scene.aws.faults().on("SendMessage").resource("commit").key("\"n\":1").forever().inject(Fault::Throttle);
    for part in 0..2_u64 {
        scene.stage(&format!("globex/rows/{part}"), rows(100 + part, 1));
        scene.deliver(&["acme-rows", "globex-rows"]).await;
    }
    scene.unblock();
    scene.ask(&Message::commit("globex-rows", 1));
    scene.ask(&Message::commit("acme-rows", 1));
    scene.run(60).await;
    scene.stage("acme/rows/1", format!("{}not json\n", rows(0, 3)));
    scene.tick_for(40).await;

    // Each kind of hold, found by each function in its turn.
    let mend = |scene: &Scene| {
        scene.aws.admit_client(&delivery(&document("acme", "")).access());
        scene.aws.allow_again(ROLE);
    };
    for (part, denied) in ["sts", "s3:PutObject", "glue:GetTable", "sqs:SendMessage"].into_iter().enumerate()
    {
        match denied {
            "sts" => scene.aws.remove_role(ROLE),
            action => scene.aws.deny(ROLE, action),
        }
        if denied == "sqs:SendMessage" {
            scene.aws.remove_queue(QUEUE);
        }
        scene.stage(&format!("acme/rows/held-{part}"), rows(200 + part as u64, 1));
        scene.tick_for(5).await;
        assert_eq!(scene.holds("acme-rows").len(), 1, "{denied}");
        mend(&scene);
        scene.tick_for(90).await;
        assert_eq!(scene.holds("acme-rows"), Vec::<String>::new(), "{denied}");
    }
    for queue in ["work", "commit", "notify"] {
        scene.block(queue);
        scene.stage(&format!("acme/rows/{queue}"), rows(300, 1));
        scene.deliver(&["acme-rows"]).await;
        scene.unblock();
        scene.configure(&document("acme", "").replace("type = \"int64\"", "type = \"int65\""));
        scene.tick_for(20).await;
        scene.configure(&document("acme", ""));
        scene.tick_for(90).await;
    }

    // What was staged vanishes, and so does the input: it is read again by its version.
    scene.block("commit");
    scene.stage("acme/rows/vanishing", rows(400, 1));
    scene.deliver(&["acme-rows"]).await;
    scene.unblock();
    for temp in scene.aws.keys("acme-lake", "_tmp/") {
        scene.aws.delete_object("acme-lake", &temp);
    }
    scene.aws.delete_object("staging", "acme/rows/vanishing");
    let records = scene.aws.keys("state", &keys::log_prefix("acme-rows"));
    let numbers = records.iter().filter_map(|key| keys::parse_record("acme-rows", key));
    let last = numbers.map(|(n, _)| n).max().expect("an intent");
    scene.ask(&Message::commit("acme-rows", last));
    scene.tick_for(60).await;

    // Past the horizon of identities, and past the age of retired records.
    for _ in 0..2 {
        scene.aws.clock().advance(SignedDuration::from_hours(16 * 24));
        scene.tick_for(20).await;
    }
    assert_eq!(scene.staged(), Vec::<String>::new());
    assert_eq!(scene.holds("acme-rows"), Vec::<String>::new());
    scene
}

/// What each function's role was asked for in landfall's own account.
fn asked(scene: &Scene) -> BTreeMap<&'static str, BTreeSet<(&'static str, String)>> {
    let mut asked: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for call in scene.aws.calls().iter().filter(|call| call.tenant.is_none()) {
        let function = call.function.unwrap_or_else(|| panic!("nobody made {call:?}"));
        asked.entry(function).or_default().extend(demands(call));
    }
    asked
}

#[tokio::test]
async fn each_role_allows_what_its_function_does() {
    let asked = asked(&everything().await);
    let mut refused = BTreeSet::new();
    for (function, role) in ROLES {
        let statements = template::statements(role);
        for (action, resource) in &asked[function] {
            if !allows(&statements, action, resource) {
                refused.insert(format!("{role} lacks {action} on {resource}"));
            }
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

#[tokio::test]
async fn no_role_allows_what_its_function_never_does() {
    // Done by Lambda on the function's behalf, by the logging of Lambda, or below the ports by S3 itself; and what only
    // MiniStack asks for.
    let beyond = ["Logs", "StateKey", "SendBatches"];
    let by_lambda = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
    let asked = asked(&everything().await);
    let mut unused = BTreeSet::new();
    for (function, role) in ROLES {
        for statement in template::statements(role) {
            if beyond.contains(&statement.sid.as_str()) {
                continue;
            }
            for action in statement.actions.iter().filter(|action| !by_lambda.contains(&action.as_str())) {
                for resource in &statement.resources {
                    if !asked[function].iter().any(|(did, on)| did == action && fits(resource, on)) {
                        unused.insert(format!("{role} {}: {action} on {resource}", statement.sid));
                    }
                }
            }
        }
    }
    assert!(unused.is_empty(), "{unused:#?}");
}

#[test]
fn patterns_are_iams() {
    for (pattern, text, expected) in [
        ("StateBucket/log/*", "StateBucket/log/a/b", true),
        ("StateBucket/log/*", "StateBucket/due/a", false),
        ("StateBucket/log/*/identities/*", "StateBucket/log/acme/identities/20260519-1", true),
        ("StateBucket/log/*/identities/*", "StateBucket/log/acme/00000000000000000001/outcome", false),
        ("StateBucket/log/*/0*/*", "StateBucket/log/acme/00000000000000000001/outcome", true),
        ("StateBucket/log/*/0*/*", "StateBucket/log/acme/floor", false),
        ("StateBucket/log/*/0*/*", "StateBucket/log/acme/pins/0a1b", false),
        ("PlanQueue", "PlanQueue", true),
        ("PlanQueue", "PlanQueues", false),
        ("*", "anything", true),
    ] {
        assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
    }
}

#[test]
fn a_statement_of_the_template_is_read_as_it_stands() {
    let statements = template::statements("NotifierRole");
    let of =
        |sid: &str| statements.iter().find(|statement| statement.sid == sid).expect("the statement").clone();
    assert_eq!(of("ListState").actions, ["s3:ListBucket"]);
    assert_eq!(of("ListState").resources, ["StateBucket"]);
    assert!(of("ReadState").resources.contains(&"StateBucket/config/*".to_owned()));
    assert_eq!(of("AssumeClientRoles").resources, ["ClientRoleArns"]);
    assert!(of("Receive").actions.contains(&"sqs:ChangeMessageVisibility".to_owned()));
}
