//! What the functions and queues show from outside: invocations, log lines, depths.

use std::ffi::OsStr;

use serde::Deserialize;

use crate::deployment::Deployment;
use crate::error::EmbeddedError;

/// What was seen of functions and queues.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Observed {
    /// The functions.
    pub functions: Vec<FunctionSeen>,
    /// Messages in each queue of the stack, in flight and delayed ones included, by name.
    pub queues: Vec<(String, u64)>,
}

/// What was seen of one function.
#[derive(Debug, Clone, Deserialize)]
pub struct FunctionSeen {
    /// The binary's name.
    pub name: String,
    /// Invocations that ended.
    pub invocations: u64,
    /// Invocations that failed as a whole.
    pub errors: u64,
    /// Milliseconds of the first invocation, with the start of the process in it.
    pub cold_milliseconds: Option<f64>,
    /// The last lines it logged.
    pub last_lines: Vec<String>,
}

impl Deployment {
    /// Looks at functions and queues.
    ///
    /// # Errors
    /// When the services do not answer.
    pub async fn observe(&self) -> Result<Observed, EmbeddedError> {
        let log = ["--server-log".as_ref(), self.server_log.as_os_str()];
        let arguments = self.stack_arguments().map(OsStr::new).into_iter().chain(log);
        let output = self.project.run("observe.py", arguments).await?;
        serde_json::from_str(&output).map_err(EmbeddedError::call("read what observe.py found"))
    }

    /// The environment of a function, credentials of its role included, as KEY=VALUE lines: to run it elsewhere.
    ///
    /// # Errors
    /// When there is no such function.
    pub async fn environment(&self, function: &str) -> Result<String, EmbeddedError> {
        let of_function = self.stack_arguments().into_iter().chain(["--function", function]);
        self.project.run("function_env.py", of_function).await
    }

    fn stack_arguments(&self) -> [&str; 8] {
        [
            "--endpoint",
            &self.endpoint,
            "--account",
            self.account(),
            "--region",
            self.region(),
            "--stack",
            self.stack(),
        ]
    }
}
