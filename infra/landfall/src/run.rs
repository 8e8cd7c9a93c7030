//! One run of the whole chain in the embedded AWS: start, deploy, stage, deliver, collect, count.

use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use landfall_core::audit;
use landfall_core::delivery::Delivery;
use landfall_embedded::{
    Collected, DeliveryProgress, DeployOptions, Deployment, Document, EmbeddedAws, EmbeddedError, Project,
    StagedBody, StagedFile,
};

use crate::error::CommandError;
use crate::files::{InputFile, input_files, require_empty, staged_keys};
use crate::progress::Progress;
use crate::report::{DeliveryReport, FunctionReport, ObjectReport, Report};
use crate::screen::{Screen, grouped};

/// How often the demo sends what the schedule sends every minute.
const TICK_EVERY: Duration = Duration::from_secs(5);

/// What to run.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    /// The sources and tools.
    pub(crate) project: &'a Project,
    /// The delivery documents.
    pub(crate) documents: &'a [Document],
    /// The folder to stage.
    pub(crate) input: &'a Path,
    /// Where the clients' buckets are copied to.
    pub(crate) output: &'a Path,
    /// Deliveries that are not flushed on request: their files leave when they are old enough.
    pub(crate) by_age: &'a [&'a str],
    /// After how long without any change to give up.
    pub(crate) patience: Duration,
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The report, not yet verified.
    pub(crate) report: Report,
    /// Everything that was collected.
    pub(crate) collected: Collected,
}

/// Runs it.
pub(crate) async fn run(screen: &Screen, run: &Run<'_>) -> Result<Ran, CommandError> {
    let begun = Instant::now();
    let mut phases = Phases { begun, list: Vec::new() };
    require_empty(run.output)?;
    let files = input_files(run.input)?;
    let placement = landfall_embedded::place(run.documents)?;
    let deliveries: Vec<&Delivery> = placement.deliveries.iter().map(|placed| &placed.delivery).collect();
    let keys = staged_keys(&files, &deliveries)?;

    let aws = EmbeddedAws::start(run.project)?;
    phases.end(screen, "start", format_args!("MiniStack at {}", aws.endpoint()));
    let deployment = aws.deploy(&DeployOptions::local(), run.documents).await?;
    let clients = deployment.placement().clients.len();
    phases.end(screen, "deploy", format_args!("1 provider and {clients} client stacks, IAM enforced"));
    for note in &deployment.placement().notes {
        screen.note(format_args!("  {note}"));
    }

    let staged_from = Timestamp::now();
    let bytes = stage(screen, &deployment, &files, &keys).await?;
    phases.end(
        screen,
        "stage",
        format_args!("{} objects, {} bytes", grouped(files.len() as u64), grouped(bytes)),
    );
    deliver(screen, run, &deployment).await?;
    phases.end(screen, "deliver", format_args!("{} deliveries", deliveries.len()));

    let collected = deployment.collect(run.output).await?;
    let mut logs = Vec::new();
    for delivery in &deliveries {
        logs.push(audit::read(&deployment.ledger()?, &delivery.id).await?);
    }
    let observed = deployment.observe().await?;
    phases.end(screen, "collect", format_args!("{} files", collected.files.len()));
    drop(aws);
    phases.end(screen, "stop", "MiniStack and all functions");

    let objects: Vec<ObjectReport> = files
        .iter()
        .zip(&keys)
        .map(|(file, (key, delivery))| ObjectReport {
            key: key.clone(),
            delivery: delivery.id.clone(),
            file: file.relative.clone(),
            bytes: file.bytes,
            records: None,
        })
        .collect();
    let first_outcome = collected.intents.iter().filter_map(|seen| seen.outcome_at).min();
    let report = Report {
        version: 1,
        elapsed_seconds: begun.elapsed().as_secs_f64(),
        phases: phases.list,
        first_outcome_seconds: first_outcome.map(|at| at.duration_since(staged_from).as_secs_f64().max(0.0)),
        capabilities: deliveries
            .first()
            .map(|delivery| delivery.destination.capabilities)
            .unwrap_or_default(),
        notes: placement.notes.clone(),
        functions: observed.functions.into_iter().map(FunctionReport::of).collect(),
        queues: observed.queues,
        deliveries: deliveries
            .iter()
            .zip(&logs)
            .map(|(delivery, log)| DeliveryReport::of(delivery, &objects, &collected, log))
            .collect(),
        objects,
        verification: serde_json::Value::Null,
    };
    Ok(Ran { report, collected })
}

async fn stage(
    screen: &Screen,
    deployment: &Deployment,
    files: &[InputFile],
    keys: &[(String, &Delivery)],
) -> Result<u64, CommandError> {
    let mut progress = Progress::new(screen, "stage", files.len() as u64, false);
    let files: Vec<StagedFile> = files
        .iter()
        .zip(keys)
        .map(|(file, (key, _))| StagedFile { key: key.clone(), body: StagedBody::File(file.path.clone()) })
        .collect();
    Ok(deployment.stage(&files, |_| progress.add(1)).await?)
}

/// Asks for plans, and waits; ticks meanwhile when some delivery leaves by age.
async fn deliver(screen: &Screen, run: &Run<'_>, deployment: &Deployment) -> Result<(), CommandError> {
    let ids: Vec<&str> = deployment.deliveries().map(|delivery| delivery.id.as_str()).collect();
    for id in ids.iter().filter(|id| !run.by_age.contains(id)) {
        deployment.flush(id).await?;
    }
    let mut progress = Progress::new(screen, "deliver", ids.len() as u64, false);
    let report = |now: &[DeliveryProgress]| {
        let complete = now.iter().filter(|delivery| delivery.is_complete()).count();
        let texts: Vec<String> =
            now.iter().filter(|delivery| !delivery.is_complete()).map(ToString::to_string).collect();
        progress.message(complete as u64, &texts.join("; "));
    };
    let wait = pin!(deployment.wait_until_delivered(&ids, run.patience, report));
    if run.by_age.is_empty() {
        return Ok(wait.await?);
    }
    tokio::select! {
        waited = wait => Ok(waited?),
        failed = ticks(deployment) => Err(failed.into()),
    }
}

/// Sends ticks until that fails.
pub(crate) async fn ticks(deployment: &Deployment) -> EmbeddedError {
    loop {
        if let Err(error) = deployment.schedule_tick().await {
            return error;
        }
        tokio::time::sleep(TICK_EVERY).await;
    }
}

/// The seconds of each phase, said when it ends.
struct Phases {
    begun: Instant,
    list: Vec<(String, f64)>,
}

impl Phases {
    fn end(&mut self, screen: &Screen, name: &str, what: impl std::fmt::Display) {
        let before: f64 = self.list.iter().map(|(_, seconds)| seconds).sum();
        let seconds = self.begun.elapsed().as_secs_f64() - before;
        screen.note(format_args!("{name:<9} {seconds:>6.1} s  {what}"));
        self.list.push((name.to_owned(), seconds));
    }
}
