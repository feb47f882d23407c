//! Completion scripts, in the shells that they are for.
use std::process::Command;

use crate::support::programs::{installed, output, run};

/// Writes the script for a shell into a folder of the test's own.
fn script(shell: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("script");
    let made = Command::new(env!("CARGO_BIN_EXE_minicloud")).args(["completion", shell]).output().unwrap();
    assert!(made.status.success() && !made.stdout.is_empty(), "{made:?}");
    std::fs::write(&path, made.stdout).unwrap();
    let path = path.display().to_string();
    (folder, path)
}

/// What bash offers for the last of these words.
fn offered(path: &str, words: &[&str]) -> Vec<String> {
    let last = words.last().unwrap();
    let before = words[words.len() - 2];
    let asking = format!(
        "source '{path}'; COMP_WORDS=({}); COMP_CWORD={}; _minicloud minicloud '{last}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        words.len() - 1
    );
    output("bash", &["-c", &asking]).lines().map(str::to_owned).collect()
}

#[test]
fn bash_takes_its_script_and_completes_nouns_verbs_and_flags() {
    let (_folder, path) = script("bash");
    output("bash", &["-n", &path]);
    assert_eq!(offered(&path, &["minicloud", "serv"]), ["service"]);
    assert_eq!(offered(&path, &["minicloud", "service", "sc"]), ["scale"]);
    let verbs = offered(&path, &["minicloud", "node", ""]);
    for verb in ["ls", "ps", "inspect", "update", "promote", "demote", "rm"] {
        assert!(verbs.iter().any(|offer| offer == verb), "{verb}: {verbs:?}");
    }
    assert_eq!(offered(&path, &["minicloud", "service", "create", "--publ"]), ["--publish"]);
    assert_eq!(offered(&path, &["minicloud", "node", "ls", "--format", "j"]), ["json"]);
    assert_eq!(offered(&path, &["minicloud", "completion", "fi"]), ["fish"]);
}

#[test]
fn zsh_and_fish_take_theirs() {
    for (shell, check) in [("zsh", "-n"), ("fish", "--no-execute")] {
        let (_folder, path) = script(shell);
        if installed(&[shell]) {
            let ran = run(shell, &[check, &path]);
            assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{shell}");
        }
    }
    let (_folder, path) = script("fish");
    if installed(&["fish"]) {
        let offers = output("fish", &["-c", &format!("source {path}; complete -C 'minicloud service sc'")]);
        assert!(offers.starts_with("scale"), "{offers}");
    }
}

#[test]
fn a_shell_that_nobody_has_is_refused_with_those_that_are_known() {
    let refused = run(env!("CARGO_BIN_EXE_minicloud"), &["completion", "tcsh"]);
    assert!(refused.code == Some(2) && refused.err.contains("bash") && refused.err.contains("fish"), "{refused:?}");
}
