//! Names of networks, secrets and configs, as ids; and a name for a service that was given none.
use std::collections::BTreeMap;

use minicloud_core::command::Rejection;
use minicloud_core::id::NetworkId;
use minicloud_core::spec::{FILE_MODE_DEFAULT, FileKind, FileReference, NetworkAttachment};
use minicloud_core::state::ClusterState;

use super::super::super::error::ApiError;
use super::super::super::types::FileUse;

pub fn references(state: &ClusterState, kind: FileKind, uses: &[FileUse]) -> Result<Vec<FileReference>, ApiError> {
    uses.iter().map(|file| reference(state, kind, file)).collect()
}

/// From now on it is this very file, whatever gets its name.
fn reference(state: &ClusterState, kind: FileKind, file: &FileUse) -> Result<FileReference, ApiError> {
    let row = state.find_file(kind, &file.source).map_err(|rejection| match rejection {
        Rejection::NotFound(_) => {
            let name = &file.source;
            ApiError::not_found(format!("no {kind} '{name}': create it with 'minicloud {kind} create {name} FILE'"))
        }
        rejection => rejection.into(),
    })?;
    let name = row.spec.name.clone();
    let target = match file.target.as_deref() {
        Some(target) if target.starts_with('/') => target.to_owned(),
        target => format!("{}{}", kind.folder(), target.unwrap_or(&name)),
    };
    Ok(FileReference { id: row.id, name, target, mode: file.mode.unwrap_or(FILE_MODE_DEFAULT) })
}

pub fn networks(state: &ClusterState, names: &[String]) -> Result<Vec<NetworkAttachment>, ApiError> {
    names.iter().map(|name| Ok(NetworkAttachment { network: find_network(state, name)?, aliases: Vec::new() })).collect()
}

pub fn attachments(
    state: &ClusterState,
    names: &[String],
    aliases: &BTreeMap<String, Vec<String>>,
) -> Result<Vec<NetworkAttachment>, ApiError> {
    if let Some(name) = aliases.keys().find(|name| !names.contains(name)) {
        return Err(ApiError::invalid(format!("the service has aliases on network '{name}' and is not on it")));
    }
    let mut attachments = networks(state, names)?;
    for (attachment, name) in attachments.iter_mut().zip(names) {
        attachment.aliases = aliases.get(name).cloned().unwrap_or_default();
    }
    Ok(attachments)
}

/// What a user attaches by hand may only go where that is allowed.
pub fn attachable(state: &ClusterState, names: &[String]) -> Result<(), ApiError> {
    for name in names {
        let network = find_network(state, name)?;
        if state.networks.get(&network).is_some_and(|network| !network.spec.attachable) {
            return Err(ApiError::invalid(format!(
                "network '{name}' is not attachable: make one with 'minicloud network create --attachable NAME', or create a service on it"
            )));
        }
    }
    Ok(())
}

pub fn find_network(state: &ClusterState, name: &str) -> Result<NetworkId, ApiError> {
    match state.find_network(name) {
        Ok(network) => Ok(network.id),
        Err(Rejection::NotFound(_)) => {
            Err(ApiError::not_found(format!("no network '{name}': create it with 'minicloud network create {name}'")))
        }
        Err(rejection) => Err(rejection.into()),
    }
}

/// `redis`, or `redis-2` where that name is taken.
pub fn unused_name(state: &ClusterState, image: &str) -> String {
    let file = image.rsplit('/').next().unwrap_or(image);
    let stem = file.split(['.', ':', '@']).next().unwrap_or(file).to_ascii_lowercase();
    let clean: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let base = match clean.trim_matches('-') {
        "" => "service",
        name => name,
    };
    let taken = |name: &str| state.services.values().any(|service| service.spec.name == name);
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    std::iter::once(base.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_else(|| base.to_owned())
}
