//! A service made as it is described, whatever it was before.
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use minicloud_core::id::ServiceId;
use minicloud_core::spec::Digest;

/// `POST /v1/services/check`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checked {
    /// The component that it would run.
    pub image: Digest,
}

/// `POST /v1/services/declare`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Declared {
    pub id: ServiceId,
    pub outcome: Outcome,
    /// What the user should know though it was done.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// What had to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Created,
    Updated,
    /// It was as described already.
    Unchanged,
}
