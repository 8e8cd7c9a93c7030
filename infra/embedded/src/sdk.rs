//! Clients of the SDK for the few calls that no port has: receiving messages, reading a catalog, looking at queues.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;

/// The secret of every account's root: MiniStack does not check it.
pub(crate) const SECRET: &str = "test";

/// A configuration that can only reach `endpoint`, as the root of `account`.
pub(crate) async fn config(endpoint: &str, region: &str, account: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new(account, SECRET, None, None, "landfall-embedded"))
        .load()
        .await
}
