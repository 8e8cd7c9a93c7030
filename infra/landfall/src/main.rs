//! The operator's command line. All behaviour is in the library.

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    landfall::run(landfall::Arguments::parse()).await
}
