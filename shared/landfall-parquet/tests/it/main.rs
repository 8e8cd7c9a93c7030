//! Tests of the merge engine through its public API.

#![cfg(test)]

mod arrays;
mod codecs;
mod cutting;
mod determinism;
mod dictionaries;
mod evolve;
mod footer;
mod given;
mod infer;
mod infer_mixed;
mod isolation;
mod kit;
mod lines;
mod parquet;
mod parquet_bombs;
mod parquet_claims;
mod parquet_given;
mod parquet_values;
mod records;
mod round_trip;
mod routing;
mod row_groups;
mod unique;
