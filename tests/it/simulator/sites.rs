//! Call sites: which function makes which kind of call on what kind of thing. The exhaustive mode covers a set of them;
//! nothing else may meet another.

use std::collections::BTreeSet;
use std::fmt;

use landfall_core::keys::RecordName;
use testkit::fake::{BodyRead, Call};

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// The function.
    pub function: &'static str,
    /// AWS's name of the operation; `ReadBody` for a chunk of a body.
    pub operation: &'static str,
    /// What it is done to.
    pub target: &'static str,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} on {}", self.function, self.operation, self.target)
    }
}

/// The site of a call; `None` for calls that no function made.
pub fn of_call(call: &Call) -> Option<Site> {
    let target = target(call.operation, &call.resource, call.key.as_deref().unwrap_or_default());
    Some(Site { function: call.function?, operation: call.operation, target })
}

/// The site of a chunk of a body.
pub fn of_read(read: &BodyRead) -> Option<Site> {
    let target = target("ReadBody", &read.resource, &read.key);
    Some(Site { function: read.function?, operation: "ReadBody", target })
}

fn target(operation: &'static str, resource: &str, key: &str) -> &'static str {
    match operation {
        "AssumeRole" => return "role",
        "SendMessage" | "ChangeMessageVisibility" => return queue(resource),
        _ => {}
    }
    match resource {
        "staging" => "staged object",
        "state" => state(key),
        bucket if bucket.ends_with("-lake") => {
            if key.starts_with("_tmp/") {
                "temp"
            } else {
                "production file"
            }
        }
        _ => "table",
    }
}

fn queue(url: &str) -> &'static str {
    match url.rsplit('/').next().unwrap_or_default() {
        "intake" => "intake queue",
        "plan.fifo" => "plan queue",
        "work" => "work queue",
        "work-failures" => "work failures",
        "work-dead" => "work dead letters",
        "commit" => "commit queue",
        "notify" => "notify queue",
        name if url.starts_with("arn:") || name.contains('-') => "client queue",
        _ => "unknown queue",
    }
}

fn state(key: &str) -> &'static str {
    let mut parts = key.split('/');
    match (parts.next().unwrap_or_default(), parts.next(), parts.next(), parts.next()) {
        ("config", ..) => "document",
        ("due", ..) => "due",
        ("holds", _, Some(""), _) => "holds",
        ("holds", _, Some(name), _) if name.starts_with("intent-") => "intent hold",
        ("holds", ..) => "hold",
        ("quarantine", ..) => "quarantine",
        ("log", _, Some("floor"), _) => "floor",
        ("log", _, Some("identities"), _) => "identities",
        ("log", _, Some("pins"), _) => "pin",
        ("log", _, Some("contracts"), Some("")) => "contracts",
        ("log", _, Some("contracts"), Some(_)) => "contract",
        ("log", _, Some(_), Some(name)) => record(name),
        ("log", ..) => "log",
        _ => "unknown state",
    }
}

fn record(name: &str) -> &'static str {
    if name.is_empty() {
        return "records of an intent";
    }
    match RecordName::parse(name) {
        Some(RecordName::Intent) => "intent",
        Some(RecordName::Outcome(1)) => "outcome",
        Some(RecordName::Outcome(_)) => "later outcome",
        Some(RecordName::Attempt { .. }) => "attempt",
        Some(RecordName::Refused { .. }) => "refused",
        Some(RecordName::Published(_)) => "published",
        Some(RecordName::Receipt(_)) => "receipt",
        Some(RecordName::Notified(_)) => "notified",
        Some(RecordName::Expired(_)) => "expired",
        Some(RecordName::Resumed(_)) => "resumed",
        Some(RecordName::Discarded) => "discarded",
        Some(RecordName::Closed) => "closed",
        // A record of a later version of the log: it needs a name here.
        None => "unknown record",
    }
}

/// What was met and is not covered.
pub fn uncovered<'a>(met: impl IntoIterator<Item = &'a Site>, covered: &BTreeSet<Site>) -> Vec<Site> {
    met.into_iter().filter(|site| !covered.contains(site)).copied().collect()
}
