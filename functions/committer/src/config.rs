//! The committer's configuration, read once at the start.

use landfall_core::port::{Bucket, Queue};
use landfall_core::registry::RegistryOptions;
use landfall_lambda::env::{self, EnvError};
use landfall_lambda::{Env, Host, Limits, QueueUrls};

use crate::commit::CommitConfig;

/// Below it, a copy and what follows would not fit into one invocation.
const LEAST_TIMEOUT_SECONDS: u32 = 60;

/// Everything the committer knows of its stack.
#[derive(Debug, Clone)]
pub struct CommitterConfig {
    /// The state bucket.
    pub state: Bucket,
    /// The queue of commits.
    pub commit_queue: String,
    /// The FIFO queue of plans: a delivery that works again is planned at once.
    pub plan_queue: String,
    /// Commits and their timeouts.
    pub commit: CommitConfig,
    /// Which deliveries this stack may serve.
    pub registry: RegistryOptions,
    /// Where metrics are counted.
    pub metrics_namespace: String,
}

impl CommitterConfig {
    /// Reads the environment.
    ///
    /// # Errors
    /// Everything that is missing or wrong, together.
    pub fn from_env(environment: &Env) -> Result<Self, EnvError> {
        let mut vars = environment.vars();
        let owner = vars.account(&env::ACCOUNT_ID);
        let config = Self {
            state: Bucket { name: vars.required(&env::STATE_BUCKET), owner: owner.clone() },
            commit_queue: vars.queue_url(&env::COMMIT_QUEUE_URL),
            plan_queue: vars.queue_url(&env::PLAN_QUEUE_URL),
            commit: CommitConfig {
                staging: Bucket { name: vars.required(&env::STAGING_BUCKET), owner },
                notify_queue: vars.queue_url(&env::NOTIFY_QUEUE_URL),
                work_queue: vars.queue_url(&env::WORK_QUEUE_URL),
                timeout_seconds: vars.seconds(&env::TIMEOUT_SECONDS, LEAST_TIMEOUT_SECONDS),
            },
            registry: RegistryOptions {
                region: vars.required(&env::REGION),
                allow_cross_region: vars.flag(&env::ALLOW_CROSS_REGION),
            },
            metrics_namespace: vars.required(&env::METRICS_NAMESPACE),
        };
        vars.finish(config)
    }

    /// The host of the function, over its queue.
    pub fn host<Q: Queue>(&self, queue: Q) -> Host<Q> {
        let limits = Limits {
            start_margin_seconds: 5,
            stop_margin_seconds: 2,
            backoff_base_seconds: 2,
            backoff_cap_seconds: 900,
        };
        let urls = QueueUrls::new([self.commit_queue.clone()]);
        Host::new("committer", self.metrics_namespace.clone(), queue, urls, limits)
    }
}
