//! `networks`: what is declared, and what a service says of those it is on.
use serde::Deserialize;

use super::{At, External, KeyValues};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NetworkModel {
    pub name: Option<At<String>>,
    pub driver: Option<At<String>>,
    pub external: External,
    pub internal: bool,
    pub attachable: bool,
    pub ipam: IpamModel,
    pub labels: KeyValues,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct IpamModel {
    pub config: Vec<IpamPoolModel>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct IpamPoolModel {
    pub subnet: Option<At<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AttachmentModel {
    pub aliases: Vec<At<String>>,
}
