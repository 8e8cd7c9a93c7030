//! The embedded AWS: MiniStack with the project's own templates deployed in it.
//!
//! The demo, `landfall local` and the end-to-end tests use it: [`EmbeddedAws::start`] runs MiniStack,
//! [`EmbeddedAws::deploy`] deploys `infra/template.yaml` for the provider and `infra/client.yaml` for each client, with
//! IAM enforcement on and the built bootstraps as functions. [`Deployment`] stages files, asks for plans, waits until
//! everything is delivered, and collects what landed where.
//!
//! What it must never do: reach the real AWS (every client has a fixed endpoint and fixed credentials), or leave a
//! process behind (MiniStack ends with the value that started it, or with this process).

mod collect;
mod deployment;
mod error;
mod ministack;
mod observe;
mod place;
mod processes;
mod project;
mod sdk;
mod stage;
mod watch;

pub use collect::{Collected, GlueTableSeen, IntentSeen, LakeFile, NoticeSeen, ObjectReason};
pub use deployment::{DeployOptions, Deployment, EmbeddedAws};
pub use error::EmbeddedError;
pub use ministack::MiniStack;
pub use observe::{FunctionSeen, Observed};
pub use place::{ClientStack, Document, Placed, Placement, place};
pub use processes::FunctionProcess;
pub use project::{FUNCTIONS, Project};
pub use stage::{StagedBody, StagedFile};
pub use watch::{DeliveryProgress, Standstill};
