//! The notifier's configuration, read once at the start.

use landfall_core::port::{Bucket, Queue};
use landfall_core::registry::RegistryOptions;
use landfall_lambda::env::{self, EnvError};
use landfall_lambda::{Env, Host, Limits, QueueUrls};

/// Below it, no message would be started: the host leaves seconds for its answer.
const LEAST_TIMEOUT_SECONDS: u32 = 15;

/// Everything the notifier knows of its stack.
#[derive(Debug, Clone)]
pub struct NotifierConfig {
    /// The state bucket.
    pub state: Bucket,
    /// The queue of notices, and of what is told of holds.
    pub notify_queue: String,
    /// The FIFO queue of plans: a delivery whose queues work again is planned at once.
    pub plan_queue: String,
    /// Which deliveries this stack may serve.
    pub registry: RegistryOptions,
    /// Where metrics are counted.
    pub metrics_namespace: String,
}

impl NotifierConfig {
    /// Reads the environment.
    ///
    /// # Errors
    /// Everything that is missing or wrong, together.
    pub fn from_env(environment: &Env) -> Result<Self, EnvError> {
        let mut vars = environment.vars();
        // Only checked: the notifier works against the deadline that each invocation names.
        vars.seconds(&env::TIMEOUT_SECONDS, LEAST_TIMEOUT_SECONDS);
        let config = Self {
            state: Bucket { name: vars.required(&env::STATE_BUCKET), owner: vars.account(&env::ACCOUNT_ID) },
            notify_queue: vars.queue_url(&env::NOTIFY_QUEUE_URL),
            plan_queue: vars.queue_url(&env::PLAN_QUEUE_URL),
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
        let urls = QueueUrls::new([self.notify_queue.clone()]);
        Host::new("notifier", self.metrics_namespace.clone(), queue, urls, limits)
    }
}
