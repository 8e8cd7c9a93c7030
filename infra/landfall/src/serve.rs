//! `landfall serve`: the embedded AWS with deliveries deployed, to try functions against.

use std::fs;
use std::io;

use landfall_embedded::{DeployOptions, Deployment, EmbeddedAws, FUNCTIONS, Project};

use crate::Finding;
use crate::arguments::Serve;
use crate::documents;
use crate::error::CommandError;
use crate::screen::Screen;

/// Starts, deploys, and stays until standard input ends.
pub(crate) async fn command(screen: &Screen, arguments: &Serve) -> Result<Finding, CommandError> {
    let project = Project::find()?;
    let documents = documents::read(&arguments.delivery)?;
    let aws = EmbeddedAws::start(&project)?;
    let options = DeployOptions { account: arguments.account.clone(), ..DeployOptions::local() }
        .with("StagingBucketName", format_args!("landfall-staging-{}", arguments.account));
    let deployment = aws.deploy(&options, &documents).await?;
    for note in &deployment.placement().notes {
        screen.note(note);
    }
    if let Some(folder) = &arguments.environment {
        write_environments(&deployment, folder).await?;
    }
    screen.line(format_args!("{}, account {}; ends with standard input", aws.endpoint(), arguments.account));
    io::copy(&mut io::stdin().lock(), &mut io::sink()).map_err(CommandError::io("read standard input"))?;
    Ok(Finding::Sound)
}

/// One file for each function, then a file `ready`.
async fn write_environments(deployment: &Deployment, folder: &std::path::Path) -> Result<(), CommandError> {
    for name in FUNCTIONS {
        let path = folder.join(format!("{name}.env"));
        let variables = deployment.environment(name).await?;
        fs::write(&path, variables).map_err(CommandError::io(format!("write {}", path.display())))?;
    }
    let ready = folder.join("ready");
    fs::write(&ready, "").map_err(CommandError::io(format!("write {}", ready.display())))
}
