//! The notifier function. All behaviour is in the library.

// The futures of the AWS clients nest deeply.
#![recursion_limit = "512"]

use landfall_aws::{Clients, ClientsConfig};
use landfall_lambda::{EachMessage, Env, SystemClock, serve, telemetry};
use notifier::{Notifier, NotifierConfig};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let env = Env::read();
    telemetry::init(&env);
    let config = NotifierConfig::from_env(&env)?;
    let clients = Clients::load(ClientsConfig::from_environment()).await;
    let host = config.host(clients.queue());
    let notifier =
        Notifier::new(config, clients.store(), clients.queue(), clients.destinations(), SystemClock);
    serve(host, EachMessage(notifier)).await
}
