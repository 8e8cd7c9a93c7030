//! `landfall log`: what the log of a delivery says, and whether that can be true.

use landfall_aws::{Clients, ClientsConfig, S3Store};
use landfall_core::audit::{self, DeliveryLog, IntentLog, State};
use landfall_core::ledger::Ledger;
use landfall_core::port::Bucket;

use crate::Finding;
use crate::arguments::{Log, LogCommand, LogPlace};
use crate::error::CommandError;
use crate::screen::{Screen, grouped};

/// Shows or checks logs.
pub(crate) async fn command(screen: &Screen, arguments: &Log) -> Result<Finding, CommandError> {
    match &arguments.command {
        LogCommand::Show(place) => show(screen, place).await,
        LogCommand::Verify(place) => verify(screen, place).await,
    }
}

async fn ledger(place: &LogPlace) -> Ledger<S3Store> {
    let clients = Clients::load(ClientsConfig::from_environment()).await;
    let bucket = Bucket { name: place.bucket.clone(), owner: place.account.clone() };
    Ledger::new(clients.store(), bucket)
}

async fn show(screen: &Screen, place: &LogPlace) -> Result<Finding, CommandError> {
    let ledger = ledger(place).await;
    for delivery in &place.deliveries {
        let log = audit::read(&ledger, delivery).await?;
        let mut table = vec![
            ["intent", "state", "planned at", "reason", "inputs", "files", "rows", "rejected"]
                .map(str::to_owned)
                .to_vec(),
        ];
        table.extend(log.intents.iter().map(|(n, entry)| row(*n, entry)));
        screen.line(format_args!("{delivery}: {}", summary(&log)));
        screen.table(&table);
    }
    Ok(Finding::Sound)
}

fn row(n: u64, entry: &IntentLog) -> Vec<String> {
    let of = |text: Option<String>| text.unwrap_or_default();
    let (intent, outcome) = (entry.intent.as_ref(), entry.outcome.as_ref());
    vec![
        n.to_string(),
        entry.state().to_string(),
        of(intent.map(|intent| intent.planned_at.to_string())),
        of(intent.map(|intent| format!("{:?}", intent.reason).to_lowercase())),
        match (intent, outcome) {
            (Some(intent), Some(outcome)) => format!("{}/{}", outcome.consumed, intent.inputs.len()),
            (Some(intent), None) => intent.inputs.len().to_string(),
            (None, _) => String::new(),
        },
        of(outcome.map(|outcome| outcome.files.len().to_string())),
        of(outcome.map(|outcome| grouped(outcome.rows()))),
        of(outcome.map(|outcome| grouped(outcome.rejected()))),
    ]
}

/// How many intents there are, and how many of them are over.
pub(crate) fn summary(log: &DeliveryLog) -> String {
    let over = log
        .intents
        .values()
        .filter(|entry| matches!(entry.state(), State::Done | State::Void | State::Expired))
        .count();
    format!("{} intents, {over} over, floor {}", log.intents.len(), log.floor)
}

async fn verify(screen: &Screen, place: &LogPlace) -> Result<Finding, CommandError> {
    let ledger = ledger(place).await;
    let mut finding = Finding::Sound;
    for delivery in &place.deliveries {
        let log = audit::read(&ledger, delivery).await?;
        let problems = audit::verify(&log);
        for problem in &problems {
            screen.line(format_args!("{delivery}: {problem}"));
            finding = Finding::Unsound;
        }
        if log.intents.is_empty() {
            screen.line(format_args!("{delivery}: no intent stands under this id"));
            finding = Finding::Unsound;
        } else if problems.is_empty() {
            screen.line(format_args!("{delivery}: sound: {}", summary(&log)));
        }
    }
    Ok(finding)
}
