//! The conformance suites on landfall-aws over MiniStack: the adapters speak AWS's protocols, and what MiniStack
//! does otherwise than AWS is written down, case by case.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use landfall_aws::{Clients, ClientsConfig, GlueCatalog, S3Store, SqsQueue, StaticCredentials};
use landfall_core::delivery::{Capabilities, Secret};
use landfall_core::port::{Bucket, CatalogColumn, CatalogTable};
use landfall_embedded::{MiniStack, Project};
use serde_json::{Value, json};
use testkit::conformance::catalog::CatalogHarness;
use testkit::conformance::object_store::StoreHarness;
use testkit::conformance::queue::{QueueHarness, Received};
use testkit::conformance::{Exemption, catalog, object_store, queue, run};

use crate::conformance::holds;

const ACCOUNT: &str = "111111111111";
const REGION: &str = "eu-central-1";

/// What MiniStack's S3 can do: the delivery of the demo declares the same.
const CAPABILITIES: Capabilities = Capabilities {
    full_object_multipart_checksum: false,
    copy_checksum: false,
    conditional_copy: false,
    multipart_tags: false,
};

/// Differences of MiniStack 1.5.33 from AWS (`reference/local-aws.md`), each with the case that shows it.
const STORE_EXEMPTIONS: &[Exemption] = &[
    Exemption {
        case: "a_bucket_of_another_owner_is_refused",
        reason: "gap 11: x-amz-expected-bucket-owner is ignored; the fake and a wire test carry the rule",
    },
    Exemption {
        case: "a_completion_after_a_deletion_conflicts",
        reason: "a key deleted after the upload began is not remembered: 200 where AWS says 409",
    },
    Exemption { case: "parts_out_of_order_are_refused", reason: "InvalidPartOrder is not enforced" },
    Exemption {
        case: "a_small_part_in_the_middle_is_refused",
        reason: "gap 8: EntityTooSmall is not enforced",
    },
    Exemption { case: "a_key_of_1025_bytes_is_refused", reason: "gap 8: longer keys are accepted" },
];
const QUEUE_EXEMPTIONS: &[Exemption] = &[
    Exemption {
        case: "a_message_is_held_twelve_hours_at_most",
        reason: "ChangeMessageVisibility accepts more than 43,200 s",
    },
    Exemption {
        case: "a_quiet_group_is_not_kept_waiting_by_a_busy_one",
        reason: "a standard queue takes a message group and serves in order of sending all the same",
    },
];
const CATALOG_EXEMPTIONS: &[Exemption] = &[];

struct Embedded {
    _process: MiniStack,
    _work: tempfile::TempDir,
    address: String,
    store: S3Store,
    queue: SqsQueue,
    catalog: GlueCatalog,
    names: AtomicUsize,
}

impl Embedded {
    /// A MiniStack of its own; it ends with this value. Without the tools this fails: nothing is skipped.
    async fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let work = tempfile::tempdir().unwrap();
        let process = MiniStack::start(&Project::at(root).unwrap(), work.path()).unwrap();
        let endpoint = process.endpoint();
        let clients = Clients::load(ClientsConfig {
            region: Some(REGION.into()),
            endpoint_url: Some(endpoint.clone()),
            credentials: Some(StaticCredentials {
                access_key_id: ACCOUNT.into(),
                secret_access_key: Secret::new("test"),
            }),
        })
        .await;
        Self {
            address: endpoint.trim_start_matches("http://").to_owned(),
            store: clients.store(),
            queue: clients.queue(),
            catalog: clients.catalog(),
            names: AtomicUsize::new(0),
            _process: process,
            _work: work,
        }
    }

    fn name(&self, kind: &str) -> String {
        format!("{kind}{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// One request past the adapters, as the account's root; the answer's body.
    fn request(
        &self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> String {
        let address = &self.address;
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260519/{REGION}/{service}/aws4_request, \
             SignedHeaders=host, Signature=00\r\n",
            body.len()
        );
        head.extend(headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(!head.to_ascii_lowercase().contains("transfer-encoding: chunked"), "{head}");
        body.to_owned()
    }

    fn s3(&self, method: &str, path: &str, body: &str) -> String {
        let answer = self.request("s3", method, path, &[], body);
        assert!(!answer.contains("<Error>"), "{method} {path}: {answer}");
        answer
    }

    /// One call of a JSON protocol.
    fn json(&self, service: &str, target: &str, body: &Value) -> Value {
        let headers = [("Content-Type", "application/x-amz-json-1.1"), ("X-Amz-Target", target)];
        let answer = self.request(service, "POST", "/", &headers, &body.to_string());
        if answer.is_empty() { Value::Null } else { serde_json::from_str(&answer).unwrap() }
    }
}

/// The texts between `<tag>` and `</tag>`.
fn texts(xml: &str, tag: &str) -> Vec<String> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let unescape = |text: &str| text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    xml.split(&open)
        .skip(1)
        .filter_map(|rest| rest.split_once(&close))
        .map(|(text, _)| unescape(text))
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl StoreHarness for Embedded {
    type Store = S3Store;

    fn store(&self) -> &S3Store {
        &self.store
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn fresh_bucket(&self, versioned: bool) -> Bucket {
        let name = self.name("bucket-");
        let place = "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                     <LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>";
        self.s3("PUT", &format!("/{name}"), place);
        if versioned {
            let document = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                            <Status>Enabled</Status></VersioningConfiguration>";
            self.s3("PUT", &format!("/{name}?versioning"), document);
        }
        Bucket { name, owner: ACCOUNT.to_owned() }
    }

    fn more_than_a_page(&self) -> usize {
        1001
    }

    async fn tags(&self, bucket: &Bucket, key: &str) -> BTreeMap<String, String> {
        let xml = self.s3("GET", &format!("/{}/{key}?tagging", bucket.name), "");
        texts(&xml, "Key").into_iter().zip(texts(&xml, "Value")).collect()
    }

    async fn uploads(&self, bucket: &Bucket) -> Vec<String> {
        texts(&self.s3("GET", &format!("/{}?uploads", bucket.name), ""), "Key")
    }
}

impl QueueHarness for Embedded {
    type Queue = SqsQueue;

    fn queue(&self) -> &SqsQueue {
        &self.queue
    }

    async fn fresh_queue(&self, fifo: bool) -> String {
        let body = if fifo {
            json!({"QueueName": self.name("queue-") + ".fifo", "Attributes": {"FifoQueue": "true"}})
        } else {
            json!({"QueueName": self.name("queue-")})
        };
        text(&self.json("sqs", "AmazonSQS.CreateQueue", &body)["QueueUrl"])
    }

    async fn arn(&self, url: &str) -> String {
        let body = json!({"QueueUrl": url, "AttributeNames": ["QueueArn"]});
        text(&self.json("sqs", "AmazonSQS.GetQueueAttributes", &body)["Attributes"]["QueueArn"])
    }

    async fn receive(&self, url: &str) -> Vec<Received> {
        let body = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0});
        let answer = self.json("sqs", "AmazonSQS.ReceiveMessage", &body);
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        messages
            .iter()
            .map(|message| Received {
                id: text(&message["MessageId"]),
                body: text(&message["Body"]),
                receipt_handle: text(&message["ReceiptHandle"]),
            })
            .collect()
    }

    async fn delete(&self, url: &str, receipt_handle: &str) {
        self.json(
            "sqs",
            "AmazonSQS.DeleteMessage",
            &json!({"QueueUrl": url, "ReceiptHandle": receipt_handle}),
        );
    }
}

fn columns(list: &Value) -> Vec<CatalogColumn> {
    let column = |column: &Value| CatalogColumn {
        name: text(&column["Name"]),
        hive_type: text(&column["Type"]),
        comment: column["Comment"].as_str().filter(|comment| !comment.is_empty()).map(str::to_owned),
    };
    list.as_array().into_iter().flatten().map(column).collect()
}

impl CatalogHarness for Embedded {
    type Catalog = GlueCatalog;

    fn catalog(&self) -> &GlueCatalog {
        &self.catalog
    }

    fn fresh_name(&self) -> String {
        self.name("db_")
    }

    async fn table(&self, database: &str, table: &str) -> Option<CatalogTable> {
        let answer = self.json("glue", "AWSGlue.GetTable", &json!({"DatabaseName": database, "Name": table}));
        let stored = answer.get("Table")?;
        Some(CatalogTable {
            database: database.to_owned(),
            table: table.to_owned(),
            location: text(&stored["StorageDescriptor"]["Location"]),
            columns: columns(&stored["StorageDescriptor"]["Columns"]),
            partition_keys: columns(&stored["PartitionKeys"]),
            parameters: BTreeMap::new(),
        })
    }

    async fn partitions(&self, database: &str, table: &str) -> BTreeMap<Vec<String>, String> {
        let mut all = BTreeMap::new();
        let mut body = json!({"DatabaseName": database, "TableName": table});
        loop {
            let answer = self.json("glue", "AWSGlue.GetPartitions", &body);
            for partition in answer["Partitions"].as_array().into_iter().flatten() {
                let values = partition["Values"].as_array().into_iter().flatten().map(text).collect();
                all.insert(values, text(&partition["StorageDescriptor"]["Location"]));
            }
            match answer["NextToken"].as_str() {
                Some(next) if !next.is_empty() => body["NextToken"] = json!(next),
                _ => return all,
            }
        }
    }
}

#[tokio::test]
async fn the_s3_adapter_keeps_its_promises_on_ministack() {
    let harness = Embedded::start().await;
    holds(run(&harness, &object_store::cases(), STORE_EXEMPTIONS).await);
}

#[tokio::test]
async fn the_sqs_adapter_keeps_its_promises_on_ministack() {
    let harness = Embedded::start().await;
    holds(run(&harness, &queue::cases(), QUEUE_EXEMPTIONS).await);
}

#[tokio::test]
async fn the_glue_adapter_keeps_its_promises_on_ministack() {
    let harness = Embedded::start().await;
    holds(run(&harness, &catalog::cases(), CATALOG_EXEMPTIONS).await);
}
