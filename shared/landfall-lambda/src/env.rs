//! The environment: the only place that reads it. Every variable is declared once, here; a test compares this list with
//! `infra/template.yaml`.

use std::collections::BTreeMap;
use std::fmt;

use crate::shown::shown_within;

/// One environment variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// The name.
    pub name: &'static str,
    /// The functions it is set for.
    pub used_by: &'static [&'static str],
    /// What it says, with its unit.
    pub meaning: &'static str,
}

macro_rules! variables {
    ($($constant:ident = $name:literal, $used_by:expr, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: Variable = Variable { name: $name, used_by: $used_by, meaning: $meaning };
        )*
        /// All variables.
        pub const ALL: &[Variable] = &[$($constant),*];
        /// What they are called here, in the same order.
        #[cfg(test)]
        const CONSTANTS: &[&str] = &[$(stringify!($constant)),*];
    };
}

const EVERY: &[&str] = &["compactor", "committer", "notifier"];

variables! {
    STATE_BUCKET = "LANDFALL_STATE_BUCKET", EVERY,
        "The bucket of configuration, log and quarantine.";
    STAGING_BUCKET = "LANDFALL_STAGING_BUCKET", &["compactor", "committer"],
        "The bucket producers drop their objects into.";
    ACCOUNT_ID = "LANDFALL_ACCOUNT_ID", EVERY,
        "Our own account, 12 digits: the expected owner of both buckets.";
    TIMEOUT_SECONDS = "LANDFALL_TIMEOUT_SECONDS", EVERY,
        "The timeout of this function, in seconds.";
    ALLOW_CROSS_REGION = "LANDFALL_ALLOW_CROSS_REGION", EVERY,
        "Whether deliveries to other regions are served: true or false.";
    METRICS_NAMESPACE = "LANDFALL_METRICS_NAMESPACE", EVERY,
        "The CloudWatch namespace of metrics.";
    REGION = "AWS_REGION", EVERY,
        "The region of the stack; set by Lambda.";
    LOG_FILTER = "RUST_LOG", EVERY,
        "What is logged, in the form of tracing's EnvFilter; `info` when it is not set. Deployed builds have nothing below `debug`.";
    INTAKE_QUEUE_URL = "LANDFALL_INTAKE_QUEUE_URL", &["compactor"],
        "The queue of S3 events and the schedule.";
    PLAN_QUEUE_URL = "LANDFALL_PLAN_QUEUE_URL", EVERY,
        "The FIFO queue of plans.";
    WORK_QUEUE_URL = "LANDFALL_WORK_QUEUE_URL", &["compactor", "committer"],
        "The queue of merges.";
    WORK_FAILURES_QUEUE_URL = "LANDFALL_WORK_FAILURES_QUEUE_URL", &["compactor"],
        "The queue of merges that failed every time.";
    COMMIT_QUEUE_URL = "LANDFALL_COMMIT_QUEUE_URL", &["compactor", "committer"],
        "The queue of commits.";
    NOTIFY_QUEUE_URL = "LANDFALL_NOTIFY_QUEUE_URL", EVERY,
        "The queue of notices.";
    NUDGE_SLOT_SECONDS = "LANDFALL_NUDGE_SLOT_SECONDS", &["compactor"],
        "Length of a nudge slot, in seconds: the delay of the plan queue.";
    RECONCILE_INTERVAL_SECONDS = "LANDFALL_RECONCILE_INTERVAL_SECONDS", &["compactor"],
        "How often a delivery is listed although nothing was heard of it, in seconds.";
    TENANT_MERGES = "LANDFALL_TENANT_MERGES", &["compactor"],
        "How many merges of one tenant may be dispatched and not decided.";
}

/// All that is wrong with the environment, one line each.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub struct EnvError(Vec<String>);

impl fmt::Debug for EnvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A failed `main` prints its error by Debug: this is what the operator reads.
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for EnvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot start: {}", self.0.join("; "))
    }
}

/// The environment as it was at the start.
#[derive(Clone)]
pub struct Env(BTreeMap<String, String>);

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Lambda keeps credentials in the environment: names only.
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Env {
    /// Reads the process environment, once. A variable that is not Unicode is left out: none of ours is one.
    pub fn read() -> Self {
        let text = |part: std::ffi::OsString| part.into_string().ok();
        Self(std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect())
    }

    /// An environment for tests.
    pub fn from_map(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// A variable outside our own list, such as `RUST_LOG`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Starts reading; what is wrong is collected until [`Vars::finish`].
    pub fn vars(&self) -> Vars<'_> {
        Vars { env: self, errors: Vec::new() }
    }
}

/// A reader that goes on after an error, so that all of them are reported together.
#[derive(Debug)]
pub struct Vars<'a> {
    env: &'a Env,
    errors: Vec<String>,
}

impl Vars<'_> {
    /// A variable that must be there and not empty.
    pub fn required(&mut self, variable: &Variable) -> String {
        match self.env.get(variable.name) {
            Some(value) if !value.is_empty() => value.to_owned(),
            _ => {
                self.errors.push(format!("{} is missing ({})", variable.name, variable.meaning));
                String::new()
            }
        }
    }

    /// A whole number.
    pub fn number(&mut self, variable: &Variable) -> u32 {
        let text = self.required(variable);
        if text.is_empty() {
            return 0;
        }
        text.parse().unwrap_or_else(|_| {
            self.refuse(variable, &text, "a whole number");
            0
        })
    }

    /// A whole number of seconds, `least` or more.
    pub fn seconds(&mut self, variable: &Variable, least: u32) -> u32 {
        let known = self.errors.len();
        let seconds = self.number(variable);
        if seconds < least && self.errors.len() == known {
            self.refuse(variable, &seconds.to_string(), &format!("at least {least} seconds"));
        }
        seconds
    }

    /// A variable that may be missing or empty.
    pub fn optional(&mut self, variable: &Variable) -> Option<String> {
        self.env.get(variable.name).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// `true` or `false`.
    pub fn flag(&mut self, variable: &Variable) -> bool {
        let text = self.required(variable);
        match text.as_str() {
            "true" => true,
            "false" | "" => false,
            _ => {
                self.refuse(variable, &text, "true or false");
                false
            }
        }
    }

    /// A queue's URL.
    pub fn queue_url(&mut self, variable: &Variable) -> String {
        let text = self.required(variable);
        let is_url = text.starts_with("https://") || text.starts_with("http://");
        if !text.is_empty() && !is_url {
            self.refuse(variable, &text, "a queue URL");
        }
        text
    }

    /// An account id.
    pub fn account(&mut self, variable: &Variable) -> String {
        let text = self.required(variable);
        let is_account = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        if !text.is_empty() && !is_account {
            self.refuse(variable, &text, "12 digits");
        }
        text
    }

    fn refuse(&mut self, variable: &Variable, text: &str, expected: &str) {
        self.errors.push(format!("{} is `{}`, expected {expected}", variable.name, shown_within(text, 200)));
    }

    /// The value, if nothing was wrong.
    ///
    /// # Errors
    /// Everything that was wrong, together.
    pub fn finish<T>(self, value: T) -> Result<T, EnvError> {
        if self.errors.is_empty() { Ok(value) } else { Err(EnvError(self.errors)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_errors_are_reported_together() {
        let env = Env::from_map([
            (TIMEOUT_SECONDS.name.to_owned(), "soon".to_owned()),
            (ACCOUNT_ID.name.to_owned(), "12".to_owned()),
            (PLAN_QUEUE_URL.name.to_owned(), "plan".to_owned()),
            (ALLOW_CROSS_REGION.name.to_owned(), "yes".to_owned()),
        ]);
        let mut vars = env.vars();
        vars.required(&STATE_BUCKET);
        vars.number(&TIMEOUT_SECONDS);
        vars.account(&ACCOUNT_ID);
        vars.queue_url(&PLAN_QUEUE_URL);
        vars.flag(&ALLOW_CROSS_REGION);
        let error = vars.finish(()).unwrap_err().to_string();
        for part in ["STATE_BUCKET is missing", "`soon`", "12 digits", "a queue URL", "true or false"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn what_is_well_formed_is_read() {
        let env = Env::from_map(
            [
                (&STATE_BUCKET, "state"),
                (&TIMEOUT_SECONDS, "900"),
                (&ACCOUNT_ID, "111122223333"),
                (&ALLOW_CROSS_REGION, "true"),
                (&PLAN_QUEUE_URL, "https://sqs.eu-central-1.amazonaws.com/111122223333/landfall-plan.fifo"),
                (&LOG_FILTER, ""),
            ]
            .map(|(variable, value)| (variable.name.to_owned(), value.to_owned())),
        );
        let mut vars = env.vars();
        assert_eq!(vars.required(&STATE_BUCKET), "state");
        assert_eq!(vars.seconds(&TIMEOUT_SECONDS, 60), 900);
        assert_eq!(vars.account(&ACCOUNT_ID), "111122223333");
        assert!(vars.flag(&ALLOW_CROSS_REGION));
        assert!(vars.queue_url(&PLAN_QUEUE_URL).ends_with("plan.fifo"));
        assert_eq!(vars.optional(&LOG_FILTER), None);
        assert_eq!(vars.finish(7), Ok(7));
    }

    #[test]
    fn too_little_time_is_an_error() {
        let env = Env::from_map([(TIMEOUT_SECONDS.name.to_owned(), "59".to_owned())]);
        let mut vars = env.vars();
        vars.seconds(&TIMEOUT_SECONDS, 60);
        let error = vars.finish(()).unwrap_err().to_string();
        assert!(error.contains("`59`, expected at least 60 seconds"), "{error}");
    }

    #[test]
    fn every_variable_is_declared_once_and_read_by_someone() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|variable| variable.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|variable| !variable.used_by.is_empty() && variable.meaning.ends_with('.')));
    }

    #[test]
    fn the_stack_sets_each_variable_for_its_functions_and_no_other() {
        let template = include_str!("../../../infra/template.yaml");
        let set =
            |name: &str| template.lines().filter(|line| line.trim().starts_with(&format!("{name}:"))).count();
        for variable in ALL.iter().filter(|variable| variable.name != REGION.name) {
            assert_eq!(set(variable.name), variable.used_by.len(), "{}", variable.name);
        }
        for name in template.lines().filter_map(|line| line.trim().split_once(':')).map(|(name, _)| name) {
            let declared = ALL.iter().any(|variable| variable.name == name);
            assert!(declared || !name.starts_with("LANDFALL_"), "{name}");
        }
    }

    /// Each function, its configuration's source and its README.
    const FUNCTIONS: [(&str, &str, &str); 3] = [
        (
            "compactor",
            include_str!("../../../functions/compactor/src/config.rs"),
            include_str!("../../../functions/compactor/README.md"),
        ),
        (
            "committer",
            include_str!("../../../functions/committer/src/config.rs"),
            include_str!("../../../functions/committer/README.md"),
        ),
        (
            "notifier",
            include_str!("../../../functions/notifier/src/config.rs"),
            include_str!("../../../functions/notifier/README.md"),
        ),
    ];

    #[test]
    fn each_function_reads_its_variables_and_no_other() {
        for (function, source, _) in FUNCTIONS {
            let read: std::collections::BTreeSet<String> = source
                .split("&env::")
                .skip(1)
                .filter_map(|rest| rest.split(|c: char| !c.is_ascii_uppercase() && c != '_').next())
                .map(str::to_owned)
                .collect();
            // The filter of logs is read before there is a configuration, where logging begins.
            let declared = ALL
                .iter()
                .zip(CONSTANTS)
                .filter(|(variable, _)| variable.used_by.contains(&function) && **variable != LOG_FILTER)
                .map(|(_, constant)| (*constant).to_owned())
                .collect();
            assert_eq!(read, declared, "{function}");
        }
    }

    #[test]
    fn each_readme_lists_its_functions_variables() {
        for (function, _, readme) in FUNCTIONS {
            let listed: Vec<&str> = readme
                .lines()
                .skip_while(|line| *line != "## Environment")
                .skip(1)
                .take_while(|line| !line.starts_with("## "))
                .filter(|line| line.starts_with("| `"))
                .collect();
            let declared: Vec<String> = ALL
                .iter()
                .filter(|variable| variable.used_by.contains(&function))
                .map(|variable| format!("| `{}` | {} |", variable.name, variable.meaning))
                .collect();
            assert_eq!(listed, declared, "{function}");
        }
    }

    #[test]
    fn values_never_show() {
        let env = Env::from_map([("AWS_SECRET_ACCESS_KEY".to_owned(), "canary".to_owned())]);
        assert!(!format!("{env:?}").contains("canary"));
    }
}
