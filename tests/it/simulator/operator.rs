//! The operator of a run: decides what waits for somebody once nothing goes on by itself, as the runbook says to.

use std::collections::BTreeSet;

use landfall_core::hold;
use landfall_core::keys::{self, RecordName};
use landfall_core::operate::{self, Resolution};
use landfall_core::record::{self, Hold, Outcome};
use landfall_core::standing::{Attempts, Standing};

use super::plan::DeliveryPlan;
use super::scenario::Operator;
use super::simulation::Simulation;

/// Decides everything that waits; how many decisions that were.
pub async fn decide(simulation: &mut Simulation, operator: Operator) -> usize {
    let mut decided = 0;
    for plan in simulation.deliveries.clone() {
        for (n, records) in simulation.records(&plan.id()) {
            let standing = Standing::of(&records);
            if !standing.closed {
                // First what became of its copies, as the runbook says: what is given up for good must name what was had.
                decided += resolve(simulation, &plan, n, &records).await;
                if standing.expired {
                    expired(simulation, &plan, n, operator).await;
                    decided += 1;
                }
            }
        }
    }
    decided
}

/// What has expired is given another 72 hours, or given up.
async fn expired(simulation: &mut Simulation, plan: &DeliveryPlan, n: u64, operator: Operator) {
    let (ledger, now, id) = (simulation.scene.ledger(), simulation.now(), plan.id());
    match operator {
        Operator::Redelivers => {
            simulation.note(format!("the operator has {id}/{n} delivered again"));
            operate::redeliver(&ledger, &id, n, now).await.expect("what has expired is delivered again");
        }
        Operator::Discards => {
            simulation.note(format!("the operator gives {id}/{n} up"));
            operate::discard(&ledger, &id, n, now).await.expect("what has expired is given up");
        }
    }
}

/// Says of copies that the client alone can know of whether it has had them; how many there were.
async fn resolve(
    simulation: &mut Simulation,
    plan: &DeliveryPlan,
    n: u64,
    records: &BTreeSet<RecordName>,
) -> usize {
    let (id, standing) = (plan.id(), Standing::of(records));
    let key = keys::hold(&id, &hold::of_intent(n));
    let held = simulation.scene.aws.object("state", &key).is_some_and(|object| {
        let held: Hold = record::decode(&key, &object.body).expect("a hold");
        held.code.as_deref() == Some(hold::POSSIBLE_DUPLICATE)
    });
    if standing.generation.is_none() || !(held || standing.expired) {
        return 0;
    }
    let (ledger, now) = (simulation.scene.ledger(), simulation.now());
    let had: BTreeSet<String> =
        simulation.scene.aws.written(&plan.bucket()).into_iter().map(|object| object.key).collect();
    let outcome: Outcome =
        ledger.outcome(&id, n, standing.generation).await.expect("the log").expect("an outcome");
    let mut resolved = 0;
    for file in &outcome.files {
        if Attempts::of(records, file.index).unknown.is_empty() {
            continue;
        }
        let resolution =
            if had.contains(&file.key) { Resolution::Delivered } else { Resolution::NotDelivered };
        simulation.note(format!("the operator says of {id}/{n}, file {}: {resolution:?}", file.index));
        operate::resolve(&ledger, &id, n, file.index, resolution, now)
            .await
            .expect("a copy of unknown effect");
        resolved += 1;
    }
    resolved
}
