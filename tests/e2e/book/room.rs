//! A machine for one chapter, and a shell on it: own loopback, own processes, own home, no way out.
//!
//! Ports and folders are free there, whatever runs beside it, so the book can name those that users have.
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::chapter::{INTERRUPT, Step};
use super::output;
use crate::support::programs::{installed, run, skip};

/// Bound on one command; a build waits for others that build.
const COMMAND_WAIT: Duration = Duration::from_secs(180);
/// Bound on what comes before Ctrl-C is pressed.
const INTERRUPT_WAIT: Duration = Duration::from_secs(30);
/// Stands before the exit code of a command, on a line of its own.
const END: &str = "=== end of the command:";
/// What the book uses beside minicloud.
const PROGRAMS: &[&str] = &["bash", "unshare", "ip", "curl", "dig", "redis-cli"];
/// A machine with a network card, on which nothing runs.
const SET_UP: &str = "\
set -e
ip link set lo up
ip link add eth0 type veth peer name cable
ip addr add 192.0.2.10/24 dev eth0
ip link set eth0 up
ip link set cable up
hostname laptop
mount -t tmpfs tmpfs /var/lib
cd
set +e
";

pub struct Room {
    shell: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    home: tempfile::TempDir,
    /// A command did not end, so that no further one is heard.
    stuck: bool,
}

/// What a command printed, and how it ended; `None`: not yet.
#[derive(Debug)]
pub struct Ran {
    pub lines: Vec<String>,
    pub code: Option<i32>,
}

impl Room {
    /// `None`, said aloud, where this machine does not let us.
    pub fn new(sources: &Path) -> Option<Room> {
        if !installed(PROGRAMS) {
            return None;
        }
        // There the room has a folder of its own.
        if sources.starts_with("/var/lib") {
            skip("the sources are in /var/lib");
            return None;
        }
        let probe = run("unshare", &[walls(), vec!["ip", "link", "set", "lo", "up"]].concat());
        if probe.code != Some(0) {
            skip(&format!("no namespaces can be made here: {}", probe.err.trim()));
            return None;
        }
        Some(Room::open(sources))
    }

    fn open(sources: &Path) -> Room {
        let home = tempfile::tempdir().unwrap();
        let programs = home.path().join(".local/bin");
        std::fs::create_dir_all(&programs).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_minicloud"), programs.join("minicloud")).unwrap();
        std::os::unix::fs::symlink(sources, home.path().join("minicloud")).unwrap();
        std::fs::create_dir(home.path().join("tmp")).unwrap();
        // On a terminal it shows none either.
        std::fs::write(home.path().join(".curlrc"), "no-progress-meter\n").unwrap();
        let mut shell = Command::new("unshare");
        // Tests that run in the background of a script have Ctrl-C ignored, and a shell cannot take that back.
        shell.args(walls()).args(["env", "--default-signal=INT", "bash", "--noprofile", "--norc"]);
        furnish(&mut shell, home.path(), &programs);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut shell = shell.spawn().unwrap();
        let (input, output) = (shell.stdin.take().unwrap(), shell.stdout.take().unwrap());
        let (told, lines) = channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
                line.clear();
                if told.send(text).is_err() {
                    return;
                }
            }
        });
        let mut room = Room { shell, input, lines, home, stuck: false };
        room.say(SET_UP);
        room
    }

    fn say(&mut self, text: &str) {
        // A shell that ended is told by the command that has no end.
        let _ = self.input.write_all(text.as_bytes()).and_then(|()| self.input.flush());
    }

    pub fn is_stuck(&self) -> bool {
        self.stuck
    }

    pub fn run(&mut self, step: &Step) -> Ran {
        let ran = self.run_to_end(step);
        self.stuck = ran.code.is_none();
        ran
    }

    fn run_to_end(&mut self, step: &Step) -> Ran {
        let command = shlex::try_quote(&step.command).unwrap().into_owned();
        let end = format!("printf '\\n{END} %d\\n' $?\n");
        if !step.is_interrupted() {
            self.say(&format!("eval {command} </dev/null 2>&1; {end}"));
            return self.listen(Vec::new(), COMMAND_WAIT, |_| false);
        }
        // With job control the command is a group of its own, as on a terminal.
        self.say(&format!("set -m; eval {command} </dev/null 2>&1 & set +m; job=$!\n"));
        let before: Vec<String> = step.wanted.iter().take_while(|line| *line != INTERRUPT).cloned().chain(["...".to_owned()]).collect();
        let ran = self.listen(Vec::new(), INTERRUPT_WAIT, |lines| output::matches(&before, lines, step.reading.in_any_order));
        self.say(&format!("kill -INT -- -$job; wait $job; {end}"));
        self.listen([ran.lines, vec![INTERRUPT.to_owned()]].concat(), COMMAND_WAIT, |_| false)
    }

    /// Reads until the command ends, or `enough`.
    fn listen(&mut self, mut lines: Vec<String>, wait: Duration, enough: impl Fn(&[String]) -> bool) -> Ran {
        let deadline = Instant::now() + wait;
        while !enough(&lines) {
            let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
                return Ran { lines, code: None };
            };
            if let Some(code) = line.strip_prefix(END) {
                // The end of an empty line that only the mark needed.
                lines.pop_if(|line| line.is_empty());
                return Ran { lines, code: code.trim().parse().ok() };
            }
            lines.push(line);
        }
        Ran { lines, code: None }
    }

    /// What daemons of this room said when they panicked.
    pub fn panics(&mut self) -> String {
        let command = "grep -rh --include=minicloud.log 'panicked at' ~ /var/lib || true".to_owned();
        self.run(&Step { line: 0, command, wanted: Vec::new(), reading: super::chapter::Reading::default() }).lines.join("\n")
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // With the first process of the room all others end.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
        if std::thread::panicking() {
            eprintln!("the home of this chapter was {}", self.home.path().display());
        }
    }
}

/// Flags of `unshare`: without root, one is root of one's own users.
fn walls() -> Vec<&'static str> {
    let mut flags = vec!["--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"];
    if !rustix::process::geteuid().is_root() {
        flags.push("--map-root-user");
    }
    flags
}

/// The variables of a user who has just logged in, and who has Rust.
fn furnish(shell: &mut Command, home: &Path, programs: &Path) {
    let own_home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let tool = |variable: &str, folder: &str| std::env::var_os(variable).map_or_else(|| own_home.join(folder), PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([programs.to_owned()].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let foreign = ["XDG_DATA_HOME", "XDG_RUNTIME_DIR", "MINICLOUD_DATA_DIR", "CARGO_TARGET_DIR", "http_proxy", "HTTP_PROXY", "ALL_PROXY"];
    for name in foreign {
        shell.env_remove(name);
    }
    shell.env("CARGO_HOME", tool("CARGO_HOME", ".cargo")).env("RUSTUP_HOME", tool("RUSTUP_HOME", ".rustup"));
    // What is compiled once serves every chapter.
    if std::env::var_os("MINICLOUD_CACHE_DIR").is_none() && !rustix::process::geteuid().is_root() {
        shell.env("MINICLOUD_CACHE_DIR", tool("XDG_CACHE_HOME", ".cache").join("minicloud"));
    }
    shell.env("HOME", home).env("TMPDIR", home.join("tmp")).env("PATH", path).current_dir(home);
}
