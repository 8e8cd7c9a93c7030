//! The conformance suites on the strict fake. No exemption: the fake is the measure.

mod document;
mod fake;

use std::collections::BTreeMap;

use landfall_core::delivery::Capabilities;
use landfall_core::port::Bucket;
use testkit::conformance::object_store::StoreHarness;
use testkit::conformance::{Report, catalog, destinations, object_store, queue, run};
use testkit::fake::FakeStore;

use fake::Fake;

/// One of the sixteen combinations of what an endpoint can do.
fn capabilities(bits: u8) -> Capabilities {
    let on = |bit: u8| bits & (1 << bit) != 0;
    Capabilities {
        full_object_multipart_checksum: on(0),
        copy_checksum: on(1),
        conditional_copy: on(2),
        multipart_tags: on(3),
    }
}

/// Fails with every complaint of a run, each on its own line; shows what was not run and what is exempt.
#[track_caller]
#[expect(clippy::print_stdout, reason = "what a run leaves out must be seen")]
pub(crate) fn holds(outcome: Result<Report, String>) -> Report {
    let report = outcome.unwrap_or_else(|complaints| panic!("{complaints}"));
    println!("{report}");
    report
}

#[tokio::test]
async fn the_fake_store_keeps_its_promises_on_every_endpoint() {
    for bits in 0..16_u8 {
        let harness = Fake::new(capabilities(bits));
        let can = harness.capabilities;
        let outcome = run(&harness, &object_store::cases(), &[]).await;
        let report = holds(outcome.map_err(|complaints| format!("{can:?}{complaints}")));
        let mut expected = Vec::new();
        if !can.copy_checksum {
            expected.push("an_object_gets_a_checksum_when_none_is_sent");
        }
        if can.full_object_multipart_checksum {
            expected.push("a_part_with_another_checksum_is_refused");
        } else {
            expected.push("a_wrong_checksum_of_the_whole_is_refused");
            expected.push("a_wrong_size_of_the_whole_is_refused");
        }
        assert_eq!(report.not_applicable(), expected, "{can:?}");
    }
}

#[tokio::test]
async fn the_fake_store_keeps_its_promises_when_calls_interleave() {
    let harness = Fake::new(Capabilities::default());
    harness.aws.interleave(1);
    let report = holds(run(&harness, &object_store::cases(), &[]).await);
    assert_eq!(report.not_applicable(), ["a_part_with_another_checksum_is_refused"]);
}

#[tokio::test]
async fn the_fake_queue_keeps_its_promises() {
    let harness = Fake::new(Capabilities::default());
    assert!(holds(run(&harness, &queue::cases(), &[]).await).not_applicable.is_empty());
}

#[tokio::test]
async fn the_fake_catalog_keeps_its_promises() {
    let harness = Fake::new(Capabilities::default());
    assert!(holds(run(&harness, &catalog::cases(), &[]).await).not_applicable.is_empty());
}

#[tokio::test]
async fn the_fake_catalog_keeps_its_promises_when_calls_interleave() {
    for seed in 1..=8 {
        let harness = Fake::new(Capabilities::default());
        harness.aws.interleave(seed);
        holds(run(&harness, &catalog::cases(), &[]).await);
    }
}

#[tokio::test]
async fn the_fake_destinations_keep_their_promises_on_every_endpoint() {
    for bits in 0..16_u8 {
        let harness = Fake::new(capabilities(bits));
        let report = holds(run(&harness, &destinations::cases(), &[]).await);
        assert!(report.not_applicable.is_empty());
    }
}

#[tokio::test]
async fn an_endpoint_that_claims_too_much_is_found_out() {
    /// Declares everything and can do nothing of it.
    struct Boaster(Fake);

    impl StoreHarness for Boaster {
        type Store = FakeStore;

        fn store(&self) -> &FakeStore {
            self.0.store()
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

        async fn version(&self, bucket: &Bucket, key: &str, id: &str) -> Option<Vec<u8>> {
            self.0.version(bucket, key, id).await
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
            "a_completion_after_an_earlier_deletion_succeeds",
            "a_part_sent_again_replaces_the_first",
            "a_repeated_completion_changes_nothing",
            "a_copy_carries_bytes_metadata_and_tags",
            "a_copy_never_overwrites",
            "one_of_many_copies_wins",
            "a_copy_of_an_upload_has_its_checksum",
        ],
        "{complaints}"
    );
}
