//! The domain of landfall: what a delivery is, what a plan is, what the log holds, what the ports promise.
//!
//! Pure: no clock, no environment, no IO, no AWS type, no arrow. Same input, same output. Every other crate of
//! the workspace depends on this one, and it depends on none of them.

pub mod audit;
pub mod column_name;
pub mod config_source;
pub mod contract;
pub mod data_type;
pub mod delivery;
pub mod document;
pub mod due;
pub mod error;
pub mod evolution;
pub mod file_name;
pub mod hash;
pub mod hold;
pub mod keys;
pub mod layout;
pub mod ledger;
pub mod message;
pub mod operate;
pub mod partition;
pub mod plan;
pub mod port;
pub mod record;
pub mod registry;
pub mod reschedule;
pub mod retry;
pub mod session_policy;
pub mod standing;
mod widening;
