//! A delivery as a scenario knows it, and the document it is configured by.

use landfall_core::delivery::{Access, Capabilities};
use landfall_core::document;
use testkit::fake::HOME_REGION;

/// How the files of a delivery are partitioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitioning {
    /// Not at all.
    None,
    /// By the column `name` of each record.
    Column,
    /// By the segment `lot=...` of the staged key.
    Key,
    /// By the hour in which the object was staged.
    Arrival,
}

/// A delivery. Its columns are `id int64`, `name string` and, to make objects large, `pad string`; where it evolves also
/// `score int32`.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent knobs, each a line of the document")]
pub struct DeliveryPlan {
    /// The tenant: decides account, role and bucket.
    pub tenant: &'static str,
    /// The dataset: with the tenant it names the delivery and its prefixes.
    pub dataset: &'static str,
    /// `order = "delivery"`.
    pub ordered: bool,
    /// The partitions.
    pub partitioning: Partitioning,
    /// What the endpoint can do, one bit each; 15 is AWS.
    pub capabilities: u8,
    /// Whether the client deletes what it has consumed.
    pub consumer_deletes: bool,
    /// The longest an object waits for company, in seconds.
    pub latency_seconds: u64,
    /// A target of 64 KiB instead of 128 MiB.
    pub small_target: bool,
    /// One bad line sets its whole object aside.
    pub strict: bool,
    /// The contract takes in members that it does not name, and numbers that do not fit.
    pub evolves: bool,
    /// No two records of a batch have the same id, and the contract says so.
    pub unique: bool,
    /// A table in the client's Glue.
    pub glue: bool,
    /// A queue of the client is told.
    pub queue: bool,
    /// Files are encrypted with the client's key.
    pub kms: bool,
    /// The version of the contract.
    pub version: u64,
    /// The document is one that the registry refuses.
    pub broken: bool,
}

impl Default for DeliveryPlan {
    fn default() -> Self {
        Self {
            tenant: "acme",
            dataset: "rows",
            ordered: false,
            partitioning: Partitioning::None,
            capabilities: 15,
            consumer_deletes: false,
            latency_seconds: 60,
            small_target: false,
            strict: false,
            evolves: false,
            unique: false,
            glue: true,
            queue: true,
            kms: false,
            version: 1,
            broken: false,
        }
    }
}

impl DeliveryPlan {
    /// The delivery's id.
    pub fn id(&self) -> String {
        format!("{}-{}", self.tenant, self.dataset)
    }

    /// The client's account.
    pub fn account(&self) -> &'static str {
        match self.tenant {
            "acme" => "222222222222",
            "globex" => "333333333333",
            _ => "444444444444",
        }
    }

    /// The client's bucket: one for all deliveries of a tenant.
    pub fn bucket(&self) -> String {
        format!("{}-lake", self.tenant)
    }

    /// The production prefix.
    pub fn prefix(&self) -> String {
        format!("raw/{}/", self.dataset)
    }

    /// The hidden prefix of this delivery.
    pub fn temp_prefix(&self) -> String {
        format!("_tmp/{}/", self.id())
    }

    /// Where producers stage.
    pub fn source(&self) -> String {
        format!("{}/{}/", self.tenant, self.dataset)
    }

    /// The client's role.
    pub fn role(&self) -> String {
        format!("arn:aws:iam::{}:role/landfall-delivery", self.account())
    }

    /// The client's key.
    pub fn key(&self) -> String {
        format!("arn:aws:kms:{HOME_REGION}:{}:key/{}", self.account(), self.tenant)
    }

    /// The client's queue for this delivery.
    pub fn queue_arn(&self) -> String {
        format!("arn:aws:sqs:{HOME_REGION}:{}:{}", self.account(), self.id())
    }

    /// What the endpoint can do.
    pub fn capabilities(&self) -> Capabilities {
        crate::scene::capabilities(self.capabilities).0
    }

    /// What a session in the client's account needs.
    pub fn access(&self) -> Access {
        let sound = Self { broken: false, ..self.clone() };
        document::parse("simulated.toml", &sound.document()).expect("a valid document").access()
    }

    /// The delivery document.
    pub fn document(&self) -> String {
        let line = |condition: bool, text: String| if condition { text } else { String::new() };
        let (tenant, dataset, id) = (self.tenant, self.dataset, self.id());
        let level = match self.partitioning {
            Partitioning::None => "",
            Partitioning::Column => "source = \"column\"\nfield = \"name\"\n",
            Partitioning::Key => "source = \"key\"\n",
            Partitioning::Arrival => "source = \"arrival\"\ntransform = \"hour\"\n",
        };
        [
            format!("version = 1\nid = \"{id}\"\ntenant = \"{tenant}\"\ndataset = \"{dataset}\"\n"),
            line(self.ordered, "order = \"delivery\"\n".to_owned()),
            format!("[source]\nprefix = \"{}\"\n", self.source()),
            format!(
                "[destination]\nrole_arn = \"{}\"\nexternal_id = \"external-id-of-{tenant}\"\n",
                self.role()
            ),
            format!(
                "region = \"{HOME_REGION}\"\nbucket = \"{}\"\nprefix = \"{}\"\n",
                self.bucket(),
                self.prefix()
            ),
            line(self.consumer_deletes, "consumer_deletes = true\n".to_owned()),
            line(self.kms, format!("kms_key_arn = \"{}\"\n", self.key())),
            line(self.capabilities != 15, crate::scene::capabilities(self.capabilities).1),
            format!("[contract]\nversion = {}\n", self.version),
            line(self.strict, "on_violation = \"strict\"\n".to_owned()),
            line(self.evolves, "on_violation = \"evolve\"\n".to_owned()),
            line(self.unique, "unique_key = [\"id\"]\n".to_owned()),
            format!(
                "[[contract.column]]\nname = \"id\"\ntype = \"{}\"\nnullable = false\n",
                if self.broken { "int65" } else { "int64" }
            ),
            "[[contract.column]]\nname = \"name\"\ntype = \"string\"\n".to_owned(),
            "[[contract.column]]\nname = \"pad\"\ntype = \"string\"\n".to_owned(),
            line(self.evolves, "[[contract.column]]\nname = \"score\"\ntype = \"int32\"\n".to_owned()),
            format!("[layout]\nmax_latency_seconds = {}\n", self.latency_seconds),
            line(self.small_target, "target_bytes = 65536\nrow_group_bytes = 65536\n".to_owned()),
            line(!level.is_empty(), format!("[[layout.partition]]\nname = \"lot\"\n{level}")),
            line(self.glue, format!("[catalog.glue]\ndatabase = \"{tenant}_raw\"\ntable = \"{dataset}\"\n")),
            line(self.queue, format!("[[notify.queue]]\narn = \"{}\"\n", self.queue_arn())),
        ]
        .concat()
    }
}
