//! A session in a client's account: the role assumed explicitly, so that a refusal is a typed error and not the
//! text of a failed credential look-up.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use jiff::{SignedDuration, Timestamp};
use landfall_core::delivery::{Access, Secret};
use landfall_core::error::{ErrorClass, PortError, PortErrorKind};
use landfall_core::port::Clock;

use crate::error::{Attempt, Service, is_expired_session};

/// The longest session a role may open from another role's session (role chaining), in seconds.
const SESSION_SECONDS: i32 = 3_600;
/// A session is opened anew when less than this is left of it.
const REFRESH_BEFORE: SignedDuration = SignedDuration::from_mins(5);
/// A session whose renewal fails for a passing reason is used while more than this is left of it.
const LAST_RESORT: SignedDuration = SignedDuration::from_secs(30);

/// Who acts.
#[derive(Debug, Clone)]
pub(crate) enum Principal {
    /// The process itself, with the credentials it was started with.
    Own,
    /// A client's role.
    Assumed(Arc<Session>),
}

impl Principal {
    /// Makes sure that the next request has credentials that outlive it. Before every request.
    ///
    /// # Errors
    /// `RoleRefused` when the client no longer lets us in.
    pub(crate) async fn ready(&self) -> Result<(), PortError> {
        match self {
            Self::Own => Ok(()),
            Self::Assumed(session) => session.ensure_fresh().await,
        }
    }

    /// Notes what a failed request says about the session: one that has run out is opened anew before the next.
    pub(crate) fn learn(&self, error: PortError) -> PortError {
        if let Self::Assumed(session) = self
            && is_expired_session(&error)
        {
            session.credentials.set(None);
        }
        error
    }
}

/// What is asked of STS.
#[derive(Debug, Clone)]
pub(crate) struct RoleRequest {
    role_arn: String,
    external_id: Secret,
    session_name: String,
    policy: String,
}

impl RoleRequest {
    /// The request for a delivery's role, narrowed to `policy`.
    pub(crate) fn new(access: &Access, policy: String) -> Self {
        Self {
            role_arn: access.role_arn.clone(),
            external_id: access.external_id.clone(),
            session_name: session_name(&access.delivery),
            policy,
        }
    }
}

/// A session that renews itself.
pub(crate) struct Session {
    sts: aws_sdk_sts::Client,
    request: RoleRequest,
    credentials: CredentialCell,
    renewing: tokio::sync::Mutex<()>,
    clock: Arc<dyn Clock>,
}

impl Session {
    pub(crate) fn new(sts: aws_sdk_sts::Client, request: RoleRequest, clock: Arc<dyn Clock>) -> Self {
        Self {
            sts,
            request,
            credentials: CredentialCell::default(),
            renewing: tokio::sync::Mutex::new(()),
            clock,
        }
    }

    /// What the session's clients take their credentials from.
    pub(crate) fn credentials(&self) -> CredentialCell {
        self.credentials.clone()
    }

    /// Whether the session can be used as it is.
    pub(crate) fn is_fresh(&self) -> bool {
        self.left().is_some_and(|left| left > REFRESH_BEFORE)
    }

    /// Assumes the role when the session has not begun or is about to end. Concurrent callers wait for one
    /// request.
    pub(crate) async fn ensure_fresh(&self) -> Result<(), PortError> {
        if self.is_fresh() {
            return Ok(());
        }
        let _one_at_a_time = self.renewing.lock().await;
        if self.is_fresh() {
            return Ok(());
        }
        match self.assume().await {
            Ok(assumed) => {
                self.credentials.set(Some(assumed));
                Ok(())
            }
            Err(error)
                if error.class() != ErrorClass::ClientFixable
                    && self.left().is_some_and(|left| left > LAST_RESORT) =>
            {
                tracing::warn!(role = %self.request.role_arn, %error, "session not renewed, using what is left of it");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// How long the credentials are valid still.
    fn left(&self) -> Option<SignedDuration> {
        self.credentials.get().map(|held| held.expires.duration_since(self.clock.now()))
    }

    async fn assume(&self) -> Result<Held, PortError> {
        let attempt = Attempt::read(Service::Sts, "assume role", self.request.role_arn.clone());
        let answer = self
            .sts
            .assume_role()
            .role_arn(&self.request.role_arn)
            .role_session_name(&self.request.session_name)
            .external_id(self.request.external_id.expose())
            .duration_seconds(SESSION_SECONDS)
            .policy(&self.request.policy)
            .send()
            .await
            .map_err(|error| self.redacted(attempt.failed(&error)))?;
        let given = answer
            .credentials()
            .ok_or_else(|| attempt.refused(PortErrorKind::Unavailable, "the answer holds no credentials"))?;
        let expires = Timestamp::from_second(given.expiration().secs()).map_err(|error| {
            attempt.refused(PortErrorKind::Unavailable, format!("the answer's expiry is no time: {error}"))
        })?;
        let credentials = Credentials::new(
            given.access_key_id(),
            given.secret_access_key(),
            Some(given.session_token().to_owned()),
            Some(SystemTime::from(expires)),
            "landfall-assumed-role",
        );
        Ok(Held { credentials, expires })
    }

    /// STS does not repeat the ExternalId in its messages. Should it ever, nobody gets to see it.
    fn redacted(&self, mut error: PortError) -> PortError {
        error.message = error.message.replace(self.request.external_id.expose(), "<redacted>");
        error
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("request", &self.request).finish_non_exhaustive()
    }
}

/// Credentials and when they end.
#[derive(Clone)]
struct Held {
    credentials: Credentials,
    expires: Timestamp,
}

/// The credentials of a session, shared with its clients.
#[derive(Clone, Default)]
pub(crate) struct CredentialCell(Arc<RwLock<Option<Held>>>);

impl CredentialCell {
    fn get(&self) -> Option<Held> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, held: Option<Held>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = held;
    }
}

impl ProvideCredentials for CredentialCell {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(
            self.get()
                .map(|held| held.credentials)
                .ok_or_else(|| CredentialsError::not_loaded("the session has not begun")),
        )
    }
}

impl fmt::Debug for CredentialCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialCell")
    }
}

/// The name under which the client sees the session in CloudTrail: 2 to 64 characters of `[\w+=,.@-]`.
fn session_name(delivery: &str) -> String {
    "landfall-"
        .chars()
        .chain(delivery.chars().map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '+' | '=' | ',' | '.' | '@' | '-' => character,
            _ => '-',
        }))
        .take(64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_fit_the_rules_of_sts() {
        assert_eq!(session_name("acme-sales"), "landfall-acme-sales");
        assert_eq!(session_name("a b/ü"), "landfall-a-b--");
        assert_eq!(session_name(&"x".repeat(100)).len(), 64);
    }
}
