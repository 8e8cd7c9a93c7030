//! Scenarios: who delivers what, and what happens meanwhile. Drawn from a seed, all of it before anything runs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use landfall_core::error::PortErrorKind;
use testkit::fake::Fault;

use super::chance::Chance;
use super::model::{Content, Record};
use super::plan::{DeliveryPlan, Partitioning};

/// What becomes of the event of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It comes.
    Comes,
    /// It is lost.
    Lost,
    /// It comes twice.
    Twice,
    /// It comes after this many seconds.
    Late(u64),
}

/// What a client breaks on its side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breakage {
    /// The role is gone.
    Role,
    /// The bucket refuses writes.
    Bucket,
    /// The bucket belongs to somebody else.
    Owner,
    /// The key is disabled.
    Key,
    /// The catalog refuses us.
    Catalog,
    /// The queue refuses us.
    Queue,
}

/// Something that happens.
#[derive(Debug, Clone)]
pub enum Step {
    /// This many seconds pass.
    Pass(u64),
    /// A producer stages an object.
    Stage {
        /// The delivery's index.
        delivery: usize,
        /// The key below its prefix.
        name: String,
        /// The bytes.
        body: Bytes,
        /// What they are.
        content: Content,
        /// What becomes of the event.
        event: Event,
    },
    /// A producer deletes an object, if it is there.
    Remove {
        /// The delivery's index.
        delivery: usize,
        /// The key below its prefix.
        name: String,
    },
    /// An operator asks for a flush.
    Flush(usize),
    /// An operator changes a document.
    Configure(usize, Box<DeliveryPlan>),
    /// A client breaks something.
    Break(usize, Breakage),
    /// The client of a delivery mends everything.
    Mend(usize),
    /// A client takes and deletes the files of a delivery.
    Consume(usize),
    /// From now on one call in so many fails, in one of these ways.
    Storm {
        /// One call in so many.
        one_in: u64,
        /// How.
        faults: Vec<Fault>,
    },
    /// Calls of one kind fail in one way, so often or until the calm.
    Fail {
        /// AWS's name of the operation.
        operation: &'static str,
        /// What the key has in it.
        key: String,
        /// How often.
        times: Option<usize>,
        /// How.
        fault: Fault,
    },
    /// All staged files of a delivery vanish, as by a lifecycle rule of the client's bucket.
    LoseTemps(usize),
    /// Nothing fails any more.
    Calm,
}

/// What an operator decides, once nothing goes on by itself any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// What has expired is delivered again.
    Redelivers,
    /// What has expired is given up.
    Discards,
}

/// All that a run is made of: the same scenario gives the same run.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Where chance within the run begins: faults and interleavings.
    pub seed: u64,
    /// The deliveries.
    pub deliveries: Vec<DeliveryPlan>,
    /// How many invocations of a queue run at once.
    pub concurrency: usize,
    /// Whether the functions interleave at their calls.
    pub interleaved: bool,
    /// Whether some messages of our own queues come twice.
    pub doubled: bool,
    /// Faults at given calls, by their number.
    pub at_calls: Vec<(usize, Fault)>,
    /// Faults at given chunks of bodies, by their number.
    pub at_reads: Vec<(usize, Fault)>,
    /// What becomes of what has expired.
    pub operator: Operator,
    /// What happens. After it comes a calm in which everything settles.
    pub steps: Vec<Step>,
}

impl Scenario {
    /// A scenario of these steps in which nothing fails.
    pub fn of(deliveries: Vec<DeliveryPlan>, steps: Vec<Step>) -> Self {
        Self {
            seed: 0,
            deliveries,
            concurrency: 1,
            interleaved: false,
            doubled: false,
            at_calls: Vec::new(),
            at_reads: Vec::new(),
            operator: Operator::Redelivers,
            steps,
        }
    }

    /// What a seed draws.
    pub fn draw(seed: u64) -> Self {
        let mut draw = Draw { chance: Chance::new(seed, 1), next: 0, names: Vec::new(), steps: Vec::new() };
        let deliveries = draw.deliveries();
        let concurrency = draw.chance.pick(&[1, 1, 2, 4]);
        let (interleaved, doubled) = (concurrency > 1, draw.chance.once_in(3));
        draw.steps(&deliveries);
        let (at_calls, at_reads) = (Vec::new(), Vec::new());
        let operator = if draw.chance.once_in(3) { Operator::Discards } else { Operator::Redelivers };
        let steps = draw.steps;
        Self { seed, deliveries, concurrency, interleaved, doubled, at_calls, at_reads, operator, steps }
    }
}

/// Objects as producers write them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON lines as they are.
    Plain,
    /// In a gzip member.
    Gzip,
    /// In a zstd frame.
    Zstd,
    /// In a gzip member that is cut off.
    Cut,
}

impl Form {
    fn ending(self) -> &'static str {
        match self {
            Self::Plain => "jsonl",
            Self::Gzip | Self::Cut => "jsonl.gz",
            Self::Zstd => "jsonl.zst",
        }
    }

    /// The bytes of a text in this form.
    pub fn encode(self, text: &str) -> Bytes {
        match self {
            Self::Plain => Bytes::from(text.to_owned()),
            Self::Gzip => Bytes::from(crate::scene::gzip(text)),
            Self::Zstd => Bytes::from(zstd::bulk::compress(text.as_bytes(), 1).expect("compresses")),
            Self::Cut => {
                let whole = crate::scene::gzip(text);
                Bytes::from(whole[..whole.len() - 6].to_vec())
            }
        }
    }
}

/// An object of `rows` records with ids from `first`, every `bad`th line broken (0: none), `padding` bytes of noise in each.
pub fn object(first: i64, rows: i64, lots: i64, bad: i64, form: Form, padding: usize) -> (Bytes, Content) {
    drifted_object(first, rows, lots, bad, form, padding, &[])
}

/// The same, with more members in every record: each so many times the id.
pub fn drifted_object(
    first: i64,
    rows: i64,
    lots: i64,
    bad: i64,
    form: Form,
    padding: usize,
    more: &[(&str, i64)],
) -> (Bytes, Content) {
    let mut text = String::new();
    let mut content = Content { undecodable: form == Form::Cut, ..Content::default() };
    for id in first..first + rows {
        if bad > 0 && id % bad == 0 {
            let mark = format!("bad line {id}");
            writeln!(text, "{{\"id\":\"{mark}\",\"name\":\"x\"}}").expect("writes to memory");
            content.bad.push(mark);
            continue;
        }
        let name = format!("lot {}", id % lots.max(1));
        let mut pad = String::new();
        let mut state = u64::try_from(id).unwrap_or(0).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        for _ in 0..padding / 16 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            write!(pad, "{state:016x}").expect("writes to memory");
        }
        let pad = if pad.is_empty() { pad } else { format!(",\"pad\":\"{pad}\"") };
        let more: BTreeMap<String, i64> =
            more.iter().map(|(member, times)| ((*member).to_owned(), id * times)).collect();
        let mut members = String::new();
        for (member, value) in &more {
            write!(members, ",\"{member}\":{value}").expect("writes to memory");
        }
        writeln!(text, "{{\"id\":{id},\"name\":\"{name}\"{pad}{members}}}").expect("writes to memory");
        content.rows.push(Record { id, name, more });
    }
    (form.encode(&text), content)
}

struct Draw {
    chance: Chance,
    /// The next record's id.
    next: i64,
    /// Names that were staged, by delivery, with what was staged last.
    names: Vec<(usize, String, Bytes, Content)>,
    steps: Vec<Step>,
}

/// A way things go wrong, and how.
const KINDS: [&[Fault]; 7] = [
    &[Fault::CrashBefore, Fault::CrashAfter],
    &[Fault::Panic],
    &[Fault::LostResponse, Fault::ErrorInside200],
    &[Fault::Throttle, Fault::Unreached, Fault::Fail(PortErrorKind::Conflict), Fault::Twice],
    &[
        Fault::Fail(PortErrorKind::Denied),
        Fault::Fail(PortErrorKind::RoleRefused),
        Fault::Fail(PortErrorKind::BucketMissing),
        Fault::Fail(PortErrorKind::KeyRefused),
        Fault::Fail(PortErrorKind::CatalogRefused),
        Fault::Fail(PortErrorKind::QueueRefused),
    ],
    &[Fault::Delay(45), Fault::Delay(600), Fault::Delay(899), Fault::Delay(1_000), Fault::Delay(4_000)],
    &[
        Fault::Freeze { seconds: 300, dies: false },
        Fault::Freeze { seconds: 1_200, dies: false },
        Fault::Freeze { seconds: 9_000, dies: false },
        Fault::Freeze { seconds: 1_100, dies: true },
    ],
];

/// What records have that their contract does not name, or has no room for.
const DRIFTS: [&[(&str, i64)]; 7] = [
    &[],
    &[],
    &[("score", 1)],
    &[("score", 10_000_000_000)],
    &[("a", 1)],
    &[("b", 2), ("score", 3)],
    &[("a", 1), ("c", 1)],
];

const BREAKAGES: [Breakage; 6] =
    [Breakage::Role, Breakage::Bucket, Breakage::Owner, Breakage::Key, Breakage::Catalog, Breakage::Queue];

impl Draw {
    fn deliveries(&mut self) -> Vec<DeliveryPlan> {
        let names = [("acme", "rows"), ("globex", "rows"), ("acme", "clicks")];
        let count = self.chance.pick(&[1, 1, 1, 2, 2, 3]);
        names[..count].iter().map(|(tenant, dataset)| self.delivery(tenant, dataset)).collect()
    }

    fn delivery(&mut self, tenant: &'static str, dataset: &'static str) -> DeliveryPlan {
        let chance = &mut self.chance;
        let ordered = chance.once_in(4);
        let evolves = chance.once_in(5);
        let partitionings = [
            Partitioning::None,
            Partitioning::None,
            Partitioning::Column,
            Partitioning::Key,
            Partitioning::Arrival,
        ];
        DeliveryPlan {
            tenant,
            dataset,
            ordered,
            partitioning: chance.pick(&partitionings),
            // Bits 1 and 4 are features of uploads in parts: all combinations matter alike.
            capabilities: if chance.once_in(3) { chance.pick(&[0, 3, 7, 11, 14, 13]) } else { 15 },
            // A hold that only an operator can resolve would stop everything behind it, were it ordered too.
            consumer_deletes: !ordered && chance.once_in(3),
            latency_seconds: chance.pick(&[30, 60, 180, 600]),
            small_target: chance.once_in(4),
            strict: !evolves && chance.once_in(6),
            evolves,
            unique: chance.once_in(4),
            // A table gains a column from its owner, who is not here.
            glue: !evolves && !chance.once_in(4),
            queue: !chance.once_in(6),
            kms: chance.once_in(4),
            version: 1,
            broken: false,
        }
    }

    fn weather(&mut self) {
        let one_in = self.chance.pick(&[0, 400, 150, 60, 25, 12]);
        if one_in == 0 {
            return;
        }
        let mut faults: Vec<Fault> = Vec::new();
        for kind in KINDS {
            if self.chance.once_in(2) {
                faults.extend(kind);
            }
        }
        if !faults.is_empty() {
            self.steps.push(Step::Storm { one_in, faults });
        }
    }

    fn steps(&mut self, deliveries: &[DeliveryPlan]) {
        let mut now = deliveries.to_vec();
        self.weather();
        let count = self.chance.between(2, 9);
        // Something is broken for about as long as it is tried. Rare, because 72 hours of probes are many calls.
        let outage = self.chance.once_in(80).then(|| self.chance.below(count));
        for step in 0..count {
            let delivery = self.chance.index(now.len());
            for _ in 0..self.chance.pick(&[1, 1, 2, 4]) {
                self.produce(delivery, &now[delivery]);
            }
            if self.chance.once_in(4) {
                let delivery = self.chance.index(now.len());
                self.operate(delivery, &mut now[delivery]);
            }
            let delivery = self.chance.index(now.len());
            if now[delivery].consumer_deletes && self.chance.once_in(2) {
                self.steps.push(Step::Consume(delivery));
            }
            if step == count / 2 && self.chance.once_in(3) {
                self.weather();
            }
            if outage == Some(step) {
                self.outage(now.len());
            }
            let seconds = self.chance.pick(&[5, 20, 45, 90, 200, 400, 1_000]);
            self.steps.push(Step::Pass(seconds));
        }
        if self.chance.once_in(3) {
            // The weather lasts, with nothing new to do: retries meet it.
            let seconds = self.chance.between(600, 5_000);
            self.steps.push(Step::Pass(seconds));
        }
        for (delivery, plan) in now.iter_mut().enumerate() {
            if plan.broken {
                plan.broken = false;
                self.steps.push(Step::Configure(delivery, Box::new(plan.clone())));
            }
            self.steps.push(Step::Mend(delivery));
        }
        self.steps.push(Step::Calm);
    }

    /// A client breaks something and needs about as long to mend it as we try.
    fn outage(&mut self, deliveries: usize) {
        let (delivery, breakage) = (self.chance.index(deliveries), self.chance.pick(&BREAKAGES));
        let hours = self.chance.pick(&[71, 73, 76, 80]);
        let calm = [Step::Calm, Step::Break(delivery, breakage)];
        self.steps.extend(calm.into_iter().skip(usize::from(self.chance.once_in(3))));
        self.steps.push(Step::Pass(hours * 3_600));
        self.steps.push(Step::Mend(delivery));
    }

    /// A producer does something with an object.
    fn produce(&mut self, delivery: usize, plan: &DeliveryPlan) {
        let known: Vec<usize> = (0..self.names.len()).filter(|at| self.names[*at].0 == delivery).collect();
        if !known.is_empty() && self.chance.once_in(6) {
            let at = known[self.chance.index(known.len())];
            let (_, name, body, content) = self.names[at].clone();
            match self.chance.below(3) {
                0 => {
                    let event = Event::Comes;
                    self.steps.push(Step::Stage { delivery, name, body, content, event });
                }
                1 => self.steps.push(Step::Remove { delivery, name }),
                _ => self.stage(delivery, plan, Some(name)),
            }
            return;
        }
        self.stage(delivery, plan, None);
    }

    fn stage(&mut self, delivery: usize, plan: &DeliveryPlan, replaces: Option<String>) {
        let chance = &mut self.chance;
        let form = match &replaces {
            // The name says the form.
            Some(name) if name.ends_with("gz") => Form::Gzip,
            Some(name) if name.ends_with("zst") => Form::Zstd,
            Some(_) => Form::Plain,
            None => chance.pick(&[Form::Plain, Form::Plain, Form::Plain, Form::Gzip, Form::Zstd, Form::Cut]),
        };
        let lots = i64::try_from(chance.between(1, 3)).unwrap_or(1);
        let large = plan.small_target && chance.once_in(3);
        let (rows, padding) = if large { (chance.between(10, 60), 1_024) } else { (chance.between(0, 6), 0) };
        let bad = if chance.once_in(5) { 3 } else { 0 };
        let rows = i64::try_from(rows).unwrap_or(0);
        let more = if plan.evolves { chance.pick(&DRIFTS) } else { &[] };
        let (body, content) = drifted_object(self.next, rows, lots, bad, form, padding, more);
        let first = self.next;
        self.next += rows.max(1);
        let lot = chance.below(2);
        let name = replaces.unwrap_or_else(|| match plan.partitioning {
            Partitioning::Key => format!("lot={lot}/{first:05}.{}", form.ending()),
            _ => format!("{first:05}.{}", form.ending()),
        });
        let event = match chance.below(10) {
            0 => Event::Lost,
            1 => Event::Twice,
            2 => Event::Late(chance.between(60, 2_000)),
            _ => Event::Comes,
        };
        self.names.retain(|(of, known, _, _)| *of != delivery || *known != name);
        self.names.push((delivery, name.clone(), body.clone(), content.clone()));
        self.steps.push(Step::Stage { delivery, name, body, content, event });
    }

    /// An operator or the client does something.
    fn operate(&mut self, delivery: usize, plan: &mut DeliveryPlan) {
        match self.chance.below(11) {
            // What kills its function, a few times or every time.
            8 | 9 => {
                let names: Vec<&String> =
                    self.names.iter().filter(|(of, ..)| *of == delivery).map(|(_, name, ..)| name).collect();
                let Some(at) = names.len().checked_sub(1).map(|last| self.chance.index(last + 1)) else {
                    return;
                };
                let key = format!("{}{}", plan.source(), names[at]);
                let times = self.chance.pick(&[Some(2), Some(3), Some(7), None]);
                let fault = self.chance.pick(&[Fault::Panic, Fault::CrashBefore]);
                self.steps.push(Step::Fail { operation: "GetObject", key, times, fault });
            }
            10 => {
                // A copy is refused, and before it is tried again its file has gone.
                let (key, fault) = (plan.prefix(), Fault::Fail(PortErrorKind::Denied));
                let times = Some(self.chance.index(3) + 1);
                self.steps.push(Step::Fail { operation: "CopyObject", key, times, fault });
                let seconds = self.chance.pick(&[60, 200]) + plan.latency_seconds;
                self.steps.extend([Step::Pass(seconds), Step::LoseTemps(delivery)]);
            }
            0..3 => self.steps.push(Step::Flush(delivery)),
            3 => {
                plan.version += 1;
                plan.latency_seconds = self.chance.pick(&[30, 60, 180, 600]);
                self.steps.push(Step::Configure(delivery, Box::new(plan.clone())));
            }
            4 => {
                plan.broken = !plan.broken;
                self.steps.push(Step::Configure(delivery, Box::new(plan.clone())));
            }
            5 | 6 => {
                let breakage = self.chance.pick(&BREAKAGES);
                self.steps.push(Step::Break(delivery, breakage));
            }
            _ => self.steps.push(Step::Mend(delivery)),
        }
    }
}
