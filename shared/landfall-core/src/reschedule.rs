//! Work that met a passing failure: the same message again, later. SQS's own receive count is left to what dies.

use crate::error::PortError;
use crate::message::{Message, Work, send_all};
use crate::port::{OutgoingMessage, Queue};
use crate::retry::backoff_seconds;

/// After how many passing failures a message is not sent again: the planner's schedule, which reads the log, takes over.
pub const MOST_TRIES: u64 = 10;
/// The first wait, in seconds.
const BASE_SECONDS: u32 = 2;
/// The longest delay that SQS gives a message, in seconds.
const MOST_DELAY_SECONDS: u32 = 900;

/// What became of work that met a passing failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rescheduled {
    /// It is on its queue again, and seen after so many seconds.
    In(u32),
    /// It was tried often enough: the planner dispatches it in its time.
    LeftToThePlanner,
}

/// Sends a piece of work to its own queue again. With `wait` it is known after how many seconds it can go on, and this
/// was no failed try; without, the wait doubles with each try, spread over its whole length.
///
/// `kind` makes the message of the work, `group` is the message group it came with.
///
/// # Errors
/// When the queue does not take it. It may have been taken all the same: every message may come twice.
pub async fn reschedule<Q: Queue>(
    queue: &Q,
    queue_url: &str,
    work: &Work,
    kind: fn(Work) -> Message,
    group: Option<String>,
    wait: Option<u32>,
) -> Result<Rescheduled, PortError> {
    let (work, seconds) = match wait {
        Some(seconds) => (work.clone(), seconds.clamp(1, MOST_DELAY_SECONDS)),
        None if work.tries >= MOST_TRIES => return Ok(Rescheduled::LeftToThePlanner),
        None => {
            let again = work.again();
            let who = kind(work.clone()).to_body();
            let tries = u32::try_from(again.tries).unwrap_or(u32::MAX);
            (again, backoff_seconds(&who, tries, BASE_SECONDS, MOST_DELAY_SECONDS))
        }
    };
    let message = OutgoingMessage {
        group,
        delay_seconds: Some(seconds),
        ..OutgoingMessage::plain(kind(work).to_body())
    };
    send_all(queue, queue_url, &[message]).await?;
    Ok(Rescheduled::In(seconds))
}
