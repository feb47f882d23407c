//! What a service mounts: volumes of the project, and folders and files of the machine.
use std::path::PathBuf;

use super::{Context, valid_name};
use crate::model::{At, ServiceModel, VolumeKind, VolumeMountModel};
use crate::place::{Error, Place, Result};
use crate::project::{MountSource, VolumeMount};
use crate::suggest::hint;

impl Context<'_> {
    pub(super) fn mounts(&mut self, key: &str, model: &ServiceModel) -> Result<Vec<VolumeMount>> {
        let mut mounts = Vec::new();
        for At { value: mount, at } in &model.volumes {
            if let Some(source) = self.mount_source(key, mount, at)? {
                let target = mount.target.clone().ok_or_else(|| Error::at(at, "the volume has no target"))?;
                mounts.push(VolumeMount { source, target, read_only: mount.read_only, at: at.clone() });
            }
        }
        Ok(mounts)
    }

    /// `None`: it means nothing for a component.
    fn mount_source(&mut self, key: &str, mount: &VolumeMountModel, at: &Place) -> Result<Option<MountSource>> {
        match (mount.kind, mount.source.as_deref().filter(|source| !source.is_empty())) {
            (VolumeKind::Volume, None) => {
                let target: String = mount
                    .target
                    .iter()
                    .flat_map(|target| target.chars())
                    .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
                    .collect();
                let name = self.full_name(&format!("{key}-{}", target.to_lowercase().trim_matches('-')));
                valid_name(&name, "volume", at)?;
                Ok(Some(MountSource::Volume(name)))
            }
            (VolumeKind::Volume, Some(source)) => match self.loaded.compose.volumes.get(source) {
                Some(declared) => {
                    let model = &declared.value;
                    let external = model.external.name.clone().map(|value| At { value, at: declared.at.clone() });
                    let name = model.name.as_ref().or(external.as_ref());
                    Ok(Some(MountSource::Volume(self.declared_name(source, name, model.external.external, &declared.at, "volume")?)))
                }
                None => {
                    let hint = hint(source, self.loaded.compose.volumes.keys().map(String::as_str));
                    Err(Error::at(at, format!("the volume '{source}' is not declared under volumes{hint}")))
                }
            },
            (VolumeKind::Bind, Some(source)) => {
                let make = mount.bind.create_host_path.unwrap_or(true);
                Ok(Some(MountSource::Host { path: PathBuf::from(source), make }))
            }
            (VolumeKind::Bind, None) => Err(Error::at(at, "a bind has a source: the path of a folder or file")),
            (VolumeKind::Tmpfs, _) => {
                self.warn(at, "'tmpfs' means nothing here: a task has no files of its own; mount a volume");
                Ok(None)
            }
            (VolumeKind::Npipe | VolumeKind::Cluster | VolumeKind::Image, _) => {
                Err(Error::at(at, "there are volumes of type volume and bind, and no others"))
            }
        }
    }
}
