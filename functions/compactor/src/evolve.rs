//! A contract that takes in what is new: what the inputs of an intent ask for, recorded as the next version of the contract.
//!
//! The intent itself cannot go on: its configuration is pinned. Its outcome is void, and its inputs are planned again under
//! the version that was recorded before. Whether it is void depends on the pin and the inputs alone, so that all executions of
//! it agree; which version comes of it depends on what others have recorded.

use futures::StreamExt as _;
use landfall_core::contract::ViolationPolicy;
use landfall_core::delivery::{Delivery, PinnedConfig};
use landfall_core::evolution::{Evolution, Step};
use landfall_core::keys;
use landfall_core::layout::Layout;
use landfall_core::ledger::{Ledger, LedgerError, PutOnce};
use landfall_core::port::{GetOutcome, ObjectBody as _, ObjectStore};
use landfall_core::record::{FORMAT, Input, Intent};
use landfall_parquet::Inference;

use crate::error::WorkError;
use crate::input::{Fetched, READ_TRIES, fetch, open};
use crate::run::{PREFETCH, Run};

/// How often a version is tried for that somebody else puts at the same time.
const ROUNDS: usize = 16;

/// The configuration that intents are planned with now: that of the document, with all that its contract has taken in.
///
/// # Errors
/// When the log fails.
pub(crate) async fn pinned<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
) -> Result<PinnedConfig, LedgerError> {
    let mut pinned = delivery.pinned();
    if delivery.contract.on_violation == ViolationPolicy::Evolve
        && let Some(evolution) = ledger.evolution(&delivery.id).await?
    {
        pinned.contract = pinned.contract.evolved(&evolution);
    }
    Ok(pinned)
}

/// Whether the contract of an intent takes anything in.
pub(crate) fn asks_for_more(inference: &Inference, pin: &PinnedConfig) -> bool {
    !inference.evolve(&pin.contract, levels(&pin.layout)).is_empty()
}

/// Records the next version of the contract, unless the newest takes all of it in already. Answers the version to plan with.
///
/// # Errors
/// When the log fails, or others record version after version.
pub(crate) async fn record<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    intent: &Intent,
    inference: &Inference,
) -> Result<u32, WorkError> {
    let id = &delivery.id;
    for _ in 0..ROUNDS {
        let known = ledger.evolution(id).await?;
        let mut evolution =
            known.unwrap_or_else(|| Evolution { version: FORMAT, delivery: id.clone(), steps: Vec::new() });
        let current = delivery.contract.evolved(&evolution);
        // A document that was edited may not evolve any more: then it decides, and nothing is recorded.
        let changes = match current.on_violation {
            ViolationPolicy::Evolve => inference.evolve(&current, levels(&delivery.layout)),
            ViolationPolicy::Strict | ViolationPolicy::QuarantineRow | ViolationPolicy::Rescue => Vec::new(),
        };
        if changes.is_empty() {
            return Ok(current.version);
        }
        let version = current.version.saturating_add(1);
        tracing::warn!(delivery = id, n = intent.n, version, changes = changes.len(), "the contract evolves");
        let (n, planned_at) = (intent.n, intent.planned_at);
        evolution.steps.push(Step { contract_version: version, n, planned_at, changes });
        if ledger.put_once(&keys::contract(id, version), &evolution).await? == PutOnce::Ours {
            return Ok(version);
        }
    }
    Err(WorkError::Raced { delivery: id.clone() })
}

/// The names of the levels of the path: a column of the same name would hide behind them.
fn levels(layout: &Layout) -> impl Iterator<Item = &str> {
    layout.partitions.iter().filter_map(|level| level.name.as_deref())
}

impl<S: ObjectStore> Run<'_, S> {
    /// Reads what the first `count` inputs hold. One that is gone is not asked.
    ///
    /// # Errors
    /// [`WorkError`] when an input cannot be read, or time runs out.
    pub(crate) async fn infer(&self, count: usize) -> Result<Inference, WorkError> {
        let mut inference = Inference::of_contract(&self.pin.contract);
        let inputs = self.intent.inputs.get(..count).unwrap_or(&self.intent.inputs);
        // By index: a closure over references would not be general enough for a `Send` stream.
        let fetches =
            (0..inputs.len()).map(|index| fetch(self.ledger.store(), self.staging, inputs.get(index), None));
        let mut fetched = futures::stream::iter(fetches).buffered(PREFETCH);
        for (index, input) in inputs.iter().enumerate() {
            self.out_of_time(index)?;
            let Some(ahead) = fetched.next().await else { break };
            match ahead.map_err(|error| self.unread_input(input, READ_TRIES, error))? {
                Fetched::Absent | Fetched::Changed => {}
                Fetched::Whole { chunks, .. } => {
                    inference.begin_input();
                    for chunk in &chunks {
                        inference.push(chunk);
                    }
                    inference.end_input();
                }
                Fetched::Large => self.infer_large(&mut inference, index, input).await?,
            }
        }
        Ok(inference)
    }

    /// Streams a large object; a cut connection starts it again.
    async fn infer_large(
        &self,
        inference: &mut Inference,
        index: usize,
        input: &Input,
    ) -> Result<(), WorkError> {
        let mut tries = 0;
        'again: loop {
            tries += 1;
            let opened = open(self.ledger.store(), self.staging, input, None).await;
            let opened = opened.map_err(|source| self.unread_input(input, tries, source))?;
            let GetOutcome::Found(_, mut body) = opened else { return Ok(()) };
            inference.begin_input();
            loop {
                self.out_of_time(index)?;
                match body.chunk().await {
                    Ok(Some(chunk)) => inference.push(&chunk),
                    Ok(None) => break,
                    Err(source) if tries >= READ_TRIES => {
                        return Err(self.unread_input(input, tries, source));
                    }
                    Err(error) => {
                        tracing::warn!(%error, key = input.key, tries, "read again");
                        continue 'again;
                    }
                }
            }
            inference.end_input();
            return Ok(());
        }
    }
}
