//! Requests, counted by bucket and operation.

use std::collections::BTreeMap;

/// How many requests of which operation (AWS's name) went to which bucket or other resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests(BTreeMap<(String, &'static str), u64>);

impl Requests {
    /// Counts one more.
    pub fn count(&mut self, resource: &str, operation: &'static str) {
        match self.0.get_mut(&(resource.to_owned(), operation)) {
            Some(count) => *count += 1,
            None => {
                self.0.insert((resource.to_owned(), operation), 1);
            }
        }
    }

    /// Resource, operation and number.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'static str, u64)> {
        self.0.iter().map(|((resource, operation), count)| (resource.as_str(), *operation, *count))
    }

    /// How many of this operation went to this resource.
    pub fn of(&self, resource: &str, operation: &'static str) -> u64 {
        self.0.get(&(resource.to_owned(), operation)).copied().unwrap_or_default()
    }
}
