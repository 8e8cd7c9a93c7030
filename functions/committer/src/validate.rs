//! Validation of a staged file against the outcome: size, entity tag, checksum; of Parquet footer, schema and rows, of JSON lines
//! every record counted.

use crc_fast::{CrcAlgorithm, Digest};
use landfall_core::delivery::PinnedConfig;
use landfall_core::error::PortError;
use landfall_core::layout::FileFormat;
use landfall_core::port::{Bucket, GetOutcome, ObjectBody as _, ObjectStore};
use landfall_core::record::OutcomeFile;
use landfall_parquet::recount::{Recount, RecountError};
use landfall_parquet::validate::{TAIL_BYTES, check_footer, footer_bytes};

/// Why a staged file is not valid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Invalid {
    /// The client's store failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// There is no such file.
    #[error("it is gone")]
    Gone,
    /// The file differs from what the outcome names.
    #[error("{0}")]
    Differs(String),
}

/// Checks one staged file, every byte of it.
///
/// # Errors
/// [`Invalid::Differs`] names the first difference, [`Invalid::Gone`] says that there is nothing to check.
pub(crate) async fn validate_file<S: ObjectStore>(
    store: &S,
    bucket: &Bucket,
    file: &OutcomeFile,
    pin: &PinnedConfig,
) -> Result<(), Invalid> {
    let differs = |what: String| Err(Invalid::Differs(what));
    let Some(head) = store.head(bucket, &file.temp_key).await? else {
        return Err(Invalid::Gone);
    };
    if head.etag != file.etag || head.size != file.bytes {
        return differs(format!(
            "entity tag {} and {} bytes, staged were {} and {} bytes",
            head.etag, head.size, file.etag, file.bytes
        ));
    }
    let sum = match head.crc64nvme {
        // The store computed it when the bytes arrived, and keeps it with them.
        Some(sum) => sum,
        None => checksum(store, bucket, &file.temp_key, &file.etag).await?,
    };
    if hex(sum) != file.crc64nvme {
        return differs(format!("checksum {}, the outcome names {}", hex(sum), file.crc64nvme));
    }

    let rows = match pin.layout.format {
        FileFormat::Parquet => rows_of_footer(store, bucket, file, pin).await?,
        FileFormat::Jsonl => rows_of_lines(store, bucket, file, pin).await?,
    };
    if rows != file.rows {
        return differs(format!("{rows} rows, the outcome names {}", file.rows));
    }
    Ok(())
}

/// The rows of a Parquet file, whose footer is checked.
async fn rows_of_footer<S: ObjectStore>(
    store: &S,
    bucket: &Bucket,
    file: &OutcomeFile,
    pin: &PinnedConfig,
) -> Result<u64, Invalid> {
    let tail = read_tail(store, bucket, file, TAIL_BYTES).await?;
    let length = footer_bytes(&tail).map_err(|error| Invalid::Differs(error.to_string()))?;
    if length > file.bytes {
        return Err(Invalid::Differs(format!("its footer claims {length} of {} bytes", file.bytes)));
    }
    let footer = read_tail(store, bucket, file, length).await?;
    let summary = check_footer(&footer, file.bytes, &pin.file_columns())
        .map_err(|error| Invalid::Differs(error.to_string()))?;
    Ok(summary.rows)
}

/// The records of a file of JSON lines, which is decompressed to its end.
async fn rows_of_lines<S: ObjectStore>(
    store: &S,
    bucket: &Bucket,
    file: &OutcomeFile,
    pin: &PinnedConfig,
) -> Result<u64, Invalid> {
    let differs = |error: RecountError| Invalid::Differs(error.to_string());
    let mut recount = Recount::new(pin.layout.compression).map_err(differs)?;
    let mut body = open(store, bucket, &file.temp_key, &file.etag, None).await?;
    while let Some(chunk) = body.chunk().await? {
        recount.push(&chunk).map_err(differs)?;
    }
    recount.finish().map_err(differs)
}

/// The CRC-64/NVME of an object, read whole.
///
/// # Errors
/// When the store fails or the object is not the one with `etag`.
pub(crate) async fn checksum<S: ObjectStore>(
    store: &S,
    bucket: &Bucket,
    key: &str,
    etag: &str,
) -> Result<u64, Invalid> {
    let mut body = open(store, bucket, key, etag, None).await?;
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    while let Some(chunk) = body.chunk().await? {
        digest.update(&chunk);
    }
    Ok(digest.finalize())
}

/// Begins to read the object with `etag`, or the bytes of a range of it.
async fn open<S: ObjectStore>(
    store: &S,
    bucket: &Bucket,
    key: &str,
    etag: &str,
    range: Option<(u64, u64)>,
) -> Result<S::Body, Invalid> {
    match store.get(bucket, key, Some(etag), range).await? {
        GetOutcome::Found(_, body) => Ok(body),
        GetOutcome::Absent => Err(Invalid::Gone),
        GetOutcome::Changed => Err(Invalid::Differs("it changed while it was read".to_owned())),
    }
}

/// A checksum as records carry it.
pub(crate) fn hex(sum: u64) -> String {
    format!("{sum:016x}")
}

async fn read_tail<S: ObjectStore>(
    store: &S,
    bucket: &Bucket,
    file: &OutcomeFile,
    length: u64,
) -> Result<Vec<u8>, Invalid> {
    let from = file.bytes.saturating_sub(length);
    let range = Some((from, file.bytes.saturating_sub(1)));
    let mut body = open(store, bucket, &file.temp_key, &file.etag, range).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = body.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
