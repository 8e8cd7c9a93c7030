//! All deliveries of a stack, checked against each other.
//!
//! A document that is wrong in itself refuses its own delivery, and still claims its id and source prefix as far as they
//! can be read: a typing error must not hand its objects to another delivery. Rules between deliveries (disjoint prefixes,
//! unique ids, one tenant per role) refuse every delivery involved: choosing one of two would be a guess that can
//! bring records to the wrong client. The others go on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;

use crate::delivery::Delivery;
use crate::document::{self, DocumentErrors};

/// What a registry is loaded for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryOptions {
    /// The region of the stack.
    pub region: String,
    /// Whether deliveries to other regions are accepted.
    pub allow_cross_region: bool,
}

/// The deliveries that may run, and those that are refused.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    deliveries: BTreeMap<String, Delivery>,
    /// Source prefix to delivery id. No prefix is a prefix of another.
    routes: BTreeMap<String, String>,
    refused: Vec<Refusal>,
}

/// A delivery that may not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The document.
    pub document: String,
    /// The delivery's id, where the document says it.
    pub id: Option<String>,
    /// Why: at least one.
    pub reasons: Vec<RefusalReason>,
}

/// Why a delivery may not run. Others are named by their documents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    /// The document is wrong in itself.
    #[error(transparent)]
    Document(#[from] DocumentErrors),
    /// Another document has this id.
    #[error("id `{id}` is taken by {other}: an id belongs to one delivery for ever")]
    DuplicateId {
        /// The id.
        id: String,
        /// The other document.
        other: String,
    },
    /// A staged object could belong to two deliveries.
    #[error("source.prefix `{prefix}` overlaps `{other_prefix}` of {other}: an object would belong to both")]
    SourceOverlap {
        /// This delivery's prefix.
        prefix: String,
        /// The other document.
        other: String,
        /// The other delivery's prefix.
        other_prefix: String,
    },
    /// A table's location would lie inside another's.
    #[error(
        "destination.prefix `{prefix}` overlaps `{other_prefix}` of {other} in bucket `{bucket}`: \
         one table would lie inside another"
    )]
    DestinationOverlap {
        /// The bucket.
        bucket: String,
        /// This delivery's prefix.
        prefix: String,
        /// The other document.
        other: String,
        /// The other delivery's prefix.
        other_prefix: String,
    },
    /// Unchecked files of one delivery would be seen in the table of another.
    #[error(
        "hidden prefix `{hidden}` and table location `{location}` overlap in bucket `{bucket}` (with {other}): \
         unchecked files would be seen"
    )]
    HiddenOverlap {
        /// The bucket.
        bucket: String,
        /// The hidden prefix, of this delivery or of the other.
        hidden: String,
        /// The production prefix of the other.
        location: String,
        /// The other document.
        other: String,
    },
    /// Two deliveries would register their partitions with one table.
    #[error("Glue table `{database}.{table}` of account {account} is the table of {other} too")]
    SharedTable {
        /// The client's account.
        account: String,
        /// The database.
        database: String,
        /// The table.
        table: String,
        /// The other document.
        other: String,
    },
    /// A role belongs to one tenant.
    #[error("role {role_arn} is used by tenant `{other_tenant}` in {other}: a role belongs to one tenant")]
    SharedRole {
        /// The role.
        role_arn: String,
        /// The other document.
        other: String,
        /// The other delivery's tenant.
        other_tenant: String,
    },
    /// The delivery is another stack's.
    #[error(
        "destination.region is {region}, the stack's is {stack_region}, and cross-region delivery is not allowed"
    )]
    OtherRegion {
        /// The delivery's region.
        region: String,
        /// The stack's region.
        stack_region: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, reason) in self.reasons.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            match reason {
                RefusalReason::Document(errors) => write!(f, "{errors}")?,
                other => write!(f, "{}: {other}", self.document)?,
            }
        }
        Ok(())
    }
}

/// How many reasons one refusal names: a prefix copied into a thousand documents is no thousand squared lines.
const MOST_REASONS: usize = 16;

/// A document that is right in itself, and what speaks against it.
struct Candidate {
    document: String,
    delivery: Delivery,
    reasons: Vec<RefusalReason>,
}

impl Registry {
    /// Reads and checks all documents, given as names and texts. Never fails as a whole: see
    /// [`Registry::refused`].
    pub fn load<T: AsRef<[u8]>>(
        documents: impl IntoIterator<Item = (String, T)>,
        options: &RegistryOptions,
    ) -> Self {
        let mut wrong = Vec::new();
        let mut candidates = Vec::new();
        for (name, text) in documents {
            match document::parse_bytes(&name, text.as_ref()) {
                Ok(delivery) => candidates.push(Candidate { document: name, delivery, reasons: Vec::new() }),
                Err(errors) => wrong.push(errors),
            }
        }
        // In the order of their names, whatever the order of the listing.
        candidates.sort_by(|left, right| left.document.cmp(&right.document));
        let found = between(&candidates, &wrong, options);
        for (candidate, reasons) in candidates.iter_mut().zip(found) {
            candidate.reasons = reasons;
        }

        let mut refused: Vec<Refusal> = wrong
            .into_iter()
            .map(|errors| Refusal {
                document: errors.document.clone(),
                id: errors.id.clone(),
                reasons: vec![errors.into()],
            })
            .collect();
        let mut registry = Self::default();
        for Candidate { document, delivery, reasons } in candidates {
            if reasons.is_empty() {
                registry.routes.insert(delivery.source.prefix.clone(), delivery.id.clone());
                registry.deliveries.insert(delivery.id.clone(), delivery);
            } else {
                refused.push(Refusal { document, id: Some(delivery.id), reasons });
            }
        }
        refused.sort_by(|left, right| left.document.cmp(&right.document));
        registry.refused = refused;
        registry
    }

    /// The delivery with this id, unless it is refused.
    pub fn by_id(&self, id: &str) -> Option<&Delivery> {
        self.deliveries.get(id)
    }

    /// The delivery a staged key belongs to: prefixes are disjoint, so there is at most one.
    pub fn route(&self, key: &str) -> Option<&Delivery> {
        // A prefix of the key sorts before it, and whatever sorts between the two begins with that prefix: the
        // nearest smaller entry is the only one that can match.
        let (prefix, id) =
            self.routes.range::<str, _>((Bound::Unbounded, Bound::Included(key))).next_back()?;
        if key.starts_with(prefix) { self.by_id(id) } else { None }
    }

    /// All deliveries that may run, by id.
    pub fn deliveries(&self) -> impl Iterator<Item = &Delivery> {
        self.deliveries.values()
    }

    /// The deliveries that may not run, by document.
    pub fn refused(&self) -> &[Refusal] {
        &self.refused
    }

    /// Whether no delivery is refused.
    pub fn is_sound(&self) -> bool {
        self.refused.is_empty()
    }
}

/// The rules between deliveries: for each candidate, what speaks against it. `wrong` are documents that are refused
/// already; what they claim counts.
fn between(
    candidates: &[Candidate],
    wrong: &[DocumentErrors],
    options: &RegistryOptions,
) -> Vec<Vec<RefusalReason>> {
    let mut found: Vec<Vec<RefusalReason>> = candidates.iter().map(|_| Vec::new()).collect();
    let mut add = |index: usize, reason: RefusalReason| {
        if let Some(reasons) = found.get_mut(index).filter(|reasons| reasons.len() < MOST_REASONS) {
            reasons.push(reason);
        }
    };
    let all = || candidates.iter().enumerate();

    for (index, candidate) in all() {
        let region = &candidate.delivery.destination.region;
        if *region != options.region && !options.allow_cross_region {
            let (region, stack_region) = (region.clone(), options.region.clone());
            add(index, RefusalReason::OtherRegion { region, stack_region });
        }
    }
    for (index, this, other) in
        pairs_of_equals(all().map(|(index, c)| (c.delivery.id.as_str(), index)), candidates)
    {
        let id = this.delivery.id.clone();
        add(index, RefusalReason::DuplicateId { id, other: other.document.clone() });
    }
    for (index, candidate) in all() {
        let id = &candidate.delivery.id;
        if let Some(other) = wrong.iter().find(|errors| errors.id.as_ref() == Some(id)) {
            add(index, RefusalReason::DuplicateId { id: id.clone(), other: other.document.clone() });
        }
    }
    let tables = all().filter_map(|(index, candidate)| {
        let glue = candidate.delivery.catalog.glue.as_ref()?;
        let to = &candidate.delivery.destination;
        Some(((to.account(), to.region.as_str(), glue.database.as_str(), glue.table.as_str()), index))
    });
    for (index, this, other) in pairs_of_equals(tables, candidates) {
        let Some(glue) = this.delivery.catalog.glue.clone() else { continue };
        let account = this.delivery.destination.account().to_owned();
        let other = other.document.clone();
        add(index, RefusalReason::SharedTable { account, database: glue.database, table: glue.table, other });
    }
    let roles = all().map(|(index, candidate)| (candidate.delivery.destination.role_arn.as_str(), index));
    for (index, this, other) in pairs_of_equals(roles, candidates) {
        if this.delivery.tenant != other.delivery.tenant {
            let role_arn = this.delivery.destination.role_arn.clone();
            let other_tenant = other.delivery.tenant.clone();
            add(index, RefusalReason::SharedRole { role_arn, other: other.document.clone(), other_tenant });
        }
    }
    overlaps(candidates, wrong, &mut add);
    found
}

/// What a place in a bucket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Source,
    Location,
    Hidden,
}

/// Prefixes that begin with each other, within one bucket. Documents that are wrong come after the candidates.
fn overlaps(candidates: &[Candidate], wrong: &[DocumentErrors], add: &mut impl FnMut(usize, RefusalReason)) {
    let documents: Vec<&str> = candidates
        .iter()
        .map(|candidate| candidate.document.as_str())
        .chain(wrong.iter().map(|errors| errors.document.as_str()))
        .collect();
    let mut places: BTreeSet<(&str, String, Use, usize)> = BTreeSet::new();
    for (index, Candidate { delivery, .. }) in candidates.iter().enumerate() {
        let to = &delivery.destination;
        // The staging bucket is one, and no client's: it needs no name here.
        places.insert(("", delivery.source.prefix.clone(), Use::Source, index));
        places.insert((&to.bucket, to.prefix.clone(), Use::Location, index));
        places.insert((&to.bucket, delivery.access().temp_prefix, Use::Hidden, index));
    }
    for (index, errors) in wrong.iter().enumerate() {
        if let Some(prefix) = &errors.source_prefix {
            places.insert(("", prefix.clone(), Use::Source, candidates.len() + index));
        }
    }
    for outer in &places {
        // Sorted by bucket and prefix: what begins with `outer`'s prefix follows it without a gap.
        let from = (outer.0, outer.1.clone(), Use::Source, 0);
        let inside = places
            .range(from..)
            .take_while(|inner| inner.0 == outer.0 && inner.1.starts_with(&outer.1))
            .filter(|inner| inner.3 != outer.3)
            // Equal prefixes meet twice; once is enough.
            .filter(|inner| inner.1 != outer.1 || *inner > outer);
        for inner in inside {
            for (this, other) in [(outer, inner), (inner, outer)] {
                if let Some(document) = documents.get(other.3)
                    && let Some(reason) = overlap(this, other, (*document).to_owned())
                {
                    add(this.3, reason);
                }
            }
        }
    }
}

/// What one overlap means for the delivery of `this`. Hidden prefixes may be shared.
fn overlap(
    this: &(&str, String, Use, usize),
    other: &(&str, String, Use, usize),
    document: String,
) -> Option<RefusalReason> {
    let (bucket, prefix, other_prefix) = (this.0.to_owned(), this.1.clone(), other.1.clone());
    match (this.2, other.2) {
        (Use::Source, Use::Source) => {
            Some(RefusalReason::SourceOverlap { prefix, other: document, other_prefix })
        }
        (Use::Location, Use::Location) => {
            Some(RefusalReason::DestinationOverlap { bucket, prefix, other: document, other_prefix })
        }
        (Use::Hidden, Use::Location) => Some(RefusalReason::HiddenOverlap {
            bucket,
            hidden: prefix,
            location: other_prefix,
            other: document,
        }),
        (Use::Location, Use::Hidden) => Some(RefusalReason::HiddenOverlap {
            bucket,
            hidden: other_prefix,
            location: prefix,
            other: document,
        }),
        _ => None,
    }
}

/// The ordered pairs of candidates whose keys are equal, with the first one's index.
fn pairs_of_equals<K: Ord>(
    keys: impl Iterator<Item = (K, usize)>,
    candidates: &[Candidate],
) -> Vec<(usize, &Candidate, &Candidate)> {
    let mut groups: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for (key, index) in keys {
        groups.entry(key).or_default().push(index);
    }
    let mut pairs = Vec::new();
    for group in groups.values().filter(|group| group.len() > 1) {
        for this in group {
            for other in group.iter().filter(|other| *other != this).take(MOST_REASONS) {
                if let (Some(first), Some(second)) = (candidates.get(*this), candidates.get(*other)) {
                    pairs.push((*this, first, second));
                }
            }
        }
    }
    pairs
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
