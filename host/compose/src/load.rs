//! From files to one typed model: interpolation, `include` and `extends` in each file, then the files laid over each
//! other, then the types. The order is that of compose-go.
mod extends;
mod include;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::canonical::canonical;
use crate::de::{self, Ignored};
use crate::files::{Files, normal};
use crate::interpolate::Variables;
use crate::merge::{merge, sweep};
use crate::model::Compose;
use crate::parse::parse;
use crate::place::{Error, Result, Warning};
use crate::tree::{Kind, Node};
use crate::{dotenv, paths, unique};

/// Files that include or extend others, one within the other.
const NESTING_MAX: usize = 32;

/// What the user said of the project, and what surrounds it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Folder of the user, absolute: names in messages are relative to it.
    pub folder: PathBuf,
    /// The files, absolute; a later one is laid over the earlier.
    pub files: Vec<PathBuf>,
    /// Folder that paths start from; absent: that of the first file.
    pub project_folder: Option<PathBuf>,
    /// Name of the project; absent: `COMPOSE_PROJECT_NAME`, `name:` of the files, or that of the folder.
    pub name: Option<String>,
    /// Files of variables; none: `.env` of the project's folder.
    pub env_files: Vec<PathBuf>,
    /// Variables of the user; they come before those of files.
    pub env: BTreeMap<String, String>,
    /// What `~` stands for.
    pub home: Option<PathBuf>,
}

/// The files as one model.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub name: String,
    /// Folder that paths start from.
    pub folder: PathBuf,
    pub compose: Compose,
    /// The same as a tree, for `config`.
    pub tree: Node,
    /// Variables of the user and of `.env`.
    pub env: BTreeMap<String, String>,
    pub warnings: Vec<Warning>,
}

/// Reads the files of a project.
pub fn load(request: &Request, files: &dyn Files) -> Result<Loaded> {
    let first = request.files.first().ok_or_else(|| Error::new("no compose file is named"))?;
    let folder = match &request.project_folder {
        Some(folder) => normal(&request.folder.join(folder)),
        None => first.parent().map_or_else(|| request.folder.clone(), normal),
    };
    let mut loader = Loader { files, user: &request.folder, home: request.home.as_deref(), warnings: Vec::new() };
    let env = loader.environment(&request.env, &request.env_files, &folder)?;
    let mut tree: Option<Node> = None;
    for path in &request.files {
        let node = loader.file(path, &folder, &env, &mut Vec::new())?;
        tree = Some(match tree {
            None => node,
            Some(base) => merge(base, node, &mut Vec::new())?,
        });
    }
    let mut tree = tree.ok_or_else(|| Error::new("no compose file is named"))?;
    sweep(&mut tree);
    unique::enforce(&mut tree);
    canonical(&mut tree)?;
    let ignored = Ignored::default();
    let compose: Compose = de::read(&tree, &ignored)?;
    loader.warnings.extend(ignored.warnings());
    let name = project_name(request, &compose, &env, &folder)?;
    Ok(Loaded { name, folder, compose, tree, env, warnings: loader.warnings })
}

fn project_name(request: &Request, compose: &Compose, env: &BTreeMap<String, String>, folder: &Path) -> Result<String> {
    let valid = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_')
    };
    let wrong = |name: &str| format!("'{name}' cannot name a project; use lower-case letters, digits, hyphens and underscores");
    let said = request.name.as_ref().or_else(|| env.get("COMPOSE_PROJECT_NAME")).filter(|name| !name.is_empty());
    if let Some(name) = said {
        return if valid(name) { Ok(name.clone()) } else { Err(Error::new(wrong(name))) };
    }
    if let Some(name) = &compose.name {
        return if valid(&name.value) { Ok(name.value.clone()) } else { Err(Error::at(&name.at, wrong(&name.value))) };
    }
    let base = folder.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let kept: String = base.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_').collect();
    let name = kept.trim_start_matches(['-', '_']);
    if name.is_empty() { Err(Error::new("the folder gives the project no name; name it with -p")) } else { Ok(name.to_owned()) }
}

struct Loader<'a> {
    files: &'a dyn Files,
    user: &'a Path,
    home: Option<&'a Path>,
    warnings: Vec<Warning>,
}

impl Loader<'_> {
    /// `path` as the user would write it.
    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(self.user).ok().filter(|path| !path.as_os_str().is_empty()).unwrap_or(path).display().to_string()
    }

    fn read(&self, path: &Path) -> Result<String> {
        self.files.read(path).map_err(|error| Error::new(format!("{}: {error}", self.shown(path))))
    }

    /// The variables of `outer`, and behind them those of files.
    fn environment(&self, outer: &BTreeMap<String, String>, named: &[PathBuf], folder: &Path) -> Result<BTreeMap<String, String>> {
        let default = folder.join(".env");
        let files: &[PathBuf] = if named.is_empty() && self.files.is_file(&default) { &[default] } else { named };
        let mut variables = BTreeMap::new();
        for path in files {
            let known = |name: &str| outer.get(name).or_else(|| variables.get(name)).cloned();
            let read = dotenv::parse(&self.shown(path), &self.read(path)?, &known)?;
            variables.extend(read);
        }
        variables.extend(outer.clone());
        Ok(variables)
    }

    /// One file, interpolated, with all that it includes and extends. `stack`: the files that led here.
    fn file(&mut self, path: &Path, folder: &Path, env: &BTreeMap<String, String>, stack: &mut Vec<PathBuf>) -> Result<Node> {
        let mut node = self.raw(path, env)?;
        stack.push(path.to_owned());
        let included = self.include(&mut node, path, folder, env, stack)?;
        paths::resolve(&mut node, folder, self.home);
        self.extend_all(&mut node, path, env)?;
        stack.pop();
        match included {
            Some(included) => merge(included, node, &mut Vec::new()),
            None => Ok(node),
        }
    }

    /// One file, interpolated.
    fn raw(&mut self, path: &Path, env: &BTreeMap<String, String>) -> Result<Node> {
        let shown = self.shown(path);
        let mut node = parse(&shown, &self.read(path)?)?;
        if !matches!(node.kind, Kind::Map(_)) {
            return Err(Error::at(&node.at, format!("a compose file is a mapping with services, and this is {}", node.describe())));
        }
        let lookup = |name: &str| env.get(name).cloned();
        Variables { lookup: &lookup, warnings: &mut self.warnings }.interpolate(&mut node)?;
        Ok(node)
    }
}
