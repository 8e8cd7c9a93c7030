//! The story of a run: everything that happened, in order, for whoever has to understand it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use landfall_core::port::Clock as _;
use testkit::fake::{Call, CallResult};
use testkit::lambda::Outcome;

use super::oracle::Problem;
use super::scenario::Scenario;
use super::simulation::Simulation;

/// How much of a body or key is shown.
const SHOWN: usize = 160;

/// The story of a run, and what is wrong with its end.
pub fn tell(scenario: &Scenario, simulation: &Simulation, problems: &[Problem]) -> String {
    let mut text = String::new();
    let mut line = |words: String| writeln!(text, "{words}").expect("writes to memory");
    for plan in &scenario.deliveries {
        line(format!("{plan:?}"));
    }
    line(format!(
        "seed {}: {} at once, interleaved {}, doubled {}, at calls {:?}, at reads {:?}",
        scenario.seed,
        scenario.concurrency,
        scenario.interleaved,
        scenario.doubled,
        scenario.at_calls,
        scenario.at_reads
    ));
    let calls = simulation.scene.aws.calls();
    let mut ends: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for run in simulation.scene.pipe.invocations() {
        let last = calls.iter().rposition(|call| call.process == run.process);
        let odd = match &run.outcome {
            Outcome::Answered(failed) if failed.is_empty() => continue,
            other => other,
        };
        ends.entry(last.map_or(0, |at| at + 1))
            .or_default()
            .push(format!("       p{} {} ended: {odd:?} (begun {})", run.process, run.function, run.at));
    }
    let mut events = simulation.events.iter().peekable();
    for call in &calls {
        while let Some((_, at, words)) = events.next_if(|(number, _, _)| *number <= call.number) {
            line(format!("{at} * {words}"));
        }
        for words in ends.remove(&call.number).unwrap_or_default() {
            line(words);
        }
        line(told(call));
    }
    for (_, at, words) in events {
        line(format!("{at} * {words}"));
    }
    for words in ends.into_values().flatten() {
        line(words);
    }
    line(format!("{} * the end", simulation.scene.aws.clock().now()));
    for problem in problems {
        line(format!("  ! {problem}"));
    }
    text
}

fn told(call: &Call) -> String {
    let who = call.function.unwrap_or("-");
    let tenant = call.tenant.as_deref().map(|tenant| format!(" as {tenant}")).unwrap_or_default();
    let resource = call.resource.rsplit('/').next().unwrap_or_default();
    let key: String = call.key.as_deref().unwrap_or_default().chars().take(SHOWN).collect();
    let fault = call.fault.map(|fault| format!("  <== {fault:?}")).unwrap_or_default();
    let result = match call.result {
        CallResult::Answered => String::new(),
        other => format!("  -> {other:?}"),
    };
    format!(
        "{} {:5} p{} {who}{tenant} {} {resource} {key}{fault}{result}",
        call.at, call.number, call.process, call.operation
    )
}
