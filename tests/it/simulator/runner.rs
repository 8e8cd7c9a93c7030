//! Runs: one, or many on all cores. Each is one thread's alone, with a clock of its own.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use testkit::fake::{Call, InjectedPanic};

use super::harvest::harvest;
use super::oracle::{Kind, Problem, judge};
use super::scenario::Scenario;
use super::simulation::Simulation;
use super::sites::{self, Site};
use super::story;

/// Where a fault can be put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A call, by its number.
    Call(usize),
    /// A chunk of a body, by its number.
    Read(usize),
}

impl Place {
    /// Whether it comes after so many calls; chunks are few and never do.
    pub fn is_after(self, calls: usize) -> bool {
        matches!(self, Self::Call(number) if number >= calls)
    }
}

/// What came of a run.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Broken promises.
    pub problems: Vec<Problem>,
    /// Records staged.
    pub records: usize,
    /// Faults that struck.
    pub faults: usize,
    /// What an operator had to decide.
    pub decisions: usize,
    /// Calls made.
    pub calls: usize,
    /// Calls made until the last intent was closed and told.
    pub done_calls: usize,
    /// Calls of invocations that did what the one before them had done, and nothing in between: nothing new can fail there.
    pub repeats: BTreeSet<usize>,
    /// Every place where a fault can be put, with its site; for runs of the exhaustive mode all, else the first of each.
    pub places: Vec<(Place, Site)>,
}

thread_local! {
    /// Where a panic that nobody injected happened.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps injected panics silent, and notes where others happened.
pub fn quiet_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<InjectedPanic>().is_some() {
            return;
        }
        PANIC.set(Some(info.to_string()));
        if thread::current().name().is_none_or(|name| name != WORKER) {
            default(info);
        }
    }));
}

/// The name of the threads whose panics are results.
const WORKER: &str = "worker";

/// Plays a scenario and keeps the world as it ended.
pub fn play(scenario: &Scenario) -> (Simulation, Vec<Problem>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let simulation = Simulation::play(scenario).await;
        let harvest = harvest(&simulation).await;
        let problems = judge(&simulation.deliveries, &simulation.model, &harvest);
        (simulation, problems)
    })
}

/// The story of a scenario.
pub fn replay(scenario: &Scenario) -> (String, Vec<Problem>) {
    let (simulation, problems) = play(scenario);
    (story::tell(scenario, &simulation, &problems), problems)
}

/// The calls of a scenario: the same each time.
pub fn calls(scenario: &Scenario) -> Vec<Call> {
    play(scenario).0.scene.aws.calls()
}

/// Whether nothing of an intent comes after this call.
fn is_last(call: &Call) -> bool {
    sites::of_call(call).is_some_and(|site| {
        let written = site.operation == "PutObject" && ["closed", "notified"].contains(&site.target);
        written || site.target == "client queue"
    })
}

/// The calls of invocations that repeat the one before them: sweeps while everybody waits.
fn repeats(calls: &[Call]) -> BTreeSet<usize> {
    let mut repeats = BTreeSet::new();
    let mut before: Vec<(Option<Site>, Option<&String>)> = Vec::new();
    for invocation in calls.chunk_by(|left, right| left.process == right.process) {
        let sites: Vec<_> = invocation.iter().map(|call| (sites::of_call(call), call.key.as_ref())).collect();
        if sites == before {
            repeats.extend(invocation.iter().map(|call| call.number));
        }
        before = sites;
    }
    repeats
}

/// Plays a scenario and says what came of it.
pub fn run(scenario: &Scenario, all_places: bool) -> Run {
    PANIC.set(None);
    let played = catch_unwind(AssertUnwindSafe(|| {
        let (simulation, problems) = play(scenario);
        let aws = &simulation.scene.aws;
        let (calls, reads) = (aws.calls(), aws.body_reads());
        let mut run = Run {
            problems,
            records: simulation.model.record_count(),
            faults: calls.iter().filter(|call| call.fault.is_some()).count()
                + reads.iter().filter(|read| read.fault.is_some()).count(),
            decisions: simulation.decisions,
            calls: calls.len(),
            done_calls: calls.iter().rposition(is_last).map_or(0, |last| last + 1),
            repeats: BTreeSet::new(),
            places: Vec::new(),
        };
        let of_calls =
            calls.iter().filter_map(|call| Some((Place::Call(call.number), sites::of_call(call)?)));
        let of_reads =
            reads.iter().enumerate().filter_map(|(at, read)| Some((Place::Read(at), sites::of_read(read)?)));
        if all_places {
            run.repeats = repeats(&calls);
            run.places = of_calls.chain(of_reads).collect();
        } else {
            let mut first = BTreeMap::new();
            for (place, site) in of_calls.chain(of_reads) {
                first.entry(site).or_insert(place);
            }
            run.places = first.into_iter().map(|(site, place)| (place, site)).collect();
        }
        run
    }));
    played.unwrap_or_else(|_| {
        let text = PANIC.take().unwrap_or_else(|| "an injected panic reached the driver".to_owned());
        Run { problems: vec![Problem { kind: Kind::Unsettled, text }], ..Run::default() }
    })
}

/// Threads that share work.
#[derive(Debug, Clone, Copy)]
pub struct Workers {
    /// How many.
    pub threads: usize,
    /// Whether they say how far they are.
    pub speaks: bool,
}

impl Workers {
    /// One for each core.
    pub fn all() -> Self {
        Self { threads: thread::available_parallelism().map_or(2, std::num::NonZero::get), speaks: true }
    }

    /// Says how far the work is.
    pub fn say(&self, words: &str) {
        if self.speaks {
            println!("{words}");
        }
    }

    /// Runs all scenarios; the results in their order, with all places or the first of each site.
    pub fn run_all(&self, scenarios: &[Scenario], all_places: bool) -> Vec<Run> {
        let results: Mutex<BTreeMap<usize, Run>> = Mutex::default();
        self.each(scenarios.len(), |index| {
            let run = run(&scenarios[index], all_places);
            results.lock().unwrap_or_else(PoisonError::into_inner).insert(index, run);
        });
        results.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
    }

    /// Does a piece of work for each index below `count`.
    pub fn each(&self, count: usize, work: impl Fn(usize) + Sync) {
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..self.threads.clamp(1, count.max(1)) {
                let work = || {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= count {
                            return;
                        }
                        work(index);
                    }
                };
                let builder = thread::Builder::new().name(WORKER.to_owned()).stack_size(16 << 20);
                builder.spawn_scoped(scope, work).expect("a thread");
            }
        });
    }
}
