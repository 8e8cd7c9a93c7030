//! Reading staged objects: small ones ahead and whole, always the very bytes that were listed.

use bytes::Bytes;
use landfall_core::error::PortError;
use landfall_core::port::{Bucket, GetOutcome, ObjectBody as _, ObjectStore};
use landfall_core::record::Input;

/// Objects up to this size are fetched ahead, whole.
const PREFETCH_BYTES: u64 = 1 << 20;
/// How often one object is read again after a cut connection.
pub(crate) const READ_TRIES: u32 = 3;

/// A staged object as fetched ahead.
pub(crate) enum Fetched {
    /// All of it, and its version where the bucket is versioned.
    Whole {
        /// The bytes.
        chunks: Vec<Bytes>,
        /// The version id.
        version: Option<String>,
    },
    /// Too large to be held: read when its turn comes.
    Large,
    /// It is gone.
    Absent,
    /// Another object stands under its key.
    Changed,
}

impl Fetched {
    /// The version that was read.
    pub(crate) fn version(self) -> Option<String> {
        match self {
            Self::Whole { version, .. } => version,
            Self::Large | Self::Absent | Self::Changed => None,
        }
    }
}

/// Opens a staged object: the one that was listed, or, when that is gone, the version of it that an outcome recorded.
///
/// # Errors
/// When the store fails.
pub(crate) async fn open<S: ObjectStore>(
    store: &S,
    staging: &Bucket,
    input: &Input,
    version: Option<&str>,
) -> Result<GetOutcome<S::Body>, PortError> {
    let found = store.get(staging, &input.key, Some(&input.etag), None).await?;
    match (found, version) {
        (GetOutcome::Absent | GetOutcome::Changed, Some(version)) => {
            match store.get_version(staging, &input.key, version).await? {
                GetOutcome::Found(head, _) if head.etag != input.etag => Ok(GetOutcome::Changed),
                found => Ok(found),
            }
        }
        (found, _) => Ok(found),
    }
}

/// Fetches a small object whole, with [`READ_TRIES`]; a large one later.
///
/// # Errors
/// The last failure, when it cannot be read to its end.
pub(crate) async fn fetch<S: ObjectStore>(
    store: &S,
    staging: &Bucket,
    input: Option<&Input>,
    version: Option<&str>,
) -> Result<Fetched, PortError> {
    let Some(input) = input else { return Ok(Fetched::Absent) };
    if input.size > PREFETCH_BYTES {
        return Ok(Fetched::Large);
    }
    let mut tries = 0;
    loop {
        tries += 1;
        match fetch_once(store, staging, input, version).await {
            Ok(fetched) => return Ok(fetched),
            Err(error) if tries >= READ_TRIES => return Err(error),
            Err(error) => tracing::warn!(%error, key = input.key, tries, "read again"),
        }
    }
}

async fn fetch_once<S: ObjectStore>(
    store: &S,
    staging: &Bucket,
    input: &Input,
    version: Option<&str>,
) -> Result<Fetched, PortError> {
    match open(store, staging, input, version).await? {
        GetOutcome::Absent => Ok(Fetched::Absent),
        GetOutcome::Changed => Ok(Fetched::Changed),
        GetOutcome::Found(head, mut body) => {
            let mut chunks = Vec::new();
            while let Some(chunk) = body.chunk().await? {
                chunks.push(chunk);
            }
            Ok(Fetched::Whole { chunks, version: head.version_id })
        }
    }
}
