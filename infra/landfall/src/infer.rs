//! `landfall infer`: a contract proposed from local files.

use std::ops::ControlFlow;

use landfall_core::contract::{Contract, DuplicateKeys, UnknownFields, ViolationPolicy};
use landfall_parquet::Inference;
use serde::Serialize;

use crate::Finding;
use crate::arguments;
use crate::error::CommandError;
use crate::files::{PIECE_BYTES, input_files};
use crate::progress::Progress;
use crate::screen::{Screen, grouped};

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
    let mut piece = vec![0; PIECE_BYTES];
    let mut finding = Finding::Sound;
    for file in &files {
        inference.begin_input();
        file.read(&mut piece, |bytes| {
            inference.push(bytes);
            progress.add(bytes.len() as u64);
            Ok(ControlFlow::Continue(()))
        })?;
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
            unique_key: Vec::new(),
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
