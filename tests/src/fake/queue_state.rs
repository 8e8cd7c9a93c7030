//! SQS's rules: delays, visibility, receive counts, dead letters, groups and deduplication.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use landfall_core::error::{PortError, PortErrorKind};
use landfall_core::port::OutgoingMessage;

use super::budget::Mishandling;
use super::calls::Request;
use super::world::World;

/// How long a FIFO queue remembers a deduplication id.
const DEDUPLICATION_WINDOW: SignedDuration = SignedDuration::from_mins(5);

/// How long a received message can be kept invisible, all extensions together.
const LONGEST_VISIBILITY: SignedDuration = SignedDuration::from_hours(12);

/// What an encrypted queue asks of who sends to it (SQS Developer Guide, "Key management").
const SEND_KEY_ACTIONS: &[&str] = &["kms:GenerateDataKey", "kms:Decrypt"];

/// The form of a queue to create. A name that ends in `.fifo` makes a FIFO queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSpec {
    /// The queue's name.
    pub name: String,
    /// The account that owns it.
    pub account: String,
    /// The region it lies in.
    pub region: String,
    /// How long a received message stays invisible.
    pub visibility: SignedDuration,
    /// How long every message waits before it can be received.
    pub delay: SignedDuration,
    /// URL of the dead-letter queue, and after how many receives a message goes there.
    pub dead_letter: Option<(String, u32)>,
    /// The largest message, in bytes.
    pub max_bytes: usize,
    /// The KMS key it is encrypted with.
    pub kms_key: Option<String>,
}

/// A message of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMessage {
    /// The message id.
    pub id: String,
    /// The body.
    pub body: String,
    /// The message group: in a FIFO queue what keeps its order, in a standard queue whose it is.
    pub group: Option<String>,
    /// The deduplication id, in a FIFO queue.
    pub deduplication: Option<String>,
    /// The sequence number within the fake.
    pub sequence: u64,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// From when on it can be received.
    pub visible_at: Timestamp,
    /// How often it was received.
    pub receive_count: u32,
    /// When it was first received.
    pub first_received_at: Option<Timestamp>,
    /// The ARN of the queue it was a dead letter of.
    pub dead_letter_source: Option<String>,
    /// The receipt handle of the last receive.
    pub receipt_handle: Option<String>,
    /// When it was last received.
    pub received_at: Option<Timestamp>,
}

impl QueuedMessage {
    fn in_flight(&self, now: Timestamp) -> bool {
        self.receipt_handle.is_some() && self.visible_at > now
    }

    /// Notes a receive.
    fn hand_out(&mut self, now: Timestamp, until: Timestamp, receipt_handle: String) {
        self.receive_count += 1;
        self.first_received_at.get_or_insert(now);
        self.received_at = Some(now);
        self.visible_at = until;
        self.receipt_handle = Some(receipt_handle);
    }
}

/// A queue and its messages, in order of sending.
#[derive(Debug)]
pub(crate) struct QueueState {
    pub(crate) spec: QueueSpec,
    pub(crate) messages: Vec<QueuedMessage>,
    pub(crate) deduplication: BTreeMap<String, (Timestamp, String)>,
    /// One message in so many is stored twice, as at-least-once delivery allows; 0 for none.
    pub(crate) twice_in: u64,
    /// How many messages were sent.
    sent: u64,
}

impl QueueSpec {
    /// A queue as AWS makes it by default: visible again after 30 s, no delay, no dead-letter queue.
    pub fn new(name: &str, account: &str, region: &str) -> Self {
        Self {
            name: name.to_owned(),
            account: account.to_owned(),
            region: region.to_owned(),
            visibility: SignedDuration::from_secs(30),
            delay: SignedDuration::ZERO,
            dead_letter: None,
            max_bytes: 1024 * 1024,
            kms_key: None,
        }
    }

    /// Whether it is a FIFO queue.
    pub fn fifo(&self) -> bool {
        self.name.strip_suffix(".fifo").is_some()
    }

    /// The queue's ARN.
    pub fn arn(&self) -> String {
        format!("arn:aws:sqs:{}:{}:{}", self.region, self.account, self.name)
    }

    /// The queue's URL.
    pub fn url(&self) -> String {
        format!("https://sqs.{}.amazonaws.com/{}/{}", self.region, self.account, self.name)
    }
}

/// `account/name` of a queue URL or ARN; the host of a URL does not matter.
pub(crate) fn queue_id(queue: &str) -> String {
    let mut parts = queue.rsplit([':', '/']);
    let name = parts.next().unwrap_or_default();
    let account = parts.next().unwrap_or_default();
    format!("{account}/{name}")
}

impl QueueState {
    pub(crate) fn new(spec: QueueSpec) -> Self {
        Self { spec, messages: Vec::new(), deduplication: BTreeMap::new(), twice_in: 0, sent: 0 }
    }

    /// Stores a message; the id of the first one when it repeats a deduplication id within the window.
    fn accept(&mut self, message: &OutgoingMessage, sequence: u64, now: Timestamp, twice: bool) -> String {
        if let Some(deduplication) = &message.deduplication {
            self.deduplication.retain(|_, (since, _)| now.duration_since(*since) < DEDUPLICATION_WINDOW);
            if let Some((_, id)) = self.deduplication.get(deduplication) {
                return id.clone();
            }
        }
        let id = message_id(sequence);
        if let Some(deduplication) = &message.deduplication {
            self.deduplication.insert(deduplication.clone(), (now, id.clone()));
        }
        let delay = message
            .delay_seconds
            .map_or(self.spec.delay, |seconds| SignedDuration::from_secs(seconds.into()));
        let stored = QueuedMessage {
            id: id.clone(),
            body: message.body.clone(),
            group: message.group.clone(),
            deduplication: message.deduplication.clone(),
            sequence,
            sent_at: now,
            visible_at: now.checked_add(delay).unwrap_or(now),
            receive_count: 0,
            first_received_at: None,
            dead_letter_source: None,
            receipt_handle: None,
            received_at: None,
        };
        self.sent += 1;
        let duplicated = self.twice_in > 0 && self.sent.is_multiple_of(self.twice_in);
        if (duplicated || twice) && !self.spec.fifo() {
            self.messages.push(stored.clone());
        }
        self.messages.push(stored);
        id
    }

    /// Up to `max` messages that can be received now, and those whose receives are used up.
    fn take(&mut self, max: usize, now: Timestamp, receipt: u64) -> (Vec<QueuedMessage>, Vec<QueuedMessage>) {
        if !self.spec.fifo() {
            return self.take_fairly(max, now, receipt);
        }
        let until = now.checked_add(self.spec.visibility).unwrap_or(now);
        let limit = self.spec.dead_letter.as_ref().map(|(_, limit)| *limit);
        let mut blocked = BTreeSet::new();
        let (mut received, mut dead) = (Vec::new(), Vec::new());
        let mut index = 0;
        while let Some(message) = self.messages.get_mut(index) {
            index += 1;
            if message.visible_at > now {
                // A group waits for its message in flight; order would be lost otherwise.
                blocked.insert(message.group.clone());
                continue;
            }
            if received.len() >= max || blocked.contains(&message.group) {
                continue;
            }
            if limit.is_some_and(|limit| message.receive_count >= limit) {
                index -= 1;
                dead.push(self.messages.remove(index));
                continue;
            }
            message.hand_out(now, until, format!("receipt-{receipt}-{index}"));
            received.push(message.clone());
        }
        (received, dead)
    }

    /// The same of a standard queue: first the group with the fewest messages in flight, in order of sending within it. A
    /// message without a group is a group of its own. (SQS does so as soon as a group stands out: with more than a tenth
    /// of what is in flight and 30 messages, or with more than a tenth of the time consumers spend. Which message of a quiet
    /// group comes first it leaves open.)
    fn take_fairly(
        &mut self,
        max: usize,
        now: Timestamp,
        receipt: u64,
    ) -> (Vec<QueuedMessage>, Vec<QueuedMessage>) {
        let until = now.checked_add(self.spec.visibility).unwrap_or(now);
        let limit = self.spec.dead_letter.as_ref().map(|(_, limit)| *limit);
        let mut in_flight: BTreeMap<String, usize> = BTreeMap::new();
        for message in self.messages.iter().filter(|message| message.in_flight(now)) {
            if let Some(group) = &message.group {
                *in_flight.entry(group.clone()).or_default() += 1;
            }
        }
        let (mut received, mut dead) = (Vec::new(), Vec::new());
        while received.len() < max {
            let waiting = self.messages.iter().enumerate().filter(|(_, message)| message.visible_at <= now);
            let load = |message: &QueuedMessage| {
                message.group.as_ref().and_then(|group| in_flight.get(group)).copied().unwrap_or(0)
            };
            let Some((index, _)) = waiting.min_by_key(|(_, message)| load(message)) else { break };
            let Some(message) = self.messages.get_mut(index) else { break };
            if limit.is_some_and(|limit| message.receive_count >= limit) {
                dead.push(self.messages.remove(index));
                continue;
            }
            message.hand_out(now, until, format!("receipt-{receipt}-{}", received.len()));
            if let Some(group) = &message.group {
                *in_flight.entry(group.clone()).or_default() += 1;
            }
            received.push(message.clone());
        }
        (received, dead)
    }
}

impl World {
    pub(crate) fn queue_mut(&mut self, request: &Request) -> Result<&mut QueueState, PortError> {
        self.queues
            .get_mut(&queue_id(&request.resource))
            .ok_or_else(|| request.refuse(PortErrorKind::QueueRefused, "QueueDoesNotExist"))
    }

    pub(crate) fn send(&mut self, request: &Request, message: &OutgoingMessage) -> Result<String, PortError> {
        let spec = self.queue_mut(request)?.spec.clone();
        if !self.may(&request.principal, &spec.account, "sqs:SendMessage", &spec.arn(), None) {
            return Err(request.refuse(PortErrorKind::QueueRefused, "AccessDenied"));
        }
        if let Some(key) = &spec.kms_key
            && !SEND_KEY_ACTIONS.iter().all(|action| self.may_use_key(&request.principal, key, action))
        {
            return Err(request.refuse(PortErrorKind::KeyRefused, "KmsAccessDenied"));
        }
        self.deliver(&request.resource, message).map_err(|code| request.refuse(PortErrorKind::Invalid, code))
    }

    /// Puts a message into a queue, whoever sent it; the code of the queue's refusal.
    pub(crate) fn deliver(&mut self, queue: &str, message: &OutgoingMessage) -> Result<String, &'static str> {
        let (sequence, now) = (self.tick(), self.now());
        let twice = self.twice;
        let state = self.queues.get_mut(&queue_id(queue)).ok_or("QueueDoesNotExist")?;
        check_message(&state.spec, message)?;
        Ok(state.accept(message, sequence, now, twice))
    }

    pub(crate) fn change_visibility(
        &mut self,
        request: &Request,
        receipt_handle: &str,
        seconds: u32,
    ) -> Result<(), PortError> {
        let spec = self.queue_mut(request)?.spec.clone();
        if !self.may(&request.principal, &spec.account, "sqs:ChangeMessageVisibility", &spec.arn(), None) {
            return Err(request.refuse(PortErrorKind::QueueRefused, "AccessDenied"));
        }
        let (now, visible_for) = (self.now(), SignedDuration::from_secs(seconds.into()));
        if visible_for > LONGEST_VISIBILITY {
            return Err(request.refuse(PortErrorKind::Invalid, "InvalidParameterValue"));
        }
        let queue = self.queue_mut(request)?;
        let held = |message: &&mut QueuedMessage| message.receipt_handle.as_deref() == Some(receipt_handle);
        let Some(message) = queue.messages.iter_mut().find(held) else {
            return Err(request.refuse(PortErrorKind::NotFound, "ReceiptHandleIsInvalid"));
        };
        if !message.in_flight(now) {
            return Err(request.refuse(PortErrorKind::NotFound, "MessageNotInflight"));
        }
        // Twelve hours are the most for one receive, however often it is extended.
        let held = message.received_at.map_or(SignedDuration::ZERO, |since| now.duration_since(since));
        if held.saturating_add(visible_for) > LONGEST_VISIBILITY {
            return Err(request.refuse(PortErrorKind::Invalid, "InvalidParameterValue"));
        }
        message.visible_at = now.checked_add(visible_for).unwrap_or(now);
        Ok(())
    }

    /// Receives up to `max` messages, at most ten at a time; used-up ones go to the dead-letter queue.
    pub(crate) fn receive(&mut self, queue: &str, max: usize) -> Vec<QueuedMessage> {
        let (receipt, now) = (self.tick(), self.now());
        let Some(state) = self.queues.get_mut(&queue_id(queue)) else { return Vec::new() };
        if state.messages.iter().all(|message| message.visible_at > now) {
            return Vec::new();
        }
        let (received, dead) = state.take(max.min(10), now, receipt);
        let (arn, target) = (state.spec.arn(), state.spec.dead_letter.clone());
        if let Some(target) = target.and_then(|(url, _)| self.queues.get_mut(&queue_id(&url))) {
            target.messages.extend(dead.into_iter().map(|message| QueuedMessage {
                receive_count: 0,
                visible_at: now,
                receipt_handle: None,
                dead_letter_source: Some(arn.clone()),
                ..message
            }));
        }
        received
    }

    /// Sends the newest event of a bucket to the queues of its notifications.
    pub(crate) fn announce(&mut self, bucket: &str, key: &str) {
        let (now, region) = (self.now(), self.region.clone());
        let Some(state) = self.buckets.get_mut(bucket) else { return };
        let Some(event) = state.events.last().filter(|event| event.key == key) else { return };
        let body = super::event::notification_body(std::slice::from_ref(event), &region);
        let told = state.notifications.iter().filter(|(prefix, _)| key.starts_with(prefix.as_str()));
        let queues: Vec<String> = told.map(|(_, queue)| queue_id(queue)).collect();
        let once = || vec![SignedDuration::ZERO];
        let sendings = state.mishandling.as_mut().map_or_else(once, Mishandling::sendings);
        let message = OutgoingMessage::plain(body);
        for queue in queues {
            for late in &sendings {
                let sequence = self.tick();
                let Some(queue) = self.queues.get_mut(&queue) else { continue };
                queue.accept(&message, sequence, now.checked_add(*late).unwrap_or(now), false);
            }
        }
    }
}

/// SQS's demands on a message; the code of the refusal.
fn check_message(spec: &QueueSpec, message: &OutgoingMessage) -> Result<(), &'static str> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let id = |text: &str| (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if message.body.is_empty() {
        return Err("MissingParameter");
    }
    if message.body.len() > spec.max_bytes {
        return Err("InvalidParameterValue");
    }
    if !message.body.chars().all(allowed) {
        return Err("InvalidMessageContents");
    }
    if message.group.as_deref().is_some_and(|group| !id(group))
        || message.deduplication.as_deref().is_some_and(|text| !id(text))
        || message.delay_seconds.is_some_and(|seconds| seconds > 900)
    {
        return Err("InvalidParameterValue");
    }
    match spec.fifo() {
        true if message.group.is_none() => Err("MissingParameter"),
        true if message.deduplication.is_none() || message.delay_seconds.is_some() => {
            Err("InvalidParameterValue")
        }
        false if message.deduplication.is_some() => Err("InvalidParameterValue"),
        _ => Ok(()),
    }
}

/// A message id in the form of a UUID.
fn message_id(sequence: u64) -> String {
    format!("00000000-0000-4000-8000-{sequence:012x}")
}
