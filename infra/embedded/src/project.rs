//! Where things are: the sources, the Python tools, the built functions.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::EmbeddedError;

/// The functions, by the name of their binary.
pub const FUNCTIONS: [&str; 3] = ["compactor", "committer", "notifier"];

/// A source tree of landfall with its tools.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// The tree around the current folder, or the one that LANDFALL_ROOT names.
    ///
    /// # Errors
    /// When there is none.
    pub fn find() -> Result<Self, EmbeddedError> {
        if let Some(root) = env::var_os("LANDFALL_ROOT") {
            return Self::at(Path::new(&root));
        }
        let here = env::current_dir().map_err(EmbeddedError::io("read the current folder"))?;
        here.ancestors()
            .find_map(|folder| Self::at(folder).ok())
            .ok_or(EmbeddedError::NoProject { from: here.clone() })
    }

    /// The tree whose top is `root`.
    ///
    /// # Errors
    /// When `root` is not the top of one.
    pub fn at(root: &Path) -> Result<Self, EmbeddedError> {
        if root.join("infra/template.yaml").is_file() {
            Ok(Self { root: root.to_owned() })
        } else {
            Err(EmbeddedError::NoProject { from: root.to_owned() })
        }
    }

    /// The top of the tree.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The Python that has MiniStack, the template tools and the readers.
    ///
    /// # Errors
    /// When `make tools` has not been run.
    pub fn python(&self) -> Result<PathBuf, EmbeddedError> {
        let python = self.root.join(".local/venv/bin/python");
        let has_ministack = self.root.join(".local/venv/bin/ministack").exists();
        if python.exists() && has_ministack {
            Ok(python)
        } else {
            Err(EmbeddedError::NoTools { missing: python })
        }
    }

    /// One of the scripts beside this crate.
    pub fn script(&self, name: &str) -> PathBuf {
        self.root.join("infra/embedded/python").join(name)
    }

    /// The built function `name`: beside the running program, or one folder up for a test's program.
    ///
    /// # Errors
    /// When it is not built.
    pub fn bootstrap(&self, name: &str) -> Result<PathBuf, EmbeddedError> {
        let program = env::current_exe().map_err(EmbeddedError::io("find the running program"))?;
        let beside = program.ancestors().skip(1).take(2).map(|folder| folder.join(name));
        let usual = self.root.join("target/debug").join(name);
        beside
            .chain([usual.clone()])
            .find(|path| path.is_file())
            .ok_or(EmbeddedError::NoBootstrap { missing: usual })
    }

    /// A command that runs a script with our Python, with nothing of our environment but the path.
    ///
    /// # Errors
    /// When the tools are not installed.
    pub fn python_command(&self, script: &str) -> Result<Command, EmbeddedError> {
        let mut command = Command::new(self.python()?);
        command.arg(self.script(script)).env_clear().env("LANG", "C.UTF-8");
        for name in ["PATH", "HOME", "TMPDIR"] {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        Ok(command)
    }

    /// Runs a script to its end and answers with its standard output. Does not block the executor.
    ///
    /// # Errors
    /// When it cannot be run or fails: with its standard error.
    pub async fn run<A: AsRef<OsStr>>(
        &self,
        script: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<String, EmbeddedError> {
        let mut command = self.python_command(script)?;
        command.args(arguments).stdin(Stdio::null());
        let name = script.to_owned();
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .map_err(EmbeddedError::call(format!("run {script}")))?
            .map_err(EmbeddedError::io(format!("run {script}")))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(EmbeddedError::Script {
            script: name,
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        })
    }
}
