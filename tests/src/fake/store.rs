//! The `ObjectStore` port over the fake: the same requests, in the same order, as an adapter sends them.

use std::collections::BTreeMap;

use bytes::Bytes;
use landfall_core::delivery::Capabilities;
use landfall_core::error::{Effect, PortError, PortErrorKind};
use landfall_core::port::{
    Bucket, Condition, CopyOutcome, CopyRequest, DeleteOutcome, GetOutcome, ListPage, ObjectAttributes,
    ObjectBody, ObjectHead, ObjectStore, PutOutcome, Upload, UploadedPart,
};

use super::FakeAws;
use super::calls::Request;
use super::identity::Principal;
use super::s3::flipped;
use super::upload::{Completion, Copy};

/// An object store acting as one principal.
#[derive(Debug, Clone)]
pub struct FakeStore {
    fake: FakeAws,
    principal: Principal,
}

/// The bytes of an object, in chunks.
#[derive(Debug)]
pub struct FakeBody {
    fake: FakeAws,
    request: Request,
    rest: Bytes,
    cut: bool,
}

impl ObjectBody for FakeBody {
    async fn chunk(&mut self) -> Result<Option<Bytes>, PortError> {
        if self.cut {
            return Err(self.request.refuse(PortErrorKind::Unavailable, "ConnectionReset"));
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        // An error below leaves the connection cut.
        self.cut = true;
        let damaged = self.fake.read_body(&self.request).await?;
        self.cut = false;
        let length = self.fake.lock().chunk_bytes.clamp(1, self.rest.len());
        let chunk = self.rest.split_to(length);
        Ok(Some(if damaged { flipped(&chunk) } else { chunk }))
    }
}

impl FakeStore {
    pub(crate) fn new(fake: &FakeAws, principal: Principal) -> Self {
        Self { fake: fake.clone(), principal }
    }

    /// A request that may be repeated without harm: an unknown effect does not matter.
    fn read(&self, operation: &'static str, bucket: &Bucket, key: &str) -> Request {
        Request::read(operation, &self.principal, &bucket.name).key(key).owner(&bucket.owner)
    }

    /// A request whose effect matters when it is not known.
    fn write(&self, operation: &'static str, bucket: &Bucket, key: &str) -> Request {
        Request::write(operation, &self.principal, &bucket.name).key(key).owner(&bucket.owner)
    }

    /// Whether a refused key is surely absent, by a listing of that very key: who may list only below a prefix gets
    /// 403 for a missing key.
    async fn is_absent(&self, bucket: &Bucket, key: &str, error: &PortError) -> bool {
        if error.kind != PortErrorKind::Denied {
            return false;
        }
        match self.list(bucket, key, None, None).await {
            Ok(page) => page.objects.first().is_none_or(|object| object.key != key),
            Err(_) => false,
        }
    }

    /// A refusal may be S3's way of saying that the source is gone. Any other error stands.
    async fn unless_source_changed(
        &self,
        bucket: &Bucket,
        copy: &Copy,
        error: PortError,
    ) -> Result<CopyOutcome, PortError> {
        if error.kind == PortErrorKind::Denied
            && let Ok(found) = self.head(bucket, &copy.source_key).await
            && found.is_none_or(|head| head.etag != copy.source_etag)
        {
            return Ok(CopyOutcome::SourceChanged);
        }
        Err(error)
    }

    async fn begin_upload(
        &self,
        bucket: &Bucket,
        key: &str,
        attributes: &ObjectAttributes,
        capabilities: &Capabilities,
    ) -> Result<Upload, PortError> {
        let request = self.read("CreateMultipartUpload", bucket, key);
        let mut sent = attributes.clone();
        if !capabilities.multipart_tags {
            // Sent afterwards, by PutObjectTagging.
            sent.tags = BTreeMap::new();
        }
        let full_object = capabilities.full_object_multipart_checksum;
        let id = self
            .fake
            .call(request, |world, request| world.create_upload(request, &sent, full_object))
            .await?;
        Ok(Upload { key: key.to_owned(), id })
    }

    /// Copies in parts and completes create-if-absent: for large sources, and where a copy knows no condition.
    async fn copy_in_parts(
        &self,
        bucket: &Bucket,
        request: &CopyRequest<'_>,
        copy: &Copy,
    ) -> Result<CopyOutcome, PortError> {
        let upload = self.begin_upload(bucket, request.key, request.attributes, request.capabilities).await?;
        let outcome = self.copy_parts_and_complete(bucket, request, copy, &upload).await;
        let finished = match &outcome {
            Ok(outcome) => matches!(outcome, CopyOutcome::Copied { .. }),
            // A completion under way must not meet an abort.
            Err(error) => error.effect == Effect::Unknown,
        };
        if !finished {
            // Best effort: the lifecycle rule removes what stays.
            drop(self.abort_upload(bucket, &upload).await);
        }
        let outcome = outcome?;
        let copied = matches!(outcome, CopyOutcome::Copied { .. });
        if copied && !request.capabilities.multipart_tags && !request.attributes.tags.is_empty() {
            // The copy stands, without its tags: the caller must look before it concludes.
            let tagged = self.put_tags(bucket, request.key, &request.attributes.tags).await;
            tagged.map_err(PortError::with_unknown_effect)?;
        }
        Ok(outcome)
    }

    async fn copy_parts_and_complete(
        &self,
        bucket: &Bucket,
        request: &CopyRequest<'_>,
        copy: &Copy,
        upload: &Upload,
    ) -> Result<CopyOutcome, PortError> {
        let part_size = self.fake.lock().copy_limit.max(1);
        let mut parts = Vec::new();
        let mut from = 0;
        while from < request.source_size {
            let to = from.saturating_add(part_size).min(request.source_size) - 1;
            let number = i32::try_from(parts.len()).map_or(i32::MAX, |done| done + 1);
            let call = self.read("UploadPartCopy", bucket, request.key);
            let part = self
                .fake
                .call(call, |world, call| world.upload_part_copy(call, &upload.id, number, copy, (from, to)))
                .await;
            match part {
                Ok(Some(part)) => parts.push(part),
                Ok(None) => return Ok(CopyOutcome::SourceChanged),
                Err(error) => return self.unless_source_changed(bucket, copy, error).await,
            }
            from = to + 1;
        }
        let call = self.write("CompleteMultipartUpload", bucket, request.key);
        let size = request.capabilities.full_object_multipart_checksum.then_some(request.source_size);
        let completion = Completion { size, crc64nvme: None, if_absent: copy.conditional };
        let (outcome, crc64nvme) = self
            .fake
            .call(call, |world, call| world.complete_upload(call, &upload.id, &parts, &completion))
            .await?;
        Ok(match outcome {
            PutOutcome::Written { etag, .. } => CopyOutcome::Copied { etag, crc64nvme },
            PutOutcome::ConditionFailed => CopyOutcome::DestinationExists,
        })
    }
}

impl ObjectStore for FakeStore {
    type Body = FakeBody;

    async fn list(
        &self,
        bucket: &Bucket,
        prefix: &str,
        after: Option<&str>,
        page: Option<&str>,
    ) -> Result<ListPage, PortError> {
        let request = self.read("ListObjectsV2", bucket, prefix);
        self.fake.call(request, |world, request| world.list(request, after, page)).await
    }

    async fn head(&self, bucket: &Bucket, key: &str) -> Result<Option<ObjectHead>, PortError> {
        let request = self.read("HeadObject", bucket, key);
        match self.fake.call(request, |world, request| world.head(request)).await {
            Err(error) if self.is_absent(bucket, key, &error).await => Ok(None),
            answer => answer,
        }
    }

    async fn get(
        &self,
        bucket: &Bucket,
        key: &str,
        if_match: Option<&str>,
        range: Option<(u64, u64)>,
    ) -> Result<GetOutcome<FakeBody>, PortError> {
        let request = self.read("GetObject", bucket, key);
        let found = match self.fake.call(request, |world, request| world.get(request, if_match, range)).await
        {
            Err(error) if self.is_absent(bucket, key, &error).await => return Ok(GetOutcome::Absent),
            answer => answer?,
        };
        let request = self.read("ReadBody", bucket, key);
        Ok(match found {
            GetOutcome::Found(head, rest) => {
                GetOutcome::Found(head, FakeBody { fake: self.fake.clone(), request, rest, cut: false })
            }
            GetOutcome::Absent => GetOutcome::Absent,
            GetOutcome::Changed => GetOutcome::Changed,
        })
    }

    async fn get_version(
        &self,
        bucket: &Bucket,
        key: &str,
        version_id: &str,
    ) -> Result<GetOutcome<FakeBody>, PortError> {
        // S3 has one operation for both; the action it asks for is another.
        let request = self.read("GetObjectVersion", bucket, key);
        let found = self.fake.call(request, |world, request| world.get_version(request, version_id)).await?;
        let request = self.read("ReadBody", bucket, key);
        Ok(match found {
            Some((head, rest)) => {
                GetOutcome::Found(head, FakeBody { fake: self.fake.clone(), request, rest, cut: false })
            }
            None => GetOutcome::Absent,
        })
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
        let request = self.write("PutObject", bucket, key);
        self.fake
            .call(request, |world, request| world.put(request, body, Some(condition), crc64nvme, attributes))
            .await
    }

    async fn delete(&self, bucket: &Bucket, key: &str, if_match: &str) -> Result<DeleteOutcome, PortError> {
        let request = self.read("DeleteObject", bucket, key);
        self.fake.call(request, |world, request| world.delete(request, if_match)).await
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
        _capabilities: &Capabilities,
    ) -> Result<UploadedPart, PortError> {
        let request = self.read("UploadPart", bucket, &upload.key);
        self.fake.call(request, |world, request| world.upload_part(request, &upload.id, number, &body)).await
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
        let request = self.write("CompleteMultipartUpload", bucket, &upload.key);
        let whole = capabilities.full_object_multipart_checksum;
        let (size, crc64nvme) = (whole.then_some(size), whole.then_some(crc64nvme));
        let completion = Completion { size, crc64nvme, if_absent: true };
        let complete = self
            .fake
            .call(request, |world, request| world.complete_upload(request, &upload.id, parts, &completion));
        Ok(complete.await?.0)
    }

    async fn abort_upload(&self, bucket: &Bucket, upload: &Upload) -> Result<(), PortError> {
        let request = self.read("AbortMultipartUpload", bucket, &upload.key);
        self.fake.call(request, |world, request| world.abort_upload(request, &upload.id)).await
    }

    async fn list_uploads(&self, bucket: &Bucket, prefix: &str) -> Result<Vec<Upload>, PortError> {
        let request = self.read("ListMultipartUploads", bucket, prefix);
        self.fake.call(request, |world, request| world.list_uploads(request)).await
    }

    async fn copy(&self, bucket: &Bucket, request: &CopyRequest<'_>) -> Result<CopyOutcome, PortError> {
        let copy = Copy {
            source_bucket: bucket.name.clone(),
            source_owner: bucket.owner.clone(),
            source_key: request.source_key.to_owned(),
            source_etag: request.source_etag.to_owned(),
            conditional: true,
            attributes: request.attributes.clone(),
        };
        let limit = self.fake.lock().copy_limit;
        if request.capabilities.conditional_copy && request.source_size <= limit {
            let call = self.write("CopyObject", bucket, request.key);
            let copied = self.fake.call(call, |world, call| world.copy_object(call, &copy)).await;
            return match copied {
                Ok(outcome) => Ok(outcome),
                Err(error) => self.unless_source_changed(bucket, &copy, error).await,
            };
        }
        if request.source_size == 0 {
            let error =
                self.write("CopyObject", bucket, request.key).refuse(PortErrorKind::Invalid, "NoParts");
            return Err(error);
        }
        self.copy_in_parts(bucket, request, &copy).await
    }

    async fn copy_across(
        &self,
        from: &Bucket,
        from_key: &str,
        if_match: &str,
        to: &Bucket,
        to_key: &str,
    ) -> Result<CopyOutcome, PortError> {
        // Metadata is carried over, tags are not: reading them would need a permission of its own.
        let Some(head) = self.head(from, from_key).await?.filter(|head| head.etag == if_match) else {
            return Ok(CopyOutcome::SourceChanged);
        };
        let attributes = ObjectAttributes { metadata: head.metadata.clone(), ..ObjectAttributes::default() };
        let copy = Copy {
            source_bucket: from.name.clone(),
            source_owner: from.owner.clone(),
            source_key: from_key.to_owned(),
            source_etag: if_match.to_owned(),
            conditional: false,
            attributes: attributes.clone(),
        };
        if head.size > self.fake.lock().copy_limit {
            let request = CopyRequest {
                source_key: from_key,
                source_etag: if_match,
                source_size: head.size,
                key: to_key,
                attributes: &attributes,
                capabilities: &Capabilities::default(),
            };
            return self.copy_in_parts(to, &request, &copy).await;
        }
        let call = self.write("CopyObject", to, to_key);
        self.fake.call(call, |world, call| world.copy_object(call, &copy)).await
    }

    async fn put_tags(
        &self,
        bucket: &Bucket,
        key: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), PortError> {
        let request = self.read("PutObjectTagging", bucket, key);
        self.fake.call(request, |world, request| world.put_tags(request, tags)).await
    }
}
