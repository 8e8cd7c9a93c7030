//! One run of a scenario: the real functions, in virtual time, on one thread.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use landfall_core::keys::{self, RecordName};
use landfall_core::port::Clock as _;
use landfall_core::record::{self, Due, Outcome};
use landfall_core::standing::Standing;
use testkit::fake::{HOME_REGION, S3Event, notification_body};
use testkit::lambda::Pipeline;

use super::model::{Model, Upload};
use super::operator;
use super::plan::DeliveryPlan;
use super::scenario::{Breakage, Event, Form, Scenario, Step, object};
use crate::scene::{Scene, TIMEOUT_SECONDS};

/// The id of a record that is staged when everything should be over; no scenario has as many.
const PROBE: i64 = 1_000_000;
/// Who takes a client's bucket over.
const STRANGER: &str = "999999999999";
/// The longest between two events of the schedule: nothing that is due is looked at earlier for an event more.
const LONGEST_NAP: i64 = 900;
/// Nothing has changed for so long: what waits, waits for somebody. Longer than a message of a function that died stays
/// out of sight, and than any wait of a hold.
const QUIET: SignedDuration = SignedDuration::from_hours(4);
/// How long the calm lasts at most.
const CALM: SignedDuration = SignedDuration::from_hours(60);
/// Once everything is done, this may change nothing.
const AFTERMATH: i64 = 1_200;
/// How often an operator looks again at what became of the last decisions.
const DECISIONS: usize = 4;

/// A run.
pub struct Simulation {
    /// The stack.
    pub scene: Scene,
    /// What was staged.
    pub model: Model,
    /// The deliveries as they are configured now.
    pub deliveries: Vec<DeliveryPlan>,
    /// What the world did besides the calls: the number of the next call, when, what.
    pub events: Vec<(usize, Timestamp, String)>,
    /// Whether everything came to its end.
    pub settled: bool,
    /// What an operator had to decide.
    pub decisions: usize,
    /// Whether the functions kept each other busy without end.
    stalled: bool,
    late: Vec<(Timestamp, S3Event)>,
    seed: u64,
    /// Due times by entity tag of their records.
    due: BTreeMap<String, Timestamp>,
}

impl Simulation {
    /// The world of a scenario before its first step.
    pub fn of(scenario: &Scenario) -> Self {
        let documents: Vec<String> = scenario.deliveries.iter().map(DeliveryPlan::document).collect();
        let texts: Vec<&str> = documents.iter().map(String::as_str).collect();
        let mut scene = Scene::new(&texts);
        let aws = scene.aws.clone();
        aws.move_tokio();
        let idle = Pipeline::new(&aws);
        let mut pipe = std::mem::replace(&mut scene.pipe, idle)
            .concurrency(scenario.concurrency)
            .timeout(SignedDuration::from_secs(i64::from(TIMEOUT_SECONDS)));
        if scenario.interleaved {
            aws.interleave(scenario.seed);
            pipe = pipe.together();
        }
        scene.pipe = pipe;
        if scenario.doubled {
            // Not each: work that is sent again ten times would be a thousand messages.
            scene.duplicate(3);
        }
        for plan in &scenario.deliveries {
            aws.set_capabilities(&plan.bucket(), plan.capabilities());
            aws.keep_all(&plan.bucket());
        }
        for (number, fault) in &scenario.at_calls {
            aws.faults().at_call(*number, *fault);
        }
        for (number, fault) in &scenario.at_reads {
            aws.faults().on("ReadBody").after(*number).inject(*fault);
        }
        Self {
            scene,
            model: Model::default(),
            deliveries: scenario.deliveries.clone(),
            events: Vec::new(),
            settled: false,
            decisions: 0,
            stalled: false,
            late: Vec::new(),
            seed: scenario.seed,
            due: BTreeMap::new(),
        }
    }

    /// Plays a scenario to its end.
    pub async fn play(scenario: &Scenario) -> Self {
        let mut simulation = Self::of(scenario);
        for step in &scenario.steps {
            simulation.step(step).await;
        }
        simulation.settle().await;
        // What a decision sets going can meet what asks for another: a copy whose effect is not known.
        for _ in 0..DECISIONS {
            let decided = operator::decide(&mut simulation, scenario.operator).await;
            if decided == 0 {
                break;
            }
            simulation.decisions += decided;
            simulation.settle().await;
        }
        simulation
    }

    pub(super) fn now(&self) -> Timestamp {
        self.scene.aws.clock().now()
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        let (number, now) = (self.scene.aws.call_count(), self.now());
        self.events.push((number, now, text.into()));
    }

    async fn step(&mut self, step: &Step) {
        let aws = self.scene.aws.clone();
        match step {
            Step::Pass(seconds) => self.pass(i64::try_from(*seconds).unwrap_or(0)).await,
            Step::Stage { delivery, name, body, content, event } => {
                let key = format!("{}{name}", self.deliveries[*delivery].source());
                let object = aws.put_object_silently("staging", &key, body.clone());
                let told = aws.s3_events("staging").pop().expect("the event of the object");
                let upload = Upload {
                    delivery: *delivery,
                    content: content.clone(),
                    body: body.clone(),
                    hours: vec![format!(
                        "{:02}",
                        object.last_modified.to_zoned(jiff::tz::TimeZone::UTC).hour()
                    )],
                };
                let (rows, bad) = (content.rows.len(), content.bad.len());
                let what = if content.undecodable { ", cannot be decoded" } else { "" };
                self.note(format!(
                    "staged {key}: {rows} records, {bad} bad lines{what}; its event: {event:?}"
                ));
                self.model.staged((key, object.etag.clone(), object.size()), upload);
                match event {
                    Event::Comes => self.tell(&told),
                    Event::Twice => (0..2).for_each(|_| self.tell(&told)),
                    Event::Late(seconds) => {
                        let wait = SignedDuration::from_secs(i64::try_from(*seconds).unwrap_or(0));
                        let at = self.now().saturating_add(wait).expect("a time");
                        self.late.push((at, told));
                    }
                    Event::Lost => {}
                }
            }
            Step::Remove { delivery, name } => {
                let key = format!("{}{name}", self.deliveries[*delivery].source());
                self.note(format!("the producer deletes {key}"));
                if aws.object("staging", &key).is_some() {
                    aws.delete_object("staging", &key);
                }
                self.model.removed(&key);
            }
            Step::Flush(delivery) => {
                let id = self.deliveries[*delivery].id();
                self.note(format!("a flush of {id} is asked for"));
                self.scene.flush(&id);
            }
            Step::Configure(delivery, plan) => {
                let text = plan.document();
                self.note(format!(
                    "{} is configured: version {}, latency {} s{}",
                    plan.id(),
                    plan.version,
                    plan.latency_seconds,
                    if plan.broken { ", a document that is refused" } else { "" }
                ));
                self.scene.configure(&text);
                self.deliveries[*delivery] = plan.as_ref().clone();
            }
            Step::Break(delivery, breakage) => self.damage(*delivery, *breakage),
            Step::Mend(delivery) => self.mend(*delivery),
            Step::Consume(delivery) => self.consume(*delivery),
            Step::Storm { one_in, faults } => {
                self.note(format!("one call in {one_in} fails: {faults:?}"));
                aws.faults().storm(self.seed.wrapping_add(7), *one_in, faults);
            }
            Step::Fail { operation, key, times, fault } => {
                let often =
                    times.map_or_else(|| "until the calm".to_owned(), |times| format!("{times} times"));
                self.note(format!("{operation} of {key} fails {often}: {fault:?}"));
                let rule = aws.faults().on(operation).key(key);
                match times {
                    Some(times) => rule.times(*times).inject(*fault),
                    None => rule.forever().inject(*fault),
                }
            }
            Step::LoseTemps(delivery) => {
                let plan = self.deliveries[*delivery].clone();
                let keys = aws.keys(&plan.bucket(), &plan.temp_prefix());
                self.note(format!("{} staged files of {} vanish", keys.len(), plan.id()));
                for key in keys {
                    aws.delete_object(&plan.bucket(), &key);
                }
            }
            Step::Calm => {
                self.note("nothing fails any more");
                aws.faults().clear();
            }
        }
    }

    fn tell(&self, event: &S3Event) {
        self.scene.intake(&notification_body(std::slice::from_ref(event), HOME_REGION));
    }

    fn damage(&mut self, delivery: usize, breakage: Breakage) {
        let (aws, plan) = (self.scene.aws.clone(), self.deliveries[delivery].clone());
        self.note(format!("{} breaks its {breakage:?}", plan.tenant));
        let role = plan.role();
        match breakage {
            Breakage::Role => aws.remove_role(&role),
            Breakage::Owner => aws.hand_over(&plan.bucket(), STRANGER),
            Breakage::Key => aws.set_kms_key(&plan.key(), false),
            Breakage::Bucket | Breakage::Catalog | Breakage::Queue => {
                if aws.role(&role).is_some() {
                    let action = match breakage {
                        Breakage::Bucket => "s3:PutObject",
                        Breakage::Catalog => "glue:*",
                        _ => "sqs:SendMessage",
                    };
                    aws.deny(&role, action);
                }
            }
        }
    }

    fn mend(&mut self, delivery: usize) {
        let (aws, plan) = (self.scene.aws.clone(), self.deliveries[delivery].clone());
        self.note(format!("{} mends everything", plan.tenant));
        if aws.role(&plan.role()).is_some() {
            aws.allow_again(&plan.role());
        } else {
            for other in self.deliveries.iter().filter(|other| other.tenant == plan.tenant) {
                aws.admit_client(&other.access());
            }
        }
        aws.hand_over(&plan.bucket(), plan.account());
        aws.set_kms_key(&plan.key(), true);
    }

    fn consume(&mut self, delivery: usize) {
        let (aws, plan) = (self.scene.aws.clone(), self.deliveries[delivery].clone());
        let keys = aws.keys(&plan.bucket(), &plan.prefix());
        self.note(format!("{} takes and deletes {} files of {}", plan.tenant, keys.len(), plan.id()));
        for key in keys {
            aws.delete_object(&plan.bucket(), &key);
        }
    }

    /// Lets time pass. The schedule's event comes at full minutes, when anything can be due then: one that finds nothing
    /// due does nothing.
    pub async fn pass(&mut self, seconds: i64) {
        let end = self.now().saturating_add(SignedDuration::from_secs(seconds)).expect("a time");
        loop {
            let now = self.now();
            let (early, late): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
            self.late = late;
            for (_, event) in early {
                self.tell(&event);
            }
            if self.due_at().is_none_or(|due| due <= now) {
                self.scene.tick();
            }
            self.run(SignedDuration::ZERO).await;
            let now = self.now();
            if now >= end || self.stalled {
                return;
            }
            let minute = (now.as_second().div_euclid(60) + 1) * 60;
            let nap = now.as_second() + LONGEST_NAP;
            let due = self.due_at().map_or(minute, |due| (due.as_second() + 59).div_euclid(60) * 60);
            let late = self.late.iter().map(|(at, _)| at.as_second()).min().unwrap_or(i64::MAX);
            let next = due.clamp(minute, nap).min(late.max(now.as_second() + 1)).min(end.as_second() + 1);
            let next = Timestamp::from_second(next).expect("a time").min(end);
            let span = next.duration_since(now).max(SignedDuration::ZERO);
            self.run(span).await;
        }
    }

    async fn run(&mut self, span: SignedDuration) {
        if !self.stalled
            && let Err(stalled) = self.scene.pipe.run_for(span).await
        {
            self.note(format!("the pipeline does not come to rest: {stalled:?}"));
            self.stalled = true;
        }
    }

    /// When the next delivery is due; `None` when one was never planned.
    fn due_at(&mut self) -> Option<Timestamp> {
        let objects = self.scene.aws.objects("state", keys::DUE_PREFIX);
        if objects.len() < self.deliveries.len() {
            return None;
        }
        let mut first = Timestamp::MAX;
        for object in objects {
            let key = object.key;
            let at = *self.due.entry(object.etag).or_insert_with(|| {
                record::decode::<Due>(&key, &object.body).map_or(Timestamp::MIN, |due| due.at)
            });
            first = first.min(at);
        }
        Some(first)
    }

    /// Waits until everything is done, or nothing has changed for long. A hold that outlived its cause, because who wrote
    /// it was late, is found by the next object: then one more is staged.
    async fn settle(&mut self) {
        self.wait().await;
        for (index, plan) in self.deliveries.clone().iter().enumerate() {
            if !self.settled && self.holds_alone(&plan.id()) {
                let (body, content) =
                    object(PROBE + i64::try_from(index).unwrap_or(0), 1, 1, 0, Form::Plain, 0);
                let (name, event) = ("lot=0/probe.jsonl".to_owned(), Event::Comes);
                self.step(&Step::Stage { delivery: index, name, body, content, event }).await;
                self.wait().await;
            }
        }
        self.note(if self.settled { "everything is done" } else { "nothing changes any more" });
    }

    async fn wait(&mut self) {
        let begun = self.now();
        let (mut seen, mut since) = (self.footprint(), begun);
        for minute in 0.. {
            self.pass(if minute < 5 { 60 } else { 600 }).await;
            let now = self.now();
            if self.is_settled() {
                self.pass(AFTERMATH).await;
                if self.is_settled() {
                    self.settled = true;
                    break;
                }
            }
            let footprint = self.footprint();
            if footprint != seen || self.scene.pipe.frozen() > 0 {
                (seen, since) = (footprint, now);
            }
            if self.stalled || now.duration_since(since) > QUIET || now.duration_since(begun) > CALM {
                break;
            }
        }
    }

    /// Whether a delivery has holds of a whole resource, and no work that could get past them: whatever is open is held
    /// alone.
    fn holds_alone(&self, id: &str) -> bool {
        let prefix = keys::holds_prefix(id);
        let holds = self.scene.aws.keys("state", &prefix);
        let alone: Vec<u64> = holds
            .iter()
            .filter_map(|key| key.strip_prefix(&prefix)?.strip_prefix("intent-")?.parse().ok())
            .collect();
        holds.len() > alone.len()
            && self.scene.pipe.frozen() == 0
            && self.open_intents(id).iter().all(|n| alone.contains(n))
    }

    /// What changes while anything goes on.
    fn footprint(&self) -> (usize, usize, usize) {
        let aws = &self.scene.aws;
        (aws.keys("state", "log/").len(), aws.keys("staging", "").len(), aws.keys("state", "holds/").len())
    }

    /// Whether every staged object is gone, every intent closed and told, every queue empty, every hold released.
    fn is_settled(&self) -> bool {
        let aws = &self.scene.aws;
        self.scene.pipe.next_visible().is_none()
            && aws.keys("state", keys::HOLDS_PREFIX).is_empty()
            && self.is_done()
    }

    /// Whether every staged object is gone and every intent closed and told, with nobody at work.
    fn is_done(&self) -> bool {
        let aws = &self.scene.aws;
        if self.scene.pipe.frozen() > 0 || !aws.keys("staging", "").is_empty() {
            return false;
        }
        self.deliveries.iter().all(|plan| self.open_intents(&plan.id()).is_empty())
    }

    /// The intents of a delivery that are not closed and told, nor void, nor expired.
    fn open_intents(&self, id: &str) -> Vec<u64> {
        let void = |n: u64, records: &BTreeSet<RecordName>| {
            records.iter().filter(|name| matches!(name, RecordName::Outcome(_))).any(|name| {
                let key = keys::record(id, n, *name);
                let outcome = self.scene.aws.object("state", &key);
                outcome.is_some_and(|object| {
                    record::decode::<Outcome>(&key, &object.body).is_ok_and(|outcome| outcome.void)
                })
            })
        };
        let open = self.records(id).into_iter().filter(|(n, records)| {
            let standing = Standing::of(records);
            !(standing.is_over() || standing.expired || void(*n, records))
        });
        open.map(|(n, _)| n).collect()
    }

    /// The records of each intent of a delivery.
    pub(super) fn records(&self, id: &str) -> BTreeMap<u64, BTreeSet<RecordName>> {
        let mut intents: BTreeMap<u64, BTreeSet<RecordName>> = BTreeMap::new();
        for key in self.scene.aws.keys("state", &keys::log_prefix(id)) {
            if let Some((n, name)) = keys::parse_record(id, &key) {
                intents.entry(n).or_default().insert(name);
            }
        }
        intents
    }
}
