//! `landfall kill-test`: a producer stages without end, the built functions deliver in the embedded AWS, and one process
//! after the other is killed with SIGKILL while it works. At the end every record must stand in the lake exactly once.

mod producer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use landfall_core::audit;
use landfall_embedded::{Collected, DeployOptions, Deployment, EmbeddedAws, FunctionProcess, Project};
use serde::Deserialize;

use crate::Finding;
use crate::arguments::KillTest;
use crate::error::CommandError;
use crate::files::require_empty;
use crate::progress::Progress;
use crate::run::ticks;
use crate::screen::{Screen, grouped};
use producer::{DELIVERIES, Producer, Random, documents};

/// The longest pause between two kills that are tried, in milliseconds.
const PAUSE_MILLISECONDS: u64 = 600;
/// How long processes are watched to see which of them work.
const WATCH: Duration = Duration::from_millis(4);
/// Between two looks at whether the producer may go on.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Staged objects that may wait: the producer does not run ahead of what is delivered.
const MOST_WAITING: usize = 120;
/// How long nobody may work before it is given up.
const IDLE: Duration = Duration::from_mins(5);
/// How long nothing may move after the last kill. An attempt of unknown effect is judged after the committer's timeout and
/// a minute; silent work is sent again after the compactor's and a minute, then after twice as long.
const PATIENCE: Duration = Duration::from_mins(12);

/// The least timeouts that the functions take, and messages that come back soon.
fn options() -> DeployOptions {
    let mut options = DeployOptions::local()
        .with("CompactorTimeoutSeconds", 60)
        .with("CommitterTimeoutSeconds", 60)
        .with("NotifierTimeoutSeconds", 15)
        .with("ReconcileIntervalSeconds", 15)
        .with("IntakeVisibilitySeconds", 12)
        .with("PlanVisibilitySeconds", 12)
        .with("WorkVisibilitySeconds", 15)
        .with("CommitVisibilitySeconds", 15)
        .with("NotifyVisibilitySeconds", 12);
    options.short_visibility = true;
    options
}

/// What was killed.
#[derive(Debug, Default)]
struct Kills {
    by_function: BTreeMap<String, usize>,
    total: usize,
}

/// What `count_once.py` counted.
#[derive(Debug, Deserialize)]
struct Counted {
    staged: u64,
    delivered: u64,
    lost: u64,
    duplicated: u64,
    foreign: u64,
}

/// Runs it.
pub(crate) async fn command(screen: &Screen, arguments: &KillTest) -> Result<Finding, CommandError> {
    let begun = Instant::now();
    let project = Project::find()?;
    let scratch = tempfile::tempdir().map_err(CommandError::io("create a temporary folder"))?;
    let folder = arguments.keep.clone().unwrap_or_else(|| scratch.path().to_owned());
    require_empty(&folder)?;
    let (staged, lake) = (folder.join("staged"), folder.join("lake"));

    let aws = EmbeddedAws::start(&project)?;
    let deployment = aws.deploy(&options(), &documents()).await?;
    let ids = DELIVERIES.map(|(id, _)| id);
    let mut producer = Producer::new(&staged, arguments.seed);
    let delivered = async {
        let kills = kill(screen, arguments, &aws, &deployment, &mut producer).await?;
        for id in ids {
            deployment.flush(id).await?;
        }
        let mut progress = Progress::new(screen, "deliver", ids.len() as u64, false);
        deployment
            .wait_until_delivered(&ids, PATIENCE, |now| {
                let complete = now.iter().filter(|delivery| delivery.is_complete()).count();
                let open = now.iter().filter(|delivery| !delivery.is_complete());
                let texts: Vec<String> = open.map(ToString::to_string).collect();
                progress.message(complete as u64, &texts.join("; "));
            })
            .await?;
        Ok::<Kills, CommandError>(kills)
    };
    let kills = tokio::select! {
        kills = Box::pin(delivered) => kills?,
        failed = ticks(&deployment) => return Err(failed.into()),
    };

    let collected = deployment.collect(&lake).await?;
    let mut findings = Vec::new();
    for id in ids {
        let log = audit::read(&deployment.ledger()?, id).await?;
        findings.extend(audit::verify(&log).iter().map(|finding| format!("{id}: {finding}")));
    }
    let observed = deployment.observe().await?;
    drop(aws);
    let counted = count(&project, &staged, &lake).await?;

    let rejected: usize = collected.rejected.values().map(|rows| distinct_rows(rows)).sum();
    let told = rows_told(&collected);
    let by_function: Vec<String> =
        kills.by_function.iter().map(|(function, kills)| format!("{function} {kills}")).collect();
    let cut_off: u64 = observed.functions.iter().map(|function| function.errors).sum();
    for finding in &findings {
        screen.line(format_args!("THE LOG IS WRONG: {finding}"));
    }
    screen.line(format_args!(
        "{} rows in {} files, {} rows announced; {} of {} bad records set aside",
        grouped(counted.delivered),
        collected.files.len(),
        grouped(told),
        rejected,
        producer.bad
    ));
    screen.line(format_args!(
        "{} kills ({}), {cut_off} of them in an invocation; {} records in {} objects: {} lost, {} duplicated, {} \
         foreign; seed {}; {:.0} s",
        kills.total,
        by_function.join(", "),
        grouped(counted.staged),
        grouped(producer.objects),
        counted.lost,
        counted.duplicated,
        counted.foreign,
        arguments.seed,
        begun.elapsed().as_secs_f64()
    ));
    let sound = findings.is_empty()
        && (counted.lost, counted.duplicated, counted.foreign) == (0, 0, 0)
        && counted.staged == counted.delivered
        && told == counted.delivered
        && rejected as u64 == producer.bad;
    Ok(if sound { Finding::Sound } else { Finding::Unsound })
}

/// Stages and kills, until enough are killed.
async fn kill(
    screen: &Screen,
    arguments: &KillTest,
    aws: &EmbeddedAws,
    deployment: &Deployment,
    producer: &mut Producer,
) -> Result<Kills, CommandError> {
    let ids = DELIVERIES.map(|(id, _)| id);
    let mut random = Random::new(arguments.seed);
    let mut kills = Kills::default();
    let mut progress = Progress::new(screen, "kill", arguments.kills as u64, false);
    let (mut looked, mut killed) = (None::<Instant>, Instant::now());
    while kills.total < arguments.kills {
        if looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            let waiting: usize =
                deployment.progress(&ids).await?.iter().map(|delivery| delivery.waiting).sum();
            if waiting < MOST_WAITING {
                producer.stage(deployment).await?;
            }
            looked = Some(Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(random.below(PAUSE_MILLISECONDS))).await;
        let mut working = working(aws).await?;
        working.retain(|process| arguments.only.is_empty() || arguments.only.contains(&process.function));
        let choice = random.below(working.len() as u64);
        if let Some(victim) = usize::try_from(choice).ok().and_then(|choice| working.get(choice))
            && aws.kill_function(victim)?
        {
            *kills.by_function.entry(victim.function.clone()).or_default() += 1;
            kills.total += 1;
            killed = Instant::now();
            progress.add(1);
        }
        if killed.elapsed() > IDLE {
            return Err(CommandError::Input(format!(
                "no function has worked for {} s; the end of MiniStack's log:\n{}",
                IDLE.as_secs(),
                aws.log_tail()
            )));
        }
    }
    Ok(kills)
}

/// The processes that work now: those that run while they are watched.
async fn working(aws: &EmbeddedAws) -> Result<Vec<FunctionProcess>, CommandError> {
    let before = aws.functions_running()?;
    tokio::time::sleep(WATCH).await;
    let mut now = aws.functions_running()?;
    now.retain(|process| {
        let earlier = before.iter().find(|earlier| earlier.pid == process.pid);
        earlier.is_none_or(|earlier| process.worked_nanoseconds > earlier.worked_nanoseconds)
    });
    Ok(now)
}

/// Counts each record with a reader that shares no code with the engine.
async fn count(project: &Project, staged: &Path, lake: &Path) -> Result<Counted, CommandError> {
    let mut arguments = Vec::new();
    for (id, account) in DELIVERIES {
        let place = lake.join(format!("lake-{account}")).join("lake").join(id);
        arguments.extend(["--delivery".into(), staged.join(id).into_os_string(), place.into_os_string()]);
    }
    let text = project.run("count_once.py", arguments).await?;
    serde_json::from_str(&text).map_err(CommandError::json("read what count_once.py counted"))
}

/// Rejected rows, each once however often it was written down.
fn distinct_rows(rows: &[landfall_core::record::RejectedRecord]) -> usize {
    rows.iter().map(|row| (&row.key, row.line)).collect::<BTreeSet<_>>().len()
}

/// The rows of all notices, each handing over once however often it was told.
fn rows_told(collected: &Collected) -> u64 {
    let rows = |message: &serde_json::Value| message.get("rows")?.as_u64();
    let told: BTreeMap<String, u64> = collected
        .notices
        .iter()
        .filter_map(|notice| {
            let id = notice.message.get("delivery_id")?.as_str()?.to_owned();
            Some((id, rows(&notice.message)?))
        })
        .collect();
    told.values().sum()
}
