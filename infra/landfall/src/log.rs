//! `landfall log`: what the log of a delivery says, and whether that can be true.

use landfall_aws::{Clients, ClientsConfig, S3Store};
use landfall_core::audit::{self, DeliveryLog, IntentLog, State};
use landfall_core::ledger::Ledger;
use landfall_core::port::Bucket;

use crate::Finding;
use crate::arguments::{Log, LogCommand, LogPlace, StatePlace};
use crate::error::CommandError;
use crate::screen::{Screen, grouped};

/// Shows or checks logs.
pub(crate) async fn command(screen: &Screen, arguments: &Log) -> Result<Finding, CommandError> {
    match &arguments.command {
        LogCommand::Show(place) => show(screen, place).await,
        LogCommand::Verify(place) => verify(screen, place).await,
    }
}

/// The log in the state bucket of a stack.
pub(crate) async fn ledger(place: &StatePlace) -> Ledger<S3Store> {
    let clients = Clients::load(ClientsConfig::from_environment()).await;
    let bucket = Bucket { name: place.bucket.clone(), owner: place.account.clone() };
    Ledger::new(clients.store(), bucket)
}

async fn show(screen: &Screen, place: &LogPlace) -> Result<Finding, CommandError> {
    let ledger = ledger(&place.place).await;
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
        let evolution = ledger.evolution(delivery).await?;
        for step in evolution.iter().flat_map(|evolution| &evolution.steps) {
            let changes: Vec<String> = step.changes.iter().map(ToString::to_string).collect();
            let (version, n) = (step.contract_version, step.n);
            screen.line(format_args!("contract version {version}, of intent {n}: {}", changes.join(", ")));
        }
    }
    Ok(Finding::Sound)
}

fn row(n: u64, entry: &IntentLog) -> Vec<String> {
    let of = |text: Option<String>| text.unwrap_or_default();
    let (intent, outcome) = (entry.intent.as_ref(), entry.outcome.as_ref());
    vec![
        n.to_string(),
        state(entry),
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

/// How far an intent is, and in which part when it was resumed.
fn state(entry: &IntentLog) -> String {
    match (entry.state(), entry.part()) {
        (state, 1) => state.to_string(),
        (state, part) => format!("{state} (part {part})"),
    }
}

/// How many intents there are, how many of them are over, and how many wait for an operator; and how many the first of
/// those keeps in the log, and so in the listing of every plan.
pub(crate) fn summary(log: &DeliveryLog) -> String {
    let over = log.intents.values().filter(|entry| entry.state().is_over()).count();
    let mut expired =
        log.intents.iter().filter(|(_, entry)| entry.state() == State::Expired).map(|(n, _)| *n);
    let waiting = match expired.next() {
        Some(first) => {
            let behind = log.intents.range(first..).filter(|(_, entry)| entry.state().is_over()).count();
            let keeps = if behind > 0 { format!(" (intent {first} keeps {behind})") } else { String::new() };
            format!(", {} expired{keeps}", expired.count() + 1)
        }
        None => String::new(),
    };
    format!("{} intents, {over} over{waiting}, floor {}", log.intents.len(), log.floor)
}

async fn verify(screen: &Screen, place: &LogPlace) -> Result<Finding, CommandError> {
    let ledger = ledger(&place.place).await;
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

#[cfg(test)]
mod tests {
    use landfall_core::keys::RecordName;

    use super::*;

    fn entry(names: &[&str]) -> IntentLog {
        let records = names.iter().map(|name| RecordName::parse(name).unwrap()).collect();
        IntentLog { records, ..IntentLog::default() }
    }

    #[test]
    fn a_line_says_that_an_intent_expired_was_resumed_or_given_up() {
        for (names, expected) in [
            (&["intent", "expired"][..], "expired"),
            (&["intent", "expired", "resumed"], "planned (part 2)"),
            (&["intent", "expired", "resumed", "expired-2"], "expired (part 2)"),
            (&["intent", "expired", "discarded"], "discarding"),
            (&["intent", "expired", "discarded", "closed"], "discarded"),
        ] {
            assert_eq!(state(&entry(names)), expected, "{names:?}");
        }
        let mut log = DeliveryLog { floor: 0, ..DeliveryLog::default() };
        log.intents.insert(1, entry(&["intent", "expired"]));
        log.intents.insert(2, entry(&["intent", "discarded", "closed"]));
        assert_eq!(summary(&log), "2 intents, 1 over, 1 expired (intent 1 keeps 1), floor 0");
    }
}
