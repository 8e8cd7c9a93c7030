//! Content hashes: ids and keys that derive from what they name.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// Hex SHA-256 of bytes.
pub fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|nibble| char::from_digit(u32::from(nibble), 16))
        .collect()
}

/// The first 128 bits of the SHA-256 of a value's JSON, as a number: no two values that are met have the same.
pub fn bits_of_json(value: &impl Serialize) -> u128 {
    let digest = Sha256::digest(serde_json::to_vec(value).unwrap_or_default());
    digest.iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte))
}

/// Hex SHA-256 of a value's JSON. Types hashed here have a fixed field order and no maps without order.
pub fn hex_of_json(value: &impl Serialize) -> String {
    // Types of this crate serialise without failure; an empty text would still be a fixed, harmless id.
    hex(&serde_json::to_vec(value).unwrap_or_default())
}
