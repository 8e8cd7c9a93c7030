//! Quarantine: rejected rows and objects are kept in the state bucket, with reason and raw data, before an outcome
//! names them.

use std::io::Write as _;

use bytes::Bytes;
use landfall_core::error::PortError;
use landfall_core::keys;
use landfall_core::ledger::Ledger;
use landfall_core::port::{Bucket, Condition, CopyOutcome, ObjectAttributes, ObjectStore};
use landfall_core::record::Input;
use landfall_parquet::{Quarantine, RejectedRow};

use crate::error::WorkError;

/// Rejected rows are written down in objects of about this size, compressed: an intent may reject gigabytes.
const PART_BYTES: usize = 8 << 20;

/// What one execution sets aside.
pub(crate) struct QuarantineWriter<'a, S> {
    ledger: &'a Ledger<S>,
    prefix: String,
    rows: Option<zstd::stream::write::Encoder<'static, Vec<u8>>>,
    written: Vec<String>,
}

impl<'a, S: ObjectStore> QuarantineWriter<'a, S> {
    /// Nothing yet.
    pub(crate) fn new(ledger: &'a Ledger<S>, delivery: &str, n: u64, execution: &str) -> Self {
        Self {
            ledger,
            prefix: keys::quarantine_prefix(delivery, n, execution),
            rows: None,
            written: Vec::new(),
        }
    }

    /// Takes rejected rows, in order.
    ///
    /// # Errors
    /// When the compressor or the store fails.
    pub(crate) async fn rows(&mut self, inputs: &[Input], rows: Vec<RejectedRow>) -> Result<(), WorkError> {
        for row in rows {
            let etag = inputs.get(row.input).map(|input| input.etag.clone()).unwrap_or_default();
            let record = row.into_record(etag);
            let failed = |message: String| {
                WorkError::Record(landfall_core::record::RecordError { key: self.prefix.clone(), message })
            };
            let mut line = serde_json::to_vec(&record).map_err(|error| failed(error.to_string()))?;
            line.push(b'\n');
            let encoder = match self.rows.as_mut() {
                Some(encoder) => encoder,
                None => self.rows.insert(
                    zstd::stream::write::Encoder::new(Vec::new(), 3)
                        .map_err(|error| failed(error.to_string()))?,
                ),
            };
            encoder.write_all(&line).map_err(|error| failed(error.to_string()))?;
            if encoder.get_ref().len() >= PART_BYTES {
                self.end_part().await?;
            }
        }
        Ok(())
    }

    /// Keeps a whole object: a copy of its bytes and a document with the reason. `None` when it changed meanwhile.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn object(
        &self,
        staging: &Bucket,
        index: usize,
        input: &Input,
        quarantine: &Quarantine,
    ) -> Result<Option<String>, WorkError> {
        let kept = format!("{}objects/{index:06}", self.prefix);
        let copy = self
            .ledger
            .store()
            .copy_across(staging, &input.key, &input.etag, self.ledger.bucket(), &kept)
            .await?;
        if copy == CopyOutcome::SourceChanged {
            return Ok(None);
        }
        let reason = serde_json::json!({
            "key": input.key,
            "etag": input.etag,
            "size": input.size,
            "staged_at": input.last_modified.to_string(),
            "reason": quarantine.reason.as_str(),
            "detail": quarantine.detail,
            "line": quarantine.position.as_ref().map(|position| position.line),
            "byte_offset": quarantine.position.as_ref().map(|position| position.byte_offset),
            "kept": kept,
        });
        self.put(&format!("{kept}.reason.json"), Bytes::from(reason.to_string())).await?;
        Ok(Some(kept))
    }

    /// Writes the rest of the rejected rows down; the keys of all of them, in order.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn finish(mut self) -> Result<Vec<String>, WorkError> {
        self.end_part().await?;
        Ok(self.written)
    }

    async fn end_part(&mut self) -> Result<(), WorkError> {
        let Some(encoder) = self.rows.take() else { return Ok(()) };
        let key = format!("{}rejected-{:05}.jsonl.zst", self.prefix, self.written.len());
        let body = encoder.finish().map_err(|error| {
            WorkError::Record(landfall_core::record::RecordError {
                key: key.clone(),
                message: error.to_string(),
            })
        })?;
        self.put(&key, Bytes::from(body)).await?;
        self.written.push(key);
        Ok(())
    }

    /// The key belongs to this execution alone, so what stands there already is what we send.
    async fn put(&self, key: &str, body: Bytes) -> Result<(), PortError> {
        let attributes = ObjectAttributes::default();
        let bucket = self.ledger.bucket();
        self.ledger.store().put(bucket, key, body, &Condition::Absent, None, &attributes).await.map(|_| ())
    }
}

impl<S> std::fmt::Debug for QuarantineWriter<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QuarantineWriter").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
