//! Which column of the contract is held by which leaves of a Parquet object.

use std::collections::HashMap;

use landfall_core::contract::{UnknownFields, ViolationPolicy};

use super::Refused;
use super::convert::takes;
use super::schema::{Branch, Kind, Shape};
use crate::column::{Node, StructNode};
use crate::fault::{QuarantineReason, ViolationCode};

/// How a column, or a part of its values, is read.
#[derive(Debug)]
pub(super) enum Way {
    Leaf(Kind),
    Struct(Members),
    List(Box<Way>),
    Map { key: Kind, value: Box<Way> },
}

/// How the members of a struct are read, in the order of the contract.
#[derive(Debug)]
pub(super) struct Members {
    /// Each with its place among the members that are read; `None` when the object does not have it.
    pub(super) found: Vec<Option<(usize, Way)>>,
}

/// What a plan reads.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) members: Members,
    /// Of each leaf whether it is read.
    pub(super) wanted: Vec<bool>,
    /// The columns of the object that no column of the contract takes, and whose values are rescued; `None` where the
    /// contract does not rescue.
    pub(super) rescued: Option<Vec<usize>>,
}

/// What the contract asks for beside its columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wishes {
    pub(super) unknown: UnknownFields,
    /// Under `rescue` one column keeps what the others cannot hold; under `evolve` members that are never but null are none.
    pub(super) policy: ViolationPolicy,
    /// Whether each row is needed as text.
    pub(super) text: bool,
}

impl Plan {
    /// Finds the contract's columns among those of the object.
    pub(super) fn new(records: &StructNode, root: &Branch, wishes: Wishes) -> Result<Self, Refused> {
        let Shape::Struct(branches) = &root.shape else {
            return Err(mismatch("", "the object has no columns"));
        };
        // What may be rescued is any column, as text.
        let rescues = wishes.policy == ViolationPolicy::Rescue;
        let mut planner = Planner {
            unknown: wishes.unknown,
            evolves: wishes.policy == ViolationPolicy::Evolve,
            wanted: vec![rescues || wishes.text; root.leaves.end],
            rescued: rescues.then(Vec::new),
        };
        let members = planner.members(records, branches, "", 0)?;
        for (field, found) in records.fields.iter().zip(&members.found) {
            if found.is_none() && !field.nullable {
                let detail = format!("column {}: the object does not have it", field.name);
                return Err(Refused::new(QuarantineReason::Violation(ViolationCode::MissingValue), detail));
            }
        }
        Ok(Self { members, wanted: planner.wanted, rescued: planner.rescued })
    }
}

struct Planner {
    unknown: UnknownFields,
    evolves: bool,
    wanted: Vec<bool>,
    rescued: Option<Vec<usize>>,
}

/// A column that cannot be read from the object as it is.
fn mismatch(path: &str, detail: &str) -> Refused {
    let detail = if path.is_empty() { detail.to_owned() } else { format!("column {path}: {detail}") };
    Refused::new(QuarantineReason::SchemaMismatch, detail)
}

impl Planner {
    fn want(&mut self, leaf: usize) {
        if let Some(wanted) = self.wanted.get_mut(leaf) {
            *wanted = true;
        }
    }

    fn members(
        &mut self,
        node: &StructNode,
        branches: &[Branch],
        path: &str,
        first: usize,
    ) -> Result<Members, Refused> {
        let mut places = HashMap::new();
        for (index, branch) in branches.iter().enumerate() {
            if places.insert(branch.name.as_bytes(), index).is_some() {
                return Err(mismatch(path, "the object has two members of one name"));
            }
            if self.unknown == UnknownFields::Violation && node.find(branch.name.as_bytes(), 0).is_none() {
                if self.evolves && matches!(branch.shape, Shape::Leaf(Kind::Null)) {
                    continue;
                }
                if path.is_empty()
                    && let Some(rescued) = &mut self.rescued
                {
                    rescued.push(index);
                    continue;
                }
                let within = if path.is_empty() { String::new() } else { format!("column {path}: ") };
                // The name is the object's: it may be data, and details are logged.
                let detail = format!("{within}the object has a member that the contract does not name");
                return Err(Refused::new(QuarantineReason::Violation(ViolationCode::UnknownField), detail));
            }
        }
        let mut found = Vec::with_capacity(node.fields.len());
        for field in &node.fields {
            let index = places.get(&*field.source).copied();
            let branch = index.and_then(|index| Some((index, branches.get(index)?)));
            let inner = if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
            found.push(match branch {
                Some((index, branch)) => match (self.link(&field.node, branch, &inner), &mut self.rescued) {
                    (Ok(way), _) => Some((index, way)),
                    (Err(_), Some(rescued)) if path.is_empty() && field.nullable => {
                        rescued.push(index);
                        None
                    }
                    (Err(refused), _) => return Err(refused),
                },
                None => None,
            });
        }
        if found.iter().all(Option::is_none) {
            // Nothing of it is wanted, but where it is null, or how many of it there are.
            self.want(first);
        }
        // What is not wanted is not among what is decoded.
        let mut next = 0;
        let places: Vec<usize> = branches
            .iter()
            .map(|branch| {
                let place = next;
                next += usize::from(self.wants(branch));
                place
            })
            .collect();
        for (index, _) in found.iter_mut().flatten() {
            *index = places.get(*index).copied().unwrap_or_default();
        }
        Ok(Members { found })
    }

    fn wants(&self, branch: &Branch) -> bool {
        self.wanted.get(branch.leaves.clone()).unwrap_or_default().contains(&true)
    }

    fn link(&mut self, node: &Node, branch: &Branch, path: &str) -> Result<Way, Refused> {
        let first = branch.leaves.start;
        Ok(match (node, &branch.shape) {
            (_, Shape::Leaf(kind)) if takes(node, *kind) => {
                self.want(first);
                Way::Leaf(*kind)
            }
            (Node::Struct(node), Shape::Struct(branches)) => {
                Way::Struct(self.members(node, branches, path, first)?)
            }
            (Node::List(list), Shape::List(item)) => {
                Way::List(Box::new(self.link(&list.item, item, &format!("{path}.[]"))?))
            }
            (Node::Map(map), Shape::Map { key, value }) => {
                let path = format!("{path}.{{}}");
                let kind = match &key.shape {
                    Shape::Leaf(kind @ (Kind::Text | Kind::Bytes | Kind::Uuid)) => *kind,
                    _ => return Err(mismatch(&path, "the keys of the object's map are no texts")),
                };
                self.want(key.leaves.start);
                Way::Map { key: kind, value: Box::new(self.link(&map.values, value, &path)?) }
            }
            (_, shape) => {
                let detail = format!("the contract's type takes nothing from {}", name(shape));
                return Err(mismatch(path, &detail));
            }
        })
    }
}

/// What a value of the object is, for messages.
fn name(shape: &Shape) -> &'static str {
    match shape {
        Shape::Struct(_) => "a struct",
        Shape::List(_) => "a list",
        Shape::Map { .. } => "a map",
        Shape::Leaf(kind) => match kind {
            Kind::Bool => "booleans",
            Kind::Int { .. } => "integers",
            Kind::Decimal { .. } => "decimals",
            Kind::Date => "dates",
            Kind::Time(_) => "times of day",
            Kind::Instant { utc: true, .. } => "instants in UTC",
            Kind::Instant { utc: false, .. } => "times without a zone (the format `iso_utc` declares UTC)",
            Kind::Int96 => "INT96 times, which have no zone (the format `iso_utc` declares UTC)",
            Kind::Half | Kind::Float | Kind::Double => "floats",
            Kind::Text => "text",
            Kind::Uuid => "UUIDs",
            Kind::Bytes => "bytes",
            Kind::Null => "nothing",
        },
    }
}
