//! Compose files and what they become: each file of `cases` tells one story.
//!
//! A case is a set of files, each behind `--- NAME`, and behind `====` what is expected. The files `request` and `env`
//! are not files of the project: the one has what the user typed, the other the user's variables. With
//! `MINICLOUD_GOLDEN=write` the expectations are written anew.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod render;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use minicloud_compose::{Files, Flavour, Project, Request, Wanted, discover, load, start_order, translate, yaml};

/// Files in memory, all below `/work/shop`.
#[derive(Default)]
pub struct Memory(pub BTreeMap<PathBuf, String>);

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.0.get(path).cloned().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no such file"))
    }
    fn is_file(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }
    fn is_folder(&self, path: &Path) -> bool {
        self.0.keys().any(|file| file != path && file.starts_with(path))
    }
}

const FOLDER: &str = "/work/shop";

fn sections(text: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        match (line.strip_prefix("--- "), sections.last_mut()) {
            (Some(name), _) => sections.push((name.trim().to_owned(), String::new())),
            (None, Some((_, body))) => body.push_str(line),
            (None, None) => {}
        }
    }
    sections
}

fn outcome(case: &str) -> String {
    let mut files = Memory::default();
    let (mut words, mut env) = (Vec::new(), BTreeMap::new());
    for (name, body) in sections(case) {
        match name.as_str() {
            "request" => words = body.split_whitespace().map(str::to_owned).collect(),
            "env" => env = body.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            _ => {
                files.0.insert(Path::new(FOLDER).join(name), body);
            }
        }
    }
    let mut request = Request { folder: FOLDER.into(), env, home: Some("/home/me".into()), ..Request::default() };
    let (mut flavour, mut wanted, mut config) = (Flavour::Compose, Wanted::default(), false);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap();
        match word.as_str() {
            "-f" => request.files.push(Path::new(FOLDER).join(value())),
            "-p" => request.name = Some(value()),
            "--profile" => wanted.profiles.push(value()),
            "--stack" => flavour = Flavour::Stack,
            "--config" => config = true,
            "--scale" => {
                let text = value();
                let (key, number) = text.split_once('=').unwrap();
                wanted.scale.insert(key.to_owned(), number.parse().unwrap());
            }
            service => wanted.services.push(service.to_owned()),
        }
    }
    if request.files.is_empty() {
        match discover(&files, Path::new(FOLDER)) {
            Ok(found) => request.files = found.files,
            Err(error) => return format!("error: {error}\n"),
        }
    }
    let loaded = match load(&request, &files) {
        Ok(loaded) => loaded,
        Err(error) => return format!("error: {error}\n"),
    };
    match translate(&loaded, flavour, &wanted, &files) {
        Ok(project) if config => format!("{}{}", yaml(&loaded.tree), warnings(&project)),
        Ok(project) => {
            let waves: Vec<String> = start_order(&project.services)
                .unwrap()
                .iter()
                .map(|wave| wave.iter().map(|service| service.key.as_str()).collect::<Vec<_>>().join(" "))
                .collect();
            format!("{}order: {}\n{}", render::project(&project), waves.join(" | "), warnings(&project))
        }
        Err(error) => format!("error: {error}\n"),
    }
}

fn warnings(project: &Project) -> String {
    project.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect()
}

#[test]
fn every_case_comes_out_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 30, "cases are missing");
    let mut wrong = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let (case, expected) = text.split_once("====\n").unwrap_or((&text, ""));
        let found = outcome(case);
        if found == expected {
            continue;
        }
        if std::env::var_os("MINICLOUD_GOLDEN").is_some_and(|value| value == "write") {
            std::fs::write(&path, format!("{case}====\n{found}")).unwrap();
        } else {
            wrong.push(format!("{}:\n--- expected\n{expected}--- found\n{found}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
