//! Checksums and entity tags as the fake's store computes them.

use base64::Engine as _;
use crc_fast::CrcAlgorithm;

/// CRC-64/NVME of a whole object.
pub fn crc64nvme(bytes: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes)
}

/// CRC-32C, base64 of its four bytes in big-endian order, as S3 shows it.
pub fn crc32c(bytes: &[u8]) -> String {
    let sum = u32::try_from(crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes)).unwrap_or_default();
    base64::engine::general_purpose::STANDARD.encode(sum.to_be_bytes())
}

/// 32 hex digits that derive from the content, in the form of an MD5.
pub(crate) fn etag(bytes: &[u8]) -> String {
    landfall_core::hash::hex(bytes).chars().take(32).collect()
}

/// The entity tag of a completed upload: derived from the tags of its parts, with their number.
pub(crate) fn multipart_etag(parts: &[String]) -> String {
    format!("{}-{}", etag(parts.concat().as_bytes()), parts.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_the_published_ones() {
        // The check value of CRC-64/NVME and of CRC-32C (0xE3069283) for "123456789".
        assert_eq!(crc64nvme(b"123456789"), 0xAE8B_1486_0A79_9888);
        assert_eq!(crc32c(b"123456789"), "4waSgw==");
    }
}
