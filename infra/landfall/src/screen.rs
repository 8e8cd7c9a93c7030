//! What the operator sees: results on standard output, progress and errors on standard error.

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal as _, Stderr, Stdout, Write as _};

use landfall_core::error::chain;

/// The operator's screen. A reader that closed its end is no failure of ours.
#[derive(Debug)]
pub(crate) struct Screen {
    results: Stdout,
    way: Stderr,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self { results: io::stdout(), way: io::stderr() }
    }

    /// Whether progress can be drawn over itself.
    pub(crate) fn is_terminal(&self) -> bool {
        self.way.is_terminal()
    }

    /// A line of the result.
    pub(crate) fn line(&self, text: impl fmt::Display) {
        drop(writeln!(self.results.lock(), "{text}"));
    }

    /// A line about the way there.
    pub(crate) fn note(&self, text: impl fmt::Display) {
        drop(writeln!(self.way.lock(), "{text}"));
    }

    /// Why it ended.
    pub(crate) fn error(&self, error: &(dyn Error + 'static)) {
        let text = error.to_string();
        // Accounts of several lines stand as they are; what they were caused by is in them.
        let text = if text.contains('\n') { text } else { chain(error) };
        drop(writeln!(self.way.lock(), "landfall: {text}"));
    }

    /// A table: the first row is the head, numbers stand to the right.
    pub(crate) fn table(&self, rows: &[Vec<String>]) {
        let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in rows {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| {
                    let number =
                        cell.chars().all(|c| c.is_ascii_digit() || ",.".contains(c)) && !cell.is_empty();
                    if number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                })
                .collect();
            self.line(format_args!("  {}", cells.join("  ").trim_end()));
        }
    }
}

/// A number with a comma between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (336_776, "336,776"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
