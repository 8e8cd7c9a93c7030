//! Which values of a column are null.

use arrow_buffer::{NullBuffer, NullBufferBuilder};

/// The nulls of a column while it grows. Values that are none cost an addition each: most columns have few nulls, or none.
#[derive(Debug)]
pub(super) struct Nulls {
    builder: NullBufferBuilder,
    /// How many of the last values are no nulls, and not in `builder` yet.
    valid: usize,
}

impl Nulls {
    /// Of no values, with room for `count`.
    pub(super) fn new(count: usize) -> Self {
        Self { builder: NullBufferBuilder::new(count), valid: 0 }
    }

    #[inline]
    pub(super) fn push_valid(&mut self) {
        self.valid += 1;
    }

    /// Appends `count` nulls.
    #[inline]
    pub(super) fn push_nulls(&mut self, count: usize) {
        self.settle();
        match count {
            0 => {}
            1 => self.builder.append_null(),
            count => self.builder.append_n_nulls(count),
        }
    }

    /// Cuts back to `length` values.
    pub(super) fn truncate(&mut self, length: usize) {
        let settled = self.builder.len();
        if length < settled {
            self.builder.truncate(length);
        }
        self.valid = length.saturating_sub(settled).min(self.valid);
    }

    /// Whether the last value is there, and no null.
    pub(super) fn last_is_valid(&self) -> bool {
        self.valid > 0 || self.builder.len().checked_sub(1).is_some_and(|last| self.builder.is_valid(last))
    }

    /// The nulls of all values, if there is one; room for as many values is left. Nulls that were cut off again leave no trace:
    /// where pages end depends on whether there is a bitmap.
    pub(super) fn take(&mut self) -> Option<NullBuffer> {
        self.settle();
        let next = Self::new(self.builder.len());
        std::mem::replace(self, next).builder.build().filter(|nulls| nulls.null_count() > 0)
    }

    #[inline]
    fn settle(&mut self) {
        match std::mem::take(&mut self.valid) {
            0 => {}
            1 => self.builder.append_non_null(),
            count => self.builder.append_n_non_nulls(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Valid(usize),
        Nulls(usize),
        Truncate(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (1_usize..20).prop_map(Step::Valid),
            (0_usize..20).prop_map(Step::Nulls),
            (0_usize..60).prop_map(Step::Truncate),
        ];
        proptest::collection::vec(step, 0..40)
    }

    proptest! {
        #[test]
        fn it_is_a_vector_of_whether_values_are_there(steps in steps()) {
            let (mut nulls, mut model) = (Nulls::new(0), Vec::new());
            for step in steps {
                match step {
                    Step::Valid(count) => {
                        (0..count).for_each(|_| nulls.push_valid());
                        model.resize(model.len() + count, true);
                    }
                    Step::Nulls(count) => {
                        nulls.push_nulls(count);
                        model.resize(model.len() + count, false);
                    }
                    Step::Truncate(length) => {
                        let length = length.min(model.len());
                        nulls.truncate(length);
                        model.truncate(length);
                    }
                }
                prop_assert_eq!(nulls.builder.len() + nulls.valid, model.len());
                prop_assert_eq!(nulls.last_is_valid(), model.last().copied().unwrap_or(false));
            }
            match nulls.take() {
                Some(built) => {
                    prop_assert!(model.contains(&false));
                    prop_assert_eq!(built.iter().collect::<Vec<_>>(), model);
                }
                None => prop_assert!(!model.contains(&false)),
            }
            prop_assert!(!nulls.last_is_valid());
        }
    }
}
