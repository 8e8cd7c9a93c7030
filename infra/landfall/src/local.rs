//! `landfall local`: the whole chain for a user's own files; `landfall verify`: only its counting.

use std::time::Duration;

use landfall_embedded::Project;

use crate::Finding;
use crate::arguments::{Local, Verify};
use crate::documents;
use crate::error::CommandError;
use crate::report::Report;
use crate::run::{Run, run};
use crate::screen::{Screen, grouped};
use crate::tally::tally;

/// Entries of a list that are shown; reports and folders have them all.
pub(crate) const SHOWN: usize = 10;

/// Runs the chain and writes the report.
pub(crate) async fn command(screen: &Screen, arguments: &Local) -> Result<Finding, CommandError> {
    let project = Project::find()?;
    let documents = documents::read(&arguments.delivery)?;
    let report_path = arguments.report.clone().unwrap_or_else(|| arguments.output.join("report.json"));
    let work = Run {
        project: &project,
        documents: &documents,
        input: &arguments.input,
        output: &arguments.output,
        by_age: &[],
        patience: Duration::from_secs(arguments.patience),
    };
    let mut report = Box::pin(run(screen, &work)).await?.report;
    // Written before it is verified: what failed to verify must be there to look at.
    report.write(&report_path)?;
    print(screen, &report);
    let tally = tally(&project, &report_path, &arguments.input, &arguments.output).await?;
    screen.line(&tally.text);
    report.take_counts(tally.counts);
    report.write(&report_path)?;
    screen.line(format_args!("report: {}", report_path.display()));
    let sound = tally.sound && report.deliveries.iter().all(|delivery| delivery.log_findings.is_empty());
    Ok(if sound { Finding::Sound } else { Finding::Unsound })
}

/// Counts again.
pub(crate) async fn verify_command(screen: &Screen, arguments: &Verify) -> Result<Finding, CommandError> {
    let project = Project::find()?;
    let tally = tally(&project, &arguments.report, &arguments.input, &arguments.output).await?;
    screen.line(&tally.text);
    Ok(if tally.sound { Finding::Sound } else { Finding::Unsound })
}

/// Prints what was delivered and what was set aside.
pub(crate) fn print(screen: &Screen, report: &Report) {
    for delivery in &report.deliveries {
        screen.line(format_args!(
            "\n{}: {} staged objects -> s3://{}/{}",
            delivery.id,
            grouped(delivery.staged.objects),
            delivery.bucket,
            delivery.prefix
        ));
        let mut rows = vec![vec!["file".to_owned(), "bytes".to_owned(), "rows".to_owned()]];
        for file in delivery.files.iter().take(SHOWN) {
            let below = file.key.strip_prefix(&delivery.prefix).unwrap_or(&file.key);
            rows.push(vec![below.to_owned(), grouped(file.bytes), grouped(file.rows)]);
        }
        screen.table(&rows);
        let (files, bytes) = (delivery.files.len(), delivery.files.iter().map(|file| file.bytes).sum());
        screen.line(format_args!(
            "  {files} files, {} bytes, {} rows",
            grouped(bytes),
            grouped(delivery.rows)
        ));
        for row in delivery.rejected_rows.iter().take(SHOWN) {
            let column = row.column.as_ref().map(|column| format!("{column}: ")).unwrap_or_default();
            screen.line(format_args!(
                "  rejected: {}:{}: {}: {column}{}",
                row.key, row.line, row.reason, row.detail
            ));
        }
        if delivery.rejected_rows.len() > SHOWN {
            screen.line(format_args!("  ... {} rejected rows in all", delivery.rejected_rows.len()));
        }
        for object in delivery.quarantined_objects.iter().take(SHOWN) {
            let why = &object.why;
            let line = why.line.map(|line| format!(":{line}")).unwrap_or_default();
            screen.line(format_args!("  set aside: {}{line}: {}: {}", why.key, why.reason, why.detail));
        }
        if delivery.quarantined_objects.len() > SHOWN {
            screen
                .line(format_args!("  ... {} objects set aside in all", delivery.quarantined_objects.len()));
        }
        screen.line(format_args!("  {} notices received", delivery.notices.len()));
        for finding in &delivery.log_findings {
            screen.line(format_args!("  THE LOG IS WRONG: {finding}"));
        }
    }
    let functions: Vec<String> = report
        .functions
        .iter()
        .map(|function| {
            let cold = function.cold_milliseconds.map(|ms| format!(" (cold {ms:.0} ms)")).unwrap_or_default();
            let failed =
                if function.errors > 0 { format!(", {} failed", function.errors) } else { String::new() };
            format!("{} {}{cold}{failed}", function.name, function.invocations)
        })
        .collect();
    screen.line(format_args!("\ninvocations: {}", functions.join(", ")));
    if let Some(seconds) = report.first_outcome_seconds {
        screen.line(format_args!("cold start (first staged object) to first outcome: {seconds:.1} s"));
    }
    let on = |yes: bool| if yes { "on" } else { "off" };
    let can = &report.capabilities;
    screen.line(format_args!(
        "endpoint capabilities: full_object_multipart_checksum {}, copy_checksum {}, conditional_copy {}, \
         multipart_tags {}",
        on(can.full_object_multipart_checksum),
        on(can.copy_checksum),
        on(can.conditional_copy),
        on(can.multipart_tags)
    ));
    screen.line(format_args!("{:.1} s\n", report.elapsed_seconds));
}
