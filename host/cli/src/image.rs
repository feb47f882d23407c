//! The image argument: a name, or the path of a component file, which is handed to the cluster.
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use minicloud_node::client::Client;
use minicloud_node::images::Reference;

use crate::transfer;

/// Bytes of a component that is worth sending: beyond it the file is something else.
const COMPONENT_BYTES_MAX: u64 = 512 << 20;

/// What the user typed.
#[derive(Debug, PartialEq, Eq)]
pub enum ImageArgument {
    Name(String),
    File(PathBuf),
}

/// What the API takes.
#[derive(Debug, PartialEq, Eq)]
pub struct ResolvedImage {
    pub image: String,
    /// What to show in place of a digest.
    pub name: Option<String>,
}

impl ImageArgument {
    /// A path begins with `/` or a dot, ends with `.wasm`, is that of a file, or is no name; a plain word is always a name.
    pub fn new(text: &str) -> Self {
        let plain = text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
        if plain || text.starts_with("sha256:") {
            return ImageArgument::Name(text.to_owned());
        }
        let pathlike = text.starts_with(['/', '.', '~']) || text.ends_with(".wasm");
        let nameless = text.contains('/') && text.parse::<Reference>().is_err();
        match pathlike || nameless || Path::new(text).is_file() {
            true => ImageArgument::File(text.into()),
            false => ImageArgument::Name(text.to_owned()),
        }
    }

    /// Sends a file to the cluster.
    pub async fn resolve(self, client: &Client) -> anyhow::Result<ResolvedImage> {
        match self {
            ImageArgument::Name(name) if name.trim().is_empty() => {
                bail!("the image has no name; give a bundled name such as redis, or a path")
            }
            ImageArgument::Name(name) if Path::new(&name).is_file() && !is_known(&name, client).await => {
                bail!("there is no image '{name}'; if you mean the file, write ./{name}")
            }
            ImageArgument::Name(name) if has_registry(&name) => {
                let image = transfer::resolve(client, &name).await?;
                Ok(ResolvedImage { image: image.summary.digest.to_string(), name: Some(name) })
            }
            ImageArgument::Name(name) => Ok(ResolvedImage { image: name, name: None }),
            ImageArgument::File(path) => {
                let component = read(&path)?;
                let image = client.import_image(component.into()).await.with_context(|| path.display().to_string())?;
                Ok(ResolvedImage { image: image.digest.to_string(), name: Some(path.display().to_string()) })
            }
        }
    }
}

pub fn has_registry(name: &str) -> bool {
    name.parse::<Reference>().is_ok_and(|reference| reference.registry.is_some())
}

/// Whether the node has an image of that name. In doubt it has: it says itself what it has not.
async fn is_known(name: &str, client: &Client) -> bool {
    client.images().await.map_or(true, |images| images.iter().any(|image| image.name == name))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = path.display();
    let metadata = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!("there is no component file {shown}"),
        other => other.with_context(|| format!("the component file {shown} cannot be read"))?,
    };
    if !metadata.is_file() {
        bail!("{shown} is no file; name a component file, for example ./web.wasm");
    }
    if metadata.len() > COMPONENT_BYTES_MAX {
        bail!("{shown} is larger than a component can be ({} MiB)", COMPONENT_BYTES_MAX >> 20);
    }
    std::fs::read(path).with_context(|| format!("the component file {shown} cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_from_a_path() {
        for name in ["redis", "my-image", "sha256:00", "", "team/app:v1", "127.0.0.1:5000/web:v1"] {
            assert_eq!(ImageArgument::new(name), ImageArgument::Name(name.to_owned()));
        }
        for path in ["./web", "/no/such/file", "web.wasm", "Build/b", "a/b.wasm"] {
            assert_eq!(ImageArgument::new(path), ImageArgument::File(path.into()));
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert_eq!(read(Path::new("/no/such/file.wasm")).unwrap_err().to_string(), "there is no component file /no/such/file.wasm");
        assert!(read(Path::new("/")).unwrap_err().to_string().contains("is no file"));
    }
}
