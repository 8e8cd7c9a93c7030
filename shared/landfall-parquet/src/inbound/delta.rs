//! The lengths of byte strings, where a page holds them apart (DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY).
//!
//! The `parquet` crate reserves room for as many lengths as a page claims, and puts each string of a DELTA_BYTE_ARRAY page
//! together from the one before: a page of a few bytes can claim any number of them, or come to more than any memory. So the
//! lengths are read first, and only added up.

/// Lengths that are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lengths {
    /// How many there are.
    pub(super) count: u64,
    /// What they come to.
    pub(super) sum: u64,
    /// Where they end.
    pub(super) end: usize,
}

/// Values of a block, at most: no writer makes them larger than some hundreds.
const BLOCK_VALUES: u64 = 1 << 20;

/// Adds up lengths (DELTA_BINARY_PACKED), of which there may be at most so many. `None` when they are not well-formed, or one is
/// negative.
pub(super) fn lengths(bytes: &[u8], most: u64) -> Option<Lengths> {
    let mut rest = bytes;
    let block = varint(&mut rest)?;
    let minis = varint(&mut rest)?;
    let count = varint(&mut rest)?;
    let mut last = zigzag(&mut rest)?;
    let sound = count <= most
        && (1..=BLOCK_VALUES).contains(&block)
        && (1..=block).contains(&minis)
        && block % minis == 0
        && (block / minis).is_multiple_of(32);
    if !sound {
        return None;
    }
    let per_mini = usize::try_from(block / minis).ok()?;
    let mut sum = if count == 0 { 0 } else { u64::from(u32::try_from(last).ok()?) };
    let mut left = usize::try_from(count).ok()?.saturating_sub(1);
    while left > 0 {
        let least = zigzag(&mut rest)?;
        let (widths, data) = rest.split_at_checked(usize::try_from(minis).ok()?)?;
        rest = data;
        for width in widths {
            if left == 0 {
                // What stands of a block beyond the last value has no data.
                break;
            }
            let width = usize::from(*width);
            let (data, after) = rest.split_at_checked(per_mini * width / 8).filter(|_| width <= 32)?;
            rest = after;
            for index in 0..left.min(per_mini) {
                let delta = i32::from_le_bytes(packed(data, index, width).to_le_bytes());
                last = last.wrapping_add(least).wrapping_add(delta);
                sum += u64::from(u32::try_from(last).ok()?);
            }
            left = left.saturating_sub(per_mini);
        }
    }
    Some(Lengths { count, sum, end: bytes.len() - rest.len() })
}

/// The number of so many bits at a place.
fn packed(data: &[u8], index: usize, width: usize) -> u32 {
    let bit = index * width;
    let bytes = data.get(bit / 8..).unwrap_or_default().iter().take(5).enumerate();
    let word = bytes.fold(0_u64, |word, (place, byte)| word | (u64::from(*byte) << (8 * place)));
    let value = (word >> (bit % 8)) & ((1 << width) - 1);
    u32::try_from(value).unwrap_or_default()
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A number with its sign, of 32 bits.
fn zigzag(rest: &mut &[u8]) -> Option<i32> {
    let value = varint(rest)?;
    i32::try_from((value >> 1).cast_signed() ^ -(value & 1).cast_signed()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_added_up() {
        // Blocks of 128 in 4; 1, 2, 3, 4, 5: differences of 1, none beyond it.
        let header = |count| [0x80, 1, 4, count, 2];
        let bytes = [&header(5)[..], &[2, 0, 0, 0, 0], b"rest"].concat();
        assert_eq!(lengths(&bytes, 5), Some(Lengths { count: 5, sum: 15, end: 10 }));
        assert_eq!(lengths(&bytes, 4), None, "more than there may be");
        // One alone has no block; none has none either.
        assert_eq!(lengths(&header(1), 9), Some(Lengths { count: 1, sum: 1, end: 5 }));
        assert_eq!(lengths(&header(0), 9), Some(Lengths { count: 0, sum: 0, end: 5 }));
        // Differences of three bits: 1 and then 7 more, 0 more; the rest of the block is zeros.
        let packed = [&[0b0000_0111][..], &[0; 11]].concat();
        let bytes = [&header(3)[..], &[0, 3, 0, 0, 0], &packed].concat();
        assert_eq!(lengths(&bytes, 3), Some(Lengths { count: 3, sum: 1 + 8 + 8, end: bytes.len() }));
        assert_eq!(lengths(&bytes[..bytes.len() - 1], 3), None);
        // 1 and then 1 less, and 1 less again.
        assert_eq!(lengths(&[&header(3)[..], &[1, 0, 0, 0, 0]].concat(), 3), None);
        for broken in
            [&[][..], &[0x80, 1, 4], &[0, 4, 1, 2], &[0x80, 1, 0, 1, 2], &[0x80, 1, 3, 1, 2], &[0xff; 20]]
        {
            assert_eq!(lengths(broken, 9), None, "{broken:?}");
        }
    }
}
