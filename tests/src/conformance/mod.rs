//! What each port promises, as named cases that run against any adapter.
//!
//! A case that an endpoint cannot pass stands on a list of exemptions with its reason; an exemption whose case
//! passes is stale and fails the run as well.

/// Breaks off a case unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Breach(format!($($message)+)));
        }
    };
}

/// The cases of a suite, named like their functions.
macro_rules! cases {
    ($($case:path),+ $(,)?) => {
        vec![$($crate::conformance::Case::new(stringify!($case), |harness| Box::pin($case(harness)))),+]
    };
}

pub mod catalog;
pub mod object_store;
pub mod queue;

use std::fmt;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use landfall_core::error::{ErrorClass, PortError, PortErrorKind};

/// How a port broke its promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach(pub String);

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<PortError> for Breach {
    fn from(error: PortError) -> Self {
        Self(format!("unexpected failure: {error} ({:?})", error.kind))
    }
}

/// The result of one case.
pub type Verdict = Result<(), Breach>;

type Run<H> = for<'a> fn(&'a H) -> LocalBoxFuture<'a, Verdict>;

/// One promise of a port.
pub struct Case<H> {
    name: &'static str,
    run: Run<H>,
}

impl<H> fmt::Debug for Case<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<H> Case<H> {
    /// A case; the name's path is left off.
    pub fn new(name: &'static str, run: Run<H>) -> Self {
        Self { name: name.rsplit("::").next().unwrap_or(name).trim(), run }
    }

    /// The promise in words, with underscores.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// A case that an endpoint is known to fail, and why.
#[derive(Debug, Clone, Copy)]
pub struct Exemption {
    /// The name of the case.
    pub case: &'static str,
    /// What the endpoint does instead.
    pub reason: &'static str,
}

/// Runs every case, one after the other, each in a scene of its own.
///
/// # Errors
/// Every broken promise that is not exempt, every exemption that is stale, every exemption without a case.
pub async fn run<H>(harness: &H, cases: &[Case<H>], exemptions: &[Exemption]) -> Result<(), String> {
    let mut complaints = Vec::new();
    for case in cases {
        let Ok(outcome) = AssertUnwindSafe((case.run)(harness)).catch_unwind().await else {
            // The scene could not be set, or an adapter is broken: no endpoint's difference.
            complaints.push(format!("{}: panicked", case.name));
            continue;
        };
        let exemption = exemptions.iter().find(|exemption| exemption.case == case.name);
        match (outcome, exemption) {
            (Ok(()), None) | (Err(_), Some(_)) => {}
            (Err(breach), None) => complaints.push(format!("{}: {breach}", case.name)),
            (Ok(()), Some(exemption)) => {
                complaints
                    .push(format!("{}: passes, the exemption is stale ({})", case.name, exemption.reason));
            }
        }
    }
    for exemption in exemptions {
        if !cases.iter().any(|case| case.name == exemption.case) {
            complaints.push(format!("{}: no such case", exemption.case));
        }
    }
    if complaints.is_empty() { Ok(()) } else { Err(format!("\n{}", complaints.join("\n"))) }
}

/// The failure of a call that must fail.
pub(crate) fn failure<T: fmt::Debug>(result: Result<T, PortError>, what: &str) -> Result<PortError, Breach> {
    result.err().ok_or_else(|| Breach(format!("{what} succeeded")))
}

/// Holds a failure to its kind.
pub(crate) fn expect_kind<T: fmt::Debug>(
    result: Result<T, PortError>,
    kind: PortErrorKind,
    what: &str,
) -> Verdict {
    let error = failure(result, what)?;
    ensure!(error.kind == kind, "{what}: {:?} instead of {kind:?}: {error}", error.kind);
    Ok(())
}

/// Holds a failure to its class.
pub(crate) fn expect_class<T: fmt::Debug>(
    result: Result<T, PortError>,
    class: ErrorClass,
    what: &str,
) -> Verdict {
    let error = failure(result, what)?;
    ensure!(error.class() == class, "{what}: {} instead of {class}: {error}", error.class());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn holds((): &()) -> Verdict {
        Ok(())
    }

    async fn breaks((): &()) -> Verdict {
        Err(Breach("broken".to_owned()))
    }

    fn exempt(case: &'static str) -> Exemption {
        Exemption { case, reason: "known" }
    }

    #[tokio::test]
    async fn exemptions_must_be_needed() {
        let cases = cases![holds, breaks];
        assert!(run(&(), &cases, &[exempt("breaks")]).await.is_ok());
        for (exemptions, complaint) in [
            (vec![], "breaks: broken"),
            (vec![exempt("breaks"), exempt("holds")], "holds: passes"),
            (vec![exempt("breaks"), exempt("gone")], "gone: no such case"),
        ] {
            let complaints = run(&(), &cases, &exemptions).await.unwrap_err();
            assert!(complaints.contains(complaint), "{complaints}");
        }
    }
}
