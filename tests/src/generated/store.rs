//! The `ObjectStore` port: the source and the hollow buckets, and another store behind them.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use landfall_core::delivery::Capabilities;
use landfall_core::error::{PortError, PortErrorKind};
use landfall_core::port::{
    Bucket, Condition, CopyOutcome, CopyRequest, DeleteOutcome, GetOutcome, ListPage, ObjectAttributes,
    ObjectBody, ObjectHead, ObjectStore, PutOutcome, Upload, UploadedPart,
};

use super::{Chunks, Generated};

/// A store in front of another one.
#[derive(Debug, Clone)]
pub struct GeneratedStore<S> {
    shared: Generated,
    behind: S,
}

/// The bytes of an object of either.
pub enum GeneratedBody<B> {
    /// Made while it is read.
    Made(Chunks),
    /// What is kept of a hollow object.
    Kept(Option<Bytes>),
    /// Of the store behind.
    Behind(B),
}

impl<B> fmt::Debug for GeneratedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeneratedBody").finish_non_exhaustive()
    }
}

impl<B: ObjectBody> ObjectBody for GeneratedBody<B> {
    async fn chunk(&mut self) -> Result<Option<Bytes>, PortError> {
        match self {
            Self::Made(chunks) => Ok(chunks.next()),
            Self::Kept(bytes) => Ok(bytes.take()),
            Self::Behind(body) => body.chunk().await,
        }
    }
}

/// Where a bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Source,
    Hollow,
    Behind,
}

/// A request that no function is expected to make here.
fn refused(operation: &'static str, bucket: &Bucket, key: &str, why: &str) -> PortError {
    PortError::new(operation, format!("s3://{}/{key}", bucket.name), PortErrorKind::Invalid, why)
}

impl<S> GeneratedStore<S> {
    /// The source and hollow buckets of `shared`, everything else from `behind`.
    pub fn new(shared: &Generated, behind: S) -> Self {
        Self { shared: shared.clone(), behind }
    }

    /// Where a request goes; counts it when it goes no further.
    fn place(&self, operation: &'static str, bucket: &Bucket) -> Place {
        let place = {
            let mut state = self.shared.lock();
            let place = if state.source.is(&bucket.name) {
                Place::Source
            } else if state.hollow.is(&bucket.name) {
                Place::Hollow
            } else {
                Place::Behind
            };
            if place != Place::Behind {
                state.requests.count(&bucket.name, operation);
            }
            place
        };
        if place == Place::Source
            && let Some(watch) = &self.shared.watch
        {
            watch(operation);
        }
        place
    }
}

impl<S: ObjectStore> ObjectStore for GeneratedStore<S> {
    type Body = GeneratedBody<S::Body>;

    async fn list(
        &self,
        bucket: &Bucket,
        prefix: &str,
        after: Option<&str>,
        page: Option<&str>,
    ) -> Result<ListPage, PortError> {
        match self.place("ListObjectsV2", bucket) {
            Place::Source => Ok(self.shared.lock().source.list(prefix, after, page)),
            Place::Hollow => Ok(self.shared.lock().hollow.list(&bucket.name, prefix, page.or(after))),
            Place::Behind => self.behind.list(bucket, prefix, after, page).await,
        }
    }

    async fn head(&self, bucket: &Bucket, key: &str) -> Result<Option<ObjectHead>, PortError> {
        match self.place("HeadObject", bucket) {
            Place::Source => Ok(self.shared.lock().source.head(key)),
            Place::Hollow => Ok(self.shared.lock().hollow.head(&bucket.name, key)),
            Place::Behind => self.behind.head(bucket, key).await,
        }
    }

    async fn get(
        &self,
        bucket: &Bucket,
        key: &str,
        if_match: Option<&str>,
        range: Option<(u64, u64)>,
    ) -> Result<GetOutcome<Self::Body>, PortError> {
        let place = self.place("GetObject", bucket);
        let head = match place {
            Place::Source => self.shared.lock().source.head(key),
            Place::Hollow => self.shared.lock().hollow.head(&bucket.name, key),
            Place::Behind => {
                return Ok(match self.behind.get(bucket, key, if_match, range).await? {
                    GetOutcome::Found(head, body) => GetOutcome::Found(head, GeneratedBody::Behind(body)),
                    GetOutcome::Absent => GetOutcome::Absent,
                    GetOutcome::Changed => GetOutcome::Changed,
                });
            }
        };
        let Some(head) = head else { return Ok(GetOutcome::Absent) };
        if if_match.is_some_and(|etag| etag != head.etag) {
            return Ok(GetOutcome::Changed);
        }
        if place == Place::Hollow {
            let kept = self.shared.lock().hollow.range(&bucket.name, key, range);
            let kept = kept.ok_or_else(|| refused("GetObject", bucket, key, "only its end is kept"))?;
            return Ok(GetOutcome::Found(head, GeneratedBody::Kept(Some(kept))));
        }
        if range.is_some() {
            return Err(refused("GetObject", bucket, key, "generated objects are read whole"));
        }
        let body = (self.shared.make)(key, head.size);
        Ok(GetOutcome::Found(head, GeneratedBody::Made(body)))
    }

    async fn get_version(
        &self,
        bucket: &Bucket,
        key: &str,
        version_id: &str,
    ) -> Result<GetOutcome<Self::Body>, PortError> {
        match self.place("GetObjectVersion", bucket) {
            Place::Behind => Ok(match self.behind.get_version(bucket, key, version_id).await? {
                GetOutcome::Found(head, body) => GetOutcome::Found(head, GeneratedBody::Behind(body)),
                GetOutcome::Absent => GetOutcome::Absent,
                GetOutcome::Changed => GetOutcome::Changed,
            }),
            Place::Source | Place::Hollow => {
                Err(refused("GetObjectVersion", bucket, key, "generated objects have no versions"))
            }
        }
    }

    async fn list_uploads(&self, bucket: &Bucket, prefix: &str) -> Result<Vec<Upload>, PortError> {
        match self.place("ListMultipartUploads", bucket) {
            Place::Behind => self.behind.list_uploads(bucket, prefix).await,
            // Nothing dies here: every upload is completed.
            Place::Source | Place::Hollow => Ok(Vec::new()),
        }
    }

    async fn put(
        &self,
        bucket: &Bucket,
        key: &str,
        body: Bytes,
        condition: &Condition,
        crc64nvme: Option<u64>,
        attributes: &ObjectAttributes,
    ) -> Result<PutOutcome, PortError> {
        match self.place("PutObject", bucket) {
            Place::Source => Err(refused("PutObject", bucket, key, "the producer alone writes there")),
            Place::Hollow => {
                Ok(self.shared.lock().hollow.put(&bucket.name, key, &body, condition, attributes))
            }
            Place::Behind => self.behind.put(bucket, key, body, condition, crc64nvme, attributes).await,
        }
    }

    async fn delete(&self, bucket: &Bucket, key: &str, if_match: &str) -> Result<DeleteOutcome, PortError> {
        match self.place("DeleteObject", bucket) {
            Place::Source => Ok(self.shared.lock().source.delete(key, if_match)),
            Place::Hollow => Ok(self.shared.lock().hollow.delete(&bucket.name, key, if_match)),
            Place::Behind => self.behind.delete(bucket, key, if_match).await,
        }
    }

    async fn create_upload(
        &self,
        bucket: &Bucket,
        key: &str,
        attributes: &ObjectAttributes,
        capabilities: &Capabilities,
    ) -> Result<Upload, PortError> {
        match self.place("CreateMultipartUpload", bucket) {
            Place::Hollow => {
                let id = self.shared.lock().hollow.create_upload(attributes);
                Ok(Upload { key: key.to_owned(), id })
            }
            _ => self.behind.create_upload(bucket, key, attributes, capabilities).await,
        }
    }

    async fn upload_part(
        &self,
        bucket: &Bucket,
        upload: &Upload,
        number: i32,
        body: Bytes,
        capabilities: &Capabilities,
    ) -> Result<UploadedPart, PortError> {
        match self.place("UploadPart", bucket) {
            Place::Hollow => {
                let part = self.shared.lock().hollow.part(&upload.id, number, &body);
                part.ok_or_else(|| refused("UploadPart", bucket, &upload.key, "parts come in order here"))
            }
            _ => self.behind.upload_part(bucket, upload, number, body, capabilities).await,
        }
    }

    async fn complete_upload(
        &self,
        bucket: &Bucket,
        upload: &Upload,
        parts: &[UploadedPart],
        size: u64,
        crc64nvme: u64,
        capabilities: &Capabilities,
    ) -> Result<PutOutcome, PortError> {
        match self.place("CompleteMultipartUpload", bucket) {
            Place::Hollow => {
                let mut state = self.shared.lock();
                let sums = (size, crc64nvme);
                let done = state.hollow.complete(&bucket.name, &upload.key, &upload.id, parts, sums);
                done.ok_or_else(|| {
                    let why = "its parts, size or checksum differ";
                    refused("CompleteMultipartUpload", bucket, &upload.key, why)
                })
            }
            _ => self.behind.complete_upload(bucket, upload, parts, size, crc64nvme, capabilities).await,
        }
    }

    async fn abort_upload(&self, bucket: &Bucket, upload: &Upload) -> Result<(), PortError> {
        match self.place("AbortMultipartUpload", bucket) {
            Place::Hollow => {
                self.shared.lock().hollow.abort(&upload.id);
                Ok(())
            }
            _ => self.behind.abort_upload(bucket, upload).await,
        }
    }

    async fn copy(&self, bucket: &Bucket, request: &CopyRequest<'_>) -> Result<CopyOutcome, PortError> {
        match self.place("CopyObject", bucket) {
            Place::Hollow => Ok(self.shared.lock().hollow.copy(&bucket.name, request)),
            _ => self.behind.copy(bucket, request).await,
        }
    }

    async fn copy_across(
        &self,
        from: &Bucket,
        from_key: &str,
        if_match: &str,
        to: &Bucket,
        to_key: &str,
    ) -> Result<CopyOutcome, PortError> {
        match self.place("CopyObject", from) {
            Place::Behind => self.behind.copy_across(from, from_key, if_match, to, to_key).await,
            _ => Err(refused("CopyObject", from, from_key, "generated objects are sound, none is set aside")),
        }
    }

    async fn put_tags(
        &self,
        bucket: &Bucket,
        key: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), PortError> {
        match self.place("PutObjectTagging", bucket) {
            Place::Hollow => Ok(()),
            _ => self.behind.put_tags(bucket, key, tags).await,
        }
    }
}
