//! From an SDK's error to a [`PortError`]: the only file that knows the error codes of AWS.
//!
//! | what came back | kind | effect, if the request writes |
//! |---|---|---|
//! | a refusal with a code | by [`by_code`] | none |
//! | 401, 403 | refused, by service | none |
//! | any other 4xx | by [`by_status`] | none |
//! | 500, 502, 503 without a throttling code, 504 | `Unavailable` | unknown |
//! | an error inside a 200 | `Unavailable` | unknown |
//! | an answer that cannot be read | `Unavailable` | unknown |
//! | timeout, cut connection | `Unavailable` | unknown |
//! | no connection, no credentials | `Unavailable` | none |

use std::error::Error;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use landfall_core::error::{Effect, PortError, PortErrorKind, chain};

/// The service that answered: "denied" means something else at each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    S3,
    Sts,
    Sqs,
    Glue,
}

/// A request about to be made: what an error of it says was attempted.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    service: Service,
    operation: &'static str,
    subject: String,
    writes: bool,
}

impl Attempt {
    /// A request that changes nothing, or may be repeated without harm.
    pub(crate) fn read(service: Service, operation: &'static str, subject: impl Into<String>) -> Self {
        Self { service, operation, subject: subject.into(), writes: false }
    }

    /// A request whose effect matters when it is not known.
    pub(crate) fn write(service: Service, operation: &'static str, subject: impl Into<String>) -> Self {
        Self { service, operation, subject: subject.into(), writes: true }
    }

    /// A failure this crate found by itself. It had no effect.
    pub(crate) fn refused(&self, kind: PortErrorKind, message: impl Into<String>) -> PortError {
        PortError::new(self.operation, self.subject.clone(), kind, message)
    }

    /// The failure of the whole request.
    pub(crate) fn failed<E>(&self, error: &SdkError<E, Response>) -> PortError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let code = error.code();
        let (kind, effect) = match error {
            SdkError::ConstructionFailure(_) => (PortErrorKind::Invalid, Effect::None),
            SdkError::DispatchFailure(_) if never_sent(error) => (PortErrorKind::Unavailable, Effect::None),
            SdkError::ServiceError(context) => classify(
                self.service,
                context.raw().status().as_u16(),
                code,
                error.message().unwrap_or_default(),
            ),
            // Timeouts, cut connections, answers that cannot be read; and whatever an SDK adds to them.
            _ => (PortErrorKind::Unavailable, Effect::Unknown),
        };
        self.error(kind, effect, code, chain(error))
    }

    /// The failure of one entry of a request that succeeded as a whole.
    pub(crate) fn entry_failed(&self, code: &str, message: &str) -> PortError {
        let (kind, effect) =
            by_code(self.service, code, message).unwrap_or((PortErrorKind::Unavailable, Effect::Unknown));
        self.error(kind, effect, Some(code), format!("{code}: {message}"))
    }

    fn error(&self, kind: PortErrorKind, effect: Effect, code: Option<&str>, message: String) -> PortError {
        PortError {
            operation: self.operation,
            subject: self.subject.clone(),
            kind,
            effect: if self.writes { effect } else { Effect::None },
            code: code.map(str::to_owned),
            message,
        }
    }
}

/// The HTTP status of an answer, where there was one.
pub(crate) fn status<E>(error: &SdkError<E, Response>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// Whether a condition of the request did not hold (412). A completion can say so inside a 200.
pub(crate) fn is_precondition_failed<E: ProvideErrorMetadata>(error: &SdkError<E, Response>) -> bool {
    status(error) == Some(412) || error.code() == Some("PreconditionFailed")
}

/// Whether the service itself says that the key does not exist. A bucket that is missing is something else.
pub(crate) fn is_missing_key<E: ProvideErrorMetadata>(error: &SdkError<E, Response>) -> bool {
    status(error) == Some(404)
        && matches!(error.code(), Some("NoSuchKey" | "NoSuchVersion" | "NotFound") | None)
}

/// Whether the multipart upload is gone: aborted, expired, or completed by an earlier request.
pub(crate) fn is_missing_upload<E: ProvideErrorMetadata>(error: &SdkError<E, Response>) -> bool {
    error.code() == Some("NoSuchUpload")
}

/// Whether a catalog says that the entity does not exist.
pub(crate) fn is_missing_entity<E: ProvideErrorMetadata>(error: &SdkError<E, Response>) -> bool {
    error.code() == Some("EntityNotFoundException")
}

/// Whether a catalog says that the entity exists already.
pub(crate) fn is_existing_entity<E: ProvideErrorMetadata>(error: &SdkError<E, Response>) -> bool {
    error.code().is_some_and(already_exists)
}

/// Whether the code of an entry says that the entity exists already.
pub(crate) fn already_exists(code: &str) -> bool {
    code == "AlreadyExistsException"
}

/// Whether the session's credentials have run out, so that the next call must enter the role again.
pub(crate) fn is_expired_session(error: &PortError) -> bool {
    error.code.as_deref().is_some_and(|code| EXPIRED_SESSION.contains(&code))
}

const EXPIRED_SESSION: &[&str] =
    &["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"];

/// The same failure once more: one for each message of a request that failed as a whole.
pub(crate) fn repeated(error: &PortError) -> PortError {
    PortError {
        operation: error.operation,
        subject: error.subject.clone(),
        kind: error.kind,
        effect: error.effect,
        code: error.code.clone(),
        message: error.message.clone(),
    }
}

/// Whether a request failed before a byte of it was sent.
fn never_sent(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.is::<CredentialsError>() {
            return true;
        }
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && matches!(
                io.kind(),
                io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkUnreachable
                    | io::ErrorKind::AddrNotAvailable
            )
        {
            return true;
        }
        next = cause.source();
    }
    false
}

/// Kind and effect of an answer.
fn classify(service: Service, status: u16, code: Option<&str>, message: &str) -> (PortErrorKind, Effect) {
    // S3 sends the 200 of a long copy before it knows how the copy ends: an error in its body is as vague as a
    // 500, whatever it says.
    if (200..300).contains(&status) {
        return (PortErrorKind::Unavailable, Effect::Unknown);
    }
    code.and_then(|code| by_code(service, code, message)).unwrap_or_else(|| by_status(service, status, code))
}

/// What a service's code means, where it means more than the status.
fn by_code(service: Service, code: &str, message: &str) -> Option<(PortErrorKind, Effect)> {
    // SQS codes come bare or with the old protocol's prefix.
    let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
    let kind = match code {
        // The service asks for less.
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "BandwidthLimitExceeded"
        | "EC2ThrottledException"
        | "PriorRequestNotComplete"
        | "KmsThrottled"
        | "KMS.ThrottlingException"
        | "KMS.RequestLimitExceeded"
        | "OverLimit"
        | "ResourceNotReadyException" => PortErrorKind::Throttled,

        // Refused before anything happened, and right again with fresh credentials or a fresh clock.
        "RequestTimeTooSkewed" | "RequestInTheFuture" | "RequestTimeout" | "TemporaryRedirect" => {
            PortErrorKind::Unavailable
        }
        code if EXPIRED_SESSION.contains(&code) => PortErrorKind::Unavailable,

        // Keys. S3 says only "AccessDenied" when the key's policy refuses; its text names the action.
        "GlueEncryptionException" => PortErrorKind::KeyRefused,
        code if code.starts_with("KMS.") || code.starts_with("Kms") || code.starts_with("KMS") => {
            PortErrorKind::KeyRefused
        }
        "AccessDenied" | "AccessDeniedException"
            if matches!(service, Service::S3 | Service::Sqs) && message.contains("kms:") =>
        {
            PortErrorKind::KeyRefused
        }

        "AccessDenied"
        | "AccessDeniedException"
        | "AllAccessDisabled"
        | "AccountProblem"
        | "NotSignedUp"
        | "Forbidden"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidToken"
        | "InvalidObjectState"
        | "RegionDisabledException"
        | "InvalidPayer" => refused(service),

        "NoSuchBucket"
        | "PermanentRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => PortErrorKind::BucketMissing,
        "NoSuchKey" | "NoSuchVersion" | "ReceiptHandleIsInvalid" | "MessageNotInflight" => {
            PortErrorKind::NotFound
        }

        "QueueDoesNotExist" | "NonExistentQueue" | "QueueDeletedRecently" | "InvalidAddress" => {
            PortErrorKind::QueueRefused
        }

        "EntityNotFoundException"
        | "ResourceNumberLimitExceededException"
        | "FederationSourceException"
        | "PermissionTypeMismatchException" => PortErrorKind::CatalogRefused,

        // A concurrent change won. An upload that is gone was ended by somebody else: begin a new one.
        "PreconditionFailed"
        | "ConditionalRequestConflict"
        | "OperationAborted"
        | "NoSuchUpload"
        | "ConcurrentModificationException"
        | "AlreadyExistsException"
        | "VersionMismatchException" => PortErrorKind::Conflict,

        "BadDigest" | "XAmzContentChecksumMismatch" | "XAmzContentSHA256Mismatch" => PortErrorKind::Corrupt,

        "OperationTimeoutException"
        | "InternalServiceException"
        | "InternalError"
        | "InternalFailure"
        | "FederationSourceRetryableException" => {
            return Some((PortErrorKind::Unavailable, Effect::Unknown));
        }

        "InvalidMessageContents"
        | "BatchRequestTooLong"
        | "InvalidParameterValue"
        | "InvalidInputException"
        | "EntityTooSmall"
        | "EntityTooLarge"
        | "InvalidPart"
        | "InvalidPartOrder"
        | "MalformedPolicyDocument"
        | "PackedPolicyTooLarge"
        | "ValidationError" => PortErrorKind::Invalid,
        _ => return None,
    };
    Some((kind, Effect::None))
}

/// What the status alone means.
fn by_status(service: Service, status: u16, code: Option<&str>) -> (PortErrorKind, Effect) {
    let kind = match status {
        301 => PortErrorKind::BucketMissing,
        307 => PortErrorKind::Unavailable,
        // S3 answers a HEAD without a body: an expired token is a bare 400 then, and passes.
        400 if service == Service::S3 && code.is_none() => PortErrorKind::Unavailable,
        401 | 403 => refused(service),
        404 => PortErrorKind::NotFound,
        409 | 412 => PortErrorKind::Conflict,
        429 => PortErrorKind::Throttled,
        // Not implemented: the endpoint lacks what its capabilities claim.
        400..=499 | 501 => PortErrorKind::Invalid,
        _ => return (PortErrorKind::Unavailable, Effect::Unknown),
    };
    (kind, Effect::None)
}

/// What a refusal means at each service.
fn refused(service: Service) -> PortErrorKind {
    match service {
        Service::S3 => PortErrorKind::Denied,
        Service::Sts => PortErrorKind::RoleRefused,
        Service::Sqs => PortErrorKind::QueueRefused,
        Service::Glue => PortErrorKind::CatalogRefused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_kind_and_effect() {
        use Effect::{None as Nothing, Unknown};
        use PortErrorKind as Kind;
        use Service::{Glue, S3, Sqs, Sts};
        for (service, status, code, message, kind, effect) in [
            (S3, 403, "AccessDenied", "Access Denied", Kind::Denied, Nothing),
            (S3, 403, "AllAccessDisabled", "", Kind::Denied, Nothing),
            (S3, 403, "InvalidObjectState", "", Kind::Denied, Nothing),
            (
                S3,
                403,
                "AccessDenied",
                "not authorized to perform: kms:GenerateDataKey",
                Kind::KeyRefused,
                Nothing,
            ),
            (S3, 400, "KMS.DisabledException", "", Kind::KeyRefused, Nothing),
            (S3, 400, "KMS.NotFoundException", "", Kind::KeyRefused, Nothing),
            (S3, 400, "KMS.KMSInvalidStateException", "", Kind::KeyRefused, Nothing),
            (S3, 503, "KMS.ThrottlingException", "", Kind::Throttled, Nothing),
            (S3, 404, "NoSuchBucket", "", Kind::BucketMissing, Nothing),
            (S3, 301, "PermanentRedirect", "", Kind::BucketMissing, Nothing),
            (S3, 400, "AuthorizationHeaderMalformed", "", Kind::BucketMissing, Nothing),
            (S3, 404, "NoSuchKey", "", Kind::NotFound, Nothing),
            (S3, 404, "NoSuchUpload", "", Kind::Conflict, Nothing),
            (S3, 503, "SlowDown", "Please reduce your request rate.", Kind::Throttled, Nothing),
            (S3, 503, "ServiceUnavailable", "", Kind::Unavailable, Unknown),
            (S3, 500, "InternalError", "", Kind::Unavailable, Unknown),
            (S3, 200, "InternalError", "", Kind::Unavailable, Unknown),
            (S3, 200, "SlowDown", "", Kind::Unavailable, Unknown),
            (S3, 409, "ConditionalRequestConflict", "", Kind::Conflict, Nothing),
            (S3, 412, "PreconditionFailed", "", Kind::Conflict, Nothing),
            (S3, 400, "ExpiredToken", "", Kind::Unavailable, Nothing),
            (S3, 400, "RequestTimeout", "", Kind::Unavailable, Nothing),
            (S3, 403, "RequestTimeTooSkewed", "", Kind::Unavailable, Nothing),
            (S3, 503, "RequestLimitExceeded", "", Kind::Throttled, Nothing),
            (S3, 400, "BadDigest", "", Kind::Corrupt, Nothing),
            (S3, 501, "NotImplemented", "", Kind::Invalid, Nothing),
            (S3, 400, "SomethingNew", "", Kind::Invalid, Nothing),
            (S3, 502, "SomethingNew", "", Kind::Unavailable, Unknown),
            (Sts, 403, "AccessDenied", "", Kind::RoleRefused, Nothing),
            (Sts, 403, "RegionDisabledException", "", Kind::RoleRefused, Nothing),
            (Sts, 400, "Throttling", "", Kind::Throttled, Nothing),
            (Sts, 403, "ExpiredTokenException", "", Kind::Unavailable, Nothing),
            (Sts, 400, "PackedPolicyTooLarge", "", Kind::Invalid, Nothing),
            (Sqs, 400, "QueueDoesNotExist", "", Kind::QueueRefused, Nothing),
            (Sqs, 400, "AWS.SimpleQueueService.NonExistentQueue", "", Kind::QueueRefused, Nothing),
            (Sqs, 403, "AccessDenied", "", Kind::QueueRefused, Nothing),
            (Sqs, 400, "KmsAccessDenied", "", Kind::KeyRefused, Nothing),
            (Sqs, 400, "KmsDisabled", "", Kind::KeyRefused, Nothing),
            (Sqs, 400, "KmsThrottled", "", Kind::Throttled, Nothing),
            (Sqs, 403, "OverLimit", "", Kind::Throttled, Nothing),
            (Sqs, 400, "InvalidMessageContents", "", Kind::Invalid, Nothing),
            (Glue, 400, "AccessDeniedException", "", Kind::CatalogRefused, Nothing),
            (Glue, 400, "EntityNotFoundException", "", Kind::CatalogRefused, Nothing),
            (Glue, 400, "ResourceNumberLimitExceededException", "", Kind::CatalogRefused, Nothing),
            (Glue, 400, "GlueEncryptionException", "", Kind::KeyRefused, Nothing),
            (Glue, 400, "ConcurrentModificationException", "", Kind::Conflict, Nothing),
            (Glue, 400, "OperationTimeoutException", "", Kind::Unavailable, Unknown),
            (Glue, 500, "InternalServiceException", "", Kind::Unavailable, Unknown),
            (Glue, 400, "ThrottlingException", "", Kind::Throttled, Nothing),
            (Glue, 400, "InvalidInputException", "", Kind::Invalid, Nothing),
        ] {
            assert_eq!(
                classify(service, status, Some(code), message),
                (kind, effect),
                "{service:?} {status} {code}"
            );
        }
    }

    #[test]
    fn answers_without_a_code_go_by_their_status() {
        for (status, kind, effect) in [
            (301, PortErrorKind::BucketMissing, Effect::None),
            (400, PortErrorKind::Unavailable, Effect::None),
            (403, PortErrorKind::Denied, Effect::None),
            (404, PortErrorKind::NotFound, Effect::None),
            (412, PortErrorKind::Conflict, Effect::None),
            (416, PortErrorKind::Invalid, Effect::None),
            (429, PortErrorKind::Throttled, Effect::None),
            (500, PortErrorKind::Unavailable, Effect::Unknown),
            (503, PortErrorKind::Unavailable, Effect::Unknown),
        ] {
            assert_eq!(classify(Service::S3, status, None, ""), (kind, effect), "{status}");
        }
    }

    #[test]
    fn an_entry_with_an_unknown_code_is_of_unknown_effect() {
        let attempt = Attempt::write(Service::Sqs, "send message", "queue");
        assert_eq!(attempt.entry_failed("InternalError", "oops").effect, Effect::Unknown);
        assert_eq!(attempt.entry_failed("Novel", "oops").kind, PortErrorKind::Unavailable);
        assert_eq!(attempt.entry_failed("InvalidMessageContents", "").kind, PortErrorKind::Invalid);
    }
}
