//! Copies: one request where the endpoint can do it under a condition, else parts and a conditional completion.

use aws_sdk_s3::types::{ChecksumAlgorithm, MetadataDirective, TaggingDirective};
use landfall_core::delivery::Capabilities;
use landfall_core::error::{Effect, PortError, PortErrorKind};
use landfall_core::port::{Bucket, CopyOutcome, CopyRequest, ObjectAttributes, Upload, UploadedPart};

use super::objects::{Pinned, encryption, metadata, tag_header};
use super::upload::{Completed, Completion};
use super::wire::{copy_source, crc64_value, quoted, unquoted};
use super::{COPY_TIMEOUT, S3Store, once, owner, reading, within, writing};
use crate::error::{is_missing_key, is_precondition_failed};

/// The largest object one CopyObject takes: 5 GB.
const ONE_COPY_BYTES: u64 = 5 * 1024 * 1024 * 1024;
/// The size of a part of a copy, unless the object would have too many of them.
const PART_BYTES: u64 = 512 * 1024 * 1024;
/// Parts of an upload at most.
const PARTS: u64 = 10_000;

/// An object to be copied, pinned by its entity tag.
#[derive(Clone, Copy)]
struct From<'a> {
    bucket: &'a Bucket,
    key: &'a str,
    etag: &'a str,
    size: u64,
}

/// Where a copy goes.
#[derive(Clone, Copy)]
struct To<'a> {
    bucket: &'a Bucket,
    key: &'a str,
    attributes: &'a ObjectAttributes,
    if_absent: bool,
}

impl S3Store {
    pub(super) async fn publish_copy(
        &self,
        bucket: &Bucket,
        request: &CopyRequest<'_>,
    ) -> Result<CopyOutcome, PortError> {
        let from =
            From { bucket, key: request.source_key, etag: request.source_etag, size: request.source_size };
        let to = To { bucket, key: request.key, attributes: request.attributes, if_absent: true };
        if request.capabilities.conditional_copy && from.size <= ONE_COPY_BYTES {
            return self.copy_at_once(from, to, request.capabilities).await;
        }
        let outcome = self.copy_in_parts(from, to, request.capabilities).await?;
        if matches!(outcome, CopyOutcome::Copied { .. })
            && !request.capabilities.multipart_tags
            && !request.attributes.tags.is_empty()
        {
            self.replace_tags(bucket, request.key, &request.attributes.tags)
                .await
                // The copy stands, without its tags: the caller must look before it concludes.
                .map_err(PortError::with_unknown_effect)?;
        }
        Ok(outcome)
    }

    pub(super) async fn copy_between(
        &self,
        from: &Bucket,
        from_key: &str,
        if_match: &str,
        to: &Bucket,
        to_key: &str,
    ) -> Result<CopyOutcome, PortError> {
        let Some(head) = self.head_object(from, from_key).await? else {
            return Ok(CopyOutcome::SourceChanged);
        };
        if head.etag != if_match {
            return Ok(CopyOutcome::SourceChanged);
        }
        let attributes = ObjectAttributes { metadata: head.metadata, ..ObjectAttributes::default() };
        let from = From { bucket: from, key: from_key, etag: if_match, size: head.size };
        let to = To { bucket: to, key: to_key, attributes: &attributes, if_absent: false };
        if from.size <= ONE_COPY_BYTES {
            self.copy_at_once(from, to, &Capabilities::default()).await
        } else {
            self.copy_in_parts(from, to, &Capabilities::default()).await
        }
    }

    async fn copy_at_once(
        &self,
        from: From<'_>,
        to: To<'_>,
        capabilities: &Capabilities,
    ) -> Result<CopyOutcome, PortError> {
        let attempt = writing("copy object to", to.bucket, to.key);
        self.principal.ready().await?;
        let (encryption, kms_key, bucket_key) = encryption(to.attributes);
        let answer = self
            .client
            .copy_object()
            .copy_source(copy_source(&from.bucket.name, from.key))
            .copy_source_if_match(quoted(from.etag))
            .set_expected_source_bucket_owner(owner(from.bucket))
            .bucket(&to.bucket.name)
            .set_expected_bucket_owner(owner(to.bucket))
            .key(to.key)
            .set_if_none_match(to.if_absent.then(|| "*".to_owned()))
            .set_content_type(to.attributes.content_type.clone())
            .metadata_directive(MetadataDirective::Replace)
            .set_metadata(metadata(to.attributes))
            .tagging_directive(TaggingDirective::Replace)
            .set_tagging(tag_header(to.attributes))
            .set_checksum_algorithm(capabilities.copy_checksum.then_some(ChecksumAlgorithm::Crc64Nvme))
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(kms_key)
            .set_bucket_key_enabled(bucket_key)
            .customize()
            // A copy that overwrites without asking can be repeated.
            .config_override(if to.if_absent { once(COPY_TIMEOUT) } else { within(COPY_TIMEOUT) })
            .send()
            .await;
        match answer {
            Ok(copied) => {
                let result = copied.copy_object_result();
                Ok(CopyOutcome::Copied {
                    etag: unquoted(result.and_then(|result| result.e_tag())),
                    crc64nvme: crc64_value(result.and_then(|result| result.checksum_crc64_nvme())),
                })
            }
            Err(error) if is_missing_key(&error) => Ok(CopyOutcome::SourceChanged),
            // One status for two conditions: the source tells which one failed.
            Err(error) if is_precondition_failed(&error) => {
                match self.pinned(from.bucket, from.key, from.etag).await? {
                    Pinned::GoneOrChanged => Ok(CopyOutcome::SourceChanged),
                    Pinned::Same if to.if_absent => Ok(CopyOutcome::DestinationExists),
                    Pinned::Same => Err(attempt.failed(&error)),
                }
            }
            Err(error) => {
                self.unless_source_changed(from, self.principal.learn(attempt.failed(&error))).await
            }
        }
    }

    async fn copy_in_parts(
        &self,
        from: From<'_>,
        to: To<'_>,
        capabilities: &Capabilities,
    ) -> Result<CopyOutcome, PortError> {
        if from.size == 0 {
            return Err(writing("copy object to", to.bucket, to.key)
                .refused(PortErrorKind::Invalid, "an empty object has no parts to copy"));
        }
        let upload = self.begin_upload(to.bucket, to.key, to.attributes, capabilities).await?;
        let outcome = self.fill_and_complete(from, to, &upload, capabilities).await;
        let finished = match &outcome {
            Ok(CopyOutcome::Copied { .. }) => true,
            Ok(CopyOutcome::DestinationExists | CopyOutcome::SourceChanged) => false,
            // A completion under way must not meet an abort.
            Err(error) => error.effect == Effect::Unknown,
        };
        if !finished && let Err(error) = self.end_upload(to.bucket, &upload).await {
            tracing::warn!(%error, "an upload is left behind; the bucket's lifecycle ends it");
        }
        outcome
    }

    async fn fill_and_complete(
        &self,
        from: From<'_>,
        to: To<'_>,
        upload: &Upload,
        capabilities: &Capabilities,
    ) -> Result<CopyOutcome, PortError> {
        let mut parts = Vec::new();
        for (number, range) in (1..).zip(part_ranges(from.size)) {
            match self.copy_part(from, to, upload, number, range).await? {
                Some(part) => parts.push(part),
                None => return Ok(CopyOutcome::SourceChanged),
            }
        }
        let completion =
            Completion { parts: &parts, size: from.size, crc64nvme: None, if_absent: to.if_absent };
        Ok(match self.complete(to.bucket, upload, &completion, capabilities).await? {
            Completed::Written { etag, crc64nvme, .. } => CopyOutcome::Copied { etag, crc64nvme },
            Completed::Exists => CopyOutcome::DestinationExists,
        })
    }

    /// Copies one part; `None` when the source is gone or is another object now.
    async fn copy_part(
        &self,
        from: From<'_>,
        to: To<'_>,
        upload: &Upload,
        number: i32,
        (first, last): (u64, u64),
    ) -> Result<Option<UploadedPart>, PortError> {
        let attempt = reading("copy part to", to.bucket, to.key);
        self.principal.ready().await?;
        let answer = self
            .client
            .upload_part_copy()
            .copy_source(copy_source(&from.bucket.name, from.key))
            .copy_source_if_match(quoted(from.etag))
            .copy_source_range(format!("bytes={first}-{last}"))
            .set_expected_source_bucket_owner(owner(from.bucket))
            .bucket(&to.bucket.name)
            .set_expected_bucket_owner(owner(to.bucket))
            .key(to.key)
            .upload_id(&upload.id)
            .part_number(number)
            .customize()
            .config_override(within(COPY_TIMEOUT))
            .send()
            .await;
        match answer {
            Ok(copied) => {
                let result = copied.copy_part_result();
                Ok(Some(UploadedPart {
                    number,
                    etag: unquoted(result.and_then(|result| result.e_tag())),
                    crc32c: result.and_then(|result| result.checksum_crc32_c()).map(str::to_owned),
                }))
            }
            // The destination has no condition here.
            Err(error) if is_precondition_failed(&error) || is_missing_key(&error) => Ok(None),
            Err(error) => {
                let error = self.principal.learn(attempt.failed(&error));
                self.unless_source_changed(from, error).await.map(|_| None)
            }
        }
    }

    /// A refusal may be S3's way of saying that the source is gone, to who may not list it. Any other error
    /// stands.
    async fn unless_source_changed(
        &self,
        from: From<'_>,
        error: PortError,
    ) -> Result<CopyOutcome, PortError> {
        if error.kind == PortErrorKind::Denied
            && let Ok(Pinned::GoneOrChanged) = self.pinned(from.bucket, from.key, from.etag).await
        {
            return Ok(CopyOutcome::SourceChanged);
        }
        Err(error)
    }
}

/// The inclusive byte ranges of the parts of a copy.
fn part_ranges(size: u64) -> impl Iterator<Item = (u64, u64)> {
    let part = PART_BYTES.max(size.div_ceil(PARTS));
    (0..size.div_ceil(part)).map(move |index| {
        let first = index * part;
        (first, (first + part).min(size) - 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_object_once() {
        for size in
            [1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 6 * 1024 * 1024 * 1024, PART_BYTES * 20_000]
        {
            let mut next = 0;
            let mut count = 0;
            for (first, last) in part_ranges(size) {
                assert_eq!(first, next);
                assert!(last >= first);
                next = last + 1;
                count += 1;
            }
            assert_eq!(next, size);
            assert!(count <= PARTS);
        }
    }
}
