//! Which staged file stands for each file of an intent, when several generations of its outcome stand.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::Ledger;
use landfall_core::port::ObjectStore;
use landfall_core::record::{Attempt, Outcome, OutcomeFile};
use landfall_core::standing::Attempts;

use crate::error::CommitError;

/// A file as it is staged, or was when it was copied.
#[derive(Debug, Clone)]
pub(crate) struct StagedFile {
    /// Its entry in the outcome.
    pub entry: OutcomeFile,
    /// The generation of that outcome.
    pub generation: u32,
}

/// The files of an intent. One that was copied, or may have been, is judged and told of as the generation says that was
/// copied; all others are those of the highest. Of an intent of which nothing more is published (`publishes` is false) it does
/// not matter how those would be cut.
///
/// # Errors
/// When a record cannot be read; [`CommitError::RebuildDiffers`] when a file of an earlier generation is out and the
/// highest is cut otherwise.
pub(crate) async fn files<S: ObjectStore>(
    ledger: &Ledger<S>,
    outcome: &Outcome,
    records: &BTreeSet<RecordName>,
    publishes: bool,
) -> Result<Vec<StagedFile>, CommitError> {
    let of_highest =
        |entry: &OutcomeFile| StagedFile { entry: entry.clone(), generation: outcome.generation };
    let mut files: Vec<StagedFile> = outcome.files.iter().map(of_highest).collect();
    if outcome.generation == 1 {
        return Ok(files);
    }
    let (delivery, n) = (outcome.delivery.as_str(), outcome.n);
    let mut earlier: BTreeMap<u32, Outcome> = BTreeMap::new();
    let attempted: BTreeSet<u32> = records
        .iter()
        .filter_map(|name| if let RecordName::Attempt { file, .. } = name { Some(*file) } else { None })
        .collect();
    for index in attempted {
        let Some(k) = Attempts::of(records, index).effective else { continue };
        let key = keys::record(delivery, n, RecordName::Attempt { file: index, k });
        let attempt: Attempt = ledger.must_read(&key).await?;
        if attempt.generation >= outcome.generation {
            continue;
        }
        let copied = match earlier.entry(attempt.generation) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let key = keys::record(delivery, n, RecordName::Outcome(attempt.generation));
                unknown.insert(ledger.must_read::<Outcome>(&key).await?)
            }
        };
        // Two executions met: the rows of this file may be in others of the new generation too.
        if publishes && !copied.is_cut_like(outcome) {
            return Err(CommitError::RebuildDiffers {
                delivery: delivery.to_owned(),
                n,
                file: index,
                generation: attempt.generation,
            });
        }
        let Some(entry) = copied.files.iter().find(|entry| entry.index == index) else { continue };
        let copied = StagedFile { entry: entry.clone(), generation: attempt.generation };
        match files.iter_mut().find(|file| file.entry.index == index) {
            Some(file) => *file = copied,
            None => files.push(copied),
        }
    }
    Ok(files)
}
