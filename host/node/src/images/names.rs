//! The names that users gave to components on this node, in one file that is replaced whole.
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use minicloud_core::spec::Digest;
use serde::{Deserialize, Serialize};

use super::{ImageDefaults, Reference, lock};
use crate::data_dir::write_atomic;

/// Names of one node.
const NAMES_MAX: usize = 10_000;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub digest: Digest,
    /// When the name was given, in milliseconds since 1970.
    pub named_at_ms: u64,
    #[serde(default)]
    pub defaults: ImageDefaults,
    /// Of the manifest in the registry that it was pulled from or pushed to.
    #[serde(default)]
    pub manifest: Option<String>,
}

pub struct Names {
    path: PathBuf,
    named: Mutex<BTreeMap<String, Named>>,
}

impl Names {
    /// Reads `names.json` in `directory`; there is none at first.
    pub fn open(directory: &Path) -> io::Result<Names> {
        let path = directory.join("names.json");
        let named = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display())))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Names { path, named: Mutex::new(named) })
    }

    pub fn get(&self, reference: &Reference) -> Option<Named> {
        lock(&self.named).get(&reference.to_string()).cloned()
    }

    /// Every name, in order.
    pub fn all(&self) -> Vec<(String, Named)> {
        lock(&self.named).iter().map(|(name, named)| (name.clone(), named.clone())).collect()
    }

    pub fn digests(&self) -> BTreeSet<Digest> {
        lock(&self.named).values().map(|named| named.digest).collect()
    }

    /// What is known of a component under any name; `name` is asked first.
    pub fn defaults(&self, name: &str, digest: Digest) -> Option<ImageDefaults> {
        let named = lock(&self.named);
        let own = named.get(name).filter(|named| named.digest == digest);
        own.or_else(|| named.values().find(|named| named.digest == digest)).map(|named| named.defaults.clone())
    }

    /// Gives a name, in place of what had it.
    pub fn set(&self, reference: &Reference, new: Named) -> io::Result<()> {
        self.change(|named| {
            if named.len() >= NAMES_MAX && !named.contains_key(&reference.to_string()) {
                return Err(io::Error::other(format!("this node has {NAMES_MAX} names already: remove some with 'minicloud image rm'")));
            }
            named.insert(reference.to_string(), new);
            Ok(())
        })
    }

    /// Takes a name away; `None` when there is no such name.
    pub fn remove(&self, reference: &Reference) -> io::Result<Option<Named>> {
        self.change(|named| Ok(named.remove(&reference.to_string())))
    }

    /// Changes a copy, writes it, and only then shows it.
    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<String, Named>) -> io::Result<T>) -> io::Result<T> {
        let mut named = lock(&self.named);
        let mut changed = named.clone();
        let outcome = change(&mut changed)?;
        let text = serde_json::to_vec_pretty(&changed).map_err(io::Error::other)?;
        write_atomic(&self.path, &text).map_err(io::Error::other)?;
        *named = changed;
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(byte: u8) -> Named {
        Named { digest: Digest([byte; 32]), named_at_ms: 1, defaults: ImageDefaults::default(), manifest: None }
    }

    #[test]
    fn names_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let (app, other) = ("app:v1".parse().unwrap(), "r.io/app".parse().unwrap());
        let names = Names::open(folder.path()).unwrap();
        names.set(&app, named(1)).unwrap();
        names.set(&app, named(2)).unwrap();
        names.set(&other, Named { defaults: ImageDefaults { concurrency: Some(3), ..Default::default() }, ..named(4) }).unwrap();
        assert_eq!(names.remove(&"none".parse().unwrap()).unwrap(), None);

        let again = Names::open(folder.path()).unwrap();
        assert_eq!(again.get(&app), Some(named(2)));
        assert_eq!(again.digests(), BTreeSet::from([Digest([2; 32]), Digest([4; 32])]));
        assert_eq!(again.defaults("?", Digest([4; 32])).unwrap().concurrency, Some(3));
        again.remove(&app).unwrap().unwrap();
        assert_eq!(Names::open(folder.path()).unwrap().all().len(), 1);
    }

    #[test]
    fn a_damaged_file_is_not_taken_for_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("names.json"), b"{").unwrap();
        assert!(Names::open(folder.path()).err().unwrap().to_string().contains("names.json"));
    }
}
