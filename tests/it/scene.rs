//! A whole stack in process: the three real functions over the strict fake, behind queues like the template's.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use committer::{CommitConfig, Committer, CommitterConfig};
use compactor::{Compactor, CompactorConfig, PlannerConfig};
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use jiff::SignedDuration;
use landfall_core::delivery::Delivery;
use landfall_core::document;
use landfall_core::keys;
use landfall_core::ledger::Ledger;
use landfall_core::message::Message;
use landfall_core::port::{Bucket, Clock as _, OutgoingMessage};
use landfall_core::record::{Outcome, PlanReason, Receipt, RejectedRecord};
use landfall_core::registry::RegistryOptions;
use landfall_lambda::{BatchHandler, Deadline, EachMessage, Host, Invocation, MetricsRecorder};
use notifier::{Notifier, NotifierConfig};
use serde_json::Value;
use testkit::fake::{FakeAws, FakeQueue, FakeStore, HOME_REGION};
use testkit::lambda::Pipeline;

/// Timeout of all functions of the scene.
pub const TIMEOUT_SECONDS: u32 = 900;
/// The nudge slot, and the delay of the plan queue.
pub const SLOT_SECONDS: u32 = 30;

/// A stack, its client accounts and its deliveries.
pub struct Scene {
    /// The world.
    pub aws: FakeAws,
    /// The functions behind their queues.
    pub pipe: Pipeline,
    /// The state bucket.
    pub state: Bucket,
    urls: Urls,
}

#[derive(Clone)]
struct Urls {
    intake: String,
    intake_dead: String,
    plan: String,
    work: String,
    commit: String,
    notify: String,
}

/// A delivery of `tenant` with columns `id int64` (required) and `name string`, without partitions.
pub fn document(tenant: &str, more: &str) -> String {
    let account = if tenant == "acme" { "222222222222" } else { "333333333333" };
    format!(
        r#"
version = 1
id = "{tenant}-rows"
tenant = "{tenant}"
dataset = "rows"
[source]
prefix = "{tenant}/rows/"
[destination]
role_arn = "arn:aws:iam::{account}:role/landfall-delivery"
external_id = "external-id-of-{tenant}"
region = "{HOME_REGION}"
bucket = "{tenant}-lake"
prefix = "raw/rows/"
[contract]
version = 3
[[contract.column]]
name = "id"
type = "int64"
nullable = false
[[contract.column]]
name = "name"
type = "string"
[layout]
max_latency_seconds = 60
[catalog.glue]
database = "{tenant}_raw"
table = "rows"
[[notify.queue]]
arn = "arn:aws:sqs:{HOME_REGION}:{account}:{tenant}-etl"
{more}"#
    )
}

/// `count` records as JSON lines, ids from `first`.
pub fn rows(first: u64, count: u64) -> String {
    let lines: Vec<String> =
        (first..first + count).map(|id| format!("{{\"id\":{id},\"name\":\"name {id}\"}}\n")).collect();
    lines.concat()
}

/// The text as one gzip member.
pub fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("writes to memory");
    encoder.finish().expect("writes to memory")
}

/// The delivery of a document.
pub fn delivery(text: &str) -> Delivery {
    document::parse("test.toml", text).expect("a valid document")
}

impl Scene {
    /// A stack with these delivery documents, their clients admitted.
    pub fn new(documents: &[&str]) -> Self {
        let aws = FakeAws::new();
        let staging = aws.create_home_bucket("staging", true);
        let state = aws.create_home_bucket("state", true);
        let queue = |name: &str| aws.create_home_queue(name, SignedDuration::from_secs(6 * 900), 10).0;
        let (intake, intake_dead) = aws.create_home_queue("intake", SignedDuration::from_secs(6 * 900), 10);
        let urls = Urls {
            intake,
            intake_dead,
            plan: queue("plan.fifo"),
            work: queue("work"),
            commit: queue("commit"),
            notify: queue("notify"),
        };
        aws.change_queue(&urls.plan, |spec| spec.delay = SignedDuration::from_secs(i64::from(SLOT_SECONDS)));
        let mut scene = Self { pipe: pipeline(&aws, &urls, &staging, &state), aws, state, urls };
        for text in documents {
            scene.configure(text);
            if let Ok(delivery) = document::parse("test.toml", text) {
                scene.aws.admit_client(&delivery.access());
                scene.aws.notify_queue("staging", &delivery.source.prefix, &scene.urls.intake);
            }
        }
        scene
    }

    /// Puts a delivery document into the registry, as it is.
    pub fn configure(&mut self, text: &str) {
        let id =
            text.lines().find_map(|line| line.strip_prefix("id = ")).unwrap_or("unnamed").trim_matches('"');
        self.aws.put_object("state", &keys::config(id), text.to_owned());
    }

    /// Lets S3 tell of objects under one more prefix.
    pub fn notify_of(&self, prefix: &str) {
        self.aws.notify_queue("staging", prefix, &self.urls.intake);
    }

    /// Stages an object as a producer does.
    pub fn stage(&self, key: &str, body: impl Into<Bytes>) {
        self.aws.put_object("staging", key, body);
    }

    /// Stages an object whose event is lost.
    pub fn stage_silently(&self, key: &str, body: impl Into<Bytes>) {
        let waiting = self.aws.messages(&self.urls.intake).len();
        self.aws.put_object("staging", key, body);
        for message in self.aws.receive(&self.urls.intake, 10).into_iter().skip(waiting) {
            self.aws.delete_message(&self.urls.intake, message.receipt_handle.as_deref().unwrap_or_default());
        }
    }

    /// Asks for a flush, as the operator's command does.
    pub fn flush(&self, delivery: &str) {
        let message = OutgoingMessage {
            body: Message::plan(delivery, PlanReason::Flush).to_body(),
            group: Some(delivery.to_owned()),
            deduplication: Some(format!("{delivery}-flush-{}", self.aws.clock().now())),
            delay_seconds: None,
        };
        self.aws.send(&self.urls.plan, &message).expect("the plan queue takes it");
    }

    /// Sends the schedule's event.
    pub fn tick(&self) {
        let body = include_str!("../fixtures/scheduled-event.json");
        self.aws.send_body(&self.urls.intake, body).expect("the intake queue takes it");
    }

    /// Sends a body to each of the work, commit and notify queues.
    pub fn repeat(&self, body: &str) {
        for queue in [&self.urls.work, &self.urls.commit, &self.urls.notify] {
            self.aws.send_body(queue, body).expect("the queue takes it");
        }
    }

    /// How many messages the intake queue holds, and the bodies of its dead letters.
    pub fn intake_rest(&self) -> (usize, Vec<String>) {
        (self.aws.depth(&self.urls.intake), self.aws.bodies(&self.urls.intake_dead))
    }

    /// Sends a body to the intake queue, as anybody with SendMessage could.
    pub fn intake(&self, body: &str) {
        self.aws.send_body(&self.urls.intake, body).expect("the intake queue takes it");
    }

    /// Lets time pass and messages flow.
    pub async fn run(&mut self, seconds: i64) {
        self.pipe.run_for(SignedDuration::from_secs(seconds)).await.expect("the pipeline runs");
    }

    /// Flushes every delivery and lets everything flow.
    pub async fn deliver(&mut self, deliveries: &[&str]) {
        self.run(1).await;
        for delivery in deliveries {
            self.flush(delivery);
        }
        self.run(2 * i64::from(SLOT_SECONDS)).await;
    }

    /// Keys of production files in a client's bucket.
    pub fn delivered(&self, bucket: &str) -> Vec<String> {
        self.aws.keys(bucket, "").into_iter().filter(|key| !key.starts_with("_tmp/")).collect()
    }

    /// All rows of a client's production files, as (id, name), sorted.
    pub fn delivered_rows(&self, bucket: &str) -> Vec<(i64, Option<String>)> {
        let mut rows = Vec::new();
        for object in self.aws.objects(bucket, "raw/") {
            rows.extend(crate::parquet_rows::read(&object.body));
        }
        rows.sort();
        rows
    }

    /// Ids of all delivered rows, sorted.
    pub fn delivered_ids(&self, bucket: &str) -> Vec<i64> {
        self.delivered_rows(bucket).into_iter().map(|(id, _)| id).collect()
    }

    /// Staged objects that are left.
    pub fn staged(&self) -> Vec<String> {
        self.aws.keys("staging", "")
    }

    /// The log.
    pub fn ledger(&self) -> Ledger<FakeStore> {
        Ledger::new(self.aws.store(), self.state.clone())
    }

    /// The outcomes of a delivery, by number.
    pub async fn outcomes(&self, delivery: &str) -> Vec<Outcome> {
        self.records(delivery, "outcome").await
    }

    /// The receipts of a delivery, by number.
    pub async fn receipts(&self, delivery: &str) -> Vec<Receipt> {
        self.records(delivery, "receipt").await
    }

    async fn records<T: serde::de::DeserializeOwned>(&self, delivery: &str, name: &str) -> Vec<T> {
        let mut records = Vec::new();
        for key in self.aws.keys("state", &keys::log_prefix(delivery)) {
            if key.rsplit('/').next() == Some(name) {
                records.push(self.ledger().must_read(&key).await.expect("a record"));
            }
        }
        records
    }

    /// Rejected rows of a delivery, in order.
    pub fn rejected(&self, delivery: &str) -> Vec<RejectedRecord> {
        let mut records = Vec::new();
        for object in self.aws.objects("state", &format!("quarantine/{delivery}/")) {
            if object.key.rsplit('/').next().is_some_and(|name| name.starts_with("rejected-")) {
                let text = zstd::decode_all(object.body.as_ref()).expect("zstd");
                for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    records.push(serde_json::from_slice(line).expect("a rejected record"));
                }
            }
        }
        records
    }

    /// Bodies of the messages on a client's queue.
    pub fn notices(&self, tenant: &str) -> Vec<Value> {
        let account = if tenant == "acme" { "222222222222" } else { "333333333333" };
        let arn = format!("arn:aws:sqs:{HOME_REGION}:{account}:{tenant}-etl");
        self.aws.bodies(&arn).iter().map(|body| serde_json::from_str(body).expect("a notice")).collect()
    }

    /// Resources under which a delivery is held.
    pub fn holds(&self, delivery: &str) -> Vec<String> {
        let prefix = keys::holds_prefix(delivery);
        self.aws.keys("state", &prefix).iter().map(|key| key.replace(&prefix, "")).collect()
    }
}

fn pipeline(aws: &FakeAws, urls: &Urls, staging: &Bucket, state: &Bucket) -> Pipeline {
    let registry = RegistryOptions { region: HOME_REGION.to_owned(), allow_cross_region: false };
    let compactor_config = CompactorConfig {
        state: state.clone(),
        intake_queue: urls.intake.clone(),
        plan_queue: urls.plan.clone(),
        slot_seconds: SLOT_SECONDS,
        planner: PlannerConfig {
            staging: staging.clone(),
            work_queue: urls.work.clone(),
            commit_queue: urls.commit.clone(),
            timeout_seconds: TIMEOUT_SECONDS,
            reconcile_seconds: 900,
        },
        registry: registry.clone(),
        metrics_namespace: "landfall".to_owned(),
    };
    let committer_config = CommitterConfig {
        state: state.clone(),
        commit_queue: urls.commit.clone(),
        plan_queue: urls.plan.clone(),
        commit: CommitConfig {
            staging: staging.clone(),
            notify_queue: urls.notify.clone(),
            timeout_seconds: TIMEOUT_SECONDS,
        },
        registry: registry.clone(),
        metrics_namespace: "landfall".to_owned(),
    };
    let notifier_config = NotifierConfig {
        state: state.clone(),
        notify_queue: urls.notify.clone(),
        registry,
        metrics_namespace: "landfall".to_owned(),
    };
    let compactor = {
        let host = compactor_config.host(aws.queue());
        let (store, queue, clients) = (aws.store(), aws.queue(), aws.destinations());
        function(aws, host, Compactor::new(compactor_config, store, queue, clients, aws.clock()))
    };
    let committer = {
        let host = committer_config.host(aws.queue());
        let (store, queue, clients) = (aws.store(), aws.queue(), aws.destinations());
        function(aws, host, EachMessage(Committer::new(committer_config, store, queue, clients, aws.clock())))
    };
    let notifier = {
        let host = notifier_config.host(aws.queue());
        function(
            aws,
            host,
            EachMessage(Notifier::new(notifier_config, aws.store(), aws.destinations(), aws.clock())),
        )
    };
    Pipeline::new(aws)
        .on_queue("compactor", &urls.intake, 10, compactor.clone())
        .on_queue("compactor", &urls.plan, 1, compactor.clone())
        .on_queue("compactor", &urls.work, 1, compactor)
        .on_queue("committer", &urls.commit, 1, committer)
        .on_queue("notifier", &urls.notify, 10, notifier)
}

type Answer = LocalBoxFuture<'static, Result<Value, String>>;

/// A function as Lambda calls it: an event in, an answer out.
fn function<H: BatchHandler + 'static>(
    aws: &FakeAws,
    host: Host<FakeQueue>,
    handler: H,
) -> impl Fn(Value) -> Answer + Clone + 'static {
    let parts = Arc::new((host, handler, AtomicU64::new(0)));
    let clock = aws.clock();
    move |event| {
        let (parts, clock) = (Arc::clone(&parts), clock.clone());
        async move {
            let request = parts.2.fetch_add(1, Ordering::Relaxed);
            let end = clock.now().as_millisecond() + i64::from(TIMEOUT_SECONDS) * 1000;
            let deadline = Deadline::new(u64::try_from(end).unwrap_or_default(), Arc::new(clock));
            let invocation = Invocation {
                request_id: format!("request-{request}"),
                function_arn: "arn:aws:lambda:eu-central-1:111111111111:function:landfall".to_owned(),
                deadline,
                metrics: MetricsRecorder::default(),
            };
            let answer =
                parts.0.answer(&parts.1, event, &invocation).await.map_err(|error| error.to_string())?;
            serde_json::to_value(answer).map_err(|error| error.to_string())
        }
        .boxed_local()
    }
}
