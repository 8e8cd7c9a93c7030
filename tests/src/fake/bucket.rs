//! A bucket's content: objects, versions, delete markers, uploads under way.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use landfall_core::delivery::Capabilities;
use landfall_core::port::{Encryption, ListedObject, ObjectAttributes, ObjectHead};

use super::budget::{Budget, Mishandling};
use super::checksum;
use super::event::{self, S3Event};

/// An object as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// The full key.
    pub key: String,
    /// The entity tag, without quotes; ends in `-N` for an object of N parts.
    pub etag: String,
    /// The bytes.
    pub body: Bytes,
    /// The version id, where the bucket is versioned.
    pub version_id: Option<String>,
    /// The time of the write, in whole seconds as S3 shows it.
    pub last_modified: Timestamp,
    /// The full-object CRC-64/NVME the store holds, where it holds one.
    pub crc64nvme: Option<u64>,
    /// Media type, metadata, tags, encryption.
    pub attributes: ObjectAttributes,
}

impl StoredObject {
    /// The size in bytes.
    pub fn size(&self) -> u64 {
        self.body.len() as u64
    }

    pub(crate) fn head(&self) -> ObjectHead {
        ObjectHead {
            etag: self.etag.clone(),
            size: self.size(),
            version_id: self.version_id.clone(),
            crc64nvme: self.crc64nvme,
            metadata: self.attributes.metadata.clone(),
        }
    }

    pub(crate) fn listed(&self) -> ListedObject {
        ListedObject {
            key: self.key.clone(),
            etag: self.etag.clone(),
            size: self.size(),
            last_modified: self.last_modified,
        }
    }
}

/// One entry in the history of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// An object.
    Object(Box<StoredObject>),
    /// A delete marker, with its version id.
    DeleteMarker(String),
}

/// A multipart upload that is neither completed nor aborted.
#[derive(Debug, Clone)]
pub(crate) struct UploadState {
    pub(crate) key: String,
    /// The sequence of its creation.
    pub(crate) began: u64,
    pub(crate) attributes: ObjectAttributes,
    /// Declared as CRC-64/NVME of the whole object; else CRC-32C per part.
    pub(crate) full_object: bool,
    pub(crate) parts: BTreeMap<i32, Part>,
}

#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) etag: String,
    pub(crate) body: Bytes,
    pub(crate) crc32c: Option<String>,
}

/// What is about to become an object.
#[derive(Debug)]
pub(crate) struct NewObject {
    pub(crate) body: Bytes,
    pub(crate) attributes: ObjectAttributes,
    /// The entity tag of an object made of parts.
    pub(crate) multipart_etag: Option<String>,
    pub(crate) crc64nvme: Option<u64>,
    pub(crate) event: &'static str,
}

#[derive(Debug)]
pub(crate) struct BucketState {
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) region: String,
    pub(crate) versioned: bool,
    /// What the endpoint can really do, whatever the caller declares.
    pub(crate) capabilities: Capabilities,
    /// The bucket's policy refuses writes without a condition.
    pub(crate) demands_conditions: bool,
    /// The key of the bucket's default encryption; `None` is SSE-S3.
    pub(crate) default_key: Option<String>,
    /// Prefix and queue of each event notification.
    pub(crate) notifications: Vec<(String, String)>,
    /// Histories, oldest entry first; in an unversioned bucket at most one entry.
    pub(crate) keys: BTreeMap<String, Vec<Version>>,
    /// The sequence of each key's last deletion.
    pub(crate) deletions: BTreeMap<String, u64>,
    pub(crate) uploads: BTreeMap<String, UploadState>,
    /// Keys of completed uploads, by upload id.
    pub(crate) completed: BTreeMap<String, String>,
    pub(crate) events: Vec<S3Event>,
    /// What it takes per second, where that is limited.
    pub(crate) budget: Option<Budget>,
    /// What becomes of its notifications, where not all arrive once and at once.
    pub(crate) mishandling: Option<Mishandling>,
    /// Every object that was ever written, in order, where that is kept.
    pub(crate) written: Option<Vec<StoredObject>>,
}

impl BucketState {
    pub(crate) fn new(name: &str, owner: &str, region: &str, versioned: bool) -> Self {
        Self {
            name: name.to_owned(),
            owner: owner.to_owned(),
            region: region.to_owned(),
            versioned,
            capabilities: Capabilities::default(),
            demands_conditions: false,
            default_key: None,
            notifications: Vec::new(),
            keys: BTreeMap::new(),
            deletions: BTreeMap::new(),
            uploads: BTreeMap::new(),
            completed: BTreeMap::new(),
            events: Vec::new(),
            budget: None,
            mishandling: None,
            written: None,
        }
    }

    /// The object on top of a key's history; `None` when there is none or a delete marker is on top.
    pub(crate) fn current(&self, key: &str) -> Option<&StoredObject> {
        match self.keys.get(key)?.last()? {
            Version::Object(object) => Some(object),
            Version::DeleteMarker(_) => None,
        }
    }

    /// The objects on top of all keys with this prefix, in key order.
    pub(crate) fn current_below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a StoredObject> {
        let below = self.keys.range(prefix.to_owned()..).take_while(move |(key, _)| key.starts_with(prefix));
        below.filter_map(|(_, history)| match history.last()? {
            Version::Object(object) => Some(object.as_ref()),
            Version::DeleteMarker(_) => None,
        })
    }

    pub(crate) fn current_mut(&mut self, key: &str) -> Option<&mut StoredObject> {
        match self.keys.get_mut(key)?.last_mut()? {
            Version::Object(object) => Some(object),
            Version::DeleteMarker(_) => None,
        }
    }

    /// The key an object of these attributes is encrypted with; `None` is SSE-S3.
    pub(crate) fn kms_key<'a>(&'a self, attributes: &'a ObjectAttributes) -> Option<&'a str> {
        match &attributes.encryption {
            Encryption::Kms(key) => Some(key),
            Encryption::BucketDefault => self.default_key.as_deref(),
        }
    }

    /// Puts an object on top of a key's history and records its event.
    pub(crate) fn write(&mut self, sequence: u64, now: Timestamp, key: &str, new: NewObject) -> StoredObject {
        let encrypted = self.kms_key(&new.attributes).is_some();
        let etag = new.multipart_etag.unwrap_or_else(|| {
            if encrypted {
                // Under SSE-KMS an entity tag says nothing of the content.
                checksum::etag(format!("{key}#{sequence}").as_bytes())
            } else {
                checksum::etag(&new.body)
            }
        });
        let object = StoredObject {
            key: key.to_owned(),
            etag,
            body: new.body,
            version_id: self.versioned.then(|| format!("v{sequence:016}")),
            last_modified: Timestamp::from_second(now.as_second()).unwrap_or(now),
            crc64nvme: new.crc64nvme,
            attributes: new.attributes,
        };
        let history = self.keys.entry(key.to_owned()).or_default();
        if !self.versioned {
            history.clear();
        }
        history.push(Version::Object(Box::new(object.clone())));
        if let Some(written) = &mut self.written {
            written.push(object.clone());
        }
        self.events.push(S3Event {
            name: new.event,
            bucket: self.name.clone(),
            key: key.to_owned(),
            etag: object.etag.clone(),
            size: object.size(),
            version_id: object.version_id.clone(),
            sequencer: event::sequencer(sequence),
            time: now,
        });
        object
    }

    /// Deletes the object on top: in a versioned bucket by a delete marker.
    pub(crate) fn delete(&mut self, sequence: u64, key: &str) {
        if self.versioned {
            let marker = Version::DeleteMarker(format!("v{sequence:016}"));
            self.keys.entry(key.to_owned()).or_default().push(marker);
        } else {
            self.keys.remove(key);
        }
        self.deletions.insert(key.to_owned(), sequence);
    }
}
