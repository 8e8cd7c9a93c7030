//! From the columns of a batch to the columns of records, a row at a time.

use super::Refused;
use super::convert::{self, Tools};
use super::plan::{Members, Way};
use super::rescue::Rescue;
use super::source::{Form, Source, contradiction, span};
use crate::column::{Field, Node, StructNode};
use crate::fault::{Checked, Fault, ViolationCode};
use crate::number::refused;

/// Why a row is not read to its end: it alone is refused, or the whole object.
#[derive(Debug)]
pub(super) enum Unread {
    Row(Box<Fault>),
    Object(Refused),
}

impl From<Refused> for Unread {
    fn from(refused: Refused) -> Self {
        Self::Object(refused)
    }
}

impl Unread {
    /// The same fault, seen from one level further out.
    #[cold]
    fn within(self, name: &str) -> Self {
        match self {
            Self::Row(fault) => Self::Row(fault.within(name)),
            object @ Self::Object(_) => object,
        }
    }
}

fn checked<T>(outcome: Checked<T>) -> Result<T, Unread> {
    outcome.map_err(Unread::Row)
}

/// Appends a row; what no column can hold goes to `rescue`, if there is one. What a fault leaves behind is the caller's to
/// cut off.
pub(super) fn members(
    node: &mut StructNode,
    plan: &Members,
    sources: &[Source<'_>],
    row: usize,
    tools: &mut Tools,
    mut rescue: Option<&mut Rescue<'_>>,
) -> Result<(), Unread> {
    let length = node.len();
    node.catch_up();
    for (field, found) in node.fields.iter_mut().zip(&plan.found) {
        let Some((place, way)) = found else {
            // What landfall fills itself comes last.
            if !field.given {
                field.node.push_null();
            }
            continue;
        };
        let source = sources.get(*place).ok_or_else(contradiction)?;
        match (column(field, way, source, row, tools), &mut rescue) {
            (Ok(()), _) => {}
            (Err(Unread::Row(fault)), Some(rescue)) if field.nullable && fault.code.is_of_value() => {
                field.node.truncate(length);
                field.node.push_null();
                rescue.keep(*place, sources, row, tools)?;
            }
            (Err(unread), _) => return Err(unread.within(&field.name)),
        }
    }
    node.close();
    Ok(())
}

#[inline]
fn column(
    field: &mut Field,
    way: &Way,
    source: &Source<'_>,
    row: usize,
    tools: &mut Tools,
) -> Result<(), Unread> {
    let there = value(&mut field.node, way, source, row, tools)?;
    if !there && !field.nullable {
        return Err(Unread::Row(Fault::new(ViolationCode::MissingValue, 0, "the value is null")));
    }
    match &field.rules {
        Some(rules) if there => {
            let outcome = rules.check_last(&field.node);
            checked(outcome.map_err(|refusal| refused(refusal, 0)))
        }
        _ => Ok(()),
    }
}

/// Appends a value; false when it is null.
pub(super) fn value(
    node: &mut Node,
    way: &Way,
    source: &Source<'_>,
    row: usize,
    tools: &mut Tools,
) -> Result<bool, Unread> {
    if source.is_null(row) {
        node.push_null();
        return Ok(false);
    }
    match (way, &source.form, node) {
        (Way::Leaf(kind), _, node) => {
            let (_, meaning) = source.scalar(*kind, row)?;
            checked(convert::push(node, meaning, tools))?;
        }
        (Way::Struct(plan), Form::Struct(sources), Node::Struct(node)) => {
            members(node, plan, sources, row, tools, None)?;
        }
        (Way::List(inner), Form::List(offsets, item), Node::List(list)) => {
            for element in span(offsets, row)? {
                checked(tools.budget.spend(list.element_bytes, 0))?;
                value(&mut list.item, inner, item, element, tools).map_err(|unread| unread.within("[]"))?;
            }
            list.close();
        }
        (Way::Map { key: kind, value: inner }, Form::Map(offsets, keys, values), Node::Map(map)) => {
            let first = map.keys.len();
            for entry in span(offsets, row)? {
                checked(tools.budget.spend(map.element_bytes, 0))?;
                if keys.is_null(entry) {
                    let fault = Fault::new(ViolationCode::MissingValue, 0, "the key of a map is null");
                    return Err(Unread::Row(fault.within("{}")));
                }
                let (_, meaning) = keys.scalar(*kind, entry)?;
                checked(convert::text(&mut map.keys, meaning, tools))
                    .map_err(|unread| unread.within("{}"))?;
                value(&mut map.values, inner, values, entry, tools).map_err(|unread| unread.within("{}"))?;
            }
            if map.keys.has_repeated(first) {
                let fault = Fault::new(ViolationCode::DuplicateKey, 0, "a key stands twice in a map");
                return Err(Unread::Row(fault.within("{}")));
            }
            map.close();
        }
        _ => return Err(contradiction().into()),
    }
    Ok(true)
}
