//! The conformance suites on landfall-aws over MiniStack: the adapters speak AWS's protocols, and what MiniStack
//! does otherwise than AWS is written down, case by case.

mod embedded;

use landfall_core::delivery::Capabilities;
use testkit::conformance::{Exemption, catalog, destinations, object_store, queue, run};

use crate::conformance::holds;
use embedded::Embedded;

/// What MiniStack's S3 can do: the delivery of the demo declares the same.
const CAPABILITIES: Capabilities = Capabilities {
    full_object_multipart_checksum: false,
    copy_checksum: false,
    conditional_copy: false,
    multipart_tags: false,
};

/// Differences of MiniStack 1.5.33 from AWS, each with the case that shows it and how. docs/conformance.md lists them.
pub const STORE_EXEMPTIONS: &[Exemption] = &[
    Exemption {
        case: "a_bucket_of_another_owner_is_refused",
        breach: "list succeeded",
        reason: "x-amz-expected-bucket-owner is ignored; the fake and a wire test carry the rule",
    },
    Exemption {
        case: "a_completion_after_a_deletion_conflicts",
        breach: "completing after a deletion succeeded",
        reason: "a key deleted after the upload began is not remembered: 200 where AWS says 409",
    },
    Exemption {
        case: "an_upload_into_a_bucket_of_another_owner_is_refused",
        breach: "upload part succeeded",
        reason: "x-amz-expected-bucket-owner is ignored; the fake and a wire test carry the rule",
    },
    Exemption {
        case: "a_copy_in_a_bucket_of_another_owner_is_refused",
        breach: "copy succeeded",
        reason: "x-amz-expected-bucket-owner is ignored; the fake and a wire test carry the rule",
    },
    Exemption {
        case: "a_copy_from_a_bucket_of_another_owner_is_refused",
        breach: "copy succeeded",
        reason: "x-amz-source-expected-bucket-owner is ignored; the fake and a wire test carry the rule",
    },
    Exemption {
        case: "a_copy_into_a_bucket_of_another_owner_is_refused",
        breach: "copy succeeded",
        reason: "x-amz-expected-bucket-owner is ignored; the fake and a wire test carry the rule",
    },
    Exemption {
        case: "a_completion_needs_parts",
        breach: "an upload without parts succeeded",
        reason: "a completion without parts makes an empty object",
    },
    Exemption {
        case: "an_object_is_not_written_without_its_tags",
        breach: "it was written",
        reason: "too many tags are refused after the object was written",
    },
    Exemption {
        case: "longer_tags_are_refused",
        breach: "a tag that is too long succeeded",
        reason: "tags of any length are accepted",
    },
    Exemption {
        case: "metadata_beyond_two_kilobytes_is_refused",
        breach: "the put succeeded",
        reason: "metadata of any size is accepted",
    },
    Exemption {
        case: "parts_out_of_order_are_refused",
        breach: "parts in descending order succeeded",
        reason: "InvalidPartOrder is not enforced",
    },
    Exemption {
        case: "a_small_part_in_the_middle_is_refused",
        breach: "a part below 5 MiB that is not the last succeeded",
        reason: "EntityTooSmall is not enforced",
    },
    Exemption {
        case: "a_key_of_1025_bytes_is_refused",
        breach: "the put succeeded",
        reason: "longer keys are accepted",
    },
];
pub const QUEUE_EXEMPTIONS: &[Exemption] = &[
    Exemption {
        case: "a_message_is_held_twelve_hours_at_most",
        breach: "more than twelve hours succeeded",
        reason: "ChangeMessageVisibility accepts more than 43,200 s",
    },
    Exemption {
        case: "a_delay_of_901_seconds_is_refused",
        breach: "a delay of 901 s succeeded",
        reason: "a message's delay has no limit",
    },
    Exemption {
        case: "a_receipt_ends_when_its_message_is_visible_again",
        breach: "a receipt whose message is visible again succeeded",
        reason: "ChangeMessageVisibility accepts a message that is not in flight",
    },
    Exemption {
        case: "a_quiet_group_is_not_kept_waiting_by_a_busy_one",
        breach: "the quiet group waited",
        reason: "a standard queue takes a message group and serves in order of sending all the same",
    },
];
pub const CATALOG_EXEMPTIONS: &[Exemption] = &[];
pub const DESTINATIONS_EXEMPTIONS: &[Exemption] = &[
    Exemption {
        case: "staging_writes_nothing_with_tags",
        breach: "a put with tags succeeded",
        reason: "tags on a write do not ask for s3:PutObjectTagging",
    },
    Exemption {
        case: "committing_registers_no_other_table",
        breach: "registering another table succeeded",
        reason: "Glue calls are checked on the database alone, not on the table",
    },
];

/// Cases that are about what MiniStack does not declare ([`CAPABILITIES`]).
pub const NOT_APPLICABLE: &[&str] = &[
    "an_object_gets_a_checksum_when_none_is_sent",
    "a_wrong_checksum_of_the_whole_is_refused",
    "a_wrong_size_of_the_whole_is_refused",
];

#[tokio::test]
async fn the_s3_adapter_keeps_its_promises_on_ministack() {
    let harness = Embedded::start().await;
    let report = holds(run(&harness, &object_store::cases(), STORE_EXEMPTIONS).await);
    assert_eq!(report.not_applicable(), NOT_APPLICABLE);
}

#[tokio::test]
async fn the_sqs_adapter_keeps_its_promises_on_ministack() {
    let harness = Embedded::start().await;
    let report = holds(run(&harness, &queue::cases(), QUEUE_EXEMPTIONS).await);
    assert!(report.not_applicable.is_empty());
}

#[tokio::test]
async fn the_glue_adapter_keeps_its_promises_on_ministack() {
    let harness = Embedded::start().await;
    let report = holds(run(&harness, &catalog::cases(), CATALOG_EXEMPTIONS).await);
    assert!(report.not_applicable.is_empty());
}

#[tokio::test]
async fn the_sts_adapter_keeps_its_promises_on_ministack() {
    let harness = Embedded::start().await;
    let report = holds(run(&harness, &destinations::cases(), DESTINATIONS_EXEMPTIONS).await);
    assert!(report.not_applicable.is_empty());
}
