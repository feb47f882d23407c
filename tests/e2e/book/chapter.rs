//! A chapter of the book: Markdown in, commands with the output that the book prints out.

/// A command as the reader types it.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it stands, from 1.
    pub line: usize,
    pub command: String,
    /// What the book prints below it.
    pub wanted: Vec<String>,
    pub reading: Reading,
}

/// How the output of a block's commands is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Said again until the output is as printed: for what takes a moment to come.
    pub eventually: bool,
    /// For lines of several tasks, which come as they are written.
    pub in_any_order: bool,
}

/// Where the reader of the book presses Ctrl-C.
pub const INTERRUPT: &str = "^C";
/// Before a block: how it is read.
const MARKS: &[(&str, Reading)] = &[
    ("<!-- eventually -->", Reading { eventually: true, in_any_order: false }),
    ("<!-- eventually, in any order -->", Reading { eventually: true, in_any_order: true }),
];
/// Tags of blocks that are no commands, and of commands for other machines.
const OTHER_TAGS: &[&str] = &["bash", "c", "compose", "go", "js", "json", "python", "rust", "text", "toml", "yaml", "Dockerfile"];

impl Step {
    /// The book prints an error: the command must fail.
    pub fn is_refused(&self) -> bool {
        self.wanted.iter().any(|line| line.starts_with("error: ") || line.starts_with("curl: ("))
    }

    pub fn is_interrupted(&self) -> bool {
        self.wanted.iter().any(|line| line == INTERRUPT)
    }
}

/// All commands of a chapter in their order. A block that names a file (```` ```yaml file=compose.yml ````) is a command
/// that writes it. The error says where, and what is wrong.
pub fn steps(text: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut lines = (1..).zip(text.lines()).peekable();
    let mut reading = Reading::default();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            if !line.is_empty() {
                reading = MARKS.iter().find(|(mark, _)| *mark == line).map(|(_, reading)| *reading).unwrap_or_default();
            }
            continue;
        };
        let block: Vec<(usize, &str)> = std::iter::from_fn(|| lines.next_if(|(_, line)| *line != "```")).collect();
        lines.next().ok_or_else(|| format!("{number}: the block has no end"))?;
        match info.split_once(" file=") {
            Some((_, name)) => steps.push(file(number, name, &block)),
            None if info == "console" => steps.extend(console(&block, reading)?),
            None if OTHER_TAGS.contains(&info) && !block.iter().any(|(_, line)| line.starts_with("$ ")) => {}
            None => return Err(format!("{number}: a block of commands is tagged console, another one of {OTHER_TAGS:?}, not '{info}'")),
        }
        reading = Reading::default();
    }
    Ok(steps)
}

fn file(line: usize, name: &str, block: &[(usize, &str)]) -> Step {
    let text: String = block.iter().map(|(_, line)| format!("{line}\n")).collect();
    let command = format!("mkdir -p \"$(dirname {name})\" && cat > {name} <<'END OF FILE'\n{text}END OF FILE");
    Step { line, command, wanted: Vec::new(), reading: Reading::default() }
}

fn console(block: &[(usize, &str)], reading: Reading) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    for (number, line) in block {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { line: *number, command: command.to_owned(), wanted: Vec::new(), reading });
            continue;
        }
        let step = steps.last_mut().ok_or_else(|| format!("{number}: a block of commands begins with '$ '"))?;
        match line.strip_prefix('>') {
            Some(more) if step.wanted.is_empty() => {
                step.command.push('\n');
                step.command.push_str(more.strip_prefix(' ').unwrap_or(more));
            }
            _ => step.wanted.push((*line).to_owned()),
        }
    }
    for step in &mut steps {
        while step.wanted.last().is_some_and(|line| line.is_empty()) {
            step.wanted.pop();
        }
    }
    Ok(steps)
}

/// Links to other files and headings outside of blocks, with their lines.
pub fn links(text: &str) -> Vec<(usize, String)> {
    let mut in_block = false;
    let mut links = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        in_block ^= line.starts_with("```");
        if !in_block {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
            links.extend(targets.filter(|target| !target.contains("://")).map(|target| (number, target.to_owned())));
        }
    }
    links
}

/// The words of every `minicloud ...` that stands in the running text and not in a block, without the first.
pub fn commands_in_text(text: &str) -> Vec<(usize, Vec<String>)> {
    let mut in_block = false;
    let mut commands = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        in_block ^= line.starts_with("```");
        if in_block {
            continue;
        }
        let spans = line.split('`').skip(1).step_by(2).filter_map(|span| span.strip_prefix("minicloud "));
        commands.extend(spans.map(|span| (number, span.split_whitespace().map(str::to_owned).collect())));
    }
    commands
}

/// The anchors of a page's headings, as GitHub makes them.
pub fn anchors(text: &str) -> Vec<String> {
    let mut in_block = false;
    let mut anchors = Vec::new();
    for line in text.lines() {
        in_block ^= line.starts_with("```");
        if let Some(heading) = line.strip_prefix('#').filter(|_| !in_block) {
            let words = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = words.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
            anchors.push(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
    }
    anchors
}

#[test]
fn a_chapter_is_read() {
    let text = "# A\n```console\n$ one \\\n> two\nout\n> more out\n\n$ three\n```\ntext\n<!-- eventually -->\n\n```console\n$ ls\nerror: x\n```\n\
        ```yaml file=a/b.yml\na: 1\n```\n```text\nmore\n```\n<!-- eventually, in any order -->\n```console\n$ logs\nx\n```\n";
    let step = |line, command: &str, wanted: &[&str], reading| Step {
        line,
        command: command.to_owned(),
        wanted: wanted.iter().map(|line| (*line).to_owned()).collect(),
        reading,
    };
    let once = Reading::default();
    let expected = vec![
        step(3, "one \\\ntwo", &["out", "> more out"], once),
        step(8, "three", &[], once),
        step(14, "ls", &["error: x"], Reading { eventually: true, ..once }),
        step(17, "mkdir -p \"$(dirname a/b.yml)\" && cat > a/b.yml <<'END OF FILE'\na: 1\nEND OF FILE", &[], once),
        step(25, "logs", &["x"], Reading { eventually: true, in_any_order: true }),
    ];
    let steps = steps(text).unwrap();
    assert_eq!(steps, expected);
    assert!(steps[2].is_refused() && !steps[0].is_refused());
}

#[test]
fn what_no_test_would_run_is_refused() {
    for (text, told) in [
        ("```\n$ ls\n```\n", "1: a block of commands"),
        ("\n```sh\nls\n```\n", "2: a block of commands"),
        ("```text\n$ ls\n```\n", "1: a block of commands"),
        ("```console\nls\n```\n", "2: a block of commands begins"),
        ("```console\n$ ls\n", "1: the block has no end"),
    ] {
        assert!(steps(text).unwrap_err().starts_with(told), "{text}");
    }
}

#[test]
fn links_and_headings() {
    assert_eq!(links("[a](b.md#c) [d](http://x)\n```text\n[e](f)\n```\n"), [(1, "b.md#c".to_owned())]);
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let commands = commands_in_text("a `minicloud ps -q`, `x` and `minicloud ls`\n```console\n$ `minicloud no`\n```\n");
    assert_eq!(commands, [(1, words(&["ps", "-q"])), (1, words(&["ls"]))]);
    assert_eq!(anchors("# A `b`, c\n```text\n# no\n```\n## D-e\n"), ["a-b-c", "d-e"]);
}
