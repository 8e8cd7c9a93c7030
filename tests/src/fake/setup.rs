//! Setting the scene: accounts, buckets, roles, queues, keys; and what their owners do behind landfall's back.

use std::collections::BTreeSet;

use bytes::Bytes;
use jiff::SignedDuration;
use landfall_core::delivery::{Access, Capabilities};
use landfall_core::port::{Bucket, ObjectAttributes};

use super::bucket::{BucketState, NewObject, StoredObject};
use super::budget::{Budget, EventMishaps, Mishandling};
use super::glue::CatalogState;
use super::identity::{Grant, Role, client_grants};
use super::queue_state::{QueueSpec, QueueState, queue_id};
use super::random::Random;
use super::{FakeAws, HOME_ACCOUNT, HOME_REGION, checksum};

/// The test itself is wrong: it names something it never made.
#[expect(clippy::panic, reason = "a test that misuses the kit must fail, and nothing else can be done")]
fn misuse(what: &str, name: &str) -> ! {
    panic!("the fake has no {what} named {name}")
}

impl FakeAws {
    /// Makes a bucket in landfall's own account and region: versioned, as the staging bucket is, or not.
    pub fn create_home_bucket(&self, name: &str, versioned: bool) -> Bucket {
        self.create_bucket(name, HOME_ACCOUNT, HOME_REGION, versioned)
    }

    /// Makes a bucket of any account.
    pub fn create_bucket(&self, name: &str, owner: &str, region: &str, versioned: bool) -> Bucket {
        let state = BucketState::new(name, owner, region, versioned);
        self.lock().buckets.insert(name.to_owned(), state);
        Bucket { name: name.to_owned(), owner: owner.to_owned() }
    }

    /// Makes what a client sets up for a delivery: the bucket (unversioned), the role with every grant of our
    /// template, the queues, the KMS key. What stands already stays as it is; a role gains grants.
    pub fn admit_client(&self, access: &Access) -> Bucket {
        let missing = !self.lock().buckets.contains_key(&access.bucket);
        if missing {
            self.create_bucket(&access.bucket, &access.account, &access.region, false);
        }
        if let Some(key) = &access.kms_key_arn {
            self.set_kms_key(key, true);
        }
        for arn in &access.queue_arns {
            let known = self.lock().queues.contains_key(&queue_id(arn));
            if !known {
                let name = arn.rsplit(':').next().unwrap_or_default();
                self.create_queue(QueueSpec::new(name, &access.account, &access.region));
            }
        }
        let mut world = self.lock();
        let role = world.roles.entry(access.role_arn.clone()).or_insert_with(|| Role {
            arn: access.role_arn.clone(),
            external_id: Some(access.external_id.expose().to_owned()),
            trusted_accounts: BTreeSet::from([HOME_ACCOUNT.to_owned()]),
            grants: Vec::new(),
            denies: Vec::new(),
        });
        role.grants.extend(client_grants(access));
        Bucket { name: access.bucket.clone(), owner: access.account.clone() }
    }

    /// Makes or replaces a role.
    pub fn put_role(&self, role: Role) {
        self.lock().roles.insert(role.arn.clone(), role);
    }

    /// A role as it stands.
    pub fn role(&self, arn: &str) -> Option<Role> {
        self.lock().roles.get(arn).cloned()
    }

    /// Deletes a role: open sessions may do nothing any more, and nobody can assume it.
    pub fn remove_role(&self, arn: &str) {
        self.lock().roles.remove(arn);
    }

    /// Takes an action (`s3:PutObject`, `glue:*`) away from a role, on every resource, at once.
    pub fn deny(&self, role_arn: &str, action: &str) {
        match self.lock().roles.get_mut(role_arn) {
            Some(role) => role.denies.push(Grant::new(action, "*")),
            None => misuse("role", role_arn),
        }
    }

    /// Gives back everything that was taken from a role by [`FakeAws::deny`].
    pub fn allow_again(&self, role_arn: &str) {
        match self.lock().roles.get_mut(role_arn) {
            Some(role) => role.denies.clear(),
            None => misuse("role", role_arn),
        }
    }

    /// Takes an action away from landfall's own functions, on the resources the pattern names.
    pub fn deny_home(&self, action: &str, resource: &str) {
        self.lock().home_denies.push(Grant::new(action, resource));
    }

    /// Makes a KMS key, or enables or disables it.
    pub fn set_kms_key(&self, arn: &str, enabled: bool) {
        self.lock().kms_keys.insert(arn.to_owned(), enabled);
    }

    /// What the endpoint of a bucket can really do, whatever a delivery declares.
    pub fn set_capabilities(&self, bucket: &str, capabilities: Capabilities) {
        self.with_bucket(bucket, |state| state.capabilities = capabilities);
    }

    /// The bucket's policy refuses every write without a condition.
    pub fn demand_conditions(&self, bucket: &str) {
        self.with_bucket(bucket, |state| state.demands_conditions = true);
    }

    /// Encrypts what is written to the bucket with this key by default.
    pub fn set_default_key(&self, bucket: &str, key_arn: &str) {
        self.with_bucket(bucket, |state| state.default_key = Some(key_arn.to_owned()));
    }

    /// Gives the bucket to another account, as when it is deleted and its name taken by somebody else.
    pub fn hand_over(&self, bucket: &str, account: &str) {
        self.with_bucket(bucket, |state| account.clone_into(&mut state.owner));
    }

    /// Limits what a bucket takes in one second of the fake's clock, reads and writes together: the rest is answered
    /// with 503 `SlowDown`. Without time that passes the budget is never renewed.
    pub fn limit_requests(&self, bucket: &str, per_second: u32) {
        self.with_bucket(bucket, |state| state.budget = Some(Budget::new(per_second)));
    }

    /// Loses, doubles and delays the notifications of a bucket from now on, replayable by seed.
    pub fn mishandle_events(&self, bucket: &str, seed: u64, mishaps: EventMishaps) {
        self.with_bucket(bucket, |state| state.mishandling = Some(Mishandling::new(seed, mishaps)));
    }

    /// Deletes a bucket with everything in it.
    pub fn remove_bucket(&self, bucket: &str) {
        self.lock().buckets.remove(bucket);
    }

    /// Sends creation events below `prefix` to a queue.
    pub fn notify_queue(&self, bucket: &str, prefix: &str, queue: &str) {
        self.with_bucket(bucket, |state| state.notifications.push((prefix.to_owned(), queue.to_owned())));
    }

    /// Writes an object as the bucket's owner does (a producer, a client): no permission asked, not logged, no
    /// fault. Overwrites. Its event is recorded.
    pub fn put_object(&self, bucket: &str, key: &str, body: impl Into<Bytes>) -> StoredObject {
        let object = self.put_object_silently(bucket, key, body);
        self.lock().announce(bucket, key);
        object
    }

    /// The same, and the event of it is lost.
    pub fn put_object_silently(&self, bucket: &str, key: &str, body: impl Into<Bytes>) -> StoredObject {
        let mut world = self.lock();
        let (sequence, now) = (world.tick(), world.now());
        let body = body.into();
        let Some(state) = world.buckets.get_mut(bucket) else { misuse("bucket", bucket) };
        let crc64nvme = state.capabilities.copy_checksum.then(|| checksum::crc64nvme(&body));
        let new = NewObject {
            body,
            attributes: ObjectAttributes::default(),
            multipart_etag: None,
            crc64nvme,
            event: "ObjectCreated:Put",
        };
        state.write(sequence, now, key, new)
    }

    /// Keeps every object that is written to a bucket from now on, for [`FakeAws::written`].
    pub fn keep_all(&self, bucket: &str) {
        self.with_bucket(bucket, |state| state.written = Some(Vec::new()));
    }

    /// Deletes an object as the bucket's owner or a lifecycle rule does.
    pub fn delete_object(&self, bucket: &str, key: &str) {
        let sequence = self.lock().tick();
        self.with_bucket(bucket, |state| state.delete(sequence, key));
    }

    /// Makes a queue; answers its URL.
    pub fn create_queue(&self, spec: QueueSpec) -> String {
        let url = spec.url();
        self.lock().queues.insert(queue_id(&url), QueueState::new(spec));
        url
    }

    /// Makes a queue in landfall's own account with a dead-letter queue beside it (`<name>-dead[.fifo]`); answers
    /// both URLs.
    pub fn create_home_queue(
        &self,
        name: &str,
        visibility: SignedDuration,
        max_receives: u32,
    ) -> (String, String) {
        let dead = match name.strip_suffix(".fifo") {
            Some(stem) => format!("{stem}-dead.fifo"),
            None => format!("{name}-dead"),
        };
        let dead = self.create_queue(QueueSpec::new(&dead, HOME_ACCOUNT, HOME_REGION));
        let mut spec = QueueSpec::new(name, HOME_ACCOUNT, HOME_REGION);
        spec.visibility = visibility;
        spec.dead_letter = Some((dead.clone(), max_receives));
        (self.create_queue(spec), dead)
    }

    /// Changes a queue's settings.
    pub fn change_queue(&self, queue: &str, change: impl FnOnce(&mut QueueSpec)) {
        match self.lock().queues.get_mut(&queue_id(queue)) {
            Some(state) => change(&mut state.spec),
            None => misuse("queue", queue),
        }
    }

    /// Deletes a queue with its messages.
    pub fn remove_queue(&self, queue: &str) {
        self.lock().queues.remove(&queue_id(queue));
    }

    /// Delivers one in `one_in` of the later messages of a standard queue twice, as "at least once" allows.
    pub fn duplicate_messages(&self, queue: &str, one_in: u64) {
        match self.lock().queues.get_mut(&queue_id(queue)) {
            Some(state) => state.twice_in = one_in,
            None => misuse("queue", queue),
        }
    }

    /// Drops the catalog of an account.
    pub fn clear_catalog(&self, account: &str) {
        self.lock().catalogs.insert(account.to_owned(), CatalogState::default());
    }

    /// Encrypts the catalog of an account with this key.
    pub fn set_catalog_key(&self, account: &str, key_arn: &str) {
        self.lock().catalogs.entry(account.to_owned()).or_default().key = Some(key_arn.to_owned());
    }

    /// How many objects a page of a listing holds; 1,000 unless told otherwise.
    pub fn set_page_size(&self, objects: usize) {
        self.lock().page_size = objects.max(1);
    }

    /// How many bytes a chunk of a body holds; 1 MiB unless told otherwise.
    pub fn set_chunk_bytes(&self, bytes: usize) {
        self.lock().chunk_bytes = bytes.max(1);
    }

    /// The largest object one CopyObject copies; 5 GiB unless told otherwise. Parts of a copy must have 5 MiB.
    pub fn set_copy_limit(&self, bytes: u64) {
        self.lock().copy_limit = bytes;
    }

    /// How far the clock moves with every call; not at all unless told otherwise.
    pub fn set_latency(&self, latency: SignedDuration) {
        self.lock().latency = latency;
    }

    /// Makes every call give way to other futures a drawn number of times: interleavings, replayable by seed.
    pub fn interleave(&self, seed: u64) {
        self.lock().turns = Some(Random::new(seed));
    }

    fn with_bucket(&self, bucket: &str, change: impl FnOnce(&mut BucketState)) {
        match self.lock().buckets.get_mut(bucket) {
            Some(state) => change(state),
            None => misuse("bucket", bucket),
        }
    }
}
