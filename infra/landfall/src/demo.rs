//! `landfall demo`: real data for two clients through the whole chain, and proof that all of it arrived.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use landfall_embedded::{Collected, EmbeddedError, Project};

use crate::Finding;
use crate::arguments::Demo;
use crate::documents;
use crate::error::CommandError;
use crate::local;
use crate::proof::{self, Expected};
use crate::run::{Ran, Run, run};
use crate::screen::{Screen, grouped};
use crate::tally::tally;

/// The documents, below `infra/demo`.
const DOCUMENTS: [&str; 3] = ["flights.toml", "product-catalogue.toml", "weather.toml"];
/// Leaves by age; the others are flushed on request.
const BY_AGE: &str = "globex-weather";
/// After how long without any change to give up.
const PATIENCE: Duration = Duration::from_secs(90);
/// Partitions of a table that are shown.
const PARTITIONS_SHOWN: usize = 3;

/// Runs the demo.
pub(crate) async fn command(screen: &Screen, arguments: &Demo) -> Result<Finding, CommandError> {
    let begun = Instant::now();
    let project = Project::find()?;
    let paths: Vec<_> = DOCUMENTS.iter().map(|name| project.root().join("infra/demo").join(name)).collect();
    let documents = documents::read(&paths)?;
    let data = data(&project, arguments.small).await?;
    screen.note(format_args!("{:<9} {:>6.1} s  {}", "data", begun.elapsed().as_secs_f64(), data.display()));
    let input = &data.join("staged");
    let expected = expected(&data.join("expected.json"))?;

    let scratch = tempfile::tempdir().map_err(CommandError::io("create a temporary folder"))?;
    let output = arguments.keep.clone().unwrap_or_else(|| scratch.path().join("lake"));
    let work = Run {
        project: &project,
        documents: &documents,
        input,
        output: &output,
        by_age: &[BY_AGE],
        patience: PATIENCE,
    };
    let Ran { mut report, collected } = Box::pin(run(screen, &work)).await?;
    let report_path = output.join("report.json");
    report.write(&report_path)?;
    local::print(screen, &report);
    print_catalog(screen, &collected);
    print_notices(screen, &collected);

    // Two readers at once, one for each core.
    let (tally, answer) = tokio::join!(
        tally(&project, &report_path, input, &output),
        query(&project, &report_path, input, &output)
    );
    let (tally, answer) = (tally?, answer?);
    screen.line(&tally.text);
    screen.line(&answer.text);
    report.take_counts(tally.counts);
    report.write(&report_path)?;
    let problems = proof::problems(&report, &expected);
    for problem in &problems {
        screen.line(problem);
    }
    let sound = tally.sound && answer.equal && problems.is_empty();
    screen.line(format_args!(
        "\n{}: {} records staged, {} rows delivered in {} files; {:.1} s in all",
        if sound { "all is well" } else { "SOMETHING DIFFERS" },
        grouped(report.deliveries.iter().filter_map(|delivery| delivery.staged.records).sum()),
        grouped(report.deliveries.iter().map(|delivery| delivery.rows).sum()),
        collected.files.len(),
        begun.elapsed().as_secs_f64()
    ));
    Ok(if sound { Finding::Sound } else { Finding::Unsound })
}

/// The folder of the staged files and of what is expected of them, written when it is not there.
async fn data(project: &Project, small: bool) -> Result<PathBuf, CommandError> {
    let cache = project.root().join(".local/demo-data");
    let mut arguments = vec!["--cache".into(), cache.into_os_string()];
    if small {
        arguments.push("--small".into());
    }
    Ok(PathBuf::from(project.run("demo_data.py", arguments).await?.trim_end()))
}

/// What the data must come to.
fn expected(path: &Path) -> Result<Expected, CommandError> {
    let attempt = || format!("read {}", path.display());
    let bytes = fs::read(path).map_err(CommandError::io(attempt()))?;
    serde_json::from_slice(&bytes).map_err(CommandError::json(attempt()))
}

/// What DuckDB and Python answered.
struct Answer {
    equal: bool,
    text: String,
}

/// The same question to DuckDB, about the lake, and to Python, about the staged files.
async fn query(
    project: &Project,
    report: &Path,
    input: &Path,
    output: &Path,
) -> Result<Answer, CommandError> {
    let arguments = [("--report", report), ("--input", input), ("--output", output)];
    let arguments = arguments.into_iter().flat_map(|(name, path)| [Path::new(name), path]);
    match project.run("demo_query.py", arguments).await {
        Ok(text) => Ok(Answer { equal: true, text }),
        // It prints what differs before it fails; where it crashed, that stands on standard error.
        Err(EmbeddedError::Script { stdout, output, .. }) if !stdout.is_empty() => {
            Ok(Answer { equal: false, text: format!("{stdout}{output}") })
        }
        Err(error) => Err(error.into()),
    }
}

fn print_catalog(screen: &Screen, collected: &Collected) {
    screen.line("Glue partitions:");
    for table in &collected.tables {
        let keys = table.partition_keys.join(", ");
        let (columns, partitions) = (table.columns.len(), table.partitions.len());
        screen.line(format_args!(
            "  {}: {}.{}: {columns} columns, {partitions} partitions by {keys}",
            table.account, table.database, table.table
        ));
        for (values, location) in table.partitions.iter().take(PARTITIONS_SHOWN) {
            screen.line(format_args!("    [{}] {location}", values.join(", ")));
        }
        if partitions > PARTITIONS_SHOWN {
            screen.line("    ...");
        }
    }
}

fn print_notices(screen: &Screen, collected: &Collected) {
    screen.line("\nmessages on the clients' queues:");
    for notice in &collected.notices {
        let of = |name: &str| notice.message.get(name).map(ToString::to_string).unwrap_or_default();
        let files = notice.message.get("files").and_then(serde_json::Value::as_array).map_or(0, Vec::len);
        let group = notice.group.as_ref().map(|group| format!(", group {group}")).unwrap_or_default();
        screen.line(format_args!(
            "  {}{group}: {} {} rows in {files} files, schema version {}",
            notice.queue,
            of("delivery_id"),
            of("rows"),
            of("schema_version")
        ));
    }
    screen.line("");
}
