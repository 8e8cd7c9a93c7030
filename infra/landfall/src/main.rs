//! The operator's command line. All behaviour is in the library.

// The futures of the AWS clients nest deeply.
#![recursion_limit = "512"]

use std::process::ExitCode;

use clap::Parser as _;

/// Rows wait in vectors that grow and go by the megabyte: the allocator of the C library gives their pages back to the kernel each
/// time, which costs an eighth of a merge, and a quarter where records have hundreds of columns.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    landfall::run(landfall::Arguments::parse()).await
}
