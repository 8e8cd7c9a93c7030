//! The operator's command line. All behaviour is in the library.

// The futures of the AWS clients nest deeply.
#![recursion_limit = "512"]

use std::process::ExitCode;

use clap::Parser as _;

/// Rows wait in vectors that grow and go by the megabyte. The allocator of the C library gives their pages back to the kernel each
/// time, which costs up to a tenth of a merge, and a fifth where many small Parquet objects are read (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    landfall::run(landfall::Arguments::parse()).await
}
