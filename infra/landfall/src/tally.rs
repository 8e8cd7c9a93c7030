//! Counting again with a reader that shares no code with the engine: `verify.py`.

use std::fs;
use std::path::Path;

use landfall_embedded::Project;

use crate::error::CommandError;

/// What `verify.py` found.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Whether everything adds up.
    pub(crate) sound: bool,
    /// What it printed.
    pub(crate) text: String,
    /// All it counted.
    pub(crate) counts: serde_json::Value,
}

/// Counts the staged files and the delivered ones.
pub(crate) async fn tally(
    project: &Project,
    report: &Path,
    input: &Path,
    output: &Path,
) -> Result<Tally, CommandError> {
    let attempt = || "read what verify.py counted".to_owned();
    let scratch = tempfile::tempdir().map_err(CommandError::io("create a temporary folder"))?;
    let counts = scratch.path().join("counts.json");
    let arguments =
        [("--report", report), ("--input", input), ("--output", output), ("--counts", counts.as_path())];
    let arguments = arguments.into_iter().flat_map(|(name, path)| [Path::new(name), path]);
    let text = project.run("verify.py", arguments).await?;
    let counts: serde_json::Value =
        serde_json::from_slice(&fs::read(&counts).map_err(CommandError::io(attempt()))?)
            .map_err(CommandError::json(attempt()))?;
    let sound = counts.get("sound").and_then(serde_json::Value::as_bool).unwrap_or(false);
    Ok(Tally { sound, text: text.trim_end().to_owned(), counts })
}
