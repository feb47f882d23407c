//! `ports` of a service, in the long form.
use serde::Deserialize;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PortModel {
    pub target: u16,
    /// A port, or a range of which one is taken; absent: any.
    pub published: Option<String>,
    pub host_ip: Option<String>,
    pub protocol: Option<ProtocolWord>,
    pub mode: Option<ModeWord>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ProtocolWord {
    Tcp,
    Udp,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ModeWord {
    Ingress,
    Host,
}
