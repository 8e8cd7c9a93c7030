//! The functions' processes, as the operating system shows them: to see which of them work, and to kill one as a machine
//! that fails does. Linux only: it reads `/proc`.

use std::fs;
use std::path::Path;

use crate::deployment::EmbeddedAws;
use crate::error::EmbeddedError;
use crate::project::FUNCTIONS;

/// The variable that Lambda gives a function its name by.
const FUNCTION_NAME: &str = "AWS_LAMBDA_FUNCTION_NAME=";

/// A running function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionProcess {
    /// The number of the process.
    pub pid: u32,
    /// The binary's name, such as `compactor`.
    pub function: String,
    /// How long its threads have run on a processor, in nanoseconds. One that waits for its next event stands still.
    pub worked_nanoseconds: u64,
}

impl EmbeddedAws {
    /// The functions that run now, all of them started by this MiniStack.
    ///
    /// # Errors
    /// When the system does not show its processes.
    pub fn functions_running(&self) -> Result<Vec<FunctionProcess>, EmbeddedError> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").map_err(EmbeddedError::io("list the processes below /proc"))? {
            let name = entry.map_err(EmbeddedError::io("list the processes below /proc"))?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            if parent(pid) == Some(self.ministack_pid())
                && let Some(function) = function(pid)
            {
                found.push(FunctionProcess { pid, function, worked_nanoseconds: worked(pid) });
            }
        }
        Ok(found)
    }

    /// Kills a function with SIGKILL; `false` when it had ended already. Never a process that this MiniStack did not start.
    ///
    /// # Errors
    /// When the system refuses, or is not Linux.
    pub fn kill_function(&self, process: &FunctionProcess) -> Result<bool, EmbeddedError> {
        kill_child(self.ministack_pid(), process.pid)
            .map_err(EmbeddedError::io(format!("kill process {} of {}", process.pid, process.function)))
    }
}

#[cfg(target_os = "linux")]
fn kill_child(of: u32, pid: u32) -> std::io::Result<bool> {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(false) };
    // Numbers are used again. The handle stays with one process, and only then is it asked whose child that is.
    let Ok(handle) = pidfd_open(number, PidfdFlags::empty()) else { return Ok(false) };
    if parent(pid) != Some(of) {
        return Ok(false);
    }
    pidfd_send_signal(&handle, Signal::KILL)?;
    Ok(true)
}

#[cfg(not(target_os = "linux"))]
fn kill_child(_of: u32, _pid: u32) -> std::io::Result<bool> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// The parent of a process; `None` when it is gone.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything: what follows its last bracket is `state ppid ...`.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The function that a process runs, by its environment.
fn function(pid: u32) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let name = environment
        .split(|byte| *byte == 0)
        .find_map(|variable| std::str::from_utf8(variable).ok()?.strip_prefix(FUNCTION_NAME))?;
    FUNCTIONS.into_iter().find(|function| name.contains(function)).map(str::to_owned)
}

/// Nanoseconds on a processor, of all threads; 0 when the process is gone.
fn worked(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.filter_map(|thread| run_time(&thread.path())).sum()
}

fn run_time(thread: &Path) -> Option<u64> {
    fs::read_to_string(thread.join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()
}
