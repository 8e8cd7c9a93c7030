//! Functions behind queues and schedules, driven in process.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use futures::FutureExt as _;
use futures::future::{LocalBoxFuture, join_all};
use jiff::{SignedDuration, Timestamp};
use landfall_core::port::Clock as _;
use serde_json::Value;

use super::answer::{Judgement, judge};
use super::event::sqs_event;
use super::invocation::{IntoAnswer, Invocation, Outcome, Stalled};
use crate::fake::{Ended, FakeAws, QueuedMessage};

/// The most bytes of message bodies that fit into one invocation (6 MB, less the envelope).
const PAYLOAD_BYTES: usize = 5_500_000;

/// A guard against schedules and queues that never come to rest.
const MAX_ROUNDS_OF_A_MOMENT: usize = 10_000;

type Handler = Box<dyn Fn(Value) -> LocalBoxFuture<'static, Result<Value, String>>>;

/// The end of a handler's future: its answer, its error, or the payload of its panic.
type Running = LocalBoxFuture<'static, std::thread::Result<Result<Value, String>>>;

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

/// An invocation that has its messages, and does what it does at its end.
struct Paced {
    mapping: usize,
    began: Timestamp,
    ends: Timestamp,
    batch: Vec<QueuedMessage>,
}

/// An invocation that is under way.
struct Flight {
    /// The mapping's index.
    mapping: usize,
    at: Timestamp,
    batch: Vec<QueuedMessage>,
    process: u64,
    running: Running,
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
    together: bool,
    lives: Option<SignedDuration>,
    /// Invocations that stand still, and until when.
    frozen: Vec<(Timestamp, Flight)>,
    /// Invocations that take their time.
    paced: Vec<Paced>,
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
            together: false,
            lives: None,
            frozen: Vec::new(),
            paced: Vec::new(),
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

    /// Serves all queues at the same time, so that functions interleave with each other.
    #[must_use]
    pub fn together(mut self) -> Self {
        self.together = true;
        self
    }

    /// Ends every invocation that has taken this long, at its next call or answer, as Lambda does.
    #[must_use]
    pub fn timeout(mut self, lives: SignedDuration) -> Self {
        self.lives = Some(lives);
        self
    }

    /// Every invocation that has ended, in the order of the ends.
    pub fn invocations(&self) -> &[Invocation] {
        &self.invocations
    }

    /// How many invocations stand still ([`crate::fake::Fault::Freeze`]).
    pub fn frozen(&self) -> usize {
        self.frozen.len()
    }

    /// Serves every queue once; how many invocations began or ended.
    pub async fn round(&mut self) -> usize {
        let thawed = self.thawed();
        let mut count = thawed.len();
        self.fly(thawed).await;
        let mut flights = Vec::new();
        for index in 0..self.mappings.len() {
            let (departing, begun) = self.departures(index);
            count += departing.len() + begun;
            flights.extend(departing);
            if !self.together {
                self.fly(std::mem::take(&mut flights)).await;
            }
        }
        self.fly(flights).await;
        count
    }

    /// The invocations that have stood still long enough.
    fn thawed(&mut self) -> Vec<Flight> {
        let now = self.fake.clock().now();
        let (thawed, frozen) =
            std::mem::take(&mut self.frozen).into_iter().partition(|(until, _)| *until <= now);
        self.frozen = frozen;
        let thawed: Vec<(Timestamp, Flight)> = thawed;
        for (_, flight) in &thawed {
            self.fake.thaw(flight.process);
        }
        thawed.into_iter().map(|(_, flight)| flight).collect()
    }

    /// The invocations of a mapping that do their work now, and how many have only received their messages.
    fn departures(&mut self, index: usize) -> (Vec<Flight>, usize) {
        let now = self.fake.clock().now();
        let Some(mapping) = self.mappings.get(index) else { return (Vec::new(), 0) };
        let Some(Pace { slots, takes }) = mapping.pace else {
            let batches = (0..self.concurrency).flat_map(|_| receive_batches(&self.fake, mapping));
            return (batches.map(|batch| self.flight(index, mapping, now, batch)).collect(), 0);
        };
        let over = |paced: &mut Paced| paced.mapping == index && paced.ends <= now;
        let ended: Vec<Paced> = self.paced.extract_if(.., over).collect();
        let flights =
            ended.into_iter().map(|paced| self.flight(index, mapping, paced.began, paced.batch)).collect();
        let busy = self.paced.iter().filter(|paced| paced.mapping == index).count();
        let ends = now.checked_add(takes).unwrap_or(Timestamp::MAX);
        let mut begun = 0;
        for _ in busy..slots {
            let received = receive_batches(&self.fake, mapping);
            if received.is_empty() {
                break;
            }
            let paced = |batch| Paced { mapping: index, began: now, ends, batch };
            self.paced.extend(received.into_iter().map(paced));
            begun += 1;
        }
        (flights, begun)
    }

    /// An invocation of a mapping with these messages.
    fn flight(&self, index: usize, mapping: &Mapping, at: Timestamp, batch: Vec<QueuedMessage>) -> Flight {
        let spec = self.fake.queue_spec(&mapping.queue);
        let event = spec.map(|spec| sqs_event(&spec, &batch)).unwrap_or_default();
        Flight {
            mapping: index,
            at,
            process: self.fake.begin_process(self.lives),
            running: running(&mapping.handler, event),
            batch,
        }
    }

    /// Runs invocations at the same time, until each has ended or stands still.
    async fn fly(&mut self, flights: Vec<Flight>) {
        let fake = &self.fake;
        let flown = flights.into_iter().map(|mut flight| async move {
            let ended = fake.run_process(flight.process, &mut flight.running).await;
            if matches!(ended, Ended::Crashed) {
                // With all that it holds: others may wait for it.
                flight.running = std::future::pending().boxed_local();
            }
            (flight, ended)
        });
        for (flight, ended) in join_all(flown).await {
            let outcome = match ended {
                Ended::Frozen(until) => {
                    self.frozen.push((until, flight));
                    continue;
                }
                Ended::Crashed => Outcome::Crashed,
                Ended::Done(Err(_)) => Outcome::Panicked,
                Ended::Done(Ok(Err(error))) => Outcome::Failed(error),
                Ended::Done(Ok(Ok(answer))) => self.settle(&flight, &answer),
            };
            let Some(mapping) = self.mappings.get(flight.mapping) else { continue };
            self.invocations.push(Invocation {
                function: mapping.function.clone(),
                queue: Some(mapping.queue.clone()),
                at: flight.at,
                messages: flight.batch.into_iter().map(|message| message.id).collect(),
                process: flight.process,
                outcome,
            });
        }
    }

    /// Applies an answer to the messages of its batch.
    fn settle(&self, flight: &Flight, answer: &Value) -> Outcome {
        let ids: BTreeSet<String> = flight.batch.iter().map(|message| message.id.clone()).collect();
        match judge(answer, &ids) {
            Judgement::WholeBatch(reason) => Outcome::Failed(reason.to_owned()),
            Judgement::Failed(failed) => {
                let queue = self.mappings.get(flight.mapping).map_or("", |mapping| &mapping.queue);
                for message in flight.batch.iter().filter(|message| !failed.contains(&message.id)) {
                    if let Some(handle) = &message.receipt_handle {
                        self.fake.delete_message(queue, handle);
                    }
                }
                Outcome::Answered(failed)
            }
        }
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
            match self.next_visible() {
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
            let next = [due, self.next_visible()].into_iter().flatten().min().filter(|next| *next <= end);
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
            let process = self.fake.begin_process(self.lives);
            let mut running = running(&schedule.handler, schedule.event.clone());
            let outcome = match self.fake.run_process(process, &mut running).await {
                // Nothing hands a schedule's event out again.
                Ended::Crashed | Ended::Frozen(_) => Outcome::Crashed,
                Ended::Done(Err(_)) => Outcome::Panicked,
                Ended::Done(Ok(Err(error))) => Outcome::Failed(error),
                Ended::Done(Ok(Ok(_))) => Outcome::Answered(BTreeSet::new()),
            };
            let (function, messages) = (schedule.function.clone(), Vec::new());
            self.invocations.push(Invocation { function, queue: None, at: now, messages, process, outcome });
        }
    }

    /// When the next message comes into sight that is not in sight now, an invocation ends, or a frozen one goes on.
    pub fn next_visible(&self) -> Option<Timestamp> {
        let messages = self.mappings.iter().filter_map(|mapping| self.fake.next_in_sight(&mapping.queue));
        let frozen = self.frozen.iter().map(|(until, _)| *until);
        messages.chain(frozen).chain(self.paced.iter().map(|paced| paced.ends)).min()
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
    // Called inside the future: it may panic before it returns one of its own.
    let handler = Rc::new(handler);
    Box::new(move |event| {
        let handler = Rc::clone(&handler);
        async move { handler(event).await.into_answer() }.boxed_local()
    })
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

/// An invocation of a handler, in which a panic is an end like others.
fn running(handler: &Handler, event: Value) -> Running {
    AssertUnwindSafe(handler(event)).catch_unwind().boxed_local()
}
