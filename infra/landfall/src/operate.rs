//! `landfall redeliver`, `discard` and `resolve`: what an operator decides about intents, written into the log.

use jiff::Timestamp;
use landfall_core::ledger::Ledger;
use landfall_core::operate::{self, OperateError, Resolution};
use landfall_core::port::ObjectStore;

use crate::Finding;
use crate::arguments::{Intents, Resolve};
use crate::error::CommandError;
use crate::log::ledger;
use crate::screen::Screen;

/// Lets expired intents go on.
pub(crate) async fn redeliver(screen: &Screen, arguments: &Intents) -> Result<Finding, CommandError> {
    let ledger = ledger(&arguments.place).await;
    let delivery = arguments.delivery.as_str();
    let mut finding = Finding::Sound;
    for n in &arguments.numbers {
        let part = operate::redeliver(&ledger, delivery, *n, Timestamp::now()).await;
        finding = said(screen, finding, part.map(|part| format!("intent {n} goes on as part {part}")))?;
    }
    Ok(finding)
}

/// Gives up what of intents was not published.
pub(crate) async fn discard(screen: &Screen, arguments: &Intents) -> Result<Finding, CommandError> {
    let ledger = ledger(&arguments.place).await;
    let delivery = arguments.delivery.as_str();
    let mut finding = Finding::Sound;
    for n in &arguments.numbers {
        let discarded = operate::discard(&ledger, delivery, *n, Timestamp::now()).await;
        finding = said(screen, finding, discarded.map(|()| format!("intent {n} is given up")))?;
    }
    Ok(finding)
}

/// Decides a copy of unknown effect.
pub(crate) async fn resolve(screen: &Screen, arguments: &Resolve) -> Result<Finding, CommandError> {
    let ledger = ledger(&arguments.place).await;
    let resolution = if arguments.delivered { Resolution::Delivered } else { Resolution::NotDelivered };
    let resolved = decide(&ledger, arguments, resolution).await;
    said(screen, Finding::Sound, resolved)
}

async fn decide<S: ObjectStore>(
    ledger: &Ledger<S>,
    arguments: &Resolve,
    resolution: Resolution,
) -> Result<String, OperateError> {
    let (delivery, n, file) = (arguments.delivery.as_str(), arguments.intent, arguments.file);
    operate::resolve(ledger, delivery, n, file, resolution, Timestamp::now()).await?;
    Ok(match resolution {
        Resolution::Delivered => format!("file {file} of intent {n} counts as delivered"),
        Resolution::NotDelivered => format!("file {file} of intent {n} is copied again"),
    })
}

/// Says what was done, or why it does not apply; only a log that fails ends the command.
fn said(
    screen: &Screen,
    before: Finding,
    done: Result<String, OperateError>,
) -> Result<Finding, CommandError> {
    match done {
        Ok(text) => {
            screen.line(format_args!("{text}"));
            Ok(before)
        }
        Err(OperateError::Ledger(error)) => Err(error.into()),
        Err(refusal) => {
            screen.line(format_args!("{refusal}"));
            Ok(Finding::Unsound)
        }
    }
}
