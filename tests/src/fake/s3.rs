//! S3's rules for single objects: who may, what a condition means, what is checked.

use bytes::Bytes;
use landfall_core::error::{PortError, PortErrorKind};
use landfall_core::port::{
    Condition, DeleteOutcome, GetOutcome, ListPage, ObjectAttributes, ObjectHead, PutOutcome,
};

use super::bucket::{BucketState, NewObject, StoredObject, Version};
use super::calls::Request;
use super::checksum;
use super::identity::{Principal, bucket_arn, object_arn};
use super::world::{World, refusal};

/// The most one request can write, in bytes.
const PUT_LIMIT: usize = 5 * 1024 * 1024 * 1024;

impl Request {
    pub(crate) fn refuse(&self, kind: PortErrorKind, code: &str) -> PortError {
        refusal(self.operation, &self.subject(), kind, code)
    }

    pub(crate) fn key_text(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }
}

impl World {
    /// The bucket a request names, once its place and owner are as the caller expects.
    pub(crate) fn bucket(&self, request: &Request) -> Result<&BucketState, PortError> {
        let bucket = self
            .buckets
            .get(&request.resource)
            .ok_or_else(|| request.refuse(PortErrorKind::BucketMissing, "NoSuchBucket"))?;
        let region = match &request.principal {
            Principal::Landfall(_) => &self.region,
            Principal::Session(session) => &session.access.region,
        };
        if bucket.region != *region {
            return Err(request.refuse(PortErrorKind::BucketMissing, "PermanentRedirect"));
        }
        match request.expected_owner.as_deref() {
            Some(owner) if owner == bucket.owner => Ok(bucket),
            Some(owner) if owner.len() == 12 => Err(request.refuse(PortErrorKind::Denied, "AccessDenied")),
            _ => Err(request.refuse(PortErrorKind::Invalid, "InvalidBucketOwnerAWSAccountID")),
        }
    }

    /// The same bucket, to be changed.
    pub(crate) fn bucket_mut(&mut self, request: &Request) -> Result<&mut BucketState, PortError> {
        self.bucket(request)?;
        self.buckets
            .get_mut(&request.resource)
            .ok_or_else(|| request.refuse(PortErrorKind::BucketMissing, "NoSuchBucket"))
    }

    /// Refuses with 403 unless the caller may do `action` to `key` of the request's bucket.
    pub(crate) fn demand(&self, request: &Request, action: &str, key: &str) -> Result<(), PortError> {
        let bucket = self.bucket(request)?;
        if self.may(&request.principal, &bucket.owner, action, &object_arn(&bucket.name, key), None) {
            Ok(())
        } else {
            Err(request.refuse(PortErrorKind::Denied, "AccessDenied"))
        }
    }

    /// The current object of a key. A missing key is 403 to a caller without `s3:ListBucket`.
    pub(crate) fn existing(&self, request: &Request, key: &str) -> Result<Option<&StoredObject>, PortError> {
        let bucket = self.bucket(request)?;
        let object = bucket.current(key);
        let lists =
            self.may(&request.principal, &bucket.owner, "s3:ListBucket", &bucket_arn(&bucket.name), None);
        if object.is_none() && !lists {
            return Err(request.refuse(PortErrorKind::Denied, "AccessDenied"));
        }
        Ok(object)
    }

    /// Checks that the caller may read an object: its encryption key included.
    pub(crate) fn demand_read(&self, request: &Request, key: &str) -> Result<(), PortError> {
        self.demand(request, "s3:GetObject", key)?;
        let bucket = self.bucket(request)?;
        let kms_key = bucket.current(key).and_then(|object| bucket.kms_key(&object.attributes));
        self.demand_key(request, kms_key, &["kms:Decrypt"])
    }

    /// Checks that the caller may write an object with these attributes, and that the attributes are sound.
    pub(crate) fn demand_write(
        &self,
        request: &Request,
        key: &str,
        attributes: &ObjectAttributes,
        key_actions: &[&str],
    ) -> Result<(), PortError> {
        self.demand(request, "s3:PutObject", key)?;
        if !attributes.tags.is_empty() {
            self.demand(request, "s3:PutObjectTagging", key)?;
        }
        check_key(request, key)?;
        check_attributes(request, attributes)?;
        let bucket = self.bucket(request)?;
        self.demand_key(request, bucket.kms_key(attributes), key_actions)
    }

    fn demand_key(&self, request: &Request, key: Option<&str>, actions: &[&str]) -> Result<(), PortError> {
        match key {
            Some(key) if !actions.iter().all(|action| self.may_use_key(&request.principal, key, action)) => {
                Err(request.refuse(PortErrorKind::KeyRefused, "KMS.DisabledException"))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn list(
        &self,
        request: &Request,
        after: Option<&str>,
        page: Option<&str>,
    ) -> Result<ListPage, PortError> {
        let prefix = request.key_text();
        let bucket = self.bucket(request)?;
        let arn = bucket_arn(&bucket.name);
        if !self.may(&request.principal, &bucket.owner, "s3:ListBucket", &arn, Some(prefix)) {
            return Err(request.refuse(PortErrorKind::Denied, "AccessDenied"));
        }
        let from = match page {
            Some(token) => Some(
                token
                    .strip_prefix(PAGE_TOKEN)
                    .ok_or_else(|| request.refuse(PortErrorKind::Invalid, "InvalidArgument"))?,
            ),
            None => after,
        };
        let start = from.unwrap_or_default().max(prefix).to_owned();
        let mut objects = Vec::new();
        let mut next = None;
        for key in bucket.keys.range(start..).map(|(key, _)| key) {
            if !key.starts_with(prefix) {
                break;
            }
            if from.is_some_and(|from| key.as_str() <= from) {
                continue;
            }
            let Some(object) = bucket.current(key) else { continue };
            if objects.len() == self.page_size {
                next = objects
                    .last()
                    .map(|last: &landfall_core::port::ListedObject| format!("{PAGE_TOKEN}{}", last.key));
                break;
            }
            objects.push(object.listed());
        }
        Ok(ListPage { objects, next })
    }

    pub(crate) fn head(&self, request: &Request) -> Result<Option<ObjectHead>, PortError> {
        self.demand_read(request, request.key_text())?;
        Ok(self.existing(request, request.key_text())?.map(StoredObject::head))
    }

    pub(crate) fn get(
        &self,
        request: &Request,
        if_match: Option<&str>,
        range: Option<(u64, u64)>,
    ) -> Result<GetOutcome<Bytes>, PortError> {
        self.demand_read(request, request.key_text())?;
        let Some(object) = self.existing(request, request.key_text())? else { return Ok(GetOutcome::Absent) };
        if if_match.is_some_and(|etag| etag != object.etag) {
            return Ok(GetOutcome::Changed);
        }
        let mut body = match range {
            None => object.body.clone(),
            Some(range) => slice(&object.body, range)
                .ok_or_else(|| request.refuse(PortErrorKind::Invalid, "InvalidRange"))?,
        };
        if self.corrupt {
            body = flipped(&body);
        }
        Ok(GetOutcome::Found(object.head(), body))
    }

    /// One entry of a key's history; `None` when it is none of its objects.
    pub(crate) fn get_version(
        &self,
        request: &Request,
        version_id: &str,
    ) -> Result<Option<(ObjectHead, Bytes)>, PortError> {
        self.demand(request, "s3:GetObjectVersion", request.key_text())?;
        let bucket = self.bucket(request)?;
        let history = bucket.keys.get(request.key_text()).into_iter().flatten();
        let found = history.filter_map(|version| match version {
            Version::Object(object) => Some(object),
            Version::DeleteMarker(_) => None,
        });
        let mut found = found.filter(|object| object.version_id.as_deref() == Some(version_id));
        Ok(found.next().map(|object| (object.head(), object.body.clone())))
    }

    pub(crate) fn put(
        &mut self,
        request: &Request,
        body: Bytes,
        condition: Option<&Condition>,
        crc64nvme: Option<u64>,
        attributes: &ObjectAttributes,
    ) -> Result<PutOutcome, PortError> {
        let key = request.key_text();
        self.demand_write(request, key, attributes, &["kms:GenerateDataKey"])?;
        let body = if self.corrupt { flipped(&body) } else { body };
        if body.len() > PUT_LIMIT {
            return Err(request.refuse(PortErrorKind::Invalid, "EntityTooLarge"));
        }
        if crc64nvme.is_some_and(|sent| sent != checksum::crc64nvme(&body)) {
            return Err(request.refuse(PortErrorKind::Corrupt, "BadDigest"));
        }
        if !self.holds(request, key, condition)? {
            return Ok(PutOutcome::ConditionFailed);
        }
        // AWS adds a checksum of its own when none was sent; lesser stores do not.
        let adds = self.bucket(request)?.capabilities.copy_checksum;
        let crc64nvme = crc64nvme.or_else(|| adds.then(|| checksum::crc64nvme(&body)));
        let new = NewObject {
            body,
            attributes: attributes.clone(),
            multipart_etag: None,
            crc64nvme,
            event: "ObjectCreated:Put",
        };
        let object = self.write(request, key, new)?;
        Ok(PutOutcome::Written { etag: object.etag, version_id: object.version_id })
    }

    /// Whether the condition of a write holds; a bucket may refuse writes without one.
    pub(crate) fn holds(
        &self,
        request: &Request,
        key: &str,
        condition: Option<&Condition>,
    ) -> Result<bool, PortError> {
        let bucket = self.bucket(request)?;
        let current = bucket.current(key);
        match condition {
            None if bucket.demands_conditions => Err(request.refuse(PortErrorKind::Denied, "AccessDenied")),
            None => Ok(true),
            Some(Condition::Absent) => Ok(current.is_none()),
            Some(Condition::Matches(etag)) if etag == "*" => {
                Err(request.refuse(PortErrorKind::Invalid, "NotImplemented"))
            }
            Some(Condition::Matches(etag)) => Ok(current.is_some_and(|object| object.etag == *etag)),
        }
    }

    /// Stores an object and tells the queues of the bucket's notifications.
    pub(crate) fn write(
        &mut self,
        request: &Request,
        key: &str,
        new: NewObject,
    ) -> Result<StoredObject, PortError> {
        let (sequence, now) = (self.tick(), self.now());
        let object = self.bucket_mut(request)?.write(sequence, now, key, new);
        self.announce(&request.resource, key);
        Ok(object)
    }

    pub(crate) fn delete(&mut self, request: &Request, if_match: &str) -> Result<DeleteOutcome, PortError> {
        let key = request.key_text();
        // With an entity tag S3 asks for the right to read the object as well.
        self.demand(request, "s3:DeleteObject", key)?;
        self.demand(request, "s3:GetObject", key)?;
        match self.bucket(request)?.current(key) {
            None => Ok(DeleteOutcome::Absent),
            Some(object) if object.etag != if_match => Ok(DeleteOutcome::Changed),
            Some(_) => {
                let sequence = self.tick();
                self.bucket_mut(request)?.delete(sequence, key);
                Ok(DeleteOutcome::Deleted)
            }
        }
    }

    pub(crate) fn put_tags(
        &mut self,
        request: &Request,
        tags: &std::collections::BTreeMap<String, String>,
    ) -> Result<(), PortError> {
        let key = request.key_text();
        self.demand(request, "s3:PutObjectTagging", key)?;
        let attributes = ObjectAttributes { tags: tags.clone(), ..ObjectAttributes::default() };
        check_attributes(request, &attributes)?;
        self.existing(request, key)?;
        match self.bucket_mut(request)?.current_mut(key) {
            None => Err(request.refuse(PortErrorKind::NotFound, "NoSuchKey")),
            Some(object) => {
                object.attributes.tags.clone_from(tags);
                Ok(())
            }
        }
    }
}

const PAGE_TOKEN: &str = "page-after:";

/// The bytes `[from, to]`; `None` when the range begins behind the end.
fn slice(body: &Bytes, (from, to): (u64, u64)) -> Option<Bytes> {
    let from = usize::try_from(from).ok()?;
    let end = usize::try_from(to).unwrap_or(usize::MAX).saturating_add(1).min(body.len());
    (from < end).then(|| body.slice(from..end))
}

/// The same bytes with one bit of the first one turned.
pub(crate) fn flipped(body: &Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    if let Some(first) = bytes.first_mut() {
        *first ^= 1;
    }
    Bytes::from(bytes)
}

fn check_key(request: &Request, key: &str) -> Result<(), PortError> {
    match key.len() {
        0 => Err(request.refuse(PortErrorKind::Invalid, "InvalidRequest")),
        1..=1024 => Ok(()),
        _ => Err(request.refuse(PortErrorKind::Invalid, "KeyTooLongError")),
    }
}

/// S3's limits on tags and metadata.
fn check_attributes(request: &Request, attributes: &ObjectAttributes) -> Result<(), PortError> {
    let plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || " +-=._:/@".contains(c));
    let sound_tag = |(key, value): (&String, &String)| {
        (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256 && plain(key) && plain(value)
    };
    if attributes.tags.len() > 10 || !attributes.tags.iter().all(sound_tag) {
        return Err(request.refuse(PortErrorKind::Invalid, "InvalidTag"));
    }
    let mut bytes = 0;
    for (key, value) in &attributes.metadata {
        let name = !key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase());
        if !name || !value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
            return Err(request.refuse(PortErrorKind::Invalid, "InvalidArgument"));
        }
        bytes += key.len() + value.len();
    }
    if bytes > 2048 {
        return Err(request.refuse(PortErrorKind::Invalid, "MetadataTooLarge"));
    }
    Ok(())
}
