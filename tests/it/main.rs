//! Tests that see the whole workspace: its structure, its ports, its pipeline.
#![allow(unreachable_pub, reason = "nothing of a test binary can be reached from outside")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "helpers of tests fail like tests; clippy's own exception covers only the test functions"
)]

mod architecture;
mod audit;
mod catalog_outage;
mod commit;
mod conformance;
mod conformance_ministack;
mod documents;
mod evolving;
mod fairness;
mod figures;
mod halves;
mod holds;
mod isolated;
mod large_batches;
mod late;
mod leftovers;
mod merge_inputs;
mod multipart;
mod notices;
mod observed;
mod ordered;
mod outputs;
mod overtaken;
mod parquet_inputs;
mod parquet_rows;
mod parts;
mod pipeline;
mod planning;
mod privileges;
mod pruning;
mod races;
mod rebuild;
mod reconfigured;
mod redriven;
mod scene;
mod sessions;
mod simulated;
#[allow(dead_code, reason = "the program `simulate` uses the rest")]
mod simulator;
mod staged;
mod template;
mod unheard;
mod upgraded;
mod voided;
mod voids;
