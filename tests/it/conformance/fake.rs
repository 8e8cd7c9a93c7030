//! The strict fake, set up for the suites.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use landfall_core::delivery::{Access, Capabilities, Secret};
use landfall_core::port::{Bucket, CatalogTable};
use testkit::conformance::catalog::CatalogHarness;
use testkit::conformance::destinations::{Client, DestinationsHarness};
use testkit::conformance::object_store::StoreHarness;
use testkit::conformance::queue::{QueueHarness, Received};
use testkit::fake::{
    FakeAws, FakeCatalog, FakeDestinations, FakeQueue, FakeStore, Grant, HOME_ACCOUNT, HOME_REGION,
    QueueSpec, QueuedMessage, Role, Version,
};

const CLIENT: &str = "222222222222";

pub struct Fake {
    pub aws: FakeAws,
    store: FakeStore,
    queue: FakeQueue,
    catalog: FakeCatalog,
    destinations: FakeDestinations,
    pub capabilities: Capabilities,
    names: AtomicUsize,
}

impl Fake {
    pub fn new(capabilities: Capabilities) -> Self {
        let aws = FakeAws::new();
        aws.set_page_size(3);
        aws.set_chunk_bytes(64 * 1024);
        Self {
            store: aws.store(),
            queue: aws.queue(),
            catalog: aws.catalog(),
            destinations: aws.destinations(),
            aws,
            capabilities,
            names: AtomicUsize::new(0),
        }
    }

    fn name(&self, kind: &str) -> String {
        format!("{kind}{}", self.names.fetch_add(1, Ordering::Relaxed))
    }
}

impl StoreHarness for Fake {
    type Store = FakeStore;

    fn store(&self) -> &FakeStore {
        &self.store
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn fresh_bucket(&self, versioned: bool) -> Bucket {
        let bucket = self.aws.create_home_bucket(&self.name("bucket"), versioned);
        self.aws.set_capabilities(&bucket.name, self.capabilities);
        bucket
    }

    fn more_than_a_page(&self) -> usize {
        7
    }

    async fn tags(&self, bucket: &Bucket, key: &str) -> BTreeMap<String, String> {
        self.aws.object(&bucket.name, key).map(|object| object.attributes.tags).unwrap_or_default()
    }

    async fn uploads(&self, bucket: &Bucket) -> Vec<String> {
        self.aws.uploads(&bucket.name)
    }

    async fn version(&self, bucket: &Bucket, key: &str, id: &str) -> Option<Vec<u8>> {
        self.aws.versions(&bucket.name, key).into_iter().find_map(|version| match version {
            Version::Object(object) if object.version_id.as_deref() == Some(id) => Some(object.body.to_vec()),
            Version::Object(_) | Version::DeleteMarker(_) => None,
        })
    }
}

impl QueueHarness for Fake {
    type Queue = FakeQueue;

    fn queue(&self) -> &FakeQueue {
        &self.queue
    }

    async fn fresh_queue(&self, fifo: bool) -> String {
        let name = self.name("queue") + if fifo { ".fifo" } else { "" };
        self.aws.create_queue(QueueSpec::new(&name, HOME_ACCOUNT, HOME_REGION))
    }

    async fn queue_with_dead_letters(&self, receives: u32) -> (String, String) {
        let dead = QueueHarness::fresh_queue(self, false).await;
        let mut spec = QueueSpec::new(&self.name("queue"), HOME_ACCOUNT, HOME_REGION);
        spec.dead_letter = Some((dead.clone(), receives));
        (self.aws.create_queue(spec), dead)
    }

    async fn arn(&self, url: &str) -> String {
        self.aws.queue_spec(url).map(|spec| spec.arn()).unwrap_or_default()
    }

    async fn receive(&self, url: &str) -> Vec<Received> {
        self.aws.receive(url, 10).into_iter().map(received).collect()
    }

    async fn delete(&self, url: &str, receipt_handle: &str) {
        assert!(self.aws.delete_message(url, receipt_handle));
    }
}

impl CatalogHarness for Fake {
    type Catalog = FakeCatalog;

    fn catalog(&self) -> &FakeCatalog {
        &self.catalog
    }

    fn fresh_name(&self) -> String {
        self.name("db")
    }

    async fn table(&self, database: &str, table: &str) -> Option<CatalogTable> {
        self.aws.table(HOME_ACCOUNT, database, table).map(|stored| stored.table)
    }

    async fn partitions(&self, database: &str, table: &str) -> BTreeMap<Vec<String>, String> {
        self.aws.table(HOME_ACCOUNT, database, table).map(|stored| stored.partitions).unwrap_or_default()
    }
}

fn received(message: QueuedMessage) -> Received {
    Received {
        id: message.id,
        body: message.body,
        receipt_handle: message.receipt_handle.unwrap_or_default(),
        receives: message.receive_count,
        sent_at: message.sent_at.as_millisecond(),
    }
}

impl DestinationsHarness for Fake {
    type Destinations = FakeDestinations;

    fn destinations(&self) -> &FakeDestinations {
        &self.destinations
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn fresh_client(&self) -> Client {
        let name = self.name("client");
        let bucket = |kind: &str| {
            let bucket = self.aws.create_bucket(&format!("{name}-{kind}"), CLIENT, HOME_REGION, false);
            self.aws.set_capabilities(&bucket.name, self.capabilities);
            bucket
        };
        let queue = |kind: &str| {
            let spec = QueueSpec::new(&format!("{name}-{kind}"), CLIENT, HOME_REGION);
            let arn = spec.arn();
            self.aws.create_queue(spec);
            arn
        };
        let role = |kind: &str, trusted: &str| {
            let arn = format!("arn:aws:iam::{CLIENT}:role/{name}-{kind}");
            self.aws.put_role(Role {
                arn: arn.clone(),
                external_id: Some("agreed-with-the-client".to_owned()),
                trusted_accounts: BTreeSet::from([trusted.to_owned()]),
                grants: vec![Grant::new("*", "*")],
                denies: Vec::new(),
            });
            arn
        };
        let access = Access {
            tenant: "acme".into(),
            delivery: "acme-sales".into(),
            role_arn: role("delivery", HOME_ACCOUNT),
            external_id: Secret::new("agreed-with-the-client"),
            region: HOME_REGION.into(),
            account: CLIENT.into(),
            bucket: bucket("lake").name,
            prefix: "lake/sales/".into(),
            temp_prefix: "_tmp/acme-sales/".into(),
            kms_key_arn: None,
            glue: Some((name.clone(), "sales".into())),
            queue_arns: vec![queue("etl")],
        };
        Client {
            access,
            untrusting_role: role("other", "999999999999"),
            other_bucket: bucket("other"),
            other_queue: queue("other"),
        }
    }

    async fn deny(&self, client: &Client, action: &str) {
        self.aws.deny(&client.access.role_arn, action);
    }

    async fn place(&self, bucket: &Bucket, key: &str, body: &str) -> String {
        self.aws.put_object(&bucket.name, key, body.to_owned()).etag
    }

    async fn keys(&self, bucket: &Bucket) -> Vec<String> {
        self.aws.keys(&bucket.name, "")
    }
}
