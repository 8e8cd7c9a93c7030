//! Putting objects: into the staging bucket as producers do, and over documents.

use std::path::PathBuf;

use bytes::Bytes;
use futures::StreamExt as _;
use landfall_core::error::{PortError, PortErrorKind};
use landfall_core::port::{Bucket, Condition, ObjectAttributes, ObjectStore as _, PutOutcome};

use crate::deployment::Deployment;
use crate::error::EmbeddedError;

/// Small objects on their way at once.
const IN_FLIGHT: usize = 16;
/// From this size on, objects go one by one: each stands in memory as a whole.
const LARGE_BYTES: u64 = 16 * 1024 * 1024;

/// An object to stage.
#[derive(Debug, Clone)]
pub struct StagedFile {
    /// Its key in the staging bucket.
    pub key: String,
    /// Its bytes.
    pub body: StagedBody,
}

/// Where the bytes of a staged object come from.
#[derive(Debug, Clone)]
pub enum StagedBody {
    /// A file, read when its turn comes.
    File(PathBuf),
    /// These.
    Bytes(Bytes),
}

impl Deployment {
    /// Stages objects, many at once; calls `staged` with the size of each that stands. Answers with their sizes
    /// in all.
    ///
    /// # Errors
    /// When a file cannot be read, the store fails, or a key is taken.
    pub async fn stage(
        &self,
        files: &[StagedFile],
        mut staged: impl FnMut(u64),
    ) -> Result<u64, EmbeddedError> {
        let mut total = 0;
        let (large, small): (Vec<&StagedFile>, Vec<&StagedFile>) =
            files.iter().partition(|file| size(file) >= LARGE_BYTES);
        for (files, in_flight) in [(small, IN_FLIGHT), (large, 1)] {
            let mut puts = futures::stream::iter(files.into_iter().map(|file| self.stage_one(file)))
                .buffer_unordered(in_flight);
            while let Some(answer) = puts.next().await {
                let bytes = answer?;
                total += bytes;
                staged(bytes);
            }
        }
        Ok(total)
    }

    async fn stage_one(&self, file: &StagedFile) -> Result<u64, EmbeddedError> {
        let body = match &file.body {
            StagedBody::Bytes(bytes) => bytes.clone(),
            StagedBody::File(path) => {
                std::fs::read(path).map_err(EmbeddedError::io(format!("read {}", path.display())))?.into()
            }
        };
        let bytes = body.len() as u64;
        let bucket = self.staging()?;
        let attributes = ObjectAttributes::default();
        match self.store()?.put(&bucket, &file.key, body, &Condition::Absent, None, &attributes).await? {
            PutOutcome::Written { .. } => Ok(bytes),
            PutOutcome::ConditionFailed => Err(taken(&bucket, &file.key).into()),
        }
    }

    /// Puts an object in place of whatever stands there.
    pub(crate) async fn overwrite(
        &self,
        bucket: &Bucket,
        key: &str,
        body: Bytes,
    ) -> Result<(), EmbeddedError> {
        let store = self.store()?;
        let attributes = ObjectAttributes::default();
        let condition = match store.head(bucket, key).await? {
            Some(head) => Condition::Matches(head.etag),
            None => Condition::Absent,
        };
        match store.put(bucket, key, body, &condition, None, &attributes).await? {
            PutOutcome::Written { .. } => Ok(()),
            PutOutcome::ConditionFailed => Err(taken(bucket, key).into()),
        }
    }
}

/// The size of an object to be; 0 where that cannot be found out, and reading it will say why.
fn size(file: &StagedFile) -> u64 {
    match &file.body {
        StagedBody::Bytes(bytes) => bytes.len() as u64,
        StagedBody::File(path) => std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
    }
}

fn taken(bucket: &Bucket, key: &str) -> PortError {
    PortError::new(
        "put object",
        format!("s3://{}/{key}", bucket.name),
        PortErrorKind::Conflict,
        "another object stands there",
    )
}
