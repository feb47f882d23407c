//! Which project a command means: its files, its name, and what the user says of both.
use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use minicloud_compose::{Flavour, Loaded, Project, Request, Wanted, discover, load, translate};

use super::disk::Disk;
use crate::output::warn;

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Project")]
pub struct ProjectArgs {
    /// Compose file; a later one is laid over the earlier, '-' is standard input [default: compose.yaml or compose.yml]
    #[arg(short, long, value_name = "FILE")]
    pub file: Vec<PathBuf>,
    #[command(flatten)]
    pub further: FurtherArgs,
}

/// The same, where -f means something else.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Project")]
pub struct LongProjectArgs {
    /// Compose file; a later one is laid over the earlier [default: compose.yaml or compose.yml]
    #[arg(long, value_name = "FILE")]
    pub file: Vec<PathBuf>,
    #[command(flatten)]
    pub further: FurtherArgs,
}

#[derive(Args, Clone, Debug, Default)]
pub struct FurtherArgs {
    /// Name of the project [default: 'name' of the file, or its folder]
    #[arg(short, long, value_name = "NAME")]
    pub project_name: Option<String>,
    /// Use services with this profile too; may be given several times
    #[arg(long, value_name = "PROFILE")]
    pub profile: Vec<String>,
    /// File of variables in place of .env
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// Folder that paths of the file start from [default: that of the file]
    #[arg(long, value_name = "DIR")]
    pub project_directory: Option<PathBuf>,
}

impl From<LongProjectArgs> for ProjectArgs {
    fn from(args: LongProjectArgs) -> Self {
        ProjectArgs { file: args.file, further: args.further }
    }
}

impl ProjectArgs {
    /// What was said before the verb, and behind it what was said after.
    pub fn within(&self, outer: &ProjectArgs) -> ProjectArgs {
        let (own, outer_further) = (&self.further, &outer.further);
        ProjectArgs {
            file: [&outer.file[..], &self.file].concat(),
            further: FurtherArgs {
                project_name: own.project_name.clone().or_else(|| outer_further.project_name.clone()),
                profile: [&outer_further.profile[..], &own.profile].concat(),
                env_file: [&outer_further.env_file[..], &own.env_file].concat(),
                project_directory: own.project_directory.clone().or_else(|| outer_further.project_directory.clone()),
            },
        }
    }

    pub fn load(&self) -> anyhow::Result<Loaded> {
        let folder = std::env::current_dir().context("the current folder")?;
        let env = environment();
        let start = self.further.project_directory.as_ref().map_or_else(|| folder.clone(), |given| folder.join(given));
        let named = env.get("COMPOSE_FILE").filter(|files| !files.is_empty()).cloned();
        let files: Vec<PathBuf> = match (self.file.is_empty(), named) {
            (false, _) => self.file.iter().map(|file| folder.join(file)).collect(),
            (true, Some(files)) => std::env::split_paths(&files).map(|file| folder.join(file)).collect(),
            (true, None) => {
                let found = discover(&Disk, &start)?;
                let ignored = found.ignored.iter().map(|path| format!("{} is not used; name it with -f to use it", path.display()));
                warn(&ignored.collect::<Vec<_>>());
                found.files
            }
        };
        let request = Request {
            files,
            project_folder: self.further.project_directory.clone(),
            name: self.further.project_name.clone(),
            env_files: self.further.env_file.iter().map(|file| folder.join(file)).collect(),
            home: env.get("HOME").map(PathBuf::from),
            folder,
            env,
        };
        Ok(load(&request, &Disk)?)
    }

    /// The project, with its warnings printed.
    pub fn project(&self, wanted: Wanted) -> anyhow::Result<Project> {
        let loaded = self.load()?;
        let project = self.translated(&loaded, Flavour::Compose, wanted)?;
        warn(&project.warnings.iter().map(ToString::to_string).collect::<Vec<_>>());
        Ok(project)
    }

    pub fn translated(&self, loaded: &Loaded, flavour: Flavour, mut wanted: Wanted) -> anyhow::Result<Project> {
        wanted.profiles.extend(self.further.profile.clone());
        let listed = loaded.env.get("COMPOSE_PROFILES").map(String::as_str).unwrap_or_default();
        wanted.profiles.extend(listed.split(',').filter(|profile| !profile.is_empty()).map(str::to_owned));
        Ok(translate(loaded, flavour, &wanted, &Disk)?)
    }

    /// The name alone: said by the user, or by the files.
    pub fn name(&self) -> anyhow::Result<String> {
        match &self.further.project_name {
            Some(name) => Ok(name.clone()),
            None => Ok(self.load()?.name),
        }
    }
}

/// Variables of the user; those that are no text are left out.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}
