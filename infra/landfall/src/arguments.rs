//! What can be asked for.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;

/// Delivers small staged files as checked Parquet into clients' data lakes.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check delivery documents, each in itself and all against each other
    Validate(Validate),
    /// Print the JSON Schema of delivery documents
    Schema,
    /// Merge local files with the engine alone, without AWS; what is rejected or set aside is told, and is no failure
    Convert(Convert),
    /// Propose a contract that holds all records of local files: the part of a delivery document below `[contract]`. Ends with 1
    /// when something was left out or is not held
    Infer(Infer),
    /// Deliver local files through the whole chain, in an embedded AWS
    Local(Local),
    /// Count again what a run of `local` staged and delivered
    Verify(Verify),
    /// Deliver real data for two clients through the whole chain, in an embedded AWS
    Demo(Demo),
    /// Kill the functions while they deliver, in an embedded AWS, and count every record
    KillTest(KillTest),
    /// Look at the log of deliveries, or check that it can be true (AWS credentials and region from the environment)
    Log(Log),
    /// Let expired intents go on: what of them was not published is delivered as a further part
    Redeliver(Intents),
    /// Give up what of intents that expired, or are held alone, was not published; their inputs are deleted
    Discard(Intents),
    /// Decide a copy that only the client can tell of (`possible_duplicate`)
    Resolve(Resolve),
    /// Keep an embedded AWS with these deliveries until standard input ends
    Serve(Serve),
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// The documents (TOML)
    #[arg(required = true, value_name = "FILE")]
    pub(crate) documents: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// The delivery document: its contract and layout are used
    #[arg(long, value_name = "FILE")]
    pub(crate) delivery: PathBuf,
    /// All files below this folder are read, in the order of their paths
    #[arg(long, value_name = "DIR")]
    pub(crate) input: PathBuf,
    /// Where the files are written; must be empty or not exist
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// The time in file names and metadata (RFC 3339) instead of now: the same input then gives the same bytes
    #[arg(long, value_name = "TIME")]
    pub(crate) file_time: Option<Timestamp>,
}

#[derive(Debug, Args)]
pub(crate) struct Infer {
    /// All files below this folder are read: JSON lines or arrays, plain, gzip or zstd, and Parquet
    #[arg(long, value_name = "DIR")]
    pub(crate) input: PathBuf,
    /// Columns that every record has a value for may not be null
    #[arg(long)]
    pub(crate) required: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Local {
    /// The delivery documents
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub(crate) delivery: Vec<PathBuf>,
    /// All files below this folder are staged, each under its relative path
    #[arg(long, value_name = "DIR")]
    pub(crate) input: PathBuf,
    /// Where the clients' buckets are copied to; must be empty or not exist
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Where the report is written [default: report.json in the output folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Give up after so many seconds without any change
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) patience: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The report of the run
    #[arg(long, value_name = "FILE")]
    pub(crate) report: PathBuf,
    /// The folder that was staged
    #[arg(long, value_name = "DIR")]
    pub(crate) input: PathBuf,
    /// The folder that the clients' buckets were copied to
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Log {
    /// What to do with it
    #[command(subcommand)]
    pub(crate) command: LogCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// A line for each intent of a delivery: state, inputs, files, rows
    Show(LogPlace),
    /// Everything in the logs that cannot be; exit code 1 when there is something
    Verify(LogPlace),
}

#[derive(Debug, Args)]
pub(crate) struct LogPlace {
    #[command(flatten)]
    pub(crate) place: StatePlace,
    /// The deliveries
    #[arg(required = true, value_name = "DELIVERY")]
    pub(crate) deliveries: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StatePlace {
    /// The state bucket of the stack
    #[arg(long, value_name = "BUCKET")]
    pub(crate) bucket: String,
    /// The account that must own it
    #[arg(long, value_name = "ID")]
    pub(crate) account: String,
}

#[derive(Debug, Args)]
pub(crate) struct Intents {
    #[command(flatten)]
    pub(crate) place: StatePlace,
    /// The delivery
    #[arg(value_name = "DELIVERY")]
    pub(crate) delivery: String,
    /// The intents' numbers, as `landfall log show` gives them
    #[arg(required = true, value_name = "INTENT")]
    pub(crate) numbers: Vec<u64>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("resolution").required(true).args(["delivered", "not_delivered"]))]
pub(crate) struct Resolve {
    #[command(flatten)]
    pub(crate) place: StatePlace,
    /// The client has the file: it is never copied again
    #[arg(long)]
    pub(crate) delivered: bool,
    /// The client never had it: it is copied again
    #[arg(long)]
    pub(crate) not_delivered: bool,
    /// The delivery
    #[arg(value_name = "DELIVERY")]
    pub(crate) delivery: String,
    /// The intent's number
    #[arg(value_name = "INTENT")]
    pub(crate) intent: u64,
    /// The file's index in the outcome, from 0: the first number of its attempt
    #[arg(value_name = "FILE")]
    pub(crate) file: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The delivery documents
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub(crate) delivery: Vec<PathBuf>,
    /// The provider's account
    #[arg(long, value_name = "ID", default_value = "111111111111")]
    pub(crate) account: String,
    /// Where the environment of each function is written, as NAME.env, and then a file `ready`
    #[arg(long, value_name = "DIR")]
    pub(crate) environment: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// A fifth of the flights: still more than 50,000 records
    #[arg(long)]
    pub(crate) small: bool,
    /// Keep what was delivered, with the report, in this folder; must be empty or not exist
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct KillTest {
    /// How many processes are killed
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) kills: usize,
    /// What is staged, and whom the kills meet when, is drawn from it; the machine's speed has its part too
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Kill these functions only: compactor, committer, notifier
    #[arg(long, num_args = 1.., value_name = "FUNCTION")]
    pub(crate) only: Vec<String>,
    /// Keep what was staged and delivered in this folder; must be empty or not exist
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_copy_is_resolved_in_exactly_one_way() {
        let resolve = |ways: &[&str]| {
            let place = ["landfall", "resolve", "--bucket", "state", "--account", "111111111111"];
            Arguments::try_parse_from([&place, ways, &["acme-sales", "7", "0"]].concat()).is_ok()
        };
        assert!(resolve(&["--delivered"]) && resolve(&["--not-delivered"]));
        assert!(!resolve(&[]) && !resolve(&["--delivered", "--not-delivered"]));
    }
}
