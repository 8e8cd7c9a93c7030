//! A strict reader of JSON (RFC 8259) over the bytes of one line.
//!
//! [`Cursor`] checks tokens, [`keys`] finds a key that stands twice in an object. Nothing here knows of columns.

pub(crate) mod keys;
pub(crate) mod scan;
pub(crate) mod text;

pub(crate) use keys::{Keys, blank_duplicates};
pub(crate) use scan::{Cursor, Number, Text};
