//! Receipts: what of an intent is published, part by part. Each names the files that no receipt before it names.

use std::collections::BTreeSet;

use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::PutOnce;
use landfall_core::port::{Clock, Destinations, ObjectStore, Queue};
use landfall_core::record::{FORMAT, Published, Receipt, ReceiptFile, Verdict};

use crate::commit::{Committing, Work};
use crate::error::CommitError;
use crate::generations::StagedFile;

impl<S: ObjectStore, Q: Queue, D: Destinations, C: Clock + ?Sized> Committing<'_, S, Q, D, C> {
    /// The receipt of an intent all of whose files are published, written now or before: its last part.
    ///
    /// # Errors
    /// When the log fails.
    pub(crate) async fn receipt(&self, work: &Work<'_>) -> Result<Receipt, CommitError> {
        let part = work.standing.part;
        if work.standing.received {
            let key = keys::record(&work.delivery.id, work.intent.n, RecordName::Receipt(part));
            return Ok(self.ledger.must_read(&key).await?);
        }
        let named = self.named(work).await?;
        let files = work.files.iter().filter(|file| !named.contains(&file.entry.key));
        Ok(self.put_receipt(work, part, &files.collect::<Vec<_>>()).await?.0)
    }

    /// The receipt of what is published of an intent that goes no further; `None` when receipts name all of it. Only the
    /// first to write it gets it.
    ///
    /// # Errors
    /// When the log fails.
    pub(crate) async fn receipt_of_rest(
        &self,
        work: &Work<'_>,
        records: &BTreeSet<RecordName>,
    ) -> Result<Option<Receipt>, CommitError> {
        let named = self.named(work).await?;
        let files: Vec<&StagedFile> = work
            .files
            .iter()
            .filter(|file| records.contains(&RecordName::Published(file.entry.index)))
            .filter(|file| !named.contains(&file.entry.key))
            .collect();
        if files.is_empty() {
            return Ok(None);
        }
        // What was found out after the part had its receipt is a part of its own.
        let part = work.standing.part + u32::from(work.standing.received);
        let (receipt, put) = self.put_receipt(work, part, &files).await?;
        Ok((put == PutOnce::Ours).then_some(receipt))
    }

    /// The production keys in the receipts that stand.
    async fn named(&self, work: &Work<'_>) -> Result<BTreeSet<String>, CommitError> {
        let mut named = BTreeSet::new();
        for name in work.records.iter().filter(|name| matches!(name, RecordName::Receipt(_))) {
            let key = keys::record(&work.delivery.id, work.intent.n, *name);
            let receipt: Receipt = self.ledger.must_read(&key).await?;
            named.extend(receipt.files.into_iter().map(|file| file.key));
        }
        Ok(named)
    }

    async fn put_receipt(
        &self,
        work: &Work<'_>,
        part: u32,
        files: &[&StagedFile],
    ) -> Result<(Receipt, PutOnce), CommitError> {
        let (id, n) = (work.delivery.id.as_str(), work.intent.n);
        let mut at = self.clock.now();
        for file in files {
            let key = keys::record(id, n, RecordName::Published(file.entry.index));
            let published: Published = self.ledger.must_read(&key).await?;
            at = at.max(published.at);
        }
        // What is counted once for an intent is said in its first receipt.
        let first = !work.records.iter().any(|name| matches!(name, RecordName::Receipt(_)));
        let once = |count: u64| if first { count } else { 0 };
        let verdicts = work.outcome.verdicts.iter();
        let quarantined = verdicts.filter(|verdict| matches!(verdict, Verdict::Quarantined { .. })).count();
        let receipt = Receipt {
            version: FORMAT,
            delivery: id.to_owned(),
            n,
            part,
            at,
            dataset: work.pin.dataset.clone(),
            job_id: work.intent.job_id(),
            schema_version: work.pin.contract.version,
            bucket: work.pin.bucket.clone(),
            files: files
                .iter()
                .map(|file| ReceiptFile {
                    key: file.entry.key.clone(),
                    bytes: file.entry.bytes,
                    rows: file.entry.rows,
                    crc64nvme: file.entry.crc64nvme.clone(),
                    partition: file.entry.partition.clone(),
                })
                .collect(),
            rows: files.iter().map(|file| file.entry.rows).sum(),
            rejected: once(work.outcome.rejected()),
            quarantined_objects: once(quarantined as u64),
            inputs: once(work.outcome.consumed as u64),
        };
        let key = keys::record(id, n, RecordName::Receipt(part));
        let put = self.ledger.put_once(&key, &receipt).await?;
        // Whoever was first holds: two receipts of one part differ at most in their time.
        Ok((self.ledger.must_read(&key).await?, put))
    }
}
