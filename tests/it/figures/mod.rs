//! The figures of `docs/figures.md`: small in every test run, in full by `make file-sizes`, `make determinism` and
//! `make request-cost`, which set the variables that are read here.

mod determinism;
mod file_sizes;
mod memory;
mod prices;
mod producer;
mod request_cost;

use std::str::FromStr;

/// What a variable of the environment says, or `otherwise` where it is not set.
fn asked<T: FromStr>(variable: &str, otherwise: T) -> T {
    let Ok(text) = std::env::var(variable) else { return otherwise };
    text.parse().unwrap_or_else(|_| panic!("{variable}={text:?} is no number"))
}

/// A whole number with commas.
fn grouped(number: u64) -> String {
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
