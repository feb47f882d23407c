//! The examples in other languages: built by the tools that their users have, and run.
//!
//! The tools come from PyPI and npm into the target folder: `cargo xtask test` installs them.
use std::path::Path;

use crate::support::programs::skip;
use crate::support::{Cluster, wait_for};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Builds the example with a tool of the target folder, and asks what came of it.
fn builds_and_answers(example: &str, tool: &str, language: &str) {
    let tool = Path::new(REPOSITORY).join("target").join(tool);
    if !tool.is_file() {
        return skip(&format!("{} is not installed: cargo xtask test installs it", tool.display()));
    }
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    let folder = cluster.folder().join(example);
    copy(&Path::new(REPOSITORY).join("examples").join(example), &folder);
    let path = format!("{}:{}", tool.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = node.command(&["build", "-t", &format!("{example}:v1"), folder.to_str().unwrap()]).env("PATH", path).output().unwrap();
    let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("an HTTP service, WASI 0.2"), "{said}");
    node.ok(&["service", "create", "--name", "hello", "-p", "8000:80", &format!("{example}:v1")]);
    let answer = wait_for("an answer", || node.http(8000, "/there?a=b"));
    // What this client shows has the lengths of the pieces in it.
    assert!(answer.0 == 200 && answer.1.contains(&format!("Hello from {language} on hello-1: /there?a=b\n")), "{answer:?}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &target) } else { std::fs::copy(entry.path(), target).map(drop).unwrap() }
    }
}

#[test]
fn a_python_program_is_built_by_componentize_py() {
    builds_and_answers("python", "componentize-py/bin/componentize-py", "Python");
}

#[test]
fn a_javascript_program_is_built_by_jco() {
    builds_and_answers("javascript", "jco/node_modules/.bin/jco", "JavaScript");
}
