//! Compression of records. They are small and read by the thousand: to make a context costs more than to use it, so each
//! thread keeps its own.

use std::cell::RefCell;
use std::io;
use std::thread::LocalKey;

use zstd::bulk::{Compressor, Decompressor};

/// A context, made when it is first used.
type Kept<T> = RefCell<Option<T>>;

const LEVEL: i32 = 3;

thread_local! {
    static COMPRESSOR: Kept<Compressor<'static>> = const { RefCell::new(None) };
    static DECOMPRESSOR: Kept<Decompressor<'static>> = const { RefCell::new(None) };
}

/// One zstd frame that says how large its content is.
pub(super) fn compress(content: &[u8]) -> io::Result<Vec<u8>> {
    with(&COMPRESSOR, || Compressor::new(LEVEL), |compressor| compressor.compress(content))
}

/// The content of a frame of [`compress`].
///
/// # Errors
/// When it is none, or holds more than `limit` bytes.
pub(super) fn decompress(frame: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let size = zstd::zstd_safe::get_frame_content_size(frame).ok().flatten();
    let size = size
        .and_then(|size| usize::try_from(size).ok())
        .ok_or_else(|| invalid("no zstd frame with its size"))?;
    if size > limit {
        return Err(invalid(&format!("{size} bytes, larger than {limit}")));
    }
    with(&DECOMPRESSOR, Decompressor::new, |decompressor| decompressor.decompress(frame, size))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn with<T, R>(
    kept: &'static LocalKey<Kept<T>>,
    make: impl FnOnce() -> io::Result<T>,
    work: impl FnOnce(&mut T) -> io::Result<R>,
) -> io::Result<R> {
    kept.with_borrow_mut(|context| match context {
        Some(context) => work(context),
        none => work(none.insert(make()?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_comes_back_and_a_broken_frame_spoils_nothing() {
        for content in [Vec::new(), b"{}".to_vec(), vec![7; 100_000]] {
            let frame = compress(&content).expect("compresses");
            assert_eq!(decompress(&frame, 100_000).expect("decompresses"), content);
            for end in 0..frame.len() {
                assert!(decompress(&frame[..end], 100_000).is_err(), "{end} of {} bytes", frame.len());
            }
            assert_eq!(decompress(&frame, 100_000).expect("decompresses"), content);
        }
        assert!(decompress(&compress(&[7; 100]).expect("compresses"), 99).is_err());
        assert!(decompress(b"{\"version\":1}", 100).is_err());
    }
}
