//! The oracle: what was staged, held against what became of it. It takes no word of the code for anything it can see.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use landfall_core::audit;
use landfall_core::hold;
use landfall_core::partition::unescape;
use landfall_core::record::Input;
use landfall_core::standing::Standing;
use serde_json::Value;

use super::harvest::{DeliveryHarvest, Harvest, VisibleFile};
use super::model::{Identity, Model, Record};
use super::plan::{DeliveryPlan, Partitioning};

/// What kind of promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A record neither arrived nor was set aside.
    Lost,
    /// A record arrived twice.
    Duplicated,
    /// A row or file where it does not belong.
    Foreign,
    /// A file that is none, was overwritten, or shows a part of an object.
    Partial,
    /// A notice that is missing, or says what is not so.
    Notice,
    /// A log that cannot be.
    Log,
    /// Something that should have come to its end.
    Unsettled,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which.
    pub kind: Kind,
    /// How.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.text)
    }
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, kind: Kind, text: impl Into<String>) {
        self.0.push(Problem { kind, text: text.into() });
    }
}

/// Every broken promise.
pub fn judge(deliveries: &[DeliveryPlan], model: &Model, harvest: &Harvest) -> Vec<Problem> {
    let mut problems = Problems::default();
    let given_up: Vec<BTreeSet<Identity>> = deliveries
        .iter()
        .zip(&harvest.deliveries)
        .map(|(plan, delivery)| given_up(plan, delivery, &mut problems))
        .collect();
    let arrived = files(deliveries, model, harvest, &mut problems);
    for (identity, upload) in &model.uploads {
        let (Some(delivery), Some(given_up)) =
            (harvest.deliveries.get(upload.delivery), given_up.get(upload.delivery))
        else {
            continue;
        };
        let fate = Fate {
            plan: &deliveries[upload.delivery],
            delivery,
            must: model.stands(identity) && !given_up.contains(identity),
            given_up: given_up.contains(identity),
            arrived: &arrived,
        };
        fate.judge(model, identity, &mut problems);
    }
    for (plan, delivery) in deliveries.iter().zip(&harvest.deliveries) {
        for finding in audit::verify(&delivery.log) {
            problems.add(Kind::Log, format!("{}: {finding}", plan.id()));
        }
        notices(plan, delivery, harvest, &mut problems);
    }
    for identity in &harvest.staged {
        problems.add(Kind::Unsettled, format!("{} is still staged", identity.0));
    }
    for (queue, depth) in &harvest.waiting {
        problems.add(Kind::Unsettled, format!("{depth} messages wait on {queue}"));
    }
    if !harvest.settled {
        problems.add(Kind::Unsettled, "not everything came to its end");
    }
    problems.0
}

/// What an operator gave up: it need not arrive. Nothing else may wait: the world is whole, and an operator has decided
/// what had expired and every copy of unknown effect.
fn given_up(plan: &DeliveryPlan, delivery: &DeliveryHarvest, problems: &mut Problems) -> BTreeSet<Identity> {
    for hold in &delivery.holds {
        problems.add(Kind::Unsettled, format!("{} is held: {hold:?}", plan.id()));
    }
    for (n, tried) in &delivery.expired {
        if *tried < hold::LIMIT {
            problems.add(Kind::Unsettled, format!("{}/{n} expired after {tried:#}", plan.id()));
        }
    }
    let entries = delivery.discarded.iter().filter_map(|n| delivery.log.intents.get(n));
    let inputs = entries.filter_map(|entry| Some((entry.intent.as_ref()?, entry.outcome.as_ref()))).flat_map(
        |(intent, outcome)| match outcome {
            Some(outcome) => outcome.used(intent).collect::<Vec<&Input>>(),
            None => intent.inputs.iter().collect(),
        },
    );
    inputs.map(|input| (input.key.clone(), input.etag.clone(), input.size)).collect()
}

/// Judges every file that was ever visible; how often each record arrived.
fn files(
    deliveries: &[DeliveryPlan],
    model: &Model,
    harvest: &Harvest,
    problems: &mut Problems,
) -> BTreeMap<i64, usize> {
    let mut arrived: BTreeMap<i64, usize> = BTreeMap::new();
    let mut written = BTreeSet::new();
    for file in &harvest.files {
        let VisibleFile { bucket, key, rows } = file;
        if !written.insert((bucket, key)) {
            problems.add(Kind::Partial, format!("{bucket}/{key} was written twice"));
        }
        let home =
            deliveries.iter().position(|plan| plan.bucket() == *bucket && key.starts_with(&plan.prefix()));
        let Some(home) = home else {
            problems.add(Kind::Foreign, format!("{bucket}/{key} lies below no delivery's prefix"));
            continue;
        };
        match rows {
            Err(error) => problems.add(Kind::Partial, format!("{bucket}/{key} is no Parquet file: {error}")),
            Ok(rows) => {
                for record in rows {
                    *arrived.entry(record.id).or_default() += 1;
                    row(deliveries, model, (home, key), record, problems);
                }
            }
        }
    }
    for (id, times) in &arrived {
        if *times > 1 {
            problems.add(Kind::Duplicated, format!("record {id} arrived {times} times"));
        }
    }
    for (bucket, key) in &harvest.temps {
        if !deliveries.iter().any(|plan| plan.bucket() == *bucket && key.starts_with(&plan.temp_prefix())) {
            problems.add(Kind::Foreign, format!("{bucket}/{key} lies below no delivery's hidden prefix"));
        }
    }
    arrived
}

/// One row: is it ours, what was staged, and in its own partition?
fn row(
    deliveries: &[DeliveryPlan],
    model: &Model,
    (home, key): (usize, &str),
    arrived: &Record,
    problems: &mut Problems,
) {
    let Record { id, name, more } = arrived;
    let Some((identity, staged)) = model.records.get(id) else {
        return problems.add(Kind::Foreign, format!("{key} holds record {id}, which nobody staged"));
    };
    let upload = &model.uploads[identity];
    if upload.delivery != home {
        return problems.add(Kind::Foreign, format!("{key} holds record {id} of another delivery"));
    }
    if staged.name != *name {
        problems
            .add(Kind::Foreign, format!("{key} holds record {id} with the name {name:?}, which it had not"));
    }
    if staged.more != *more {
        let text = format!("{key} holds record {id} with {more:?}, and it was staged with {:?}", staged.more);
        problems.add(Kind::Foreign, text);
    }
    let level = key.split('/').find_map(|part| part.strip_prefix("lot=")).and_then(unescape);
    let right = match (deliveries[home].partitioning, &level) {
        (Partitioning::None, level) => level.is_none(),
        (Partitioning::Column, Some(level)) => level == name,
        (Partitioning::Key, Some(level)) => identity.0.contains(&format!("/lot={level}/")),
        (Partitioning::Arrival, Some(level)) => upload.hours.contains(level),
        (_, None) => false,
    };
    if !right {
        problems.add(Kind::Foreign, format!("{key} holds record {id} named {name:?} of {}", identity.0));
    }
}

/// What became of one upload.
struct Fate<'a> {
    plan: &'a DeliveryPlan,
    delivery: &'a DeliveryHarvest,
    /// It stood to the end, and was not given up.
    must: bool,
    /// An operator gave up what of it was not published.
    given_up: bool,
    arrived: &'a BTreeMap<i64, usize>,
}

impl Fate<'_> {
    fn judge(&self, model: &Model, identity: &Identity, problems: &mut Problems) {
        let upload = &model.uploads[identity];
        let key = &identity.0;
        let rows = &upload.content.rows;
        let here = rows.iter().filter(|record| self.arrived.contains_key(&record.id)).count();
        let kept = self.delivery.kept.get(identity);
        if here > 0 && here < rows.len() && !self.given_up {
            problems.add(Kind::Partial, format!("{here} of {} records of {key} arrived", rows.len()));
        }
        if here > 0 && kept.is_some() {
            problems.add(Kind::Duplicated, format!("{key} arrived and was set aside as well"));
        }
        if let Some(kept) = kept {
            if kept.body.as_ref() != Some(&upload.body) {
                problems.add(Kind::Lost, format!("{key} was set aside, and its bytes were not kept"));
            }
            let deserved = upload.content.undecodable || (self.plan.strict && !upload.content.bad.is_empty());
            // What kills its function every time is set aside as well; here only faults do that.
            if !deserved && kept.reason != "poison" {
                problems.add(Kind::Lost, format!("{key} was set aside as {} and is sound", kept.reason));
            }
            return;
        }
        let spoilt = upload.content.undecodable || (self.plan.strict && !upload.content.bad.is_empty());
        if spoilt {
            if here > 0 {
                problems.add(Kind::Foreign, format!("{key} arrived and cannot be right"));
            } else if self.must {
                problems.add(Kind::Lost, format!("{key} was to be set aside and is nowhere"));
            }
            return;
        }
        if self.must && here == 0 && !rows.is_empty() {
            problems.add(Kind::Lost, format!("no record of {key} arrived"));
        }
        for mark in &upload.content.bad {
            let raw = format!("\"{mark}\"");
            let times = self
                .delivery
                .rejected
                .iter()
                .filter(|record| {
                    record.key == *key && record.raw.as_ref().is_some_and(|line| line.contains(&raw))
                })
                .count();
            if times > 1 {
                problems.add(Kind::Duplicated, format!("{mark} of {key} was set aside {times} times"));
            } else if times == 0 && (self.must || here > 0) {
                problems.add(Kind::Lost, format!("{mark} of {key} was not set aside"));
            }
        }
    }
}

/// Each receipt is told at least once, under one id, and names what is there.
fn notices(plan: &DeliveryPlan, delivery: &DeliveryHarvest, harvest: &Harvest, problems: &mut Problems) {
    let visible: BTreeSet<&str> = harvest
        .files
        .iter()
        .filter(|file| file.bucket == plan.bucket() && file.key.starts_with(&plan.prefix()))
        .map(|file| file.key.as_str())
        .collect();
    let mut received = BTreeSet::new();
    let mut told: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for notice in &delivery.notices {
        let id = notice["delivery_id"].as_str().unwrap_or_default();
        let start = format!("s3://{}/", plan.bucket());
        let uri =
            |file: &Value| file["uri"].as_str().and_then(|uri| uri.strip_prefix(&start)).map(str::to_owned);
        let files: BTreeSet<String> = notice["files"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|file| uri(file).unwrap_or_default())
            .collect();
        for file in &files {
            if !visible.contains(file.as_str()) {
                problems.add(Kind::Notice, format!("{id} names {file:?}, which was never there"));
            }
        }
        if let Some(before) = told.insert(id, files.clone())
            && before != files
        {
            problems.add(Kind::Notice, format!("{id} was told twice, unlike"));
        }
    }
    for (n, entry) in &delivery.log.intents {
        for (part, receipt) in &entry.receipts {
            let files: BTreeSet<String> = receipt.files.iter().map(|file| file.key.clone()).collect();
            received.extend(files.clone());
            let id =
                if *part == 1 { format!("{}/{n}", plan.id()) } else { format!("{}/{n}/{part}", plan.id()) };
            match told.remove(id.as_str()) {
                Some(named) if named == files => {}
                Some(_) => problems.add(Kind::Notice, format!("{id} names other files than its receipt")),
                // Of what could not be told for 72 hours the receipt stands.
                None if delivery.given_up.contains(&(*n, *part)) => {}
                // Who received nothing is told nothing.
                None if plan.queue && !files.is_empty() => {
                    problems.add(Kind::Notice, format!("{id} was never told"));
                }
                None => {}
            }
        }
        let over = entry.outcome.as_ref().is_some_and(|outcome| outcome.void)
            || Standing::of(&entry.records).is_over();
        if !over {
            problems.add(Kind::Unsettled, format!("{}/{n} is {}", plan.id(), entry.state()));
        }
    }
    for id in told.keys() {
        problems.add(Kind::Notice, format!("{id} was told and has no receipt"));
    }
    for key in visible {
        if !received.contains(key) {
            problems.add(Kind::Notice, format!("{key} was visible and no receipt names it"));
        }
    }
}
