//! A store for figures, where the fake would need more memory than there is: staged objects are made while they are read,
//! and of delivered ones only the end is kept.
//!
//! [`GeneratedStore`] stands in front of another store. The source bucket and the hollow buckets are its own, everything else
//! is the other's; so the log, the queues, the roles and the catalogs of a run are those of the fake, in full. What it has of
//! S3 is what the functions need: conditions, checksums, ranges, parts. No faults, no permissions.

mod destinations;
mod hollow;
mod requests;
mod source;
mod store;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;

pub use destinations::GeneratedDestinations;
pub use requests::Requests;
pub use store::{GeneratedBody, GeneratedStore};

use hollow::Hollow;
use source::Source;

/// The bytes of a generated object, chunk by chunk.
pub type Chunks = Box<dyn Iterator<Item = Bytes> + Send>;
/// Makes the bytes of an object from its key and size, the same ones every time.
pub type Make = Arc<dyn Fn(&str, u64) -> Chunks + Send + Sync>;
/// Is told of each request to the source bucket, before it is answered: the operation by AWS's name.
pub type Watch = Arc<dyn Fn(&'static str) + Send + Sync>;

/// What all stores of one world share.
#[derive(Clone)]
pub struct Generated {
    state: Arc<Mutex<State>>,
    make: Make,
    watch: Option<Watch>,
}

#[derive(Debug)]
struct State {
    source: Source,
    hollow: Hollow,
    requests: Requests,
}

impl Generated {
    /// A source bucket whose objects `make` makes, and hollow buckets by name.
    pub fn new(source: &str, hollow: &[&str], make: Make) -> Self {
        let state =
            State { source: Source::new(source), hollow: Hollow::new(hollow), requests: Requests::default() };
        Self { state: Arc::new(Mutex::new(state)), make, watch: None }
    }

    /// The same, with somebody who is told of each request to the source bucket.
    #[must_use]
    pub fn watched(mut self, watch: Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Puts an object into the source bucket.
    pub fn stage(&self, key: &str, size: u64, at: Timestamp) {
        self.lock().source.stage(key, size, at);
    }

    /// How many objects the source bucket holds.
    pub fn staged(&self) -> usize {
        self.lock().source.len()
    }

    /// Key and size of each object of a hollow bucket, in key order.
    pub fn objects(&self, bucket: &str) -> Vec<(String, u64)> {
        self.lock().hollow.objects(bucket)
    }

    /// The requests so far: those that went to the store behind are not among them.
    pub fn requests(&self) -> Requests {
        self.lock().requests.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generated").field("staged", &self.staged()).finish_non_exhaustive()
    }
}
