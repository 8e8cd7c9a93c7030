//! Reads of single objects without the layers of the SDK: one signed request to a known endpoint.
//!
//! A compactor reads thousands of small objects for each file it writes, and the SDK's endpoint rules, interceptors,
//! retries and stream protection cost more of the processor than the request itself. Here only success is decided:
//! whatever else comes back is asked again through the SDK, which alone gives verdicts, backs off and follows the
//! clock of the service. Signing, checksums, connections and endpoint rules are the SDK's own parts.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr as _;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_s3::config::endpoint::{DefaultResolver, Endpoint, Params, ResolveEndpoint as _};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_checksums::ChecksumAlgorithm;
use aws_smithy_checksums::body::validate::ChecksumBody;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::Document;
use aws_types::SdkConfig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use landfall_core::port::{Bucket, Clock, ObjectHead};

use super::body::S3Body;
use super::objects::version;
use super::owner;
use super::wire::{crc64_value, key_path, quoted, total_size, unquoted};
use crate::clients::endpoint_url;
use crate::error::Attempt;

/// How long credentials without an end are held before they are asked for again: the SDK's own time.
const HELD_FOR: Duration = Duration::from_mins(15);
/// Credentials are asked for again when less than this is left of them.
const REFRESH_BEFORE: Duration = Duration::from_mins(5);
/// Credentials about to end are asked for again after so long.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// The checksums of a whole object that can be checked, the one S3 computes by itself first.
const CHECKSUMS: [(&str, &str); 5] = [
    ("crc64nvme", "x-amz-checksum-crc64nvme"),
    ("crc32", "x-amz-checksum-crc32"),
    ("crc32c", "x-amz-checksum-crc32c"),
    ("sha1", "x-amz-checksum-sha1"),
    ("sha256", "x-amz-checksum-sha256"),
];
const METADATA: &str = "x-amz-meta-";

/// Reads of objects of our own account. Cheap to clone.
#[derive(Clone)]
pub(crate) struct DirectReads(Arc<Shared>);

struct Shared {
    connector: LazyConnector,
    credentials: SharedCredentialsProvider,
    held: RwLock<Option<Held>>,
    config: SdkConfig,
    clock: Arc<dyn Clock>,
    /// By bucket; `None` for one that must be asked through the SDK.
    endpoints: RwLock<HashMap<String, Option<Arc<Signed>>>>,
}

/// Connections, made ready at the first request: reading the certificates of the machine takes longer than a start may.
pub(crate) type LazyConnector =
    LazyLock<SharedHttpConnector, Box<dyn FnOnce() -> SharedHttpConnector + Send>>;

/// Where a bucket is, and what its requests are signed for.
struct Signed {
    url: String,
    region: String,
}

/// Credentials, and until when they are used.
#[derive(Clone)]
struct Held {
    identity: Identity,
    until: SystemTime,
}

/// What is read.
pub(super) struct Read<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) key: &'a str,
    pub(super) if_match: &'a str,
    /// The first and the last byte.
    pub(super) range: Option<(u64, u64)>,
}

impl DirectReads {
    /// Reads over `connector`, with region, endpoint and credentials of `config`; `None` where it has no credentials.
    pub(crate) fn new(config: &SdkConfig, connector: LazyConnector, clock: Arc<dyn Clock>) -> Option<Self> {
        Some(Self(Arc::new(Shared {
            connector,
            credentials: config.credentials_provider()?,
            held: RwLock::default(),
            config: config.clone(),
            clock,
            endpoints: RwLock::default(),
        })))
    }

    /// The object, where all went well; `None` says nothing but that the SDK must be asked.
    pub(super) async fn get(&self, read: &Read<'_>, attempt: &Attempt) -> Option<(ObjectHead, S3Body)> {
        let endpoint = self.endpoint(&read.bucket.name).await?;
        let now = SystemTime::from(self.0.clock.now());
        let identity = self.identity(now).await?;
        let request = request(read, &endpoint, &identity, now)?;
        match self.0.connector.call(request).await {
            Ok(answer) if matches!(answer.status().as_u16(), 200 | 206) => found(answer, attempt),
            Ok(answer) => {
                let status = answer.status().as_u16();
                tracing::info!(status, key = read.key, "read again through the SDK");
                // The credentials may have been withdrawn before their time.
                if matches!(status, 400 | 401 | 403) {
                    self.hold(None);
                }
                None
            }
            Err(error) => {
                tracing::info!(%error, key = read.key, "read again through the SDK");
                None
            }
        }
    }

    /// The endpoint of a bucket by the SDK's rules, which are asked once.
    async fn endpoint(&self, bucket: &str) -> Option<Arc<Signed>> {
        if let Some(known) = self.0.endpoints.read().unwrap_or_else(PoisonError::into_inner).get(bucket) {
            return known.clone();
        }
        let config = &self.0.config;
        let custom = endpoint_url(config, "S3");
        let params = Params::builder()
            .bucket(bucket)
            .set_region(config.region().map(ToString::to_string))
            .force_path_style(custom.is_some())
            .set_endpoint(custom)
            .use_fips(config.use_fips().unwrap_or_default())
            .use_dual_stack(config.use_dual_stack().unwrap_or_default())
            .build()
            .ok()?;
        let resolved = DefaultResolver::new().resolve_endpoint(&params).await.ok();
        let signed = resolved.as_ref().and_then(signed).map(Arc::new);
        let mut endpoints = self.0.endpoints.write().unwrap_or_else(PoisonError::into_inner);
        endpoints.insert(bucket.to_owned(), signed.clone());
        signed
    }

    async fn identity(&self, now: SystemTime) -> Option<Identity> {
        let held = self.0.held.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(held) = held
            && now < held.until
        {
            return Some(held.identity);
        }
        let credentials = self.0.credentials.provide_credentials().await.ok()?;
        let until = match credentials.expiry() {
            // Near their end they are asked for again and again, but not for each read.
            Some(end) => end.checked_sub(REFRESH_BEFORE)?.max(now.checked_add(ASK_AGAIN)?).min(end),
            None => now.checked_add(HELD_FOR)?,
        };
        let identity = Identity::from(credentials);
        self.hold(Some(Held { identity: identity.clone(), until }));
        Some(identity)
    }

    fn hold(&self, held: Option<Held>) {
        *self.0.held.write().unwrap_or_else(PoisonError::into_inner) = held;
    }
}

/// What signs requests to an endpoint; none where it is not the common way, as for access points and directory buckets.
fn signed(endpoint: &Endpoint) -> Option<Signed> {
    let scheme = endpoint.auth_schemes().first().filter(|scheme| scheme.name() == "sigv4")?;
    let text = |name| scheme.get(name).and_then(Document::as_string);
    (text("signingName") == Some("s3") && endpoint.headers().next().is_none()).then_some(())?;
    Some(Signed { url: endpoint.url().to_owned(), region: text("signingRegion")?.to_owned() })
}

/// The request, signed.
fn request(read: &Read<'_>, endpoint: &Signed, identity: &Identity, now: SystemTime) -> Option<HttpRequest> {
    let uri = format!("{}/{}", endpoint.url, key_path(read.key));
    let mut headers =
        vec![("if-match", quoted(read.if_match)), ("x-amz-checksum-mode", "ENABLED".to_owned())];
    headers.extend(owner(read.bucket).map(|owner| ("x-amz-expected-bucket-owner", owner)));
    headers.extend(read.range.map(|(first, last)| ("range", format!("bytes={first}-{last}"))));
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let params = v4::SigningParams::builder()
        .identity(identity)
        .region(&endpoint.region)
        .name("s3")
        .time(now)
        .settings(settings)
        .build()
        .ok()?
        .into();
    let signed = headers.iter().map(|(name, value)| (*name, value.as_str()));
    let signable = SignableRequest::new("GET", uri.as_str(), signed, SignableBody::empty()).ok()?;
    let (signature, _) = sign(signable, &params).ok()?.into_parts();
    let (signature, _) = signature.into_parts();
    let mut request = HttpRequest::get(uri).ok()?;
    for (name, value) in headers {
        request.headers_mut().try_insert(name, value).ok()?;
    }
    for header in signature {
        request.headers_mut().try_insert(header.name(), header.value().to_owned()).ok()?;
    }
    Some(request)
}

/// The answer to a read that found its object; none where it cannot be read as that.
fn found(answer: HttpResponse, attempt: &Attempt) -> Option<(ObjectHead, S3Body)> {
    let headers = answer.headers();
    let length = headers.get("content-length")?.parse().ok()?;
    let head = ObjectHead {
        etag: unquoted(headers.get("etag")),
        size: headers.get("content-range").map_or(Some(length), total_size)?,
        version_id: version(headers.get("x-amz-version-id")),
        crc64nvme: crc64_value(headers.get("x-amz-checksum-crc64nvme")),
        metadata: headers.iter().filter_map(metadata).collect(),
    };
    // A part has no checksum of its own.
    let checksum = if answer.status().as_u16() == 200 { checksum(headers) } else { None };
    let body = answer.into_body();
    let body = match checksum {
        Some((algorithm, value)) => {
            SdkBody::from_body_1_x(ChecksumBody::new(body, algorithm.into_impl(), value))
        }
        None => body,
    };
    Some((head, S3Body::new(ByteStream::new(body), length, attempt.clone())))
}

fn metadata((name, value): (&str, &str)) -> Option<(String, String)> {
    Some((name.strip_prefix(METADATA)?.to_owned(), value.to_owned()))
}

/// The checksum of a whole object; none for one that was put together of those of its parts (`...-2`).
fn checksum(headers: &Headers) -> Option<(ChecksumAlgorithm, Bytes)> {
    CHECKSUMS.iter().find_map(|(name, header)| {
        let value = STANDARD.decode(headers.get(*header)?).ok()?;
        Some((ChecksumAlgorithm::from_str(name).ok()?, Bytes::from(value)))
    })
}

impl fmt::Debug for DirectReads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectReads")
    }
}

#[cfg(test)]
mod tests;
