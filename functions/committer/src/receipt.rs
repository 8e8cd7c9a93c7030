//! Receipts: what of an intent is published, part by part. Each names the files that no receipt before it names.
//!
//! They are decided in the order of the parts: nobody writes the receipt of a part before those of all parts before it stand,
//! and of each the first that is put holds. So whoever is slow, and still works in a part that was resumed meanwhile, finds
//! its receipt written, and a file that it does not name is in the next one.

use std::collections::{BTreeMap, BTreeSet};

use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::{LedgerError, PutOnce};
use landfall_core::port::{Clock, Destinations, ObjectStore, Queue};
use landfall_core::record::{FORMAT, Published, Receipt, ReceiptFile, Verdict};
use landfall_core::standing::Standing;

use crate::commit::{Committing, Work};
use crate::error::CommitError;
use crate::generations::StagedFile;

/// The receipts that stand of an intent, by part.
#[derive(Debug, Default)]
struct Receipts(BTreeMap<u32, Receipt>);

impl Receipts {
    /// Whether one of them names this production key.
    fn name(&self, key: &str) -> bool {
        self.0.values().flat_map(|receipt| &receipt.files).any(|file| file.key == key)
    }

    /// Whether one of them says what is said once of an intent: how many inputs it consumed, and what was set aside.
    fn count(&self) -> bool {
        self.0.values().any(|receipt| receipt.inputs > 0)
    }

    /// The files of which the log says that they are published, and no receipt does.
    fn rest<'a>(&self, work: &'a Work<'_>, records: &BTreeSet<RecordName>) -> Vec<&'a StagedFile> {
        let published = |file: &&StagedFile| records.contains(&RecordName::Published(file.entry.index));
        work.files.iter().filter(published).filter(|file| !self.name(&file.entry.key)).collect()
    }
}

impl<S: ObjectStore, Q: Queue, D: Destinations, C: Clock + ?Sized> Committing<'_, S, Q, D, C> {
    /// Writes the receipts that parts before this one lack, also those that name nothing, and asks for their notices.
    ///
    /// # Errors
    /// When the log or the queue of notices fails.
    pub(crate) async fn end_earlier_parts(&self, work: &mut Work<'_>) -> Result<(), CommitError> {
        let lack = |part: &u32| !work.records.contains(&RecordName::Receipt(*part));
        let parts: Vec<u32> = (1..work.standing.part).filter(lack).collect();
        for part in &parts {
            let before = self.receipts(work, &work.records).await?;
            let files = before.rest(work, &work.records);
            let counts = !files.is_empty() && !before.count();
            self.put_receipt(work, *part, &files, counts).await?;
            work.records.insert(RecordName::Receipt(*part));
        }
        work.standing = Standing::of(&work.records);
        if !parts.is_empty() {
            self.send_notify(work.delivery, work.intent.n).await?;
        }
        Ok(())
    }

    /// The receipt of an intent all of whose files are published, written now or before: its last part.
    ///
    /// # Errors
    /// When the log fails; [`CommitError::NotYet`] when the part was ended by somebody who did not know of all files.
    pub(crate) async fn receipt(&self, work: &Work<'_>) -> Result<Receipt, CommitError> {
        let (part, n) = (work.standing.part, work.intent.n);
        let mut receipts = self.receipts(work, &work.records).await?;
        if !work.standing.received {
            let files = work.files.iter().filter(|file| !receipts.name(&file.entry.key));
            let files: Vec<&StagedFile> = files.collect();
            let (receipt, _) = self.put_receipt(work, part, &files, !receipts.count()).await?;
            receipts.0.insert(part, receipt);
        }
        if work.files.iter().any(|file| !receipts.name(&file.entry.key)) {
            let (delivery, reason) = (work.delivery.id.clone(), format!("part {part} was ended meanwhile"));
            return Err(CommitError::NotYet { delivery, n, seconds: 1, reason });
        }
        let key = keys::record(&work.delivery.id, n, RecordName::Receipt(part));
        Ok(receipts.0.remove(&part).ok_or(LedgerError::Missing(key))?)
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
        let mut records = records.clone();
        let mut part = work.standing.part;
        loop {
            let receipts = self.receipts(work, &records).await?;
            let files = receipts.rest(work, &records);
            if files.is_empty() {
                return Ok(None);
            }
            // Of what is given up, what was found out after a part had its receipt is a part of its own.
            while work.standing.discarded && receipts.0.contains_key(&part) {
                part = part.saturating_add(1);
            }
            let (receipt, put) = self.put_receipt(work, part, &files, !receipts.count()).await?;
            if put == PutOnce::Ours {
                return Ok(Some(receipt));
            }
            if !work.standing.discarded {
                // What the other did not know of is told of when the intent goes on or is given up.
                return Ok(None);
            }
            records.insert(RecordName::Receipt(part));
        }
    }

    /// The receipts that these records say stand.
    async fn receipts(
        &self,
        work: &Work<'_>,
        records: &BTreeSet<RecordName>,
    ) -> Result<Receipts, CommitError> {
        let mut receipts = Receipts::default();
        for name in records {
            let RecordName::Receipt(part) = *name else { continue };
            let key = keys::record(&work.delivery.id, work.intent.n, *name);
            receipts.0.insert(part, self.ledger.must_read(&key).await?);
        }
        Ok(receipts)
    }

    /// Puts the receipt of a part, or finds another; whichever stands. What is counted once for an intent is said in the
    /// first receipt that tells of it.
    async fn put_receipt(
        &self,
        work: &Work<'_>,
        part: u32,
        files: &[&StagedFile],
        counts: bool,
    ) -> Result<(Receipt, PutOnce), CommitError> {
        let (id, n) = (work.delivery.id.as_str(), work.intent.n);
        let mut at = self.clock.now();
        for file in files {
            let key = keys::record(id, n, RecordName::Published(file.entry.index));
            let published: Published = self.ledger.must_read(&key).await?;
            at = at.max(published.at);
        }
        let once = |count: u64| if counts { count } else { 0 };
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
        // Whoever was first holds.
        Ok((self.ledger.must_read(&key).await?, put))
    }
}
