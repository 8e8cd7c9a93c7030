//! Every kind of bad input at once, against the built functions in the embedded AWS with IAM enforced: each comes to an
//! outcome of its own, everybody else is served, and what was broken is delivered once it is mended.

use std::future::Future;
use std::time::{Duration, Instant};

use landfall_core::delivery::Secret;
use landfall_core::port::{Bucket, ObjectStore as _, OutgoingMessage, Queue as _};
use landfall_embedded::{
    ClientStack, DeployOptions, Deployment, Document, EmbeddedAws, Project, StagedBody, StagedFile,
};

use crate::{CUT_GZIP, document_text, line};

/// Clients whose role, catalog or queue is broken, and one whose is not.
const CLIENTS: [(&str, &str); 4] = [
    ("role", "222222222222"),
    ("catalog", "333333333333"),
    ("queue", "444444444444"),
    ("sound", "555555555555"),
];
/// What a client's repair and the backoff before it may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// A delivery of a client with an account of its own.
fn document(id: &str, account: &str) -> Document {
    let text = document_text(id)
        .replace("222222222222", account)
        .replace("acme-lake", &format!("{id}-lake"))
        .replace("tenant = \"acme\"", &format!("tenant = \"{id}\""));
    Document { name: format!("{id}.toml"), text }
}

fn object(key: &str, body: impl Into<Vec<u8>>) -> StagedFile {
    StagedFile { key: key.to_owned(), body: StagedBody::Bytes(body.into().into()) }
}

/// Looks again and again until `what` holds; fails with the last look.
async fn until<F, L>(what: &str, mut look: F)
where
    F: FnMut() -> L,
    L: Future<Output = Result<(), String>>,
{
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(()) => return,
            Err(seen) if begun.elapsed() > PATIENCE => panic!("{what}: {seen}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(250)).await,
        }
    }
}

/// Client stacks by the delivery they serve.
fn stack(deployment: &Deployment, account: &str) -> ClientStack {
    deployment.placement().clients.iter().find(|client| client.account == account).unwrap().clone()
}

async fn break_clients(deployment: &Deployment) {
    let role = ClientStack {
        external_id: Secret::new("an-external-id-of-somebody-else"),
        ..stack(deployment, "222222222222")
    };
    let catalog = ClientStack { glue_database: String::new(), ..stack(deployment, "333333333333") };
    let queue = ClientStack { create_queue: false, ..stack(deployment, "444444444444") };
    for broken in [role, catalog, queue] {
        deployment.deploy_client(&broken).await.unwrap();
    }
}

/// What producers stage: good objects for everybody, and every kind of bad one for the sound client.
async fn stage(deployment: &Deployment) {
    let mut files: Vec<StagedFile> = CLIENTS
        .iter()
        .flat_map(|(id, _)| (0..3).map(move |part| object(&format!("acme/{id}/{part}.jsonl"), line(part, 1))))
        .collect();
    files.push(object("acme/sound/bad.jsonl", format!("{}not json\n{{\"id\":1}}\n", line(10, 2))));
    files.push(object("acme/sound/cut.jsonl.gz", CUT_GZIP.to_vec()));
    files.push(object("acme/sound/gone.jsonl", line(11, 3)));
    files.push(object("nobody/x.jsonl", line(12, 4)));
    deployment.stage(&files, |_| ()).await.unwrap();
    // Deleted again before anybody can have read it: plans wait for the slot to end.
    let (store, staging) = (deployment.store().unwrap(), deployment.staging().unwrap());
    let gone = store.head(&staging, "acme/sound/gone.jsonl").await.unwrap().unwrap();
    store.delete(&staging, "acme/sound/gone.jsonl", &gone.etag).await.unwrap();
    // A document that nobody can read, and a message that is none.
    deployment.put_document("torn", "version = 1\nid = \"torn\n").await.unwrap();
    let poison = OutgoingMessage {
        body: "{not json".to_owned(),
        group: None,
        deduplication: None,
        delay_seconds: None,
    };
    let intake = deployment.output("IntakeQueueUrl").unwrap();
    deployment.queue().unwrap().send(intake, &[poison]).await.remove(0).unwrap();
}

async fn holds(deployment: &Deployment, id: &str) -> Vec<String> {
    deployment.progress(&[id]).await.unwrap().remove(0).holds
}

#[test]
fn each_kind_of_bad_input_has_its_own_end_and_everything_else_is_delivered() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(Box::pin(scenario()));
}

async fn scenario() {
    let project = Project::find().unwrap();
    let aws = EmbeddedAws::start(&project).unwrap();
    let documents: Vec<Document> = CLIENTS.iter().map(|(id, account)| document(id, account)).collect();
    let deployment = aws.deploy(&DeployOptions::local(), &documents).await.unwrap();
    break_clients(&deployment).await;
    stage(&deployment).await;
    let ids = CLIENTS.map(|(id, _)| id);
    for id in ids {
        deployment.flush(id).await.unwrap();
    }

    // The sound client is served while the others are not.
    deployment.wait_until_delivered(&["sound"], PATIENCE, |_| ()).await.unwrap();
    for (id, _) in &CLIENTS[..3] {
        until(&format!("{id} is held"), || async {
            let holds = holds(&deployment, id).await;
            if holds == [*id] { Ok(()) } else { Err(format!("holds: {holds:?}")) }
        })
        .await;
    }
    assert_eq!(holds(&deployment, "sound").await, Vec::<String>::new());
    let mut in_lake = Vec::new();
    for (id, account) in CLIENTS {
        let bucket = Bucket { name: format!("{id}-lake"), owner: account.to_owned() };
        let store = deployment.ports(account).unwrap().store();
        in_lake.push((id, store.list(&bucket, "lake/", None, None).await.unwrap().objects.len()));
    }
    // Files stand before the catalog names them; nothing stands without the role.
    assert_eq!(in_lake, [("role", 0), ("catalog", 1), ("queue", 1), ("sound", 2)]);
    let told = deployment.receive_all("arn:aws:sqs:eu-central-1:555555555555:acme-etl.fifo").await.unwrap();
    assert_eq!(told.len(), 1, "{told:?}");

    // Mended by redeploying what the client had deployed before.
    for (_, account) in &CLIENTS[..3] {
        deployment.deploy_client(&stack(&deployment, account)).await.unwrap();
    }
    deployment.wait_until_delivered(&ids, PATIENCE, |_| ()).await.unwrap();
    let lake = tempfile::tempdir().unwrap();
    let collected = deployment.collect(lake.path()).await.unwrap();
    let rejected: Vec<(u64, &str)> =
        collected.rejected["sound"].iter().map(|row| (row.line, row.reason.as_str())).collect();
    assert_eq!(rejected, [(2, "invalid_json"), (3, "missing_value")]);
    let set_aside: Vec<(&str, &str)> = collected.quarantined["sound"]
        .iter()
        .map(|object| (object.key.as_str(), object.reason.as_str()))
        .collect();
    assert_eq!(set_aside, [("acme/sound/cut.jsonl.gz", "gzip_truncated")]);
    for (id, _) in &CLIENTS[..3] {
        let rows: u64 = collected
            .intents
            .iter()
            .filter(|seen| seen.intent.delivery == *id)
            .filter_map(|seen| seen.receipt.as_ref().map(|receipt| receipt.rows))
            .sum();
        assert_eq!(rows, 3, "{id}");
        assert_eq!(holds(&deployment, id).await, Vec::<String>::new(), "{id}");
        assert!(
            collected.notices.iter().any(|notice| notice.message["delivery"] == *id),
            "{id} was not told: {:?}",
            collected.notices
        );
    }

    // Nothing is lost: what nobody delivers stays, the poison lies in the dead-letter queue, nothing else does.
    let store = deployment.store().unwrap();
    let staging: Bucket = deployment.staging().unwrap();
    let left = store.list(&staging, "", None, None).await.unwrap().objects;
    assert_eq!(left.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), ["nobody/x.jsonl"]);
    until("the poison lies in the dead-letter queue", || async {
        let observed = deployment.observe().await.unwrap();
        let dead: Vec<(String, u64)> = observed
            .queues
            .into_iter()
            .filter(|(name, messages)| name.contains("-dead") && *messages > 0)
            .collect();
        if matches!(dead.as_slice(), [(name, 1)] if name.ends_with("intake-dead")) {
            Ok(())
        } else {
            Err(format!("{dead:?}"))
        }
    })
    .await;
    let observed = deployment.observe().await.unwrap();
    for function in &observed.functions {
        assert_eq!(function.errors, 0, "{} failed a whole invocation", function.name);
        for line in &function.last_lines {
            assert!(!line.contains("external-id"), "{}: {line}", function.name);
        }
    }
}
