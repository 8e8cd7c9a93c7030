//! S3 as an object store.
//!
//! | request | sent how often | time for one try |
//! |---|---|---|
//! | list, head, get, delete, tags, abort, create or list uploads | SDK retry | 90 s |
//! | part | SDK retry | 120 s |
//! | part of a copy | SDK retry | 300 s |
//! | conditional put | again only after an answer that surely had no effect | 120 s |
//! | completion, copy | once | 300 s |
//!
//! A read that names the entity tag of an object in our own account goes the shorter way of [`direct`] once, before it goes
//! through the SDK.
//!
//! A key that is missing looks like a refusal (403) where the principal's right to list is bound to prefixes: S3
//! knows no prefix in a HEAD or GET. Then a listing of that very key is asked, and only its word counts as
//! absence; refused as well, the answer is the refusal.

mod body;
mod copy;
mod direct;
mod objects;
mod upload;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aws_sdk_s3::config::StalledStreamProtectionConfig;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use bytes::Bytes;
use landfall_core::delivery::Capabilities;
use landfall_core::error::PortError;
use landfall_core::port::{
    Bucket, Condition, CopyOutcome, CopyRequest, DeleteOutcome, GetOutcome, ListPage, ObjectAttributes,
    ObjectHead, ObjectStore, PutOutcome, Upload, UploadedPart,
};

pub use body::S3Body;
pub(crate) use body::STALL;
pub(crate) use direct::{DirectReads, LazyConnector};

use crate::error::{Attempt, Service};
use crate::sts::Principal;

/// Time for one try of a request that carries a body.
const BODY_TIMEOUT: Duration = Duration::from_mins(2);
/// Time for one try of a request that makes S3 move bytes: it answers when it is done.
const COPY_TIMEOUT: Duration = Duration::from_mins(5);

/// Objects in S3, acting as one principal. Cheap to clone.
///
/// Metadata must be ASCII; keys may hold any UTF-8 that S3 takes. A bucket without an owner is asked for without
/// `ExpectedBucketOwner`: for tests only.
#[derive(Clone)]
pub struct S3Store {
    client: aws_sdk_s3::Client,
    principal: Principal,
    direct: Option<DirectReads>,
}

impl S3Store {
    pub(crate) fn new(client: aws_sdk_s3::Client, principal: Principal) -> Self {
        Self { client, principal, direct: None }
    }

    /// The same store, which reads pinned objects by a shorter way first.
    pub(crate) fn reading_directly(self, direct: Option<DirectReads>) -> Self {
        Self { direct, ..self }
    }
}

impl ObjectStore for S3Store {
    type Body = S3Body;

    async fn list(
        &self,
        bucket: &Bucket,
        prefix: &str,
        after: Option<&str>,
        page: Option<&str>,
    ) -> Result<ListPage, PortError> {
        self.list_page(bucket, prefix, after, page).await
    }

    async fn head(&self, bucket: &Bucket, key: &str) -> Result<Option<ObjectHead>, PortError> {
        self.head_object(bucket, key).await
    }

    async fn get(
        &self,
        bucket: &Bucket,
        key: &str,
        if_match: Option<&str>,
        range: Option<(u64, u64)>,
    ) -> Result<GetOutcome<S3Body>, PortError> {
        self.get_object(bucket, key, if_match, range).await
    }

    async fn get_version(
        &self,
        bucket: &Bucket,
        key: &str,
        version_id: &str,
    ) -> Result<GetOutcome<S3Body>, PortError> {
        self.get_object_version(bucket, key, version_id).await
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
        self.put_object(bucket, key, body, condition, crc64nvme, attributes).await
    }

    async fn delete(&self, bucket: &Bucket, key: &str, if_match: &str) -> Result<DeleteOutcome, PortError> {
        self.delete_object(bucket, key, if_match).await
    }

    async fn create_upload(
        &self,
        bucket: &Bucket,
        key: &str,
        attributes: &ObjectAttributes,
        capabilities: &Capabilities,
    ) -> Result<Upload, PortError> {
        self.begin_upload(bucket, key, attributes, capabilities).await
    }

    async fn upload_part(
        &self,
        bucket: &Bucket,
        upload: &Upload,
        number: i32,
        body: Bytes,
        capabilities: &Capabilities,
    ) -> Result<UploadedPart, PortError> {
        self.send_part(bucket, upload, number, body, capabilities).await
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
        self.finish_upload(bucket, upload, parts, size, crc64nvme, capabilities).await
    }

    async fn abort_upload(&self, bucket: &Bucket, upload: &Upload) -> Result<(), PortError> {
        self.end_upload(bucket, upload).await
    }

    async fn list_uploads(&self, bucket: &Bucket, prefix: &str) -> Result<Vec<Upload>, PortError> {
        self.uploads_below(bucket, prefix).await
    }

    async fn copy(&self, bucket: &Bucket, request: &CopyRequest<'_>) -> Result<CopyOutcome, PortError> {
        self.publish_copy(bucket, request).await
    }

    async fn copy_across(
        &self,
        from: &Bucket,
        from_key: &str,
        if_match: &str,
        to: &Bucket,
        to_key: &str,
    ) -> Result<CopyOutcome, PortError> {
        self.copy_between(from, from_key, if_match, to, to_key).await
    }

    async fn put_tags(
        &self,
        bucket: &Bucket,
        key: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), PortError> {
        self.replace_tags(bucket, key, tags).await
    }
}

/// The account to be sent as expected owner; none for a bucket without one.
fn owner(bucket: &Bucket) -> Option<String> {
    (!bucket.owner.is_empty()).then(|| bucket.owner.clone())
}

/// How a key is named in errors.
fn url(bucket: &Bucket, key: &str) -> String {
    format!("s3://{}/{key}", bucket.name)
}

/// A request that may be repeated.
fn reading(operation: &'static str, bucket: &Bucket, key: &str) -> Attempt {
    Attempt::read(Service::S3, operation, url(bucket, key))
}

/// A request whose effect matters.
fn writing(operation: &'static str, bucket: &Bucket, key: &str) -> Attempt {
    Attempt::write(Service::S3, operation, url(bucket, key))
}

/// Settings of a request with its own time limit. S3 may be silent until it is done: waiting for the first byte
/// has the same limit, and silence is no sign of a stalled stream.
fn within(limit: Duration) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::default()
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(TimeoutConfig::builder().read_timeout(limit).operation_attempt_timeout(limit).build())
}

/// Settings of a request that the SDK must not repeat.
fn once(limit: Duration) -> aws_sdk_s3::config::Builder {
    within(limit).retry_config(RetryConfig::disabled())
}

// The SDK's own text is a page long, and holds what nobody should log.
impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store").field("principal", &self.principal).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
