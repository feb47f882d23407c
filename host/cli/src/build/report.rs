//! What a build tells: the image, what kind of component it is, and what it asks for.
use std::collections::BTreeMap;

use minicloud_engine::is_offered;
use minicloud_node::api::types::ImageSummary;
use minicloud_node::images::Reference;

use super::{Built, World};
use crate::render::bytes;

/// The report on an image that the node took.
pub fn text(reference: &Reference, image: &ImageSummary, built: &Built) -> String {
    let mut lines = vec![format!("{reference}  {}  {}", image.digest, bytes(image.size))];
    lines.push(format!("  is        {}", kind(&built.world)));
    let asks = by_package(&built.world.imports);
    if !asks.is_empty() {
        lines.push(format!("  asks for  {}", asks.join("\n            ")));
    }
    lines.join("\n")
}

/// Imports that no node offers; types alone need nothing behind them, which only the node can see.
pub fn not_offered(world: &World) -> Vec<String> {
    world.imports.iter().filter(|name| !is_offered(name)).cloned().collect()
}

/// As the host will run it.
fn kind(world: &World) -> String {
    let exported = |interface: &str, version: &str| {
        let prefix = format!("{interface}@{version}");
        world.exports.iter().any(|name| name.starts_with(&prefix))
    };
    let known = [
        ("wasi:http/handler", "0.3.", "an HTTP service, WASI 0.3"),
        ("wasi:http/incoming-handler", "0.2.", "an HTTP service, WASI 0.2"),
        ("wasi:cli/run", "0.3.", "a program, WASI 0.3"),
        ("wasi:cli/run", "0.2.", "a program, WASI 0.2"),
    ];
    let found = known.iter().find(|(interface, version, _)| exported(interface, version));
    found.map_or_else(|| format!("a component that exports {}", world.exports.join(", ")), |(_, _, kind)| (*kind).to_owned())
}

/// `wasi:cli@0.2.6: environment, exit` for each package.
fn by_package(names: &[String]) -> Vec<String> {
    let mut packages: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in names {
        let (path, version) = name.split_once('@').unwrap_or((name, ""));
        let (package, interface) = path.split_once('/').unwrap_or((path, ""));
        let package = if version.is_empty() { package.to_owned() } else { format!("{package}@{version}") };
        packages.entry(package).or_default().push(interface);
    }
    packages.into_iter().map(|(package, interfaces)| format!("{package}: {}", interfaces.join(", "))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(imports: &[&str], exports: &[&str]) -> World {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        World { imports: names(imports), exports: names(exports) }
    }

    #[test]
    fn a_world_is_told_by_kind_and_package() {
        let world = world(&["wasi:cli/exit@0.2.6", "wasi:cli/stdout@0.2.6", "wasi:http/types@0.3.0", "f"], &["wasi:http/handler@0.3.0"]);
        assert_eq!(kind(&world), "an HTTP service, WASI 0.3");
        assert_eq!(by_package(&world.imports), ["f: ", "wasi:cli@0.2.6: exit, stdout", "wasi:http@0.3.0: types"]);
        assert_eq!(not_offered(&world), ["f"]);
        assert_eq!(kind(&super::World { imports: vec![], exports: vec!["a:b/c".into()] }), "a component that exports a:b/c");
    }
}
