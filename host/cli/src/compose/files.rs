//! Secrets and configs of a project. What they hold never changes in the cluster, so a file whose content changed becomes
//! another secret, under a name with a number; the services get that one, and the old one goes when nobody has it.
use std::collections::BTreeMap;

use anyhow::{Context, bail};
use minicloud_compose::{Content, FileMount, Project, ProjectFile, Service};
use minicloud_core::spec::{FileKind, Labels};
use minicloud_node::api::types::{Base64, CreateFile, ErrorKind, FileUse, Outcome};
use minicloud_node::client::Client;

const KINDS: [FileKind; 2] = [FileKind::Secret, FileKind::Config];

/// What secrets and configs are called in the cluster, by kind and by the name that the file gives them.
#[derive(Default)]
pub struct Names(BTreeMap<(FileKind, String), String>);

/// A secret or config that was made or removed.
pub struct MadeFile {
    pub kind: FileKind,
    pub name: String,
}

pub fn title(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Secret => "Secret",
        FileKind::Config => "Config",
    }
}

/// Makes those that the services have and that are not there; those that the project does not own must be.
pub async fn declare(client: &Client, project: &Project) -> anyhow::Result<(Names, Vec<MadeFile>)> {
    let (mut names, mut made) = (Names::default(), Vec::new());
    for kind in KINDS {
        let used = |file: &&ProjectFile| project.services.iter().any(|service| mounts(service, kind).iter().any(|at| at.name == file.name));
        for file in declared(project, kind).iter().filter(used) {
            let name = match content(file, kind)? {
                None => external(client, kind, file).await?,
                Some(data) => {
                    let request = CreateFile { name: file.name.clone(), labels: file.labels.clone(), data };
                    let declared =
                        client.declare_file(kind, &request).await.with_context(|| format!("{}: {kind} '{}'", file.at, file.key))?;
                    if declared.outcome == Outcome::Created {
                        made.push(MadeFile { kind, name: declared.name.clone() });
                    }
                    declared.name
                }
            };
            names.0.insert((kind, file.name.clone()), name);
        }
    }
    Ok((names, made))
}

fn declared(project: &Project, kind: FileKind) -> &[ProjectFile] {
    match kind {
        FileKind::Secret => &project.secrets,
        FileKind::Config => &project.configs,
    }
}

fn mounts(service: &Service, kind: FileKind) -> &[FileMount] {
    match kind {
        FileKind::Secret => &service.secrets,
        FileKind::Config => &service.configs,
    }
}

fn content(file: &ProjectFile, kind: FileKind) -> anyhow::Result<Option<Base64>> {
    Ok(match &file.content {
        None => None,
        Some(Content::Text(text)) => Some(Base64(text.clone().into_bytes())),
        Some(Content::File(path)) => Some(Base64(crate::file::content(kind, &file.name, path).with_context(|| file.at.to_string())?)),
    })
}

async fn external(client: &Client, kind: FileKind, file: &ProjectFile) -> anyhow::Result<String> {
    let (at, name) = (&file.at, &file.name);
    match client.file(kind, name).await {
        Ok(there) => Ok(there.summary.name),
        Err(error) if error.kind() == Some(ErrorKind::NotFound) => {
            bail!("{at}: the {kind} '{name}' is external and does not exist; create it with 'minicloud {kind} create {name} FILE'")
        }
        Err(error) => Err(error.into()),
    }
}

impl Names {
    /// The service's secrets or configs as the API takes them.
    pub fn uses(&self, service: &Service, kind: FileKind) -> Vec<FileUse> {
        let name = |name: &String| self.0.get(&(kind, name.clone())).unwrap_or(name).clone();
        let file = |mount: &FileMount| FileUse { source: name(&mount.name), target: Some(mount.target.clone()), mode: None };
        mounts(service, kind).iter().map(file).collect()
    }
}

/// Removes what the project made and `kept` does not name. What a task still has stays, for the next time.
pub async fn prune(client: &Client, is_own: impl Fn(&Labels) -> bool, kept: &Names) -> anyhow::Result<Vec<MadeFile>> {
    let mut removed = Vec::new();
    for kind in KINDS {
        for file in client.files(kind).await?.into_iter().filter(|file| is_own(&file.labels)) {
            if kept.0.iter().any(|((of, _), name)| *of == kind && *name == file.name) {
                continue;
            }
            match client.remove_file(kind, &file.name).await {
                Ok(_) => removed.push(MadeFile { kind, name: file.name }),
                Err(error) if matches!(error.kind(), Some(ErrorKind::Conflict | ErrorKind::NotFound)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(removed)
}
