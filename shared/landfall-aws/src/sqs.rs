//! SQS as queues.
//!
//! A queue is named by its URL or by its ARN; the URL of an ARN is composed, not asked for: the client need not
//! grant `sqs:GetQueueUrl`. Sends are retried by the SDK a few times: a message may arrive twice, as with every
//! standard queue.

use std::fmt;

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use landfall_core::error::{PortError, PortErrorKind};
use landfall_core::port::{OutgoingMessage, Queue};

use crate::error::{Attempt, Service, repeated};
use crate::sts::Principal;

/// Messages of a batch at most.
const BATCH_MESSAGES: usize = 10;
/// Bytes of a message, and of all messages of a batch, at most.
const BATCH_BYTES: usize = 1_048_576;

/// SQS queues, acting as one principal. Cheap to clone.
#[derive(Clone)]
pub struct SqsQueue {
    client: aws_sdk_sqs::Client,
    principal: Principal,
    endpoint: Option<String>,
}

impl SqsQueue {
    /// `endpoint` is the configured one, where it is not AWS's own.
    pub(crate) fn new(client: aws_sdk_sqs::Client, principal: Principal, endpoint: Option<String>) -> Self {
        Self { client, principal, endpoint }
    }

    /// The URL of a queue given by URL or ARN; `None` when the ARN is not one of a queue.
    fn url(&self, queue: &str) -> Option<String> {
        if !queue.starts_with("arn:") {
            return Some(queue.to_owned());
        }
        let mut parts = queue.split(':');
        let (_, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, account, name) = (parts.next()?, parts.next()?, parts.next()?);
        let complete = [region, account, name].iter().all(|part| !part.is_empty());
        if service != "sqs" || !complete || parts.next().is_some() {
            return None;
        }
        if let Some(endpoint) = &self.endpoint {
            return Some(format!("{}/{account}/{name}", endpoint.trim_end_matches('/')));
        }
        let domain = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        Some(format!("https://sqs.{region}.{domain}/{account}/{name}"))
    }

    /// Sends one batch and pushes one result per message.
    async fn send_batch(
        &self,
        url: &str,
        attempt: &Attempt,
        batch: &[OutgoingMessage],
        results: &mut Vec<Result<String, PortError>>,
    ) {
        // One message goes alone: the permission for it has one name everywhere.
        if let [message] = batch {
            results.push(self.request_one(url, attempt, message).await);
            return;
        }
        match self.request_batch(url, attempt, batch).await {
            Ok(answers) => results.extend(answers),
            Err(error) => results.extend(batch.iter().map(|_| Err(repeated(&error)))),
        }
    }

    async fn request_one(
        &self,
        url: &str,
        attempt: &Attempt,
        message: &OutgoingMessage,
    ) -> Result<String, PortError> {
        self.principal.ready().await?;
        let answer = self
            .client
            .send_message()
            .queue_url(url)
            .message_body(&message.body)
            .set_message_group_id(message.group.clone())
            .set_message_deduplication_id(message.deduplication.clone())
            .set_delay_seconds(delay(message))
            .send()
            .await
            .map_err(|error| self.principal.learn(attempt.failed(&error)))?;
        answer.message_id().map(str::to_owned).ok_or_else(|| {
            attempt
                .refused(PortErrorKind::Unavailable, "the answer does not mention the message")
                .with_unknown_effect()
        })
    }

    async fn request_batch(
        &self,
        url: &str,
        attempt: &Attempt,
        batch: &[OutgoingMessage],
    ) -> Result<Vec<Result<String, PortError>>, PortError> {
        let mut entries = Vec::with_capacity(batch.len());
        for (position, message) in batch.iter().enumerate() {
            entries.push(
                entry(position, message)
                    .map_err(|error| attempt.refused(PortErrorKind::Invalid, error.to_string()))?,
            );
        }
        self.principal.ready().await?;
        let answer = self
            .client
            .send_message_batch()
            .queue_url(url)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| self.principal.learn(attempt.failed(&error)))?;
        Ok((0..batch.len())
            .map(|position| {
                let id = position.to_string();
                if let Some(sent) = answer.successful().iter().find(|entry| entry.id() == id) {
                    return Ok(sent.message_id().to_owned());
                }
                Err(match answer.failed().iter().find(|entry| entry.id() == id) {
                    Some(failed) => self
                        .principal
                        .learn(attempt.entry_failed(failed.code(), failed.message().unwrap_or_default())),
                    None => attempt
                        .refused(PortErrorKind::Unavailable, "the answer does not mention the message")
                        .with_unknown_effect(),
                })
            })
            .collect())
    }
}

impl Queue for SqsQueue {
    async fn send(&self, queue_url: &str, messages: &[OutgoingMessage]) -> Vec<Result<String, PortError>> {
        let attempt = Attempt::write(Service::Sqs, "send message to", queue_url);
        let Some(url) = self.url(queue_url) else {
            return messages
                .iter()
                .map(|_| Err(attempt.refused(PortErrorKind::Invalid, "this is not the ARN of a queue")))
                .collect();
        };
        let mut results = Vec::with_capacity(messages.len());
        let mut rest = messages;
        while let Some(first) = rest.first() {
            if first.body.len() > BATCH_BYTES {
                let message = format!("{} bytes, {BATCH_BYTES} are allowed", first.body.len());
                results.push(Err(attempt.refused(PortErrorKind::Invalid, message)));
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let (batch, later) = rest.split_at_checked(batch_length(rest)).unwrap_or((rest, &[]));
            self.send_batch(&url, &attempt, batch, &mut results).await;
            rest = later;
        }
        results
    }

    async fn change_visibility(
        &self,
        queue_url: &str,
        receipt_handle: &str,
        seconds: u32,
    ) -> Result<(), PortError> {
        let attempt = Attempt::read(Service::Sqs, "change visibility in", queue_url);
        let url = self
            .url(queue_url)
            .ok_or_else(|| attempt.refused(PortErrorKind::Invalid, "this is not the ARN of a queue"))?;
        self.principal.ready().await?;
        self.client
            .change_message_visibility()
            .queue_url(url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(i32::try_from(seconds).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| self.principal.learn(attempt.failed(&error)))?;
        Ok(())
    }
}

/// How many of the next messages fit into one batch: at least one.
fn batch_length(messages: &[OutgoingMessage]) -> usize {
    let mut bytes = 0;
    messages
        .iter()
        .take(BATCH_MESSAGES)
        .take_while(|message| {
            bytes += message.body.len();
            bytes <= BATCH_BYTES
        })
        .count()
        .max(1)
}

/// An entry named by its position: the same message may stand in a batch twice.
fn entry(
    position: usize,
    message: &OutgoingMessage,
) -> Result<SendMessageBatchRequestEntry, aws_sdk_sqs::error::BuildError> {
    SendMessageBatchRequestEntry::builder()
        .id(position.to_string())
        .message_body(&message.body)
        .set_message_group_id(message.group.clone())
        .set_message_deduplication_id(message.deduplication.clone())
        .set_delay_seconds(delay(message))
        .build()
}

fn delay(message: &OutgoingMessage) -> Option<i32> {
    message.delay_seconds.map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX))
}

// The SDK's own text is a page long, and holds what nobody should log.
impl fmt::Debug for SqsQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsQueue").field("principal", &self.principal).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
