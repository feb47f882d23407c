//! `minicloud.toml`: how a folder is built that Cargo does not build, and what its image wants.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use minicloud_node::images::ImageDefaults;
use serde::Deserialize;

pub const SETTINGS_FILE: &str = "minicloud.toml";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub build: Option<BuildCommand>,
    pub image: Option<ImageDefaults>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildCommand {
    /// A line for the shell, run in the folder.
    pub command: String,
    /// The file that it makes, relative to the folder.
    pub output: PathBuf,
}

impl Settings {
    /// `None` when the folder has no such file.
    pub fn read(folder: &Path) -> anyhow::Result<Option<Settings>> {
        let path = folder.join(SETTINGS_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let settings: Settings = toml::from_str(&text).with_context(|| path.display().to_string())?;
        if let Some(image) = &settings.image {
            image.check().map_err(anyhow::Error::msg).with_context(|| path.display().to_string())?;
        }
        Ok(Some(settings))
    }
}

/// Runs the command; answers the file that it made.
pub fn run(folder: &Path, build: &BuildCommand, args: &BTreeMap<String, String>) -> anyhow::Result<PathBuf> {
    let output = folder.join(&build.output);
    let mut shell = Command::new("sh");
    // Standard output is the answer of this program.
    shell.arg("-c").arg(format!("exec 1>&2; {}", build.command)).envs(args).current_dir(folder);
    let status = shell.status().context("sh could not be started")?;
    if status.code() == Some(127) {
        bail!("the build command of {}/{SETTINGS_FILE} names a program that is not installed: {}", folder.display(), build.command);
    }
    if !status.success() {
        bail!("the build command of {}/{SETTINGS_FILE} failed ({status}): {}", folder.display(), build.command);
    }
    if !output.is_file() {
        bail!("the build command of {}/{SETTINGS_FILE} made no {}", folder.display(), build.output.display());
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Option<Settings>> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(SETTINGS_FILE), text).unwrap();
        Settings::read(folder.path())
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_line() {
        let error = format!("{:#}", read("[build]\ncomand = \"make\"\noutput = \"x\"\n").unwrap_err());
        assert!(error.contains("comand") && error.contains("line 2"), "{error}");
        assert!(read("[image]\nhttp-port = 0").is_err());
        assert_eq!(read("[image]\nvolumes = [\"/data\"]\n").unwrap().unwrap().image.unwrap().volumes, ["/data"]);
    }

    #[test]
    fn the_command_runs_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let args = BTreeMap::from([("VERSION".to_owned(), "v 1".to_owned())]);
        let build = |command: &str| run(folder.path(), &BuildCommand { command: command.to_owned(), output: "made".into() }, &args);
        assert!(build("true").unwrap_err().to_string().contains("made no made"));
        assert_eq!(std::fs::read(build("printf \"$VERSION\" > made").unwrap()).unwrap(), b"v 1");
        assert!(build("exit 3").unwrap_err().to_string().contains("exit status: 3"));
        assert!(build("no-such-tool --flag").unwrap_err().to_string().contains("not installed: no-such-tool --flag"));
    }
}
