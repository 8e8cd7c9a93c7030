//! Which of the rows that wait are written together.

use std::collections::BTreeMap;

use crate::route::PartitionId;

/// The fewest rows that are worth writing at once, unless they weigh more than this.
const SLICE_ROWS: u64 = 2048;
const WIDE_SLICE_BYTES: u64 = 16 * 1024 * 1024;

/// The weight of the rows that are written at once, for files of `target` bytes with records that weigh `record_bytes` before
/// their lists and texts: a 32nd of the target, as a file's size is looked at between two slices. More where records have
/// so many columns that a slice would be few rows: entering a column costs as much as a thousand values, and most of what
/// such records weigh are nulls, which become nothing in a file.
pub(crate) fn slice_weight(target: u64, record_bytes: u64) -> u64 {
    let rows = record_bytes.saturating_mul(SLICE_ROWS).min(WIDE_SLICE_BYTES).min(target / 8);
    (target / 32).clamp(4 * 1024, 4 * 1024 * 1024).max(rows)
}

/// The rows of each partition, partitions in the order of their first row; `None` stands for all rows.
pub(crate) fn by_partition(waiting: &[(u64, PartitionId)]) -> Vec<(PartitionId, Option<Vec<u32>>)> {
    let Some((_, first)) = waiting.first() else { return Vec::new() };
    if waiting.iter().all(|(_, partition)| partition == first) {
        return vec![(*first, None)];
    }
    let mut places: BTreeMap<PartitionId, usize> = BTreeMap::new();
    let mut parts: Vec<(PartitionId, Option<Vec<u32>>)> = Vec::new();
    for (index, (_, partition)) in waiting.iter().enumerate() {
        let place = *places.entry(*partition).or_insert_with(|| {
            parts.push((*partition, Some(Vec::new())));
            parts.len() - 1
        });
        if let (Some((_, Some(indices))), Ok(index)) = (parts.get_mut(place), u32::try_from(index)) {
            indices.push(index);
        }
    }
    parts
}
