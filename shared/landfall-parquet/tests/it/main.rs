//! Tests of the merge engine through its public API.

#![cfg(test)]

mod arrays;
mod codecs;
mod cutting;
mod determinism;
mod footer;
mod isolation;
mod kit;
mod records;
mod round_trip;
mod routing;
