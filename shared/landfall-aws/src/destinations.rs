//! Client accounts, entered under the client's role. Sessions are kept and shared between calls.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::config::IdentityCache;
use aws_types::SdkConfig;
use aws_types::region::Region;
use landfall_core::delivery::Access;
use landfall_core::error::{PortError, PortErrorKind};
use landfall_core::hash;
use landfall_core::port::{Clock, Destination, Destinations, Purpose};
use landfall_core::session_policy::session_policy;

use crate::clients;
use crate::glue::GlueCatalog;
use crate::s3::S3Store;
use crate::sqs::SqsQueue;
use crate::sts::{Principal, RoleRequest, Session};

/// Sessions kept at most; beyond it the one used longest ago is forgotten.
const SESSIONS: usize = 256;

/// Ways into client accounts by AssumeRole. Cheap to clone; all clones share the sessions.
#[derive(Clone)]
pub struct AssumedDestinations(Arc<Shared>);

struct Shared {
    config: SdkConfig,
    sts: aws_sdk_sts::Client,
    clock: Arc<dyn Clock>,
    sessions: Mutex<Sessions>,
}

/// The sessions, by what was asked of STS.
#[derive(Default)]
struct Sessions {
    open: BTreeMap<SessionKey, OpenSession>,
    uses: u64,
}

/// What tells two sessions apart: tenant, delivery, role, ExternalId, region and policy, as one hash: no secret
/// is held twice, and none can be printed by mistake.
type SessionKey = String;

struct OpenSession {
    session: Arc<Session>,
    destination: Destination<S3Store, GlueCatalog, SqsQueue>,
    last_use: u64,
}

impl AssumedDestinations {
    pub(crate) fn new(config: SdkConfig, clock: Arc<dyn Clock>) -> Self {
        let sts = aws_sdk_sts::Client::new(&config);
        Self(Arc::new(Shared { config, sts, clock, sessions: Mutex::default() }))
    }

    /// The kept session for `access` and `policy`, or a new one that has not begun.
    fn session(
        &self,
        access: &Access,
        policy: String,
    ) -> (Arc<Session>, Destination<S3Store, GlueCatalog, SqsQueue>) {
        let key = session_key(access, &policy);
        let mut sessions = self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.uses += 1;
        let now = sessions.uses;
        if let Some(open) = sessions.open.get_mut(&key) {
            open.last_use = now;
            return (Arc::clone(&open.session), open.destination.clone());
        }
        sessions.make_room();
        let session = Arc::new(Session::new(
            self.0.sts.clone(),
            RoleRequest::new(access, policy),
            Arc::clone(&self.0.clock),
        ));
        let destination = self.clients_of(access, &session);
        sessions.open.insert(
            key,
            OpenSession { session: Arc::clone(&session), destination: destination.clone(), last_use: now },
        );
        (session, destination)
    }

    /// Clients in the client's region that act as the session.
    fn clients_of(
        &self,
        access: &Access,
        session: &Arc<Session>,
    ) -> Destination<S3Store, GlueCatalog, SqsQueue> {
        let config = self
            .0
            .config
            .to_builder()
            .region(Region::new(access.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(session.credentials()))
            // The session itself knows when it ends; a second cache would serve what was renewed already.
            .identity_cache(IdentityCache::no_cache())
            .build();
        let principal = Principal::Assumed(Arc::clone(session));
        Destination {
            store: clients::store(&config, principal.clone()),
            catalog: clients::catalog(&config, principal.clone()),
            queue: clients::queue(&config, principal),
        }
    }
}

impl Destinations for AssumedDestinations {
    type Store = S3Store;
    type Catalog = GlueCatalog;
    type Queue = SqsQueue;

    async fn open(
        &self,
        access: &Access,
        purpose: Purpose,
    ) -> Result<Destination<S3Store, GlueCatalog, SqsQueue>, PortError> {
        let policy = session_policy(access, purpose).map_err(|error| {
            PortError::new("assume role", access.role_arn.clone(), PortErrorKind::Invalid, error.to_string())
        })?;
        let (session, destination) = self.session(access, policy);
        session.ensure_fresh().await?;
        Ok(destination)
    }
}

impl fmt::Debug for AssumedDestinations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AssumedDestinations")
    }
}

impl Sessions {
    /// Forgets ended sessions, and if that is not enough the one used longest ago. Whoever holds a forgotten
    /// one can go on with it.
    fn make_room(&mut self) {
        if self.open.len() < SESSIONS {
            return;
        }
        self.open.retain(|_, open| open.session.is_fresh());
        if self.open.len() < SESSIONS {
            return;
        }
        let oldest = self.open.iter().min_by_key(|(_, open)| open.last_use).map(|(key, _)| key.clone());
        if let Some(key) = oldest {
            self.open.remove(&key);
        }
    }
}

fn session_key(access: &Access, policy: &str) -> SessionKey {
    hash::hex_of_json(&(
        &access.tenant,
        &access.delivery,
        &access.role_arn,
        access.external_id.expose(),
        &access.region,
        policy,
    ))
}

#[cfg(test)]
mod tests;
