//! Drawing numbers, texts and choices: the same seed draws the same ones.

use std::io::Write as _;

use crate::words::WORDS;

/// A sequence of numbers (SplitMix64).
#[derive(Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        let mut draw = Self(seed.wrapping_mul(0xD1B5_4A32_D192_ED03));
        // Seeds that stand side by side shall not begin alike.
        draw.number();
        draw
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut drawn = self.0;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        drawn ^ (drawn >> 31)
    }

    /// Below `bound`; 0 for a bound of 0. The bias is of no matter here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound.max(1)
    }

    /// Small numbers more often than great ones, below `bound`: as brands, pages and words come.
    pub(crate) fn skewed(&mut self, bound: u64) -> u64 {
        let most = self.below(bound) + 1;
        self.below(most)
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    pub(crate) fn one_of(&mut self, choices: &[&'static str]) -> &'static str {
        let index = usize::try_from(self.below(choices.len() as u64)).unwrap_or(0);
        choices.get(index).copied().unwrap_or_default()
    }

    /// Appends some words of a vocabulary, with spaces between them.
    pub(crate) fn words(&mut self, count: u64, vocabulary: u64, out: &mut Vec<u8>) {
        for index in 0..count {
            if index > 0 {
                out.push(b' ');
            }
            let number = self.skewed(vocabulary);
            let word = usize::try_from(number).unwrap_or(0) % WORDS.len();
            out.extend_from_slice(WORDS.get(word).copied().unwrap_or_default().as_bytes());
            // A vocabulary is greater than our list: further words are made of it by an ending.
            let round = number / WORDS.len() as u64;
            if round > 0 {
                put(out, format_args!("{round}"));
            }
        }
    }
}

/// Appends a formatted text.
pub(crate) fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    if out.write_fmt(text).is_err() {
        out.clear();
    }
}
