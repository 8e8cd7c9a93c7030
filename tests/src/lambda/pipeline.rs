//! Functions behind queues and schedules, driven in process.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use futures::future::{LocalBoxFuture, join_all};
use jiff::{SignedDuration, Timestamp};
use landfall_core::port::Clock as _;
use serde_json::Value;

use super::answer::{Judgement, judge};
use super::event::sqs_event;
use crate::fake::{FakeAws, QueuedMessage};

/// The most bytes of message bodies that fit into one invocation (6 MB, less the envelope).
const PAYLOAD_BYTES: usize = 5_500_000;

/// A guard against schedules and queues that never come to rest.
const MAX_ROUNDS_OF_A_MOMENT: usize = 10_000;

type Handler = Box<dyn Fn(Value) -> LocalBoxFuture<'static, Result<Value, String>>>;

/// What a function gives back: an answer, or an error that fails the invocation.
pub trait IntoAnswer {
    /// The answer, or the error's text.
    ///
    /// # Errors
    /// What the function failed with.
    fn into_answer(self) -> Result<Value, String>;
}

impl IntoAnswer for Value {
    fn into_answer(self) -> Result<Value, String> {
        Ok(self)
    }
}

impl<E: fmt::Display> IntoAnswer for Result<Value, E> {
    fn into_answer(self) -> Result<Value, String> {
        self.map_err(|error| error.to_string())
    }
}

/// What came of one invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Answered; the messages with these ids come back.
    Answered(BTreeSet<String>),
    /// The whole batch comes back: an error, or an answer that breaks the contract.
    Failed(String),
    /// The function panicked.
    Panicked,
    /// The process ended in the middle.
    Crashed,
}

/// One invocation of a function.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The function.
    pub function: String,
    /// The queue's URL; `None` for a schedule.
    pub queue: Option<String>,
    /// When it began.
    pub at: Timestamp,
    /// Ids of the messages it was given.
    pub messages: Vec<String>,
    /// What came of it.
    pub outcome: Outcome,
}

/// Work that did not come to rest in the rounds it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stalled {
    /// Queues that still hold messages, and how many.
    pub left: Vec<(String, usize)>,
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the pipeline did not come to rest: {:?}", self.left)
    }
}

impl std::error::Error for Stalled {}

struct Mapping {
    function: String,
    queue: String,
    batch_size: usize,
    handler: Handler,
    pace: Option<Pace>,
}

/// How a mapping spends time.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Invocations at the same time.
    slots: usize,
    /// How long each takes.
    takes: SignedDuration,
}

/// An invocation that has its messages and is not over.
struct Running {
    mapping: usize,
    began: Timestamp,
    ends: Timestamp,
    batch: Vec<QueuedMessage>,
}

struct Schedule {
    function: String,
    every: SignedDuration,
    due: Timestamp,
    event: Value,
    handler: Handler,
}

/// Functions behind queues and schedules of one fake.
pub struct Pipeline {
    fake: FakeAws,
    mappings: Vec<Mapping>,
    schedules: Vec<Schedule>,
    concurrency: usize,
    running: Vec<Running>,
    invocations: Vec<Invocation>,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let functions: Vec<_> =
            self.mappings.iter().map(|mapping| (&mapping.function, &mapping.queue)).collect();
        f.debug_struct("Pipeline").field("functions", &functions).finish_non_exhaustive()
    }
}

impl Pipeline {
    /// A pipeline without functions.
    pub fn new(fake: &FakeAws) -> Self {
        Self {
            fake: fake.clone(),
            mappings: Vec::new(),
            schedules: Vec::new(),
            concurrency: 1,
            running: Vec::new(),
            invocations: Vec::new(),
        }
    }

    /// Puts a function behind a queue. Queues are served in the order they are given.
    #[must_use]
    pub fn on_queue<F, A>(
        mut self,
        function: &str,
        queue: &str,
        batch_size: usize,
        handler: impl Fn(Value) -> F + 'static,
    ) -> Self
    where
        F: Future<Output = A> + 'static,
        A: IntoAnswer + 'static,
    {
        self.mappings.push(Mapping {
            function: function.to_owned(),
            queue: queue.to_owned(),
            batch_size: batch_size.max(1),
            handler: boxed(handler),
            pace: None,
        });
        self
    }

    /// Lets every invocation of the mapping of this queue take so long, and so many run at the same time. Its messages are
    /// received when it begins; what it does, it does at its end. Without this an invocation takes no time at all.
    #[must_use]
    pub fn pace(mut self, queue: &str, slots: usize, takes: SignedDuration) -> Self {
        for mapping in self.mappings.iter_mut().filter(|mapping| mapping.queue == queue) {
            mapping.pace = Some(Pace { slots: slots.max(1), takes });
        }
        self
    }

    /// Wakes a function every so often with this event, the first time one period from now; only
    /// [`Pipeline::run_for`] and [`Pipeline::tick`] do.
    #[must_use]
    pub fn on_schedule<F, A>(
        mut self,
        function: &str,
        every: SignedDuration,
        event: Value,
        handler: impl Fn(Value) -> F + 'static,
    ) -> Self
    where
        F: Future<Output = A> + 'static,
        A: IntoAnswer + 'static,
    {
        let now = self.fake.clock().now();
        let due = now.checked_add(every).unwrap_or(now);
        let function = function.to_owned();
        self.schedules.push(Schedule { function, every, due, event, handler: boxed(handler) });
        self
    }

    /// How many invocations of one mapping run at the same time; 1 unless told otherwise. They interleave at
    /// their calls when [`FakeAws::interleave`] is on.
    #[must_use]
    pub fn concurrency(mut self, invocations: usize) -> Self {
        self.concurrency = invocations.max(1);
        self
    }

    /// Every invocation so far.
    pub fn invocations(&self) -> &[Invocation] {
        &self.invocations
    }

    /// Serves every queue once; how many invocations began or ended.
    pub async fn round(&mut self) -> usize {
        let now = self.fake.clock().now();
        let mut done = Vec::new();
        let mut begun = 0;
        for (index, mapping) in self.mappings.iter().enumerate() {
            let mut batches = Vec::new();
            match mapping.pace {
                None => {
                    for _ in 0..self.concurrency {
                        batches.extend(receive_batches(&self.fake, mapping));
                    }
                }
                Some(Pace { slots, takes }) => {
                    let over = |running: &mut Running| running.mapping == index && running.ends <= now;
                    let ended: Vec<Running> = self.running.extract_if(.., over).collect();
                    let ended = ended.into_iter().map(|run| serve(&self.fake, mapping, run.began, run.batch));
                    done.extend(join_all(ended).await);
                    let busy = self.running.iter().filter(|running| running.mapping == index).count();
                    let ends = now.checked_add(takes).unwrap_or(Timestamp::MAX);
                    for _ in busy..slots {
                        let received = receive_batches(&self.fake, mapping);
                        if received.is_empty() {
                            break;
                        }
                        let started = received.into_iter().map(|batch| Running {
                            mapping: index,
                            began: now,
                            ends,
                            batch,
                        });
                        self.running.extend(started);
                        begun += 1;
                    }
                }
            }
            let running = batches.into_iter().map(|batch| serve(&self.fake, mapping, now, batch));
            done.extend(join_all(running).await);
        }
        let count = done.len() + begun;
        self.invocations.extend(done);
        count
    }

    /// Serves what can be received now, without moving the clock, until nothing can be.
    ///
    /// # Errors
    /// [`Stalled`] after `max_rounds`.
    pub async fn drive_now(&mut self, max_rounds: usize) -> Result<(), Stalled> {
        for _ in 0..max_rounds {
            if self.round().await == 0 {
                return Ok(());
            }
        }
        Err(self.stalled())
    }

    /// Serves until every queue that a function stands behind is empty, moving the clock on to the next message
    /// that becomes visible. Schedules do not fire.
    ///
    /// # Errors
    /// [`Stalled`] after `max_rounds`.
    pub async fn drive_until_idle(&mut self, max_rounds: usize) -> Result<(), Stalled> {
        for _ in 0..max_rounds {
            if self.round().await > 0 {
                continue;
            }
            match self.next_event() {
                Some(time) => self.fake.clock().advance_to(time),
                None if self.stalled().left.is_empty() => return Ok(()),
                None => break,
            }
        }
        Err(self.stalled())
    }

    /// Lets this much time pass: messages are served and schedules fire when they are due.
    ///
    /// # Errors
    /// [`Stalled`] when one moment never comes to rest.
    pub async fn run_for(&mut self, time: SignedDuration) -> Result<(), Stalled> {
        let clock = self.fake.clock();
        let end = clock.now().checked_add(time).unwrap_or(Timestamp::MAX);
        loop {
            self.drive_now(MAX_ROUNDS_OF_A_MOMENT).await?;
            let due = self.schedules.iter().map(|schedule| schedule.due).min();
            let next = [due, self.next_event()].into_iter().flatten().min().filter(|next| *next <= end);
            let Some(next) = next else {
                clock.advance_to(end);
                return Ok(());
            };
            clock.advance_to(next);
            self.fire_due().await;
        }
    }

    /// Fires every schedule once, due or not.
    pub async fn tick(&mut self) {
        let now = self.fake.clock().now();
        for schedule in &mut self.schedules {
            schedule.due = now;
        }
        self.fire_due().await;
    }

    async fn fire_due(&mut self) {
        let now = self.fake.clock().now();
        for schedule in &mut self.schedules {
            if schedule.due > now {
                continue;
            }
            schedule.due = now.checked_add(schedule.every).unwrap_or(Timestamp::MAX);
            let outcome = match invoke(&self.fake, &schedule.handler, schedule.event.clone()).await {
                Ok(_) => Outcome::Answered(BTreeSet::new()),
                Err(outcome) => outcome,
            };
            let (function, messages) = (schedule.function.clone(), Vec::new());
            self.invocations.push(Invocation { function, queue: None, at: now, messages, outcome });
        }
    }

    /// When the next message comes into sight that is not in sight now, or the next invocation ends.
    fn next_event(&self) -> Option<Timestamp> {
        let now = self.fake.clock().now();
        let visible = self.mappings.iter().filter_map(|mapping| self.fake.next_in_sight(&mapping.queue, now));
        visible.chain(self.running.iter().map(|running| running.ends)).min()
    }

    fn stalled(&self) -> Stalled {
        let depths =
            self.mappings.iter().map(|mapping| (mapping.queue.clone(), self.fake.depth(&mapping.queue)));
        Stalled { left: depths.filter(|(_, depth)| *depth > 0).collect() }
    }
}

fn boxed<F, A>(handler: impl Fn(Value) -> F + 'static) -> Handler
where
    F: Future<Output = A> + 'static,
    A: IntoAnswer + 'static,
{
    Box::new(move |event| handler(event).map(IntoAnswer::into_answer).boxed_local())
}

/// Receives one batch of a mapping; several when it would not fit into one payload.
fn receive_batches(fake: &FakeAws, mapping: &Mapping) -> Vec<Vec<QueuedMessage>> {
    let mut messages = Vec::new();
    while messages.len() < mapping.batch_size {
        let received = fake.receive(&mapping.queue, mapping.batch_size - messages.len());
        if received.is_empty() {
            break;
        }
        messages.extend(received);
    }
    let mut batches: Vec<Vec<QueuedMessage>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        bytes += message.body.len();
        match batches.last_mut() {
            Some(batch) if bytes <= PAYLOAD_BYTES => batch.push(message),
            _ => {
                bytes = message.body.len();
                batches.push(vec![message]);
            }
        }
    }
    batches
}

async fn serve(fake: &FakeAws, mapping: &Mapping, at: Timestamp, batch: Vec<QueuedMessage>) -> Invocation {
    let ids: BTreeSet<String> = batch.iter().map(|message| message.id.clone()).collect();
    let event = fake.queue_spec(&mapping.queue).map(|spec| sqs_event(&spec, &batch)).unwrap_or_default();
    let outcome = match invoke(fake, &mapping.handler, event).await {
        Err(outcome) => outcome,
        Ok(answer) => match judge(&answer, &ids) {
            Judgement::WholeBatch(reason) => Outcome::Failed(reason.to_owned()),
            Judgement::Failed(failed) => {
                for message in batch.iter().filter(|message| !failed.contains(&message.id)) {
                    if let Some(handle) = &message.receipt_handle {
                        fake.delete_message(&mapping.queue, handle);
                    }
                }
                Outcome::Answered(failed)
            }
        },
    };
    let messages = batch.into_iter().map(|message| message.id).collect();
    Invocation {
        function: mapping.function.clone(),
        queue: Some(mapping.queue.clone()),
        at,
        messages,
        outcome,
    }
}

async fn invoke(fake: &FakeAws, handler: &Handler, event: Value) -> Result<Value, Outcome> {
    let running = AssertUnwindSafe(async { handler(event).await }).catch_unwind();
    match fake.run_until_crash(running).await {
        Err(_) => Err(Outcome::Crashed),
        Ok(Err(_)) => Err(Outcome::Panicked),
        Ok(Ok(answer)) => answer.map_err(Outcome::Failed),
    }
}
