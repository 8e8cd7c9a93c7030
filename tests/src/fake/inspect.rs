//! Looking at the state of the fake: nothing here is logged, refused or faulted.

use jiff::Timestamp;
use landfall_core::port::OutgoingMessage;

use super::bucket::{StoredObject, Version};
use super::calls::{BodyRead, Call};
use super::event::S3Event;
use super::glue::StoredTable;
use super::queue_state::{QueueSpec, QueuedMessage, queue_id};
use super::{FakeAws, HOME_REGION, event};

impl FakeAws {
    /// The object that a key shows now.
    pub fn object(&self, bucket: &str, key: &str) -> Option<StoredObject> {
        self.lock().buckets.get(bucket)?.current(key).cloned()
    }

    /// The objects below a prefix, in key order.
    pub fn objects(&self, bucket: &str, prefix: &str) -> Vec<StoredObject> {
        let world = self.lock();
        let Some(state) = world.buckets.get(bucket) else { return Vec::new() };
        state.current_below(prefix).cloned().collect()
    }

    /// The keys below a prefix, in order.
    pub fn keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        let world = self.lock();
        let Some(state) = world.buckets.get(bucket) else { return Vec::new() };
        state.current_below(prefix).map(|object| object.key.clone()).collect()
    }

    /// The history of a key, oldest first.
    pub fn versions(&self, bucket: &str, key: &str) -> Vec<Version> {
        let world = self.lock();
        world.buckets.get(bucket).and_then(|state| state.keys.get(key)).cloned().unwrap_or_default()
    }

    /// The keys of uploads that are neither completed nor aborted.
    pub fn uploads(&self, bucket: &str) -> Vec<String> {
        let world = self.lock();
        let uploads = world.buckets.get(bucket).map(|state| state.uploads.values());
        uploads.into_iter().flatten().map(|upload| upload.key.clone()).collect()
    }

    /// The creation events of a bucket, oldest first.
    pub fn s3_events(&self, bucket: &str) -> Vec<S3Event> {
        self.lock().buckets.get(bucket).map(|state| state.events.clone()).unwrap_or_default()
    }

    /// Every object that was ever written to a bucket since [`FakeAws::keep_all`], in order, with its bytes.
    pub fn written(&self, bucket: &str) -> Vec<StoredObject> {
        let world = self.lock();
        world.buckets.get(bucket).and_then(|state| state.written.clone()).unwrap_or_default()
    }

    /// Every chunk of a body that was read so far, in order.
    pub fn body_reads(&self) -> Vec<BodyRead> {
        self.lock().body_reads.clone()
    }

    /// Every call so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// The calls of one operation so far.
    pub fn calls_of(&self, operation: &str) -> Vec<Call> {
        self.lock().calls.iter().filter(|call| call.operation == operation).cloned().collect()
    }

    /// How many calls there were: the number of the next one.
    pub fn call_count(&self) -> usize {
        self.lock().calls.len()
    }

    /// A table of an account's catalog, with its partitions.
    pub fn table(&self, account: &str, database: &str, table: &str) -> Option<StoredTable> {
        self.lock().stored(account, database, table).cloned()
    }

    /// Puts a message into a queue: no permission asked, not logged, no fault. Answers its id.
    ///
    /// # Errors
    /// The code of SQS's refusal.
    pub fn send(&self, queue: &str, message: &OutgoingMessage) -> Result<String, &'static str> {
        self.lock().deliver(queue, message)
    }

    /// Puts a plain body into a standard queue.
    ///
    /// # Errors
    /// The code of SQS's refusal.
    pub fn send_body(&self, queue: &str, body: &str) -> Result<String, &'static str> {
        let body = body.to_owned();
        self.send(queue, &OutgoingMessage::plain(body))
    }

    /// Sends these events to a queue as one S3 notification.
    ///
    /// # Errors
    /// The code of SQS's refusal.
    pub fn send_events(&self, queue: &str, events: &[S3Event]) -> Result<String, &'static str> {
        self.send_body(queue, &event::notification_body(events, HOME_REGION))
    }

    /// Receives up to `max` messages, at most ten. Used-up messages go to the dead-letter queue.
    pub fn receive(&self, queue: &str, max: usize) -> Vec<QueuedMessage> {
        self.lock().receive(queue, max)
    }

    /// Deletes a received message; whether the handle was the one of its last receive (an older one deletes
    /// nothing).
    pub fn delete_message(&self, queue: &str, receipt_handle: &str) -> bool {
        let mut world = self.lock();
        let Some(state) = world.queues.get_mut(&queue_id(queue)) else { return false };
        let before = state.messages.len();
        state.messages.retain(|message| message.receipt_handle.as_deref() != Some(receipt_handle));
        state.messages.len() < before
    }

    /// Every message of a queue, visible or not, in order of sending.
    pub fn messages(&self, queue: &str) -> Vec<QueuedMessage> {
        self.lock().queues.get(&queue_id(queue)).map(|state| state.messages.clone()).unwrap_or_default()
    }

    /// The bodies of every message of a queue, visible or not.
    pub fn bodies(&self, queue: &str) -> Vec<String> {
        self.messages(queue).into_iter().map(|message| message.body).collect()
    }

    /// How many messages a queue holds, visible or not.
    pub fn depth(&self, queue: &str) -> usize {
        self.messages(queue).len()
    }

    /// When the next message of a queue comes into sight that is not in sight now.
    pub fn next_in_sight(&self, queue: &str) -> Option<Timestamp> {
        let world = self.lock();
        let now = world.now();
        let messages = &world.queues.get(&queue_id(queue))?.messages;
        messages.iter().map(|message| message.visible_at).filter(|time| *time > now).min()
    }

    /// When the next message of a queue can be received; in the past when one can be now.
    pub fn next_visible(&self, queue: &str) -> Option<Timestamp> {
        self.messages(queue).iter().map(|message| message.visible_at).min()
    }

    /// A queue's settings.
    pub fn queue_spec(&self, queue: &str) -> Option<QueueSpec> {
        self.lock().queues.get(&queue_id(queue)).map(|state| state.spec.clone())
    }

    /// The calls made by sessions of other tenants than this one.
    pub fn calls_outside(&self, tenant: &str) -> Vec<Call> {
        let stranger = |call: &&Call| call.tenant.as_deref().is_some_and(|of| of != tenant);
        self.lock().calls.iter().filter(stranger).cloned().collect()
    }
}
