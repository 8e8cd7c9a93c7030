//! The MiniStack process: started on a free port of the loopback interface, stopped with everything it started.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::EmbeddedError;
use crate::project::Project;

/// How long it may take to answer; 0.3 s on a quiet machine.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// How long it may take to end the functions and itself.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);
/// Between two looks at whether it answers, or has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(40);
/// Ports are found by binding and letting go, so another process can be faster.
const PORTS_TRIED: usize = 3;
/// The end of a log that an error shows, in bytes.
const LOG_TAIL_BYTES: usize = 4000;

/// A running MiniStack. Ends with this value, or with this process, however that ends.
#[derive(Debug)]
pub struct MiniStack {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl MiniStack {
    /// Starts one with its files below `work`, and waits until it answers.
    ///
    /// # Errors
    /// When the tools are missing or it does not answer in time; the error shows the end of its log.
    pub fn start(project: &Project, work: &Path) -> Result<Self, EmbeddedError> {
        for folder in ["s3", "tmp"] {
            fs::create_dir_all(work.join(folder))
                .map_err(EmbeddedError::io(format!("create {}", work.display())))?;
        }
        let mut last = None;
        for _ in 0..PORTS_TRIED {
            let mut started = Self::spawn(project, work)?;
            match started.wait_until_it_answers() {
                Ok(()) => return Ok(started),
                Err(reason) => {
                    let log = started.log_tail();
                    started.stop();
                    last = Some(EmbeddedError::NotStarted { reason, log });
                }
            }
        }
        Err(last
            .unwrap_or(EmbeddedError::NotStarted { reason: "no port was tried".into(), log: String::new() }))
    }

    /// `http://127.0.0.1:<port>`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file of its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let from = text.len().saturating_sub(LOG_TAIL_BYTES);
        let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.get(from..).unwrap_or_default().to_owned()
    }

    fn spawn(project: &Project, work: &Path) -> Result<Self, EmbeddedError> {
        let port = free_port()?;
        let log = work.join("ministack.log");
        let output = File::create(&log).map_err(EmbeddedError::io(format!("create {}", log.display())))?;
        let errors =
            output.try_clone().map_err(EmbeddedError::io(format!("open {} twice", log.display())))?;
        let mut command = Command::new(project.python()?);
        command
            .arg(project.script("ministack_child.py"))
            .arg(work)
            // Functions inherit this environment: nothing of ours may be in it, and the endpoint always must.
            .env_clear()
            .envs([
                ("PATH", "/usr/local/bin:/usr/bin:/bin"),
                ("LANG", "C.UTF-8"),
                ("BIND_HOST", "127.0.0.1"),
                ("AUTH", "true"),
                ("S3_PERSIST", "1"),
                ("PERSIST_STATE", "0"),
                ("LOG_LEVEL", "WARNING"),
            ])
            .env("HOME", work)
            .env("TMPDIR", work.join("tmp"))
            .env("S3_DATA_DIR", work.join("s3"))
            .env("GATEWAY_PORT", port.to_string())
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
            // Its end of this pipe tells it that we are gone.
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .current_dir(work);
        let child = command.spawn().map_err(EmbeddedError::io("start MiniStack"))?;
        Ok(Self { child, port, log })
    }

    fn wait_until_it_answers(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        while begun.elapsed() < START_TIMEOUT {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended with {status}"));
            }
            if answers(self.port) {
                return Ok(());
            }
            thread::sleep(LOOK_AGAIN);
        }
        Err(format!("no answer on port {} within {} s", self.port, START_TIMEOUT.as_secs()))
    }

    /// Asks it to end, waits, and kills it only when it does not.
    fn stop(&mut self) {
        drop(self.child.stdin.take());
        let begun = Instant::now();
        while begun.elapsed() < STOP_TIMEOUT {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(LOOK_AGAIN),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        // Nobody is left to tell when this fails too.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for MiniStack {
    fn drop(&mut self) {
        self.stop();
    }
}

fn free_port() -> Result<u16, EmbeddedError> {
    let attempt = "find a free port";
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(EmbeddedError::io(attempt))?;
    Ok(listener.local_addr().map_err(EmbeddedError::io(attempt))?.port())
}

/// One plain request for the health page: a client library for one GET would be too much.
fn answers(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_millis(500)) else {
        return false;
    };
    let request =
        format!("GET /_ministack/health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    let mut head = [0_u8; 12];
    stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok()
        && stream.write_all(request.as_bytes()).is_ok()
        && stream.read_exact(&mut head).is_ok()
        && head == *b"HTTP/1.1 200"
}
