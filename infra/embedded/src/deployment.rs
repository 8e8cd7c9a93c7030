//! Starting the embedded AWS and deploying the templates into it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::try_join_all;
use jiff::Timestamp;
use landfall_aws::{Clients, ClientsConfig, S3Store, SqsQueue, StaticCredentials};
use landfall_core::delivery::{Delivery, Secret};
use landfall_core::keys;
use landfall_core::ledger::Ledger;
use landfall_core::message::{Message, send_all};
use landfall_core::port::{Bucket, OutgoingMessage};
use landfall_core::record::PlanReason;
use tempfile::TempDir;

use crate::error::EmbeddedError;
use crate::ministack::MiniStack;
use crate::place::{ClientStack, Document, Placement, place};
use crate::project::{FUNCTIONS, Project};
use crate::sdk;

/// What a deployment of the provider's side is called and how it is cut to a small machine.
#[derive(Debug, Clone)]
pub struct DeployOptions {
    /// The provider's account.
    pub account: String,
    /// The provider's stack.
    pub stack: String,
    /// Parameters of `infra/template.yaml`; what is not named here takes the template's default.
    pub parameters: BTreeMap<String, String>,
    /// Whether messages may come back while they are still worked on, against the visibility rule: for tests that kill
    /// functions and do not want to wait for what those held.
    pub short_visibility: bool,
}

impl DeployOptions {
    /// For a machine with two cores: one plan per two seconds, few functions at once. Visibilities obey the rule of every
    /// deployment; what fails comes back sooner, since the functions give a returned message its own wait.
    pub fn local() -> Self {
        let parameters = [
            ("NudgeSlotSeconds", "2"),
            ("ReconcileIntervalSeconds", "60"),
            ("CompactorTimeoutSeconds", "300"),
            ("CommitterTimeoutSeconds", "120"),
            ("NotifierTimeoutSeconds", "20"),
            ("IntakeVisibilitySeconds", "1801"),
            ("PlanVisibilitySeconds", "1800"),
            ("WorkVisibilitySeconds", "1800"),
            ("CommitVisibilitySeconds", "720"),
            ("NotifyVisibilitySeconds", "121"),
            ("IntakeWindowSeconds", "1"),
            ("WorkMaximumConcurrency", "2"),
            ("CommitMaximumConcurrency", "2"),
            ("NotifyMaximumConcurrency", "2"),
        ];
        Self {
            account: "111111111111".to_owned(),
            stack: "landfall".to_owned(),
            parameters: parameters
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            short_visibility: false,
        }
    }

    /// The same with another value of a parameter.
    #[must_use]
    pub fn with(mut self, parameter: &str, value: impl fmt::Display) -> Self {
        self.parameters.insert(parameter.to_owned(), value.to_string());
        self
    }
}

/// A running embedded AWS, empty at first. Everything ends with it.
#[derive(Debug)]
pub struct EmbeddedAws {
    project: Project,
    // Before the folder: MiniStack ends before its files are removed.
    ministack: MiniStack,
    work: TempDir,
}

impl EmbeddedAws {
    /// Starts MiniStack with its files in a folder that is removed at the end.
    ///
    /// # Errors
    /// When the tools are missing or it does not come up.
    pub fn start(project: &Project) -> Result<Self, EmbeddedError> {
        let work = tempfile::Builder::new()
            .prefix("landfall-aws-")
            .tempdir()
            .map_err(EmbeddedError::io("create a temporary folder"))?;
        let ministack = MiniStack::start(project, work.path())?;
        Ok(Self { project: project.clone(), ministack, work })
    }

    /// The endpoint of all services.
    pub fn endpoint(&self) -> String {
        self.ministack.endpoint()
    }

    /// The number of MiniStack's process.
    pub(crate) fn ministack_pid(&self) -> u32 {
        self.ministack.pid()
    }

    /// The folder of its files.
    pub fn work(&self) -> &Path {
        self.work.path()
    }

    /// The end of MiniStack's log.
    pub fn log_tail(&self) -> String {
        self.ministack.log_tail()
    }

    /// Deploys the provider's side and every client's, and puts the documents where functions read them.
    ///
    /// # Errors
    /// When documents are refused, functions are not built, or a stack fails.
    pub async fn deploy(
        &self,
        options: &DeployOptions,
        documents: &[Document],
    ) -> Result<Deployment, EmbeddedError> {
        let placement = place(documents)?;
        let region =
            if placement.region.is_empty() { "eu-central-1".to_owned() } else { placement.region.clone() };
        let zips = self.zip_functions().await?;
        let mut accounts: BTreeSet<&str> =
            placement.clients.iter().map(|client| client.account.as_str()).collect();
        accounts.insert(&options.account);
        let endpoint = self.endpoint();
        let mut clients = BTreeMap::new();
        for account in accounts {
            clients.insert(account.to_owned(), ports(&endpoint, &region, account).await);
        }
        let mut deployment = Deployment {
            project: self.project.clone(),
            endpoint,
            region,
            server_log: self.ministack.log().to_owned(),
            options: options.clone(),
            zips,
            outputs: BTreeMap::new(),
            placement,
            clients,
            flushes: AtomicU64::new(0),
        };
        // All at once: trust goes to the account, and the functions' policies name roles that may not be there yet.
        let client_stacks = deployment.placement.clients.clone();
        let (outputs, _) = tokio::try_join!(
            deployment.deploy_provider(),
            try_join_all(client_stacks.iter().map(|client| deployment.deploy_client(client)))
        )?;
        deployment.outputs = outputs;
        for placed in &deployment.placement.deliveries {
            deployment.put_document(&placed.delivery.id, &placed.text).await?;
        }
        Ok(deployment)
    }

    /// Wraps the built functions, once for all deployments into this embedded AWS.
    async fn zip_functions(&self) -> Result<BTreeMap<String, PathBuf>, EmbeddedError> {
        try_join_all(FUNCTIONS.map(|name| async move {
            let zip = self.work.path().join(format!("{name}.zip"));
            let binary = self.project.bootstrap(name)?;
            if !zip.exists() {
                self.project.run("zip_bootstrap.py", [binary.as_path(), &zip]).await?;
            }
            Ok((name.to_owned(), zip))
        }))
        .await
        .map(BTreeMap::from_iter)
    }
}

async fn ports(endpoint: &str, region: &str, account: &str) -> Clients {
    let credentials =
        StaticCredentials { access_key_id: account.to_owned(), secret_access_key: Secret::new(sdk::SECRET) };
    Clients::load(ClientsConfig {
        region: Some(region.to_owned()),
        endpoint_url: Some(endpoint.to_owned()),
        credentials: Some(credentials),
    })
    .await
}

/// A provider and its clients, deployed. Lives no longer than the [`EmbeddedAws`] it is deployed into.
#[derive(Debug)]
pub struct Deployment {
    pub(crate) project: Project,
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) server_log: PathBuf,
    options: DeployOptions,
    zips: BTreeMap<String, PathBuf>,
    outputs: BTreeMap<String, String>,
    placement: Placement,
    clients: BTreeMap<String, Clients>,
    flushes: AtomicU64,
}

impl Deployment {
    /// What the documents became.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// The deliveries, in the order of their ids.
    pub fn deliveries(&self) -> impl Iterator<Item = &Delivery> {
        self.placement.deliveries.iter().map(|placed| &placed.delivery)
    }

    /// The provider's account.
    pub fn account(&self) -> &str {
        &self.options.account
    }

    /// The name of the provider's stack.
    pub fn stack(&self) -> &str {
        &self.options.stack
    }

    /// The region of everything.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// An output of the provider's stack, such as `PlanQueueUrl`.
    ///
    /// # Errors
    /// When the template has no such output.
    pub fn output(&self, name: &str) -> Result<&str, EmbeddedError> {
        self.outputs.get(name).map(String::as_str).ok_or_else(|| EmbeddedError::Call {
            attempt: format!("read output {name} of stack {}", self.options.stack),
            reason: "there is no such output".to_owned(),
        })
    }

    /// The staging bucket.
    ///
    /// # Errors
    /// When the template no longer says its name.
    pub fn staging(&self) -> Result<Bucket, EmbeddedError> {
        self.bucket("StagingBucketName")
    }

    /// The state bucket.
    ///
    /// # Errors
    /// When the template no longer says its name.
    pub fn state(&self) -> Result<Bucket, EmbeddedError> {
        self.bucket("StateBucketName")
    }

    fn bucket(&self, output: &str) -> Result<Bucket, EmbeddedError> {
        Ok(Bucket { name: self.output(output)?.to_owned(), owner: self.options.account.clone() })
    }

    /// The ports of an account's root: the provider's or a client's.
    ///
    /// # Errors
    /// When no document names the account.
    pub fn ports(&self, account: &str) -> Result<&Clients, EmbeddedError> {
        self.clients.get(account).ok_or_else(|| EmbeddedError::Call {
            attempt: format!("act in account {account}"),
            reason: "no delivery document names it".to_owned(),
        })
    }

    /// The provider's objects.
    ///
    /// # Errors
    /// Never in practice: see [`Deployment::ports`].
    pub fn store(&self) -> Result<S3Store, EmbeddedError> {
        Ok(self.ports(self.account())?.store())
    }

    /// The provider's queues.
    ///
    /// # Errors
    /// Never in practice: see [`Deployment::ports`].
    pub fn queue(&self) -> Result<SqsQueue, EmbeddedError> {
        Ok(self.ports(self.account())?.queue())
    }

    /// The log of all deliveries.
    ///
    /// # Errors
    /// When the template no longer says the state bucket's name.
    pub fn ledger(&self) -> Result<Ledger<S3Store>, EmbeddedError> {
        Ok(Ledger::new(self.store()?, self.state()?))
    }

    /// Puts a document, right or wrong, where functions read it, in place of the one that stands there.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_document(&self, id: &str, text: &str) -> Result<(), EmbeddedError> {
        self.overwrite(&self.state()?, &keys::config(id), text.as_bytes().to_vec().into()).await
    }

    /// Asks for a plan of everything that waits.
    ///
    /// # Errors
    /// When the queue fails.
    pub async fn flush(&self, delivery: &str) -> Result<(), EmbeddedError> {
        let once = self.flushes.fetch_add(1, Ordering::Relaxed);
        let message = OutgoingMessage {
            body: Message::plan(delivery, PlanReason::Flush).to_body(),
            group: Some(delivery.to_owned()),
            deduplication: Some(format!("flush-{delivery}-{}-{once}", Timestamp::now().as_millisecond())),
            delay_seconds: None,
        };
        self.send("PlanQueueUrl", message).await
    }

    /// Sends what the schedule sends every minute.
    ///
    /// # Errors
    /// When the queue fails.
    pub async fn schedule_tick(&self) -> Result<(), EmbeddedError> {
        let now = Timestamp::now();
        let (account, region, stack) = (self.account(), self.region(), &self.options.stack);
        let event = serde_json::json!({
            "version": "0",
            "id": format!("tick-{}", now.as_nanosecond()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": account,
            "time": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "region": region,
            "resources": [format!("arn:aws:events:{region}:{account}:rule/{stack}-ScheduleRule")],
            "detail": {},
        });
        let message = OutgoingMessage::plain(event.to_string());
        self.send("IntakeQueueUrl", message).await
    }

    async fn send(&self, output: &str, message: OutgoingMessage) -> Result<(), EmbeddedError> {
        Ok(send_all(&self.queue()?, self.output(output)?, &[message]).await?)
    }

    /// Deploys or updates the provider's stack.
    async fn deploy_provider(&self) -> Result<BTreeMap<String, String>, EmbeddedError> {
        let options = &self.options;
        let mut parameters = options.parameters.clone();
        let mut set = |name: &str, value: String| {
            parameters.entry(name.to_owned()).or_insert(value);
        };
        set("Embedded", "true".to_owned());
        set("Architecture", if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }.to_owned());
        let roles: Vec<String> = self.placement.clients.iter().map(ClientStack::role_arn).collect();
        if !roles.is_empty() {
            set("ClientRoleArns", roles.join(","));
        }
        let mut arguments = vec!["--timeout".to_owned(), "120".to_owned()];
        if options.short_visibility {
            arguments.push("--short-visibility".to_owned());
        }
        for (name, zip) in &self.zips {
            arguments.extend(["--code".to_owned(), format!("{name}={}", zip.display())]);
        }
        self.deploy_stack(&options.account, &options.stack, "infra/template.yaml", &parameters, arguments)
            .await
    }

    /// Deploys a client's stack, or updates it: tests take permissions away and give them back so.
    ///
    /// # Errors
    /// When the stack or one of the further queues fails.
    pub async fn deploy_client(&self, client: &ClientStack) -> Result<(), EmbeddedError> {
        let provider = &self.options;
        let truth = |yes: bool| if yes { "true" } else { "false" }.to_owned();
        let queue = client.queues.first().and_then(|arn| arn.rsplit(':').next()).unwrap_or_default();
        let mut parameters = BTreeMap::from([
            ("ProviderAccountId", provider.account.clone()),
            // No ProviderRoleArns: MiniStack 1.5.33 gives a session's ARN as aws:PrincipalArn, AWS the role's.
            ("ExternalId", client.external_id.expose().to_owned()),
            ("RoleName", client.role_name.clone()),
            ("BucketName", client.bucket.clone()),
            ("CreateBucket", truth(client.create_bucket)),
            ("ProductionPrefix", client.production_prefix.clone()),
            ("TempPrefix", client.temp_prefix.clone()),
            ("GlueDatabase", client.glue_database.clone()),
            ("QueueName", queue.trim_end_matches(".fifo").to_owned()),
            ("FifoQueue", truth(queue.strip_suffix(".fifo").is_some())),
            ("CreateQueue", truth(client.create_queue)),
            ("RequireTls", "false".to_owned()),
        ]);
        if let Some(key) = &client.kms_key_arn {
            parameters.insert("KmsKeyArn", key.clone());
        }
        let more = client.queues.get(1..).unwrap_or_default();
        for arn in more {
            self.create_queue(client, arn).await?;
        }
        if !more.is_empty() {
            parameters.insert("MoreQueueArns", more.join(","));
        }
        let parameters = parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.deploy_stack(&client.account, &client.stack, "infra/client.yaml", &parameters, Vec::new())
            .await?;
        Ok(())
    }

    async fn deploy_stack(
        &self,
        account: &str,
        stack: &str,
        template: &str,
        parameters: &BTreeMap<String, String>,
        more: Vec<String>,
    ) -> Result<BTreeMap<String, String>, EmbeddedError> {
        let mut arguments: Vec<String> = [
            ("--endpoint", self.endpoint.as_str()),
            ("--account", account),
            ("--region", &self.region),
            ("--stack", stack),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value.to_owned()])
        .collect();
        arguments.extend(["--template".to_owned(), self.project.root().join(template).display().to_string()]);
        for (name, value) in parameters {
            arguments.extend(["--parameter".to_owned(), format!("{name}={value}")]);
        }
        arguments.extend(more);
        let output = self.project.run("deploy.py", arguments).await?;
        serde_json::from_str(&output)
            .map_err(EmbeddedError::call(format!("read the outputs of stack {stack}")))
    }

    /// A further queue of a client, which client.yaml takes for given: it only lets the role send to it.
    async fn create_queue(&self, client: &ClientStack, arn: &str) -> Result<(), EmbeddedError> {
        use aws_sdk_sqs::types::QueueAttributeName;
        let name = arn.rsplit(':').next().unwrap_or_default();
        let config = sdk::config(&self.endpoint, &self.region, &client.account).await;
        let mut request = aws_sdk_sqs::Client::new(&config).create_queue().queue_name(name);
        if name.strip_suffix(".fifo").is_some() {
            request = request.attributes(QueueAttributeName::FifoQueue, "true");
        }
        request.send().await.map_err(EmbeddedError::call(format!("create queue {arn}")))?;
        Ok(())
    }
}
