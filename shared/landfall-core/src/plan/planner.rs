//! The planner itself: objects are offered one by one, a draft leaves as soon as a group is full.
//!
//! What it holds is the unfilled rest of each group, and what void intents gave back, which is cut when all of it is known.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::close::Closing;
use super::ratio::{InputForm, input_form};
use super::{IntentDraft, Plan, PlanContext, known_partition};
use crate::delivery::{Order, Start};
use crate::port::ListedObject;
use crate::record::{FlushReason, Input, KnownValue, PlanReason};

/// The partition values known before reading: what a group has in common.
type GroupKey = Vec<Option<KnownValue>>;

/// A plan in the making.
#[derive(Debug)]
pub struct Planner<'a> {
    context: PlanContext<'a>,
    /// The predicted output at which an intent is full.
    target: u64,
    groups: BTreeMap<GroupKey, Group>,
    /// What each void intent gave back, by its number.
    halves: BTreeMap<(u64, GroupKey), Vec<ListedObject>>,
    before_start: usize,
}

impl<'a> Planner<'a> {
    /// A plan of nothing yet.
    pub fn new(context: PlanContext<'a>) -> Self {
        let layout = &context.delivery.layout;
        // Records that choose their partition spread over several files: gather enough for each.
        let files = if layout.routes_by_record() { context.ratios.expected_partitions() } else { 1 };
        let target = layout.target_bytes.saturating_mul(files).min(context.bounds.output_bytes);
        Self { context, target, groups: BTreeMap::new(), halves: BTreeMap::new(), before_start: 0 }
    }

    /// Takes a pending object, in key order; the intent that is full with it, or was before it. `void` is the last void
    /// intent that held it.
    pub fn offer(&mut self, object: ListedObject, void: Option<u64>) -> Option<IntentDraft> {
        if let Start::At(start) = self.context.delivery.source.start
            && object.last_modified < start
        {
            self.before_start += 1;
            return None;
        }
        let partition = known_partition(&self.context.delivery.layout, &object);
        if let Some(n) = void {
            self.halves.entry((n, partition)).or_default().push(object);
            return None;
        }
        let mut group = self.groups.remove(&partition).unwrap_or_else(|| Group {
            closing: Closing::of(&self.context.delivery.layout, &partition),
            oldest: None,
            closes: None,
            slice: Slice::default(),
        });
        let draft = group.add(&self.context, self.target, &partition, object);
        self.groups.insert(partition, group);
        draft
    }

    /// How many objects are in hand: the rests of the groups, and what void intents gave back.
    pub fn held(&self) -> usize {
        let rests: usize = self.groups.values().map(|group| group.slice.objects.len()).sum();
        rests + self.halves.values().map(Vec::len).sum::<usize>()
    }

    /// Flushes what is ripe, and says when the rest will be.
    pub fn finish(self) -> Plan {
        let mut plan = Plan { before_start: self.before_start, ..Plan::default() };
        for ((_, partition), objects) in self.halves {
            plan.intents.extend(halves(&partition, objects));
        }
        for (partition, group) in self.groups {
            let everything = group.everything(&self.context);
            if group.slice.full || everything.is_some() {
                // On request everything leaves, also what a full file leaves over: the intent says so.
                let reason = match everything {
                    Some(FlushReason::Request) => FlushReason::Request,
                    Some(reason) if !group.slice.full => reason,
                    _ => FlushReason::Size,
                };
                plan.intents.extend(group.slice.draft(&partition, reason));
                continue;
            }
            plan.waiting += group.slice.objects.len();
            for object in &group.slice.objects {
                let ripe = group.ripe_at(&self.context, object.last_modified);
                plan.next_look = Some(plan.next_look.map_or(ripe, |other| other.min(ripe)));
            }
        }
        plan
    }
}

/// What an intent gave back that could not run: half of it each, alone, so that what makes it fail is found in few steps. No
/// reserve, no company, no waiting.
fn halves(partition: &GroupKey, mut objects: Vec<ListedObject>) -> impl Iterator<Item = IntentDraft> {
    let second = objects.split_off(objects.len().div_ceil(2));
    let partition = partition.clone();
    [objects, second].into_iter().filter(|half| !half.is_empty()).map(move |half| IntentDraft {
        partition: partition.clone(),
        reason: FlushReason::Halved,
        predicted: half.len(),
        inputs: half.into_iter().map(input).collect(),
    })
}

/// Pending objects of one partition.
#[derive(Debug)]
struct Group {
    closing: Closing,
    /// The arrival of the oldest object, of all that were offered.
    oldest: Option<Timestamp>,
    /// When the partition closes; `None` also when all of them arrived after that.
    closes: Option<Timestamp>,
    slice: Slice,
}

impl Group {
    fn add(
        &mut self,
        context: &PlanContext<'_>,
        target: u64,
        partition: &GroupKey,
        object: ListedObject,
    ) -> Option<IntentDraft> {
        let arrived = object.last_modified;
        self.oldest = Some(self.oldest.map_or(arrived, |oldest| oldest.min(arrived)));
        if let Some(closes) = self.closing.closes_at(arrived) {
            self.closes = Some(self.closes.map_or(closes, |other| other.min(closes)));
        }
        let mut draft = None;
        if self.slice.is_complete(context) || !self.slice.has_room(context, &object) {
            draft = self.take(context, partition);
        }
        self.slice.push(context, target, object);
        // One that is full of this object alone leaves with the next: two at a time never do.
        if draft.is_none() && self.slice.is_complete(context) {
            draft = self.take(context, partition);
        }
        draft
    }

    fn take(&mut self, context: &PlanContext<'_>, partition: &GroupKey) -> Option<IntentDraft> {
        let slice = std::mem::take(&mut self.slice);
        // Whether the group is ripe is known at the end; whether it was asked for, of what was seen of it.
        let requested = self.requested(context).then_some(FlushReason::Request);
        slice.full().draft(partition, requested.unwrap_or(FlushReason::Size))
    }

    /// When an object of it has waited long enough: at its latency, or when the partition closes.
    fn ripe_at(&self, context: &PlanContext<'_>, arrived: Timestamp) -> Timestamp {
        let aged = aged_at(context, arrived);
        self.closing.closes_at(arrived).map_or(aged, |closes| closes.min(aged))
    }

    /// Whether a flush asks for it.
    fn requested(&self, context: &PlanContext<'_>) -> bool {
        context.reason == PlanReason::Flush
            || self.oldest.is_some_and(|oldest| context.flushed_at.is_some_and(|at| oldest <= at))
    }

    /// Why everything leaves, full or not; `None` when it can wait.
    fn everything(&self, context: &PlanContext<'_>) -> Option<FlushReason> {
        let aged = self.oldest.map(|oldest| aged_at(context, oldest));
        if self.requested(context) {
            Some(FlushReason::Request)
        } else if aged.is_some_and(|aged| aged <= context.now) {
            Some(FlushReason::Age)
        } else if self.closes.is_some_and(|closes| closes <= context.now) {
            Some(FlushReason::Closed)
        } else {
            None
        }
    }
}

/// When an object reaches its maximum latency.
fn aged_at(context: &PlanContext<'_>, arrived: Timestamp) -> Timestamp {
    let latency = SignedDuration::from_secs(i64::from(context.delivery.layout.max_latency_seconds));
    arrived.saturating_add(latency).unwrap_or(Timestamp::MAX)
}

/// The first objects of a group that make one intent.
#[derive(Debug, Default)]
struct Slice {
    objects: Vec<ListedObject>,
    /// Predicted bytes of output.
    output: u64,
    /// Predicted decoded bytes.
    raw: u64,
    /// How many are predicted to reach the target; the others are the reserve.
    predicted: usize,
    /// Whether they reach the target, or a bound of the execution.
    full: bool,
}

impl Slice {
    /// Whether the object can join without breaking a bound of the execution. What is beyond the target is a reserve,
    /// which the execution takes only when it has room.
    fn has_room(&self, context: &PlanContext<'_>, object: &ListedObject) -> bool {
        if self.full || self.predicted == 0 {
            return true;
        }
        let more = context.ratios.raw_bytes(input_form(&object.key), object.size);
        self.raw.saturating_add(more) <= context.bounds.raw_bytes && self.predicted < context.bounds.objects
    }

    fn push(&mut self, context: &PlanContext<'_>, target: u64, object: ListedObject) {
        if !self.full {
            let form = input_form(&object.key);
            self.raw = self.raw.saturating_add(context.ratios.raw_bytes(form, object.size));
            self.output = self.output.saturating_add(context.ratios.output_bytes(form, object.size));
            self.predicted += 1;
            self.full = self.output >= target;
        }
        self.objects.push(object);
    }

    /// Whether the reserve is complete as well: more inputs, so that a wrong prediction still fills the file
    /// ([`Ratios::reserve`](super::Ratios::reserve)).
    ///
    /// A merge whose records choose their partition does not stop early, so it gets no reserve. Nor does an ordered
    /// delivery: what a reserve frees would come after what was planned behind it.
    fn is_complete(&self, context: &PlanContext<'_>) -> bool {
        let delivery = context.delivery;
        let reserved = !delivery.layout.routes_by_record() && delivery.order == Order::None;
        let form = self.objects.first().map_or(InputForm::Plain, |object| input_form(&object.key));
        let most_raw = context.bounds.raw_bytes;
        let reserve =
            if reserved { context.ratios.reserve(form, self.predicted, self.raw, most_raw) } else { 0 };
        self.full && self.objects.len() >= self.predicted.saturating_add(reserve)
    }

    /// A slice that met a bound is full at what it holds.
    fn full(mut self) -> Self {
        self.full = true;
        self
    }

    fn draft(self, partition: &GroupKey, reason: FlushReason) -> Option<IntentDraft> {
        (!self.objects.is_empty()).then(|| IntentDraft {
            partition: partition.clone(),
            reason,
            predicted: self.predicted,
            inputs: self.objects.into_iter().map(input).collect(),
        })
    }
}

fn input(object: ListedObject) -> Input {
    let ListedObject { key, etag, size, last_modified } = object;
    Input { key, etag, size, last_modified }
}
