//! The `Destinations` port: the clients' accounts of the store behind, with their hollow buckets in front.

use landfall_core::delivery::Access;
use landfall_core::error::PortError;
use landfall_core::port::{Destination, DestinationOf, Destinations, Purpose};

use super::{Generated, GeneratedStore};

/// Ways into client accounts.
#[derive(Debug, Clone)]
pub struct GeneratedDestinations<D> {
    shared: Generated,
    behind: D,
}

impl<D> GeneratedDestinations<D> {
    /// The accounts of `behind`; the hollow buckets of `shared` stand in them.
    pub fn new(shared: &Generated, behind: D) -> Self {
        Self { shared: shared.clone(), behind }
    }
}

impl<D: Destinations> Destinations for GeneratedDestinations<D> {
    type Store = GeneratedStore<D::Store>;
    type Catalog = D::Catalog;
    type Queue = D::Queue;

    async fn open(&self, access: &Access, purpose: Purpose) -> Result<DestinationOf<Self>, PortError> {
        let Destination { store, catalog, queue } = self.behind.open(access, purpose).await?;
        Ok(Destination { store: GeneratedStore::new(&self.shared, store), catalog, queue })
    }
}
