//! Delivery documents: reading, checking, and their JSON Schema.

use std::fs;
use std::path::{Path, PathBuf};

use landfall_core::document::{self, json_schema};
use landfall_core::registry::{Registry, RegistryOptions};
use landfall_embedded::Document;

use crate::Finding;
use crate::error::CommandError;
use crate::screen::Screen;

/// Reads documents; their paths are their names.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<Document>, CommandError> {
    paths
        .iter()
        .map(|path| {
            let text =
                fs::read_to_string(path).map_err(CommandError::io(format!("read {}", path.display())))?;
            Ok(Document { name: path.display().to_string(), text })
        })
        .collect()
}

/// Reads one document and checks it.
pub(crate) fn read_delivery(path: &Path) -> Result<landfall_core::delivery::Delivery, CommandError> {
    let text = fs::read_to_string(path).map_err(CommandError::io(format!("read {}", path.display())))?;
    document::parse(&path.display().to_string(), &text)
        .map_err(|errors| CommandError::Documents(errors.to_string()))
}

/// Checks documents: errors go to standard output, one a line, as `file:line:column: message`.
pub(crate) fn validate(screen: &Screen, paths: &[PathBuf]) -> Result<Finding, CommandError> {
    let documents = read(paths)?;
    let named = || documents.iter().map(|document| (document.name.clone(), document.text.clone()));
    // Which region a stack has is not known here: deliveries of several regions are no error.
    let options = RegistryOptions { region: String::new(), allow_cross_region: true };
    let registry = Registry::load(named(), &options);
    for refusal in registry.refused() {
        screen.line(refusal);
    }
    for delivery in registry.deliveries() {
        screen.note(format_args!("{}: sound", delivery.id));
    }
    Ok(if registry.is_sound() { Finding::Sound } else { Finding::Unsound })
}

/// Prints the JSON Schema.
pub(crate) fn schema(screen: &Screen) -> Result<Finding, CommandError> {
    let schema =
        serde_json::to_string_pretty(&json_schema()).map_err(CommandError::json("write the JSON Schema"))?;
    screen.line(schema);
    Ok(Finding::Sound)
}
