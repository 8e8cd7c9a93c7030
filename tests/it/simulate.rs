//! `make simulate`: the exhaustive mode, and then as many seeds as are asked for.
//!
//! ```text
//! simulate [--seeds N] [--first N] [--replay SEED] [--skip-exhaustive]
//! ```
#![allow(unreachable_pub, dead_code, reason = "a program of its own out of modules that other tests share")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::missing_docs_in_private_items,
    reason = "a test that fails does so loudly"
)]

mod parquet_rows;
mod scene;
mod simulator;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use simulator::exhaustive::{self, Exhausted};
use simulator::oracle::{Kind, Problem};
use simulator::runner::{self, Workers};
use simulator::scenario::Scenario;
use simulator::sites::{self, Site};
use simulator::{ports, small};

/// How many failures are shown in full.
const SHOWN: usize = 10;

struct Arguments {
    seeds: u64,
    first: u64,
    replay: Option<u64>,
    exhaustive: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut arguments = Arguments { seeds: 2_000, first: 0, replay: None, exhaustive: true };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number =
            || words.next().and_then(|text| text.parse().ok()).ok_or(format!("{word} needs a number"));
        match word.as_str() {
            "--seeds" => arguments.seeds = number()?,
            "--first" => arguments.first = number()?,
            "--replay" => arguments.replay = Some(number()?),
            "--skip-exhaustive" => arguments.exhaustive = false,
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(arguments)
}

#[derive(Default)]
struct Totals {
    records: usize,
    faults: usize,
    decisions: usize,
    calls: usize,
    problems: BTreeMap<Kind, usize>,
    failed: BTreeMap<u64, Vec<Problem>>,
    met: BTreeMap<Site, u64>,
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            println!("{error}");
            return ExitCode::from(2);
        }
    };
    runner::quiet_panics();
    if let Some(seed) = arguments.replay {
        let (story, problems) = runner::replay(&Scenario::draw(seed));
        print!("{story}");
        println!("seed {seed}: {} problems", problems.len());
        return if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let workers = Workers::all();
    let mut sound = true;
    let mut covered = None;
    if arguments.exhaustive {
        let begun = Instant::now();
        let done = exhaustive::exhaust(&workers);
        sound &= report(&done, begun);
        covered = Some(done.covered);
    }
    sound &= random(&arguments, &workers, covered.as_ref());
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Says what the exhaustive mode did; whether all was well.
fn report(done: &Exhausted, begun: Instant) -> bool {
    for (name, scenario, problems) in done.failures.iter().take(SHOWN) {
        println!(
            "FAILED: {name} with faults at calls {:?}, at chunks {:?}",
            scenario.at_calls, scenario.at_reads
        );
        problems.iter().for_each(|problem| println!("  {problem}"));
    }
    if let Some((_, scenario, _)) = done.failures.first() {
        print!("the story of the first:\n{}", runner::replay(scenario).0);
    }
    let unmet = ports::unmet(&ports::methods(ports::SOURCE), &done.covered);
    for method in &unmet {
        println!(
            "FAILED: no run calls the port's method `{method}`: give simulator/small.rs a delivery that does"
        );
    }
    println!(
        "exhaustive: {} deliveries, {} fault points of {} kinds of call, {} faults, {} ordered pairs of crashes, \
         {} records, {} calls in {:.0} s: {} runs failed",
        small::all().len(),
        done.points,
        done.covered.len(),
        done.faults,
        done.pairs,
        done.records,
        done.calls,
        begun.elapsed().as_secs_f64(),
        done.failures.len(),
    );
    done.failures.is_empty() && unmet.is_empty()
}

/// Runs the seeds; whether all was well.
fn random(arguments: &Arguments, workers: &Workers, covered: Option<&BTreeSet<Site>>) -> bool {
    let begun = Instant::now();
    let totals: Mutex<Totals> = Mutex::default();
    workers.each(usize::try_from(arguments.seeds).unwrap_or(usize::MAX), |index| {
        let seed = arguments.first + index as u64;
        let run = runner::run(&Scenario::draw(seed), false);
        let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.records += run.records;
        totals.faults += run.faults;
        totals.decisions += run.decisions;
        totals.calls += run.calls;
        for (_, site) in run.places {
            totals.met.entry(site).or_insert(seed);
        }
        if !run.problems.is_empty() {
            println!("FAILED: seed {seed}; its story: make simulate REPLAY={seed}");
            run.problems.iter().take(SHOWN).for_each(|problem| println!("  {problem}"));
            for problem in &run.problems {
                *totals.problems.entry(problem.kind).or_default() += 1;
            }
            totals.failed.insert(seed, run.problems);
        }
    });
    let totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    let strange = covered.map(|covered| sites::uncovered(totals.met.keys(), covered)).unwrap_or_default();
    for site in &strange {
        let seed = totals.met[site];
        println!("FAILED: {site}: seed {seed} meets it, and no small delivery does (simulator/small.rs)");
    }
    let count = |kinds: &[Kind]| -> usize { kinds.iter().filter_map(|kind| totals.problems.get(kind)).sum() };
    let other = count(&[Kind::Partial, Kind::Notice, Kind::Log, Kind::Unsettled]);
    if other > 0 {
        println!("{} seeds failed: {:?}", totals.failed.len(), totals.problems);
    }
    println!(
        "{} seeds (first {}): {} records, {} faults, {} decisions of an operator, {} calls in {:.0} s: \
         {} lost, {} duplicated, {} foreign rows",
        arguments.seeds,
        arguments.first,
        totals.records,
        totals.faults,
        totals.decisions,
        totals.calls,
        begun.elapsed().as_secs_f64(),
        count(&[Kind::Lost]),
        count(&[Kind::Duplicated]),
        count(&[Kind::Foreign]),
    );
    totals.failed.is_empty() && strange.is_empty()
}
