//! Which types hold all values of another: the widenings that Iceberg and Delta know, and no others.
//!
//! | from | to |
//! |---|---|
//! | `int8` `int16` `int32` | a wider signed integer |
//! | `uint8` `uint16` `uint32` | a wider unsigned integer |
//! | `float32` | `float64` |
//! | `decimal(p,s)` | a decimal of more digits and the same scale |
//! | lists, maps, structs | the same with wider items; a struct also with more members |
//!
//! Source: Iceberg specification, "Schema Evolution"; Delta protocol, "Type Widening".

use crate::data_type::DataType;

impl DataType {
    /// How many columns a file has for it: the leaves of what it nests.
    pub fn leaves(&self) -> usize {
        match self {
            Self::List(item) => item.leaves(),
            Self::Map(values) => values.leaves().saturating_add(1),
            Self::Struct(members) => members.iter().map(|(_, member)| member.leaves()).sum(),
            _ => 1,
        }
    }

    /// Whether its text is read as this type again: it nests no deeper than the grammar does, and its members have names that
    /// differ by more than case.
    pub fn is_written(&self) -> bool {
        self.to_string().parse::<Self>().as_ref() == Ok(self)
    }

    /// The narrowest type that holds the values of both, when this one may be widened to it; this type itself when it holds the
    /// other's. `None` when no widening does.
    #[must_use]
    pub fn widened(&self, other: &Self) -> Option<Self> {
        self.merged(other, &|one, other| {
            Some(match (one, other) {
                (Self::Int(bits), Self::Int(more)) => Self::Int(*bits.max(more)),
                (Self::UInt(bits), Self::UInt(more)) => Self::UInt(*bits.max(more)),
                (Self::Float32, Self::Float64) | (Self::Float64, Self::Float32) => Self::Float64,
                (Self::Decimal(digits, scale), Self::Decimal(more, same)) if scale == same => {
                    Self::Decimal(*digits.max(more), *scale)
                }
                (one, other) if one == other => one.clone(),
                _ => return None,
            })
        })
    }

    /// The type that holds the values of both by a rule for single values: lists and maps of what holds their items, structs with
    /// the members of both. `None` when there is none.
    #[must_use]
    pub fn merged(&self, other: &Self, single: &impl Fn(&Self, &Self) -> Option<Self>) -> Option<Self> {
        Some(match (self, other) {
            (Self::List(item), Self::List(other)) => Self::List(Box::new(item.merged(other, single)?)),
            (Self::Map(values), Self::Map(others)) => Self::Map(Box::new(values.merged(others, single)?)),
            (Self::Struct(members), Self::Struct(others)) => {
                let mut merged = members.clone();
                for (name, other) in others {
                    // Readers fold case: a member that differs in case alone cannot stand beside the other.
                    match merged.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
                        Some((known, data_type)) if known == name => {
                            *data_type = data_type.merged(other, single)?;
                        }
                        Some(_) => return None,
                        None => merged.push((name.clone(), other.clone())),
                    }
                }
                Self::Struct(merged)
            }
            (one, other) => return single(one, other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widened(from: &str, other: &str) -> Option<String> {
        let parse = |text: &str| text.parse::<DataType>().expect("a type");
        parse(from).widened(&parse(other)).map(|data_type| data_type.to_string())
    }

    #[test]
    fn a_type_is_widened_to_what_holds_all_its_values_and_to_nothing_else() {
        for (from, other, expected) in [
            ("int8", "int32", Some("int32")),
            ("int64", "int8", Some("int64")),
            ("uint16", "uint64", Some("uint64")),
            ("float32", "float64", Some("float64")),
            ("decimal(10,2)", "decimal(12,2)", Some("decimal(12,2)")),
            ("list<int32>", "list<int64>", Some("list<int64>")),
            ("map<string, float32>", "map<string, float64>", Some("map<string, float64>")),
            ("struct<a: int32>", "struct<b: string, a: int64>", Some("struct<a: int64, b: string>")),
            ("json", "json", Some("json")),
            ("int32", "uint32", None),
            ("int64", "float64", None),
            ("decimal(10,2)", "decimal(12,3)", None),
            ("string", "int64", None),
            ("timestamp(ms)", "timestamp(us)", None),
            ("date", "timestamp(us)", None),
            ("struct<a: int32>", "struct<A: int32>", None),
            ("struct<a: int32>", "struct<a: string>", None),
        ] {
            let expected = expected.map(|text| text.parse::<DataType>().expect("a type").to_string());
            assert_eq!(widened(from, other), expected, "{from} and {other}");
        }
    }
}
