//! What a proposed contract does not hold of the data it was proposed from.

use std::fmt;

/// Something of the records that the columns do not hold, or may not: whoever reads the proposal must decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The member, where it is one.
    pub member: Option<String>,
    /// What is the matter with it.
    pub detail: String,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.member {
            Some(member) => write!(f, "{member:?}: {}", self.detail),
            None => f.write_str(&self.detail),
        }
    }
}
