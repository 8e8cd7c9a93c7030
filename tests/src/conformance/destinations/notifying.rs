//! Sessions that notify: the delivery's queues, and nothing else.

use landfall_core::delivery::Access;

use super::{
    Case, Client, DestinationsHarness, PortErrorKind, Purpose, Verdict, denies_everything, expect_kind, open,
    register, send,
};

pub(super) fn cases<H: DestinationsHarness>() -> Vec<Case<H>> {
    cases![
        notifying_sends_to_its_queues_only,
        notifying_receives_nothing_back,
        notifying_without_a_queue_may_do_nothing,
        notifying_reaches_no_object,
        notifying_has_no_catalog,
    ]
}

async fn notifying_sends_to_its_queues_only<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let notify = open(harness, &client, Purpose::Notify).await?;
    for arn in &client.access.queue_arns {
        send(&notify.queue, arn).await?;
    }
    let sent = send(&notify.queue, &client.other_queue).await;
    expect_kind(sent, PortErrorKind::QueueRefused, "sending to another queue")
}

async fn notifying_receives_nothing_back<H: DestinationsHarness>(harness: &H) -> Verdict {
    use landfall_core::port::Queue as _;
    let client = harness.fresh_client().await;
    let notify = open(harness, &client, Purpose::Notify).await?;
    for arn in &client.access.queue_arns {
        let changed = notify.queue.change_visibility(arn, "bm8tc3VjaC1yZWNlaXB0", 0).await;
        expect_kind(changed, PortErrorKind::QueueRefused, "changing a message of the client's")?;
    }
    Ok(())
}

async fn notifying_without_a_queue_may_do_nothing<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let silent =
        Client { access: Access { queue_arns: Vec::new(), ..client.access.clone() }, ..client.clone() };
    let notify = open(harness, &silent, Purpose::Notify).await?;
    for arn in client.access.queue_arns.iter().chain([&client.other_queue]) {
        expect_kind(send(&notify.queue, arn).await, PortErrorKind::QueueRefused, "sending")?;
    }
    Ok(())
}

async fn notifying_reaches_no_object<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let (bucket, store) = (client.bucket(), open(harness, &client, Purpose::Notify).await?.store);
    for key in [client.temp("1"), client.out("1")] {
        let etag = harness.place(&bucket, &key, "rows").await;
        denies_everything(harness, &store, &bucket, (&key, &etag)).await?;
    }
    Ok(())
}

async fn notifying_has_no_catalog<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let notify = open(harness, &client, Purpose::Notify).await?;
    let registered = register(&notify.catalog, &client.table()).await;
    expect_kind(registered, PortErrorKind::CatalogRefused, "registering")
}
