//! The conformance suites on the strict fake. No exemption: the fake is the measure.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use landfall_core::delivery::Capabilities;
use landfall_core::port::{Bucket, CatalogTable};
use testkit::conformance::catalog::CatalogHarness;
use testkit::conformance::object_store::StoreHarness;
use testkit::conformance::queue::{QueueHarness, Received};
use testkit::conformance::{catalog, object_store, queue, run};
use testkit::fake::{FakeAws, FakeCatalog, FakeQueue, FakeStore, HOME_ACCOUNT, HOME_REGION, QueueSpec};

struct Fake {
    aws: FakeAws,
    store: FakeStore,
    queue: FakeQueue,
    catalog: FakeCatalog,
    capabilities: Capabilities,
    names: AtomicUsize,
}

impl Fake {
    fn new(capabilities: Capabilities) -> Self {
        let aws = FakeAws::new();
        aws.set_page_size(3);
        aws.set_chunk_bytes(64 * 1024);
        let (store, queue, catalog) = (aws.store(), aws.queue(), aws.catalog());
        Self { aws, store, queue, catalog, capabilities, names: AtomicUsize::new(0) }
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

    async fn arn(&self, url: &str) -> String {
        self.aws.queue_spec(url).map(|spec| spec.arn()).unwrap_or_default()
    }

    async fn receive(&self, url: &str) -> Vec<Received> {
        let received = self.aws.receive(url, 10).into_iter();
        received
            .map(|message| Received {
                id: message.id,
                body: message.body,
                receipt_handle: message.receipt_handle.unwrap_or_default(),
            })
            .collect()
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

/// Fails with every complaint of a run, each on its own line.
#[track_caller]
pub(crate) fn holds(outcome: Result<(), String>) {
    if let Err(complaints) = outcome {
        panic!("{complaints}");
    }
}

#[tokio::test]
async fn the_fake_store_keeps_its_promises_on_every_endpoint() {
    for bits in 0..16_u8 {
        let on = |bit: u8| bits & (1 << bit) != 0;
        let harness = Fake::new(Capabilities {
            full_object_multipart_checksum: on(0),
            copy_checksum: on(1),
            conditional_copy: on(2),
            multipart_tags: on(3),
        });
        let outcome = run(&harness, &object_store::cases(), &[]).await;
        holds(outcome.map_err(|complaints| format!("{:?}{complaints}", harness.capabilities)));
    }
}

#[tokio::test]
async fn the_fake_store_keeps_its_promises_when_calls_interleave() {
    let harness = Fake::new(Capabilities::default());
    harness.aws.interleave(1);
    holds(run(&harness, &object_store::cases(), &[]).await);
}

#[tokio::test]
async fn the_fake_queue_keeps_its_promises() {
    let harness = Fake::new(Capabilities::default());
    holds(run(&harness, &queue::cases(), &[]).await);
}

#[tokio::test]
async fn the_fake_catalog_keeps_its_promises() {
    let harness = Fake::new(Capabilities::default());
    holds(run(&harness, &catalog::cases(), &[]).await);
}

#[tokio::test]
async fn an_endpoint_that_claims_too_much_is_found_out() {
    /// Declares everything and can do nothing of it.
    struct Boaster(Fake);

    impl StoreHarness for Boaster {
        type Store = FakeStore;

        fn store(&self) -> &FakeStore {
            &self.0.store
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities::default()
        }

        async fn fresh_bucket(&self, versioned: bool) -> Bucket {
            self.0.fresh_bucket(versioned).await
        }

        fn more_than_a_page(&self) -> usize {
            self.0.more_than_a_page()
        }

        async fn tags(&self, bucket: &Bucket, key: &str) -> BTreeMap<String, String> {
            self.0.tags(bucket, key).await
        }

        async fn uploads(&self, bucket: &Bucket) -> Vec<String> {
            self.0.uploads(bucket).await
        }
    }

    let harness = Boaster(Fake::new(Capabilities {
        full_object_multipart_checksum: false,
        copy_checksum: false,
        conditional_copy: false,
        multipart_tags: false,
    }));
    let complaints = run(&harness, &object_store::cases(), &[]).await.unwrap_err();
    let mut failed: Vec<&str> = complaints.lines().filter_map(|line| line.split(':').next()).collect();
    failed.retain(|name| !name.is_empty());
    assert_eq!(
        failed,
        [
            "an_object_gets_a_checksum_when_none_is_sent",
            "an_upload_becomes_one_object",
            "an_upload_keeps_its_tags_where_it_can",
            "an_upload_creates_only",
            "a_completion_after_a_deletion_conflicts",
            "a_repeated_completion_changes_nothing",
            "a_copy_carries_bytes_metadata_and_tags",
            "a_copy_never_overwrites",
            "a_copy_of_an_upload_has_its_checksum",
        ],
        "{complaints}"
    );
}
