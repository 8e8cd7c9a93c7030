//! What an intent gave back that could not run: planned again in halves, until the one object is alone that is to blame.

use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::PutOnce;
use landfall_core::message::Message;
use landfall_core::record::{FORMAT, FlushReason, Intent, Outcome, Verdict};
use testkit::fake::Fault;

use crate::scene::{Scene, document, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";
const POISON: &str = "acme/rows/5";

fn outcome(n: u64, verdicts: Vec<Verdict>) -> Outcome {
    Outcome {
        version: FORMAT,
        delivery: ID.to_owned(),
        n,
        generation: 1,
        execution: "dead-letters".to_owned(),
        engine: String::new(),
        void: verdicts.is_empty(),
        consumed: verdicts.len(),
        files: Vec::new(),
        versions: vec![None; verdicts.len()],
        verdicts,
        rejected_rows: Vec::new(),
        rescued: 0,
        raw_bytes: 0,
        evolved: None,
    }
}

/// The intents without an outcome.
async fn undecided(scene: &Scene) -> Vec<Intent> {
    let mut found = Vec::new();
    for n in 1.. {
        let names = scene.record_names(ID, n);
        if names.is_empty() {
            break;
        }
        if !names.iter().any(|name| name == "outcome") {
            found.push(scene.ledger().intent(ID, n).await.expect("an intent"));
        }
    }
    found
}

async fn decide(scene: &Scene, outcome: Outcome) {
    let key = keys::record(ID, outcome.n, RecordName::Outcome(1));
    assert_eq!(scene.ledger().put_once(&key, &outcome).await.expect("put"), PutOnce::Ours);
}

#[tokio::test]
async fn an_object_that_no_merge_survives_is_alone_in_a_few_plans_and_all_others_are_delivered() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.aws.faults().on("GetObject").key(POISON).forever().inject(Fault::CrashBefore);
    for id in 0..8 {
        scene.stage(&format!("acme/rows/{id}"), rows(id, 1));
    }
    let mut sizes = Vec::new();
    let last = loop {
        scene.deliver(&[ID]).await;
        let Some(intent) = undecided(&scene).await.pop() else {
            panic!("the poison is in an intent: {sizes:?}")
        };
        assert!(intent.inputs.iter().any(|input| input.key == POISON));
        let expected = if sizes.is_empty() { FlushReason::Request } else { FlushReason::Halved };
        assert_eq!(intent.reason, expected);
        sizes.push(intent.inputs.len());
        if intent.inputs.len() == 1 {
            break intent.n;
        }
        decide(&scene, outcome(intent.n, Vec::new())).await;
    };
    assert_eq!(sizes, [8, 4, 2, 1]);
    // A void intent is over only when what it gave back is gone.
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 3, 4, 6, 7]);
    assert_eq!(scene.staged(), [POISON]);
    let (floor, _) = scene.ledger().floor(ID).await.expect("the floor");
    assert!(floor < last, "the memory of the halving is retired: {floor}");

    let verdict = Verdict::Quarantined {
        reason: "poison".to_owned(),
        detail: "no merge survives it".to_owned(),
        kept: String::new(),
        rows: 0,
    };
    decide(&scene, outcome(last, vec![verdict])).await;
    scene.unblock();
    scene.ask(&Message::commit(ID, last));
    scene.deliver(&[ID]).await;
    scene.deliver(&[ID]).await;
    assert_eq!(scene.staged(), Vec::<String>::new());
    assert_eq!(scene.ledger().floor(ID).await.expect("the floor").0, last);
}

#[tokio::test]
async fn a_void_intent_stays_above_the_floor_while_what_it_gave_back_is_there() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.aws.faults().on("GetObject").key("acme/rows/").forever().inject(Fault::CrashBefore);
    for id in 0..2 {
        scene.stage(&format!("acme/rows/{id}"), rows(id, 1));
    }
    scene.deliver(&[ID]).await;
    decide(&scene, outcome(1, Vec::new())).await;
    scene.deliver(&[ID]).await;
    scene.deliver(&[ID]).await;
    let sizes: Vec<usize> = undecided(&scene).await.iter().map(|intent| intent.inputs.len()).collect();
    assert_eq!(sizes, [1, 1]);
    assert_eq!(scene.ledger().floor(ID).await.expect("the floor").0, 0);

    // Its producer takes both back: nothing is left to remember.
    for id in 0..2 {
        scene.aws.delete_object("staging", &format!("acme/rows/{id}"));
    }
    scene.deliver(&[ID]).await;
    assert_eq!(scene.ledger().floor(ID).await.expect("the floor").0, 1);
}
