//! MiniStack, set up for the suites: what no port can do is asked of it directly, as the root of an account.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use landfall_aws::{
    AssumedDestinations, Clients, ClientsConfig, GlueCatalog, S3Store, SqsQueue, StaticCredentials,
};
use landfall_core::delivery::{Access, Capabilities, Secret};
use landfall_core::port::{Bucket, CatalogColumn, CatalogTable};
use landfall_embedded::{MiniStack, Project};
use serde_json::{Value, json};
use testkit::conformance::catalog::CatalogHarness;
use testkit::conformance::destinations::{Client, DestinationsHarness};
use testkit::conformance::object_store::StoreHarness;
use testkit::conformance::queue::{QueueHarness, Received};

use super::CAPABILITIES;

const ACCOUNT: &str = "111111111111";
const CLIENT: &str = "222222222222";
const REGION: &str = "eu-central-1";
const EXTERNAL_ID: &str = "agreed-with-the-client";

pub struct Embedded {
    _process: MiniStack,
    _work: tempfile::TempDir,
    address: String,
    store: S3Store,
    queue: SqsQueue,
    catalog: GlueCatalog,
    destinations: AssumedDestinations,
    names: AtomicUsize,
}

impl Embedded {
    /// A MiniStack of its own; it ends with this value. Without the tools this fails: nothing is skipped.
    pub async fn start() -> Self {
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
            destinations: clients.destinations(),
            names: AtomicUsize::new(0),
            _process: process,
            _work: work,
        }
    }

    fn name(&self, kind: &str) -> String {
        format!("{kind}{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// One request past the adapters, as the root of an account; the answer's body.
    fn request(
        &self,
        (account, service): (&str, &str),
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> String {
        let address = &self.address;
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential={account}/20260519/{REGION}/{service}/aws4_request, \
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
        self.s3_as(ACCOUNT, method, path, body)
    }

    fn s3_as(&self, account: &str, method: &str, path: &str, body: &str) -> String {
        let answer = self.request((account, "s3"), method, path, &[], body);
        assert!(!answer.contains("<Error>"), "{method} {path}: {answer}");
        answer
    }

    /// One call of a JSON protocol.
    fn json(&self, service: &str, target: &str, body: &Value) -> Value {
        self.json_as(ACCOUNT, service, target, body)
    }

    fn json_as(&self, account: &str, service: &str, target: &str, body: &Value) -> Value {
        let headers = [("Content-Type", "application/x-amz-json-1.1"), ("X-Amz-Target", target)];
        let answer = self.request((account, service), "POST", "/", &headers, &body.to_string());
        if answer.is_empty() { Value::Null } else { serde_json::from_str(&answer).unwrap() }
    }

    /// One call of IAM in the client's account.
    fn iam(&self, parameters: &[(&str, &str)]) {
        let mut body = "Version=2010-05-08".to_owned();
        for (name, value) in parameters {
            body.extend(["&", name, "=", &encoded(value)]);
        }
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let answer = self.request((CLIENT, "iam"), "POST", "/", &headers, &body);
        assert!(!answer.contains("<Error>"), "{body}: {answer}");
    }

    /// A role of the client that may do everything there; its ARN.
    fn role(&self, name: &str, trusted: &str) -> String {
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": format!("arn:aws:iam::{trusted}:root")},
            "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
        }]});
        let (action, document) = (("Action", "CreateRole"), trust.to_string());
        self.iam(&[action, ("RoleName", name), ("AssumeRolePolicyDocument", &document)]);
        self.policy(name, "everything", "Allow", "*");
        format!("arn:aws:iam::{CLIENT}:role/{name}")
    }

    fn policy(&self, role: &str, name: &str, effect: &str, action: &str) {
        let statement = json!({"Effect": effect, "Action": action, "Resource": "*"});
        let document = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        let call = [("Action", "PutRolePolicy"), ("RoleName", role), ("PolicyName", name)];
        self.iam(&[call[0], call[1], call[2], ("PolicyDocument", &document)]);
    }

    fn bucket(&self, account: &str, name: &str) -> Bucket {
        let place = "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                     <LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>";
        self.s3_as(account, "PUT", &format!("/{name}"), place);
        Bucket { name: name.to_owned(), owner: account.to_owned() }
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

/// A number that came as text.
fn number<T: std::str::FromStr>(value: &Value) -> T {
    let text = value.as_str().unwrap_or_default();
    text.parse().unwrap_or_else(|_| panic!("{value} is no number"))
}

/// A text as a form or a path carries it; slashes stay.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
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
        let bucket = self.bucket(ACCOUNT, &self.name("bucket-"));
        if versioned {
            let document = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                            <Status>Enabled</Status></VersioningConfiguration>";
            self.s3("PUT", &format!("/{}?versioning", bucket.name), document);
        }
        bucket
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

    async fn version(&self, bucket: &Bucket, key: &str, id: &str) -> Option<Vec<u8>> {
        let path = format!("/{}/{key}?versionId={id}", bucket.name);
        let answer = self.request((ACCOUNT, "s3"), "GET", &path, &[], "");
        (!answer.contains("<Error>")).then(|| answer.into_bytes())
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

    async fn queue_with_dead_letters(&self, receives: u32) -> (String, String) {
        let dead = QueueHarness::fresh_queue(self, false).await;
        let policy = json!({"deadLetterTargetArn": self.arn(&dead).await, "maxReceiveCount": receives});
        let attributes = json!({"RedrivePolicy": policy.to_string()});
        let body = json!({"QueueName": self.name("queue-"), "Attributes": attributes});
        (text(&self.json("sqs", "AmazonSQS.CreateQueue", &body)["QueueUrl"]), dead)
    }

    async fn arn(&self, url: &str) -> String {
        let body = json!({"QueueUrl": url, "AttributeNames": ["QueueArn"]});
        text(&self.json("sqs", "AmazonSQS.GetQueueAttributes", &body)["Attributes"]["QueueArn"])
    }

    async fn receive(&self, url: &str) -> Vec<Received> {
        let body = json!({
            "QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0, "AttributeNames": ["All"],
        });
        let answer = self.json("sqs", "AmazonSQS.ReceiveMessage", &body);
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        messages
            .iter()
            .map(|message| Received {
                id: text(&message["MessageId"]),
                body: text(&message["Body"]),
                receipt_handle: text(&message["ReceiptHandle"]),
                receives: number(&message["Attributes"]["ApproximateReceiveCount"]),
                sent_at: number(&message["Attributes"]["SentTimestamp"]),
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

impl DestinationsHarness for Embedded {
    type Destinations = AssumedDestinations;

    fn destinations(&self) -> &AssumedDestinations {
        &self.destinations
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn fresh_client(&self) -> Client {
        let name = self.name("client-");
        let queue = |kind: &str| {
            let name = format!("{name}-{kind}");
            self.json_as(CLIENT, "sqs", "AmazonSQS.CreateQueue", &json!({"QueueName": name}));
            format!("arn:aws:sqs:{REGION}:{CLIENT}:{name}")
        };
        let access = Access {
            tenant: "acme".into(),
            delivery: "acme-sales".into(),
            role_arn: self.role(&format!("{name}-delivery"), ACCOUNT),
            external_id: Secret::new(EXTERNAL_ID),
            region: REGION.into(),
            account: CLIENT.into(),
            bucket: self.bucket(CLIENT, &format!("{name}-lake")).name,
            prefix: "lake/sales/".into(),
            temp_prefix: "_tmp/acme-sales/".into(),
            kms_key_arn: None,
            glue: Some((name.clone(), "sales".into())),
            queue_arns: vec![queue("etl")],
        };
        Client {
            access,
            untrusting_role: self.role(&format!("{name}-other"), "999999999999"),
            other_bucket: self.bucket(CLIENT, &format!("{name}-other")),
            other_queue: queue("other"),
        }
    }

    async fn deny(&self, client: &Client, action: &str) {
        let role = client.access.role_arn.rsplit('/').next().unwrap_or_default();
        self.policy(role, "taken-away", "Deny", action);
    }

    async fn place(&self, bucket: &Bucket, key: &str, body: &str) -> String {
        let path = format!("/{}/{}", bucket.name, encoded(key));
        self.s3_as(CLIENT, "PUT", &path, body);
        let list = format!("/{}?list-type=2&prefix={}", bucket.name, encoded(key));
        let etags = texts(&self.s3_as(CLIENT, "GET", &list, ""), "ETag");
        etags.first().map(|etag| etag.replace("&quot;", "").replace('"', "")).unwrap_or_default()
    }

    async fn keys(&self, bucket: &Bucket) -> Vec<String> {
        texts(&self.s3_as(CLIENT, "GET", &format!("/{}?list-type=2", bucket.name), ""), "Key")
    }
}
