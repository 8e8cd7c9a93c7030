//! Reading a delivery document: TOML text to a checked [`Delivery`], or everything that is wrong with it.
//!
//! A document is read field by field with its places, so that one reading reports all errors of all sections,
//! each on its own line:
//!
//! ```text
//! acme.toml:12:10: destination.prefix: a prefix must end with `/`
//! acme.toml:31:1: contract.column[2].nulable: unknown key; did you mean `nullable`?
//! ```
//!
//! Only a text that is not TOML at all is reported by its syntax errors alone. Messages repeat no values (but names
//! of columns, and the wrong word of a type or a file name): the ExternalId, or a secret pasted into another key of
//! the destination, never reaches a log.

mod bound;
mod columns;
mod contract;
mod layout;
mod rules;
mod schema;
mod section;
mod suggest;
mod tracking;

use std::fmt;

use toml::de::DeTable;

pub use self::bound::Bound;
pub use self::rules::MAX_DOCUMENT_BYTES;
pub use self::schema::json_schema;

use self::section::{Field, Place, Problem, Problems, Section};
use crate::delivery::{
    Capabilities, Catalogs, Delivery, DestinationConfig, GlueTable, Notify, NotifyQueue, Source,
    default_temp_prefix,
};
use crate::layout::{FileFormat, Layout};
use crate::port::Purpose;
use crate::session_policy::{SESSION_POLICY_LIMIT, session_policy};

/// One thing that is wrong in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The dotted path of the key, lists counted from 0; empty for an error of syntax.
    pub path: String,
    /// What is wrong. Never a value of the document that could be a secret.
    pub message: String,
}

/// Everything that is wrong in one document, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentErrors {
    /// The document's name.
    pub document: String,
    /// The delivery's id, where the document says it.
    pub id: Option<String>,
    /// The source prefix, where it can be read: it stays claimed.
    pub source_prefix: Option<String>,
    /// At least one.
    pub errors: Vec<DocumentError>,
}

impl std::error::Error for DocumentErrors {}

impl fmt::Display for DocumentErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{}:{}: ", self.document, error.line, error.column)?;
            if !error.path.is_empty() {
                write!(f, "{}: ", error.path)?;
            }
            f.write_str(&error.message)?;
        }
        Ok(())
    }
}

/// Reads and checks one document as it is stored.
///
/// # Errors
/// As [`parse`], and when it is not UTF-8.
pub fn parse_bytes(name: &str, bytes: &[u8]) -> Result<Delivery, DocumentErrors> {
    std::str::from_utf8(bytes).map_or_else(
        |error| {
            let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let good = String::from_utf8_lossy(good);
            let place = Place { offset: good.len(), path: String::new() };
            Err(DocumentErrors {
                document: name.to_owned(),
                id: None,
                source_prefix: None,
                errors: located(&good, vec![Problem { place, message: "the text is not UTF-8".to_owned() }]),
            })
        },
        |text| parse(name, text),
    )
}

/// Reads and checks one document. `name` is what its errors call it.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn parse(name: &str, text: &str) -> Result<Delivery, DocumentErrors> {
    if text.len() > MAX_DOCUMENT_BYTES {
        let message = format!("a document has at most {MAX_DOCUMENT_BYTES} bytes");
        return Err(DocumentErrors {
            document: name.to_owned(),
            id: None,
            source_prefix: None,
            errors: located(text, vec![Problem { place: start(), message }]),
        });
    }
    // What can be read of a text that is no TOML is read: it still claims its prefix.
    let (table, syntax) = DeTable::parse_recoverable(text);
    let refused = |id: Option<String>, problems: Vec<Problem>| DocumentErrors {
        document: name.to_owned(),
        id: id.or_else(|| {
            let (id, _) = text_at(table.get_ref(), &["id"])?;
            rules::ID.check(id).ok().map(|()| id.to_owned())
        }),
        source_prefix: text_at(table.get_ref(), &["source", "prefix"])
            .map(|(prefix, _)| prefix.to_owned())
            .filter(|prefix| {
                prefix.len() <= rules::MAX_PREFIX_BYTES && !prefix.chars().any(char::is_control)
            }),
        errors: located(text, problems),
    };
    if !syntax.is_empty() {
        let problem = |error: toml::de::Error| Problem {
            place: Place { offset: error.span().map_or(0, |span| span.start), path: String::new() },
            message: error.message().to_owned(),
        };
        return Err(refused(None, syntax.into_iter().map(problem).collect()));
    }
    let problems = Problems::default();
    let (id, delivery) = read(Section::root(&problems, table.get_ref()));
    let problems = problems.into_inner();
    match delivery {
        Some(delivery) if problems.is_empty() => match too_long(&delivery, table.get_ref()) {
            None => Ok(delivery),
            Some(problem) => Err(refused(id, vec![problem])),
        },
        // A section that yields nothing records why; should one ever not, the document is refused all the same.
        None if problems.is_empty() => {
            let message = "the document cannot be read".to_owned();
            Err(refused(id, vec![Problem { place: start(), message }]))
        }
        _ => Err(refused(id, problems)),
    }
}

/// A text of the document, with its offset.
fn text_at<'t>(table: &'t DeTable<'_>, path: &[&str]) -> Option<(&'t str, usize)> {
    let (name, rest) = path.split_first()?;
    let value = table.get(*name)?;
    if rest.is_empty() {
        return Some((value.get_ref().as_str()?, value.span().start));
    }
    text_at(value.get_ref().as_table()?, rest)
}

/// STS takes session policies up to a length. Names that do not fit are refused here, not in the middle of a delivery.
fn too_long(delivery: &Delivery, table: &DeTable<'_>) -> Option<Problem> {
    let access = delivery.access();
    [Purpose::Stage, Purpose::Commit, Purpose::Notify].into_iter().find_map(|purpose| {
        let error = session_policy(&access, purpose).err()?;
        let (path, name) = match purpose {
            Purpose::Stage | Purpose::Commit => (["destination", "prefix"], "destination.prefix"),
            Purpose::Notify => (["notify", "queue"], "notify.queue"),
        };
        let offset = text_at(table, &path).map_or(0, |(_, offset)| offset);
        let message = format!(
            "prefixes, names and ARNs are too long together: a session policy made of them has {} characters, \
             {SESSION_POLICY_LIMIT} are allowed",
            error.length
        );
        Some(Problem { place: Place { offset, path: name.to_owned() }, message })
    })
}

fn read(mut root: Section<'_>) -> (Option<String>, Option<Delivery>) {
    let version = root.number("version", &(0..=u32::MAX)).required().check(|version| {
        if *version == rules::DOCUMENT_VERSION {
            Ok(())
        } else {
            Err("this build reads documents of version 1")
        }
    });
    let id = root.text("id").required().check(|text| rules::ID.check(text));
    let tenant = root.text("tenant").required().check(|text| rules::ID.check(text));
    let dataset = root.text("dataset").required().check(|text| rules::DATASET.check(text));
    let source_section = root.section("source").required();
    let destination_section = root.section("destination").required();
    let contract_section = root.section("contract").required();
    let layout_section = root.section("layout").required();
    let catalog_section = root.section("catalog");
    let notify_section = root.section("notify");
    let order = root.parsed("order");
    root.finish();

    let source = source_section.value().and_then(source);
    let (home, destination) = destination_section.value().map(destination).unwrap_or_default();
    let (contract, columns) = contract_section.value().map(contract::read).unwrap_or_default();
    let layout = layout_section
        .value()
        .and_then(|section| layout::read(section, contract.as_ref(), columns.as_deref()));
    let catalog = whole(catalog_section, |section| catalog(section, layout.as_ref()));
    let notify = whole(notify_section, |section| notify(section, &home));

    let known_id = id.get().cloned();
    let delivery = || {
        Some(Delivery {
            version: version.value()?,
            id: id.value()?,
            tenant: tenant.value()?,
            dataset: dataset.value()?,
            source: source?,
            destination: destination?,
            contract: contract?,
            layout: layout?,
            catalog: catalog?,
            notify: notify?,
            order: order.or_default()?,
        })
    };
    (known_id, delivery())
}

/// An optional section: its type's default where it is absent.
fn whole<'a, T: Default>(
    section: Field<'a, Section<'a>>,
    read: impl FnOnce(Section<'a>) -> Option<T>,
) -> Option<T> {
    match section.optional()? {
        Some(section) => read(section),
        None => Some(T::default()),
    }
}

fn source(mut section: Section<'_>) -> Option<Source> {
    let prefix = section.text("prefix").required().check(|text| rules::prefix(text));
    let start = section.parsed("start");
    section.finish();
    Some(Source { prefix: prefix.value()?, start: start.or_default()? })
}

/// Where the client is at home: what other ARNs of the document must agree with.
#[derive(Debug, Default)]
struct Home {
    account: Option<String>,
    region: Option<String>,
}

fn destination(mut section: Section<'_>) -> (Home, Option<DestinationConfig>) {
    let role_arn = section.text("role_arn").required().check(|text| rules::ROLE_ARN.check(text));
    let external_id = section.text("external_id").required().check(|text| rules::EXTERNAL_ID.check(text));
    let region = section.text("region").required().check(|text| rules::REGION.check(text));
    let bucket = section.text("bucket").required().check(|text| rules::bucket(text));
    let prefix = section.text("prefix").required().check(|text| rules::prefix(text));
    let temp_prefix = section.text("temp_prefix").check(|text| rules::prefix(text));
    let kms_key_arn = section.text("kms_key_arn").check(|text| rules::KMS_KEY_ARN.check(text));
    let consumer_deletes = section.flag("consumer_deletes");
    let capabilities_section = section.section("capabilities");
    section.finish();

    let home = Home {
        account: role_arn.get().and_then(|arn| arn.split(':').nth(4)).map(str::to_owned),
        region: region.get().cloned(),
    };
    let hidden =
        if temp_prefix.is_absent() { Some(default_temp_prefix()) } else { temp_prefix.get().cloned() };
    if let (Some(prefix_text), Some(hidden)) = (prefix.get(), hidden)
        && (prefix_text.starts_with(&hidden) || hidden.starts_with(prefix_text))
    {
        let message = "`temp_prefix` and `prefix` must lie outside each other: unchecked files would be seen";
        if temp_prefix.is_absent() { prefix.refuse(message) } else { temp_prefix.refuse(message) }
    }
    in_region(&kms_key_arn, &home);
    let capabilities = whole(capabilities_section, capabilities);

    let read = || {
        Some(DestinationConfig {
            role_arn: role_arn.value()?,
            external_id: external_id.value()?,
            region: region.value()?,
            bucket: bucket.value()?,
            prefix: prefix.value()?,
            temp_prefix: temp_prefix.or_else(default_temp_prefix)?,
            kms_key_arn: kms_key_arn.optional()?,
            consumer_deletes: consumer_deletes.or_default()?,
            capabilities: capabilities?,
        })
    };
    let destination = read();
    (home, destination)
}

/// Holds an ARN to the destination's region.
fn in_region(arn: &Field<'_, String>, home: &Home) {
    if let (Some(text), Some(region)) = (arn.get(), &home.region)
        && text.split(':').nth(3) != Some(region)
    {
        arn.refuse("the ARN must be in the region of the destination");
    }
}

fn capabilities(mut section: Section<'_>) -> Option<Capabilities> {
    let full_object_multipart_checksum = section.flag("full_object_multipart_checksum");
    let copy_checksum = section.flag("copy_checksum");
    let conditional_copy = section.flag("conditional_copy");
    let multipart_tags = section.flag("multipart_tags");
    section.finish();
    let all = Capabilities::default();
    Some(Capabilities {
        full_object_multipart_checksum: full_object_multipart_checksum
            .or_else(|| all.full_object_multipart_checksum)?,
        copy_checksum: copy_checksum.or_else(|| all.copy_checksum)?,
        conditional_copy: conditional_copy.or_else(|| all.conditional_copy)?,
        multipart_tags: multipart_tags.or_else(|| all.multipart_tags)?,
    })
}

fn catalog(mut section: Section<'_>, layout: Option<&Layout>) -> Option<Catalogs> {
    let glue_section = section.section("glue");
    section.finish();
    if glue_section.is_present()
        && let Some(layout) = layout.filter(|layout| !layout.is_tabular())
    {
        glue_section.refuse(if layout.format == FileFormat::Parquet {
            "the partitions of a Glue table are columns: every `layout.partition` needs a `name`, or there is no table"
        } else {
            "a Glue table is of Parquet files, and `layout.format` is another"
        });
    }
    let Some(mut glue) = glue_section.optional()? else { return Some(Catalogs::default()) };
    let database = glue.text("database").required().check(|text| rules::GLUE_NAME.check(text));
    let table = glue.text("table").required().check(|text| rules::GLUE_NAME.check(text));
    glue.finish();
    Some(Catalogs { glue: Some(GlueTable { database: database.value()?, table: table.value()? }) })
}

fn notify(mut section: Section<'_>, home: &Home) -> Option<Notify> {
    let list = section.sections("queue");
    section.finish();
    let mut seen = Vec::new();
    let mut queues = Vec::new();
    for mut queue in list.or_default()? {
        let arn = queue.text("arn").required().check(|text| rules::QUEUE_ARN.check(text));
        queue.finish();
        in_region(&arn, home);
        if let (Some(text), Some(account)) = (arn.get(), &home.account)
            && text.split(':').nth(4) != Some(account)
        {
            arn.refuse("the queue must be in the account of the role");
        }
        if let Some(text) = arn.get() {
            if seen.contains(text) {
                arn.refuse("this queue stands twice");
            }
            seen.push(text.clone());
        }
        queues.push(arn.value().map(|arn| NotifyQueue { arn }));
    }
    Some(Notify { queues: queues.into_iter().collect::<Option<Vec<NotifyQueue>>>()? })
}

fn start() -> Place {
    Place { offset: 0, path: String::new() }
}

/// Problems with their lines and columns, in the order of the document.
fn located(text: &str, mut problems: Vec<Problem>) -> Vec<DocumentError> {
    problems.sort_by_key(|problem| problem.place.offset);
    let mut lines = vec![0];
    lines.extend(text.match_indices('\n').map(|(at, _)| at + 1));
    let locate = |problem: Problem| {
        let offset = problem.place.offset;
        let line = lines.partition_point(|begin| *begin <= offset);
        let begin = lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let column = text.get(begin..offset).map_or(0, |before| before.chars().count()) + 1;
        DocumentError { line, column, path: problem.place.path, message: problem.message }
    };
    problems.into_iter().map(locate).collect()
}

#[cfg(test)]
mod tests;
