//! The book under `docs/`: every command in it is run, and what comes is held against what the book prints.
//!
//! Each chapter has a machine of its own (`book/room.rs`) and one shell, in which its blocks run in order; how a chapter
//! is written stands in `docs/writing.md`.
mod chapter;
mod output;
mod room;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chapter::Step;
use room::{Ran, Room};

/// How long a listing may take to become what the book prints.
const EVENTUALLY: Duration = Duration::from_secs(30);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(200);

macro_rules! chapters {
    ($($test:ident: $file:literal,)*) => {
        $(
            #[test]
            fn $test() {
                is_true($file);
            }
        )*
        const CHAPTERS: &[&str] = &[$($file),*];
    };
}

chapters! {
    readme: "README.md",
    index: "docs/README.md",
    install: "docs/install.md",
    first_cluster: "docs/first-cluster.md",
    compose: "docs/compose.md",
    images: "docs/images.md",
    networking: "docs/networking.md",
    operating: "docs/operating.md",
    jobs: "docs/jobs.md",
    design: "docs/design.md",
    swarm: "docs/swarm.md",
    writing: "docs/writing.md",
}

/// Other places that the test of links reads.
const FURTHER_PAGES: &[&str] = &["ARCHITECTURE.md"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Runs a chapter; fails with every command that does something else than the book says, the first of them first.
#[track_caller]
fn is_true(file: &str) {
    let text = std::fs::read_to_string(root().join(file)).unwrap();
    let steps = chapter::steps(&text).unwrap_or_else(|error| panic!("{file}:{error}"));
    if steps.is_empty() {
        return;
    }
    let Some(mut room) = Room::new(&root()) else { return };
    let mut differences = Vec::new();
    for step in &steps {
        // What follows a difference may come of it, and is not waited for.
        let patience = if differences.is_empty() { EVENTUALLY } else { Duration::ZERO };
        if let Err(difference) = follow(&mut room, step, patience) {
            differences.push(format!("{file}:{}: {difference}\n", step.line));
        }
        if room.is_stuck() {
            break;
        }
    }
    assert!(differences.is_empty(), "\n\n{}", differences.join("\n"));
    assert_eq!(room.panics(), "", "{file}: a daemon panicked");
}

/// Runs one command; the error shows what was wanted and what came.
#[expect(clippy::print_stdout, reason = "shown with --nocapture, and where the test fails")]
fn follow(room: &mut Room, step: &Step, patience: Duration) -> Result<(), String> {
    let deadline = Instant::now() + patience;
    loop {
        let ran = room.run(step);
        let difference = difference(step, &ran);
        let is_last = difference.is_none() || !step.reading.eventually || Instant::now() > deadline;
        if is_last {
            println!("{}", transcript(step, &ran));
        }
        let Some(why) = difference else { return Ok(()) };
        if is_last {
            return Err(format!("{why}\n{}\n--- the book prints\n{}", transcript(step, &ran), step.wanted.join("\n")));
        }
        std::thread::sleep(LOOK);
    }
}

fn difference(step: &Step, ran: &Ran) -> Option<String> {
    let Some(code) = ran.code else { return Some("the command does not end".to_owned()) };
    if step.is_refused() == (code == 0) && !step.is_interrupted() {
        return Some(format!("the command ended with {code}"));
    }
    // A command of which the book prints nothing may say what it likes.
    let is_silent = step.wanted.is_empty();
    (!is_silent && !output::matches(&step.wanted, &ran.lines, step.reading.in_any_order)).then(|| "the output is another".to_owned())
}

fn transcript(step: &Step, ran: &Ran) -> String {
    format!("$ {}\n{}", step.command.replace('\n', "\n> "), ran.lines.join("\n"))
}

#[test]
fn every_page_of_the_book_is_a_chapter() {
    let pages = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let unknown: Vec<String> = pages.map(|page| format!("docs/{page}")).filter(|page| !CHAPTERS.contains(&page.as_str())).collect();
    assert!(unknown.is_empty(), "no test runs {unknown:?}: name them in tests/e2e/book.rs");
}

#[test]
fn every_chapter_can_be_reached_from_the_index() {
    let index = std::fs::read_to_string(root().join("docs/README.md")).unwrap();
    for page in CHAPTERS.iter().filter_map(|page| page.strip_prefix("docs/")).filter(|page| *page != "README.md") {
        assert!(index.contains(&format!("({page})")), "docs/README.md does not lead to {page}");
    }
}

#[test]
fn links_lead_somewhere() {
    for page in CHAPTERS.iter().chain(FURTHER_PAGES) {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        for (line, target) in chapter::links(&text) {
            let folder = root().join(page).parent().unwrap().to_owned();
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = if file.is_empty() { root().join(page) } else { folder.join(file) };
            assert!(path.exists(), "{page}:{line}: there is no {target}");
            if !anchor.is_empty() {
                let known = chapter::anchors(&std::fs::read_to_string(&path).unwrap());
                assert!(known.iter().any(|known| known == anchor), "{page}:{line}: {file} has no heading #{anchor}, but {known:?}");
            }
        }
    }
}

#[test]
fn messages_that_are_explained_exist() {
    let sources = sources(&root().join("host"));
    let text = std::fs::read_to_string(root().join("docs/operating.md")).unwrap();
    let table = text.split_once("## Troubleshooting by message").unwrap().1;
    let messages: Vec<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(message, _)| message).collect();
    assert!(messages.len() > 5, "{messages:?}");
    for part in messages.iter().flat_map(|message| message.split(['…', ':', '\''])).map(str::trim) {
        assert!(sources.iter().any(|source| source.contains(part)), "nothing says '{part}' any more");
    }
}

/// The text of every source file below a folder.
fn sources(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.extension() {
            _ if path.is_dir() => sources(&path),
            Some(extension) if extension == "rs" => vec![std::fs::read_to_string(&path).unwrap()],
            _ => Vec::new(),
        })
        .collect()
}

#[test]
fn commands_in_the_running_text_exist() {
    for page in CHAPTERS {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        for (line, words) in chapter::commands_in_text(&text) {
            let place = || format!("{page}:{line}: minicloud {}", words.join(" "));
            let help = help_of(&words).unwrap_or_else(|| panic!("{}: there is no such command", place()));
            let known: Vec<&str> = help.split([' ', ',', '\n', '=', '[']).collect();
            let flags = words.iter().filter(|word| word.starts_with('-')).map(|word| word.split('=').next().unwrap_or_default());
            flags.for_each(|flag| assert!(known.contains(&flag), "{}: there is no {flag}", place()));
        }
    }
}

/// What `--help` says of a noun and its verb, or of a command that stands alone.
fn help_of(words: &[String]) -> Option<String> {
    let help = |path: &[String]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_minicloud")).args(path).arg("--help").output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    };
    if words.first()? == "help" {
        return Some(String::new());
    }
    let noun = help(words.get(..1)?)?;
    let verbs = noun.split_once("\nCommands:\n").map(|(_, verbs)| verbs.split("\n\n").next().unwrap_or_default());
    match (verbs, words.get(1)) {
        (Some(verbs), Some(verb)) if !verb.starts_with('-') => {
            verbs.lines().any(|line| line.split_whitespace().next() == Some(verb)).then(|| help(&words[..2])).flatten()
        }
        _ => Some(noun),
    }
}

/// The outcome of a chapter of one block in a room of its own.
fn outcome(block: &str) -> Option<Result<(), String>> {
    let steps = chapter::steps(block).unwrap();
    let mut room = Room::new(&root())?;
    Some(steps.iter().try_for_each(|step| follow(&mut room, step, LOOK)))
}

#[test]
fn what_the_book_prints_wrongly_is_told() {
    let told = |block: &str| outcome(block).map(|outcome| outcome.expect_err(block));
    let Some(flag) = told("```console\n$ minicloud node ls --colour\nID\n```\n") else { return };
    assert!(flag.contains("ended with 2") && flag.contains("--colour") && flag.contains("--- the book prints\nID"), "{flag}");
    let text = told("```console\n$ echo one; echo two >&2\none\nthree\n```\n").unwrap();
    assert!(text.contains("the output is another") && text.contains("one\ntwo") && text.contains("one\nthree"), "{text}");
    assert!(told("```console\n$ exit 3\n```\n").unwrap().contains("the command does not end"));
    assert!(told("```console\n$ echo error: no\nerror: no\n```\n").unwrap().contains("ended with 0"));
    let shell = "```console\n$ cd /tmp && TEXT=\"it's\"\n$ cat <<EOF\n> $TEXT in $PWD\n> EOF\nit's in /tmp\n$ sh -c 'echo a; exec sleep 60'\na\n^C\n```\n";
    assert_eq!(outcome(shell), Some(Ok(())));
}
