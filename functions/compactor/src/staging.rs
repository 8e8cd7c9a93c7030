//! Staging: the engine's output streams into the client's hidden prefix, as one put or as a multipart upload.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use landfall_core::delivery::Capabilities;
use landfall_core::error::{ErrorClass, PortError, PortErrorKind};
use landfall_core::keys;
use landfall_core::port::{
    Bucket, Condition, Encryption, ObjectAttributes, ObjectStore, PutOutcome, Upload, UploadedPart,
};
use landfall_core::record::OutcomeFile;
use landfall_parquet::{FinishedFile, OutputEvent};

/// Where and how files are staged.
#[derive(Debug, Clone)]
pub(crate) struct StagingTarget {
    /// The client's bucket.
    pub bucket: Bucket,
    /// The delivery's hidden prefix.
    pub temp_prefix: String,
    /// The production prefix, for the final keys.
    pub prefix: String,
    /// The intent's number.
    pub n: u64,
    /// This execution.
    pub execution: String,
    /// What the endpoint can do.
    pub capabilities: Capabilities,
    /// The KMS key, where one is configured.
    pub kms_key_arn: Option<String>,
    /// The media type of the files.
    pub media_type: &'static str,
    /// The size of a part, in bytes: at least 5 MiB.
    pub part_bytes: usize,
}

/// The files of one execution on their way.
#[derive(Debug)]
pub(crate) struct StagedFiles<'a, S> {
    store: &'a S,
    target: &'a StagingTarget,
    open: BTreeMap<u32, OpenFile>,
    finished: Vec<OutcomeFile>,
}

#[derive(Debug, Default)]
struct OpenFile {
    buffer: BytesMut,
    upload: Option<Upload>,
    parts: Vec<UploadedPart>,
}

impl<'a, S: ObjectStore> StagedFiles<'a, S> {
    /// No file yet.
    pub(crate) fn new(store: &'a S, target: &'a StagingTarget) -> Self {
        Self { store, target, open: BTreeMap::new(), finished: Vec::new() }
    }

    /// Takes what the engine gave, in order.
    ///
    /// # Errors
    /// When the client's store fails. The execution is over then: call [`StagedFiles::discard`].
    pub(crate) async fn take(&mut self, events: Vec<OutputEvent>) -> Result<(), PortError> {
        for event in events {
            match event {
                OutputEvent::Opened(file) => {
                    self.open.insert(file.seq, OpenFile::default());
                }
                OutputEvent::Bytes { seq, bytes } => self.bytes(seq, &bytes).await?,
                OutputEvent::Finished(file) => self.finish(file).await?,
            }
        }
        Ok(())
    }

    /// The finished files, by index.
    pub(crate) fn into_files(mut self) -> Vec<OutcomeFile> {
        self.finished.sort_by_key(|file| file.index);
        self.finished
    }

    /// Removes everything this execution staged. Best effort: a lifecycle rule is the backstop.
    pub(crate) async fn discard(self) {
        for file in self.open.into_values() {
            if let Some(upload) = file.upload
                && let Err(error) = self.store.abort_upload(&self.target.bucket, &upload).await
            {
                tracing::warn!(%error, key = upload.key, "upload not aborted, the lifecycle rule will");
            }
        }
        remove_temps(self.store, &self.target.bucket, &self.finished).await;
    }

    fn temp_key(&self, seq: u32) -> String {
        keys::temp_file(&self.target.temp_prefix, self.target.n, &self.target.execution, seq)
    }

    fn attributes(&self) -> ObjectAttributes {
        ObjectAttributes {
            content_type: Some(self.target.media_type.to_owned()),
            encryption: self.target.kms_key_arn.clone().map_or(Encryption::BucketDefault, Encryption::Kms),
            ..ObjectAttributes::default()
        }
    }

    async fn bytes(&mut self, seq: u32, bytes: &Bytes) -> Result<(), PortError> {
        let key = self.temp_key(seq);
        let attributes = self.attributes();
        let Some(file) = self.open.get_mut(&seq) else { return Ok(()) };
        file.buffer.extend_from_slice(bytes);
        // A part leaves only when more bytes follow it: the last part may be small, and there is always one.
        while file.buffer.len() > self.target.part_bytes {
            let part = file.buffer.split_to(self.target.part_bytes).freeze();
            upload_part(self.store, self.target, &key, &attributes, file, part).await?;
        }
        Ok(())
    }

    async fn finish(&mut self, finished: FinishedFile) -> Result<(), PortError> {
        let key = self.temp_key(finished.seq);
        let attributes = self.attributes();
        let Some(mut file) = self.open.remove(&finished.seq) else { return Ok(()) };
        let rest = file.buffer.split().freeze();
        let bucket = &self.target.bucket;
        let answer = if file.upload.is_none() {
            let crc = Some(finished.crc64nvme);
            self.store.put(bucket, &key, rest, &Condition::Absent, crc, &attributes).await
        } else {
            let last = upload_part(self.store, self.target, &key, &attributes, &mut file, rest).await;
            match (last, &file.upload) {
                (Ok(()), Some(upload)) => {
                    let done = self
                        .store
                        .complete_upload(
                            bucket,
                            upload,
                            &file.parts,
                            finished.bytes,
                            finished.crc64nvme,
                            &self.target.capabilities,
                        )
                        .await;
                    if done.is_err() {
                        // Kept open so that `discard` aborts it; an abort of a completed upload changes nothing.
                        self.open.insert(finished.seq, file);
                    }
                    done
                }
                (Err(error), _) => {
                    self.open.insert(finished.seq, file);
                    Err(error)
                }
                (Ok(()), None) => Ok(PutOutcome::ConditionFailed),
            }
        };
        let etag = self.settle(&key, answer, finished.bytes).await?;
        self.finished.push(OutcomeFile {
            index: finished.index,
            temp_key: key,
            etag,
            bytes: finished.bytes,
            crc64nvme: finished.crc64nvme_hex(),
            rows: finished.rows,
            key: format!("{}{}", self.target.prefix, finished.relative_key),
            partition: finished.partition,
        });
        Ok(())
    }

    /// The entity tag of what was staged. The key is this execution's own, so whatever stands there with the right
    /// size after a lost response is what we sent; the committer checks every byte of it again.
    async fn settle(
        &self,
        key: &str,
        answer: Result<PutOutcome, PortError>,
        bytes: u64,
    ) -> Result<String, PortError> {
        match answer {
            Ok(PutOutcome::Written { etag, .. }) => return Ok(etag),
            Ok(PutOutcome::ConditionFailed) => {}
            Err(error) if error.class() == ErrorClass::Ambiguous => {}
            Err(error) => return Err(error),
        }
        match self.store.head(&self.target.bucket, key).await? {
            Some(head) if head.size == bytes => Ok(head.etag),
            _ => Err(PortError::new(
                "stage file",
                format!("s3://{}/{key}", self.target.bucket.name),
                PortErrorKind::Unavailable,
                "the answer was lost and the file is not there",
            )),
        }
    }
}

async fn upload_part<S: ObjectStore>(
    store: &S,
    target: &StagingTarget,
    key: &str,
    attributes: &ObjectAttributes,
    file: &mut OpenFile,
    body: Bytes,
) -> Result<(), PortError> {
    let upload = if let Some(upload) = &file.upload {
        upload
    } else {
        let upload = store.create_upload(&target.bucket, key, attributes, &target.capabilities).await?;
        file.upload.insert(upload)
    };
    let number = i32::try_from(file.parts.len() + 1).unwrap_or(i32::MAX);
    let part = store.upload_part(&target.bucket, upload, number, body, &target.capabilities).await?;
    file.parts.push(part);
    Ok(())
}

/// Deletes staged files of an execution that lost or failed. Best effort.
pub(crate) async fn remove_temps<S: ObjectStore>(store: &S, bucket: &Bucket, files: &[OutcomeFile]) {
    for file in files {
        if let Err(error) = store.delete(bucket, &file.temp_key, &file.etag).await {
            tracing::warn!(%error, key = file.temp_key, "temp not deleted, the lifecycle rule will");
        }
    }
}
