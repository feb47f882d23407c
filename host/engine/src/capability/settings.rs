//! `wasi:config/store`: a task's configs as text, for components that ask there in place of a file.
//!
//! A config is called by its path without the first slash, which is its name where no target was given. Secrets are files
//! alone: what reads all settings, and perhaps logs them, does not get them.
use std::collections::BTreeMap;

use wasmtime::component::{ComponentType, Linker, Lower};

use crate::spec::{GuestFile, GuestFileKind};
use crate::store::GuestState;

/// The version that components are built against; it is a candidate, so no other one is the same.
pub const STORE: &str = "wasi:config/store@0.2.0-rc.1";

/// A task's configs; one that is no text is `None`.
pub type Settings = BTreeMap<String, Option<String>>;

#[derive(ComponentType, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "upstream")]
    #[expect(dead_code, reason = "the configs are at hand, but the type is the interface's")]
    Upstream(String),
    #[component(name = "io")]
    Io(String),
}

pub fn settings(files: &[GuestFile]) -> Settings {
    let configs = files.iter().filter(|file| file.kind == GuestFileKind::Config);
    let text = |file: &GuestFile| std::str::from_utf8(&file.content).ok().map(str::to_owned);
    configs.map(|file| (file.path.trim_start_matches('/').to_owned(), text(file))).collect()
}

pub fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let mut store = linker.instance(STORE)?;
    store.func_wrap("get", |store, (key,): (String,)| {
        let value = match store.data().settings().get(&key) {
            None => Ok(None),
            Some(Some(text)) => Ok(Some(text.clone())),
            Some(None) => Err(Error::Io(format!("config '{key}' is no text; read it as the file /{key}"))),
        };
        Ok((value,))
    })?;
    store.func_wrap("get-all", |store, (): ()| {
        let all = store.data().settings().iter();
        let texts: Vec<(String, String)> = all.filter_map(|(key, text)| Some((key.clone(), text.clone()?))).collect();
        Ok((Ok::<_, Error>(texts),))
    })
}
