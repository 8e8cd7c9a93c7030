//! S3's rules for multipart uploads and for copies.

use std::collections::BTreeMap;

use bytes::Bytes;
use landfall_core::error::{PortError, PortErrorKind};
use landfall_core::port::{Condition, CopyOutcome, ObjectAttributes, PutOutcome, Upload, UploadedPart};

use super::bucket::{NewObject, Part, UploadState};
use super::calls::Request;
use super::checksum;
use super::identity::bucket_arn;
use super::s3::flipped;
use super::world::World;

/// The least a part that is not the last may have, in bytes.
const PART_MINIMUM: usize = 5 * 1024 * 1024;

/// What one CopyObject asks for.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) source_bucket: String,
    pub(crate) source_owner: String,
    pub(crate) source_key: String,
    pub(crate) source_etag: String,
    /// `If-None-Match: *` is sent.
    pub(crate) conditional: bool,
    /// What the copy carries (both directives are REPLACE).
    pub(crate) attributes: ObjectAttributes,
}

/// What a completion says besides the parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Completion {
    pub(crate) size: Option<u64>,
    pub(crate) crc64nvme: Option<u64>,
    /// `If-None-Match: *` is sent.
    pub(crate) if_absent: bool,
}

impl World {
    pub(crate) fn create_upload(
        &mut self,
        request: &Request,
        attributes: &ObjectAttributes,
        full_object: bool,
    ) -> Result<String, PortError> {
        let key = request.key_text();
        self.demand_write(request, key, attributes, &["kms:GenerateDataKey", "kms:Decrypt"])?;
        let began = self.tick();
        let bucket = self.bucket_mut(request)?;
        let mut attributes = attributes.clone();
        if !bucket.capabilities.multipart_tags {
            attributes.tags = BTreeMap::new();
        }
        let id = format!("upload-{began}");
        let upload =
            UploadState { key: key.to_owned(), began, attributes, full_object, parts: BTreeMap::new() };
        bucket.uploads.insert(id.clone(), upload);
        Ok(id)
    }

    pub(crate) fn upload_part(
        &mut self,
        request: &Request,
        id: &str,
        number: i32,
        body: &Bytes,
    ) -> Result<UploadedPart, PortError> {
        self.demand(request, "s3:PutObject", request.key_text())?;
        if self.corrupt {
            // Parts carry their checksum: what is damaged on the way is refused.
            return Err(request.refuse(PortErrorKind::Corrupt, "BadDigest"));
        }
        self.store_part(request, id, number, body.clone())
    }

    /// Copies the bytes `[from, to]` of a source into a part; `None` when the source is not the one meant.
    pub(crate) fn upload_part_copy(
        &mut self,
        request: &Request,
        id: &str,
        number: i32,
        copy: &Copy,
        (from, to): (u64, u64),
    ) -> Result<Option<UploadedPart>, PortError> {
        self.demand(request, "s3:PutObject", request.key_text())?;
        let Some(source) = self.copy_source(request, copy)? else { return Ok(None) };
        let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
        let Some(range) = range.filter(|(from, to)| from <= to && *to < source.body.len()) else {
            return Err(request.refuse(PortErrorKind::Invalid, "InvalidRange"));
        };
        let body = source.body.slice(range.0..=range.1);
        let body = if self.corrupt { flipped(&body) } else { body };
        self.store_part(request, id, number, body).map(Some)
    }

    fn store_part(
        &mut self,
        request: &Request,
        id: &str,
        number: i32,
        body: Bytes,
    ) -> Result<UploadedPart, PortError> {
        let key = request.key_text();
        let bucket = self.bucket_mut(request)?;
        let Some(upload) = bucket.uploads.get_mut(id).filter(|upload| upload.key == key) else {
            return Err(request.refuse(PortErrorKind::Conflict, "NoSuchUpload"));
        };
        if !(1..=10_000).contains(&number) {
            return Err(request.refuse(PortErrorKind::Invalid, "InvalidArgument"));
        }
        let crc32c = (!upload.full_object).then(|| checksum::crc32c(&body));
        let etag = checksum::etag(&body);
        upload.parts.insert(number, Part { etag: etag.clone(), body, crc32c: crc32c.clone() });
        Ok(UploadedPart { number, etag, crc32c })
    }

    /// Completes an upload, with `If-None-Match: *` where it may only create; answers the checksum the store computed,
    /// where it does.
    pub(crate) fn complete_upload(
        &mut self,
        request: &Request,
        id: &str,
        parts: &[UploadedPart],
        completion: &Completion,
    ) -> Result<(PutOutcome, Option<u64>), PortError> {
        let key = request.key_text();
        self.demand(request, "s3:PutObject", key)?;
        let bucket = self.bucket(request)?;
        let Some(upload) = bucket.uploads.get(id).filter(|upload| upload.key == key).cloned() else {
            // A completion repeated after its answer was lost meets its own object.
            let done = bucket.completed.get(id).is_some_and(|done| done == key);
            return if done && bucket.current(key).is_some() {
                Ok((PutOutcome::ConditionFailed, None))
            } else {
                Err(request.refuse(PortErrorKind::Conflict, "NoSuchUpload"))
            };
        };
        let body = joined(request, &upload, parts)?;
        if completion.size.is_some_and(|size| size != body.len() as u64) {
            return Err(request.refuse(PortErrorKind::Invalid, "InvalidRequest"));
        }
        let sum = checksum::crc64nvme(&body);
        let holds_sum = upload.full_object && bucket.capabilities.full_object_multipart_checksum;
        if let Some(sent) = completion.crc64nvme {
            if !upload.full_object {
                return Err(request.refuse(PortErrorKind::Invalid, "InvalidRequest"));
            }
            // A store that cannot do whole-object checksums refuses even the right one.
            if sent != sum || !holds_sum {
                return Err(request.refuse(PortErrorKind::Corrupt, "BadDigest"));
            }
        }
        let condition = completion.if_absent.then_some(Condition::Absent);
        if !self.holds(request, key, condition.as_ref())? {
            return Ok((PutOutcome::ConditionFailed, None));
        }
        let deleted = bucket.deletions.get(key).is_some_and(|deleted| *deleted > upload.began);
        if completion.if_absent && deleted {
            return Err(request.refuse(PortErrorKind::Conflict, "ConditionalRequestConflict"));
        }
        let etags: Vec<String> = parts.iter().map(|part| part.etag.clone()).collect();
        let new = NewObject {
            body,
            attributes: upload.attributes,
            multipart_etag: Some(checksum::multipart_etag(&etags)),
            crc64nvme: holds_sum.then_some(sum),
            event: "ObjectCreated:CompleteMultipartUpload",
        };
        let object = self.write(request, key, new)?;
        let bucket = self.bucket_mut(request)?;
        bucket.uploads.remove(id);
        bucket.completed.insert(id.to_owned(), key.to_owned());
        let written = PutOutcome::Written { etag: object.etag, version_id: object.version_id };
        Ok((written, object.crc64nvme))
    }

    pub(crate) fn abort_upload(&mut self, request: &Request, id: &str) -> Result<(), PortError> {
        self.demand(request, "s3:AbortMultipartUpload", request.key_text())?;
        // One that is gone already (404 NoSuchUpload) is a success at the port.
        self.bucket_mut(request)?.uploads.remove(id);
        Ok(())
    }

    pub(crate) fn list_uploads(&self, request: &Request) -> Result<Vec<Upload>, PortError> {
        let bucket = self.bucket(request)?;
        let arn = bucket_arn(&bucket.name);
        // S3 knows no condition on the prefix here.
        if !self.may(&request.principal, &bucket.owner, "s3:ListBucketMultipartUploads", &arn, None) {
            return Err(request.refuse(PortErrorKind::Denied, "AccessDenied"));
        }
        let below = |(_, upload): &(&String, &UploadState)| upload.key.starts_with(request.key_text());
        // One page, as the port says.
        let uploads = bucket.uploads.iter().filter(below).take(self.page_size);
        Ok(uploads.map(|(id, upload)| Upload { key: upload.key.clone(), id: id.clone() }).collect())
    }

    /// The object to copy; `None` when it is gone or another one.
    fn copy_source(
        &self,
        request: &Request,
        copy: &Copy,
    ) -> Result<Option<super::bucket::StoredObject>, PortError> {
        let source = Request {
            resource: copy.source_bucket.clone(),
            expected_owner: Some(copy.source_owner.clone()),
            ..request.clone()
        };
        self.demand_read(&source, &copy.source_key)?;
        let object = self.existing(&source, &copy.source_key)?;
        Ok(object.filter(|object| object.etag == copy.source_etag).cloned())
    }

    pub(crate) fn copy_object(&mut self, request: &Request, copy: &Copy) -> Result<CopyOutcome, PortError> {
        let key = request.key_text();
        let source = self.copy_source(request, copy)?;
        self.demand_write(request, key, &copy.attributes, &["kms:GenerateDataKey"])?;
        let Some(source) = source else { return Ok(CopyOutcome::SourceChanged) };
        if source.size() > self.copy_limit {
            return Err(request.refuse(PortErrorKind::Invalid, "InvalidRequest"));
        }
        let capabilities = self.bucket(request)?.capabilities;
        // A store without conditional copies does not refuse the header: it ignores it.
        let condition = copy.conditional.then_some(Condition::Absent);
        let ignored = copy.conditional && !capabilities.conditional_copy;
        if !ignored && !self.holds(request, key, condition.as_ref())? {
            return Ok(CopyOutcome::DestinationExists);
        }
        let body = if self.corrupt { flipped(&source.body) } else { source.body };
        let crc64nvme = capabilities.copy_checksum.then(|| checksum::crc64nvme(&body));
        let new = NewObject {
            body,
            attributes: copy.attributes.clone(),
            multipart_etag: None,
            crc64nvme,
            event: "ObjectCreated:Copy",
        };
        let object = self.write(request, key, new)?;
        Ok(CopyOutcome::Copied { etag: object.etag, crc64nvme: object.crc64nvme })
    }
}

/// The bytes of the named parts, once S3's demands on them are met.
fn joined(request: &Request, upload: &UploadState, parts: &[UploadedPart]) -> Result<Bytes, PortError> {
    if parts.is_empty() {
        return Err(request.refuse(PortErrorKind::Invalid, "MalformedXML"));
    }
    if !parts.is_sorted_by(|left, right| left.number < right.number) {
        return Err(request.refuse(PortErrorKind::Invalid, "InvalidPartOrder"));
    }
    let mut body = Vec::new();
    for (index, named) in parts.iter().enumerate() {
        let part = upload
            .parts
            .get(&named.number)
            .filter(|part| part.etag == named.etag)
            .filter(|part| part.crc32c.is_none() || part.crc32c == named.crc32c)
            .ok_or_else(|| request.refuse(PortErrorKind::Invalid, "InvalidPart"))?;
        if part.body.len() < PART_MINIMUM && index + 1 < parts.len() {
            return Err(request.refuse(PortErrorKind::Invalid, "EntityTooSmall"));
        }
        body.extend_from_slice(&part.body);
    }
    Ok(Bytes::from(body))
}
