//! What kind of thing a build is pointed at.
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use minicloud_node::images::ImageDefaults;

use super::settings::{BuildCommand, SETTINGS_FILE, Settings};

/// Where a component comes from.
#[derive(Debug, PartialEq, Eq)]
pub enum Source {
    /// It is there, or its text is.
    File {
        path: PathBuf,
        defaults: ImageDefaults,
    },
    /// `defaults`: of the minicloud.toml, which come before those of the Cargo.toml.
    Cargo {
        folder: PathBuf,
        defaults: Option<ImageDefaults>,
    },
    Command {
        folder: PathBuf,
        build: BuildCommand,
        defaults: ImageDefaults,
    },
}

pub fn find(context: &Path) -> anyhow::Result<Source> {
    let shown = context.display();
    let metadata = match std::fs::metadata(context) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!("there is no {shown} to build"),
        other => other.with_context(|| shown.to_string())?,
    };
    if !metadata.is_dir() {
        return of_file(context);
    }
    let settings = Settings::read(context)?;
    let defaults = settings.as_ref().and_then(|settings| settings.image.clone());
    if let Some(build) = settings.and_then(|settings| settings.build) {
        return Ok(Source::Command { folder: context.to_owned(), build, defaults: defaults.unwrap_or_default() });
    }
    if context.join("Cargo.toml").is_file() {
        return Ok(Source::Cargo { folder: context.to_owned(), defaults });
    }
    match &ready_files(context)?[..] {
        [path] => Ok(Source::File { path: path.clone(), defaults: defaults.unwrap_or_default() }),
        [] if context.join("Dockerfile").is_file() => bail!(
            "{shown} has a Dockerfile, and minicloud builds Wasm components: add a Cargo.toml, or a {SETTINGS_FILE} that names the build \
             command; see 'minicloud build --help', and examples/dockercoins in minicloud's sources for services built this way"
        ),
        [] => bail!(
            "{shown} has nothing to build: add a Cargo.toml, or a {SETTINGS_FILE} that names the build command (see 'minicloud build --help')"
        ),
        several => bail!(
            "{shown} has several components ({}): name one of them, or add a {SETTINGS_FILE}",
            several.iter().filter_map(|path| path.file_name()).map(|name| name.to_string_lossy()).collect::<Vec<_>>().join(", ")
        ),
    }
}

fn of_file(path: &Path) -> anyhow::Result<Source> {
    match path.file_name().and_then(|name| name.to_str()) {
        Some("Cargo.toml" | SETTINGS_FILE) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            find(folder)
        }
        _ => Ok(Source::File { path: path.to_owned(), defaults: ImageDefaults::default() }),
    }
}

fn ready_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry.with_context(|| folder.display().to_string())?.path();
        if path.extension().is_some_and(|extension| extension == "wasm" || extension == "wat") && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn refused(files: &[(&str, &str)]) -> String {
        find(folder(files).path()).unwrap_err().to_string()
    }

    #[test]
    fn a_folder_is_known_by_its_files() {
        let cargo = folder(&[("Cargo.toml", ""), ("old.wasm", "")]);
        assert!(matches!(find(cargo.path()).unwrap(), Source::Cargo { defaults: None, .. }));
        let both = folder(&[("Cargo.toml", ""), (SETTINGS_FILE, "[image]\nconcurrency = 2")]);
        assert!(matches!(find(both.path()).unwrap(), Source::Cargo { defaults: Some(defaults), .. } if defaults.concurrency == Some(2)));
        let command = folder(&[("Cargo.toml", ""), (SETTINGS_FILE, "[build]\ncommand = \"make\"\noutput = \"a.wasm\"")]);
        assert!(matches!(find(command.path()).unwrap(), Source::Command { build, .. } if build.command == "make"));
        let ready = folder(&[("app.wat", ""), ("README", "")]);
        assert!(matches!(find(ready.path()).unwrap(), Source::File { path, .. } if path.ends_with("app.wat")));
        assert!(matches!(find(&cargo.path().join("Cargo.toml")).unwrap(), Source::Cargo { .. }));
    }

    #[test]
    fn what_cannot_be_built_says_what_to_add() {
        let docker = refused(&[("Dockerfile", "FROM scratch")]);
        assert!(docker.contains("minicloud builds Wasm") && docker.contains("Cargo.toml") && docker.contains("minicloud.toml"), "{docker}");
        assert!(docker.contains("examples/"), "{docker}");
        assert!(refused(&[]).contains("nothing to build"));
        assert!(refused(&[("a.wasm", ""), ("b.wat", "")]).contains("a.wasm, b.wat"));
        assert!(find(Path::new("/no/such/folder")).unwrap_err().to_string().contains("there is no /no/such/folder"));
    }
}
