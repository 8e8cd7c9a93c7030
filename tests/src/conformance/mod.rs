//! What each port promises, as named cases that run against any adapter.
//!
//! A case has one of four verdicts on an endpoint: it holds; it is broken; it is broken and the endpoint is known for it
//! (an [`Exemption`], with its reason); or the endpoint declares that it cannot do what the case is about
//! ([`Case::needs`]), and then it is not run and counted as such, never as held. An exemption whose case holds is
//! stale and fails the run.

/// Breaks off a case unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Breach(format!($($message)+)));
        }
    };
}

/// The cases of a suite, named like their functions; in brackets what a case needs of the endpoint.
macro_rules! cases {
    ($($case:ident $([$needs:path])?),+ $(,)?) => {
        vec![$(
            $crate::conformance::Case::new(stringify!($case), |harness| Box::pin($case(harness)))
                $(.needs($needs))?
        ),+]
    };
}

pub mod catalog;
pub mod destinations;
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

/// The result of a case that was run.
pub type Verdict = Result<(), Breach>;

type Run<H> = for<'a> fn(&'a H) -> LocalBoxFuture<'a, Verdict>;

/// Why an endpoint, by its own declaration, cannot show what a case is about; `None` when it can.
type Needs<H> = fn(&H) -> Option<&'static str>;

/// One promise of a port.
pub struct Case<H> {
    name: &'static str,
    run: Run<H>,
    needs: Option<Needs<H>>,
}

impl<H> fmt::Debug for Case<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<H> Case<H> {
    /// A case that every endpoint has to pass.
    pub fn new(name: &'static str, run: Run<H>) -> Self {
        Self { name, run, needs: None }
    }

    /// The same case, for endpoints that declare the ability alone.
    #[must_use]
    pub fn needs(mut self, needs: Needs<H>) -> Self {
        self.needs = Some(needs);
        self
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
    /// How the case breaks: another breach of the same case is not exempt.
    pub breach: &'static str,
    /// What the endpoint does instead.
    pub reason: &'static str,
}

/// What came of a run without complaints.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The cases that hold.
    pub held: Vec<&'static str>,
    /// The cases that were not run, each with what the endpoint lacks.
    pub not_applicable: Vec<(&'static str, &'static str)>,
    /// The cases that are broken as their exemption says, each with its reason.
    pub exempt: Vec<(&'static str, &'static str)>,
}

impl Report {
    /// The names of the cases that were not run.
    pub fn not_applicable(&self) -> Vec<&'static str> {
        self.not_applicable.iter().map(|(case, _)| *case).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (held, other, exempt) = (self.held.len(), self.not_applicable.len(), self.exempt.len());
        write!(f, "{held} cases hold, {other} are not applicable, {exempt} are exempt")?;
        for (case, reason) in &self.not_applicable {
            write!(f, "\n  not applicable: {case}: {reason}")?;
        }
        for (case, reason) in &self.exempt {
            write!(f, "\n  exempt: {case}: {reason}")?;
        }
        Ok(())
    }
}

/// Runs every case, one after the other, each in a scene of its own.
///
/// # Errors
/// Every broken promise that is not exempt as it broke, every exemption that is stale (its case holds, or is not applicable),
/// every exemption without a case.
pub async fn run<H>(harness: &H, cases: &[Case<H>], exemptions: &[Exemption]) -> Result<Report, String> {
    let mut report = Report::default();
    let mut complaints = Vec::new();
    for case in cases {
        let exemption = exemptions.iter().find(|exemption| exemption.case == case.name);
        if let Some(lack) = case.needs.and_then(|needs| needs(harness)) {
            report.not_applicable.push((case.name, lack));
            if exemption.is_some() {
                complaints.push(format!("{}: not applicable, exemption no longer needed", case.name));
            }
            continue;
        }
        let Ok(outcome) = AssertUnwindSafe((case.run)(harness)).catch_unwind().await else {
            // The scene could not be set, or an adapter is broken: no endpoint's difference.
            complaints.push(format!("{}: panicked", case.name));
            continue;
        };
        match (outcome, exemption) {
            (Ok(()), None) => report.held.push(case.name),
            (Err(breach), Some(exemption)) if breach.0 == exemption.breach => {
                report.exempt.push((case.name, exemption.reason));
            }
            (Err(breach), _) => complaints.push(format!("{}: {breach}", case.name)),
            (Ok(()), Some(exemption)) => {
                let reason = exemption.reason;
                complaints.push(format!("{}: passes, exemption no longer needed ({reason})", case.name));
            }
        }
    }
    for exemption in exemptions {
        if !cases.iter().any(|case| case.name == exemption.case) {
            complaints.push(format!("{}: no such case", exemption.case));
        }
    }
    if complaints.is_empty() { Ok(report) } else { Err(format!("\n{}", complaints.join("\n"))) }
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

    async fn fits(_: &String) -> Verdict {
        Ok(())
    }

    /// An endpoint that is able to do what its name says.
    fn able(endpoint: &String) -> Option<&'static str> {
        (endpoint != "able").then_some("it cannot")
    }

    fn exempt(case: &'static str) -> Exemption {
        Exemption { case, breach: "broken", reason: "known" }
    }

    #[tokio::test]
    async fn exemptions_must_be_needed() {
        let cases = cases![holds, breaks];
        let report = run(&(), &cases, &[exempt("breaks")]).await.unwrap();
        assert_eq!((report.held, report.exempt.len()), (vec!["holds"], 1));
        for (exemptions, complaint) in [
            (vec![], "breaks: broken"),
            (vec![exempt("breaks"), exempt("holds")], "holds: passes, exemption no longer needed"),
            (vec![exempt("breaks"), exempt("gone")], "gone: no such case"),
            (vec![Exemption { breach: "bent", ..exempt("breaks") }], "breaks: broken"),
        ] {
            let complaints = run(&(), &cases, &exemptions).await.unwrap_err();
            assert!(complaints.contains(complaint), "{complaints}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_shown_is_not_counted_as_held() {
        let cases = cases![fits[able]];
        let report = run(&"able".to_owned(), &cases, &[]).await.unwrap();
        assert_eq!((report.held.as_slice(), report.not_applicable.len()), (&["fits"][..], 0));
        let weak = "weak".to_owned();
        let report = run(&weak, &cases, &[]).await.unwrap();
        assert_eq!((report.held.len(), report.not_applicable()), (0, vec!["fits"]));
        assert_eq!(
            report.to_string(),
            "0 cases hold, 1 are not applicable, 0 are exempt\n  not applicable: fits: it cannot"
        );
        let complaints = run(&weak, &cases, &[exempt("fits")]).await.unwrap_err();
        assert!(complaints.contains("exemption no longer needed"), "{complaints}");
    }
}
