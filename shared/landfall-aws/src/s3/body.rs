//! The bytes of an object as they arrive.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use landfall_core::error::{PortError, PortErrorKind, chain};
use landfall_core::port::ObjectBody;

use crate::error::Attempt;

/// How long a body may stand still before it is given up.
pub(crate) const STALL: Duration = Duration::from_secs(30);
/// What the SDK says when a whole object contradicts the checksum S3 sent with it.
const CHECKSUM_MISMATCH: &str = "checksum mismatch";

/// The bytes of an object. The stream ends with success only when all announced bytes came and, for a whole
/// object, their checksum held.
#[derive(Debug)]
pub struct S3Body {
    stream: ByteStream,
    attempt: Attempt,
    left: u64,
}

impl S3Body {
    /// A body of `length` bytes.
    pub(super) fn new(stream: ByteStream, length: u64, attempt: Attempt) -> Self {
        Self { stream, attempt, left: length }
    }
}

impl ObjectBody for S3Body {
    async fn chunk(&mut self) -> Result<Option<Bytes>, PortError> {
        let Ok(next) = tokio::time::timeout(STALL, self.stream.next()).await else {
            let message = format!("the body stood still for {} s", STALL.as_secs());
            return Err(self.attempt.refused(PortErrorKind::Unavailable, message));
        };
        match next {
            Some(Ok(bytes)) => {
                let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                self.left = self.left.checked_sub(length).ok_or_else(|| {
                    self.attempt.refused(PortErrorKind::Corrupt, "more bytes came than were announced")
                })?;
                Ok(Some(bytes))
            }
            Some(Err(error)) => {
                let message = chain(&error);
                let kind = if message.contains(CHECKSUM_MISMATCH) {
                    PortErrorKind::Corrupt
                } else {
                    PortErrorKind::Unavailable
                };
                Err(self.attempt.refused(kind, message))
            }
            None if self.left > 0 => Err(self
                .attempt
                .refused(PortErrorKind::Unavailable, format!("the body ended {} bytes early", self.left))),
            None => Ok(None),
        }
    }
}
