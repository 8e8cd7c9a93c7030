//! `landfall infer`: a contract proposed from local files.

use std::ops::ControlFlow;

use landfall_core::contract::{Contract, DuplicateKeys, UnknownFields, ViolationPolicy};
use landfall_core::document::MAX_DOCUMENT_BYTES;
use landfall_parquet::Inference;
use serde::Serialize;

use crate::Finding;
use crate::arguments;
use crate::error::CommandError;
use crate::files::{PIECE_BYTES, input_files};
use crate::progress::Progress;
use crate::screen::{Screen, grouped};

/// More members than this are not named one by one.
const MOST_DOUBTS: usize = 20;

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
    let doubts = inference.doubts();
    if !doubts.is_empty() {
        finding = Finding::Unsound;
    }
    for doubt in doubts.iter().take(MOST_DOUBTS) {
        screen.note(format_args!("  not held: {doubt}"));
    }
    if let Some(more) = doubts.len().checked_sub(MOST_DOUBTS).filter(|more| *more > 0) {
        screen.note(format_args!("  not held: {} more members", grouped(more as u64)));
    }
    if columns.is_empty() {
        let records = inference.records();
        let why = if doubts.is_empty() { "no member in any" } else { "no member that a column can hold" };
        return Err(CommandError::Input(format!("nothing to propose: {records} records, {why}")));
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
    if text.len() > MAX_DOCUMENT_BYTES {
        finding = Finding::Unsound;
        screen.note(format_args!(
            "# too long for a document, which has at most {} bytes: keep members whose keys are data as `json`",
            grouped(MAX_DOCUMENT_BYTES as u64)
        ));
    }
    screen.line(format_args!("{}", text.trim_end()));
    Ok(finding)
}
