//! `include`: whole files of other folders, with variables and paths of their own.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Loader, NESTING_MAX};
use crate::files::normal;
use crate::merge::merge;
use crate::place::{Error, Result};
use crate::suggest::hint;
use crate::tree::{Kind, Node};

const KEYS: [&str; 3] = ["path", "project_directory", "env_file"];

impl Loader<'_> {
    /// Takes `include` out of the file, and reads what it names; `None` when it names nothing.
    pub(super) fn include(
        &mut self,
        root: &mut Node,
        path: &Path,
        folder: &Path,
        env: &BTreeMap<String, String>,
        stack: &mut Vec<PathBuf>,
    ) -> Result<Option<Node>> {
        let Some(include) = root.as_map_mut().and_then(|map| map.remove("include")) else { return Ok(None) };
        let entries = match include.value.kind {
            Kind::List(list) => list,
            _ if include.value.is_null() => Vec::new(),
            _ => {
                return Err(Error::at(
                    &include.value.at,
                    format!("include takes a list of files, and this is {}", include.value.describe()),
                ));
            }
        };
        let own_folder = path.parent().unwrap_or(folder).to_owned();
        let mut all: Option<Node> = None;
        for entry in entries {
            let node = self.included(&entry, &own_folder, env, stack)?;
            all = Some(match all {
                None => node,
                Some(earlier) => merge(earlier, node, &mut Vec::new())?,
            });
        }
        if let Some(map) = all.as_mut().and_then(Node::as_map_mut) {
            // They are of the file alone.
            map.entries.retain(|entry| entry.key != "name" && entry.key != "version");
        }
        Ok(all)
    }

    fn included(&mut self, entry: &Node, own_folder: &Path, env: &BTreeMap<String, String>, stack: &mut Vec<PathBuf>) -> Result<Node> {
        if let Some(wrong) = entry.as_map().and_then(|map| map.entries.iter().find(|entry| !KEYS.contains(&entry.key.as_str()))) {
            let hint = hint(&wrong.key, KEYS);
            return Err(Error::at(&wrong.key_at, format!("'{}' is no key of include{hint}", wrong.key)));
        }
        let paths = texts(if entry.as_text().is_some() { Some(entry) } else { entry.get("path") });
        let paths: Vec<PathBuf> = paths.iter().map(|path| normal(&own_folder.join(path))).collect();
        let first = paths.first().ok_or_else(|| Error::at(&entry.at, "include needs the path of a file"))?;
        let folder = match entry.get("project_directory").and_then(Node::as_text) {
            Some(folder) => normal(&own_folder.join(folder)),
            None => first.parent().unwrap_or(own_folder).to_owned(),
        };
        let env_files: Vec<PathBuf> = texts(entry.get("env_file")).iter().map(|path| normal(&own_folder.join(path))).collect();
        let env = self.environment(env, &env_files, &folder).map_err(|error| error.or_at(&entry.at))?;
        let mut all: Option<Node> = None;
        for path in &paths {
            if stack.contains(path) || stack.len() >= NESTING_MAX {
                return Err(Error::at(&entry.at, format!("{} includes itself by way of others", self.shown(path))));
            }
            let node = self.file(path, &folder, &env, stack).map_err(|error| error.or_at(&entry.at))?;
            all = Some(match all {
                None => node,
                Some(earlier) => merge(earlier, node, &mut Vec::new())?,
            });
        }
        all.ok_or_else(|| Error::at(&entry.at, "include needs the path of a file"))
    }
}

/// One text or a list of them.
fn texts(node: Option<&Node>) -> Vec<&str> {
    match node.map(|node| &node.kind) {
        Some(Kind::List(list)) => list.iter().filter_map(Node::as_text).collect(),
        Some(_) => node.and_then(Node::as_text).into_iter().collect(),
        None => Vec::new(),
    }
}
