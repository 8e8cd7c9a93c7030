//! Room for the next rows: the memory of rows that are encoded, or new memory for as many as the last time.
//!
//! An allocator gives what is freed back to the kernel within milliseconds, and the kernel clears it before it gives it out
//! again. Columns that take turns in the same memory pay for that once.

use arrow_array::{Array, RecordBatch};
use arrow_buffer::{ArrowNativeType, Buffer};
use arrow_data::ArrayData;

/// Memory that is so many times larger than what is wanted is given back: one long text must not be paid for to the end.
const MOST: usize = 4;
/// What is smaller, in bytes, is never given back for its size.
const SMALL: usize = 4 * 1024;

/// Empties a vector that stays where it is, within the same bounds.
pub(super) fn empty<T>(vector: &mut Vec<T>) {
    let most = most::<T>(vector.len());
    vector.clear();
    vector.shrink_to(most);
}

/// The most values that memory for `count` of them may have room for.
fn most<T>(count: usize) -> usize {
    count.saturating_mul(MOST).max(SMALL / size_of::<T>().max(1))
}

/// A column that nobody reads any more, taken apart. Without a column it is empty.
#[derive(Debug, Default)]
pub(super) struct Spent {
    buffers: std::vec::IntoIter<Buffer>,
    children: std::vec::IntoIter<ArrayData>,
}

impl Spent {
    /// The columns of a batch. What others still hold of it is of no use.
    pub(super) fn columns(batch: RecordBatch) -> impl Iterator<Item = Self> {
        // The batch is gone before the first of them is asked for its memory.
        let columns: Vec<ArrayData> = batch.columns().iter().map(Array::to_data).collect();
        drop(batch);
        columns.into_iter().map(Self::new)
    }

    fn new(data: ArrayData) -> Self {
        let (_, _, _, _, buffers, children) = data.into_parts();
        Self { buffers: buffers.into_iter(), children: children.into_iter() }
    }

    /// The column within, the first one first.
    pub(super) fn child(&mut self) -> Self {
        self.children.next().map(Self::new).unwrap_or_default()
    }

    /// An empty vector with room for about `count` values: made of the next buffer, if it has the right size.
    pub(super) fn vector<T: ArrowNativeType>(&mut self, count: usize) -> Vec<T> {
        let most = most::<T>(count);
        let used = self.buffers.next().and_then(|buffer| buffer.into_vec::<T>().ok());
        match used {
            Some(mut vector) if (count..=most).contains(&vector.capacity()) => {
                vector.clear();
                vector
            }
            // Growing is dearer than room.
            _ => Vec::with_capacity(count + count / 8),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, ListArray, StringArray, StructArray};
    use arrow_schema::{DataType, Field};

    use super::*;

    fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
        let names = ["a", "b", "c"];
        RecordBatch::try_from_iter(names.into_iter().zip(columns)).unwrap()
    }

    fn numbers(count: i64) -> ArrayRef {
        Arc::new(Int64Array::from((0..count).collect::<Vec<_>>()))
    }

    #[test]
    fn memory_is_used_again_unless_somebody_holds_it() {
        let column = numbers(1000);
        let held = numbers(1000);
        let place = column.to_data().buffers()[0].as_ptr();
        let both = batch(vec![column, held.clone()]);
        let mut spent = Spent::columns(both);

        let vector = spent.next().unwrap().vector::<i64>(900);
        assert!(vector.is_empty());
        assert_eq!(vector.as_ptr().cast::<u8>(), place);
        let fresh = spent.next().unwrap().vector::<i64>(900);
        assert_ne!(fresh.as_ptr().cast::<u8>(), held.to_data().buffers()[0].as_ptr());
        assert!(spent.next().is_none());
    }

    #[test]
    fn memory_of_another_size_is_given_back() {
        for (had, wanted, used) in
            [(1000, 1001, false), (1000, 1000, true), (1000, 250, true), (1000, 249, false), (500, 1, true)]
        {
            let column = numbers(had);
            let place = column.to_data().buffers()[0].as_ptr();
            let vector = Spent::columns(batch(vec![column])).next().unwrap().vector::<i64>(wanted);
            assert!(vector.capacity() >= wanted);
            let same =
                vector.as_ptr().cast::<u8>() == place && vector.capacity() >= usize::try_from(had).unwrap();
            assert_eq!(same, used, "{had} {wanted}");
        }
    }

    #[test]
    fn what_was_once_large_does_not_stay_so() {
        let mut vector: Vec<i64> = vec![1; 1_000_000];
        empty(&mut vector);
        assert!(vector.is_empty() && vector.capacity() >= 1_000_000);
        vector.extend([1; 1000]);
        empty(&mut vector);
        assert!(vector.capacity() <= 4000, "{}", vector.capacity());
    }

    #[test]
    fn nested_columns_are_taken_apart_in_their_order() {
        let ends = arrow_buffer::OffsetBuffer::from_lengths([9; 2000]);
        let bytes = Buffer::from_vec(b"some text".repeat(2000));
        let texts: ArrayRef = Arc::new(StringArray::new(ends, bytes, None));
        let places: Vec<_> = texts.to_data().buffers().iter().map(Buffer::as_ptr).collect();
        let item = Arc::new(Field::new("item", DataType::Utf8, true));
        let offsets = arrow_buffer::OffsetBuffer::from_lengths([1500, 500]);
        let list: ArrayRef = Arc::new(ListArray::new(item, offsets, texts, None));
        let member = Arc::new(Field::new("m", list.data_type().clone(), true));
        let record: ArrayRef = Arc::new(StructArray::from(vec![(member, list)]));

        let mut record = Spent::columns(batch(vec![record])).next().unwrap();
        let mut list = record.child();
        assert!(list.vector::<i32>(2).capacity() >= 2);
        let mut texts = list.child();
        let (ends, bytes) = (texts.vector::<i32>(2000), texts.vector::<u8>(18_000));
        assert_eq!([ends.as_ptr().cast(), bytes.as_ptr()], places[..]);
        assert!(texts.child().vector::<i64>(0).is_empty());
    }
}
