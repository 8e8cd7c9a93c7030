//! The files of a conversion, read ahead of the merge: small ones are decompressed as well.

use std::fs;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use landfall_parquet::{Unpacked, Unpacker};

use crate::error::CommandError;
use crate::files::InputFile;

/// Batches that wait for the merge, beside the one that is being read.
const WAITING: usize = 1;
/// A batch is handed over when it takes this many bytes of memory: threads wake each other once for hundreds of small files.
const BATCH_BYTES: usize = 1 << 20;

/// What a file is read as.
pub(crate) enum Content {
    /// All of it.
    Whole(Unpacked),
    /// Too large to be held: whoever merges it reads it piece by piece.
    Large,
}

/// The files, one after the other.
pub(crate) type Contents<'a> = dyn Iterator<Item = Result<Content, CommandError>> + 'a;

/// Does `work` with the files: with `apart`, while a thread of its own reads them.
pub(crate) fn reading<T>(files: &[&InputFile], apart: bool, work: impl FnOnce(&mut Contents<'_>) -> T) -> T {
    let mut unpacker = Unpacker::default();
    let mut contents = files.iter().map(move |file| content(&mut unpacker, file));
    if !apart {
        return work(&mut contents);
    }
    thread::scope(|scope| {
        let (send, receive) = sync_channel(WAITING);
        scope.spawn(move || {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            for content in contents {
                if let Ok(Content::Whole(object)) = &content {
                    bytes += object.memory_bytes();
                }
                batch.push(content);
                if bytes >= BATCH_BYTES {
                    bytes = 0;
                    if send.send(std::mem::take(&mut batch)).is_err() {
                        return;
                    }
                }
            }
            // Nobody waits for it when the merge has ended early.
            drop(send.send(batch));
        });
        // The channel goes with the iterator, and ends the thread.
        work(&mut Received { batches: receive, batch: Vec::new().into_iter() })
    })
}

struct Received {
    batches: Receiver<Vec<Result<Content, CommandError>>>,
    batch: std::vec::IntoIter<Result<Content, CommandError>>,
}

impl Iterator for Received {
    type Item = Result<Content, CommandError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(content) = self.batch.next() {
                return Some(content);
            }
            self.batch = self.batches.recv().ok()?.into_iter();
        }
    }
}

fn content(unpacker: &mut Unpacker, file: &InputFile) -> Result<Content, CommandError> {
    if file.bytes > Unpacker::MOST_BYTES as u64 {
        return Ok(Content::Large);
    }
    let object = fs::read(&file.path).map_err(CommandError::io(format!("read {}", file.path.display())))?;
    Ok(Content::Whole(unpacker.unpack(object)))
}
