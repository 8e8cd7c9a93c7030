//! `landfall redeliver`, `discard`, `resolve` and `log show` over a state bucket in the embedded AWS.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};

use jiff::Timestamp;
use landfall_aws::{Clients, ClientsConfig, S3Store, StaticCredentials};
use landfall_core::delivery::Secret;
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::Ledger;
use landfall_core::port::Bucket;
use landfall_core::record::{
    Attempt, Expired, FORMAT, FlushReason, Input, Intent, Outcome, OutcomeFile, Verdict,
};
use landfall_embedded::{MiniStack, Project};

const ACCOUNT: &str = "111111111111";
const REGION: &str = "eu-central-1";
const ID: &str = "sales";

/// A state bucket, and commands that work on it.
struct Stack {
    endpoint: String,
    ledger: Ledger<S3Store>,
    _process: MiniStack,
    _work: tempfile::TempDir,
}

impl Stack {
    async fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let work = tempfile::tempdir().unwrap();
        let process = MiniStack::start(&Project::at(&root).unwrap(), work.path()).unwrap();
        let endpoint = process.endpoint();
        create_bucket(endpoint.trim_start_matches("http://"));
        let clients = Clients::load(ClientsConfig {
            region: Some(REGION.into()),
            endpoint_url: Some(endpoint.clone()),
            credentials: Some(StaticCredentials {
                access_key_id: ACCOUNT.into(),
                secret_access_key: Secret::new("test"),
            }),
        })
        .await;
        let bucket = Bucket { name: "state".into(), owner: ACCOUNT.into() };
        Self { endpoint, ledger: Ledger::new(clients.store(), bucket), _process: process, _work: work }
    }

    /// An intent of one input and one file; with a copy of unknown effect, or expired before it was merged.
    async fn intent(&self, n: u64, expired: bool) {
        let at: Timestamp = "2026-05-19T10:00:00Z".parse().unwrap();
        let input = Input { key: format!("acme/sales/{n}"), etag: "e".into(), size: 1, last_modified: at };
        let intent = Intent {
            version: FORMAT,
            delivery: ID.into(),
            n,
            planned_at: at,
            pin: "p".into(),
            reason: FlushReason::Age,
            partition: Vec::new(),
            predicted: 1,
            inputs: vec![input],
        };
        self.put(n, RecordName::Intent, &intent).await;
        if expired {
            let expired = Expired {
                version: FORMAT,
                at,
                resource: "role".into(),
                first_failure: at,
                detail: "not let in".into(),
                published: Vec::new(),
                unpublished: Vec::new(),
            };
            self.put(n, RecordName::Expired(1), &expired).await;
            return;
        }
        let file = OutcomeFile {
            index: 0,
            temp_key: "_tmp/sales/x".into(),
            etag: "e".into(),
            bytes: 1,
            crc64nvme: "0".repeat(16),
            rows: 1,
            partition: Vec::new(),
            key: format!("lake/sales/{n}.parquet"),
        };
        let outcome = Outcome {
            version: FORMAT,
            delivery: ID.into(),
            n,
            generation: 1,
            execution: "x".into(),
            engine: "1".into(),
            void: false,
            consumed: 1,
            files: vec![file],
            verdicts: vec![Verdict::Merged { rows: 1, rejected: 0 }],
            versions: vec![None],
            rejected_rows: Vec::new(),
            rescued: 0,
            raw_bytes: 1,
            evolved: None,
        };
        self.put(n, RecordName::Outcome(1), &outcome).await;
        let attempt = Attempt { version: FORMAT, file: 0, k: 1, at, execution: "x".into(), generation: 1 };
        self.put(n, RecordName::Attempt { file: 0, k: 1 }, &attempt).await;
    }

    async fn put(&self, n: u64, name: RecordName, record: &(impl serde::Serialize + Sync)) {
        self.ledger.put_once(&keys::record(ID, n, name), record).await.unwrap();
    }

    async fn has(&self, n: u64, name: RecordName) -> bool {
        self.ledger.records(ID, n).await.unwrap().contains(&name)
    }

    /// Runs a command; its exit code and what it said.
    fn landfall(&self, command: &[&str], rest: &[&str]) -> (Option<i32>, String) {
        let place = ["--bucket", "state", "--account", ACCOUNT];
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args([command, &place, rest].concat())
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", ACCOUNT)
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .output()
            .unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        (status.code(), text)
    }
}

/// One request past the adapters, which create no buckets.
fn create_bucket(address: &str) {
    let body = "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                <LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>";
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "PUT /state HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260519/{REGION}/s3/aws4_request, \
         SignedHeaders=host, Signature=00\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn what_an_operator_decides_is_written_into_the_log_and_shown() {
    let stack = Stack::start().await;
    stack.intent(1, true).await;
    stack.intent(2, true).await;
    stack.intent(3, false).await;

    let (code, text) = stack.landfall(&["redeliver"], &[ID, "1", "3"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("intent 1 goes on as part 2"), "{text}");
    assert!(text.contains("intent 3: it has not expired"), "{text}");
    assert!(stack.has(1, RecordName::Resumed(1)).await && !stack.has(3, RecordName::Resumed(1)).await);

    assert_eq!(stack.landfall(&["discard"], &[ID, "2"]).0, Some(0));
    assert!(stack.has(2, RecordName::Discarded).await);

    let (code, text) = stack.landfall(&["resolve"], &["--delivered", ID, "3", "0"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(stack.has(3, RecordName::Published(0)).await);
    let (code, text) = stack.landfall(&["resolve"], &["--not-delivered", ID, "3", "0"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no copy of file 0 is of unknown effect"), "{text}");

    let (_, shown) = stack.landfall(&["log", "show"], &[ID]);
    for state in ["planned (part 2)", "discarding", "merged"] {
        assert!(shown.contains(state), "{state} is not in {shown}");
    }
    let (code, text) = stack.landfall(&["log", "verify"], &[ID]);
    assert_eq!(code, Some(0), "{text}");
    // A bucket that is not there is no refusal of the action.
    let elsewhere = ["--bucket", "none", "--account", ACCOUNT, ID, "1"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    command.arg("redeliver").args(elsewhere).env("AWS_ENDPOINT_URL", &stack.endpoint);
    command.env("AWS_REGION", REGION).env("AWS_ACCESS_KEY_ID", ACCOUNT).env("AWS_SECRET_ACCESS_KEY", "test");
    assert_eq!(command.output().unwrap().status.code(), Some(2));
}
