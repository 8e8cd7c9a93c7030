//! The operator's command line of landfall: check documents, convert local files with the merge engine alone, and run
//! the whole chain in the embedded AWS, for a user's own files or as the demo.
//!
//! Exit codes: 0 done, 1 a check found something (a refused document, rows that do not add up) or an
//! action does not apply, 2 it could not be done.

mod arguments;
mod convert;
mod demo;
mod documents;
mod error;
mod files;
mod infer;
mod kill_test;
mod local;
mod log;
mod operate;
mod progress;
mod proof;
mod read_ahead;
mod report;
mod run;
mod screen;
mod serve;
mod tally;

use std::process::ExitCode;

pub use arguments::Arguments;
pub use convert::{ConvertSummary, convert};
pub use error::CommandError;
pub use files::{InputFile, input_files, staged_keys};
pub use report::Report;

use arguments::Command;
use screen::Screen;

/// What a command found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// All is well.
    Sound,
    /// A check failed, and said why.
    Unsound,
}

/// Runs one command to its end and says how it went.
pub async fn run(arguments: Arguments) -> ExitCode {
    let screen = Screen::new();
    let answer = match arguments.command {
        Command::Validate(arguments) => documents::validate(&screen, &arguments.documents),
        Command::Schema => documents::schema(&screen),
        Command::Convert(arguments) => convert::command(&screen, &arguments),
        Command::Infer(arguments) => infer::command(&screen, &arguments),
        Command::Local(arguments) => local::command(&screen, &arguments).await,
        Command::Verify(arguments) => local::verify_command(&screen, &arguments).await,
        Command::Demo(arguments) => demo::command(&screen, &arguments).await,
        Command::KillTest(arguments) => kill_test::command(&screen, &arguments).await,
        Command::Log(arguments) => log::command(&screen, &arguments).await,
        Command::Redeliver(arguments) => operate::redeliver(&screen, &arguments).await,
        Command::Discard(arguments) => operate::discard(&screen, &arguments).await,
        Command::Resolve(arguments) => operate::resolve(&screen, &arguments).await,
        Command::Serve(arguments) => serve::command(&screen, &arguments).await,
    };
    match answer {
        Ok(Finding::Sound) => ExitCode::SUCCESS,
        Ok(Finding::Unsound) => ExitCode::from(1),
        Err(error) => {
            screen.error(&error);
            ExitCode::from(2)
        }
    }
}
