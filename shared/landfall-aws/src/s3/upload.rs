//! Multipart uploads.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, EncodingType,
};
use bytes::Bytes;
use landfall_core::delivery::Capabilities;
use landfall_core::error::{PortError, PortErrorKind};
use landfall_core::port::{Bucket, ObjectAttributes, PutOutcome, Upload, UploadedPart};

use super::objects::{encryption, metadata, tag_header, version};
use super::wire::{crc64_text, crc64_value, listed_key, unquoted};
use super::{BODY_TIMEOUT, COPY_TIMEOUT, S3Store, once, owner, reading, within, writing};
use crate::error::{is_missing_upload, is_precondition_failed};

/// What an upload is completed with.
pub(super) struct Completion<'a> {
    /// The parts, in order.
    pub(super) parts: &'a [UploadedPart],
    /// The size of the whole object in bytes.
    pub(super) size: u64,
    /// The checksum of the whole object, where the caller knows it.
    pub(super) crc64nvme: Option<u64>,
    /// Whether a key that is taken refuses the completion.
    pub(super) if_absent: bool,
}

/// The answer to a completion.
pub(super) enum Completed {
    Written { etag: String, version_id: Option<String>, crc64nvme: Option<u64> },
    Exists,
}

impl S3Store {
    pub(super) async fn begin_upload(
        &self,
        bucket: &Bucket,
        key: &str,
        attributes: &ObjectAttributes,
        capabilities: &Capabilities,
    ) -> Result<Upload, PortError> {
        // One that is begun and forgotten is ended by the bucket's lifecycle.
        let attempt = reading("begin upload of", bucket, key);
        self.principal.ready().await?;
        let (encryption, kms_key, bucket_key) = encryption(attributes);
        let request = self
            .client
            .create_multipart_upload()
            .bucket(&bucket.name)
            .set_expected_bucket_owner(owner(bucket))
            .key(key)
            .set_content_type(attributes.content_type.clone())
            .set_metadata(metadata(attributes))
            .set_tagging(tag_header(attributes).filter(|_| capabilities.multipart_tags))
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(kms_key)
            .set_bucket_key_enabled(bucket_key);
        let request = if capabilities.full_object_multipart_checksum {
            request.checksum_algorithm(ChecksumAlgorithm::Crc64Nvme).checksum_type(ChecksumType::FullObject)
        } else {
            request.checksum_algorithm(ChecksumAlgorithm::Crc32C)
        };
        let answer = request.send().await.map_err(|error| self.principal.learn(attempt.failed(&error)))?;
        let id = answer
            .upload_id()
            .ok_or_else(|| attempt.refused(PortErrorKind::Unavailable, "the answer names no upload"))?;
        Ok(Upload { key: key.to_owned(), id: id.to_owned() })
    }

    pub(super) async fn send_part(
        &self,
        bucket: &Bucket,
        upload: &Upload,
        number: i32,
        body: Bytes,
        capabilities: &Capabilities,
    ) -> Result<UploadedPart, PortError> {
        let attempt = reading("upload part of", bucket, &upload.key);
        self.principal.ready().await?;
        let algorithm = if capabilities.full_object_multipart_checksum {
            ChecksumAlgorithm::Crc64Nvme
        } else {
            ChecksumAlgorithm::Crc32C
        };
        let answer = self
            .client
            .upload_part()
            .bucket(&bucket.name)
            .set_expected_bucket_owner(owner(bucket))
            .key(&upload.key)
            .upload_id(&upload.id)
            .part_number(number)
            // The SDK computes it over the bytes it sends; S3 refuses the part when it differs.
            .checksum_algorithm(algorithm)
            .body(ByteStream::from(body))
            .customize()
            .config_override(within(BODY_TIMEOUT))
            .send()
            .await
            .map_err(|error| self.principal.learn(attempt.failed(&error)))?;
        Ok(UploadedPart {
            number,
            etag: unquoted(answer.e_tag()),
            crc32c: answer.checksum_crc32_c().map(str::to_owned),
        })
    }

    pub(super) async fn finish_upload(
        &self,
        bucket: &Bucket,
        upload: &Upload,
        parts: &[UploadedPart],
        size: u64,
        crc64nvme: u64,
        capabilities: &Capabilities,
    ) -> Result<PutOutcome, PortError> {
        let completion = Completion { parts, size, crc64nvme: Some(crc64nvme), if_absent: true };
        Ok(match self.complete(bucket, upload, &completion, capabilities).await? {
            Completed::Written { etag, version_id, .. } => PutOutcome::Written { etag, version_id },
            Completed::Exists => PutOutcome::ConditionFailed,
        })
    }

    /// Completes an upload. A conflict (409), or an upload that is gone, is a `Conflict`: begin a new one.
    pub(super) async fn complete(
        &self,
        bucket: &Bucket,
        upload: &Upload,
        completion: &Completion<'_>,
        capabilities: &Capabilities,
    ) -> Result<Completed, PortError> {
        let attempt = writing("complete upload of", bucket, &upload.key);
        self.principal.ready().await?;
        let parts = completion.parts.iter().map(|part| {
            CompletedPart::builder()
                .part_number(part.number)
                .e_tag(&part.etag)
                .set_checksum_crc32_c(part.crc32c.clone())
                .build()
        });
        let mut request = self
            .client
            .complete_multipart_upload()
            .bucket(&bucket.name)
            .set_expected_bucket_owner(owner(bucket))
            .key(&upload.key)
            .upload_id(&upload.id)
            .set_if_none_match(completion.if_absent.then(|| "*".to_owned()))
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build());
        if capabilities.full_object_multipart_checksum {
            request = request
                .checksum_type(ChecksumType::FullObject)
                .set_checksum_crc64_nvme(completion.crc64nvme.map(crc64_text))
                .mpu_object_size(i64::try_from(completion.size).unwrap_or(i64::MAX));
        }
        match request.customize().config_override(once(COPY_TIMEOUT)).send().await {
            Ok(written) => Ok(Completed::Written {
                etag: unquoted(written.e_tag()),
                version_id: version(written.version_id()),
                crc64nvme: crc64_value(written.checksum_crc64_nvme()),
            }),
            Err(error) if is_precondition_failed(&error) => Ok(Completed::Exists),
            Err(error) => Err(self.principal.learn(attempt.failed(&error))),
        }
    }

    pub(super) async fn end_upload(&self, bucket: &Bucket, upload: &Upload) -> Result<(), PortError> {
        let attempt = reading("abort upload of", bucket, &upload.key);
        self.principal.ready().await?;
        let answer = self
            .client
            .abort_multipart_upload()
            .bucket(&bucket.name)
            .set_expected_bucket_owner(owner(bucket))
            .key(&upload.key)
            .upload_id(&upload.id)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if is_missing_upload(&error) => Ok(()),
            Err(error) => Err(self.principal.learn(attempt.failed(&error))),
        }
    }

    pub(super) async fn uploads_below(
        &self,
        bucket: &Bucket,
        prefix: &str,
    ) -> Result<Vec<Upload>, PortError> {
        let attempt = reading("list uploads of", bucket, prefix);
        self.principal.ready().await?;
        let answer = self
            .client
            .list_multipart_uploads()
            .bucket(&bucket.name)
            .set_expected_bucket_owner(owner(bucket))
            .prefix(prefix)
            .encoding_type(EncodingType::Url)
            .send()
            .await
            .map_err(|error| self.principal.learn(attempt.failed(&error)))?;
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let uploads = answer.uploads().iter().filter_map(|upload| {
            let raw = upload.key()?;
            let key = if encoded { listed_key(raw)? } else { raw.to_owned() };
            Some(Upload { key, id: upload.upload_id()?.to_owned() })
        });
        // An endpoint may ignore the prefix: what lies elsewhere is nobody's to abort.
        Ok(uploads.filter(|upload| upload.key.starts_with(prefix)).collect())
    }
}
