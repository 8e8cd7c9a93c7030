//! The three real functions over the fake, as Lambda calls them, behind queues like the template's.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use committer::{CommitConfig, Committer, CommitterConfig};
use compactor::{Compactor, CompactorConfig, PlannerConfig};
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use jiff::SignedDuration;
use landfall_core::port::{Bucket, Clock as _, Destinations, ObjectStore};
use landfall_core::registry::RegistryOptions;
use landfall_lambda::{BatchHandler, Deadline, EachMessage, Host, Invocation, MetricsRecorder};
use notifier::{Notifier, NotifierConfig};
use serde_json::Value;
use testkit::fake::{FakeAws, FakeQueue, FunctionHandles, HOME_ACCOUNT, HOME_REGION, QueueSpec};
use testkit::lambda::Pipeline;

use super::{SLOT_SECONDS, TIMEOUT_SECONDS};
use crate::template;

/// URLs of the stack's queues.
#[derive(Clone)]
pub(super) struct Urls {
    pub(super) intake: String,
    pub(super) intake_dead: String,
    pub(super) plan: String,
    pub(super) work: String,
    pub(super) failures: String,
    pub(super) work_dead: String,
    pub(super) commit: String,
    pub(super) notify: String,
    /// The dead-letter queues of plan, work, commit and notify.
    pub(super) dead: Vec<String>,
}

impl Urls {
    /// Makes the queues, with the receives and the delay that the template gives them.
    pub(super) fn create(aws: &FakeAws) -> Self {
        let visibility = SignedDuration::from_secs(6 * i64::from(TIMEOUT_SECONDS));
        let queue = |name: &str, resource: &str| {
            aws.create_home_queue(name, visibility, template::max_receive_count(resource))
        };
        let (intake, intake_dead) = queue("intake", "IntakeQueue");
        let (plan, plan_dead) = queue("plan.fifo", "PlanQueue");
        let (work, work_dead) = queue("work", "WorkQueue");
        // Between the work queue and its dead letters stands the queue of failures.
        let mut spec = QueueSpec::new("work-failures", HOME_ACCOUNT, HOME_REGION);
        spec.visibility = visibility;
        spec.dead_letter = Some((work_dead.clone(), template::max_receive_count("WorkFailuresQueue")));
        let failures = aws.create_queue(spec);
        let receives = template::max_receive_count("WorkQueue");
        aws.change_queue(&work, |spec| spec.dead_letter = Some((failures.clone(), receives)));
        let (commit, commit_dead) = queue("commit", "CommitQueue");
        let (notify, notify_dead) = queue("notify", "NotifyQueue");
        let dead = vec![plan_dead, work_dead.clone(), commit_dead, notify_dead];
        let urls = Self { intake, intake_dead, plan, work, failures, work_dead, commit, notify, dead };
        aws.change_queue(&urls.plan, |spec| spec.delay = SignedDuration::from_secs(i64::from(SLOT_SECONDS)));
        urls
    }
}

/// A function as Lambda calls it: an event in, an answer out.
pub(super) type Function = Arc<dyn Fn(Value) -> Answer>;
pub(super) type Answer = LocalBoxFuture<'static, Result<Value, String>>;

/// The functions of a stack.
pub(super) struct Functions {
    pub(super) compactor: Function,
    pub(super) committer: Function,
    pub(super) notifier: Function,
}

impl Functions {
    /// Functions of one stack, all counting into `metrics`, which reach AWS by what `ports` makes of the fake's handles.
    pub(super) fn new<S, D>(
        aws: &FakeAws,
        urls: &Urls,
        staging: &Bucket,
        state: &Bucket,
        metrics: &MetricsRecorder,
        ports: impl Fn(FunctionHandles) -> (S, FakeQueue, D),
    ) -> Self
    where
        S: ObjectStore + Clone + 'static,
        D: Destinations + Clone + 'static,
    {
        let registry = RegistryOptions { region: HOME_REGION.to_owned(), allow_cross_region: false };
        let metrics_namespace = "landfall".to_owned();
        let compactor_config = CompactorConfig {
            state: state.clone(),
            intake_queue: urls.intake.clone(),
            plan_queue: urls.plan.clone(),
            work_failures_queue: urls.failures.clone(),
            tenant_merges: 64,
            slot_seconds: SLOT_SECONDS,
            planner: PlannerConfig {
                staging: staging.clone(),
                work_queue: urls.work.clone(),
                commit_queue: urls.commit.clone(),
                notify_queue: urls.notify.clone(),
                timeout_seconds: TIMEOUT_SECONDS,
                reconcile_seconds: 900,
            },
            registry: registry.clone(),
            metrics_namespace: metrics_namespace.clone(),
            // Nothing is left to chance, nor to threads.
            encoding_thread: false,
        };
        let committer_config = CommitterConfig {
            state: state.clone(),
            commit_queue: urls.commit.clone(),
            plan_queue: urls.plan.clone(),
            commit: CommitConfig {
                staging: staging.clone(),
                notify_queue: urls.notify.clone(),
                work_queue: urls.work.clone(),
                timeout_seconds: TIMEOUT_SECONDS,
            },
            registry: registry.clone(),
            metrics_namespace: metrics_namespace.clone(),
        };
        let notifier_config = NotifierConfig {
            state: state.clone(),
            notify_queue: urls.notify.clone(),
            plan_queue: urls.plan.clone(),
            registry,
            metrics_namespace,
        };
        let clock = aws.clock();
        let (store, queue, destinations) = ports(aws.function("compactor"));
        let host = compactor_config.host(queue.clone());
        let now = clock.clone();
        let compactor = function(aws, metrics, host, move || {
            let (store, queue, destinations) = (store.clone(), queue.clone(), destinations.clone());
            Compactor::new(compactor_config.clone(), store, queue, destinations, now.clone())
        });
        let (store, queue, destinations) = ports(aws.function("committer"));
        let host = committer_config.host(queue.clone());
        let now = clock.clone();
        let committer = function(aws, metrics, host, move || {
            let (store, queue, destinations) = (store.clone(), queue.clone(), destinations.clone());
            EachMessage(Committer::new(committer_config.clone(), store, queue, destinations, now.clone()))
        });
        let (store, queue, destinations) = ports(aws.function("notifier"));
        let host = notifier_config.host(queue.clone());
        let notifier = function(aws, metrics, host, move || {
            let (store, queue, destinations) = (store.clone(), queue.clone(), destinations.clone());
            EachMessage(Notifier::new(notifier_config.clone(), store, queue, destinations, clock.clone()))
        });
        Self { compactor, committer, notifier }
    }

    /// The functions behind their queues.
    pub(super) fn pipeline(&self, aws: &FakeAws, urls: &Urls) -> Pipeline {
        let call = |function: &Function| {
            let function = Arc::clone(function);
            move |event| function(event)
        };
        Pipeline::new(aws)
            .on_queue("compactor", &urls.intake, 10, call(&self.compactor))
            .on_queue("compactor", &urls.plan, 1, call(&self.compactor))
            .on_queue("compactor", &urls.work, 1, call(&self.compactor))
            .on_queue("compactor", &urls.failures, 1, call(&self.compactor))
            .on_queue("committer", &urls.commit, 1, call(&self.committer))
            .on_queue("notifier", &urls.notify, 10, call(&self.notifier))
    }
}

/// A function and its environments: each invocation has one for itself, which the next one takes over when it ended
/// in order. So nothing in memory is shared by what runs at the same time, and nothing outlives a crash.
fn function<H: BatchHandler + 'static>(
    aws: &FakeAws,
    metrics: &MetricsRecorder,
    host: Host<FakeQueue>,
    start: impl Fn() -> H + 'static,
) -> Function {
    let (host, warm, requests) = (Rc::new(host), Rc::new(RefCell::new(Vec::new())), Cell::new(0_u64));
    let (clock, metrics) = (aws.clock(), metrics.clone());
    Arc::new(move |event| {
        let request = requests.replace(requests.get() + 1);
        let handler = warm.borrow_mut().pop().unwrap_or_else(&start);
        let (host, warm, clock, metrics) =
            (Rc::clone(&host), Rc::clone(&warm), clock.clone(), metrics.clone());
        async move {
            let end = clock.now().as_millisecond() + i64::from(TIMEOUT_SECONDS) * 1000;
            let deadline = Deadline::new(u64::try_from(end).unwrap_or_default(), Arc::new(clock));
            let invocation = Invocation {
                request_id: format!("request-{request}"),
                function_arn: "arn:aws:lambda:eu-central-1:111111111111:function:landfall".to_owned(),
                deadline,
                metrics,
            };
            let answer =
                host.answer(&handler, event, &invocation).await.map_err(|error| error.to_string())?;
            warm.borrow_mut().push(handler);
            serde_json::to_value(answer).map_err(|error| error.to_string())
        }
        .boxed_local()
    })
}
