//! The files of a conversion, read ahead of the merge: small ones are decompressed as well.

use std::fs::File;
use std::io;
use std::slice;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use landfall_parquet::{Unpacked, Unpacker};
use rustix::buffer::spare_capacity;
use rustix::io::{read, retry_on_intr};

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
pub(crate) struct Contents<'a> {
    source: Source<'a>,
    /// The one that is being merged.
    current: Content,
}

enum Source<'a> {
    Here { reader: Reader, files: slice::Iter<'a, &'a InputFile> },
    Apart { batches: Receiver<Batch>, batch: std::vec::IntoIter<ReadFile>, spent: Sender<Unpacked> },
}

type ReadFile = Result<Content, CommandError>;
type Batch = Vec<ReadFile>;

/// Does `work` with the files: with `apart`, while a thread of its own reads them.
pub(crate) fn reading<T>(files: &[&InputFile], apart: bool, work: impl FnOnce(&mut Contents<'_>) -> T) -> T {
    let reader = Reader::default();
    if !apart {
        let source = Source::Here { reader, files: files.iter() };
        return work(&mut Contents { source, current: Content::Large });
    }
    thread::scope(|scope| {
        let (send, batches) = sync_channel(WAITING);
        let (spent, merged) = channel();
        scope.spawn(move || read_all(reader, files, &send, &merged));
        // The channels go with it, and end the thread.
        let source = Source::Apart { batches, batch: Vec::new().into_iter(), spent };
        work(&mut Contents { source, current: Content::Large })
    })
}

impl Contents<'_> {
    /// The next file, whose memory is used again when another is asked for; none after the last.
    pub(crate) fn next(&mut self) -> Option<Result<&Content, CommandError>> {
        if let Content::Whole(merged) = std::mem::replace(&mut self.current, Content::Large) {
            match &mut self.source {
                Source::Here { reader, .. } => reader.unpacker.reuse(merged),
                // Nobody reads any more behind the last file.
                Source::Apart { spent, .. } => drop(spent.send(merged)),
            }
        }
        let next = match &mut self.source {
            Source::Here { reader, files } => reader.read(files.next()?),
            Source::Apart { batches, batch, .. } => loop {
                if let Some(next) = batch.next() {
                    break next;
                }
                *batch = batches.recv().ok()?.into_iter();
            },
        };
        Some(next.map(|content| {
            self.current = content;
            &self.current
        }))
    }
}

/// Reads all files, in batches, in the memory of those that are merged.
fn read_all(mut reader: Reader, files: &[&InputFile], send: &SyncSender<Batch>, merged: &Receiver<Unpacked>) {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for file in files {
        while let Ok(object) = merged.try_recv() {
            reader.unpacker.reuse(object);
        }
        let content = reader.read(file);
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
}

#[derive(Default)]
struct Reader {
    unpacker: Unpacker,
    /// What a file is read into.
    object: Vec<u8>,
}

impl Reader {
    fn read(&mut self, file: &InputFile) -> ReadFile {
        if file.bytes > Unpacker::MOST_BYTES as u64 {
            return Ok(Content::Large);
        }
        self.read_to_end(file).map_err(CommandError::io(format!("read {}", file.path.display())))?;
        Ok(Content::Whole(self.unpacker.unpack(&mut self.object)))
    }

    /// Reads a file whole. One that is as long as it was when it was listed is not asked twice: for its length, and whether
    /// more follows. There can be very many, and small.
    fn read_to_end(&mut self, file: &InputFile) -> io::Result<()> {
        let listed = usize::try_from(file.bytes).unwrap_or_default();
        self.object.clear();
        self.object.reserve(listed + 1);
        let opened = File::open(&file.path)?;
        loop {
            self.object.reserve(1);
            let read = retry_on_intr(|| read(&opened, spare_capacity(&mut self.object)))?;
            let more = self.object.len() < self.object.capacity();
            if read == 0 || (self.object.len() == listed && more) {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    /// Files that were listed with other lengths than they have.
    fn listed(folder: &tempfile::TempDir, lengths: &[(usize, u64)]) -> Vec<InputFile> {
        let file = |(at, (length, bytes)): (usize, &(usize, u64))| {
            let path = folder.path().join(format!("{at}.jsonl"));
            std::fs::write(&path, vec![b' '; *length]).unwrap();
            InputFile {
                path,
                relative: format!("{at}.jsonl"),
                bytes: *bytes,
                modified: Timestamp::UNIX_EPOCH,
            }
        };
        lengths.iter().enumerate().map(file).collect()
    }

    fn length(content: Result<&Content, CommandError>) -> Option<u64> {
        match content.unwrap() {
            Content::Whole(object) => Some(object.staged_bytes()),
            Content::Large => None,
        }
    }

    #[test]
    fn files_are_read_to_their_end_whatever_was_listed() {
        let folder = tempfile::tempdir().unwrap();
        let large = Unpacker::MOST_BYTES as u64 + 1;
        let files = listed(&folder, &[(9, 9), (9, 0), (9, 3), (0, 9), (700_000, 10), (0, 0), (9, large)]);
        let files: Vec<&InputFile> = files.iter().collect();
        for apart in [false, true] {
            let found = reading(&files, apart, |contents| {
                let mut found = Vec::new();
                while let Some(content) = contents.next() {
                    found.push(length(content));
                }
                found
            });
            assert_eq!(found, [Some(9), Some(9), Some(9), Some(0), Some(700_000), Some(0), None]);
        }
    }

    #[test]
    fn whoever_wants_no_more_need_not_read_to_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let files = listed(&folder, &[(BATCH_BYTES, BATCH_BYTES as u64); 6]);
        let mut files: Vec<&InputFile> = files.iter().collect();
        for apart in [false, true] {
            assert_eq!(reading(&files, apart, |contents| contents.next().map(length)), Some(Some(1 << 20)));
        }
        // A file that is gone is an error, and those behind it are read.
        let gone = InputFile { path: folder.path().join("gone"), ..files[0].clone() };
        files.insert(1, &gone);
        for apart in [false, true] {
            let read = reading(&files, apart, |contents| {
                let mut read = Vec::new();
                while let Some(content) = contents.next() {
                    read.push(content.is_ok());
                }
                read
            });
            assert_eq!(read, [true, false, true, true, true, true, true]);
        }
    }
}
