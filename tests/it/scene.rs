//! A whole stack in process: the three real functions over the strict fake, behind queues like the template's.

mod data;
mod functions;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use landfall_core::document;
use landfall_core::hold::{Breakage, Holds};
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::Ledger;
use landfall_core::message::Message;
use landfall_core::port::{Bucket, Clock as _, Destinations, ObjectStore, OutgoingMessage};
use landfall_core::record::{Hold, Intent, Outcome, PlanReason, Receipt, RejectedRecord};
use landfall_lambda::MetricsRecorder;
use landfall_lambda::metrics::Metric;
use serde_json::Value;
use testkit::fake::{Call, FakeAws, FakeQueue, FakeStore, Fault, FunctionHandles, HOME_REGION};
use testkit::lambda::Pipeline;

use crate::template;
#[allow(unused_imports, reason = "the simulation writes documents and records of its own")]
pub use data::{capabilities, commit_event, delivery, document, gzip, noise, plan_event, rows};
use functions::{Answer, Function, Functions, Urls};

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
    compactor: Function,
    committer: Function,
    metrics: MetricsRecorder,
}

impl Scene {
    /// A stack with these delivery documents, their clients admitted.
    pub fn new(documents: &[&str]) -> Self {
        Self::over(documents, |FunctionHandles { store, queue, destinations }| (store, queue, destinations))
    }

    /// The same, with functions that reach objects and clients by other ports, made of the fake's.
    pub fn over<S, D>(documents: &[&str], ports: impl Fn(FunctionHandles) -> (S, FakeQueue, D)) -> Self
    where
        S: ObjectStore + Clone + 'static,
        D: Destinations + Clone + 'static,
    {
        let aws = FakeAws::new();
        let staging = aws.create_home_bucket("staging", true);
        let state = aws.create_home_bucket("state", true);
        let (urls, metrics) = (Urls::create(&aws), MetricsRecorder::default());
        let functions = Functions::new(&aws, &urls, &staging, &state, &metrics, ports);
        let pipe = functions.pipeline(&aws, &urls);
        let (compactor, committer) = (Arc::clone(&functions.compactor), Arc::clone(&functions.committer));
        let mut scene = Self { aws, pipe, state, urls, compactor, committer, metrics };
        for text in documents {
            scene.configure(text);
            if let Ok(delivery) = document::parse("test.toml", text) {
                scene.aws.admit_client(&delivery.access());
                scene.aws.notify_queue("staging", &delivery.source.prefix, &scene.urls.intake);
            }
        }
        scene
    }

    /// A stack whose queues are each served by several invocations at once, interleaved at their calls.
    pub fn racing(documents: &[&str], invocations: usize) -> Self {
        let scene = Self::new(documents);
        Self { pipe: scene.pipe.concurrency(invocations), ..scene }
    }

    /// A stack whose invocations take time, in seconds by queue (`intake`, `plan`, `work`, `commit`, `notify`), as many of each
    /// at once as the template allows.
    pub fn paced(documents: &[&str], pace: &[(&str, i64)]) -> Self {
        let Self { mut pipe, urls, aws, state, compactor, committer, metrics } = Self::new(documents);
        for (queue, seconds) in pace {
            let (url, parameter) = match *queue {
                "intake" => (&urls.intake, "IntakeMaximumConcurrency"),
                "plan" => (&urls.plan, "PlanMaximumConcurrency"),
                "work" => (&urls.work, "WorkMaximumConcurrency"),
                "commit" => (&urls.commit, "CommitMaximumConcurrency"),
                "notify" => (&urls.notify, "NotifyMaximumConcurrency"),
                other => panic!("no queue is called {other}"),
            };
            pipe = pipe.pace(url, template::default_of(parameter), SignedDuration::from_secs(*seconds));
        }
        Self { aws, pipe, state, urls, compactor, committer, metrics }
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

    /// Asks a function for a piece of work, as the schedule does again when it stalls.
    pub fn ask(&self, message: &Message) {
        let queue = match message {
            Message::Plan { .. } => &self.urls.plan,
            Message::Merge(_) => &self.urls.work,
            Message::Commit(_) => &self.urls.commit,
            Message::Notify(_) | Message::Hold(_) => &self.urls.notify,
        };
        self.aws.send_body(queue, &message.to_body()).expect("the queue takes it");
    }

    /// Lets nothing reach a queue (`work`, `commit`, `notify`) until [`Scene::unblock`].
    pub fn block(&self, queue: &str) {
        self.aws.faults().on("SendMessage").resource(queue).forever().inject(Fault::Throttle);
    }

    /// Takes every fault back.
    pub fn unblock(&self) {
        self.aws.faults().clear();
    }

    /// Hands one in `one_in` of the later messages of the work, commit and notify queues out twice.
    pub fn duplicate(&self, one_in: u64) {
        for queue in [&self.urls.work, &self.urls.commit, &self.urls.notify] {
            self.aws.duplicate_messages(queue, one_in);
        }
    }

    /// Gives the compactor an event, as Lambda does; its answer.
    pub async fn invoke_compactor(&self, event: Value) -> Value {
        (self.compactor)(event).await.expect("the compactor answers")
    }

    /// The same invocation, to be gone on with while others run.
    pub fn begin_compactor(&self, event: Value) -> Answer {
        (self.compactor)(event)
    }

    /// Gives the committer an event, to be gone on with while others run.
    pub fn begin_committer(&self, event: Value) -> Answer {
        (self.committer)(event)
    }

    /// Hands a message over as one that failed every time.
    pub fn give_up(&self, message: &Message) {
        self.give_up_body(&message.to_body());
    }

    /// Puts a body into the queue of merges that failed every time.
    pub fn give_up_body(&self, body: &str) {
        self.aws.send_body(&self.urls.failures, body).expect("the queue takes it");
    }

    /// How many merges that failed every time wait to be taken up.
    pub fn work_failures(&self) -> usize {
        self.aws.depth(&self.urls.failures)
    }

    /// The bodies of the work queue's dead letters, which nobody takes up.
    pub fn work_dead_letters(&self) -> Vec<String> {
        self.aws.bodies(&self.urls.work_dead)
    }

    /// The requests that wait on the plan queue.
    pub fn plan_requests(&self) -> Vec<Message> {
        let bodies = self.aws.bodies(&self.urls.plan);
        bodies.iter().map(|body| Message::parse(body).expect("our own message")).collect()
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

    /// The bodies of all dead letters of the other queues.
    pub fn dead_letters(&self) -> Vec<String> {
        self.urls.dead.iter().flat_map(|queue| self.aws.bodies(queue)).collect()
    }

    /// Ids of the messages that were handed out more than once.
    pub fn handed_out_again(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let ids = self.pipe.invocations().iter().flat_map(|invocation| invocation.messages.clone());
        ids.filter(|id| !seen.insert(id.clone())).collect()
    }

    /// Lets time pass until `at`, with the schedule's event once a minute in the last two hours, and every ten minutes before:
    /// what waits then, waits for days.
    pub async fn tick_until(&mut self, at: Timestamp) {
        while let Some(seconds) = Some(at.duration_since(self.aws.clock().now()).as_secs()).filter(|s| *s > 0)
        {
            self.tick();
            self.run(if seconds > 7200 { 600 } else { seconds.min(60) }).await;
        }
    }

    /// The same for so many hours from now.
    pub async fn tick_for_hours(&mut self, hours: i64) {
        let now = self.aws.clock().now();
        self.tick_until(now.checked_add(SignedDuration::from_hours(hours)).expect("a time")).await;
    }

    /// Sends a body to the intake queue, as anybody with SendMessage could.
    pub fn intake(&self, body: &str) {
        self.aws.send_body(&self.urls.intake, body).expect("the intake queue takes it");
    }

    /// Lets time pass and messages flow.
    pub async fn run(&mut self, seconds: i64) {
        self.pipe.run_for(SignedDuration::from_secs(seconds)).await.expect("the pipeline runs");
    }

    /// Lets this many minutes pass, with the schedule's event at the start of each.
    pub async fn tick_for(&mut self, minutes: usize) {
        for _ in 0..minutes {
            self.tick();
            self.run(60).await;
        }
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

    /// Ids of the rows of one production file, in order.
    pub fn ids_of(&self, bucket: &str, key: &str) -> Vec<i64> {
        let file = self.aws.object(bucket, key).expect("the file");
        crate::parquet_rows::read(&file.body).into_iter().map(|(id, _)| id).collect()
    }

    /// Ids of all delivered rows, sorted.
    pub fn delivered_ids(&self, bucket: &str) -> Vec<i64> {
        self.delivered_rows(bucket).into_iter().map(|(id, _)| id).collect()
    }

    /// What stands below the hidden prefix of a client's bucket, uploads under way included.
    pub fn temps(&self, bucket: &str) -> Vec<String> {
        let mut keys = self.aws.keys(bucket, "_tmp/");
        keys.extend(self.aws.uploads(bucket));
        keys
    }

    /// The copies to production keys that were asked for.
    pub fn copies(&self) -> Vec<Call> {
        let mut calls = self.aws.calls_of("CopyObject");
        calls.retain(|call| call.resource.ends_with("-lake"));
        calls
    }

    /// The sum of a metric over all invocations, in whole numbers.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts and seconds of a test are small and not negative"
    )]
    pub fn total(&self, metric: &Metric, delivery: Option<&str>) -> u64 {
        self.metrics.total(metric, delivery).round() as u64
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

    /// The intents of a delivery, by number.
    pub async fn intents(&self, delivery: &str) -> Vec<Intent> {
        self.records(delivery, "intent").await
    }

    /// The receipts of a delivery, by number.
    pub async fn receipts(&self, delivery: &str) -> Vec<Receipt> {
        self.records(delivery, "receipt").await
    }

    /// The names of the records of one intent, in order.
    pub fn record_names(&self, delivery: &str, n: u64) -> Vec<String> {
        let prefix = keys::intent_prefix(delivery, n);
        self.aws.keys("state", &prefix).iter().map(|key| key.replace(&prefix, "")).collect()
    }

    /// One record of one intent.
    pub async fn record<T: serde::de::DeserializeOwned>(
        &self,
        delivery: &str,
        n: u64,
        name: RecordName,
    ) -> T {
        self.ledger().must_read(&keys::record(delivery, n, name)).await.expect("a record")
    }

    /// The hold of a delivery under one resource.
    pub async fn hold(&self, delivery: &str, resource: &str) -> Hold {
        self.ledger().must_read(&keys::hold(delivery, resource)).await.expect("the hold")
    }

    /// Notes a hold, as a function does that met a failure now.
    pub async fn note(&self, delivery: &str, n: u64, breakage: &Breakage) {
        let FunctionHandles { queue, .. } = self.aws.function("committer");
        let (ledger, now) = (self.ledger(), self.aws.clock().now());
        Holds::new(&ledger, &queue, &self.urls.notify)
            .note(delivery, n, breakage, now, now)
            .await
            .expect("the hold is noted");
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
