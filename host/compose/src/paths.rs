//! Relative paths of a file become paths from its own folder, before it is merged with files of other folders.
use std::path::Path;

use crate::files::normal;
use crate::tree::{Kind, Map, Node};

/// Makes the paths of one file absolute. `folder` is absolute; `home` is what `~` stands for.
pub fn resolve(root: &mut Node, folder: &Path, home: Option<&Path>) {
    let base = Base { folder, home };
    let Some(root) = root.as_map_mut() else { return };
    for service in values(root, "services") {
        let Some(service) = service.as_map_mut() else { continue };
        match service.get_mut("build") {
            Some(build) if build.as_map().is_some() => base.field(build, "context"),
            Some(build) => base.text(build),
            None => {}
        }
        for name in ["env_file", "label_file"] {
            if let Some(files) = service.get_mut(name) {
                base.each(files, |base, file| if file.as_map().is_some() { base.field(file, "path") } else { base.text(file) });
            }
        }
        if let Some(volumes) = service.get_mut("volumes") {
            base.each(volumes, Base::volume);
        }
    }
    for section in ["secrets", "configs"] {
        for file in values(root, section) {
            base.field(file, "file");
        }
    }
}

fn values<'a>(map: &'a mut Map, key: &str) -> impl Iterator<Item = &'a mut Node> {
    let section = map.get_mut(key).and_then(Node::as_map_mut);
    section.into_iter().flat_map(|section| &mut section.entries).map(|entry| &mut entry.value)
}

struct Base<'a> {
    folder: &'a Path,
    home: Option<&'a Path>,
}

impl Base<'_> {
    fn each(&self, node: &mut Node, change: impl Fn(&Self, &mut Node)) {
        match &mut node.kind {
            Kind::List(list) => list.iter_mut().for_each(|node| change(self, node)),
            _ => change(self, node),
        }
    }

    fn field(&self, node: &mut Node, name: &str) {
        if let Some(value) = node.as_map_mut().and_then(|map| map.get_mut(name)) {
            self.text(value);
        }
    }

    fn text(&self, node: &mut Node) {
        if let Kind::Scalar(scalar) = &mut node.kind
            && !scalar.is_null()
            && !scalar.text.contains("://")
        {
            scalar.text = self.absolute(&scalar.text);
        }
    }

    fn volume(&self, node: &mut Node) {
        match &mut node.kind {
            Kind::Map(map) if map.get("type").and_then(Node::as_text) == Some("bind") => self.field(node, "source"),
            Kind::Scalar(scalar) if is_path(&scalar.text) => {
                if let Some((source, rest)) = scalar.text.split_once(':') {
                    scalar.text = format!("{}:{rest}", self.absolute(source));
                }
            }
            _ => {}
        }
    }

    fn absolute(&self, text: &str) -> String {
        let path = match (text.strip_prefix('~'), self.home) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
            _ => self.folder.join(text),
        };
        normal(&path).display().to_string()
    }
}

/// Whether the source of a short volume is a path and not a name.
pub fn is_path(source: &str) -> bool {
    source.starts_with(['.', '/', '~'])
}
