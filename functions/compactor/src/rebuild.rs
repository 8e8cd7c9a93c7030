//! Staged files of a decided intent that vanished: the same inputs, verdicts and files again, under temp keys of their own,
//! in the next generation of the outcome.

use std::collections::{BTreeMap, BTreeSet};

use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::{Ledger, LedgerError, PutOnce};
use landfall_core::port::ObjectStore;
use landfall_core::record::{Outcome, OutcomeFile};
use landfall_core::standing::{Attempts, Standing};

use crate::error::WorkError;
use crate::merge::{Execution, at_client};
use crate::run::{Ran, Run};
use crate::staging::{StagingTarget, remove_temps};

/// The outcome of a decided intent, if a staged file of it is still needed. Repeated requests to merge end here mostly.
///
/// # Errors
/// When the log fails.
pub(crate) async fn needed<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &str,
    n: u64,
    records: &BTreeSet<RecordName>,
) -> Result<Option<Outcome>, LedgerError> {
    let standing = Standing::of(records);
    if standing.closed || standing.received || standing.discarded || standing.expired {
        return Ok(None);
    }
    let outcome = ledger.outcome(delivery, n, standing.generation).await?;
    let is_open = |file: &OutcomeFile| Attempts::of(records, file.index).is_open();
    Ok(outcome.filter(|outcome| outcome.files.iter().any(is_open)))
}

/// Looks whether all staged files stand that are needed; makes those anew that do not.
///
/// # Errors
/// [`WorkError::InputsGone`] when an input cannot be read again, [`WorkError::RebuildDiffers`] when other files come of
/// it and one of the old is out.
pub(crate) async fn rebuild<S: ObjectStore, T: ObjectStore>(
    run: &Run<'_, S>,
    store: &T,
    target: StagingTarget,
    old: &Outcome,
    records: &BTreeSet<RecordName>,
) -> Result<Execution, WorkError> {
    let (id, n) = (run.delivery.id.as_str(), run.intent.n);
    // What stands of the open files. One that stands and is not as staged is the committer's to find: it is kept here.
    let mut standing = BTreeSet::new();
    let mut vanished = 0_usize;
    for file in &old.files {
        if !Attempts::of(records, file.index).is_open() {
            continue;
        }
        let head = store.head(&target.bucket, &file.temp_key).await;
        if head.map_err(|source| at_client(run.delivery, n, source))?.is_some() {
            standing.insert(file.index);
        } else {
            vanished += 1;
        }
    }
    if vanished == 0 {
        return Ok(Execution::Adopted);
    }
    tracing::warn!(delivery = id, n, vanished, "staged files are gone and made anew");

    let (made, target) = match run.make(store, target).await? {
        Ran::Made(made) => (made.outcome, made.target),
        // Never: a run of a decided intent refuses what it refused before.
        Ran::Evolves(_) => return Err(run.differs("the contract would evolve now")),
    };
    let bucket = &target.bucket;
    let decided = match decide(run, old, &made, &standing).await {
        Ok(decided) => decided,
        Err(error) => {
            remove_temps(store, bucket, &made.files).await;
            return Err(error);
        }
    };
    let key = keys::record(id, n, RecordName::Outcome(decided.generation));
    let put = run.ledger.put_once(&key, &decided).await?;
    let kept: BTreeSet<&str> = match put {
        PutOnce::Ours => decided.files.iter().map(|file| file.temp_key.as_str()).collect(),
        // Somebody was faster.
        PutOnce::Theirs => BTreeSet::new(),
    };
    let surplus = made.files.iter().filter(|file| !kept.contains(file.temp_key.as_str())).cloned();
    remove_temps(store, bucket, &surplus.collect::<Vec<OutcomeFile>>()).await;
    Ok(if put == PutOnce::Ours { Execution::Rebuilt } else { Execution::Adopted })
}

/// The next generation: what is out, or stands, as it was; the rest as it was made now.
async fn decide<S: ObjectStore>(
    run: &Run<'_, S>,
    old: &Outcome,
    made: &Outcome,
    standing: &BTreeSet<u32>,
) -> Result<Outcome, WorkError> {
    if made.verdicts != old.verdicts {
        return Err(run.differs("the inputs read otherwise now"));
    }
    // Again: the committer may have gone on meanwhile.
    let records = run.ledger.records(&run.delivery.id, run.intent.n).await?;
    let is_out = |file: &OutcomeFile| !Attempts::of(&records, file.index).is_open();
    let files = if made.is_cut_like(old) {
        let anew: BTreeMap<u32, &OutcomeFile> = made.files.iter().map(|file| (file.index, file)).collect();
        let keep = |file: &OutcomeFile| is_out(file) || standing.contains(&file.index);
        let chosen = old.files.iter().map(|file| match anew.get(&file.index) {
            Some(new) if !keep(file) => (*new).clone(),
            _ => file.clone(),
        });
        chosen.collect()
    } else if old.files.iter().any(is_out) {
        let (made, old) = (made.files.len(), old.files.len());
        return Err(run.differs(format!("{made} files cut otherwise than the {old} of which one is out")));
    } else {
        // Nobody has seen any of the old: then these are the files.
        made.files.clone()
    };
    Ok(Outcome {
        generation: old.generation.saturating_add(1),
        execution: made.execution.clone(),
        engine: made.engine.clone(),
        files,
        ..old.clone()
    })
}
