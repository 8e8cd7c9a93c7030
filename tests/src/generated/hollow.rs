//! Hollow buckets: of each object its size, checksum and end are kept, and nothing else of its bytes.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use crc_fast::{CrcAlgorithm, Digest};
use jiff::Timestamp;
use landfall_core::port::{
    Condition, CopyOutcome, CopyRequest, DeleteOutcome, ListPage, ListedObject, ObjectAttributes, ObjectHead,
    PutOutcome, UploadedPart,
};

use crate::fake::checksum;

/// How much of the end of an object is kept: more than any footer takes.
const KEPT: usize = 4 * 1024 * 1024;
/// The least size of a part but the last.
const PART_MINIMUM: u64 = 5 * 1024 * 1024;

#[derive(Debug, Clone)]
struct Kept {
    etag: String,
    size: u64,
    crc64nvme: u64,
    end: Bytes,
    metadata: BTreeMap<String, String>,
}

struct Upload {
    attributes: ObjectAttributes,
    digest: Digest,
    size: u64,
    end: BytesMut,
    parts: Vec<String>,
    /// The size of the last part.
    last: u64,
    /// A part that was not the last one was too small.
    short: bool,
}

/// All hollow buckets.
#[derive(Default)]
pub(super) struct Hollow {
    names: BTreeSet<String>,
    objects: BTreeMap<(String, String), Kept>,
    uploads: BTreeMap<String, Upload>,
    begun: u64,
}

impl std::fmt::Debug for Hollow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hollow").field("objects", &self.objects.len()).finish_non_exhaustive()
    }
}

fn end_of(bytes: &Bytes) -> Bytes {
    // A copy of its own: a slice would hold the whole.
    Bytes::copy_from_slice(&bytes.slice(bytes.len().saturating_sub(KEPT)..))
}

impl Hollow {
    pub(super) fn new(names: &[&str]) -> Self {
        Self { names: names.iter().map(|name| (*name).to_owned()).collect(), ..Self::default() }
    }

    pub(super) fn is(&self, bucket: &str) -> bool {
        self.names.contains(bucket)
    }

    fn at(bucket: &str, key: &str) -> (String, String) {
        (bucket.to_owned(), key.to_owned())
    }

    pub(super) fn objects(&self, bucket: &str) -> Vec<(String, u64)> {
        let of_bucket = self.objects.iter().filter(|((name, _), _)| name == bucket);
        of_bucket.map(|((_, key), kept)| (key.clone(), kept.size)).collect()
    }

    /// One page holds all.
    pub(super) fn list(&self, bucket: &str, prefix: &str, after: Option<&str>) -> ListPage {
        let below = self.objects.iter().filter(|((name, key), _)| {
            name == bucket && key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after)
        });
        let listed = |((_, key), kept): (&(String, String), &Kept)| ListedObject {
            key: key.clone(),
            etag: kept.etag.clone(),
            size: kept.size,
            last_modified: Timestamp::UNIX_EPOCH,
        };
        ListPage { objects: below.map(listed).collect(), next: None }
    }

    pub(super) fn head(&self, bucket: &str, key: &str) -> Option<ObjectHead> {
        let kept = self.objects.get(&Self::at(bucket, key))?;
        Some(ObjectHead {
            etag: kept.etag.clone(),
            size: kept.size,
            version_id: None,
            crc64nvme: Some(kept.crc64nvme),
            metadata: kept.metadata.clone(),
        })
    }

    /// The bytes of a range; `None` where they are not kept.
    pub(super) fn range(&self, bucket: &str, key: &str, range: Option<(u64, u64)>) -> Option<Bytes> {
        let kept = self.objects.get(&Self::at(bucket, key))?;
        let dropped = kept.size - kept.end.len() as u64;
        let (from, to) = range.unwrap_or((0, kept.size.saturating_sub(1)));
        let from = usize::try_from(from.checked_sub(dropped)?).ok()?;
        let to = usize::try_from(to.saturating_add(1).checked_sub(dropped)?).ok()?.min(kept.end.len());
        (from <= to).then(|| kept.end.slice(from..to))
    }

    pub(super) fn put(
        &mut self,
        bucket: &str,
        key: &str,
        body: &Bytes,
        condition: &Condition,
        attributes: &ObjectAttributes,
    ) -> PutOutcome {
        let at = Self::at(bucket, key);
        let holds = match (condition, self.objects.get(&at)) {
            (Condition::Absent, stands) => stands.is_none(),
            (Condition::Matches(etag), stands) => stands.is_some_and(|kept| kept.etag == *etag),
        };
        if !holds {
            return PutOutcome::ConditionFailed;
        }
        let kept = Kept {
            etag: checksum::etag(body),
            size: body.len() as u64,
            crc64nvme: checksum::crc64nvme(body),
            end: end_of(body),
            metadata: attributes.metadata.clone(),
        };
        let etag = kept.etag.clone();
        self.objects.insert(at, kept);
        PutOutcome::Written { etag, version_id: None }
    }

    pub(super) fn create_upload(&mut self, attributes: &ObjectAttributes) -> String {
        self.begun += 1;
        let id = format!("upload-{}", self.begun);
        let upload = Upload {
            attributes: attributes.clone(),
            digest: Digest::new(CrcAlgorithm::Crc64Nvme),
            size: 0,
            end: BytesMut::new(),
            parts: Vec::new(),
            last: 0,
            short: false,
        };
        self.uploads.insert(id.clone(), upload);
        id
    }

    /// Takes the next part. Parts come in order here.
    pub(super) fn part(&mut self, id: &str, number: i32, body: &Bytes) -> Option<UploadedPart> {
        let upload = self.uploads.get_mut(id)?;
        if usize::try_from(number).ok()? != upload.parts.len() + 1 {
            return None;
        }
        // Judged when the next one comes: the last may be small.
        upload.short = upload.short || (number > 1 && upload.last < PART_MINIMUM);
        upload.last = body.len() as u64;
        upload.digest.update(body);
        upload.size += body.len() as u64;
        upload.end.extend_from_slice(body);
        let kept = upload.end.len();
        if kept > KEPT {
            // Anew, so that what is cut off is given back.
            upload.end = BytesMut::from(upload.end.split_off(kept - KEPT).as_ref());
        }
        let etag = checksum::etag(&body.slice(..body.len().min(1024)));
        upload.parts.push(etag.clone());
        Some(UploadedPart { number, etag, crc32c: None })
    }

    /// Completes an upload, create-if-absent; `None` when its parts, size or checksum are not those that were named.
    pub(super) fn complete(
        &mut self,
        bucket: &str,
        key: &str,
        id: &str,
        parts: &[UploadedPart],
        (size, crc64nvme): (u64, u64),
    ) -> Option<PutOutcome> {
        let at = Self::at(bucket, key);
        if self.objects.contains_key(&at) {
            return Some(PutOutcome::ConditionFailed);
        }
        let upload = self.uploads.get(id)?;
        let named = parts.iter().map(|part| part.etag.as_str()).eq(upload.parts.iter().map(String::as_str));
        if !named || upload.size != size || upload.digest.finalize() != crc64nvme || upload.short {
            return None;
        }
        let upload = self.uploads.remove(id)?;
        let etag = checksum::multipart_etag(&upload.parts);
        let kept = Kept {
            etag: etag.clone(),
            size,
            crc64nvme,
            end: upload.end.freeze(),
            metadata: upload.attributes.metadata,
        };
        self.objects.insert(at, kept);
        Some(PutOutcome::Written { etag, version_id: None })
    }

    pub(super) fn abort(&mut self, id: &str) {
        self.uploads.remove(id);
    }

    pub(super) fn copy(&mut self, bucket: &str, request: &CopyRequest<'_>) -> CopyOutcome {
        let source = self.objects.get(&Self::at(bucket, request.source_key)).cloned();
        let Some(source) = source.filter(|kept| kept.etag == request.source_etag) else {
            return CopyOutcome::SourceChanged;
        };
        let at = Self::at(bucket, request.key);
        if self.objects.contains_key(&at) {
            return CopyOutcome::DestinationExists;
        }
        let etag = checksum::etag(format!("copy of {}", source.etag).as_bytes());
        let crc64nvme = source.crc64nvme;
        let metadata = request.attributes.metadata.clone();
        self.objects.insert(at, Kept { etag: etag.clone(), metadata, ..source });
        CopyOutcome::Copied { etag, crc64nvme: Some(crc64nvme) }
    }

    pub(super) fn delete(&mut self, bucket: &str, key: &str, if_match: &str) -> DeleteOutcome {
        let at = Self::at(bucket, key);
        match self.objects.get(&at) {
            None => DeleteOutcome::Absent,
            Some(kept) if kept.etag != if_match => DeleteOutcome::Changed,
            Some(_) => {
                self.objects.remove(&at);
                DeleteOutcome::Deleted
            }
        }
    }
}
