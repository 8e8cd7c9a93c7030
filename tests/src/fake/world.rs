//! The state behind all ports of one fake, and the rules that concern every service.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

use jiff::{SignedDuration, Timestamp};
use landfall_core::error::{Effect, PortError, PortErrorKind};
use landfall_core::port::Clock;

use super::bucket::BucketState;
use super::calls::{BodyRead, Call, CallResult, Request};
use super::clock::FakeClock;
use super::fault::{Fault, Script};
use super::glue::CatalogState;
use super::identity::{Grant, Principal, Role, allows_in, session_end};
use super::queue_state::QueueState;
use super::random::Random;

/// Everything the fake knows.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) home: String,
    pub(crate) region: String,
    pub(crate) clock: FakeClock,
    /// How far the clock moves with every call.
    pub(crate) latency: SignedDuration,
    /// Counts every change; orders what happens within one moment of the clock.
    pub(crate) sequence: u64,
    pub(crate) buckets: BTreeMap<String, BucketState>,
    /// By `account/name`, the end of every queue URL.
    pub(crate) queues: BTreeMap<String, QueueState>,
    /// By account.
    pub(crate) catalogs: BTreeMap<String, CatalogState>,
    /// By ARN.
    pub(crate) roles: BTreeMap<String, Role>,
    /// KMS keys by ARN; `false` is disabled.
    pub(crate) kms_keys: BTreeMap<String, bool>,
    /// What landfall's own principal may not do.
    pub(crate) home_denies: Vec<Grant>,
    /// When each session must be renewed.
    pub(crate) sessions: BTreeMap<u64, Timestamp>,
    pub(crate) calls: Vec<Call>,
    pub(crate) script: Script,
    pub(crate) page_size: usize,
    pub(crate) chunk_bytes: usize,
    /// The largest object one CopyObject copies, in bytes.
    pub(crate) copy_limit: u64,
    /// The next write or read flips a byte.
    pub(crate) corrupt: bool,
    /// The next message is stored twice.
    pub(crate) twice: bool,
    /// Processes that crashed.
    pub(crate) dead: BTreeSet<u64>,
    pub(crate) crash_wakers: BTreeMap<u64, Waker>,
    /// Those of the calls of processes that stand still.
    pub(crate) thaw_wakers: BTreeMap<u64, Vec<Waker>>,
    /// When each process is ended, where it has a time to live.
    pub(crate) ends: BTreeMap<u64, Timestamp>,
    /// Processes that stand still, and until when.
    pub(crate) frozen: BTreeMap<u64, Timestamp>,
    /// Time that passes inside a call passes for tokio too.
    pub(crate) moves_tokio: bool,
    pub(crate) body_reads: Vec<BodyRead>,
    pub(crate) waiting: Vec<Waker>,
    /// Calls that wait at a `Pause`.
    pub(crate) paused: usize,
    /// Raised by every resume.
    pub(crate) resumed: u64,
    pub(crate) turns: Option<Random>,
}

impl World {
    pub(crate) fn new(home: &str, region: &str, clock: FakeClock) -> Self {
        Self {
            home: home.to_owned(),
            region: region.to_owned(),
            clock,
            latency: SignedDuration::ZERO,
            sequence: 0,
            buckets: BTreeMap::new(),
            queues: BTreeMap::new(),
            catalogs: BTreeMap::new(),
            roles: BTreeMap::new(),
            kms_keys: BTreeMap::new(),
            home_denies: Vec::new(),
            sessions: BTreeMap::new(),
            calls: Vec::new(),
            script: Script::default(),
            page_size: 1000,
            chunk_bytes: 1024 * 1024,
            copy_limit: 5 * 1024 * 1024 * 1024,
            corrupt: false,
            twice: false,
            dead: BTreeSet::new(),
            crash_wakers: BTreeMap::new(),
            thaw_wakers: BTreeMap::new(),
            ends: BTreeMap::new(),
            frozen: BTreeMap::new(),
            moves_tokio: false,
            body_reads: Vec::new(),
            waiting: Vec::new(),
            paused: 0,
            resumed: 0,
            turns: None,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn tick(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    pub(crate) fn account_of(&self, principal: &Principal) -> String {
        match principal {
            Principal::Landfall(_) => self.home.clone(),
            Principal::Session(session) => session.access.account.clone(),
        }
    }

    /// Makes a call once the session is valid and the service has a budget for it.
    pub(crate) fn enter_and<T>(
        &mut self,
        request: &Request,
        effect: impl FnOnce(&mut Self, &Request) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        self.renew(&request.principal)?;
        self.admit(request)?;
        effect(self, request)
    }

    /// Logs a call and decides what goes wrong with it.
    pub(crate) fn begin(&mut self, request: &Request, process: u64) -> (usize, Option<Fault>) {
        self.clock.advance(self.latency);
        let number = self.calls.len();
        let fault = self.script.next(request, number);
        let (tenant, purpose) = match &request.principal {
            Principal::Landfall(_) => (None, None),
            Principal::Session(session) => (Some(session.access.tenant.clone()), Some(session.purpose)),
        };
        self.calls.push(Call {
            number,
            operation: request.operation,
            principal: request.principal.name().to_owned(),
            function: request.principal.function(),
            account: self.account_of(&request.principal),
            tenant,
            purpose,
            resource: request.resource.clone(),
            key: request.key.clone(),
            expected_owner: request.expected_owner.clone(),
            at: self.now(),
            process,
            fault,
            result: CallResult::Unanswered,
        });
        (number, fault)
    }

    /// Whether a process has outlived its time.
    pub(crate) fn is_overdue(&self, process: u64) -> bool {
        self.ends.get(&process).is_some_and(|end| *end <= self.now())
    }

    pub(crate) fn finish(&mut self, number: usize, result: CallResult) {
        if let Some(call) = self.calls.get_mut(number) {
            call.result = result;
        }
    }

    /// Whether the principal may do this to a resource of `owner`.
    pub(crate) fn may(
        &self,
        principal: &Principal,
        owner: &str,
        action: &str,
        resource: &str,
        listing: Option<&str>,
    ) -> bool {
        if self.account_of(principal) != owner {
            return false;
        }
        match principal {
            Principal::Landfall(_) => !allows_in(&self.home_denies, action, resource, listing),
            Principal::Session(session) => {
                session.allows(action, resource, listing)
                    && self
                        .roles
                        .get(&session.access.role_arn)
                        .is_some_and(|role| role.allows(action, resource, listing))
            }
        }
    }

    /// Whether the principal may use an encryption key; an unknown key is refused as a disabled one is.
    pub(crate) fn may_use_key(&self, principal: &Principal, key: &str, action: &str) -> bool {
        let owner = key.split(':').nth(4).unwrap_or_default();
        self.kms_keys.get(key).copied().unwrap_or(false) && self.may(principal, owner, action, key, None)
    }

    /// Renews a session that has run out, as the credentials provider does below the port.
    pub(crate) fn renew(&mut self, principal: &Principal) -> Result<(), PortError> {
        let Principal::Session(session) = principal else { return Ok(()) };
        let now = self.now();
        if self.sessions.get(&session.id).is_some_and(|end| now < *end) {
            return Ok(());
        }
        let trusted = self
            .roles
            .get(&session.access.role_arn)
            .is_some_and(|role| role.admits(&self.home, session.access.external_id.expose()));
        if !trusted {
            return Err(refusal(
                "AssumeRole",
                &session.access.role_arn,
                PortErrorKind::RoleRefused,
                "AccessDenied",
            ));
        }
        self.sessions.insert(session.id, session_end(now));
        Ok(())
    }
}

/// A refusal that surely had no effect.
pub(crate) fn refusal(operation: &'static str, subject: &str, kind: PortErrorKind, code: &str) -> PortError {
    PortError::new(operation, subject, kind, code).with_code(code)
}

/// A failure whose effect the caller cannot know if the call writes.
pub(crate) fn unavailable(request: &Request, code: &str) -> PortError {
    let mut error = refusal(request.operation, &request.subject(), PortErrorKind::Unavailable, code);
    if request.writes {
        error.effect = Effect::Unknown;
    }
    error
}
