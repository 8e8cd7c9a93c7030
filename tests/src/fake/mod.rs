//! A strict, deterministic fake of S3, SQS, Glue, STS and KMS behind the ports of `landfall-core`.
//!
//! It answers as AWS does, where AWS and its emulators differ; and where AWS may do one thing or another it does
//! the one that is harder on the caller. State is shared by clones. Nothing happens unless called: no thread, no
//! clock of its own, no network. Time moves only with [`FakeClock`].
//!
//! What it leaves out: regions beyond "the wrong one", bucket policies beyond "demands conditions", lifecycle rules
//! (call [`FakeAws::delete_object`]), message retention, the limit of messages in flight, conditions of policies beyond
//! `s3:prefix`, access across accounts other than by AssumeRole. `docs/conformance.md` says what it keeps.

mod bucket;
mod budget;
mod calls;
mod catalog;
pub mod checksum;
mod clock;
mod destinations;
mod event;
mod fault;
mod gate;
mod glue;
mod identity;
mod inspect;
mod queue;
mod queue_state;
mod random;
mod s3;
mod setup;
mod store;
#[cfg(test)]
mod tests;
mod upload;
mod world;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use world::World;

pub use bucket::{StoredObject, Version};
pub use budget::EventMishaps;
pub use calls::{BodyRead, Call, CallResult};
pub use catalog::FakeCatalog;
pub use clock::FakeClock;
pub use destinations::FakeDestinations;
pub use event::{S3Event, encode_key, notification_body, test_event_body};
pub use fault::{Fault, FaultRule, Faults, InjectedPanic};
pub use gate::{Crashed, Ended};
pub use glue::StoredTable;
pub use identity::{Grant, Role};
pub use queue::FakeQueue;
pub use queue_state::{QueueSpec, QueuedMessage};
pub use random::Random;
pub use store::{FakeBody, FakeStore};

/// landfall's own account in the fake.
pub const HOME_ACCOUNT: &str = "111111111111";
/// The region of landfall's own resources in the fake.
pub const HOME_REGION: &str = "eu-central-1";

/// One fake AWS; clones share it.
#[derive(Clone)]
pub struct FakeAws {
    world: Arc<Mutex<World>>,
    clock: FakeClock,
}

/// The handles of one function.
#[derive(Debug, Clone)]
pub struct FunctionHandles {
    /// Objects of landfall's own account.
    pub store: FakeStore,
    /// Queues of landfall's own account.
    pub queue: FakeQueue,
    /// Ways into client accounts.
    pub destinations: FakeDestinations,
}

impl Default for FakeAws {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeAws {
    /// An empty AWS, with a clock of its own.
    pub fn new() -> Self {
        let clock = FakeClock::default();
        Self { world: Arc::new(Mutex::new(World::new(HOME_ACCOUNT, HOME_REGION, clock.clone()))), clock }
    }

    /// The clock that rules this fake.
    pub fn clock(&self) -> FakeClock {
        self.clock.clone()
    }

    /// Objects, as landfall's own functions reach them.
    pub fn store(&self) -> FakeStore {
        FakeStore::new(self, identity::Principal::Landfall(None))
    }

    /// Queues, as landfall's own functions reach them.
    pub fn queue(&self) -> FakeQueue {
        FakeQueue::new(self, identity::Principal::Landfall(None))
    }

    /// The catalog of landfall's own account.
    pub fn catalog(&self) -> FakeCatalog {
        FakeCatalog::new(self, identity::Principal::Landfall(None))
    }

    /// Ways into client accounts.
    pub fn destinations(&self) -> FakeDestinations {
        FakeDestinations { fake: self.clone(), function: None }
    }

    /// What one of landfall's functions reaches AWS by: its calls carry its name.
    pub fn function(&self, name: &'static str) -> FunctionHandles {
        let principal = identity::Principal::Landfall(Some(name));
        FunctionHandles {
            store: FakeStore::new(self, principal.clone()),
            queue: FakeQueue::new(self, principal),
            destinations: FakeDestinations { fake: self.clone(), function: Some(name) },
        }
    }

    /// The script of faults.
    pub fn faults(&self) -> Faults {
        Faults(self.clone())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FakeAws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeAws").field("calls", &self.lock().calls.len()).finish_non_exhaustive()
    }
}
