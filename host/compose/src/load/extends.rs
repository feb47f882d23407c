//! `extends`: a service takes over another, of its own file or of one beside it.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Loader, NESTING_MAX};
use crate::merge::merge;
use crate::paths;
use crate::place::{Error, Place, Result};
use crate::suggest::hint;
use crate::tree::{Map, Node};

/// Where a service is defined.
type Step = (PathBuf, String);

impl Loader<'_> {
    pub(super) fn extend_all(&mut self, root: &mut Node, path: &Path, env: &BTreeMap<String, String>) -> Result<()> {
        let Some(services) = root.get("services").and_then(Node::as_map).cloned() else { return Ok(()) };
        let names = services.entries.iter().filter(|entry| entry.value.get("extends").is_some());
        for name in names.map(|entry| entry.key.clone()) {
            let extended = self.extended(&services, &name, path, env, &mut Vec::new())?;
            if let Some(place) = root.as_map_mut().and_then(|root| root.get_mut("services")).and_then(Node::as_map_mut)
                && let Some(service) = place.get_mut(&name)
            {
                *service = extended;
            }
        }
        Ok(())
    }

    /// The service `name` of `services` with what it extends.
    fn extended(&mut self, services: &Map, name: &str, path: &Path, env: &BTreeMap<String, String>, steps: &mut Vec<Step>) -> Result<Node> {
        let mut service = services.get(name).cloned().ok_or_else(|| Error::new(format!("there is no service '{name}'")))?;
        let Some(extends) = service.as_map_mut().and_then(|map| map.remove("extends")) else { return Ok(service) };
        let at = extends.value.at.clone();
        let step = (path.to_owned(), name.to_owned());
        if steps.contains(&step) || steps.len() >= NESTING_MAX {
            return Err(Error::at(&at, format!("service '{name}' extends itself by way of others")));
        }
        steps.push(step);
        let (of, file) = named(&extends.value)?;
        let base = match file {
            None => {
                known(services, &of, name, path, self, &at)?;
                self.extended(services, &of, path, env, steps)?
            }
            Some(file) => {
                let other = crate::files::normal(&path.parent().unwrap_or(Path::new("/")).join(&file));
                let mut root = self.raw(&other, env).map_err(|error| error.or_at(&at))?;
                paths::resolve(&mut root, other.parent().unwrap_or(Path::new("/")), self.home);
                let services = root.get("services").and_then(Node::as_map).cloned().unwrap_or_default();
                known(&services, &of, name, &other, self, &at)?;
                self.extended(&services, &of, &other, env, steps)?
            }
        };
        steps.pop();
        merge(base, service, &mut vec!["services".to_owned(), name.to_owned()])
    }
}

/// The service and the file that `extends` names.
fn named(extends: &Node) -> Result<(String, Option<String>)> {
    if let Some(service) = extends.as_text() {
        return Ok((service.to_owned(), None));
    }
    if let Some(entry) =
        extends.as_map().and_then(|map| map.entries.iter().find(|entry| !["service", "file"].contains(&entry.key.as_str())))
    {
        let hint = hint(&entry.key, ["service", "file"]);
        return Err(Error::at(&entry.key_at, format!("'{}' is no key of extends{hint}", entry.key)));
    }
    let text = |key| extends.get(key).and_then(Node::as_text).map(str::to_owned);
    match text("service") {
        Some(service) => Ok((service, text("file"))),
        None => Err(Error::at(&extends.at, "extends needs the name of a service")),
    }
}

fn known(services: &Map, of: &str, name: &str, path: &Path, loader: &Loader<'_>, at: &Place) -> Result<()> {
    if services.get(of).is_some() {
        return Ok(());
    }
    let hint = hint(of, services.entries.iter().map(|entry| entry.key.as_str()));
    Err(Error::at(at, format!("service '{name}' extends '{of}', and {} has no such service{hint}", loader.shown(path))))
}
