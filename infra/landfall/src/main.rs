//! The operator's command line. All behaviour is in the library.

// The futures of the AWS clients nest deeply.
#![recursion_limit = "512"]

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    landfall::run(landfall::Arguments::parse()).await
}
