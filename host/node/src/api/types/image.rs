//! Images of the node that is asked.
use minicloud_core::spec::Digest;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ErrorBody;
use crate::images::ImageDefaults;
use crate::oci::Login;

/// A component that this node can run without asking another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageSummary {
    /// A bundled name, a name given on this node, or the digest where there is none.
    pub name: String,
    pub digest: Digest,
    /// Size of the component in bytes.
    pub size: u64,
    /// It travels inside the binary.
    pub bundled: bool,
    /// When it got its name here, in milliseconds since 1970.
    #[serde(default)]
    pub named_at_ms: Option<u64>,
}

/// `GET /v1/images/inspect`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageDetail {
    #[serde(flatten)]
    pub summary: ImageSummary,
    /// What it wants unless a service says otherwise.
    pub defaults: ImageDefaults,
    /// Digest of its manifest in the registry that it was pulled from or pushed to.
    pub manifest: Option<String>,
}

/// Which image is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ImageName {
    /// A name, or a digest.
    pub image: String,
}

/// How a component that is handed in is to be called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ImportImage {
    /// `NAME[:TAG]`; without it the component is known by its digest.
    #[serde(default)]
    pub name: Option<String>,
    /// What it wants, as JSON.
    #[serde(default)]
    pub defaults: Option<String>,
}

/// `POST /v1/images/tag`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TagImage {
    pub source: String,
    /// The further name.
    pub target: String,
}

/// A name is gone, and the component with it where nothing else refers to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemovedImage {
    pub name: String,
    pub digest: Digest,
    /// The component is gone too.
    pub deleted: bool,
}

/// `POST /v1/images/prune`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrunedImages {
    pub digests: Vec<Digest>,
    pub bytes: u64,
}

/// `POST /v1/images/pull` and `/v1/images/push`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransferImage {
    /// A name with a registry.
    pub image: String,
    /// Without it the docker config file of the node's own user is asked.
    #[serde(default)]
    pub login: Option<Login>,
    /// When the registry cannot be reached, a component that has this name on the node will do.
    #[serde(default)]
    pub known_will_do: bool,
}

/// How far a pull or a push is; the last one has `image` or `error`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transfer {
    pub done_bytes: u64,
    /// 0: not known yet.
    pub total_bytes: u64,
    #[serde(default)]
    pub image: Option<ImageDetail>,
    #[serde(default)]
    pub error: Option<ErrorBody>,
    /// What the user should know though it was done.
    #[serde(default)]
    pub warnings: Vec<String>,
}
