//! The clients of a process, built once.

use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::Credentials;
use aws_smithy_async::rt::sleep::SharedAsyncSleep;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::service_config::ServiceConfigKey;
use landfall_core::delivery::Secret;
use landfall_core::port::Clock;

use crate::clock::SystemClock;
use crate::destinations::AssumedDestinations;
use crate::glue::GlueCatalog;
use crate::s3::{DirectReads, LazyConnector, S3Store, STALL};
use crate::sqs::SqsQueue;
use crate::sts::Principal;

const TLS: tls::Provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a request may wait for the first byte of its answer.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
/// How long one try of a request may take, up to the head of its answer. Bodies are read outside of it.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(90);
/// Tries of requests that may be repeated, the first one included.
const TRIES: u32 = 4;

/// What is said explicitly; what is `None` comes from the environment, as for every tool of AWS.
#[derive(Debug, Clone)]
pub struct ClientsConfig {
    /// The region.
    pub region: Option<String>,
    /// The endpoint of all services, such as that of an emulator. Buckets are then addressed in the path.
    pub endpoint_url: Option<String>,
    /// Fixed credentials, for tests and endpoints other than AWS's.
    pub credentials: Option<StaticCredentials>,
}

/// A fixed access key.
#[derive(Debug, Clone)]
pub struct StaticCredentials {
    /// The access key's id.
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: Secret,
}

impl ClientsConfig {
    /// Everything from the environment: region, endpoints (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3`, ...) and
    /// credentials.
    pub fn from_environment() -> Self {
        Self { region: None, endpoint_url: None, credentials: None }
    }
}

/// The clients of a process: its own account, and the ways into client accounts. Cheap to clone; all clones
/// share connections and sessions.
#[derive(Debug, Clone)]
pub struct Clients {
    store: S3Store,
    queue: SqsQueue,
    catalog: GlueCatalog,
    destinations: AssumedDestinations,
}

impl Clients {
    /// Reads the configuration and builds the clients. No request is sent to a service; credentials are looked
    /// for at the first one. A region that is found nowhere fails each request.
    pub async fn load(config: ClientsConfig) -> Self {
        let http = aws_smithy_http_client::Builder::new().tls_provider(TLS).build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(RetryConfig::standard().with_max_attempts(TRIES))
            .timeout_config(timeouts())
            .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(STALL).build());
        if let Some(region) = config.region {
            loader = loader.region(Region::new(region));
        }
        if let Some(endpoint) = config.endpoint_url {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(fixed) = config.credentials {
            loader = loader.credentials_provider(Credentials::new(
                fixed.access_key_id,
                fixed.secret_access_key.expose(),
                None,
                None,
                "landfall-static",
            ));
        }
        let config = loader.load().await;
        let sleep = config.sleep_impl();
        let reads = LazyConnector::new(Box::new(move || SharedHttpConnector::new(connector(sleep))));
        Self::over(&config, reads, Arc::new(SystemClock))
    }

    /// The clients over a loaded configuration; pinned reads of our own objects go over `reads`.
    pub(crate) fn over(config: &SdkConfig, reads: LazyConnector, clock: Arc<dyn Clock>) -> Self {
        Self {
            store: store(config, Principal::Own).reading_directly(DirectReads::new(
                config,
                reads,
                clock.clone(),
            )),
            queue: queue(config, Principal::Own),
            catalog: catalog(config, Principal::Own),
            destinations: AssumedDestinations::new(config.clone(), clock),
        }
    }

    /// The objects of our own account.
    pub fn store(&self) -> S3Store {
        self.store.clone()
    }

    /// The queues of our own account.
    pub fn queue(&self) -> SqsQueue {
        self.queue.clone()
    }

    /// The catalog of our own account.
    pub fn catalog(&self) -> GlueCatalog {
        self.catalog.clone()
    }

    /// The ways into client accounts.
    pub fn destinations(&self) -> AssumedDestinations {
        self.destinations.clone()
    }
}

/// Connections for requests that do not go through the SDK, with its timeouts.
fn connector(sleep: Option<SharedAsyncSleep>) -> Connector {
    let settings =
        HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT);
    let mut builder = Connector::builder().connector_settings(settings.build());
    builder.set_sleep_impl(sleep);
    builder.tls_provider(TLS).build()
}

/// A store that acts as `principal`.
pub(crate) fn store(config: &SdkConfig, principal: Principal) -> S3Store {
    let custom = endpoint_url(config, "S3").is_some();
    let built = aws_sdk_s3::config::Builder::from(config).force_path_style(custom).build();
    S3Store::new(aws_sdk_s3::Client::from_conf(built), principal)
}

/// Queues, as `principal`.
pub(crate) fn queue(config: &SdkConfig, principal: Principal) -> SqsQueue {
    SqsQueue::new(aws_sdk_sqs::Client::new(config), principal, endpoint_url(config, "SQS"))
}

/// A catalog, as `principal`.
pub(crate) fn catalog(config: &SdkConfig, principal: Principal) -> GlueCatalog {
    GlueCatalog::new(aws_sdk_glue::Client::new(config), principal)
}

/// Timeouts of all requests but those that say otherwise.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build()
}

/// The endpoint configured for a service, where it is not AWS's own. The service's own variable comes first.
pub(crate) fn endpoint_url(config: &SdkConfig, service: &'static str) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    // What is said explicitly comes before the environment, as it does in the SDK.
    if config.get_origin("endpoint_url").is_client_config() {
        return config.endpoint_url().map(str::to_owned);
    }
    config
        .service_config()
        .and_then(|services| services.load_config(key))
        .or_else(|| config.endpoint_url().map(str::to_owned))
}
