//! `landfall infer`: a contract proposed from local files.

use std::fs::File;
use std::io::Read as _;

use landfall_core::contract::{Contract, DuplicateKeys, UnknownFields, ViolationPolicy};
use landfall_parquet::Inference;
use serde::Serialize;

use crate::Finding;
use crate::arguments;
use crate::error::CommandError;
use crate::files::input_files;
use crate::progress::Progress;
use crate::screen::{Screen, grouped};

/// Read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// The part of a delivery document that is proposed.
#[derive(Serialize)]
struct Proposal {
    contract: Contract,
}

/// Reads all files and prints the contract that holds their records.
pub(crate) fn command(screen: &Screen, arguments: &arguments::Infer) -> Result<Finding, CommandError> {
    let files = input_files(&arguments.input)?;
    let mut progress = Progress::new(screen, "infer", files.iter().map(|file| file.bytes).sum(), true);
    let mut inference = Inference::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut finding = Finding::Sound;
    for file in &files {
        let attempt = || format!("read {}", file.path.display());
        let mut bytes = File::open(&file.path).map_err(CommandError::io(attempt()))?;
        inference.begin_input();
        loop {
            let read = bytes.read(&mut chunk).map_err(CommandError::io(attempt()))?;
            if read == 0 {
                break;
            }
            inference.push(chunk.get(..read).unwrap_or_default());
            progress.add(read as u64);
        }
        inference.end_input();
        if let (lines, Some(first)) = inference.take_refused() {
            finding = Finding::Unsound;
            let (name, line, why) = (&file.relative, first.position.line, &first.detail);
            screen.note(format_args!("  left out: {name}:{line}: {why} ({} lines like it)", grouped(lines)));
        }
    }
    drop(progress);
    let columns = inference.columns(arguments.required);
    if columns.is_empty() {
        let records = inference.records();
        return Err(CommandError::Input(format!("nothing to propose: {records} records, no member in any")));
    }
    let proposal = Proposal {
        contract: Contract {
            version: 1,
            on_violation: ViolationPolicy::default(),
            unknown_fields: UnknownFields::default(),
            duplicate_keys: DuplicateKeys::default(),
            columns,
            tracking: None,
        },
    };
    let text = toml::to_string(&proposal).map_err(|error| CommandError::Input(error.to_string()))?;
    screen.note(format_args!(
        "# {} records of {} files; a proposal to read, correct and keep: it is not inferred again",
        grouped(inference.records()),
        grouped(files.len() as u64)
    ));
    screen.line(format_args!("{}", text.trim_end()));
    Ok(finding)
}
