//! Tests of the merge engine through its public API.

#![cfg(test)]

mod codecs;
mod cutting;
mod determinism;
mod footer;
mod given;
mod infer;
mod isolation;
mod kit;
mod records;
mod round_trip;
mod routing;
