//! What the killed functions deliver: deliveries of several shapes, and a producer that stages for all of them.

use std::fs;
use std::path::{Path, PathBuf};

use landfall_embedded::{Deployment, Document, StagedBody, StagedFile};

use crate::error::CommandError;

/// The deliveries: their ids, and the accounts of their clients.
pub(super) const DELIVERIES: [(&str, &str); 6] = [
    ("plain", "222222222222"),
    ("daily", "222222222222"),
    ("ordered", "222222222222"),
    ("plain2", "333333333333"),
    ("daily2", "333333333333"),
    ("arrival", "333333333333"),
];
/// Objects of a wave, for each delivery.
const OBJECTS: usize = 2;
/// Good records of an object.
const RECORDS: usize = 40;
/// One object in so many has a record that breaks the contract.
const BAD_ONE_IN: u64 = 8;

/// The documents: by a column, by the time of arrival, in order, and as plain as can be.
pub(super) fn documents() -> Vec<Document> {
    let layout = |id: &str| match id {
        "daily" | "daily2" => "[[layout.partition]]\nname = \"dt\"\nsource = \"column\"\nfield = \"day\"\n",
        "arrival" => "[[layout.partition]]\nname = \"hour\"\nsource = \"arrival\"\ntransform = \"hour\"\n",
        _ => "",
    };
    let order = |id: &str| if id == "ordered" { "order = \"delivery\"\n" } else { "" };
    let document = |(id, account): &(&str, &str)| Document {
        name: format!("{id}.toml"),
        text: format!(
            r#"
version = 1
id = "{id}"
tenant = "tenant-{account}"
dataset = "{id}"
{}[source]
prefix = "{id}/"
[destination]
role_arn = "arn:aws:iam::{account}:role/landfall-delivery"
external_id = "an-external-id-of-{account}"
region = "eu-central-1"
bucket = "lake-{account}"
prefix = "lake/{id}/"
[contract]
version = 1
[[contract.column]]
name = "id"
type = "int64"
nullable = false
[[contract.column]]
name = "text"
type = "string"
[[contract.column]]
name = "day"
type = "date"
nullable = false
[layout]
target_bytes = 65536
row_group_bytes = 65536
max_latency_seconds = 3
{}[catalog.glue]
database = "db"
table = "t_{id}"
[[notify.queue]]
arn = "arn:aws:sqs:eu-central-1:{account}:etl"
"#,
            order(id),
            layout(id),
        ),
    };
    DELIVERIES.iter().map(document).collect()
}

/// Draws numbers; the same seed draws the same ones.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Below `bound`, which is not 0 (SplitMix64; the bias is of no matter here).
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut drawn = self.0;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (drawn ^ (drawn >> 31)) % bound.max(1)
    }
}

/// Stages records, and keeps a copy of each object in a folder to count them by.
#[derive(Debug)]
pub(super) struct Producer {
    folder: PathBuf,
    random: Random,
    next: u64,
    wave: usize,
    /// Objects staged.
    pub(super) objects: u64,
    /// Records staged that a contract refuses.
    pub(super) bad: u64,
}

impl Producer {
    pub(super) fn new(folder: &Path, seed: u64) -> Self {
        Self { folder: folder.to_owned(), random: Random::new(!seed), next: 0, wave: 0, objects: 0, bad: 0 }
    }

    /// Stages some objects for each delivery.
    pub(super) async fn stage(&mut self, deployment: &Deployment) -> Result<(), CommandError> {
        let mut files = Vec::new();
        self.wave += 1;
        for (id, _) in DELIVERIES {
            for part in 0..OBJECTS {
                let key = format!("{id}/{:05}-{part}.jsonl", self.wave);
                let body = self.body();
                let path = self.folder.join(&key);
                let attempt = || format!("write {}", path.display());
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent).map_err(CommandError::io(attempt()))?;
                }
                fs::write(&path, &body).map_err(CommandError::io(attempt()))?;
                files.push(StagedFile { key, body: StagedBody::Bytes(body.into()) });
            }
        }
        deployment.stage(&files, |_| ()).await?;
        self.objects += files.len() as u64;
        Ok(())
    }

    fn body(&mut self) -> String {
        let mut body = String::new();
        for _ in 0..RECORDS {
            let (id, day) = (self.next, 1 + self.random.below(3));
            let noise = (self.random.below(u64::MAX), self.random.below(u64::MAX));
            self.next += 1;
            let line = format!(
                "{{\"id\":{id},\"text\":\"{:016x}{:016x}\",\"day\":\"2026-05-{day:02}\"}}\n",
                noise.0, noise.1
            );
            body.push_str(&line);
        }
        if self.random.below(BAD_ONE_IN) == 0 {
            body.push_str("{\"id\":\"not a number\"}\n");
            self.bad += 1;
        }
        body
    }
}
