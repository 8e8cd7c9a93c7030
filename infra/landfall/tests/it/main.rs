//! The command line from outside: files and folders in, files, reports and exit codes out.

#![cfg(test)]

mod bad_input;
mod chain;
mod command;
mod convert;
mod differential;
mod files;
mod kills;
mod operate;

use std::path::{Path, PathBuf};

use landfall_core::delivery::Delivery;
use landfall_core::document;

/// A delivery of records with an id, a price and a day, partitioned by the day.
fn document_text(id: &str) -> String {
    format!(
        r#"
version = 1
id = "{id}"
tenant = "acme"
dataset = "{id}"
[source]
prefix = "acme/{id}/"
[destination]
role_arn = "arn:aws:iam::222222222222:role/landfall-delivery"
external_id = "an-external-id-of-acme"
region = "eu-central-1"
bucket = "acme-lake"
prefix = "lake/{id}/"
[contract]
version = 2
[[contract.column]]
name = "id"
type = "int64"
nullable = false
[[contract.column]]
name = "price"
type = "decimal(10,2)"
[[contract.column]]
name = "day"
type = "date"
nullable = false
[layout]
target_bytes = 65536
row_group_bytes = 65536
[[layout.partition]]
name = "dt"
source = "column"
field = "day"
[catalog.glue]
database = "acme"
table = "t_{id}"
[[notify.queue]]
arn = "arn:aws:sqs:eu-central-1:222222222222:acme-etl.fifo"
"#
    )
}

fn delivery(id: &str) -> Delivery {
    document::parse(id, &document_text(id)).expect("the document is sound")
}

/// A file below a folder, with its folders.
fn write(folder: &Path, relative: &str, body: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(relative);
    std::fs::create_dir_all(path.parent().expect("has a folder")).expect("creates the folder");
    std::fs::write(&path, body).expect("writes the file");
    path
}

/// A line of a good record.
fn line(id: usize, day: u8) -> String {
    format!("{{\"id\":{id},\"price\":{id}.50,\"day\":\"2026-05-{day:02}\"}}\n")
}

/// A gzip header with nothing behind it.
const CUT_GZIP: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
