//! What a seed draws from.

use testkit::fake::Random;

/// Replayable chance with the questions that scenarios ask.
#[derive(Debug, Clone)]
pub struct Chance(Random);

impl Chance {
    /// One of several independent streams of a seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut random = Random::new(seed.wrapping_mul(0x2545_F491_4F6C_DD1D) ^ (stream << 56));
        random.below(1);
        Self(random)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    /// A number from `least` to `most`.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.0.below(most - least + 1)
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.0.below(times) == 0
    }

    /// An index of a list of this length.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.0.below(length as u64)).unwrap_or(0)
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }
}
