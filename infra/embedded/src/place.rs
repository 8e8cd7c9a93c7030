//! Delivery documents as the embedded AWS can serve them: what of a document stays, what is replaced and why, and what
//! each client deploys in its account.
//!
//! Roles, buckets and queues are created in the embedded AWS with the names that the documents say, so nearly nothing is
//! replaced: endpoint capabilities (MiniStack has none of the four), a role's path (client.yaml gives none), and an
//! ExternalId that is too short for client.yaml. Every replacement is a note for the operator.

use std::collections::BTreeMap;

use landfall_core::delivery::{Delivery, Secret};
use landfall_core::document;
use landfall_core::registry::{Registry, RegistryOptions};
use toml::{Table, Value};

use crate::error::EmbeddedError;

/// The shortest ExternalId that client.yaml accepts.
const MIN_EXTERNAL_ID: usize = 16;

/// A delivery document as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What errors call it, such as its path.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A delivery as the embedded AWS serves it.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The document, rewritten.
    pub text: String,
    /// The same, read.
    pub delivery: Delivery,
}

/// A deployment of client.yaml: what one role of a client may do, and what is created beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientStack {
    /// The client's account.
    pub account: String,
    /// The stack's name in that account.
    pub stack: String,
    /// The role's name.
    pub role_name: String,
    /// The ExternalId that the role asks for.
    pub external_id: Secret,
    /// The client's bucket.
    pub bucket: String,
    /// Whether this stack creates the bucket; another one of the account does otherwise.
    pub create_bucket: bool,
    /// The prefix of all locations the role may write to.
    pub production_prefix: String,
    /// The hidden prefix.
    pub temp_prefix: String,
    /// The Glue database, or a prefix of several with `*`; empty for none.
    pub glue_database: String,
    /// The key of the bucket, where the documents name one.
    pub kms_key_arn: Option<String>,
    /// ARNs of the client's queues: the first by its name, the others as further ones that exist already.
    pub queues: Vec<String>,
    /// Whether this stack creates the first queue; another one of the account does otherwise.
    pub create_queue: bool,
}

/// All deliveries of a deployment, and what their clients deploy.
#[derive(Debug, Clone, Default)]
pub struct Placement {
    /// The region of the documents.
    pub region: String,
    /// The deliveries, in the order of their ids.
    pub deliveries: Vec<Placed>,
    /// What the clients deploy.
    pub clients: Vec<ClientStack>,
    /// What was replaced, and why.
    pub notes: Vec<String>,
}

impl ClientStack {
    /// The ARN of the role.
    pub fn role_arn(&self) -> String {
        format!("arn:aws:iam::{}:role/{}", self.account, self.role_name)
    }
}

/// Checks the documents as a registry does, and places them.
///
/// # Errors
/// Every reason for which the registry refuses a document, with file, line and column.
pub fn place(documents: &[Document]) -> Result<Placement, EmbeddedError> {
    let region = documents
        .iter()
        .find_map(|document| document::parse(&document.name, &document.text).ok())
        .map(|delivery| delivery.destination.region)
        .unwrap_or_default();
    let options = RegistryOptions { region: region.clone(), allow_cross_region: false };
    let named = documents.iter().map(|document| (document.name.clone(), document.text.clone()));
    let registry = Registry::load(named, &options);
    if !registry.is_sound() {
        let refusals: Vec<String> = registry.refused().iter().map(ToString::to_string).collect();
        return Err(EmbeddedError::Documents(refusals.join("\n")));
    }

    let mut placement = Placement { region, ..Placement::default() };
    let mut groups: BTreeMap<Group, Vec<&Delivery>> = BTreeMap::new();
    for delivery in registry.deliveries() {
        groups.entry(Group::of(delivery)).or_default().push(delivery);
    }
    let mut stacks: BTreeMap<Group, ClientStack> = BTreeMap::new();
    for (group, deliveries) in groups {
        let stack = client_stack(&group, &deliveries, &placement.clients);
        placement.clients.push(stack.clone());
        stacks.insert(group, stack);
    }
    for delivery in registry.deliveries() {
        let Some(stack) = stacks.get(&Group::of(delivery)) else { continue };
        let Some(source) = documents.iter().find(|document| {
            document::parse(&document.name, &document.text).is_ok_and(|parsed| parsed.id == delivery.id)
        }) else {
            continue;
        };
        let placed = rewrite(source, delivery, stack, &mut placement.notes)?;
        placement.deliveries.push(placed);
    }
    Ok(placement)
}

/// Deliveries that one deployment of client.yaml can serve.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    account: String,
    role_arn: String,
    bucket: String,
    temp_prefix: String,
    kms_key_arn: Option<String>,
    external_id: String,
    /// client.yaml grants one prefix: deliveries below different folders take a role each.
    first_folder: String,
    /// It grants one database, or those that begin alike, and never all: the same for them.
    database_start: Option<char>,
}

impl Group {
    fn of(delivery: &Delivery) -> Self {
        let to = &delivery.destination;
        Self {
            account: to.account().to_owned(),
            role_arn: to.role_arn.clone(),
            bucket: to.bucket.clone(),
            temp_prefix: to.temp_prefix.clone(),
            kms_key_arn: to.kms_key_arn.clone(),
            external_id: to.external_id.clone(),
            first_folder: to.prefix.split_inclusive('/').next().unwrap_or_default().to_owned(),
            database_start: delivery.catalog.glue.as_ref().and_then(|glue| glue.database.chars().next()),
        }
    }
}

fn client_stack(group: &Group, deliveries: &[&Delivery], others: &[ClientStack]) -> ClientStack {
    let in_account = || others.iter().filter(|other| other.account == group.account);
    let wanted = group.role_arn.rsplit('/').next().unwrap_or("landfall-delivery").to_owned();
    let role_name = if in_account().any(|other| other.role_name == wanted) {
        format!("{wanted}-{}", in_account().count() + 1)
    } else {
        wanted
    };
    let external_id = if group.external_id.len() < MIN_EXTERNAL_ID {
        format!("embedded-{:0>MIN_EXTERNAL_ID$}", group.external_id)
    } else {
        group.external_id.clone()
    };
    let databases: Vec<&str> = deliveries
        .iter()
        .filter_map(|delivery| delivery.catalog.glue.as_ref())
        .map(|glue| glue.database.as_str())
        .collect();
    let mut queues: Vec<String> = deliveries
        .iter()
        .flat_map(|delivery| delivery.notify.queues.iter().map(|queue| queue.arn.clone()))
        .collect();
    queues.sort();
    queues.dedup();
    let create_queue =
        queues.first().is_some_and(|queue| !others.iter().any(|other| other.queues.contains(queue)));
    ClientStack {
        account: group.account.clone(),
        stack: format!("landfall-client-{}", in_account().count() + 1),
        role_name,
        external_id: Secret::new(external_id),
        bucket: group.bucket.clone(),
        create_bucket: !others.iter().any(|other| other.bucket == group.bucket),
        production_prefix: shared_folder(
            deliveries.iter().map(|delivery| delivery.destination.prefix.as_str()),
        ),
        temp_prefix: group.temp_prefix.clone(),
        glue_database: shared_name(&databases),
        kms_key_arn: group.kms_key_arn.clone(),
        queues,
        create_queue,
    }
}

/// The longest folder that holds all of them.
fn shared_folder<'a>(prefixes: impl Iterator<Item = &'a str>) -> String {
    let common = shared_start(prefixes);
    common.rfind('/').and_then(|slash| common.get(..=slash)).unwrap_or_default().to_owned()
}

/// One name as it is; several as what they begin with in common, and `*`.
fn shared_name(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [first, rest @ ..] if rest.iter().all(|name| name == first) => (*first).to_owned(),
        _ => format!("{}*", shared_start(names.iter().copied())),
    }
}

fn shared_start<'a>(mut texts: impl Iterator<Item = &'a str>) -> String {
    let first = texts.next().unwrap_or_default().to_owned();
    texts.fold(first, |common, text| {
        common
            .chars()
            .zip(text.chars())
            .take_while(|(left, right)| left == right)
            .map(|(left, _)| left)
            .collect()
    })
}

/// The document with what the embedded AWS needs otherwise.
fn rewrite(
    source: &Document,
    delivery: &Delivery,
    stack: &ClientStack,
    notes: &mut Vec<String>,
) -> Result<Placed, EmbeddedError> {
    let unreadable = |error: String| EmbeddedError::Documents(format!("{}: {error}", source.name));
    let mut table: Table = toml::from_str(&source.text).map_err(|error| unreadable(error.to_string()))?;
    let destination = table
        .get_mut("destination")
        .and_then(Value::as_table_mut)
        .ok_or_else(|| unreadable("destination: missing".into()))?;
    let id = &delivery.id;
    let role_arn = stack.role_arn();
    if delivery.destination.role_arn != role_arn {
        notes.push(format!("{id}: destination.role_arn is {role_arn} here: client.yaml creates it so"));
        destination.insert("role_arn".into(), Value::String(role_arn));
    }
    if delivery.destination.external_id != stack.external_id.expose() {
        notes.push(format!(
            "{id}: destination.external_id is another one here: client.yaml asks for 16 characters"
        ));
        destination.insert("external_id".into(), Value::String(stack.external_id.expose().to_owned()));
    }
    let none: Table = CAPABILITIES.iter().map(|name| ((*name).to_owned(), Value::Boolean(false))).collect();
    destination.insert("capabilities".into(), Value::Table(none));

    let text = toml::to_string(&table).map_err(|error| unreadable(error.to_string()))?;
    let delivery = document::parse(&source.name, &text).map_err(|errors| unreadable(errors.to_string()))?;
    Ok(Placed { text, delivery })
}

/// The endpoint capabilities of a document. MiniStack 1.5.33 has none of them.
const CAPABILITIES: [&str; 4] =
    ["full_object_multipart_checksum", "copy_checksum", "conditional_copy", "multipart_tags"];

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;
