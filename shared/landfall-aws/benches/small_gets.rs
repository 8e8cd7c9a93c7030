//! What a small GET costs the processor of the client: `make bench-gets`. A server in another process answers each after 20 ms,
//! as S3 does; 128 are in flight. Printed is the user and system time of this process for each GET.

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use landfall_aws::{Clients, ClientsConfig, StaticCredentials};
use landfall_core::delivery::Secret;
use landfall_core::port::{Bucket, GetOutcome, ObjectBody as _, ObjectStore as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The compactor's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LATENCY: Duration = Duration::from_millis(20);
const IN_FLIGHT: usize = 128;
const OBJECT_BYTES: usize = 5_000;
const GETS: usize = 40_000;
const ROUNDS: usize = 5;
/// The ticks of a second in `/proc/self/stat`, on every Linux there is today.
const TICKS: u32 = 100;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if std::env::args().any(|argument| argument == "serve") {
        runtime.block_on(serve())
    } else {
        runtime.block_on(measure())
    }
}

/// Answers every request with the same object.
async fn serve() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nETag: \"etag\"\r\nContent-Type: binary/octet-stream\r\n\
         Last-Modified: Tue, 19 May 2026 10:15:00 GMT\r\nContent-Length: {OBJECT_BYTES}\r\n\r\n"
    );
    write!(answer, "{:0>OBJECT_BYTES$}", 1)?;
    let answer: &'static str = answer.leak();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection(stream, answer));
    }
}

async fn connection(mut stream: TcpStream, answer: &str) {
    let mut request = Vec::new();
    loop {
        let read = stream.read_buf(&mut request).await;
        if !read.is_ok_and(|bytes| bytes > 0) {
            return;
        }
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            tokio::time::sleep(LATENCY).await;
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

async fn measure() -> Result<(), Failure> {
    let mut server = Command::new(std::env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
    let mut address = String::new();
    BufReader::new(server.stdout.take().ok_or("no output")?).read_line(&mut address)?;
    let clients = Clients::load(ClientsConfig {
        region: Some("eu-central-1".to_owned()),
        endpoint_url: Some(format!("http://{}", address.trim())),
        credentials: Some(StaticCredentials {
            access_key_id: "id".to_owned(),
            secret_access_key: Secret::new("secret"),
        }),
    })
    .await;
    let (store, bucket) =
        (clients.store(), Bucket { name: "staging".to_owned(), owner: "111122223333".to_owned() });
    let get = |number: usize| {
        let (store, bucket) = (&store, &bucket);
        async move {
            let found = store.get(bucket, &format!("acme/{number}"), Some("etag"), None).await?;
            let GetOutcome::Found(_, mut body) = found else { return Ok(0) };
            let mut bytes = 0;
            while let Some(chunk) = body.chunk().await? {
                bytes += chunk.len();
            }
            Ok::<usize, Failure>(bytes)
        }
    };
    for round in 0..=ROUNDS {
        let (begun, used) = (Instant::now(), processor_time()?);
        let mut bodies = futures::stream::iter((0..GETS).map(get)).buffer_unordered(IN_FLIGHT);
        let mut bytes = 0;
        while let Some(body) = bodies.next().await {
            bytes += body?;
        }
        if bytes != GETS * OBJECT_BYTES {
            return Err(format!("{bytes} bytes of {GETS} objects").into());
        }
        let used = processor_time()?.saturating_sub(used);
        let (each, wall) = (used / u32::try_from(GETS)?, begun.elapsed());
        // The first opens the connections.
        if round > 0 {
            println!("{each:?} of processor time a GET, {wall:.2?} for {GETS}");
        }
    }
    server.kill()?;
    server.wait()?;
    Ok(())
}

/// User and system time of this process.
fn processor_time() -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which ends with the last parenthesis, user and system time are the 12th and 13th field.
    let (_, fields) = stat.rsplit_once(')').ok_or("no name")?;
    let ticks: u32 =
        fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(Duration::from_secs(ticks.into()) / TICKS)
}
