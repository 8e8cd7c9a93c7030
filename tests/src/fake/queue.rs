//! The `Queue` port over the fake.

use landfall_core::error::PortError;
use landfall_core::port::{OutgoingMessage, Queue};

use super::FakeAws;
use super::calls::Request;
use super::identity::Principal;

/// Queues acting as one principal.
#[derive(Debug, Clone)]
pub struct FakeQueue {
    fake: FakeAws,
    principal: Principal,
}

impl FakeQueue {
    pub(crate) fn new(fake: &FakeAws, principal: Principal) -> Self {
        Self { fake: fake.clone(), principal }
    }
}

impl Queue for FakeQueue {
    /// Each message is a call of its own in the log and for faults: the entries of a batch fail one by one.
    async fn send(&self, queue_url: &str, messages: &[OutgoingMessage]) -> Vec<Result<String, PortError>> {
        let mut results = Vec::with_capacity(messages.len());
        for message in messages {
            let request = Request::write("SendMessage", &self.principal, queue_url).key(&message.body);
            results.push(self.fake.call(request, |world, request| world.send(request, message)).await);
        }
        results
    }

    async fn change_visibility(
        &self,
        queue_url: &str,
        receipt_handle: &str,
        seconds: u32,
    ) -> Result<(), PortError> {
        let request =
            Request::read("ChangeMessageVisibility", &self.principal, queue_url).key(receipt_handle);
        self.fake
            .call(request, |world, request| world.change_visibility(request, receipt_handle, seconds))
            .await
    }
}
