//! Requests on single objects: list, head, get, put, delete, tags.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::get_object::builders::GetObjectFluentBuilder;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, EncodingType, ServerSideEncryption, Tag, Tagging};
use bytes::Bytes;
use landfall_core::error::{Effect, ErrorClass, PortError, PortErrorKind};
use landfall_core::port::{
    Bucket, Condition, DeleteOutcome, Encryption, GetOutcome, ListPage, ListedObject, ObjectAttributes,
    ObjectHead, PutOutcome,
};

use super::body::S3Body;
use super::direct::Read;
use super::wire::{crc64_text, crc64_value, listed_key, quoted, tagging, timestamp, total_size, unquoted};
use super::{BODY_TIMEOUT, S3Store, once, owner, reading, writing};
use crate::error::{Attempt, is_missing_key, is_precondition_failed};

/// How often a conditional put is sent at most.
const PUT_TRIES: u32 = 4;
/// The wait before the second; it doubles.
const PUT_BACKOFF: Duration = Duration::from_millis(200);

/// An object against the entity tag it should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pinned {
    Same,
    GoneOrChanged,
}

impl S3Store {
    pub(super) async fn list_page(
        &self,
        bucket: &Bucket,
        prefix: &str,
        after: Option<&str>,
        page: Option<&str>,
    ) -> Result<ListPage, PortError> {
        let attempt = reading("list objects", bucket, prefix);
        self.principal.ready().await?;
        let answer = self
            .client
            .list_objects_v2()
            .bucket(&bucket.name)
            .set_expected_bucket_owner(owner(bucket))
            .prefix(prefix)
            .set_start_after(after.map(str::to_owned))
            .set_continuation_token(page.map(str::to_owned))
            // XML cannot hold every character of a key.
            .encoding_type(EncodingType::Url)
            .send()
            .await
            .map_err(|error| self.principal.learn(attempt.failed(&error)))?;
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let mut objects = Vec::with_capacity(answer.contents().len());
        for object in answer.contents() {
            let raw = object.key().unwrap_or_default();
            let key = if encoded { listed_key(raw) } else { Some(raw.to_owned()) };
            let listed = key.zip(object.last_modified().and_then(timestamp)).zip(object.size()).map(
                |((key, last_modified), size)| ListedObject {
                    key,
                    etag: unquoted(object.e_tag()),
                    size: size.unsigned_abs(),
                    last_modified,
                },
            );
            objects.push(listed.ok_or_else(|| {
                attempt.refused(PortErrorKind::Corrupt, format!("the entry of {raw:?} cannot be read"))
            })?);
        }
        Ok(ListPage { objects, next: answer.next_continuation_token().map(str::to_owned) })
    }

    pub(super) async fn head_object(
        &self,
        bucket: &Bucket,
        key: &str,
    ) -> Result<Option<ObjectHead>, PortError> {
        let attempt = reading("look at object", bucket, key);
        self.principal.ready().await?;
        let answer = self
            .client
            .head_object()
            .bucket(&bucket.name)
            .set_expected_bucket_owner(owner(bucket))
            .key(key)
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        match answer {
            Ok(found) => Ok(Some(head_of(&found))),
            // A HEAD has no body that could tell a missing key from a missing bucket: a listing can.
            Err(error) if is_missing_key(&error) => match self.list_page(bucket, key, None, None).await {
                Err(error) if error.kind == PortErrorKind::BucketMissing => Err(error),
                Ok(_) | Err(_) => Ok(None),
            },
            Err(error) => {
                let error = self.principal.learn(attempt.failed(&error));
                if self.is_absent(bucket, key, &error).await { Ok(None) } else { Err(error) }
            }
        }
    }

    /// A read of an object, with its checksum.
    fn get_request(&self, bucket: &Bucket, key: &str) -> GetObjectFluentBuilder {
        let request = self.client.get_object().bucket(&bucket.name).key(key);
        request.set_expected_bucket_owner(owner(bucket)).checksum_mode(ChecksumMode::Enabled)
    }

    pub(super) async fn get_object(
        &self,
        bucket: &Bucket,
        key: &str,
        if_match: Option<&str>,
        range: Option<(u64, u64)>,
    ) -> Result<GetOutcome<S3Body>, PortError> {
        let attempt = reading("read object", bucket, key);
        self.principal.ready().await?;
        if let (Some(direct), Some(if_match)) = (&self.direct, if_match)
            && let Some((head, body)) = direct.get(&Read { bucket, key, if_match, range }, &attempt).await
        {
            return Ok(GetOutcome::Found(head, body));
        }
        let answer = self
            .get_request(bucket, key)
            .set_if_match(if_match.map(quoted))
            .set_range(range.map(|(from, to)| format!("bytes={from}-{to}")))
            .send()
            .await;
        match answer {
            Ok(found) => Ok(found_by_get(found, attempt)),
            Err(error) if is_missing_key(&error) => Ok(GetOutcome::Absent),
            Err(error) if is_precondition_failed(&error) => Ok(GetOutcome::Changed),
            Err(error) => {
                let error = self.principal.learn(attempt.failed(&error));
                if self.is_absent(bucket, key, &error).await { Ok(GetOutcome::Absent) } else { Err(error) }
            }
        }
    }

    pub(super) async fn get_object_version(
        &self,
        bucket: &Bucket,
        key: &str,
        version_id: &str,
    ) -> Result<GetOutcome<S3Body>, PortError> {
        let attempt = reading("read object version", bucket, key);
        self.principal.ready().await?;
        match self.get_request(bucket, key).version_id(version_id).send().await {
            Ok(found) => Ok(found_by_get(found, attempt)),
            Err(error) if is_missing_key(&error) => Ok(GetOutcome::Absent),
            Err(error) => Err(self.principal.learn(attempt.failed(&error))),
        }
    }

    /// A conditional put. It is sent again only after an answer that surely had no effect (`SlowDown`, 409, no connection):
    /// after any other, our own first write would look like somebody else's.
    pub(super) async fn put_object(
        &self,
        bucket: &Bucket,
        key: &str,
        body: Bytes,
        condition: &Condition,
        crc64nvme: Option<u64>,
        attributes: &ObjectAttributes,
    ) -> Result<PutOutcome, PortError> {
        let mut wait = PUT_BACKOFF;
        for _ in 1..PUT_TRIES {
            match self.put_object_once(bucket, key, body.clone(), condition, crc64nvme, attributes).await {
                Err(error) if error.effect == Effect::None && error.class() == ErrorClass::Transient => {
                    tracing::warn!(%error, "put again");
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                answer => return answer,
            }
        }
        self.put_object_once(bucket, key, body, condition, crc64nvme, attributes).await
    }

    async fn put_object_once(
        &self,
        bucket: &Bucket,
        key: &str,
        body: Bytes,
        condition: &Condition,
        crc64nvme: Option<u64>,
        attributes: &ObjectAttributes,
    ) -> Result<PutOutcome, PortError> {
        let attempt = writing("write object", bucket, key);
        self.principal.ready().await?;
        let (if_none_match, if_match) = match condition {
            Condition::Absent => (Some("*".to_owned()), None),
            Condition::Matches(etag) => (None, Some(quoted(etag))),
        };
        let (encryption, kms_key, bucket_key) = encryption(attributes);
        let request = self
            .client
            .put_object()
            .bucket(&bucket.name)
            .set_expected_bucket_owner(owner(bucket))
            .key(key)
            .body(ByteStream::from(body))
            .set_if_none_match(if_none_match)
            .set_if_match(if_match)
            .set_content_type(attributes.content_type.clone())
            .set_metadata(metadata(attributes))
            .set_tagging(tag_header(attributes))
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(kms_key)
            .set_bucket_key_enabled(bucket_key);
        let request = match crc64nvme {
            Some(checksum) => request.checksum_crc64_nvme(crc64_text(checksum)),
            None => request.checksum_algorithm(ChecksumAlgorithm::Crc64Nvme),
        };
        match request.customize().config_override(once(BODY_TIMEOUT)).send().await {
            Ok(written) => Ok(PutOutcome::Written {
                etag: unquoted(written.e_tag()),
                version_id: version(written.version_id()),
            }),
            Err(error) if is_precondition_failed(&error) => Ok(PutOutcome::ConditionFailed),
            // If-Match on a key that is gone.
            Err(error) if matches!(condition, Condition::Matches(_)) && is_missing_key(&error) => {
                Ok(PutOutcome::ConditionFailed)
            }
            Err(error) => Err(self.principal.learn(attempt.failed(&error))),
        }
    }

    pub(super) async fn delete_object(
        &self,
        bucket: &Bucket,
        key: &str,
        if_match: &str,
    ) -> Result<DeleteOutcome, PortError> {
        // Repeated without harm: the condition names the one object that may go.
        let attempt = reading("delete object", bucket, key);
        self.principal.ready().await?;
        let answer = self
            .client
            .delete_object()
            .bucket(&bucket.name)
            .set_expected_bucket_owner(owner(bucket))
            .key(key)
            .if_match(quoted(if_match))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(DeleteOutcome::Deleted),
            Err(error) if is_missing_key(&error) => Ok(DeleteOutcome::Absent),
            Err(error) if is_precondition_failed(&error) => Ok(DeleteOutcome::Changed),
            Err(error) => {
                // A conditional delete reads the object: a missing one looks like a refusal, as in HEAD and GET.
                let error = self.principal.learn(attempt.failed(&error));
                if self.is_absent(bucket, key, &error).await { Ok(DeleteOutcome::Absent) } else { Err(error) }
            }
        }
    }

    pub(super) async fn replace_tags(
        &self,
        bucket: &Bucket,
        key: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), PortError> {
        let attempt = reading("tag object", bucket, key);
        self.principal.ready().await?;
        let mut tagging = Tagging::builder().set_tag_set(Some(Vec::new()));
        for (key, value) in tags {
            let tag = Tag::builder()
                .key(key)
                .value(value)
                .build()
                .map_err(|error| attempt.refused(PortErrorKind::Invalid, error.to_string()))?;
            tagging = tagging.tag_set(tag);
        }
        let tagging =
            tagging.build().map_err(|error| attempt.refused(PortErrorKind::Invalid, error.to_string()))?;
        self.client
            .put_object_tagging()
            .bucket(&bucket.name)
            .set_expected_bucket_owner(owner(bucket))
            .key(key)
            .tagging(tagging)
            .send()
            .await
            .map_err(|error| self.principal.learn(attempt.failed(&error)))?;
        Ok(())
    }

    /// Whether an object still has its entity tag.
    pub(super) async fn pinned(&self, bucket: &Bucket, key: &str, etag: &str) -> Result<Pinned, PortError> {
        let found = self.head_object(bucket, key).await?;
        Ok(if found.is_some_and(|head| head.etag == etag) { Pinned::Same } else { Pinned::GoneOrChanged })
    }

    /// Whether a refused key is surely absent, by a listing of that very key.
    async fn is_absent(&self, bucket: &Bucket, key: &str, error: &PortError) -> bool {
        if error.kind != PortErrorKind::Denied {
            return false;
        }
        // Keys are listed in order: the key itself comes before all that it is a prefix of.
        match self.list_page(bucket, key, None, None).await {
            Ok(page) => page.objects.first().is_none_or(|object| object.key != key),
            Err(_) => false,
        }
    }
}

fn head_of(found: &HeadObjectOutput) -> ObjectHead {
    ObjectHead {
        etag: unquoted(found.e_tag()),
        size: unsigned(found.content_length()),
        version_id: version(found.version_id()),
        crc64nvme: crc64_value(found.checksum_crc64_nvme()),
        metadata: found.metadata().into_iter().flatten().map(pair).collect(),
    }
}

/// The answer to a read that found its object.
fn found_by_get(found: GetObjectOutput, attempt: Attempt) -> GetOutcome<S3Body> {
    let head = head_of_get(&found);
    let length = unsigned(found.content_length());
    GetOutcome::Found(head, S3Body::new(found.body, length, attempt))
}

fn head_of_get(found: &GetObjectOutput) -> ObjectHead {
    ObjectHead {
        etag: unquoted(found.e_tag()),
        size: found.content_range().and_then(total_size).unwrap_or_else(|| unsigned(found.content_length())),
        version_id: version(found.version_id()),
        crc64nvme: crc64_value(found.checksum_crc64_nvme()),
        metadata: found.metadata().into_iter().flatten().map(pair).collect(),
    }
}

fn pair((key, value): (&String, &String)) -> (String, String) {
    (key.to_ascii_lowercase(), value.clone())
}

/// S3 counts bytes with a sign; none is negative.
fn unsigned(length: Option<i64>) -> u64 {
    length.unwrap_or_default().unsigned_abs()
}

/// A bucket that was never versioned answers nothing, or the text `null`.
pub(super) fn version(id: Option<&str>) -> Option<String> {
    id.filter(|id| *id != "null").map(str::to_owned)
}

/// User metadata as a request carries it.
pub(super) fn metadata(attributes: &ObjectAttributes) -> Option<std::collections::HashMap<String, String>> {
    (!attributes.metadata.is_empty())
        .then(|| attributes.metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// Tags as the header of a request carries them.
pub(super) fn tag_header(attributes: &ObjectAttributes) -> Option<String> {
    (!attributes.tags.is_empty()).then(|| tagging(&attributes.tags))
}

/// Encryption, key, and whether a bucket key saves calls to KMS.
pub(super) fn encryption(
    attributes: &ObjectAttributes,
) -> (Option<ServerSideEncryption>, Option<String>, Option<bool>) {
    match &attributes.encryption {
        Encryption::BucketDefault => (None, None, None),
        Encryption::Kms(key) => (Some(ServerSideEncryption::AwsKms), Some(key.clone()), Some(true)),
    }
}
