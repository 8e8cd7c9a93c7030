//! How large a file its inputs will make: output bytes per listed byte, learned from outcomes; and over how many
//! partitions the records of an intent spread.

use std::collections::BTreeMap;

/// The form of a staged object, as its name suggests. Only the prediction of sizes trusts a name; the engine
/// looks at the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InputForm {
    /// Plain text.
    Plain,
    /// gzip, zstd or Parquet.
    Compressed,
}

/// The form a key's ending suggests.
pub fn input_form(key: &str) -> InputForm {
    let ending = key.rsplit('.').next().unwrap_or_default();
    if ["gz", "gzip", "zst", "zstd", "parquet"].iter().any(|known| ending.eq_ignore_ascii_case(known)) {
        InputForm::Compressed
    } else {
        InputForm::Plain
    }
}

/// How many outcomes a learned ratio needs.
const ENOUGH: u64 = 3;

/// How often an intent lists again what it is predicted to need, while nothing is learned: the file is full even where
/// inputs shrink eight times as much as is guessed (plain text 64 times). Much less would not do: readings of few distinct
/// values shrink 40 times.
const UNLEARNED_RESERVE: u64 = 7;

/// Sums over recent outcomes of one delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ratios {
    seen: BTreeMap<InputForm, Seen>,
    /// Sum of the partitions of outcomes with files, and how many those are.
    partitions: (u64, u64),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    outcomes: u64,
    listed: u64,
    output: u64,
    raw: u64,
}

impl Ratios {
    /// Learns from an outcome whose inputs were all of one form: bytes listed, decoded and written.
    pub fn learn(&mut self, form: InputForm, listed: u64, raw: u64, output: u64) {
        if listed == 0 {
            return;
        }
        let seen = self.seen.entry(form).or_default();
        seen.outcomes += 1;
        seen.listed = seen.listed.saturating_add(listed);
        seen.output = seen.output.saturating_add(output);
        seen.raw = seen.raw.saturating_add(raw);
    }

    /// Learns over how many partitions the files of an outcome spread.
    pub fn learn_partitions(&mut self, partitions: usize) {
        if partitions > 0 {
            self.partitions.0 = self.partitions.0.saturating_add(partitions as u64);
            self.partitions.1 += 1;
        }
    }

    /// Over how many partitions the records of an intent are expected to spread, 1 or more.
    pub fn expected_partitions(&self) -> u64 {
        let (sum, outcomes) = self.partitions;
        sum.div_ceil(outcomes.max(1)).max(1)
    }

    /// Predicted output of `listed` bytes. Before three outcomes: an eighth of plain text, all of compressed.
    pub fn output_bytes(&self, form: InputForm, listed: u64) -> u64 {
        match self.learned(form) {
            Some(seen) => scale(listed, seen.output, seen.listed),
            None => match form {
                InputForm::Plain => listed / 8,
                InputForm::Compressed => listed,
            },
        }
    }

    /// Predicted decoded bytes of `listed` bytes. Before three outcomes: ten times of compressed.
    pub fn raw_bytes(&self, form: InputForm, listed: u64) -> u64 {
        match (form, self.learned(form)) {
            (InputForm::Plain, _) => listed,
            (InputForm::Compressed, Some(seen)) => scale(listed, seen.raw, seen.listed),
            (InputForm::Compressed, None) => listed.saturating_mul(10),
        }
    }

    /// How many inputs an intent lists beyond those predicted to fill its file: a quarter, so that a prediction that is a
    /// little off still fills it. Before anything is learned the prediction is a guess, and a backlog that is planned in one
    /// pass would make short files of all of it: then seven times as many, as far as an execution can decode them
    /// (`most_raw` bytes; the predicted ones are `raw`). What is not needed comes free with the outcome.
    pub fn reserve(&self, form: InputForm, predicted: usize, raw: u64, most_raw: u64) -> usize {
        let quarter = predicted.div_ceil(4);
        if self.learned(form).is_some() {
            return quarter;
        }
        let times = (most_raw / raw.max(1)).saturating_sub(1).min(UNLEARNED_RESERVE);
        quarter.max(predicted.saturating_mul(usize::try_from(times).unwrap_or(usize::MAX)))
    }

    fn learned(&self, form: InputForm) -> Option<&Seen> {
        self.seen.get(&form).filter(|seen| seen.outcomes >= ENOUGH && seen.listed > 0)
    }
}

fn scale(value: u64, numerator: u64, denominator: u64) -> u64 {
    let scaled = u128::from(value) * u128::from(numerator) / u128::from(denominator.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}
