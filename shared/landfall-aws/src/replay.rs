//! An HTTP client for tests: gives the answers it was told, in order, and keeps what was asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use aws_config::retry::RetryConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use aws_types::region::Region;
use jiff::{SignedDuration, Timestamp};
use landfall_core::delivery::{Access, Secret};
use landfall_core::port::{Bucket, Clock};

use crate::clients::Clients;
use crate::s3::LazyConnector;

/// One answer.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A response.
    Http { status: u16, headers: Vec<(&'static str, String)>, body: String },
    /// The connection is cut after the request was sent.
    Lost,
}

/// A response with a body.
pub(crate) fn answer(status: u16, body: impl Into<String>) -> Answer {
    Answer::Http { status, headers: Vec::new(), body: body.into() }
}

/// A response with headers.
pub(crate) fn with_headers(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Answer::Http { status, headers, body: body.to_owned() }
}

/// S3's error document.
pub(crate) fn s3_error(status: u16, code: &str) -> Answer {
    answer(
        status,
        format!(r#"<?xml version="1.0"?><Error><Code>{code}</Code><Message>said so</Message></Error>"#),
    )
}

/// The error of a JSON service.
pub(crate) fn json_error(status: u16, code: &str) -> Answer {
    with_headers(
        status,
        &[("x-amzn-errortype", code)],
        &format!(r#"{{"__type":"{code}","message":"said so"}}"#),
    )
}

/// One request as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Asked {
    /// A header's value; empty when it was not sent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Replay {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    credentials: Option<SharedCredentialsProvider>,
    /// What each request takes, by which clock.
    takes: Option<(TestClock, SignedDuration)>,
}

impl Replay {
    /// Lets each request take its time.
    pub(crate) fn taking(self, clock: &TestClock, time: SignedDuration) -> Self {
        Self { takes: Some((clock.clone(), time)), ..self }
    }

    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self {
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            asked: Arc::default(),
            credentials: None,
            takes: None,
        }
    }

    /// Lets the requests of our own account be signed with these credentials.
    pub(crate) fn signing_with(self, credentials: impl ProvideCredentials + 'static) -> Self {
        Self { credentials: Some(SharedCredentialsProvider::new(credentials)), ..self }
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The one request that was made.
    pub(crate) fn only(&self) -> Asked {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:#?}");
        asked[0].clone()
    }

    /// Clients that ask here.
    pub(crate) fn clients(&self) -> Clients {
        self.clients_at(&TestClock::default())
    }

    /// Clients that ask here and take the time from `clock`.
    pub(crate) fn clients_at(&self, clock: &TestClock) -> Clients {
        let fixed = || SharedCredentialsProvider::new(Credentials::new("AKID", "x", None, None, "replay"));
        let config = SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(self.credentials.clone().unwrap_or_else(fixed))
            .http_client(self.clone())
            .retry_config(
                RetryConfig::standard().with_max_attempts(3).with_initial_backoff(std::time::Duration::ZERO),
            )
            .build();
        let reads = SharedHttpConnector::new(self.clone());
        Clients::over(&config, LazyConnector::new(Box::new(|| reads)), Arc::new(clock.clone()))
    }
}

impl HttpConnector for Replay {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let asked = Asked {
            method: request.method().to_owned(),
            uri: request.uri().to_owned(),
            headers: request
                .headers()
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body: String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned(),
        };
        self.asked.lock().unwrap().push(asked);
        if let Some((clock, time)) = &self.takes {
            clock.advance(*time);
        }
        let next = self.answers.lock().unwrap().pop_front();
        HttpConnectorFuture::ready(match next {
            Some(Answer::Http { status, headers, body }) => {
                let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
                for (name, value) in headers {
                    response.headers_mut().insert(name, value);
                }
                Ok(response)
            }
            Some(Answer::Lost) => {
                Err(ConnectorError::io(Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset))))
            }
            None => Err(ConnectorError::user("a request nobody expected".into())),
        })
    }
}

impl HttpClient for Replay {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub(crate) struct TestClock(Arc<Mutex<Timestamp>>);

impl TestClock {
    pub(crate) fn advance(&self, by: SignedDuration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self(Arc::new(Mutex::new("2026-05-19T10:00:00Z".parse().unwrap())))
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A client's bucket.
pub(crate) fn lake() -> Bucket {
    Bucket { name: "acme-lake".into(), owner: "222222222222".into() }
}

/// A client's account.
pub(crate) fn access() -> Access {
    Access {
        tenant: "acme".into(),
        delivery: "acme-sales".into(),
        role_arn: "arn:aws:iam::222222222222:role/landfall".into(),
        external_id: Secret::new("very-secret"),
        region: "eu-west-1".into(),
        account: "222222222222".into(),
        bucket: "acme-lake".into(),
        prefix: "lake/sales/".into(),
        temp_prefix: "_tmp/acme-sales/".into(),
        kms_key_arn: None,
        glue: Some(("lake".into(), "sales".into())),
        queue_arns: vec!["arn:aws:sqs:eu-west-1:222222222222:etl".into()],
    }
}
