//! The compactor's configuration, read once at the start.

use std::thread;

use landfall_core::port::{Bucket, Queue};
use landfall_core::registry::RegistryOptions;
use landfall_lambda::env::{self, EnvError};
use landfall_lambda::{Env, Host, Limits, QueueUrls};

use crate::planner::PlannerConfig;

/// Below it, no merge would be planned that fits into one invocation.
const LEAST_TIMEOUT_SECONDS: u32 = 60;

/// Everything the compactor knows of its stack.
#[derive(Debug, Clone)]
pub struct CompactorConfig {
    /// The state bucket.
    pub state: Bucket,
    /// The queue that S3 and the schedule write to.
    pub intake_queue: String,
    /// The FIFO queue of plans.
    pub plan_queue: String,
    /// The queue of merges that failed every time.
    pub work_failures_queue: String,
    /// How many merges of one tenant may be dispatched and not decided.
    pub tenant_merges: u32,
    /// Length of a nudge slot, in seconds; the plan queue delays by it.
    pub slot_seconds: u32,
    /// Plans, merges and their timeouts.
    pub planner: PlannerConfig,
    /// Which deliveries this stack may serve.
    pub registry: RegistryOptions,
    /// Where metrics are counted.
    pub metrics_namespace: String,
    /// Whether a merge encodes on a thread of its own. The files are the same.
    pub encoding_thread: bool,
}

impl CompactorConfig {
    /// Reads the environment.
    ///
    /// # Errors
    /// Everything that is missing or wrong, together.
    pub fn from_env(environment: &Env) -> Result<Self, EnvError> {
        let mut vars = environment.vars();
        let owner = vars.account(&env::ACCOUNT_ID);
        let config = Self {
            state: Bucket { name: vars.required(&env::STATE_BUCKET), owner: owner.clone() },
            intake_queue: vars.queue_url(&env::INTAKE_QUEUE_URL),
            plan_queue: vars.queue_url(&env::PLAN_QUEUE_URL),
            work_failures_queue: vars.queue_url(&env::WORK_FAILURES_QUEUE_URL),
            tenant_merges: vars.number(&env::TENANT_MERGES),
            slot_seconds: vars.seconds(&env::NUDGE_SLOT_SECONDS, 1),
            planner: PlannerConfig {
                staging: Bucket { name: vars.required(&env::STAGING_BUCKET), owner },
                work_queue: vars.queue_url(&env::WORK_QUEUE_URL),
                commit_queue: vars.queue_url(&env::COMMIT_QUEUE_URL),
                notify_queue: vars.queue_url(&env::NOTIFY_QUEUE_URL),
                timeout_seconds: vars.seconds(&env::TIMEOUT_SECONDS, LEAST_TIMEOUT_SECONDS),
                reconcile_seconds: vars.seconds(&env::RECONCILE_INTERVAL_SECONDS, 1),
            },
            registry: RegistryOptions {
                region: vars.required(&env::REGION),
                allow_cross_region: vars.flag(&env::ALLOW_CROSS_REGION),
            },
            metrics_namespace: vars.required(&env::METRICS_NAMESPACE),
            // Lambda gives a second processor by and by above 1,769 MB.
            encoding_thread: thread::available_parallelism().is_ok_and(|processors| processors.get() > 1),
        };
        vars.finish(config)
    }

    /// The host of the function, over its queues.
    pub fn host<Q: Queue>(&self, queue: Q) -> Host<Q> {
        let urls =
            [&self.intake_queue, &self.plan_queue, &self.planner.work_queue, &self.work_failures_queue]
                .map(Clone::clone);
        let limits = Limits {
            start_margin_seconds: 5,
            stop_margin_seconds: 2,
            backoff_base_seconds: 2,
            backoff_cap_seconds: 900,
        };
        Host::new("compactor", self.metrics_namespace.clone(), queue, QueueUrls::new(urls), limits)
    }
}
