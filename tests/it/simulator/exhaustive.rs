//! The exhaustive mode: every call of small deliveries failed in every way, and all ordered pairs of crashes of one.
//!
//! A run after a fault meets calls that no run without one makes: the deletion of a loser's files, the record of a
//! refusal. Each kind of call is failed in every way too, where it is first met, until no new kind turns up.

use std::collections::{BTreeMap, BTreeSet};

use landfall_core::error::PortErrorKind;
use testkit::fake::Fault;

use super::oracle::Problem;
use super::runner::{Place, Run, Workers};
use super::scenario::Scenario;
use super::sites::Site;
use super::small::{self, Small};

/// What the exhaustive mode did.
#[derive(Debug, Default)]
pub struct Exhausted {
    /// Kinds of call that were failed in every way.
    pub covered: BTreeSet<Site>,
    /// Calls and chunks of bodies that were failed, each in every way.
    pub points: usize,
    /// Pairs of a call or chunk and a way to fail.
    pub faults: usize,
    /// Ordered pairs of crashes.
    pub pairs: usize,
    /// Runs that broke a promise, with the name of the delivery.
    pub failures: Vec<(&'static str, Scenario, Vec<Problem>)>,
    /// Records staged, in all runs.
    pub records: usize,
    /// Calls made, in all runs.
    pub calls: usize,
}

/// How a call of a site can fail.
pub fn ways(site: Site) -> Vec<Fault> {
    let mut ways = vec![
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::Panic,
        Fault::Throttle,
        Fault::Unreached,
        Fault::LostResponse,
        Fault::Delay(1_000),
        Fault::Freeze { seconds: 1_200, dies: false },
        Fault::Freeze { seconds: 1_100, dies: true },
    ];
    match site.operation {
        "ReadBody" => ways.retain(|way| {
            !matches!(way, Fault::CrashAfter | Fault::LostResponse | Fault::Throttle | Fault::Unreached)
        }),
        "SendMessage" => ways.push(Fault::Twice),
        "PutObject" | "CopyObject" | "CompleteMultipartUpload" => {
            ways.extend([Fault::ErrorInside200, Fault::Fail(PortErrorKind::Conflict)]);
        }
        "UploadPart" => ways.push(Fault::Corrupt),
        _ => {}
    }
    match site.target {
        "temp" | "production file" => ways.push(Fault::Fail(PortErrorKind::Denied)),
        "role" => ways.push(Fault::Fail(PortErrorKind::RoleRefused)),
        "table" => ways.push(Fault::Fail(PortErrorKind::CatalogRefused)),
        "client queue" => ways.push(Fault::Fail(PortErrorKind::QueueRefused)),
        _ => {}
    }
    // An own object that may not be looked at: is it absent? A listing of its very key says so.
    if ["GetObject", "HeadObject"].contains(&site.operation)
        && !["temp", "production file"].contains(&site.target)
    {
        ways.push(Fault::Fail(PortErrorKind::Denied));
    }
    if site.operation == "ReadBody" {
        ways.push(Fault::Fail(PortErrorKind::Unavailable));
    }
    ways
}

/// The scenario with one fault more.
fn with(scenario: &Scenario, place: Place, fault: Fault) -> Scenario {
    let mut scenario = scenario.clone();
    match place {
        Place::Call(number) => scenario.at_calls.push((number, fault)),
        Place::Read(number) => scenario.at_reads.push((number, fault)),
    }
    scenario
}

/// Runs all of it.
pub fn exhaust(workers: &Workers) -> Exhausted {
    exhaust_these(workers, &small::all(), true)
}

/// Runs these deliveries, and the pairs of crashes of the smallest if they are asked for.
pub fn exhaust_these(workers: &Workers, deliveries: &[Small], pairs: bool) -> Exhausted {
    let mut done = Exhausted::default();
    let mut met: BTreeMap<Site, (&'static str, Scenario, Place)> = BTreeMap::new();
    let mut level: Vec<(&'static str, Scenario)> = Vec::new();
    let names: Vec<&'static str> = deliveries.iter().map(|small| small.name).collect();
    let calm: Vec<Scenario> = deliveries.iter().map(|small| small.scenario.clone()).collect();
    let calm_runs = workers.run_all(&calm, true);
    for ((small, run), name) in deliveries.iter().zip(&calm_runs).zip(names) {
        done.take(name, &small.scenario, run, &mut met);
        if !small.every_call {
            continue;
        }
        for (place, site) in run.places.iter().filter(|(place, _)| !place.is_after(run.done_calls)) {
            done.points += 1;
            done.covered.insert(*site);
            level.extend(ways(*site).into_iter().map(|way| (name, with(&small.scenario, *place, way))));
        }
    }
    done.faults += level.len();
    while !level.is_empty() {
        workers.say(&format!("{} runs with a fault more", level.len()));
        let scenarios: Vec<Scenario> = level.iter().map(|(_, scenario)| scenario.clone()).collect();
        for ((name, scenario), run) in level.iter().zip(workers.run_all(&scenarios, false)) {
            done.take(name, scenario, &run, &mut met);
        }
        level.clear();
        let new: Vec<Site> = met.keys().filter(|site| !done.covered.contains(site)).copied().collect();
        for site in new {
            done.covered.insert(site);
            done.points += 1;
            let (name, scenario, place) = &met[&site];
            level.extend(ways(site).into_iter().map(|way| (*name, with(scenario, *place, way))));
        }
        done.faults += level.len();
    }
    if pairs {
        done.pairs(workers);
    }
    done
}

impl Exhausted {
    fn take(
        &mut self,
        name: &'static str,
        scenario: &Scenario,
        run: &Run,
        met: &mut BTreeMap<Site, (&'static str, Scenario, Place)>,
    ) {
        self.records += run.records;
        self.calls += run.calls;
        if !run.problems.is_empty() {
            self.failures.push((name, scenario.clone(), run.problems.clone()));
        }
        for (place, site) in &run.places {
            // A scenario with few faults and few calls is the better example.
            met.entry(*site).or_insert_with(|| (name, scenario.clone(), *place));
        }
    }

    /// All ordered pairs of crashes of the smallest delivery: after call i, and after a later call j of the run that
    /// recovers from the first, but for sweeps that repeat the one before them.
    fn pairs(&mut self, workers: &Workers) {
        let small = small::single();
        let calm = workers.run_all(std::slice::from_ref(&small.scenario), true).remove(0);
        let first: Vec<Scenario> = (0..calm.done_calls.min(calm.calls))
            .map(|number| with(&small.scenario, Place::Call(number), Fault::CrashAfter))
            .collect();
        let mut second = Vec::new();
        for ((number, scenario), run) in first.iter().enumerate().zip(workers.run_all(&first, true)) {
            let later =
                (number + 1..run.done_calls.min(run.calls)).filter(|call| !run.repeats.contains(call));
            second.extend(later.map(|number| with(scenario, Place::Call(number), Fault::CrashAfter)));
        }
        self.pairs += second.len();
        workers.say(&format!("{} runs with two crashes", second.len()));
        let mut met = BTreeMap::new();
        for (scenario, run) in second.iter().zip(workers.run_all(&second, false)) {
            self.take(small.name, scenario, &run, &mut met);
        }
    }
}
