//! The model: what was staged, and so what must arrive. It knows nothing of plans, merges or logs.

use std::collections::BTreeMap;

use bytes::Bytes;

/// What tells one staged object from another: key, entity tag, size.
pub type Identity = (String, String, u64);

/// A record, as it is staged and as it arrives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// No other record has it.
    pub id: i64,
    /// Decides the partition, where the record does.
    pub name: String,
    /// Members that a contract takes in, or columns it has taken in; none of them null.
    pub more: BTreeMap<String, i64>,
}

/// What a staged object holds.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// The records that the contract can hold.
    pub rows: Vec<Record>,
    /// Marks of the lines that it cannot hold; each is in one line alone.
    pub bad: Vec<String>,
    /// The object cannot be decoded as a whole.
    pub undecodable: bool,
}

/// An object that a producer staged, perhaps several times.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The delivery's index.
    pub delivery: usize,
    /// What it holds.
    pub content: Content,
    /// Its bytes.
    pub body: Bytes,
    /// The hours (`HH`, UTC) in which it was staged.
    pub hours: Vec<String>,
}

/// Everything that was staged.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// By identity.
    pub uploads: BTreeMap<Identity, Upload>,
    /// What each key shows, as its producer left it; landfall's own deletions do not count.
    pub current: BTreeMap<String, Identity>,
    /// Each record and where it is, by its id.
    pub records: BTreeMap<i64, (Identity, Record)>,
}

impl Model {
    /// A producer staged an object.
    pub fn staged(&mut self, identity: Identity, upload: Upload) {
        for record in &upload.content.rows {
            self.records.insert(record.id, (identity.clone(), record.clone()));
        }
        self.current.insert(identity.0.clone(), identity.clone());
        let hours = upload.hours.clone();
        self.uploads.entry(identity).or_insert(upload).hours.extend(hours);
    }

    /// A producer deleted what a key showed.
    pub fn removed(&mut self, key: &str) {
        self.current.remove(key);
    }

    /// Whether the object still is what its key shows, as far as its producer knows: then it must arrive. Another one
    /// was replaced or deleted, perhaps before it was read, perhaps after.
    pub fn stands(&self, identity: &Identity) -> bool {
        self.current.get(&identity.0) == Some(identity)
    }

    /// How many records were staged.
    pub fn record_count(&self) -> usize {
        self.records.len()
    }
}
