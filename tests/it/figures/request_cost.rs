//! What it takes to deliver many small objects: listings, requests, memory, time; and what the requests cost.
//!
//! `OBJECTS` says how many (a few thousand in every test run). The whole pipeline runs: events, plans, merges, commits,
//! notices. Counted are all requests of the functions and of Lambda's pollers on their behalf, and S3's messages about the
//! objects. Not counted: the producer's own puts, polls that find nothing, the time that functions run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use landfall_core::port::Clock as _;
use sample_records::Subject;
use testkit::fake::{HOME_ACCOUNT, HOME_REGION, QueueSpec, QueuedMessage, S3Event, notification_body};
use testkit::generated::Watch;
use testkit::lambda::sqs_event;

use super::producer::{ID, LAKE, Production};
use super::{asked, grouped, memory, prices};

const OBJECT_BYTES: u64 = 5_000;
/// Messages of one invocation, as `IntakeBatchSize` has it.
const EVENTS: u64 = 1_000;
/// What a receive or a delete of SQS takes at most.
const SQS_BATCH: u64 = 10;
/// In how many waves the objects are staged, a second apart.
const WAVES: u64 = 20;
/// After how many minutes everything must be delivered.
const MINUTES: usize = 240;

/// The work whose memory is watched, by the request to the staging bucket that it begins with.
fn phase(operation: &str) -> &'static str {
    match operation {
        "ListObjectsV2" => "plan",
        "GetObject" => "merge",
        _ => "commit",
    }
}

/// The most memory of each phase.
#[derive(Debug, Default)]
struct Peaks {
    now: Option<&'static str>,
    peaks: BTreeMap<&'static str, u64>,
}

impl Peaks {
    fn enter(&mut self, phase: Option<&'static str>) {
        if self.now == phase {
            return;
        }
        if let Some(now) = self.now {
            let peak = self.peaks.entry(now).or_default();
            *peak = memory::peak().max(*peak);
        }
        memory::reset();
        self.now = phase;
    }
}

/// Whether messages of a queue have groups, which makes them dearer: FIFO, and merges, which are shared fairly.
fn has_groups(queue: &str) -> bool {
    queue.strip_suffix(".fifo").is_some() || queue.ends_with("/work")
}

/// Requests by who pays for them, service and operation.
#[derive(Debug, Default)]
struct Bill(BTreeMap<(&'static str, String), (u64, f64)>);

impl Bill {
    fn add(&mut self, ours: bool, operation: &str, grouped: bool, count: u64) {
        let price = prices::per_million(operation, grouped);
        let price = price.unwrap_or_else(|| panic!("{operation} has no price"));
        let name = if grouped { format!("{operation} (with groups)") } else { operation.to_owned() };
        let entry = self.0.entry((if ours { "landfall" } else { "client" }, name)).or_default();
        *entry = (entry.0 + count, price);
    }

    fn of(production: &Production, events: u64) -> Self {
        let mut bill = Self::default();
        for (bucket, operation, count) in production.buckets.requests().iter() {
            bill.add(bucket != LAKE, operation, false, count);
        }
        for call in production.scene.aws.calls() {
            // A body is read by the request that got it.
            if call.operation != "ReadBody" {
                let ours = call.account == HOME_ACCOUNT;
                let grouped = call.operation == "SendMessage" && has_groups(&call.resource);
                bill.add(ours, call.operation, grouped, 1);
            }
        }
        // S3 sends a message for each object; pollers receive and delete them, ten at most in a request.
        bill.add(true, "SendMessage", false, events);
        let batches = events.div_ceil(SQS_BATCH);
        let mut polled = BTreeMap::from([(false, batches)]);
        let mut invocations = events.div_ceil(EVENTS);
        for invocation in production.scene.pipe.invocations() {
            let grouped = invocation.queue.as_deref().is_some_and(has_groups);
            *polled.entry(grouped).or_default() += (invocation.messages.len() as u64).div_ceil(SQS_BATCH);
            invocations += 1;
        }
        for (grouped, count) in polled {
            bill.add(true, "ReceiveMessage", grouped, count);
            bill.add(true, "DeleteMessage", grouped, count);
        }
        bill.add(true, "Invoke", false, invocations);
        bill
    }

    fn requests(&self) -> u64 {
        self.0.values().map(|(count, _)| count).sum()
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers of requests")]
    fn requests_per_object(&self, objects: u64) -> f64 {
        self.requests() as f64 / objects as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers of requests")]
    fn table(&self, objects: u64) -> String {
        let mut text = String::from(
            "| who pays | request | requests | per object | $ per million objects |\n|---|---|---:|---:|---:|\n",
        );
        let mut totals: BTreeMap<&str, f64> = BTreeMap::new();
        for ((who, operation), (count, price)) in &self.0 {
            let per_object = *count as f64 / objects as f64;
            let dollars = per_object * price;
            *totals.entry(who).or_default() += dollars;
            writeln!(text, "| {who} | {operation} | {} | {per_object:.5} | {dollars:.3} |", grouped(*count))
                .expect("writes to memory");
        }
        for (who, dollars) in totals {
            writeln!(text, "| {who} | all | | | {dollars:.2} |").expect("writes to memory");
        }
        text
    }
}

/// Hands events to the compactor as a mapping with a batching window does.
async fn announce(production: &Production, events: &[S3Event]) {
    let queue = QueueSpec::new("intake", HOME_ACCOUNT, HOME_REGION);
    let now = production.scene.aws.clock().now();
    for batch in events.chunks(usize::try_from(EVENTS).expect("a small number")) {
        let messages: Vec<QueuedMessage> = batch
            .iter()
            .map(|event| QueuedMessage {
                id: event.sequencer.clone(),
                body: notification_body(std::slice::from_ref(event), HOME_REGION),
                group: None,
                deduplication: None,
                sequence: 0,
                sent_at: now,
                visible_at: now,
                receive_count: 1,
                first_received_at: Some(now),
                dead_letter_source: None,
                received_at: None,
                receipt_handle: Some(event.sequencer.clone()),
            })
            .collect();
        let answer = production.scene.invoke_compactor(sqs_event(&queue, &messages)).await;
        assert_eq!(answer["batchItemFailures"], serde_json::json!([]), "{answer}");
    }
}

#[tokio::test]
async fn an_object_costs_one_read_and_one_delete_and_a_flood_of_events_few_listings() {
    let objects: u64 = asked("OBJECTS", 4_000);
    // So that a small run makes several files too.
    let target = if objects < 100_000 { 1 << 20 } else { 128 << 20 };
    let peaks = Arc::new(Mutex::new(Peaks::default()));
    let watching = Arc::clone(&peaks);
    let watch: Watch = Arc::new(move |operation| {
        watching.lock().unwrap_or_else(PoisonError::into_inner).enter(Some(phase(operation)));
    });
    let mut production = Production::new(Subject::Clicks, OBJECT_BYTES, target, Some(watch));
    let begun = Instant::now();
    let mut staged = 0;
    for wave in 1..=WAVES {
        let events = production.stage(objects * wave / WAVES - staged);
        staged += events.len() as u64;
        announce(&production, &events).await;
        production.scene.run(1).await;
    }
    let before = memory::resident();
    let mut minutes = 0;
    while production.buckets.staged() > 0 {
        // What is left over when all full files are made leaves on request.
        if minutes % 30 == 29 {
            production.scene.flush(ID);
        }
        production.scene.tick_for(1).await;
        minutes += 1;
        assert!(minutes < MINUTES, "{} objects are left", production.buckets.staged());
    }
    production.scene.tick_for(10).await;
    peaks.lock().unwrap_or_else(PoisonError::into_inner).enter(None);
    let seconds = begun.elapsed().as_secs_f64();

    let bill = Bill::of(&production, objects);
    let requests = production.buckets.requests();
    let pages = requests.of("staging", "ListObjectsV2");
    let plans = production.scene.aws.calls_of("ListObjectsV2");
    let logs = plans.iter().filter(|call| call.key.as_deref().is_some_and(|key| key.starts_with("log/")));
    let files = production.buckets.objects(LAKE).len();
    println!("{}", bill.table(objects));
    println!(
        "{} objects of {OBJECT_BYTES} bytes in {files} files; {pages} pages of listings of the staging bucket, {} of the \
         log; {:.3} requests per object; {seconds:.1} s",
        grouped(objects),
        logs.count(),
        bill.requests_per_object(objects)
    );
    for (phase, peak) in &peaks.lock().unwrap_or_else(PoisonError::into_inner).peaks {
        println!(
            "most memory in {phase}: {} MiB, of them {} MiB before the first plan",
            peak >> 20,
            before >> 20
        );
    }

    assert_eq!(requests.of("staging", "GetObject"), objects, "each object is read once");
    assert_eq!(requests.of("staging", "DeleteObject"), objects, "and deleted once");
    let receipts = production.scene.receipts(ID).await;
    assert!(!receipts.is_empty());
    // A flood within one slot makes a handful of plans, each of which lists every object that is left at most once.
    assert!(pages <= 12 * objects.div_ceil(1_000) + 60, "{pages} pages");
    assert!(bill.requests() < 4 * objects + 2_000, "{} requests", bill.requests());
}
