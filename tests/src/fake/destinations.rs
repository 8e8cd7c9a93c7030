//! The `Destinations` port over the fake: roles, ExternalIds, sessions.

use std::sync::Arc;

use landfall_core::delivery::Access;
use landfall_core::error::{PortError, PortErrorKind};
use landfall_core::port::{Destination, Destinations, Purpose};
use landfall_core::session_policy::session_policy;

use super::calls::Request;
use super::identity::{Principal, Session, session_end};
use super::{FakeAws, FakeCatalog, FakeQueue, FakeStore};

/// Ways into the client accounts of a fake.
#[derive(Debug, Clone)]
pub struct FakeDestinations {
    pub(crate) fake: FakeAws,
    pub(crate) function: Option<&'static str>,
}

impl Destinations for FakeDestinations {
    type Store = FakeStore;
    type Catalog = FakeCatalog;
    type Queue = FakeQueue;

    async fn open(
        &self,
        access: &Access,
        purpose: Purpose,
    ) -> Result<Destination<FakeStore, FakeCatalog, FakeQueue>, PortError> {
        // Found out before the request is made, as by the adapter. What it says, the fake states for itself.
        if let Err(too_long) = session_policy(access, purpose) {
            let (role, message) = (access.role_arn.clone(), too_long.to_string());
            return Err(PortError::new("AssumeRole", role, PortErrorKind::Invalid, message));
        }
        let request = Request::read("AssumeRole", &Principal::Landfall(self.function), &access.role_arn)
            .key(&access.delivery);
        let (fake, function) = (&self.fake, self.function);
        let session = fake
            .call(request, |world, request| {
                let refused = || request.refuse(PortErrorKind::RoleRefused, "AccessDenied");
                let role = world.roles.get(&access.role_arn).ok_or_else(refused)?;
                if !role.admits(&world.home, access.external_id.expose()) || role.account() != access.account
                {
                    return Err(refused());
                }
                let id = world.tick();
                let end = session_end(world.now());
                world.sessions.insert(id, end);
                Ok(Session::new(id, access, purpose, function))
            })
            .await?;
        let principal = Principal::Session(Arc::new(session));
        Ok(Destination {
            store: FakeStore::new(fake, principal.clone()),
            catalog: FakeCatalog::new(fake, principal.clone()),
            queue: FakeQueue::new(fake, principal),
        })
    }
}
