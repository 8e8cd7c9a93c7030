//! The compactor function. All behaviour is in the library.

// The futures of the AWS clients nest deeply.
#![recursion_limit = "512"]

use compactor::{Compactor, CompactorConfig};
use landfall_aws::{Clients, ClientsConfig};
use landfall_lambda::{Env, SystemClock, serve, telemetry};

/// Rows wait in vectors that grow and go by the megabyte. The allocator of the C library gives their pages back to the kernel each
/// time, which costs up to a tenth of a merge, and a fifth where many small Parquet objects are read (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let env = Env::read();
    telemetry::init(&env);
    let config = CompactorConfig::from_env(&env)?;
    let clients = Clients::load(ClientsConfig::from_environment()).await;
    let host = config.host(clients.queue());
    let compactor =
        Compactor::new(config, clients.store(), clients.queue(), clients.destinations(), SystemClock);
    serve(host, compactor).await
}
