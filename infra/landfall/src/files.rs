//! The files of an input folder, and the keys they are staged under.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use landfall_core::delivery::Delivery;

use crate::error::CommandError;

/// A file below an input folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// The file.
    pub path: PathBuf,
    /// Its path below the folder, with `/` between names.
    pub relative: String,
    /// Bytes.
    pub bytes: u64,
    /// When it was last written, UTC.
    pub modified: Timestamp,
}

/// What a file is read in pieces of.
pub(crate) const PIECE_BYTES: usize = 1 << 20;

impl InputFile {
    /// Hands the file over in pieces, read into `buffer`, until it ends or `take` wants no more.
    pub(crate) fn read(
        &self,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]) -> Result<ControlFlow<()>, CommandError>,
    ) -> Result<(), CommandError> {
        let attempt = || format!("read {}", self.path.display());
        let mut source = File::open(&self.path).map_err(CommandError::io(attempt()))?;
        loop {
            let length = source.read(buffer).map_err(CommandError::io(attempt()))?;
            let piece = buffer.get(..length).unwrap_or_default();
            if piece.is_empty() || take(piece)?.is_break() {
                return Ok(());
            }
        }
    }
}

/// All files below `folder`, in the order of their relative paths (as bytes, like keys in a listing).
///
/// # Errors
/// When a folder cannot be read, a name is not UTF-8, or there is no file at all.
pub fn input_files(folder: &Path) -> Result<Vec<InputFile>, CommandError> {
    let mut files = BTreeMap::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((path, prefix)) = folders.pop() {
        let attempt = || format!("read {}", path.display());
        for entry in fs::read_dir(&path).map_err(CommandError::io(attempt()))? {
            let entry = entry.map_err(CommandError::io(attempt()))?;
            let path = entry.path();
            let name = entry.file_name().into_string().map_err(|name| {
                CommandError::Input(format!(
                    "{}: the name is not UTF-8 and cannot be a key",
                    Path::new(&name).display()
                ))
            })?;
            let relative = format!("{prefix}{name}");
            // Follows links: what is behind them is meant.
            let about = fs::metadata(&path).map_err(CommandError::io(format!("read {}", path.display())))?;
            if about.is_dir() {
                folders.push((path, format!("{relative}/")));
                continue;
            }
            let modified = about.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
            let modified = modified.unwrap_or(Timestamp::UNIX_EPOCH);
            files.insert(relative.clone(), InputFile { path, relative, bytes: about.len(), modified });
        }
    }
    if files.is_empty() {
        return Err(CommandError::Input(format!("there is no file below {}", folder.display())));
    }
    Ok(files.into_values().collect())
}

/// The key of each file, with the delivery it belongs to: its relative path where that begins with a delivery's
/// source prefix; below that prefix where there is only one delivery.
///
/// # Errors
/// Names the first file that belongs to none of several deliveries.
pub fn staged_keys<'d>(
    files: &[InputFile],
    deliveries: &[&'d Delivery],
) -> Result<Vec<(String, &'d Delivery)>, CommandError> {
    files
        .iter()
        .map(|file| {
            let named = deliveries.iter().find(|delivery| file.relative.starts_with(&delivery.source.prefix));
            match (named, deliveries) {
                (Some(delivery), _) => Ok((file.relative.clone(), *delivery)),
                (None, [only]) => Ok((format!("{}{}", only.source.prefix, file.relative), *only)),
                (None, _) => {
                    let prefixes: Vec<&str> =
                        deliveries.iter().map(|delivery| delivery.source.prefix.as_str()).collect();
                    Err(CommandError::Input(format!(
                        "{} belongs to no delivery: its path below the input folder must begin with one of {}",
                        file.path.display(),
                        prefixes.join(", ")
                    )))
                }
            }
        })
        .collect()
}

/// Checks that nothing old is mixed with what will be written.
pub(crate) fn require_empty(folder: &Path) -> Result<(), CommandError> {
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(CommandError::OutputInUse(folder.to_owned())),
            None => Ok(()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            fs::create_dir_all(folder).map_err(CommandError::io(format!("create {}", folder.display())))
        }
        Err(error) => Err(CommandError::io(format!("read {}", folder.display()))(error)),
    }
}
