//! Walks the help of every command that is promised, and lists what is missing.
//!
//! `promised.txt` holds what the issues name: a command on each line, then its flags, in the spellings that users type.
//! A `?` before a command says that it is still to come: then it is told when it is missing, and fails nobody.
use super::tests::said;
use crate::commands::tree;

const PROMISED: &str = include_str!("promised.txt");

/// A line of the table.
struct Promise<'a> {
    to_come: bool,
    path: Vec<&'a str>,
    flags: Vec<&'a str>,
}

fn promises() -> Vec<Promise<'static>> {
    let lines = PROMISED.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let promise = |line: &'static str| {
        let words = line.trim_start_matches('?').split_whitespace();
        let (flags, path) = words.partition(|word| word.starts_with('-'));
        Promise { to_come: line.starts_with('?'), path, flags }
    };
    lines.map(promise).collect()
}

impl Promise<'_> {
    /// What a user does not find in the command's help.
    fn missing(&self) -> Vec<String> {
        let (path, help) = (self.path.join(" "), said(&format!("{} --help", self.path.join(" "))));
        if !help.contains(&format!("Usage: minicloud {path}")) {
            return vec![format!("minicloud {path}")];
        }
        let shown = |flag: &&&str| !help.lines().any(|line| names(line, flag));
        let flags = self.flags.iter().filter(shown).map(|flag| format!("minicloud {path} {flag}"));
        flags.collect()
    }
}

/// Whether a line of a list of flags is about this one: `  -p, --publish <PORT>  …`.
fn names(line: &str, flag: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('-') && line.split([' ', ',', '=', '[']).take(3).any(|word| word == flag)
}

#[test]
fn every_promised_command_and_flag_is_in_the_help() {
    tree().debug_assert();
    let (to_come, due): (Vec<_>, Vec<_>) = promises().into_iter().partition(|promise| promise.to_come);
    assert!(due.len() > 70, "the table was not read: {} lines", due.len());
    let still: Vec<String> = to_come.iter().flat_map(Promise::missing).collect();
    if !still.is_empty() {
        eprintln!("still to come:\n  {}", still.join("\n  "));
    }
    let missing: Vec<String> = due.iter().flat_map(Promise::missing).collect();
    assert!(missing.is_empty(), "missing in the help:\n  {}", missing.join("\n  "));
}

#[test]
fn what_is_not_there_is_found_missing() {
    let promise =
        |path: &'static str, flags: &[&'static str]| Promise { to_come: false, path: path.split(' ').collect(), flags: flags.to_vec() };
    assert_eq!(promise("service dance", &[]).missing(), ["minicloud service dance"]);
    // A flag of another command, one that is only spoken of, and one that begins like another.
    let flags = ["--availability", "--publish-add", "--repl", "-p", "--publish"];
    assert_eq!(
        promise("service create", &flags).missing(),
        ["--availability", "--publish-add", "--repl"].map(|flag| format!("minicloud service create {flag}"))
    );
}

#[test]
fn every_list_and_every_look_has_a_form_for_programs() {
    let lists = promises().into_iter().filter(|promise| matches!(promise.path.last(), Some(&("ls" | "ps" | "inspect"))));
    let without = lists.filter(|promise| !promise.flags.contains(&"--format")).map(|promise| promise.path.join(" "));
    assert_eq!(without.collect::<Vec<_>>(), Vec::<String>::new(), "--format json is promised for all of them");
}
